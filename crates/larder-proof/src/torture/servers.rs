//! The temporary database under torture.

use std::fs;

use anyhow::Result;
use larder_sql::dialect::Dialect;
use larder_testbed::{Database, Postgres, Sqlite};

use crate::history::Version;
use crate::torture::keys::SECOND;
use crate::torture::schema::tables;
use crate::torture::setup::Kind;

/// A database with the tables of the torture.
pub(super) struct Base {
    kind: Server,
}

enum Server {
    Postgres {
        // Fields drop in this order: the database is dropped before its server stops.
        database: Database,
        /// A separate server, which may crash; `None`: the shared server.
        own: Option<Postgres>,
        /// The role of the instances. It owns no table, like a service in production.
        role: String,
    },
    Sqlite(Sqlite),
}

impl Server {
    fn postgres(database: Database, own: Option<Postgres>) -> Self {
        let url = database.url();
        let role = format!("torture_{}", url.rsplit('_').next().unwrap_or_default());
        Server::Postgres { database, own, role }
    }
}

impl Base {
    /// Creates the database; if `own` is true, on a separate server, which may crash.
    pub(super) fn fresh(kind: Kind, own: bool) -> Result<Self> {
        let base = match kind {
            Kind::Sqlite => Base { kind: Server::Sqlite(Sqlite::fresh()?) },
            Kind::Postgres => {
                let own = if own { Some(Postgres::start()?) } else { None };
                let url = match &own {
                    Some(server) => server.url(),
                    None => Postgres::shared()?,
                };
                Base { kind: Server::postgres(Database::fresh(&url)?, own) }
            }
        };
        base.prepare(1)?;
        Ok(base)
    }

    /// A second database with the same tables and keys and other versions: another database on the server, or a copy of
    /// the file.
    pub(super) fn beside(&self) -> Result<Self> {
        let base = match &self.kind {
            Server::Postgres { own, .. } => {
                let url = match own {
                    Some(server) => server.url(),
                    None => Postgres::shared()?,
                };
                Base { kind: Server::postgres(Database::fresh(&url)?, None) }
            }
            Server::Sqlite(first) => {
                let second = Sqlite::fresh()?;
                // No process has the file open: the last shell has merged the WAL into it.
                fs::copy(first.path(), second.path())?;
                let base = Base { kind: Server::Sqlite(second) };
                base.sql(&format!(
                    "UPDATE item SET version = {SECOND} + 1; UPDATE team SET version = 2 * ({SECOND} + 1)"
                ))?;
                return Ok(base);
            }
        };
        base.prepare(SECOND + 1)?;
        Ok(base)
    }

    fn prepare(&self, first: Version) -> Result<()> {
        match &self.kind {
            // A commit must survive a crash of the server, so `synchronous_commit` is on. It need not survive a crash
            // of the machine, so `fsync` stays off.
            Server::Postgres { database, own: Some(_), .. } => {
                let name = database.url();
                let name = name.rsplit('/').next().unwrap_or_default();
                database.sql(&format!("ALTER DATABASE {name} SET synchronous_commit = on"))?;
            }
            Server::Postgres { own: None, .. } => {}
            Server::Sqlite(_) => drop(self.sql("PRAGMA journal_mode = WAL")?),
        }
        self.sql(&tables(self.dialect(), first)?)?;
        if let Server::Postgres { role, .. } = &self.kind {
            self.sql(&format!(
                "CREATE ROLE {role} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
            ))?;
        }
        Ok(())
    }

    /// The URL for the instances.
    pub(super) fn instance_url(&self) -> String {
        match &self.kind {
            Server::Postgres { database, role, .. } => {
                database.url().replace("postgres@", &format!("{role}@"))
            }
            Server::Sqlite(sqlite) => sqlite.url(),
        }
    }

    pub(super) fn url(&self) -> String {
        match &self.kind {
            Server::Postgres { database, .. } => database.url(),
            Server::Sqlite(sqlite) => sqlite.url(),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match &self.kind {
            Server::Postgres { .. } => Dialect::Postgres,
            Server::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Runs SQL with psql or sqlite3.
    pub(super) fn sql(&self, statement: &str) -> Result<String> {
        match &self.kind {
            Server::Postgres { database, .. } => database.sql(statement),
            Server::Sqlite(sqlite) => sqlite.sql(statement),
        }
    }

    /// The PostgreSQL server, if it may crash.
    pub(super) fn postgres(&mut self) -> Option<&mut Postgres> {
        match &mut self.kind {
            Server::Postgres { own, .. } => own.as_mut(),
            Server::Sqlite(_) => None,
        }
    }
}
