//! The temporary database under torture.

use std::fs;

use anyhow::{Context, Result};
use larder_sql::dialect::Dialect;
use larder_testbed::{Database, Postgres, Sqlite, sql};

use crate::history::{Instance, Version};
use crate::torture::keys::SECOND;
use crate::torture::schema::{WRITES, tables};
use crate::torture::setup::Kind;

/// What the database's server has to bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Endurance {
    /// Nothing: many runs share the server.
    Shared,
    /// Crashes: only this run uses the server.
    Crashes,
    /// Fail-overs: the server has a standby.
    FailOvers,
}

/// A database with the tables of the torture.
pub(super) struct Base {
    kind: Server,
}

enum Server {
    Postgres {
        // Fields drop in this order: the database is dropped before its server stops.
        database: Database,
        own: Option<Box<Servers>>,
        /// The role of the instances. It owns no table, like a service in production.
        role: String,
        /// The ports of the servers that clients list.
        ports: Vec<u16>,
    },
    Sqlite(Sqlite),
}

/// Servers that only this run uses.
struct Servers {
    primary: Postgres,
    standby: Option<Postgres>,
}

impl Servers {
    fn ports(&self) -> Vec<u16> {
        [Some(&self.primary), self.standby.as_ref()].into_iter().flatten().map(Postgres::port).collect()
    }
}

impl Server {
    fn postgres(database: Database, own: Option<Box<Servers>>, ports: Vec<u16>) -> Self {
        let role = format!("torture_{}", database.name().trim_start_matches("larder_"));
        Server::Postgres { database, own, role, ports }
    }
}

impl Base {
    /// Creates the database, on a server that bears `endurance`.
    pub(super) fn fresh(kind: Kind, endurance: Endurance) -> Result<Self> {
        let mut base = match kind {
            Kind::Sqlite => Base { kind: Server::Sqlite(Sqlite::fresh()?) },
            Kind::Postgres => {
                let own = match endurance {
                    Endurance::Shared => None,
                    _ => Some(Box::new(Servers { primary: Postgres::start()?, standby: None })),
                };
                let url = match &own {
                    Some(servers) => servers.primary.url(),
                    None => Postgres::shared()?,
                };
                Base { kind: Server::postgres(Database::fresh(&url)?, own, Vec::new()) }
            }
        };
        base.prepare(1)?;
        if let Server::Postgres { own: Some(servers), ports, .. } = &mut base.kind
            && endurance == Endurance::FailOvers
        {
            servers.standby = Some(servers.primary.standby()?);
            *ports = servers.ports();
        }
        Ok(base)
    }

    /// A second database with the same tables and keys and other versions: another database on the server, or a copy of
    /// the file.
    pub(super) fn beside(&self) -> Result<Self> {
        let base = match &self.kind {
            Server::Postgres { own, ports, .. } => {
                let url = match own {
                    Some(servers) => servers.primary.url(),
                    None => Postgres::shared()?,
                };
                Base { kind: Server::postgres(Database::fresh(&url)?, None, ports.clone()) }
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
                database.sql(&format!("ALTER DATABASE {} SET synchronous_commit = on", database.name()))?;
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

    /// The URL for an instance, whose connections PostgreSQL shows with its number.
    pub(super) fn instance_url(&self, number: Instance) -> String {
        match &self.kind {
            Server::Postgres { role, .. } => {
                let url = self.url().replace("postgres@", &format!("{role}@"));
                let and = if url.contains('?') { '&' } else { '?' };
                format!("{url}{and}application_name=instance-{number}")
            }
            Server::Sqlite(sqlite) => sqlite.url(),
        }
    }

    /// The URL for the observers: it lists all servers, as that of the instances.
    pub(super) fn url(&self) -> String {
        match &self.kind {
            Server::Postgres { database, ports, .. } if ports.is_empty() => database.url(),
            Server::Postgres { database, ports, .. } => {
                let hosts: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
                let (hosts, name) = (hosts.join(","), database.name());
                format!("postgres://postgres@{hosts}/{name}?target_session_attrs=read-write")
            }
            Server::Sqlite(sqlite) => sqlite.url(),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match &self.kind {
            Server::Postgres { .. } => Dialect::Postgres,
            Server::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Runs SQL with psql or sqlite3; on PostgreSQL on the present primary.
    pub(super) fn sql(&self, statement: &str) -> Result<String> {
        match &self.kind {
            Server::Postgres { database, .. } => database.sql(statement),
            Server::Sqlite(sqlite) => sqlite.sql(statement),
        }
    }

    /// The primary, if it may crash.
    pub(super) fn primary(&mut self) -> Result<&mut Postgres> {
        self.own().map(|servers| &mut servers.primary)
    }

    /// The standby of the primary.
    pub(super) fn standby(&mut self) -> Result<&mut Postgres> {
        self.own()?.standby.as_mut().context("this nemesis needs a standby")
    }

    fn url_on_standby(&mut self) -> Result<String> {
        let server = self.standby()?.url();
        match &self.kind {
            Server::Postgres { database, .. } => Ok(server.database(database.name())),
            Server::Sqlite(_) => unreachable!("a file has no standby"),
        }
    }

    fn own(&mut self) -> Result<&mut Servers> {
        match &mut self.kind {
            Server::Postgres { own, .. } => own.as_deref_mut(),
            Server::Sqlite(_) => None,
        }
        .context("this nemesis needs a PostgreSQL of its own")
    }

    /// Takes the promoted standby for the primary, and starts a standby of it in the place of the former primary, which
    /// has crashed.
    pub(super) fn succeed(&mut self) -> Result<()> {
        self.succeed_after(|_, _| Ok(()))
    }

    /// As [`Base::succeed`], and lets `last` use the former primary before it ends.
    pub(super) fn succeed_after(
        &mut self,
        last: impl FnOnce(&Self, &mut Postgres) -> Result<()>,
    ) -> Result<()> {
        let servers = self.own()?;
        let successor = servers.standby.take().context("this nemesis needs a standby")?;
        let url = successor.url();
        let mut former = std::mem::replace(&mut servers.primary, successor);
        if let Server::Postgres { database, .. } = &mut self.kind {
            database.move_to(&url);
        }
        last(self, &mut former)?;
        let servers = self.own()?;
        servers.standby = Some(servers.primary.standby_in_place_of(former)?);
        Ok(())
    }

    /// Breaks the connections of all instances to the present primary.
    pub(super) fn cut_instances(&self) -> Result<()> {
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'instance-%'";
        self.sql(cut).map(drop)
    }

    /// How many instances have a connection to the standby.
    pub(super) fn instances_on_standby(&mut self) -> Result<usize> {
        let ask = "SELECT count(DISTINCT application_name) FROM pg_stat_activity WHERE application_name LIKE 'instance-%'";
        Ok(sql(&self.url_on_standby()?, ask)?.trim().parse()?)
    }

    /// The number of writes of each item on the primary.
    pub(super) fn writes(&self) -> Result<Vec<Version>> {
        parse(&self.sql(WRITES)?)
    }

    /// The number of writes of each item on the standby.
    pub(super) fn writes_on_standby(&mut self) -> Result<Vec<Version>> {
        parse(&sql(&self.url_on_standby()?, WRITES)?)
    }
}

fn parse(lines: &str) -> Result<Vec<Version>> {
    lines.lines().map(|line| Ok(line.parse()?)).collect()
}
