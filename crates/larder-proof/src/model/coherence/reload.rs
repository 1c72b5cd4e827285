//! Reads that load before they answer, because their entry has aged: the steps of `engine::refresh` that run in a
//! flight.
//!
//! The model has no time, because the protocol does not depend on which entries have aged. A read may find any valid
//! entry aged, a limited number of times.

use bytes::Bytes;
use larder::policy::Consistency;
use larder::protocol::flight::FlightId;
use larder::protocol::frame::{Frame, fingerprint};
use larder::protocol::rules::ProtocolRule;
use larder::protocol::tag::TagToken;

use crate::model::coherence::phase::{Phase, Replacement, Version};
use crate::model::coherence::state::{State, entry_of, key, place, refresh_key};
use crate::model::coherence::{Branch, Coherence};

impl State {
    /// Whether memory would answer the read, so that it may find the copy aged.
    pub(super) fn may_find_aged(&self, nth: usize) -> bool {
        let read = &self.readers[nth];
        read.consistency == Consistency::Bounded && self.instances[read.instance].get().is_some()
    }

    /// Whether the read may treat the entry in its reply as aged.
    pub(super) fn may_reload(&self, model: &Coherence, nth: usize) -> bool {
        let read = &self.readers[nth];
        let Phase::Replied(.., values) = &read.phase else { return false };
        let is_entry = matches!(values[0].as_ref().map(Frame::parse), Some(Ok(Frame::Entry(_))));
        is_entry && !model.anchored && !read.has_failed && (read.is_aged || self.left.reloads > 0)
    }

    /// The read begins. It will load, although memory has a valid copy, because that copy has aged.
    pub(super) fn arrive_aged(&mut self, model: &Coherence, nth: usize) {
        self.left.reloads -= 1;
        self.begin_read(nth);
        let copy = self.instances[self.readers[nth].instance].get();
        let read = &mut self.readers[nth];
        read.is_aged = true;
        // Models `Engine::known_before`.
        read.before = copy.filter(|_| !model.rules.keeps(ProtocolRule::ServesStaleOnlyValid));
    }

    /// Models `Engine::acquire_replacement`. If another load holds the lease under the refresh key, the read waits and
    /// asks Redis again.
    pub(super) fn begin_reload(
        &mut self,
        model: &Coherence,
        nth: usize,
        id: FlightId,
        entry: Option<&Bytes>,
        tags: Vec<TagToken>,
    ) {
        if !self.readers[nth].is_aged {
            self.left.reloads -= 1;
        }
        let lease = self.fresh_token(nth, 6);
        let is_ours = self.redis.lease(&refresh_key(), lease, None) == lease.lease_frame();
        let read = &mut self.readers[nth];
        read.is_aged = !is_ours;
        if is_ours {
            read.tokens += 1;
            let existing = entry.map(fingerprint).unwrap_or_default();
            read.phase = Phase::Replacing(id, Replacement { existing, tags, lease });
        } else {
            model.take(Branch::RefreshedByAnother);
            read.phase = Phase::Waiting(id);
        }
    }

    /// Models the end of `Engine::load_and_replace`. The engine does not check the epoch before it sends PUT, because
    /// PUT compares the aged entry: a Redis that still has that entry may have the younger value too.
    pub(super) fn replace(&mut self, model: &Coherence, nth: usize, right: &Replacement, version: Version) {
        let frame = entry_of(version, right.tags.clone(), self.fresh_token(nth, 3)).encode();
        let at = self.readers[nth].instance;
        let is_put = self.put_entry(model, at, (&right.existing, &right.tags), frame);
        model.take(if is_put { Branch::Reloaded } else { Branch::ReloadRefused });
        self.redis.release(&refresh_key(), right.lease);
    }

    /// Models `Engine::put_in_redis`.
    pub(super) fn put_entry(
        &mut self,
        model: &Coherence,
        at: usize,
        (existing, tags): (&Bytes, &[TagToken]),
        frame: Bytes,
    ) -> bool {
        let is_put = if model.rules.keeps(ProtocolRule::PutsUnderPermit) {
            self.redis.put(&key(), existing, tags, frame)
        } else {
            self.redis.set(&key(), frame);
            true
        };
        let instance = &mut self.instances[at];
        instance.shards[place(&key())].detach(&key());
        instance.memory.remove(&key());
        is_put
    }
}
