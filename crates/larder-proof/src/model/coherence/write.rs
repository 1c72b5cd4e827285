//! The steps of writers, the relay and faults: those of `engine::invalidate`, `remote::validity` and the keeper.

use bytes::Bytes;
use larder::journal::{Change, ChangeId, Touch};
use larder::protocol::relay::unpropagated_touches;

use crate::model::coherence::phase::{Phase, Version};
use crate::model::coherence::state::{INSTANCES, Slot, State, Write, key, tag};
use crate::model::coherence::{Action, Branch, Coherence};
use crate::model::redis::Sent;

impl State {
    pub(super) fn writes(&self, model: &Coherence, actions: &mut Vec<Action>) {
        if let Some(next) = self.writers.iter().position(|write| *write == Write::Before) {
            actions.push(Action::Commit(next));
        }
        for (nth, write) in self.writers.iter().enumerate() {
            match write {
                Write::Before | Write::Unlinked(_) | Write::Done => {}
                Write::Committed(_) => {
                    actions.push(Action::DropCopies(nth));
                    if self.left.crashes > 0 {
                        actions.push(Action::Die(nth));
                    }
                }
                Write::Dropped(_) if self.instances[model.writers[nth]].is_usable => {
                    actions.push(Action::Unlink(nth));
                    if self.left.failures > 0 {
                        actions.push(Action::Fail(nth));
                    }
                }
                Write::Dropped(_) => actions.push(Action::Fail(nth)),
                Write::Replied(..) => actions.push(Action::Acknowledge(nth)),
            }
        }
        if self.left.foreign > 0 {
            actions.push(Action::Foreign);
        }
        match self.relay {
            // A poll without changes changes no state, so the model leaves it out.
            None if self.database > self.position && model.has_relay() => actions.push(Action::Snapshot),
            None => {}
            Some(_) => actions.push(Action::Relay),
        }
        if self.left.evictions > 0 {
            actions.extend(
                [key(), tag().to_bytes()].iter().enumerate().filter_map(|(nth, key)| {
                    self.redis.peek(key).is_some().then_some(Action::Evict(nth == 1))
                }),
            );
        }
        for instance in 0..INSTANCES {
            if !self.redis.wires[instance].is_empty() {
                actions.push(Action::Deliver(instance));
            } else if !self.instances[instance].is_usable {
                // A heartbeat's reply comes after every earlier message on the wire, so the wire must be empty.
                actions.push(Action::Beat(instance));
            }
            if self.left.losses > 0 && self.instances[instance].is_usable {
                actions.push(Action::Lose(instance));
            }
            let copy = self.instances[instance].memory.get(&key()[..]);
            if matches!(copy, Some(Slot::Copy { is_tracked: false, .. })) {
                actions.push(Action::Expire(instance));
            }
        }
    }

    pub(super) fn commit(&mut self, nth: usize) {
        self.database += 1;
        self.writers[nth] = Write::Committed(self.database);
    }

    pub(super) fn drop_first(&mut self, model: &Coherence, nth: usize) {
        let Write::Committed(version) = self.writers[nth] else { return };
        let overtaken = self.instances[model.writers[nth]].drop_touched(model.tagged);
        // The product also unlinks the overtaken keys, in the UNLINK of the next step. The model omits that, because
        // fewer unlinks are the harder case.
        debug_assert!(model.tagged || overtaken.is_empty());
        self.writers[nth] = Write::Dropped(version);
    }

    pub(super) fn unlink(&mut self, model: &Coherence, nth: usize) {
        let Write::Dropped(version) = self.writers[nth] else { return };
        self.propagate(model);
        // In the same step the script sets the change's id (`@propagated=…`). No relay reads an id at or below its
        // position, so the model leaves such an id out.
        if model.has_relay() && version > self.position {
            self.redis.set(&id_key(version), Bytes::new());
        }
        self.redis.wires[model.writers[nth]].push_back(Sent::Unlinked { to: nth });
        self.writers[nth] = Write::Unlinked(version);
    }

    pub(super) fn unlinked(&mut self, nth: usize) {
        if let Write::Unlinked(version) = self.writers[nth] {
            self.writers[nth] = Write::Replied(version, true);
        }
    }

    /// UNLINK is not sent, or its reply is lost: this instance does not use Redis until the invalidation has been sent.
    pub(super) fn fail(&mut self, model: &Coherence, nth: usize) {
        let Write::Dropped(version) = self.writers[nth] else { return };
        self.left.failures = self.left.failures.saturating_sub(1);
        self.queue(model.writers[nth]);
        self.writers[nth] = Write::Replied(version, false);
    }

    pub(super) fn acknowledge(&mut self, model: &Coherence, nth: usize) {
        let Write::Replied(version, came) = self.writers[nth] else { return };
        let at = model.writers[nth];
        let is_sent = came && self.instances[at].is_usable;
        if came && !is_sent {
            self.queue(at);
        }
        self.instances[at].drop_touched(model.tagged);
        self.instances[at].own = self.instances[at].own.max(version);
        if is_sent {
            self.acknowledged = self.acknowledged.max(version);
        }
        model.take(if is_sent { Branch::Sent } else { Branch::Queued });
        self.writers[nth] = Write::Done;
    }

    pub(super) fn die(&mut self, nth: usize) {
        self.left.crashes -= 1;
        self.writers[nth] = Write::Done;
    }

    pub(super) fn commit_foreign(&mut self) {
        self.left.foreign -= 1;
        self.database += 1;
    }

    pub(super) fn snapshot(&mut self) {
        self.relay = Some(self.database);
    }

    /// The rest of a poll: the relay reads the changes' ids and unlinks, in one step. The model `failover` has what may
    /// come between the two. A change that the relay skips counts as propagated.
    pub(super) fn relay(&mut self, model: &Coherence) {
        let Some(snapshot) = self.relay.take() else { return };
        let touch = if model.tagged { Touch::Tag("t".to_owned()) } else { Touch::entry("k", ["1"]) };
        let rows = self.position + 1..=snapshot;
        let change = |of: Version| Change { id: ChangeId::new(of.to_string()), touches: vec![touch.clone()] };
        let is_propagated = |id: &ChangeId| {
            rows.clone().any(|of| change(of).id == *id && self.redis.peek(&id_key(of)).is_some())
        };
        if unpropagated_touches(rows.clone().map(change).collect(), is_propagated, model.rules).is_empty() {
            model.take(Branch::Skipped);
            self.propagated = self.propagated.max(snapshot);
        } else {
            model.take(Branch::Relayed);
            self.propagate(model);
        }
        rows.for_each(|of| self.redis.unlink(&id_key(of)));
        self.position = snapshot;
    }

    /// Unlinks the key or tag that every write touches. Every entry that is filled later has a lease from after this
    /// step, so its load began after this step too.
    fn propagate(&mut self, model: &Coherence) {
        let touched = if model.tagged { tag().to_bytes() } else { key() };
        self.redis.unlink(&touched);
        self.propagated = self.database;
    }

    pub(super) fn evict(&mut self, is_tag: bool) {
        self.left.evictions -= 1;
        self.redis.unlink(&if is_tag { tag().to_bytes() } else { key() });
    }

    /// The connection breaks. A new connection exists at once, and is usable after a heartbeat.
    pub(super) fn lose(&mut self, model: &Coherence, instance: usize) {
        model.take(Branch::Lost);
        self.left.losses -= 1;
        self.redis.lose(instance);
        self.revoke(instance);
        self.instances[instance].clear();
        for nth in 0..self.readers.len() {
            let read = &mut self.readers[nth];
            match read.phase {
                Phase::Asked(id, _) if read.instance == instance && !read.has_failed => {
                    read.phase = Phase::Direct { id };
                }
                // A read whose load failed has no flight, so it goes without an answer.
                Phase::Asked(..) if read.instance == instance => self.finish(nth),
                _ => {}
            }
        }
        for (nth, write) in self.writers.iter_mut().enumerate() {
            if let Write::Unlinked(version) = *write
                && model.writers[nth] == instance
            {
                *write = Write::Replied(version, false);
                self.instances[instance].has_unsent = true;
            }
        }
    }

    pub(super) fn beat(&mut self, model: &Coherence, instance: usize) {
        if std::mem::take(&mut self.instances[instance].has_unsent) {
            model.take(Branch::Unsent);
            self.propagate(model);
        }
        self.instances[instance].is_usable = true;
    }

    pub(super) fn expire(&mut self, instance: usize) {
        self.instances[instance].memory.remove(&key()[..]);
    }

    /// Models `Validity::queue`.
    fn queue(&mut self, instance: usize) {
        self.revoke(instance);
        self.instances[instance].has_unsent = true;
    }

    /// Models `Validity::revoke`: the replies of running flights do not count after it.
    fn revoke(&mut self, instance: usize) {
        self.instances[instance].is_usable = false;
        for read in self.readers.iter_mut().filter(|read| read.instance == instance) {
            read.is_cut |=
                !matches!(read.phase, Phase::Before | Phase::Arrived | Phase::Failed | Phase::Done);
        }
        self.cut_permits(instance);
    }
}

/// The key that a writer sets when it has propagated its version.
fn id_key(of: Version) -> Bytes {
    Bytes::from(format!("@propagated={of}"))
}
