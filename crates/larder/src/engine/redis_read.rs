//! A flight through Redis: a tracked read, then the lease, the load and the fill.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::codec::AnyValue;
use crate::engine::flight::LeaseHold;
use crate::engine::load::Loaded;
use crate::engine::reply::{Reply, minted};
use crate::engine::storable::Storable;
use crate::engine::{ClassCore, Engine, Shared, Wanted};
use crate::local::copy::{LocalCopy, Origin, Slot};
use crate::local::landing::{Brought, Landing, Outcome};
use crate::policy::Policy;
use crate::protocol::flight::FlightId;
use crate::protocol::frame::{Entry, Header, Seal, fingerprint};
use crate::protocol::lease::{AfterLease, AfterRead, after_lease, after_read};
use crate::protocol::rules::Rule;
use crate::protocol::tag::{TagKey, Taken};
use crate::protocol::token::Token;
use crate::remote::Fault;
use crate::remote::usable::Stretch;
use crate::source::{Kept, Source, WhyNot};
use crate::stats::count;

/// While another loads, look again this often. A push says sooner that it has ended; but a flight that was
/// detached meanwhile hears none, nor does anybody where Redis refuses tracking.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The outcome of trying for the lease.
enum Attempt {
    Held(LeaseHold, Vec<Taken>),
    Served(Brought),
    Wait,
    ReadAgain,
}

impl Engine {
    pub(crate) async fn read_redis<L, F, E>(
        &self,
        class: &ClassCore,
        wanted: &Wanted,
        (shared, stretch): (&Shared, Stretch),
        flight: FlightId,
        landing: &Landing,
        load: L,
    ) -> Outcome
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<AnyValue>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        let patience = Instant::now() + self.limits.load_timeout;
        while Instant::now() < patience {
            let step = self.step(class, wanted, shared, stretch).await;
            let attempt = match step {
                Ok(attempt) => attempt,
                Err(fault) => {
                    // A cache fault never fails a read: it goes on as if there were no Redis.
                    shared.note(fault);
                    return self.load_into_memory(class, wanted, flight, load()).await;
                }
            };
            match attempt {
                Attempt::Served(brought) => return Ok(brought),
                Attempt::Held(hold, tags) => {
                    return self.load_and_fill(class, wanted, shared, hold, tags, load()).await;
                }
                Attempt::Wait => {
                    count(&class.common.counters.lease_waits);
                    wait_for_push(landing, patience).await;
                }
                Attempt::ReadAgain => {}
            }
        }
        count(&class.common.counters.lease_waits_in_vain);
        // Another's load outlasted our patience. Whatever it fills, it fills by its own lease.
        let good_until = self.clock.now().plus(self.bound_here());
        let loaded = self.load(class, load()).await?;
        Ok(Brought { source: loaded.beside(), value: loaded.value, good_until })
    }

    /// One tracked read and, where nothing of use stands there, one try for the lease.
    async fn step(
        &self,
        class: &ClassCore,
        wanted: &Wanted,
        shared: &Shared,
        stretch: Stretch,
    ) -> Result<Attempt, Fault> {
        let reply = self.read_tracked(wanted, shared, stretch).await?;
        match after_read(reply.value.as_ref(), class.expected(&wanted.tags), |tag| reply.token(tag)) {
            AfterRead::Serve(entry) => match self.keep(class, wanted, shared, &reply, &entry) {
                Some(brought) => Ok(Attempt::Served(brought)),
                None => {
                    let replace = reply.value.as_ref().map(fingerprint);
                    self.acquire(class, wanted, shared, stretch, &reply, replace).await
                }
            },
            AfterRead::Wait => Ok(Attempt::Wait),
            AfterRead::Acquire { replace, alarm } => {
                match alarm {
                    Some(broken) => class.alarm(&broken),
                    None if replace.is_some() => count(&class.common.counters.passed_over),
                    None => {}
                }
                self.acquire(class, wanted, shared, stretch, &reply, replace).await
            }
        }
    }

    /// One tracked read that never loads.
    pub(crate) async fn peek_redis(
        &self,
        class: &ClassCore,
        wanted: &Wanted,
        shared: &Shared,
        stretch: Stretch,
    ) -> Option<Brought> {
        let reply = match self.read_tracked(wanted, shared, stretch).await {
            Ok(reply) => reply,
            Err(fault) => {
                shared.note(fault);
                return None;
            }
        };
        match after_read(reply.value.as_ref(), class.expected(&wanted.tags), |tag| reply.token(tag)) {
            AfterRead::Serve(entry) => self.keep(class, wanted, shared, &reply, &entry),
            AfterRead::Wait | AfterRead::Acquire { .. } => None,
        }
    }

    pub(super) async fn read_tracked(
        &self,
        wanted: &Wanted,
        shared: &Shared,
        stretch: Stretch,
    ) -> Result<Reply, Fault> {
        let keys = wanted.keys();
        let mark = self.local.mark(keys.iter().map(|key| &key[..]));
        let good_until = shared.usable.until();
        let mut values = shared.remote.read(&keys).await?;
        self.still_usable(shared, stretch)?;
        let value = values.remove(0);
        Ok(Reply::new(wanted, mark, good_until, value, values))
    }

    /// A reply counts only if the tier was usable from the flight's beginning until it came, without a break:
    /// otherwise it may be that of another Redis, which nobody has certified yet.
    pub(super) fn still_usable(&self, shared: &Shared, stretch: Stretch) -> Result<(), Fault> {
        let is_one_stretch = shared.usable.stretch() == stretch && shared.usable.is(self.clock.now());
        if is_one_stretch { Ok(()) } else { Err(Fault::Refused) }
    }

    /// Serves what a tracked read brought, and lets memory have it and the tags' tokens unless a push came in
    /// between. `None` when the entry does not prove to be the class's and the key's.
    fn keep(
        &self,
        class: &ClassCore,
        wanted: &Wanted,
        shared: &Shared,
        reply: &Reply,
        entry: &Entry,
    ) -> Option<Brought> {
        let copy = self.local_copy(class, &wanted.key, entry)?;
        let value = copy.value.clone();
        if shared.remote.tracks() {
            self.keep_tokens(shared, reply);
            let slot = Slot::Entry(Arc::new(copy));
            if !self.local.insert_tracked(&reply.mark, 0, wanted.key.clone(), slot) {
                count(&class.common.counters.inserts_refused);
            }
        }
        class.count_redis_hit(&value);
        Some(Brought { value, source: Source::Redis, good_until: reply.good_until })
    }

    /// `key` as Redis has it, with the database that it belongs to.
    pub(super) fn spelled(&self, key: &Bytes) -> Bytes {
        self.shared.as_ref().map_or_else(|| key.clone(), |shared| shared.remote.spelled(key))
    }

    /// `None` when the entry does not prove to be the class's and the key's.
    fn local_copy(&self, class: &ClassCore, key: &Bytes, entry: &Entry) -> Option<LocalCopy> {
        let value = class.opened(&self.spelled(key), entry, self.rules)?;
        let payload_bytes = entry.payload.as_ref().map_or(0, |payload| payload.len());
        let header = &entry.header;
        let age = Duration::from_millis(self.clock.unix_millis().saturating_sub(header.loaded_at_millis));
        let ttl = Duration::from_millis(header.ttl_millis).min(Policy::TTL_MAX);
        Some(LocalCopy {
            value,
            tags: header.tags.clone(),
            deadline: self.clock.now().plus(ttl.saturating_sub(age)),
            origin: Origin::Guarded,
            payload_bytes: u32::try_from(payload_bytes).unwrap_or(u32::MAX),
            loaded_at_millis: header.loaded_at_millis,
        })
    }

    /// Tries for the lease, and takes the tags' tokens with it: both before the load.
    async fn acquire(
        &self,
        class: &ClassCore,
        wanted: &Wanted,
        shared: &Shared,
        stretch: Stretch,
        reply: &Reply,
        replace: Option<Bytes>,
    ) -> Result<Attempt, Fault> {
        self.unlink_broken_tags(class, shared, reply).await?;
        let missing = reply.missing_tags();
        let hold = LeaseHold::new(shared.remote.clone(), wanted.key.clone());
        let leased = shared.remote.lease(&wanted.key, hold.token, replace.as_ref(), &missing).await?;
        self.still_usable(shared, stretch)?;
        let minted = minted(&missing, leased.minted);
        let token = |tag: &TagKey| reply.token_with(&minted, tag);
        let after = after_lease(&leased.standing, hold.token, class.expected(&wanted.tags), token);
        if after == AfterLease::Load {
            let taken = wanted.taken(token);
            // A tag whose key holds no token cannot guard an entry: treat the tier as unable to fill.
            return taken.map(|taken| Attempt::Held(hold, taken)).ok_or(Fault::Refused);
        }
        hold.settle();
        Ok(match after {
            AfterLease::Serve(entry) => match self.local_copy(class, &wanted.key, &entry) {
                Some(copy) => {
                    class.count_redis_hit(&copy.value);
                    count(&class.common.counters.late_hits);
                    if !self.rules.keep(Rule::InsertsOnlyTracked) {
                        self.insert_unfenced(class, &wanted.key, &entry);
                    }
                    let good_until = reply.good_until;
                    Attempt::Served(Brought { value: copy.value, source: Source::Redis, good_until })
                }
                None => Attempt::ReadAgain,
            },
            AfterLease::Wait => Attempt::Wait,
            _ => Attempt::ReadAgain,
        })
    }

    /// Only for a proof that breaks a rule: inserts what no tracked read has brought.
    fn insert_unfenced(&self, class: &ClassCore, key: &Bytes, entry: &Entry) {
        if let Some(copy) = self.local_copy(class, key, entry) {
            let mark = self.local.mark([&key[..]].into_iter());
            self.local.insert_tracked(&mark, 0, key.clone(), Slot::Entry(Arc::new(copy)));
        }
    }

    /// Memory is not populated here: the fill's own push would remove it. The next tracked read does that.
    async fn load_and_fill<F, E>(
        &self,
        class: &ClassCore,
        wanted: &Wanted,
        shared: &Shared,
        hold: LeaseHold,
        tags: Vec<Taken>,
        load: F,
    ) -> Outcome
    where
        F: Future<Output = Result<Option<AnyValue>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        let loaded_at_millis = self.clock.unix_millis();
        let good_until = self.clock.now().plus(self.bound_here());
        let Loaded { value, is_spoiled } = self.load(class, load).await?;
        let not_kept =
            |value, why| Ok(Brought { value, source: Source::Load { kept: Kept::Nowhere(why) }, good_until });
        if is_spoiled {
            // Dropping the hold gives up the lease: readers of other instances try for themselves.
            return not_kept(value, WhyNot::Spoiled);
        }
        let Some(ttl) = class.policy.residence(value.is_none(), rand::random()) else {
            return not_kept(value, WhyNot::Policy);
        };
        let Storable { value, payload, digest } = match class.storable(value.as_ref()) {
            Ok(storable) => storable,
            Err(why) => return not_kept(value, why),
        };
        let header = Header {
            codec: class.coder.codec().id(),
            class_version: class.version,
            digest,
            loaded_at_millis,
            ttl_millis: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            tags,
        };
        let entry = Entry { fill: Token::random(), header, payload, seal: Seal::default() };
        let entry = class.sealer.close(&self.spelled(&wanted.key), entry);
        let kept = match shared.remote.fill(&wanted.key, hold.token, entry.encode(), ttl).await {
            Ok(is_stored) => {
                hold.settle();
                if !is_stored {
                    count(&class.common.counters.fills_refused);
                    return not_kept(value, WhyNot::Overtaken);
                }
                if !self.rules.keep(Rule::FillerInsertsNothing) {
                    self.insert_unfenced(class, &wanted.key, &entry);
                }
                Kept::Redis
            }
            // Whether it arrived is unknown: dropping the hold gives up a lease that may still stand.
            Err(fault) => {
                shared.note(fault);
                Kept::Nowhere(WhyNot::NotTaken)
            }
        };
        Ok(Brought { value, source: Source::Load { kept }, good_until })
    }
}

/// Waits until the key changes, or it is time to look again.
async fn wait_for_push(landing: &Landing, patience: Instant) {
    let until = patience.min(Instant::now() + LOOK_AGAIN);
    // A push that came before this await left its permit, so it is not missed.
    let _ = timeout_at(until, landing.pushed.notified()).await;
}

impl ClassCore {
    fn count_redis_hit(&self, value: &Option<AnyValue>) {
        count(&self.common.counters.redis_hits);
        if value.is_none() {
            count(&self.common.counters.absent_hits);
        }
    }
}
