//! A model of the journal: whether commits leave rows in the outbox, and what each process knows about that.
//!
//! It mirrors `SqlJournal::ask` and `WriteTransaction::touched` of larder-sql. A poll reads rows and the attestation in
//! one snapshot, and inspects afterwards; any step may come between snapshot and inspection. If larder mends a trigger
//! by itself, the model has a [`Catalog::mend`] there.

use larder::protocol::rules::{ProtocolRule, ProtocolRules};

/// The state of the database's catalog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Catalog {
    /// Increases with each change of the triggers. They are off while it is odd.
    epoch: u8,
    /// Whether row security hides the outbox from the process to which it applies, for example because its role lost
    /// BYPASSRLS. The epoch stays the same, so every process gets the same attestation, which is the harder case.
    is_hiding: bool,
}

impl Catalog {
    /// Switches the triggers off: commits leave no rows.
    pub fn silence(&mut self) {
        self.epoch += 1;
    }

    /// Switches all triggers on again.
    pub fn mend(&mut self) {
        self.epoch += 1;
    }

    /// Hides the outbox from one process, or shows it again.
    pub fn hide(&mut self, is_hiding: bool) {
        self.is_hiding = is_hiding;
    }

    /// Whether the outbox is hidden.
    pub fn is_hiding(self) -> bool {
        self.is_hiding
    }

    /// Whether commits leave no rows.
    pub fn is_silent(self) -> bool {
        self.epoch % 2 == 1
    }

    /// The catalog as a process sees it. `is_subject`: row security applies to the process.
    pub fn view(self, is_subject: bool) -> View {
        View { epoch: self.epoch, is_hidden: self.is_hiding && is_subject }
    }
}

/// What a process sees of the catalog at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    epoch: u8,
    /// Whether this process sees no row of the outbox.
    pub is_hidden: bool,
}

impl View {
    /// Whether the triggers are on and this process sees the outbox.
    pub fn is_complete(self) -> bool {
        self.epoch.is_multiple_of(2) && !self.is_hidden
    }

    /// The attestation that a position contains.
    pub fn attestation(self, own_rules: ModelRules) -> u8 {
        if own_rules.attestation_counts_changes { self.epoch } else { self.epoch % 2 }
    }
}

/// Rules of the attestation that are not in [`ProtocolRule`]. The models' own mutants break them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelRules {
    /// The attestation is in the position, and not in the memory of the process that polled last.
    pub attestation_is_in_position: bool,
    /// The attestation counts changes of the triggers, and does not only say whether they are on now.
    pub attestation_counts_changes: bool,
    /// A poll fails if its inspection finds a defect, even though its snapshot is older and may be from before the defect.
    pub defect_fails_its_poll: bool,
    /// A poll fails if the outbox was hidden in its snapshot, even if the inspection finds it visible again.
    pub hidden_fails_its_poll: bool,
    /// A connection on which a poll found a defect is not used again: PostgreSQL prepares a statement with the row
    /// security of that moment, and keeps that plan even if the role gets BYPASSRLS later.
    pub defect_ends_connection: bool,
    /// A write compares the triggers with the inspected ones. If they differ, it touches everything.
    pub write_notices_silence: bool,
    /// If the process of a write knows of a defect, the write touches everything.
    pub defect_touches_everything: bool,
    /// If the process of a write knows of a defect, it acknowledges the write as `queued`.
    pub defect_queues: bool,
}

impl Default for ModelRules {
    fn default() -> Self {
        ModelRules {
            attestation_is_in_position: true,
            attestation_counts_changes: true,
            defect_fails_its_poll: true,
            hidden_fails_its_poll: true,
            defect_ends_connection: true,
            write_notices_silence: true,
            defect_touches_everything: true,
            defect_queues: true,
        }
    }
}

/// The touches that a write reads before its commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Touched {
    /// The touches of the write's own rows.
    #[default]
    Rows,
    /// Everything, because rows of the write may be missing.
    Everything,
    /// Nothing, although the write changed something.
    Nothing,
}

/// What one process knows about the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Process {
    /// The last inspection: its attestation, and whether it found a defect. `None`: the process has not opened the
    /// journal.
    inspected: Option<(View, bool)>,
    /// Whether the prepared statement on this process's connection sees no row of the outbox.
    is_blind: bool,
    /// The catalog at the last inspection, which larder-sql's `Completeness` keeps as its facts; `None` before the
    /// first inspection. A write of this process compares these facts with the present catalog.
    facts: Option<View>,
    /// Whether `Completeness` has a defect. A write of this process reads this.
    pub is_incomplete: bool,
}

impl Process {
    /// A process that opened the journal when it was complete.
    pub fn opened() -> Self {
        let view = View::default();
        Process { inspected: Some((view, false)), facts: Some(view), ..Process::default() }
    }

    /// Whether the process has not opened the journal yet. Its first poll opens it.
    pub fn is_newcomer(&self) -> bool {
        self.inspected.is_none()
    }

    /// `JournalQuery::is_attested`: whether a consumer can continue from a position with the attestation `then`.
    pub fn is_attested(&self, then: u8, now: View, rules: ProtocolRules, own_rules: ModelRules) -> bool {
        if !rules.keeps(ProtocolRule::AttestsSilence) {
            return true;
        }
        if own_rules.attestation_is_in_position {
            return then == now.attestation(own_rules);
        }
        self.inspected.is_none_or(|(last, _)| last.attestation(own_rules) == now.attestation(own_rules))
    }

    /// The statement of `SqlJournal::ask`: returns whether it sees the outbox's rows.
    pub fn sees_rows(&mut self, now: View) -> bool {
        self.is_blind |= now.is_hidden;
        !self.is_blind
    }

    /// The part of `SqlJournal::ask` after its statement. `attested` is the catalog in the statement's snapshot, `now`
    /// the catalog at the inspection. Returns whether the poll succeeds.
    pub fn inspect(
        &mut self,
        attested: View,
        now: View,
        rules: ProtocolRules,
        own_rules: ModelRules,
    ) -> bool {
        if !rules.keeps(ProtocolRule::AttestsSilence) {
            return true;
        }
        let was_known = self.inspected == Some((attested, true));
        // The product inspects a known defect again every 5 s. The model does so in each poll, so fewer polls fail,
        // which is the harder case.
        if self.inspected != Some((attested, false)) {
            let was_hidden = attested.is_hidden && own_rules.hidden_fails_its_poll;
            self.inspected = Some((attested, was_hidden || !now.is_complete()));
            self.facts = Some(now);
        }
        self.is_incomplete = self.inspected.is_some_and(|(_, is_broken)| is_broken);
        self.is_blind &= !self.is_incomplete || !own_rules.defect_ends_connection;
        !self.is_incomplete || !own_rules.defect_fails_its_poll && !was_known
    }

    /// `WriteTransaction::touched`. No trigger changes between this step and the commit, because the transaction's
    /// locks prevent it.
    pub fn touched(&mut self, now: View, own_rules: ModelRules) -> Touched {
        let differs = now.is_hidden || self.facts.is_some_and(|facts| facts.epoch != now.epoch);
        if differs && own_rules.write_notices_silence {
            self.is_incomplete = true;
            return Touched::Everything;
        }
        if self.is_incomplete && own_rules.defect_touches_everything {
            return Touched::Everything;
        }
        if now.is_complete() { Touched::Rows } else { Touched::Nothing }
    }
}
