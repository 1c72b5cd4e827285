//! A process without Redis that follows the journal for its memory alone, and remembers what it has told it itself:
//! `engine::consumer` and `engine::invalidate`, step by step, against loads of one key.

use bytes::Bytes;
use larder::clock::Tick;
use larder::journal::{Change, ChangeId, Touch};
use larder::policy::Consistency;
use larder::protocol::flight::FlightId;
use larder::protocol::relay::untold;
use larder::protocol::rules::Rules;
use larder::protocol::shard::{Boarded, Shard};
use stateright::{Model, Property};

use crate::model::coverage::Coverage;

/// A set of transactions, one bit each.
type Seen = u8;

const KEY: &[u8] = b"k";

/// The bounds of one exploration, and the rules it keeps.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The protocol, perhaps without a rule.
    pub rules: Rules,
    /// What else is done right; see [`Care`].
    pub care: Care,
    /// This process's own writes.
    pub writers: u8,
    /// Commits by others, which the journal alone tells of.
    pub foreign: u8,
    /// Loads of the key.
    pub loaders: usize,
    /// Passes.
    pub passes: u8,
    /// What has been taken.
    pub coverage: Coverage,
}

/// Rules that have no name among [`Rule`](larder::protocol::rules::Rule): the mutants of this model alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Care {
    /// A change is remembered only once what it touched has been dropped.
    pub names_come_after_dropping: bool,
    /// A change is dropped and remembered only once it is committed.
    pub names_come_after_commit: bool,
}

impl Default for Care {
    fn default() -> Self {
        Care { names_come_after_dropping: true, names_come_after_commit: true }
    }
}

/// The branches whose taking is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// A pass dropped the key.
    Dropped,
    /// A pass left out what this process had told.
    PassedOver,
    /// A name came while the journal was asked, and is kept for the next pass.
    KeptName,
    /// The journal could not be asked: the names are forgotten.
    Failed,
    /// What was told under a forgotten name is dropped once more.
    ToldAgain,
    /// A load entered memory.
    Inserted,
    /// A load was overtaken.
    Refused,
}

impl Branch {
    /// All, in order of declaration.
    pub const ALL: [Branch; 7] = {
        use Branch::*;
        [Dropped, PassedOver, KeptName, Failed, ToldAgain, Inserted, Refused]
    };
}

/// One step of anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A transaction commits.
    Commit(u8),
    /// Its writer drops from memory.
    Drop(u8),
    /// Its writer adds its name.
    Name(u8),
    /// A load begins.
    Depart(usize),
    /// It reads the database.
    Load(usize),
    /// It enters memory, if it may.
    Insert(usize),
    /// The consumer counts the names.
    Count,
    /// It asks the journal.
    Since,
    /// The journal does not answer.
    Fail,
    /// It takes the names.
    Take,
    /// It drops what has not been told.
    Follow,
    /// It vouches for memory.
    Grant,
}

/// How far an own write is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Writer {
    has_dropped: bool,
    has_named: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Loader {
    Before,
    Flying,
    Loaded(Seen),
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Pass {
    Idle,
    Counted { names: usize },
    Asked { names: usize, snapshot: Seen },
    Taken { snapshot: Seen, told: Seen },
    Followed { snapshot: Seen },
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    committed: Seen,
    writers: Vec<Writer>,
    /// What the copy's load saw.
    copy: Option<Seen>,
    shard: Shard<()>,
    loaders: Vec<Loader>,
    /// `consumer::Told`, in its order.
    told: Vec<u8>,
    pass: Pass,
    passes: u8,
    /// The snapshot of the last grant, which is the next pass's position.
    vouched: Seen,
}

impl Memory {
    /// All that is explored: two own writes, or one and another's.
    pub fn all(rules: Rules, care: Care) -> Vec<(&'static str, Memory)> {
        let base = |writers, foreign| Memory {
            rules,
            care,
            writers,
            foreign,
            loaders: 2,
            passes: 2,
            coverage: Coverage::new(Branch::ALL.len()),
        };
        vec![
            ("one write, three passes", Memory { passes: 3, ..base(1, 0) }),
            ("two writes", base(2, 0)),
            ("a write, and a commit by others", base(1, 1)),
        ]
    }

    fn take(&self, branch: Branch) {
        self.coverage.take(branch as usize);
    }
}

impl State {
    /// `drop_from`. The engine drops twice, for the sake of what Redis may bring in between; once has to be enough here.
    fn drop_key(&mut self) {
        let _ = self.shard.detach(KEY);
        self.copy = None;
    }

    fn depart(&mut self, nth: usize, id: FlightId) {
        let boarded =
            self.shard.board(KEY, Consistency::Bounded, id, Tick::PAST, std::time::Duration::from_secs(1));
        if matches!(boarded, Boarded::Lead) {
            self.shard.depart(Bytes::from_static(KEY), id, Tick::PAST, [].into(), ());
            self.loaders[nth] = Loader::Flying;
        }
    }

    fn insert(&mut self, model: &Memory, nth: usize, id: FlightId) {
        let Loader::Loaded(seen) = self.loaders[nth] else { return };
        self.loaders[nth] = Loader::Done;
        let may = self.shard.is_attached(KEY, id);
        if may {
            self.copy = Some(seen);
        }
        self.shard.land(KEY, id);
        model.take(if may { Branch::Inserted } else { Branch::Refused });
    }

    /// `Told::take`.
    fn take_names(&mut self, first: usize) -> Seen {
        let all = self.told.iter().fold(0, |all, of| all | 1 << of);
        self.told.drain(..first);
        all
    }

    fn take(&mut self, model: &Memory) {
        let Pass::Asked { names, snapshot } = self.pass else { return };
        let told = self.take_names(names);
        if !self.told.is_empty() {
            model.take(Branch::KeptName);
        }
        self.pass = Pass::Taken { snapshot, told };
    }

    fn follow(&mut self, model: &Memory) {
        let Pass::Taken { snapshot, told } = self.pass else { return };
        let rows = snapshot & !self.vouched;
        let id = |of: u8| ChangeId::new(of.to_string());
        let all = 0..model.writers + model.foreign;
        let changes = all.clone().filter(|of| rows & 1 << of != 0);
        let changes = changes.map(|of| Change { id: id(of), touches: vec![Touch::entry("k", ["1"])] });
        let is_told = |name: &ChangeId| all.clone().any(|of| told & 1 << of != 0 && id(of) == *name);
        if rows & told != 0 {
            model.take(Branch::PassedOver);
        }
        if !untold(changes.collect(), is_told, model.rules).is_empty() {
            model.take(Branch::Dropped);
            let named = |(of, writer): (usize, &Writer)| writer.has_named && rows & !told & 1 << of != 0;
            if self.writers.iter().enumerate().any(named) {
                model.take(Branch::ToldAgain);
            }
            self.drop_key();
        }
        self.pass = Pass::Followed { snapshot };
    }

    /// No copy is older than the snapshot that the last grant was for.
    fn memory_knows_what_the_guard_vouches_for(&self) -> bool {
        self.copy.is_none_or(|seen| seen & self.vouched == self.vouched)
    }

    /// No copy is older than what was written and dropped here.
    fn own_writes_are_read(&self) -> bool {
        let dropped = self.writers.iter().enumerate().filter(|(_, writer)| writer.has_dropped);
        let own = dropped.fold(0, |own, (of, _)| own | 1 << of) & self.committed;
        self.copy.is_none_or(|seen| seen & own == own)
    }
}

impl Model for Memory {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            committed: 0,
            writers: vec![Writer::default(); usize::from(self.writers)],
            copy: None,
            shard: Shard::new(self.rules),
            loaders: vec![Loader::Before; self.loaders],
            told: Vec::new(),
            pass: Pass::Idle,
            passes: self.passes,
            vouched: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for of in 0..self.writers + self.foreign {
            let is_committed = state.committed & 1 << of != 0;
            if !is_committed {
                actions.push(Action::Commit(of));
            }
            // Never taken: the writer died between its commit and what follows.
            if let Some(writer) = state.writers.get(usize::from(of))
                && (is_committed || !self.care.names_come_after_commit)
            {
                if !writer.has_dropped {
                    actions.push(Action::Drop(of));
                }
                if !writer.has_named && (writer.has_dropped || !self.care.names_come_after_dropping) {
                    actions.push(Action::Name(of));
                }
            }
        }
        for (nth, loader) in state.loaders.iter().enumerate() {
            match loader {
                Loader::Before if state.copy.is_none() => actions.push(Action::Depart(nth)),
                Loader::Before | Loader::Done => {}
                Loader::Flying => actions.push(Action::Load(nth)),
                Loader::Loaded(_) => actions.push(Action::Insert(nth)),
            }
        }
        match state.pass {
            Pass::Idle if state.passes > 0 => actions.push(Action::Count),
            Pass::Idle => {}
            Pass::Counted { .. } => actions.extend([Action::Since, Action::Fail]),
            Pass::Asked { .. } => actions.push(Action::Take),
            Pass::Taken { .. } => actions.push(Action::Follow),
            Pass::Followed { .. } => actions.push(Action::Grant),
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let id = |nth: usize| FlightId(nth as u64 + 1);
        match (action, &last.pass) {
            (Action::Commit(of), _) => state.committed |= 1 << of,
            (Action::Drop(of), _) => {
                state.drop_key();
                state.writers[usize::from(of)].has_dropped = true;
            }
            (Action::Name(of), _) => {
                state.told.push(of);
                state.writers[usize::from(of)].has_named = true;
            }
            (Action::Depart(nth), _) => state.depart(nth, id(nth)),
            (Action::Load(nth), _) => state.loaders[nth] = Loader::Loaded(state.committed),
            (Action::Insert(nth), _) => state.insert(self, nth, id(nth)),
            (Action::Count, _) => {
                state.passes -= 1;
                state.pass = Pass::Counted { names: state.told.len() };
            }
            (Action::Since, &Pass::Counted { names }) => {
                state.pass = Pass::Asked { names, snapshot: state.committed };
            }
            (Action::Fail, &Pass::Counted { names }) => {
                self.take(Branch::Failed);
                state.take_names(names);
                state.pass = Pass::Idle;
            }
            (Action::Take, _) => state.take(self),
            (Action::Follow, _) => state.follow(self),
            (Action::Grant, &Pass::Followed { snapshot }) => {
                state.vouched = snapshot;
                state.pass = Pass::Idle;
            }
            _ => {}
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("memory_knows_what_the_guard_vouches_for", |_, state: &State| {
                state.memory_knows_what_the_guard_vouches_for()
            }),
            Property::always("own_writes_are_read", |_, state: &State| state.own_writes_are_read()),
        ]
    }
}
