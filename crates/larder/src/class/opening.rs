//! Opens a class: checks its settings, registers its declaration and makes its handle.

use std::any::TypeId;
use std::collections::BTreeSet;
use std::fmt;
use std::iter::once;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::class::builder::ClassBuilder;
use crate::class::handle::{Class, TagsOf};
use crate::codec::{Codec, Coder};
use crate::engine::registry::{ClassState, Declaration, DeclaredClass};
use crate::engine::{ClassCore, Engine, Tags};
use crate::error::Error;
use crate::event_sender::KeySecrecy;
use crate::key::{Key, Namespace};
use crate::policy::LOAD_TIMEOUT_MAX;
use crate::protection::{Protection, Sealer};
use crate::tag::{Tag, TagGroup};

impl<K, V> ClassBuilder<'_, K, V>
where
    K: Key + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// The class's own declaration; see [`Cache::declared_classes`].
    fn declared(&self) -> DeclaredClass {
        let (tag_groups, has_unknown_tags) = self.tags_of.as_ref().map(groups_of).unwrap_or_default();
        let of_type = K::columns().map(|columns| columns.iter().map(|&column| column.to_owned()).collect());
        DeclaredClass {
            name: self.name.clone(),
            tags: self.tags.clone(),
            by_hand: self.by_hand.clone(),
            is_memory_only: self.is_memory_only,
            has_unknown_tags,
            tag_groups,
            columns: self.columns.iter().cloned().chain(of_type).collect(),
            kinds: K::kinds(),
        }
    }

    /// Opens the class. Opening one name twice with the same declaration returns two handles on the same entries. The
    /// handles share one on/off switch and one set of counters. Their key types may differ if [`Key::kinds`] is the
    /// same, so that both spell the key of one row alike: `i32` and `i64`, `str` and `String`, a tuple and a struct of
    /// the same parts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) if
    /// - the name is empty, longer than 128 bytes or contains control characters;
    /// - the class is already open with other settings, such as another value type, time-out or tag, or the same
    ///   [`columns`](ClassBuilder::columns) in another order;
    /// - the class is already open with keys of other kinds (`i32` and `str`: `07` would be another entry of the row
    ///   7), or with another key type, if the kinds of both are unknown;
    /// - [`by_hand`](ClassBuilder::by_hand) names a tag that the class does not have;
    /// - a TTL is shorter than 1 ms or longer than 30 days;
    /// - a time-out, the policy or the breaker is not allowed, or `load_keys_max` is 0;
    /// - its codec is [`Codec::Raw`] and its values are no `Vec<u8>`, `String` or `bytes::Bytes`;
    /// - it compresses values that its protection encrypts;
    /// - its protection needs [`EntrySecrets`](crate::protection::EntrySecrets), and the cache has Redis and no secret.
    pub fn open(self) -> Result<Class<K, V>, Error> {
        let registry = &self.cache.engine.classes;
        self.open_with(|name, declaration| registry.open(name, declaration))
    }

    /// Opens the class without adding it to the list of classes: for the self-test, whose class is not the
    /// application's.
    pub(crate) fn unlisted(self) -> Result<Class<K, V>, Error> {
        self.open_with(|_, declaration| Ok(Arc::new(ClassState::new(declaration, usize::MAX))))
    }

    fn declaration(&self) -> Declaration {
        // The class's own name is a tag implicitly.
        let tags: BTreeSet<&String> = self.tags.iter().filter(|tag| **tag != self.name).collect();
        let parts = vec![
            ("value", std::any::type_name::<V>().to_owned()),
            ("codec", format!("{:?}", self.codec)),
            ("version", self.version.to_string()),
            ("policy", format!("{:?}", self.policy)),
            ("load_timeout", format!("{:?}", self.load_timeout)),
            ("soft_timeout", format!("{:?}", self.soft_timeout)),
            ("consistency", format!("{:?}", self.consistency)),
            ("when_abandoned", format!("{:?}", self.abandonment)),
            ("breaker", format!("{:?}", self.breaker)),
            ("protection", format!("{:?}", self.protection)),
            ("max_value_bytes", self.max_value_bytes.to_string()),
            ("memory_only", self.is_memory_only.to_string()),
            ("tags", format!("{tags:?}")),
            ("tagged_by", self.tags_of_type.1.to_owned()),
            ("by_hand", format!("{:?}", self.by_hand.iter().collect::<BTreeSet<_>>())),
            ("compress_above", format!("{:?}", self.compress_above)),
            ("load_keys_max", self.load_keys_max.to_string()),
            ("memory_of", self.memory_of_type.1.to_owned()),
            ("audited", self.is_audited.to_string()),
            ("tuned", format!("{:?}", self.limits)),
        ];
        let types = [Some(TypeId::of::<V>()), self.tags_of_type.0, self.memory_of_type.0];
        Declaration {
            types,
            parts,
            key: std::any::type_name::<K>(),
            shown: self.declared(),
            breaker: self.breaker,
            abandonment: self.abandonment,
            policy: self.policy,
            limits: self.limits,
        }
    }

    /// Fails if `by_hand` names what no entry of the class has as a tag.
    fn check_by_hand(&self, declared: &DeclaredClass) -> Result<(), Error> {
        let groups = declared.tag_groups.iter().map(|group| &group.name);
        let names: BTreeSet<_> = once(&self.name).chain(&self.tags).chain(groups).collect();
        match self.by_hand.iter().find(|name| !declared.has_unknown_tags && !names.contains(name)) {
            None => Ok(()),
            Some(name) => Err(Error::config(format!(
                "class {:?}: by_hand {name:?} is no tag of the class; allowed are its tags and groups: {names:?}",
                self.name
            ))),
        }
    }

    /// The sealer of the class's entries. A cache without Redis needs no secret, because no value leaves the process.
    fn sealer(&self) -> Result<Sealer, Error> {
        if self.compress_above.is_some() && self.protection == Protection::Sealed {
            return Err(Error::config(format!(
                "class {:?}: compress_above with Protection::Sealed: the length of an encrypted value would reveal its \
                 content; allowed is one of them",
                self.name
            )));
        }
        let Engine { entry_secrets, shared, .. } = &*self.cache.engine;
        let sealer = Sealer::new(self.protection, entry_secrets.as_ref());
        let unprotected = || shared.is_none().then(|| Sealer::new(Protection::Standard, None)).flatten();
        sealer.or_else(unprotected).ok_or_else(|| {
            Error::config(format!(
                "class {:?}: its protection is {:?}, which needs a secret; give the cache one with `entry_secrets`",
                self.name, self.protection
            ))
        })
    }

    /// Checks the policy, the breaker, the keys of a load and both time-outs. Returns the load time-out.
    fn checked_load_timeout(&self) -> Result<Duration, Error> {
        let wrong = |what: &str, value: Duration, allowed: String| {
            Error::config(format!("class {:?}: {what} {value:?}: allowed is {allowed}", self.name))
        };
        if let Some(wrong) = self.policy.error(self.is_memory_only).or_else(|| self.breaker?.error()) {
            return Err(Error::config(format!("class {:?}: {wrong}", self.name)));
        }
        if self.load_keys_max == 0 {
            return Err(Error::config(format!(
                "class {:?}: load_keys_max 0: allowed is at least 1",
                self.name
            )));
        }
        let (shortest, load) = (Duration::from_millis(1), self.load_timeout);
        if let Some(load) = load.filter(|load| !(shortest..=LOAD_TIMEOUT_MAX).contains(load)) {
            return Err(wrong("load_timeout", load, format!("{shortest:?} to {LOAD_TIMEOUT_MAX:?}")));
        }
        let load = load.unwrap_or(self.cache.engine.limits.load_timeout);
        match self.soft_timeout.filter(|soft| !(shortest..load).contains(soft)) {
            Some(soft) => {
                let allowed = format!("at least {shortest:?} and less than the load_timeout, {load:?}");
                Err(wrong("soft_timeout", soft, allowed))
            }
            None => Ok(load),
        }
    }

    fn open_with(
        self,
        common: impl FnOnce(&str, Declaration) -> Result<Arc<ClassState>, Error>,
    ) -> Result<Class<K, V>, Error> {
        if self.codec == Codec::Raw && !Coder::is_raw::<V>() {
            return Err(Error::config(format!(
                "class {:?}: Codec::Raw with values of type {}: allowed are Vec<u8>, String and bytes::Bytes",
                self.name,
                std::any::type_name::<V>()
            )));
        }
        let declaration = self.declaration();
        self.check_by_hand(&declaration.shown)?;
        let namespace: &Namespace = &self.cache.namespace;
        let tags_in = |slot_range| {
            let mut tags = vec![namespace.tag_key_in(&self.name, slot_range)];
            for tag in &self.tags {
                let tag = namespace.tag_key_in(tag, slot_range);
                if !tags.contains(&tag) {
                    tags.push(tag);
                }
            }
            Tags::from(tags)
        };
        let tags: Arc<[Tags]> = namespace.slot_ranges().map(tags_in).collect();
        if let (Some(shared), false) = (&self.cache.engine.shared, self.is_memory_only) {
            shared.remote.allow_value_bytes(self.max_value_bytes);
        }
        let secrecy = KeySecrecy {
            is_secret: self.is_memory_only || self.protection == Protection::Sealed,
            has_key_tags: self.tags_of.is_some(),
        };
        self.cache.engine.events.note_class(&self.name, secrecy);
        let core = Arc::new(ClassCore {
            prefix: namespace.class_prefix(&self.name)?,
            sealer: self.sealer()?,
            load_timeout: self.checked_load_timeout()?,
            soft_timeout: self.soft_timeout,
            consistency: self.consistency,
            // `common` registers the class. It is called last, so that a class that is refused is not registered.
            common: common(&self.name, declaration)?,
            events: self.cache.engine.events.clone(),
            max_value_bytes: self.max_value_bytes,
            compress_above: self.compress_above,
            load_keys_max: self.load_keys_max,
            memory_of: self.memory_of,
            name: self.name,
            declared_policy: self.policy,
            coder: Coder::of::<V>(self.codec),
            version: self.version,
            is_memory_only: self.is_memory_only,
            is_audited: self.is_audited,
        });
        let engine = self.cache.engine.clone();
        Ok(Class { engine, core, tags, tags_of: self.tags_of, types: PhantomData })
    }
}

/// Returns the groups of the tags that `tags_of` returns for one sample key. The flag is true if entries may have other
/// tags: the key type has no sample, the closure panics or returns no tag, or one of its tags has no group.
fn groups_of<K: Key + ?Sized>(tags_of: &TagsOf<K>) -> (Vec<TagGroup>, bool) {
    // The application's closure may panic for a key that the application never makes. The groups are then unknown.
    let tags = K::sample().and_then(|sample| catch_unwind(AssertUnwindSafe(|| tags_of(&sample))).ok());
    let tags = tags.unwrap_or_default();
    let groups: Vec<_> = tags.iter().filter_map(Tag::group).collect();
    let has_unknown_tags = tags.is_empty() || groups.len() < tags.len();
    (groups, has_unknown_tags)
}

impl<K: ?Sized, V> fmt::Debug for ClassBuilder<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClassBuilder")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
