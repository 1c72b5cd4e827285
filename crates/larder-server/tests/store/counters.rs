//! The counts that triggers keep equal the counted rows, for every writer and every statement.

use larder_server::domain::identity::UserId;
use larder_server::domain::patch::UserPatch;
use larder_server::domain::role::Role;
use larder_server::domain::statistics::Day;
use larder_server::domain::timestamp::Timestamp;
use larder_server::store::Store;
use tokio::task::JoinSet;

use crate::bed::{Bed, contract, new, tx};

contract!(
    counts_equal_what_counting_finds,
    writers_at_once_keep_the_counts_and_never_lock_each_other,
    a_change_that_counts_nothing_touches_no_count,
);

const SHARD: &str = "CASE substr(id, 36, 1) WHEN 'a' THEN 10 WHEN 'b' THEN 11 WHEN 'c' THEN 12 WHEN 'd' THEN 13 \
                     WHEN 'e' THEN 14 WHEN 'f' THEN 15 ELSE CAST(substr(id, 36, 1) AS INTEGER) END";

/// Compares each row of the counts with the table.
#[track_caller]
fn check(bed: &Bed, about: &str) {
    let kept = bed
        .sql(
            "SELECT shard, role, CAST(is_active AS INTEGER), users, points FROM user_counts
             WHERE users <> 0 OR points <> 0 ORDER BY shard, role, is_active",
        )
        .unwrap();
    let counted = bed
        .sql(&format!(
            "SELECT {SHARD} AS shard, role, CAST(is_active AS INTEGER), COUNT(*), SUM(points) FROM users
             GROUP BY 1, role, is_active ORDER BY 1, role, is_active"
        ))
        .unwrap();
    assert_eq!(kept, counted, "{about}");
    let kept =
        bed.sql("SELECT day, shard, users FROM user_days WHERE users <> 0 ORDER BY day, shard").unwrap();
    let counted = bed
        .sql(&format!(
            "SELECT created_at / 86400000000, {SHARD}, COUNT(*) FROM users GROUP BY 1, 2 ORDER BY 1, 2"
        ))
        .unwrap();
    assert_eq!(kept, counted, "{about}");
}

async fn counts_equal_what_counting_finds(bed: &Bed) {
    let many: Vec<_> = (0..120).map(|number| new(&format!("user{number}"))).collect();
    let ids = tx(&bed.store).await.insert_many(&many, "hash").await.unwrap();
    check(bed, "an import");
    let admin = UserPatch { role: Some(Role::Admin), ..UserPatch::default() };
    tx(&bed.store).await.update_user(ids[0], &admin, None).await.unwrap();
    tx(&bed.store).await.set_active(ids[1], false).await.unwrap();
    tx(&bed.store).await.delete_user(ids[2], None).await.unwrap();
    tx(&bed.store).await.insert_user(new("single"), None).await.unwrap();
    check(bed, "the store's own writes");
    let other = UserId::generate();
    for statement in [
        // Books for every user except the one whose id changes below: a row of the ledger refuses that change.
        "INSERT INTO points_ledger (user_id, amount, reason, idempotency_key)
         SELECT id, length(username) * 3, 'test', 'a' || id FROM users WHERE username <> 'single'",
        "UPDATE users SET role = 'superadmin', is_active = FALSE WHERE username LIKE '%5'",
        "INSERT INTO points_ledger (user_id, amount, reason, idempotency_key)
         SELECT id, -1, 'test', 'b' || id FROM users WHERE username LIKE '%5'",
        "UPDATE users SET is_active = NOT is_active",
        "UPDATE users SET created_at = created_at - 86400000000 * 3 WHERE username LIKE '%1_'",
        "UPDATE users SET role = role, points = points",
        "DELETE FROM users WHERE username LIKE '%7'",
        &format!("UPDATE users SET id = '{other}' WHERE username = 'single'"),
        &format!(
            "INSERT INTO users (id, email, username) VALUES ('{other}', 'x@x', 'user11')
             ON CONFLICT (username) DO UPDATE SET is_active = NOT users.is_active, role = 'user'"
        ),
    ] {
        bed.sql(statement).unwrap();
        check(bed, statement);
    }
    let today = Day::of(Timestamp::now());
    let days = bed.store.sign_ups(today.before(3), today).await.unwrap();
    let kept: i64 = bed.sql("SELECT COUNT(*) FROM users").unwrap().parse().unwrap();
    assert_eq!(days.iter().map(|day| day.users).sum::<i64>(), kept, "{days:?}");
    assert!(days.len() >= 2);
    bed.sql(if bed.is_postgres() { "TRUNCATE users CASCADE" } else { "DELETE FROM users" }).unwrap();
    check(bed, "all gone");
    let counts = bed.store.counts().await.unwrap();
    assert!(
        counts.len() == 6 && counts.iter().all(|count| (count.users, count.points) == (0, 0)),
        "{counts:?}"
    );
}

async fn writers_at_once_keep_the_counts_and_never_lock_each_other(bed: &Bed) {
    let many: Vec<_> = (0..64).map(|number| new(&format!("user{number}"))).collect();
    let ids = tx(&bed.store).await.insert_many(&many, "hash").await.unwrap();
    let second = Store::open(&bed.url).await.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..8_usize {
        let (store, ids) = (if writer % 2 == 0 { bed.store.clone() } else { second.clone() }, ids.clone());
        writers.spawn(async move {
            for round in 0..12 {
                let id = ids[(writer * 5 + round * 11) % ids.len()];
                match (writer + round) % 4 {
                    0 => drop(tx(&store).await.set_active(id, round % 2 == 0).await.unwrap()),
                    1 => {
                        let role = Some([Role::User, Role::Admin, Role::Superadmin][round % 3]);
                        let patch = UserPatch { role, ..UserPatch::default() };
                        drop(tx(&store).await.update_user(id, &patch, None).await.unwrap());
                    }
                    2 => {
                        let users: Vec<_> = (0..60).map(|n| new(&format!("w{writer}-{round}-{n}"))).collect();
                        drop(tx(&store).await.insert_many(&users, "hash").await.unwrap());
                    }
                    _ => drop(tx(&store).await.delete_user(id, None).await.unwrap()),
                }
            }
        });
    }
    // These statements change all users and lock them in another order than the writers do.
    for round in 0..6 {
        let role = if round % 2 == 0 { "admin" } else { "user" };
        bed.sql(&format!("UPDATE users SET role = '{role}' WHERE username LIKE 'w%'")).unwrap();
    }
    writers.join_all().await;
    check(bed, "many at once");
}

/// An uncommitted writer of one shard of the counts delays no writer of another shard. A writer whose change moves no
/// count delays no other writer.
async fn a_change_that_counts_nothing_touches_no_count(bed: &Bed) {
    let user = bed.user("ann").await;
    let before = bed.sql("SELECT COUNT(*) FROM larder_outbox").unwrap().parse::<i64>().unwrap();
    bed.sql("UPDATE users SET bio = 'new', points = points WHERE username = 'ann'").unwrap();
    let after = bed.sql("SELECT COUNT(*) FROM larder_outbox").unwrap().parse::<i64>().unwrap();
    let own = if bed.is_postgres() { 1 } else { 2 };
    assert!(after - before <= own, "{before} {after}: the outbox has rows of other tables");
    check(bed, "nothing counted");
    if !bed.is_postgres() {
        return;
    }
    let pool = sqlx::PgPool::connect(&bed.url).await.unwrap();
    let id = |last: char| format!("0192f0c1-2345-7abc-8def-0123456789a{last}");
    let insert = |last| {
        let id = id(last);
        format!("INSERT INTO users (id, email, username) VALUES ('{id}', '{last}@x', '{last}')")
    };
    let mut holding = pool.begin().await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(insert('3'))).execute(&mut *holding).await.unwrap();
    let mut other = pool.begin().await.unwrap();
    sqlx::query("SET LOCAL lock_timeout = '2s'").execute(&mut *other).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(insert('4'))).execute(&mut *other).await.unwrap();
    sqlx::query("UPDATE users SET bio = 'newer' WHERE id = $1")
        .bind(user.id.to_string())
        .execute(&mut *other)
        .await
        .unwrap();
    other.commit().await.unwrap();
    holding.commit().await.unwrap();
    check(bed, "two shards at once");
}
