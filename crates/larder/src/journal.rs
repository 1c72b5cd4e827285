//! The trait that the engine needs of a journal: the database's own record of what each change touches.
//!
//! When any program changes a row (this service, psql, another service), the database appends the change's touches to
//! an outbox in the same transaction. Rows are never marked as done: each consumer keeps its own [`Position`] and asks
//! what was committed since.

use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::key_parts::text_of;
use crate::policy::BOUND_MIN;

/// The pause between two polls of the journal by one instance, so a poll sees a change at most about this much after
/// its commit. 200 ms is a tenth of the default staleness bound.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(200);
const _: () = assert!(
    2 * POLL_INTERVAL.as_millis() < BOUND_MIN.as_millis(),
    "a watermark is older than the shortest staleness bound before two polls could have renewed it"
);

/// One thing that a change touched, as names and raw parts. Only the engine builds keys from it.
///
/// # Examples
///
/// ```
/// use larder::journal::Touch;
///
/// let touch = Touch::entry("user_email", ["ada@example.com"]);
/// assert_eq!(serde_json::to_string(&touch).unwrap(), r#"["entry","user_email","ada@example.com"]"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "Vec<Option<String>>", try_from = "Vec<Option<String>>")]
#[non_exhaustive]
pub enum Touch {
    /// One entry: its class and the parts of its key in order; `None` is a missing part.
    Entry {
        /// The name of the class.
        class: String,
        /// The parts of the entry's key.
        parts: Vec<Option<String>>,
    },
    /// Every entry under a tag. A class's own name is a tag of all its entries. A journal may also write such a touch
    /// as `["tag", group, part, …]`, for the tag that [`tag`](crate::tag()) makes of these parts.
    Tag(String),
    /// Every entry whose readable text `class:part:part` matches; see
    /// [`Cache::invalidate_matching`](crate::cache::Cache::invalidate_matching).
    Matching(String),
    /// All entries.
    Everything,
}

impl Touch {
    /// The entry of `class` under a key of these parts, none of which is missing.
    pub fn entry<P: Into<String>>(class: impl Into<String>, parts: impl IntoIterator<Item = P>) -> Self {
        Touch::Entry { class: class.into(), parts: parts.into_iter().map(|part| Some(part.into())).collect() }
    }

    /// Every entry with the tag that [`tag`](crate::tag()) makes of `group` and `parts`.
    pub fn tag_of(group: &str, parts: &[Option<String>]) -> Self {
        let parts = text_of(|text| parts.iter().for_each(|part| text.push_option(part.as_deref())));
        Touch::Tag(format!("{group}:{parts}"))
    }
}

/// The words of a touch, as the outbox stores them. The first word names the kind of touch.
impl From<Touch> for Vec<Option<String>> {
    fn from(touch: Touch) -> Self {
        let word = |word: &str| Some(word.to_owned());
        match touch {
            Touch::Entry { class, parts } => [word("entry"), Some(class)].into_iter().chain(parts).collect(),
            Touch::Tag(tag) => vec![word("tag"), Some(tag)],
            Touch::Matching(pattern) => vec![word("matching"), Some(pattern)],
            Touch::Everything => vec![word("everything")],
        }
    }
}

impl TryFrom<Vec<Option<String>>> for Touch {
    type Error = TouchError;

    fn try_from(words: Vec<Option<String>>) -> Result<Self, TouchError> {
        let mut words = words.into_iter();
        let kind = words.next().flatten();
        match (kind.as_deref(), words.next().flatten(), words.as_slice()) {
            (Some("entry"), Some(class), [_, ..]) => Ok(Touch::Entry { class, parts: words.collect() }),
            (Some("tag"), Some(tag), []) => Ok(Touch::Tag(tag)),
            (Some("tag"), Some(group), parts) => Ok(Touch::tag_of(&group, parts)),
            (Some("matching"), Some(pattern), []) => Ok(Touch::Matching(pattern)),
            (Some("everything"), None, []) => Ok(Touch::Everything),
            _ => Err(TouchError),
        }
    }
}

/// A row of the outbox that is not a known touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "allowed are [\"entry\", class, part, …], [\"tag\", tag], [\"tag\", group, part, …], [\"matching\", pattern] and [\"everything\"]"
)]
pub struct TouchError;

/// The place in the journal up to which a consumer has read. Only the journal writes and parses the text, which names
/// the database and a snapshot of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position(String);

impl Position {
    /// The position that a journal wrote as `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Position(text.into())
    }

    /// The text that the journal wrote.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Identifies a database. Every database has its own identity. If a standby is promoted, the identity changes.
///
/// Two databases that can answer at the same time differ in `system`; this includes copies of one database. `system`
/// is part of every key in Redis, so that a read of one database never returns another's rows.
/// `docs/wire-format.md` says what larder's own journals put into it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DatabaseId {
    /// The system and the database in it, without white space. All processes that use one database get the same text.
    /// It is part of every key in Redis, so another text means other keys. The text of larder's journal of PostgreSQL
    /// also has the time at which the server started.
    pub system: String,
    /// Rises when a standby of the system is promoted. Always 0 for a database without promotions. It is in the
    /// certificate, and in no key.
    pub timeline: u64,
}

impl fmt::Display for DatabaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.system, self.timeline)
    }
}

/// The result of [`Journal::changes_since`], all of it as of one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesSince {
    /// The database that answered.
    pub database: DatabaseId,
    /// The position of the snapshot: the next call continues from it.
    pub position: Position,
    /// What was committed after the given position, up to the snapshot.
    pub changes: Changes,
}

/// Identifies one change permanently: what one transaction committed, or a part of it. Only the journal writes its
/// text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId(String);

impl ChangeId {
    /// The id that a journal wrote as `text`.
    pub fn new(text: impl Into<String>) -> Self {
        ChangeId(text.into())
    }

    /// The text that the journal wrote.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One change in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its id.
    pub id: ChangeId,
    /// All touches of the change, in no particular order, possibly more than once.
    pub touches: Vec<Touch>,
}

/// All touches of `changes`, each once, in no particular order. Duplicates are removed by hash: a poll can return tens
/// of thousands of touches, and sorting them would cost more than the rest of the poll.
pub fn touches_of(changes: impl IntoIterator<Item = Change>) -> Vec<Touch> {
    let touches: HashSet<Touch> = changes.into_iter().flat_map(|change| change.touches).collect();
    touches.into_iter().collect()
}

/// What was committed since a position.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Changes {
    /// Exactly these changes were committed, in no particular order.
    Known(Vec<Change>),
    /// The changes are unknown: the position is missing, names another database, is older than the retained outbox, or
    /// there are too many changes. Everything counts as touched.
    Unknown,
}

/// Why a journal did not answer.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The database's record of changes. An implementation MUST guarantee:
///
/// - `changes_since` takes its snapshot after it was called, on the primary, and returns every change that was
///   committed before the snapshot and after `position`. It fails on a database in recovery.
/// - A transaction's touches become visible exactly when the transaction does.
/// - A [`ChangeId`] identifies one change only, also after a failover or restore of the database. Each change has an
///   id, and the writer of the change receives it.
/// - An empty answer proves that there was no change. So `changes_since` returns [`Changes::Known`] only if everything
///   on which the completeness of the journal depends (triggers, for example) is the same as at `position`. It fails
///   while a change could be missing.
/// - `append` has committed when it returns.
/// - A caller can drop each future before its end, and repeat the call.
///
/// The caller guarantees that positions come from the same implementation.
#[async_trait]
pub trait Journal: Any + Send + Sync {
    /// The database that answers now.
    async fn database(&self) -> Result<DatabaseId, Failure>;

    /// Since when the database that answered last has had the `system` of its [`DatabaseId`], if that can change: for
    /// example since the start of its server. Instances that have not noticed a change can still use Redis under the
    /// former identity. Therefore a Redis that was not certified for the new identity is not used for one staleness
    /// bound. This time begins at the returned instant; if instances with a journal have used the namespace before, it
    /// begins when this process notices the identity. Default: `None`; the identity never changes.
    fn identity_since(&self) -> Option<Instant> {
        None
    }

    /// Whether this process has met a successor of `database`, which an answer of this journal named: a connection, of the
    /// application too, has led to another server. From then on the engine reads and stores nothing in Redis under `database`,
    /// and acknowledges no write there as sent, until an answer names the successor. An implementation MUST keep the answer `true`
    /// while `database` stays replaced. Default: `false`; a database has no successors.
    fn is_succeeded(&self, _database: &DatabaseId) -> bool {
        false
    }

    /// The changes committed since `position`. Without a position, the changes are [`Changes::Unknown`].
    async fn changes_since(&self, position: Option<&Position>) -> Result<ChangesSince, Failure>;

    /// Records the touches of an invalidation by hand, in a transaction of its own.
    async fn append(&self, touches: &[Touch]) -> Result<(), Failure>;

    /// Deletes rows that are older than the journal keeps them. A consumer whose position is older gets
    /// [`Changes::Unknown`]. Returns the number of deleted rows.
    async fn prune(&self) -> Result<u64, Failure>;

    /// Why the journal is not complete, as of its last poll or the last check by a write; `None` while it is complete.
    /// While it is incomplete, `changes_since` fails, no write is acknowledged as sent, and the health reports it.
    /// Default: `None`.
    fn incompleteness(&self) -> Option<JournalFault> {
        None
    }

    /// Why changes touch more than necessary, as of the last inspection: for example a declared column that was
    /// renamed, so that each change of its table touches everything. Answers stay right; the health reports it.
    /// Default: `None`.
    fn imprecision(&self) -> Option<JournalFault> {
        None
    }

    /// The declarations that can never be correct, one sentence each with its remedy: for example a key column in which
    /// one value has several texts. [`Builder::build`](crate::Builder::build) asks once and fails if there are any.
    /// Defects that can be repaired while a program runs are reported by [`Journal::incompleteness`] instead. Default:
    /// none.
    async fn declaration_errors(&self) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }

    /// How many episodes of incompleteness and of imprecision there were since the start. Default: none.
    fn fault_episodes(&self) -> FaultEpisodes {
        FaultEpisodes::default()
    }
}

/// An `Arc` of a journal is a journal, so that its owner can give the cache one handle and keep another for inspection.
#[async_trait]
impl<J: Journal + ?Sized> Journal for Arc<J> {
    // Forwards every method, those with a default too: otherwise the default would answer instead of the inner journal.

    async fn database(&self) -> Result<DatabaseId, Failure> {
        (**self).database().await
    }

    fn identity_since(&self) -> Option<Instant> {
        (**self).identity_since()
    }

    fn is_succeeded(&self, database: &DatabaseId) -> bool {
        (**self).is_succeeded(database)
    }

    async fn changes_since(&self, position: Option<&Position>) -> Result<ChangesSince, Failure> {
        (**self).changes_since(position).await
    }

    async fn append(&self, touches: &[Touch]) -> Result<(), Failure> {
        (**self).append(touches).await
    }

    async fn prune(&self) -> Result<u64, Failure> {
        (**self).prune().await
    }

    fn incompleteness(&self) -> Option<JournalFault> {
        (**self).incompleteness()
    }

    fn imprecision(&self) -> Option<JournalFault> {
        (**self).imprecision()
    }

    async fn declaration_errors(&self) -> Result<Vec<String>, Failure> {
        (**self).declaration_errors().await
    }

    fn fault_episodes(&self) -> FaultEpisodes {
        (**self).fault_episodes()
    }
}

/// The journal as a `J`; `None` if its type is neither `J` nor `Arc<J>`.
pub(crate) fn downcast<J: Journal>(journal: &dyn Journal) -> Option<&J> {
    let journal: &dyn Any = journal;
    journal.downcast_ref::<J>().or_else(|| journal.downcast_ref::<Arc<J>>().map(|journal| &**journal))
}

/// Why a journal is not complete, is not precise, or does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalFault {
    /// What is wrong, one sentence each.
    pub reasons: Vec<String>,
    /// Since when anything has been wrong.
    pub since: SystemTime,
}

/// How many episodes of each fault a journal had. An episode begins and ends with the fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultEpisodes {
    /// Changes could be missing.
    pub incomplete: u64,
    /// Changes touched more than necessary.
    pub imprecise: u64,
}

/// Awaits an answer for at most `limit`. Without a time-out a half-open connection would block the caller for hours.
pub(crate) async fn within<T>(
    limit: Duration,
    asking: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(limit, asking).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touch_reads_back_from_its_text() {
        let touches = vec![
            Touch::entry("user_email", ["ada@example.com"]),
            Touch::Entry { class: "pages".to_owned(), parts: vec![Some("25".to_owned()), None] },
            Touch::Tag("user_list".to_owned()),
            Touch::Matching("user_stats*".to_owned()),
            Touch::Everything,
        ];
        let text = serde_json::to_string(&touches).unwrap();
        assert!(text.contains(r#"["entry","pages","25",null]"#), "{text}");
        assert_eq!(serde_json::from_str::<Vec<Touch>>(&text).unwrap(), touches);
    }

    #[test]
    fn an_unknown_touch_is_refused_and_the_error_says_what_is_allowed() {
        for text in [r"[]", r#"["tag"]"#, r#"["tag",null,"b"]"#, r#"["entry","a"]"#, r#"["all"]"#, r"[null]"]
        {
            let error = serde_json::from_str::<Touch>(text).unwrap_err().to_string();
            assert!(error.contains("allowed are"), "{text}: {error}");
        }
    }
}
