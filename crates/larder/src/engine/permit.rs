//! Permits: drawn before a value is computed, exchanged for the value, void once anything was invalidated in between.
//!
//! With Redis the permit is what stands under the key when it is drawn: the entry, which is served meanwhile, or a frame
//! of its own. The put is a compare-and-set against that and against the tags' tokens, so whatever deletes or replaces
//! the one or the other refuses it. On memory alone it is a line in the table of the key's shard.
//!
//! Invariant, borne by a test of its name:
//! - `a_put_is_refused_after_any_invalidation`

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use crate::clock::Tick;
use crate::codec::AnyValue;
use crate::engine::anchor::AnchoredRight;
use crate::engine::redis_read::LEASE_POLL_INTERVAL;
use crate::engine::reply::minted;
use crate::engine::storable::StorableValue;
use crate::engine::{ClassCore, Engine, EntryRef, SharedTier};
use crate::local::copy::{LocalCopy, Origin};
use crate::local::permit::LocalPermit;
use crate::protocol::frame::{Entry, Frame, Header, Seal, fingerprint};
use crate::protocol::lease::{AfterRead, after_read};
use crate::protocol::rules::ProtocolRule;
use crate::protocol::tag::TagToken;
use crate::protocol::token::Token;
use crate::remote::Fault;
use crate::remote::validity::Epoch;
use crate::stats::count;
use crate::uncached::is_uncached;

/// How long a draw waits for the journal to be followed. Beyond, what was committed before may void the permit.
const JOURNAL_POLL_TIMEOUT: Duration = Duration::from_millis(500);

/// What was noted when a permit was drawn.
pub(crate) struct DrawnPermit {
    at: Tick,
    at_millis: u64,
    until: Tick,
    right: PermitBasis,
}

/// What the put has to find unchanged.
enum PermitBasis {
    /// There is none: the class was switched off, or others changed the key all the time.
    Void,
    /// In Redis, in this stretch: what this fingerprints, and the tags' tokens.
    Redis { epoch: Epoch, existing: Bytes, tags: Vec<TagToken> },
    /// In memory. Without an anchor, `tags` are the tags' tokens. With one, `anchored_until` is when it may expire, and `tags`
    /// are the lives of the tags' copies in memory.
    Memory { permit: LocalPermit, tags: Vec<TagToken>, anchored_until: Option<Tick> },
}

/// What became of a put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RedeemOutcome {
    /// In the tier that is to have it.
    Stored,
    /// In this process alone, for no longer than the staleness bound: Redis is away.
    LocalOnly,
    Refused,
}

impl Engine {
    /// Draws a permit: a value that is computed from now on may be put within `life`.
    pub(crate) async fn draw(&self, class: &ClassCore, entry_ref: &EntryRef, life: Duration) -> DrawnPermit {
        // The computation will see every change already in the journal. Follow the journal first, or those changes would void
        // the permit.
        if self.journal.is_some() {
            self.poll_journal(JOURNAL_POLL_TIMEOUT).await;
        }
        let right = self.draw_right(class, entry_ref, life).await;
        // After the right was drawn, for the computation begins after it too.
        let at = self.clock.now();
        DrawnPermit { at, at_millis: self.clock.unix_millis(), until: at.plus(life), right }
    }

    async fn draw_right(&self, class: &ClassCore, entry_ref: &EntryRef, life: Duration) -> PermitBasis {
        // Inside a load nothing is stored, for what is read there is not fenced.
        if !class.is_on(self) || is_uncached() {
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
        // First: a tag that falls between the two voids the permit.
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
        // As long as a load may take: another's lease is over by then, or its holder is gone.
        let patience = Instant::now() + self.limits.load_timeout;
        loop {
            let is_patient = Instant::now() < patience;
            let reply = self.read_tracked(entry_ref, shared, epoch).await?;
            let before = reply.value.as_ref().map(fingerprint);
            let (served, replace) =
                match after_read(reply.value.as_ref(), class.readable_format(&entry_ref.tags), |tag| {
                    reply.token(tag)
                }) {
                    AfterRead::Serve(_) => (before, None),
                    // Wait: afterwards its entry is what the permit stands on. Replacing its lease would refuse its fill.
                    AfterRead::Wait if is_patient => {
                        sleep(LEASE_POLL_INTERVAL).await;
                        continue;
                    }
                    AfterRead::Wait => (None, before),
                    AfterRead::Acquire { replace, alarm } => {
                        if let Some(broken) = alarm {
                            class.note_broken_frame(&broken);
                        }
                        (None, replace)
                    }
                };
            self.unlink_broken_tags(class, shared, &reply).await?;
            let missing = reply.missing_tags();
            if let (Some(existing), true) = (&served, missing.is_empty()) {
                let tags = entry_ref.tag_tokens(|tag| reply.token(tag)).ok_or(Fault::Refused)?;
                return Ok(PermitBasis::Redis { epoch, existing: existing.clone(), tags });
            }
            let set = shared
                .remote
                .permit(&entry_ref.key, Token::random(), life, replace.as_ref(), &missing)
                .await?;
            self.check_epoch(shared, epoch)?;
            let existing = fingerprint(&set.existing);
            let is_permit = matches!(Frame::parse(&set.existing), Ok(Frame::Permit(_)));
            if is_permit || served.as_ref() == Some(&existing) {
                let minted = minted(&missing, set.minted);
                // A tag whose key holds no token cannot guard an entry.
                let tags =
                    entry_ref.tag_tokens(|tag| reply.token_with(&minted, tag)).ok_or(Fault::Refused)?;
                return Ok(PermitBasis::Redis { epoch, existing, tags });
            }
            if !is_patient {
                return Ok(PermitBasis::Void);
            }
            // Something else came first: look at it.
        }
    }

    /// Puts what was computed under `drawn`, unless it is void.
    pub(crate) async fn put_drawn(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        drawn: DrawnPermit,
        value: AnyValue,
    ) -> RedeemOutcome {
        let kept = match self.clock.now() < drawn.until && class.is_on(self) && !is_uncached() {
            true => self.put_right(class, entry_ref, drawn, value).await,
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
        let DrawnPermit { at, at_millis, right, .. } = drawn;
        let Some(ttl) = class.policy.residence(false, rand::random()) else { return RedeemOutcome::Refused };
        match right {
            PermitBasis::Void => RedeemOutcome::Refused,
            PermitBasis::Memory { permit, tags, anchored_until } => {
                let (origin, until) = match anchored_until {
                    Some(until) => (Origin::Anchored, at.plus(ttl).min(until)),
                    None => {
                        let (origin, residence) = self.loaded_residence(ttl);
                        (origin, at.plus(residence))
                    }
                };
                let is_in_time = self.clock.now() < until;
                // Its tags' tokens may be gone without an invalidation, for want of room: then it would never be served.
                if !is_in_time || !self.local.tags_are_current(&tags, origin, self.is_guarded()) {
                    return RedeemOutcome::Refused;
                }
                let Ok(storable) = class.storable(Some(&value)) else { return RedeemOutcome::Refused };
                let payload_bytes = storable.payload_bytes();
                let copy = LocalCopy {
                    value: storable.value,
                    tags,
                    deadline: until,
                    origin,
                    payload_bytes,
                    loaded_at_millis: at_millis,
                };
                let is_complete = self.shared.is_none() || anchored_until.is_some();
                match permit.redeem(copy, ProtocolRule::PutsUnderPermit) {
                    Ok(()) if is_complete => RedeemOutcome::Stored,
                    Ok(()) => RedeemOutcome::LocalOnly,
                    Err(_) => RedeemOutcome::Refused,
                }
            }
            PermitBasis::Redis { epoch, existing, tags } => {
                let Some(shared) = &self.shared else { return RedeemOutcome::Refused };
                let left = at.plus(ttl).since(self.clock.now());
                if left < Duration::from_millis(1) || self.check_epoch(shared, epoch).is_err() {
                    return RedeemOutcome::Refused;
                }
                let Ok(StorableValue { payload, digest, .. }) = class.storable(Some(&value)) else {
                    return RedeemOutcome::Refused;
                };
                let header = Header {
                    codec: class.coder.codec().id(),
                    class_version: class.version,
                    digest,
                    loaded_at_millis: at_millis,
                    ttl_millis: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
                    tags,
                };
                let entry = Entry { fill: Token::random(), header, payload, seal: Seal::default() };
                let entry = class.sealer.seal(&self.redis_key(&entry_ref.key), entry);
                self.put_in_redis(entry_ref, shared, epoch, &existing, entry, left).await
            }
        }
    }

    async fn put_in_redis(
        &self,
        entry_ref: &EntryRef,
        shared: &SharedTier,
        epoch: Epoch,
        existing: &Bytes,
        entry: Entry,
        left: Duration,
    ) -> RedeemOutcome {
        let put = shared.remote.put(&entry_ref.key, existing, &entry.header.tags, entry.encode(), left).await;
        // A copy of an outage may still stand in memory; Redis reports its own. And if it is not known what became of the
        // put, the next read asks.
        self.local.drop_key(&entry_ref.key);
        match put {
            // A reply counts only if the tier was usable without a break until it came.
            Ok(true) if self.check_epoch(shared, epoch).is_ok() => RedeemOutcome::Stored,
            Ok(_) => RedeemOutcome::Refused,
            Err(fault) => {
                shared.note(fault);
                RedeemOutcome::Refused
            }
        }
    }
}
