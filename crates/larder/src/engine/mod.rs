//! The engine: drives the protocol's decisions with the tiers. Untyped; `class` puts the types on.

mod anchor;
pub(crate) mod consumer;
mod flight;
mod invalidate;
mod load;
pub(crate) mod permit;
mod read;
mod redis_read;
pub(crate) mod registry;
mod reply;
mod storable;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::AbortHandle;

use crate::cause::{Cause, Causes};
use crate::clock::Clock;
use crate::codec::Coder;
use crate::condition::Condition;
use crate::engine::consumer::AppliedChanges;
use crate::engine::registry::{ClassState, Registry};
use crate::health::Health;
use crate::health::{HealthReport, Reason, Trouble};
use crate::journal::{Incompleteness, Journal};
use crate::key::{ClassPrefix, KeyBuf, Namespace};
use crate::local::LocalTier;
use crate::local::copy::Origin;
use crate::policy::Policy;
use crate::polls::PollRequests;
use crate::protection::{EntrySecrets, Sealer};
use crate::protocol::lease::ReadableFormat;
use crate::protocol::rules::ProtocolRules;
use crate::protocol::tag::TagKey;
use crate::remote::validity::{Epoch, Validity};
use crate::remote::{Fault, Inspect, Listener, Remote};

pub(crate) use invalidate::{InvalidationKind, InvalidationOutcome};
pub(crate) use read::ReadOutcome;

/// All that one cache shares between its classes.
pub(crate) struct Engine {
    pub(crate) local: Arc<LocalTier>,
    pub(crate) namespace: Arc<Namespace>,
    /// `None` without Redis: then memory alone answers, by the same verbs.
    pub(crate) shared: Option<SharedTier>,
    /// Until when whoever guards memory is known to be in touch: the shared tier, or without one the journal. `None`
    /// where there is neither.
    pub(crate) guard: Option<Arc<Validity>>,
    pub(crate) journal: Option<Arc<dyn Journal>>,
    /// What this process has told its memory itself; only where it follows the journal for its memory alone.
    pub(crate) applied: Option<Arc<AppliedChanges>>,
    /// What runs beside the reads, as long as the engine.
    pub(crate) _tasks: Vec<AbortOnDrop>,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    pub(crate) rules: ProtocolRules,
    /// What has been opened, by name.
    pub(crate) classes: Registry,
    /// Asks whoever follows the journal to do so now.
    pub(crate) polls: Arc<PollRequests>,
    /// Why what was invalidated.
    pub(crate) causes: Arc<Causes>,
    /// By which entries in Redis are authenticated.
    pub(crate) entry_secrets: Option<EntrySecrets>,
    /// Off: every read goes to its loader and nothing is stored; invalidations go on. Guards nothing, so a
    /// read that runs while it is switched may still see the other state.
    pub(crate) is_on: AtomicBool,
}

/// The shared tier and whether it may be used.
pub(crate) struct SharedTier {
    pub(crate) remote: Arc<dyn Remote>,
    pub(crate) inspect: Arc<dyn Inspect>,
    pub(crate) validity: Arc<Validity>,
    /// Why it is not used as it should be.
    pub(crate) condition: Arc<Condition>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How old a bounded answer may be, whatever failed.
    pub(crate) bound: Duration,
    /// How long one load may take; shorter than a lease.
    pub(crate) load_timeout: Duration,
}

/// One class as the engine sees it.
pub(crate) struct ClassCore {
    pub(crate) name: String,
    pub(crate) prefix: ClassPrefix,
    pub(crate) policy: Policy,
    pub(crate) coder: Coder,
    pub(crate) version: u32,
    /// Its values never enter Redis, and none is ever taken from there.
    pub(crate) is_memory_only: bool,
    pub(crate) sealer: Sealer,
    /// A value that is longer when it is encoded is not stored.
    pub(crate) max_value_bytes: usize,
    /// What every handle of the class's name shares: counters and switch.
    pub(crate) common: Arc<ClassState>,
}

/// The tags of one entry, its class's own first.
pub(crate) type Tags = Arc<[TagKey]>;

/// What one read is about.
pub(crate) struct EntryRef {
    pub(crate) key: Bytes,
    pub(crate) tags: Tags,
}

/// A task that ends with its owner.
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

impl ClassCore {
    fn readable_format(&self, tags: &Tags) -> ReadableFormat {
        ReadableFormat { codec: self.coder.codec().id(), class_version: self.version, tags: tags.len() }
    }

    fn is_on(&self, engine: &Engine) -> bool {
        self.common.is_on.load(Ordering::Relaxed) && engine.is_on.load(Ordering::Relaxed)
    }
}

impl Engine {
    /// Which tiers answer at this instant, and why not all that should.
    pub(crate) fn health_report(&self) -> HealthReport {
        // First: that Redis is not told is what comes of it.
        let mut reasons: Vec<Reason> = self.incomplete_journal().into_iter().collect();
        if let Some(shared) = &self.shared {
            // First: what ends a trouble is noted before what grants the tier.
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

    fn incomplete_journal(&self) -> Option<Reason> {
        let Incompleteness { defects, since } = self.journal.as_ref()?.incompleteness()?;
        let trouble = Trouble::IncompleteJournal;
        Some(Reason { trouble, text: trouble.text().into(), detail: Some(defects.join("; ")), since })
    }

    /// Which promise this cache gives, in one sentence.
    pub(crate) fn promise(&self) -> &'static str {
        match (&self.shared, &self.journal) {
            (Some(_), Some(_)) => {
                "no read misses a write, whoever made it, for longer than the staleness bound, whatever fails; \
                 fresh after acknowledgement, close behind elsewhere"
            }
            (None, Some(_)) => {
                "no read misses a write, whoever made it, for longer than the staleness bound; \
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

    /// Whether copies that live by a guard may be served at this instant.
    pub(crate) fn is_guarded(&self) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard.is_valid_at(self.clock.now()))
    }

    /// The shared tier, if it may be used at this instant, and the stretch in which that is so.
    fn usable_tier(&self) -> Option<(&SharedTier, Epoch)> {
        let shared = self.shared.as_ref()?;
        // First: a loss between the two then ends the stretch, whatever has been certified since.
        let epoch = shared.validity.epoch();
        shared.validity.is_valid_at(self.clock.now()).then_some((shared, epoch))
    }

    /// By what right, and for how long, memory keeps what a load of this process brought.
    fn loaded_residence(&self, ttl: Duration) -> (Origin, Duration) {
        match (&self.guard, &self.shared) {
            (None, _) => (Origin::Timed, ttl),
            // The journal tells this process of every change.
            (Some(_), None) if self.is_guarded() => (Origin::Guarded, ttl),
            // The guard is out of touch, or guards only what a tracked read brought.
            (Some(_), _) => (Origin::Timed, ttl.min(self.local_bound())),
        }
    }

    /// The staleness bound as this process measures it: by a clock that may be a grain behind.
    fn local_bound(&self) -> Duration {
        self.limits.bound.saturating_sub(self.clock.resolution())
    }
}

impl SharedTier {
    /// Notes what an operation's fault says about the tier.
    fn note(&self, fault: Fault) {
        if fault == Fault::Away {
            self.remote.suspect();
        }
    }
}

/// What Redis reports goes to memory, and what fell there to the memory of causes.
pub(crate) struct MemoryListener {
    pub(crate) local: Arc<LocalTier>,
    pub(crate) causes: Arc<Causes>,
}

impl Listener for MemoryListener {
    fn apply_push(&self, key: &[u8]) {
        // Most reports are of this process's own leases and fills, of which it has no copy.
        if self.local.apply_push(key) {
            self.causes.apply_push(key);
        }
    }

    fn clear_guarded(&self) {
        if self.local.clear_guarded() > 0 {
            self.causes.note_everything(Cause::Loss);
        }
    }
}

fn owned(key: &KeyBuf) -> Bytes {
    Bytes::copy_from_slice(key)
}

#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;
