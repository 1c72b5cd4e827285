//! Lists of users: pages and cursors show each user exactly once, under every sort and filter.

use std::collections::BTreeSet;

use larder_server::domain::identity::UserId;
use larder_server::domain::paging::{ListParams, ListQuery, Position};
use larder_server::domain::patch::UserPatch;
use larder_server::domain::role::Role;
use larder_server::domain::user::User;
use larder_server::store::lists::Listed;

use crate::bed::{Bed, contract, new, tx};

contract!(
    walks_see_each_user_once_under_every_sort_and_filter,
    pages_and_cursors_agree,
    a_walk_survives_changes,
    ties_are_ordered_by_the_id,
);

const SORTS: [&str; 8] =
    ["created_at", "-created_at", "username", "-username", "points", "-points", "email", "-email"];

fn params(limit: u32, sort: &str, role: Option<&str>, status: Option<&str>) -> ListParams {
    let own = |text: Option<&str>| text.map(str::to_owned);
    let (role, status) = (own(role), own(status));
    ListParams {
        limit: Some(limit.to_string()),
        sort: Some(sort.to_owned()),
        role,
        status,
        ..Default::default()
    }
}

fn query(params: &ListParams) -> ListQuery {
    ListQuery::parse(params, Role::Superadmin).unwrap()
}

async fn listed(bed: &Bed, query: &ListQuery) -> Listed {
    bed.store.list(query).await.unwrap()
}

/// Follows the cursors to the end; each is encoded and parsed as a client sends it.
async fn walk(bed: &Bed, params: &ListParams) -> Vec<UserId> {
    let mut ids = Vec::new();
    let mut params = params.clone();
    loop {
        let query = query(&params);
        let Listed { users, next } = listed(bed, &query).await;
        ids.extend(users.iter().map(|user| user.id));
        let Some(next) = next else { return ids };
        assert_eq!(users.len(), query.limit.get() as usize, "only the last part is short");
        params.cursor = Some(next.encode());
    }
}

/// Sorts in Rust, as the expected order.
fn sorted(users: &[User], sort: &str) -> Vec<UserId> {
    let mut users: Vec<_> = users.iter().collect();
    users.sort_by(|a, b| {
        let order = match sort.trim_start_matches('-') {
            "created_at" => a.created_at.cmp(&b.created_at),
            "username" => a.username.cmp(&b.username),
            "points" => a.points.cmp(&b.points),
            _ => a.email.cmp(&b.email),
        };
        order.then(a.id.cmp(&b.id))
    });
    if sort.starts_with('-') {
        users.reverse();
    }
    users.iter().map(|user| user.id).collect()
}

/// Inserts users of every role and status; several have equal points and equal times.
async fn filled(bed: &Bed, users: usize) -> Vec<User> {
    let many: Vec<_> = (0..users).map(|number| new(&format!("user{}", number * 7919 % 1000))).collect();
    let ids = tx(&bed.store).await.insert_many(&many, "hash").await.unwrap();
    bed.sql(
        "UPDATE users SET
             role = CASE WHEN length(username) < 6 THEN 'admin' WHEN username LIKE '%7' THEN 'superadmin' ELSE role END,
             is_active = (username NOT LIKE '%3'),
             created_at = CASE WHEN username LIKE '%4' THEN 1700000000000000 ELSE created_at END",
    )
    .unwrap();
    bed.sql(
        "INSERT INTO points_ledger (user_id, amount, reason, idempotency_key)
         SELECT id, length(username) * 100 - CASE WHEN username LIKE '%5' THEN 100 ELSE 0 END, 'test', id FROM users",
    )
    .unwrap();
    bed.store.users_by_ids(&ids).await.unwrap()
}

async fn walks_see_each_user_once_under_every_sort_and_filter(bed: &Bed) {
    assert!(listed(bed, &ListQuery::first(Role::User)).await.users.is_empty());
    let everybody = filled(bed, 60).await;
    for sort in SORTS {
        for role in [None, Some("user"), Some("admin"), Some("superadmin")] {
            for status in [None, Some("active"), Some("inactive")] {
                let meant: Vec<_> = everybody
                    .iter()
                    .filter(|user| role.is_none_or(|role| user.role.as_str() == role))
                    .filter(|user| status.is_none_or(|status| user.is_active == (status == "active")))
                    .cloned()
                    .collect();
                let about = format!("{sort} {role:?} {status:?}");
                let wanted = sorted(&meant, sort);
                assert_eq!(walk(bed, &params(7, sort, role, status)).await, wanted, "{about}");
                let all = query(&params(100, sort, role, status));
                assert_eq!(bed.store.total(&all.filter).await.unwrap(), wanted.len() as i64, "{about}");
            }
        }
        for limit in [1, 20, 59, 60, 61] {
            assert_eq!(
                walk(bed, &params(limit, sort, None, None)).await,
                sorted(&everybody, sort),
                "{sort} {limit}"
            );
        }
    }
}

async fn ties_are_ordered_by_the_id(bed: &Bed) {
    let mut ids: Vec<_> = (0..30).map(|_| UserId::generate()).collect();
    for id in &ids {
        let columns = "id, email, username, created_at";
        bed.sql(&format!("INSERT INTO users ({columns}) VALUES ('{id}', '{id}@x', '{id}', 1)")).unwrap();
    }
    for sort in ["created_at", "points"] {
        assert_eq!(walk(bed, &params(7, sort, None, None)).await, ids);
    }
    ids.reverse();
    for sort in ["-created_at", "-points"] {
        assert_eq!(walk(bed, &params(7, sort, None, None)).await, ids);
    }
}

async fn pages_and_cursors_agree(bed: &Bed) {
    let everybody = filled(bed, 23).await;
    for sort in SORTS {
        let on =
            |page: u32| query(&ListParams { page: Some(page.to_string()), ..params(10, sort, None, None) });
        let mut paged = Vec::new();
        for page in 1..=3 {
            let part = listed(bed, &on(page)).await;
            assert_eq!(part.next.is_some(), page < 3);
            paged.extend(part.users.iter().map(|user| user.id));
        }
        assert_eq!(paged, sorted(&everybody, sort));
        assert!(listed(bed, &on(4)).await.users.is_empty());
    }
    let last = listed(bed, &query(&params(23, "points", None, None))).await;
    assert_eq!(last.next, None, "a full last part has no next");
}

/// A walk sees each user that does not change once. It sees a user whose place changes at most once a place, or never.
async fn a_walk_survives_changes(bed: &Bed) {
    let everybody = filled(bed, 40).await;
    for (round, sort) in SORTS.into_iter().enumerate() {
        let present: Vec<_> =
            bed.store.users_by_ids(&everybody.iter().map(|user| user.id).collect::<Vec<_>>()).await.unwrap();
        let order = sorted(&present, sort);
        let first = listed(bed, &query(&params(5, sort, None, None))).await;
        // Deletes the user of the cursor, changes another user, and inserts a third.
        tx(&bed.store).await.delete_user(order[4], None).await.unwrap();
        let patch = UserPatch { role: Some(Role::Superadmin), ..UserPatch::default() };
        tx(&bed.store).await.update_user(order[10], &patch, None).await.unwrap();
        let comer = bed.user(&format!("comer{round}")).await.id;
        let mut rest = query(&params(100, sort, None, None));
        rest.position = Position::Cursor(first.next.unwrap());
        let rest: Vec<_> = listed(bed, &rest).await.users.iter().map(|user| user.id).collect();
        let stayed: Vec<_> = rest.iter().copied().filter(|id| *id != comer && order.contains(id)).collect();
        assert_eq!(stayed, order[5..], "{sort}");
        assert_eq!(rest.iter().collect::<BTreeSet<_>>().len(), rest.len(), "a user is listed twice");
        tx(&bed.store).await.delete_user(comer, None).await.unwrap();
    }
}
