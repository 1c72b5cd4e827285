//! Permits. A permit is drawn before a value is computed, and gives the right to put the value, unless an invalidation
//! came in between.
//!
//! With Redis, a permit consists of the frame under the key at the draw (the entry, which readers still get, or a
//! permit frame) and of the tags' tokens. The put is a compare-and-set against all of them: if one was deleted or
//! replaced, Redis refuses the put. Without Redis, the permit is a row in the table of the key's shard.
//!
//! Invariant, checked by the test of the same name:
//! - `a_put_is_refused_after_any_invalidation`

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use crate::clock::Tick;
use crate::codec::AnyValue;
use crate::engine::budget::{self, spend};
use crate::engine::load::LoadedValue;
use crate::engine::plan::{AnchoredRight, LoadStart};
use crate::engine::redis_read::{LEASE_POLL_MAX, LEASE_POLL_MIN};
use crate::engine::reply::minted;
use crate::engine::{ClassCore, Engine, EntryRef, SharedTier};
use crate::local::copy::TagCells;
use crate::local::origin::Origin;
use crate::local::permit::LocalPermit;
use crate::protocol::frame::{Entry, Frame, fingerprint};
use crate::protocol::lease::{AfterRead, after_read};
use crate::protocol::rules::ProtocolRule;
use crate::protocol::tag::TagToken;
use crate::protocol::token::Token;
use crate::remote::Fault;
use crate::remote::validity::Epoch;
use crate::source::NotStoredReason;
use crate::stats::count;
use crate::uncached::is_uncached;

/// A drawn permit: when it began and ends, and what the put must find unchanged.
pub(crate) struct DrawnPermit {
    start: LoadStart,
    until: Tick,
    right: PermitBasis,
}

/// What the put must find unchanged.
enum PermitBasis {
    /// There is no valid permit: the class was switched off, or other programs changed the key during every attempt.
    Void,
    /// In Redis, in this epoch: the fingerprint of the frame under the key, and the tags' tokens.
    Redis { epoch: Epoch, existing: Bytes, tags: Vec<TagToken> },
    /// In memory, with the cells of the tags. `anchored_until` is the earliest instant at which the anchor can expire;
    /// `None` without an anchor. See [`AnchoredRight`].
    Memory { permit: LocalPermit, tags: TagCells, anchored_until: Option<Tick> },
}

/// Where a put stored its value, or that it was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RedeemOutcome {
    /// Stored in the tier that the class uses.
    Stored,
    /// Stored in this process only, for no longer than the staleness bound, because Redis is away.
    LocalOnly,
    Refused,
}

impl Engine {
    /// Draws a permit: a value whose computation begins now can be put within `life`.
    pub(crate) async fn draw(&self, class: &ClassCore, entry_ref: &EntryRef, life: Duration) -> DrawnPermit {
        // Poll before the draw: the computation sees every change that is already in the journal. If such a change were
        // applied after the draw, it would void the permit without need.
        if self.journal.is_some() {
            self.poll_journal(entry_ref).await;
        }
        let right = self.budgeted(class, self.draw_right(class, entry_ref, life)).await;
        // The life of the permit and the TTL of the value count from here, because the computation begins after the
        // draw.
        let start = self.start();
        DrawnPermit { start, until: start.at.plus(life), right }
    }

    async fn draw_right(&self, class: &ClassCore, entry_ref: &EntryRef, life: Duration) -> PermitBasis {
        // Inside a load nothing is stored; see `uncached`.
        if !class.caches(self, &entry_ref.key) || is_uncached() {
            return PermitBasis::Void;
        }
        let Some((shared, epoch)) = self.usable_tier() else { return self.draw_in_memory(entry_ref) };
        let drawn = match class.is_memory_only {
            true if !shared.remote.is_tracking() => return self.draw_in_memory(entry_ref),
            true => self.draw_anchored(class, entry_ref, shared, epoch).await,
            false => self.draw_in_redis(class, entry_ref, shared, epoch, life).await,
        };
        drawn.unwrap_or_else(|fault| {
            shared.note(fault);
            self.draw_in_memory(entry_ref)
        })
    }

    fn draw_in_memory(&self, entry_ref: &EntryRef) -> PermitBasis {
        // The permit is drawn first: an invalidation of a tag between the two statements then voids it.
        let permit = LocalPermit::draw(&self.local, &entry_ref.key, &entry_ref.tags);
        let tags = self.local.take_tokens(&entry_ref.tags, self.is_guarded());
        PermitBasis::Memory { permit, tags, anchored_until: None }
    }

    async fn draw_anchored(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        shared: &SharedTier,
        epoch: Epoch,
    ) -> Result<PermitBasis, Fault> {
        let anchored = self.anchor(class, entry_ref, shared, epoch).await?;
        Ok(anchored.map_or(PermitBasis::Void, |AnchoredRight { permit, tags, until }| PermitBasis::Memory {
            permit,
            tags,
            anchored_until: Some(until),
        }))
    }

    async fn draw_in_redis(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        shared: &SharedTier,
        epoch: Epoch,
        life: Duration,
    ) -> Result<PermitBasis, Fault> {
        // The draw waits for another instance's load for at most one load time-out: after that, the load has ended, or
        // its instance has stopped.
        let deadline = Instant::now() + class.load_timeout;
        let mut poll_interval = LEASE_POLL_MIN;
        loop {
            let has_time = Instant::now() < deadline;
            let reply = self.read_tracked(entry_ref, shared, epoch).await?;
            let before = reply.value.as_ref().map(fingerprint);
            let (served, replace) =
                match after_read(reply.value.as_ref(), class.readable_format(&entry_ref.tags), |tag| {
                    reply.token(tag)
                }) {
                    AfterRead::Serve(_) => (before, None),
                    // Another load holds the lease. The draw waits for its fill, because a permit in place of the lease
                    // would make Redis refuse the fill.
                    AfterRead::Wait if has_time => {
                        sleep(poll_interval).await;
                        budget::renew();
                        poll_interval = LEASE_POLL_MAX.min(2 * poll_interval);
                        continue;
                    }
                    AfterRead::Wait => (None, before),
                    AfterRead::Acquire { replace, unused } => {
                        class.note_unused(&self.redis_key(&entry_ref.key), &unused);
                        (None, replace)
                    }
                };
            self.unlink_broken_tags(class, shared, &reply).await?;
            let missing = reply.missing_tags(class);
            if let (Some(existing), true) = (&served, missing.tags.is_empty()) {
                let tags = entry_ref.tag_tokens(|tag| reply.token(tag)).ok_or(Fault::Refused)?;
                return Ok(PermitBasis::Redis { epoch, existing: existing.clone(), tags });
            }
            let permit =
                shared.remote.permit(&entry_ref.key, Token::random(), life, replace.as_ref(), &missing);
            let set = spend(permit).await?;
            self.check_epoch(shared, epoch)?;
            let existing = fingerprint(&set.existing);
            let is_permit = matches!(Frame::parse(&set.existing), Ok(Frame::Permit(_)));
            if is_permit || served.as_ref() == Some(&existing) {
                let minted = minted(&missing, set.minted);
                // If a tag has no token, an invalidation of the tag could not void the permit.
                let tags =
                    entry_ref.tag_tokens(|tag| reply.token_with(&minted, tag)).ok_or(Fault::Refused)?;
                return Ok(PermitBasis::Redis { epoch, existing, tags });
            }
            if !has_time {
                return Ok(PermitBasis::Void);
            }
            // Another frame was set first: the next round reads it.
        }
    }

    /// Puts a value computed under `drawn`, unless the permit is void.
    pub(crate) async fn put_drawn(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        drawn: DrawnPermit,
        value: AnyValue,
    ) -> RedeemOutcome {
        let kept = match self.clock.now() < drawn.until && class.is_on(self) && !is_uncached() {
            true => self.budgeted(class, self.put_right(class, entry_ref, drawn, value)).await,
            false => RedeemOutcome::Refused,
        };
        match kept {
            RedeemOutcome::Refused => count(&class.common.counters.puts_refused),
            RedeemOutcome::Stored | RedeemOutcome::LocalOnly => count(&class.common.counters.puts_permitted),
        }
        kept
    }

    async fn put_right(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        drawn: DrawnPermit,
        value: AnyValue,
    ) -> RedeemOutcome {
        let DrawnPermit { start, right, .. } = drawn;
        let took = self.clock.now().since(start.at);
        let computed = LoadedValue {
            value: Some(value),
            is_spoiled: false,
            ttl: None,
            version: None,
            took,
            place: None,
        };
        let is_complete =
            self.shared.is_none() || !matches!(right, PermitBasis::Memory { anchored_until: None, .. });
        let put = match right {
            PermitBasis::Void => return RedeemOutcome::Refused,
            PermitBasis::Memory { permit, tags, anchored_until } => {
                let residence = |total: Duration| match anchored_until {
                    Some(until) => (Origin::Anchored, total.min(until.since(start.at))),
                    None => self.loaded_residence(total),
                };
                self.keep_in_memory(class, start, computed, (tags, residence), |copy| {
                    // A tag's cell can end without an invalidation, for example if a tracked read after an outage inserts
                    // the token from Redis. The copy would then never be served.
                    let is_guarded = self.is_guarded();
                    match copy.tags.iter().all(|tag| tag.is_current(copy.origin, is_guarded)) {
                        true => permit.redeem(copy, ProtocolRule::PutsUnderPermit),
                        false => Err(NotStoredReason::Overtaken),
                    }
                })
            }
            PermitBasis::Redis { epoch, existing, tags } => {
                let Some(shared) = &self.shared else { return RedeemOutcome::Refused };
                if self.check_epoch(shared, epoch).is_err() {
                    return RedeemOutcome::Refused;
                }
                let key = &entry_ref.key;
                self.keep_in_redis(class, (key, start), computed, tags, async |entry, left| {
                    self.put_in_redis(key, (shared, epoch), &existing, entry, left).await
                })
                .await
            }
        };
        self.note_stored(&entry_ref.key, &put);
        match put {
            Ok(put) if put.source.is_stored() && is_complete => RedeemOutcome::Stored,
            Ok(put) if put.source.is_stored() => RedeemOutcome::LocalOnly,
            _ => RedeemOutcome::Refused,
        }
    }

    /// Replaces the frame with the fingerprint `existing` by `entry`, if that frame and the tags' tokens are still there.
    pub(super) async fn put_in_redis(
        &self,
        key: &Bytes,
        (shared, epoch): (&SharedTier, Epoch),
        existing: &Bytes,
        entry: Entry,
        left: Duration,
    ) -> Result<(), NotStoredReason> {
        let put = spend(shared.remote.put(key, existing, &entry.header.tags, entry.encode(), left)).await;
        // The copy in memory is dropped for two reasons. It may be from an outage, and then Redis does not report this
        // put for it. And if it is unknown whether the put succeeded, the next read has to ask Redis.
        self.local.drop_key(key);
        match put {
            // A reply counts only if the tier was usable without a break until it arrived.
            Ok(true) if self.check_epoch(shared, epoch).is_ok() => Ok(()),
            Ok(_) => Err(NotStoredReason::Overtaken),
            Err(fault) => {
                shared.note(fault);
                Err(fault.not_stored())
            }
        }
    }
}
