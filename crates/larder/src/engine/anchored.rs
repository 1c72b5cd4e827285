//! A read of a memory-only class through Redis. Redis holds no value here; it only reports invalidations.
//!
//! An *anchor* stands under the key. A process that keeps a copy has read the anchor on the tracked connection before it
//! loaded, so Redis reports to it whatever is done to the key from then on, an invalidation's UNLINK above all.
//!
//! Invariant, borne by tests of these names:
//! - `nothing_in_redis_supplies_a_value_of_a_memory_only_class`
//! - `no_copy_outlives_the_report_of_its_anchor`: a copy enters memory only if no report of its key came since before the
//!   read that saw the anchor was sent, and the next report removes it.

use std::error::Error as StdError;
use std::future::Future;

use crate::clock::Tick;
use crate::codec::AnyValue;
use crate::engine::load::Loaded;
use crate::engine::reply::Reply;
use crate::engine::{ClassCore, Engine, Shared, Wanted};
use crate::local::copy::{LocalCopy, Origin, Slot};
use crate::local::landing::{Brought, Outcome};
use crate::local::permit::Permitted;
use crate::policy::Policy;
use crate::protocol::flight::FlightId;
use crate::protocol::frame::{Frame, fingerprint};
use crate::protocol::rules::Rule;
use crate::protocol::tag::Taken;
use crate::protocol::token::Token;
use crate::remote::Fault;
use crate::remote::usable::Stretch;
use crate::source::{Kept, Source, WhyNot};
use crate::stats::count;

/// How often a read looks for an anchor that is watched. The first read of a key takes two, for its own SET is reported
/// too; beyond a few, others keep changing the key, and the answer is not kept.
const ATTEMPTS: usize = 4;

/// The right to keep what is loaded from now on.
pub(super) struct Anchored {
    pub(super) permitted: Permitted,
    /// The lives of the tags.
    pub(super) tags: Vec<Taken>,
    /// When the anchor ends by itself, at the earliest.
    pub(super) until: Tick,
}

impl Engine {
    pub(super) async fn read_anchored<L, F, E>(
        &self,
        class: &ClassCore,
        wanted: &Wanted,
        (shared, stretch): (&Shared, Stretch),
        flight: FlightId,
        load: L,
    ) -> Outcome
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<AnyValue>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        if !shared.remote.tracks() {
            // Redis reports no change: the copy ends with the staleness bound.
            return self.load_into_memory(class, wanted, flight, load()).await;
        }
        let anchored = match self.anchor(class, wanted, shared, stretch).await {
            Ok(anchored) => anchored,
            Err(fault) => {
                // A cache fault never fails a read: it goes on as if there were no Redis.
                shared.note(fault);
                return self.load_into_memory(class, wanted, flight, load()).await;
            }
        };
        let (started, loaded_at_millis) = (self.clock.now(), self.clock.unix_millis());
        let Loaded { value, is_spoiled } = self.load(class, load()).await?;
        let good_until = started.plus(self.bound_here());
        let not_kept =
            |value, why| Ok(Brought { value, source: Source::Load { kept: Kept::Nowhere(why) }, good_until });
        if is_spoiled {
            return not_kept(value, WhyNot::Spoiled);
        }
        let Some(Anchored { permitted, tags, until }) = anchored else {
            count(&class.common.counters.inserts_refused);
            return not_kept(value, WhyNot::Overtaken);
        };
        let Some(ttl) = class.policy.residence(value.is_none(), rand::random()) else {
            return not_kept(value, WhyNot::Policy);
        };
        // So that the class stores the same values if it stops being memory-only.
        let storable = match class.storable(value.as_ref()) {
            Ok(storable) => storable,
            Err(why) => return not_kept(value, why),
        };
        let payload_bytes = storable.payload_bytes();
        let value = storable.value;
        let (origin, deadline) = (Origin::Anchored, started.plus(ttl).min(until));
        let copy =
            LocalCopy { value: value.clone(), tags, deadline, origin, payload_bytes, loaded_at_millis };
        match permitted.redeem(copy, Rule::KeepsUnderAnchor) {
            Ok(()) => Ok(Brought { value, source: Source::Load { kept: Kept::Memory }, good_until }),
            Err(why) => {
                if why == WhyNot::Overtaken {
                    count(&class.common.counters.inserts_refused);
                }
                not_kept(value, why)
            }
        }
    }

    /// Sees to it that an anchor stands under the key and that its reports reach this process. `None` when others change
    /// it all the time.
    pub(super) async fn anchor(
        &self,
        class: &ClassCore,
        wanted: &Wanted,
        shared: &Shared,
        stretch: Stretch,
    ) -> Result<Option<Anchored>, Fault> {
        let keys = wanted.keys();
        // Twice as long as a copy may stay, so that few copies end early because their anchor was near its end.
        let life = 2 * class.policy.longest();
        for _ in 0..ATTEMPTS {
            // Before the read is sent: whatever is reported after the reply then voids it. A report from before the read,
            // which says nothing of it, may void it too; then one load is not kept.
            let permitted = Permitted::draw(&self.local, &wanted.key, &wanted.tags);
            let mark = self.local.mark(keys.iter().map(|key| &key[..]));
            let (sent, good_until) = (self.clock.now(), shared.usable.until());
            let (mut values, left) = shared.remote.read_anchor(&keys).await?;
            self.still_usable(shared, stretch)?;
            let value = values.remove(0);
            let reply = Reply::new(wanted, mark, good_until, value, values);
            let missing = reply.missing_tags();
            let is_anchored = matches!(reply.value.as_ref().map(Frame::parse), Some(Ok(Frame::Anchor(_))));
            if let (true, true, Some(left)) = (is_anchored, missing.is_empty(), left) {
                self.keep_tokens(shared, &reply);
                if let Some(tags) = self.local.take_lives(&wanted.tags, self.is_guarded()) {
                    // Redis counted after the read was sent.
                    let until = sent.plus(left.min(Policy::TTL_MAX)).minus(self.clock.resolution());
                    return Ok(Some(Anchored { permitted, tags, until }));
                }
                continue;
            }
            // Anything else under the key is replaced unread: another release's entry, or a forged one.
            let replace = reply.value.as_ref().filter(|_| !is_anchored).map(fingerprint);
            if replace.is_some() {
                count(&class.common.counters.passed_over);
            }
            self.unlink_broken_tags(class, shared, &reply).await?;
            let frame = Token::random().anchor_frame();
            shared.remote.plant(&wanted.key, frame, life, replace.as_ref(), &missing).await?;
            self.still_usable(shared, stretch)?;
        }
        Ok(None)
    }

    /// Lets memory have the tags' tokens that a tracked read brought, unless a push came in between.
    pub(super) fn keep_tokens(&self, shared: &Shared, reply: &Reply) {
        if !shared.remote.tracks() {
            return;
        }
        for (nth, (tag, token)) in (1..).zip(&reply.tags) {
            if let Some(token) = token {
                let slot = Slot::token(*token, Origin::Guarded);
                self.local.insert_tracked(&reply.mark, nth, tag.to_bytes(), slot);
            }
        }
    }
}
