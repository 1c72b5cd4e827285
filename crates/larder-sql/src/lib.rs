//! PostgreSQL and SQLite as larder needs them: fresh autocommit reads, one writer at a time, migrations.
//!
//! One set of SQL strings with `$1` placeholders serves both databases through sqlx's `Any` driver; where the
//! dialects truly differ, a method of [`dialect::Dialect`] says so. `Any` carries TEXT, BIGINT and (as a bind)
//! BOOLEAN, so schemas keep to those: see [`dialect`] for the traps.
//!
//! [`journal`] makes the database record what each change touches, whoever makes it.

mod address;
mod completeness;
pub mod connecting;
pub mod database;
pub mod dialect;
pub mod error;
mod fresh;
pub mod journal;
mod keyed_mutex;
pub mod migrating;
pub mod options;
pub mod read_connection;
mod refusal;
pub mod replica;
pub mod write;

pub use crate::fresh::{CheckedConnection, fresh};
