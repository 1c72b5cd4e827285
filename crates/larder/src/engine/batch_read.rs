//! Reads of several keys that share their round trips and their load.
//!
//! Each key is read like any other, by the same code: with a flight, a lease, a fence and a fill of its own. The reads of
//! a batch run in one task. As soon as none of them can go on, what they ask for is sent together: their tracked reads
//! as one MGET, their leases in one round trip. The reads of a long batch begin in parts. Each part begins, and after the
//! last part the loads of all parts begin as one call of the loader, once each read so far has its answer, asks for a load
//! or waits for one that is under way elsewhere.
//!
//! Invariant, checked by the test of the same name:
//! - `a_batch_is_loaded_after_all_its_leases_were_taken`: the loader is called after each of its keys has what voids
//!   its fill: a lease, an anchor or an attached flight.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::task::{unconstrained, yield_now};

use crate::engine::batch_requests::{BATCH, BatchLoad, BatchRequests, LoadRequest, send};
use crate::engine::call::{Loading, READS_AT_ONCE};
use crate::engine::read::{ReadOptions, ReadOutcome};
use crate::engine::{ClassCore, Engine, Found, Tags};
use crate::error::Error;
use crate::key::KeyBuf;

/// The answers from memory, and the copies that may answer and are to be refreshed.
type Hits = (Vec<Option<Result<ReadOutcome, Error>>>, Vec<Option<Found>>);

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
        let (mut answers, mut aged) = self.hits(class, keys, options).await;
        let (batch, tags) = (Arc::<BatchRequests>::default(), &tags);
        let mut read = |nth: usize| {
            let (batch, looking, aged) = (&batch, batch.look(), aged[nth].take());
            async move {
                let begin_load = |previous| batch.loading(BatchLoad { nth, previous });
                let read = self.complete(class, (&keys[nth], aged), || tags(nth), options, begin_load);
                (nth, batch.run(pin!(read), looking).await)
            }
        };
        let missing: Vec<usize> = (0..keys.len()).filter(|nth| answers[*nth].is_none()).collect();
        let mut parts = missing.chunks(READS_AT_ONCE);
        let mut reads: FuturesUnordered<_> =
            parts.next().into_iter().flatten().copied().map(&mut read).collect();
        // How many requests are under way: few, so that one batch does not delay other reads on the Redis connection.
        let (mut trips, mut under_way) = (FuturesUnordered::new(), 0);
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
                let answered = match trips.poll_next_unpin(context) {
                    Poll::Ready(answered) => answered.unwrap_or(0),
                    Poll::Pending => 0,
                };
                under_way -= answered;
                let asked = batch.take_requests(READS_AT_ONCE - under_way);
                let mut has_sent = false;
                if let Some(shared) = &self.shared {
                    for requests in asked {
                        let number = requests.len();
                        (under_way, has_sent) = (under_way + number, true);
                        let sending = send(&*shared.remote, requests);
                        trips.push(sending.map(move |()| number));
                    }
                }
                if has_sent || answered > 0 {
                    continue;
                }
                // A read that waits for a load of another instance looks again and again. No part waits for it, and few
                // loads do: two batches that each load half of the same keys would delay each other.
                if batch.is_any_looking_for_the_first_time() {
                    return Poll::Pending;
                }
                if let Some(part) = parts.next() {
                    reads.extend(part.iter().copied().map(&mut read));
                    return pause(context);
                }
                // A read that has its answer may have asked for a load that refreshes the entry, so this comes before
                // the end.
                let loads = batch.take_loads();
                if loads.is_empty() {
                    return if reads.is_empty() { Poll::Ready(()) } else { Poll::Pending };
                }
                begin_together(loads, &mut begin_loads);
            }
        };
        // Unconstrained: tokio's budget would let only 128 reads go on at a time, and what they ask for would be sent in
        // as many parts. `READS_AT_ONCE` reads begin in one poll; those that look again after the same wait go on in one.
        BATCH.scope(batch.clone(), unconstrained(poll_fn(step))).await;
        answers.into_iter().flatten().collect()
    }

    /// Answers from memory, as [`Engine::hit`] does. Other tasks run after each part.
    async fn hits(&self, class: &ClassCore, keys: &[KeyBuf], options: ReadOptions) -> Hits {
        let (mut answers, mut aged) = (Vec::with_capacity(keys.len()), Vec::with_capacity(keys.len()));
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
        (answers, aged)
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
