//! Trace 9: a tag is invalidated during a load, its key is evicted, two instances mint it at once. And tags that depend
//! on the key.

use std::sync::Arc;

use larder::class::Class;
use larder::receipt::Delivery;
use larder_testbed::Redis;

use crate::support::{Gate, Instance, Table, eventually, in_redis, instance, memory_instance, within};

const TAGS: [&str; 2] = [in_redis!("#lists"), in_redis!("#everything")];

async fn overtaken(reader: &Instance, writer: &Instance, is_same: bool) {
    let name = if is_same { "same" } else { "other" };
    let (table, gate) = (Table::new(), Gate::new());
    table.write(7, 1);
    let held = reader.held_list(&table, name, &gate);
    gate.arrival().await;
    table.write(7, 2);
    assert_eq!(within(writer.cache.invalidate_tag("everything")).await.delivery(), Delivery::Sent);
    if is_same {
        // A read that begins now must not be answered by the load in progress. (Another instance waits for its lease.)
        assert_eq!(writer.list(&table, name).await, [2]);
    }
    gate.open();
    assert_eq!(held.await.unwrap(), [1], "the read that began before the write");
    for instance in [reader, writer] {
        for _ in 0..3 {
            assert_eq!(instance.list(&table, name).await, [2]);
        }
    }
}

#[tokio::test]
async fn trace_9_a_tag_invalidated_during_a_load() {
    let redis = Redis::start().unwrap();
    let (a, b) = (instance(&redis).await, instance(&redis).await);
    overtaken(&a, &b, false).await;
    overtaken(&a, &a, true).await;
    let alone = memory_instance().await;
    overtaken(&alone, &alone, true).await;
}

#[tokio::test]
async fn trace_9_a_tag_whose_key_is_evicted() {
    let redis = Redis::start().unwrap();
    let (a, b) = (instance(&redis).await, instance(&redis).await);
    let table = Table::new();
    table.write(7, 1);
    for evicted in TAGS {
        for instance in [&a, &b] {
            eventually("memory answers", async || {
                let hits = instance.lists.stats().memory_hits;
                instance.list(&table, "all").await;
                instance.lists.stats().memory_hits > hits
            })
            .await;
        }
        // Redis reports an eviction and an invalidation alike, so an eviction counts as an invalidation.
        redis.command(&["DEL", evicted]).unwrap();
        table.write(7, table.load(7).unwrap().unwrap() + 1);
        let now = table.load(7).unwrap().unwrap();
        for instance in [&a, &b] {
            eventually("the entry is invalid with its tag", async || {
                instance.list(&table, "all").await == [now]
            })
            .await;
        }
    }
    // The tag is evicted during the load, so the fill carries the former token: no read accepts the entry.
    let gate = Gate::new();
    let _receipt = a.lists.invalidate_all().await;
    let held = a.held_list(&table, "all", &gate);
    gate.arrival().await;
    redis.command(&["DEL", TAGS[0], TAGS[1]]).unwrap();
    table.write(7, 100);
    gate.open();
    held.await.unwrap();
    for instance in [&a, &b] {
        assert_eq!(instance.list(&table, "all").await, [100]);
    }
}

#[tokio::test]
async fn trace_9_a_tag_minted_by_two_at_once() {
    let redis = Redis::start().unwrap();
    let (a, b) = (instance(&redis).await, instance(&redis).await);
    let table = Table::new();
    for round in 0..50 {
        table.write(7, round);
        redis.command(&["DEL", TAGS[0], TAGS[1]]).unwrap();
        // Two entries, so that both instances lead a load and both mint a token.
        let fresh = async |instance: &Instance, name: &'static str| {
            // Fresh, because memory can be one push behind.
            instance.lists.read(name).fresh().or_load(table.loader_of_all()).await.unwrap()
        };
        tokio::join!(fresh(&a, "one"), fresh(&b, "two"));
        for instance in [&a, &b] {
            for name in ["one", "two"] {
                let read = fresh(instance, name).await;
                assert_eq!(read.value.as_deref(), Some(&vec![round]));
                assert!(read.source.is_hit(), "both took the one existing token: {:?}", read.source);
            }
        }
        let _receipt = b.cache.invalidate_tag("everything").await;
    }
}

#[tokio::test]
async fn tags_by_key_are_invalidated_one_by_one() {
    let redis = Redis::start().unwrap();
    for redis in [Some(redis.url()), None] {
        let mut builder = crate::support::builder();
        if let Some(url) = redis {
            builder = builder.redis(url).installation("test");
        }
        let cache = builder.build().await.unwrap();
        let rosters: Class<u32, u64> =
            cache.class("rosters").tagged_by(|team| vec![format!("team:{team}")]).open().unwrap();
        let table = Table::new();
        let read = async |team: u32| {
            let table: &Arc<Table> = &table;
            rosters.read(&team).or_load(table.loader(team)).await.unwrap()
        };
        for team in [1, 2] {
            table.write(team, 1);
            assert!(read(team).await.source.is_stored());
            assert!(read(team).await.source.is_hit());
        }
        table.write(1, 2);
        table.write(2, 2);
        assert_eq!(cache.invalidate_tag("team:1").await.delivery(), Delivery::Sent);
        assert_eq!(read(1).await.value.as_deref(), Some(&2));
        assert_eq!(read(2).await.value.as_deref(), Some(&1), "the other team's entry is valid");
        let _receipt = rosters.invalidate_all().await;
        assert_eq!(read(2).await.value.as_deref(), Some(&2), "until its class is invalidated");
    }
}
