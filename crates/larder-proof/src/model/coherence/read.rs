//! The steps of the read path: those of `engine::read` and `engine::redis_read`.

use std::time::Duration;

use bytes::Bytes;
use larder::clock::Tick;
use larder::policy::Consistency;
use larder::protocol::flight::{FlightId, JoinDecision};
use larder::protocol::frame::Entry;
use larder::protocol::lease::{AfterLease, AfterRead, after_lease, after_read};
use larder::protocol::rules::ProtocolRule;
use larder::protocol::shard::Seq;
use larder::protocol::tag::{TagKey, TagToken};
use larder::protocol::token::Token;

use crate::model::coherence::phase::{Phase, flight};
use crate::model::coherence::state::{
    Slot, State, copy_of, expected, key, keys, place, tag, tags_of, token_of, version_of,
};
use crate::model::coherence::{Action, Branch, Coherence};
use crate::model::redis::Sent;

/// The model has no time: every flight begins at this instant, and every read compares with it, so a flight is always
/// younger than `BOUND`.
const NOW: Tick = Tick::PAST;
const BOUND: Duration = Duration::from_secs(2);

impl State {
    pub(super) fn reads(&self, model: &Coherence, actions: &mut Vec<Action>) {
        if let Some(next) = self.readers.iter().position(|read| read.phase == Phase::Before) {
            actions.push(Action::Arrive(next));
            if self.left.reloads > 0 && self.may_find_aged(next) {
                actions.push(Action::ArriveAged(next));
            }
        }
        for (nth, read) in self.readers.iter().enumerate() {
            match read.phase {
                Phase::Before | Phase::Done | Phase::Joined(_) | Phase::After(_) | Phase::Asked(..) => {}
                Phase::Arrived => actions.push(Action::DecideJoin(nth)),
                Phase::Failed => actions.push(Action::Recall(nth)),
                Phase::Replied(..) => {
                    actions.push(Action::Take(nth));
                    if self.may_reload(model, nth) {
                        actions.push(Action::TakeAged(nth));
                    }
                }
                Phase::Waiting(_) => actions.extend([Action::Ask(nth), Action::GiveUp(nth)]),
                Phase::SettingAnchor { .. } => actions.push(Action::SetAnchor(nth)),
                Phase::Leasing { .. } => actions.push(Action::Lease(nth)),
                Phase::Minting { .. } => actions.push(Action::Mint(nth)),
                Phase::Held { .. }
                | Phase::Replacing(..)
                | Phase::Watched { .. }
                | Phase::Direct { .. }
                | Phase::DirectHeld { .. } => {
                    actions.push(Action::Load(nth));
                }
                Phase::Loaded { .. }
                | Phase::Replaced(..)
                | Phase::WatchedLoaded { .. }
                | Phase::DirectLoaded { .. } => {
                    actions.push(Action::Fill(nth));
                }
            }
            let is_leased = matches!(
                read.phase,
                Phase::Held { .. } | Phase::Loaded { .. } | Phase::Replacing(..) | Phase::Replaced(..)
            );
            if is_leased && self.left.crashes > 0 {
                actions.push(Action::Crash(nth));
            }
            if is_leased && self.left.renewals > 0 {
                actions.push(Action::Renew(nth));
            }
            if self.may_fail(nth) {
                actions.push(Action::FailLoad(nth));
            }
        }
        self.departures(actions);
    }

    /// The read begins. Its answer must contain what is acknowledged now.
    pub(super) fn arrive(&mut self, model: &Coherence, nth: usize) {
        self.begin_read(nth);
        let read = &self.readers[nth];
        let instance = &self.instances[read.instance];
        if read.consistency == Consistency::Bounded {
            match instance.get() {
                Some(version) => {
                    model.take(Branch::MemoryHit);
                    self.answer(nth, version);
                }
                None if instance.memory.contains_key(&key()[..]) && instance.is_usable => {
                    model.take(Branch::TagGone);
                }
                None => {}
            }
        }
    }

    pub(super) fn begin_read(&mut self, nth: usize) {
        let read = &mut self.readers[nth];
        let instance = &self.instances[read.instance];
        (read.must_own, read.snapshot) = (instance.own, self.database);
        if read.consistency == Consistency::Fresh {
            read.must_fresh = self.acknowledged;
        }
        read.arrival = FlightId(instance.next_flight);
        read.phase = Phase::Arrived;
    }

    pub(super) fn decide_join(&mut self, model: &Coherence, nth: usize) {
        let read = &mut self.readers[nth];
        let instance = &mut self.instances[read.instance];
        let shard = &mut instance.shards[place(&key())];
        match shard.decide_join(&key(), read.consistency, read.arrival, NOW, BOUND) {
            JoinDecision::Join(leader) => {
                model.take(Branch::Joined);
                self.readers[nth].phase = Phase::Joined(flight(&self.readers[leader].phase));
            }
            JoinDecision::Wait(leader) => {
                model.take(Branch::WaitedAfter);
                self.readers[nth].phase = Phase::After(flight(&self.readers[leader].phase));
            }
            JoinDecision::Lead(()) => {
                let id = FlightId(instance.next_flight);
                instance.next_flight += 1;
                shard.begin_flight(key(), id, NOW, tags_of(model.tagged), nth);
                read.is_cut = false;
                if instance.is_usable {
                    self.send(model, nth, id);
                } else {
                    read.phase = Phase::Direct { id };
                }
            }
        }
    }

    pub(super) fn ask(&mut self, model: &Coherence, nth: usize) {
        let id = flight(&self.readers[nth].phase);
        self.send(model, nth, id);
    }

    /// Records the sequences and sends the tracked read in one step. Two steps would show nothing more: a push between
    /// them only makes memory refuse the copy.
    pub(super) fn send(&mut self, model: &Coherence, nth: usize, id: FlightId) {
        let from = self.readers[nth].instance;
        let keys = keys(model.tagged);
        if model.anchored {
            self.watch(model, nth);
        }
        let marks: Vec<Seq> = keys.iter().map(|key| self.instances[from].shards[place(key)].seq()).collect();
        let values = self.redis.read(from, &keys);
        self.redis.wires[from].push_back(Sent::Values { to: nth, values });
        self.readers[nth].phase = Phase::Asked(id, marks);
    }

    /// The connection's reader handles the next message.
    pub(super) fn deliver(&mut self, instance: usize) {
        match self.redis.wires[instance].pop_front() {
            Some(Sent::Push(changed)) => self.instances[instance].apply_push(&changed),
            Some(Sent::Values { to, values }) => {
                if let Phase::Asked(id, marks) = &self.readers[to].phase {
                    self.readers[to].phase = Phase::Replied(*id, marks.clone(), values);
                }
            }
            Some(Sent::Unlinked { to }) => self.unlinked(to),
            None => {}
        }
    }

    /// Handles the reply of the tracked read. If `finds_aged`, a valid entry in the reply counts as aged.
    pub(super) fn take(&mut self, model: &Coherence, nth: usize, finds_aged: bool) {
        let Phase::Replied(id, marks, values) = self.readers[nth].phase.clone() else { return };
        let instance = self.readers[nth].instance;
        let is_lost = self.readers[nth].is_cut || !self.instances[instance].is_usable;
        if self.readers[nth].has_failed {
            self.take_known(model, nth, (!is_lost).then_some((&marks, &values)));
            return;
        }
        if is_lost {
            self.unwatch(nth);
            self.readers[nth].phase = Phase::Direct { id };
            return;
        }
        let token = values.get(1).and_then(|value| token_of(value.as_ref()));
        if model.anchored {
            self.take_anchor(model, nth, id, &marks, values[0].as_ref(), token);
            return;
        }
        match after_read(values[0].as_ref(), expected(model.tagged), |_| token) {
            AfterRead::Serve(entry) => {
                self.accept(model, instance, &marks, token, &entry);
                if finds_aged {
                    self.begin_reload(model, nth, id, values[0].as_ref(), entry.header.tags);
                    return;
                }
                model.take(Branch::RedisHit);
                self.end_flight(nth, id, version_of(&entry));
            }
            AfterRead::Wait => {
                model.take(Branch::WaitedForLease);
                self.readers[nth].phase = Phase::Waiting(id);
            }
            AfterRead::Acquire { replace, .. } => {
                self.readers[nth].phase = Phase::Leasing { id, replace, token };
            }
        }
    }

    /// Models `Engine::accept_entry`: a valid entry from a tracked read enters memory.
    pub(super) fn accept(
        &mut self,
        model: &Coherence,
        instance: usize,
        marks: &[Seq],
        token: Option<Token>,
        entry: &Entry,
    ) {
        if let Some(token) = token {
            let slot = Slot::Token { token, is_tracked: true };
            self.insert_tracked(model, instance, marks[1], tag().to_bytes(), slot);
        }
        self.insert_tracked(model, instance, marks[0], key(), copy_of(entry));
    }

    pub(super) fn insert_tracked(
        &mut self,
        model: &Coherence,
        instance: usize,
        mark: Seq,
        key: Bytes,
        slot: Slot,
    ) {
        let instance = &mut self.instances[instance];
        if instance.shards[place(&key)].may_insert(mark) {
            model.take(Branch::Inserted);
            instance.shards[place(&key)].void_permits(&key);
            instance.memory.insert(key, slot);
        } else {
            model.take(Branch::InsertRefused);
        }
    }

    pub(super) fn lease(&mut self, model: &Coherence, nth: usize) {
        let Phase::Leasing { id, replace, token } = self.readers[nth].phase.clone() else { return };
        let mine = self.fresh_token(nth, 0);
        let has_frame = self.redis.peek(&key()).is_some();
        let existing = self.redis.lease(&key(), mine, replace.as_ref());
        if has_frame && existing == mine.lease_frame() {
            model.take(Branch::Replaced);
        }
        if model.tagged && token.is_none() {
            self.readers[nth].phase = Phase::Minting { id, existing, mine };
        } else {
            self.leased(model, nth, id, &existing, mine, token);
        }
    }

    pub(super) fn mint(&mut self, model: &Coherence, nth: usize) {
        let Phase::Minting { id, existing, mine } = self.readers[nth].phase.clone() else { return };
        let minted = self.fresh_token(nth, 1);
        let before = self.redis.set_if_missing(&tag().to_bytes(), minted.tag_frame());
        model.take(if before.is_none() { Branch::Minted } else { Branch::MintedByAnother });
        let token = before.map_or(Some(minted), |before| token_of(Some(&before)));
        self.leased(model, nth, id, &existing, mine, token);
    }

    fn leased(
        &mut self,
        model: &Coherence,
        nth: usize,
        id: FlightId,
        existing: &Bytes,
        mine: Token,
        token: Option<Token>,
    ) {
        let instance = self.readers[nth].instance;
        self.readers[nth].tokens += 1;
        if self.readers[nth].is_cut || !self.instances[instance].is_usable {
            // The product drops its `LeaseHold` here, which releases the lease.
            self.redis.release(&key(), mine);
            self.readers[nth].phase = Phase::Direct { id };
            return;
        }
        match after_lease(existing, mine, expected(model.tagged), |_| token) {
            AfterLease::Load => {
                let taken = |tag: &TagKey| Some(TagToken { tag: tag.clone(), token: token? });
                let tags: Vec<TagToken> = tags_of(model.tagged).iter().filter_map(taken).collect();
                self.readers[nth].phase = Phase::Held { id, lease: mine, tags };
            }
            AfterLease::Filled(entry) => {
                model.take(Branch::FilledBeforeLease);
                if !model.rules.keeps(ProtocolRule::InsertsOnlyTracked) {
                    self.insert_unfenced(model, instance, &entry);
                }
                self.readers[nth].phase = Phase::Waiting(id);
            }
            AfterLease::Wait | AfterLease::ReadAgain => self.readers[nth].phase = Phase::Waiting(id),
        }
    }

    /// Models `Engine::insert_unfenced`, which runs only if a rule is broken.
    pub(super) fn insert_unfenced(&mut self, model: &Coherence, instance: usize, entry: &Entry) {
        let mark = self.instances[instance].shards[place(&key())].seq();
        self.insert_tracked(model, instance, mark, key(), copy_of(entry));
    }
}
