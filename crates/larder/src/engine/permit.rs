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
use crate::engine::anchored::Anchored;
use crate::engine::redis_read::LOOK_AGAIN;
use crate::engine::reply::minted;
use crate::engine::storable::Storable;
use crate::engine::{ClassCore, Engine, Shared, Wanted};
use crate::local::copy::{LocalCopy, Origin};
use crate::local::permit::Permitted;
use crate::protocol::frame::{Entry, Frame, Header, Seal, fingerprint};
use crate::protocol::lease::{AfterRead, after_read};
use crate::protocol::rules::Rule;
use crate::protocol::tag::Taken;
use crate::protocol::token::Token;
use crate::remote::Fault;
use crate::remote::usable::Stretch;
use crate::stats::count;
use crate::uncached::is_uncached;

/// How long a draw waits for the journal to be followed. Beyond, what was committed before may void the permit.
const FOLLOWED: Duration = Duration::from_millis(500);

/// What was noted when a permit was drawn.
pub(crate) struct Drawn {
    at: Tick,
    at_millis: u64,
    until: Tick,
    right: Right,
}

/// What the put has to find unchanged.
enum Right {
    /// There is none: the class was switched off, or others changed the key all the time.
    Void,
    /// In Redis, in this stretch: what this fingerprints, and the tags' tokens.
    Redis { stretch: Stretch, standing: Bytes, tags: Vec<Taken> },
    /// In memory. Without an anchor, `tags` are the tags' tokens. With one, `anchored_until` is when it may expire, and `tags`
    /// are the lives of the tags' copies in memory.
    Memory { permitted: Permitted, tags: Vec<Taken>, anchored_until: Option<Tick> },
}

/// What became of a put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Redeemed {
    /// In the tier that is to have it.
    Stored,
    /// In this process alone, for no longer than the staleness bound: Redis is away.
    Here,
    Refused,
}

impl Engine {
    /// Draws a permit: a value that is computed from now on may be put within `life`.
    pub(crate) async fn draw(&self, class: &ClassCore, wanted: &Wanted, life: Duration) -> Drawn {
        // The computation will see every change already in the journal. Follow the journal first, or those changes would void
        // the permit.
        if self.journal.is_some() {
            self.follow_journal(FOLLOWED).await;
        }
        let right = self.draw_right(class, wanted, life).await;
        // After the right was drawn, for the computation begins after it too.
        let at = self.clock.now();
        Drawn { at, at_millis: self.clock.unix_millis(), until: at.plus(life), right }
    }

    async fn draw_right(&self, class: &ClassCore, wanted: &Wanted, life: Duration) -> Right {
        // Inside a load nothing is stored, for what is read there is not fenced.
        if !class.is_on(self) || is_uncached() {
            return Right::Void;
        }
        let Some((shared, stretch)) = self.usable() else { return self.draw_in_memory(wanted) };
        let drawn = match class.memory_only {
            true if !shared.remote.tracks() => return self.draw_in_memory(wanted),
            true => self.draw_anchored(class, wanted, shared, stretch).await,
            false => self.draw_in_redis(class, wanted, shared, stretch, life).await,
        };
        drawn.unwrap_or_else(|fault| {
            shared.note(fault);
            self.draw_in_memory(wanted)
        })
    }

    fn draw_in_memory(&self, wanted: &Wanted) -> Right {
        // First: a tag that falls between the two voids the permit.
        let permitted = Permitted::draw(&self.local, &wanted.key, &wanted.tags);
        let tags = self.local.take_tokens(&wanted.tags, self.is_guarded());
        Right::Memory { permitted, tags, anchored_until: None }
    }

    async fn draw_anchored(
        &self,
        class: &ClassCore,
        wanted: &Wanted,
        shared: &Shared,
        stretch: Stretch,
    ) -> Result<Right, Fault> {
        let anchored = self.anchor(class, wanted, shared, stretch).await?;
        Ok(anchored.map_or(Right::Void, |Anchored { permitted, tags, until }| Right::Memory {
            permitted,
            tags,
            anchored_until: Some(until),
        }))
    }

    async fn draw_in_redis(
        &self,
        class: &ClassCore,
        wanted: &Wanted,
        shared: &Shared,
        stretch: Stretch,
        life: Duration,
    ) -> Result<Right, Fault> {
        // As long as a load may take: another's lease is over by then, or its holder is gone.
        let patience = Instant::now() + self.limits.load_timeout;
        loop {
            let is_patient = Instant::now() < patience;
            let reply = self.read_tracked(wanted, shared, stretch).await?;
            let before = reply.value.as_ref().map(fingerprint);
            let (served, replace) = match after_read(
                reply.value.as_ref(),
                class.expected(&wanted.tags),
                |tag| reply.token(tag),
            ) {
                AfterRead::Serve(_) => (before, None),
                // Wait: afterwards its entry is what the permit stands on. Replacing its lease would refuse its fill.
                AfterRead::Wait if is_patient => {
                    sleep(LOOK_AGAIN).await;
                    continue;
                }
                AfterRead::Wait => (None, before),
                AfterRead::Acquire { replace, alarm } => {
                    if let Some(broken) = alarm {
                        class.alarm(&broken);
                    }
                    (None, replace)
                }
            };
            self.unlink_broken_tags(class, shared, &reply).await?;
            let missing = reply.missing_tags();
            if let (Some(standing), true) = (&served, missing.is_empty()) {
                let tags = wanted.taken(|tag| reply.token(tag)).ok_or(Fault::Refused)?;
                return Ok(Right::Redis { stretch, standing: standing.clone(), tags });
            }
            let planted =
                shared.remote.permit(&wanted.key, Token::random(), life, replace.as_ref(), &missing).await?;
            self.still_usable(shared, stretch)?;
            let standing = fingerprint(&planted.standing);
            let is_permit = matches!(Frame::parse(&planted.standing), Ok(Frame::Permit(_)));
            if is_permit || served.as_ref() == Some(&standing) {
                let minted = minted(&missing, planted.minted);
                // A tag whose key holds no token cannot guard an entry.
                let tags = wanted.taken(|tag| reply.token_with(&minted, tag)).ok_or(Fault::Refused)?;
                return Ok(Right::Redis { stretch, standing, tags });
            }
            if !is_patient {
                return Ok(Right::Void);
            }
            // Something else came first: look at it.
        }
    }

    /// Puts what was computed under `drawn`, unless it is void.
    pub(crate) async fn put_drawn(
        &self,
        class: &ClassCore,
        wanted: &Wanted,
        drawn: Drawn,
        value: AnyValue,
    ) -> Redeemed {
        let kept = match self.clock.now() < drawn.until && class.is_on(self) && !is_uncached() {
            true => self.put_right(class, wanted, drawn, value).await,
            false => Redeemed::Refused,
        };
        match kept {
            Redeemed::Refused => count(&class.common.counters.puts_refused),
            Redeemed::Stored | Redeemed::Here => count(&class.common.counters.puts_permitted),
        }
        kept
    }

    async fn put_right(&self, class: &ClassCore, wanted: &Wanted, drawn: Drawn, value: AnyValue) -> Redeemed {
        let Drawn { at, at_millis, right, .. } = drawn;
        let Some(ttl) = class.policy.residence(false, rand::random()) else { return Redeemed::Refused };
        match right {
            Right::Void => Redeemed::Refused,
            Right::Memory { permitted, tags, anchored_until } => {
                let (origin, until) = match anchored_until {
                    Some(until) => (Origin::Anchored, at.plus(ttl).min(until)),
                    None => {
                        let (origin, residence) = self.keeps_loaded(ttl);
                        (origin, at.plus(residence))
                    }
                };
                let is_in_time = self.clock.now() < until;
                // Its tags' tokens may be gone without an invalidation, for want of room: then it would never be served.
                if !is_in_time || !self.local.stands(&tags, origin, self.is_guarded()) {
                    return Redeemed::Refused;
                }
                let Ok(storable) = class.storable(Some(&value)) else { return Redeemed::Refused };
                let payload_bytes = storable.payload_bytes();
                let copy = LocalCopy {
                    value: storable.value,
                    tags,
                    deadline: until,
                    origin,
                    payload_bytes,
                    loaded_at_millis: at_millis,
                };
                let is_whole = self.shared.is_none() || anchored_until.is_some();
                match permitted.redeem(copy, Rule::PutsUnderPermit) {
                    Ok(()) if is_whole => Redeemed::Stored,
                    Ok(()) => Redeemed::Here,
                    Err(_) => Redeemed::Refused,
                }
            }
            Right::Redis { stretch, standing, tags } => {
                let Some(shared) = &self.shared else { return Redeemed::Refused };
                let left = at.plus(ttl).since(self.clock.now());
                if left < Duration::from_millis(1) || self.still_usable(shared, stretch).is_err() {
                    return Redeemed::Refused;
                }
                let Ok(Storable { payload, digest, .. }) = class.storable(Some(&value)) else {
                    return Redeemed::Refused;
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
                let entry = class.sealer.close(&self.spelled(&wanted.key), entry);
                self.put_in_redis(wanted, shared, stretch, &standing, entry, left).await
            }
        }
    }

    async fn put_in_redis(
        &self,
        wanted: &Wanted,
        shared: &Shared,
        stretch: Stretch,
        standing: &Bytes,
        entry: Entry,
        left: Duration,
    ) -> Redeemed {
        let put = shared.remote.put(&wanted.key, standing, &entry.header.tags, entry.encode(), left).await;
        // A copy of an outage may still stand in memory; Redis reports its own. And if it is not known what became of the
        // put, the next read asks.
        self.local.drop_key(&wanted.key);
        match put {
            // A reply counts only if the tier was usable without a break until it came.
            Ok(true) if self.still_usable(shared, stretch).is_ok() => Redeemed::Stored,
            Ok(_) => Redeemed::Refused,
            Err(fault) => {
                shared.note(fault);
                Redeemed::Refused
            }
        }
    }
}
