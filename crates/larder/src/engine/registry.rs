//! The classes that were opened, by name, with the state that all handles of one name share.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::aging::Aging;
use crate::breaker::{Breaker, BreakerState};
use crate::error::Error;
use crate::key::PartKind;
use crate::loading::is_auditing;
use crate::local::samples::CLASS_OTHER;
use crate::policy::{Abandonment, Policy};
use crate::stats::Counters;
use crate::tag::TagGroup;
use crate::times::{Histogram, StoreTimes, Timing};
use crate::tuning::limits::TuningLimits;

/// How a class was declared. `columns` has what all its handles named; the other fields are those of the first handle.
/// The later handles have equal declarations, and their key types spell the same keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredClass {
    /// The class's name, which is a tag of all its entries.
    pub name: String,
    /// The other tags that all its entries have.
    pub tags: Vec<String>,
    /// Those of its tags and groups that only the application invalidates; see
    /// [`ClassBuilder::by_hand`](crate::class::ClassBuilder::by_hand).
    pub by_hand: Vec<String>,
    /// Whether its values stay in memory; see [`ClassBuilder::memory_only`](crate::class::ClassBuilder::memory_only).
    pub is_memory_only: bool,
    /// The groups of the tags that entries have because of their keys, as far as a [sample](crate::key::Key::sample) of
    /// the keys shows them.
    pub tag_groups: Vec<TagGroup>,
    /// Whether entries may have tags, because of their keys, that are in none of `tag_groups`. That is so if
    /// [`ClassBuilder::tagged_by`](crate::class::ClassBuilder::tagged_by) is used and the key type has no sample, or if
    /// it returned for the sample no tag or a tag without a group.
    pub has_unknown_tags: bool,
    /// Each list of column names behind the key's parts, in the order of the parts; empty if unknown.
    pub columns: Vec<Vec<String>>,
    /// Which texts the parts of its keys can have; `None` if even the number of parts is unknown.
    pub kinds: Option<Vec<PartKind>>,
}

/// How a class was opened. All handles of one name have the same declaration, so each handle can read an entry that
/// another handle stored, and gives it the same tags.
pub(crate) struct Declaration {
    /// The types of the values, of the closure that returns a key's tags, and of the closure that measures a value's
    /// memory. Names are not enough: two types, and two closures of one function, can have one name.
    pub(crate) types: [Option<TypeId>; 3],
    /// Each setting by its name, as text.
    pub(crate) parts: Vec<(&'static str, String)>,
    /// The name of the key's type. It can differ between handles: `str` and `String` spell the same keys.
    pub(crate) key: &'static str,
    /// The declaration for display. Its columns can differ between handles: two tables can name the columns of a key
    /// differently.
    pub(crate) shown: DeclaredClass,
    pub(crate) breaker: Option<Breaker>,
    pub(crate) abandonment: Abandonment,
    /// The policy, which `parts` has as text.
    pub(crate) policy: Policy,
    /// What may be tuned, which `parts` has as text.
    pub(crate) limits: TuningLimits,
}

impl Declaration {
    /// How `other` differs; `None` if it does not.
    fn difference(&self, other: &Declaration) -> Option<String> {
        if self.spells_other_keys(other) {
            let say = |one: &Declaration| match &one.shown.kinds {
                Some(kinds) => format!("keys of type {} (parts: {kinds:?})", one.key),
                None => format!("keys of type {} (its parts are unknown)", one.key),
            };
            return Some(format!("{} and {}", say(self), say(other)));
        }
        let differing = self.parts.iter().zip(&other.parts).filter(|(here, there)| here != there);
        let differing: Vec<String> =
            differing.map(|((part, here), (_, there))| format!("{part} {here} and {part} {there}")).collect();
        if !differing.is_empty() {
            return Some(differing.join(", "));
        }
        let [value, tagged_by, memory_of] = [0, 1, 2].map(|nth| self.types[nth] == other.types[nth]);
        match (value, tagged_by, memory_of) {
            (false, _, _) => Some("value types of one name, from two versions of a crate".to_owned()),
            (_, false, _) => Some("another closure for tagged_by".to_owned()),
            (_, _, false) => Some("another closure for memory_of".to_owned()),
            (true, true, true) => None,
        }
    }

    /// Whether the keys of `other` may spell the key of one row in another way, such as `7` and `07`, or a UUID in
    /// lower and in upper case. Key types with the same kinds of parts spell it alike, for example `i32` and `i64`.
    /// This function relies on two things that it cannot check: `Key::kinds` is true, and both types have the parts in
    /// the same order. If the kinds are unknown, only handles with the same key type spell keys alike.
    fn spells_other_keys(&self, other: &Declaration) -> bool {
        match (&self.shown.kinds, &other.shown.kinds) {
            (None, None) => self.key != other.key,
            (here, there) => here != there,
        }
    }
}

/// Finds a known list and a list that is new and names the same columns in another order.
fn reordered<'a>(known: &'a [Vec<String>], new: &'a [Vec<String>]) -> Option<(&'a [String], &'a [String])> {
    let sorted = |columns: &[String]| {
        let mut columns = columns.to_vec();
        columns.sort_unstable();
        columns
    };
    let new = new.iter().filter(|there| !known.contains(there));
    let mut pairs = new.flat_map(|there| known.iter().map(move |here| (&here[..], &there[..])));
    pairs.find(|(here, there)| sorted(here) == sorted(there))
}

/// The state that all handles of one class's name share. Its parts are independent and guard no other data.
pub(crate) struct ClassState {
    /// The declaration of the first handle.
    pub(crate) declaration: Declaration,
    /// The class's number in the samples of memory: its place in the order of opening, or [`CLASS_OTHER`].
    pub(crate) number: u16,
    /// The columns that the handles named, each list once. The lock guards only this list: opening a class adds to it,
    /// and `declared` copies it. Invariant: no two lists have the same columns in different orders, unless one handle
    /// named both.
    columns: Mutex<Vec<Vec<String>>>,
    pub(crate) counters: Counters,
    pub(crate) load_times: Histogram,
    pub(crate) store_times: StoreTimes,
    /// How many answers the auditor found stale beyond the bound. Relaxed: it guards no other data.
    pub(crate) stale_found: AtomicU64,
    pub(crate) breaker: BreakerState,
    /// The places of abandoned loads. A load that goes on without a reader holds one until it ends, and the keys of a
    /// batch hold one together.
    pub(crate) abandoned: Arc<Semaphore>,
    /// The TTL that replaces that of the policy, in nanoseconds; 0: none does. Relaxed everywhere: it guards no other data,
    /// and a load may use the former TTL for a moment longer.
    ttl_nanos: AtomicU64,
    /// Whether the application has set that TTL: then tuning leaves it alone.
    is_ttl_fixed: AtomicBool,
    /// Whether caching is on for this class; see also [`Engine::is_on`](crate::engine::Engine::is_on).
    pub(crate) is_on: AtomicBool,
}

impl ClassState {
    /// The state of a class that is the `nth` to be opened.
    pub(crate) fn new(declaration: Declaration, nth: usize) -> Self {
        let number = u16::try_from(nth).unwrap_or(CLASS_OTHER).min(CLASS_OTHER);
        let (counters, load_times) = (Counters::default(), Histogram::new());
        let breaker = BreakerState::new(declaration.breaker);
        let columns = Mutex::new(declaration.shown.columns.clone());
        // A semaphore has room for fewer permits than `usize`, and for more than `u32` where that has 64 bits.
        let most = usize::try_from(declaration.abandonment.most()).unwrap_or(Semaphore::MAX_PERMITS);
        let abandoned = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        let is_on = AtomicBool::new(true);
        let ttl_nanos = AtomicU64::new(0);
        let stale_found = AtomicU64::new(0);
        ClassState {
            declaration,
            number,
            columns,
            counters,
            load_times,
            store_times: StoreTimes::default(),
            stale_found,
            breaker,
            abandoned,
            ttl_nanos,
            is_ttl_fixed: AtomicBool::new(false),
            is_on,
        }
    }

    /// Records how long a load takes, until the guard is dropped. `None` in a load of the auditor, which is none of the
    /// class's.
    pub(crate) fn timing(&self) -> Option<Timing<'_>> {
        (!is_auditing()).then(|| self.load_times.timing())
    }

    /// The TTL that replaces that of the policy, if [`ClassState::set_ttl`] has set one.
    pub(crate) fn ttl(&self) -> Option<Duration> {
        Some(self.ttl_nanos.load(Ordering::Relaxed)).filter(|nanos| *nanos > 0).map(Duration::from_nanos)
    }

    /// The TTL that loads have now.
    pub(crate) fn present_ttl(&self) -> Duration {
        self.ttl().unwrap_or_else(|| self.declaration.policy.present_ttl())
    }

    /// As [`ClassState::set_ttl`], if the TTL that replaces that of the policy is still `known`, and the application has set
    /// none. Returns whether it was set.
    pub(crate) fn set_ttl_after(&self, known: Option<Duration>, ttl: Duration) -> bool {
        let Declaration { policy, shown, .. } = &self.declaration;
        let (known, ttl_nanos) = (nanos(known.unwrap_or_default()), nanos(ttl));
        !self.is_ttl_fixed.load(Ordering::Relaxed)
            && policy.with_ttl(ttl).error(shown.is_memory_only).is_none()
            && self.ttl_nanos.compare_exchange(known, ttl_nanos, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether its entries are refreshed, or used after their TTL.
    pub(crate) fn is_aging(&self) -> bool {
        *self.declaration.policy.aging() != Aging::default()
    }

    /// Replaces the TTL of the policy; says what is allowed if this TTL is not.
    pub(crate) fn set_ttl(&self, ttl: Duration) -> Result<(), String> {
        let Declaration { policy, shown, .. } = &self.declaration;
        if let Some(wrong) = policy.with_ttl(ttl).error(shown.is_memory_only) {
            return Err(wrong);
        }
        // Relaxed: a change by tuning at the same moment may count as the earlier one.
        self.is_ttl_fixed.store(true, Ordering::Relaxed);
        self.ttl_nanos.store(nanos(ttl), Ordering::Relaxed);
        Ok(())
    }

    /// The declaration for display.
    pub(crate) fn declared(&self) -> DeclaredClass {
        DeclaredClass { columns: self.lock_columns().clone(), ..self.declaration.shown.clone() }
    }

    /// Adds the columns of one more handle; fails if they are known in another order.
    fn add_columns(&self, new: &[Vec<String>]) -> Result<(), String> {
        let mut columns = self.lock_columns();
        if let Some((here, there)) = reordered(&columns, new) {
            return Err(format!("the columns of its keys in two orders, {here:?} and {there:?}"));
        }
        for list in new {
            if !columns.contains(list) {
                columns.push(list.clone());
            }
        }
        Ok(())
    }

    fn lock_columns(&self) -> MutexGuard<'_, Vec<Vec<String>>> {
        // The list is complete between any two statements, so it can be used after another thread panicked with the
        // lock.
        self.columns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A TTL that a policy has accepted: at most 30 days, which `u64` holds.
fn nanos(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX)
}

/// The classes by name. Invariant: while the cache lives, one name has one [`ClassState`].
///
/// The lock guards only the map. It is taken when a class is opened, shown or named in an invalidation, never by a
/// read.
#[derive(Default)]
pub(crate) struct Registry(Mutex<BTreeMap<String, Arc<ClassState>>>);

impl Registry {
    /// Returns the shared state of `name`, and creates it for the first handle. Fails if the declaration differs from
    /// the first one.
    pub(crate) fn open(&self, name: &str, declaration: Declaration) -> Result<Arc<ClassState>, Error> {
        let mut classes = self.lock();
        let nth = classes.len();
        let Some(common) = classes.get(name) else {
            return Ok(classes
                .entry(name.to_owned())
                .or_insert(Arc::new(ClassState::new(declaration, nth)))
                .clone());
        };
        let difference = match common.declaration.difference(&declaration) {
            None => common.add_columns(&declaration.shown.columns).err(),
            difference => difference,
        };
        match difference {
            None => Ok(common.clone()),
            Some(difference) => Err(Error::config(format!(
                "class {name:?} is opened twice, with {difference}: open it once and clone the handle, or give \
                 the second one a name of its own"
            ))),
        }
    }

    /// The shared state of `name`, if the class was ever opened.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<ClassState>> {
        self.lock().get(name).cloned()
    }

    /// Every name with its shared state, sorted by name.
    pub(crate) fn all(&self) -> Vec<(String, Arc<ClassState>)> {
        self.lock().iter().map(|(name, common)| (name.clone(), common.clone())).collect()
    }

    /// The state of a class; the error lists those that were opened.
    pub(crate) fn opened(&self, name: &str) -> Result<Arc<ClassState>, Error> {
        self.get(name).ok_or_else(|| {
            let names: Vec<String> = self.all().into_iter().map(|(name, _)| name).collect();
            let allowed = if names.is_empty() { "no class is open".to_owned() } else { names.join(", ") };
            Error::config(format!("class {name:?} was never opened; there are: {allowed}"))
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<ClassState>>> {
        // The map is consistent between any two statements, so it can be used after another thread panicked with the
        // lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
