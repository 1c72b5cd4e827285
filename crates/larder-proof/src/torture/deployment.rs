//! The ways in which the instances reach their Redis.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use larder_testbed::{Authority, Redis, RestFront, acl_user};

use crate::torture::struck_cluster::StruckCluster;

/// The ACL user of the instances, which they use with TLS.
const USER: &str = "larder";
const PASSWORD: &str = "secret";
/// The Sentinels' name for the master.
const MASTER: &str = "rooms";
/// How many Sentinels there are.
const SENTINELS: usize = 3;
/// The longest time until a fail-over has ended.
const FAIL_OVER: Duration = Duration::from_secs(30);

/// How the instances reach their Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Deployment {
    /// TCP.
    Plain,
    /// TLS with a verified certificate, as a user with the rights that docs/redis.md lists.
    Tls,
    /// A Unix socket. There are no links to disturb.
    Unix,
    /// A master and a replica that three Sentinels watch. There are no links to disturb.
    Sentinel,
    /// A Redis Cluster of three masters, each with a replica. There are no links to disturb.
    Cluster,
    /// A front that speaks REST, before one Redis. There are no links to disturb.
    Rest,
}

impl Deployment {
    /// Whether a proxy is between each instance and Redis.
    pub fn has_links(self) -> bool {
        matches!(self, Deployment::Plain | Deployment::Tls)
    }

    /// Whether a replica takes the place of a master that fails.
    pub fn fails_over(self) -> bool {
        matches!(self, Deployment::Sentinel | Deployment::Cluster)
    }

    /// Whether Redis reports changes, so that memory keeps copies of what Redis answered, and a write can be acknowledged as
    /// sent.
    pub fn is_tracking(self) -> bool {
        self != Deployment::Rest
    }
}

/// The Redis that the instances share.
pub(super) struct SharedRedis {
    // Fields drop in this order: servers, and last the files of TLS.
    /// The server; with Sentinels, the present master. In a cluster it is not used.
    master: Redis,
    cluster: Option<StruckCluster>,
    /// Before the master, over REST.
    front: Option<RestFront>,
    /// With Sentinels: the server that they promote if the master fails.
    replica: Option<Redis>,
    sentinels: Vec<Redis>,
    /// The port to which proxies forward.
    port: u16,
    deployment: Deployment,
    authority: Option<Authority>,
    /// The link to the master's socket, at which the instances connect.
    socket: PathBuf,
}

impl SharedRedis {
    /// Starts the servers. Files that the instances need are in `folder`.
    pub(super) fn start(deployment: Deployment, folder: &Path) -> Result<Self> {
        let authority = if deployment == Deployment::Tls { Some(Authority::create()?) } else { None };
        let (master, port) = start(authority.as_ref())?;
        let mut shared = SharedRedis {
            master,
            cluster: None,
            front: None,
            replica: None,
            sentinels: Vec::new(),
            port,
            deployment,
            authority,
            socket: folder.join("redis.sock"),
        };
        match deployment {
            Deployment::Plain | Deployment::Tls => {}
            Deployment::Unix => shared.point_socket()?,
            Deployment::Sentinel => shared.watch()?,
            Deployment::Cluster => shared.cluster = Some(StruckCluster::start(&user())?),
            Deployment::Rest => shared.front = Some(RestFront::start(port)?),
        }
        Ok(shared)
    }

    /// Chooses which server the next nemesis strikes: in a cluster any master, with Sentinels the present one.
    pub(super) fn choose(&mut self) -> Result<()> {
        match &mut self.cluster {
            Some(cluster) => cluster.choose(),
            None => self.follow_sentinels(),
        }
    }

    /// The server that the nemesis strikes.
    pub(super) fn redis(&mut self) -> &mut Redis {
        match &mut self.cluster {
            Some(cluster) => cluster.struck(),
            None => &mut self.master,
        }
    }

    /// The cluster.
    pub(super) fn cluster(&mut self) -> Result<&mut StruckCluster> {
        self.cluster.as_mut().context("this nemesis needs a cluster")
    }

    /// Another server of the same kind.
    pub(super) fn another(&self) -> Result<(Redis, u16)> {
        start(self.authority.as_ref())
    }

    /// Puts another server in the place of the master, which ends.
    pub(super) fn replace(&mut self, (redis, port): (Redis, u16)) -> Result<()> {
        (self.master, self.port) = (redis, port);
        if let Some(front) = &self.front {
            front.fail_over(port);
        }
        if self.deployment == Deployment::Unix { self.point_socket() } else { Ok(()) }
    }

    /// The port to which a proxy forwards.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The arguments with which an instance reaches this Redis, through the proxy on `link` if there is one.
    pub(super) fn arguments(&self, link: Option<u16>) -> Vec<String> {
        let port = link.unwrap_or(self.port);
        let url = match self.deployment {
            Deployment::Plain => format!("redis://127.0.0.1:{port}/0"),
            Deployment::Tls => format!("rediss://{USER}:{PASSWORD}@localhost:{port}/0"),
            Deployment::Unix => format!("redis+unix://{}", self.socket.display()),
            Deployment::Sentinel => {
                let hosts = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port()));
                let hosts = hosts.collect::<Vec<_>>().join(",");
                format!("redis-sentinel://{hosts}/0?sentinelMasterId={MASTER}")
            }
            Deployment::Cluster => {
                let url = self.cluster.as_ref().map(StruckCluster::url).unwrap_or_default();
                url.replace("://", &format!("://{USER}:{PASSWORD}@"))
            }
            Deployment::Rest => self.front.as_ref().map(RestFront::url).unwrap_or_default(),
        };
        let mut arguments = vec!["--redis".to_owned(), url];
        if let Some(front) = &self.front {
            arguments.extend(["--redis-token".to_owned(), front.token().to_owned()]);
        }
        if let Some(authority) = &self.authority {
            arguments.extend(["--redis-ca".to_owned(), authority.certificate().display().to_string()]);
        }
        arguments
    }

    /// Lets the link lead to the master's socket.
    fn point_socket(&self) -> Result<()> {
        let beside = self.socket.with_extension("next");
        symlink(socket_in(self.master.folder()), &beside)?;
        // A rename replaces the link in one step, so that an instance that dials meets one of the two.
        fs::rename(&beside, &self.socket).context("the link to the socket")
    }

    /// Starts a replica, and Sentinels that know both servers.
    fn watch(&mut self) -> Result<()> {
        let (replica, _) = start(None)?;
        replica.replicate(self.master.port())?;
        let monitor = format!("monitor {MASTER} 127.0.0.1 {} 2", self.master.port());
        let down = format!("down-after-milliseconds {MASTER} 500");
        let again = format!("failover-timeout {MASTER} 3000");
        let directives = [monitor, down, again];
        let directives = directives.each_ref().map(|value| ("sentinel", value.as_str()));
        for _ in 0..SENTINELS {
            self.sentinels.push(Redis::start_sentinel(&directives)?);
        }
        self.replica = Some(replica);
        self.wait("the Sentinels know each other and the replica", |shared| {
            let knows = format!("slaves=1,sentinels={SENTINELS}");
            Ok(shared.sentinels.iter().all(|sentinel| {
                sentinel.command(&["INFO", "sentinel"]).is_ok_and(|state| state.contains(&knows))
            }))
        })
    }

    /// Kills the master, whose replica lacks the last writes, and waits until all Sentinels name the replica as the master.
    /// Then the former master returns without its contents, as a replica. It must not return earlier: it would start as a
    /// master, and with two masters at once, larder promises only the staleness bound.
    pub(super) fn fail_over(&mut self) -> Result<()> {
        if let Some(cluster) = &mut self.cluster {
            return cluster.fail_over();
        }
        let replica = self.replica.as_ref().context("this nemesis needs Sentinels")?;
        replica.pause()?;
        thread::sleep(Duration::from_millis(rand::random_range(50..300)));
        self.master.kill()?;
        replica.resume()?;
        let port = replica.port();
        self.wait("all Sentinels name the replica as the master", |shared| Ok(shared.is_named(port)))?;
        self.exchange()?;
        if let Some(former) = &mut self.replica {
            former.restart()?;
            former.replicate(self.port)?;
        }
        self.wait_for_replica()
    }

    /// On a slow machine the Sentinels may promote the replica although the master lives.
    fn follow_sentinels(&mut self) -> Result<()> {
        let (Some(replica), master) = (self.replica.as_ref().map(Redis::port), self.port) else {
            return Ok(());
        };
        self.wait("all Sentinels name one master", |shared| {
            Ok(shared.is_named(master) || shared.is_named(replica))
        })?;
        if self.is_named(master) {
            return Ok(());
        }
        self.exchange()?;
        self.wait_for_replica()
    }

    /// Whether all Sentinels name the server at `port` as the master.
    fn is_named(&self, port: u16) -> bool {
        let port = port.to_string();
        self.sentinels.iter().all(|sentinel| {
            let named = sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]);
            named.is_ok_and(|named| named.lines().last() == Some(port.as_str()))
        })
    }

    /// The replica has become the master.
    fn exchange(&mut self) -> Result<()> {
        let promoted = self.replica.take().context("a replica")?;
        self.replica = Some(std::mem::replace(&mut self.master, promoted));
        self.port = self.master.port();
        Ok(())
    }

    fn wait_for_replica(&self) -> Result<()> {
        self.wait("all Sentinels know the new replica", |shared| {
            Ok(shared.sentinels.iter().all(|sentinel| {
                let replicas = sentinel.command(&["SENTINEL", "REPLICAS", MASTER]);
                replicas.is_ok_and(|replicas| replicas.contains("master-link-status\nok"))
            }))
        })
    }

    fn wait(&self, what: &str, is_so: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + FAIL_OVER;
        while !is_so(self)? {
            if Instant::now() > deadline {
                bail!("not after {FAIL_OVER:?}: {what}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Starts a server, with TLS if there is an authority. Returns the port at which instances reach it.
fn start(authority: Option<&Authority>) -> Result<(Redis, u16)> {
    let user = user();
    // A relative path is below the server's folder, and a path longer than 108 bytes would be refused.
    let directives = [("user", user.as_str()), ("unixsocket", SOCKET)];
    match authority {
        Some(authority) => Redis::start_tls(authority, &directives),
        None => Redis::start_with(&directives).map(|redis| {
            let port = redis.port();
            (redis, port)
        }),
    }
}

/// The user with the rights that docs/redis.md lists.
fn user() -> String {
    format!("{USER} {}", acl_user("torture", PASSWORD).join(" "))
}

const SOCKET: &str = "redis.sock";

fn socket_in(folder: &Path) -> PathBuf {
    folder.join(SOCKET)
}
