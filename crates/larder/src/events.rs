//! Events: what a cache does, as a typed stream; see [`Cache::events`](crate::Cache::events).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{BoxStream, Stream, StreamExt};

use crate::cause::Cause;
use crate::error::ErrorKind;
use crate::health::Trouble;
use crate::source::NotStoredReason;

/// What a cache did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A read was answered without a load of its own, or with an aged entry after its load failed.
    Hit {
        /// The entry that answered.
        entry: EntryName,
        /// What answered.
        source: HitSource,
        /// Whether the answer is that there is no such value.
        is_absent: bool,
        /// Whether the answer's TTL had ended; see [`Answer::stale_by`](crate::Answer::stale_by).
        is_stale: bool,
    },
    /// A read found no answer. Its load begins, unless it is a [`Class::get`](crate::Class::get).
    Miss {
        /// The entry that was asked for.
        entry: EntryName,
        /// Why no tier answered.
        reason: MissReason,
    },
    /// A load ended.
    Load {
        /// The entry that was loaded.
        entry: EntryName,
        /// How long the load took.
        took: Duration,
        /// How it ended.
        outcome: LoadEnd,
    },
    /// A loaded value was not stored. Its reader got it.
    FillRefused {
        /// The entry that was loaded.
        entry: EntryName,
        /// Why it was not stored.
        reason: NotStoredReason,
    },
    /// Entries were invalidated. One invalidation can be seen several times: by its own call, by Redis's report, and in
    /// the journal.
    Invalidated {
        /// Which entries.
        scope: InvalidatedScope,
        /// What made the invalidation known to this process.
        cause: Cause,
    },
    /// Memory was full and removed a copy, which may still be in Redis.
    Evicted {
        /// The entry.
        entry: EntryName,
    },
    /// A trouble of Redis or of the journal began, as it is logged: once an episode.
    Degraded {
        /// What is wrong.
        trouble: Trouble,
    },
    /// The troubles of an episode have ended, and none has begun for 2 s. The troubles of Redis are one episode; each of
    /// the journal's is one of its own.
    Recovered {
        /// The troubles that have ended, in the order in which they began.
        troubles: Vec<Trouble>,
    },
    /// What is under a key in Redis is no entry of its class: it is damaged, forged, copied from another key, or of
    /// another shape. The read loads.
    Alarm {
        /// The class whose read found it.
        class: String,
        /// What is wrong with it.
        reason: String,
    },
    /// [Tuning](crate::tuning) changed a setting, or a change of it was undone.
    Tuned {
        /// The class whose setting was changed.
        class: String,
        /// The setting, before and after.
        change: String,
        /// Why, with the numbers on which it rests.
        reason: String,
    },
    /// The subscriber was too slow: so many events are missing here.
    Missed(u64),
}

/// The entry that an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct EntryName {
    /// The name of its class.
    pub class: String,
    /// The text of its key, as it is spelled in Redis after the class. `None` if the class keeps its keys secret: it is
    /// [memory-only](crate::class::ClassBuilder::memory_only), [sealed](crate::protection::Protection::Sealed), or not
    /// open in this process.
    pub key: Option<String>,
}

/// What answered a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HitSource {
    /// This process's memory.
    Memory,
    /// Redis.
    Redis,
    /// The load of another read of this process.
    Flight,
}

/// Why no tier answered a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MissReason {
    /// No tier has a valid entry.
    NotCached,
    /// There is an entry, which has aged so much that it is to be loaded again.
    Aged,
    /// The read is [fresh](crate::Consistency::Fresh), and memory is the only tier that could answer.
    Fresh,
    /// Redis is configured and cannot be used, or took longer than the read's budget.
    RedisAway,
    /// Another instance's load of the key took longer than the load time-out, or a load of this process three times as
    /// long.
    WaitTimedOut,
    /// Caching is off, the read runs inside a load, or its key is too long.
    Bypass,
}

/// How a load ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoadEnd {
    /// The loader found a value.
    Value,
    /// The loader found that there is no such value.
    Absent,
    /// The loader failed, panicked, or took too long.
    Failed(ErrorKind),
    /// The load was stopped: no read waited for it, or its value could not be used any more.
    Stopped,
}

impl LoadEnd {
    /// The outcome's label, such as `value`, also in the span `larder.load`.
    pub fn as_str(self) -> &'static str {
        match self {
            LoadEnd::Value => "value",
            LoadEnd::Absent => "absent",
            LoadEnd::Failed(ErrorKind::LoadTimeout) => "timeout",
            LoadEnd::Failed(ErrorKind::LoadPanicked) => "panicked",
            LoadEnd::Failed(_) => "failed",
            LoadEnd::Stopped => "stopped",
        }
    }
}

/// What an invalidation named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidatedScope {
    /// One entry.
    Entry(EntryName),
    /// All entries of the class of this name.
    Class(String),
    /// All entries with this tag. `None` if the tag may have the key of a secret class.
    Tag(Option<String>),
    /// All entries that match this pattern. `None` if the pattern may have the key of a secret class.
    Matching(Option<String>),
    /// Everything.
    Everything,
}

/// The events of a cache since the subscription, in their order; see [`Cache::events`](crate::Cache::events). It is a
/// `Stream`, and ends with the cache.
#[must_use = "nothing is received before `next`"]
pub struct Events {
    pub(crate) events: BoxStream<'static, Event>,
}

impl Events {
    /// The next event; `None` after the end of the cache. If the future is dropped, no event is lost.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.next().await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.events.poll_next_unpin(context)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
