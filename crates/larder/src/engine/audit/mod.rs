//! Audits reads: loads a sample of what the tiers have just served again, and measures what was stale.
//!
//! 1. A hit is drawn by lot, or is due because its entry is watched (`watches`). The read that made the hit hands over what
//!    it served and the load that it would have run on a miss, not begun yet. It waits for nothing.
//! 2. One task, `checking`, runs these loads one after the other, and compares.
//! 3. If the database has another value, the entry is watched: it may have changed after the hit, which is no fault.
//! 4. A hit on the watched entry that begins after the bound is checked in any case. If the database still has another
//!    value, the hit was stale beyond the bound.
//!
//! Invariants:
//! - **A check changes no tier**: its load takes no lease and no flight, and its value goes nowhere.
//! - **A late clock delays an alarm**: each instant that a verdict rests on is read late for what was seen, and early for
//!   what was served.

mod checking;
mod watches;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{Sender, channel};

use crate::audit::{AuditReport, Minutes};
use crate::clock::{Clock, Tick};
use crate::codec::AnyValue;
use crate::engine::audit::checking::Checker;
use crate::engine::audit::watches::Watches;
use crate::engine::call::Loading;
use crate::engine::read::ReadOutcome;
use crate::engine::{AbortOnDrop, ClassCore};
use crate::journal::Journal;
use crate::key::KeyBuf;
use crate::loading::begin_audit_load;
use crate::stats::count;
use crate::times::Histogram;

/// How many drawn hits wait for their check. Few, so that a check follows its hit soon, and because each keeps what its
/// loader's closure captured.
const DRAWN_MAX: usize = 2;
/// How many due hits wait for their check; they come first. One that finds no place is due again at the entry's next hit.
const DUE_MAX: usize = 4;

/// How an auditor works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AuditSettings {
    /// The share of the hits that are drawn, from 0 to 1.
    pub(crate) rate: f64,
    pub(crate) loads_per_second: f64,
}

impl Default for AuditSettings {
    fn default() -> Self {
        AuditSettings { rate: 0.0, loads_per_second: 10.0 }
    }
}

/// A hit that is to be checked.
struct Sample {
    class: Arc<ClassCore>,
    key: Bytes,
    value: Option<AnyValue>,
    loaded_at_millis: u64,
    /// When the read began.
    at: Tick,
    /// When another value was seen in the database; `None` if the hit was drawn by lot.
    seen_at: Option<Tick>,
    loading: Loading,
}

/// Why a hit is to be checked.
#[derive(Clone, Copy)]
pub(crate) struct Interest {
    is_drawn: bool,
    may_be_watched: bool,
}

/// Chooses hits, and counts what their checks found.
pub(crate) struct Auditor {
    settings: AuditSettings,
    /// A random number below this draws a hit.
    threshold: u64,
    clock: Clock,
    bound: Duration,
    /// The journal of the cache.
    journal: Option<Arc<dyn Journal>>,
    watches: Watches,
    drawn: Sender<Sample>,
    due: Sender<Sample>,
    tallies: Tallies,
}

/// The counters guard no other data, so relaxed order is enough.
struct Tallies {
    checked: AtomicU64,
    changed: AtomicU64,
    stale: AtomicU64,
    dismissed: AtomicU64,
    failures: AtomicU64,
    unusable: AtomicU64,
    dropped: AtomicU64,
    unwatched: AtomicU64,
    worst_age_nanos: AtomicU64,
    lag: Histogram,
    /// Held to count one check, or to add the minutes up. Only the auditor's task and reports take it.
    minutes: Mutex<Minutes>,
}

impl Auditor {
    /// Starts the auditor. It ends when the second value is dropped.
    pub(crate) fn start(
        settings: AuditSettings,
        (clock, bound): (Clock, Duration),
        journal: Option<Arc<dyn Journal>>,
    ) -> (Arc<Self>, AbortOnDrop) {
        let ((drawn, drawn_samples), (due, due_samples)) = (channel(DRAWN_MAX), channel(DUE_MAX));
        let zero = AtomicU64::default;
        let tallies = Tallies {
            checked: zero(),
            changed: zero(),
            stale: zero(),
            dismissed: zero(),
            failures: zero(),
            unusable: zero(),
            dropped: zero(),
            unwatched: zero(),
            worst_age_nanos: zero(),
            lag: Histogram::new(),
            minutes: Mutex::new(Minutes::new()),
        };
        let auditor = Arc::new(Auditor {
            // A rate of 1 is the largest number, which draws all hits but one in 2^64.
            threshold: (settings.rate * u64::MAX as f64) as u64,
            settings,
            clock,
            bound,
            journal,
            watches: Watches::new(),
            drawn,
            due,
            tallies,
        });
        let checker = Checker::new(auditor.clone(), drawn_samples, due_samples);
        (auditor, AbortOnDrop::start(checker.check_on()))
    }

    /// When a read begins.
    pub(crate) fn now(&self) -> Tick {
        self.clock.now()
    }

    /// Whether the hit may have to be checked. It runs on every hit, so it takes no lock and reads no clock.
    #[inline]
    pub(crate) fn interest(&self, hit: &ReadOutcome) -> Option<Interest> {
        let (is_drawn, may_be_watched) =
            (random() < self.threshold, self.watches.may_have(hit.loaded_at_millis));
        (is_drawn | may_be_watched).then_some(Interest { is_drawn, may_be_watched })
    }

    /// Has the hit of a read that began at `at` checked, if it was drawn or is due. `begin_load` begins the load that the
    /// read would have run on a miss.
    #[cold]
    pub(crate) fn take(
        &self,
        interest: Interest,
        class: &Arc<ClassCore>,
        key: &KeyBuf,
        (hit, at): (&ReadOutcome, Tick),
        begin_load: impl FnOnce() -> Option<Loading>,
    ) {
        // Without a start of its load, the hit is no entry of a tier.
        if !class.is_audited || hit.loaded_at_millis == 0 {
            return;
        }
        // The place first: a hit that finds none stays due.
        let due = if interest.may_be_watched { self.due.try_reserve().ok() } else { None };
        let seen_at = due.as_ref().and_then(|_| self.watches.note_hit(key, hit.loaded_at_millis, at));
        let place = match (due.filter(|_| seen_at.is_some()), interest.is_drawn) {
            (Some(place), _) => Ok(place),
            (None, true) => self.drawn.try_reserve(),
            (None, false) => return,
        };
        // The application's closure runs here although the read needs no load. Its panic must not end the read.
        let loading = place.is_ok().then(|| catch_unwind(AssertUnwindSafe(|| begin_audit_load(begin_load))));
        let (Ok(place), Some(Ok(Some(loading)))) = (place, loading) else {
            count(&self.tallies.dropped);
            if seen_at.is_some() {
                self.watches.settle(key, hit.loaded_at_millis, false, Some(at));
            }
            return;
        };
        place.send(Sample {
            class: class.clone(),
            key: Bytes::copy_from_slice(key),
            value: hit.value.clone(),
            loaded_at_millis: hit.loaded_at_millis,
            at,
            seen_at,
            loading,
        });
    }

    /// What was measured since the start.
    pub(crate) fn report(&self) -> AuditReport {
        let Tallies {
            checked,
            changed,
            stale,
            dismissed,
            failures,
            unusable,
            dropped,
            unwatched,
            worst_age_nanos,
            lag,
            minutes,
        } = &self.tallies;
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let windows = minutes.lock().unwrap_or_else(PoisonError::into_inner).windows(self.minute());
        let [hour, day] = windows;
        AuditReport {
            rate: self.settings.rate,
            loads_per_second: self.settings.loads_per_second,
            checked: get(checked),
            changed: get(changed),
            stale: get(stale),
            dismissed: get(dismissed),
            failures: get(failures),
            unusable: get(unusable),
            dropped: get(dropped),
            unwatched: get(unwatched),
            watched: self.watches.len() as u64,
            worst_age: Duration::from_nanos(get(worst_age_nanos)),
            lag: lag.snapshot().into(),
            hour,
            day,
        }
    }

    /// The present minute of the engine's clock.
    fn minute(&self) -> u64 {
        self.clock.now().nanos() / 60_000_000_000
    }
}

/// A random number: a step of xorshift, which takes about a nanosecond. Each thread has a seed of its own.
#[inline]
fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(rand::random_range(1..=u64::MAX));
    }
    // A thread that ends has no thread-local value any more, and draws no hit.
    STATE
        .try_with(|state| {
            let mut bits = state.get();
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            state.set(bits);
            bits
        })
        .unwrap_or(u64::MAX)
}
