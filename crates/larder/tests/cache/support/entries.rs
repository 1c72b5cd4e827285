//! Loads values of any type, and reads and writes the contents of Redis without larder.

use std::io;

use larder::cache::Cache;
use larder::class::Class;
use larder::source::Source;
use larder_testbed::Redis;
use serde::{Serialize, de::DeserializeOwned};

use super::within;

pub(crate) async fn shared(redis: &Redis) -> Cache {
    crate::support::builder().redis(redis.url()).installation("test").build().await.unwrap()
}

pub(crate) async fn alone() -> Cache {
    Cache::builder("test").build().await.unwrap()
}

pub(crate) async fn load<V>(class: &Class<u32, V>, key: u32, value: V) -> (V, Source)
where
    V: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let answer = within(class.read(&key).or_load(|| async { Ok::<_, io::Error>(value) })).await.unwrap();
    ((*answer.value.unwrap()).clone(), answer.source)
}

/// A connection to Redis without larder.
pub(crate) struct Raw(redis::Connection);

impl Raw {
    pub(crate) fn of(redis: &Redis) -> Self {
        Raw(redis::Client::open(redis.url()).unwrap().get_connection().unwrap())
    }

    /// The complete key of an entry, by its text.
    pub(crate) fn key(&mut self, text: &str) -> Vec<u8> {
        let mut keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg(format!("*:{text}")).query(&mut self.0).unwrap();
        assert_eq!(keys.len(), 1, "{text}");
        keys.remove(0)
    }

    pub(crate) fn get(&mut self, key: &[u8]) -> Vec<u8> {
        redis::cmd("GET").arg(key).query(&mut self.0).unwrap()
    }

    pub(crate) fn set(&mut self, frames: &[(&[u8], Vec<u8>)]) {
        let mut pipe = redis::pipe();
        for (key, frame) in frames {
            pipe.cmd("SET").arg(*key).arg(frame).ignore();
        }
        pipe.exec(&mut self.0).unwrap();
    }
}
