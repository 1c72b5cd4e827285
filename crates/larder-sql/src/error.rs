//! One error type for both databases. Its kinds differ in what a caller can do about them.

use std::error::Error as StdError;
use std::fmt;

use sqlx::error::{DatabaseError, ErrorKind as DatabaseErrorKind};

use crate::refusal::Refusal;

/// Why a standby has no journal.
pub(crate) const IN_RECOVERY: &str = "the database is in recovery; only a primary's journal is complete";

/// What kind of failure an [`Error`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The address of the database cannot be used; the text says what is allowed.
    Address(String),
    /// A retry may help: there is no connection in time, the connection broke, the disk is full, or the database ended
    /// the transaction because of a deadlock.
    Unavailable,
    /// A row with this value exists already.
    Unique {
        /// The column, from SQLite's message or from PostgreSQL's constraint `<table>_<column>_key`.
        column: String,
    },
    /// A CHECK refused the row.
    Check {
        /// The constraint's name. On SQLite, if the constraint has no name, it is the text of the CHECK.
        constraint: String,
    },
    /// Another constraint refused the row: a foreign key, NOT NULL or an exclusion.
    Constraint {
        /// The constraint's name. For NOT NULL, and on SQLite, it is the database's message instead, which has no value
        /// of the row.
        constraint: String,
    },
    /// The declaration of a table for the journal is invalid; the text says what is allowed.
    Declaration(String),
    /// The database has no journal that can be used; the text says why.
    NoJournal(String),
    /// This program can neither use nor migrate the schema; the text says why, and what to do.
    Schema(String),
    /// Any other failure: a mistake in the SQL, in the schema, or in a driver.
    Other,
}

/// A failure of the database.
///
/// Neither its `Display` nor its `Debug` shows a value of a row: PostgreSQL puts values into the detail of a
/// constraint violation, so a violation keeps only the constraint's name.
pub struct Error {
    kind: ErrorKind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// What kind of failure this is.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Whether a poll of the journal reached a standby. The outbox is unlogged, so a standby cannot read it: "feature not
    /// supported".
    pub(crate) fn is_of_standby(&self) -> bool {
        let database = self.source().and_then(cause).and_then(sqlx::Error::as_database_error);
        let is_unlogged = database.and_then(DatabaseError::code).is_some_and(|code| code == "0A000");
        is_unlogged || matches!(&self.kind, ErrorKind::NoJournal(text) if text == IN_RECOVERY)
    }

    /// Whether a prepared statement's name is unknown to the server, or already in use. Only a pooler in transaction
    /// mode causes this.
    fn lost_a_statement(&self) -> bool {
        let database = self.source().and_then(cause).and_then(sqlx::Error::as_database_error);
        let code = database.and_then(DatabaseError::code);
        code.is_some_and(|code| code == "26000" || code == "42P05")
    }

    pub(crate) fn address(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Address(text.into()), source: None }
    }

    pub(crate) fn declaration(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Declaration(text.into()), source: None }
    }

    pub(crate) fn no_journal(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::NoJournal(text.into()), source: None }
    }

    /// The statement ran on a server that timeline `newest` has replaced. Its connection, of larder or of the application,
    /// is older than the fail-over.
    pub(crate) fn former_primary(newest: u64) -> Self {
        Self::no_journal(format!(
            "the connection leads to a former primary, which timeline {newest} has replaced, so nothing was committed; close \
             the connection, and shut that server down"
        ))
    }

    /// A commit succeeded on a server that was replaced while the commit ran.
    pub(crate) fn committed_on_former_primary() -> Self {
        Self::no_journal(
            "the commit has succeeded on a primary that was replaced meanwhile: whether its successor has the changes is \
             not known; read them again",
        )
    }

    pub(crate) fn schema(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Schema(text.into()), source: None }
    }

    /// As [`Self::of_outbox`], for the statement by which a transaction reads its own rows before its commit.
    pub(crate) fn of_own_rows(error: sqlx::Error) -> Self {
        let is_denied = error.as_database_error().is_some_and(|error| {
            error.code().is_some_and(|code| code == "42501") && error.message().contains("larder_outbox")
        });
        if is_denied {
            return Self::no_journal(
                "the role of the transaction may not read larder_outbox, so nothing was committed: \
                 GRANT SELECT ON larder_outbox TO each role that `SET ROLE` gives a transaction, or RESET ROLE before the commit",
            );
        }
        Self::of_outbox(error)
    }

    /// Converts the error of a statement about the outbox. If there is no outbox, the text says so.
    pub(crate) fn of_outbox(error: sqlx::Error) -> Self {
        let is_missing = error.as_database_error().is_some_and(|error| {
            let is_postgres = error.code().is_some_and(|code| code == "42P01");
            (is_postgres || error.message().starts_with("no such table"))
                && error.message().contains("larder_")
        });
        if is_missing {
            return Self::no_journal(
                "the database has no outbox, or one of an earlier release, or the connection's search path hides it; a \
                 migration of the application has to run what larder_sql::journal::migration returns, and the search path \
                 has to name the outbox's schema",
            );
        }
        error.into()
    }

    pub(crate) fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: ErrorKind::Unavailable, source: Some(source.into()) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ErrorKind::Address(text)
            | ErrorKind::Declaration(text)
            | ErrorKind::NoJournal(text)
            | ErrorKind::Schema(text) => f.write_str(text),
            ErrorKind::Unavailable => f.write_str("the database is unavailable"),
            ErrorKind::Unique { column } => write!(f, "a row with this {column} exists already"),
            ErrorKind::Check { constraint } => write!(f, "the database refused the row: check {constraint}"),
            ErrorKind::Constraint { constraint } => write!(f, "the database refused the row: {constraint}"),
            ErrorKind::Other if self.lost_a_statement() => f.write_str(
                "the database does not know a statement that was prepared on this connection: a pooler in transaction \
                 mode has to be declared: DATABASE_POOLER=transaction for the service, `DatabaseOptions::pooler` for a \
                 `Database`, and `statement_cache_capacity(0)` (in the URL: statement-cache-capacity=0) for a pool that is \
                 joined",
            ),
            ErrorKind::Other => f.write_str("the database failed"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        // Take the refusal out of sqlx's error; otherwise each layer around it would repeat the text.
        if let sqlx::Error::Io(error) = &error
            && let Some(refusal) = error.get_ref().and_then(|error| error.downcast_ref::<Refusal>())
        {
            return Self::unavailable(refusal.clone());
        }
        let kind = match &error {
            sqlx::Error::Database(database) => kind_of(database.as_ref()),
            sqlx::Error::Migrate(failed) => match cause(failed.as_ref() as &(dyn StdError + 'static)) {
                Some(sqlx::Error::Database(database)) => kind_of(database.as_ref()),
                Some(sqlx::Error::Io(_)) => ErrorKind::Unavailable,
                _ => ErrorKind::Other,
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => ErrorKind::Unavailable,
            _ => ErrorKind::Other,
        };
        let source = match kind {
            ErrorKind::Unique { .. } | ErrorKind::Check { .. } | ErrorKind::Constraint { .. } => None,
            _ => Some(Box::new(error) as _),
        };
        Self { kind, source }
    }
}

/// The error of the database, or of the connection, that is behind a migration's error.
pub(crate) fn cause<'e>(mut error: &'e (dyn StdError + 'static)) -> Option<&'e sqlx::Error> {
    loop {
        match error.downcast_ref() {
            None | Some(sqlx::Error::Migrate(_)) => error = error.source()?,
            found => return found,
        }
    }
}

fn kind_of(error: &dyn DatabaseError) -> ErrorKind {
    if error.is_unique_violation() {
        ErrorKind::Unique { column: unique_column(error) }
    } else if error.is_check_violation() {
        ErrorKind::Check { constraint: check_constraint(error) }
    } else if is_constraint(error) {
        let name = || error.constraint().map(str::to_owned);
        ErrorKind::Constraint { constraint: name().unwrap_or_else(|| error.message().to_owned()) }
    } else if error.code().is_some_and(|code| is_passing(&code)) {
        ErrorKind::Unavailable
    } else {
        ErrorKind::Other
    }
}

/// The column of a unique violation. SQLite's message is `UNIQUE constraint failed: users.email`; PostgreSQL reports
/// the constraint `users_email_key` of the table `users`.
fn unique_column(error: &dyn DatabaseError) -> String {
    if let Some(constraint) = error.constraint() {
        let prefix = format!("{}_", error.table().unwrap_or_default());
        let name = constraint.strip_prefix(&prefix).unwrap_or(constraint);
        return name.strip_suffix("_key").unwrap_or(name).to_owned();
    }
    let columns = error.message().rsplit(": ").next().unwrap_or_default();
    let first = columns.split(',').next().unwrap_or_default();
    first.rsplit('.').next().unwrap_or_default().trim().to_owned()
}

/// The constraint of a check violation. SQLite reports it only in the message:
/// `CHECK constraint failed: users_role_check`.
fn check_constraint(error: &dyn DatabaseError) -> String {
    match error.constraint() {
        Some(constraint) => constraint.to_owned(),
        None => error.message().rsplit("failed: ").next().unwrap_or_default().to_owned(),
    }
}

/// Whether a constraint refused the row. PostgreSQL's class 23 also has violations that sqlx does not name.
fn is_constraint(error: &dyn DatabaseError) -> bool {
    let is_known = error.is_foreign_key_violation() || error.kind() == DatabaseErrorKind::NotNullViolation;
    is_known || error.code().is_some_and(|code| code.len() == 5 && code.starts_with("23"))
}

/// Whether a failure with this code can pass by itself.
///
/// PostgreSQL's code has five characters: connection (08), transaction rollback and deadlock (40), out of resources
/// (53), operator intervention (57), lock not available (55), read-only server such as a standby (25006). SQLite's code
/// is a number whose lowest byte is the primary code: BUSY, LOCKED, NOMEM, IOERR, FULL, CANTOPEN, PROTOCOL.
fn is_passing(code: &str) -> bool {
    if code.len() == 5 {
        return code == "25006" || ["08", "40", "53", "55", "57"].contains(&&code[..2]);
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 7 | 10 | 13 | 14 | 15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passing_codes_are_distinguished_from_mistakes() {
        for code in
            ["08006", "40001", "40P01", "53300", "57P01", "55P03", "25006", "5", "517", "6", "10", "13"]
        {
            assert!(is_passing(code), "{code}");
        }
        for code in ["23505", "42601", "22021", "1", "19", "2067", "", "x"] {
            assert!(!is_passing(code), "{code}");
        }
    }
}
