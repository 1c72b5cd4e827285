//! A read of a memory-only class through Redis. Redis stores no value of such a class; it only reports invalidations.
//!
//! An *anchor*, a frame without a value, is stored under the key. A process that keeps a copy has read the anchor on
//! the tracked connection before its load began. Redis therefore reports every later change of the key to this process,
//! in particular an invalidation's UNLINK.
//!
//! Invariants, each checked by the test of the same name:
//! - `nothing_in_redis_supplies_a_value_of_a_memory_only_class`
//! - `no_copy_outlives_the_report_of_its_anchor`: a copy enters memory only if no report of its key arrived after the
//!   read of the anchor was sent, and the next report removes it.

use std::time::Duration;

use crate::engine::call::Loading;
use crate::engine::load::StoreCondition;
use crate::engine::plan::{AnchoredRight, LoadBegin, LoadPlan};
use crate::engine::reply::Reply;
use crate::engine::{ClassCore, Engine, EntryRef, SharedTier};
use crate::local::origin::Origin;
use crate::local::outcome::{FlightResult, LoadOutcome};
use crate::local::permit::LocalPermit;
use crate::policy::Policy;
use crate::protocol::frame::{Frame, fingerprint};
use crate::protocol::lease::Unused;
use crate::protocol::rules::ProtocolRule;
use crate::protocol::token::Token;
use crate::remote::Fault;
use crate::remote::validity::Epoch;
use crate::source::NotStoredReason;

/// The most attempts of a read to get a tracked anchor. The first read of a key needs two attempts: the first one sets
/// the anchor, and Redis also reports this SET, which voids the permit of that attempt. If four attempts fail, other
/// programs keep changing the key, and the answer is not stored.
const ATTEMPTS: usize = 4;

impl Engine {
    /// The plan of a load of a memory-only class.
    pub(super) async fn plan_anchored(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        (shared, epoch): (&SharedTier, Epoch),
    ) -> LoadPlan {
        if !shared.remote.is_tracking() {
            // Without tracking, Redis reports no changes, so the copy ends after the staleness bound.
            return self.plan_memory(entry_ref);
        }
        match self.anchor(class, entry_ref, shared, epoch).await {
            Ok(anchored) => LoadPlan::Anchored(anchored),
            Err(fault) => {
                // A fault of a tier never fails a read: the read continues as if there were no Redis.
                shared.note(fault);
                self.plan_memory(entry_ref)
            }
        }
    }

    /// Loads a value of a memory-only class, and keeps it in memory if `anchored` still permits it.
    pub(super) async fn load_under_anchor(
        &self,
        class: &ClassCore,
        begin: &LoadBegin,
        anchored: Option<AnchoredRight>,
        loading: Loading,
    ) -> FlightResult {
        let condition = match &anchored {
            Some(right) => StoreCondition::Permit(&right.permit, &right.tags),
            None => StoreCondition::Never,
        };
        let loaded = self.load_while(class, begin, condition, loading).await?;
        let Some(AnchoredRight { permit, tags, until }) = anchored.filter(|_| !loaded.is_spoiled) else {
            let why = if loaded.is_spoiled { NotStoredReason::Spoiled } else { NotStoredReason::Overtaken };
            if why == NotStoredReason::Overtaken {
                class.note_not_inserted(why);
            }
            let valid_until = begin.start.at.plus(self.bound_less_resolution());
            return Ok(LoadOutcome::not_stored(loaded.value, why, valid_until));
        };
        // The value is encoded and verified here too, so that the class stores the same values if it is later shared
        // through Redis.
        let residence = |total: Duration| (Origin::Anchored, total.min(until.since(begin.start.at)));
        self.keep_in_memory(class, begin.start, loaded, (tags, residence), |copy| {
            permit.redeem(copy, ProtocolRule::KeepsUnderAnchor).inspect_err(|why| {
                if *why == NotStoredReason::Overtaken {
                    class.note_not_inserted(*why);
                }
            })
        })
    }

    /// Makes sure that an anchor is stored under the key, and that Redis reports every change of the key to this
    /// process. `None` if other programs changed the key during every attempt.
    pub(super) async fn anchor(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        shared: &SharedTier,
        epoch: Epoch,
    ) -> Result<Option<AnchoredRight>, Fault> {
        let keys = entry_ref.keys();
        // Twice as long as a copy can stay, so that few copies end early because their anchor is about to expire.
        let life = 2 * class.policy().longest();
        for _ in 0..ATTEMPTS {
            // The permit is drawn before the read is sent, so it exists when the reply arrives, and every later report
            // voids it. A report of a change before the read may void it too; then one load is not stored.
            let permit = LocalPermit::draw(&self.local, &entry_ref.key, &entry_ref.tags);
            let seqs = self.local.note_seqs(keys.iter().map(|key| &key[..]));
            let (sent, valid_until) = (self.clock.now(), shared.validity.until());
            let (mut values, left) = shared.read_anchor(&keys).await?;
            self.check_epoch(shared, epoch)?;
            let value = values.remove(0);
            let reply = Reply::new(entry_ref, seqs, valid_until, value, values);
            let missing = reply.missing_tags(class);
            let is_anchored = matches!(reply.value.as_ref().map(Frame::parse), Some(Ok(Frame::Anchor(_))));
            if let (true, true, Some(left)) = (is_anchored, missing.tags.is_empty(), left) {
                self.insert_tokens(shared, &reply);
                if let Some(tags) = self.local.take_guarded(&entry_ref.tags, self.is_guarded()) {
                    // Redis measured `left` after the read was sent, so `sent` plus `left` is not later than the
                    // anchor's end.
                    let until = sent.plus(left.min(Policy::TTL_MAX)).minus(self.clock.resolution());
                    return Ok(Some(AnchoredRight { permit, tags, until }));
                }
                continue;
            }
            // Any other frame under the key is replaced without being decoded: it is from another release, or forged.
            let other = reply.value.as_ref().filter(|_| !is_anchored);
            class.note_unused(&self.redis_key(&entry_ref.key), &Unused::of(other));
            let replace = other.map(fingerprint);
            self.unlink_broken_tags(class, shared, &reply).await?;
            let frame = Token::random().anchor_frame();
            shared.set_frame(&entry_ref.key, frame, life, replace.as_ref(), &missing).await?;
            self.check_epoch(shared, epoch)?;
        }
        Ok(None)
    }

    /// Inserts the tags' tokens from a tracked read into memory, unless a push arrived after the read was sent.
    pub(super) fn insert_tokens(&self, shared: &SharedTier, reply: &Reply) {
        if !shared.remote.is_tracking() {
            return;
        }
        for (nth, (tag, token)) in (1..).zip(&reply.tags) {
            if let Some(token) = token {
                // If an invalidation came in between, memory does not get this token. Then the entry that has the tag
                // is not inserted either, or is not served.
                self.local.insert_token(&reply.seqs, nth, tag, *token);
            }
        }
    }
}
