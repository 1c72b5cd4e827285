//! Replicas and snapshots, with a real redis-server.

use std::time::{Duration, Instant};

use larder_testbed::{Proxy, Redis};

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "never came true: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn get(redis: &Redis) -> String {
    redis.command(&["GET", "k"]).expect("Redis answers")
}

#[test]
fn a_replica_whose_link_stalls_is_promoted_with_what_it_had() {
    let (master, replica) = (Redis::start().unwrap(), Redis::start().unwrap());
    let link = Proxy::start(master.port()).unwrap();
    master.command(&["SET", "k", "1"]).unwrap();
    replica.replicate(link.port()).unwrap();
    assert_eq!(get(&replica), "1");
    master.command(&["SET", "k", "2"]).unwrap();
    eventually("the replica follows", || get(&replica) == "2");

    link.stall();
    master.command(&["SET", "k", "3"]).unwrap();
    replica.promote().unwrap();
    assert_eq!((get(&master).as_str(), get(&replica).as_str()), ("3", "2"));
    assert!(replica.command(&["INFO", "replication"]).unwrap().contains("role:master"));
    assert_eq!(replica.command(&["SET", "k", "4"]).unwrap(), "OK");
}

#[test]
fn a_snapshot_restores_old_contents_and_a_restart_does_not() {
    let mut redis = Redis::start().unwrap();
    redis.command(&["SET", "k", "old"]).unwrap();
    let snapshot = redis.snapshot().unwrap();
    redis.command(&["SET", "k", "new"]).unwrap();
    redis.restore(&snapshot).unwrap();
    assert_eq!(get(&redis), "old");
    redis.restart().unwrap();
    assert_eq!(get(&redis), "(nil)");
}

#[test]
fn a_restarted_replica_is_an_empty_master() {
    let (master, mut replica) = (Redis::start().unwrap(), Redis::start().unwrap());
    master.command(&["SET", "k", "v"]).unwrap();
    replica.replicate(master.port()).unwrap();
    replica.restart().unwrap();
    assert_eq!(get(&replica), "(nil)");
    assert!(replica.command(&["INFO", "replication"]).unwrap().contains("role:master"));
}
