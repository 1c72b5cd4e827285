//! The steps of a load and the end of its flight: those of `engine::load` and `engine::flight`.

use larder::protocol::flight::FlightId;
use larder::protocol::rules::ProtocolRule;
use larder::protocol::tag::TagToken;
use larder::protocol::token::Token;

use crate::model::coherence::phase::{Phase, Read, Version, flight};
use crate::model::coherence::state::{Slot, State, entry_of, key, place, tags_of};
use crate::model::coherence::{Branch, Coherence, Reader};

impl State {
    /// The loader reads the database at this one instant.
    pub(super) fn load(&mut self, model: &Coherence, nth: usize) {
        let read = &self.readers[nth];
        let version =
            if model.rules.keeps(ProtocolRule::LoadsThePresent) { self.database } else { read.snapshot };
        let phase = match read.phase.clone() {
            Phase::Held { id, lease, tags } => Phase::Loaded { id, lease, tags, version },
            Phase::Replacing(id, right) => Phase::Replaced(id, right, version),
            Phase::DirectHeld { id, tags } => Phase::DirectLoaded { id, tags, version },
            Phase::Watched { id, tags } => Phase::WatchedLoaded { id, tags, version },
            Phase::Direct { id } => {
                let (at, minted) = (read.instance, self.fresh_token(nth, 2));
                Phase::DirectHeld { id, tags: self.take_tokens(model, at, minted) }
            }
            other => other,
        };
        self.readers[nth].phase = phase;
    }

    /// Models `LocalTier::take_tokens`.
    pub(super) fn take_tokens(&mut self, model: &Coherence, instance: usize, minted: Token) -> Vec<TagToken> {
        let instance = &mut self.instances[instance];
        let mut taken = Vec::new();
        for tag in tags_of(model.tagged).iter() {
            let token = instance.token(tag).unwrap_or_else(|| {
                model.take(Branch::MintedLocally);
                instance.memory.insert(tag.to_bytes(), Slot::Token { token: minted, is_tracked: false });
                minted
            });
            taken.push(TagToken { tag: tag.clone(), token });
        }
        taken
    }

    pub(super) fn fill(&mut self, model: &Coherence, nth: usize) {
        match self.readers[nth].phase.clone() {
            Phase::Loaded { id, lease, tags, version } => {
                let entry = entry_of(version, tags, self.fresh_token(nth, 3));
                let compares =
                    model.rules.keeps(ProtocolRule::FillComparesLease) && !self.readers[nth].has_left;
                let is_filled = if compares {
                    self.redis.fill(&key(), lease, entry.encode())
                } else {
                    self.redis.set(&key(), entry.encode());
                    true
                };
                model.take(if is_filled { Branch::Filled } else { Branch::FillRefused });
                if is_filled && !model.rules.keeps(ProtocolRule::FillerInsertsNothing) {
                    self.insert_unfenced(model, self.readers[nth].instance, &entry);
                }
                self.end_flight(nth, id, version);
            }
            Phase::Replaced(id, right, version) => {
                self.replace(model, nth, &right, version);
                self.end_flight(nth, id, version);
            }
            Phase::WatchedLoaded { id, tags, version } => {
                self.keep_watched(model, nth, tags, version);
                self.end_flight(nth, id, version);
            }
            Phase::DirectLoaded { id, tags, version } => {
                let instance = &mut self.instances[self.readers[nth].instance];
                if instance.shards[place(&key())].is_attached(&key(), id) {
                    model.take(Branch::InsertedLoaded);
                    instance.shards[place(&key())].void_permits(&key());
                    instance.memory.insert(key(), Slot::Copy { version, tags, is_tracked: false });
                } else {
                    model.take(Branch::LoadedRefused);
                }
                self.end_flight(nth, id, version);
            }
            _ => {}
        }
    }

    /// The reader stops waiting for another load's lease. It loads in this step, and does not fill.
    pub(super) fn give_up(&mut self, model: &Coherence, nth: usize) {
        model.take(Branch::LostPatience);
        let id = flight(&self.readers[nth].phase);
        self.end_flight(nth, id, self.database);
    }

    /// The loader dies while it holds its lease. Its followers decide again.
    pub(super) fn crash(&mut self, nth: usize) {
        self.left.crashes -= 1;
        let id = flight(&self.readers[nth].phase);
        self.readers[nth].phase = Phase::Done;
        self.remove_flight(nth, id, None);
    }

    pub(super) fn end_flight(&mut self, nth: usize, id: FlightId, version: Version) {
        self.answer(nth, version);
        self.remove_flight(nth, id, Some(version));
    }

    /// Removes the flight from the shard, then sends the outcome to its followers.
    pub(super) fn remove_flight(&mut self, nth: usize, id: FlightId, outcome: Option<Version>) {
        self.unwatch(nth);
        let instance = self.readers[nth].instance;
        self.instances[instance].shards[place(&key())].end_flight(&key(), id);
        for follower in 0..self.readers.len() {
            if self.readers[follower].instance != instance {
                continue;
            }
            match (&self.readers[follower].phase, outcome) {
                (Phase::Joined(joined), Some(version)) if *joined == id => self.answer(follower, version),
                (Phase::Joined(other) | Phase::After(other), _) if *other == id => {
                    self.readers[follower].phase = Phase::Arrived;
                }
                _ => {}
            }
        }
    }

    /// Answers the read. If the answer is older than what the read must see, a promise is broken, and `missed` notes
    /// which.
    pub(super) fn answer(&mut self, nth: usize, version: Version) {
        let read = &self.readers[nth];
        self.missed.fresh |= version < read.must_fresh;
        self.missed.own |= version < read.must_own;
        self.finish(nth);
    }

    /// Resets the fields of a read that has ended, so that equal states stay equal.
    pub(super) fn finish(&mut self, nth: usize) {
        let read = &mut self.readers[nth];
        let Read { instance, consistency, .. } = *read;
        *read = Read { phase: Phase::Done, ..Read::new(&Reader { instance, consistency }) };
    }

    /// A unique token that does not depend on the order in which readers draw tokens, so that equal states stay equal.
    pub(super) fn fresh_token(&self, nth: usize, kind: u8) -> Token {
        let mut bytes = [0; 16];
        bytes[..3].copy_from_slice(&[u8::try_from(nth).unwrap_or(u8::MAX), self.readers[nth].tokens, kind]);
        Token::from_bytes(bytes)
    }
}
