//! A model of one Redis server: keys, tracking, the undelivered messages of each connection, and the effects of
//! larder's scripts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use larder::protocol::frame::{Frame, fingerprint};
use larder::protocol::tag::TagToken;
use larder::protocol::token::Token;

/// A connection: its index in [`Redis::wires`].
pub type Connection = usize;

/// A message from Redis on a connection. Messages arrive in the order in which they were sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sent {
    /// A tracked key changed.
    Push(Bytes),
    /// The reply to task `to`'s read.
    Values {
        /// The task that sent the read.
        to: usize,
        /// One value for each key.
        values: Vec<Option<Bytes>>,
    },
    /// The reply to writer `to`'s UNLINK.
    Unlinked {
        /// The writer that sent the UNLINK.
        to: usize,
    },
}

/// One server in the default tracking mode: a read registers its connection for the keys that it names. The next change
/// of such a key, by any client, sends a push to every registered connection and removes the registrations.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Redis {
    keys: BTreeMap<Bytes, Bytes>,
    trackers: BTreeMap<Bytes, BTreeSet<Connection>>,
    /// For each connection, the messages that Redis has sent and the client has not handled yet.
    pub wires: Vec<VecDeque<Sent>>,
}

impl Redis {
    /// An empty server with `connections`.
    pub fn new(connections: usize) -> Self {
        Redis { wires: vec![VecDeque::new(); connections], ..Redis::default() }
    }

    /// The value of `key`, for the model's own checks: it registers no tracking.
    pub fn peek(&self, key: &[u8]) -> Option<&Bytes> {
        self.keys.get(key)
    }

    /// All keys that exist.
    pub fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.keys.keys()
    }

    /// MGET on a tracking connection.
    pub fn read(&mut self, from: Connection, keys: &[Bytes]) -> Vec<Option<Bytes>> {
        for key in keys {
            self.trackers.entry(key.clone()).or_default().insert(from);
        }
        keys.iter().map(|key| self.keys.get(key).cloned()).collect()
    }

    /// SET.
    pub fn set(&mut self, key: &Bytes, value: Bytes) {
        self.keys.insert(key.clone(), value);
        self.changed(key);
    }

    /// `SET key value NX GET`: returns the existing value; `None` if `value` was set.
    pub fn set_if_missing(&mut self, key: &Bytes, value: Bytes) -> Option<Bytes> {
        let existing = self.keys.get(key).cloned();
        if existing.is_none() {
            self.set(key, value);
        }
        existing
    }

    /// LEASE: returns the value of the key after the script.
    pub fn lease(&mut self, key: &Bytes, token: Token, replace: Option<&Bytes>) -> Bytes {
        self.set_frame(key, token.lease_frame(), replace)
    }

    /// LEASE with any frame.
    pub fn set_frame(&mut self, key: &Bytes, frame: Bytes, replace: Option<&Bytes>) -> Bytes {
        match self.keys.get(key) {
            Some(existing) if replace != Some(&fingerprint(existing)) => existing.clone(),
            _ => {
                self.set(key, frame.clone());
                frame
            }
        }
    }

    /// PERMIT: if the key has a permit, the caller shares it. Permits do not expire here, because the model has no
    /// time.
    pub fn permit(&mut self, key: &Bytes, token: Token, replace: Option<&Bytes>) -> Bytes {
        match self.keys.get(key).map(Frame::parse) {
            Some(Ok(Frame::Permit(existing))) => existing.permit_frame(),
            _ => self.set_frame(key, token.permit_frame(), replace),
        }
    }

    /// PUT: sets the entry if the key still has the frame with the fingerprint `existing` and the tags still have these
    /// tokens. Returns whether it did.
    pub fn put(&mut self, key: &Bytes, existing: &Bytes, tags: &[TagToken], frame: Bytes) -> bool {
        let may = self.has_frame(key, existing) && self.has_tags(tags);
        if may {
            self.set(key, frame);
        }
        may
    }

    /// FILL: sets the entry if the key still holds the lease. Returns whether it did.
    pub fn fill(&mut self, key: &Bytes, token: Token, frame: Bytes) -> bool {
        let is_held = self.keys.get(key) == Some(&token.lease_frame());
        if is_held {
            self.set(key, frame);
        }
        is_held
    }

    /// RENEW: extends the lease and returns `true` if the key still holds the lease, the tags still have these tokens,
    /// and the key in `entry` still has the frame with that fingerprint. If the key holds the lease and one of the
    /// others has changed, unlinks the lease. A new TTL is a change of the key, so Redis sends a push.
    pub fn renew(
        &mut self,
        key: &Bytes,
        token: Token,
        tags: &[TagToken],
        entry: Option<&(Bytes, Bytes)>,
    ) -> bool {
        let is_held = self.keys.get(key) == Some(&token.lease_frame());
        let has_tags = self.has_tags(tags);
        let has_entry = entry.is_none_or(|(key, existing)| self.has_frame(key, existing));
        match (is_held, has_tags && has_entry) {
            (true, true) => self.changed(key),
            (true, false) => self.unlink(key),
            (false, _) => {}
        }
        is_held && self.keys.contains_key(key)
    }

    fn has_tags(&self, tags: &[TagToken]) -> bool {
        tags.iter().all(|taken| self.keys.get(taken.tag.as_bytes()) == Some(&taken.token.tag_frame()))
    }

    /// Whether the frame under `key` has the fingerprint `existing`.
    fn has_frame(&self, key: &Bytes, existing: &Bytes) -> bool {
        self.keys.get(key).map(fingerprint).as_ref() == Some(existing)
    }

    /// RELEASE: unlinks the key if it still holds the lease.
    pub fn release(&mut self, key: &Bytes, token: Token) {
        if self.keys.get(key) == Some(&token.lease_frame()) {
            self.unlink(key);
        }
    }

    /// UNLINK, an eviction or an expiry. Redis sends a push only if the key existed.
    pub fn unlink(&mut self, key: &Bytes) {
        if self.keys.remove(key).is_some() {
            self.changed(key);
        }
    }

    /// The connection breaks: undelivered messages are lost and its tracking ends.
    pub fn lose(&mut self, connection: Connection) {
        self.wires[connection].clear();
        self.trackers.values_mut().for_each(|who| {
            who.remove(&connection);
        });
        self.trackers.retain(|_, who| !who.is_empty());
    }

    /// FLUSHALL. It sends no push: only the failover model uses it, and that has no tracking connections.
    pub fn flush(&mut self) {
        self.keys.clear();
        self.trackers.clear();
    }

    fn changed(&mut self, key: &Bytes) {
        for connection in self.trackers.remove(key).unwrap_or_default() {
            self.wires[connection].push_back(Sent::Push(key.clone()));
        }
    }
}
