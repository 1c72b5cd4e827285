//! The list of users: newest first, by page and by cursor, everybody exactly once.

use std::collections::BTreeSet;

use larder_server::domain::identity::UserId;
use larder_server::domain::paging::{Cursor, ListParams, ListQuery};
use larder_server::domain::patch::UserPatch;
use larder_server::domain::role::Role;

use crate::bed::{Bed, contract, new};

contract!(cursors_walk_everything_once, pages_and_cursors_agree, a_walk_survives_changes, filters_hold);

fn query(limit: u32, page: Option<u32>, cursor: Option<&Cursor>) -> ListQuery {
    let params = ListParams {
        limit: Some(limit.to_string()),
        page: page.map(|page| page.to_string()),
        cursor: cursor.map(Cursor::encode),
        ..ListParams::default()
    };
    ListQuery::parse(&params).unwrap()
}

async fn filled(bed: &Bed, users: usize) -> Vec<UserId> {
    let many: Vec<_> = (0..users).map(|number| new(&format!("user{number}"))).collect();
    let mut ids = bed.store.insert_many(&many, "hash").await.unwrap();
    ids.reverse();
    ids
}

async fn walk(bed: &Bed, limit: u32) -> Vec<UserId> {
    let mut ids = Vec::new();
    let mut listed = bed.store.list(&query(limit, None, None)).await.unwrap();
    loop {
        ids.extend(listed.users.iter().map(|user| user.id));
        let Some(next) = listed.next else { return ids };
        assert_eq!(listed.users.len(), limit as usize, "only the last part is short");
        listed = bed.store.list(&query(limit, None, Some(&next))).await.unwrap();
    }
}

async fn cursors_walk_everything_once(bed: &Bed) {
    assert!(bed.store.list(&ListQuery::default()).await.unwrap().users.is_empty());
    let newest_first = filled(bed, 60).await;
    for limit in [1, 7, 20, 59, 60, 61, 100] {
        assert_eq!(walk(bed, limit).await, newest_first, "{limit}");
    }
    // All of one moment: then the id alone tells them apart.
    bed.sql("DELETE FROM users").unwrap();
    let mut ids: Vec<_> = (0..30).map(|_| UserId::generate()).collect();
    for id in &ids {
        let columns = "id, email, username, created_at";
        bed.sql(&format!("INSERT INTO users ({columns}) VALUES ('{id}', '{id}@x', '{id}', 1)")).unwrap();
    }
    ids.reverse();
    assert_eq!(walk(bed, 7).await, ids);
}

async fn pages_and_cursors_agree(bed: &Bed) {
    let newest_first = filled(bed, 23).await;
    let mut paged = Vec::new();
    for page in 1..=3 {
        let listed = bed.store.list(&query(10, Some(page), None)).await.unwrap();
        assert_eq!(listed.next.is_some(), page < 3);
        paged.extend(listed.users.iter().map(|user| user.id));
    }
    assert_eq!(paged, newest_first);
    assert!(bed.store.list(&query(10, Some(4), None)).await.unwrap().users.is_empty());
    let last = bed.store.list(&query(23, Some(1), None)).await.unwrap();
    assert_eq!(last.next, None, "a full last part has no next");
}

async fn a_walk_survives_changes(bed: &Bed) {
    let newest_first = filled(bed, 20).await;
    let first = bed.store.list(&query(5, None, None)).await.unwrap();
    // The user of the cursor goes, a newer one comes: neither moves what follows.
    bed.store.delete_user(newest_first[4], None).await.unwrap();
    bed.user("newer").await;
    let second = bed.store.list(&query(100, None, first.next.as_ref())).await.unwrap();
    let rest: Vec<_> = second.users.iter().map(|user| user.id).collect();
    assert_eq!(rest, newest_first[5..]);
}

async fn filters_hold(bed: &Bed) {
    let ids = filled(bed, 9).await;
    for id in &ids[..3] {
        let patch = UserPatch { role: Some(Role::Admin), ..UserPatch::default() };
        bed.store.update_user(*id, &patch, None).await.unwrap();
    }
    bed.store.set_active(ids[2], false).await.unwrap();
    let listed = async |role: Option<Role>, is_active: Option<bool>| {
        let mut list = query(2, None, None);
        list.filter.role = role;
        list.filter.is_active = is_active;
        let first = bed.store.list(&list).await.unwrap();
        let total = bed.store.total(&list.filter).await.unwrap();
        let mut found: BTreeSet<_> = first.users.iter().map(|user| user.id).collect();
        if let Some(next) = first.next {
            list.position = larder_server::domain::paging::Position::Cursor(next);
            list.limit = query(100, None, None).limit;
            found.extend(bed.store.list(&list).await.unwrap().users.iter().map(|user| user.id));
        }
        assert_eq!(found.len() as i64, total);
        found
    };
    assert_eq!(listed(Some(Role::Admin), None).await, ids[..3].iter().copied().collect());
    assert_eq!(listed(Some(Role::Admin), Some(true)).await, ids[..2].iter().copied().collect());
    assert_eq!(listed(None, Some(false)).await, [ids[2]].into());
    assert!(listed(Some(Role::Superadmin), None).await.is_empty());
}
