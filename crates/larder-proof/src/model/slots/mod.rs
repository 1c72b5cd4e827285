//! A slot of a Redis Cluster and one key in it: the slot moves between two masters, comes back, or its move is given up.
//!
//! Time is the number of commits so far. Each master has contents, a certificate that lists the slot or not, a position and a
//! watermark; the other slots are left out, so each master is always in use. A value contains the set of transactions that its
//! load saw. Each transaction touches the key.
//!
//! The steps of a move are those of `redis-cli --cluster reshard`, each at one node: the new master imports, the former one
//! migrates, keys are carried, the new one settles, the former one leaves. Between the last two, both answer for the slot.
//!
//! Assumption: between the last key that a move carries and the first one that it carries back when it is given up, the new
//! master gets a heartbeat, which comes each 200 ms.

mod state;

use stateright::{Model, Property};

use crate::model::coverage::Coverage;
pub use state::State;

/// The bounds of one exploration, and the rules that it keeps.
#[derive(Clone, Debug)]
pub struct Slots {
    /// The rules of this model.
    pub own_rules: ModelRules,
    /// The number of transactions, at most 2.
    pub transactions: u8,
    /// The number of loads, each by the only instance.
    pub loads: usize,
    /// Each relay polls at most this many times.
    pub polls: Vec<u8>,
    /// The slot begins to move at most this many times.
    pub moves: u8,
    /// A move is given up at most this many times.
    pub give_ups: u8,
    /// Counts how often each branch is taken.
    pub coverage: Coverage,
}

/// The rules that this model's mutants break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelRules {
    /// A master lists a slot only after it has deleted what arrived with it.
    pub arrivals_are_emptied: bool,
    /// A poll fails if a key that it has to delete is elsewhere.
    pub polls_fail_elsewhere: bool,
    /// A key that the master refuses because its slot is being moved does not count as deleted.
    pub asking_is_no_deletion: bool,
    /// A heartbeat deletes what arrives at a master that imports.
    pub importing_is_emptied: bool,
}

impl Default for ModelRules {
    fn default() -> Self {
        ModelRules {
            arrivals_are_emptied: true,
            polls_fail_elsewhere: true,
            asking_is_no_deletion: true,
            importing_is_emptied: true,
        }
    }
}

/// One step of any participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The transaction commits.
    Commit(u8),
    /// The UNLINK of its writer runs at the master, and acknowledges the write if the key was deleted or absent there.
    Propagate(u8, usize),
    /// The instance handles a heartbeat of the master.
    Beat(usize),
    /// The load takes its lease at the master.
    Lease(usize, usize),
    /// The load reads the database.
    Load(usize),
    /// The load fills at the master.
    Fill(usize, usize),
    /// The relay begins a poll at the master.
    Ask(usize, usize),
    /// The relay takes its snapshot of the database.
    Snapshot(usize),
    /// The relay unlinks the key, if a change of its snapshot touched it.
    Unlink(usize),
    /// The relay deletes what arrived with the slot, if the certificate does not list it.
    Empty(usize),
    /// The relay runs MARK.
    Mark(usize),
    /// The slot begins to move from the master.
    Begin(usize),
    /// The key is carried to the other master.
    Carry,
    /// The new master settles.
    Settle,
    /// The former master leaves.
    Leave,
    /// The move is given up at the former master.
    GiveUp,
    /// The key is carried back.
    CarryBack,
    /// The new master forgets that it imported.
    Forget,
}

/// The branches that the model counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// A key was unlinked at its master.
    Unlinked,
    /// A master refused to unlink a key whose slot is being moved.
    Asked,
    /// A master refused a key of a slot that it has not.
    Moved,
    /// An entry that had arrived was deleted before its slot was listed.
    Emptied,
    /// A heartbeat deleted what had arrived at a master that imports.
    EmptiedImporting,
    /// MARK set certificate, position and watermark.
    Marked,
    /// MARK refused, because the certificate was another one.
    Refused,
    /// A poll failed, because a key was elsewhere.
    Failed,
    /// A load filled.
    Filled,
    /// A load filled at another master than the one that gave the lease.
    FilledElsewhere,
    /// A fill was refused.
    FillRefused,
}

impl Branch {
    /// All branches.
    pub const ALL: [Branch; 11] = [
        Branch::Unlinked,
        Branch::Asked,
        Branch::Moved,
        Branch::Emptied,
        Branch::EmptiedImporting,
        Branch::Marked,
        Branch::Refused,
        Branch::Failed,
        Branch::Filled,
        Branch::FilledElsewhere,
        Branch::FillRefused,
    ];
}

impl Slots {
    /// All scenarios. Each is small enough to be explored completely; together they take every branch.
    pub fn all(own_rules: ModelRules) -> Vec<(&'static str, Slots)> {
        let base = || Slots {
            own_rules,
            transactions: 1,
            loads: 1,
            polls: vec![2],
            moves: 1,
            give_ups: 0,
            coverage: Coverage::new(Branch::ALL.len()),
        };
        vec![
            ("a slot moves", base()),
            ("a move is given up", Slots { give_ups: 1, ..base() }),
            ("two loads", Slots { loads: 2, ..base() }),
            ("two relays", Slots { polls: vec![2, 1], ..base() }),
            ("two transactions", Slots { transactions: 2, ..base() }),
            ("a slot moves and comes back", Slots { moves: 2, polls: vec![3], ..base() }),
        ]
    }

    fn take(&self, branch: Branch) {
        self.coverage.take(branch as usize);
    }
}

impl Model for Slots {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        state.actions(self, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        state.step(self, action);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("position_is_true", |_, state: &State| state.position_is_true()),
            Property::always("reads_reach_the_watermark", |_, state: &State| {
                state.reads_reach_the_watermark()
            }),
            Property::always("fresh_after_acknowledgement", |_, state: &State| {
                state.fresh_after_acknowledgement()
            }),
        ]
    }
}
