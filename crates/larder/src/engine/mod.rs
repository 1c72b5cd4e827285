//! The engine: drives the protocol's decisions with the tiers. Untyped; `class` puts the types on.

mod flight;
mod invalidate;
mod load;
mod read;
mod redis_read;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Clock;
use crate::codec::Coder;
use crate::key::{ClassPrefix, KeyBuf};
use crate::local::Local;
use crate::policy::Policy;
use crate::protocol::lease::Expected;
use crate::protocol::rules::Rules;
use crate::protocol::tag::TagKey;
use crate::remote::usable::Usable;
use crate::remote::{Fault, Listener, Remote};
use crate::stats::Counters;

pub(crate) use invalidate::Batch;
pub(crate) use read::Found;

/// All that one cache shares between its classes.
pub(crate) struct Engine {
    pub(crate) local: Arc<Local>,
    /// `None` without Redis: then memory alone answers, by the same verbs.
    pub(crate) shared: Option<Shared>,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    pub(crate) rules: Rules,
    /// Off: every read goes to its loader and nothing is stored; invalidations go on. Guards nothing, so a
    /// read that runs while it is switched may still see the other state.
    pub(crate) is_on: AtomicBool,
}

/// The shared tier and whether it may be used.
pub(crate) struct Shared {
    pub(crate) remote: Arc<dyn Remote>,
    pub(crate) usable: Arc<Usable>,
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
    /// The class's own tag first, then those it was opened with.
    pub(crate) tags: Arc<[TagKey]>,
    pub(crate) policy: Policy,
    pub(crate) coder: Coder,
    pub(crate) version: u32,
    pub(crate) counters: Counters,
    /// As [`Engine::is_on`], for this class.
    pub(crate) is_on: AtomicBool,
}

impl ClassCore {
    fn expected(&self) -> Expected {
        Expected { codec: self.coder.id(), class_version: self.version }
    }

    fn is_on(&self, engine: &Engine) -> bool {
        self.is_on.load(Ordering::Relaxed) && engine.is_on.load(Ordering::Relaxed)
    }

    pub(crate) fn own_tag(&self) -> &TagKey {
        // `ClassBuilder::open` puts it first.
        &self.tags[0]
    }
}

impl Engine {
    /// Whether the shared tier may be used, or `None` where there is none.
    pub(crate) fn health(&self) -> Option<bool> {
        self.shared.as_ref().map(|_| self.tracked_ok())
    }

    /// Which promise this cache gives, in one sentence.
    pub(crate) fn promise(&self) -> &'static str {
        match self.shared {
            Some(_) => {
                "fresh after acknowledgement, close behind elsewhere, while this Redis keeps its data; \
                 writes by other software are seen when entries expire (no journal)"
            }
            None => {
                "this process sees its own writes at once; \
                 writes by other processes are seen when entries expire (no Redis, no journal)"
            }
        }
    }

    /// Whether copies that live by Redis's pushes may be served at this instant.
    fn tracked_ok(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.usable.is(self.clock.now()))
    }

    /// The shared tier, if it may be used at this instant.
    fn usable(&self) -> Option<&Shared> {
        self.shared.as_ref().filter(|shared| shared.usable.is(self.clock.now()))
    }

    /// How long a copy may stay that no tracking guards: its TTL where memory is the only tier, at most the
    /// staleness bound while Redis cannot be asked.
    fn untracked_residence(&self, ttl: Duration) -> Duration {
        if self.shared.is_some() { ttl.min(self.limits.bound) } else { ttl }
    }
}

impl Shared {
    /// Notes what an operation's fault says about the tier.
    fn note(&self, fault: Fault) {
        if fault == Fault::Away {
            self.remote.suspect();
        }
    }
}

impl Listener for Local {
    fn pushed(&self, key: &[u8]) {
        Local::pushed(self, key);
    }

    fn cleared(&self) {
        self.clear();
    }
}

fn owned(key: &KeyBuf) -> Bytes {
    Bytes::copy_from_slice(key)
}

#[cfg(test)]
mod tests;
