//! Passwords, and how a change of a password or of a user ends sessions.

use std::time::Duration;

use larder_server::domain::auth::AuthState;
use larder_server::domain::contact::Phone;
use larder_server::domain::identity::{Identifier, UserId};
use larder_server::domain::patch::UserPatch;
use larder_server::domain::role::Role;
use larder_server::domain::timestamp::Timestamp;
use larder_server::domain::user::{NewUser, User};
use larder_server::store::passwords::PasswordSet;
use larder_server::store::refreshing::Rotated;
use larder_server::store::sessions::{NewSession, Opened};
use uuid::Uuid;

use crate::bed::{Bed, contract, new, refresh, tx};

contract!(
    login_finds_a_user_by_any_name,
    a_new_password_voids_earlier_sessions,
    a_better_hash_of_the_same_password_voids_no_session,
    deactivation_voids_tokens_for_good,
    foreign_deactivation_voids_tokens_too,
    a_role_is_read_with_the_state,
    a_session_needs_the_present_password,
);

async fn open(bed: &Bed, user: &User, epoch: i64) -> (Uuid, Opened) {
    let id = Uuid::now_v7();
    let now = Timestamp::now();
    let expires_at = now.after(Duration::from_secs(3600));
    let token_hash = format!("token of {id}");
    let new = NewSession { id, user_id: user.id, epoch, token_hash: &token_hash, now, expires_at, most: 20 };
    (id, tx(&bed.store).await.open_session(new).await.unwrap())
}

async fn state(bed: &Bed, user: &User) -> AuthState {
    bed.store.auth_state(user.id, Timestamp::now()).await.unwrap().unwrap()
}

async fn login_finds_a_user_by_any_name(bed: &Bed) {
    let phone = Phone::parse("+12425550123").unwrap();
    let new = NewUser { phone: Some(phone.clone()), ..new("ann") };
    let user = tx(&bed.store).await.insert_user(new, Some("ann's hash")).await.unwrap();
    bed.user("bob").await;
    for by in [
        Identifier::Id(user.id),
        Identifier::Email(user.email.clone()),
        Identifier::Username(user.username.clone()),
        Identifier::Phone(phone),
    ] {
        let login = bed.store.credentials_for_login(&by).await.unwrap().unwrap();
        assert_eq!((&login.user, login.password_hash.as_str(), login.epoch), (&user, "ann's hash", 1));
        assert!(!format!("{login:?}").contains("hash\""));
    }
    assert!(bed.store.credentials_for_login(&Identifier::Id(UserId::generate())).await.unwrap().is_none());
}

async fn a_new_password_voids_earlier_sessions(bed: &Bed) {
    let user = bed.user("ann").await;
    let (sid, _) = open(bed, &user, 1).await;
    assert!(state(bed, &user).await.admits(sid, 1));
    assert_eq!(tx(&bed.store).await.set_password(user.id, "new", Some(1)).await.unwrap(), PasswordSet::Done);
    let after = state(bed, &user).await;
    assert_eq!((after.epoch, after.sessions.len()), (2, 0));
    assert!(!after.admits(sid, 1) && !after.admits(sid, 2));
    assert_eq!(
        tx(&bed.store).await.set_password(user.id, "late", Some(1)).await.unwrap(),
        PasswordSet::Outdated
    );
    let login = bed.store.credentials_for_login(&Identifier::Id(user.id)).await.unwrap().unwrap();
    assert_eq!(login.password_hash, "new");
    assert_eq!(
        tx(&bed.store).await.set_password(UserId::generate(), "x", None).await.unwrap(),
        PasswordSet::NotFound
    );

    let without = tx(&bed.store).await.insert_user(new("bob"), None).await.unwrap();
    assert!(bed.store.credentials_for_login(&Identifier::Id(without.id)).await.unwrap().is_none());
    assert_eq!(state(bed, &without).await.epoch, 0);
    assert_eq!(
        tx(&bed.store).await.set_password(without.id, "first", None).await.unwrap(),
        PasswordSet::Done
    );
    assert_eq!(state(bed, &without).await.epoch, 1);
}

async fn a_better_hash_of_the_same_password_voids_no_session(bed: &Bed) {
    let user = bed.user("ann").await;
    let (sid, _) = open(bed, &user, 1).await;
    assert!(!tx(&bed.store).await.rehash_password(user.id, "other", "better").await.unwrap());
    assert!(tx(&bed.store).await.rehash_password(user.id, "hash", "better").await.unwrap());
    let login = bed.store.credentials_for_login(&Identifier::Id(user.id)).await.unwrap().unwrap();
    assert_eq!((login.password_hash.as_str(), login.epoch), ("better", 1));
    assert!(state(bed, &user).await.admits(sid, 1));
}

async fn deactivation_voids_tokens_for_good(bed: &Bed) {
    let user = bed.user("ann").await;
    let (sid, _) = open(bed, &user, 1).await;
    tx(&bed.store).await.set_active(user.id, false).await.unwrap();
    let after = state(bed, &user).await;
    assert_eq!((after.is_active, after.epoch, after.sessions.len()), (false, 2, 0));
    assert_eq!(open(bed, &user, 2).await.1, Opened::Outdated);
    let rotated = tx(&bed.store)
        .await
        .rotate_refresh(refresh(&format!("token of {sid}"), "next", Timestamp::now()))
        .await
        .unwrap();
    assert_eq!(rotated, Rotated::Expired);
    tx(&bed.store).await.set_active(user.id, true).await.unwrap();
    assert!(!state(bed, &user).await.admits(sid, 1));
    let (new, _) = open(bed, &user, 2).await;
    assert!(state(bed, &user).await.admits(new, 2));
}

async fn foreign_deactivation_voids_tokens_too(bed: &Bed) {
    let user = bed.user("ann").await;
    let (sid, _) = open(bed, &user, 1).await;
    bed.sql("UPDATE users SET is_active = FALSE").unwrap();
    bed.sql("UPDATE users SET is_active = TRUE").unwrap();
    let after = state(bed, &user).await;
    assert_eq!((after.is_active, after.epoch), (true, 2));
    assert!(!after.admits(sid, 1));
}

async fn a_role_is_read_with_the_state(bed: &Bed) {
    let user = bed.user("ann").await;
    assert_eq!(state(bed, &user).await.role, Role::User);
    bed.update(&user, &UserPatch { role: Some(Role::Admin), ..UserPatch::default() }).await;
    assert_eq!(state(bed, &user).await.role, Role::Admin);
    assert_eq!(bed.store.auth_state(UserId::generate(), Timestamp::now()).await.unwrap(), None);
}

async fn a_session_needs_the_present_password(bed: &Bed) {
    let user = bed.user("ann").await;
    assert_eq!(open(bed, &user, 0).await.1, Opened::Outdated);
    assert_eq!(open(bed, &user, 1).await.1, Opened::Done { ended: vec![] });
    tx(&bed.store).await.set_password(user.id, "new", None).await.unwrap();
    assert_eq!(open(bed, &user, 1).await.1, Opened::Outdated);
    tx(&bed.store).await.delete_user(user.id, None).await.unwrap();
    assert_eq!(open(bed, &user, 2).await.1, Opened::Outdated);
}
