//! Searches users by two methods. The first method reads only the newest users, which is enough for a common term. The
//! second method uses the index of the searched columns, which serves a rare term.
//!
//! Both compare the folded term with folded columns: `search_text` and `search_email` on PostgreSQL, the table
//! `user_texts` on SQLite. The database computes these columns for every writer.
//!
//! Invariants:
//! - `one_order`: both methods return the same users in the same order, newest first, so one page may come from the
//!   first method and the next page from the second;
//! - `bounded`: the first method reads a bounded number of rows. The second method runs only if the first method found
//!   less than one page in these rows. So the users that the second method collects and sorts are a small share of all
//!   users.

use larder_sql::dialect::Dialect;

use crate::domain::paging::ListQuery;
use crate::domain::role::Role;
use crate::domain::search::SearchTerm;
use crate::domain::user::User;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::lists::{after, filtered, order, runs};
use crate::store::sql::Sql;

/// How many of the newest users are searched first on PostgreSQL. With a lower number this search costs less, but more
/// terms need the second method.
const NEWEST_ON_POSTGRES: i64 = 4000;
/// The same number on SQLite, which reads these rows more slowly and is meant for fewer users. With 1,000, a term that
/// 2 % of all users have would need the index, and that search costs three times as much with 100,000 users as with
/// 10,000.
const NEWEST_ON_SQLITE: i64 = 2000;
impl Store {
    /// At most `most` of the users that the term finds; `None` for a user that cannot be read.
    pub(super) async fn search(
        &self,
        list: &ListQuery,
        term: &SearchTerm,
        most: i64,
    ) -> Result<Vec<Option<User>>, StoreError> {
        let dialect = self.database.dialect();
        let found = self.listed(among_the_newest(dialect, list, term, most), list.sort).await?;
        if found.len() as i64 >= most {
            return Ok(found);
        }
        self.listed(by_index(dialect, list, term, most), list.sort).await
    }
}

fn among_the_newest(dialect: Dialect, list: &ListQuery, term: &SearchTerm, most: i64) -> Sql {
    match dialect {
        Dialect::Postgres => among_the_newest_on_postgres(list, term, most),
        Dialect::Sqlite => among_the_newest_on_sqlite(list, term, most),
    }
}

fn among_the_newest_on_postgres(list: &ListQuery, term: &SearchTerm, most: i64) -> Sql {
    let mut sql = Sql::default();
    sql.push("SELECT id AS listed_id, created_at AS place FROM (");
    let columns = "id, created_at, role, search_text, search_email";
    runs(&mut sql, Dialect::Postgres, list, columns, NEWEST_ON_POSTGRES);
    let newest = sql.bind_number(NEWEST_ON_POSTGRES);
    sql.push(&format!("{} LIMIT {newest}) AS newest WHERE ", order(list.sort, "created_at", "id")));
    let term = sql.bind_text(term.as_str());
    finish(sql, list, most, &contains_on_postgres(list.audience, &term), "created_at", "id")
}

/// SQLite finds the newest users in an index without their rows. Then it reads their folded texts one after the other
/// until the page is full.
fn among_the_newest_on_sqlite(list: &ListQuery, term: &SearchTerm, most: i64) -> Sql {
    let mut sql = Sql::default();
    sql.push("SELECT listed_id, place FROM (");
    let columns = "number AS listed_number, id AS listed_id, created_at AS place, role";
    runs(&mut sql, Dialect::Sqlite, list, columns, NEWEST_ON_SQLITE);
    let newest = sql.bind_number(NEWEST_ON_SQLITE);
    let order = order(list.sort, "place", "listed_id");
    // CROSS JOIN makes SQLite keep the order of the tables, and with it the order of the newest users.
    sql.push(&format!(
        "{order} LIMIT {newest}) AS newest CROSS JOIN user_texts WHERE user_texts.number = listed_number AND "
    ));
    let term = sql.bind_text(term.as_str());
    let contains = |column: &str| format!("instr({column}, {term}) > 0");
    let address = or_email(list.audience, &contains("email"));
    let condition = format!("{} OR {}{address}", contains("full_name"), contains("username"));
    finish(sql, list, most, &condition, "place", "listed_id")
}

fn by_index(dialect: Dialect, list: &ListQuery, term: &SearchTerm, most: i64) -> Sql {
    let mut sql = Sql::default();
    // MATERIALIZED hides the order and the limit from the planner, so that the planner uses the index. Otherwise the
    // planner could scan all users.
    sql.push("SELECT listed_id, place FROM (WITH found AS MATERIALIZED (");
    let columns = "id AS listed_id, created_at AS place";
    let condition = match dialect {
        Dialect::Sqlite => {
            let (matched, condition) = by_match(&mut sql, list.audience, term);
            // CROSS JOIN makes SQLite keep the order of the tables, so SQLite begins with the users that the index
            // found.
            sql.push(&format!(
                "SELECT DISTINCT {columns} FROM ({matched}) AS matched CROSS JOIN users WHERE "
            ));
            condition
        }
        Dialect::Postgres => {
            sql.push(&format!("SELECT {columns} FROM users WHERE "));
            by_grams(&mut sql, list.audience, term)
        }
    };
    let (filter, after) = (filtered(list.filter), after(&mut sql, list));
    sql.push(&format!("({condition}){filter}{after}) SELECT listed_id, place FROM found) AS found WHERE "));
    finish(sql, list, most, "TRUE", "place", "listed_id")
}

fn finish(mut sql: Sql, list: &ListQuery, most: i64, condition: &str, place: &str, id: &str) -> Sql {
    let most = sql.bind_number(most);
    sql.push(&format!("({condition}){} LIMIT {most}", order(list.sort, place, id)));
    sql
}

/// The condition on the e-mail address: it is searched only in users whose address the readers may see.
fn or_email(audience: Role, has: &str) -> String {
    match audience {
        Role::User => String::new(),
        Role::Admin => format!(" OR (role <> 'superadmin' AND {has})"),
        Role::Superadmin => format!(" OR {has}"),
    }
}

fn contains_on_postgres(audience: Role, term: &str) -> String {
    let contains = |column: &str| format!("strpos({column}, {term}) > 0");
    format!("{}{}", contains("search_text"), or_email(audience, &contains("search_email")))
}

/// A text that contains the term contains each gram of the term, that is, each three successive characters. The index
/// finds the users that have all of them, and a comparison with the term confirms each. One side of the AND has only
/// the condition for the index. If it also had the comparison, PostgreSQL would compute the grams again for each row.
fn by_grams(sql: &mut Sql, audience: Role, term: &SearchTerm) -> String {
    let term = sql.bind_text(term.as_str());
    let grams = |mark: &str| {
        format!("users_search_grams(search_text, search_email) @> users_grams_of({term}, '{mark}')")
    };
    let email = if audience == Role::User { String::new() } else { format!(" OR {}", grams("@")) };
    format!("({}{email}) AND ({})", grams(""), contains_on_postgres(audience, &term))
}

/// The users that SQLite's index finds by name, user name or address, and the condition that keeps those that the
/// readers may find.
fn by_match(sql: &mut Sql, audience: Role, term: &SearchTerm) -> (String, String) {
    // A string of FTS5. Only the quote has a meaning in it, so the quote is doubled.
    let quoted = format!("\"{}\"", term.as_str().replace('"', "\"\""));
    let mut matched = |columns: &str, is_address: bool| {
        let phrase = sql.bind_text(format!("{{{columns}}} : {quoted}"));
        format!(
            "SELECT rowid AS matched_number, {is_address} AS is_address FROM user_search WHERE user_search MATCH {phrase}"
        )
    };
    let mut matches = matched("full_name username", false);
    if audience > Role::User {
        matches = format!("{matches} UNION ALL {}", matched("email", true));
    }
    let addresses = or_email(audience, "is_address");
    (matches, format!("users.number = matched_number AND (NOT is_address{addresses})"))
}
