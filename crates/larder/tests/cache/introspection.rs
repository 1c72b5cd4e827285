//! Inspects a running cache, on memory and on a real Redis.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use larder::cache::Cache;
use larder::cause::Cause;
use larder::class::Class;
use larder::error::ErrorKind;
use larder::introspection::RedisAnswer;
use larder::introspection::explain::{Explanation, RedisState};
use larder::introspection::keys::ListedKey;
use larder::journal::Touch;
use larder::policy::Policy;
use larder_testbed::Redis;

use crate::support::journal::Ledger;
use crate::support::{
    Gate, Instance, Table, classes, eventually, in_redis, instance, memory_instance, within,
};

fn seven() -> Touch {
    Touch::entry("values", ["7"])
}

async fn explain(instance: &Instance) -> Explanation {
    within(instance.cache.explain(&seven())).await.unwrap()
}

/// The last invalidation of entry 7 that this instance recorded.
async fn last(instance: &Instance) -> Option<(Cause, Touch)> {
    explain(instance).await.last_invalidation.map(|last| (last.cause, last.named))
}

async fn all_keys(cache: &Cache, pattern: &str, limit: usize) -> Vec<ListedKey> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = within(cache.keys(pattern, limit, after.as_deref())).await.unwrap();
        assert!(page.keys.len() <= limit + 100, "about as many as asked for");
        keys.extend(page.keys);
        after = page.next;
        if after.is_none() {
            return keys;
        }
    }
}

#[tokio::test]
async fn handles_of_one_name_share_their_switch_and_their_counts() {
    let Instance { cache, values, .. } = memory_instance().await;
    let policy = Policy::ttl(Duration::from_secs(600)).absent_for(Duration::from_secs(600));
    let again: Class<u32, u64> = cache.class("values").policy(policy).open().unwrap();
    let load = async || Ok::<_, std::io::Error>(1);
    values.read(&7).or_load(load).await.unwrap();
    again.read(&7).or_load(load).await.unwrap();
    let report = cache.classes().into_iter().find(|class| class.name == "values").unwrap();
    assert_eq!((report.stats.loads, report.stats.memory_hits), (1, 1));
    assert_eq!((report.stats, report.load_times), (again.stats(), again.load_times()));
    assert_eq!((report.load_times.count, cache.stats()), (1, report.stats));

    cache.set_class_enabled("values", false).unwrap();
    for class in [&values, &again] {
        assert!(class.get(&7).await.is_miss(), "off for every handle");
    }
    assert!(!cache.classes().iter().find(|class| class.name == "values").unwrap().is_enabled);
    cache.set_class_enabled("values", true).unwrap();
    assert!(again.get(&7).await.is_hit());

    let error = cache.set_class_enabled("vlaues", false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("there are: lists, values"), "{error}");
}

#[tokio::test]
async fn invalidations_count_for_the_class_however_they_are_named() {
    let Instance { cache, values, .. } = memory_instance().await;
    let _receipt = values.invalidate(&7).await;
    let _receipt = values.invalidate_all().await;
    let _receipt = cache.committed(&[seven(), Touch::Tag("values".to_owned())], &[]).send().await;
    let _receipt = cache.clear().await;
    assert_eq!(values.stats().invalidations, 5);
}

#[tokio::test]
async fn loads_that_are_cut_off_are_in_the_tail() {
    let cache = crate::support::builder().load_timeout(Duration::from_millis(20)).build().await.unwrap();
    let class: Class<u32, u64> = cache.class("slow").open().unwrap();
    let never = async || std::future::pending::<Result<u64, std::io::Error>>().await;
    assert!(class.read(&7).or_load(never).await.is_err());
    let times = class.load_times();
    assert_eq!(times.count, 1);
    assert!(times.max >= Duration::from_millis(20) && times.p99 >= Duration::from_millis(20));
}

#[tokio::test]
async fn evicted_entries_are_counted() {
    let cache = crate::support::builder().memory_bytes(64 << 10).build().await.unwrap();
    let class: Class<u32, String> = cache.class("long").open().unwrap();
    assert_eq!(cache.evictions(), 0);
    for key in 0..1_000 {
        class.read(&key).or_load(async || Ok::<_, std::io::Error>("x".repeat(1_000))).await.unwrap();
    }
    assert!(cache.evictions() > 900, "{}", cache.evictions());
}

#[tokio::test]
async fn every_key_is_on_some_page_with_its_tiers() {
    let redis = Redis::start().unwrap();
    let (a, b) = (instance(&redis).await, instance(&redis).await);
    let alone = memory_instance().await;
    let table = Table::new();
    for key in 0..250 {
        table.write(key, 1);
        a.read(&table, key).await;
        alone.read(&table, key).await;
    }
    a.list(&table, "all").await;
    redis.command(&["SET", "other:values:1", "not ours"]).unwrap();
    b.warm(&table, 7).await;
    for cache in [&a.cache, &b.cache, &alone.cache] {
        let keys = all_keys(cache, "values:*", 100).await;
        let texts: BTreeSet<String> = keys.iter().map(|key| key.text.clone()).collect();
        assert_eq!(texts, (0..250).map(|key| format!("values:{key}")).collect());
        assert!(
            keys.iter().all(|key| key.is_in_redis != (cache.memory_bytes() == alone.cache.memory_bytes()))
        );
    }
    let seven = all_keys(&b.cache, "values:7", 100).await;
    let known = ListedKey {
        touch: self::seven(),
        text: "values:7".to_owned(),
        is_in_memory: true,
        is_in_redis: true,
    };
    assert_eq!(seven, [known]);
    assert!(!all_keys(&b.cache, "values:8", 100).await[0].is_in_memory, "only a has it");

    let counts = a.cache.key_counts().await;
    let counted = counts.redis.value().unwrap();
    assert!(counted.is_complete);
    assert_eq!((counted.by_class["values"], counted.by_class["lists"], counted.by_class.len()), (250, 1, 2));
    assert_eq!(b.cache.key_counts().await.memory["values"], 1);
    assert_eq!(alone.cache.key_counts().await.redis, RedisAnswer::NotConfigured);
}

#[tokio::test]
async fn a_cursor_that_no_page_gave_and_a_pattern_of_nothing_are_refused() {
    let cache = memory_instance().await.cache;
    for (pattern, after) in
        [("", None), ("*", Some("")), ("*", Some("rx")), ("*", Some("7")), ("*", Some("é"))]
    {
        assert_eq!(cache.keys(pattern, 10, after).await.unwrap_err().kind(), ErrorKind::Config);
    }
    assert_eq!(cache.explain(&Touch::Everything).await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn an_entry_is_explained_where_it_is() {
    let redis = Redis::start().unwrap();
    let (a, b) = (instance(&redis).await, instance(&redis).await);
    let (table, gate) = (Table::new(), Gate::new());
    let nothing = explain(&a).await;
    assert_eq!(
        (nothing.redis, nothing.memory, nothing.is_loading),
        (RedisAnswer::Value(RedisState::Nothing), None, false)
    );

    table.write(7, 1);
    let held = a.held_read(&table, 7, &gate);
    gate.arrival().await;
    let loading = explain(&a).await;
    assert!(loading.is_loading && matches!(loading.redis, RedisAnswer::Value(RedisState::Lease { .. })));
    gate.open();
    held.await.unwrap();

    a.warm(&table, 7).await;
    let Explanation { text, memory, redis: in_redis, .. } = explain(&a).await;
    let Some(RedisState::Entry(entry)) = in_redis.value() else { panic!("no entry in Redis") };
    let memory = memory.unwrap();
    assert_eq!((text.as_str(), memory.loaded_at), ("values:7", entry.loaded_at));
    for held in [&memory, &entry] {
        assert!(held.is_served && !held.is_absent && held.payload_bytes == 1);
        assert!(held.loaded_at <= SystemTime::now() && held.until > SystemTime::now());
        assert!(held.until <= held.loaded_at + Duration::from_secs(601));
        assert_eq!(
            held.tags.iter().map(|tag| (tag.tag.as_str(), tag.is_current)).collect::<Vec<_>>(),
            [("values", true)]
        );
    }
    // The entry was invalidated with its tag: Redis still holds it, and no read is served with it.
    let _receipt = b.values.invalidate_all().await;
    let Some(RedisState::Entry(entry)) = explain(&a).await.redis.value() else { panic!("no entry in Redis") };
    assert!(!entry.is_served && !entry.tags[0].is_current);
    redis.command(&["SET", in_redis!("values:7"), "damaged"]).unwrap();
    assert_eq!(explain(&a).await.redis, RedisAnswer::Value(RedisState::Unreadable));
}

#[tokio::test]
async fn the_last_invalidation_is_reported_with_its_cause() {
    let redis = Redis::start().unwrap();
    let table = Table::new();
    table.write(7, 1);
    let (a, b) = (instance(&redis).await, instance(&redis).await);
    a.warm(&table, 7).await;
    b.warm(&table, 7).await;
    assert_eq!(last(&a).await, None);
    let before = SystemTime::now() - Duration::from_millis(1);
    let _receipt = a.cache.committed(&[seven()], &[]).send().await;
    assert_eq!(last(&a).await, Some((Cause::Committed, seven())));
    let at = explain(&a).await.last_invalidation.unwrap().at;
    assert!((before..=SystemTime::now()).contains(&at));
    eventually("b receives the push", async || last(&b).await == Some((Cause::Push, seven()))).await;

    let _receipt = a.values.invalidate(&7).await;
    assert_eq!(last(&a).await, Some((Cause::ByHand, seven())));
    let _receipt = a.cache.invalidate_tag("values").await;
    assert_eq!(last(&a).await, Some((Cause::ByHand, Touch::Tag("values".to_owned()))));
    let _receipt = a.cache.invalidate_matching("val*").await.unwrap();
    assert_eq!(last(&a).await, Some((Cause::ByHand, Touch::Matching("val*".to_owned()))));
    let _receipt = a.cache.invalidate_matching("lists*").await.unwrap();
    assert_eq!(last(&a).await, Some((Cause::ByHand, Touch::Matching("val*".to_owned()))), "not meant");
    let _receipt = a.cache.clear().await;
    assert_eq!(last(&a).await, Some((Cause::ByHand, Touch::Everything)));
}

#[tokio::test]
async fn an_invalidation_from_the_journal_is_reported_with_this_cause() {
    for redis in [Some(Redis::start().unwrap()), None] {
        let (table, ledger) = (Table::new(), Ledger::new());
        table.write(7, 1);
        let mut builder = crate::support::builder().journal(ledger.clone());
        if let Some(redis) = &redis {
            builder = builder.redis(redis.url());
        }
        let instance = classes(builder.build().await.unwrap());
        instance.warm(&table, 7).await;
        ledger.note(seven());
        eventually("the cause is recorded", async || {
            last(&instance).await == Some((Cause::Journal, seven()))
        })
        .await;
        eventually("dropped", async || explain(&instance).await.memory.is_none()).await;
    }
}

#[tokio::test]
async fn a_lost_redis_differs_from_no_redis() {
    let mut redis = Redis::start().unwrap();
    let (a, table) = (instance(&redis).await, Table::new());
    table.write(7, 1);
    a.warm(&table, 7).await;
    let info = a.cache.redis_info().await.value().unwrap();
    assert!(info.version.contains('.') && info.mode == "standalone" && info.latency > Duration::ZERO);
    assert!(info.used_memory_bytes > 100_000 && info.used_memory_peak_bytes >= 100_000);
    assert!(!info.used_memory_human.is_empty() && !info.used_memory_peak_human.is_empty());
    assert!(info.connected_clients >= 2 && info.connections_received >= 2 && info.commands_processed > 0);
    assert!(info.fragmentation_ratio > 0.0 && info.hit_rate_percent() > 0.0 && info.keyspace_misses > 0);

    redis.kill().unwrap();
    assert_eq!(within(a.cache.redis_info()).await, RedisAnswer::Away);
    assert_eq!(within(a.cache.key_counts()).await.redis, RedisAnswer::Away);
    assert_eq!(explain(&a).await.redis, RedisAnswer::Away);
    let page = within(a.cache.keys("*", 10, None)).await.unwrap();
    assert!(page.is_redis_away && page.next.is_some(), "memory is still to be listed");
    eventually("the loss is known", async || last(&a).await == Some((Cause::Loss, Touch::Everything))).await;

    redis.restart().unwrap();
    eventually("Redis is back", async || a.cache.redis_info().await.value().is_some()).await;
    assert_eq!(memory_instance().await.cache.redis_info().await, RedisAnswer::NotConfigured);
}

#[tokio::test]
async fn a_class_knows_the_tags_of_an_entry_that_is_nowhere() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let _receipt = instance.cache.invalidate_tag("everything").await;
        let untyped = instance.cache.explain(&Touch::entry("lists", ["all"])).await.unwrap();
        assert_eq!(untyped.last_invalidation, None, "whose tags are not known from its name");
        let typed = instance.lists.explain("all").await;
        assert_eq!(typed.text, "lists:all");
        assert_eq!(typed.last_invalidation.unwrap().named, Touch::Tag("everything".to_owned()));
    }
}

#[tokio::test]
async fn a_known_absence_is_explained_as_such() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let table = Table::new();
        instance.warm(&table, 7).await;
        let copy = explain(&instance).await.memory.unwrap();
        assert!(copy.is_absent && copy.is_served && copy.payload_bytes == 0);
    }
}

#[tokio::test]
async fn what_is_certified_lasts_for_the_bound_at_most_and_ends_with_redis() {
    assert_eq!(memory_instance().await.cache.certified_for(), None, "there is no guard");
    let redis = Redis::start().unwrap();
    let cache = instance(&redis).await.cache;
    let bound = cache.staleness_bound();
    eventually("it is certified", async || cache.certified_for().unwrap() > Duration::ZERO).await;
    assert!(cache.certified_for().unwrap() <= bound);
    redis.pause().unwrap();
    eventually("nothing is certified", async || cache.certified_for() == Some(Duration::ZERO)).await;
    redis.resume().unwrap();
    eventually("it is certified again", async || cache.certified_for().unwrap() > Duration::ZERO).await;
}
