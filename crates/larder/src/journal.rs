//! The journal as the engine needs it: the database's own record of what each change touches.
//!
//! Whoever changes a row, this service, psql or another program, the database itself appends what the change
//! touches to an outbox in the same transaction. Nobody marks rows as done: each consumer remembers its own
//! [`Position`] and asks what has been committed since.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// How often each consumer asks what has been committed.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// One thing that a change touched, in names and raw parts. The engine alone spells keys from it.
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
pub enum Touch {
    /// One entry: its class, and the parts of its key in their order; `None` is a part that is missing.
    Entry {
        /// The name of the class.
        class: String,
        /// What the entry is found by.
        parts: Vec<Option<String>>,
    },
    /// Every entry under a tag. A class's own name is a tag of all its entries.
    Tag(String),
    /// Every entry whose readable text `class:part:part` matches; see
    /// [`Cache::invalidate_matching`](crate::cache::Cache::invalidate_matching).
    Matching(String),
    /// Every entry there is.
    Everything,
}

impl Touch {
    /// The entry of `class` under a key of these parts, none of them missing.
    pub fn entry<P: Into<String>>(class: impl Into<String>, parts: impl IntoIterator<Item = P>) -> Self {
        Touch::Entry { class: class.into(), parts: parts.into_iter().map(|part| Some(part.into())).collect() }
    }
}

/// A touch as text is a list of which the first word names the kind.
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
            (Some("matching"), Some(pattern), []) => Ok(Touch::Matching(pattern)),
            (Some("everything"), None, []) => Ok(Touch::Everything),
            _ => Err(TouchError),
        }
    }
}

/// A row of the outbox that says nothing we understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "allowed are [\"entry\", class, part, …], [\"tag\", tag], [\"matching\", pattern] and [\"everything\"]"
)]
pub struct TouchError;

/// Up to where a consumer has consumed. Written and read by the journal alone: it names the database and a snapshot
/// of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position(String);

impl Position {
    /// The position that a journal wrote as `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Position(text.into())
    }

    /// As the journal wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which database this is: another one, or another life of the same, has another identity.
///
/// Two databases that can answer at one time differ in `system`, copies of one too: it is part of every key in Redis, so that
/// none of them is ever answered with another's rows. `docs/wire-format.md` says what larder's own journals put into it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DatabaseId {
    /// The system and the database in it, without white space. All processes that ask one database get the same.
    pub system: String,
    /// Counts the lives of one system: it rises when a standby is promoted. Always 0 where there is no such thing.
    pub timeline: u64,
}

impl fmt::Display for DatabaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.system, self.timeline)
    }
}

/// What [`Journal::changes_since`] brought, all of it as of one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesSince {
    /// Which database was asked.
    pub database: DatabaseId,
    /// The snapshot: from here the next call goes on.
    pub position: Position,
    /// What was committed up to it.
    pub changes: Changes,
}

/// Names one change for ever: what one transaction committed, or a part of that. Written by the journal alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId(String);

impl ChangeId {
    /// The name that a journal wrote as `text`.
    pub fn new(text: impl Into<String>) -> Self {
        ChangeId(text.into())
    }

    /// As the journal wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One change as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub id: ChangeId,
    /// All that it touched, in no particular order, possibly more than once.
    pub touches: Vec<Touch>,
}

/// All that `changes` touched, each once, in no particular order. By hashes: a pass may bring tens of thousands, and sorting
/// them costs more than all the rest of it.
pub fn touches_of(changes: impl IntoIterator<Item = Change>) -> Vec<Touch> {
    let touches: HashSet<Touch> = changes.into_iter().flat_map(|change| change.touches).collect();
    touches.into_iter().collect()
}

/// What was committed since a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Exactly these, in no particular order.
    Known(Vec<Change>),
    /// Nobody can tell any more: the position is missing, of another database, older than the outbox is kept, or too
    /// much has happened. Everything counts as touched.
    Unknown,
}

/// Why a journal could not be asked.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The database's record of changes. What an implementation MUST hold:
///
/// - `since` takes its snapshot after it was called, on the primary, and misses nothing that was committed by then
///   and not yet at `position`; it refuses a database in recovery.
/// - What a transaction touched is visible exactly when the transaction is.
/// - A [`ChangeId`] is of one change only, whatever became of the database meanwhile, and each change has one, which its
///   writer learns too.
/// - A silence is a proof: `since` answers [`Changes::Known`] only if whatever could have kept a change out of the journal is
///   as it was at `position`; and it fails while a change could be missing now.
/// - `append` has committed when it returns.
/// - Each may be dropped half-way, and asked again.
///
/// What the caller guarantees: positions come from the same implementation.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Which database answers now.
    async fn database(&self) -> Result<DatabaseId, Failure>;

    /// Since when the database that answered last has had the `system` of its [`DatabaseId`], if it may have had another one
    /// before: such as since its server was started. For the staleness bound from then on Redis is not used, because instances that
    /// have not noticed yet may be using it under the former name. Default: `None`, for a name that never changes.
    fn identity_since(&self) -> Option<Instant> {
        None
    }

    /// What was committed since `position`; without one, everything counts as touched.
    async fn changes_since(&self, position: Option<&Position>) -> Result<ChangesSince, Failure>;

    /// Records touches by hand, in a transaction of its own.
    async fn append(&self, touches: &[Touch]) -> Result<(), Failure>;

    /// Forgets what every consumer has consumed long ago, by age; says how many rows went.
    async fn prune(&self) -> Result<u64, Failure>;

    /// What keeps this journal from being complete, as of when it was last asked or a write looked; `None` while it is
    /// complete. While there is anything, `since` fails, no write is acknowledged as sent, and the health names it. Default:
    /// `None`.
    fn incompleteness(&self) -> Option<Incompleteness> {
        None
    }

    /// Which of its declarations can never be right, a sentence each with its remedy, such as a key column that has several texts for one
    /// value. [`Builder::build`](crate::Builder::build) asks once and fails for any. What may be mended while a program runs is not
    /// among them: see [`Journal::incompleteness`]. Default: none.
    async fn declaration_errors(&self) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }

    /// In how many episodes it was incomplete since the start. Default: none.
    fn incomplete_episodes(&self) -> u64 {
        0
    }
}

/// A journal that its owner keeps a handle of, to look into it.
#[async_trait]
impl<J: Journal + ?Sized> Journal for Arc<J> {
    // Every method, those with a default too: the default would answer for the journal inside.

    async fn database(&self) -> Result<DatabaseId, Failure> {
        (**self).database().await
    }

    fn identity_since(&self) -> Option<Instant> {
        (**self).identity_since()
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

    fn incompleteness(&self) -> Option<Incompleteness> {
        (**self).incompleteness()
    }

    async fn declaration_errors(&self) -> Result<Vec<String>, Failure> {
        (**self).declaration_errors().await
    }

    fn incomplete_episodes(&self) -> u64 {
        (**self).incomplete_episodes()
    }
}

/// Why a journal is not complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incompleteness {
    /// What is wrong, a sentence each.
    pub defects: Vec<String>,
    /// Since when there has been anything.
    pub since: SystemTime,
}

/// Asks, but no longer than `limit`: a database that went away without a word would else be asked for hours.
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
    fn touches_come_back_as_they_were_written() {
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
    fn what_is_no_touch_is_refused_with_what_is_allowed() {
        for text in [r"[]", r#"["tag"]"#, r#"["tag","a","b"]"#, r#"["entry","a"]"#, r#"["all"]"#, r"[null]"] {
            let error = serde_json::from_str::<Touch>(text).unwrap_err().to_string();
            assert!(error.contains("allowed are"), "{text}: {error}");
        }
    }
}
