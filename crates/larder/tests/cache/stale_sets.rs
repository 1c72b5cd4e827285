//! Failure traces 1 and 2: a load that read the old row finishes after the write was acknowledged.

use larder::receipt::Delivery;
use larder_testbed::Redis;

use crate::support::{Gate, Instance, Table, in_redis, instance, memory_instance, within};

/// The reader and the writer of a trace, which can be the same instance.
async fn pair(redis: &Redis, is_same: bool) -> (Instance, Instance) {
    let reader = instance(redis).await;
    let writer = if is_same { reader.clone() } else { instance(redis).await };
    (reader, writer)
}

async fn trace_1_by_key(reader: Instance, writer: Instance, before: Option<u64>) {
    let (table, gate) = (Table::new(), Gate::new());
    if let Some(version) = before {
        table.write(7, version);
    }
    let held = reader.held_read(&table, 7, &gate);
    gate.arrival().await;
    assert_eq!(writer.write(&table, 7, 2).await, Delivery::Sent);
    gate.open();
    assert_eq!(held.await.unwrap(), before, "it began before the write and may say so");

    for instance in [&reader, &writer] {
        assert_eq!(instance.read_fresh(&table, 7).await, Some(2));
        assert_eq!(instance.read(&table, 7).await, Some(2));
        assert_eq!(instance.read(&table, 7).await, Some(2), "and again, from memory");
    }
}

async fn trace_1_by_class(reader: Instance, writer: Instance) {
    let (table, gate) = (Table::new(), Gate::new());
    table.write(7, 1);
    let held = reader.held_list(&table, "all", &gate);
    gate.arrival().await;
    assert_eq!(writer.write(&table, 7, 2).await, Delivery::Sent);
    gate.open();
    assert_eq!(held.await.unwrap(), [1]);

    for instance in [&writer, &reader] {
        assert_eq!(instance.list(&table, "all").await, [2]);
        assert_eq!(instance.list(&table, "all").await, [2]);
    }
}

/// By two patterns, by one pattern, by tags, and everything.
async fn trace_1_by_hand(reader: Instance, writer: Instance, number: usize) {
    let (table, gate) = (Table::new(), Gate::new());
    table.write(7, 1);
    let (held, held_list) = (reader.held_read(&table, 7, &gate), reader.held_list(&table, "all", &gate));
    gate.arrival().await;
    gate.arrival().await;
    table.write(7, 2);
    let invalidation = match number {
        0 => writer.cache.invalidation().matching("values:*").unwrap().matching("*:all").unwrap(),
        1 => writer.cache.invalidation().matching("*a*").unwrap(),
        2 => writer.cache.invalidation().tag("values").tag("everything"),
        _ => writer.cache.invalidation().everything(),
    };
    assert_eq!(within(invalidation.send()).await.delivery(), Delivery::Sent);
    gate.open();
    gate.open();
    assert_eq!((held.await.unwrap(), held_list.await.unwrap()), (Some(1), vec![1]));
    for instance in [&writer, &reader] {
        assert_eq!(instance.read_fresh(&table, 7).await, Some(2), "way {number}");
        for _ in 0..2 {
            assert_eq!(instance.read(&table, 7).await, Some(2), "way {number}");
            assert_eq!(instance.list(&table, "all").await, [2], "way {number}");
        }
    }
}

#[tokio::test]
async fn trace_1_by_pattern_by_tag_and_by_clear_all() {
    let redis = Redis::start().unwrap();
    for number in 0..4 {
        for is_same in [true, false] {
            redis.command(&["FLUSHALL"]).unwrap();
            let (reader, writer) = pair(&redis, is_same).await;
            trace_1_by_hand(reader, writer, number).await;
        }
        let alone = memory_instance().await;
        trace_1_by_hand(alone.clone(), alone, number).await;
    }
}

#[tokio::test]
async fn trace_1_by_key_on_the_same_and_on_another_instance() {
    let redis = Redis::start().unwrap();
    for is_same in [true, false] {
        for before in [Some(1), None] {
            redis.command(&["FLUSHALL"]).unwrap();
            let (reader, writer) = pair(&redis, is_same).await;
            trace_1_by_key(reader, writer, before).await;
        }
    }
}

#[tokio::test]
async fn trace_1_by_class_on_the_same_and_on_another_instance() {
    let redis = Redis::start().unwrap();
    for is_same in [true, false] {
        redis.command(&["FLUSHALL"]).unwrap();
        let (reader, writer) = pair(&redis, is_same).await;
        trace_1_by_class(reader, writer).await;
    }
}

#[tokio::test]
async fn trace_1_without_redis() {
    for before in [Some(1), None] {
        let instance = memory_instance().await;
        trace_1_by_key(instance.clone(), instance, before).await;
    }
    let instance = memory_instance().await;
    trace_1_by_class(instance.clone(), instance).await;
}

/// Fill 1 starts, the key is deleted, fill 2 starts in the same process, fill 1 ends. Fill 1 must be refused: its lease is
/// gone, and the present lease belongs to fill 2.
async fn trace_2(instance: Instance) {
    let (table, first, second) = (Table::new(), Gate::new(), Gate::new());
    table.write(7, 1);
    let fill_1 = instance.held_read(&table, 7, &first);
    first.arrival().await;
    assert_eq!(instance.write(&table, 7, 2).await, Delivery::Sent);

    let fill_2 = instance.held_read(&table, 7, &second);
    second.arrival().await;
    first.open();
    assert_eq!(fill_1.await.unwrap(), Some(1));
    assert_eq!(instance.values.get(&7).await.value(), None, "the first fill must not use the second's lease");

    second.open();
    assert_eq!(fill_2.await.unwrap(), Some(2));
    assert_eq!(instance.read(&table, 7).await, Some(2));
    assert_eq!(instance.read_fresh(&table, 7).await, Some(2));
    assert_eq!(instance.values.stats().fills_refused, 1);
}

#[tokio::test]
async fn trace_2_delete_twice_with_redis() {
    let redis = Redis::start().unwrap();
    let instance = instance(&redis).await;
    trace_2(instance.clone()).await;
    assert_eq!(instance.values.stats().loads, 2, "the second fill was stored and served the reads after it");
}

#[tokio::test]
async fn trace_2_delete_twice_without_redis() {
    trace_2(memory_instance().await).await;
}

#[tokio::test]
async fn no_delete_by_any_program_lets_a_late_fill_be_stored() {
    let redis = Redis::start().unwrap();
    let reader = instance(&redis).await;
    // By hand, by pattern as a script would, by expiry, by overwriting with a foreign value.
    let deletes: [&[&str]; 4] = [
        &["DEL", in_redis!("values:7")],
        &[
            "EVAL",
            "for _, k in ipairs(redis.call('KEYS', 'test:*:values:*')) do redis.call('DEL', k) end",
            "0",
        ],
        &["PEXPIRE", in_redis!("values:7"), "0"],
        &["SET", in_redis!("values:7"), "foreign"],
    ];
    for delete in deletes {
        redis.command(&["DEL", in_redis!("values:7")]).unwrap();
        let (table, gate) = (Table::new(), Gate::new());
        table.write(7, 1);
        let held = reader.held_read(&table, 7, &gate);
        gate.arrival().await;
        table.write(7, 2);
        redis.command(delete).unwrap();
        gate.open();
        assert_eq!(held.await.unwrap(), Some(1));
        assert_eq!(reader.read(&table, 7).await, Some(2), "after {delete:?}");
    }
    assert_eq!(reader.values.stats().fills_refused, 4);
}

#[tokio::test]
async fn rows_of_an_open_transaction_are_never_filled() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let table = Table::new();
        table.write(7, 1);
        // The loader runs inside a transaction that has written 2 and will be rolled back.
        let uncommitted = || async { Ok::<u64, std::fmt::Error>(2) };
        let inside = larder::uncached::uncached(instance.values.get_or_load(&7, uncommitted)).await.unwrap();
        assert_eq!(inside.as_deref(), Some(&2), "the transaction sees its own write");
        assert_eq!(instance.read(&table, 7).await, Some(1), "and no other read does");
    }
}
