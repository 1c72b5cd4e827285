//! The steps of writers, loaders and readers, and of the nodes: promotion, demotion, flush and restore.

use std::time::Duration;

use bytes::Bytes;
use larder::clock::Tick;
use larder::protocol::certificate::{Heartbeat, Propagation, RedisTime};
use larder::protocol::frame::{Entry, Header, Seal};
use larder::protocol::rules::ProtocolRule;
use larder::protocol::tag::{TagKey, TagToken};
use larder::protocol::token::Token;

use crate::model::failover::state::{
    CERTIFICATE, Grant, KEY, Loader, PROPAGATED, State, TAG, WATERMARK, token_of,
};
use crate::model::failover::{Action, Branch, Failover};
use crate::model::journal::Touched;
use crate::model::redis::Redis;

/// Longer than any age of a watermark in this model.
const BOUND: Duration = Duration::from_secs(1);

impl State {
    pub(super) fn people(&self, model: &Failover, actions: &mut Vec<Action>) {
        let committed = self.committed();
        for transaction in 0..model.transactions {
            // A lost transaction is not committed again: a repetition is another one.
            if (committed | self.lost) & 1 << transaction == 0 {
                actions.push(Action::Commit(transaction));
            }
            let is_foreign = model.has_foreign && transaction + 1 == model.transactions;
            let may_propagate =
                !is_foreign && committed & 1 << transaction != 0 || !model.own_rules.ids_come_after_commit;
            if may_propagate && self.propagated & 1 << transaction == 0 {
                // A path that never takes this step models a writer that died between COMMIT and UNLINK.
                actions.extend([Action::Propagate(transaction, 0), Action::Propagate(transaction, 1)]);
            }
            if self.unrecorded[usize::from(transaction)].is_some() {
                actions.push(Action::Record(transaction));
            }
        }
        for instance in 0..model.instances {
            actions.extend([Action::Beat(instance, 0), Action::Beat(instance, 1)]);
        }
        for (nth, loader) in self.loaders.iter().enumerate() {
            match loader {
                Loader::Before => actions.push(Action::Lease(nth)),
                Loader::Held { .. } => actions.push(Action::Load(nth)),
                Loader::Loaded { .. } => actions.push(Action::Fill(nth)),
                Loader::Done => {}
            }
        }
    }

    pub(super) fn machines(&self, model: &Failover, actions: &mut Vec<Action>) {
        for nth in 0..2 {
            let (node, other) = (&self.nodes[nth], &self.nodes[1 - nth]);
            if node.is_master {
                if self.left.demotions > 0 {
                    actions.push(Action::Demote(nth));
                }
                if self.left.flushes > 0 {
                    actions.push(Action::Flush(nth));
                }
                if self.left.expiries > 0 {
                    actions.extend((0..model.transactions).map(|of| Action::Expire(of, nth)));
                }
            } else {
                if self.left.promotions > 0 {
                    actions.push(Action::Promote(nth));
                }
                // If the replica can never be promoted again, no instance will use it, so a sync matters only for its
                // null push.
                if other.is_master && (self.left.promotions > 0 || node.is_apart) {
                    actions.push(Action::Sync(nth));
                }
            }
        }
        if self.left.restores > 0 && self.nodes[0].is_master {
            actions.extend([Action::Restore, Action::Save]);
        }
        if self.left.prunings > 0 {
            actions.push(Action::Prune);
        }
        self.journal_turns(actions);
    }

    /// The script `UNLINK_AND_RECORD`. It runs even if the writer's instance may not use the node now, because the
    /// instance may have sent the script while it still could. Only the acknowledgement depends on the right to use the
    /// node. If the instance has no such right yet, the write waits for a grant, which models `Invalidation::wait`.
    pub(super) fn propagate(&mut self, model: &Failover, transaction: u8, at: usize) {
        let bit = 1 << transaction;
        let is_usable = self.usable(usize::from(transaction) % model.instances) == Some(at);
        if !self.nodes[at].is_master {
            return;
        }
        self.propagated |= bit;
        match self.touched[usize::from(transaction)] {
            Touched::Rows => {
                self.nodes[at].redis.unlink(if model.tagged { &TAG } else { &KEY });
                self.unrecorded[usize::from(transaction)] = Some(self.nodes[at].run);
                if model.own_rules.ids_come_with_unlinking {
                    self.record(transaction);
                }
            }
            Touched::Everything => self.propagate_everything(model, transaction, at),
            Touched::Nothing => {}
        }
        if !is_usable {
            model.take(Branch::PropagatedUnacknowledged);
        }
        if self.nodes.iter().all(|node| node.is_master) {
            model.take(Branch::PropagatedInSplit);
        }
        if self.committed() & bit == 0 || !self.may_say_sent(model, transaction) {
            return;
        }
        if is_usable {
            self.acknowledged |= bit;
            let is_everything = self.touched[usize::from(transaction)] == Touched::Everything;
            model.take(if is_everything { Branch::SentEverything } else { Branch::Sent });
        } else {
            self.waiting |= bit;
        }
    }

    /// The second half of `UNLINK_AND_RECORD`. It is a separate step only for a mutant.
    pub(super) fn record(&mut self, transaction: u8) {
        let Some(run) = self.unrecorded[usize::from(transaction)].take() else { return };
        for node in self.nodes.iter_mut().filter(|node| node.run == run && node.is_master) {
            let propagated_in = Bytes::copy_from_slice(&[node.history]);
            node.redis.set(&PROPAGATED[usize::from(transaction)], propagated_in);
        }
    }

    pub(super) fn expire(&mut self, model: &Failover, transaction: u8, at: usize) {
        let id = &PROPAGATED[usize::from(transaction)];
        if self.nodes[at].redis.peek(id).is_some() {
            model.take(Branch::Expired);
            self.left.expiries -= 1;
            self.nodes[at].redis.unlink(id);
        }
    }

    /// The node that an instance may use and is connected to.
    fn usable(&self, instance: usize) -> Option<usize> {
        let grant = self.grants[instance].as_ref()?;
        (self.nodes[grant.node].run == grant.run).then_some(grant.node)
    }

    pub(super) fn beat(&mut self, model: &Failover, instance: usize, at: usize) {
        let node = &self.nodes[at];
        let watermark = node.byte(&WATERMARK).map(|watermark| RedisTime(u64::from(watermark)));
        let mine = self.certificate(model, at, self.known_timelines[instance]).to_bytes();
        let heartbeat = Heartbeat {
            sent: Tick::PAST,
            is_master: node.is_master,
            carries_my_certificate: node.redis.peek(&CERTIFICATE) == Some(&mine),
            propagation: Propagation::Relay { now: self.now(), watermark },
        };
        let is_granted = heartbeat.fresh_until(BOUND, Duration::ZERO, model.rules).is_some();
        // A refused heartbeat ends the grant: the product's keeper calls `Validity::revoke`.
        self.grants[instance] = is_granted.then(|| Grant {
            node: at,
            run: node.run,
            history: node.history,
            reach: watermark.map_or(0, |watermark| self.before(watermark)),
        });
        model.take(if is_granted { Branch::Granted } else { Branch::NotGranted });
        if is_granted {
            self.end_waits(model, instance);
        }
    }

    /// A grant acknowledges the waiting writes of its instance. It does not check to which node their UNLINKs went, and
    /// neither does `Validity::wait_for_grant`. So the properties check that a grant of another node suffices too.
    fn end_waits(&mut self, model: &Failover, instance: usize) {
        for transaction in (0..model.transactions).filter(|&of| model.writer(of) == instance) {
            let bit = 1 << transaction;
            if self.waiting & bit == 0 {
                continue;
            }
            self.waiting &= !bit;
            if self.may_say_sent(model, transaction) {
                self.acknowledged |= bit;
                model.take(Branch::SentByGrant);
            }
        }
    }

    /// A tracked read that finds no usable entry, then LEASE and the tag's token, as one step.
    pub(super) fn lease(&mut self, model: &Failover, nth: usize) {
        let Some(at) = self.usable(model.loaders[nth]) else { return };
        let node = &mut self.nodes[at];
        if !node.is_master || node.entry().is_some() {
            return;
        }
        let lease = token(nth, 0);
        let replace = node.redis.peek(&KEY).map(larder::protocol::frame::fingerprint);
        let is_lease = replace.as_ref().is_some_and(|frame| frame[0] == b'L');
        if is_lease {
            return;
        }
        let mut tags = Vec::new();
        if model.tagged {
            let minted = token(nth, 1);
            let before = node.redis.set_if_missing(&TAG, minted.tag_frame());
            let token = before.map_or(Some(minted), |before| token_of(Some(&before)));
            tags.extend(token.map(|token| TagToken { tag: TagKey::from(TAG.clone()), token }));
        }
        node.redis.lease(&KEY, lease, replace.as_ref());
        self.loaders[nth] = Loader::Held { lease, tags, by: at };
    }

    pub(super) fn load(&mut self, nth: usize) {
        if let Loader::Held { lease, tags, by } = self.loaders[nth].clone() {
            self.loaders[nth] = Loader::Loaded { lease, tags, by, seen: self.committed() };
        }
    }

    /// FILL does not check whether Redis may be used; only the lease decides. The product sends FILL to the node that its
    /// instance is connected to. The model sends it to every master, which is the harder case.
    pub(super) fn fill(&mut self, model: &Failover, nth: usize) {
        let Loader::Loaded { lease, tags, by, seen } = self.loaders[nth].clone() else { return };
        self.loaders[nth] = Loader::Done;
        let header = Header {
            codec: 0,
            class_version: 1,
            digest: 0,
            loaded_at_millis: 0,
            ttl_millis: 1,
            stale_millis: 0,
            load_millis: 0,
            loader_version: None,
            tags,
        };
        let payload = Some(Bytes::copy_from_slice(&[seen]));
        let entry = Entry { fill: token(nth, 2), header, payload, seal: Seal::default() };
        let mut was_filled = false;
        for (at, node) in self.nodes.iter_mut().enumerate().filter(|(_, node)| node.is_master) {
            let is_filled = if model.rules.keeps(ProtocolRule::FillComparesLease) {
                node.redis.fill(&KEY, lease, entry.encode())
            } else {
                node.redis.set(&KEY, entry.encode());
                true
            };
            if is_filled && at != by {
                model.take(Branch::FilledElsewhere);
            }
            was_filled |= is_filled;
        }
        model.take(if was_filled { Branch::Filled } else { Branch::FillRefused });
    }

    /// A replica copies its master. The first copy after a demotion replaces other contents: then the node sends a null
    /// push, which says that every key may have changed.
    pub(super) fn sync(&mut self, model: &Failover, nth: usize) {
        let master = self.nodes[1 - nth].clone();
        let node = &mut self.nodes[nth];
        (node.redis, node.history) = (master.redis, master.history);
        if std::mem::take(&mut node.is_apart) {
            model.take(Branch::Resynced);
            self.null_push(model, nth);
        }
    }

    fn null_push(&mut self, model: &Failover, at: usize) {
        if model.own_rules.null_push_revokes {
            self.grants.iter_mut().for_each(|grant| {
                grant.take_if(|grant| grant.node == at);
            });
        }
    }

    pub(super) fn promote(&mut self, nth: usize) {
        self.left.promotions -= 1;
        self.nodes[nth].is_master = true;
        self.nodes[nth].is_apart = false;
        self.nodes[nth].history = self.histories;
        self.histories += 1;
        self.was_split |= self.nodes[1 - nth].is_master;
    }

    pub(super) fn demote(&mut self, nth: usize) {
        self.left.demotions -= 1;
        self.nodes[nth].is_master = false;
        self.nodes[nth].is_apart = true;
    }

    pub(super) fn flush(&mut self, model: &Failover, nth: usize) {
        self.left.flushes -= 1;
        self.nodes[nth].redis.flush();
        self.null_push(model, nth);
    }

    pub(super) fn save(&mut self) {
        if self.saved.is_none() {
            self.saved = Some(self.nodes[0].redis.clone());
        }
    }

    /// The node restarts as another process with old contents and new connections.
    pub(super) fn restore(&mut self, model: &Failover) {
        model.take(Branch::Restored);
        self.left.restores -= 1;
        let saved = self.saved.take().unwrap_or_else(|| Redis::new(0));
        let node = &mut self.nodes[0];
        node.redis = saved;
        node.run = 2 + self.histories;
        node.history = self.histories;
        self.histories += 1;
    }

    pub(super) fn prune(&mut self) {
        self.left.prunings -= 1;
        self.pruned = self.committed();
    }
}

/// A token that is unique, because each loader draws each kind of token once.
fn token(nth: usize, kind: u8) -> Token {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&[u8::try_from(nth).unwrap_or(u8::MAX), kind]);
    Token::from_bytes(bytes)
}
