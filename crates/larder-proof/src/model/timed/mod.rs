//! A model with time: watermarks, heartbeats and the staleness bound, on one node and in a split brain.
//!
//! In a split brain, one client still uses the old master while another uses the new one, whose clock may be behind or
//! ahead. Clocks differ by an offset and run at the same rate. In each state, every bounded read that is possible in
//! that state must contain every commit that is older than the bound.

pub mod scenarios;
mod state;
mod steps;

use larder::protocol::rules::ProtocolRules;
use stateright::{Model, Property};

use crate::model::coverage::Coverage;
use crate::model::journal;

pub use state::State;

/// The bounds of one exploration, and the rules that it keeps.
#[derive(Clone, Debug)]
pub struct Timed {
    /// The protocol's rules, of which one may be broken.
    pub rules: ProtocolRules,
    /// The rules that only this model has.
    pub own_rules: ModelRules,
    /// The staleness bound, in ticks.
    pub bound: u8,
    /// The last tick.
    pub horizon: u8,
    /// Programs commit at most this many times.
    pub commits: u8,
    /// The writers propagate at most this many commits. The relays propagate the others.
    pub propagations: u8,
    /// Each client sends at most this many heartbeats.
    pub beats: u8,
    /// The relay of each node polls at most this many times.
    pub polls: [u8; 2],
    /// The offset of the second node's clock from the first's. The second node is the replica that is promoted.
    pub offset: i8,
    /// Whether the replica may be promoted, so that the second client uses it.
    pub splits: bool,
    /// Whether the clients have flights, which other reads may join, and loads without Redis.
    pub flies: bool,
    /// The triggers are switched off at most this many times.
    pub silences: u8,
    /// Counts how often each branch is taken.
    pub coverage: Coverage,
}

/// The rules that only this model has; they are not in [`ProtocolRule`](larder::protocol::rules::ProtocolRule). This
/// model's own mutants break them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelRules {
    /// The validity of a heartbeat counts from its sending and not from its reply.
    pub beat_counts_from_sending: bool,
    /// The relay reads Redis's clock before its snapshot and not after it.
    pub clock_comes_first: bool,
    /// A bounded read joins a flight only if the value that the flight may have found in Redis is young enough for that
    /// read too.
    pub flight_counts_its_watermark: bool,
    /// The deadline of a copy that was loaded without Redis counts from the start of its load and not from its end.
    pub copy_counts_from_start: bool,
    /// The rules of the attestation.
    pub journal: journal::ModelRules,
}

impl Default for ModelRules {
    fn default() -> Self {
        ModelRules {
            beat_counts_from_sending: true,
            clock_comes_first: true,
            flight_counts_its_watermark: true,
            copy_counts_from_start: true,
            journal: journal::ModelRules::default(),
        }
    }
}

/// The branches that the model counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// A heartbeat granted the use of Redis.
    Granted,
    /// A heartbeat granted nothing: the watermark was too old, or missing, or of another node.
    NotGranted,
    /// The watermark was ahead of the clock.
    Ahead,
    /// MARK set certificate, watermark and position.
    Marked,
    /// The relay skipped changes that their writers had propagated.
    Skipped,
    /// The relay of the promoted node skipped changes that their writers had propagated.
    SkippedAfterPromotion,
    /// Two clients use two masters at once.
    Split,
    /// A client can serve a value that misses a commit which is younger than the bound.
    OldWithinBound,
    /// A flight that may be joined has found an old value.
    OldFlight,
    /// A push removed a copy.
    Pushed,
    /// A client can serve a copy that it loaded without Redis.
    OutageCopy,
    /// A commit left no row.
    Silent,
    /// A read misses a commit that left no row, within the bound.
    SilentWithinBound,
    /// The attestation differed from the position's, so the namespace was dropped.
    Unattested,
    /// A poll found a defect.
    Broken,
}

impl Branch {
    /// All branches, in the order of declaration.
    pub const ALL: [Branch; 15] = {
        use Branch::*;
        [
            Granted,
            NotGranted,
            Ahead,
            Marked,
            Skipped,
            SkippedAfterPromotion,
            Split,
            OldWithinBound,
            OldFlight,
            Pushed,
            OutageCopy,
            Silent,
            SilentWithinBound,
            Unattested,
            Broken,
        ]
    };
}

/// One step of any participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// One tick of time passes.
    Tick,
    /// Any program commits.
    Commit,
    /// The writer of the commit propagates it to the node.
    Propagate(u8, usize),
    /// The node gets the entry that a load at this instant would return.
    Fill(usize),
    /// A client sends a heartbeat.
    Send(usize),
    /// Redis answers the heartbeat.
    Answer(usize),
    /// The client handles the next message from Redis.
    Deliver(usize),
    /// A client's tracked read enters memory.
    Keep(usize),
    /// A client's flight begins.
    Depart(usize),
    /// The flight's read reaches Redis.
    Find(usize),
    /// The flight ends.
    Land(usize),
    /// A client without Redis begins a load.
    Begin(usize),
    /// The load without Redis reads the database.
    Load(usize),
    /// The load without Redis stores its value in memory.
    Store(usize),
    /// The relay of the node begins a poll.
    Ask(usize),
    /// The relay takes its snapshot of the database.
    Snapshot(usize),
    /// The relay reads the changes' ids and unlinks.
    Unlink(usize),
    /// The relay runs MARK.
    Mark(usize),
    /// The replica copies the master.
    Sync,
    /// The replica is promoted. The old master does not notice, so there are two masters.
    Promote,
    /// The triggers are switched off.
    Silence,
    /// The triggers are switched on again.
    Mend,
}

impl Timed {
    /// An empty scenario under `rules`.
    pub fn new(rules: ProtocolRules) -> Self {
        Timed {
            rules,
            own_rules: ModelRules::default(),
            bound: 3,
            horizon: 8,
            commits: 1,
            propagations: 0,
            beats: 2,
            polls: [0, 0],
            offset: 0,
            splits: false,
            flies: false,
            silences: 0,
            coverage: Coverage::new(Branch::ALL.len()),
        }
    }

    fn take(&self, branch: Branch) {
        self.coverage.take(branch as usize);
    }
}

impl Model for Timed {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        state.possible(self, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => state.now += 1,
            Action::Commit => state.commit(self),
            Action::Fill(node) => state.nodes[node].entry = Some(state.database()),
            Action::Send(client) => state.send(client),
            Action::Answer(client) => state.answer(client),
            Action::Deliver(client) => state.deliver(self, client),
            Action::Keep(client) => state.keep(client),
            Action::Depart(client) => state.begin_flight(self, client),
            Action::Find(client) => state.find(client),
            Action::Land(client) => state.clients[client].flight = None,
            Action::Begin(client) => state.begin(client),
            Action::Load(client) => state.load(client),
            Action::Store(client) => state.store(self, client),
            Action::Ask(node) => state.ask(self, node),
            Action::Snapshot(node) => state.snapshot(self, node),
            Action::Propagate(commit, node) => state.propagate(commit, node),
            Action::Unlink(node) => state.unlink(self, node),
            Action::Mark(node) => state.mark(self, node),
            Action::Sync => state.sync(),
            Action::Promote => state.promote(),
            Action::Silence => {
                state.silences -= 1;
                state.catalog.silence();
            }
            Action::Mend => state.catalog.mend(),
        }
        state.settle();
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("reads_keep_the_bound", |model: &Self, state: &State| {
                state.reads_keep_the_bound(model)
            }),
            Property::always("joins_keep_the_bound", |model: &Self, state: &State| {
                state.joins_keep_the_bound(model)
            }),
            Property::always("watermark_is_true", |model: &Self, state: &State| {
                state.watermark_is_true(model)
            }),
        ]
    }
}
