//! Looking at Redis from outside: on connections of its own, dialled when somebody asks, so that no report and no reply on
//! the tracked one waits for it.
//!
//! Invariants:
//! - `never_more_connections_than_places`;
//! - `a_cancelled_question_leaves_no_reply_behind`: only a connection that owes no reply is kept.

use std::future::Future;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use deadpool::Runtime;
use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult};
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult};

use crate::error::Error;
use crate::remote::redis::connection::Dialler;
use crate::remote::redis::{RedisTier, fault};
use crate::remote::{Fault, Inspect, InspectedFrame};

/// The untracked connections.
pub(crate) struct UntrackedPool {
    places: Pool<Dialler>,
}

/// Room for one connection, used by one question at a time. Empty while a question is open on its connection, and when that
/// one was lost.
pub(crate) struct UntrackedSlot(Option<MultiplexedConnection>);

impl UntrackedPool {
    /// `size` places; who finds none free waits for `wait`.
    pub(crate) fn new(dialler: Dialler, size: u32, wait: Duration) -> Result<Self, Error> {
        let places = Pool::builder(dialler)
            .max_size(size as usize)
            // The one that idled least is the likeliest to be whole.
            .queue_mode(QueueMode::Lifo)
            .wait_timeout(Some(wait))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::config_because("the untracked connections".to_owned(), error))?;
        Ok(UntrackedPool { places })
    }

    /// Asks: waits for a place, then dials if it must, each round trip within the operation's time-out. On a connection that
    /// broke since its last question it asks once more, on a new one.
    async fn ask<T, F>(&self, question: impl Fn(MultiplexedConnection) -> F) -> Result<T, Fault>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let mut place = self.places.get().await.map_err(|error| match error {
            PoolError::Backend(error) => fault(error),
            _ => Fault::Away,
        })?;
        let is_new = Object::metrics(&place).recycle_count == 0;
        match place.ask(&question).await {
            Err(Fault::Away) if !is_new => {
                // In this very place: the other idle ones may have broken too, and nobody waits twice.
                *place = self.places.manager().create().await.map_err(fault)?;
                place.ask(&question).await
            }
            answer => answer,
        }
    }
}

impl UntrackedSlot {
    async fn ask<T, F>(&mut self, question: impl FnOnce(MultiplexedConnection) -> F) -> Result<T, Fault>
    where
        F: Future<Output = RedisResult<T>>,
    {
        // Taken out: a question that is cancelled, or gets no answer in time, closes its connection. A multiplexed one would
        // throw the late reply away, but whoever is next would have to wait for that.
        let connection = self.0.take().ok_or(Fault::Away)?;
        let answer = question(connection.clone()).await.map_err(fault);
        if !matches!(answer, Err(Fault::Away)) {
            self.0 = Some(connection);
        }
        answer
    }
}

impl Manager for Dialler {
    type Type = UntrackedSlot;
    type Error = RedisError;

    async fn create(&self) -> RedisResult<UntrackedSlot> {
        Ok(UntrackedSlot(Some(self.dial_untracked().await?)))
    }

    async fn recycle(&self, place: &mut UntrackedSlot, _: &Metrics) -> RecycleResult<RedisError> {
        match place.0 {
            Some(_) => Ok(()),
            None => Err(RecycleError::message("its connection was lost")),
        }
    }
}

#[async_trait]
impl Inspect for RedisTier {
    async fn about(&self) -> Result<(String, Duration), Fault> {
        let ask = |mut connection: MultiplexedConnection| async move {
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
        let ask = |mut connection: MultiplexedConnection| async move {
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
        let ask = |mut connection: MultiplexedConnection| async move {
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
        let ask = |mut connection: MultiplexedConnection| async move {
            let mut pipe = redis::pipe();
            for key in keys {
                // MGET takes a value of another type for none, where GET would fail them all.
                pipe.cmd("MGET").arg(&key[..]).cmd("PTTL").arg(&key[..]);
            }
            let answers: Vec<redis::Value> = pipe.query_async(&mut connection).await?;
            let mut standing = Vec::with_capacity(keys.len());
            for answer in answers.chunks_exact(2) {
                let [frame]: [Option<Bytes>; 1] = redis::from_redis_value(answer[0].clone())?;
                let left: i64 = redis::from_redis_value(answer[1].clone())?;
                let left = u64::try_from(left).ok().map(Duration::from_millis);
                standing.push(frame.map(|frame| InspectedFrame { frame, left }));
            }
            Ok(standing)
        };
        self.untracked_pool.ask(ask).await
    }
}
