//! Loads that fail, and the reads that get the last known entry in place of the error: `Engine::last_known`.
//!
//! Such a read looks its entry up after the failure, so its answer must contain what was acknowledged by then, and not
//! only what was acknowledged when the read began.

use bytes::Bytes;
use larder::policy::Consistency;
use larder::protocol::flight::FlightId;
use larder::protocol::lease::{AfterRead, after_read};
use larder::protocol::rules::ProtocolRule;
use larder::protocol::shard::Seq;

use crate::model::coherence::phase::{Phase, flight};
use crate::model::coherence::state::{State, expected, key, place, refresh_key, token_of, version_of};
use crate::model::coherence::{Branch, Coherence};

impl State {
    /// Whether the read runs a loader that may fail now. Loads under an anchor (`Phase::Watched`) are left out: a
    /// memory-only class serves no stale entry if its load fails.
    pub(super) fn may_fail(&self, nth: usize) -> bool {
        let phase = &self.readers[nth].phase;
        let is_loading =
            matches!(phase, Phase::Held { .. } | Phase::Replacing(..) | Phase::DirectHeld { .. });
        self.left.load_failures > 0 && is_loading
    }

    /// The loader returns an error. The leader, its followers, and the bounded reads that wait for the end of the
    /// flight get this error. Of these reads, the fresh ones return it, and the bounded ones look for the last known
    /// entry. A fresh read that waits for the end of the flight decides again.
    pub(super) fn fail_load(&mut self, model: &Coherence, nth: usize) {
        model.take(Branch::LoadFailed);
        self.left.load_failures -= 1;
        self.release_hold(nth);
        let (at, id) = (self.readers[nth].instance, flight(&self.readers[nth].phase));
        self.instances[at].shards[place(&key())].end_flight(&key(), id);
        for other in 0..self.readers.len() {
            let read = &self.readers[other];
            let is_bounded = read.consistency == Consistency::Bounded;
            match read.phase {
                _ if other == nth => self.get_error(other),
                _ if read.instance != at => {}
                Phase::Joined(joined) if joined == id => self.get_error(other),
                Phase::After(of) if of == id && is_bounded => self.get_error(other),
                Phase::After(of) if of == id => self.readers[other].phase = Phase::Arrived,
                _ => {}
            }
        }
    }

    fn get_error(&mut self, nth: usize) {
        let read = &mut self.readers[nth];
        if read.consistency == Consistency::Fresh {
            self.finish(nth);
            return;
        }
        read.must_own = self.instances[read.instance].own;
        (read.phase, read.arrival, read.snapshot) = (Phase::Failed, FlightId(0), 0);
        (read.has_failed, read.is_cut, read.is_aged) = (true, false, false);
    }

    /// Looks for a valid entry in memory, then asks Redis.
    pub(super) fn recall(&mut self, model: &Coherence, nth: usize) {
        let read = &self.readers[nth];
        let instance = &self.instances[read.instance];
        let before = read.before.filter(|_| !model.rules.keeps(ProtocolRule::ServesStaleOnlyValid));
        match before.or_else(|| instance.get()) {
            Some(version) => {
                model.take(Branch::KnownToMemory);
                self.answer(nth, version);
            }
            // The read leads no flight, so it sends an id that no flight has.
            None if instance.is_usable => self.send(model, nth, FlightId(0)),
            None => self.go_without(model, nth),
        }
    }

    /// Handles the reply of Redis. `reply` is `None` if Redis was lost meanwhile.
    pub(super) fn take_known(
        &mut self,
        model: &Coherence,
        nth: usize,
        reply: Option<(&[Seq], &[Option<Bytes>])>,
    ) {
        let Some((marks, values)) = reply else { return self.go_without(model, nth) };
        let token = values.get(1).and_then(|value| token_of(value.as_ref()));
        match after_read(values[0].as_ref(), expected(model.tagged), |_| token) {
            AfterRead::Serve(entry) => {
                model.take(Branch::KnownToRedis);
                self.accept(model, self.readers[nth].instance, marks, token, &entry);
                self.answer(nth, version_of(&entry));
            }
            AfterRead::Wait | AfterRead::Acquire { .. } => self.go_without(model, nth),
        }
    }

    /// The read returns the error of its load.
    fn go_without(&mut self, model: &Coherence, nth: usize) {
        model.take(Branch::Unknown);
        self.finish(nth);
    }

    /// Models the drop of `LeaseHold`, which releases the lease in Redis.
    pub(super) fn release_hold(&mut self, nth: usize) {
        match &self.readers[nth].phase {
            Phase::Held { lease, .. } | Phase::Loaded { lease, .. } | Phase::Minting { mine: lease, .. } => {
                self.redis.release(&key(), *lease);
            }
            Phase::Replacing(_, right) | Phase::Replaced(_, right, _) => {
                self.redis.release(&refresh_key(), right.lease);
            }
            _ => {}
        }
    }
}
