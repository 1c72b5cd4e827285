//! PostgreSQL and SQLite for larder: fresh autocommit reads, a single writer on SQLite, migrations, and the journal.
//!
//! One set of SQL strings with `$1` placeholders serves both databases through sqlx's `Any` driver. Where the dialects
//! differ, a method of [`dialect::Dialect`] returns the form of each. `Any` supports TEXT, BIGINT and (as a parameter)
//! BOOLEAN, so a schema that is read through [`Database`] uses only these types; [`dialect`] lists the limits of `Any`.
//! An application that reads and writes through a pool of its own can use every type: see [`SqlJournal::join`].
//!
//! [`journal`] makes the database record which cache entries each change makes invalid, whichever program makes the
//! change.
//!
//! SQLite needs the feature `sqlite`. For TLS to PostgreSQL, depend on sqlx in your own crate and turn on one of its
//! `tls-…` features.

#![warn(missing_debug_implementations)]

mod address;
pub mod connecting;
pub mod database;
pub mod dialect;
pub mod error;
pub mod exposure;
mod fresh;
pub mod history;
mod inspected;
pub mod journal;
mod keyed_mutex;
pub mod migrating;
pub mod options;
pub mod read_connection;
mod refusal;
pub mod replica;
pub mod write;

pub use crate::database::Database;
pub use crate::dialect::Dialect;
pub use crate::error::Error;
pub use crate::fresh::{CheckedConnection, fresh};
pub use crate::journal::{CommitExt, SqlJournal, Table, migration};
pub use crate::read_connection::ReadConnection;

/// Compiles the examples of the repository's README and pages, and runs those that need no server.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[doc = include_str!("../../../docs/adopting.md")]
#[doc = include_str!("../../../docs/aging.md")]
#[doc = include_str!("../../../docs/auditor.md")]
#[doc = include_str!("../../../docs/tuning.md")]
#[doc = include_str!("../../../docs/batches.md")]
#[doc = include_str!("../../../docs/cached.md")]
#[doc = include_str!("../../../docs/events.md")]
#[doc = include_str!("../../../docs/history.md")]
#[doc = include_str!("../../../docs/journal.md")]
#[doc = include_str!("../../../docs/loaders.md")]
#[doc = include_str!("../../../docs/memory.md")]
#[doc = include_str!("../../../docs/plain-values.md")]
#[doc = include_str!("../../../docs/tags.md")]
struct Pages;
