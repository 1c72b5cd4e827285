//! Compares the journalled changes of the leaderboard and of the newest achievements with the changes of what they show.

use larder::journal::{Changes, Journal, Touch, touches_of};
use larder_server::cached::journal::tables;
use larder_server::domain::identity::UserId;
use larder_server::domain::leaderboard::{LeaderboardParams, LeaderboardQuery};
use larder_server::domain::paging::Limit;
use larder_server::store::Store;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::bed::{Bed, contract, new, tx};

contract!(every_change_of_what_is_shown_is_journalled);

const STEPS: usize = 120;
/// The columns that the leaderboard or the newest achievements read.
const SHOWN: &str =
    "SELECT id, username, full_name, avatar_url, points, CAST(is_active AS INTEGER) FROM users ORDER BY id";

/// Returns everything that is cached under the two tags: all pages of the leaderboard with every rank; the newest
/// achievements.
async fn shown(store: &Store, ids: &[UserId]) -> [String; 2] {
    let mut board = String::new();
    for (limit, offset) in [("100", "0"), ("2", "1"), ("3", "4")] {
        let params = LeaderboardParams { limit: Some(limit.to_owned()), offset: Some(offset.to_owned()) };
        let part = store.leaderboard(LeaderboardQuery::parse(&params).unwrap()).await.unwrap();
        board += &serde_json::to_string(&part).unwrap();
    }
    for id in ids {
        board += &serde_json::to_string(&store.standing(*id).await.unwrap()).unwrap();
    }
    let mut recent = String::new();
    for limit in ["100", "2"] {
        let newest = store.recent_achievements(Limit::parse(limit).unwrap()).await.unwrap();
        recent += &serde_json::to_string(&newest).unwrap();
    }
    [board, recent]
}

/// Returns a random change by other software; the schema refuses some of them.
fn statement(random: &mut SmallRng, ids: &[UserId], step: usize, is_postgres: bool) -> String {
    let [one, other] = [0, 1].map(|_| ids.choose(random).unwrap().to_string());
    let name = ["'Ann'", "'ann'", "'Ben'", "NULL"].choose(random).unwrap().to_owned();
    let of_users = format!("UPDATE users SET {}", [
        format!("bio = {name} WHERE id = '{one}'"),
        format!("bio = {name}, full_name = full_name, is_active = is_active"),
        format!("email = 'e{step}@x' WHERE id = '{one}'"),
        format!("role = 'admin', location = {name} WHERE id IN ('{one}', '{other}')"),
        format!("created_at = created_at - {step} WHERE id = '{one}'"),
        format!("full_name = {name} WHERE id = '{one}'"),
        format!("full_name = {name}, bio = 'many' WHERE id IN ('{one}', '{other}')"),
        format!("avatar_url = 'https://x.example/' || {name} WHERE id = '{one}'"),
        format!("username = 'n{step}' WHERE id = '{one}'"),
        format!("is_active = NOT is_active WHERE id = '{one}'"),
        format!("id = '{}' WHERE id = '{one}'", UserId::generate()),
        format!(
            "full_name = (SELECT full_name FROM users AS other WHERE other.id = CASE users.id WHEN '{one}' THEN '{other}'
             ELSE '{one}' END) WHERE id IN ('{one}', '{other}')"
        ),
    ].choose(random).unwrap());
    match random.random_range(0..30) {
        0..19 => of_users,
        19 | 20 => format!(
            "INSERT INTO points_ledger (user_id, amount, reason, idempotency_key)
             VALUES ('{one}', {}, 'test', 'k{step}')",
            random.random_range(1..4)
        ),
        21 | 22 => format!(
            "INSERT INTO achievements (user_id, badge_type, points) VALUES ('{one}', 'b{step}', {})",
            step % 2
        ),
        23 => format!("UPDATE achievements SET awarded_at = {step} WHERE user_id = '{one}'"),
        24 => format!("DELETE FROM achievements WHERE user_id = '{one}'"),
        25 => format!("DELETE FROM users WHERE id = '{one}'"),
        26 => format!(
            "INSERT INTO users (id, email, username) VALUES ('{}', 'i{step}@x', 'i{step}')",
            UserId::generate()
        ),
        27 => format!(
            "INSERT INTO users (id, email, username) VALUES ('{one}', 'i{step}@x', 'i{step}')
             ON CONFLICT (id) DO UPDATE SET bio = {name}"
        ),
        28 => format!(
            "INSERT INTO users (id, email, username) VALUES ('{one}', 'i{step}@x', 'i{step}')
             ON CONFLICT (id) DO UPDATE SET full_name = {name}"
        ),
        _ if is_postgres => format!("SET session_replication_role = replica; {of_users}"),
        _ => format!(
            "REPLACE INTO users (id, email, username) SELECT id, email, username FROM users WHERE id = '{one}'"
        ),
    }
}

async fn every_change_of_what_is_shown_is_journalled(bed: &Bed) {
    let many: Vec<_> = (0..8).map(|number| new(&format!("user{number}"))).collect();
    tx(&bed.store).await.insert_many(&many, "hash").await.unwrap();
    bed.sql("INSERT INTO achievements (user_id, badge_type) SELECT id, 'first' FROM users").unwrap();
    let journal = bed.store.journal(tables()).await.unwrap();
    let mut position = journal.changes_since(None).await.unwrap().position;
    let mut random = SmallRng::seed_from_u64(7);
    let mut columns = bed.sql(SHOWN).unwrap();
    let mut ids = ids_of(&columns);
    let mut before = shown(&bed.store, &ids).await;
    // For the leaderboard and for the newest achievements: how often each changed, and how often its entries stayed
    // valid.
    let (mut changed, mut spared) = ([0; 2], [0; 2]);
    for step in 0..STEPS {
        let statement = statement(&mut random, &ids, step, bed.is_postgres());
        if bed.sql(&statement).is_err() {
            continue;
        }
        let since = journal.changes_since(Some(&position)).await.unwrap();
        position = since.position;
        let Changes::Known(changes) = since.changes else { panic!("{statement}") };
        let touches = touches_of(changes);
        let columns_before = std::mem::replace(&mut columns, bed.sql(SHOWN).unwrap());
        let is_unseen = statement.contains("UPDATE users") && columns == columns_before;
        // The ids include users that a step has deleted.
        let after = shown(&bed.store, &ids).await;
        for (number, tag) in ["leaderboard", "recent_achievements"].into_iter().enumerate() {
            let is_journalled = touches.contains(&Touch::Tag(tag.to_owned()));
            let is_changed = before[number] != after[number];
            assert!(is_journalled || !is_changed, "{tag} is stale after {statement}");
            assert!(!is_journalled || !is_unseen, "{tag} is invalidated without need by {statement}");
            changed[number] += usize::from(is_changed);
            spared[number] += usize::from(!touches.is_empty() && !is_journalled);
        }
        let ids_before = std::mem::replace(&mut ids, ids_of(&columns));
        before = if ids == ids_before { after } else { shown(&bed.store, &ids).await };
    }
    assert!(
        changed.iter().chain(&spared).all(|count| *count >= 10),
        "changed {changed:?}, spared {spared:?}"
    );
}

fn ids_of(columns: &str) -> Vec<UserId> {
    columns.lines().map(|line| UserId::parse(line.split('|').next().unwrap()).unwrap()).collect()
}
