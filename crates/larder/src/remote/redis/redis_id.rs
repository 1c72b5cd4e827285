//! The identity of a Redis, as it reports it, and whether larder can use it.

use crate::health::Trouble;

/// The oldest major version that can be used: older ones do not know the flag `allow-oom` of a script.
const VERSION_MIN: u32 = 7;

/// The identity of a Redis: `run_id` names the server process, `master_replid` the replication history of its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedisId {
    pub(crate) run_id: String,
    pub(crate) replid: String,
    pub(crate) is_master: bool,
    /// The history that this server continued when it was promoted (`master_replid2`), if it was.
    former: Option<String>,
}

impl RedisId {
    /// Parses `INFO server` for the process and `INFO replication` for the rest. An error says why this server can
    /// never be used.
    pub(crate) fn parse(server: &str, replication: &str, is_in_cluster: bool) -> Result<Self, Trouble> {
        // Valkey names its mode otherwise.
        match field(server, "redis_mode").or_else(|| field(server, "server_mode")) {
            Some("sentinel") => return Err(Trouble::Sentinel),
            Some("cluster") if !is_in_cluster => return Err(Trouble::Cluster),
            Some("standalone") if is_in_cluster => return Err(Trouble::NoCluster),
            _ => {}
        }
        // A server that does not report a version is accepted here: it fails later if it lacks a command.
        let version =
            field(server, "redis_version").and_then(|version| version.split('.').next()?.parse::<u32>().ok());
        if version.is_some_and(|version| version < VERSION_MIN) {
            return Err(Trouble::TooOld);
        }
        RedisId::of_fields(server, replication).ok_or(Trouble::Nameless)
    }

    /// The identity of every Redis over REST, where no server names itself: so a certificate says that it was written over
    /// REST. Scripts run on the leader or fail.
    pub(crate) fn behind_rest() -> Self {
        RedisId { run_id: "rest".to_owned(), replid: "rest".to_owned(), is_master: true, former: None }
    }

    fn of_fields(server: &str, replication: &str) -> Option<Self> {
        Some(RedisId { run_id: field(server, "run_id")?.to_owned(), ..RedisId::unnamed(replication)? })
    }

    /// The same process, as `INFO replication` describes it now.
    pub(crate) fn now(&self, replication: &str) -> Option<Self> {
        Some(RedisId { run_id: self.run_id.clone(), ..RedisId::unnamed(replication)? })
    }

    fn unnamed(replication: &str) -> Option<Self> {
        let Replication { role, replid } = Replication::parse(replication);
        let former = field(replication, "master_replid2").map(str::to_owned);
        Some(RedisId { run_id: String::new(), replid: replid?, is_master: role? == MASTER, former })
    }

    /// Whether a certificate for `name` was written into the history of this Redis: by this process, or by the one that it
    /// replaced as a promoted replica.
    pub(crate) fn continues(&self, name: &str) -> bool {
        let history = name.rsplit(':').next();
        history.is_some() && (history == Some(&*self.replid) || history == self.former.as_deref())
    }

    /// The name of this Redis in a certificate.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.run_id, self.replid)
    }
}

const MASTER: &str = "master";

/// What `INFO replication` says of a server, as far as larder needs it.
pub(crate) struct Replication {
    role: Option<String>,
    replid: Option<String>,
}

impl Replication {
    pub(crate) fn parse(replication: &str) -> Self {
        let field = |name| field(replication, name).map(str::to_owned);
        Replication { role: field("role"), replid: field("master_replid") }
    }

    /// Whether the server is a master of this history.
    pub(crate) fn is_master_of(&self, history: &str) -> bool {
        self.role.as_deref() == Some(MASTER) && self.replid.as_deref() == Some(history)
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n";
    const INFO: &str = "# Replication\r\nrole:master\r\nmaster_replid:def\r\nmaster_replid2:000\r\n";

    #[test]
    fn an_identity_is_the_process_and_its_history() {
        let redis_id = RedisId::parse(SERVER, INFO, false).unwrap();
        assert_eq!(redis_id.name(), "abc:def");
        assert!(redis_id.is_master);
        let demoted = redis_id.now("role:slave\r\nmaster_replid:fed\r\n").unwrap();
        assert!(!demoted.is_master && demoted.name() == "abc:fed");
        let promoted = redis_id.now("role:master\r\nmaster_replid:fed\r\nmaster_replid2:def\r\n").unwrap();
        assert!(
            promoted.continues("abc:def") && promoted.continues("xyz:fed") && !promoted.continues("abc:eee")
        );
    }

    #[test]
    fn a_master_of_another_history_and_a_replica_of_the_same_are_not_the_master_of_a_history() {
        let is_master_of = |info, history| Replication::parse(info).is_master_of(history);
        assert!(is_master_of(INFO, "def"));
        assert!(!is_master_of(INFO, "000"), "its former history");
        assert!(!is_master_of("role:slave\r\nmaster_replid:def\r\n", "def"));
        assert!(!is_master_of("role:master\r\n", ""), "nothing was granted");
    }

    #[test]
    fn each_server_that_cannot_be_used_has_its_own_trouble() {
        for (server, trouble) in [
            ("redis_version:6.2.14\r\nredis_mode:standalone\r\nrun_id:abc\r\n", Trouble::TooOld),
            ("redis_version:7.0.15\r\nredis_mode:cluster\r\nrun_id:abc\r\n", Trouble::Cluster),
            ("redis_version:7.0.15\r\nredis_mode:sentinel\r\nrun_id:abc\r\n", Trouble::Sentinel),
            ("redis_version:7.2.4\r\nserver_mode:cluster\r\nrun_id:abc\r\n", Trouble::Cluster),
            ("redis_version:7.0.15\r\nredis_mode:standalone\r\n", Trouble::Nameless),
            ("", Trouble::Nameless),
        ] {
            assert_eq!(RedisId::parse(server, INFO, false), Err(trouble), "{server}");
        }
        assert_eq!(RedisId::parse(SERVER, "role:master\r\n", false), Err(Trouble::Nameless));
        let mode = |mode| RedisId::parse(&format!("redis_mode:{mode}\r\n{SERVER}"), INFO, true);
        assert!(mode("cluster").is_ok() && mode("standalone") == Err(Trouble::NoCluster));
        let newer = RedisId::parse("redis_version:10.1.0\r\nrun_id:abc\r\n", INFO, false);
        assert!(newer.is_ok(), "{newer:?}");
    }
}
