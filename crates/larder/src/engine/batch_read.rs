//! Reads of several keys that share their round trips and their load.
//!
//! Each key is read like any other, by the same code: with a flight, a lease, a fence and a fill of its own. The reads of
//! a batch run in one task. As soon as none of them can go on, what they ask for is sent together: their tracked reads
//! as one MGET, their leases in one round trip. The reads of a long batch begin in parts, each after the round trips of
//! the part before it. After the last part, the loads of all parts are one call of the loader.
//!
//! Invariant, checked by the test of the same name:
//! - `a_batch_is_loaded_after_all_its_leases_were_taken`: the loader is called after each of its keys has what voids
//!   its fill: a lease, an anchor or an attached flight.

use std::collections::HashMap;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::oneshot;
use tokio::task::{unconstrained, yield_now};

use crate::engine::budget::spend;
use crate::engine::call::{Loading, READS_AT_ONCE};
use crate::engine::read::{ReadOptions, ReadOutcome};
use crate::engine::{ClassCore, Engine, Found, SharedTier, Tags};
use crate::error::Error;
use crate::key::KeyBuf;
use crate::loaded::AnyPrevious;
use crate::protocol::tag::TagKey;
use crate::protocol::token::Token;
use crate::remote::{Fault, FrameReply, Mint, Remote};

tokio::task_local! {
    /// What the reads of the batch that this task runs ask for.
    static BATCH: Arc<BatchRequests>;
}

/// What the reads of one batch ask for, until it is sent. Only the task of the batch uses it; the locks make its future
/// `Send`. Each is held to add or to take requests, never across an await.
#[derive(Default)]
struct BatchRequests {
    asked: Mutex<Requests>,
    loads: Mutex<Vec<LoadRequest>>,
}

/// Requests to Redis.
#[derive(Default)]
struct Requests {
    reads: Vec<ReadRequest>,
    anchors: Vec<AnchorRequest>,
    frames: Vec<FrameRequest>,
}

impl Requests {
    fn is_empty(&self) -> bool {
        self.reads.is_empty() && self.anchors.is_empty() && self.frames.is_empty()
    }
}

type AnchorReply = (Vec<Option<Bytes>>, Option<Duration>);

struct ReadRequest {
    keys: Vec<Bytes>,
    reply: oneshot::Sender<Result<Vec<Option<Bytes>>, Fault>>,
}

struct AnchorRequest {
    keys: Vec<Bytes>,
    reply: oneshot::Sender<Result<AnchorReply, Fault>>,
}

struct FrameRequest {
    key: Bytes,
    frame: RequestedFrame,
    replace: Option<Bytes>,
    mint: Mint,
    reply: oneshot::Sender<Result<FrameReply, Fault>>,
}

enum RequestedFrame {
    Lease(Token),
    Other(Bytes, Duration),
}

struct LoadRequest {
    load: BatchLoad,
    reply: oneshot::Sender<Loading>,
}

/// A load of one key of a batch, which is to begin.
pub(crate) struct BatchLoad {
    /// The key's place in the batch.
    pub(crate) nth: usize,
    /// The value that the load is to replace, if an entry has aged.
    pub(crate) previous: Option<AnyPrevious>,
}

impl BatchRequests {
    fn take_requests(&self) -> Requests {
        std::mem::take(&mut *lock(&self.asked))
    }

    fn take_loads(&self) -> Vec<LoadRequest> {
        std::mem::take(&mut *lock(&self.loads))
    }

    /// Adds a request, and waits for its reply.
    async fn ask<T>(
        &self,
        add: impl FnOnce(&mut Requests, oneshot::Sender<Result<T, Fault>>),
    ) -> Result<T, Fault> {
        let (reply, replied) = oneshot::channel();
        add(&mut lock(&self.asked), reply);
        // A request is dropped without a reply only together with the read that waits here.
        replied.await.unwrap_or(Err(Fault::Refused))
    }

    /// The loading of one key, which the loader's next call begins.
    fn loading(&self, load: BatchLoad) -> Loading {
        let (reply, loading) = Loading::awaited();
        lock(&self.loads).push(LoadRequest { load, reply });
        loading
    }
}

fn lock<T>(requests: &Mutex<T>) -> MutexGuard<'_, T> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As the methods of [`Remote`] with these names, on the request's budget. The reads of one batch send them together.
impl SharedTier {
    pub(super) async fn read(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Fault> {
        let Ok(batch) = BATCH.try_with(Arc::clone) else { return spend(self.remote.read(keys)).await };
        batch.ask(|asked, reply| asked.reads.push(ReadRequest { keys: keys.to_vec(), reply })).await
    }

    pub(super) async fn read_anchor(&self, keys: &[Bytes]) -> Result<AnchorReply, Fault> {
        let Ok(batch) = BATCH.try_with(Arc::clone) else {
            return spend(self.remote.read_anchor(keys)).await;
        };
        batch.ask(|asked, reply| asked.anchors.push(AnchorRequest { keys: keys.to_vec(), reply })).await
    }

    pub(super) async fn lease(
        &self,
        key: &Bytes,
        token: Token,
        replace: Option<&Bytes>,
        mint: &Mint,
    ) -> Result<FrameReply, Fault> {
        let Ok(batch) = BATCH.try_with(Arc::clone) else {
            return spend(self.remote.lease(key, token, replace, mint)).await;
        };
        ask_frame(&batch, key, RequestedFrame::Lease(token), replace, mint).await
    }

    pub(super) async fn set_frame(
        &self,
        key: &Bytes,
        frame: Bytes,
        life: Duration,
        replace: Option<&Bytes>,
        mint: &Mint,
    ) -> Result<FrameReply, Fault> {
        let Ok(batch) = BATCH.try_with(Arc::clone) else {
            return spend(self.remote.set_frame(key, frame, life, replace, mint)).await;
        };
        ask_frame(&batch, key, RequestedFrame::Other(frame, life), replace, mint).await
    }
}

async fn ask_frame(
    batch: &BatchRequests,
    key: &Bytes,
    frame: RequestedFrame,
    replace: Option<&Bytes>,
    mint: &Mint,
) -> Result<FrameReply, Fault> {
    let (key, replace) = (key.clone(), replace.cloned());
    let mint = Mint { tags: mint.tags.clone(), ttl: mint.ttl };
    batch.ask(|asked, reply| asked.frames.push(FrameRequest { key, frame, replace, mint, reply })).await
}

impl Engine {
    /// Reads `keys`, which differ, and returns the answers in their order. `begin_loads` gets the loads that are to begin
    /// now, and returns a loading for each. It is called again for keys that another flight or instance was loading, if
    /// that load gave no answer.
    pub(crate) async fn read_batch(
        self: &Arc<Self>,
        class: &Arc<ClassCore>,
        keys: &[KeyBuf],
        tags: impl Fn(usize) -> Tags,
        options: ReadOptions,
        mut begin_loads: impl FnMut(Vec<BatchLoad>) -> Vec<Loading>,
    ) -> Vec<Result<ReadOutcome, Error>> {
        let mut answers: Vec<_> = Vec::with_capacity(keys.len());
        let mut aged: Vec<Option<Found>> = Vec::with_capacity(keys.len());
        for part in keys.chunks(READS_AT_ONCE) {
            if !answers.is_empty() {
                yield_now().await;
            }
            for key in part {
                let (answer, found) = match self.hit(class, key, options) {
                    Ok(hit) => (Some(Ok(hit)), None),
                    Err(aged) => (None, aged),
                };
                answers.push(answer);
                aged.push(found);
            }
        }

        let (batch, tags) = (Arc::<BatchRequests>::default(), &tags);
        let mut read = |nth: usize| {
            let (batch, aged) = (&batch, aged[nth].take());
            async move {
                let begin_load = |previous| batch.loading(BatchLoad { nth, previous });
                (nth, self.complete(class, (&keys[nth], aged), || tags(nth), options, begin_load).await)
            }
        };
        let missing: Vec<usize> = (0..keys.len()).filter(|nth| answers[*nth].is_none()).collect();
        let mut parts = missing.chunks(READS_AT_ONCE);
        let mut reads: FuturesUnordered<_> =
            parts.next().into_iter().flatten().copied().map(&mut read).collect();
        let mut trips = FuturesUnordered::new();
        let step = |context: &mut Context<'_>| {
            let mut ended = 0;
            loop {
                while let Poll::Ready(Some((nth, answer))) = reads.poll_next_unpin(context) {
                    answers[nth] = Some(answer);
                    ended += 1;
                    if ended == READS_AT_ONCE {
                        return pause(context);
                    }
                }
                // Now each read waits: for a request, or for another flight, instance or load.
                let is_answered = matches!(trips.poll_next_unpin(context), Poll::Ready(Some(())));
                let asked = batch.take_requests();
                let has_asked = !asked.is_empty();
                if let Some(shared) = self.shared.as_ref().filter(|_| has_asked) {
                    trips.push(send(&*shared.remote, asked));
                }
                if has_asked || is_answered {
                    continue;
                }
                // The loads begin together: not before all requests are answered, because a read that asks again may
                // load too, and not before the reads of all parts have begun. A read that has its answer may have asked
                // for a load that refreshes the entry, so this comes before the end.
                if !trips.is_empty() && !reads.is_empty() {
                    return Poll::Pending;
                }
                if let Some(part) = parts.next() {
                    reads.extend(part.iter().copied().map(&mut read));
                    return pause(context);
                }
                let loads = batch.take_loads();
                if loads.is_empty() {
                    return if reads.is_empty() { Poll::Ready(()) } else { Poll::Pending };
                }
                begin_together(loads, &mut begin_loads);
            }
        };
        // Unconstrained: tokio's budget would let only 128 reads go on at a time, and what they ask for would be sent in
        // as many parts. `READS_AT_ONCE` are few enough for one poll.
        BATCH.scope(batch.clone(), unconstrained(poll_fn(step))).await;
        answers.into_iter().flatten().collect()
    }
}

/// Lets other tasks run before this one goes on.
fn pause(context: &Context<'_>) -> Poll<()> {
    context.waker().wake_by_ref();
    Poll::Pending
}

/// Begins the loads by one call of `begin_loads`, and distributes the loadings.
fn begin_together(loads: Vec<LoadRequest>, begin_loads: &mut impl FnMut(Vec<BatchLoad>) -> Vec<Loading>) {
    let split = loads.into_iter().map(|LoadRequest { load, reply }| (load, reply));
    let (loads, replies): (Vec<_>, Vec<_>) = split.unzip();
    // The flights of a closure that panics get a panic. If the batch is dropped instead, they have no
    // outcome, because no load has failed.
    let begun = catch_unwind(AssertUnwindSafe(|| begin_loads(loads)));
    let (loadings, panic) = match begun {
        Ok(loadings) => (loadings, None),
        Err(panic) => (Loading::panicked(replies.len()), Some(panic)),
    };
    for (reply, loading) in replies.into_iter().zip(loadings) {
        // An error means that the load was given up meanwhile.
        let _ = reply.send(loading);
    }
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

/// Sends the requests in one round trip, and distributes the replies.
async fn send(remote: &dyn Remote, Requests { reads, anchors, frames }: Requests) {
    // Each operation is queued on the one connection before the first one is answered.
    tokio::join!(
        read_together(remote, reads),
        join_all(anchors.into_iter().map(async |AnchorRequest { keys, reply }| {
            let _ = reply.send(spend(remote.read_anchor(&keys)).await);
        })),
        set_together(remote, frames),
    );
}

/// Reads the keys of all requests by one tracked read. The tags that entries share are read once.
async fn read_together(remote: &dyn Remote, requests: Vec<ReadRequest>) {
    if requests.is_empty() {
        return;
    }
    let (mut keys, mut places) = (Vec::new(), HashMap::new());
    for key in requests.iter().flat_map(|request| &request.keys) {
        places.entry(key.clone()).or_insert_with(|| {
            keys.push(key.clone());
            keys.len() - 1
        });
    }
    let values = spend(remote.read(&keys)).await;
    for ReadRequest { keys, reply } in requests {
        let value = |values: &Vec<Option<Bytes>>, key| values.get(places[key]).cloned().flatten();
        let values = values.as_ref().map(|values| keys.iter().map(|key| value(values, key)).collect());
        // An error means that the read was dropped meanwhile, here and below.
        let _ = reply.send(values.map_err(|fault| *fault));
    }
}

/// Sets the frames of all requests in one round trip. A tag that several of them mint is minted once: its token is in
/// Redis before any of the replies is distributed, and so before any load begins.
async fn set_together(remote: &dyn Remote, requests: Vec<FrameRequest>) {
    let (mut minted, mut mints) = (HashMap::new(), Vec::new());
    for FrameRequest { mint, .. } in &requests {
        let own = mint.tags.iter().filter(|(tag, _)| !minted.contains_key(tag)).cloned();
        let own = Mint { tags: own.collect(), ttl: mint.ttl };
        minted.extend(own.tags.iter().map(|(tag, _)| (tag.clone(), None)));
        mints.push(own);
    }
    let set = async |(request, mint): (&FrameRequest, &Mint)| {
        let FrameRequest { key, frame, replace, .. } = request;
        match frame {
            RequestedFrame::Lease(token) => spend(remote.lease(key, *token, replace.as_ref(), mint)).await,
            RequestedFrame::Other(frame, life) => {
                spend(remote.set_frame(key, frame.clone(), *life, replace.as_ref(), mint)).await
            }
        }
    };
    let replies = join_all(requests.iter().zip(&mints).map(set)).await;
    for (mint, reply) in mints.iter().zip(&replies) {
        if let Ok(reply) = reply {
            let tokens = mint.tags.iter().zip(&reply.minted);
            minted.extend(tokens.map(|((tag, _), frame)| (tag.clone(), Some(frame.clone()))));
        }
    }
    for (request, reply) in requests.into_iter().zip(replies) {
        let token = |(tag, _): &(TagKey, Token)| minted.get(tag).cloned().flatten();
        // If a tag was not minted, an invalidation of it could not make the entry invalid: the read goes on without
        // Redis.
        let tokens = request.mint.tags.iter().map(token).collect::<Option<Vec<Bytes>>>();
        let reply = reply.and_then(|reply| {
            tokens.map(|minted| FrameReply { existing: reply.existing, minted }).ok_or(Fault::Refused)
        });
        let _ = request.reply.send(reply);
    }
}
