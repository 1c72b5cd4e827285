//! A Redis as far as the protocol can tell: keys, what each connection tracks, its wire, and the scripts' mirrors.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use larder::protocol::frame::{Frame, fingerprint};
use larder::protocol::tag::TagToken;
use larder::protocol::token::Token;

/// A connection, named by its place among the wires.
pub type Connection = usize;

/// What Redis sent on a connection, in its order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sent {
    /// A tracked key changed.
    Push(Bytes),
    /// The reply to task `to`'s read.
    Values {
        /// Who asked.
        to: usize,
        /// One value a key.
        values: Vec<Option<Bytes>>,
    },
    /// The reply to writer `to`'s UNLINK.
    Unlinked {
        /// Who asked.
        to: usize,
    },
}

/// One server. Default tracking mode: a read registers its connection for the keys it named, the next change of such
/// a key is pushed to all who are registered, whoever changed it, and forgets them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Redis {
    keys: BTreeMap<Bytes, Bytes>,
    trackers: BTreeMap<Bytes, BTreeSet<Connection>>,
    /// What each connection has been sent and has not handled yet.
    pub wires: Vec<VecDeque<Sent>>,
}

impl Redis {
    /// An empty server with `connections`.
    pub fn new(connections: usize) -> Self {
        Redis { wires: vec![VecDeque::new(); connections], ..Redis::default() }
    }

    /// What stands under `key`, as nobody's command sees it.
    pub fn peek(&self, key: &[u8]) -> Option<&Bytes> {
        self.keys.get(key)
    }

    /// All keys that stand.
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

    /// `SET key value NX GET`: what stood there, and nothing when `value` was set.
    pub fn set_if_missing(&mut self, key: &Bytes, value: Bytes) -> Option<Bytes> {
        let standing = self.keys.get(key).cloned();
        if standing.is_none() {
            self.set(key, value);
        }
        standing
    }

    /// LEASE: what stands under the key now.
    pub fn lease(&mut self, key: &Bytes, token: Token, replace: Option<&Bytes>) -> Bytes {
        self.plant(key, token.lease_frame(), replace)
    }

    /// LEASE, with whatever frame.
    pub fn plant(&mut self, key: &Bytes, frame: Bytes, replace: Option<&Bytes>) -> Bytes {
        match self.keys.get(key) {
            Some(standing) if replace != Some(&fingerprint(standing)) => standing.clone(),
            _ => {
                self.set(key, frame.clone());
                frame
            }
        }
    }

    /// PERMIT: one that stands there already is shared. Time stands still here.
    pub fn permit(&mut self, key: &Bytes, token: Token, replace: Option<&Bytes>) -> Bytes {
        match self.keys.get(key).map(Frame::parse) {
            Some(Ok(Frame::Permit(standing))) => standing.permit_frame(),
            _ => self.plant(key, token.permit_frame(), replace),
        }
    }

    /// PUT: whether what `standing` fingerprints and the tags' tokens still stood.
    pub fn put(&mut self, key: &Bytes, standing: &Bytes, tags: &[TagToken], frame: Bytes) -> bool {
        let is_there = self.keys.get(key).map(fingerprint).as_ref() == Some(standing);
        let stands = |taken: &TagToken| self.keys.get(taken.tag.as_bytes()) == Some(&taken.token.tag_frame());
        let may = is_there && tags.iter().all(stands);
        if may {
            self.set(key, frame);
        }
        may
    }

    /// FILL: whether the lease still stood.
    pub fn fill(&mut self, key: &Bytes, token: Token, frame: Bytes) -> bool {
        let stands = self.keys.get(key) == Some(&token.lease_frame());
        if stands {
            self.set(key, frame);
        }
        stands
    }

    /// RELEASE.
    pub fn release(&mut self, key: &Bytes, token: Token) {
        if self.keys.get(key) == Some(&token.lease_frame()) {
            self.unlink(key);
        }
    }

    /// UNLINK, an eviction, an expiry: a key that is gone is pushed; one that was not there is not.
    pub fn unlink(&mut self, key: &Bytes) {
        if self.keys.remove(key).is_some() {
            self.changed(key);
        }
    }

    /// The connection broke: what it had not delivered is lost, and it tracks nothing.
    pub fn lose(&mut self, connection: Connection) {
        self.wires[connection].clear();
        self.trackers.values_mut().for_each(|who| {
            who.remove(&connection);
        });
        self.trackers.retain(|_, who| !who.is_empty());
    }

    /// FLUSHALL; the failover's models have no tracking connections, so that nobody is told.
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
