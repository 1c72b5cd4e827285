//! Whether the journal is complete: what that rests on, what is wrong with it, and what mends it.
//!
//! Silence says "nothing changed" only while triggers stand on every declared table and their rows reach the outbox. So
//! each pass *attests* that, in the statement that asks for new rows: a digest of the catalog's rows about the outbox, the
//! triggers and their functions, with the numbers of the transactions that wrote them, so that off and on again between two
//! passes shows too. A position carries its attestation; under another one it is unknown. A new attestation is followed by an
//! *inspection*, which finds defects; while there are any, nothing is certified.
//!
//! Invariant `silence_is_attested`: no answer says [`Changes::Known`](larder::journal::Changes::Known) unless what the
//! journal's completeness rests on is, in the answer's snapshot, what it was in the position's.

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

    /// larder applies this remedy unasked: it only restores ALWAYS, which `ENABLE TRIGGER ALL` takes away as a side effect.
    fn at_once(self) -> Self {
        Defect { is_harmless_to_mend: true, ..self }
    }

    /// The SQL that mends it, for a role that owns the tables; `None` where the application's own migrations have to.
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

/// What a pass attests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attestation {
    /// The digest that positions carry: the same for every role that asks.
    pub(super) digest: String,
    /// What it looks like to this role and its search path: `t` or `f`, whether row security is active on the outbox; then which
    /// tables the declared names mean. Empty on SQLite.
    pub(super) role_view: String,
}

impl Attestation {
    /// Row security is active on a table of the outbox.
    pub(super) fn is_hidden(&self) -> bool {
        self.role_view.starts_with('t')
    }
}

/// What an inspection found.
#[derive(Clone, Debug)]
pub(super) struct Inspection {
    pub(super) defects: Vec<Defect>,
    /// What a write compares before its commit: on PostgreSQL the facts about each relation, as JSON; on SQLite the version
    /// of the schema.
    pub(super) facts: String,
}

/// What the journals of one database have last found, for its writers.
#[derive(Debug, Default)]
pub(crate) struct Completeness(
    /// Guarded by its lock alone: replaced as a whole by each pass, read by each write.
    Mutex<State>,
);

#[derive(Debug, Default)]
struct State {
    defects: Vec<Defect>,
    /// Since when there have been any.
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

    /// Only in a proof: writers look at nothing.
    #[cfg(feature = "proof")]
    pub(super) fn forget(&self) {
        *self.lock() = State::default();
    }

    /// A write changed rows that the journal may not have. Stands until the next pass.
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

    /// What to compare before a commit; `None` where no journal was opened.
    pub(super) fn facts(&self) -> Option<String> {
        self.lock().facts.clone()
    }

    /// The state is whole between any two statements, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
