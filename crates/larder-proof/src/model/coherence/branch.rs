//! The branches of this model. Each is counted, so that a test sees which of them an exploration took.

/// The branches that the model counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// Memory answered.
    MemoryHit,
    /// Redis answered.
    RedisHit,
    /// LEASE returned an entry that another load had filled.
    FilledBeforeLease,
    /// A read joined another read's flight.
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
    /// A lease was not renewed, because the lease or a tag's token was gone. No read joins the flight of this lease any
    /// more.
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
    Unsent,
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
    /// A refresh took the right to replace an entry.
    Refreshing,
    /// A refresh or a reload began, and another load for the same entry was running.
    RefreshedByAnother,
    /// A refresh replaced its entry.
    Refreshed,
    /// Redis refused the value of a refresh.
    RefreshRefused,
    /// A read that had found an aged entry replaced it before it answered.
    Reloaded,
    /// Redis refused the value with which a read wanted to replace an aged entry before it answered.
    ReloadRefused,
    /// A load failed.
    LoadFailed,
    /// After a failed load, memory had the last known entry.
    KnownToMemory,
    /// After a failed load, Redis had the last known entry.
    KnownToRedis,
    /// After a failed load, no tier had a valid entry.
    Unknown,
    /// A read was dropped, and its flight ended.
    Left,
    /// A read was dropped, and its load went on.
    LeftItsLoad,
}

impl Branch {
    /// All branches, in the order of declaration.
    pub const ALL: [Branch; 48] = {
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
            Unsent,
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
            Refreshing,
            RefreshedByAnother,
            Refreshed,
            RefreshRefused,
            Reloaded,
            ReloadRefused,
            LoadFailed,
            KnownToMemory,
            KnownToRedis,
            Unknown,
            Left,
            LeftItsLoad,
        ]
    };

    /// The branches of aged entries, of failed loads and of reads that are dropped.
    pub const AGED: [Branch; 12] = {
        use Branch::*;
        [
            Refreshing,
            RefreshedByAnother,
            Refreshed,
            RefreshRefused,
            Reloaded,
            ReloadRefused,
            LoadFailed,
            KnownToMemory,
            KnownToRedis,
            Unknown,
            Left,
            LeftItsLoad,
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
