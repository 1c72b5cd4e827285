//! Rows that another program writes: the schema refuses values that the code cannot read. If such a row exists all the
//! same, reads of it fail and reads of other rows do not.

use larder_server::domain::achievement::Award;
use larder_server::domain::audit_query::AuditQuery;
use larder_server::domain::conditions::Conditions;
use larder_server::domain::identity::{Identifier, UserId};
use larder_server::domain::leaderboard::{LeaderboardParams, LeaderboardQuery};
use larder_server::domain::paging::{ListParams, ListQuery};
use larder_server::domain::parts::accessibility::Accessibility;
use larder_server::domain::parts::interests::Interests;
use larder_server::domain::parts::languages::Languages;
use larder_server::domain::parts::preferences::Preferences;
use larder_server::domain::patch::UserPatch;
use larder_server::domain::points::LedgerQuery;
use larder_server::domain::profile::Skills;
use larder_server::domain::role::Role;
use larder_server::domain::statistics::Day;
use larder_server::domain::timestamp::Timestamp;
use larder_server::domain::user::User;
use larder_server::store::changes::{Expected, Updated};
use larder_server::store::error::StoreError;
use larder_server::store::parts::PartUpdated;
use serde_json::json;

use crate::bed::{Bed, contract, new, tx};

contract!(
    the_schema_refuses_unreadable_values,
    the_schema_accepts_readable_values,
    an_unreadable_user_fails_no_other_user,
    lists_continue_past_unreadable_users,
    an_export_continues_past_a_row_with_an_unreadable_id,
    replacing_an_unreadable_part_repairs_it,
    unreadable_rows_of_a_user_fail_no_other_rows,
);

const NO_UUID: &str = "zzzzzzzz-zzzz-7zzz-zzzz-zzzzzzzzzzza";

/// Writes a row that the schema refuses, as if it were older than the constraint.
fn smuggle(bed: &Bed, statement: &str) {
    if bed.is_postgres() {
        // A restore and replication write in this role, in which ordinary triggers do not fire.
        bed.sql(&format!("SET session_replication_role = replica; {statement}")).unwrap();
        return;
    }
    let triggers = bed.sql("SELECT sql || ';' FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%\\_readable\\_%' ESCAPE '\\'");
    let names = bed.sql(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%\\_readable\\_%' ESCAPE '\\'",
    );
    let drops: String = names.unwrap().lines().map(|name| format!("DROP TRIGGER {name};")).collect();
    bed.sql(&format!("{drops} {statement}; {}", triggers.unwrap())).unwrap();
}

async fn the_schema_refuses_unreadable_values(bed: &Bed) {
    let (ann, id) = (bed.user("ann").await.id, UserId::generate());
    bed.sql(&format!(
        "INSERT INTO interests VALUES ('{ann}', '[]'); INSERT INTO languages VALUES ('{ann}', '[]')"
    ))
    .unwrap();
    let insert = |columns: &str, values: &str| format!("INSERT INTO {columns} VALUES ({values})");
    let mut refused = vec![
        insert("users (id, email, username)", &format!("'{NO_UUID}', 'b@x', 'bob'")),
        insert("users (id, email, username)", &format!("'{id}', 'b@x', ''")),
        insert("users (id, email, username)", &format!("'{id}', '{}', 'bob'", "b".repeat(255))),
        insert("users (id, email, username, created_at)", &format!("'{id}', 'b@x', 'bob', {}", i64::MAX)),
        format!("UPDATE users SET id = '{NO_UUID}'"),
        "UPDATE users SET skills = '[1]'".to_owned(),
        "UPDATE users SET skills = '[\"a\", null]'".to_owned(),
        "UPDATE users SET skills = '[[\"a\"]]'".to_owned(),
        "UPDATE interests SET interests = '[{}]'".to_owned(),
        "UPDATE languages SET languages = '[\"en\"]'".to_owned(),
        "UPDATE languages SET languages = '[{\"code\":\"en\"}]'".to_owned(),
        "UPDATE languages SET languages = '[{\"code\":\"en\",\"level\":\"good\"}]'".to_owned(),
        "UPDATE languages SET languages = '[{\"code\":1,\"level\":\"fluent\"}]'".to_owned(),
        "UPDATE languages SET languages = '[{\"code\":\"en\",\"level\":[\"fluent\"]}]'".to_owned(),
        insert("sessions (id, user_id, created_at, expires_at)", &format!("'x', '{ann}', 1, 2")),
        insert("totp (user_id, secret, created_at)", &format!("'{ann}', 'JBSWY3DP', 1")),
        insert(
            "api_keys (id, user_id, name, key_hash, scopes, created_at)",
            &format!("'000000000000000g', '{ann}', 'x', 'x', '', 1"),
        ),
        insert(
            "api_keys (id, user_id, name, key_hash, scopes, created_at)",
            &format!("'0000000000000000', '{ann}', 'x', 'x', 'readwrite', 1"),
        ),
        insert("achievements (id, user_id, badge_type)", &format!("'{NO_UUID}', '{ann}', 'x'")),
        insert("points_ledger (id, user_id, amount, reason)", &format!("'{NO_UUID}', '{ann}', 1, 'x'")),
        insert("audit_log (id, at, action)", "'x', 1, 'x'"),
        insert("audit_log (id, at, action, actor_id)", &format!("'{id}', 1, 'x', 'root'")),
        insert("audit_log (id, at, action, target_id)", &format!("'{id}', 1, 'x', 'everybody'")),
        insert("user_counts (shard, role, is_active)", "1, 'king', TRUE"),
    ];
    if !bed.is_postgres() {
        refused.extend([
            "UPDATE users SET bio = x'00'".to_owned(),
            "UPDATE users SET created_at = 'yesterday'".to_owned(),
            "UPDATE credentials SET epoch = 'one'".to_owned(),
            insert("permissions (user_id, permission)", &format!("'{ann}', x'61'")),
            format!("INSERT OR IGNORE INTO users (id, email, username) VALUES ('{NO_UUID}', 'b@x', 'bob')"),
        ]);
    }
    for statement in refused {
        let error = bed.sql(&statement).expect_err(&statement).to_string();
        assert!(error.contains("check"), "{statement}: {error}");
    }
}

async fn the_schema_accepts_readable_values(bed: &Bed) {
    let (ann, id) = (bed.user("ann").await.id, UserId::generate());
    for statement in [
        "UPDATE users SET skills = '[]'".to_owned(),
        "UPDATE users SET skills = ' [ \"a\", \"\\u00e4\" ] '".to_owned(),
        format!(
            "INSERT INTO languages VALUES ('{ann}', '[{{\"level\":\"native\",\"code\":\"de\",\"since\":1990}}]')"
        ),
        format!("INSERT INTO interests VALUES ('{ann}', '[\"a\"]')"),
        format!(
            "INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES ('8f14e45f-ceea-467f-9575-6f2e1f2d3a4b', '{ann}', 1, 2)"
        ),
        format!(
            "INSERT INTO api_keys (id, user_id, name, key_hash, scopes, created_at) VALUES ('00000000000000a1', '{ann}', 'x', 'x', 'write read', 1)"
        ),
        format!("INSERT INTO totp (user_id, secret, created_at) VALUES ('{ann}', 'plain.QUJD', 1)"),
        format!("INSERT INTO audit_log (id, at, action, actor_id) VALUES ('{id}', 1, 'x', '{id}')"),
        "UPDATE users SET username = 'a\tb', created_at = 0".to_owned(),
    ] {
        bed.sql(&statement).unwrap();
    }
    assert!(bed.store.user(ann).await.unwrap().is_some());
    assert_eq!(bed.store.part::<Languages>(ann).await.unwrap().unwrap().languages.len(), 1);
}

fn query(limit: usize, sort: &str) -> ListQuery {
    let params =
        ListParams { limit: Some(limit.to_string()), sort: Some(sort.to_owned()), ..ListParams::default() };
    ListQuery::parse(&params, Role::Superadmin).unwrap()
}

async fn names(bed: &Bed, query: &ListQuery) -> Vec<String> {
    let users = bed.store.list(query).await.unwrap().users;
    users.iter().map(|user| user.username.as_str().to_owned()).collect()
}

async fn an_unreadable_user_fails_no_other_user(bed: &Bed) {
    let (ann, bob) = (bed.user("ann").await, bed.user("bob").await);
    smuggle(bed, "UPDATE users SET skills = '[1]' WHERE username = 'ann'");
    smuggle(bed, &format!("INSERT INTO users (id, email, username) VALUES ('{NO_UUID}', 'z@x', 'zoe')"));
    bed.sql(&format!("INSERT INTO points_ledger (user_id, amount, reason) VALUES ('{}', 9, 'x'), ('{}', 9, 'x'), ('{NO_UUID}', 9, 'x')", ann.id, bob.id)).unwrap();
    bed.sql("INSERT INTO achievements (user_id, badge_type) SELECT id, 'first' FROM users").unwrap();

    assert_eq!(names(bed, &query(10, "username")).await, ["bob"]);
    assert_eq!(bed.store.users_by_ids(&[ann.id, bob.id]).await.unwrap().len(), 1);
    let board =
        bed.store.leaderboard(LeaderboardQuery::parse(&LeaderboardParams::default()).unwrap()).await.unwrap();
    assert_eq!(
        board.iter().map(|row| (row.username.as_str(), row.rank)).collect::<Vec<_>>(),
        [("ann", 1), ("bob", 1)]
    );
    let recent = bed.store.recent_achievements(query(10, "points").limit).await.unwrap();
    assert_eq!(recent.len(), 2, "whose names can be read");
    let today = Day::of(Timestamp::now());
    assert_eq!(bed.store.counts().await.unwrap().iter().map(|count| count.users).sum::<i64>(), 3);
    assert_eq!(bed.store.sign_ups(today, today).await.unwrap()[0].users, 3);

    let unreadable = |result: Result<_, StoreError>| matches!(result, Err(StoreError::Unreadable { field }) if field == "skills");
    assert!(unreadable(bed.store.user(ann.id).await.map(drop)));
    assert!(unreadable(bed.store.full_profile(ann.id).await.map(drop)));
    let by_email = bed.store.id_by_email(&larder_server::domain::contact::Email::parse("z@x").unwrap()).await;
    assert!(matches!(by_email, Err(StoreError::Unreadable { field }) if field == "id"));
    // Reads that need no unreadable field still answer.
    assert!(bed.store.credentials_for_login(&Identifier::Id(ann.id)).await.unwrap().is_some());
    assert!(bed.store.auth_state(ann.id, Timestamp::now()).await.unwrap().is_some());
    let active = UserPatch::active(false);
    assert!(
        unreadable(tx(&bed.store).await.update_user(ann.id, &active, None).await.map(drop)),
        "it would be lost"
    );
    bed.sql("UPDATE users SET is_active = NOT is_active; UPDATE users SET is_active = NOT is_active")
        .unwrap();

    let judged = bed.store.user_to_judge(&Identifier::Id(ann.id)).await.unwrap().unwrap();
    let mend = UserPatch { skills: Some(Skills::default()), ..UserPatch::default() };
    let mended =
        tx(&bed.store).await.update_user(ann.id, &mend, Some(Expected::Judged(&judged))).await.unwrap();
    let Updated::Done { after, .. } = mended else { panic!("{mended:?}") };
    assert_eq!((after.skills, after.email), (Skills::default(), ann.email.clone()));
    let log = bed.sql("SELECT details FROM audit_log WHERE action LIKE '%update%'").unwrap();
    assert!(log.contains("skills"), "{log}");
    assert_eq!(names(bed, &query(10, "username")).await, ["ann", "bob"]);
    bed.sql(&format!("DELETE FROM users WHERE id = '{NO_UUID}'")).unwrap();
    assert_eq!(tx(&bed.store).await.delete_user(bob.id, None).await.map(drop).map_err(drop), Ok(()));
}

/// Walks over a list by its cursors.
async fn walk(bed: &Bed, limit: usize, sort: &str) -> Vec<User> {
    let mut users = Vec::new();
    let mut at = query(limit, sort);
    loop {
        let listed = bed.store.list(&at).await.unwrap();
        assert!(!listed.users.is_empty() || listed.next.is_none(), "a page without users leads nowhere");
        users.extend(listed.users);
        let Some(next) = listed.next else { return users };
        assert!(users.len() < 100, "a list ends");
        at.position = larder_server::domain::paging::Position::Cursor(next);
    }
}

async fn lists_continue_past_unreadable_users(bed: &Bed) {
    for number in 10..40 {
        bed.user(&format!("user{number}")).await;
    }
    // Unreadable users: several in a row, single ones, the first and the last.
    let odd = "username IN ('user10', 'user14', 'user15', 'user16', 'user17', 'user18', 'user25', 'user39')";
    smuggle(bed, &format!("UPDATE users SET skills = '[1]' WHERE {odd}"));
    for (limit, sort) in
        [(1, "username"), (1, "-created_at"), (2, "-username"), (3, "email"), (7, "points"), (50, "username")]
    {
        let users = walk(bed, limit, sort).await;
        let mut names: Vec<_> = users.iter().map(|user| user.username.as_str()).collect();
        names.sort_unstable();
        let wanted: Vec<_> = bed
            .sql(&format!("SELECT username FROM users WHERE NOT ({odd}) ORDER BY username"))
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        assert_eq!(names, wanted, "{limit} {sort}");
    }
    // A numbered page leaves out unreadable users, so it can be shorter; the next page begins where it ends.
    let mut pages = Vec::new();
    for page in 1..=6 {
        let params = ListParams {
            limit: Some("5".to_owned()),
            sort: Some("username".to_owned()),
            page: Some(page.to_string()),
            ..ListParams::default()
        };
        pages.extend(names(bed, &ListQuery::parse(&params, Role::Superadmin).unwrap()).await);
    }
    let mut once = pages.clone();
    once.dedup();
    assert_eq!((once.len(), pages.len()), (22, 22), "{pages:?}");
    let params =
        ListParams { search: Some("user".to_owned()), limit: Some("4".to_owned()), ..ListParams::default() };
    let mut found = ListQuery::parse(&params, Role::Superadmin).unwrap();
    let mut users = 0;
    loop {
        let listed = bed.store.list(&found).await.unwrap();
        users += listed.users.len();
        let Some(next) = listed.next else { break };
        found.position = larder_server::domain::paging::Position::Cursor(next);
    }
    assert_eq!(users, 22);
}

async fn replacing_an_unreadable_part_repairs_it(bed: &Bed) {
    let ann = bed.user("ann").await;
    smuggle(bed, &format!("INSERT INTO interests VALUES ('{}', '[1]')", ann.id));
    smuggle(bed, &format!("INSERT INTO languages VALUES ('{}', '[\"en\"]')", ann.id));
    let read = bed.store.part::<Interests>(ann.id).await;
    assert!(matches!(read, Err(StoreError::Unreadable { field }) if field == "interests"));
    let read = bed.store.full_profile(ann.id).await;
    assert!(matches!(read, Err(StoreError::Unreadable { field }) if field == "languages"));
    assert!(bed.store.part::<Preferences>(ann.id).await.unwrap().is_some());
    assert!(bed.store.part::<Accessibility>(ann.id).await.unwrap().is_some());
    let none = Interests::parse(json!({ "interests": [] })).unwrap();
    let state = larder_server::domain::parts::digest(&Interests::default()).unwrap();
    let expected = Conditions { one_of: Some(vec![state]), ..Conditions::default() };
    let conditional = tx(&bed.store).await.update_part::<Interests>(&ann, &none, &expected).await.unwrap();
    assert_eq!(conditional, PartUpdated::PartChanged, "a state that cannot be read is not the expected one");
    assert_eq!(
        tx(&bed.store).await.update_part::<Interests>(&ann, &none, &Conditions::default()).await.unwrap(),
        PartUpdated::Done(none.clone())
    );
    let english = Languages::parse(json!({ "languages": [{ "code": "en", "level": "fluent" }] })).unwrap();
    assert_eq!(
        tx(&bed.store).await.update_part::<Languages>(&ann, &english, &Conditions::default()).await.unwrap(),
        PartUpdated::Done(english)
    );
    assert_eq!(bed.store.part::<Interests>(ann.id).await.unwrap(), Some(none));
    assert_eq!(bed.store.full_profile(ann.id).await.unwrap().unwrap().languages.languages.len(), 1);
}

async fn an_export_continues_past_a_row_with_an_unreadable_id(bed: &Bed) {
    let ann = bed.user("ann").await;
    bed.user("bob").await;
    smuggle(bed, &format!("UPDATE users SET id = '{NO_UUID}' WHERE username = 'bob'"));
    let page = bed.store.users_after(None).await.unwrap();
    assert_eq!((page.users, page.unreadable, page.last.as_deref()), (vec![ann], 1, Some(NO_UUID)));
    assert_eq!(bed.store.users_after(page.last).await.unwrap().last, None);
}

async fn unreadable_rows_of_a_user_fail_no_other_rows(bed: &Bed) {
    let ann = bed.user("ann").await.id;
    let values = |id: &str| format!("('{id}', '{ann}'");
    bed.sql(&format!("INSERT INTO achievements (user_id, badge_type) VALUES ('{ann}', 'good')")).unwrap();
    for number in 0..3 {
        let odd = format!("{}{number}", &NO_UUID[..35]);
        smuggle(
            bed,
            &format!(
                "INSERT INTO points_ledger (id, user_id, amount, reason) VALUES {}, 1, 'x')",
                values(&odd)
            ),
        );
        smuggle(bed, &format!("INSERT INTO audit_log (id, at, action) VALUES ('{odd}', 1, 'x')"));
        bed.sql(&format!("INSERT INTO points_ledger (user_id, amount, reason) VALUES ('{ann}', 1, 'x')"))
            .unwrap();
        bed.sql(&format!("INSERT INTO audit_log (id, at, action) VALUES ('{}', 1, 'x')", UserId::generate()))
            .unwrap();
    }
    smuggle(
        bed,
        &format!("INSERT INTO achievements (id, user_id, badge_type) VALUES {}, 'odd')", values(NO_UUID)),
    );
    smuggle(
        bed,
        &format!(
            "INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES {}, 1, {})",
            values("x"),
            i64::MAX
        ),
    );
    smuggle(
        bed,
        &format!(
            "INSERT INTO api_keys (id, user_id, name, key_hash, scopes, created_at) VALUES {}, 'x', 'x', 'all', 1)",
            values("0123456789abcdef")
        ),
    );
    if bed.is_postgres() {
        bed.sql("SELECT larder_recount()").unwrap();
    }

    let mut entries = 0;
    let mut part = LedgerQuery { limit: query(1, "points").limit, before: None };
    loop {
        let ledger = bed.store.ledger(ann, part).await.unwrap();
        entries += ledger.entries.len();
        let Some(next) = ledger.next else { break };
        part.before = Some(next);
    }
    assert_eq!(entries, 3);
    assert_eq!(bed.store.audit(&AuditQuery::default(), 2).await.unwrap().len(), 2);
    // Four entries, including the one for the creation of the user.
    assert_eq!(bed.store.audit(&AuditQuery::default(), 100).await.unwrap().len(), 4);
    assert_eq!(bed.store.achievements(ann).await.unwrap().len(), 1);
    assert!(bed.store.api_keys_of(ann).await.unwrap().is_empty());
    assert!(bed.store.auth_state(ann, Timestamp::now()).await.unwrap().unwrap().sessions.is_empty());
    let award = Award {
        badge_type: larder_server::domain::achievement::BadgeType::parse("next").unwrap(),
        data: Default::default(),
        points: 1,
    };
    tx(&bed.store).await.award(ann, Role::User, &award, ann).await.unwrap();
    let new = tx(&bed.store).await.insert_user(new("bob"), None).await.unwrap();
    assert!(bed.store.user(new.id).await.unwrap().is_some());
}
