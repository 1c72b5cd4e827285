//! Which Redis this is, and the certificate that says for which Redis its contents were checked.

use std::time::Duration;

use bytes::Bytes;

use crate::policy::Policy;

/// `run_id` names the process, `master_replid` the history it carries. Both are needed: a master that was
/// demoted and promoted again keeps its run_id, a restarted one that loaded a snapshot may keep its replid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) run_id: String,
    pub(crate) replid: String,
    pub(crate) is_master: bool,
}

impl Identity {
    /// Reads the answer of `INFO server` or `INFO` whole for the process, of `INFO replication` for the rest.
    pub(crate) fn parse(server: &str, replication: &str) -> Option<Self> {
        Some(Identity { run_id: field(server, "run_id")?.to_owned(), ..Identity::unnamed(replication)? })
    }

    /// The same process, as `INFO replication` describes it now.
    pub(crate) fn now(&self, replication: &str) -> Option<Self> {
        Some(Identity { run_id: self.run_id.clone(), ..Identity::unnamed(replication)? })
    }

    fn unnamed(replication: &str) -> Option<Self> {
        let replid = field(replication, "master_replid")?.to_owned();
        let is_master = field(replication, "role")? == "master";
        Some(Identity { run_id: String::new(), replid, is_master })
    }

    /// The certificate: this Redis, and the figures that all who share it must agree on.
    pub(crate) fn certificate(&self, bound: Duration) -> Bytes {
        Bytes::from(format!("{}{}", self.subject(), figures(bound)))
    }

    /// Whether `certificate` names this Redis but other figures: then somebody else is right to use it, and
    /// this instance is not.
    pub(crate) fn disagrees(&self, certificate: &[u8], bound: Duration) -> bool {
        certificate.starts_with(self.subject().as_bytes()) && certificate != self.certificate(bound)
    }

    fn subject(&self) -> String {
        format!("{}:{} ", self.run_id, self.replid)
    }
}

fn figures(bound: Duration) -> String {
    format!("bound_ms={} ttl_max_ms={}", bound.as_millis(), Policy::TTL_MAX.as_millis())
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n";
    const MASTER: &str = "# Replication\r\nrole:master\r\nmaster_replid:def\r\nmaster_replid2:000\r\n";
    const BOUND: Duration = Duration::from_secs(2);

    #[test]
    fn an_identity_is_the_process_and_its_history() {
        let identity = Identity::parse(SERVER, MASTER).unwrap();
        assert_eq!(identity.certificate(BOUND), "abc:def bound_ms=2000 ttl_max_ms=3600000");
        assert!(identity.is_master);
        let demoted = identity.now("role:slave\r\nmaster_replid:fed\r\n").unwrap();
        assert!(!demoted.is_master && demoted.certificate(BOUND) != identity.certificate(BOUND));
        assert_eq!(Identity::parse("", MASTER), None);
    }

    #[test]
    fn the_same_redis_with_other_figures_is_a_disagreement() {
        let identity = Identity::parse(SERVER, MASTER).unwrap();
        let certificate = identity.certificate(BOUND);
        assert!(!identity.disagrees(&certificate, BOUND));
        assert!(identity.disagrees(&certificate, Duration::from_secs(5)));
        assert!(!identity.disagrees(b"another:redis bound_ms=9", BOUND));
    }
}
