//! The Redis tier over REST: what two instances share, how soon they see a change, and what memory keeps.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use larder::cache::{Cache, Health};
use larder::codec::Codec;
use larder::error::ErrorKind;
use larder::health::Trouble;
use larder::policy::Policy;
use larder::receipt::Delivery;
use larder::source::{Placement, Source};
use larder_testbed::RestFront;

use crate::support::batch::read_many;
use crate::support::rest::{Bed, works};
use crate::support::{classes, eventually, within};

const BOUND: Duration = Duration::from_secs(2);

#[tokio::test]
async fn two_instances_share_entries_and_memory_keeps_none() {
    let bed = Bed::start();
    let (first, second) = (bed.instance().await, bed.instance().await);
    bed.table.write(7, 1);
    assert_eq!(first.read(&bed.table, 7).await, Some(1));
    assert_eq!(first.list(&bed.table, "all").await, [1]);
    for instance in [&first, &second, &first, &second] {
        assert_eq!(instance.read(&bed.table, 7).await, Some(1));
        assert_eq!(instance.list(&bed.table, "all").await, [1]);
        assert_eq!(instance.read(&bed.table, 8).await, None);
    }
    assert_eq!(bed.table.loads(), 3, "two entries and one absence, each loaded once");
    for instance in [&first, &second] {
        let (values, lists) = (instance.values.stats(), instance.lists.stats());
        assert_eq!((values.memory_hits, lists.memory_hits), (0, 0));
        assert!(values.redis_hits >= 3 && lists.redis_hits == 2, "{values:?} {lists:?}");
    }
}

#[tokio::test]
async fn a_write_is_seen_at_once_and_acknowledged_as_queued() {
    let bed = Bed::start();
    let (writer, reader) = (bed.instance().await, bed.instance().await);
    for version in 1..20 {
        assert_eq!(writer.write(&bed.table, 7, version).await, Delivery::Queued, "a failover could undo it");
        assert_eq!(reader.read_fresh(&bed.table, 7).await, Some(version));
        assert_eq!(reader.read(&bed.table, 7).await, Some(version));
        assert_eq!(writer.read(&bed.table, 7).await, Some(version));
        assert_eq!(reader.list(&bed.table, "all").await, [version]);
    }
    let began = Instant::now();
    assert_eq!(writer.write_and_wait(&bed.table, 7, 20).await, Delivery::Queued);
    assert!(began.elapsed() < BOUND / 2, "there is nothing to wait for");
    let hits = reader.values.stats().redis_hits + writer.values.stats().redis_hits;
    assert!(hits > 0, "Redis is used between the writes");
}

#[tokio::test]
async fn a_write_of_another_program_is_seen_within_the_bound() {
    let bed = Bed::start();
    let instances = [bed.instance().await, bed.instance().await];
    bed.table.write(1, 1);
    for instance in &instances {
        bed.warm(instance, 1).await;
        assert_eq!(instance.list(&bed.table, "all").await, [1]);
    }
    let committed = Instant::now();
    bed.commit_elsewhere(1, 2);
    for instance in &instances {
        eventually("the new value", async || instance.read(&bed.table, 1).await == Some(2)).await;
        assert!(committed.elapsed() < BOUND, "seen after {:?}", committed.elapsed());
        assert_eq!(instance.list(&bed.table, "all").await, [2], "and so is the list under its tag");
    }
}

#[tokio::test]
async fn every_byte_of_keys_and_values_comes_back() {
    let bed = Bed::start();
    let open = async || {
        let instance = bed.instance().await;
        let class = instance.cache.class::<str, Vec<u8>>("bytes").policy(Policy::ttl(BOUND * 100));
        (class.codec(Codec::Raw).open().unwrap(), instance)
    };
    let ((first, _a), (second, _b)) = (open().await, open().await);
    let all: Vec<u8> = (0..=255).collect();
    let backwards: Vec<u8> = all.iter().rev().copied().collect();
    for (key, value) in [("\u{0}\"\\\r\n", all.clone()), ("ключ\u{7f}/é", backwards), ("200", vec![200; 3])]
    {
        let load = Ok::<_, Infallible>(value.clone());
        let loaded = within(first.read(key).or_load(|| std::future::ready(load))).await.unwrap();
        assert_eq!(
            (loaded.source, loaded.value.as_deref()),
            (Source::Load { placement: Placement::Redis }, Some(&value))
        );
        let read = within(second.read(key).or_load(async || Ok::<_, Infallible>(Vec::new()))).await.unwrap();
        assert_eq!((read.source, read.value.as_deref()), (Source::Redis, Some(&value)), "{key:?}");
    }
}

#[tokio::test]
async fn permits_patterns_and_clears_work_as_on_redis_itself() {
    let bed = Bed::start();
    let (first, second) = (bed.instance().await, bed.instance().await);
    for round in 0..40 {
        // The scripts compare and measure random bytes, which take more bytes over REST.
        let permit = within(first.values.permit(&round)).await;
        assert!(within(permit.put(u64::from(round) + 1)).await.is_stored, "{round}");
        assert_eq!(second.read(&bed.table, round).await, Some(u64::from(round) + 1));
        let permit = within(first.values.permit(&round)).await;
        let _receipt = within(second.values.invalidate(&round)).await;
        assert!(!within(permit.put(0)).await.is_stored, "an invalidation came in between");
    }
    bed.table.write(7, 1);
    bed.warm(&first, 7).await;
    bed.table.write(7, 2);
    let receipt = within(second.values.invalidate_matching("*")).await.unwrap();
    assert!(receipt.dropped().redis > 0);
    assert_eq!(first.read(&bed.table, 7).await, Some(2));
    bed.warm(&first, 7).await;
    bed.table.write(7, 3);
    let _receipt = within(first.cache.clear()).await;
    assert_eq!(second.read(&bed.table, 7).await, Some(3));
    works(&first).await;
    bed.warm(&second, 7).await;
}

#[tokio::test]
async fn a_value_that_was_put_is_in_redis_at_once() {
    let bed = Bed::start();
    let (first, second) = (bed.instance().await, bed.instance().await);
    for version in 1..10 {
        assert!(within(first.values.put(&7, version)).await.is_stored);
        for instance in [&first, &second] {
            let hits = instance.values.stats().redis_hits;
            assert_eq!(within(instance.values.get(&7)).await.value().as_deref(), Some(&version));
            assert_eq!(instance.values.stats().redis_hits, hits + 1, "{version}");
        }
        let _receipt = within(first.values.invalidate(&7)).await;
        let permit = within(first.values.permit(&7)).await;
        assert!(within(permit.put(100 * version)).await.is_stored);
        assert_eq!(within(second.values.get(&7)).await.value().as_deref(), Some(&(100 * version)));
    }
}

#[tokio::test]
async fn a_batch_loads_only_what_was_written_here() {
    let bed = Bed::start();
    let instance = bed.instance().await;
    for key in 0..4 {
        bed.table.write(key, 1);
        bed.warm(&instance, key).await;
    }
    instance.write(&bed.table, 2, 2).await;
    let loads = bed.table.loads();
    let hits = instance.values.stats().redis_hits;
    assert_eq!(
        read_many(&instance.values, &bed.table, &[0, 1, 2, 3]).await,
        [Some(1), Some(1), Some(2), Some(1)]
    );
    assert_eq!((bed.table.loads(), instance.values.stats().redis_hits), (loads + 1, hits + 3));
}

#[tokio::test]
async fn a_pattern_keeps_no_other_entry_from_redis() {
    let bed = Bed::start();
    let instance = bed.instance().await;
    bed.table.write(7, 1);
    bed.warm(&instance, 7).await;
    for _ in 0..10 {
        let _receipt = within(instance.cache.invalidate_matching("lists:*")).await.unwrap();
        let hits = instance.values.stats().redis_hits;
        assert_eq!(instance.read(&bed.table, 7).await, Some(1));
        assert_eq!(instance.values.stats().redis_hits, hits + 1);
    }
}

#[tokio::test]
async fn a_wrong_token_is_named_and_fails_no_read() {
    let bed = Bed::start();
    let instance = classes(bed.build("zqx-wrong").await);
    bed.table.write(7, 1);
    assert_eq!(instance.read(&bed.table, 7).await, Some(1));
    eventually("it is named", async || {
        let report = instance.cache.health_report();
        report.state == Health::Degraded
            && report.reasons.iter().any(|reason| reason.trouble == Trouble::Unauthenticated)
    })
    .await;
    let report = instance.cache.health_report();
    let detail = report.reasons[0].detail.clone().unwrap();
    assert!(detail.contains("WRONGPASS") && !format!("{report:?}").contains("zqx"), "{report:?}");
    assert_eq!(instance.write(&bed.table, 7, 2).await, Delivery::Queued);
    assert_eq!(instance.read(&bed.table, 7).await, Some(2));
}

#[tokio::test]
async fn a_rest_tier_without_a_journal_or_with_an_unsafe_address_is_refused() {
    let front = RestFront::start(1).unwrap();
    let builder = |url: &str, token: &str| Cache::builder("test").upstash(url, token).installation("test");
    let token = front.token();
    for (builder, says) in [
        (builder(&front.url(), token), "needs a journal"),
        (builder("http://example.com", token).journal(Bed::start().ledger), "https://host"),
        (builder(&front.url(), "").journal(Bed::start().ledger), "token"),
    ] {
        let error = builder.build().await.err().unwrap();
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains(says), "{error}");
    }
    assert_eq!(front.requests(), 0);
}

#[tokio::test]
async fn inspection_shows_entries_as_they_are() {
    let bed = Bed::start();
    let instance = bed.instance().await;
    bed.table.write(7, 1);
    bed.warm(&instance, 7).await;
    let page = within(instance.cache.keys("values:*", 10, None)).await.unwrap();
    let keys: Vec<&str> = page.keys.iter().map(|key| key.text.as_str()).collect();
    assert_eq!(keys, ["values:7"], "{page:?}");
    let info = within(instance.cache.redis_info()).await;
    assert!(info.value().is_some_and(|info| info.version.contains('.')));
    // A request for each question, and not one for each key: that is what Upstash charges.
    let before = bed.front.requests();
    for _ in 0..20 {
        instance.read(&bed.table, 7).await;
    }
    assert!(bed.front.requests() >= before + 20);
}
