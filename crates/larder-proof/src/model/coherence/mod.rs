//! One key, two instances and one Redis that never fails, under reads, writes, the relay, lost connections and
//! evictions.
//!
//! The database has one row, whose versions count from 0. An answer must have at least the version that was
//! acknowledged when the read began. A stored entry must have at least the version that was last propagated to Redis.

mod anchored;
mod branch;
mod departure;
mod failure;
mod load;
mod permit;
mod phase;
mod read;
mod reload;
mod renewal;
pub mod scenarios;
mod state;
mod write;

use larder::policy::Consistency;
use larder::protocol::rules::ProtocolRules;
use stateright::{Model, Property};

use crate::model::coverage::Coverage;

pub use branch::Branch;
pub use phase::Version;
pub use state::State;

/// One read, which happens at most once, on one instance.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// The instance that reads.
    pub instance: usize,
    /// The consistency of the read.
    pub consistency: Consistency,
}

/// The bounds of one exploration, and the rules that it keeps.
#[derive(Clone, Debug)]
pub struct Coherence {
    /// The protocol's rules, of which one may be broken.
    pub rules: ProtocolRules,
    /// The reads, in the order in which they begin.
    pub readers: Vec<Reader>,
    /// The instances of the writes; each write happens once.
    pub writers: Vec<usize>,
    /// The instances of the permits. Each permit is drawn once, and put or given up.
    pub permits: Vec<usize>,
    /// Whether the class is memory-only.
    pub anchored: bool,
    /// Other software commits at most this many times. Only the relay invalidates what those commits touch.
    pub foreign: u8,
    /// At most this many entries are evicted or expire.
    pub evictions: u8,
    /// At most this many connections break.
    pub losses: u8,
    /// At most this many UNLINKs fail.
    pub failures: u8,
    /// At most this many loaders and writers die.
    pub crashes: u8,
    /// At most this many renewals of leases happen.
    pub renewals: u8,
    /// The instances of the background refreshes. Each happens once, if Redis has an entry.
    pub refreshes: Vec<usize>,
    /// At most this many reads find their entry so old that they load before they answer.
    pub reloads: u8,
    /// At most this many loads fail.
    pub load_failures: u8,
    /// At most this many reads are dropped while they lead a flight.
    pub departures: u8,
    /// Whether a load whose read was dropped compares its lease when it fills, as every other load does.
    pub left_loads_compare: bool,
    /// Whether the entry has a tag. Writes then invalidate the tag and not the key.
    pub tagged: bool,
    /// Counts how often each branch is taken.
    pub coverage: Coverage,
}

/// One step of any participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A read begins; memory may answer it at once.
    Arrive(usize),
    /// A read begins. Memory has a copy that has aged, so the read loads before it answers.
    ArriveAged(usize),
    /// A read without an answer decides whether to join a flight; a leader sends its first tracked read.
    DecideJoin(usize),
    /// A leader sends another tracked read.
    Ask(usize),
    /// An instance's connection handles the next message.
    Deliver(usize),
    /// A reader handles the reply of its tracked read.
    Take(usize),
    /// As `Take`, but the valid entry in the reply has aged: the reader asks for the right to replace it.
    TakeAged(usize),
    /// A reader runs the script LEASE.
    Lease(usize),
    /// A reader mints the tag: it sets the tag's missing token in Redis.
    Mint(usize),
    /// A reader sets the anchor of a memory-only class, and mints the tag.
    SetAnchor(usize),
    /// The holder of a lease runs the script RENEW, before or after its loader reads the database.
    Renew(usize),
    /// The loader reads the database.
    Load(usize),
    /// A reader fills Redis with the loaded value, or stores it in memory.
    Fill(usize),
    /// A leader stops waiting for another load's lease.
    GiveUp(usize),
    /// A leader dies while it holds a lease.
    Crash(usize),
    /// A loader returns an error.
    FailLoad(usize),
    /// A read whose load failed looks the entry up.
    Recall(usize),
    /// A read that leads a flight is dropped, and its flight ends.
    Leave(usize),
    /// A read that leads a flight is dropped, and its load goes on.
    LeaveLoad(usize),
    /// A write commits.
    Commit(usize),
    /// A writer drops the copies in memory, before UNLINK.
    DropCopies(usize),
    /// Redis runs a writer's `UNLINK_AND_RECORD` script.
    Unlink(usize),
    /// `UNLINK_AND_RECORD` fails.
    Fail(usize),
    /// A writer drops the copies again and acknowledges.
    Acknowledge(usize),
    /// A writer dies between COMMIT and UNLINK.
    Die(usize),
    /// A commit by other software.
    Foreign,
    /// The relay takes its snapshot.
    Snapshot,
    /// The relay unlinks, or skips the changes that their writers have propagated.
    Relay,
    /// Redis evicts or expires the key (`false`) or the tag (`true`).
    Evict(bool),
    /// An instance's connection breaks.
    Lose(usize),
    /// A heartbeat: the instance sends its unsent invalidation, then it may use Redis.
    Beat(usize),
    /// A copy that was loaded without Redis reaches its deadline.
    Expire(usize),
    /// An instance draws a permit.
    Draw(usize),
    /// The application computes the value of a permit.
    Compute(usize),
    /// The instance puts the value.
    Put(usize),
    /// The instance drops the permit.
    GiveBack(usize),
    /// The process of a refresh stops: its lease stays.
    StopRefresh(usize),
}

impl Coherence {
    /// An empty scenario under `rules`.
    pub fn new(rules: ProtocolRules) -> Self {
        Coherence {
            rules,
            readers: Vec::new(),
            writers: Vec::new(),
            permits: Vec::new(),
            anchored: false,
            foreign: 0,
            evictions: 0,
            losses: 0,
            failures: 0,
            crashes: 0,
            renewals: 0,
            refreshes: Vec::new(),
            reloads: 0,
            load_failures: 0,
            departures: 0,
            left_loads_compare: true,
            tagged: false,
            coverage: Coverage::new(Branch::ALL.len()),
        }
    }

    /// Whether the scenario has a change that only the relay propagates. If not, the relay is left out.
    fn has_relay(&self) -> bool {
        self.foreign > 0 || self.crashes > 0
    }

    fn take(&self, branch: Branch) {
        self.coverage.take(branch as usize);
    }
}

impl Model for Coherence {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        state.reads(self, actions);
        state.writes(self, actions);
        state.permits(self, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Arrive(reader) => state.arrive(self, reader),
            Action::ArriveAged(reader) => state.arrive_aged(self, reader),
            Action::DecideJoin(reader) => state.decide_join(self, reader),
            Action::Ask(reader) => state.ask(self, reader),
            Action::Deliver(instance) => state.deliver(instance),
            Action::Take(reader) => state.take(self, reader, false),
            Action::TakeAged(reader) => state.take(self, reader, true),
            Action::Lease(reader) => state.lease(self, reader),
            Action::Mint(reader) => state.mint(self, reader),
            Action::SetAnchor(reader) => state.set_anchor(self, reader),
            Action::Renew(reader) => state.renew(self, reader),
            Action::Load(reader) => state.load(self, reader),
            Action::Fill(reader) => state.fill(self, reader),
            Action::GiveUp(reader) => state.give_up(self, reader),
            Action::Crash(reader) => state.crash(reader),
            Action::FailLoad(reader) => state.fail_load(self, reader),
            Action::Recall(reader) => state.recall(self, reader),
            Action::Leave(reader) => state.leave(self, reader),
            Action::LeaveLoad(reader) => state.leave_load(self, reader),
            Action::Commit(writer) => state.commit(writer),
            Action::DropCopies(writer) => state.drop_first(self, writer),
            Action::Unlink(writer) => state.unlink(self, writer),
            Action::Fail(writer) => state.fail(self, writer),
            Action::Acknowledge(writer) => state.acknowledge(self, writer),
            Action::Die(writer) => state.die(writer),
            Action::Foreign => state.commit_foreign(),
            Action::Snapshot => state.snapshot(),
            Action::Relay => state.relay(self),
            Action::Evict(tag) => state.evict(tag),
            Action::Lose(instance) => state.lose(self, instance),
            Action::Beat(instance) => state.beat(self, instance),
            Action::Expire(instance) => state.expire(instance),
            Action::Draw(permit) => state.draw(self, permit),
            Action::Compute(permit) => state.compute(permit),
            Action::Put(permit) => state.put(self, permit),
            Action::GiveBack(permit) => state.give_back(permit),
            Action::StopRefresh(permit) => state.stop_refresh(permit),
        }
        state.settle();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("fresh_after_acknowledgement", |_, state: &State| !state.missed.fresh),
            Property::always("own_writes_are_read", |_, state: &State| !state.missed.own),
            Property::always("redis_is_not_behind", |_, state: &State| state.redis_is_not_behind()),
            Property::always("memory_is_not_behind", |_, state: &State| state.memory_is_not_behind()),
        ]
    }
}
