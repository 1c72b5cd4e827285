//! The names of keys in Redis: they contain the identity of the database behind them, so that two databases that use
//! one Redis and one namespace have no key in common.
//!
//! ```text
//! hotel:user:7                       as the engine spells it, because a process has one database
//! hotel:b91a50263e45f0f0:user:7      as Redis has it
//! hotel:@installation                the claim of the namespace: an installation's name, or that journals are used
//! ```
//!
//! The relay asks the database for its identity while the cache runs. The identity can change: after a restart of the
//! server, after a failover, or because another database answers. Then the prefix changes, and no reply, lease or load
//! from before the change counts.
//!
//! Invariants:
//! - `a_key_belongs_to_one_database`: two identities have no key in common except the claim, so no instance reads an
//!   entry that an instance of another database wrote.
//! - `a_reply_from_before_a_change_of_identity_does_not_count`: a reply counts only if the identity did not change
//!   between its request and its arrival; see [`Prefixes::set_identity`].
//! - `nothing_under_a_former_primary`: once this process has met the successor of a prefix's database, it reads, stores and
//!   unlinks nothing under that prefix, and gets no grant for it; see [`Prefixes::usable`]. Other processes may go on under it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use bytes::Bytes;

use crate::journal::{ChangeId, DatabaseId, Journal};
use crate::key::Namespace;
use crate::protocol::rules::{ProtocolRule, ProtocolRules};
use crate::protocol::slots::{SlotSet, slot_of};
use crate::remote::redis::membership::Membership;
use crate::remote::validity::Validity;
use crate::remote::{Fault, Listener};

/// The end of the key of a claim. The key of a claim can have the length of a name that was cut while it arrived, 18
/// bytes; this end distinguishes the two. Every other key of larder contains the database's identity, and is longer.
pub(crate) const CLAIM: &str = "@installation";

/// The database to which the keys under a prefix belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseIdentity {
    /// The journal has not reported the identity yet. No Redis is certified under this prefix, so no entry under it is
    /// served.
    Unknown,
    /// The database of the journal.
    Database(DatabaseId),
    /// The application's name for its database, without a journal; see `Builder::installation`.
    Installation(String),
}

impl DatabaseIdentity {
    /// The text that is hashed into each key: of a database its [`DatabaseId::system`], without the timeline. Two
    /// databases have different names. larder's journal of PostgreSQL puts the server's start into `system`, so a
    /// restart changes the keys, and so does a promotion, because the promoted server started at another time. If
    /// another journal keeps `system` at a promotion, the keys stay, and the certificate distinguishes the timelines.
    fn name(&self) -> String {
        match self {
            DatabaseIdentity::Unknown => "unknown".to_owned(),
            DatabaseIdentity::Database(database) => format!("database {}", database.system),
            DatabaseIdentity::Installation(id) => format!("installation {id}"),
        }
    }
}

/// The prefix `namespace:identity:` of each key in Redis, and the identity in it.
pub(crate) struct Prefix {
    pub(crate) identity: DatabaseIdentity,
    /// Since when this process has used the prefix.
    pub(crate) since: Instant,
    namespace: Namespace,
    /// `namespace:`.
    plain: String,
    /// `namespace:identity:`.
    text: String,
    /// The same for the database's instances without REST, if these keys are spelled for REST.
    resp_text: Option<String>,
    /// In a Redis Cluster: the end of each key of larder's own protocol, which puts it into a slot of its master.
    home: Option<String>,
}

impl Prefix {
    pub(crate) fn new(namespace: &Namespace, identity: DatabaseIdentity, rules: ProtocolRules) -> Self {
        let hash =
            if rules.keeps(ProtocolRule::NamesItsDatabase) { hash(identity.name().as_bytes()) } else { 0 };
        Prefix::of(namespace, identity, hash)
    }

    /// The prefix over REST, where bytes have another spelling; see `rest`. It is another one, so that no client reads what
    /// it would not recognise, and no relay marks a Redis in which it unlinked one spelling of two.
    pub(crate) fn over_rest(namespace: &Namespace, identity: DatabaseIdentity, rules: ProtocolRules) -> Self {
        let resp_text = Prefix::new(namespace, identity.clone(), rules).text;
        let hash = hash(format!("{resp_text} over REST").as_bytes());
        Prefix { resp_text: Some(resp_text), ..Prefix::of(namespace, identity, hash) }
    }

    fn of(namespace: &Namespace, identity: DatabaseIdentity, hash: u64) -> Self {
        let plain = format!("{}:", namespace.as_str());
        Prefix {
            identity,
            since: Instant::now(),
            namespace: namespace.clone(),
            text: format!("{plain}{hash:016x}:"),
            resp_text: None,
            home: None,
            plain,
        }
    }

    /// The name in Redis of what the engine calls `key`. `key` can also be a pattern, because no character of a prefix
    /// has a meaning in a pattern.
    pub(crate) fn add_to(&self, key: &[u8]) -> Bytes {
        let rest = key.strip_prefix(self.plain.as_bytes()).unwrap_or(key);
        Bytes::from([self.text.as_bytes(), rest].concat())
    }

    pub(crate) fn add_to_all<'a>(&self, keys: impl IntoIterator<Item = &'a Bytes>) -> Vec<Bytes> {
        keys.into_iter().map(|key| self.add_to(key)).collect()
    }

    /// The key as the engine spells it, for `key` as Redis spells it; `None` if it has another prefix.
    pub(crate) fn strip_from(&self, key: &[u8]) -> Option<Bytes> {
        let rest = key.strip_prefix(self.text.as_bytes())?;
        Some(Bytes::from([self.plain.as_bytes(), rest].concat()))
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Whether the keys are those of a master of a Redis Cluster.
    pub(crate) fn is_in_cluster(&self) -> bool {
        self.home.is_some()
    }

    /// Whether `key`, as Redis has it, is one of this master's keys of larder's own protocol.
    pub(crate) fn is_own(&self, key: &[u8]) -> bool {
        [self.certificate_key(), self.watermark_key(), self.position_key()].iter().any(|own| own == key)
    }

    /// The name in Redis of a key of larder's own protocol.
    fn own(&self, key: &[u8]) -> Bytes {
        self.add_to(&[key, self.home.as_deref().unwrap_or_default().as_bytes()].concat())
    }

    /// The key of the certificate.
    pub(crate) fn certificate_key(&self) -> Bytes {
        self.own(&self.namespace.certificate_key())
    }

    /// The key of the watermark. The watermark is an instant of Redis's clock: every commit before it has been
    /// propagated to this Redis. Without a journal, it is the instant at which an instance last recorded that it uses
    /// this Redis.
    pub(crate) fn watermark_key(&self) -> Bytes {
        self.own(&self.namespace.watermark_key())
    }

    /// The key of the watermark of this database's instances without REST.
    pub(crate) fn resp_watermark_key(&self) -> Bytes {
        let own = self.watermark_key();
        match (&self.resp_text, own.strip_prefix(self.text.as_bytes())) {
            (Some(text), Some(rest)) => Bytes::from([text.as_bytes(), rest].concat()),
            _ => own,
        }
    }

    /// The key of the chain of the polls of the relay `relay`, over REST; see `leader`. It is spelled as a record of a
    /// change is: so a sweep leaves it, and no listing shows it.
    pub(crate) fn chain_key(&self, relay: &str) -> Bytes {
        self.propagated_key(&ChangeId::new(format!("poll {relay}")))
    }

    /// The beginning of each key that records a change.
    pub(crate) fn propagated_beginning(&self) -> Bytes {
        self.propagated_key(&ChangeId::new(String::new()))
    }

    /// The key of the position up to which changes have been propagated, in the journal's format.
    pub(crate) fn position_key(&self) -> Bytes {
        self.own(&self.namespace.position_key())
    }

    /// The key of the record that `change` has been propagated. It expires after the staleness bound.
    pub(crate) fn propagated_key(&self, change: &ChangeId) -> Bytes {
        self.add_to(&self.namespace.propagated_key(change))
    }

    /// The key of the namespace's claim, which is the same for every identity; see `claim`.
    pub(crate) fn claim_key(&self) -> Bytes {
        Bytes::from(format!("{}{CLAIM}{}", self.plain, self.home.as_deref().unwrap_or_default()))
    }
}

/// The present prefix of a tier.
pub(crate) struct Prefixes {
    namespace: Namespace,
    rules: ProtocolRules,
    is_rest: bool,
    membership: Option<Arc<Membership>>,
    journal: Option<Arc<dyn Journal>>,
    validity: Arc<Validity>,
    listener: Arc<dyn Listener>,
    /// The lock is held to clone or to replace the `Arc`, never across an await.
    present: RwLock<Arc<Prefix>>,
}

impl Prefixes {
    pub(crate) fn new(
        namespace: Namespace,
        identity: DatabaseIdentity,
        rules: ProtocolRules,
        (is_rest, membership): (bool, Option<Arc<Membership>>),
        journal: Option<Arc<dyn Journal>>,
        (validity, listener): (Arc<Validity>, Arc<dyn Listener>),
    ) -> Self {
        // Replaced at once, because how an identity is spelled depends on the other fields.
        let present = RwLock::new(Arc::new(Prefix::new(&namespace, identity.clone(), rules)));
        let prefixes =
            Prefixes { namespace, rules, is_rest, membership, journal, validity, listener, present };
        let present = prefixes.spelled(identity);
        Prefixes { present: RwLock::new(Arc::new(present)), ..prefixes }
    }

    fn spelled(&self, identity: DatabaseIdentity) -> Prefix {
        let Prefixes { namespace, rules, .. } = self;
        if self.is_rest {
            return Prefix::over_rest(namespace, identity, *rules);
        }
        let home = self.membership.as_ref().map(|membership| membership.home.clone());
        Prefix { home, ..Prefix::new(namespace, identity, *rules) }
    }

    pub(crate) fn present(&self) -> Arc<Prefix> {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The present prefix, for a command; refused if this process has met the successor of its database. A load or a commit on
    /// the successor may come before the poll that finds its identity: the value and the unlinking are refused here.
    pub(crate) fn usable(&self) -> Result<Arc<Prefix>, Fault> {
        let present = self.present();
        if let (DatabaseIdentity::Database(database), Some(journal)) = (&present.identity, &self.journal)
            && journal.is_succeeded(database)
        {
            return Err(Fault::Refused);
        }
        Ok(present)
    }

    /// Changes the prefix to that of `identity`.
    ///
    /// A read, a lease or an invalidation in progress uses one of the two prefixes. Its result counts only if one epoch
    /// (the time between two losses of validity) lasted from before the request until the reply. So the order is: end
    /// the epoch; replace the prefix; end the epoch again, because a heartbeat may have granted the tier for the old
    /// prefix in between; and remove from memory what was read under the old prefix.
    pub(crate) fn set_identity(&self, identity: DatabaseIdentity) {
        if self.present().identity == identity {
            return;
        }
        let prefix = Arc::new(self.spelled(identity));
        tracing::info!(prefix = prefix.text, identity = ?prefix.identity, "the keys in Redis belong to this database");
        self.validity.revoke();
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = prefix;
        self.validity.revoke();
        self.listener.clear_guarded();
    }
}

/// A push contains the key as Redis stores it, with its prefix. A push with another prefix concerns no copy: memory was
/// cleared when the prefix changed.
impl Listener for Prefixes {
    fn apply_push(&self, key: &[u8]) {
        if let Some(key) = self.present().strip_from(key) {
            self.listener.apply_push(&key);
        }
    }

    /// Clears what this Redis guards: of a master of a Redis Cluster, the copies in the slots that may be read.
    fn clear_guarded(&self) {
        match &self.membership {
            None => self.listener.clear_guarded(),
            Some(membership) => self.clear_slots(&membership.usable()),
        }
    }

    fn clear_guarded_of(&self, is_meant: &dyn Fn(&[u8]) -> bool) {
        self.listener.clear_guarded_of(is_meant);
    }
}

impl Prefixes {
    /// Removes from memory the copies of keys in `slots`.
    pub(crate) fn clear_slots(&self, slots: &SlotSet) {
        let prefix = self.present();
        self.clear_guarded_of(&|key| slots.contains(slot_of(&prefix.add_to(key))));
    }
}

/// FNV-1a with the finaliser of splitmix64: equal in every process and release. The hash only has to avoid accidental
/// collisions: an attacker who can write to Redis needs no collision. The certificate has the identity in full.
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
            assert_eq!(read, ["hotel:user:7"], "a prefix strips its own keys only");
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

        fn clear_guarded_of(&self, _: &dyn Fn(&[u8]) -> bool) {}
    }

    #[test]
    fn a_reply_from_before_a_change_of_identity_does_not_count() {
        let (validity, notes) = (Arc::new(Validity::new()), Arc::new(Notes::default()));
        let namespace = Namespace::parse("hotel").unwrap();
        let prefixes = Prefixes::new(
            namespace,
            database("a"),
            ProtocolRules::default(),
            (false, None),
            None,
            (validity.clone(), notes.clone()),
        );
        let epoch = validity.epoch();
        assert!(validity.grant(epoch, Tick::FAR));
        let before = prefixes.present().add_to(b"hotel:user:7");
        prefixes.set_identity(database("a"));
        assert!(
            validity.is_valid_at(Tick::from_nanos(1)) && validity.epoch() == epoch,
            "the same identity changes nothing"
        );
        prefixes.set_identity(database("b"));
        assert!(!validity.is_valid_at(Tick::from_nanos(1)) && !validity.grant(epoch, Tick::FAR));
        prefixes.apply_push(&before);
        prefixes.apply_push(&prefixes.present().add_to(b"hotel:user:7"));
        assert_eq!(*notes.0.lock().unwrap(), ["cleared", "hotel:user:7"]);
    }
}
