//! The engine runs the decisions of `protocol` against memory and Redis. Its values have no types; `class` adds them.

mod aging;
mod anchor;
pub(crate) mod audit;
mod batch_read;
mod batch_requests;
mod budget;
mod call;
pub(crate) mod consumer;
mod flight;
mod invalidate;
mod load;
pub(crate) mod permit;
mod plan;
pub(crate) mod pruning;
mod read;
mod redis_read;
mod refresh;
pub(crate) mod registry;
mod reply;
mod storable;
pub(crate) mod tuner;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use crate::cause::{Cause, Causes};
use crate::clock::{Clock, Tick};
use crate::codec::{AnyValue, Coder};
use crate::condition::Condition;
use crate::engine::audit::Auditor;
use crate::engine::call::READS_AT_ONCE;
use crate::engine::consumer::AppliedChanges;
use crate::engine::registry::{ClassState, Registry};
use crate::engine::tuner::Tuner;
use crate::event_sender::EventSender;
use crate::health::Health;
use crate::health::{HealthReport, Reason, Trouble};
use crate::journal::{Journal, JournalFault};
use crate::key::{ClassPrefix, KeyBuf, Namespace};
use crate::local::LocalTier;
use crate::local::origin::Origin;
use crate::policy::{Consistency, Policy};
use crate::polls::PollRequests;
use crate::protection::{EntrySecrets, Sealer};
use crate::protocol::lease::ReadableFormat;
use crate::protocol::rules::ProtocolRules;
use crate::protocol::tag::TagKey;
use crate::remote::validity::{Epoch, Validity};
use crate::remote::{Fault, Inspect, Listener, Remote};

pub(crate) use batch_requests::BatchLoad;
pub(crate) use call::{BatchCall, Loading};
pub(crate) use invalidate::{InvalidationKind, InvalidationOutcome};
pub(crate) use read::{Found, ReadOptions, ReadOutcome};

/// What all classes of one cache share.
pub(crate) struct Engine {
    pub(crate) local: Arc<LocalTier>,
    pub(crate) namespace: Arc<Namespace>,
    /// The Redis tier. `None` without Redis: then only memory answers.
    pub(crate) shared: Option<SharedTier>,
    /// The validity of the guard, which reports invalidations to memory: the shared tier, or without one the journal's
    /// consumer. `None` if there is neither.
    pub(crate) guard: Option<Arc<Validity>>,
    pub(crate) journal: Option<Arc<dyn Journal>>,
    /// The changes that this process applied to its memory when it wrote them. `None` if this process has no consumer.
    pub(crate) applied: Option<Arc<AppliedChanges>>,
    /// Checks hits against the database. `None`: auditing is off.
    pub(crate) auditor: Option<Arc<Auditor>>,
    /// Watches memory and tunes it. `None`: tuning is off.
    pub(crate) tuner: Option<Arc<Tuner>>,
    /// Background tasks, which end with the engine.
    pub(crate) _tasks: Vec<AbortOnDrop>,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    pub(crate) rules: ProtocolRules,
    /// The classes that were opened, by name.
    pub(crate) classes: Arc<Registry>,
    /// Requests an immediate poll from the task that polls the journal.
    pub(crate) polls: Arc<PollRequests>,
    /// Why entries were invalidated.
    pub(crate) causes: Arc<Causes>,
    /// Sends events to their subscribers.
    pub(crate) events: Arc<EventSender>,
    /// The secrets that authenticate entries in Redis.
    pub(crate) entry_secrets: Option<EntrySecrets>,
    /// Whether caching is on. While it is off, every read calls its loader and nothing is stored; invalidations still
    /// apply. No other data depends on the switch, so relaxed order is enough: a read that runs while it is switched
    /// may see either state.
    pub(crate) is_on: AtomicBool,
}

/// The shared tier and its validity.
pub(crate) struct SharedTier {
    pub(crate) remote: Arc<dyn Remote>,
    pub(crate) inspect: Arc<dyn Inspect>,
    pub(crate) validity: Arc<Validity>,
    /// How long all round trips of one request may take together; see `budget`.
    pub(crate) budget: Duration,
    /// What is wrong with the tier at present, for the health report.
    pub(crate) condition: Arc<Condition>,
    /// One for each lease that is being released. When the load of a long batch fails, all its leases are.
    releasing: Arc<Semaphore>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How old a bounded answer can be, even during a failure.
    pub(crate) bound: Duration,
    /// How long one load can take, unless its class says otherwise.
    pub(crate) load_timeout: Duration,
}

/// A class without the types of its keys and values.
pub(crate) struct ClassCore {
    pub(crate) name: String,
    pub(crate) prefix: ClassPrefix,
    /// The declared policy. What depends on the TTL asks [`ClassCore::policy`].
    pub(crate) declared_policy: Policy,
    /// How long one load can take.
    pub(crate) load_timeout: Duration,
    /// How long a read waits for its answer. `None`: until the load ends.
    pub(crate) soft_timeout: Option<Duration>,
    /// The consistency of reads that do not choose one.
    pub(crate) consistency: Consistency,
    pub(crate) coder: Coder,
    pub(crate) version: u32,
    /// The class's values are never written to Redis or read from it.
    pub(crate) is_memory_only: bool,
    /// Whether the auditor checks hits of the class.
    pub(crate) is_audited: bool,
    pub(crate) sealer: Sealer,
    /// A value whose encoding is longer is not stored.
    pub(crate) max_value_bytes: usize,
    /// Encoded values of more bytes are compressed in Redis. `None`: none are.
    pub(crate) compress_above: Option<usize>,
    /// The most keys of one call of a loader for several keys.
    pub(crate) load_keys_max: usize,
    /// What a value takes in memory, if the class says so itself.
    pub(crate) memory_of: Option<MemoryOf>,
    pub(crate) events: Arc<EventSender>,
    /// The state that all handles of the class's name share: counters and switch.
    pub(crate) common: Arc<ClassState>,
}

/// What a value takes in memory, in bytes.
pub(crate) type MemoryOf = Arc<dyn Fn(&AnyValue) -> u64 + Send + Sync>;

/// The tags of one entry, its class's own first.
pub(crate) type Tags = Arc<[TagKey]>;

/// The key and tags that one read is about.
#[derive(Clone)]
pub(crate) struct EntryRef {
    pub(crate) key: Bytes,
    pub(crate) tags: Tags,
}

/// A task that is aborted when its owner is dropped.
pub(crate) struct AbortOnDrop(AbortHandle);

impl AbortOnDrop {
    pub(crate) fn start(task: impl Future<Output = ()> + Send + 'static) -> Self {
        AbortOnDrop(tokio::spawn(task).abort_handle())
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The longest key that is cached, in bytes. The key's name in Redis is longer by the database's identity.
const KEY_BYTES_MAX: usize = 32 << 10;

impl ClassCore {
    fn readable_format(&self, tags: &Tags) -> ReadableFormat {
        let codecs = self.coder.codec().readable_ids();
        ReadableFormat { codecs, class_version: self.version, tags: tags.len() }
    }

    /// The policy with the present TTL.
    pub(crate) fn policy(&self) -> Policy {
        let declared = self.declared_policy;
        self.common.ttl().map_or(declared, |ttl| declared.with_ttl(ttl))
    }

    #[inline]
    pub(crate) fn is_on(&self, engine: &Engine) -> bool {
        self.common.is_on.load(Ordering::Relaxed) && engine.is_on.load(Ordering::Relaxed)
    }

    /// Whether an entry under this key may be in a tier. A key that is too long may not: of such a name in Redis's
    /// reports of invalidations, larder would read only the beginning, and miss the invalidation.
    #[inline]
    fn caches(&self, engine: &Engine, key: &[u8]) -> bool {
        self.is_on(engine) && key.len() <= KEY_BYTES_MAX
    }
}

impl Engine {
    /// The slot range of a key in a Redis Cluster, in which the tags of its entry are; see `protocol::slots`.
    pub(crate) fn slot_range(&self, key: impl FnOnce() -> KeyBuf) -> Option<u16> {
        let shared = self.shared.as_ref().filter(|_| self.namespace.has_slot_ranges())?;
        shared.remote.slot_range(&Bytes::copy_from_slice(&key()))
    }

    /// Which tiers answer at this instant, and the reasons if not all configured ones do.
    pub(crate) fn health_report(&self) -> HealthReport {
        // The journal's troubles come first: they are the cause if the watermark in Redis does not advance.
        let mut reasons = self.journal_troubles();
        if let Some(shared) = &self.shared {
            // The validity is read before the condition: the keeper records the end of a trouble before it grants, so a
            // usable tier is not reported with a trouble that has ended.
            let is_usable = shared.validity.is_valid_at(self.clock.now());
            reasons.extend(shared.condition.present());
            if !is_usable && reasons.is_empty() {
                reasons.push(shared.condition.checking_reason());
            }
        }
        let state = match (reasons.is_empty(), &self.shared) {
            (false, _) => Health::Degraded,
            (true, Some(_)) => Health::Working,
            (true, None) => Health::MemoryOnly,
        };
        HealthReport { state, reasons }
    }

    fn journal_troubles(&self) -> Vec<Reason> {
        let Some(journal) = &self.journal else { return Vec::new() };
        let reason = |(trouble, fault): (Trouble, Option<JournalFault>)| {
            let JournalFault { reasons, since } = fault?;
            Some(Reason { trouble, text: trouble.text().into(), detail: Some(reasons.join("; ")), since })
        };
        self.polls.faults(&**journal).into_iter().filter_map(reason).collect()
    }

    /// The promise of this cache, in one sentence.
    pub(crate) fn promise(&self) -> &'static str {
        match (&self.shared, &self.journal) {
            (Some(shared), Some(_)) if !shared.remote.is_delivery_certain() => {
                "no read misses a write, by any program, for longer than the staleness bound, also across failovers \
                 behind REST; every write is acknowledged as queued"
            }
            (Some(_), Some(_)) => {
                "no read misses a write, by any program, for longer than the staleness bound, whatever fails; \
                 fresh after acknowledgement, close behind elsewhere"
            }
            (None, Some(_)) => {
                "no read misses a write, by any program, for longer than the staleness bound; \
                 this process sees its own writes at once (no Redis)"
            }
            (Some(_), None) => {
                "fresh after acknowledgement, close behind elsewhere, while this Redis keeps its data; \
                 writes by other software are seen when entries expire (no journal)"
            }
            (None, None) => {
                "this process sees its own writes at once; \
                 writes by other processes are seen when entries expire (no Redis, no journal)"
            }
        }
    }

    /// Whether the guard is valid at this instant, so that copies whose changes it reports may be served.
    pub(crate) fn is_guarded(&self) -> bool {
        self.is_guarded_at(self.clock.now())
    }

    /// As [`Engine::is_guarded`], at an instant that the caller has just read from the clock.
    #[inline]
    fn is_guarded_at(&self, now: Tick) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard.is_valid_at(now))
    }

    /// The shared tier and its epoch, if it can be used at this instant.
    fn usable_tier(&self) -> Option<(&SharedTier, Epoch)> {
        let shared = self.shared.as_ref()?;
        // The epoch is read first: if the validity is lost between the two statements, a later comparison finds another
        // epoch, even after a new grant.
        let epoch = shared.validity.epoch();
        shared.validity.is_valid_at(self.clock.now()).then_some((shared, epoch))
    }

    /// The origin of a copy that this process loaded, and how long memory keeps it.
    fn loaded_residence(&self, ttl: Duration) -> (Origin, Duration) {
        match (&self.guard, &self.shared) {
            (None, _) => (Origin::Timed, ttl),
            // The journal's consumer removes every entry that a change touches.
            (Some(_), None) if self.is_guarded() => (Origin::Guarded, ttl),
            // The guard is not valid, or the guard is Redis, which reports only keys of tracked reads. So there may be
            // no report of a change of this copy, and it ends within the staleness bound.
            (Some(_), _) => (Origin::Timed, ttl.min(self.bound_less_resolution())),
        }
    }

    /// The staleness bound minus the clock's resolution, because the clock can be late by that much.
    fn bound_less_resolution(&self) -> Duration {
        self.limits.bound.saturating_sub(self.clock.resolution())
    }
}

impl SharedTier {
    pub(crate) fn new<R: Remote + Inspect + 'static>(
        tier: Arc<R>,
        validity: Arc<Validity>,
        budget: Duration,
        condition: Arc<Condition>,
    ) -> Self {
        let releasing = Arc::new(Semaphore::new(READS_AT_ONCE));
        SharedTier { remote: tier.clone(), inspect: tier, validity, budget, condition, releasing }
    }

    /// Reacts to a failed operation. If Redis gave no answer, the tier's validity ends until a heartbeat succeeds. If
    /// only the request's budget was spent, Redis may be slow and still useful: the validity stays, and a heartbeat
    /// that is sent at once decides.
    fn note(&self, fault: Fault) {
        match fault {
            Fault::Away => self.remote.revoke_and_check(),
            Fault::Spent => self.remote.check(),
            Fault::Refused => {}
        }
    }
}

/// Applies Redis's reports to memory, and records the causes of what was removed.
pub(crate) struct MemoryListener {
    pub(crate) local: Arc<LocalTier>,
    pub(crate) causes: Arc<Causes>,
}

impl Listener for MemoryListener {
    fn apply_push(&self, key: &[u8]) {
        // Most reports are about this process's own leases and fills. Memory has no copy for them, and no cause is
        // recorded.
        if self.local.apply_push(key) {
            self.causes.apply_push(key);
        }
    }

    fn clear_guarded(&self) {
        self.clear_guarded_of(&|_| true);
    }

    fn clear_guarded_of(&self, is_meant: &dyn Fn(&[u8]) -> bool) {
        if self.local.clear_guarded(is_meant) > 0 {
            self.causes.note_everything(Cause::Loss);
        }
    }
}

#[cfg(test)]
mod batch_tests;
#[cfg(test)]
mod forgery_tests;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tuner_tests;
