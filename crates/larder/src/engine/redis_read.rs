//! A flight through Redis: a tracked read, then the lease, the load and the fill.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::clock::Tick;
use crate::codec::AnyValue;
use crate::engine::flight::LeaseHold;
use crate::engine::{ClassCore, Engine, Shared, Wanted};
use crate::local::Mark;
use crate::local::copy::{LocalCopy, Origin, Slot};
use crate::local::landing::{Brought, Landing, Outcome};
use crate::policy::Policy;
use crate::protocol::flight::FlightId;
use crate::protocol::frame::{Entry, Frame, Header, fingerprint};
use crate::protocol::lease::{AfterLease, AfterRead, after_lease, after_read};
use crate::protocol::rules::Rule;
use crate::protocol::tag::{TagKey, Taken};
use crate::protocol::token::Token;
use crate::remote::Fault;
use crate::remote::usable::Stretch;
use crate::source::Source;
use crate::stats::count;

/// While another loads, look again this often. A push says sooner that it has ended; but a flight that was
/// detached meanwhile hears none, nor does anybody where Redis refuses tracking.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What one tracked read of a key and its class's tags brought.
struct Reply {
    mark: Mark,
    /// Up to when the tier was certified before the read was sent.
    good_until: Tick,
    value: Option<Bytes>,
    tags: Vec<(TagKey, Option<Token>)>,
    /// Tags whose key holds something that is no token.
    broken_tags: Vec<Bytes>,
}

impl Reply {
    fn token(&self, tag: &TagKey) -> Option<Token> {
        self.tags.iter().find(|(key, _)| key == tag).and_then(|(_, token)| *token)
    }
}

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
        Ok(Brought { source: loaded.unstored(), value: loaded.value, good_until })
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
        match after_read(reply.value.as_ref(), class.expected(), |tag| reply.token(tag)) {
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
        match after_read(reply.value.as_ref(), class.expected(), |tag| reply.token(tag)) {
            AfterRead::Serve(entry) => self.keep(class, wanted, shared, &reply, &entry),
            AfterRead::Wait | AfterRead::Acquire { .. } => None,
        }
    }

    async fn read_tracked(&self, wanted: &Wanted, shared: &Shared, stretch: Stretch) -> Result<Reply, Fault> {
        let mut keys = vec![wanted.key.clone()];
        keys.extend(wanted.tags.iter().map(TagKey::to_bytes));
        let mark = self.local.mark(keys.iter().map(|key| &key[..]));
        let good_until = shared.usable.until();
        let mut values = shared.remote.read(&keys).await?;
        self.still_usable(shared, stretch)?;
        let mut broken_tags = Vec::new();
        let tags = wanted.tags.iter().zip(values.drain(1..)).map(|(tag, value)| {
            let is_there = value.is_some();
            let token = token_of(value);
            if is_there && token.is_none() {
                broken_tags.push(tag.to_bytes());
            }
            (tag.clone(), token)
        });
        let tags = tags.collect();
        Ok(Reply { mark, good_until, value: values.pop().flatten(), tags, broken_tags })
    }

    /// A reply counts only if the tier was usable from the flight's beginning until it came, without a break:
    /// otherwise it may be that of another Redis, which nobody has certified yet.
    fn still_usable(&self, shared: &Shared, stretch: Stretch) -> Result<(), Fault> {
        let is_one_stretch = shared.usable.stretch() == stretch && shared.usable.is(self.clock.now());
        if is_one_stretch { Ok(()) } else { Err(Fault::Refused) }
    }

    /// Serves what a tracked read brought, and lets memory have it and the tags' tokens unless a push came in
    /// between. `None` when the bytes do not decode.
    fn keep(
        &self,
        class: &ClassCore,
        wanted: &Wanted,
        shared: &Shared,
        reply: &Reply,
        entry: &Entry,
    ) -> Option<Brought> {
        let copy = self.local_copy(class, entry)?;
        let value = copy.value.clone();
        if shared.remote.tracks() {
            for (nth, (tag, token)) in (1..).zip(&reply.tags) {
                if let Some(token) = token {
                    let slot = Slot::Token(*token, Origin::Guarded);
                    self.local.insert_tracked(&reply.mark, nth, tag.to_bytes(), slot);
                }
            }
            let slot = Slot::Entry(Arc::new(copy));
            if !self.local.insert_tracked(&reply.mark, 0, wanted.key.clone(), slot) {
                count(&class.common.counters.inserts_refused);
            }
        }
        class.count_redis_hit(&value);
        Some(Brought { value, source: Source::Redis, good_until: reply.good_until })
    }

    fn local_copy(&self, class: &ClassCore, entry: &Entry) -> Option<LocalCopy> {
        let value = match &entry.payload {
            None => None,
            Some(payload) => Some(class.coder.decode(payload).inspect_err(|error| class.alarm(error)).ok()?),
        };
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
        if !reply.broken_tags.is_empty() {
            class.alarm(&"a tag's key holds no token");
            shared.remote.unlink(&reply.broken_tags).await?;
        }
        let missing: Vec<(TagKey, Token)> = reply
            .tags
            .iter()
            .filter(|(_, token)| token.is_none())
            .map(|(tag, _)| (tag.clone(), Token::random()))
            .collect();
        let hold = LeaseHold::new(shared.remote.clone(), wanted.key.clone());
        let leased = shared.remote.lease(&wanted.key, hold.token, replace.as_ref(), &missing).await?;
        self.still_usable(shared, stretch)?;
        let minted: Vec<(TagKey, Option<Token>)> = missing
            .into_iter()
            .map(|(tag, _)| tag)
            .zip(leased.minted.into_iter().map(|f| token_of(Some(f))))
            .collect();
        let token = |tag: &TagKey| {
            let fresh = || minted.iter().find(|(key, _)| key == tag).and_then(|(_, token)| *token);
            reply.token(tag).or_else(fresh)
        };
        let after = after_lease(&leased.standing, hold.token, class.expected(), token);
        if after == AfterLease::Load {
            let taken: Option<Vec<Taken>> =
                wanted.tags.iter().map(|tag| Some(Taken { tag: tag.clone(), token: token(tag)? })).collect();
            // A tag whose key holds no token cannot guard an entry: treat the tier as unable to fill.
            return taken.map(|taken| Attempt::Held(hold, taken)).ok_or(Fault::Refused);
        }
        hold.settle();
        Ok(match after {
            AfterLease::Serve(entry) => match self.local_copy(class, &entry) {
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
        if let Some(copy) = self.local_copy(class, entry) {
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
        let loaded = self.load(class, load).await?;
        let unstored = Brought { value: loaded.value.clone(), source: loaded.unstored(), good_until };
        if loaded.is_spoiled {
            // Dropping the hold gives up the lease: readers of other instances try for themselves.
            return Ok(unstored);
        }
        let value = loaded.value;
        let Some(ttl) = class.policy.residence(value.is_none(), rand::random()) else { return Ok(unstored) };
        let payload = match &value {
            None => None,
            Some(value) => match class.encode(value) {
                Some(payload) => Some(Bytes::from(payload)),
                None => return Ok(unstored),
            },
        };
        let header = Header {
            codec: class.coder.id(),
            class_version: class.version,
            loaded_at_millis,
            ttl_millis: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            tags,
        };
        let entry = Entry { fill: Token::random(), header, payload };
        let stored = match shared.remote.fill(&wanted.key, hold.token, entry.encode(), ttl).await {
            Ok(stored) => {
                hold.settle();
                if !stored {
                    count(&class.common.counters.fills_refused);
                } else if !self.rules.keep(Rule::FillerInsertsNothing) {
                    self.insert_unfenced(class, &wanted.key, &entry);
                }
                stored
            }
            // Whether it arrived is unknown: dropping the hold gives up a lease that may still stand.
            Err(fault) => {
                shared.note(fault);
                false
            }
        };
        Ok(Brought { value, source: Source::Load { stored }, good_until })
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

    fn alarm(&self, broken: &dyn std::fmt::Display) {
        count(&self.common.counters.broken_frames);
        tracing::warn!(class = self.name, %broken, "a value in Redis is no entry of this class, loading anew");
    }
}

fn token_of(frame: Option<Bytes>) -> Option<Token> {
    match Frame::parse(&frame?) {
        Ok(Frame::Tag(token)) => Some(token),
        _ => None,
    }
}
