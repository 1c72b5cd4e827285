//! Temporary servers for tests: redis-server, PostgreSQL, PgBouncer, SQLite, nginx, Prometheus, a mail server and a REST
//! front of Redis, on free loopback ports and in temporary folders.
//!
//! Every server is a direct child of the test process. A drop of its value stops it by its process id. A killed test
//! process drops nothing, so each server also has a watchdog that ends the server and removes its folder.
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
mod acl;
mod authority;
mod cluster;
mod database;
mod nginx;
mod pgbouncer;
mod ports;
mod postgres;
mod process;
mod programs;
mod prometheus;
mod proxy;
mod redis;
mod replication;
mod resp;
mod rest_front;
mod smtp;
mod sqlite;
mod standby;

pub use acl::acl_user;
pub use authority::{Authority, Issued};
pub use cluster::{MovingSlot, RedisCluster};
pub use database::{Database, sql};
pub use nginx::Nginx;
pub use pgbouncer::{PgBouncer, PoolMode};
pub use ports::free_port;
pub use postgres::{Postgres, PostgresUrl};
pub use programs::{Program, find};
pub use prometheus::Prometheus;
pub use proxy::Proxy;
pub use redis::Redis;
pub use replication::Snapshot;
pub use rest_front::RestFront;
pub use smtp::{SmtpOptions, SmtpServer};
pub use sqlite::Sqlite;
