//! Trace 4: the connection on which Redis reports changes is closed, or goes silent, while another instance writes.

use std::time::{Duration, Instant};

use larder::cache::Health;
use larder::journal::Touch;
use larder::receipt::Delivery;
use larder_testbed::{Proxy, Redis};

use crate::support::journal::Ledger;
use crate::support::{Instance, Table, classes, eventually, within};

const BOUND: Duration = Duration::from_secs(2);

struct Bed {
    redis: Redis,
    proxy: Proxy,
    table: std::sync::Arc<Table>,
    /// This instance reads through the proxy.
    far: Instance,
    near: Instance,
}

impl Bed {
    async fn new() -> Self {
        let redis = Redis::start().unwrap();
        let proxy = Proxy::start(redis.port()).unwrap();
        let (table, ledger) = (Table::new(), Ledger::new());
        table.write(7, 1);
        let instance = async |url: String| {
            let cache = crate::support::builder().redis(url).journal(ledger.clone()).build().await.unwrap();
            eventually("Redis is usable", async || cache.health() == Health::Working).await;
            classes(cache)
        };
        let far = instance(format!("redis://127.0.0.1:{}/0", proxy.port())).await;
        let near = instance(redis.url()).await;
        far.warm(&table, 7).await;
        Bed { redis, proxy, table, far, near }
    }

    async fn write_near(&self) -> Instant {
        self.table.write(7, 2);
        let receipt = self.near.cache.committed(&[Touch::entry("values", ["7"])], &[]).send().await;
        assert_eq!(receipt.delivery(), Delivery::Sent, "the writer has a link");
        Instant::now()
    }

    /// From now on no read of the far instance may miss the write for longer than the bound; fresh reads may not miss
    /// it at all; and no read may take as long as a TCP time-out.
    async fn follows(&self, written: Instant) {
        let fresh = Instant::now();
        assert_eq!(self.far.read_fresh(&self.table, 7).await, Some(2));
        assert!(fresh.elapsed() < Duration::from_secs(1), "a silent link delays a read by our time-out only");
        eventually("the write is seen", async || {
            let began = Instant::now();
            let value = self.far.read(&self.table, 7).await;
            assert!(value == Some(2) || began < written + BOUND, "served beyond the bound");
            value == Some(2)
        })
        .await;
        for _ in 0..100 {
            assert_eq!(self.far.read(&self.table, 7).await, Some(2), "and never the old one again");
        }
        self.proxy.heal();
        eventually("it recovers", async || self.far.cache.health() == Health::Working).await;
        self.far.warm(&self.table, 7).await;
        assert_eq!(self.far.read(&self.table, 7).await, Some(2));
    }
}

#[tokio::test]
async fn trace_4_a_killed_connection() {
    let bed = Bed::new().await;
    bed.proxy.cut();
    let written = bed.write_near().await;
    within(bed.follows(written)).await;
}

#[tokio::test]
async fn trace_4_a_connection_that_redis_killed() {
    let bed = Bed::new().await;
    bed.redis.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).unwrap();
    // The writer's connection is closed too; until it reconnects it says `queued`.
    bed.table.write(7, 2);
    let receipt = bed.near.cache.committed(&[Touch::entry("values", ["7"])], &[]).wait().send().await;
    assert_eq!(receipt.delivery(), Delivery::Sent, "it was waited for");
    within(bed.follows(Instant::now())).await;
}

#[tokio::test]
async fn trace_4_a_silent_connection() {
    let bed = Bed::new().await;
    bed.proxy.stall();
    let written = bed.write_near().await;
    within(bed.follows(written)).await;
}

#[tokio::test]
async fn trace_4_a_connection_on_which_only_replies_are_lost() {
    let bed = Bed::new().await;
    bed.proxy.stall_replies();
    let written = bed.write_near().await;
    within(bed.follows(written)).await;
}

/// The far instance has its grant and its connection. Its Redis becomes a replica, and a master again before it copied
/// the one on which a write may have been acknowledged in between.
#[tokio::test]
async fn a_master_that_was_demoted_and_promoted_again_answers_no_read() {
    let bed = Bed::new().await;
    let before = bed.far.values.stats();
    for command in [["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]] {
        bed.redis.command(&command).unwrap();
    }
    bed.table.write(7, 2);
    assert_eq!(bed.far.read_fresh(&bed.table, 7).await, Some(2));
    assert_eq!(bed.far.values.stats().redis_hits, before.redis_hits);
}

/// A clean failover: the old master continues as a replica and its connections stay open. It does not receive at once
/// what is acknowledged on the new master.
#[tokio::test]
async fn a_master_that_was_replaced_answers_no_read_any_more() {
    let (old, new) = (Redis::start().unwrap(), Redis::start().unwrap());
    new.replicate(old.port()).unwrap();
    let (table, ledger) = (Table::new(), Ledger::new());
    table.write(7, 1);
    let instance = async |url: String| {
        let cache = crate::support::builder().redis(url).journal(ledger.clone()).build().await.unwrap();
        eventually("Redis is usable", async || cache.health() == Health::Working).await;
        classes(cache)
    };
    let far = instance(old.url()).await;
    far.warm(&table, 7).await;
    let port = new.port().to_string();
    eventually("the old one knows its replica", async || {
        old.command(&["INFO", "replication"]).unwrap().contains("state=online")
    })
    .await;
    old.command(&["FAILOVER", "TO", "127.0.0.1", &port, "FORCE", "TIMEOUT", "1000"]).unwrap();
    eventually("the new one is master", async || {
        new.command(&["ROLE"]).unwrap().starts_with("master")
            && old.command(&["ROLE"]).unwrap().starts_with("slave")
    })
    .await;
    // The replication link goes silent: the old master keeps its data.
    old.command(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    let near = instance(new.url()).await;
    table.write(7, 2);
    let receipt = near.cache.committed(&[Touch::entry("values", ["7"])], &[]).send().await;
    assert_eq!(receipt.delivery(), Delivery::Sent);
    for _ in 0..100 {
        assert_eq!(far.read_fresh(&table, 7).await, Some(2));
    }
}
