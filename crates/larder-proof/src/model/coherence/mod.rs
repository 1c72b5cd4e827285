//! One key, two instances and one Redis that never fails, under reads, writes, the relay, lost connections and
//! evictions.
//!
//! The database has one row, whose versions count from 0. An answer must have at least the version that was
//! acknowledged when the read began. A stored entry must have at least the version that was last propagated to Redis.

mod anchored;
mod permit;
mod read;
mod renewal;
pub mod scenarios;
mod state;
mod write;

use larder::policy::Consistency;
use larder::protocol::rules::ProtocolRules;
use stateright::{Model, Property};

use crate::model::coverage::Coverage;

pub use state::{State, Version};

/// One read that may happen, once, on one instance.
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
    /// The reads; each begins after the one before it.
    pub readers: Vec<Reader>,
    /// The instances of the writes; each write happens once.
    pub writers: Vec<usize>,
    /// The instances of the permits. Each permit is drawn once, and put or given up.
    pub permits: Vec<usize>,
    /// Whether the class is memory-only.
    pub anchored: bool,
    /// The number of commits by other software, which only the relay invalidates.
    pub foreign: u8,
    /// The number of evictions and expiries.
    pub evictions: u8,
    /// How often a connection breaks.
    pub losses: u8,
    /// The number of UNLINKs that fail.
    pub failures: u8,
    /// The number of loaders and writers that die.
    pub crashes: u8,
    /// The number of renewals of leases.
    pub renewals: u8,
    /// Whether the entry has a tag. Writes then invalidate the tag and not the key.
    pub tagged: bool,
    /// Counts how often each branch is taken.
    pub coverage: Coverage,
}

/// The branches that the model counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// Memory answered.
    MemoryHit,
    /// Redis answered.
    RedisHit,
    /// LEASE returned an entry that another load had filled.
    FilledBeforeLease,
    /// A read shared a flight.
    Joined,
    /// A fresh read waited for a flight to end.
    WaitedAfter,
    /// The key held the lease of another load.
    WaitedForLease,
    /// A reader stopped waiting for a lease and loaded without filling.
    LostPatience,
    /// LEASE replaced an entry whose tag had been invalidated.
    Replaced,
    /// Redis accepted a fill.
    Filled,
    /// A lease was renewed.
    Renewed,
    /// A lease was not renewed, because it or a tag's token was gone. Its flight left the table.
    RenewalRefused,
    /// Redis refused a fill, because the key did not hold its lease.
    FillRefused,
    /// A tracked reply entered memory.
    Inserted,
    /// A tracked reply did not enter memory, because a push had come before it.
    InsertRefused,
    /// A load without Redis entered memory.
    InsertedLoaded,
    /// A load without Redis was overtaken, so its value did not enter memory.
    LoadedRefused,
    /// This reader minted the tag: it set the tag's missing token in Redis.
    Minted,
    /// Another reader minted the tag first.
    MintedByAnother,
    /// A load or permit without Redis minted the tag's token in memory.
    MintedLocally,
    /// A write was acknowledged `sent`.
    Sent,
    /// A write was acknowledged `queued`.
    Queued,
    /// An unsent invalidation reached Redis.
    Owed,
    /// The relay unlinked in Redis.
    Relayed,
    /// The relay skipped a poll's changes, because their writers had propagated all of them.
    Skipped,
    /// A connection was lost.
    Lost,
    /// A copy was not served, because memory did not have the token that the copy took.
    TagGone,
    /// An anchor was set.
    Anchored,
    /// The loaded value of a memory-only class was stored.
    KeptUnderAnchor,
    /// A push overtook the load of a memory-only class.
    LostAnchor,
    /// An instance drew a permit while Redis had a valid entry.
    DrewOnEntry,
    /// An instance drew a permit while Redis had no valid entry.
    DrewOnNothing,
    /// An instance drew a permit in memory, because it could not use Redis.
    DrewInMemory,
    /// Redis accepted a put.
    Put,
    /// A put was refused by Redis, or because its permit was void.
    PutRefused,
    /// Memory accepted a put.
    PutInMemory,
    /// Memory refused a put.
    PutInMemoryRefused,
}

impl Branch {
    /// All branches, in the order of declaration.
    pub const ALL: [Branch; 36] = {
        use Branch::*;
        [
            MemoryHit,
            RedisHit,
            FilledBeforeLease,
            Joined,
            WaitedAfter,
            WaitedForLease,
            LostPatience,
            Replaced,
            Filled,
            Renewed,
            RenewalRefused,
            FillRefused,
            Inserted,
            InsertRefused,
            InsertedLoaded,
            LoadedRefused,
            Minted,
            MintedByAnother,
            MintedLocally,
            Sent,
            Queued,
            Owed,
            Relayed,
            Skipped,
            Lost,
            TagGone,
            Anchored,
            KeptUnderAnchor,
            LostAnchor,
            DrewOnEntry,
            DrewOnNothing,
            DrewInMemory,
            Put,
            PutRefused,
            PutInMemory,
            PutInMemoryRefused,
        ]
    };

    /// The branches of memory-only classes.
    pub const ANCHORED: [Branch; 3] = [Branch::Anchored, Branch::KeptUnderAnchor, Branch::LostAnchor];

    /// The branches of renewed leases.
    pub const RENEWALS: [Branch; 2] = [Branch::Renewed, Branch::RenewalRefused];

    /// The branches of permits.
    pub const PERMITS: [Branch; 7] = {
        use Branch::*;
        [DrewOnEntry, DrewOnNothing, DrewInMemory, Put, PutRefused, PutInMemory, PutInMemoryRefused]
    };
}

/// One step of any participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A read begins; memory may answer it at once.
    Arrive(usize),
    /// A read without an answer decides whether to join a flight; a leader sends its first tracked read.
    Board(usize),
    /// A leader sends another tracked read.
    Ask(usize),
    /// An instance's connection handles the next message.
    Deliver(usize),
    /// A reader handles the reply of its tracked read.
    Take(usize),
    /// A reader runs the script LEASE.
    Lease(usize),
    /// A reader mints the tag's missing token.
    Mint(usize),
    /// A reader sets the anchor of a memory-only class, and mints the tag's missing token.
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
    /// Redis evicts or expires the key, or the tag.
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
        state.reads(actions);
        state.writes(self, actions);
        state.permits(self, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Arrive(reader) => state.arrive(self, reader),
            Action::Board(reader) => state.decide_join(self, reader),
            Action::Ask(reader) => state.ask(self, reader),
            Action::Deliver(instance) => state.deliver(instance),
            Action::Take(reader) => state.take(self, reader),
            Action::Lease(reader) => state.lease(self, reader),
            Action::Mint(reader) => state.mint(self, reader),
            Action::SetAnchor(reader) => state.set_anchor(self, reader),
            Action::Renew(reader) => state.renew(self, reader),
            Action::Load(reader) => state.load(self, reader),
            Action::Fill(reader) => state.fill(self, reader),
            Action::GiveUp(reader) => state.give_up(self, reader),
            Action::Crash(reader) => state.crash(reader),
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
