//! One key, two instances, one Redis that never fails: what readers, writers, the relay, losses and evictions do to it.
//!
//! The versions of the database's one row count from 0. A read's answer is judged by the version that had been
//! acknowledged when the read began; a stored entry by the version that Redis has been told of.

mod anchored;
mod permit;
mod read;
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
    /// Where.
    pub instance: usize,
    /// How strong.
    pub consistency: Consistency,
}

/// The bounds of one exploration, and the rules it keeps.
#[derive(Clone, Debug)]
pub struct Coherence {
    /// The protocol, perhaps without a rule.
    pub rules: ProtocolRules,
    /// The reads; each begins after the one before it.
    pub readers: Vec<Reader>,
    /// The instances of the writes; each write happens once.
    pub writers: Vec<usize>,
    /// The instances of the permits; each is drawn once, and put or given up.
    pub permits: Vec<usize>,
    /// Whether the class is memory-only.
    pub anchored: bool,
    /// Commits by nobody's instance, which the relay alone invalidates.
    pub foreign: u8,
    /// Evictions and expiries.
    pub evictions: u8,
    /// Losses of a connection.
    pub losses: u8,
    /// UNLINKs that fail.
    pub failures: u8,
    /// Loaders and writers that die.
    pub crashes: u8,
    /// Whether the entry depends on a tag. Writes then invalidate the tag and not the key.
    pub tagged: bool,
    /// What has been taken.
    pub coverage: Coverage,
}

/// The branches whose taking is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// Memory answered.
    MemoryHit,
    /// Redis answered.
    RedisHit,
    /// A value arrived before our lease did.
    ServedByLease,
    /// A read shared a flight.
    Joined,
    /// A fresh read waited for a flight to end.
    WaitedAfter,
    /// Another's lease stood.
    WaitedForLease,
    /// A reader lost patience and loaded without filling.
    LostPatience,
    /// An entry whose tag moved was replaced.
    Replaced,
    /// A fill was accepted.
    Filled,
    /// A fill was refused.
    FillRefused,
    /// A tracked reply entered memory.
    Inserted,
    /// A tracked reply was too late for memory.
    InsertRefused,
    /// A load without Redis entered memory.
    InsertedLoaded,
    /// A load without Redis was overtaken.
    LoadedRefused,
    /// A tag was minted here.
    Minted,
    /// Another minted it first.
    MintedByAnother,
    /// A tag's token was minted in memory.
    MintedLocally,
    /// A write was acknowledged `sent`.
    Sent,
    /// A write was acknowledged `queued`.
    Queued,
    /// What was owed reached Redis.
    Owed,
    /// The relay told Redis.
    Relayed,
    /// The relay found nothing that its writers had not told.
    PassedOver,
    /// A connection was lost.
    Lost,
    /// A copy's tag was gone from memory.
    TagGone,
    /// An anchor was set.
    Anchored,
    /// What a load of a memory-only class brought was kept.
    KeptUnderAnchor,
    /// A report overtook such a load.
    LostAnchor,
    /// A permit was drawn on the entry that stood there.
    DrewOnEntry,
    /// A permit was drawn where nothing of use stood.
    DrewOnNothing,
    /// A permit was drawn in memory.
    DrewInMemory,
    /// A computed value was put.
    Put,
    /// A put was refused.
    PutRefused,
    /// A computed value was put into memory.
    PutInMemory,
    /// Such a put was refused.
    PutInMemoryRefused,
}

impl Branch {
    /// All, in order of declaration.
    pub const ALL: [Branch; 34] = {
        use Branch::*;
        [
            MemoryHit,
            RedisHit,
            ServedByLease,
            Joined,
            WaitedAfter,
            WaitedForLease,
            LostPatience,
            Replaced,
            Filled,
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
            PassedOver,
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

    /// Those of memory-only classes.
    pub const ANCHORED: [Branch; 3] = [Branch::Anchored, Branch::KeptUnderAnchor, Branch::LostAnchor];

    /// Those of permits.
    pub const PERMITS: [Branch; 7] = {
        use Branch::*;
        [DrewOnEntry, DrewOnNothing, DrewInMemory, Put, PutRefused, PutInMemory, PutInMemoryRefused]
    };
}

/// One step of anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A read begins; memory may answer it at once.
    Arrive(usize),
    /// A read without an answer looks for a flight to board; a leader sends its first tracked read.
    Board(usize),
    /// A leader sends another tracked read.
    Ask(usize),
    /// An instance's connection handles the next thing on its wire.
    Deliver(usize),
    /// A reader that has a reply goes on.
    Take(usize),
    /// LEASE.
    Lease(usize),
    /// The missing tag is minted.
    Mint(usize),
    /// A memory-only class's anchor is set, and its missing tag minted.
    Plant(usize),
    /// The loader reads the database.
    Load(usize),
    /// What was loaded is filled or kept.
    Fill(usize),
    /// A leader loses patience with another's lease.
    GiveUp(usize),
    /// A leader dies while it holds a lease.
    Crash(usize),
    /// A write commits.
    Commit(usize),
    /// A writer drops from memory, the first time.
    DropCopies(usize),
    /// A writer sends TELL.
    Unlink(usize),
    /// TELL fails.
    Fail(usize),
    /// A writer drops again and acknowledges.
    Acknowledge(usize),
    /// A writer dies between COMMIT and UNLINK.
    Die(usize),
    /// A commit by other software.
    Foreign,
    /// The relay takes its snapshot.
    Snapshot,
    /// The relay tells Redis, or passes over what its writers have told.
    Relay,
    /// Redis evicts or expires the key, or the tag.
    Evict(bool),
    /// An instance's connection breaks.
    Lose(usize),
    /// A heartbeat: what is owed is sent, then Redis may be used.
    Beat(usize),
    /// A copy of an outage reaches its deadline.
    Expire(usize),
    /// A permit is drawn.
    Draw(usize),
    /// Its value is computed.
    Compute(usize),
    /// The value is put.
    Put(usize),
    /// The permit is dropped.
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
            tagged: false,
            coverage: Coverage::new(Branch::ALL.len()),
        }
    }

    /// Whether there is anything that only the relay would tell; where there is not, it is left out.
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
            Action::Plant(reader) => state.plant(self, reader),
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
