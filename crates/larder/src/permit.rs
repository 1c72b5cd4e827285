//! Permits to put a computed value. The application draws a permit before the computation; an invalidation of the key
//! or of its tags after the draw voids the permit.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::class::Class;
use crate::engine::permit::{DrawnPermit, RedeemOutcome};
use crate::engine::{ClassCore, Engine, EntryRef};
use crate::key::Key;
use crate::receipt::{Delivery, Dropped, Receipt};
use crate::stats::count_nth;
use crate::values::PutOutcome;

/// The right to put one value; see [`Class::permit`]. Dropping it gives up the right.
#[must_use = "a permit puts nothing by itself"]
pub struct Permit<V> {
    engine: Arc<Engine>,
    core: Arc<ClassCore>,
    entry_ref: EntryRef,
    drawn: DrawnPermit,
    types: PhantomData<fn(V)>,
}

/// Leaves out the key, which may be personal data.
impl<V> fmt::Debug for Permit<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("class", &self.core.name).finish_non_exhaustive()
    }
}

impl<V> Permit<V> {
    /// How long a permit of [`Class::permit`] is valid: one minute.
    pub const LIFE: Duration = Duration::from_secs(60);
    /// How long a permit can be valid at most: one hour.
    pub const LIFE_MAX: Duration = Duration::from_hours(1);
}

impl<K, V> Class<K, V>
where
    K: Key + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Draws a permit to put a value that is computed from now on, within [`Permit::LIFE`]. It is for reports and other
    /// values that are computed from the database outside a loader, because they take longer than the load time-out.
    ///
    /// Draw it *before* the computation's first statement. Every invalidation after the draw voids the permit: of the
    /// key, a tag, the class, a pattern, or everything; by this process, another instance, or the journal. The permit
    /// is also void after a loss of Redis (no answer in time, a broken connection, a restart) and after an eviction.
    ///
    /// - A permit blocks no reader. Until the put, readers get the value under the key, or load one. A load that begins
    ///   after the draw voids the permit, because the loaded value is newer.
    /// - Several permits can exist for one key. The first put wins and voids the others; across instances, only if the
    ///   class is shared through Redis.
    /// - If a value exists under the key at the draw, the permit ends when that value expires or is removed. If the put
    ///   is refused, draw another permit and compute again.
    /// - The draw takes one or two round trips to Redis. If another instance is loading the key, the draw waits for
    ///   that load, at most the load time-out. With a journal, the draw requests a poll and waits for it, at most 500
    ///   ms.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let totals = cache.class::<str, u64>("totals").open()?;
    ///
    /// let permit = totals.permit("2026").await;
    /// let total = 40 + 2; // A query that takes a minute.
    /// assert!(permit.put(total).await.is_stored);
    ///
    /// let permit = totals.permit("2026").await;
    /// let _receipt = totals.invalidate("2026").await; // A write, meanwhile.
    /// assert!(!permit.put(total).await.is_stored);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn permit<Q: Key<K> + ?Sized>(&self, key: &Q) -> Permit<V> {
        self.permit_for(key, Permit::<V>::LIFE).await
    }

    /// Like [`Class::permit`], for a computation that takes up to `life`, at most [`Permit::LIFE_MAX`]: a longer life is
    /// cut to it, counted in [`permits_cut`](crate::stats::Stats::permits_cut) and logged. The value's TTL
    /// counts from the draw, so nothing is put if the computation takes longer than the class's TTL.
    pub async fn permit_for<Q: Key<K> + ?Sized>(&self, key: &Q, life: Duration) -> Permit<V> {
        let (entry_ref, most) = (self.entry_ref(key), Permit::<V>::LIFE_MAX);
        if life > most && count_nth(&self.core.common.counters.permits_cut).is_power_of_two() {
            tracing::warn!(class = self.name(), ?life, ?most, "a permit's life is longer than allowed, cut");
        }
        let drawn = self.engine.draw(&self.core, &entry_ref, life.min(most)).await;
        Permit { engine: self.engine.clone(), core: self.core.clone(), entry_ref, drawn, types: PhantomData }
    }
}

impl<V: Serialize + DeserializeOwned + Send + Sync + 'static> Permit<V> {
    /// Puts `value`, unless the permit is void: then [`PutOutcome::is_stored`] is `false`, and nothing has changed.
    ///
    /// Later invalidations remove the value as they remove a loaded one. The put itself invalidates nothing, because
    /// the rows behind the value have not changed: its receipt names no key. Without Redis other processes keep their
    /// copies until the journal reports a change. While Redis is away the value stays in this process, no longer than
    /// the staleness bound after the draw; the receipt then says `queued`.
    pub async fn put(self, value: V) -> PutOutcome {
        let Permit { engine, core, entry_ref, drawn, .. } = self;
        let kept = engine.put_drawn(&core, &entry_ref, drawn, Arc::new(value)).await;
        let is_queued = kept == RedeemOutcome::LocalOnly || !engine.is_delivery_certain();
        let delivery = if is_queued { Delivery::Queued } else { Delivery::Sent };
        let receipt = Receipt {
            delivery,
            keys: 0,
            tags: 0,
            patterns: 0,
            dropped: Dropped::default(),
            is_journalled: false,
        };
        PutOutcome { receipt, is_stored: kept != RedeemOutcome::Refused }
    }
}
