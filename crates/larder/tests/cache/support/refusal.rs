//! Ways in which a real Redis answers and refuses, or does not answer at all.

use std::net::TcpStream;
use std::path::PathBuf;

use larder::health::Trouble;
use larder_testbed::{Redis, free_port};

use crate::support::eventually;

/// The user of the instances: an ACL can take its rights away while the test keeps all its own.
pub(crate) const USER: &str = "managed";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no Redis: no refusal, but the case that every refusal is compared with.
    Gone,
    /// A full memory that evicts nothing.
    Full,
    /// Snapshots fail: a full disk, a folder that was removed.
    SavingFails,
    /// Fewer replicas than `min-replicas-to-write`.
    ReplicasMissing,
    /// Redis has become a replica, and its master is away.
    Replica,
    /// The same, with a replica that refuses reads then.
    MasterDown,
    /// The user may no longer write.
    ReadOnlyUser,
    /// The user may write by commands and not by scripts.
    ScriptlessUser,
    /// The password was changed, and connections with the old one were ended.
    NewPassword,
    /// A script runs for a long time.
    Busy,
    /// Redis loads its data.
    Loading,
}

impl Refusal {
    pub(crate) const ALL: [Refusal; 10] = [
        Refusal::Full,
        Refusal::SavingFails,
        Refusal::ReplicasMissing,
        Refusal::Replica,
        Refusal::MasterDown,
        Refusal::ReadOnlyUser,
        Refusal::ScriptlessUser,
        Refusal::NewPassword,
        Refusal::Busy,
        Refusal::Loading,
    ];

    pub(crate) fn trouble(self) -> Trouble {
        match self {
            Refusal::Gone => Trouble::Away,
            Refusal::Full => Trouble::Full,
            Refusal::SavingFails => Trouble::SavingFails,
            Refusal::ReplicasMissing => Trouble::ReplicasMissing,
            Refusal::Replica | Refusal::MasterDown => Trouble::Replica,
            Refusal::ReadOnlyUser | Refusal::ScriptlessUser => Trouble::Forbidden,
            Refusal::NewPassword => Trouble::Unauthenticated,
            Refusal::Busy => Trouble::Busy,
            Refusal::Loading => Trouble::Loading,
        }
    }

    /// Whether Redis accepts an UNLINK all the same, so that invalidations are sent at once.
    pub(crate) fn takes_unlinks(self) -> bool {
        matches!(self, Refusal::Full | Refusal::ScriptlessUser)
    }
}

/// A Redis that a test can make refuse.
pub(crate) struct Refusing {
    pub(crate) redis: Redis,
    beside: PathBuf,
}

impl Refusing {
    pub(crate) fn start() -> Self {
        let redis = Redis::start_with(&[
            ("maxmemory-policy", "noeviction"),
            ("enable-protected-configs", "yes"),
            ("enable-debug-command", "local"),
            ("rdbcompression", "no"),
            ("busy-reply-threshold", "50"),
            ("loading-process-events-interval-bytes", "1024"),
        ])
        .unwrap();
        let beside = redis.folder().join("beside");
        let refusing = Refusing { redis, beside };
        refusing.command(&["ACL", "SETUSER", USER, "on", ">secret", "~*", "&*", "+@all"]);
        refusing
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{USER}:secret@127.0.0.1:{}/0", self.redis.port())
    }

    pub(crate) fn command(&self, args: &[&str]) -> String {
        self.redis.command(args).unwrap()
    }

    pub(crate) async fn begin(&mut self, refusal: Refusal) {
        let config = |name, value: &str| self.command(&["CONFIG", "SET", name, value]);
        match refusal {
            Refusal::Gone => self.redis.kill().unwrap(),
            Refusal::Full => drop(config("maxmemory", "1")),
            Refusal::SavingFails => {
                std::fs::create_dir(&self.beside).unwrap();
                config("save", "3600 1");
                config("dir", self.beside.to_str().unwrap());
                std::fs::remove_dir(&self.beside).unwrap();
                self.saved("err").await;
            }
            Refusal::ReplicasMissing => drop(config("min-replicas-to-write", "1")),
            Refusal::Replica => self.follow_nothing(),
            Refusal::MasterDown => {
                config("replica-serve-stale-data", "no");
                self.follow_nothing();
            }
            Refusal::ReadOnlyUser => drop(self.command(&["ACL", "SETUSER", USER, "-@write"])),
            Refusal::ScriptlessUser => drop(self.command(&["ACL", "SETUSER", USER, "-evalsha", "-eval"])),
            Refusal::NewPassword => {
                self.command(&["ACL", "SETUSER", USER, "resetpass", ">another"]);
                self.command(&["CLIENT", "KILL", "USER", USER]);
            }
            Refusal::Busy => {
                self.sent(b"EVAL \"while true do end\" 0\r\n");
                eventually("a script keeps it busy", async || self.answers("BUSY")).await;
            }
            Refusal::Loading => {
                // Each key takes 5 ms to load until the test ends the delay; Redis answers its clients after every
                // second key.
                let fill = "for n = 1, 4000 do redis.call('SET', 'other:' .. n, string.rep('x', 500)) end";
                self.command(&["EVAL", fill, "0"]);
                config("key-load-delay", "5000");
                self.sent(b"DEBUG RELOAD\r\n");
                eventually("it loads", async || self.answers("LOADING")).await;
            }
        }
    }

    pub(crate) async fn end(&mut self, refusal: Refusal) {
        let config = |name, value: &str| self.command(&["CONFIG", "SET", name, value]);
        match refusal {
            Refusal::Gone => self.redis.restart().unwrap(),
            Refusal::Full => drop(config("maxmemory", "0")),
            Refusal::SavingFails => {
                config("dir", self.redis.folder().to_str().unwrap());
                self.saved("ok").await;
            }
            Refusal::ReplicasMissing => drop(config("min-replicas-to-write", "0")),
            Refusal::Replica | Refusal::MasterDown => self.redis.promote().unwrap(),
            Refusal::ReadOnlyUser | Refusal::ScriptlessUser => {
                drop(self.command(&["ACL", "SETUSER", USER, "+@all"]));
            }
            Refusal::NewPassword => drop(self.command(&["ACL", "SETUSER", USER, "resetpass", ">secret"])),
            Refusal::Busy => drop(self.command(&["SCRIPT", "KILL"])),
            Refusal::Loading => drop(config("key-load-delay", "0")),
        }
    }

    fn follow_nothing(&self) {
        let port = free_port().unwrap().to_string();
        self.command(&["REPLICAOF", "127.0.0.1", &port]);
    }

    async fn saved(&self, status: &str) {
        let status = format!("rdb_last_bgsave_status:{status}");
        eventually("it has tried to save", async || {
            // BGSAVE is refused while one runs, so it is repeated.
            let _ = self.redis.command(&["BGSAVE"]);
            self.command(&["INFO", "persistence"]).contains(&status)
        })
        .await;
    }

    fn answers(&self, code: &str) -> bool {
        self.redis.command(&["GET", "other"]).is_err_and(|error| format!("{error:#}").contains(code))
    }

    /// Sends a line and does not wait for the reply.
    fn sent(&self, line: &[u8]) {
        use std::io::Write;
        let mut stream = TcpStream::connect(("127.0.0.1", self.redis.port())).unwrap();
        stream.write_all(line).unwrap();
        // Redis discards a request whose client has disconnected, so the connection stays open.
        std::mem::forget(stream);
    }
}
