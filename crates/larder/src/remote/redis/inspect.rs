//! Looking at Redis from outside: a connection of its own, dialled when somebody asks, so that no report and no reply on
//! the tracked one waits for it.

use std::future::Future;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;

use crate::remote::redis::connection::Dialler;
use crate::remote::redis::{RedisTier, fault};
use crate::remote::{Fault, Inspect, Inspected};

/// The untracked connection.
pub(crate) struct Side {
    dialler: Dialler,
    /// The connection, once somebody needed it. The lock is held while it is dialled, so that two who need it dial once,
    /// and by no question.
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Side {
    pub(crate) fn new(dialler: Dialler) -> Self {
        Side { dialler, connection: Mutex::new(None) }
    }

    /// Asks, within the operation's time-out. One that broke since the last question is dialled again.
    async fn ask<T, F>(&self, question: impl Fn(MultiplexedConnection) -> F) -> Result<T, Fault>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let (connection, is_new) = self.connection(None).await?;
        match question(connection).await.map_err(fault) {
            Err(Fault::Away) if !is_new => {
                let (connection, _) = self.connection(Some(())).await?;
                question(connection).await.map_err(fault)
            }
            answer => answer,
        }
    }

    /// The connection, and whether it is a new one: as it must be when the last one is known to be `broken`.
    async fn connection(&self, broken: Option<()>) -> Result<(MultiplexedConnection, bool), Fault> {
        let mut connection = self.connection.lock().await;
        match &*connection {
            Some(connection) if broken.is_none() => Ok((connection.clone(), false)),
            _ => {
                *connection = None;
                let dialled = self.dialler.dial_untracked().await.map_err(fault)?;
                *connection = Some(dialled.clone());
                Ok((dialled, true))
            }
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
        self.side.ask(ask).await
    }

    async fn scan(&self, pattern: &str, cursor: u64, count: usize) -> Result<(u64, Vec<Bytes>), Fault> {
        let ask = |mut connection: MultiplexedConnection| async move {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(count);
            scan.query_async(&mut connection).await
        };
        self.side.ask(ask).await
    }

    async fn exist(&self, keys: &[Bytes]) -> Result<Vec<bool>, Fault> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let ask = |mut connection: MultiplexedConnection| async move {
            let mut pipe = redis::pipe();
            keys.iter().for_each(|key| {
                pipe.cmd("EXISTS").arg(&key[..]);
            });
            pipe.query_async(&mut connection).await
        };
        self.side.ask(ask).await
    }

    async fn look(&self, keys: &[Bytes]) -> Result<Vec<Option<Inspected>>, Fault> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
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
                standing.push(frame.map(|frame| Inspected { frame, left }));
            }
            Ok(standing)
        };
        self.side.ask(ask).await
    }
}
