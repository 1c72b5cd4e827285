//! The life of each entry: how long a loaded answer stays, and how old a stored one is.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Tick;
use crate::engine::load::LoadedValue;
use crate::engine::{ClassCore, Engine, SharedTier};
use crate::loaded::AnyPrevious;
use crate::local::copy::{CopyAging, LocalCopy};
use crate::policy::{Policy, Residence};
use crate::protocol::aging::{Age, Life};
use crate::protocol::frame::Header;
use crate::stats::count_nth;

impl ClassCore {
    /// How long a loaded answer can stay; `None` if it is not stored.
    pub(super) fn residence(&self, engine: &Engine, loaded: &LoadedValue) -> Option<Residence> {
        // The class may have been switched off while the load ran.
        if !self.is_on(engine) {
            return None;
        }
        if let Some(asked) = loaded.ttl {
            self.note_cut_ttl(asked);
        }
        self.policy().residence(loaded.value.is_none(), loaded.ttl, rand::random())
    }

    /// Counts and logs a TTL of a loader that is longer than its class's.
    fn note_cut_ttl(&self, asked: Duration) {
        let most = self.policy().longest_ttl();
        if asked > most && count_nth(&self.common.counters.ttls_cut).is_power_of_two() {
            tracing::warn!(
                class = self.name,
                ?asked,
                ?most,
                "a loader asks for a longer TTL than its class has; cut to the class's"
            );
        }
    }

    /// How an entry with this life ages; `None` if it only ends.
    pub(super) fn copy_aging(&self, life: Life, version: Option<Arc<str>>) -> Option<Arc<CopyAging>> {
        let aging = self.declared_policy.aging();
        let quiet_until = aging.fresh_for_certain_until(&life);
        (quiet_until < life.ends).then(|| Arc::new(CopyAging::new(life, version, quiet_until)))
    }

    /// The age of a valid copy.
    #[inline]
    pub(super) fn age(&self, copy: &LocalCopy, now: Tick) -> Age {
        match &copy.aging {
            Some(aging) if !aging.is_quiet(now) => {
                self.declared_policy.aging().age(&aging.life, now, rand::random())
            }
            _ => Age::Fresh,
        }
    }

    /// The age of a valid entry that was read from Redis. If Redis reports no changes, memory holds no copy whose refresh
    /// one read could claim, so an entry is fresh until its TTL ends and then reloaded.
    pub(super) fn age_in_redis(&self, copy: &LocalCopy, shared: &SharedTier, now: Tick) -> Age {
        match self.age(copy, now) {
            Age::Refresh if !shared.remote.is_tracking() => match copy.stale_by(now) {
                Some(_) => Age::Reload,
                None => Age::Fresh,
            },
            age => age,
        }
    }

    /// Claims the refresh of `copy`: of all reads of this process, one gets `true`. The claim ends when the load must
    /// have ended, or when reads no longer serve the copy without a load.
    pub(super) fn claim_refresh(&self, copy: &LocalCopy, now: Tick) -> bool {
        copy.aging.as_ref().is_some_and(|aging| {
            let load_ends = now.plus(self.load_timeout);
            aging.claim(now, load_ends.min(self.declared_policy.aging().reload_at(&aging.life)))
        })
    }
}

impl Engine {
    /// The life of an entry in Redis. It ends earlier if this class's policy uses aged entries for a shorter time than
    /// the policy of the instance that stored the entry.
    pub(super) fn life_of(&self, class: &ClassCore, header: &Header) -> Life {
        let millis = |millis| Duration::from_millis(millis).min(Policy::TTL_MAX);
        let age = Duration::from_millis(self.clock.unix_millis().saturating_sub(header.loaded_at_millis));
        let stale_for = millis(header.stale_millis).min(class.declared_policy.aging().stale_for());
        let ttl = millis(header.ttl_millis);
        let now = self.clock.now();
        let at = |span: Duration| match span.checked_sub(age) {
            Some(left) => now.plus(left),
            None => now.minus(age - span),
        };
        Life {
            began: at(Duration::ZERO),
            fresh_until: at(ttl),
            ends: at(ttl.saturating_add(stale_for)),
            load_time: millis(header.load_millis),
        }
    }
}

impl LocalCopy {
    /// How long ago the copy's TTL ended; `None` if it has not.
    #[inline]
    pub(super) fn stale_by(&self, now: Tick) -> Option<Duration> {
        let fresh_until = self.aging.as_ref()?.life.fresh_until;
        (now >= fresh_until).then(|| now.since(fresh_until))
    }

    /// The copy as the loader that is to replace it gets it; `None` for an absent answer.
    pub(super) fn previous(&self) -> Option<AnyPrevious> {
        Some(AnyPrevious {
            value: self.value.clone()?,
            version: self.aging.as_ref().and_then(|aging| aging.version.clone()),
            loaded_at_millis: self.loaded_at_millis,
        })
    }
}
