//! Races between two instances or between two requests.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use larder_identity::keys::SigningKey;
use larder_server::domain::bulk::ListedId;
use larder_server::domain::conditions::Conditions;
use larder_server::domain::identity::UserId;
use larder_server::domain::paging::Filter;
use larder_server::domain::parts::interests::Interests;
use larder_server::domain::patch::{Patch, UserPatch};
use larder_server::domain::role::Role;
use larder_server::domain::text::{Bio, Line};
use larder_server::domain::timestamp::Timestamp;
use larder_server::domain::user::NewUser;
use larder_server::store::Store;
use larder_server::store::changes::{Expected, Updated};
use larder_server::store::error::StoreError;
use larder_server::store::refreshing::Rotated;
use larder_server::store::sessions::{NewSession, Opened};
use uuid::Uuid;

use crate::bed::{Bed, at_once, contract, instance, new, refresh, tx};

contract!(
    one_current_token,
    instances_share_one_signing_key,
    there_is_one_first_superadmin,
    one_conditional_change_wins,
    concurrent_changes_are_all_applied,
    one_of_two_gets_the_name,
    imports_and_registrations_do_not_lock_each_other,
    one_lock_order,
    instances_may_start_at_once,
);

async fn one_current_token(bed: &Bed) {
    let user = bed.user("ann").await;
    let now = Timestamp::now();
    let expires_at = now.after(Duration::from_secs(60));
    let id = Uuid::now_v7();
    let session = NewSession { id, user_id: user.id, epoch: 1, token_hash: "t", now, expires_at, most: 20 };
    assert!(matches!(tx(&bed.store).await.open_session(session).await.unwrap(), Opened::Done { .. }));
    let outcomes = at_once(bed, 8, |store, number| async move {
        tx(&store).await.rotate_refresh(refresh("t", &format!("next {number}"), now)).await.unwrap()
    })
    .await;
    let won = outcomes.iter().filter(|outcome| matches!(outcome, Rotated::Done { .. })).count();
    let reused = outcomes.iter().filter(|outcome| matches!(outcome, Rotated::Reused { .. })).count();
    let late = outcomes.iter().filter(|outcome| **outcome == Rotated::Expired).count();
    // The first reuse of the token ends the session; the other requests find it ended.
    assert_eq!((won, reused, late), (1, 1, 6), "{outcomes:?}");
    assert!(bed.store.auth_state(user.id, now).await.unwrap().unwrap().sessions.is_empty());
}

async fn instances_share_one_signing_key(bed: &Bed) {
    let keys = at_once(bed, 8, |store, number| async move {
        let key = SigningKey {
            kid: format!("kid {number}"),
            algorithm: "EdDSA".into(),
            private_key: format!("secret {number}"),
            created_at: SystemTime::now(),
            retired_at: None,
        };
        tx(&store).await.insert_signing_key_if_none(&key).await.unwrap()
    })
    .await;
    assert!(keys.iter().all(|keys| keys.len() == 1));
    let kids: BTreeSet<_> = keys.iter().flatten().map(|key| &key.kid).collect();
    assert_eq!(kids.len(), 1);
    assert_eq!(bed.store.signing_keys().await.unwrap(), keys[0]);
    assert!(!format!("{:?}", keys[0]).contains("secret"));
}

async fn there_is_one_first_superadmin(bed: &Bed) {
    let made = at_once(bed, 6, |store, number| async move {
        let new = NewUser { role: Role::Superadmin, ..new(&format!("admin{number}")) };
        tx(&store).await.create_superadmin_if_empty(new, "hash").await.unwrap()
    })
    .await;
    assert_eq!(made.into_iter().flatten().count(), 1);
    assert_eq!(bed.store.total(&Filter::default()).await.unwrap(), 1);
    assert!(tx(&bed.store).await.create_superadmin_if_empty(new("late"), "hash").await.unwrap().is_none());
}

async fn one_conditional_change_wins(bed: &Bed) {
    let user = bed.user("ann").await;
    let outcomes = at_once(bed, 6, |store, number| async move {
        let bio = Patch::Set(Bio::parse(&number.to_string()).unwrap());
        tx(&store)
            .await
            .update_user(user.id, &UserPatch { bio, ..UserPatch::default() }, Some(Expected::Version(1)))
            .await
            .unwrap()
    })
    .await;
    let done = outcomes.iter().filter(|outcome| matches!(outcome, Updated::Done { .. })).count();
    let late = outcomes.iter().filter(|outcome| **outcome == Updated::VersionMismatch { current: 2 }).count();
    assert_eq!((done, late), (1, 5));
}

async fn concurrent_changes_are_all_applied(bed: &Bed) {
    let user = bed.user("ann").await;
    let outcomes = at_once(bed, 12, |store, number| async move {
        let bio = Patch::Set(Bio::parse(&number.to_string()).unwrap());
        tx(&store).await.update_user(user.id, &UserPatch { bio, ..UserPatch::default() }, None).await.unwrap()
    })
    .await;
    let versions: BTreeSet<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Updated::Done { before, after } => {
                assert_eq!(after.version, before.version + 1);
                after.version
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(versions, (2..=13).collect());
}

async fn one_of_two_gets_the_name(bed: &Bed) {
    let outcomes =
        at_once(
            bed,
            6,
            |store, _| async move { tx(&store).await.insert_user(new("ann"), Some("hash")).await },
        )
        .await;
    let taken = outcomes.iter().filter(|outcome| matches!(outcome, Err(StoreError::Taken { .. }))).count();
    assert_eq!(taken, 5);
    assert_eq!(bed.store.total(&Filter::default()).await.unwrap(), 1);
}

async fn imports_and_registrations_do_not_lock_each_other(bed: &Bed) {
    let counts = at_once(bed, 8, |store, number| async move {
        if number < 4 {
            let many: Vec<_> = (0..600).map(|user| new(&format!("many{number}-{user}"))).collect();
            tx(&store).await.insert_many(&many, "hash").await.unwrap().len()
        } else {
            for user in 0..10 {
                tx(&store)
                    .await
                    .insert_user(new(&format!("one{number}-{user}")), Some("hash"))
                    .await
                    .unwrap();
            }
            10
        }
    })
    .await;
    let sum: usize = counts.iter().sum();
    assert_eq!(bed.store.total(&Filter::default()).await.unwrap(), sum as i64);
    assert_eq!(bed.sql("SELECT COUNT(*) FROM users").unwrap(), sum.to_string());
}

/// Runs every statement that locks rows of one user at the same time. If their lock orders differed, a deadlock would
/// make one of them fail.
async fn one_lock_order(bed: &Bed) {
    let (user, other) = (bed.user("ann").await.id, bed.user("bob").await.id);
    at_once(bed, 14, |store, number| async move {
        for round in 0..8 {
            match number % 7 {
                0 => drop(tx(&store).await.set_password(user, "hash", None).await.unwrap()),
                1 => drop(tx(&store).await.set_active(user, round % 2 == 0).await.unwrap()),
                2 => drop(tx(&store).await.rehash_password(user, "hash", "hash").await.unwrap()),
                4 => {
                    let interests = Line::parse(&format!("{number} {round}")).unwrap();
                    let change = Interests { interests: vec![interests] };
                    if let Some(judged) = store.user(user).await.unwrap() {
                        drop(
                            tx(&store)
                                .await
                                .update_part::<Interests>(&judged, &change, &Conditions::default())
                                .await
                                .unwrap(),
                        );
                    }
                }
                5 => {
                    let asked = [ListedId::Id(other), ListedId::Id(user)];
                    drop(tx(&store).await.set_active_of(&asked, round % 2 == 1, |_, _| true).await.unwrap());
                }
                3 if round == 6 => drop(tx(&store).await.delete_user(user, None).await.unwrap()),
                _ => open_and_rotate(&store, user, &format!("{number} {round}")).await,
            }
        }
    })
    .await;
    assert_eq!(bed.store.total(&Filter::default()).await.unwrap(), 1);
    assert_eq!(bed.sql("SELECT COUNT(*) FROM refresh_tokens").unwrap(), "0");
    assert_eq!(bed.sql("SELECT COUNT(*) FROM interests").unwrap(), "0");
}

async fn open_and_rotate(store: &Store, user_id: UserId, token: &str) {
    let now = Timestamp::now();
    let Some(state) = store.auth_state(user_id, now).await.unwrap() else { return };
    let (id, expires_at) = (Uuid::now_v7(), now.after(Duration::from_secs(60)));
    let new = NewSession { id, user_id, epoch: state.epoch, token_hash: token, now, expires_at, most: 20 };
    if let Opened::Done { .. } = tx(store).await.open_session(new).await.unwrap() {
        tx(store).await.rotate_refresh(refresh(token, &format!("{token} next"), now)).await.unwrap();
        tx(store).await.rotate_refresh(refresh(token, "never", now)).await.unwrap();
        tx(store).await.end_session(id, now).await.unwrap();
    }
}

async fn instances_may_start_at_once(bed: &Bed) {
    if bed.is_postgres() {
        bed.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").unwrap();
    } else {
        let drop = "DROP VIEW user_texts_folded; DROP TABLE user_texts; DROP TABLE search_letters; \
                    DROP TABLE preferences; DROP TABLE languages; DROP TABLE accessibility; DROP TABLE interests; \
                    DROP TABLE api_key_uses; DROP TABLE api_keys; DROP TABLE recovery_codes; DROP TABLE totp; \
                    DROP TABLE audit_log; DROP TABLE mail_tokens; DROP TABLE refresh_tokens; DROP TABLE sessions; DROP TABLE credentials; \
                    DROP TABLE signing_keys; DROP TABLE points_ledger; DROP TABLE achievements; DROP TABLE permissions; \
                    DROP TABLE users; DROP TABLE user_counts; DROP TABLE user_days; DROP TABLE points_counts; \
                    DROP TABLE installation; DROP TABLE larder_outbox; DROP TABLE larder_outbox_marks; \
                    DROP TABLE users_versioning; DROP TABLE user_search; DROP TABLE points_booking; \
                    DROP TABLE larder_identity; DROP TABLE _sqlx_migrations; DROP TABLE larder_compatibility; DROP TABLE larder_history;";
        bed.sql(drop).unwrap();
    }
    let (a, b, c) = tokio::join!(instance(bed), instance(bed), instance(bed));
    for (store, name) in [(a, "ann"), (b, "bob"), (c, "cat")] {
        tx(&store).await.insert_user(new(name), None).await.unwrap();
    }
}
