//! Sends events to whichever tasks have subscribed; see `events`.
//!
//! Invariants, each checked by the test of the same name:
//! - `a_slow_subscriber_delays_no_read_and_learns_how_much_it_missed`
//! - `no_event_names_a_key_of_a_secret_class`

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use futures_util::stream::{StreamExt, unfold};
use tokio::sync::broadcast::Sender;
use tokio::sync::broadcast::error::RecvError;

use crate::batch::Batch;
use crate::cause::{Cause, ObservesInvalidations};
use crate::events::{EntryName, Event, Events, HitSource, InvalidatedScope};
use crate::key::Namespace;
use crate::pattern::Pattern;
use crate::protocol::tag::TagKey;

/// How many events a subscriber can be behind before it misses some.
const EVENTS_MAX: usize = 4_096;

/// Counts one subscriber until it is dropped.
struct Subscription(Arc<AtomicUsize>);

impl Drop for Subscription {
    fn drop(&mut self) {
        // Relaxed: see `Channel::is_observed`.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A bounded broadcast. It is made for the first subscriber, so that a cache without one has no buffer.
#[derive(Default)]
struct Channel {
    subscribers: Arc<AtomicUsize>,
    sender: OnceLock<Sender<Event>>,
}

impl Channel {
    /// All that a read without a subscriber pays. Relaxed: the count guards no other data, and a read at the moment of
    /// the subscription may be left out.
    #[inline]
    fn is_observed(&self) -> bool {
        self.subscribers.load(Ordering::Relaxed) > 0
    }

    fn send(&self, event: &Event) {
        if let Some(sender) = self.sender.get().filter(|_| self.is_observed()) {
            // It never waits: the oldest event is overwritten. An error means that the last subscriber has just left.
            let _ = sender.send(event.clone());
        }
    }

    fn subscribe(&self) -> Events {
        let receiver = self.sender.get_or_init(|| Sender::new(EVENTS_MAX)).subscribe();
        self.subscribers.fetch_add(1, Ordering::Relaxed);
        // The subscription is a part of the stream's state, so it ends with the stream.
        let state = (receiver, Subscription(self.subscribers.clone()));
        let events = unfold(state, |mut state| async move {
            match state.0.recv().await {
                Ok(event) => Some((event, state)),
                Err(RecvError::Lagged(missed)) => Some((Event::Missed(missed), state)),
                Err(RecvError::Closed) => None,
            }
        });
        Events { events: events.fuse().boxed() }
    }
}

/// What may be said about the keys of a class.
#[derive(Clone, Copy)]
pub(crate) struct KeySecrecy {
    pub(crate) is_secret: bool,
    /// Whether its entries have tags that are made of their keys.
    pub(crate) has_key_tags: bool,
}

/// Sends the events of one cache.
pub(crate) struct EventSender {
    namespace: Arc<Namespace>,
    all: Channel,
    without_hits: Channel,
    without_reads: Channel,
    /// The classes that were opened. The lock is held for a look-up, only while there is a subscriber. It is a leaf: an
    /// eviction is reported under a shard's lock, and under this one no other lock is taken.
    classes: RwLock<HashMap<String, KeySecrecy>>,
}

impl EventSender {
    pub(crate) fn new(namespace: Arc<Namespace>) -> Self {
        let [all, without_hits, without_reads] = std::array::from_fn(|_| Channel::default());
        EventSender { namespace, all, without_hits, without_reads, classes: RwLock::default() }
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    pub(crate) fn subscribe(&self) -> Events {
        self.all.subscribe()
    }

    pub(crate) fn subscribe_without_hits(&self) -> Events {
        self.without_hits.subscribe()
    }

    pub(crate) fn subscribe_without_reads(&self) -> Events {
        self.without_reads.subscribe()
    }

    /// Notes a class that is open. If two handles of one name differ, the stricter one counts.
    pub(crate) fn note_class(&self, name: &str, secrecy: KeySecrecy) {
        let mut classes = self.classes.write().unwrap_or_else(PoisonError::into_inner);
        let known = classes.entry(name.to_owned()).or_insert(secrecy);
        known.is_secret |= secrecy.is_secret;
        known.has_key_tags |= secrecy.has_key_tags;
    }

    /// Sends a hit, if a subscriber wants hits.
    #[inline]
    pub(crate) fn hit(&self, key: &[u8], source: HitSource, is_absent: bool, is_stale: bool) {
        if self.all.is_observed() {
            self.all.send(&Event::Hit { entry: self.entry(key), source, is_absent, is_stale });
        }
    }

    /// Sends what a read did and is no hit. `event` runs only if there is a subscriber to it.
    pub(crate) fn send_of_read(&self, event: impl FnOnce(&Self) -> Event) {
        if self.all.is_observed() || self.without_hits.is_observed() {
            let event = event(self);
            self.all.send(&event);
            self.without_hits.send(&event);
        }
    }

    /// Sends what no read did. `event` runs only if there is a subscriber.
    pub(crate) fn send(&self, event: impl FnOnce(&Self) -> Event) {
        if self.is_observed() {
            let event = event(self);
            self.all.send(&event);
            self.without_hits.send(&event);
            self.without_reads.send(&event);
        }
    }

    /// What sends that memory evicted the entry under a key.
    pub(crate) fn eviction_report(self: &Arc<Self>) -> impl Fn(&[u8]) + Send + Sync + use<> {
        let events = self.clone();
        move |key| events.send_of_read(|events| Event::Evicted { entry: events.entry(key) })
    }

    fn is_observed(&self) -> bool {
        self.all.is_observed() || self.without_hits.is_observed() || self.without_reads.is_observed()
    }

    /// The name of the entry under `key`, as the engine spells keys.
    pub(crate) fn entry(&self, key: &[u8]) -> EntryName {
        let class = self.namespace.class_of(key).unwrap_or_default();
        let is_shown = self.classes().get(&class).is_some_and(|class| !class.is_secret);
        let text = String::from_utf8_lossy(key);
        // `namespace:class:parts`; neither a namespace nor an encoded class contains a colon.
        let parts = is_shown.then(|| text.splitn(3, ':').nth(2).unwrap_or_default().to_owned());
        EntryName { class, key: parts }
    }

    fn classes(&self) -> RwLockReadGuard<'_, HashMap<String, KeySecrecy>> {
        self.classes.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scope of the tag `name`. Tags may be made of keys, so the texts of tags are hidden if a secret class has such.
    fn tag_scope(&self, name: String) -> InvalidatedScope {
        let classes = self.classes();
        if classes.contains_key(&name) {
            return InvalidatedScope::Class(name);
        }
        let is_hidden = classes.values().any(|class| class.is_secret && class.has_key_tags);
        InvalidatedScope::Tag((!is_hidden).then_some(name))
    }

    /// Sends one event for each part of an invalidation.
    fn send_batch(&self, Batch { keys, tags, patterns, everything }: &Batch, cause: Cause) {
        let has_secrets = self.classes().values().any(|class| class.is_secret);
        let matching =
            |pattern: &Pattern| InvalidatedScope::Matching((!has_secrets).then(|| pattern.to_string()));
        let keys = keys.iter().map(|key| InvalidatedScope::Entry(self.entry(key)));
        let tags = tags.iter().map(|tag| self.tag_scope(self.namespace.tag_name(tag)));
        let everything = everything.then_some(InvalidatedScope::Everything);
        for scope in keys.chain(tags).chain(patterns.iter().map(matching)).chain(everything) {
            self.send(|_| Event::Invalidated { scope, cause });
        }
    }
}

impl ObservesInvalidations for EventSender {
    fn invalidated(&self, batch: &Batch, cause: Cause) {
        if self.is_observed() {
            self.send_batch(batch, cause);
        }
    }

    fn pushed(&self, key: &[u8]) {
        self.send(|events| {
            let scope = match events.namespace.class_of(key) {
                Some(_) => InvalidatedScope::Entry(events.entry(key)),
                None => {
                    events.tag_scope(events.namespace.tag_name(&TagKey::from(Bytes::copy_from_slice(key))))
                }
            };
            Event::Invalidated { scope, cause: Cause::Push }
        });
    }
}
