//! Lists of users: one list for each role, and the list for superadmins, which has more of each user.

use larder::cache::Cache;
use larder::class::{Answer, Class};
use larder::error::Error;
use larder::key::{Key, KeyParts};
use larder::policy::Consistency;
use serde::{Deserialize, Serialize};

use crate::cached::policies::{self, Policies};
use crate::domain::cursor::Cursor;
use crate::domain::paging::{ListQuery, Position};
use crate::domain::statistics::AccountOverview;
use crate::domain::user::User;
use crate::store::Store;
use crate::store::error::StoreError;

/// One page of a list, as cached. It holds the users that the role of the query may list, and all fields of each: what
/// a reader may see of them is cut out later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPage<T> {
    /// The users in their order.
    pub users: Vec<T>,
    /// How many users there are in all; `None` for a search, which does not count.
    pub total: Option<i64>,
    /// Where the next page begins.
    pub next: Option<Cursor>,
}

/// The lists, read through the cache.
#[derive(Clone)]
pub struct CachedLists {
    store: Store,
    users: Class<ListQuery, ListPage<User>>,
    superadmin: Class<ListQuery, ListPage<AccountOverview>>,
}

impl CachedLists {
    /// Opens the classes.
    ///
    /// # Errors
    /// Only if a class's name were invalid.
    pub fn open(cache: &Cache, store: Store, policies: &Policies) -> Result<Self, Error> {
        Ok(Self {
            users: policies.open(&policies::USER_LIST, |name| cache.class(name))?,
            superadmin: policies.open(&policies::SUPERADMIN_USER_LIST, |name| cache.class(name))?,
            store,
        })
    }

    /// One page of a list.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn users(
        &self,
        query: &ListQuery,
        consistency: Consistency,
    ) -> Result<Answer<ListPage<User>>, Error> {
        let load = || self.load(query);
        self.users.read(query).consistency(consistency).or_load(load).await
    }

    /// One page of the list for superadmins.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn overviews(
        &self,
        query: &ListQuery,
        consistency: Consistency,
    ) -> Result<Answer<ListPage<AccountOverview>>, Error> {
        let load = || async {
            let ListPage { users, total, next } = self.load(query).await?;
            let users = self.store.overviews(users).await?;
            Ok::<_, StoreError>(ListPage { users, total, next })
        };
        self.superadmin.read(query).consistency(consistency).or_load(load).await
    }

    /// Runs several statements. A change between them touches the page, so a mixed answer is not stored, or
    /// is invalidated after it was.
    async fn load(&self, query: &ListQuery) -> Result<ListPage<User>, StoreError> {
        let listed = self.store.list(query).await?;
        let total = match query.search {
            Some(_) => None,
            None => Some(self.store.total(&query.filter).await?),
        };
        Ok(ListPage { users: listed.users, total, next: listed.next })
    }
}

impl Key for ListQuery {
    fn parts(&self, parts: &mut KeyParts<'_>) {
        parts.push(&self.audience.as_str());
        parts.push(&self.limit.get());
        match &self.position {
            Position::Page(page) => parts.push(&format_args!("page={}", page.get())),
            Position::Cursor(cursor) => parts.push(&format_args!("cursor={}", cursor.encode())),
        }
        parts.push_option(self.filter.role.map(|role| role.as_str()));
        parts.push_option(self.filter.is_active.as_ref());
        parts.push(&self.sort.as_text());
        parts.push_option(self.search.as_ref().map(|term| term.as_str()));
    }
}
