//! The relay's pass, step by step: `protocol::relay` decides, and any other step may come between two of its own.

use std::time::Duration;

use bytes::Bytes;
use larder::protocol::certificate::{Certificate, RedisTime};
use larder::protocol::relay::{self, Marking, Plan, Standing};

use crate::model::failover::state::{KEY, LIVE, POSITION, Pass, Seen, State, TAG, WATERMARK};
use crate::model::failover::{Action, Branch, Failover};

impl State {
    pub(super) fn relaying(&self, actions: &mut Vec<Action>) {
        for (nth, relay) in self.relays.iter().enumerate() {
            match &relay.pass {
                None if relay.passes > 0 => actions.extend([Action::Ask(nth, 0), Action::Ask(nth, 1)]),
                None => {}
                Some(Pass { snapshot: None, .. }) => actions.push(Action::Snapshot(nth)),
                Some(Pass { snapshot: Some((_, todo)), .. }) if todo.is_empty() => {
                    actions.push(Action::Mark(nth))
                }
                Some(_) => actions.push(Action::Tell(nth)),
            }
        }
    }

    pub(super) fn ask(&mut self, model: &Failover, nth: usize, at: usize) {
        let node = &self.nodes[at];
        let live = node.redis.peek(&LIVE).and_then(|live| Certificate::parse(live));
        let seen = relay::Seen {
            is_master: node.is_master,
            now: self.now(),
            live: live.as_ref(),
            watermark: node.byte(&WATERMARK).map(|watermark| RedisTime(u64::from(watermark))),
        };
        let plan = relay::plan(&seen, &self.certificate(at), Duration::ZERO, model.rules);
        if !matches!(plan, Plan::Replay | Plan::Certify) {
            return;
        }
        let position = if model.care.position_is_in_redis {
            node.byte(&POSITION)
        } else {
            self.relays[nth].own_position
        };
        let pass = Pass {
            node: at,
            run: node.run,
            history: node.history,
            began: self.now().0,
            position,
            only_certifies: plan == Plan::Certify,
            snapshot: None,
        };
        self.relays[nth].passes -= 1;
        self.relays[nth].pass = Some(pass);
    }

    /// `Journal::since`: a snapshot, and what is in it that the position has not seen.
    pub(super) fn snapshot(&mut self, model: &Failover, nth: usize) {
        let committed = self.committed();
        let Some(pass) = &mut self.relays[nth].pass else { return };
        let touched = if model.tagged { &TAG } else { &KEY };
        let everything = || if model.tagged { vec![KEY.clone(), TAG.clone()] } else { vec![KEY.clone()] };
        let todo = match pass.position {
            _ if pass.only_certifies => Vec::new(),
            Some(position) if position & self.pruned == self.pruned => match committed & !position {
                0 => Vec::new(),
                _ => {
                    model.take(Branch::Replayed);
                    if pass.history > 0 {
                        model.take(Branch::ReplayedAfterPromotion);
                    }
                    vec![touched.clone()]
                }
            },
            _ => {
                model.take(Branch::Dropped);
                everything()
            }
        };
        // By id: everything up to the highest id that is visible counts as seen.
        let up_to_highest = committed.checked_ilog2().map_or(0, |highest| (2 << highest) - 1);
        let snapshot = if model.care.position_is_snapshot { committed } else { up_to_highest };
        pass.snapshot = Some((snapshot, todo));
        if !model.care.mark_comes_last {
            self.mark(model, nth);
        }
    }

    pub(super) fn tell(&mut self, model: &Failover, nth: usize) {
        let Some(pass) = &mut self.relays[nth].pass else { return };
        let node = &mut self.nodes[pass.node];
        if !node.is_master || node.run != pass.run {
            model.take(Branch::Abandoned);
            self.relays[nth].pass = None;
            return;
        }
        let Some((_, todo)) = &mut pass.snapshot else { return };
        if let Some(key) = todo.pop() {
            node.redis.unlink(&key);
        }
        if !model.care.mark_comes_last && todo.is_empty() {
            self.relays[nth].pass = None;
        }
    }

    /// MARK, the script: decides and sets in one step.
    pub(super) fn mark(&mut self, model: &Failover, nth: usize) {
        let Some(pass) = self.relays[nth].pass.clone() else { return };
        let Some((snapshot, todo)) = pass.snapshot.clone() else { return };
        if todo.is_empty() {
            self.relays[nth].pass = None;
        }
        // What the pass began with: `run` cannot change on a connection that lives, the history can.
        let mut live = self.certificate(pass.node);
        live.redis = format!("{}:{}", pass.run, pass.history);
        let now = self.now();
        let node = &mut self.nodes[pass.node];
        if node.run != pass.run || !node.is_master {
            model.take(Branch::Abandoned);
            return;
        }
        let standing_live = node.redis.peek(&LIVE).cloned();
        let standing = Standing {
            is_same_history: node.history == pass.history || !model.care.mark_asks_history,
            now,
            live: standing_live.as_deref(),
            watermark: node.byte(&WATERMARK).map(|watermark| RedisTime(u64::from(watermark))),
        };
        if !model.care.mark_asks_history {
            // As a script that does not ask would write it: the name of the history it runs in.
            live.redis = format!("{}:{}", node.run, node.history);
        }
        let live = live.to_bytes();
        match relay::mark(standing, RedisTime(pass.began), &live) {
            Marking::Set => {
                model.take(Branch::Marked);
                node.redis.set(&LIVE, live);
                node.redis.set(&WATERMARK, byte(pass.began));
                node.redis.set(&POSITION, byte(u64::from(snapshot)));
                if !model.care.position_is_in_redis {
                    self.relays[nth].own_position = Some(snapshot);
                }
            }
            Marking::Keep => model.take(Branch::Kept),
            Marking::Refuse => model.take(Branch::Refused),
        }
    }
}

fn byte(value: u64) -> Bytes {
    Bytes::copy_from_slice(&[Seen::try_from(value).unwrap_or(Seen::MAX)])
}
