//! Explains whether an entry is in each tier, and why or why not.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::cache::Cache;
use crate::cause::{Cause, Scope};
use crate::class::Class;
use crate::engine::{Engine, SharedTier};
use crate::error::Error;
use crate::introspection::RedisAnswer;
use crate::journal::Touch;
use crate::key::{Key, KeyBuf};
use crate::key_text::Target;
use crate::local::copy::LocalCopy;
use crate::protocol::frame::{Entry, Frame};
use crate::protocol::tag::{TagKey, TagToken};
use crate::protocol::token::Token;
use crate::remote::{Fault, InspectedFrame};

/// What this process and Redis know of one entry now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The entry's text, which patterns match: `class:part:part`.
    pub text: String,
    /// The copy in this process's memory.
    pub memory: Option<TierEntry>,
    /// The contents of Redis under the entry's key.
    pub redis: RedisAnswer<RedisState>,
    /// Whether this process has a flight for the entry that a read can still join.
    pub is_loading: bool,
    /// The last recorded invalidation: of the entry, of one of its tags, of a matching pattern, or of everything.
    pub last_invalidation: Option<InvalidationRecord>,
}

/// An entry in a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierEntry {
    /// Whether the entry is an absent answer: the loader found no value.
    pub is_absent: bool,
    /// The size of the encoded value.
    pub payload_bytes: usize,
    /// When the load of the entry began.
    pub loaded_at: SystemTime,
    /// Until when the entry can stay.
    pub until: SystemTime,
    /// The entry's tags.
    pub tags: Vec<TagStatus>,
    /// Whether a bounded read would get this entry now: it has not expired, its tags are current, and the tier can be
    /// used.
    pub is_served: bool,
}

/// One tag of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagStatus {
    /// The tag's name.
    pub tag: String,
    /// Whether the tag still has the token that it had before the entry's load. If not, an invalidation of the tag made
    /// the entry invalid. For a copy in memory, also `false` if this process does not know the tag's token.
    pub is_current: bool,
}

/// What Redis stores under an entry's key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisState {
    /// There is no such key.
    Nothing,
    /// A lease: an instance is loading the entry, and other readers wait for its fill.
    Lease {
        /// When the lease expires.
        until: SystemTime,
    },
    /// An entry.
    Entry(TierEntry),
    /// The anchor of a memory-only class: it has no value. An invalidation unlinks it, and Redis reports that to the
    /// instances that hold a copy.
    Anchor {
        /// When the anchor expires.
        until: SystemTime,
    },
    /// A permit: an application is computing a value for this key. Reads treat the permit as a miss.
    Permit {
        /// When the permit expires.
        until: SystemTime,
    },
    /// A frame that this version of larder did not write, or that is damaged. Reads ignore it.
    Unreadable,
}

/// Why and when an entry was invalidated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidationRecord {
    /// What made the invalidation known.
    pub cause: Cause,
    /// What the invalidation named: the entry, a tag, a pattern, or everything.
    pub named: Touch,
    /// When the invalidation became known to this process.
    pub at: SystemTime,
}

impl Cache {
    /// Explains the entry that `touch` names: in which tiers it is, and why or why not. Redis is asked on an untracked
    /// connection of the pool.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) if `touch` does not name one entry, or its class name is
    /// not allowed.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    /// use larder::cause::Cause;
    /// use larder::journal::Touch;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let rooms = cache.class::<u32, String>("rooms").open()?;
    /// rooms.get_or_load(&7, || async { Ok::<_, std::io::Error>("sea view".to_owned()) }).await?;
    /// let seven = Touch::entry("rooms", ["7"]);
    /// assert!(cache.explain(&seven).await?.memory.is_some_and(|copy| copy.is_served));
    ///
    /// let _receipt = rooms.invalidate(&7).await;
    /// let now = cache.explain(&seven).await?;
    /// assert!(now.memory.is_none());
    /// assert_eq!(now.last_invalidation.map(|last| last.cause), Some(Cause::ByHand));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn explain(&self, touch: &Touch) -> Result<Explanation, Error> {
        match (self.namespace.target(touch)?, touch) {
            (Target::Key(key), Touch::Entry { class, .. }) => {
                let slot_range = self.engine.slot_range(|| KeyBuf::from_slice(&key));
                Ok(self.engine.explain(key, vec![self.namespace.tag_key_in(class, slot_range)]).await)
            }
            _ => Err(Error::config(format!("{touch:?} is to be explained: allowed is one entry"))),
        }
    }
}

impl<K, V> Class<K, V>
where
    K: Key + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Explains the entry of `key`; see [`Cache::explain`]. If no tier holds the entry, this method still knows all
    /// tags of the key, and `Cache::explain` knows only the class's own tag.
    pub async fn explain<Q: Key<K> + ?Sized>(&self, key: &Q) -> Explanation {
        let tags = self.tags(key).to_vec();
        self.engine.explain(Bytes::copy_from_slice(&self.key(key)), tags).await
    }
}

impl Engine {
    async fn explain(&self, key: Bytes, mut tags: Vec<TagKey>) -> Explanation {
        let copy = self.local.copy(&key);
        let mut know = |tag: &TagKey| {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        };
        if let Some(copy) = &copy {
            copy.tags.iter().for_each(|cell| know(cell.name()));
        }
        let redis = self.inspect(async |shared| self.in_redis(shared, &key, &mut know).await).await;
        let means = |pattern: &_| self.namespace.matches_key(pattern, &key);
        let last_invalidation =
            self.causes.last(&key, &tags, means).map(|(record, scope)| InvalidationRecord {
                cause: record.cause,
                named: self.touch(&key, scope),
                at: wall(record.at_millis),
            });
        Explanation {
            text: self.namespace.key_text(&key).unwrap_or_default(),
            memory: copy.map(|copy| self.held_here(&key, &copy)),
            redis,
            is_loading: self.local.is_loading(&key),
            last_invalidation,
        }
    }

    fn held_here(&self, key: &[u8], copy: &LocalCopy) -> TierEntry {
        let (now, is_guarded) = (self.clock.now(), self.is_guarded());
        TierEntry {
            is_absent: copy.value.is_none(),
            payload_bytes: copy.payload_bytes as usize,
            loaded_at: wall(copy.loaded_at_millis),
            until: self.wall_in(copy.deadline.since(now)),
            tags: copy
                .tags
                .iter()
                .map(|cell| self.tag_status(cell.name(), cell.is_current(copy.origin, is_guarded)))
                .collect(),
            is_served: self.local.get(key, now, is_guarded).is_some(),
        }
    }

    async fn in_redis(
        &self,
        shared: &SharedTier,
        key: &Bytes,
        know: &mut impl FnMut(&TagKey),
    ) -> Result<RedisState, Fault> {
        let mut found = shared.inspect.look(std::slice::from_ref(key)).await?;
        let Some(InspectedFrame { frame, left }) = found.pop().flatten() else {
            return Ok(RedisState::Nothing);
        };
        // Each frame of larder expires. One that does not is shown with the present instant.
        let until = self.wall_in(left.unwrap_or_default());
        let entry = match Frame::parse(&frame) {
            Ok(Frame::Lease(_)) => return Ok(RedisState::Lease { until }),
            Ok(Frame::Anchor(_)) => return Ok(RedisState::Anchor { until }),
            Ok(Frame::Permit(_)) => return Ok(RedisState::Permit { until }),
            Ok(Frame::Entry(entry)) => entry,
            Ok(Frame::Tag(_)) | Err(_) => return Ok(RedisState::Unreadable),
        };
        let Entry { header, payload, .. } = entry;
        header.tags.iter().for_each(|taken| know(&taken.tag));
        let keys: Vec<Bytes> = header.tags.iter().map(|taken| taken.tag.to_bytes()).collect();
        let present: Vec<Option<Token>> = shared.inspect.look(&keys).await?.into_iter().map(token).collect();
        let status_of = |(taken, present): (&TagToken, Option<Token>)| {
            self.tag_status(&taken.tag, present == Some(taken.token))
        };
        let tags: Vec<TagStatus> = header.tags.iter().zip(present).map(status_of).collect();
        Ok(RedisState::Entry(TierEntry {
            is_absent: payload.is_none(),
            payload_bytes: payload.map_or(0, |payload| payload.len()),
            loaded_at: wall(header.loaded_at_millis),
            until,
            is_served: tags.iter().all(|tag| tag.is_current) && self.is_guarded(),
            tags,
        }))
    }

    fn tag_status(&self, tag: &TagKey, is_current: bool) -> TagStatus {
        TagStatus { tag: self.namespace.tag_name(tag), is_current }
    }

    fn touch(&self, key: &[u8], scope: Scope) -> Touch {
        match scope {
            // `touch_of` never returns `None` here, because `key` is an entry's key.
            Scope::Key => self.namespace.touch_of(key).unwrap_or(Touch::Everything),
            Scope::Tag(tag) => Touch::Tag(self.namespace.tag_name(&tag)),
            Scope::Matching(pattern) => Touch::Matching(pattern),
            Scope::Everything => Touch::Everything,
        }
    }

    fn wall_in(&self, left: Duration) -> SystemTime {
        // A deadline beyond the range of the wall clock is shown as now.
        let now = wall(self.clock.unix_millis());
        now.checked_add(left).unwrap_or(now)
    }
}

fn token(existing: Option<InspectedFrame>) -> Option<Token> {
    match Frame::parse(&existing?.frame) {
        Ok(Frame::Tag(token)) => Some(token),
        _ => None,
    }
}

fn wall(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}
