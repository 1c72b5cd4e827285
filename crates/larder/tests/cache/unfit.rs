//! A server that can never serve is named in one line with what to do, and dialled less and less often.

use std::time::{Duration, Instant};

use larder::cache::Health;
use larder::health::Trouble;
use larder_testbed::Redis;

use crate::support::disguise::Disguise;
use crate::support::journal::Ledger;
use crate::support::logged::Logged;
use crate::support::{Table, calls, classes, eventually};

/// How many connections the server has accepted, except those of the test itself; this call makes one.
fn dialled(redis: &Redis, own: &mut u64) -> u64 {
    *own += 1;
    let stats = redis.command(&["INFO", "stats"]).unwrap();
    let taken = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    taken.unwrap().trim().parse::<u64>().unwrap() - *own
}

/// Builds a cache on `url`, behind which `redis` is, and waits until the cache has dialled several times.
async fn is_named(redis: &Redis, url: String, is_journalled: bool, trouble: Trouble, says: &[&str]) {
    let logged = Logged::start();
    let mut builder = crate::support::builder().redis(&url).installation("test");
    if is_journalled {
        builder = builder.journal(Ledger::new());
    }
    let instance = classes(builder.build().await.unwrap());
    eventually(&format!("{trouble} is named"), async || {
        instance.cache.health_report().reasons.iter().any(|reason| reason.trouble == trouble)
    })
    .await;
    let (table, mut own) = (Table::new(), 0);
    let before = dialled(redis, &mut own);
    table.write(7, 1);
    eventually("it has been dialled several times", async || {
        assert_eq!(instance.read(&table, 7).await, Some(1));
        dialled(redis, &mut own) >= before + 3
    })
    .await;
    let report = instance.cache.health_report();
    assert_eq!((report.state, report.reasons.len()), (Health::Degraded, 1), "{report:?}");
    assert_eq!(report.reasons[0].trouble, trouble, "{report:?}");
    for part in says {
        assert!(report.reasons[0].text.contains(part), "{part}: {report:?}");
    }
    let warnings = logged.with("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains(trouble.text()), "{warnings:?}");
    let stats = redis.command(&["INFO", "commandstats"]).unwrap();
    assert_eq!(calls(&stats, &["mget", "eval", "evalsha", "set", "unlink", "scan"]), 0, "it is left alone");
}

#[tokio::test]
async fn a_node_of_a_cluster_is_named() {
    let redis = Redis::start_with(&[("cluster-enabled", "yes")]).unwrap();
    is_named(&redis, redis.url(), true, Trouble::Cluster, &["Redis Cluster", "redis-cluster"]).await;
    // A database number other than 0 is refused before any other command. Valkey does not say why.
    if redis.command(&["INFO", "server"]).unwrap().contains("valkey_version") {
        return;
    }
    let second = format!("redis://127.0.0.1:{}/1", redis.port());
    is_named(&redis, second, false, Trouble::Cluster, &["Redis Cluster"]).await;
}

#[tokio::test]
async fn a_sentinels_port_is_named() {
    let sentinel = Redis::start_sentinel(&[]).unwrap();
    is_named(&sentinel, sentinel.url(), true, Trouble::Sentinel, &["Sentinel", "redis-sentinel"]).await;
}

fn disguised_as_older(redis: &Redis) -> Disguise {
    let info = redis.command(&["INFO", "server"]).unwrap();
    let version = info.lines().find(|line| line.starts_with("redis_version:")).unwrap();
    let major = version.split_once('.').unwrap().0;
    Disguise::start(redis.port(), &format!("{major}."), "redis_version:6.")
}

/// No package offers a Redis 6 next to a newer one, so a proxy makes the installed one claim to be older.
#[tokio::test]
async fn a_redis_older_than_seven_is_named() {
    let redis = Redis::start().unwrap();
    let disguise = disguised_as_older(&redis);
    is_named(&redis, disguise.url(), false, Trouble::TooOld, &["older than 7.0", "upgrade"]).await;
}

#[tokio::test]
async fn a_missing_field_of_info_is_named() {
    let redis = Redis::start().unwrap();
    for (from, to) in [("run_id:", "xxx_id:"), ("master_replid:", "master_xxxxxx:"), ("role:", "xxxx:")] {
        let disguise = Disguise::start(redis.port(), from, to);
        is_named(&redis, disguise.url(), true, Trouble::Nameless, &["run_id", "proxy"]).await;
    }
}

#[tokio::test]
async fn an_acl_that_hides_info_is_named() {
    let redis = Redis::start().unwrap();
    let user = ["ACL", "SETUSER", "managed", "on", ">secret", "~*", "&*", "+@all", "-info"];
    redis.command(&user).unwrap();
    let url = format!("redis://managed:secret@127.0.0.1:{}/0", redis.port());
    is_named(&redis, url, false, Trouble::Forbidden, &["ACL", "docs/relay.md"]).await;
}

#[tokio::test]
async fn a_renamed_command_is_named() {
    let redis = Redis::start_with(&[("rename-command", "TIME \"\"")]).unwrap();
    let cache = crate::support::builder().redis(redis.url()).journal(Ledger::new()).build().await.unwrap();
    let instance = classes(cache);
    eventually("it is named", async || {
        let reasons = instance.cache.health_report().reasons;
        reasons.iter().any(|reason| {
            reason.trouble == Trouble::CommandMissing && reason.text.contains("does not know a command")
        })
    })
    .await;
    let table = Table::new();
    table.write(7, 1);
    assert_eq!(instance.read_fresh(&table, 7).await, Some(1));
    assert_eq!(instance.values.stats().redis_hits, 0);
}

#[tokio::test]
async fn a_wrong_password_is_named() {
    let redis = Redis::start_with(&[("requirepass", "secret")]).unwrap();
    for credentials in ["", ":wrong@", "nobody:wrong@"] {
        let url = format!("redis://{credentials}127.0.0.1:{}/0", redis.port());
        let cache = crate::support::builder().redis(url).installation("test").build().await.unwrap();
        eventually("it is named", async || {
            let report = cache.health_report();
            report.reasons.iter().any(|reason| reason.trouble == Trouble::Unauthenticated)
        })
        .await;
    }
}

/// A repaired server is used without a restart.
#[tokio::test]
async fn a_server_that_was_mended_is_used() {
    let logged = Logged::start();
    let redis = Redis::start().unwrap();
    let disguise = disguised_as_older(&redis);
    let cache = crate::support::builder().redis(disguise.url()).installation("test").build().await.unwrap();
    eventually("it is named", async || cache.health_report().reasons[0].trouble == Trouble::TooOld).await;
    disguise.take_off();
    let mended = Instant::now();
    eventually("it is used", async || cache.health() == Health::Working).await;
    assert!(mended.elapsed() < Duration::from_secs(6), "{:?}", mended.elapsed());
    eventually("its end is logged", async || logged.with("no longer degraded").len() == 1).await;
}
