//! The steps of the clients, the relays and the nodes. Each takes place at one tick.

use larder::clock::Tick;
use larder::journal::{Change, ChangeId, Touch};
use larder::protocol::certificate::{Heartbeat, Propagation, RedisTime};
use larder::protocol::relay::{
    MarkDecision, MarkInput, Plan, PlanInput, decide_mark, plan, unpropagated_touches,
};

use crate::model::timed::state::{Flying, Poll, Relay, Sent, State, span, tick, ticks};
use crate::model::timed::{Action, Branch, Timed};

impl State {
    pub(super) fn possible(&self, model: &Timed, actions: &mut Vec<Action>) {
        if self.now < model.horizon {
            actions.push(Action::Tick);
        }
        if self.commits.len() < usize::from(model.commits) {
            actions.push(Action::Commit);
        }
        if self.catalog.is_silent() {
            actions.push(Action::Mend);
        } else if self.silences > 0 {
            actions.push(Action::Silence);
        }
        let nodes = if self.is_promoted { 2 } else { 1 };
        for nth in 0..nodes {
            if self.nodes[nth].entry.is_none() {
                actions.push(Action::Fill(nth));
            }
            self.of_client(model, nth, actions);
            if self.propagations > 0 {
                actions.extend((0..self.database()).map(|commit| Action::Propagate(commit, nth)));
            }
            let relay = &self.relays[nth];
            match &relay.poll {
                None if relay.polls > 0 => actions.push(Action::Ask(nth)),
                None => {}
                Some(Poll { snapshot: None, .. }) => actions.push(Action::Snapshot(nth)),
                Some(Poll { is_propagated: false, .. }) => actions.push(Action::Unlink(nth)),
                Some(_) => actions.push(Action::Mark(nth)),
            }
        }
        if model.splits && !self.is_promoted {
            actions.extend([Action::Sync, Action::Promote]);
        }
    }

    fn of_client(&self, model: &Timed, nth: usize, actions: &mut Vec<Action>) {
        let client = &self.clients[nth];
        match client.sent {
            None if client.beats > 0 => actions.push(Action::Send(nth)),
            None => {}
            Some((_, false)) => actions.push(Action::Answer(nth)),
            Some((_, true)) => {}
        }
        if client.wire.is_empty() {
            if self.now < client.until && client.memory.is_none() && self.nodes[nth].entry.is_some() {
                actions.push(Action::Keep(nth));
            }
        } else {
            actions.push(Action::Deliver(nth));
        }
        if !model.flies {
            return;
        }
        match &client.flight {
            None if self.now < client.until => actions.push(Action::Depart(nth)),
            None => {}
            Some(Flying { found: None, .. }) => actions.push(Action::Find(nth)),
            Some(_) => actions.push(Action::Land(nth)),
        }
        match client.load {
            None if self.now >= client.until => actions.push(Action::Begin(nth)),
            None => {}
            Some((_, None)) => actions.push(Action::Load(nth)),
            Some((_, Some(_))) => actions.push(Action::Store(nth)),
        }
    }

    /// Resets fields whose deadline has passed, so that equivalent states are equal.
    pub(super) fn settle(&mut self) {
        let now = self.now;
        for client in &mut self.clients {
            if client.until <= now {
                client.until = 0;
            }
            client.outage.take_if(|(_, deadline)| *deadline <= now);
        }
    }

    pub(super) fn commit(&mut self, model: &Timed) {
        if self.catalog.is_silent() {
            self.silent |= 1 << self.commits.len();
            model.take(Branch::Silent);
        }
        self.commits.push(self.now);
    }

    pub(super) fn send(&mut self, nth: usize) {
        let client = &mut self.clients[nth];
        client.beats -= 1;
        client.sent = Some((self.now, false));
    }

    /// Redis answers the heartbeat, after every push that it has sent before.
    pub(super) fn answer(&mut self, nth: usize) {
        let Some((sent, _)) = self.clients[nth].sent else { return };
        let node = &self.nodes[nth];
        // Send the tick; `deliver` converts it to the node's clock.
        let beat = Sent::Beat {
            sent,
            carries_my_certificate: node.certified == nth,
            now: u64::from(self.now),
            watermark: node.watermark,
        };
        self.clients[nth].sent = Some((sent, true));
        self.clients[nth].wire.push_back(beat);
    }

    pub(super) fn deliver(&mut self, model: &Timed, nth: usize) {
        let Some(next) = self.clients[nth].wire.pop_front() else { return };
        let Sent::Beat { sent, carries_my_certificate, now, watermark } = next else {
            model.take(Branch::Pushed);
            self.clients[nth].memory = None;
            return;
        };
        let answered = u8::try_from(now).unwrap_or(u8::MAX);
        let now = State { now: answered, ..self.clone() }.clock(model, nth);
        let watermark = watermark.map(RedisTime);
        if watermark.is_some_and(|watermark| watermark > now) {
            model.take(Branch::Ahead);
        }
        let from = if model.own_rules.beat_counts_from_sending { sent } else { self.now };
        let propagation = Propagation::Relay { now, watermark };
        let heartbeat = Heartbeat { sent: tick(from), is_master: true, carries_my_certificate, propagation };
        let until = heartbeat.fresh_until(span(model.bound), span(0), model.rules);
        let client = &mut self.clients[nth];
        client.sent = None;
        model.take(if until.is_some() { Branch::Granted } else { Branch::NotGranted });
        match until {
            Some(until) => client.until = u8::try_from(ticks(until) - ticks(tick(0))).unwrap_or(0),
            None => (client.until, client.memory) = (0, None),
        }
    }

    /// A tracked read whose reply arrives at once, with no message before it on the wire.
    pub(super) fn keep(&mut self, nth: usize) {
        self.clients[nth].memory = self.nodes[nth].entry;
        self.nodes[nth].is_tracked = true;
    }

    pub(super) fn begin_flight(&mut self, model: &Timed, nth: usize) {
        let until = tick(self.clients[nth].until);
        let began = tick(self.now);
        // `until` minus the bound is the watermark of the current grant. The value that the flight finds in Redis
        // contains every commit before that instant.
        let reach = until.minus(span(model.bound)).min(began);
        let began: Tick = if model.own_rules.flight_counts_its_watermark { reach } else { began };
        self.clients[nth].flight = Some(Flying { began: ticks(began), found: None });
    }

    pub(super) fn find(&mut self, nth: usize) {
        let found = self.nodes[nth].entry.unwrap_or(self.database());
        if let Some(flying) = &mut self.clients[nth].flight {
            flying.found = Some(found);
        }
    }

    pub(super) fn begin(&mut self, nth: usize) {
        self.clients[nth].load = Some((self.now, None));
    }

    pub(super) fn load(&mut self, nth: usize) {
        let read = (self.database(), self.now);
        if let Some((_, found)) = &mut self.clients[nth].load {
            *found = Some(read);
        }
    }

    pub(super) fn store(&mut self, model: &Timed, nth: usize) {
        let Some((began, Some((version, _)))) = self.clients[nth].load.take() else { return };
        let from = if model.own_rules.copy_counts_from_start { began } else { self.now };
        self.clients[nth].outage = Some((version, from + model.bound));
    }

    pub(super) fn ask(&mut self, model: &Timed, nth: usize) {
        let node = &self.nodes[nth];
        let certificate = State::certificate(node.certified);
        let now = self.clock(model, nth);
        let seen = PlanInput {
            is_master: true,
            now,
            certificate: Some(&certificate),
            watermark: node.watermark.map(RedisTime),
        };
        let plan = plan(&seen, &State::certificate(nth), span(1), model.rules);
        if !matches!(plan, Plan::Replay | Plan::Certify) {
            return;
        }
        self.relays[nth].polls -= 1;
        self.relays[nth].poll = Some(Poll {
            began: now.0,
            only_certifies: plan == Plan::Certify,
            snapshot: None,
            attestation: 0,
            is_unknown: false,
            is_propagated: false,
        });
    }

    /// Models `Journal::changes_since` with its inspection, which is a separate step in the model `failover`.
    pub(super) fn snapshot(&mut self, model: &Timed, nth: usize) {
        let (snapshot, view, own_rules) =
            (self.database(), self.catalog.view(false), model.own_rules.journal);
        let Relay { process, poll, .. } = &mut self.relays[nth];
        let is_attested = process.is_attested(self.nodes[nth].attestation, view, model.rules, own_rules);
        if !process.inspect(view, view, model.rules, own_rules) {
            model.take(Branch::Broken);
            *poll = None;
        } else if let Some(poll) = poll {
            if !is_attested {
                model.take(Branch::Unattested);
            }
            poll.snapshot = Some(snapshot);
            poll.attestation = view.attestation(own_rules);
            poll.is_unknown = !is_attested;
        }
    }

    /// Models the script `UNLINK_AND_RECORD`, which unlinks, and records the change's id. The id of a commit that the
    /// position has already seen is not recorded, because no relay asks for it. A commit that left no row has no id.
    pub(super) fn propagate(&mut self, commit: u8, nth: usize) {
        self.propagations -= 1;
        if commit >= self.nodes[nth].position && self.silent & 1 << commit == 0 {
            self.nodes[nth].propagated |= 1 << commit;
        }
        self.removed(nth);
    }

    /// Unlinks for the changes between position and snapshot that their writers have not propagated. The model
    /// `failover` reads the changes' ids in separate steps.
    pub(super) fn unlink(&mut self, model: &Timed, nth: usize) {
        let node = &self.nodes[nth];
        let Some(poll) = &mut self.relays[nth].poll else { return };
        poll.is_propagated = true;
        let rows = node.position..poll.snapshot.unwrap_or(0);
        if poll.only_certifies {
            return;
        }
        if poll.is_unknown {
            self.removed(nth);
            return;
        }
        let rows: Vec<u8> = rows.filter(|of| self.silent & 1 << of == 0).collect();
        if rows.is_empty() {
            return;
        }
        let id = |commit: u8| ChangeId::new(commit.to_string());
        let changes = rows.iter().map(|&of| Change { id: id(of), touches: vec![Touch::entry("k", ["1"])] });
        let is_propagated =
            |change: &ChangeId| rows.iter().any(|&of| id(of) == *change && node.propagated & 1 << of != 0);
        if !unpropagated_touches(changes.collect(), is_propagated, model.rules).is_empty() {
            self.removed(nth);
            return;
        }
        model.take(Branch::Skipped);
        if nth == 1 {
            model.take(Branch::SkippedAfterPromotion);
        }
    }

    fn removed(&mut self, nth: usize) {
        self.nodes[nth].entry = None;
        if std::mem::take(&mut self.nodes[nth].is_tracked) {
            self.clients[nth].wire.push_back(Sent::Push);
        }
    }

    pub(super) fn mark(&mut self, model: &Timed, nth: usize) {
        let Some(poll) = self.relays[nth].poll.take() else { return };
        let now = self.clock(model, nth);
        // For a mutant: a relay that reads the clock after its snapshot marks commits that it has not seen.
        let began = if model.own_rules.clock_comes_first { RedisTime(poll.began) } else { now };
        let (certificate, mine) =
            (State::certificate(self.nodes[nth].certified).to_bytes(), State::certificate(nth).to_bytes());
        let node = &mut self.nodes[nth];
        let input = MarkInput {
            is_same_history: true,
            now,
            certificate: Some(&certificate),
            watermark: node.watermark.map(RedisTime),
        };
        match decide_mark(input, began, &mine) {
            MarkDecision::Set => {
                model.take(Branch::Marked);
                (node.certified, node.watermark) = (nth, Some(began.0));
                node.position = poll.snapshot.unwrap_or(0);
                node.attestation = poll.attestation;
                node.propagated &= u8::MAX << node.position;
            }
            MarkDecision::Keep | MarkDecision::Refuse => {}
        }
    }

    pub(super) fn sync(&mut self) {
        self.nodes[1] = self.nodes[0].clone();
        self.nodes[1].is_tracked = false;
    }

    pub(super) fn promote(&mut self) {
        self.is_promoted = true;
    }
}
