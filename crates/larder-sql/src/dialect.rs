//! The few places where PostgreSQL and SQLite need different words.
//!
//! What the `Any` driver taught us, so that queries stay in one copy:
//! - a SQLite column declared BOOLEAN cannot be decoded at all: select `CAST(flag AS INTEGER)` on both;
//! - PostgreSQL's `SUM` of BIGINT is NUMERIC, which cannot be decoded: `CAST(SUM(n) AS BIGINT)`;
//! - SQLite's `RETURNING` shows the row before AFTER triggers ran: read the row again after an UPDATE;
//! - `sqlx::QueryBuilder` writes `?` for `Any`, which PostgreSQL refuses: number the placeholders.

/// Opens a transaction in which each statement sees what was committed before it began, whatever the server's default level.
pub(crate) const READ_COMMITTED: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// The same, which a standby refuses.
pub(crate) const READ_COMMITTED_ON_PRIMARY: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// Which database answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL 14 or later.
    Postgres,
    /// SQLite 3.35 or later (the bundled one is newer).
    Sqlite,
}

impl Dialect {
    /// The suffix of a SELECT that locks its rows until the transaction ends.
    ///
    /// Empty on SQLite, where `BEGIN IMMEDIATE` already keeps every other writer out.
    pub fn for_update(self) -> &'static str {
        match self {
            Self::Postgres => " FOR UPDATE",
            Self::Sqlite => "",
        }
    }

    /// The statement that opens a write transaction.
    ///
    /// READ COMMITTED, so that each statement after a lock wait sees what the lock's last holder committed. The time-out for
    /// locks, as long as SQLite's `busy_timeout`, ends with the transaction: set for the session, it would leak through a
    /// pooler. Without it, a writer would keep its connection for as long as a client in psql holds a row. Both are one message.
    pub(crate) fn begin(self) -> &'static str {
        match self {
            Self::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '5s'",
            Self::Sqlite => "BEGIN IMMEDIATE",
        }
    }
}
