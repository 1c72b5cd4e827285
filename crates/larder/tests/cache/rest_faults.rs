//! The Redis tier over REST when the front, the Redis behind it or the copy of its data fails: no read fails, and the bound
//! holds, although no server names itself.

use std::time::{Duration, Instant};

use larder::cache::Health;
use larder::health::Trouble;
use larder::receipt::Delivery;
use larder_testbed::{Proxy, Redis, RestFront};

use crate::support::rest::{Bed, works};
use crate::support::{Instance, classes, eventually, in_redis_of_ledger, within};

const BOUND: Duration = Duration::from_secs(2);

/// Breaks the front with `fault`, and mends it.
async fn a_fault_fails_no_request(fault: fn(&RestFront)) {
    let bed = Bed::start();
    let instance = bed.instance().await;
    bed.table.write(7, 1);
    bed.warm(&instance, 7).await;
    fault(&bed.front);
    let broken = Instant::now();
    bed.commit_elsewhere(7, 2);
    eventually("the entry is no longer served", async || {
        let began = Instant::now();
        let value = instance.read(&bed.table, 7).await;
        assert!(began.elapsed() < Duration::from_secs(1), "a read waits for the time-out at most");
        assert!(value == Some(2) || broken.elapsed() < BOUND, "served beyond the bound");
        value == Some(2)
    })
    .await;
    eventually("it is known", async || instance.cache.health() == Health::Degraded).await;
    assert_eq!(instance.write(&bed.table, 7, 3).await, Delivery::Queued);
    assert_eq!(instance.read(&bed.table, 7).await, Some(3), "its own write");
    assert_eq!(instance.read_fresh(&bed.table, 7).await, Some(3));
    let loads = bed.table.loads();
    for _ in 0..50 {
        assert_eq!(instance.read(&bed.table, 7).await, Some(3));
    }
    assert!(bed.table.loads() <= loads + 2, "outage copies spare the database");
    bed.front.heal();
    works(&instance).await;
    assert_eq!(
        instance.read(&bed.table, 7).await,
        Some(3),
        "Redis is not used before the invalidation was sent"
    );
    eventually("Redis answers again", async || {
        let hits = instance.values.stats().redis_hits;
        assert_eq!(instance.read(&bed.table, 7).await, Some(3));
        instance.values.stats().redis_hits > hits
    })
    .await;
}

#[tokio::test]
async fn a_front_that_hangs_fails_no_request() {
    a_fault_fails_no_request(RestFront::hang).await;
}

#[tokio::test]
async fn a_front_that_answers_500_fails_no_request() {
    a_fault_fails_no_request(RestFront::fail).await;
}

#[tokio::test]
async fn a_front_that_is_gone_fails_no_request() {
    a_fault_fails_no_request(RestFront::cut).await;
}

/// Reads until Redis has answered with `version`; each earlier answer may be older only within the bound from `committed`.
async fn reaches(bed: &Bed, instance: &Instance, version: u64, committed: Instant) {
    eventually("Redis answers with it", async || {
        let hits = instance.values.stats().redis_hits;
        let value = instance.read(&bed.table, 7).await;
        assert!(value == Some(version) || committed.elapsed() < BOUND, "{value:?} {:?}", committed.elapsed());
        value == Some(version) && instance.values.stats().redis_hits > hits
    })
    .await;
}

/// A replica of the Redis of `bed` that has received nothing since `7` had version 1, while Redis has version 2.
async fn lagging_replica(bed: &Bed, instance: &Instance) -> (Redis, Proxy, Instant) {
    let (replica, link) = (Redis::start().unwrap(), Proxy::start(bed.redis.port()).unwrap());
    bed.table.write(7, 1);
    bed.warm(instance, 7).await;
    replica.replicate(link.port()).unwrap();
    link.stall();
    let committed = Instant::now();
    bed.commit_elsewhere(7, 2);
    reaches(bed, instance, 2, committed).await;
    (replica, link, committed)
}

#[tokio::test]
async fn a_lagging_replica_that_is_promoted_is_not_read_before_it_was_brought_up_to_date() {
    let mut bed = Bed::start();
    let instance = bed.instance().await;
    let (replica, _link, _) = lagging_replica(&bed, &instance).await;
    let entry = replica.command(&["KEYS", "*:values:7"]).unwrap();
    assert!(entry.ends_with(":values:7"), "the replica still has the old entry, or a lease: {entry:?}");
    replica.promote().unwrap();
    bed.front.fail_over(replica.port());
    bed.redis.kill().unwrap();
    for _ in 0..20 {
        assert_eq!(
            instance.read(&bed.table, 7).await,
            Some(2),
            "its watermark is older than the granted one"
        );
    }
    works(&instance).await;
    reaches(&bed, &instance, 2, Instant::now().checked_sub(BOUND).unwrap()).await;
    bed.commit_elsewhere(7, 3);
    reaches(&bed, &instance, 3, Instant::now()).await;
}

/// How an application invalidates what it has written.
#[derive(Clone, Copy, Debug)]
enum Way {
    KeyAndTag,
    Pattern,
    Everything,
}

#[tokio::test]
async fn an_own_write_whose_invalidation_a_failover_loses_is_seen() {
    let ways = [Way::KeyAndTag, Way::Pattern, Way::Everything];
    for (way, is_used_again) in ways.into_iter().flat_map(|way| [(way, false), (way, true)]) {
        let bed = Bed::start();
        let instance = bed.instance().await;
        let (replica, link) = (Redis::start().unwrap(), Proxy::start(bed.redis.port()).unwrap());
        bed.table.write(7, 1);
        bed.warm(&instance, 7).await;
        assert_eq!(instance.list(&bed.table, "all").await, [1]);
        replica.replicate(link.port()).unwrap();
        link.stall();
        match way {
            Way::KeyAndTag => assert_eq!(instance.write(&bed.table, 7, 2).await, Delivery::Queued),
            Way::Pattern => {
                bed.table.write(7, 2);
                for pattern in ["values:*", "lists:*"] {
                    let receipt = within(instance.cache.invalidate_matching(pattern)).await.unwrap();
                    assert_eq!(receipt.delivery(), Delivery::Queued);
                }
            }
            Way::Everything => {
                bed.table.write(7, 2);
                assert_eq!(within(instance.cache.clear()).await.delivery(), Delivery::Queued);
            }
        }
        if is_used_again {
            eventually("Redis answers again", async || {
                let hits = instance.values.stats().redis_hits;
                assert_eq!(instance.read_fresh(&bed.table, 7).await, Some(2));
                instance.values.stats().redis_hits > hits
            })
            .await;
        }
        // The replica has the entries, and the watermark that is granted now or was granted before the write.
        replica.promote().unwrap();
        bed.front.fail_over(replica.port());
        let began = Instant::now();
        while began.elapsed() < BOUND {
            assert_eq!(instance.read(&bed.table, 7).await, Some(2), "{way:?} {is_used_again}");
            assert_eq!(instance.read_fresh(&bed.table, 7).await, Some(2));
            assert_eq!(instance.list(&bed.table, "all").await, [2]);
        }
        works(&instance).await;
        bed.warm(&instance, 7).await;
    }
}

#[tokio::test]
async fn an_instance_that_starts_on_a_promoted_replica_waits_for_the_relay() {
    let mut bed = Bed::start();
    let first = bed.instance().await;
    let (replica, _link, committed) = lagging_replica(&bed, &first).await;
    drop(first);
    replica.promote().unwrap();
    bed.front.fail_over(replica.port());
    bed.redis.kill().unwrap();
    // The promoted replica carries a certificate that looks right, and entries from before the change.
    let second = classes(bed.build(bed.front.token()).await);
    eventually("Redis is used", async || {
        let value = second.read(&bed.table, 7).await;
        assert!(value == Some(2) || committed.elapsed() < BOUND, "{value:?}");
        second.cache.health() == Health::Working
    })
    .await;
    reaches(&bed, &second, 2, committed).await;
}

#[tokio::test]
async fn replicas_that_answer_reads_late_are_not_asked() {
    let bed = Bed::start();
    let instance = bed.instance().await;
    let (replica, _link, _) = lagging_replica(&bed, &instance).await;
    bed.front.read_from(replica.port());
    for version in 3..10 {
        instance.write(&bed.table, 7, version).await;
        assert_eq!(instance.read(&bed.table, 7).await, Some(version));
    }
    bed.warm(&instance, 7).await;
    assert_eq!(instance.cache.health(), Health::Working);
}

#[tokio::test]
async fn an_older_snapshot_is_replayed_before_it_is_read() {
    let mut bed = Bed::start();
    let instance = bed.instance().await;
    bed.table.write(7, 1);
    bed.warm(&instance, 7).await;
    let snapshot = bed.redis.snapshot().unwrap();
    let committed = Instant::now();
    bed.commit_elsewhere(7, 2);
    reaches(&bed, &instance, 2, committed).await;
    bed.redis.restore(&snapshot).unwrap();
    for _ in 0..20 {
        assert_eq!(instance.read(&bed.table, 7).await, Some(2), "the snapshot has version 1");
    }
    works(&instance).await;
    reaches(&bed, &instance, 2, committed).await;
    bed.redis.command(&["FLUSHALL"]).unwrap();
    assert_eq!(instance.read(&bed.table, 7).await, Some(2));
    works(&instance).await;
    reaches(&bed, &instance, 2, committed).await;
}

#[tokio::test]
async fn redis_is_not_used_over_rest_beside_instances_without_rest() {
    let bed = Bed::start();
    let over_rest = bed.instance().await;
    bed.table.write(7, 1);
    bed.warm(&over_rest, 7).await;
    let builder = crate::support::builder().redis(bed.redis.url()).journal(bed.ledger.seen_by_another());
    let other = classes(builder.build().await.unwrap());
    works(&other).await;
    assert_eq!(other.write(&bed.table, 7, 2).await, Delivery::Sent);
    assert_eq!(over_rest.read_fresh(&bed.table, 7).await, Some(2), "it was acknowledged as sent");
    eventually("it is named", async || {
        over_rest.cache.health_report().reasons.iter().any(|reason| reason.trouble == Trouble::Disagreement)
    })
    .await;
    assert_eq!(other.read(&bed.table, 7).await, Some(2));
    assert_eq!(other.cache.health(), Health::Working);
    // They have gone, and two minutes have passed.
    drop(other);
    let time = bed.redis.command(&["TIME"]).unwrap();
    let seconds: u64 = time.lines().next().unwrap().parse().unwrap();
    let old = ((seconds - 121) * 1_000_000).to_string();
    bed.redis.command(&["SET", in_redis_of_ledger!("@wm"), &old]).unwrap();
    works(&over_rest).await;
    bed.warm(&over_rest, 7).await;
}
