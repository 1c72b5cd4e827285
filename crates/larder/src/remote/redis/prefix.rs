//! What keys are called in Redis: with the identity of the database behind them, so that two databases behind one Redis and
//! one namespace have no key in common.
//!
//! ```text
//! hotel:user:7                       as the engine spells it, for this process has one database
//! hotel:b91a50263e45f0f0:user:7      as Redis has it
//! hotel:@installation                of the whole namespace: who uses it without a journal, or that journals are used
//! ```
//!
//! The identity is asked of the database while the cache runs and may change: after a restart of the server, after a failover,
//! or because another database answers. Then the prefix changes with it, and nothing that was read, leased or loaded under the
//! old one counts any more.
//!
//! Invariants:
//! - `a_key_belongs_to_one_database`: what one database's instances write no other's instances read.
//! - `a_reply_from_before_a_change_of_owner_counts_no_more`: see [`Prefixes::set_identity`].

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use crate::journal::{ChangeId, DatabaseId};
use crate::key::Namespace;
use crate::protocol::rules::{ProtocolRule, ProtocolRules};
use crate::remote::Listener;
use crate::remote::validity::Validity;

/// Who owns the keys under a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseIdentity {
    /// The journal has not said yet. Nothing under this prefix is ever certified, so nothing of it is read.
    Unknown,
    /// The database of the journal.
    Database(DatabaseId),
    /// What the application calls the database behind it, where there is no journal; see `Builder::installation`.
    Installation(String),
}

impl DatabaseIdentity {
    /// Equal for equal owners only. A later life of a database, which a journal counts as another timeline, keeps its keys:
    /// their certificate tells the lives apart.
    fn name(&self) -> String {
        match self {
            DatabaseIdentity::Unknown => "unknown".to_owned(),
            DatabaseIdentity::Database(database) => format!("database {}", database.system),
            DatabaseIdentity::Installation(id) => format!("installation {id}"),
        }
    }
}

/// `namespace:identity:`, and whose it is.
pub(crate) struct Prefix {
    pub(crate) identity: DatabaseIdentity,
    namespace: Namespace,
    /// `namespace:`.
    plain: String,
    /// `namespace:identity:`.
    text: String,
}

impl Prefix {
    pub(crate) fn new(namespace: &Namespace, identity: DatabaseIdentity, rules: ProtocolRules) -> Self {
        let hash =
            if rules.keeps(ProtocolRule::NamesItsDatabase) { hash(identity.name().as_bytes()) } else { 0 };
        let plain = format!("{}:", namespace.as_str());
        Prefix { identity, namespace: namespace.clone(), text: format!("{plain}{hash:016x}:"), plain }
    }

    /// What the engine calls `key`, as Redis has it. Patterns too: a prefix holds no sign that they know.
    pub(crate) fn add_to(&self, key: &[u8]) -> Bytes {
        let rest = key.strip_prefix(self.plain.as_bytes()).unwrap_or(key);
        Bytes::from([self.text.as_bytes(), rest].concat())
    }

    pub(crate) fn add_to_all<'a>(&self, keys: impl IntoIterator<Item = &'a Bytes>) -> Vec<Bytes> {
        keys.into_iter().map(|key| self.add_to(key)).collect()
    }

    /// What Redis calls `key`, as the engine spells it; `None` for a key of another owner.
    pub(crate) fn strip_from(&self, key: &[u8]) -> Option<Bytes> {
        let rest = key.strip_prefix(self.text.as_bytes())?;
        Some(Bytes::from([self.plain.as_bytes(), rest].concat()))
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The certificate of the Redis that carries it.
    pub(crate) fn certificate_key(&self) -> Bytes {
        self.add_to(&self.namespace.certificate_key())
    }

    /// Up to when, by Redis's clock, it has been told of every commit.
    pub(crate) fn watermark_key(&self) -> Bytes {
        self.add_to(&self.namespace.watermark_key())
    }

    /// Up to where it has been told, as the journal writes it.
    pub(crate) fn position_key(&self) -> Bytes {
        self.add_to(&self.namespace.position_key())
    }

    /// Stands while it is worth knowing that `change` has been told.
    pub(crate) fn propagated_key(&self, change: &ChangeId) -> Bytes {
        self.add_to(&self.namespace.propagated_key(change))
    }

    /// Who uses the namespace, whatever the prefix: see `claim`.
    pub(crate) fn claim_key(&self) -> Bytes {
        Bytes::from(format!("{}@installation", self.plain))
    }
}

/// The present prefix of a tier.
pub(crate) struct Prefixes {
    namespace: Namespace,
    rules: ProtocolRules,
    validity: Arc<Validity>,
    listener: Arc<dyn Listener>,
    /// Guarded by its lock, which is held to clone or to replace it, never across an await.
    present: RwLock<Arc<Prefix>>,
}

impl Prefixes {
    pub(crate) fn new(
        namespace: Namespace,
        identity: DatabaseIdentity,
        rules: ProtocolRules,
        validity: Arc<Validity>,
        listener: Arc<dyn Listener>,
    ) -> Self {
        let present = RwLock::new(Arc::new(Prefix::new(&namespace, identity, rules)));
        Prefixes { namespace, rules, validity, listener, present }
    }

    pub(crate) fn present(&self) -> Arc<Prefix> {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on the keys belong to `identity`.
    ///
    /// A read, a lease or an invalidation that is under way uses the one prefix or the other. It counts only if the tier was
    /// usable without a break from before it was sent until its reply came, so the order is: not usable; the new prefix; not
    /// usable, for a heartbeat may have granted the old one in between; and memory cleared of what came under the old one.
    pub(crate) fn set_identity(&self, identity: DatabaseIdentity) {
        if self.present().identity == identity {
            return;
        }
        let prefix = Arc::new(Prefix::new(&self.namespace, identity, self.rules));
        tracing::info!(prefix = prefix.text, identity = ?prefix.identity, "the keys in Redis belong to this database");
        self.validity.revoke();
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = prefix;
        self.validity.revoke();
        self.listener.clear_guarded();
    }
}

/// Reports name keys as Redis has them. One under another prefix is of no copy: memory was cleared when the prefix changed.
impl Listener for Prefixes {
    fn apply_push(&self, key: &[u8]) {
        if let Some(key) = self.present().strip_from(key) {
            self.listener.apply_push(&key);
        }
    }

    fn clear_guarded(&self) {
        self.listener.clear_guarded();
    }
}

/// FNV-1a, finished by splitmix64: the same in every process and release. The hash only has to avoid accidental collisions. An
/// attacker who can write to Redis does not need one. The certificate names the owner in full.
fn hash(bytes: &[u8]) -> u64 {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let mut hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, fnv);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Mutex;

    use super::*;
    use crate::clock::Tick;

    fn database(system: &str) -> DatabaseIdentity {
        DatabaseIdentity::Database(DatabaseId { system: system.to_owned(), timeline: 1 })
    }

    fn prefix(identity: DatabaseIdentity) -> Prefix {
        Prefix::new(&Namespace::parse("hotel").unwrap(), identity, ProtocolRules::default())
    }

    #[test]
    fn a_key_belongs_to_one_database() {
        let identity = [
            DatabaseIdentity::Unknown,
            database("unknown"),
            database("7300:16384:1"),
            database("7300:16384:2"),
            DatabaseIdentity::Installation("7300:16384:1".to_owned()),
        ];
        let keys: HashSet<Bytes> =
            identity.iter().map(|identity| prefix(identity.clone()).add_to(b"hotel:user:7")).collect();
        assert_eq!(keys.len(), identity.len());
        for identity in identity {
            let prefix = prefix(identity);
            let read: Vec<Bytes> = keys.iter().filter_map(|key| prefix.strip_from(key)).collect();
            assert_eq!(read, ["hotel:user:7"], "its own, and no other");
        }
    }

    #[test]
    fn keys_are_found_in_redis_as_the_documents_spell_them() {
        let prefix = prefix(DatabaseIdentity::Installation("berlin".to_owned()));
        assert_eq!(prefix.add_to(b"hotel:user:7"), "hotel:b91a50263e45f0f0:user:7");
        assert_eq!(prefix.certificate_key(), "hotel:b91a50263e45f0f0:@live");
        assert_eq!(prefix.claim_key(), "hotel:@installation");
        assert_eq!(prefix.strip_from(b"hotel:@installation"), None);
        assert_eq!(prefix.strip_from(b"hotel:user:7"), None, "of a release that named no database");
    }

    #[test]
    fn a_later_timeline_keeps_its_keys() {
        let later = DatabaseId { system: "7300".to_owned(), timeline: 2 };
        let later = prefix(DatabaseIdentity::Database(later)).add_to(b"hotel:user:7");
        assert_eq!(prefix(database("7300")).add_to(b"hotel:user:7"), later);
    }

    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Listener for Notes {
        fn apply_push(&self, key: &[u8]) {
            self.0.lock().unwrap().push(String::from_utf8_lossy(key).into_owned());
        }

        fn clear_guarded(&self) {
            self.0.lock().unwrap().push("cleared".to_owned());
        }
    }

    #[test]
    fn a_reply_from_before_a_change_of_owner_counts_no_more() {
        let (validity, notes) = (Arc::new(Validity::new()), Arc::new(Notes::default()));
        let namespace = Namespace::parse("hotel").unwrap();
        let prefixes = Prefixes::new(
            namespace,
            database("a"),
            ProtocolRules::default(),
            validity.clone(),
            notes.clone(),
        );
        let epoch = validity.epoch();
        assert!(validity.grant(epoch, Tick::FAR));
        let before = prefixes.present().add_to(b"hotel:user:7");
        prefixes.set_identity(database("a"));
        assert!(
            validity.is_valid_at(Tick::from_nanos(1)) && validity.epoch() == epoch,
            "the same owner changes nothing"
        );
        prefixes.set_identity(database("b"));
        assert!(!validity.is_valid_at(Tick::from_nanos(1)) && !validity.grant(epoch, Tick::FAR));
        prefixes.apply_push(&before);
        prefixes.apply_push(&prefixes.present().add_to(b"hotel:user:7"));
        assert_eq!(*notes.0.lock().unwrap(), ["cleared", "hotel:user:7"]);
    }
}
