//! What the last inspection of a database's journals found. `journal::completeness` inspects. When a write transaction
//! reads its touches before its commit, it compares the present facts with the inspected ones.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use larder::journal::{FaultEpisodes, JournalFault};

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
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Defect { what: what.into(), remedy: None, is_harmless_to_mend: false }
    }

    pub(crate) fn mended_by(self, sql: impl Into<String>) -> Self {
        Defect { remedy: Some(sql.into()), ..self }
    }

    /// Lets the journal apply this remedy without an operator. Only for remedies that restore a trigger's ENABLE
    /// ALWAYS, which `ENABLE TRIGGER ALL` removes as a side effect.
    pub(crate) fn at_once(self) -> Self {
        Defect { is_harmless_to_mend: true, ..self }
    }

    /// The SQL that mends the defect, for a role that owns the tables; `None` if only the application's migrations can
    /// mend it.
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    /// The remedy, if the journal may apply it without an operator.
    pub(crate) fn remedy_at_once(&self) -> Option<&str> {
        self.remedy().filter(|_| self.is_harmless_to_mend)
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// The result of an inspection.
#[derive(Clone, Debug)]
pub(crate) struct Inspection {
    pub(crate) defects: Vec<Defect>,
    /// Why changes touch more than necessary: a trigger that names a column which does not exist touches everything.
    pub(crate) imprecisions: Vec<String>,
    /// What a write transaction compares before its commit: on PostgreSQL the facts about each relation, as JSON; on
    /// SQLite the version of the schema.
    pub(crate) facts: String,
}

/// The last inspection of a database's journals, for its write transactions.
#[derive(Debug, Default)]
pub(crate) struct Completeness(
    /// Each poll replaces the state, and each write transaction reads it. No task holds the lock across an await, so a
    /// blocking mutex is enough.
    Mutex<State>,
);

#[derive(Debug, Default)]
struct State {
    defects: Fault<Defect>,
    imprecisions: Fault<String>,
    facts: Option<String>,
}

/// The effect of a defect.
const INCOMPLETE: &str = "the journal may miss changes, so every poll fails";
/// The effect of an imprecision.
const IMPRECISE: &str = "each change of these tables invalidates everything";

/// A fault of the journal. It is present while it has reasons.
#[derive(Debug)]
struct Fault<T> {
    reasons: Vec<T>,
    /// Since when there have been reasons.
    since: Option<SystemTime>,
    episodes: u64,
}

impl<T> Default for Fault<T> {
    fn default() -> Self {
        Fault { reasons: Vec::new(), since: None, episodes: 0 }
    }
}

impl<T: fmt::Display> Fault<T> {
    /// Replaces the reasons. Logs one line when the fault begins and one when it ends. `effect` says what the fault
    /// causes meanwhile.
    fn replace(&mut self, reasons: Vec<T>, effect: &str) {
        self.reasons = reasons;
        if self.reasons.is_empty() {
            if self.since.take().is_some() {
                tracing::info!(effect, "the journal's fault is over");
            }
        } else if self.since.is_none() {
            self.since = Some(SystemTime::now());
            self.episodes += 1;
            let reasons: Vec<_> = self.reasons.iter().map(ToString::to_string).collect();
            tracing::warn!(reasons = reasons.join("; "), effect, "the journal has a fault");
        }
    }

    fn present(&self) -> Option<JournalFault> {
        let reasons = self.reasons.iter().map(ToString::to_string).collect();
        self.since.map(|since| JournalFault { reasons, since })
    }
}

impl Completeness {
    pub(crate) fn set(&self, inspection: &Inspection) {
        let mut state = self.lock();
        state.defects.replace(inspection.defects.clone(), INCOMPLETE);
        state.imprecisions.replace(inspection.imprecisions.clone(), IMPRECISE);
        state.facts = Some(inspection.facts.clone());
    }

    /// Only for a proof: removes the facts, so that write transactions compare nothing.
    #[cfg(feature = "proof")]
    pub(crate) fn forget(&self) {
        *self.lock() = State::default();
    }

    /// Adds a defect: a write transaction changed rows that the journal may not have. The next poll replaces all
    /// defects by those of an inspection that is valid at that poll.
    pub(crate) fn note_silence(&self) {
        let silence = Defect::new(
            "a transaction changed rows of a declared table whose triggers are not as they were inspected",
        );
        let mut state = self.lock();
        let known = &state.defects.reasons;
        if !known.contains(&silence) {
            let defects = known.iter().cloned().chain([silence]).collect();
            state.defects.replace(defects, INCOMPLETE);
        }
    }

    pub(crate) fn defects(&self) -> Vec<Defect> {
        self.lock().defects.reasons.clone()
    }

    pub(crate) fn incompleteness(&self) -> Option<JournalFault> {
        self.lock().defects.present()
    }

    pub(crate) fn imprecision(&self) -> Option<JournalFault> {
        self.lock().imprecisions.present()
    }

    pub(crate) fn episodes(&self) -> FaultEpisodes {
        let state = self.lock();
        FaultEpisodes { incomplete: state.defects.episodes, imprecise: state.imprecisions.episodes }
    }

    /// What to compare before a commit; `None` if no journal was opened.
    pub(crate) fn facts(&self) -> Option<String> {
        self.lock().facts.clone()
    }

    /// Ignores poisoning, because a panic between any two statements leaves the state consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
