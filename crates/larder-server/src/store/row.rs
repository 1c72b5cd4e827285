//! A user as a row: its columns, how they are bound and how they are read.

use std::sync::LazyLock;

use larder_sql::write::WriteTransaction;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Any, Row};

use crate::domain::identity::UserId;
use crate::domain::invalid::Invalid;
use crate::domain::profile::Skills;
use crate::domain::role::Role;
use crate::domain::text::Text;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::domain::user_columns::with_user_columns;
use crate::store::error::StoreError;
use crate::store::placeholders;

/// A statement on either database.
pub(crate) type Query<'q> = sqlx::query::Query<'q, Any, AnyArguments>;

/// The columns of a user in the order of [`bind`], for INSERT.
macro_rules! columns {
    () => {
        $crate::domain::user_columns::with_user_columns!($crate::store::row::columns)
    };
    ($($name:ident: $type:ty, $set_by:ident $(, $mark:ident $value:tt)*;)+) => {
        concat!("id", $(", ", stringify!($name),)+ ", created_at, updated_at, email_verified")
    };
}
pub(crate) use columns;

/// The columns that a SELECT of entire users reads, for [`user`].
macro_rules! user_columns {
    () => {
        $crate::domain::user_columns::with_user_columns!($crate::store::row::user_columns)
    };
    // The driver cannot read a BOOLEAN of SQLite, so a BOOLEAN is read as an integer.
    (@ $name:ident bool) => {
        concat!(", CAST(", stringify!($name), " AS INTEGER) AS ", stringify!($name))
    };
    (@ $name:ident $type:ident) => {
        concat!(", ", stringify!($name))
    };
    ($(
        $name:ident: $type:ident $(:: $rest:ident)* $(<$inner:ty>)?, $set_by:ident $(, $mark:ident $value:tt)*;
    )+) => {
        concat!(
            "users.id",
            $($crate::store::row::user_columns!(@ $name $type),)+
            ", points, CAST(email_verified AS INTEGER) AS email_verified, users.created_at, users.updated_at, users.version"
        )
    };
}
pub(crate) use user_columns;

/// `SELECT` of entire users: `select_user!("WHERE …")`, or with further columns `select_user!(and "epoch"; "JOIN …")`.
macro_rules! select_user {
    (and $more:literal; $($rest:literal),+) => {
        select_user!(@ concat!(", ", $more), $($rest),+)
    };
    (@ $more:expr, $($rest:literal),+) => {
        concat!(
            "SELECT ",
            $crate::store::row::user_columns!(),
            $more,
            " FROM users ",
            $($rest),+
        )
    };
    ($($rest:literal),+) => {
        select_user!(@ "", $($rest),+)
    };
}
pub(crate) use select_user;

/// Binds the columns of a user.
pub(crate) fn bind<'q>(query: Query<'q>, user: &User) -> Result<Query<'q>, sqlx::Error> {
    Ok(bind_editable(query.bind(user.id.to_string()), user)?
        .bind(user.created_at.as_micros())
        .bind(user.updated_at.as_micros())
        .bind(user.email_verified))
}

/// A row, and the names of its columns that cannot be read.
struct Reading<'r> {
    row: &'r AnyRow,
    unreadable: Vec<&'static str>,
}

impl Reading<'_> {
    /// The value. If it cannot be read, records its column and returns `None`.
    fn keep<T, E>(&mut self, column: &'static str, value: Result<T, E>) -> Option<T> {
        if value.is_err() {
            self.unreadable.push(column);
        }
        value.ok()
    }
}

/// A type whose values are stored in a column.
trait StoredColumn: Sized {
    /// Binds the value.
    fn bind<'q>(&self, query: Query<'q>) -> sqlx::Result<Query<'q>>;
    /// Reads the value. A text that cannot be read becomes empty, and its column is recorded.
    fn read(reading: &mut Reading<'_>, column: &'static str) -> sqlx::Result<Self>;
}

impl<T: Text> StoredColumn for Option<T> {
    fn bind<'q>(&self, query: Query<'q>) -> sqlx::Result<Query<'q>> {
        Ok(query.bind(self.as_ref().map(T::as_str)))
    }

    fn read(reading: &mut Reading<'_>, column: &'static str) -> sqlx::Result<Self> {
        let text = reading.row.try_get::<Option<String>, _>(column);
        Ok(reading.keep(column, text).flatten().map(T::stored))
    }
}

impl<T: Text> StoredColumn for T {
    fn bind<'q>(&self, query: Query<'q>) -> sqlx::Result<Query<'q>> {
        Ok(query.bind(self.as_str()))
    }

    fn read(reading: &mut Reading<'_>, column: &'static str) -> sqlx::Result<Self> {
        Ok(Option::read(reading, column)?.unwrap_or_else(|| T::stored(String::new())))
    }
}

/// The column has a JSON list of texts.
impl StoredColumn for Skills {
    fn bind<'q>(&self, query: Query<'q>) -> sqlx::Result<Query<'q>> {
        let skills = serde_json::to_string(self).map_err(|error| sqlx::Error::Encode(error.into()))?;
        Ok(query.bind(skills))
    }

    fn read(reading: &mut Reading<'_>, column: &'static str) -> sqlx::Result<Self> {
        let text = reading.row.try_get::<Option<String>, _>(column);
        // The schema allows no NULL, so a NULL is not recorded as unreadable.
        let Some(Some(text)) = reading.keep(column, text) else {
            return Ok(Self::default());
        };
        Ok(reading.keep(column, serde_json::from_str(&text)).unwrap_or_default())
    }
}

impl StoredColumn for Role {
    fn bind<'q>(&self, query: Query<'q>) -> sqlx::Result<Query<'q>> {
        Ok(query.bind(self.as_str()))
    }

    fn read(reading: &mut Reading<'_>, column: &'static str) -> sqlx::Result<Self> {
        parsed(reading.row, column)
    }
}

impl StoredColumn for bool {
    fn bind<'q>(&self, query: Query<'q>) -> sqlx::Result<Query<'q>> {
        Ok(query.bind(*self))
    }

    fn read(reading: &mut Reading<'_>, column: &'static str) -> sqlx::Result<Self> {
        Ok(reading.row.try_get::<i64, _>(column)? != 0)
    }
}

/// Declares how the editable columns are bound and read. For the column `bio`, it generates `user.bio.bind(query)` and
/// `bio: StoredColumn::read(reading, "bio")?`.
macro_rules! user_row {
    ($($name:ident: $type:ty, $set_by:ident $(, $mark:ident $value:tt)*;)+) => {
        /// The columns of a user that a change may write, in the order of [`bind_editable`].
        const EDITABLE: &[&str] = &[$(stringify!($name)),+];

        /// Binds the columns of a user that a change may write: all but the id, the points, the times and the version.
        fn bind_editable<'q>(query: Query<'q>, user: &User) -> Result<Query<'q>, sqlx::Error> {
            $(let query = user.$name.bind(query)?;)+
            Ok(query)
        }

        /// Reads a row of [`select_user`]. The id, the role, the status, the points, the times and the version must be
        /// readable. Any other column that cannot be read becomes empty and is recorded.
        pub(crate) fn as_read(row: &AnyRow) -> Result<AsRead, sqlx::Error> {
            let mut reading = Reading { row, unreadable: Vec::new() };
            let user = User {
                id: user_id(row, "id")?,
                $($name: StoredColumn::read(&mut reading, stringify!($name))?,)+
                points: row.try_get("points")?,
                email_verified: StoredColumn::read(&mut reading, "email_verified")?,
                created_at: Timestamp::from_micros(row.try_get("created_at")?),
                updated_at: Timestamp::from_micros(row.try_get("updated_at")?),
                version: row.try_get("version")?,
            };
            Ok(AsRead { user, unreadable: reading.unreadable })
        }
    };
}

with_user_columns!(user_row);

/// How many columns [`columns`] names: the editable ones, the id, two times and `email_verified`.
pub(crate) const COLUMNS: usize = EDITABLE.len() + 4;

/// Writes one user.
pub(crate) async fn insert(write: &mut WriteTransaction, user: &User) -> Result<(), sqlx::Error> {
    static INSERT: LazyLock<String> = LazyLock::new(|| {
        format!(concat!("INSERT INTO users (", columns!(), ") VALUES {}"), placeholders::rows(1, COLUMNS))
    });
    bind(sqlx::query(INSERT.as_str()), user)?.execute(write.statement()).await?;
    Ok(())
}

/// Writes every column of a user that a change may write.
pub(crate) async fn update(write: &mut WriteTransaction, user: &User) -> Result<(), sqlx::Error> {
    static UPDATE: LazyLock<String> = LazyLock::new(|| {
        let set = EDITABLE.iter().zip(1..).map(|(column, number)| format!("{column} = ${number}"));
        let set = set.collect::<Vec<_>>().join(", ");
        format!("UPDATE users SET {set} WHERE id = ${}", EDITABLE.len() + 1)
    });
    let query = bind_editable(sqlx::query(UPDATE.as_str()), user)?.bind(user.id.to_string());
    query.execute(write.statement()).await?;
    Ok(())
}

/// A user as far as its row can be read.
pub(crate) struct AsRead {
    /// The user. The fields in [`unreadable`](Self::unreadable) are empty.
    pub(crate) user: User,
    /// The columns that cannot be read; a change may set each of them again.
    pub(crate) unreadable: Vec<&'static str>,
}

/// Reads a row of [`select_user`].
pub(crate) fn user(row: &AnyRow) -> Result<User, sqlx::Error> {
    let AsRead { user, unreadable } = as_read(row)?;
    match unreadable.first() {
        None => Ok(user),
        Some(column) => Err(undecodable(column, Invalid::new("another program wrote it"))),
    }
}

/// Reads the id of a user.
pub(crate) fn user_id(row: &AnyRow, column: &'static str) -> Result<UserId, sqlx::Error> {
    parsed(row, column)
}

/// Reads a text column, and parses it into `T`.
pub(crate) fn parsed<T>(row: &AnyRow, column: &'static str) -> Result<T, sqlx::Error>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.try_get::<String, _>(column)?.parse().map_err(|error| undecodable(column, error))
}

/// Reads a column that may be NULL and whose text has a type of its own.
pub(crate) fn parsed_option<T>(row: &AnyRow, column: &'static str) -> Result<Option<T>, sqlx::Error>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text = row.try_get::<Option<String>, _>(column)?;
    text.map(|text| text.parse().map_err(|error| undecodable(column, error))).transpose()
}

/// The user as far as it can be read, with its row locked until the transaction ends. This is the first statement of
/// each transaction of [`Writer::begin_for`](crate::store::writing::Writer::begin_for).
pub(crate) async fn locked_as_read(
    write: &mut WriteTransaction,
    id: UserId,
) -> Result<Option<AsRead>, StoreError> {
    let select = write.locking(select_user!("WHERE users.id = $1"));
    let row = sqlx::query(select).bind(id.to_string()).fetch_optional(write.statement()).await?;
    Ok(row.as_ref().map(as_read).transpose()?)
}

/// Locks the row as [`locked_as_read`] does, for writes that set no field of the user: an unreadable bio must not
/// prevent a booking of points or the end of a session.
pub(crate) async fn locked(write: &mut WriteTransaction, id: UserId) -> Result<Option<User>, StoreError> {
    Ok(locked_as_read(write, id).await?.map(|read| read.user))
}

/// The error for a value that this service did not write.
pub(crate) fn undecodable(
    column: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.into() }
}

#[cfg(test)]
mod tests {
    use larder_testbed::{Database, Postgres, Sqlite};

    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn every_editable_column_is_in_the_migrations() {
        let sqlite = Sqlite::fresh().unwrap();
        Store::open(&sqlite.url()).await.unwrap();
        let stored = sqlite.sql("SELECT name FROM pragma_table_info('users')").unwrap();
        // `number` is SQLite's own row id; PostgreSQL has none.
        assert_eq!(sorted(stored.lines()), declared(&["number"]));

        let postgres = Database::fresh(&Postgres::shared().unwrap()).unwrap();
        Store::open(&postgres.url()).await.unwrap();
        // `attgenerated` is not empty for the columns of the search, which PostgreSQL computes from the others.
        const STORED: &str = "SELECT attname FROM pg_attribute WHERE attrelid = 'users'::regclass
            AND attnum > 0 AND NOT attisdropped AND attgenerated = ''";
        let stored = postgres.sql(STORED).unwrap();
        assert_eq!(sorted(stored.lines()), declared(&[]));
    }

    fn declared<'a>(more: &[&'a str]) -> Vec<&'a str> {
        let fixed = ["id", "points", "email_verified", "created_at", "updated_at", "version"];
        sorted([EDITABLE, &fixed, more].concat().into_iter())
    }

    fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        names
    }
}
