//! Another program holds the row lock of one user for a long time, for example in psql: only writers of this user wait.

use std::time::Duration;

use larder_server::domain::patch::{Patch, UserPatch};
use larder_server::domain::text::Bio;
use larder_server::store::changes::Updated;
use larder_server::store::error::StoreError;
use tokio::task::JoinSet;

use crate::bed::{Bed, new, tx};

/// The number of writers; a store has fewer connections.
const WRITERS: usize = 24;

/// Counts the connections that wait for a lock.
const WAITING: &str = "SELECT COUNT(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'";

fn bio(text: &str) -> UserPatch {
    UserPatch { bio: Patch::Set(Bio::parse(text).unwrap()), ..UserPatch::default() }
}

#[tokio::test]
async fn writers_of_a_locked_user_delay_no_other_user() {
    let bed = Bed::postgres().await;
    let (held, other) = (bed.user("ann").await, bed.user("ben").await);
    let pool = sqlx::PgPool::connect(&bed.url).await.unwrap();
    let mut holding = pool.begin().await.unwrap();
    let hold = sqlx::query("UPDATE users SET location = 'psql' WHERE id = $1").bind(held.id.to_string());
    hold.execute(&mut *holding).await.unwrap();

    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let store = bed.store.clone();
        writers.spawn(
            async move { tx(&store).await.update_user(held.id, &bio(&number.to_string()), None).await },
        );
    }
    while bed.sql(WAITING).unwrap() == "0" {
        tokio::task::yield_now().await;
    }
    // Each of these statements needs a connection. If the waiting writers held all of them, it would fail after its
    // time-out.
    for number in 0..WRITERS {
        bed.update(&other, &bio(&number.to_string())).await;
        tx(&bed.store).await.insert_user(new(&format!("new{number}")), None).await.unwrap();
        bed.store.user(held.id).await.unwrap().unwrap();
    }
    assert_eq!(bed.sql(WAITING).unwrap(), "1", "of the writers of one user, one holds a connection");
    holding.commit().await.unwrap();

    // A deadlock would keep a writer waiting without end; the time-out turns it into a failure.
    let versions = tokio::time::timeout(Duration::from_secs(30), writers.join_all()).await.unwrap();
    assert_eq!(versions.len(), WRITERS);
    // On a very slow machine a writer's time in the queue can run out; its error then asks for a retry, and `flatten`
    // skips it.
    for updated in versions.into_iter().flatten() {
        assert!(matches!(updated, Updated::Done { .. }), "{updated:?}");
    }
    let user = bed.store.user(held.id).await.unwrap().unwrap();
    assert_eq!(user.location.unwrap().as_str(), "psql");
}

// Of several threads, because psql blocks the one that runs it.
#[tokio::test(flavor = "multi_thread")]
async fn writers_that_wait_for_a_locked_count_delay_no_reader() {
    let bed = Bed::postgres().await;
    let held = bed.user("ann").await;
    let pool = sqlx::PgPool::connect(&bed.url).await.unwrap();
    let mut holding = pool.begin().await.unwrap();
    // Locks the counts of this user's shard, so that inserts of new users of that shard wait.
    let hold = sqlx::query("UPDATE users SET is_active = FALSE WHERE id = $1").bind(held.id.to_string());
    hold.execute(&mut *holding).await.unwrap();

    let mut writers = JoinSet::new();
    let mut numbers = 0..5_000;
    while bed.sql(WAITING).unwrap() != "10" {
        // A writer waits for its lock for some seconds only: enough of the shard must be on their way at once.
        for number in numbers.by_ref().take(100) {
            let store = bed.store.clone();
            writers
                .spawn(async move { tx(&store).await.insert_user(new(&format!("new{number}")), None).await });
        }
        assert!(!numbers.is_empty(), "not all connections for writes wait for the lock");
        tokio::task::yield_now().await;
    }
    for _ in 0..WRITERS {
        bed.store.user(held.id).await.unwrap().unwrap();
    }
    holding.commit().await.unwrap();
    for inserted in writers.join_all().await {
        assert!(matches!(inserted, Ok(_) | Err(StoreError::Unavailable(_))), "{inserted:?}");
    }
}
