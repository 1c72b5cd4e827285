//! Two Redis nodes, two relays, writers and fillers: what a failover loses, and what the position brings back.
//!
//! Time is the number of commits so far, on every node alike: what clocks add is in [`timed`](crate::model::timed).
//! An entry remembers which transactions its load saw. So a position and a watermark can be held against every entry
//! of the node that carries them.
//!
//! A writer's TELL and a relay's pass never meet but in a node's contents: there the writer leaves its transaction's name,
//! and the relay unlinks nothing for it. A relay's step is named after its command: [`Action::Unlink`].
//!
//! The journal may go silent: then a commit is in the snapshots, and no row says so. Relay `n` runs in the process of
//! instance `n`, or in one that starts later.

mod journal;
mod relay;
pub mod scenarios;
mod state;
mod world;

use larder::protocol::rules::ProtocolRules;
use stateright::{Model, Property};

use crate::model::coverage::Coverage;
use crate::model::journal as attestation;

pub use state::State;

/// The bounds of one exploration, and the rules it keeps.
#[derive(Clone, Debug)]
pub struct Failover {
    /// The protocol, perhaps without a rule.
    pub rules: ProtocolRules,
    /// What else is done right; see [`Care`].
    pub care: Care,
    /// Transactions; each touches the entry, or its tag. They commit in any order.
    pub transactions: u8,
    /// Instances: each may write, fill and read.
    pub instances: usize,
    /// Loads, by instance; each happens once.
    pub fillers: Vec<usize>,
    /// Passes, by relay.
    pub passes: Vec<u8>,
    /// Promotions of a replica.
    pub promotions: u8,
    /// Demotions of a master.
    pub demotions: u8,
    /// FLUSHALLs.
    pub flushes: u8,
    /// Restarts from whatever was saved at any time before.
    pub restores: u8,
    /// Prunings of the outbox.
    pub prunings: u8,
    /// Names that expire.
    pub expiries: u8,
    /// Whether the entry depends on a tag, which the transactions touch in its stead.
    pub tagged: bool,
    /// The last transaction is another program's: no instance tells of it.
    pub has_foreign: bool,
    /// How often the triggers go off.
    pub silences: u8,
    /// The process from which row security may hide the outbox, once.
    pub subject: Option<usize>,
    /// What has been taken.
    pub coverage: Coverage,
}

/// Rules that have no name among [`ProtocolRule`](larder::protocol::rules::ProtocolRule): the mutants of this model alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Care {
    /// MARK refuses a Redis whose history has another name than when the pass began.
    pub mark_asks_history: bool,
    /// A position is a snapshot and not the highest id seen.
    pub position_is_snapshot: bool,
    /// MARK comes after every UNLINK of its pass.
    pub mark_comes_last: bool,
    /// The position is read from the Redis that is told, and not kept by the relay.
    pub position_is_in_redis: bool,
    /// A null push makes Redis unusable until a heartbeat.
    pub null_push_revokes: bool,
    /// A fresh read asks in the same breath whether this is still a master.
    pub fresh_asks_role: bool,
    /// A writer unlinks and leaves its transaction's name in one step.
    pub names_come_with_unlinking: bool,
    /// A writer tells only what is committed.
    pub names_come_after_commit: bool,
    /// Names are kept in the Redis that was told, and not by the process.
    pub names_are_in_redis: bool,
    /// A pass reads names from the Redis that it tells, and not from another node.
    pub names_are_read_where_propagated: bool,
    /// A pass goes by the names it has read itself, and not by those that an earlier pass has read.
    pub names_are_read_by_pass: bool,
    /// What the attestation rests on.
    pub journal: attestation::Care,
}

impl Default for Care {
    fn default() -> Self {
        Care {
            mark_asks_history: true,
            position_is_snapshot: true,
            mark_comes_last: true,
            position_is_in_redis: true,
            null_push_revokes: true,
            fresh_asks_role: true,
            names_come_with_unlinking: true,
            names_come_after_commit: true,
            names_are_in_redis: true,
            names_are_read_where_propagated: true,
            names_are_read_by_pass: true,
            journal: attestation::Care::default(),
        }
    }
}

/// The branches whose taking is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// A pass found rows to tell.
    Replayed,
    /// A pass after a promotion found rows to tell.
    ReplayedAfterPromotion,
    /// Nobody could say what had been committed: the namespace was dropped.
    Dropped,
    /// MARK set all three.
    Marked,
    /// MARK found a later watermark.
    Kept,
    /// MARK refused another history.
    Refused,
    /// A pass met a replica or a dead connection half way.
    Abandoned,
    /// A heartbeat let Redis be used.
    Granted,
    /// A heartbeat did not.
    NotGranted,
    /// A fill was accepted.
    Filled,
    /// A fill was accepted by another node than gave the lease.
    FilledElsewhere,
    /// A fill was refused.
    FillRefused,
    /// A write was acknowledged `sent`.
    Sent,
    /// A writer told a node that it may not use, or no longer.
    PropagatedUnacknowledged,
    /// A writer told one of two masters.
    PropagatedInSplit,
    /// A name expired before a pass came to read it.
    Expired,
    /// A pass left out what its writer had told.
    SkippedPropagated,
    /// A pass left out what had been told in a history from before a promotion, which the node carries on.
    SkippedAfterPromotion,
    /// A pass left out what had been told before a snapshot that came back.
    SkippedAfterRestore,
    /// A pass left out one row and told another.
    SkippedOneOfTwo,
    /// A demoted node copied another's contents.
    Resynced,
    /// A node came back with old contents.
    Restored,
    /// Somebody reads from a node that is no longer a master.
    ReadsReplica,
    /// A commit left no row.
    Silent,
    /// A write noticed that it had left none, or could not see its own.
    Noticed,
    /// A process that knew of a defect wrote.
    WroteBroken,
    /// A write was not told, and queued, for the journal was incomplete.
    Queued,
    /// A write that told everything was acknowledged `sent`: a pass had found the journal whole.
    SentEverything,
    /// The position's attestation is another one: the namespace was dropped.
    Unattested,
    /// So it was with a commit that the journal has not, between two moments at which it was whole.
    WholeAtBothEnds,
    /// So it was in a process that started later, with the position of one before.
    UnattestedByNewcomer,
    /// A pass met a defect.
    Broken,
    /// A pass saw no rows, for they are hidden from it, and MARK did not follow.
    Hidden,
    /// MARK by a pass that sees what is hidden from another.
    MarkedBySighted,
    /// An inspection found the journal otherwise than its pass's snapshot.
    InspectedLater,
}

impl Branch {
    /// All, in order of declaration.
    pub const ALL: [Branch; 35] = {
        use Branch::*;
        [
            Replayed,
            ReplayedAfterPromotion,
            Dropped,
            Marked,
            Kept,
            Refused,
            Abandoned,
            Granted,
            NotGranted,
            Filled,
            FilledElsewhere,
            FillRefused,
            Sent,
            PropagatedUnacknowledged,
            PropagatedInSplit,
            Expired,
            SkippedPropagated,
            SkippedAfterPromotion,
            SkippedAfterRestore,
            SkippedOneOfTwo,
            Resynced,
            Restored,
            ReadsReplica,
            Silent,
            Noticed,
            WroteBroken,
            Queued,
            SentEverything,
            Unattested,
            WholeAtBothEnds,
            UnattestedByNewcomer,
            Broken,
            Hidden,
            MarkedBySighted,
            InspectedLater,
        ]
    };
}

/// One step of anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Transaction commits.
    Commit(u8),
    /// Its writer's TELL is done at node; the write is acknowledged `sent` if that is the one the writer may use.
    Tell(u8, usize),
    /// Only in a proof: its name follows its UNLINK.
    Name(u8),
    /// The name of a transaction expires at node.
    Expire(u8, usize),
    /// Instance takes a heartbeat from node.
    Beat(usize, usize),
    /// Filler takes its lease.
    Lease(usize),
    /// Filler reads the database.
    Load(usize),
    /// Filler fills at whichever node its instance is connected to now.
    Fill(usize),
    /// Relay begins a pass at node.
    Ask(usize, usize),
    /// Relay takes its snapshot of the database.
    Snapshot(usize),
    /// Relay inspects the journal, if another attestation asks for it.
    Inspect(usize),
    /// Relay asks its node for the next name.
    Read(usize),
    /// Relay unlinks the next key.
    Unlink(usize),
    /// Relay ends its pass.
    Mark(usize),
    /// A replica copies what its master holds now.
    Sync(usize),
    /// A replica becomes a master.
    Promote(usize),
    /// A master becomes a replica of the other node.
    Demote(usize),
    /// A master is emptied.
    Flush(usize),
    /// A master's contents are saved.
    Save,
    /// The first node comes back with what was saved, or with nothing.
    Restore,
    /// The outbox forgets all that is in it.
    Prune,
    /// The triggers go off.
    Silence,
    /// They are on again.
    Mend,
    /// Row security hides the outbox from a process, or no longer.
    Hide(bool),
}

impl Failover {
    /// An empty scenario under `rules`.
    pub fn new(rules: ProtocolRules) -> Self {
        Failover {
            rules,
            care: Care::default(),
            transactions: 2,
            instances: 1,
            fillers: Vec::new(),
            passes: Vec::new(),
            promotions: 0,
            demotions: 0,
            flushes: 0,
            restores: 0,
            prunings: 0,
            expiries: 0,
            tagged: false,
            has_foreign: false,
            silences: 0,
            subject: None,
            coverage: Coverage::new(Branch::ALL.len()),
        }
    }

    fn take(&self, branch: Branch) {
        self.coverage.take(branch as usize);
    }
}

impl Model for Failover {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        state.people(self, actions);
        state.machines(self, actions);
        state.relaying(actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Commit(transaction) => state.commit(self, transaction),
            Action::Tell(transaction, node) => state.tell(self, transaction, node),
            Action::Name(transaction) => state.name(transaction),
            Action::Expire(transaction, node) => state.expire(self, transaction, node),
            Action::Beat(instance, node) => state.beat(self, instance, node),
            Action::Lease(filler) => state.lease(self, filler),
            Action::Load(filler) => state.load(filler),
            Action::Fill(filler) => state.fill(self, filler),
            Action::Ask(relay, node) => state.ask(self, relay, node),
            Action::Snapshot(relay) => state.snapshot(self, relay),
            Action::Inspect(relay) => state.inspect(self, relay),
            Action::Read(relay) => state.read(self, relay),
            Action::Unlink(relay) => state.unlink(self, relay),
            Action::Mark(relay) => state.mark(self, relay),
            Action::Sync(node) => state.sync(self, node),
            Action::Promote(node) => state.promote(node),
            Action::Demote(node) => state.demote(node),
            Action::Flush(node) => state.flush(self, node),
            Action::Save => state.save(),
            Action::Restore => state.restore(self),
            Action::Prune => state.prune(),
            Action::Silence => state.silence(),
            Action::Mend => state.catalog.mend(),
            Action::Hide(is_hiding) => state.hide(is_hiding),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("position_is_true", |_, state: &State| state.position_is_true()),
            Property::always("watermark_is_true", |_, state: &State| state.watermark_is_true()),
            Property::always("reads_reach_the_watermark", |_, state: &State| {
                state.reads_reach_the_watermark()
            }),
            Property::always("fresh_after_acknowledgement", |model: &Self, state: &State| {
                state.fresh_after_acknowledgement(model)
            }),
        ]
    }
}
