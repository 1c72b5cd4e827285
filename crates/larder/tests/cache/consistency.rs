//! A class's own consistency is that of its reads, and a read's own choice comes before it.

use larder::cache::{Cache, Health};
use larder::class::Class;
use larder::error::ErrorKind;
use larder::policy::Consistency;
use larder_testbed::Redis;

use crate::support::{Table, eventually, within};

async fn fresh_class(redis: &Redis) -> (Cache, Class<u32, u64>) {
    let cache = crate::support::builder().redis(redis.url());
    let cache = cache.installation("test").build().await.unwrap();
    eventually("Redis is usable", async || cache.health() == Health::Working).await;
    let class = cache.class("balances").consistency(Consistency::Fresh).open().unwrap();
    (cache, class)
}

/// Each way to read.
#[tokio::test]
async fn no_read_of_a_fresh_class_is_answered_from_memory() {
    let redis = Redis::start().unwrap();
    let (_cache, class) = fresh_class(&redis).await;
    let table = Table::new();
    table.write(7, 1);
    let read = async |consistency: Option<Consistency>| {
        let mut read = class.read(&7);
        if let Some(consistency) = consistency {
            read = read.consistency(consistency);
        }
        within(read.or_load(table.loader(7))).await.unwrap().value.map(|value| *value)
    };
    eventually("memory has a copy", async || {
        assert_eq!(read(Some(Consistency::Bounded)).await, Some(1));
        class.stats().memory_hits > 0
    })
    .await;
    let memory_hits = class.stats().memory_hits;
    assert_eq!(read(None).await, Some(1));
    assert_eq!(read(Some(Consistency::Fresh)).await, Some(1));
    assert!(within(class.get(&7)).await.is_hit());
    let none = |_: Vec<u32>| async { Ok::<_, std::convert::Infallible>(Vec::<(u32, u64)>::new()) };
    assert_eq!(within(class.get_many([7], none)).await.unwrap()[0].as_deref(), Some(&1));
    assert_eq!((class.stats().memory_hits, class.stats().loads), (memory_hits, 1), "Redis answered each");
    assert_eq!(read(Some(Consistency::Bounded)).await, Some(1));
    assert_eq!(class.stats().memory_hits, memory_hits + 1);
}

#[tokio::test]
async fn a_class_has_one_consistency() {
    let redis = Redis::start().unwrap();
    let (cache, _class) = fresh_class(&redis).await;
    let other = cache.class::<u32, u64>("balances").open().expect_err("opened");
    assert_eq!(other.kind(), ErrorKind::Config);
    assert!(other.to_string().contains("consistency"), "{other}");
}
