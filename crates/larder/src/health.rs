//! Reports whether a cache can use its tiers fully; if not, why, and what to do about it.
//!
//! The health is for operators. No read depends on it: `Engine::usable_tier` decides whether a read uses Redis.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

/// Which tiers answer at this instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// Memory and Redis answer.
    Working,
    /// Redis is configured and cannot be used fully (it is away, is not certified, or refuses writes), or the journal
    /// has a fault. Reads that Redis cannot answer go to the database, and a loaded copy stays in memory for at most
    /// the staleness bound. [`Cache::health_report`](crate::cache::Cache::health_report) gives the reasons.
    Degraded,
    /// No Redis is configured: only memory answers.
    MemoryOnly,
}

impl Health {
    /// All states.
    pub const ALL: [Health; 3] = [Health::Working, Health::Degraded, Health::MemoryOnly];

    /// The state's label: `working`, `degraded` or `memory-only`.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Working => "working",
            Health::Degraded => "degraded",
            Health::MemoryOnly => "memory-only",
        }
    }
}

/// Writes the state's label.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The state of a cache at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthReport {
    /// Which tiers answer.
    pub state: Health,
    /// Why the state is [`Health::Degraded`], the root cause first; empty in every other state.
    pub reasons: Vec<Reason>,
}

/// Why a cache is degraded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reason {
    /// What is wrong.
    pub trouble: Trouble,
    /// What is wrong and what to do, in words. It names no address, no user and no password.
    pub text: Cow<'static, str>,
    /// What the server answered, for administrators: it can name a user or a command.
    pub detail: Option<String>,
    /// Since when this trouble has been present.
    pub since: SystemTime,
}

/// Writes the text without the detail.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Declares each trouble once: its name, its label, and a text that says what is wrong and what to do.
macro_rules! troubles {
    ($($(#[$doc:meta])* $name:ident, $word:literal, $text:literal;)*) => {
        /// What can be wrong with a tier.
        ///
        /// # Examples
        ///
        /// ```
        /// use larder::health::Trouble;
        ///
        /// assert_eq!(Trouble::Full.as_str(), "full");
        /// assert!(Trouble::Full.text().contains("maxmemory"));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Trouble {
            $($(#[$doc])* $name,)*
        }

        impl Trouble {
            /// All troubles.
            pub const ALL: &'static [Trouble] = &[$(Trouble::$name,)*];

            /// The trouble's label in metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Trouble::$name => $word,)* }
            }

            /// What is wrong, and what to do.
            pub fn text(self) -> &'static str {
                match self { $(Trouble::$name => $text,)* }
            }
        }
    };
}

troubles! {
    /// Redis has not answered since the start.
    Starting, "starting", "Redis has not answered yet; wait a moment";
    /// An operation got no answer in time, an invalidation could not be sent, or the connection was just restored: the
    /// keeper is checking whether Redis can be used.
    Asking, "asking", "Redis did not answer for a moment and is being checked; wait a moment";
    /// There is no connection to Redis.
    Away, "away", "Redis cannot be reached; check that it runs and takes more connections (maxclients), its address, and the \
         network to it";
    /// There is a connection, but Redis does not answer in time.
    Silent, "silent", "Redis does not answer in time; check whether it hangs, is overloaded or is cut off";
    /// Redis answers `NOAUTH`, `WRONGPASS` or `DENIED`.
    Unauthenticated, "unauthenticated",
        "Redis refuses this user or password; give the cache the present credentials";
    /// The TLS handshake with Redis failed, or a file for it cannot be read.
    Untrusted, "untrusted",
        "TLS to Redis failed; check that its port speaks TLS, the authority (ca_file) and name of its certificate, and \
         the client's own certificate";
    /// Redis answers `NOPERM`.
    Forbidden, "forbidden",
        "an ACL of Redis forbids a command or a key that larder needs; allow those that docs/relay.md lists";
    /// Redis answers `ERR max number of clients reached`.
    Crowded, "crowded", "Redis takes no more connections; raise its maxclients, or find out which clients hold them";
    /// Redis answers `LOADING`.
    Loading, "loading", "Redis is loading its data; wait until it has";
    /// Redis answers `BUSY`.
    Busy, "busy", "a script keeps Redis busy; wait until it ends, or end it with SCRIPT KILL";
    /// The server is a replica: it reports `role:slave`, or answers `READONLY` or `MASTERDOWN`.
    Replica, "replica", "this Redis is a replica; give the cache the address of the master";
    /// Redis answers `OOM`: it refuses writes that need memory and accepts others.
    Full, "full",
        "the memory of Redis is full and it evicts nothing, so it refuses writes; raise maxmemory, or set \
         maxmemory-policy to allkeys-lru";
    /// Redis answers `MISCONF`: it could not save its data, and therefore refuses writes.
    SavingFails, "saving-fails",
        "Redis cannot save its data to disk and refuses writes; make room on its disk or mend its folder, then \
         BGSAVE, or set stop-writes-on-bgsave-error to no";
    /// Redis answers `NOREPLICAS`.
    ReplicasMissing, "replicas-missing",
        "Redis has fewer replicas than min-replicas-to-write and refuses writes; bring the replicas back, or check \
         whether another master has taken over";
    /// The server is a node of a Redis Cluster.
    Cluster, "cluster",
        "this is a node of a Redis Cluster; let the URL begin with redis-cluster or rediss-cluster";
    /// The server is not part of a Redis Cluster, and the URL says so.
    NoCluster, "no-cluster",
        "this Redis is not part of a cluster; let the URL begin with redis or rediss";
    /// Redis answers `CLUSTERDOWN`, or no master has some of the slots.
    ClusterDown, "cluster-down",
        "slots of the Redis Cluster have no master, or too few masters see each other; bring the masters back, or let \
         their replicas take over";
    /// The server is a Sentinel.
    Sentinel, "sentinel",
        "this is the port of a Redis Sentinel, which holds no data; let the URL begin with redis-sentinel, or give it \
         the address of the master";
    /// No Sentinel names a master.
    NoMaster, "no-master",
        "no Sentinel names a master; check the addresses of the Sentinels, the name of the master, and their user and \
         password";
    /// The server is older than Redis 7.0.
    TooOld, "too-old", "this Redis is older than 7.0; upgrade it";
    /// Redis does not know a command that larder needs: it was renamed, or the server is not a complete Redis.
    CommandMissing, "command-missing",
        "this server does not know a command that larder needs; give the cache a Redis of 7.0 or newer with the \
         commands that docs/relay.md lists";
    /// The answer to `INFO` lacks a field that identifies the Redis.
    Nameless, "nameless",
        "INFO does not say which Redis this is (run_id, role and master_replid); connect without the proxy that \
         hides it";
    /// Instances that share the namespace have different settings: the staleness bound, the longest TTL, or whether
    /// there is a journal.
    Disagreement, "disagreement",
        "instances that share this namespace use another staleness bound or longest TTL, or differ in having a \
         journal; configure all alike, or give this one a namespace of its own";
    /// There is no journal, and the namespace belongs to another installation.
    AnotherInstallation, "another-installation",
        "another installation uses this namespace in this Redis; give this one a namespace of its own, or the same \
         installation id if the database is the same, or delete the claim if the other one is gone";
    /// No relay has propagated the latest commits to Redis: the watermark is old or missing.
    Untold, "untold",
        "no relay has sent Redis the latest commits; look whether the database and its journal answer";
    /// The journal did not answer the last poll. This trouble and the next two can exist without Redis.
    SilentJournal, "silent-journal",
        "the database's journal does not answer, so nothing is certified and memory is not used without Redis; look \
         whether the database answers";
    /// Changes invalidate more entries than necessary; see
    /// [`Journal::imprecision`](crate::journal::Journal::imprecision).
    ImpreciseJournal, "imprecise-journal",
        "a declared column was renamed or dropped, so each change of its table invalidates everything; declare the \
         present column, and run the migration that the new declaration makes";
    /// Changes may be missing from the journal; see
    /// [`Journal::incompleteness`](crate::journal::Journal::incompleteness).
    IncompleteJournal, "incomplete-journal",
        "changes may be missing from the database's journal, so nothing is certified and writes say queued; the \
         detail names the defects; SqlJournal::mend (in the service, larder doctor --mend) mends what SQL can";
    /// Redis refuses a command for any other reason.
    Refused, "refused", "Redis refuses a command; what it says is in the log";
}

impl Trouble {
    /// Whether the trouble occurs at every start and reconnection and ends by itself. Reports show it; it is neither
    /// logged nor counted.
    pub(crate) fn is_passing(self) -> bool {
        matches!(self, Trouble::Starting | Trouble::Asking)
    }

    /// Whether the trouble needs an operator: the keeper then asks Redis less often, so that logs do not fill.
    pub(crate) fn needs_operator(self) -> bool {
        matches!(
            self,
            Trouble::Unauthenticated
                | Trouble::Untrusted
                | Trouble::Forbidden
                | Trouble::Cluster
                | Trouble::NoCluster
                | Trouble::Sentinel
                | Trouble::TooOld
                | Trouble::CommandMissing
                | Trouble::Nameless
                | Trouble::Disagreement
                | Trouble::AnotherInstallation
        )
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often a trouble occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TroubleCount {
    /// The trouble.
    pub trouble: Trouble,
    /// The number of episodes since the start. An episode ends when there has been no trouble for 2 s.
    pub episodes: u64,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_trouble_has_a_word_of_its_own_and_says_what_to_do() {
        let words: HashSet<&str> = Trouble::ALL.iter().map(|trouble| trouble.as_str()).collect();
        assert_eq!(words.len(), Trouble::ALL.len());
        for trouble in Trouble::ALL {
            assert!(trouble.text().contains("; "), "{trouble}: what is wrong; what to do");
            assert!(trouble.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
        }
    }
}
