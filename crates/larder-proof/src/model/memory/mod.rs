//! A process without Redis. It applies the journal's changes to its memory, and remembers the ids of its own writes,
//! which it has applied already. The model imitates the steps of `engine::consumer` and `engine::invalidate` one by one,
//! against loads and refreshes of one key. It shares with production the decisions of `protocol/`.

mod state;

use larder::protocol::flight::FlightId;
use larder::protocol::rules::ProtocolRules;
use stateright::{Model, Property};

use crate::model::coverage::Coverage;
use crate::model::journal;
use crate::model::journal::Touched;
use crate::model::memory::state::{Loader, Poll, Refresh};

pub use state::State;

/// The bounds of one exploration, and the rules that it keeps.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The protocol's rules, of which one may be broken.
    pub rules: ProtocolRules,
    /// The rules that only this model has.
    pub own_rules: ModelRules,
    /// The number of this process's own writes.
    pub writers: u8,
    /// The number of commits by other programs, which only the journal reports.
    pub foreign: u8,
    /// At most this many loads of the key begin.
    pub loaders: usize,
    /// At most this many refreshes begin, each of a copy that is in memory.
    pub refreshes: usize,
    /// The consumer polls at most this many times.
    pub polls: u8,
    /// The triggers are switched off at most this many times.
    pub silences: u8,
    /// Whether row security may hide the outbox from this process, once.
    pub hides: bool,
    /// Counts how often each branch is taken.
    pub coverage: Coverage,
}

/// The rules that only this model has; they are not in [`ProtocolRule`](larder::protocol::rules::ProtocolRule). This
/// model's own mutants break them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelRules {
    /// The process remembers a change only after it has dropped the entries that the change touched.
    pub ids_come_after_dropping: bool,
    /// The process applies and remembers a change only after its commit.
    pub ids_come_after_commit: bool,
    /// The rules of the attestation.
    pub journal: journal::ModelRules,
}

impl Default for ModelRules {
    fn default() -> Self {
        ModelRules {
            ids_come_after_dropping: true,
            ids_come_after_commit: true,
            journal: journal::ModelRules::default(),
        }
    }
}

/// The branches that the model counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// A poll dropped the key.
    Dropped,
    /// A poll skipped a change that this process had applied itself.
    Skipped,
    /// A write added an id while the consumer read the journal; the id stays for the next poll.
    KeptId,
    /// The journal did not answer, so the consumer forgot the ids.
    Failed,
    /// A poll applied a change once more, because the consumer had forgotten its id.
    AppliedAgain,
    /// A load entered memory.
    Inserted,
    /// A load was overtaken, so its value did not enter memory.
    Refused,
    /// A refresh replaced the copy.
    Refreshed,
    /// A refresh was overtaken, so its value did not enter memory.
    RefreshRefused,
    /// A commit left no row.
    Silent,
    /// A write of this process touched everything.
    TouchedEverything,
    /// The attestation differed from the position's, so memory was emptied.
    Unattested,
    /// `Unattested`, where the journal was complete at the position and is complete again, but lacks a commit from the
    /// time between.
    CompleteAtBothEnds,
    /// A poll found a defect.
    Broken,
    /// A poll saw no rows, because they are hidden from it, and granted nothing.
    Hidden,
    /// An inspection saw another catalog than the snapshot of its poll.
    InspectedLater,
}

impl Branch {
    /// All branches, in the order of declaration.
    pub const ALL: [Branch; 16] = {
        use Branch::*;
        [
            Dropped,
            Skipped,
            KeptId,
            Failed,
            AppliedAgain,
            Inserted,
            Refused,
            Refreshed,
            RefreshRefused,
            Silent,
            TouchedEverything,
            Unattested,
            CompleteAtBothEnds,
            Broken,
            Hidden,
            InspectedLater,
        ]
    };
}

/// One step of any participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A transaction commits.
    Commit(u8),
    /// The transaction's writer drops the key from memory.
    DropCopies(u8),
    /// The transaction's writer remembers the change's id.
    Record(u8),
    /// A load begins.
    Depart(usize),
    /// The load reads the database.
    Load(usize),
    /// The load's value enters memory, if it may.
    Insert(usize),
    /// A refresh of the copy draws its permit.
    Draw(usize),
    /// The refresh reads the database.
    Reload(usize),
    /// The refresh replaces the copy, if it may.
    Redeem(usize),
    /// The consumer counts the remembered ids, so that it later forgets these and not the ids that writes add
    /// meanwhile.
    Count,
    /// The consumer asks the journal for the changes since its position.
    ChangesSince,
    /// The consumer inspects the journal if the attestation has changed.
    Inspect,
    /// The journal does not answer.
    Fail,
    /// The consumer takes all remembered ids, and forgets those that it had counted.
    Take,
    /// The consumer drops the key if a change has not been applied.
    Follow,
    /// The consumer extends the validity of memory.
    Grant,
    /// The triggers are switched off.
    Silence,
    /// The triggers are switched on again.
    Mend,
    /// Row security hides the outbox (`true`), or shows it again (`false`).
    Hide(bool),
}

impl Memory {
    fn new(rules: ProtocolRules, own_rules: ModelRules, writers: u8, foreign: u8) -> Self {
        Memory {
            rules,
            own_rules,
            writers,
            foreign,
            loaders: 2,
            refreshes: 0,
            polls: 2,
            silences: 0,
            hides: false,
            coverage: Coverage::new(Branch::ALL.len()),
        }
    }

    /// All scenarios: one or two writes of this process, one write with a commit by another program,
    /// [`Memory::refreshed`] and [`Memory::silences`].
    pub fn all(rules: ProtocolRules, own_rules: ModelRules) -> Vec<(&'static str, Memory)> {
        let base = |writers, foreign| Memory::new(rules, own_rules, writers, foreign);
        let loud = vec![
            ("one write, three polls", Memory { polls: 3, ..base(1, 0) }),
            ("two writes", base(2, 0)),
            ("a write, and a commit by others", base(1, 1)),
        ];
        [loud, Memory::refreshed(rules, own_rules), Memory::silences(rules, own_rules)].concat()
    }

    /// The scenarios in which a copy is refreshed.
    pub fn refreshed(rules: ProtocolRules, own_rules: ModelRules) -> Vec<(&'static str, Memory)> {
        let base = || Memory { refreshes: 1, loaders: 1, ..Memory::new(rules, own_rules, 1, 0) };
        vec![
            ("a refresh, one write", Memory { loaders: 2, ..base() }),
            ("two refreshes, a write, and a commit by others", Memory { refreshes: 2, foreign: 1, ..base() }),
        ]
    }

    /// The scenarios in which commits leave no row in the outbox, because the triggers are off (the journal is silent), or
    /// row security hides the rows from the process (the journal is hidden).
    pub fn silences(rules: ProtocolRules, own_rules: ModelRules) -> Vec<(&'static str, Memory)> {
        let base = |writers, foreign| Memory::new(rules, own_rules, writers, foreign);
        vec![
            ("triggers off and on: a write, and a commit by others", Memory { silences: 1, ..base(1, 1) }),
            ("the outbox is hidden and shown again", Memory { hides: true, ..base(1, 1) }),
            ("triggers off and on twice, three polls", Memory { silences: 2, polls: 3, ..base(1, 0) }),
        ]
    }

    fn take(&self, branch: Branch) {
        self.coverage.take(branch as usize);
    }
}

impl Model for Memory {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for of in 0..self.writers + self.foreign {
            let is_committed = state.committed & 1 << of != 0;
            if !is_committed {
                actions.push(Action::Commit(of));
            }
            // A path that never takes these steps models a writer that died after its commit.
            if let Some(writer) = state.writers.get(usize::from(of))
                && (is_committed || !self.own_rules.ids_come_after_commit)
            {
                if !writer.has_dropped {
                    actions.push(Action::DropCopies(of));
                }
                let can_record = writer.touched == Touched::Rows && !writer.has_recorded;
                if can_record && (writer.has_dropped || !self.own_rules.ids_come_after_dropping) {
                    actions.push(Action::Record(of));
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
        for (nth, refresh) in state.refreshes.iter().enumerate() {
            match refresh {
                Refresh::Before if state.copy.is_some() => actions.push(Action::Draw(nth)),
                Refresh::Before | Refresh::Done => {}
                Refresh::Drawn => actions.push(Action::Reload(nth)),
                Refresh::Loaded(_) => actions.push(Action::Redeem(nth)),
            }
        }
        match state.poll {
            Poll::Idle if state.polls > 0 => actions.push(Action::Count),
            Poll::Idle => {}
            Poll::Counted { .. } => actions.extend([Action::ChangesSince, Action::Fail]),
            Poll::Answered { .. } => actions.push(Action::Inspect),
            Poll::Asked { .. } => actions.push(Action::Take),
            Poll::Applied { .. } => actions.push(Action::Follow),
            Poll::Followed { .. } => actions.push(Action::Grant),
        }
        if state.catalog.is_silent() {
            actions.push(Action::Mend);
        } else if state.silences > 0 {
            actions.push(Action::Silence);
        }
        if state.catalog.is_hiding() {
            actions.push(Action::Hide(false));
        } else if state.hidings > 0 {
            actions.push(Action::Hide(true));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let id = |nth: usize| FlightId(nth as u64 + 1);
        match (action, &last.poll) {
            (Action::Commit(of), _) => state.commit(self, of),
            (Action::DropCopies(of), _) => state.drop_own(of),
            (Action::Record(of), _) => state.record(of),
            (Action::Depart(nth), _) => state.begin_flight(nth, id(nth)),
            (Action::Load(nth), _) => state.loaders[nth] = Loader::Loaded(state.committed),
            (Action::Insert(nth), _) => state.insert(self, nth, id(nth)),
            (Action::Draw(nth), _) => state.draw(nth),
            (Action::Reload(nth), _) => state.refreshes[nth] = Refresh::Loaded(state.committed),
            (Action::Redeem(nth), _) => state.redeem(self, nth),
            (Action::Count, _) => {
                state.polls -= 1;
                state.poll = Poll::Counted { ids: state.applied.len() };
            }
            (Action::ChangesSince, _) => state.since(self),
            (Action::Inspect, _) => state.inspect(self),
            (Action::Fail, &Poll::Counted { ids }) => {
                self.take(Branch::Failed);
                state.take_ids(ids);
                state.poll = Poll::Idle;
            }
            (Action::Take, _) => state.take(self),
            (Action::Follow, _) => state.follow(self),
            (Action::Grant, &Poll::Followed { answer }) => {
                state.certified = answer.snapshot;
                state.attestation = answer.attested.attestation(self.own_rules.journal);
                state.poll = Poll::Idle;
            }
            (Action::Silence, _) => {
                state.silences -= 1;
                state.catalog.silence();
            }
            (Action::Mend, _) => state.catalog.mend(),
            (Action::Hide(is_hiding), _) => {
                state.hidings -= u8::from(is_hiding);
                state.catalog.hide(is_hiding);
            }
            _ => {}
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("memory_applied_what_its_guard_certifies", |_, state: &State| {
                state.memory_applied_what_its_guard_certifies()
            }),
            Property::always("own_writes_are_read", |_, state: &State| state.own_writes_are_read()),
        ]
    }
}
