//! Plain values: a value that was put is on every instance, and the earlier value is never served again.

use larder::cache::Health;
use larder::introspection::self_test::SelfTest;
use larder::receipt::Delivery;
use larder_testbed::Redis;

use crate::support::journal::Ledger;
use crate::support::{Gate, Instance, Table, classes, eventually, instance, memory_instance, within};

/// A value that is never put: the answer of a loader that ran because no tier had a value.
const NONE: u64 = u64::MAX;

async fn put(instance: &Instance, value: u64) -> bool {
    let put = within(instance.values.put(&7, value)).await;
    assert_eq!(put.receipt.delivery(), Delivery::Sent);
    put.is_stored
}

async fn get(instance: &Instance) -> Option<u64> {
    within(instance.values.get(&7)).await.value().as_deref().copied()
}

/// The value in Redis (without Redis, the loader's), read without leaving an entry behind.
async fn fresh(instance: &Instance) -> u64 {
    let load = async || Ok::<_, std::io::Error>(NONE);
    let answer = within(instance.values.read(&7).fresh().or_load(load)).await.unwrap();
    if answer.value.as_deref() == Some(&NONE) {
        let _receipt = instance.values.invalidate(&7).await;
    }
    *answer.value.unwrap()
}

async fn with(redis: Option<&Redis>, ledger: Option<&Ledger>) -> Instance {
    let mut builder = crate::support::builder();
    if let Some(redis) = redis {
        builder = builder.redis(redis.url()).installation("test");
    }
    if let Some(ledger) = ledger {
        builder = builder.journal(ledger.clone());
    }
    classes(builder.build().await.unwrap())
}

#[tokio::test]
async fn a_value_is_put_looked_at_and_dropped_on_every_kind_of_cache() {
    let (redis, ledger) = (Redis::start().unwrap(), Ledger::new());
    let kinds = [
        (None, None),
        (Some(&redis), None),
        (None, Some(&ledger)),
        (Some(&Redis::start().unwrap()), Some(&ledger)),
    ];
    for (redis, ledger) in kinds {
        let instance = with(redis, ledger).await;
        assert!(!instance.values.contains(&7).await);
        for value in [1, 2] {
            assert!(put(&instance, value).await);
            assert_eq!((get(&instance).await, instance.values.contains(&7).await), (Some(value), true));
        }
        let stats = instance.values.stats();
        assert_eq!((stats.puts, stats.loads, instance.values.load_times().count), (2, 2, 0));
        assert_eq!((stats.hits(), stats.misses()), (4, 1), "a put is no look-up: {stats:?}");
        let _receipt = instance.values.invalidate_matching("8*").await.unwrap();
        assert_eq!(get(&instance).await, Some(2));
        let _receipt = instance.values.invalidate_matching("7*").await.unwrap();
        assert_eq!(get(&instance).await, None);
        assert!(instance.values.invalidate_matching("").await.is_err());

        instance.values.set_enabled(false);
        assert!(!put(&instance, 3).await);
        instance.values.set_enabled(true);
        assert_eq!(get(&instance).await, None);
    }
}

/// The put's own row in the journal reports its invalidation, not the value that was stored after it.
#[tokio::test]
async fn the_journal_does_not_remove_a_value_that_was_put() {
    for redis in [Some(Redis::start().unwrap()), None] {
        let ledger = Ledger::new();
        let instance = with(redis.as_ref(), Some(&ledger)).await;
        for value in 0..5 {
            assert!(put(&instance, value).await);
        }
        assert_eq!(ledger.rows().len(), 5);
        // Polls continue: when a put of another key returns, a poll has covered the row of this put.
        let polls = async || {
            let _put = instance.values.put(&8, 1).await;
        };
        for _ in 0..5 {
            polls().await;
            assert_eq!(get(&instance).await, Some(4));
        }
    }
}

#[tokio::test]
async fn a_value_is_seen_by_every_instance_once_it_was_put() {
    let redis = Redis::start().unwrap();
    let (a, b) = (instance(&redis).await, instance(&redis).await);
    for value in 0..20 {
        let (writer, reader) = if value % 2 == 0 { (&a, &b) } else { (&b, &a) };
        assert!(put(writer, value).await);
        assert_eq!((fresh(reader).await, get(writer).await), (value, Some(value)));
        eventually("memory follows", async || get(reader).await == Some(value)).await;
    }
}

#[tokio::test]
async fn a_slow_reader_does_not_restore_a_value_that_a_put_replaced() {
    let redis = Redis::start().unwrap();
    let (a, b) = (instance(&redis).await, instance(&redis).await);
    let alone = memory_instance().await;
    for (reader, writer) in [(&a, &b), (&a, &a), (&alone, &alone)] {
        let (table, gate) = (Table::new(), Gate::new());
        table.write(7, 1);
        let _receipt = reader.values.invalidate(&7).await;
        let held = reader.held_read(&table, 7, &gate);
        gate.arrival().await;
        assert!(put(writer, 2).await);
        gate.open();
        assert_eq!(held.await.unwrap(), Some(1), "the read that began before");
        // Without Redis a fresh read always runs its loader.
        if reader.cache.health() == Health::Working {
            assert_eq!((fresh(reader).await, fresh(writer).await), (2, 2));
        }
        assert_eq!(get(writer).await, Some(2));
    }
}

/// In each round two instances act at once. Afterwards both return the same value, and none from an earlier round.
async fn race(
    rounds: u64,
    ledger: Option<&Ledger>,
    other: impl AsyncFn(&Instance, u64) -> Option<u64>,
) -> usize {
    let redis = Redis::start().unwrap();
    let (a, b) = (with(Some(&redis), ledger).await, with(Some(&redis), ledger).await);
    let mut stored = 0;
    for round in 0..rounds {
        let (mine, theirs) = (2 * round, 2 * round + 1);
        let ((), theirs) = tokio::join!(
            async {
                stored += usize::from(put(&a, mine).await);
                let seen = get(&a).await;
                assert!(seen.is_none_or(|seen| seen >= mine), "round {round}: {seen:?} is of the past");
            },
            other(&b, theirs)
        );
        let allowed = [Some(mine), theirs, Some(NONE)];
        let existing = fresh(&a).await;
        assert!(allowed.contains(&Some(existing)), "round {round}: {existing}");
        let again = fresh(&b).await;
        // A poll of the relay that is in progress can propagate an invalidation late, and remove the value.
        let is_taken = ledger.is_some() && again == NONE;
        assert!(again == existing || is_taken, "round {round}: {existing}, then {again}");
        for instance in [&a, &b] {
            let seen = get(instance).await;
            assert!(seen.is_none() || allowed.contains(&seen), "round {round}: {seen:?}");
        }
    }
    stored
}

#[tokio::test]
async fn of_two_puts_at_once_one_stays_everywhere() {
    // With a journal both instances run a relay, and either can propagate an invalidation while the other fills.
    for (rounds, ledger) in [(200, None), (50, Some(Ledger::new()))] {
        let stored = race(rounds, ledger.as_ref(), async |b, value| {
            put(b, value).await;
            let seen = get(b).await;
            assert!(seen.is_none_or(|seen| seen + 1 >= value), "{seen:?} is of the past");
            Some(value)
        })
        .await;
        assert!(stored > 0, "at least one put was stored");
    }
}

#[tokio::test]
async fn an_invalidation_during_a_put_leaves_the_value_or_nothing() {
    let stored = race(200, None, async |b, _| {
        let _receipt = b.values.invalidate(&7).await;
        None
    })
    .await;
    assert!(stored > 0, "at least one put was stored");
}

#[tokio::test]
async fn puts_of_one_instance_at_once_leave_one_of_them() {
    let instance = memory_instance().await;
    for round in 0..200 {
        let puts = (0..4).map(|nth| {
            let instance = instance.clone();
            tokio::spawn(async move { put(&instance, 4 * round + nth).await })
        });
        for put in puts.collect::<Vec<_>>() {
            put.await.unwrap();
        }
        let seen = get(&instance).await;
        assert!(seen.is_none_or(|seen| seen / 4 == round), "round {round}: {seen:?}");
    }
}

#[tokio::test]
async fn a_put_while_redis_is_away_is_queued_and_the_old_value_never_returns() {
    let redis = Redis::start().unwrap();
    let (a, b) = (instance(&redis).await, instance(&redis).await);
    assert!(put(&a, 1).await);
    assert_eq!(fresh(&b).await, 1);
    redis.pause().unwrap();
    let queued = within(a.values.put(&7, 2)).await;
    assert_eq!(queued.receipt.delivery(), Delivery::Queued);
    assert_eq!((queued.is_stored, get(&a).await), (true, Some(2)), "here, for as long as the bound");
    redis.resume().unwrap();
    for instance in [&a, &b] {
        eventually("Redis is back", async || instance.cache.health() == Health::Working).await;
    }
    eventually("the unsent invalidation is sent", async || get(&b).await.is_none()).await;
    assert_ne!(get(&a).await, Some(1));
    assert_eq!(fresh(&b).await, NONE);
}

#[tokio::test]
async fn the_self_test_goes_through_the_tiers() {
    let mut redis = Redis::start().unwrap();
    for instance in [memory_instance().await, instance(&redis).await] {
        assert!(within(instance.cache.self_test()).await.unwrap().passed());
        let names: Vec<String> = instance.cache.classes().into_iter().map(|class| class.name).collect();
        assert_eq!(names, ["lists", "values"], "its class is not listed");
    }
    let instance = instance(&redis).await;
    redis.kill().unwrap();
    eventually("away", async || instance.cache.health() == Health::Degraded).await;
    let away = within(instance.cache.self_test()).await.unwrap();
    let expected = SelfTest {
        is_available: false,
        set: true,
        get: true,
        exists: true,
        delete: false,
        gone_after_delete: true,
    };
    assert_eq!(away, expected);
    assert!(!away.passed());
}

#[tokio::test]
async fn a_put_does_not_hang_with_its_journal() {
    for redis in [Some(Redis::start().unwrap()), None] {
        let ledger = Ledger::new();
        let instance = with(redis.as_ref(), Some(&ledger)).await;
        assert!(put(&instance, 1).await);
        ledger.freeze(true);
        let _put = within(instance.values.put(&7, 2)).await;
        assert_ne!(get(&instance).await, Some(1), "the earlier value is gone all the same");
        ledger.freeze(false);
        eventually("puts are stored again", async || {
            let put = within(instance.values.put(&7, 3)).await;
            put.is_stored && get(&instance).await == Some(3)
        })
        .await;
    }
}
