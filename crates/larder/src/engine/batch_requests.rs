//! What the reads of one batch ask Redis for, until it is sent, and the loads that they ask for.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::oneshot;

use crate::engine::SharedTier;
use crate::engine::budget::spend;
use crate::engine::call::{BatchPlaces, Loading};
use crate::loaded::AnyPrevious;
use crate::protocol::tag::TagKey;
use crate::protocol::token::Token;
use crate::remote::{Fault, FrameReply, Mint, Remote};

tokio::task_local! {
    /// What the reads of the batch that this task runs ask for.
    pub(super) static BATCH: Arc<BatchRequests>;
}

/// What the reads of one batch ask for, until it is sent. Only the task of the batch uses it; the locks and the
/// atomic make its future `Send`, so relaxed order is enough. Each lock is held to add or to take, never across an await.
#[derive(Default)]
pub(super) struct BatchRequests {
    asked: Mutex<VecDeque<Request>>,
    loads: Mutex<Vec<LoadRequest>>,
    /// What its loads may do at the same time.
    places: Arc<BatchPlaces>,
    looking: Mutex<LookingReads>,
    /// Whether the read that is polled now waits for a reply of Redis.
    is_asking: AtomicBool,
}

/// How many reads of the batch are looking for their entries; see [`Looking`].
#[derive(Default)]
struct LookingReads {
    for_the_first_time: usize,
    /// Again, since before the first of the loads that wait to begin.
    since_before_loads: usize,
    /// Again, since then; or if there are no such loads.
    since_then: usize,
    /// How often loads were asked for.
    loads: usize,
    is_load_asked: bool,
}

/// Requests that one round trip answers.
pub(super) enum Requests {
    Reads(Vec<ReadRequest>),
    Anchors(Vec<AnchorRequest>),
    Frames(Vec<FrameRequest>),
}

impl Requests {
    pub(super) fn len(&self) -> usize {
        match self {
            Requests::Reads(requests) => requests.len(),
            Requests::Anchors(requests) => requests.len(),
            Requests::Frames(requests) => requests.len(),
        }
    }
}

/// A request to Redis.
enum Request {
    Read(ReadRequest),
    Anchor(AnchorRequest),
    Frame(FrameRequest),
}

impl Request {
    /// Whether its read was dropped.
    fn has_left(&self) -> bool {
        match self {
            Request::Read(request) => request.reply.is_closed(),
            Request::Anchor(request) => request.reply.is_closed(),
            Request::Frame(request) => request.reply.is_closed(),
        }
    }
}

type AnchorReply = (Vec<Option<Bytes>>, Option<Duration>);

pub(super) struct ReadRequest {
    keys: Vec<Bytes>,
    reply: oneshot::Sender<Result<Vec<Option<Bytes>>, Fault>>,
}

pub(super) struct AnchorRequest {
    keys: Vec<Bytes>,
    reply: oneshot::Sender<Result<AnchorReply, Fault>>,
}

pub(super) struct FrameRequest {
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

pub(super) struct LoadRequest {
    pub(super) load: BatchLoad,
    pub(super) reply: oneshot::Sender<Loading>,
}

/// A load of one key of a batch, which is to begin.
pub(crate) struct BatchLoad {
    /// The key's place in the batch.
    pub(crate) nth: usize,
    /// The value that the load is to replace, if an entry has aged.
    pub(crate) previous: Option<AnyPrevious>,
}

/// A read of the batch that goes on as soon as Redis replies. It ends looking when it has its answer, asks for a load, or
/// waits for a load of another read or instance. After such a wait it may look again.
pub(super) struct Looking {
    batch: Arc<BatchRequests>,
    /// How often loads had been asked for; `None` if it looks for the first time.
    again: Option<usize>,
}

impl Drop for Looking {
    fn drop(&mut self) {
        let mut looking = lock(&self.batch.looking);
        match self.again {
            None => looking.for_the_first_time -= 1,
            Some(loads) if loads < looking.loads => looking.since_before_loads -= 1,
            Some(_) => looking.since_then -= 1,
        }
    }
}

impl BatchRequests {
    /// A read that begins.
    pub(super) fn look(self: &Arc<Self>) -> Looking {
        lock(&self.looking).for_the_first_time += 1;
        Looking { batch: self.clone(), again: None }
    }

    fn look_again(self: &Arc<Self>) -> Looking {
        let mut looking = lock(&self.looking);
        looking.since_then += 1;
        Looking { batch: self.clone(), again: Some(looking.loads) }
    }

    pub(super) fn is_any_looking_for_the_first_time(&self) -> bool {
        lock(&self.looking).for_the_first_time > 0
    }

    /// Runs a read of the batch.
    pub(super) async fn run<T>(
        self: &Arc<Self>,
        mut read: Pin<&mut impl Future<Output = T>>,
        looking: Looking,
    ) -> T {
        let mut looking = Some(looking);
        poll_fn(|context| {
            self.is_asking.store(false, Ordering::Relaxed);
            let polled = read.as_mut().poll(context);
            match polled.is_pending() && self.is_asking.load(Ordering::Relaxed) {
                true if looking.is_none() => looking = Some(self.look_again()),
                true => {}
                false => looking = None,
            }
            polled
        })
        .await
    }

    /// The first requests that were not sent, at most so many, by their kind.
    pub(super) fn take_requests(&self, most: usize) -> impl Iterator<Item = Requests> {
        let mut asked = lock(&self.asked);
        // A read that has left gets no reply. It has released its lease already, so a lease that is requested now would
        // have no owner.
        asked.retain(|request| !request.has_left());
        let taken = most.min(asked.len());
        let (mut reads, mut anchors, mut frames) = (Vec::new(), Vec::new(), Vec::new());
        for request in asked.drain(..taken) {
            match request {
                Request::Read(request) => reads.push(request),
                Request::Anchor(request) => anchors.push(request),
                Request::Frame(request) => frames.push(request),
            }
        }
        let requests = [Requests::Reads(reads), Requests::Anchors(anchors), Requests::Frames(frames)];
        requests.into_iter().filter(|requests| requests.len() > 0)
    }

    /// The loads that are to begin. They wait for the reads that look again when the first of them is asked for, and not for
    /// those that do so later: what another load has just given up is loaded by the same call of the loader, and reads that
    /// look again and again, because another load goes on, delay no load.
    pub(super) fn take_loads(&self) -> Vec<LoadRequest> {
        let mut looking = lock(&self.looking);
        if looking.since_before_loads > 0 {
            return Vec::new();
        }
        looking.is_load_asked = false;
        std::mem::take(&mut *lock(&self.loads))
    }

    /// Adds a request, and waits for its reply.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, Fault>>) -> Request,
    ) -> Result<T, Fault> {
        let (reply, mut replied) = oneshot::channel();
        lock(&self.asked).push_back(request(reply));
        poll_fn(|context| {
            let polled = Pin::new(&mut replied).poll(context);
            self.is_asking.store(polled.is_pending(), Ordering::Relaxed);
            // A request is dropped without a reply only together with the read that waits here.
            polled.map(|replied| replied.unwrap_or(Err(Fault::Refused)))
        })
        .await
    }

    /// The loading of one key, which the loader's next call begins.
    pub(super) fn loading(&self, load: BatchLoad) -> Loading {
        let (reply, loading) = Loading::awaited(&self.places);
        lock(&self.loads).push(LoadRequest { load, reply });
        let mut looking = lock(&self.looking);
        if !looking.is_load_asked {
            (looking.since_before_loads, looking.since_then) = (looking.since_then, 0);
            (looking.loads, looking.is_load_asked) = (looking.loads + 1, true);
        }
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
        batch.ask(|reply| Request::Read(ReadRequest { keys: keys.to_vec(), reply })).await
    }

    pub(super) async fn read_anchor(&self, keys: &[Bytes]) -> Result<AnchorReply, Fault> {
        let Ok(batch) = BATCH.try_with(Arc::clone) else {
            return spend(self.remote.read_anchor(keys)).await;
        };
        batch.ask(|reply| Request::Anchor(AnchorRequest { keys: keys.to_vec(), reply })).await
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
    batch.ask(|reply| Request::Frame(FrameRequest { key, frame, replace, mint, reply })).await
}

/// Sends the requests in one round trip, and distributes the replies.
pub(super) async fn send(remote: &dyn Remote, requests: Requests) {
    match requests {
        Requests::Reads(requests) => read_together(remote, requests).await,
        Requests::Frames(requests) => set_together(remote, requests).await,
        Requests::Anchors(requests) => {
            // Each is queued on the one connection before the first one is answered.
            let read = async |AnchorRequest { keys, reply }| {
                let _ = reply.send(spend(remote.read_anchor(&keys)).await);
            };
            join_all(requests.into_iter().map(read)).await;
        }
    }
}

/// Reads the keys of all requests by one tracked read. The tags that entries share are read once.
async fn read_together(remote: &dyn Remote, requests: Vec<ReadRequest>) {
    let (mut keys, mut places) = (Vec::new(), HashMap::new());
    for key in requests.iter().flat_map(|request| &request.keys) {
        places.entry(key.clone()).or_insert_with(|| {
            keys.push(key.clone());
            keys.len() - 1
        });
    }
    let values = spend(async { Ok(remote.read_each(&keys).await) }).await;
    for ReadRequest { keys, reply } in requests {
        let value = |key| match &values {
            Ok(values) => values.get(places[key]).cloned().unwrap_or(Ok(None)),
            Err(fault) => Err(*fault),
        };
        // An error means that the read was dropped meanwhile, here and below.
        let _ = reply.send(keys.iter().map(value).collect());
    }
}

/// Sets the frames of all requests in one round trip. If several of them set a token for the same tag, it is set once: it is in
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn what_a_read_asked_for_that_has_left_is_not_sent() {
        let batch = BatchRequests::default();
        let ask = |key| {
            let keys = vec![Bytes::from_static(key)];
            Box::pin(batch.ask(move |reply| Request::Read(ReadRequest { keys, reply })))
        };
        let (mut left, mut stays) = (ask(b"left"), ask(b"stays"));
        assert!((&mut left).now_or_never().is_none() && (&mut stays).now_or_never().is_none());
        drop(left);
        let sent: Vec<Requests> = batch.take_requests(10).collect();
        let [Requests::Reads(reads)] = &sent[..] else { panic!("one kind of requests") };
        assert_eq!(reads.iter().map(|read| &read.keys[0][..]).collect::<Vec<_>>(), [b"stays"]);
    }
}
