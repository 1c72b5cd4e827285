//! Sends reads that are asked for at the same time together, at most [`READS_MAX`] with at most [`KEYS_MAX`] keys: one `MGET`
//! with each of their keys once, and one `INFO`. A read that is alone sends its own, without the detour through a task.
//!
//! A read needs the `INFO` because it counts only if its server is still the master of the granted history. `INFO` costs
//! Redis more than the read of a key, and many reads at once have the tags of their class in common.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redis::{FromRedisValue, Value};
use tokio::select;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, yield_now};

use crate::remote::Fault;
use crate::remote::redis::commands::mget;
use crate::remote::redis::connection::ConnectionSlot;
use crate::remote::redis::evidence::{Evidence, Marks, ReadReply};
use crate::remote::redis::leader;
use crate::remote::redis::link::Connection;
use crate::remote::redis::prefix::{Prefix, Prefixes};
use crate::remote::redis::redis_id::Replication;
use crate::remote::redis::trouble::fault;

/// The most reads that go together. All of them wait for the last byte of their common reply, so a long value delays few
/// others.
const READS_MAX: usize = 32;
/// The most keys of reads that go together, counted for each read, so that a read of one key waits for few keys of long
/// batches; and the most keys in one `MGET`, so that no single command blocks Redis for long. A read that has more goes
/// alone, in several `MGET`s: its values may be of several instants, and each is from after the read began.
const KEYS_MAX: usize = 500;

pub(super) struct JointReads {
    source: ReadSource,
    /// How many reads are under way. Relaxed: it guards no other data, and only decides who sends.
    under_way: AtomicUsize,
    /// To the task that sends reads together. The channel takes any number of requests: each belongs to a read that waits.
    requests: UnboundedSender<ReadRequest>,
    task: AbortHandle,
}

/// Where the reads go.
#[derive(Clone)]
pub(super) struct ReadSource {
    connection_slot: Arc<ConnectionSlot>,
    /// The prefix of the marks that a read over REST finds. If it changes while a read is under way, the epoch ends, and the
    /// read does not count.
    prefixes: Arc<Prefixes>,
}

impl ReadSource {
    pub(super) fn new(connection_slot: &Arc<ConnectionSlot>, prefixes: &Arc<Prefixes>) -> Self {
        ReadSource { connection_slot: connection_slot.clone(), prefixes: prefixes.clone() }
    }
}

/// A read under way. Its drop ends it.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct ReadRequest {
    keys: Vec<Bytes>,
    reply: oneshot::Sender<Result<ReadReply, Fault>>,
}

impl JointReads {
    pub(super) fn start(source: ReadSource) -> Self {
        let (requests, received) = mpsc::unbounded_channel();
        let task = tokio::spawn(send_all(received, source.clone())).abort_handle();
        JointReads { source, under_way: AtomicUsize::new(0), requests, task }
    }

    /// Reads the values of `keys`, which are spelled as Redis has them. If the caller leaves, the reads that were sent
    /// together with this one go on.
    pub(super) async fn read(&self, keys: &[Bytes]) -> Result<ReadReply, Fault> {
        let is_alone = self.under_way.fetch_add(1, Ordering::Relaxed) == 0;
        let _under_way = UnderWay(&self.under_way);
        if is_alone {
            return read(keys, &self.source).await;
        }
        let keys = keys.to_vec();
        let (reply, replied) = oneshot::channel();
        // The task ends only with the tier.
        self.requests.send(ReadRequest { keys, reply }).map_err(|_| Fault::Away)?;
        replied.await.unwrap_or(Err(Fault::Away))
    }
}

impl Drop for JointReads {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn send_all(mut received: UnboundedReceiver<ReadRequest>, source: ReadSource) {
    let mut under_way = FuturesUnordered::new();
    loop {
        select! {
            // A reply comes first: reads wait for it.
            biased;
            Some(()) = under_way.next() => {}
            request = received.recv() => {
                let Some(first) = request else { return };
                // Other tasks of this thread that can run go first, and the reads that they ask for go along: when a
                // reply has answered many reads, these are many.
                yield_now().await;
                let mut asked = vec![first];
                while let Ok(request) = received.try_recv() {
                    asked.push(request);
                }
                // Those whose reads have left are not sent: their keys may have a long value.
                asked.retain(|request| !request.reply.is_closed());
                while !asked.is_empty() {
                    let together = asked.drain(..together(asked.iter().map(|request| request.keys.len())));
                    under_way.push(send(together.collect(), source.clone()));
                }
            }
        }
    }
}

/// How many of the first reads go together, of which each has so many keys.
fn together(reads: impl Iterator<Item = usize>) -> usize {
    let sums = reads.scan(0_usize, |sum, keys| {
        *sum += keys;
        Some(*sum)
    });
    sums.take(READS_MAX).take_while(|sum| *sum <= KEYS_MAX).count().max(1)
}

async fn send(asked: Vec<ReadRequest>, source: ReadSource) {
    let (mut keys, mut place_of) = (Vec::new(), HashMap::new());
    for key in asked.iter().flat_map(|request| &request.keys) {
        place_of.entry(key.clone()).or_insert_with(|| {
            keys.push(key.clone());
            keys.len() - 1
        });
    }
    let replied = read(&keys, &source).await;
    for ReadRequest { keys, reply } in asked {
        let replied = replied.as_ref().map_err(|fault| *fault).map(|(values, evidence)| {
            let value = |key| place_of.get(key).and_then(|place| values.get(*place)).cloned().flatten();
            (keys.iter().map(value).collect(), evidence.clone())
        });
        // An error means that the read has left.
        let _ = reply.send(replied);
    }
}

async fn read(keys: &[Bytes], source: &ReadSource) -> Result<ReadReply, Fault> {
    let mut connection = source.connection_slot.get().ok_or(Fault::Away)?;
    if connection.is_rest() {
        return read_over_rest(keys, &mut connection, &source.prefixes.present()).await;
    }
    let mut pipe = redis::pipe();
    // In a Redis Cluster, MGET is for keys of one slot. It is not GET, because that fails for a value of another type.
    let at_once = connection.keys_at_once(KEYS_MAX);
    keys.chunks(at_once).for_each(|keys| mget(&mut pipe, keys));
    pipe.cmd("INFO").arg("replication");
    let mut answers: Vec<Value> = pipe.query_async(&mut connection).await.map_err(fault)?;
    let replication: String = parsed(answers.pop().ok_or(Fault::Refused)?)?;
    let mut values = Vec::with_capacity(keys.len());
    for (asked, answer) in keys.chunks(at_once).zip(answers) {
        let answer: Vec<Option<Bytes>> = parsed(answer)?;
        // MGET returns one value for each key. If a proxy returns another number, none of them can be used.
        if answer.len() != asked.len() {
            return Err(Fault::Refused);
        }
        values.extend(answer);
    }
    Ok((values, Arc::new(Evidence::Replication(Replication::parse(&replication)))))
}

/// Each part of a long read is a step of its own and has marks of its own, and all of them have to count.
async fn read_over_rest(
    keys: &[Bytes],
    connection: &mut Connection,
    prefix: &Prefix,
) -> Result<ReadReply, Fault> {
    let (mut values, mut marks) = (Vec::with_capacity(keys.len()), None);
    for part in keys.chunks(KEYS_MAX) {
        let (answer, found) = leader::read(connection, prefix, part).await.map_err(fault)?;
        if answer.len() != part.len() {
            return Err(Fault::Refused);
        }
        values.extend(answer);
        marks = Some(marks.map_or(found.clone(), |marks: Marks| marks.with(found)));
    }
    let marks = marks.ok_or(Fault::Refused)?;
    Ok((values, Arc::new(Evidence::Marks(marks))))
}

fn parsed<T: FromRedisValue>(answer: Value) -> Result<T, Fault> {
    T::from_redis_value(answer).map_err(|error| fault(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_together_up_to_32_and_up_to_500_keys() {
        let parts = |mut keys: Vec<usize>| {
            let mut parts = Vec::new();
            while !keys.is_empty() {
                parts.push(keys.drain(..together(keys.iter().copied())).count());
            }
            parts
        };
        assert_eq!(parts(vec![2; 70]), [32, 32, 6]);
        assert_eq!(parts(vec![251; 32]), [1; 32], "of batches");
        assert_eq!(parts(vec![250, 250, 1, 600, 1, 1]), [2, 1, 1, 2]);
    }
}
