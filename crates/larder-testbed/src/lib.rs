//! Throw-away redis-server, PostgreSQL, PgBouncer and SQLite for tests: free loopback ports, temporary folders.
//!
//! Every server is a direct child of the test process, stopped by its id when its value is dropped. A test
//! process that is killed drops nothing, so each server also has a watchdog that ends it and removes its
//! folder.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use larder_testbed::{Database, Postgres, Redis};
//!
//! let redis = Redis::start()?;
//! redis.command(&["SET", "greeting", "hello"])?;
//!
//! let database = Database::fresh(&Postgres::shared()?)?;
//! database.sql("CREATE TABLE guest (name text)")?;
//! # Ok(())
//! # }
//! ```

mod account;
mod database;
mod pgbouncer;
mod ports;
mod postgres;
mod process;
mod programs;
mod proxy;
mod redis;
mod replication;
mod resp;
mod sqlite;
mod standby;

pub use database::{Database, sql};
pub use pgbouncer::{PgBouncer, PoolMode};
pub use ports::free_port;
pub use postgres::{Postgres, PostgresUrl};
pub use programs::{Program, find};
pub use proxy::Proxy;
pub use redis::Redis;
pub use replication::Snapshot;
pub use sqlite::Sqlite;
