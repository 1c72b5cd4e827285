//! The loaders of lists of users.

use serde::{Deserialize, Serialize};

use crate::domain::cursor::Cursor;
use crate::domain::paging::ListQuery;
use crate::domain::statistics::AccountOverview;
use crate::domain::user::User;
use crate::store::Store;
use crate::store::error::StoreError;

/// One page of a list, as cached. It holds the users that the role of the query may list, with all fields of each user.
/// The API layer later removes the fields that the reader may not see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPage<T> {
    /// The users in their order.
    pub users: Vec<T>,
    /// How many users the entire list has; `None` for a search, which does not count its results.
    pub total: Option<i64>,
    /// Where the next page begins.
    pub next: Option<Cursor>,
}

/// Loads a page with several statements. A change that is committed between two of them makes the page
/// invalid. So a page that mixes the data before and after such a change is either not stored, or is removed within the
/// staleness bound.
pub(super) async fn page(store: &Store, query: &ListQuery) -> Result<ListPage<User>, StoreError> {
    let listed = store.list(query).await?;
    let total = match query.search {
        Some(_) => None,
        None => Some(store.total(&query.filter).await?),
    };
    Ok(ListPage { users: listed.users, total, next: listed.next })
}

/// Loads a page as [`page`] does, and adds each user's login data.
pub(super) async fn overviews(
    store: &Store,
    query: &ListQuery,
) -> Result<ListPage<AccountOverview>, StoreError> {
    let ListPage { users, total, next } = page(store, query).await?;
    Ok(ListPage { users: store.overviews(users).await?, total, next })
}
