//! The relay's poll, step by step, with the decisions of `protocol::relay`. Between two steps of a poll the model may take
//! any other step.

use std::time::Duration;

use bytes::Bytes;
use larder::journal::{Change, ChangeId, Touch};
use larder::protocol::certificate::{Certificate, RedisTime};
use larder::protocol::relay::{self, MarkDecision, MarkInput, Plan, unpropagated_touches};

use crate::model::failover::state::{
    CERTIFICATE, KEY, POSITION, PROPAGATED, Poll, PollProgress, Position, Seen, State, TAG, WATERMARK,
};
use crate::model::failover::{Action, Branch, Failover};
use crate::model::journal::View;

impl State {
    pub(super) fn relaying(&self, actions: &mut Vec<Action>) {
        for (nth, relay) in self.relays.iter().enumerate() {
            match relay.poll.as_ref().map(|poll| &poll.progress) {
                None if relay.polls > 0 => actions.extend([Action::Ask(nth, 0), Action::Ask(nth, 1)]),
                None => {}
                Some(PollProgress::Asked) => actions.push(Action::Snapshot(nth)),
                Some(PollProgress::Answered(_)) => actions.push(Action::Inspect(nth)),
                Some(PollProgress::Reading { .. }) => actions.push(Action::Read(nth)),
                Some(PollProgress::Propagating { todo, .. }) if todo.is_empty() => {
                    actions.push(Action::Mark(nth))
                }
                Some(PollProgress::Propagating { .. }) => actions.push(Action::Unlink(nth)),
            }
        }
    }

    pub(super) fn ask(&mut self, model: &Failover, nth: usize, at: usize) {
        let existing = self.nodes[at].redis.peek(&CERTIFICATE).and_then(|bytes| Certificate::parse(bytes));
        let mine = self.certificate(model, at, self.known_timelines[nth]);
        // `verify_database`: either Redis has another database's certificate, or another database answers now.
        if existing.as_ref().is_some_and(|existing| existing.database != mine.database)
            && self.notice(model, nth)
        {
            return;
        }
        let node = &self.nodes[at];
        let seen = relay::PlanInput {
            is_master: node.is_master,
            now: self.now(),
            certificate: existing.as_ref(),
            watermark: node.byte(&WATERMARK).map(|watermark| RedisTime(u64::from(watermark))),
        };
        let plan = relay::plan(&seen, &mine, Duration::ZERO, model.rules);
        if !matches!(plan, Plan::Replay | Plan::Certify) {
            return;
        }
        let position = if model.own_rules.position_is_in_redis {
            node.position()
        } else {
            self.relays[nth].own_position
        };
        let poll = Poll {
            node: at,
            run: node.run,
            history: node.history,
            began: self.now().0,
            timeline: self.known_timelines[nth],
            position,
            attested: View::default(),
            only_certifies: plan == Plan::Certify,
            progress: PollProgress::Asked,
        };
        self.relays[nth].polls -= 1;
        self.relays[nth].poll = Some(poll);
    }

    /// `Journal::changes_since`: a snapshot, and the changes in it that the position has not seen.
    pub(super) fn snapshot(&mut self, model: &Failover, nth: usize) {
        let committed = self.committed();
        let attested = self.view(model, nth);
        let Some((position, timeline)) =
            self.relays[nth].poll.as_ref().map(|poll| (poll.position, poll.timeline))
        else {
            return;
        };
        // `changes_since` adopts the database that answers, and the poll ends if it was planned for another one.
        self.notice(model, nth);
        if timeline != self.timeline {
            model.take(Branch::SucceededWithinPoll);
            self.relays[nth].poll = None;
            return;
        }
        let known = self.known(model, nth, position);
        let Some(poll) = &mut self.relays[nth].poll else { return };
        poll.attested = attested;
        // For the mutant whose position is an id: everything up to the highest visible id counts as seen.
        let up_to_highest = committed.checked_ilog2().map_or(0, |highest| (2 << highest) - 1);
        let snapshot = if model.own_rules.position_is_snapshot { committed } else { up_to_highest };
        let everything = || if model.tagged { vec![KEY.clone(), TAG.clone()] } else { vec![KEY.clone()] };
        let progress = match known {
            _ if poll.only_certifies => PollProgress::Propagating { snapshot, todo: Vec::new() },
            Some(0) => PollProgress::Propagating { snapshot, todo: Vec::new() },
            Some(rows) => {
                model.take(Branch::Replayed);
                if poll.history > 0 {
                    model.take(Branch::ReplayedAfterPromotion);
                }
                PollProgress::Reading { snapshot, rows, unread: rows, propagated: 0 }
            }
            None => {
                model.take(Branch::Dropped);
                PollProgress::Propagating { snapshot, todo: everything() }
            }
        };
        // If the journal can never be incomplete, an inspection finds nothing, so the model skips it.
        poll.progress =
            if model.can_be_incomplete() { PollProgress::Answered(Box::new(progress)) } else { progress };
        if !model.own_rules.mark_comes_last {
            self.mark(model, nth);
        }
    }

    /// GETEX of the next id. The product sends all GETEX in one pipeline, but each is a command of its own. A real
    /// replica refuses GETEX, because the command writes. Here a replica answers, so the proof does not depend on the
    /// refusal.
    pub(super) fn read(&mut self, model: &Failover, nth: usize) {
        let relay = &mut self.relays[nth];
        let Some(poll) = &mut relay.poll else { return };
        let PollProgress::Reading { snapshot, rows, unread, mut propagated } = poll.progress.clone() else {
            return;
        };
        if self.nodes[poll.node].run != poll.run {
            model.take(Branch::Abandoned);
            relay.poll = None;
            return;
        }
        let transaction = unread.trailing_zeros();
        let bit = 1 << transaction;
        let at = if model.own_rules.ids_are_read_where_propagated { poll.node } else { 1 - poll.node };
        let propagated_in = self.nodes[at].byte(&PROPAGATED[transaction as usize]);
        let is_propagated = if model.own_rules.ids_are_in_redis {
            propagated_in.is_some()
        } else {
            self.propagated & bit != 0
        };
        if is_propagated || relay.own_ids & bit != 0 {
            propagated |= bit;
            model.take(Branch::SkippedPropagated);
            if propagated_in.is_some_and(|history| history != poll.history) {
                let is_restored = usize::from(poll.run) >= self.nodes.len();
                model.take(if is_restored {
                    Branch::SkippedAfterRestore
                } else {
                    Branch::SkippedAfterPromotion
                });
            }
        }
        if !model.own_rules.ids_are_read_by_poll {
            relay.own_ids |= propagated;
        }
        let unread = unread & !bit;
        poll.progress = PollProgress::Reading { snapshot, rows, unread, propagated };
        if unread != 0 {
            return;
        }
        let touch = || if model.tagged { Touch::Tag("t".to_owned()) } else { Touch::entry("k", ["1"]) };
        let id = |transaction: u8| ChangeId::new(transaction.to_string());
        let changes = (0..model.transactions).filter(|of| rows & 1 << of != 0);
        let changes = changes.map(|of| Change { id: id(of), touches: vec![touch()] }).collect();
        let is_propagated = |change: &ChangeId| {
            (0..model.transactions).any(|of| propagated & 1 << of != 0 && *change == id(of))
        };
        let todo: Vec<Bytes> = unpropagated_touches(changes, is_propagated, model.rules)
            .iter()
            .map(|touch| if matches!(touch, Touch::Tag(_)) { TAG.clone() } else { KEY.clone() })
            .collect();
        if propagated != 0 && propagated != rows {
            model.take(Branch::SkippedOneOfTwo);
        }
        let is_done = todo.is_empty() && !model.own_rules.mark_comes_last;
        poll.progress = PollProgress::Propagating { snapshot, todo };
        if is_done {
            relay.poll = None;
        }
    }

    pub(super) fn unlink(&mut self, model: &Failover, nth: usize) {
        let Some(poll) = &mut self.relays[nth].poll else { return };
        let node = &mut self.nodes[poll.node];
        if !node.is_master || node.run != poll.run {
            model.take(Branch::Abandoned);
            self.relays[nth].poll = None;
            return;
        }
        let PollProgress::Propagating { todo, .. } = &mut poll.progress else { return };
        if let Some(key) = todo.pop() {
            node.redis.unlink(&key);
        }
        if !model.own_rules.mark_comes_last && todo.is_empty() {
            self.relays[nth].poll = None;
        }
    }

    /// The script MARK, which decides and sets in one step.
    pub(super) fn mark(&mut self, model: &Failover, nth: usize) {
        let Some(poll) = self.relays[nth].poll.clone() else { return };
        let (snapshot, is_done) = match poll.progress {
            PollProgress::Asked | PollProgress::Answered(_) => return,
            PollProgress::Reading { snapshot, .. } => (snapshot, false),
            PollProgress::Propagating { snapshot, todo } => (snapshot, todo.is_empty()),
        };
        if is_done {
            self.relays[nth].poll = None;
        }
        // The certificate names the history of the poll's beginning: on a living connection `run` cannot change, but
        // the history can.
        let mut certificate = self.certificate(model, poll.node, poll.timeline);
        certificate.redis = format!("{}:{}", poll.run, poll.history);
        let now = self.now();
        let node = &mut self.nodes[poll.node];
        if node.run != poll.run || !node.is_master {
            model.take(Branch::Abandoned);
            return;
        }
        let existing = node.redis.peek(&CERTIFICATE).cloned();
        let input = MarkInput {
            is_same_history: node.history == poll.history || !model.own_rules.mark_asks_history,
            now,
            certificate: existing.as_deref(),
            watermark: node.byte(&WATERMARK).map(|watermark| RedisTime(u64::from(watermark))),
        };
        if !model.own_rules.mark_asks_history {
            // Models a script that does not check the history: it writes the current history.
            certificate.redis = format!("{}:{}", node.run, node.history);
        }
        let certificate = certificate.to_bytes();
        match relay::decide_mark(input, RedisTime(poll.began), &certificate) {
            MarkDecision::Set => {
                model.take(Branch::Marked);
                if poll.timeline != self.timeline {
                    model.take(Branch::MarkedByFormer);
                }
                node.redis.set(&CERTIFICATE, certificate);
                node.redis.set(&WATERMARK, byte(poll.began));
                let position = Position {
                    seen: snapshot,
                    attestation: poll.attested.attestation(model.own_rules.journal),
                    timeline: poll.timeline,
                };
                let bytes = [position.seen, position.attestation, position.timeline];
                node.redis.set(&POSITION, Bytes::copy_from_slice(&bytes));
                if !model.own_rules.position_is_in_redis {
                    self.relays[nth].own_position = Some(position);
                }
                if self.catalog.is_hiding() && !poll.attested.is_hidden {
                    model.take(Branch::MarkedBySighted);
                }
            }
            MarkDecision::Keep => model.take(Branch::Kept),
            MarkDecision::Refuse => model.take(Branch::Refused),
        }
    }
}

fn byte(value: u64) -> Bytes {
    Bytes::copy_from_slice(&[Seen::try_from(value).unwrap_or(Seen::MAX)])
}
