//! Records why entries were invalidated, so that [`Cache::explain`](crate::cache::Cache::explain) can say why an entry
//! is absent.
//!
//! No read depends on these records, and a hit never reaches this module.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use quick_cache::sync::Cache;

use crate::batch::Batch;
use crate::clock::Clock;
use crate::pattern::Pattern;
use crate::protocol::tag::{TagKey, without_slot_range};

/// How many keys and tags are recorded; older records are evicted.
const NAMES_MAX: usize = 10_000;
/// How many patterns are recorded.
const PATTERNS_MAX: usize = 64;

/// What made an invalidation known to this process.
///
/// # Examples
///
/// ```
/// use larder::cause::Cause;
///
/// assert_eq!(Cause::Committed.to_string(), "committed");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// A committed write of this process.
    Committed,
    /// A call in this process: `invalidate`, `clear`, `put` and similar.
    ByHand,
    /// Redis reported a change of a key of which this process held a copy: another instance wrote, the entry expired,
    /// or another program deleted it.
    Push,
    /// The database's journal contained a write, by any program.
    Journal,
    /// Reports of Redis may have been lost, so all copies in this process's memory that depend on such reports were
    /// removed.
    Loss,
}

impl Cause {
    /// Whether Redis or the journal reported the invalidation. Such a report can repeat an invalidation by this
    /// process.
    fn may_be_echo(self) -> bool {
        matches!(self, Cause::Push | Cause::Journal)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Committed => "committed",
            Cause::ByHand => "by hand",
            Cause::Push => "push",
            Cause::Journal => "journal",
            Cause::Loss => "loss",
        })
    }
}

/// One recorded invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) cause: Cause,
    /// Wall time, in milliseconds since 1970.
    pub(crate) at_millis: u64,
    /// Orders the records: two records can have the same millisecond, and wall time can go backwards.
    nth: u64,
}

/// What an invalidation named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Key,
    Tag(TagKey),
    Matching(String),
    Everything,
}

/// Gets each invalidation at once, to send an event about it. It is a trait, because the module of events imports this
/// one.
pub(crate) trait ObservesInvalidations: Send + Sync {
    /// All of `batch` is invalidated.
    fn invalidated(&self, batch: &Batch, cause: Cause);

    /// Redis reported `key`.
    fn pushed(&self, key: &[u8]);
}

/// The recorded causes, bounded in number: the oldest are evicted.
pub(crate) struct Causes {
    clock: Clock,
    /// A report of Redis or the journal that follows another record within this time counts as its echo: it repeats the
    /// same invalidation, and is not recorded.
    echo: Duration,
    /// Numbers the records. A counter that guards no other data: relaxed order is enough.
    count: AtomicU64,
    /// The records by key; a tag has a key too. The map has its own locks; if two threads record one key at once,
    /// either record may stay.
    named: Cache<Bytes, Record>,
    /// The records of patterns and of everything, which have no key. The lock is held for a few statements, never
    /// together with another lock. Invariant: the patterns are in the order of their records, the oldest first.
    wide: Mutex<Wide>,
    observer: Option<Arc<dyn ObservesInvalidations>>,
}

#[derive(Default)]
struct Wide {
    patterns: VecDeque<(Pattern, Record)>,
    everything: Option<Record>,
}

impl Causes {
    pub(crate) fn new(clock: Clock, bound: Duration) -> Self {
        Causes {
            clock,
            echo: bound,
            count: AtomicU64::new(0),
            named: Cache::new(NAMES_MAX),
            wide: Mutex::default(),
            observer: None,
        }
    }

    pub(crate) fn observed_by(self, observer: Arc<dyn ObservesInvalidations>) -> Self {
        Causes { observer: Some(observer), ..self }
    }

    fn observed(&self, batch: &Batch, cause: Cause) {
        if let Some(observer) = &self.observer {
            observer.invalidated(batch, cause);
        }
    }

    /// Records that all of `batch` was invalidated.
    pub(crate) fn note(&self, batch: &Batch, cause: Cause) {
        self.observed(batch, cause);
        let record = self.record(cause);
        for key in batch.keys.iter().take(NAMES_MAX) {
            self.remember(key.clone(), record);
        }
        for tag in batch.tags.iter().take(NAMES_MAX) {
            self.remember(tag.to_bytes(), record);
        }
        let mut wide = self.lock();
        for pattern in &batch.patterns {
            let earlier = wide.patterns.iter().position(|(known, _)| known == pattern);
            let earlier = earlier.and_then(|nth| wide.patterns.remove(nth)).map(|(_, record)| record);
            wide.patterns.push_back((pattern.clone(), self.newer(earlier, record)));
        }
        while wide.patterns.len() > PATTERNS_MAX {
            wide.patterns.pop_front();
        }
        if batch.everything {
            wide.everything = Some(self.newer(wide.everything, record));
        }
    }

    /// Records that Redis reported `key`, of which this process had a copy.
    pub(crate) fn apply_push(&self, key: &[u8]) {
        if let Some(observer) = &self.observer {
            observer.pushed(key);
        }
        self.remember(Bytes::copy_from_slice(without_slot_range(key)), self.record(Cause::Push));
    }

    /// Records that everything counts as invalidated because of `cause`.
    pub(crate) fn note_everything(&self, cause: Cause) {
        self.observed(&Batch { everything: true, ..Batch::default() }, cause);
        let mut wide = self.lock();
        wide.everything = Some(self.newer(wide.everything, self.record(cause)));
    }

    /// The last recorded invalidation of the entry under `key` with these tags, if there is one. `means` says whether a
    /// pattern matches the entry.
    pub(crate) fn last(
        &self,
        key: &[u8],
        tags: &[TagKey],
        means: impl Fn(&Pattern) -> bool,
    ) -> Option<(Record, Scope)> {
        let mut found = Vec::new();
        found.extend(self.named.get(key).map(|record| (record, Scope::Key)));
        for tag in tags {
            let tag = tag.without_slot_range();
            found.extend(self.named.get(tag.as_bytes()).map(|record| (record, Scope::Tag(tag))));
        }
        let wide = self.lock();
        found.extend(wide.everything.map(|record| (record, Scope::Everything)));
        let meant = wide.patterns.iter().filter(|(pattern, _)| means(pattern));
        found.extend(meant.map(|(pattern, record)| (*record, Scope::Matching(pattern.to_string()))));
        drop(wide);
        found.into_iter().max_by_key(|(record, _)| record.nth)
    }

    fn remember(&self, key: Bytes, record: Record) {
        let record = self.newer(self.named.get(&key), record);
        self.named.insert(key, record);
    }

    /// The record to keep: `known` if `record` is only its echo, otherwise `record`.
    fn newer(&self, known: Option<Record>, record: Record) -> Record {
        let echo = u64::try_from(self.echo.as_millis()).unwrap_or(u64::MAX);
        match known {
            Some(known)
                if record.cause.may_be_echo() && record.at_millis < known.at_millis.saturating_add(echo) =>
            {
                known
            }
            _ => record,
        }
    }

    fn record(&self, cause: Cause) -> Record {
        let nth = self.count.fetch_add(1, Ordering::Relaxed);
        Record { cause, at_millis: self.clock.unix_millis(), nth }
    }

    fn lock(&self) -> MutexGuard<'_, Wide> {
        // The state is consistent between any two statements, so it can be used after another thread panicked with the
        // lock.
        self.wide.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"ns:rooms:7";
    const BOUND: Duration = Duration::from_secs(2);

    fn causes() -> (Causes, Clock) {
        let clock = Clock::manual();
        (Causes::new(clock.clone(), BOUND), clock)
    }

    fn last(causes: &Causes, tags: &[TagKey]) -> Option<(Cause, Scope)> {
        causes
            .last(KEY, tags, |pattern| pattern.matches("rooms:7"))
            .map(|(record, scope)| (record.cause, scope))
    }

    #[test]
    fn the_last_invalidation_is_reported_whatever_it_named() {
        let (causes, clock) = causes();
        let tag = TagKey::from(Bytes::from("ns:#rooms"));
        let key = Batch { keys: vec![Bytes::from(KEY)], ..Batch::default() };
        let tagged = Batch { tags: vec![tag.clone()], ..Batch::default() };
        let pattern = |text| Batch { patterns: vec![Pattern::parse(text).unwrap()], ..Batch::default() };
        let tags = [tag.clone()];
        assert_eq!(last(&causes, &tags), None);
        for (batch, scope) in [
            (key, Scope::Key),
            (tagged, Scope::Tag(tag)),
            (pattern("rooms*"), Scope::Matching("rooms*".to_owned())),
            (Batch { everything: true, ..Batch::default() }, Scope::Everything),
        ] {
            clock.advance(Duration::from_millis(5));
            causes.note(&batch, Cause::ByHand);
            assert_eq!(last(&causes, &tags), Some((Cause::ByHand, scope)));
        }
        clock.advance(Duration::from_millis(5));
        causes.note(&pattern("halls*"), Cause::ByHand);
        assert_eq!(
            last(&causes, &tags),
            Some((Cause::ByHand, Scope::Everything)),
            "a pattern that does not match"
        );
    }

    #[test]
    fn a_report_soon_after_an_invalidation_is_its_echo() {
        let (causes, clock) = causes();
        let batch = Batch { keys: vec![Bytes::from(KEY)], ..Batch::default() };
        causes.note(&batch, Cause::Committed);
        clock.advance(BOUND - Duration::from_millis(1));
        causes.apply_push(KEY);
        causes.note(&batch, Cause::Journal);
        assert_eq!(last(&causes, &[]), Some((Cause::Committed, Scope::Key)));
        clock.advance(Duration::from_millis(1));
        causes.apply_push(KEY);
        assert_eq!(last(&causes, &[]), Some((Cause::Push, Scope::Key)));
        causes.note(&batch, Cause::Committed);
        assert_eq!(
            last(&causes, &[]),
            Some((Cause::Committed, Scope::Key)),
            "an invalidation by this process is no echo"
        );
    }

    #[test]
    fn the_memory_of_causes_is_bounded() {
        let (causes, _) = causes();
        for nth in 0..2 * NAMES_MAX {
            causes.apply_push(format!("ns:rooms:{nth}").as_bytes());
        }
        for nth in 0..2 * PATTERNS_MAX {
            let pattern = Pattern::parse(&format!("rooms:{nth}*")).unwrap();
            causes.note(&Batch { patterns: vec![pattern], ..Batch::default() }, Cause::ByHand);
        }
        assert!(causes.named.len() <= NAMES_MAX);
        assert_eq!(causes.lock().patterns.len(), PATTERNS_MAX);
    }
}
