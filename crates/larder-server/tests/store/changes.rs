//! Changes of users: conditions, versions that triggers set, and the rows that a deletion removes with its user.

use larder_server::domain::identity::{Identifier, UserId};
use larder_server::domain::paging::Filter;
use larder_server::domain::patch::{Patch, UserPatch};
use larder_server::domain::text::{Bio, FullName};
use larder_server::domain::timestamp::Timestamp;
use larder_server::store::changes::{Deleted, Expected, Updated};
use larder_server::store::error::StoreError;

use crate::bed::{Bed, contract, new, tx};

contract!(
    a_change_shows_before_and_after,
    a_change_of_nothing_succeeds,
    a_change_is_refused_if_its_condition_fails,
    a_change_needs_the_role_and_external_id_that_were_judged,
    versions_by_trigger,
    foreign_sql_obeys_the_constraints,
    delete_cascades,
    totals_follow_every_writer,
    many_at_once,
);

fn bio(text: &str) -> UserPatch {
    UserPatch { bio: Patch::Set(Bio::parse(text).unwrap()), ..UserPatch::default() }
}

async fn a_change_shows_before_and_after(bed: &Bed) {
    let user = bed.user("ann").await;
    let patch = UserPatch { full_name: Patch::Set(FullName::parse("Ann").unwrap()), ..bio("hello") };
    let Updated::Done { before, after } =
        tx(&bed.store).await.update_user(user.id, &patch, None).await.unwrap()
    else {
        panic!("not done");
    };
    assert_eq!(*before, user);
    assert_eq!(after.bio.as_ref().unwrap().as_str(), "hello");
    assert_eq!((after.version, after.created_at), (2, user.created_at));
    assert!(after.updated_at >= user.updated_at);
    assert_eq!(bed.store.user(user.id).await.unwrap(), Some(*after));
    let cleared = bed.update(&user, &UserPatch { bio: Patch::Clear, ..UserPatch::default() }).await;
    assert_eq!((cleared.bio, cleared.full_name.unwrap().as_str()), (None, "Ann"));
}

async fn a_change_of_nothing_succeeds(bed: &Bed) {
    let user = bed.user("ann").await;
    assert_eq!(bed.update(&user, &UserPatch::default()).await, user);
    assert_eq!(bed.update(&user, &UserPatch::active(true)).await.version, 1);
}

async fn a_change_is_refused_if_its_condition_fails(bed: &Bed) {
    let store = &bed.store;
    let user = bed.user("ann").await;
    let conflict = Updated::VersionMismatch { current: 1 };
    assert_eq!(
        tx(store).await.update_user(user.id, &bio("x"), Some(Expected::Version(7))).await.unwrap(),
        conflict
    );
    assert!(matches!(
        tx(store).await.update_user(user.id, &bio("x"), Some(Expected::Version(1))).await.unwrap(),
        Updated::Done { .. }
    ));
    assert_eq!(
        tx(store).await.delete_user(user.id, Some(Expected::Version(1))).await.unwrap(),
        Deleted::VersionMismatch { current: 2 }
    );
    let nobody = UserId::generate();
    assert_eq!(tx(store).await.update_user(nobody, &bio("x"), None).await.unwrap(), Updated::NotFound);
    assert_eq!(tx(store).await.set_active(nobody, false).await.unwrap(), Updated::NotFound);
    assert_eq!(tx(store).await.delete_user(nobody, None).await.unwrap(), Deleted::NotFound);
}

/// A change is permitted by the role and the external id that its caller read; if either differs now, it is refused.
async fn a_change_needs_the_role_and_external_id_that_were_judged(bed: &Bed) {
    let judged = bed.user("ann").await;
    let change = async |text: &str| {
        tx(&bed.store)
            .await
            .update_user(judged.id, &bio(text), Some(Expected::Judged(&judged)))
            .await
            .unwrap()
    };
    // Other writers change the row between her changes; only a change of role or external id makes hers a conflict.
    for (version, text) in [(2, "a"), (4, "b")] {
        let Updated::Done { after, .. } = change(text).await else { panic!("{text}") };
        assert_eq!(after.version, version);
        bed.update(&judged, &bio("other")).await;
    }
    for (version, set, back) in
        [(6, "role = 'admin'", "role = 'user'"), (8, "external_id = '5779356081'", "external_id = NULL")]
    {
        bed.sql(&format!("UPDATE users SET {set} WHERE username = 'ann'")).unwrap();
        assert_eq!(change("c").await, Updated::VersionMismatch { current: version }, "{set}");
        bed.sql(&format!("UPDATE users SET {back} WHERE username = 'ann'")).unwrap();
    }
}

async fn versions_by_trigger(bed: &Bed) {
    let user = bed.user("ann").await;
    let other = bed.user("bob").await;
    let now = async || bed.store.user(user.id).await.unwrap().unwrap();
    bed.sql(&format!("UPDATE users SET bio = 'psql' WHERE id = '{}'", user.id)).unwrap();
    let foreign = now().await;
    assert_eq!((foreign.version, foreign.bio.unwrap().as_str()), (2, "psql"));
    assert!(foreign.updated_at > user.updated_at);
    for set in ["version = 99", "version = version + 1", "version = 1", "updated_at = 5", "bio = bio"] {
        let before = now().await;
        bed.sql(&format!("UPDATE users SET {set} WHERE id = '{}'", user.id)).unwrap();
        let after = now().await;
        assert_eq!(after.version, before.version + 1, "{set}");
        assert!(after.updated_at >= before.updated_at, "{set}");
    }
    let before = now().await.version;
    bed.sql("UPDATE users SET location = 'everywhere'").unwrap();
    assert_eq!(now().await.version, before + 1);
    assert_eq!(bed.store.user(other.id).await.unwrap().unwrap().version, 2);
    assert_eq!(bed.update(&user, &bio("api")).await.version, before + 2);
    if bed.is_postgres() {
        bed.sql("SET session_replication_role = replica; UPDATE users SET bio = 'replica'").unwrap();
        assert_eq!(now().await.version, before + 3);
    }
}

async fn foreign_sql_obeys_the_constraints(bed: &Bed) {
    bed.user("ann").await;
    for set in [
        "email = 'ANN@example.com'",
        "username = 'Ann'",
        "role = 'king'",
        "skills = 'x'",
        "skills = '{}'",
        "id = 'x'",
        "email = NULL",
    ] {
        assert!(bed.sql(&format!("UPDATE users SET {set}")).is_err(), "{set}");
    }
    let id = UserId::generate();
    let row = format!("INSERT INTO users (id, email, username) VALUES ('{id}', 'b@x.com', 'bob')");
    bed.sql(&row).unwrap();
    let bob = bed.store.user(id).await.unwrap().unwrap();
    assert!(bob.is_active && bob.version == 1);
    let age = Timestamp::now().as_micros() - bob.created_at.as_micros();
    assert!((-1_000_000..60_000_000).contains(&age), "{age}");
}

async fn delete_cascades(bed: &Bed) {
    let user = bed.user("ann").await;
    bed.user("bob").await;
    let deleted = tx(&bed.store).await.delete_user(user.id, Some(Expected::Version(1))).await.unwrap();
    assert_eq!(deleted, Deleted::Done { before: Box::new(user.clone()) });
    assert_eq!(bed.store.user(user.id).await.unwrap(), None);
    assert_eq!(bed.store.id_by_email(&user.email).await.unwrap(), None);
    assert_eq!(bed.store.auth_state(user.id, Timestamp::now()).await.unwrap(), None);
    assert!(bed.store.credentials_for_login(&Identifier::Id(user.id)).await.unwrap().is_none());
    assert_eq!(bed.sql("SELECT COUNT(*) FROM credentials").unwrap(), "1");
    tx(&bed.store).await.insert_user(new("ann"), None).await.unwrap();
}

async fn totals_follow_every_writer(bed: &Bed) {
    let total = async || bed.store.total(&Filter::default()).await.unwrap();
    assert_eq!(total().await, 0);
    let ann = bed.user("ann").await;
    for number in 0..20 {
        let id = UserId::generate();
        bed.sql(&format!(
            "INSERT INTO users (id, email, username) VALUES ('{id}', '{number}@x', 'u{number}')"
        ))
        .unwrap();
    }
    assert_eq!(total().await, 21);
    assert!(matches!(
        tx(&bed.store).await.insert_user(new("ann"), None).await,
        Err(StoreError::Taken { .. })
    ));
    assert_eq!(total().await, 21, "a refused user is not counted");
    tx(&bed.store).await.delete_user(ann.id, None).await.unwrap();
    bed.sql("DELETE FROM users WHERE username < 'u1'").unwrap();
    assert_eq!(total().await, 19);
    tx(&bed.store).await.set_active(bed.user("bob").await.id, false).await.unwrap();
    let inactive = Filter { is_active: Some(false), ..Filter::default() };
    assert_eq!(bed.store.total(&inactive).await.unwrap(), 1);
    bed.sql(if bed.is_postgres() { "TRUNCATE users CASCADE" } else { "DELETE FROM users" }).unwrap();
    assert_eq!(total().await, 0);
}

async fn many_at_once(bed: &Bed) {
    let many: Vec<_> = (0..1234).map(|number| new(&format!("user{number}"))).collect();
    let ids = tx(&bed.store).await.insert_many(&many, "shared hash").await.unwrap();
    assert_eq!(ids.len(), 1234);
    assert_eq!(bed.store.total(&Filter::default()).await.unwrap(), 1234);
    for index in [0, 49, 50, 1233] {
        let user = bed.store.user(ids[index]).await.unwrap().unwrap();
        assert_eq!(user.username, many[index].username);
        let login = bed.store.credentials_for_login(&Identifier::Id(user.id)).await.unwrap().unwrap();
        assert_eq!((login.password_hash.as_str(), login.epoch), ("shared hash", 1));
    }
    assert_eq!(bed.store.users_by_ids(&ids).await.unwrap().len(), 1234);
    let error = tx(&bed.store).await.insert_many(&[new("fresh"), new("user7")], "x").await.unwrap_err();
    assert!(matches!(error, StoreError::Taken { .. }));
    assert_eq!(bed.store.total(&Filter::default()).await.unwrap(), 1234, "all or none");
}
