//! Which Redis this is, as it says itself.

/// `run_id` names the process, `master_replid` the history it carries.
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

    /// As a certificate names it.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.run_id, self.replid)
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n";
    const MASTER: &str = "# Replication\r\nrole:master\r\nmaster_replid:def\r\nmaster_replid2:000\r\n";

    #[test]
    fn an_identity_is_the_process_and_its_history() {
        let identity = Identity::parse(SERVER, MASTER).unwrap();
        assert_eq!(identity.name(), "abc:def");
        assert!(identity.is_master);
        let demoted = identity.now("role:slave\r\nmaster_replid:fed\r\n").unwrap();
        assert!(!demoted.is_master && demoted.name() == "abc:fed");
        assert_eq!(Identity::parse("", MASTER), None);
    }
}
