//! Several databases with one Redis and one namespace: a row of one is never served for a row of another.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

mod bed;
mod fail_overs;

use std::fs;
use std::time::{Duration, Instant};

use larder::journal::Journal;
use larder::receipt::Delivery;
use larder_sql::dialect::Dialect;
use larder_sql::journal::SqlJournal;
use larder_testbed::{Database, Postgres, Redis, Sqlite};

use crate::bed::{Instance, ROOMS, eventually, schema};

/// Runs two instances on each of two databases with the same tables and ids, all at once.
async fn stay_apart(urls: [&str; 2]) {
    let redis = Redis::start().unwrap();
    let owners = ["first", "second"];
    let mut instances = Vec::new();
    for (url, owner) in urls.into_iter().zip(owners).chain(urls.into_iter().zip(owners)) {
        let instance = Instance::open(url, &redis).await;
        instance.works().await;
        instances.push((instance, owner));
    }
    let busy = instances
        .iter()
        .cloned()
        .map(|(instance, owner)| tokio::spawn(async move { instance.bustle(owner, 3_000).await }));
    let busy: Vec<_> = busy.collect();
    for (work, (_, owner)) in busy.into_iter().zip(&instances) {
        assert_eq!(work.await.unwrap(), 0, "the other database's rooms were served for those of the {owner}");
    }
    for (instance, owner) in &instances {
        instance.works().await;
        let redis_hits = instance.rooms.stats().redis_hits;
        assert!(redis_hits > 0, "instances of one database share what Redis holds: {redis_hits}");
        for id in 0..ROOMS {
            assert_eq!(instance.read_fresh(id).await, ((*owner).to_owned(), instance.number(id).await));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_postgres_databases_with_the_same_ids_stay_apart() {
    let server = Postgres::shared().unwrap();
    let databases = ["first", "second"].map(|owner| {
        let database = Database::fresh(&server).unwrap();
        database.sql(&schema(Dialect::Postgres, owner)).unwrap();
        database
    });
    let [first, second] = databases.each_ref().map(Database::url);
    stay_apart([&first, &second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copied_sqlite_file_is_another_database() {
    let (first, second) = (Sqlite::fresh().unwrap(), Sqlite::fresh().unwrap());
    first.sql(&format!("\n{}", schema(Dialect::Sqlite, "first"))).unwrap();
    fs::copy(first.path(), second.path()).unwrap();
    second.sql("UPDATE rooms SET owner = 'second'").unwrap();
    let same = "SELECT id FROM larder_identity";
    assert_eq!(first.sql(same).unwrap(), second.sql(same).unwrap(), "the file was copied with all it holds");
    stay_apart([&first.url(), &second.url()]).await;
}

/// For example, a staging server that was created from a snapshot of the production server's volume.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_on_a_copy_of_another_is_another_database() {
    let first = Postgres::start().unwrap();
    let database = Database::fresh(&first.url()).unwrap();
    database.sql(&schema(Dialect::Postgres, "first")).unwrap();
    let second = first.twin().unwrap();
    let urls = [&first, &second].map(|server| server.url().database(database.name()));
    larder_testbed::sql(&urls[1], "UPDATE rooms SET owner = 'second'").unwrap();
    let identity = "SELECT system_identifier, oid, timeline_id FROM pg_control_system(), pg_control_checkpoint(), pg_database
        WHERE datname = current_database()";
    let [a, b] = urls.each_ref().map(|url| larder_testbed::sql(url, identity).unwrap());
    assert_eq!(a, b, "the files have the same identity");
    stay_apart([&urls[0], &urls[1]]).await;
}

/// The database is dropped and created again under its old name, while one instance keeps running and another is
/// restarted.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_recreated_database_is_served_with_nothing_of_the_dropped_one() {
    let (server, redis) = (Postgres::shared().unwrap(), Redis::start().unwrap());
    let database = Database::fresh(&server).unwrap();
    database.sql(&schema(Dialect::Postgres, "dropped")).unwrap();
    let before = Instance::open(&database.url(), &redis).await;
    before.works().await;
    assert_eq!(before.bustle("dropped", 200).await, 0);
    let admin = |sql: &str| larder_testbed::sql(&server.database("postgres"), sql).unwrap();
    admin(&format!("DROP DATABASE {} WITH (FORCE)", database.name()));
    admin(&format!("CREATE DATABASE {} TEMPLATE template0", database.name()));
    database.sql(&schema(Dialect::Postgres, "recreated")).unwrap();
    let recreated = Instant::now();
    let after = Instance::open(&database.url(), &redis).await;
    assert_eq!(after.bustle("recreated", 500).await, 0);
    eventually("the running instance sees the new rows", async || before.read(1).await.0 == "recreated")
        .await;
    assert!(recreated.elapsed() < Duration::from_secs(15), "{:?}", recreated.elapsed());
    before.works().await;
    assert_eq!(before.bustle("recreated", 500).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_recreated_file_is_served_with_nothing_of_the_deleted_one() {
    let (file, redis) = (Sqlite::fresh().unwrap(), Redis::start().unwrap());
    for owner in ["deleted", "recreated"] {
        file.sql(&format!("\n{}", schema(Dialect::Sqlite, owner))).unwrap();
        let instance = Instance::open(&file.url(), &redis).await;
        instance.works().await;
        assert_eq!(instance.bustle(owner, 500).await, 0);
        drop(instance.cache);
        instance.database.close().await;
        for suffix in ["", "-wal", "-shm"] {
            // When the last connection closes, SQLite deletes these two.
            let _ = fs::remove_file(format!("{}{suffix}", file.path().display()));
        }
    }
}

/// A restart changes the database's identity in the keys. Instances notice it one after the other; no acknowledged
/// write is missed meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restart_loses_no_acknowledged_write() {
    let (mut server, redis) =
        (Postgres::start_with(&["synchronous_commit=on"]).unwrap(), Redis::start().unwrap());
    let database = Database::fresh(&server.url()).unwrap();
    database.sql(&schema(Dialect::Postgres, "same")).unwrap();
    let (a, b) =
        (Instance::open(&database.url(), &redis).await, Instance::open(&database.url(), &redis).await);
    a.works().await;
    b.works().await;
    let prefixes = || -> usize { redis.command(&["KEYS", "hotel:*:@live"]).unwrap().lines().count() };
    assert_eq!(prefixes(), 1);
    assert_eq!(a.bustle("same", 100).await, 0);
    server.crash().unwrap();
    server.restart().unwrap();
    let restarted = Instant::now();
    let mut sent = 0;
    while restarted.elapsed() < Duration::from_secs(4) {
        let delivery = match a.try_write(1).await {
            Ok(delivery) => delivery,
            // The connection was opened before the restart.
            Err(_) => continue,
        };
        let number = a.number(1).await;
        if delivery == Delivery::Sent {
            sent += 1;
            assert_eq!(b.read_fresh(1).await.1, number, "after {:?}", restarted.elapsed());
        }
    }
    assert!(sent > 0);
    a.works().await;
    b.works().await;
    assert_eq!(prefixes(), 2, "the keys of the old identity are left until they expire");
}

/// A promoted server has a new identity from its first poll as a primary on, however long it ran as a standby.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_promoted_server_has_its_name_since_the_promotion() {
    let server = Postgres::start().unwrap();
    let database = Database::fresh(&server.url()).unwrap();
    let before_the_migration = Instant::now();
    database.sql(&schema(Dialect::Postgres, "same")).unwrap();
    let standby = server.standby().unwrap();
    let open = async |url: &str| {
        let database = larder_sql::database::Database::connect(url).await.unwrap();
        SqlJournal::open(&database, bed::tables()).await.unwrap()
    };
    let old = open(&database.url()).await;
    let old_name = old.database().await.unwrap();
    assert!(
        old.identity_since().unwrap() < before_the_migration,
        "since its start: a new outbox renames nothing"
    );
    let url = standby.url().database(database.name());
    eventually("it has the tables", async || {
        larder_testbed::sql(&url, "SELECT count(*) FROM rooms").is_ok_and(|rows| rows == ROOMS.to_string())
    })
    .await;
    let before_the_promotion = Instant::now();
    standby.promote().unwrap();
    let new = open(&url).await;
    let new_name = new.database().await.unwrap();
    assert!(new.identity_since().unwrap() > before_the_promotion);
    assert_ne!(old_name.system, new_name.system);
    assert_eq!(new_name.timeline, old_name.timeline + 1);
}
