//! The declarations against the triggers and the migrations that come of them.

use std::path::Path;

use larder_sql::dialect::Dialect;
use larder_sql::journal::{triggers, upgrade};
use larder_testbed::Sqlite;

use super::*;
use crate::domain::audit::Actor;
use crate::domain::bulk::ListedId;
use crate::domain::contact::{Email, Phone};
use crate::domain::identity::{ExternalId, Username};
use crate::domain::patch::{Patch, UserPatch};
use crate::domain::permission::Permission;
use crate::domain::points::{Amount, Booking, IdempotencyKey, Reason};
use crate::domain::profile::{AvatarUrl, Skills};
use crate::domain::role::Role;
use crate::domain::text::{Line, Prose};
use crate::domain::user::NewUser;
use crate::store::changes::Updated;

#[tokio::test]
async fn touches_of_a_user_are_what_its_trigger_journals() {
    let sqlite = Sqlite::fresh().unwrap();
    let (store, recorder) = Store::open(&sqlite.url()).await.unwrap().recording(Actor::Nobody);
    let user = store.insert_user(ann(), None).await.unwrap();
    // A new row stands for all that one with another id stands for.
    assert_eq!(sorted(recorder.recorded().touches), sorted(touches_of_update(&user, &["id"])));
}

/// Whoever made the first may have died before it told anybody.
#[tokio::test]
async fn a_repeated_update_touches_what_the_first_journalled() {
    let sqlite = Sqlite::fresh().unwrap();
    let store = Store::open(&sqlite.url()).await.unwrap();
    let user = store.insert_user(ann(), None).await.unwrap().id;
    for (patch, is_shown) in patches() {
        let [first, again] = twice(&store, async |store| {
            assert!(matches!(store.update_user(user, &patch, None).await.unwrap(), Updated::Done { .. }));
        })
        .await;
        assert!(again.iter().all(|touch| first.contains(touch)), "{patch:?}");
        assert_eq!(tags(&first), tags(&again), "{patch:?}");
        assert_eq!(filtered(&first), [is_shown; 2], "{patch:?}");
    }

    let asked = [ListedId::Id(user)];
    let [first, again] = twice(&store, async |store| {
        store.set_active_of(&asked, true, |_| true).await.unwrap();
    })
    .await;
    assert_eq!((filtered(&first), &first), ([true; 2], &again));

    let booking = Booking {
        amount: Amount::new(7).unwrap(),
        reason: Reason::parse("test").unwrap(),
        key: IdempotencyKey::parse("key").unwrap(),
    };
    let [first, again] = twice(&store, async |store| {
        store.book_points(user, Role::Admin, &booking, user).await.unwrap();
    })
    .await;
    // The newest achievements show no balance.
    assert_eq!((filtered(&first), &first), ([true, false], &again));
}

/// What an update of ann touches when it is made, and when it is made once more.
async fn twice(store: &Store, update: impl AsyncFn(Store)) -> [Vec<Touch>; 2] {
    let mut touched = [const { Vec::new() }; 2];
    for touched in &mut touched {
        let (store, recorder) = store.recording(Actor::Nobody);
        update(store).await;
        *touched = sorted(recorder.recorded().touches);
    }
    touched
}

/// A change of each field of ann, and whether the leaderboard and the newest achievements show it.
fn patches() -> [(UserPatch, bool); 14] {
    let none = UserPatch::default;
    [
        (UserPatch { external_id: Patch::Set(ExternalId::parse("1").unwrap()), ..none() }, false),
        (UserPatch { email: Some(Email::parse("b@x.example").unwrap()), ..none() }, false),
        (UserPatch { username: Some(Username::parse("anna").unwrap()), ..none() }, true),
        (UserPatch { phone: Patch::Clear, ..none() }, false),
        (UserPatch { full_name: Patch::Set(Line::parse("Ann").unwrap()), ..none() }, true),
        (UserPatch { bio: Patch::Set(Prose::parse("hello").unwrap()), ..none() }, false),
        (UserPatch { occupation: Patch::Set(Line::parse("cook").unwrap()), ..none() }, false),
        (UserPatch { location: Patch::Set(Line::parse("Nassau").unwrap()), ..none() }, false),
        (
            UserPatch { avatar_url: Patch::Set(AvatarUrl::parse("https://x.example/a").unwrap()), ..none() },
            true,
        ),
        (UserPatch { skills: Some(Skills::parse(["cooking"]).unwrap()), ..none() }, false),
        (UserPatch { experience: Patch::Set(Prose::parse("long").unwrap()), ..none() }, false),
        (UserPatch { role: Some(Role::Admin), ..none() }, false),
        (UserPatch::active(false), true),
        (UserPatch { full_name: Patch::Clear, ..none() }, true),
    ]
}

fn ann() -> NewUser {
    let mut new = NewUser::new(Email::parse("a@x.example").unwrap(), Username::parse("ann").unwrap());
    new.phone = Some(Phone::parse("+31612345678").unwrap());
    new.external_id = Some(ExternalId::parse("5779356081").unwrap());
    new
}

fn sorted(mut touches: Vec<Touch>) -> Vec<Touch> {
    touches.sort();
    touches
}

/// Whether the leaderboard and the newest achievements are touched.
fn filtered(touches: &[Touch]) -> [bool; 2] {
    ["leaderboard", "recent_achievements"].map(|tag| touches.contains(&Touch::Tag(tag.to_owned())))
}

fn tags(touches: &[Touch]) -> Vec<&Touch> {
    touches.iter().filter(|touch| matches!(touch, Touch::Tag(_))).collect()
}

#[tokio::test]
async fn touches_of_permissions_are_what_their_trigger_journals() {
    let sqlite = Sqlite::fresh().unwrap();
    let store = Store::open(&sqlite.url()).await.unwrap();
    let user = store.insert_user(ann(), None).await.unwrap();
    let permission = Permission::parse("points.write").unwrap();
    let said = sorted(touches_of_permissions(user.id));
    for round in 0..3 {
        let (store, recorder) = store.recording(Actor::Nobody);
        match round {
            0 | 1 => drop(store.grant(user.id, user.role, &permission, user.id).await.unwrap()),
            _ => drop(store.revoke(user.id, user.role, &permission).await.unwrap()),
        }
        assert_eq!(sorted(recorder.recorded().touches), said, "round {round}");
    }
}

/// With `LARDER_WRITE_MIGRATIONS=1` it writes the files instead: for a declaration that was never released. After a
/// release, a new migration with `larder_sql::journal::triggers` is what is needed.
#[test]
fn migrations_are_what_is_declared() {
    for (folder, dialect) in [("postgres", Dialect::Postgres), ("sqlite", Dialect::Sqlite)] {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder).join("0011_journal.sql");
        let sql = format!(
            "-- Written by larder_sql::journal: `upgrade` of the outbox of 0009, and the `triggers` that src/store/journal.rs \
             declares.\n\n{}\n{}",
            upgrade(dialect),
            triggers(dialect, &tables()).unwrap()
        );
        if std::env::var_os("LARDER_WRITE_MIGRATIONS").is_some() {
            std::fs::write(&file, &sql).unwrap();
        }
        assert!(std::fs::read_to_string(&file).unwrap() == sql, "{} is out of date", file.display());
    }
}
