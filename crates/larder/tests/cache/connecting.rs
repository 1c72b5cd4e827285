//! How a cache connects to one Redis: a Unix socket, a user with few rights, a password in a file.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use larder::cache::Health;
use larder::health::Trouble;
use larder::receipt::Delivery;
use larder::redis_options::RedisOptions;
use larder::tag;
use larder_testbed::{Redis, acl_user};

use crate::support::journal::Ledger;
use crate::support::{Instance, Table, builder, classes, eventually};

async fn instance_of(redis: RedisOptions) -> Instance {
    classes(builder().redis(redis).installation("test").build().await.unwrap())
}

pub(crate) async fn is_named(instance: &Instance, trouble: Trouble) {
    eventually(&format!("{trouble} is named"), async || {
        instance.cache.health_report().reasons.iter().any(|reason| reason.trouble == trouble)
    })
    .await;
}

pub(crate) async fn is_working(instance: &Instance) {
    eventually("Redis is used", async || instance.cache.health() == Health::Working).await;
}

/// One instance's load is the other's hit, and a write of one is seen by the other at once.
pub(crate) async fn share_entries(one: &Instance, other: &Instance) {
    static KEYS: AtomicU32 = AtomicU32::new(100);
    let (table, key) = (Table::new(), KEYS.fetch_add(1, Ordering::Relaxed));
    table.write(key, 1);
    assert_eq!((one.read(&table, key).await, other.read(&table, key).await), (Some(1), Some(1)));
    assert_eq!(table.loads(), 1);
    other.warm(&table, key).await;
    assert_eq!(one.write(&table, key, 2).await, Delivery::Sent);
    assert_eq!(other.read_fresh(&table, key).await, Some(2));
}

#[tokio::test]
async fn a_redis_behind_a_unix_socket_is_shared() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("redis.sock");
    let redis =
        Redis::start_with(&[("unixsocket", socket.to_str().unwrap()), ("requirepass", "secret")]).unwrap();
    let of_database =
        |database| RedisOptions::new(format!("redis+unix://{}?pass=secret&db={database}", socket.display()));
    let (one, other) = (instance_of(of_database(1)).await, instance_of(of_database(1)).await);
    share_entries(&one, &other).await;
    assert!(redis.command(&["INFO", "keyspace"]).unwrap().contains("db1:keys="));
}

/// The user may do everything that larder does, and nothing that the page does not list is needed: Redis logs each
/// command and key that an ACL refuses.
#[tokio::test]
async fn the_documented_user_has_every_right_that_larder_needs() {
    let redis = Redis::start().unwrap();
    let user = acl_user("test", "secret");
    let command: Vec<_> =
        ["ACL", "SETUSER", "larder"].into_iter().chain(user.iter().map(String::as_str)).collect();
    redis.command(&command).unwrap();
    let url = || RedisOptions::new(format!("redis://larder:secret@127.0.0.1:{}/1", redis.port()));
    let (one, other) = (instance_of(url()).await, instance_of(url()).await);
    share_entries(&one, &other).await;
    let memory_only = one.cache.class::<u32, u64>("memory_only").memory_only().open().unwrap();
    let table = Table::new();
    table.write(1, 1);
    memory_only.get_or_load(&1, table.loader(1)).await.unwrap();
    one.list(&table, "all").await;
    let _ = one.cache.invalidation().tag(tag("everything", "")).send().await;
    let permit = one.values.permit(&9).await;
    assert!(permit.put(9).await.is_stored);
    assert!(one.cache.self_test().await.unwrap().passed());
    assert!(one.cache.redis_info().await.value().is_some());
    assert!(one.cache.key_counts().await.redis.value().is_some());
    one.values.explain(&9).await;
    let _ = one.cache.clear().await;
    let journalled = classes(builder().redis(url()).journal(Ledger::new()).build().await.unwrap());
    journalled.warm(&table, 1).await;
    assert_eq!(redis.command(&["ACL", "LOG"]).unwrap(), "");
}

/// A password is replaced without a restart: the connections that are open stay open, and the next one uses the file.
#[tokio::test]
async fn a_new_password_in_its_file_is_used_without_a_restart() {
    let redis = Redis::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let give = |password: &str| {
        redis.command(&[
            "ACL",
            "SETUSER",
            "larder",
            "on",
            "resetpass",
            &format!(">{password}"),
            "~*",
            "&*",
            "+@all",
        ])
    };
    give("first").unwrap();
    fs::write(&file, "first\n").unwrap();
    let options = || {
        RedisOptions::new(format!("redis://larder:ignored@127.0.0.1:{}", redis.port())).password_file(&file)
    };
    let (one, other) = (instance_of(options()).await, instance_of(options()).await);
    share_entries(&one, &other).await;

    give("second").unwrap();
    share_entries(&one, &other).await;
    redis.command(&["CLIENT", "KILL", "USER", "larder"]).unwrap();
    is_named(&one, Trouble::Unauthenticated).await;
    fs::remove_file(&file).unwrap();
    eventually("the missing file is named", async || {
        let reasons = one.cache.health_report().reasons;
        reasons
            .iter()
            .any(|reason| reason.detail.as_deref().is_some_and(|detail| detail.contains("password_file")))
    })
    .await;
    fs::write(&file, "second").unwrap();
    is_working(&one).await;
    is_working(&other).await;
    share_entries(&one, &other).await;
}

#[tokio::test]
async fn options_that_contradict_each_other_and_files_that_are_missing_are_refused() {
    let url = "redis://localhost";
    for (options, says) in [
        (
            RedisOptions::new(url).password_file("/nowhere/password"),
            "password_file /nowhere/password cannot be read",
        ),
        (RedisOptions::new(url).password_file("/dev/null"), "password_file /dev/null is empty"),
        (RedisOptions::new(url).sentinel_password_file("/nowhere/p"), "sentinel_password_file /nowhere/p"),
        (RedisOptions::new(url).ca_file("/nowhere/ca.pem"), "belong to TLS"),
        (RedisOptions::new(url).server_name("cache"), "belong to TLS"),
    ] {
        let refused = options.check().unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
        let refused = builder().redis(options).installation("test").build().await.unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    }
}
