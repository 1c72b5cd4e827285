//! Checks whether the journal is complete: what completeness depends on, the defects, and their remedies.
//!
//! An outbox without new rows proves that nothing changed only if every declared table has its triggers and their rows
//! reach the outbox. So each poll computes an *attestation* in the statement that reads new rows: a digest of the
//! catalog's rows about the outbox, the triggers and their functions. It includes the numbers of the transactions that
//! wrote those rows, so it also shows a trigger that was switched off and on again between two polls. A position
//! contains its attestation; if the attestation has changed, the changes since the position are unknown. After a new
//! attestation the journal runs an *inspection*, which finds defects; while there are defects, each poll fails and the
//! relay certifies nothing.
//!
//! Invariant `silence_is_attested`: if an answer is [`Changes::Known`](larder::journal::Changes::Known), the
//! attestation in the answer's snapshot equals the attestation in the position.

pub(super) mod postgres;
pub(super) mod sqlite;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use larder::journal::Incompleteness;

/// One reason why a journal is not complete.
///
/// # Examples
///
/// ```no_run
/// # async fn inspect(journal: larder_sql::journal::SqlJournal) -> Result<(), larder_sql::error::Error> {
/// for defect in journal.inspect().await? {
///     println!("{defect}; mended by: {}", defect.remedy().unwrap_or("the owner of the database"));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    what: String,
    remedy: Option<String>,
    is_harmless_to_mend: bool,
}

impl Defect {
    fn new(what: impl Into<String>) -> Self {
        Defect { what: what.into(), remedy: None, is_harmless_to_mend: false }
    }

    fn mended_by(self, sql: impl Into<String>) -> Self {
        Defect { remedy: Some(sql.into()), ..self }
    }

    /// The journal applies this remedy by itself. Only for remedies that restore ALWAYS, which `ENABLE TRIGGER ALL`
    /// removes as a side effect.
    fn at_once(self) -> Self {
        Defect { is_harmless_to_mend: true, ..self }
    }

    /// The SQL that mends the defect, for a role that owns the tables; `None` if only the application's migrations can
    /// mend it.
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    /// The remedy that the journal applies by itself.
    pub(super) fn remedy_at_once(&self) -> Option<&str> {
        self.remedy().filter(|_| self.is_harmless_to_mend)
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// The attestation of one poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attestation {
    /// The digest that positions contain. It is the same for every role that asks.
    pub(super) digest: String,
    /// The part that depends on the role and its search path: `t` or `f`, whether row security is active on the outbox,
    /// then which
    /// tables the declared names mean. Empty on SQLite.
    pub(super) role_view: String,
}

impl Attestation {
    /// Row security is active on a table of the outbox.
    pub(super) fn is_hidden(&self) -> bool {
        self.role_view.starts_with('t')
    }
}

/// The result of an inspection.
#[derive(Clone, Debug)]
pub(super) struct Inspection {
    pub(super) defects: Vec<Defect>,
    /// What a write transaction compares before its commit: on PostgreSQL the facts about each relation, as JSON; on
    /// SQLite the version of the schema.
    pub(super) facts: String,
}

/// The last inspection of a database's journals, for its write transactions.
#[derive(Debug, Default)]
pub(crate) struct Completeness(
    /// Each poll replaces it and each write transaction reads it. The lock is never held across an await.
    Mutex<State>,
);

#[derive(Debug, Default)]
struct State {
    defects: Vec<Defect>,
    /// Since when there have been defects.
    since: Option<SystemTime>,
    episodes: u64,
    facts: Option<String>,
}

impl State {
    fn replace_defects(&mut self, defects: Vec<Defect>) {
        if defects.is_empty() {
            self.since = None;
        } else if self.since.is_none() {
            self.since = Some(SystemTime::now());
            self.episodes += 1;
        }
        self.defects = defects;
    }
}

impl Completeness {
    pub(super) fn set(&self, inspection: &Inspection) {
        let mut state = self.lock();
        state.replace_defects(inspection.defects.clone());
        state.facts = Some(inspection.facts.clone());
    }

    /// Only for a proof: removes the facts, so that write transactions compare nothing.
    #[cfg(feature = "proof")]
    pub(super) fn forget(&self) {
        *self.lock() = State::default();
    }

    /// Adds a defect: a write transaction changed rows that the journal may not have. The next poll inspects again and
    /// replaces it.
    pub(super) fn note_silence(&self) {
        let silence = Defect::new(
            "a transaction changed rows of a declared table whose triggers are not as they were inspected",
        );
        let mut state = self.lock();
        if !state.defects.contains(&silence) {
            let defects = state.defects.iter().cloned().chain([silence]).collect();
            state.replace_defects(defects);
        }
    }

    pub(super) fn defects(&self) -> Vec<Defect> {
        self.lock().defects.clone()
    }

    pub(super) fn incompleteness(&self) -> Option<Incompleteness> {
        let state = self.lock();
        let defects = state.defects.iter().map(ToString::to_string).collect();
        state.since.map(|since| Incompleteness { defects, since })
    }

    pub(super) fn episodes(&self) -> u64 {
        self.lock().episodes
    }

    /// What to compare before a commit; `None` if no journal was opened.
    pub(super) fn facts(&self) -> Option<String> {
        self.lock().facts.clone()
    }

    /// The state is consistent between any two statements, so a poisoned lock can be used.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
