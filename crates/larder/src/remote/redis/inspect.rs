//! Inspection of Redis: on untracked connections of its own, dialled on demand, so that no push and no reply on the
//! tracked connection waits for an inspection.
//!
//! Invariants:
//! - `never_more_connections_than_places`: the number of open untracked connections is at most the size of the pool.
//! - `a_cancelled_question_leaves_no_reply_behind`: a connection is kept only if every question on it has received its
//!   reply.

use std::future::Future;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use deadpool::Runtime;
use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult};
use redis::RedisResult;

use crate::error::Error;
use crate::remote::redis::RedisTier;
use crate::remote::redis::link::Connection;
use crate::remote::redis::transport::{Transport, Untracked};
use crate::remote::redis::trouble::{DialError, fault};
use crate::remote::{Fault, Inspect, InspectedFrame};

/// The pool of untracked connections; a clone is the same pool.
#[derive(Clone)]
pub(crate) struct UntrackedPool {
    places: Pool<Transport>,
}

/// A place for one connection, used by one question at a time. It is empty while a question waits for its reply on the
/// connection, and after the connection was lost.
pub(crate) struct UntrackedSlot(Option<Untracked>);

impl UntrackedPool {
    /// Creates a pool of `size` places. A question waits at most `wait` for a free place.
    pub(crate) fn new(transport: Transport, size: u32, wait: Duration) -> Result<Self, Error> {
        let places = Pool::builder(transport)
            .max_size(size as usize)
            // Last in, first out: the connection that idled least is the least likely to be broken.
            .queue_mode(QueueMode::Lifo)
            .wait_timeout(Some(wait))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::config_because("the untracked connections".to_owned(), error))?;
        Ok(UntrackedPool { places })
    }

    /// Sends `question`: waits for a place, and dials if the place is empty. Each round trip has the operation's
    /// time-out. If an idle connection broke since its last question, this dials a new one and repeats the question
    /// once.
    pub(crate) async fn ask<T, F>(&self, question: impl Fn(Connection) -> F) -> Result<T, Fault>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let mut place = self.places.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error.fault(),
            _ => Fault::Away,
        })?;
        let is_new = Object::metrics(&place).recycle_count == 0;
        match place.ask(&question).await {
            Err(Fault::Away) if !is_new => {
                // The new connection takes this place: other idle connections may have broken too, and a question never
                // waits for a second place.
                *place = self.places.manager().create().await.map_err(DialError::fault)?;
                place.ask(&question).await
            }
            answer => answer,
        }
    }
}

impl UntrackedSlot {
    async fn ask<T, F>(&mut self, question: impl FnOnce(Connection) -> F) -> Result<T, Fault>
    where
        F: Future<Output = RedisResult<T>>,
    {
        // The connection is taken out of the place, so that it closes if the question is cancelled or gets no reply in
        // time. If it stayed, the next question would have to wait for the late reply.
        let connection = self.0.take().ok_or(Fault::Away)?;
        let answer = question(connection.connection.clone()).await.map_err(fault);
        if !matches!(answer, Err(Fault::Away)) {
            self.0 = Some(connection);
        }
        answer
    }
}

impl Manager for Transport {
    type Type = UntrackedSlot;
    type Error = DialError;

    async fn create(&self) -> Result<UntrackedSlot, DialError> {
        Ok(UntrackedSlot(Some(self.dial_untracked().await?)))
    }

    async fn recycle(&self, place: &mut UntrackedSlot, _: &Metrics) -> RecycleResult<DialError> {
        match place.0 {
            Some(_) => Ok(()),
            None => Err(RecycleError::message("its connection was lost")),
        }
    }
}

#[async_trait]
impl Inspect for RedisTier {
    async fn about(&self) -> Result<(String, Duration), Fault> {
        let ask = |mut connection: Connection| async move {
            let began = Instant::now();
            redis::cmd("PING").exec_async(&mut connection).await?;
            let latency = began.elapsed();
            let info: String = redis::cmd("INFO").query_async(&mut connection).await?;
            Ok((info, latency))
        };
        self.untracked_pool.ask(ask).await
    }

    async fn scan(&self, pattern: &str, cursor: u64, count: usize) -> Result<(u64, Vec<Bytes>), Fault> {
        let prefix = self.prefix();
        let pattern = &prefix.add_to(pattern.as_bytes());
        let ask = |mut connection: Connection| async move {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern[..]).arg("COUNT").arg(count);
            scan.query_async(&mut connection).await
        };
        let (next, keys): (u64, Vec<Bytes>) = self.untracked_pool.ask(ask).await?;
        Ok((next, keys.iter().filter_map(|key| prefix.strip_from(key)).collect()))
    }

    async fn exist(&self, keys: &[Bytes]) -> Result<Vec<bool>, Fault> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let keys = &self.prefix().add_to_all(keys);
        let ask = |mut connection: Connection| async move {
            let mut pipe = redis::pipe();
            keys.iter().for_each(|key| {
                pipe.cmd("EXISTS").arg(&key[..]);
            });
            pipe.query_async(&mut connection).await
        };
        self.untracked_pool.ask(ask).await
    }

    async fn look(&self, keys: &[Bytes]) -> Result<Vec<Option<InspectedFrame>>, Fault> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let keys = &self.prefix().add_to_all(keys);
        let ask = |mut connection: Connection| async move {
            let mut pipe = redis::pipe();
            for key in keys {
                // MGET returns nil for a value of another type. GET would return an error and fail the entire pipeline.
                pipe.cmd("MGET").arg(&key[..]).cmd("PTTL").arg(&key[..]);
            }
            let answers: Vec<redis::Value> = pipe.query_async(&mut connection).await?;
            let mut frames = Vec::with_capacity(keys.len());
            for answer in answers.chunks_exact(2) {
                let [frame]: [Option<Bytes>; 1] = redis::from_redis_value(answer[0].clone())?;
                let left: i64 = redis::from_redis_value(answer[1].clone())?;
                let left = u64::try_from(left).ok().map(Duration::from_millis);
                frames.push(frame.map(|frame| InspectedFrame { frame, left }));
            }
            Ok(frames)
        };
        self.untracked_pool.ask(ask).await
    }
}
