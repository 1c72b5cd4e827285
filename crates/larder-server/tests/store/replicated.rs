//! Logical replication into larder's tables, as in an upgrade from one server to another. Two real servers run, both
//! migrated.

use std::thread;
use std::time::{Duration, Instant};

use larder_server::store::Store;
use larder_testbed::{Database, Postgres};

use crate::foreign::{ANN, BOB, CAT, DATA, check_counts, data, fill};

/// A time-out far above the time that replication needs on a busy machine; reaching it is a failure.
const TIMEOUT: Duration = Duration::from_secs(60);

fn server() -> Postgres {
    Postgres::start_with(&[
        "wal_level=logical",
        "wal_retrieve_retry_interval=100",
        "max_logical_replication_workers=20",
        // Every commit is flushed before it returns, so its position in the log can be awaited.
        "synchronous_commit=on",
    ])
    .unwrap()
}

/// A publisher with data, and a subscriber. Fields drop in this order: databases before their servers.
struct Pair {
    publisher: Database,
    subscriber: Database,
    _servers: [Postgres; 2],
}

impl Drop for Pair {
    fn drop(&mut self) {
        // A database with a subscription, or with a slot in use, cannot be dropped.
        let _ = self.subscriber.sql("DROP SUBSCRIPTION green");
    }
}

impl Pair {
    async fn new() -> Self {
        let servers = [server(), server()];
        let fresh = |server: &Postgres| Database::fresh(&server.url()).unwrap();
        let (publisher, subscriber) = (fresh(&servers[0]), fresh(&servers[1]));
        drop(Store::open(&publisher.url()).await.unwrap());
        fill(&publisher);
        Self { publisher, subscriber, _servers: servers }
    }

    fn follow(&self, tables: &str) {
        self.publisher.sql(&format!("CREATE PUBLICATION blue FOR {tables}")).unwrap();
        let url = self.publisher.url();
        self.subscriber
            .sql(&format!("CREATE SUBSCRIPTION green CONNECTION '{url}' PUBLICATION blue"))
            .unwrap();
        self.eventually("every table is copied", || {
            self.subscriber.sql("SELECT COUNT(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'").unwrap()
                == "0"
        });
    }

    /// Waits until the subscription's worker has confirmed every earlier commit of the publisher.
    fn caught_up(&self) {
        let now = self.publisher.sql("SELECT pg_current_wal_lsn()").unwrap();
        self.eventually("the worker has confirmed the last commit", || {
            let confirmed = format!("SELECT COUNT(*) FROM pg_stat_replication WHERE replay_lsn >= '{now}'");
            self.publisher.sql(&confirmed).unwrap() == "1"
        });
    }

    #[track_caller]
    fn check(&self, about: &str) {
        self.caught_up();
        assert_eq!(data(&self.subscriber), data(&self.publisher), "{about}");
        check_counts(&self.publisher, about);
        check_counts(&self.subscriber, about);
    }

    fn eventually(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + TIMEOUT;
        while !condition() {
            let workers = self
                .subscriber
                .sql("SELECT * FROM pg_stat_subscription; SELECT * FROM pg_stat_subscription_stats");
            let states = self.subscriber.sql("SELECT srrelid::REGCLASS, srsubstate FROM pg_subscription_rel");
            assert!(Instant::now() < deadline, "{what}: {workers:?} {states:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs one transaction for each kind of change that moves a count.
    fn live(&self) {
        for statement in [
            "INSERT INTO users (id, email, username) SELECT '0192f0c1-2345-7abc-8def-01234567' || lpad(to_hex(n), 4, '0'),
                 n || '@x', 'u' || n FROM generate_series(1, 200) AS n"
                .to_owned(),
            "UPDATE users SET role = 'superadmin' WHERE username LIKE 'u1%'".to_owned(),
            "INSERT INTO points_ledger (user_id, amount, reason) SELECT id, 17 + length(username) * 300, 'x' FROM users".to_owned(),
            "INSERT INTO achievements (user_id, badge_type, points) SELECT id, 'second', 1 FROM users WHERE is_active".to_owned(),
            "UPDATE users SET bio = 'counts nothing'".to_owned(),
            "UPDATE users SET created_at = created_at - 86400000000 * 3 WHERE username LIKE '%3'".to_owned(),
            "UPDATE users SET is_active = NOT is_active WHERE username LIKE '%7' OR username < 'u'".to_owned(),
            "DELETE FROM users WHERE username LIKE '%9'".to_owned(),
            format!(
                "BEGIN;
                 INSERT INTO users (id, email, username) VALUES ('0192f0c1-2345-7abc-8def-0123456789ad', 'd@x', 'dan');
                 UPDATE users SET role = 'admin' WHERE username = 'dan'; SAVEPOINT one;
                 DELETE FROM users WHERE username = 'dan'; ROLLBACK TO one;
                 INSERT INTO api_keys (id, user_id, name, key_hash, scopes, created_at)
                     VALUES ('0000000000000aaa', '{CAT}', 'x', 'x', '', 1);
                 UPDATE credentials SET epoch = epoch + 5 WHERE user_id = '{ANN}'; COMMIT"
            ),
            format!("UPDATE users SET id = '0192f0c1-2345-7abc-8def-0123456789ae' WHERE username = 'dan' AND id <> '{BOB}'"),
        ] {
            self.publisher.sql(&statement).unwrap();
            self.check(&statement);
        }
        self.publisher
            .sql("INSERT INTO user_days VALUES (1, 1, 7); UPDATE user_counts SET users = users + 1")
            .unwrap();
        self.caught_up();
        check_counts(&self.subscriber, "the publisher's counts say nothing about the subscriber's rows");
        self.publisher.sql("SELECT larder_recount()").unwrap();
        self.publisher.sql("TRUNCATE users CASCADE").unwrap();
        self.check("TRUNCATE");
        fill_user(&self.publisher);
        self.check("after TRUNCATE");
    }
}

fn fill_user(database: &Database) {
    let statement = format!(
        "INSERT INTO users (id, email, username) VALUES ('{ANN}', 'ann@example.com', 'ann');
         INSERT INTO points_ledger (user_id, amount, reason) VALUES ('{ANN}', 300, 'x')"
    );
    database.sql(&statement).unwrap();
}

#[tokio::test]
async fn all_tables_are_followed_and_counted_once() {
    let pair = Pair::new().await;
    drop(Store::open(&pair.subscriber.url()).await.unwrap());
    // A service has already started on the subscriber and created its own signing key.
    pair.subscriber.sql("INSERT INTO signing_keys VALUES ('own', 'EdDSA', 'key', 1, NULL)").unwrap();
    pair.follow("ALL TABLES");
    assert_eq!(
        pair.subscriber
            .sql("DELETE FROM signing_keys WHERE kid = 'own' RETURNING retired_at IS NOT NULL")
            .unwrap(),
        "t"
    );
    pair.check("the first copy");
    let installation = "SELECT id FROM installation";
    assert_eq!(pair.subscriber.sql(installation).unwrap(), pair.publisher.sql(installation).unwrap());
    pair.live();
    assert_eq!(
        pair.subscriber
            .sql("SELECT apply_error_count + sync_error_count FROM pg_stat_subscription_stats")
            .unwrap(),
        "0"
    );
}

#[tokio::test]
async fn tables_of_data_alone_are_followed_and_counted() {
    let pair = Pair::new().await;
    drop(Store::open(&pair.subscriber.url()).await.unwrap());
    pair.follow(&format!("TABLE {}", DATA.join(", ")));
    pair.check("the first copy");
    pair.live();
}

/// The usual setup: `pg_dump` copies the schema, replication copies the rows.
#[tokio::test]
async fn a_restored_schema_follows_all_tables() {
    let pair = Pair::new().await;
    crate::restored::copy_schema(&pair.publisher, &pair.subscriber);
    pair.follow("ALL TABLES");
    pair.check("the first copy");
    drop(Store::open(&pair.subscriber.url()).await.unwrap());
    pair.live();
}

/// The worker applies one transaction that changes every user row by row. The triggers count once at its end; counting at
/// each row would leave two dead versions of a count for every user.
#[tokio::test]
async fn a_large_transaction_is_counted_once_at_its_end() {
    let pair = Pair::new().await;
    drop(Store::open(&pair.subscriber.url()).await.unwrap());
    pair.subscriber.sql("ALTER TABLE user_counts SET (autovacuum_enabled = FALSE)").unwrap();
    pair.follow("ALL TABLES");
    pair.publisher
        .sql(
            "INSERT INTO users (id, email, username) SELECT '0192f0c1-2345-7abc-8def-0123' || lpad(to_hex(n), 8, '0'),
                 n || '@x', 'u' || n FROM generate_series(1, 4000) AS n",
        )
        .unwrap();
    pair.publisher.sql("UPDATE users SET is_active = FALSE").unwrap();
    pair.publisher.sql("UPDATE users SET is_active = TRUE, role = 'admin'").unwrap();
    pair.check("a large transaction");
    let bytes = pair.subscriber.sql("SELECT pg_relation_size('user_counts')").unwrap();
    assert!(bytes.parse::<u64>().unwrap() <= 8 * 8192, "{bytes} bytes of counts");
}

/// A session with `session_replication_role = replica` fires both the statement triggers and the row triggers. Its rows
/// are counted once as well, and its deactivations end access.
#[tokio::test]
async fn a_session_in_the_role_of_a_replica_is_counted_once() {
    let database = Database::fresh(&Postgres::shared().unwrap()).unwrap();
    drop(Store::open(&database.url()).await.unwrap());
    fill(&database);
    for statement in [
        "INSERT INTO users (id, email, username, points) VALUES ('0192f0c1-2345-7abc-8def-0123456789ad', 'd@x', 'dan', 0)",
        "UPDATE users SET is_active = NOT is_active",
        "UPDATE users SET role = 'superadmin', created_at = 7; UPDATE users SET role = 'user'",
        "INSERT INTO users (id, email, username) VALUES ('0192f0c1-2345-7abc-8def-0123456789ad', 'd@x', 'dan')
         ON CONFLICT (id) DO UPDATE SET role = 'admin'",
        "WITH gone AS (DELETE FROM users WHERE username = 'dan' RETURNING id)
         INSERT INTO users (id, email, username) SELECT '0192f0c1-2345-7abc-8def-0123456789ae', id, 'eve' FROM gone",
        "DELETE FROM points_ledger WHERE user_id IN (SELECT id FROM users WHERE username = 'bob');
         DELETE FROM users WHERE username = 'bob'",
    ] {
        database.sql(&format!("SET session_replication_role = replica; {statement}")).unwrap();
        check_counts(&database, statement);
    }
    database.sql("UPDATE users SET is_active = TRUE WHERE username = 'ann'").unwrap();
    database.sql("UPDATE sessions SET ended_at = NULL").unwrap();
    database.sql("SET session_replication_role = replica; UPDATE users SET is_active = FALSE WHERE username = 'ann'").unwrap();
    let ended = format!("SELECT COUNT(*) FROM sessions WHERE user_id = '{ANN}' AND ended_at IS NULL");
    assert_eq!(database.sql(&ended).unwrap(), "0");
}
