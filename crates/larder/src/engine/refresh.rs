//! Refreshes: loads that replace an aged entry while reads are still served by it.
//!
//! A refresh has no flight: no read waits for it. In Redis the aged entry itself is the fence, as for a permit: the
//! replacement is a compare-and-set against the entry and the tokens of its tags. In memory a permit is the fence.
//!
//! Invariant, checked by the test of the same name:
//! - `a_refresh_never_stores_over_an_invalidation`

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use crate::engine::call::Loading;
use crate::engine::load::StoreCondition;
use crate::engine::plan::{LeaseHold, LoadBegin, LoadPlan, MemoryRight, Replacement};
use crate::engine::redis_read::Round;
use crate::engine::reply::Reply;
use crate::engine::{ClassCore, Engine, EntryRef, SharedTier};
use crate::key::refresh_key;
use crate::loaded::AnyPrevious;
use crate::local::copy::LocalCopy;
use crate::local::outcome::{FlightReceiver, FlightResult};
use crate::local::permit::LocalPermit;
use crate::protocol::aging::Age;
use crate::protocol::flight::FlightId;
use crate::protocol::frame::fingerprint;
use crate::protocol::lease::{AfterRead, after_read};
use crate::protocol::tag::TagToken;
use crate::remote::validity::Epoch;
use crate::remote::{Fault, Mint, Unchanged};
use crate::stats::count;

/// How long this process waits before it tries again to refresh an entry, after a refresh failed or because another
/// instance runs one. Without this pause, each read would begin a load of a database that does not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An id that no flight has: for a load that runs without a flight.
const NO_FLIGHT: FlightId = FlightId(0);

impl Engine {
    /// Refreshes `copy` in the background, if no other read of this process does so. Returns once the right to replace
    /// the entry is taken and the load has begun: after two round trips to Redis, in a memory-only class as many as
    /// [`Engine::anchor`] needs.
    pub(super) async fn refresh(
        self: &Arc<Self>,
        class: &Arc<ClassCore>,
        entry_ref: EntryRef,
        copy: &Arc<LocalCopy>,
        begin_load: impl FnOnce(Option<AnyPrevious>) -> Loading,
    ) {
        if !class.claim_refresh(copy, self.clock.now()) {
            return;
        }
        // If this read is dropped here, the claim ends at the instant that `claim_refresh` has set.
        let Some((plan, previous)) = self.plan_refresh(class, &entry_ref, copy).await else {
            self.retry_later(copy);
            return;
        };
        count(&class.common.counters.refreshes);
        let begin = self.begin(entry_ref, NO_FLIGHT, FlightReceiver::new().0, previous.clone());
        // `begin_load` is called after the right was taken, because it may itself already read the database.
        let loading = begin_load(previous);
        let (engine, class, copy) = (self.clone(), class.clone(), copy.clone());
        let task = async move {
            if let Err(error) = engine.run_plan(&class, &begin, plan, loading).await {
                engine.retry_later(&copy);
                tracing::debug!(class = class.name, %error, "a refresh failed, the entry stays");
            }
        };
        // Boxed for the same reason as a flight's load; see `lead`.
        tokio::spawn(Box::pin(task).in_current_span());
    }

    /// As [`Engine::refresh`], but gives up at the end of the read's soft time-out: the read has its answer already.
    pub(super) async fn refresh_until(
        self: &Arc<Self>,
        until: Option<Instant>,
        class: &Arc<ClassCore>,
        entry_ref: EntryRef,
        copy: &Arc<LocalCopy>,
        begin_load: impl FnOnce(Option<AnyPrevious>) -> Loading,
    ) {
        let refresh = self.refresh(class, entry_ref, copy, begin_load);
        match until {
            None => refresh.await,
            // Only round trips are cut short. Once the load has begun, it has a task of its own.
            Some(until) => {
                if timeout_at(until, refresh).await.is_err() {
                    self.retry_later(copy);
                }
            }
        }
    }

    fn retry_later(&self, copy: &LocalCopy) {
        if let Some(aging) = &copy.aging {
            aging.retry_at(self.clock.now().plus(RETRY_AFTER));
        }
    }

    /// The right to replace `copy`'s entry; `None` if the entry is gone, another instance refreshes it, or Redis is away.
    async fn plan_refresh(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        copy: &LocalCopy,
    ) -> Option<(LoadPlan, Option<AnyPrevious>)> {
        match self.usable_tier() {
            Some(tier) if class.is_memory_only => match self.plan_anchored(class, entry_ref, tier).await {
                plan @ LoadPlan::Anchored(Some(_)) => Some((plan, copy.previous())),
                _ => None,
            },
            Some(tier) => self.plan_replacement(class, entry_ref, tier).await.unwrap_or_else(|fault| {
                tier.0.note(fault);
                None
            }),
            // There is no refresh while Redis is away: a value that is loaded now would stay for the staleness bound
            // only.
            None if self.shared.is_some() => None,
            None => {
                // The permit is drawn first: an invalidation of a tag between the two statements then voids it.
                let permit = LocalPermit::draw(&self.local, &entry_ref.key, &entry_ref.tags);
                let tags = self.local.take_tokens(&entry_ref.tags, self.is_guarded());
                Some((LoadPlan::Memory(MemoryRight::Permit(permit), tags), copy.previous()))
            }
        }
    }

    async fn plan_replacement(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        (shared, epoch): (&SharedTier, Epoch),
    ) -> Result<Option<(LoadPlan, Option<AnyPrevious>)>, Fault> {
        let reply = self.read_tracked(entry_ref, shared, epoch).await?;
        let expected = class.readable_format(&entry_ref.tags);
        let AfterRead::Serve(entry) = after_read(reply.value.as_ref(), expected, |tag| reply.token(tag))
        else {
            return Ok(None);
        };
        // Another instance may have refreshed the entry already. In that case `accept_entry` inserts the new entry into
        // memory.
        let Some(copy) = self.accept_entry(class, entry_ref, shared, &reply, &entry) else { return Ok(None) };
        if class.age(&copy, self.clock.now()) == Age::Fresh {
            return Ok(None);
        }
        let aged = (&*copy, &entry.header.tags[..]);
        Ok(match self.acquire_replacement(entry_ref, (shared, epoch), &reply, aged).await? {
            Round::Aged(right, previous) => Some((LoadPlan::Replace(right), previous)),
            _ => None,
        })
    }

    /// Takes the lease of the refresh for the aged entry that a tracked read returned, with the tags of its header. Returns `Round::Aged` with the
    /// right to replace the entry, `Round::Wait` if another read is loading the entry's value, or `Round::ReadAgain` if
    /// the reply has no value.
    pub(super) async fn acquire_replacement(
        &self,
        entry_ref: &EntryRef,
        (shared, epoch): (&SharedTier, Epoch),
        reply: &Reply,
        (copy, tags): (&LocalCopy, &[TagToken]),
    ) -> Result<Round, Fault> {
        // `after_read` served the entry, so there is a value; without one, the read asks again.
        let Some(existing) = reply.value.as_ref().map(fingerprint) else { return Ok(Round::ReadAgain) };
        let key = refresh_key(&entry_ref.key);
        let hold = LeaseHold::new(shared, key.clone());
        let leased = shared.lease(&key, hold.token, None, &Mint::none()).await?;
        self.check_epoch(shared, epoch)?;
        if leased.existing != hold.token.lease_frame() {
            hold.settle();
            return Ok(Round::Wait);
        }
        let right = Replacement { hold, epoch, existing, tags: tags.to_vec() };
        Ok(Round::Aged(right, copy.previous()))
    }

    /// Loads, and replaces the aged entry if it is still there and valid.
    pub(super) async fn load_and_replace(
        &self,
        class: &ClassCore,
        begin: &LoadBegin,
        shared: &SharedTier,
        right: Replacement,
        loading: Loading,
    ) -> FlightResult {
        let Replacement { hold, epoch, existing, tags } = right;
        let entry = Some((&begin.entry_ref.key, &existing));
        let condition = StoreCondition::Lease(shared, &hold, Unchanged { entry, tags: &tags });
        let loaded = self.load_while(class, begin, condition, loading).await?;
        // The hold is dropped after the entry was stored: until then no other instance begins the same load.
        let key = &begin.entry_ref.key;
        self.keep_in_redis(class, (key, begin.start), loaded, tags, async |entry, left| {
            let put = self.put_in_redis(key, (shared, epoch), &existing, entry, left).await;
            put.inspect_err(|why| class.note_overtaken_fill(*why))
        })
        .await
    }
}
