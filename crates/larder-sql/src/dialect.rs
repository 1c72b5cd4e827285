//! The places where PostgreSQL and SQLite need different SQL.
//!
//! One query serves both databases through sqlx's `Any` driver. The driver's limits, and what to write instead:
//! - a SQLite column declared BOOLEAN cannot be decoded at all: select `CAST(flag AS INTEGER)` on both;
//! - PostgreSQL's `SUM` of BIGINT is NUMERIC, which cannot be decoded: select `CAST(SUM(n) AS BIGINT)`;
//! - SQLite's `RETURNING` shows the row as it was before AFTER triggers ran: read the row again after an UPDATE;
//! - `sqlx::QueryBuilder` writes `?` for `Any`, which PostgreSQL refuses: do not use it, and write `$1`, `$2` by hand.

/// Opens a transaction in which each statement sees all commits before the statement, whatever the server's default
/// level is.
pub(crate) const READ_COMMITTED: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// As [`READ_COMMITTED`], but a standby refuses it.
pub(crate) const READ_COMMITTED_ON_PRIMARY: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// The kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// PostgreSQL 14 or later.
    Postgres,
    /// SQLite 3.35 or later (the bundled one is newer).
    Sqlite,
}

impl Dialect {
    /// The suffix of a SELECT that locks its rows until the transaction ends.
    ///
    /// Empty on SQLite, where `BEGIN IMMEDIATE` already excludes every other writer.
    pub fn for_update(self) -> &'static str {
        match self {
            Self::Postgres => " FOR UPDATE",
            Self::Sqlite => "",
        }
    }

    /// The statement that opens a write transaction.
    ///
    /// On PostgreSQL it is two statements, which go to the server in one message:
    /// - READ COMMITTED, so that a statement that waited for a lock sees what the lock's last holder committed.
    /// - A lock time-out of 5 s, as SQLite's `busy_timeout`. Without it, a writer would keep its connection for as long
    ///   as another client, such as psql, holds a row lock. It is LOCAL, because a setting of the session would reach
    ///   other clients of a pooler.
    pub(crate) fn begin(self) -> &'static str {
        match self {
            Self::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '5s'",
            Self::Sqlite => "BEGIN IMMEDIATE",
        }
    }

    /// As [`Self::begin`], and a standby refuses it: without READ WRITE, the first statement that writes would fail there.
    pub(crate) fn begin_on_primary(self) -> &'static str {
        match self {
            Self::Postgres => READ_COMMITTED_ON_PRIMARY,
            Self::Sqlite => self.begin(),
        }
    }
}
