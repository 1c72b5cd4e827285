//! A journal as far as the protocol can tell: whether commits leave rows in it, and what each process knows of that.
//!
//! Mirrors `SqlJournal::ask` and `Write::touched` of larder-sql. A pass asks in one snapshot for rows and for the
//! attestation, and inspects afterwards: any step may come between the two. That larder mends a trigger by itself is
//! a [`Catalog::mend`] between them.

use larder::protocol::rules::{ProtocolRule, ProtocolRules};

/// What the database's catalog says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Catalog {
    /// Rises with each change of the triggers, which are off while it is odd.
    epoch: u8,
    /// Row security hides the outbox from the process that it applies to. The epoch stays, as it does when a role loses
    /// BYPASSRLS: the harder case, for the attestation is the same whoever asks.
    is_hiding: bool,
}

impl Catalog {
    /// The triggers go off: commits leave no rows.
    pub fn silence(&mut self) {
        self.epoch += 1;
    }

    /// They are on again, whole.
    pub fn mend(&mut self) {
        self.epoch += 1;
    }

    /// The outbox is hidden from one process, or shown again.
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

    /// The catalog as a process finds it; row security applies to it or does not.
    pub fn view(self, is_subject: bool) -> View {
        View { epoch: self.epoch, is_hidden: self.is_hiding && is_subject }
    }
}

/// What a process finds in the catalog at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    epoch: u8,
    /// This process sees no row of the outbox.
    pub is_hidden: bool,
}

impl View {
    /// Nothing keeps rows from this process.
    pub fn is_whole(self) -> bool {
        self.epoch.is_multiple_of(2) && !self.is_hidden
    }

    /// What a position carries.
    pub fn attestation(self, care: Care) -> u8 {
        if care.attestation_counts_changes { self.epoch } else { self.epoch % 2 }
    }
}

/// Rules of the attestation that have no name among [`ProtocolRule`]: mutants of the models alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Care {
    /// The attestation is carried by the position, and not kept by the process that last looked.
    pub attestation_is_in_position: bool,
    /// It says that there was a change, and not only whether the triggers are on now.
    pub attestation_counts_changes: bool,
    /// A defect fails the pass that finds it, though its snapshot was taken before.
    pub defect_fails_its_pass: bool,
    /// So does it when an outbox was hidden in its snapshot, though the inspection finds it shown again.
    pub hidden_fails_its_pass: bool,
    /// A connection that met a defect is not used again: PostgreSQL prepares a statement with the row security of that moment,
    /// and a role that gets BYPASSRLS later changes nothing about it.
    pub defect_ends_connection: bool,
    /// A write compares the triggers with what was inspected, and if they differ it touches everything.
    pub write_notices_silence: bool,
    /// A write of a process that knows of a defect touches everything.
    pub defect_touches_everything: bool,
    /// It is acknowledged as `queued`.
    pub defect_queues: bool,
}

impl Default for Care {
    fn default() -> Self {
        Care {
            attestation_is_in_position: true,
            attestation_counts_changes: true,
            defect_fails_its_pass: true,
            hidden_fails_its_pass: true,
            defect_ends_connection: true,
            write_notices_silence: true,
            defect_touches_everything: true,
            defect_queues: true,
        }
    }
}

/// What a write learns of itself before its commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Touched {
    /// Its own rows.
    #[default]
    Rows,
    /// Everything, for its rows may be missing.
    Everything,
    /// Nothing, though it changed something.
    Nothing,
}

/// What one process knows of the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Process {
    /// `SqlJournal::connection`: what was attested when it last inspected, and whether it found a defect. `None`: it has not
    /// opened the journal.
    inspected: Option<(View, bool)>,
    /// Its connection's prepared statement sees no row of the outbox.
    is_blind: bool,
    /// `Completeness`: what its writes compare with.
    facts: Option<View>,
    /// `Completeness`: it knows of a defect, as its writes see it.
    pub is_incomplete: bool,
}

impl Process {
    /// One that opened the journal when it was whole.
    pub fn opened() -> Self {
        let view = View::default();
        Process { inspected: Some((view, false)), facts: Some(view), ..Process::default() }
    }

    /// It opens the journal at its first pass.
    pub fn is_newcomer(&self) -> bool {
        self.inspected.is_none()
    }

    /// `Asking::is_attested`: whether the journal goes on from a position that carries `then`.
    pub fn is_attested(&self, then: u8, now: View, rules: ProtocolRules, care: Care) -> bool {
        if !rules.keeps(ProtocolRule::AttestsSilence) {
            return true;
        }
        if care.attestation_is_in_position {
            return then == now.attestation(care);
        }
        self.inspected.is_none_or(|(last, _)| last.attestation(care) == now.attestation(care))
    }

    /// The statement of `SqlJournal::ask`: whether it sees the outbox's rows.
    pub fn sees_rows(&mut self, now: View) -> bool {
        self.is_blind |= now.is_hidden;
        !self.is_blind
    }

    /// The rest of `SqlJournal::ask`, `now`, for a snapshot that attested `attested`: whether its answer is given.
    pub fn inspect(&mut self, attested: View, now: View, rules: ProtocolRules, care: Care) -> bool {
        if !rules.keeps(ProtocolRule::AttestsSilence) {
            return true;
        }
        let was_known = self.inspected == Some((attested, true));
        // A known defect is looked at again now and then; here always, which fails less often.
        if self.inspected != Some((attested, false)) {
            let was_hidden = attested.is_hidden && care.hidden_fails_its_pass;
            self.inspected = Some((attested, was_hidden || !now.is_whole()));
            self.facts = Some(now);
        }
        self.is_incomplete = self.inspected.is_some_and(|(_, is_broken)| is_broken);
        self.is_blind &= !self.is_incomplete || !care.defect_ends_connection;
        !self.is_incomplete || !care.defect_fails_its_pass && !was_known
    }

    /// `Write::touched`, which locks the triggers as they are until the commit.
    pub fn touched(&mut self, now: View, care: Care) -> Touched {
        let differs = now.is_hidden || self.facts.is_some_and(|facts| facts.epoch != now.epoch);
        if differs && care.write_notices_silence {
            self.is_incomplete = true;
            return Touched::Everything;
        }
        if self.is_incomplete && care.defect_touches_everything {
            return Touched::Everything;
        }
        if now.is_whole() { Touched::Rows } else { Touched::Nothing }
    }
}
