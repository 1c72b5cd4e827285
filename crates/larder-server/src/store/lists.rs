//! Lists of users in any order and with any filter. The cost of a page does not depend on the number of users.
//!
//! Invariant `runs`: a list is merged from sorted index ranges, one per role and status of the filter, and each range
//! is read only as far as the page needs. So a page's cost depends on its depth, not on the number of users or the
//! filter.

use std::fmt::Write as _;

use larder_sql::dialect::Dialect;

use crate::domain::cursor::Cursor;
use crate::domain::paging::{Filter, ListQuery, Position};
use crate::domain::role::Role;
use crate::domain::sort::Sort;
use crate::domain::user::User;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::odd_rows;
use crate::store::row::{self, user_columns};
use crate::store::sql::Sql;

const ROLES: [Role; 3] = [Role::User, Role::Admin, Role::Superadmin];

/// One page of a list of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The users in their order.
    pub users: Vec<User>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<Cursor>,
}

impl Store {
    /// One page of a list of users.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn list(&self, list: &ListQuery) -> Result<Listed, StoreError> {
        // One row more than asked for shows whether there is a next page.
        let mut most = list.limit.get() as usize + 1;
        loop {
            let rows = match &list.search {
                Some(term) => self.search(list, term, most as i64).await?,
                None => self.page(list, most as i64).await?,
            };
            let missing = missing(list, &rows);
            if missing == 0 || rows.len() < most {
                return Ok(cut(list, rows));
            }
            // Each iteration asks for more rows. If most rows cannot be read, it asks for nearly twice as many.
            most += missing;
        }
    }

    /// The rows of the page, at most `most` of them.
    async fn page(&self, list: &ListQuery, most: i64) -> Result<Vec<Option<User>>, StoreError> {
        let limit = i64::from(list.limit.get());
        let before = match list.position {
            Position::Page(page) => i64::from(page.get() - 1) * limit,
            Position::Cursor(_) => 0,
        };
        let mut sql = Sql::default();
        let by = list.sort.by.as_str();
        let columns = format!("id AS listed_id, {by} AS place");
        runs(&mut sql, self.database.dialect(), list, &columns, before + most);
        let (most, before) = (sql.bind_number(most), sql.bind_number(before));
        sql.push(&format!("{} LIMIT {most} OFFSET {before}", order(list.sort, "place", "listed_id")));
        self.listed(sql, list.sort).await
    }

    /// The users whose `listed_id` and `place` a statement selects, in the list's order; `None` for a user that cannot
    /// be read.
    pub(super) async fn listed(&self, mut sql: Sql, sort: Sort) -> Result<Vec<Option<User>>, StoreError> {
        // CROSS JOIN makes SQLite keep the order of the tables, so SQLite looks up only the users that the statement
        // found.
        sql.text = format!(
            concat!(
                "SELECT ",
                user_columns!(),
                " FROM ({}) AS listed CROSS JOIN users WHERE users.id = listed_id{}"
            ),
            sql.text,
            order(sort, "place", "listed_id"),
        );
        let rows = sql.query().fetch_all(self.database.read()).await?;
        Ok(odd_rows::each("users", "id", &rows, row::user)?)
    }

    /// The number of users, from the counts alone.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn total(&self, filter: &Filter) -> Result<i64, StoreError> {
        let counts = self.counts().await?;
        let is_counted = |role, is_active| {
            filter.role.is_none_or(|wanted| wanted == role)
                && filter.is_active.is_none_or(|wanted| wanted == is_active)
        };
        Ok(counts
            .iter()
            .filter(|count| is_counted(count.role, count.is_active))
            .map(|count| count.users)
            .sum())
    }
}

/// Whether later users replace the users of this page that cannot be read. A page after a cursor does this. A page by
/// number shows fewer users instead, because the next page begins at a fixed row. Exception: if no user of a page by
/// number can be read, later users replace them, because `next` needs a user.
fn is_filled_up(list: &ListQuery, rows: &[Option<User>]) -> bool {
    let mut window = rows.iter().take(list.limit.get() as usize);
    matches!(list.position, Position::Cursor(_)) || window.all(Option::is_none)
}

/// How many of the rows cannot be read, if the page needs later rows in their place; otherwise 0.
fn missing(list: &ListQuery, rows: &[Option<User>]) -> usize {
    let users = rows.iter().flatten().count();
    let is_short = users <= list.limit.get() as usize && is_filled_up(list, rows);
    if is_short { rows.len() - users } else { 0 }
}

/// The page that was asked for, cut from the rows that were read for it.
fn cut(list: &ListQuery, mut rows: Vec<Option<User>>) -> Listed {
    let asked = list.limit.get() as usize;
    let mut more = rows.len() > asked;
    if is_filled_up(list, &rows) {
        rows.retain(Option::is_some);
        more = rows.len() > asked;
    }
    rows.truncate(asked);
    let users: Vec<_> = rows.into_iter().flatten().collect();
    let next = users.last().filter(|_| more).map(|last| Cursor::after(last, list.scope()));
    Listed { users, next }
}

/// Adds one SELECT of `columns` for each role and status of the list, from its cursor on, joined by UNION ALL. The
/// caller adds an ORDER BY and a LIMIT; `most` is that limit and its OFFSET together. With these clauses, the database
/// merges the results of the SELECTs and reads each index range only as far as the page needs.
pub(super) fn runs(sql: &mut Sql, dialect: Dialect, list: &ListQuery, columns: &str, most: i64) {
    let after = after(sql, list);
    let (before, behind) = match dialect {
        // Each SELECT has its own limit: PostgreSQL does not use the order of an index under a UNION ALL.
        Dialect::Postgres => {
            let most = sql.bind_number(most);
            let order = order(list.sort, list.sort.by.as_str(), "id");
            ("SELECT * FROM (", format!("{order} LIMIT {most}) AS "))
        }
        // SQLite uses the order, and reads `most` rows of all ranges together. If each SELECT had a limit, SQLite would
        // read each range up to the limit first. That is slow for a rare role: the rows of the newest thousand
        // superadmins are spread over the entire table.
        Dialect::Sqlite => ("", String::new()),
    };
    let statuses =
        [true, false].into_iter().filter(|status| list.filter.is_active.is_none_or(|is| is == *status));
    let runs: Vec<_> = ROLES
        .into_iter()
        .filter(|role| list.filter.role.is_none_or(|wanted| wanted == *role))
        .flat_map(|role| statuses.clone().map(move |is_active| (role.as_str(), is_active)))
        .map(|(role, is_active)| {
            let alias = if behind.is_empty() { String::new() } else { format!("{role}_{is_active}") };
            format!(
                "{before}SELECT {columns} FROM users WHERE role = '{role}' AND is_active = {is_active}{after}{behind}{alias}"
            )
        })
        .collect();
    sql.push(&runs.join(" UNION ALL "));
}

/// The condition for the rows after a list's cursor.
pub(super) fn after(sql: &mut Sql, list: &ListQuery) -> String {
    let Position::Cursor(cursor) = &list.position else { return String::new() };
    let (place, id) = (sql.bind(cursor.place.clone()), sql.bind_text(cursor.id.to_string()));
    let follows = if list.sort.is_descending { '<' } else { '>' };
    format!(" AND ({}, id) {follows} ({place}, {id})", list.sort.by.as_str())
}

/// The condition of a filter.
pub(super) fn filtered(filter: Filter) -> String {
    let mut condition = String::new();
    // Writing to a String cannot fail.
    if let Some(role) = filter.role {
        let _ = write!(condition, " AND role = '{}'", role.as_str());
    }
    if let Some(is_active) = filter.is_active {
        let _ = write!(condition, " AND is_active = {is_active}");
    }
    condition
}

/// The ORDER BY of a sort over these columns.
pub(super) fn order(sort: Sort, place: &str, id: &str) -> String {
    let direction = if sort.is_descending { "DESC" } else { "ASC" };
    format!(" ORDER BY {place} {direction}, {id} {direction}")
}
