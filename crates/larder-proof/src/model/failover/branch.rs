//! The branches of the model.

/// The branches that the model counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// A poll found rows to propagate.
    Replayed,
    /// A poll after a promotion found rows to propagate.
    ReplayedAfterPromotion,
    /// The changes since the position were unknown, so the namespace was dropped.
    Dropped,
    /// MARK set certificate, watermark and position.
    Marked,
    /// MARK kept the watermark in Redis, because it is later than the poll's own.
    Kept,
    /// MARK refused, because the history had changed.
    Refused,
    /// A poll ended early, because the node became a replica or the connection broke.
    Abandoned,
    /// A heartbeat granted the use of Redis.
    Granted,
    /// A heartbeat refused the use of Redis.
    NotGranted,
    /// A node accepted a fill.
    Filled,
    /// A fill was accepted by another node than the one that gave the lease.
    FilledElsewhere,
    /// Every master refused a fill.
    FillRefused,
    /// A write was acknowledged `sent`.
    Sent,
    /// A write that waited was acknowledged `sent`, by a grant after its UNLINK.
    SentByGrant,
    /// A writer propagated to a node that it may not use.
    PropagatedUnacknowledged,
    /// A writer propagated to one of two masters.
    PropagatedInSplit,
    /// A change's id expired.
    Expired,
    /// A poll skipped a change that its writer had propagated.
    SkippedPropagated,
    /// A poll skipped a change that was propagated before a promotion, in the history that the node continues.
    SkippedAfterPromotion,
    /// After a restart with an old snapshot, a poll skipped a change that was propagated before that snapshot.
    SkippedAfterRestore,
    /// A poll skipped one row and propagated another.
    SkippedOneOfTwo,
    /// A demoted node copied another's contents.
    Resynced,
    /// A node restarted with old contents.
    Restored,
    /// An instance reads from a node that was a master at the instance's grant and is a replica now.
    ReadsReplica,
    /// An instance reads from a node that was demoted and promoted again since its grant.
    ReadsOtherHistory,
    /// A commit left no row.
    Silent,
    /// A write noticed that it had left no row or could not see it.
    Noticed,
    /// A process that knew of a defect committed a write.
    WroteBroken,
    /// A write was queued and not propagated, because the journal was incomplete.
    Queued,
    /// A write that touched everything was acknowledged `sent`, because a poll had found the journal complete.
    SentEverything,
    /// The attestation differed from the position's, so the namespace was dropped.
    Unattested,
    /// `Unattested`, where the journal was complete at the position and is complete again, but lacks a commit from the
    /// time between.
    CompleteAtBothEnds,
    /// `CompleteAtBothEnds`, in a process that started later and uses the position of an earlier one.
    UnattestedByNewcomer,
    /// A poll found a defect.
    Broken,
    /// A poll saw no rows, because they are hidden from it, and ended without MARK.
    Hidden,
    /// A poll that sees rows which are hidden from another process ran MARK.
    MarkedBySighted,
    /// An inspection saw another catalog than the snapshot of its poll.
    InspectedLater,
    /// The database failed over to a standby that has every commit.
    SucceededByWhole,
    /// The database failed over to a standby that lacks a commit.
    SucceededByLacking,
    /// A process learned of the fail-over while it used Redis.
    RevokedBySuccession,
    /// A poll ended because the database had failed over since it began.
    SucceededWithinPoll,
    /// A poll of the former database reached MARK after the fail-over.
    MarkedByFormer,
    /// The position named another timeline, so the namespace was dropped.
    AnotherTimeline,
    /// A process that knows of the fail-over reads an entry, although commits are lost.
    ReadsAfterLoss,
}

impl Branch {
    /// The branches that only a fail-over of the database takes.
    pub const SUCCESSIONS: [Branch; 7] = {
        use Branch::*;
        [
            SucceededByWhole,
            SucceededByLacking,
            RevokedBySuccession,
            SucceededWithinPoll,
            MarkedByFormer,
            AnotherTimeline,
            ReadsAfterLoss,
        ]
    };

    /// All branches, in the order of declaration.
    pub const ALL: [Branch; 44] = {
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
            SentByGrant,
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
            ReadsOtherHistory,
            Silent,
            Noticed,
            WroteBroken,
            Queued,
            SentEverything,
            Unattested,
            CompleteAtBothEnds,
            UnattestedByNewcomer,
            Broken,
            Hidden,
            MarkedBySighted,
            InspectedLater,
            SucceededByWhole,
            SucceededByLacking,
            RevokedBySuccession,
            SucceededWithinPoll,
            MarkedByFormer,
            AnotherTimeline,
            ReadsAfterLoss,
        ]
    };
}
