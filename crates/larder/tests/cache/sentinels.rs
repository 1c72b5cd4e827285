//! A master and its replica that real Sentinels watch.

use std::fs;
use std::sync::Arc;

use larder::health::Trouble;
use larder::journal::Touch;
use larder::redis_options::RedisOptions;
use larder_testbed::{Redis, free_port};

use crate::connecting::{is_named, is_working, share_entries};
use crate::support::journal::Ledger;
use crate::support::{Instance, Table, builder, classes, eventually};

struct Watched {
    master: Redis,
    replica: Redis,
    sentinels: Vec<Redis>,
}

impl Watched {
    /// A master with a replica, and three Sentinels that know both.
    async fn start(sentinel_directives: &[(&str, &str)]) -> Self {
        let (master, replica) = (Redis::start().unwrap(), Redis::start().unwrap());
        replica.replicate(master.port()).unwrap();
        let monitor = format!("monitor rooms 127.0.0.1 {} 2", master.port());
        let mut directives = vec![
            ("sentinel", monitor.as_str()),
            ("sentinel", "down-after-milliseconds rooms 500"),
            ("sentinel", "failover-timeout rooms 3000"),
        ];
        directives.extend(sentinel_directives);
        let sentinels: Vec<_> = (0..3).map(|_| Redis::start_sentinel(&directives).unwrap()).collect();
        let watched = Watched { master, replica, sentinels };
        for sentinel in &watched.sentinels {
            eventually("the Sentinel knows the replica and the others", async || {
                let state = sentinel.command(&["INFO", "sentinel"]).unwrap();
                state.contains("status=ok") && state.contains("slaves=1,sentinels=3")
            })
            .await;
        }
        watched
    }

    fn options(&self) -> RedisOptions {
        self.options_with("")
    }

    /// The options with this text before the hosts.
    fn options_with(&self, login: &str) -> RedisOptions {
        let hosts: Vec<_> =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect();
        RedisOptions::new(format!("redis-sentinel://{login}{}/0?sentinelMasterId=rooms", hosts.join(",")))
    }
}

async fn instance(options: RedisOptions, ledger: &Ledger) -> Instance {
    let cache = builder().redis(options).journal(ledger.seen_by_another()).build().await.unwrap();
    classes(cache)
}

/// The master dies with an invalidation that its replica may not have; the instances follow the Sentinels to the replica,
/// and no read answers what was replaced.
#[tokio::test]
async fn a_fail_over_is_followed() {
    let mut watched = Watched::start(&[]).await;
    let ledger = Ledger::new();
    let (one, other) =
        (instance(watched.options(), &ledger).await, instance(watched.options(), &ledger).await);
    is_working(&one).await;
    share_entries(&one, &other).await;
    let table = Table::new();
    table.write(8, 1);
    other.warm(&table, 8).await;

    watched.replica.pause().unwrap();
    table.write(8, 2);
    ledger.note(Touch::entry("values", ["8"]));
    let _ = one.cache.invalidation().key(&one.values, &8).send().await;
    watched.master.kill().unwrap();
    watched.replica.resume().unwrap();
    for instance in [&one, &other] {
        eventually("the promoted replica is used", async || {
            assert_eq!(instance.read_fresh(&table, 8).await, Some(2));
            let hits = instance.values.stats().redis_hits;
            instance.cache.health() == larder::cache::Health::Working
                && instance.values.stats().redis_hits >= hits
        })
        .await;
    }
    assert!(watched.replica.command(&["INFO", "replication"]).unwrap().contains("role:master"));
    share_entries(&one, &other).await;
    // The former master returns and becomes a replica. An instance that starts now uses the new master.
    watched.master.restart().unwrap();
    let late = instance(watched.options(), &ledger).await;
    is_working(&late).await;
    share_entries(&one, &late).await;
}

/// Redis replicates no users, so the password is replaced at every node, as docs/redis.md has it.
#[tokio::test]
async fn a_password_that_was_replaced_at_every_node_outlives_a_fail_over() {
    let mut watched = Watched::start(&[]).await;
    let (ledger, folder) = (Ledger::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("password");
    let give = |watched: &Watched, rules: &[&str]| {
        for node in [&watched.master, &watched.replica] {
            node.command(&[&["ACL", "SETUSER", "larder"], rules].concat()).unwrap();
        }
    };
    give(&watched, &["on", ">first", "~*", "&*", "+@all"]);
    fs::write(&file, "first").unwrap();
    let options = watched.options_with("larder:ignored@").password_file(&file);
    let (one, other) = (instance(options.clone(), &ledger).await, instance(options, &ledger).await);
    share_entries(&one, &other).await;
    give(&watched, &[">second"]);
    fs::write(&file, "second").unwrap();
    give(&watched, &["<first"]);
    share_entries(&one, &other).await;

    watched.master.kill().unwrap();
    for instance in [&one, &other] {
        eventually("the promoted replica lets larder in", async || {
            let clients = watched.replica.command(&["CLIENT", "LIST", "TYPE", "normal"]).unwrap();
            clients.matches("user=larder").count() >= 2
                && instance.cache.health() == larder::cache::Health::Working
        })
        .await;
    }
    share_entries(&one, &other).await;
}

/// From this master only the Sentinels are cut off: it still answers the instances, which leave it all the same.
#[tokio::test]
async fn a_former_master_that_still_answers_is_left() {
    let mut watched = Watched::start(&[]).await;
    let ledger = Ledger::new();
    let one = instance(watched.options(), &ledger).await;
    is_working(&one).await;
    // The Sentinels forget the former master and monitor the replica, so they do not demote the former master.
    for sentinel in &watched.sentinels {
        sentinel.command(&["SENTINEL", "REMOVE", "rooms"]).unwrap();
        let port = watched.replica.port().to_string();
        sentinel.command(&["SENTINEL", "MONITOR", "rooms", "127.0.0.1", &port, "2"]).unwrap();
    }
    watched.replica.promote().unwrap();
    eventually("the instance uses the master that the Sentinels name", async || {
        let clients = watched.replica.command(&["CLIENT", "LIST", "TYPE", "normal"]).unwrap();
        clients.contains("flags=t")
    })
    .await;
    is_working(&one).await;
    watched.master.kill().unwrap();
    is_working(&one).await;
}

#[tokio::test]
async fn sentinels_that_name_no_master_are_named_and_one_that_does_is_enough() {
    let watched = Watched::start(&[]).await;
    let ledger = Ledger::new();
    let port = watched.sentinels[0].port();
    let (closed, silent) = (free_port().unwrap(), Redis::start().unwrap());
    silent.pause().unwrap();
    let mixed = format!(
        "redis-sentinel://127.0.0.1:{closed},127.0.0.1:{},127.0.0.1:{port}?sentinelMasterId=rooms",
        silent.port()
    );
    is_working(&instance(RedisOptions::new(mixed), &ledger).await).await;
    for (url, says) in [
        (format!("redis-sentinel://127.0.0.1:{port}?sentinelMasterId=halls"), "monitors no master halls"),
        (format!("redis-sentinel://127.0.0.1:{closed}?sentinelMasterId=rooms"), "refused"),
        (format!("redis-sentinel://127.0.0.1:{}?sentinelMasterId=rooms", silent.port()), "no answer within"),
        (format!("redis-sentinel://127.0.0.1:{}?sentinelMasterId=rooms", watched.master.port()), "SENTINEL"),
    ] {
        let instance = instance(RedisOptions::new(url), &ledger).await;
        is_named(&instance, Trouble::NoMaster).await;
        let reason = instance.cache.health_report().reasons.remove(0);
        assert!(reason.detail.as_deref().unwrap_or_default().contains(says), "{says}: {reason:?}");
        let table = Arc::new(Table::default());
        table.write(7, 1);
        assert_eq!(instance.read(&table, 7).await, Some(1));
    }
    silent.resume().unwrap();
}

#[tokio::test]
async fn sentinels_have_a_password_of_their_own() {
    let watched = Watched::start(&[("requirepass", "watch"), ("sentinel", "sentinel-pass watch")]).await;
    let ledger = Ledger::new();
    let without = instance(watched.options(), &ledger).await;
    is_named(&without, Trouble::NoMaster).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "watch\n").unwrap();
    for options in
        [watched.options().sentinel_password("watch"), watched.options().sentinel_password_file(&file)]
    {
        is_working(&instance(options, &ledger).await).await;
    }
}
