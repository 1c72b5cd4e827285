//! The loaders of lists of users.

use serde::{Deserialize, Serialize};

use crate::domain::cursor::Cursor;
use crate::domain::paging::ListQuery;
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

/// Runs several statements. A change between them touches the page, so a mixed answer is not stored, or is invalidated
/// after it was.
pub(super) async fn page(store: &Store, query: &ListQuery) -> Result<ListPage<User>, StoreError> {
    let listed = store.list(query).await?;
    let total = match query.search {
        Some(_) => None,
        None => Some(store.total(&query.filter).await?),
    };
    Ok(ListPage { users: listed.users, total, next: listed.next })
}

/// As [`page`], with more of each user.
pub(super) async fn overviews(
    store: &Store,
    query: &ListQuery,
) -> Result<ListPage<AccountOverview>, StoreError> {
    let ListPage { users, total, next } = page(store, query).await?;
    Ok(ListPage { users: store.overviews(users).await?, total, next })
}
