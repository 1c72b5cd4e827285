//! The state of one exploration, its steps and its properties.

use bytes::Bytes;
use larder::clock::Tick;
use larder::journal::{Change, ChangeId, Touch};
use larder::policy::Consistency;
use larder::protocol::flight::{FlightId, JoinDecision};
use larder::protocol::permit::PermitId;
use larder::protocol::relay::unpropagated_touches;
use larder::protocol::rules::ProtocolRule;
use larder::protocol::shard::Shard;

use crate::model::journal::{Catalog, Process, Touched, View};
use crate::model::memory::{Branch, Memory};

/// A set of transactions, one bit each.
type Seen = u8;

const KEY: &[u8] = b"k";

/// The progress of a write of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Writer {
    pub(super) has_dropped: bool,
    pub(super) has_recorded: bool,
    /// The touches that the write read before its commit.
    pub(super) touched: Touched,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Loader {
    Before,
    Flying,
    Loaded(Seen),
    Done,
}

/// The progress of a refresh: `engine::refresh` without Redis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Refresh {
    Before,
    Drawn,
    Loaded(Seen),
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Poll {
    Idle,
    Counted {
        ids: usize,
    },
    /// The next step is the inspection.
    Answered {
        ids: usize,
        answer: Answer,
    },
    Asked {
        ids: usize,
        answer: Answer,
    },
    Applied {
        answer: Answer,
        applied: Seen,
    },
    Followed {
        answer: Answer,
    },
}

/// What `Journal::changes_since` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Answer {
    pub(super) snapshot: Seen,
    pub(super) attested: View,
    /// The changes that the journal reports; `None` if they are unknown.
    rows: Option<Seen>,
}

/// The state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) committed: Seen,
    pub(super) catalog: Catalog,
    pub(super) silences: u8,
    pub(super) hidings: u8,
    /// The commits that left no row in the outbox.
    silent: Seen,
    process: Process,
    pub(super) writers: Vec<Writer>,
    /// The transactions that the copy's load saw; `None` if there is no copy.
    pub(super) copy: Option<Seen>,
    shard: Shard<()>,
    pub(super) loaders: Vec<Loader>,
    pub(super) refreshes: Vec<Refresh>,
    /// The ids in `consumer::AppliedChanges`, in the order of insertion.
    pub(super) applied: Vec<u8>,
    pub(super) poll: Poll,
    pub(super) polls: u8,
    /// The snapshot of the last grant, which is the position of the next poll.
    pub(super) certified: Seen,
    /// The attestation of that snapshot, which the position contains.
    pub(super) attestation: u8,
}

impl State {
    pub(super) fn new(model: &Memory) -> Self {
        State {
            committed: 0,
            catalog: Catalog::default(),
            silences: model.silences,
            hidings: u8::from(model.hides),
            silent: 0,
            process: Process::opened(),
            writers: vec![Writer::default(); usize::from(model.writers)],
            copy: None,
            shard: Shard::new(model.rules),
            loaders: vec![Loader::Before; model.loaders],
            refreshes: vec![Refresh::Before; model.refreshes],
            applied: Vec::new(),
            poll: Poll::Idle,
            polls: model.polls,
            certified: 0,
            attestation: 0,
        }
    }

    /// `touched` and the commit of a write are one step: the transaction's locks prevent a change of the triggers in
    /// between.
    pub(super) fn commit(&mut self, model: &Memory, of: u8) {
        self.committed |= 1 << of;
        if self.catalog.is_silent() {
            self.silent |= 1 << of;
            model.take(Branch::Silent);
        }
        let view = self.catalog.view(true);
        if let Some(writer) = self.writers.get_mut(usize::from(of)) {
            writer.touched = self.process.touched(view, model.own_rules.journal);
            if writer.touched == Touched::Everything {
                model.take(Branch::TouchedEverything);
            }
        }
    }

    /// Drops from memory what the write touched (`engine::invalidate`).
    pub(super) fn drop_own(&mut self, of: u8) {
        let writer = &mut self.writers[usize::from(of)];
        writer.has_dropped = true;
        if writer.touched != Touched::Nothing {
            self.drop_key();
        }
    }

    pub(super) fn record(&mut self, of: u8) {
        self.applied.push(of);
        self.writers[usize::from(of)].has_recorded = true;
    }

    /// Models the statement of `SqlJournal::ask`.
    pub(super) fn since(&mut self, model: &Memory) {
        let Poll::Counted { ids } = self.poll else { return };
        let attested = self.catalog.view(true);
        let missed = self.committed & !self.certified;
        let own_rules = model.own_rules.journal;
        let sees_rows = self.process.sees_rows(attested);
        let rows = if !self.process.is_attested(self.attestation, attested, model.rules, own_rules) {
            model.take(Branch::Unattested);
            // An even attestation means that the triggers were on.
            if attested.is_complete() && self.attestation.is_multiple_of(2) && missed & self.silent != 0 {
                model.take(Branch::CompleteAtBothEnds);
            }
            None
        } else {
            Some(if sees_rows { missed & !self.silent } else { 0 })
        };
        let answer = Answer { snapshot: self.committed, attested, rows };
        // If the journal can never be incomplete, an inspection finds nothing, so the model skips it.
        self.poll = if model.silences > 0 || model.hides {
            Poll::Answered { ids, answer }
        } else {
            Poll::Asked { ids, answer }
        };
    }

    /// Models the part of `SqlJournal::ask` after its statement.
    pub(super) fn inspect(&mut self, model: &Memory) {
        let Poll::Answered { ids, answer } = self.poll else { return };
        let now = self.catalog.view(true);
        if now != answer.attested {
            model.take(Branch::InspectedLater);
        }
        if self.process.inspect(answer.attested, now, model.rules, model.own_rules.journal) {
            self.poll = Poll::Asked { ids, answer };
            return;
        }
        model.take(if now.is_hidden { Branch::Hidden } else { Branch::Broken });
        self.take_ids(ids);
        self.poll = Poll::Idle;
    }

    /// Models `engine::invalidate::drop_batch`. With Redis, the engine drops twice, because Redis's replies may arrive
    /// in between. Without Redis, one drop must be enough.
    pub(super) fn drop_key(&mut self) {
        let _ = self.shard.detach(KEY);
        self.copy = None;
        self.settle();
    }

    /// Renumbers the shard's sequence. Without Redis no read notes a sequence, so states that differ only in it behave
    /// alike and have to be equal.
    fn settle(&mut self) {
        self.shard.renumber(std::iter::empty());
    }

    pub(super) fn begin_flight(&mut self, nth: usize, id: FlightId) {
        let decision = self.shard.decide_join(
            KEY,
            Consistency::Bounded,
            id,
            Tick::PAST,
            std::time::Duration::from_secs(1),
        );
        if matches!(decision, JoinDecision::Lead(())) {
            self.shard.begin_flight(Bytes::from_static(KEY), id, Tick::PAST, [].into(), ());
            self.loaders[nth] = Loader::Flying;
        }
    }

    pub(super) fn insert(&mut self, model: &Memory, nth: usize, id: FlightId) {
        let Loader::Loaded(seen) = self.loaders[nth] else { return };
        self.loaders[nth] = Loader::Done;
        let may = self.shard.is_attached(KEY, id);
        if may {
            self.shard.void_permits(KEY);
            self.copy = Some(seen);
        }
        self.shard.end_flight(KEY, id);
        model.take(if may { Branch::Inserted } else { Branch::Refused });
    }

    /// Models `LocalPermit::draw`.
    pub(super) fn draw(&mut self, nth: usize) {
        self.shard.draw(Bytes::from_static(KEY), PermitId(nth as u64), [].into());
        self.refreshes[nth] = Refresh::Drawn;
    }

    /// Models `LocalPermit::redeem`.
    pub(super) fn redeem(&mut self, model: &Memory, nth: usize) {
        let Refresh::Loaded(seen) = self.refreshes[nth] else { return };
        self.refreshes[nth] = Refresh::Done;
        let id = PermitId(nth as u64);
        let may = self.shard.redeem(KEY, id, ProtocolRule::PutsUnderPermit);
        if may {
            self.copy = Some(seen);
        }
        self.shard.give_up(KEY, id);
        self.settle();
        model.take(if may { Branch::Refreshed } else { Branch::RefreshRefused });
    }

    /// Models `AppliedChanges::take`.
    pub(super) fn take_ids(&mut self, count: usize) -> Seen {
        let all = self.applied.iter().fold(0, |all, of| all | 1 << of);
        self.applied.drain(..count);
        all
    }

    pub(super) fn take(&mut self, model: &Memory) {
        let Poll::Asked { ids, answer } = self.poll else { return };
        let applied = self.take_ids(ids);
        if !self.applied.is_empty() {
            model.take(Branch::KeptId);
        }
        self.poll = Poll::Applied { answer, applied };
    }

    pub(super) fn follow(&mut self, model: &Memory) {
        let Poll::Applied { answer, applied } = self.poll else { return };
        self.poll = Poll::Followed { answer };
        let Some(rows) = answer.rows else {
            self.drop_key();
            return;
        };
        let id = |of: u8| ChangeId::new(of.to_string());
        let all = 0..model.writers + model.foreign;
        let changes = all.clone().filter(|of| rows & 1 << of != 0);
        let changes = changes.map(|of| Change { id: id(of), touches: vec![Touch::entry("k", ["1"])] });
        let is_applied =
            |change: &ChangeId| all.clone().any(|of| applied & 1 << of != 0 && id(of) == *change);
        if rows & applied != 0 {
            model.take(Branch::Skipped);
        }
        if !unpropagated_touches(changes.collect(), is_applied, model.rules).is_empty() {
            model.take(Branch::Dropped);
            let is_recorded =
                |(of, writer): (usize, &Writer)| writer.has_recorded && rows & !applied & 1 << of != 0;
            if self.writers.iter().enumerate().any(is_recorded) {
                model.take(Branch::AppliedAgain);
            }
            self.drop_key();
        }
    }

    /// The copy contains every commit in the snapshot of the last grant.
    pub(super) fn memory_applied_what_its_guard_certifies(&self) -> bool {
        self.copy.is_none_or(|seen| seen & self.certified == self.certified)
    }

    /// The copy contains every write of this process that has dropped the key.
    pub(super) fn own_writes_are_read(&self) -> bool {
        let dropped = self.writers.iter().enumerate().filter(|(_, writer)| writer.has_dropped);
        let own = dropped.fold(0, |own, (of, _)| own | 1 << of) & self.committed;
        self.copy.is_none_or(|seen| seen & own == own)
    }
}
