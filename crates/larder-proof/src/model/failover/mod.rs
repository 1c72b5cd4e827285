//! Two Redis nodes, two relays, writers and loaders: a failover loses changes, and the position shows which to
//! propagate again.
//!
//! Time is the number of commits so far, the same on every node; [`timed`](crate::model::timed) models clocks. An entry
//! contains the set of transactions that its load saw, so the properties compare each node's position and watermark
//! with its entry.
//!
//! A writer's `UNLINK_AND_RECORD` and a relay's poll interact only through a node's contents: `UNLINK_AND_RECORD`
//! unlinks and sets a key that contains the change's id, and the relay then skips that change. A relay's step has
//! the name of its command, such as [`Action::Unlink`].
//!
//! The journal may go silent: then a commit is in the snapshots but has no row. Relay `n` runs in the process of
//! instance `n`; if there is no such instance, in a process that starts later.
//!
//! The database may fail over to a standby. Its keys in Redis stay the same here, as with a journal whose name for the
//! database survives a promotion; larder's own journal takes other keys, so less is shared.

mod branch;
mod journal;
mod relay;
pub mod scenarios;
mod state;
mod succession;
mod world;

use larder::protocol::rules::ProtocolRules;
use stateright::{Model, Property};

use crate::model::coverage::Coverage;
use crate::model::journal as attestation;

pub use branch::Branch;
pub use state::State;

/// The bounds of one exploration, and the rules that it keeps.
#[derive(Clone, Debug)]
pub struct Failover {
    /// The protocol's rules, of which one may be broken.
    pub rules: ProtocolRules,
    /// The rules that only this model has.
    pub own_rules: ModelRules,
    /// The number of transactions. Each touches the entry, or its tag. They commit in any order.
    pub transactions: u8,
    /// The number of instances. Each may write, fill and read.
    pub instances: usize,
    /// The instance of each load; each load happens once.
    pub loaders: Vec<usize>,
    /// Each relay polls at most this many times.
    pub polls: Vec<u8>,
    /// A replica is promoted at most this many times.
    pub promotions: u8,
    /// A master is demoted at most this many times.
    pub demotions: u8,
    /// At most this many FLUSHALLs happen.
    pub flushes: u8,
    /// The first node restarts at most this many times, with contents that were saved at any earlier time.
    pub restores: u8,
    /// The outbox is pruned at most this many times.
    pub prunings: u8,
    /// At most this many transactions' ids expire in Redis.
    pub expiries: u8,
    /// Whether the entry has a tag. The transactions then touch the tag and not the entry.
    pub tagged: bool,
    /// Whether the last transaction is another program's, so that no writer propagates it.
    pub has_foreign: bool,
    /// The triggers are switched off at most this many times.
    pub silences: u8,
    /// The process from which row security may hide the outbox, once.
    pub subject: Option<usize>,
    /// The database fails over at most this many times, to a standby that lacks any number of the last commits.
    pub successions: u8,
    /// Counts how often each branch is taken.
    pub coverage: Coverage,
}

/// The rules that only this model has; they are not in [`ProtocolRule`](larder::protocol::rules::ProtocolRule). This
/// model's own mutants break them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelRules {
    /// MARK refuses if the replication history of Redis has changed since the poll began.
    pub mark_asks_history: bool,
    /// A position is a snapshot and not the highest id seen.
    pub position_is_snapshot: bool,
    /// MARK comes after every UNLINK of its poll.
    pub mark_comes_last: bool,
    /// The position is read from the Redis to which the relay propagates, and not kept by the relay.
    pub position_is_in_redis: bool,
    /// A null push makes Redis unusable until a heartbeat.
    pub null_push_revokes: bool,
    /// Each read also asks whether the node is still a master.
    pub reads_ask_role: bool,
    /// Each read also asks whether the node still has the history of the grant.
    pub reads_ask_history: bool,
    /// A writer unlinks and sets its change's id in one step.
    pub ids_come_with_unlinking: bool,
    /// A writer propagates only after its commit.
    pub ids_come_after_commit: bool,
    /// Ids are stored in the Redis to which the writer propagated, and not in the process.
    pub ids_are_in_redis: bool,
    /// A poll reads ids from the Redis to which it propagates, and not from another node.
    pub ids_are_read_where_propagated: bool,
    /// A poll uses only the ids that it has read itself, and not those that an earlier poll has read.
    pub ids_are_read_by_poll: bool,
    /// A position names the timeline of the database. Under another one, the changes since it are unknown.
    pub position_names_timeline: bool,
    /// A certificate names the timeline of the database.
    pub certificate_names_timeline: bool,
    /// A process that learns of another timeline ends its grant.
    pub another_timeline_revokes: bool,
    /// The rules of the attestation.
    pub journal: attestation::ModelRules,
}

impl Default for ModelRules {
    fn default() -> Self {
        ModelRules {
            mark_asks_history: true,
            position_is_snapshot: true,
            mark_comes_last: true,
            position_is_in_redis: true,
            null_push_revokes: true,
            reads_ask_role: true,
            reads_ask_history: true,
            ids_come_with_unlinking: true,
            ids_come_after_commit: true,
            ids_are_in_redis: true,
            ids_are_read_where_propagated: true,
            ids_are_read_by_poll: true,
            position_names_timeline: true,
            certificate_names_timeline: true,
            another_timeline_revokes: true,
            journal: attestation::ModelRules::default(),
        }
    }
}

/// One step of any participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The transaction commits.
    Commit(u8),
    /// The `UNLINK_AND_RECORD` of its writer runs at the node. The write is acknowledged `sent` if the writer may use
    /// that node, else by the next grant of the writer's instance.
    Propagate(u8, usize),
    /// Only for a mutant: the change's id is set in a step after the UNLINK.
    Record(u8),
    /// The id of the transaction's change expires at the node.
    Expire(u8, usize),
    /// The instance handles a heartbeat of the node. A grant acknowledges the instance's waiting writes.
    Beat(usize, usize),
    /// The loader takes its lease.
    Lease(usize),
    /// The loader reads the database.
    Load(usize),
    /// The loader fills at every master, because its instance may be connected to any of them.
    Fill(usize),
    /// The relay begins a poll at the node.
    Ask(usize, usize),
    /// The relay takes its snapshot of the database.
    Snapshot(usize),
    /// The relay inspects the journal if the attestation has changed.
    Inspect(usize),
    /// The relay reads the next id from its node.
    Read(usize),
    /// The relay unlinks the next key.
    Unlink(usize),
    /// The relay runs MARK.
    Mark(usize),
    /// A replica copies its master's contents.
    Sync(usize),
    /// A replica becomes a master.
    Promote(usize),
    /// A master becomes a replica of the other node.
    Demote(usize),
    /// A master is emptied.
    Flush(usize),
    /// A master's contents are saved.
    Save,
    /// The first node restarts with the saved contents, or empty.
    Restore,
    /// All rows of the outbox are pruned.
    Prune,
    /// The triggers are switched off.
    Silence,
    /// The triggers are switched on again.
    Mend,
    /// Row security hides the outbox from a process (`true`), or shows it again (`false`).
    Hide(bool),
    /// The database fails over to a standby that lacks this many of the last commits.
    Succeed(u8),
    /// A process learns of the fail-over, because it asks the journal at times.
    Notice(usize),
}

impl Failover {
    /// An empty scenario under `rules`.
    pub fn new(rules: ProtocolRules) -> Self {
        Failover {
            rules,
            own_rules: ModelRules::default(),
            transactions: 2,
            instances: 1,
            loaders: Vec::new(),
            polls: Vec::new(),
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
            successions: 0,
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
        state.successions(actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Commit(transaction) => state.commit(self, transaction),
            Action::Propagate(transaction, node) => state.propagate(self, transaction, node),
            Action::Record(transaction) => state.record(transaction),
            Action::Expire(transaction, node) => state.expire(self, transaction, node),
            Action::Beat(instance, node) => state.beat(self, instance, node),
            Action::Lease(loader) => state.lease(self, loader),
            Action::Load(loader) => state.load(loader),
            Action::Fill(loader) => state.fill(self, loader),
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
            Action::Succeed(lacking) => state.succeed(self, lacking),
            Action::Notice(process) => {
                state.notice(self, process);
            }
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
            Property::always("no_lost_write_is_read", |model: &Self, state: &State| {
                state.no_lost_write_is_read(model)
            }),
        ]
    }
}
