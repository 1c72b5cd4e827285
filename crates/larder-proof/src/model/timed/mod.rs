//! Ticks: watermarks, heartbeats and the staleness bound, on one node and in a split brain.
//!
//! An old master is cut off with one client while the new one, perhaps with a slower clock, serves another. Clocks
//! differ by an offset and run at one rate. Every bounded read that might be made in a state is judged in that state:
//! it may miss no commit that was made more than the bound ago.

pub mod scenarios;
mod state;
mod steps;

use larder::protocol::rules::ProtocolRules;
use stateright::{Model, Property};

use crate::model::coverage::Coverage;
use crate::model::journal;

pub use state::State;

/// The bounds of one exploration, and the rules it keeps.
#[derive(Clone, Debug)]
pub struct Timed {
    /// The protocol, perhaps without a rule.
    pub rules: ProtocolRules,
    /// What else is done right; see [`Care`].
    pub care: Care,
    /// The staleness bound, in ticks.
    pub bound: u8,
    /// Where time ends.
    pub horizon: u8,
    /// Commits.
    pub commits: u8,
    /// How many of them are told by their writers; the relays tell the others.
    pub tells: u8,
    /// Heartbeats of each client.
    pub beats: u8,
    /// Passes of the relay at each node.
    pub passes: [u8; 2],
    /// How far the second node's clock is from the first's; the promoted replica is the second.
    pub offset: i8,
    /// Whether the replica may be promoted, and the second client use it.
    pub splits: bool,
    /// Whether reads fly, so that others may join them.
    pub flies: bool,
    /// How often the triggers go off.
    pub silences: u8,
    /// What has been taken.
    pub coverage: Coverage,
}

/// Rules that have no name among [`ProtocolRule`](larder::protocol::rules::ProtocolRule): the mutants of this model alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Care {
    /// A heartbeat counts from its sending and not from its reply.
    pub beat_counts_from_sending: bool,
    /// The relay reads Redis's clock before its snapshot and not after it.
    pub clock_comes_first: bool,
    /// A bounded read joins a flight only while what the flight may have found in Redis is young enough for it too.
    pub flight_counts_its_watermark: bool,
    /// An outage's copy counts from the start of its load and not from its end.
    pub copy_counts_from_start: bool,
    /// What the attestation rests on.
    pub journal: journal::Care,
}

impl Default for Care {
    fn default() -> Self {
        Care {
            beat_counts_from_sending: true,
            clock_comes_first: true,
            flight_counts_its_watermark: true,
            copy_counts_from_start: true,
            journal: journal::Care::default(),
        }
    }
}

/// The branches whose taking is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// A heartbeat let Redis be used.
    Granted,
    /// The watermark was too old, or missing, or of another node.
    NotGranted,
    /// The watermark was ahead of the clock.
    Ahead,
    /// MARK set all three.
    Marked,
    /// The relay passed over what writers had told.
    PassedOver,
    /// It did so after a promotion.
    PassedOverAfterPromotion,
    /// Two clients use two masters at once.
    Split,
    /// A copy that was old already is served within the bound.
    OldWithinBound,
    /// A flight that may be joined has found an old value.
    OldFlight,
    /// A push removed a copy.
    Pushed,
    /// A copy of an outage is served.
    OutageCopy,
    /// A commit left no row.
    Silent,
    /// A commit that left no row is missed by a read, under a grant that is not over.
    SilentWithinBound,
    /// The position's attestation is another one: the namespace was dropped.
    Unattested,
    /// A pass met a defect.
    Broken,
}

impl Branch {
    /// All, in order of declaration.
    pub const ALL: [Branch; 15] = {
        use Branch::*;
        [
            Granted,
            NotGranted,
            Ahead,
            Marked,
            PassedOver,
            PassedOverAfterPromotion,
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

/// One step of anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Time passes.
    Tick,
    /// A commit, by anybody.
    Commit,
    /// The writer of the commit tells the node.
    Tell(u8, usize),
    /// Somebody fills what a load at this instant sees.
    Fill(usize),
    /// A client sends a heartbeat.
    Send(usize),
    /// Redis answers it.
    Answer(usize),
    /// A client handles the next thing on its wire.
    Deliver(usize),
    /// A client's tracked read enters memory.
    Keep(usize),
    /// A client's flight begins.
    Depart(usize),
    /// Its read reaches Redis.
    Find(usize),
    /// It lands.
    Land(usize),
    /// A client without Redis begins a load.
    Begin(usize),
    /// It reads the database.
    Load(usize),
    /// It keeps what it read.
    Store(usize),
    /// The relay at a node asks it.
    Ask(usize),
    /// It takes its snapshot of the database.
    Snapshot(usize),
    /// It reads the names and unlinks.
    Unlink(usize),
    /// It marks.
    Mark(usize),
    /// The replica copies the master.
    Sync,
    /// The replica is promoted; the old master does not know.
    Promote,
    /// The triggers go off.
    Silence,
    /// They are on again.
    Mend,
}

impl Timed {
    /// An empty scenario under `rules`.
    pub fn new(rules: ProtocolRules) -> Self {
        Timed {
            rules,
            care: Care::default(),
            bound: 3,
            horizon: 8,
            commits: 1,
            tells: 0,
            beats: 2,
            passes: [0, 0],
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
            Action::Tell(commit, node) => state.tell(commit, node),
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
