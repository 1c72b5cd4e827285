//! Compares the declarations with the touches that the triggers write, and with the migrations that are generated from
//! the declarations.

use std::path::Path;

use larder_sql::dialect::Dialect;
use larder_sql::journal::triggers;
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
use crate::store::Store;
use crate::store::changes::Updated;
use crate::store::error::StoreError;
use crate::store::writing::{ByJournal, Publisher, Recorded, Writer};

#[tokio::test]
async fn touches_of_a_user_are_what_its_trigger_journals() {
    let sqlite = Sqlite::fresh().unwrap();
    let store = Store::open(&sqlite.url()).await.unwrap();
    let insert = store.write(Actor::Nobody, Kept, |tx| async move { tx.insert_user(ann(), None).await });
    let (user, touched) = insert.await.unwrap();
    assert_eq!(touched, sorted(touches("users", &key_columns(&user), None)));
}

/// The instance that made the first update may have stopped before it published the change, so the second update has to
/// publish it too.
#[tokio::test]
async fn a_repeated_update_touches_what_the_first_journalled() {
    let sqlite = Sqlite::fresh().unwrap();
    let store = Store::open(&sqlite.url()).await.unwrap();
    let user = insert_ann(&store).await.id;
    for (patch, is_shown) in patches() {
        let made = patch.clone();
        let [first, again] = twice(&store, move |tx| {
            let patch = made.clone();
            async move {
                assert!(matches!(tx.update_user(user, &patch, None).await?, Updated::Done { .. }));
                Ok(())
            }
        })
        .await;
        assert!(again.iter().all(|touch| first.contains(touch)), "{patch:?}");
        assert_eq!(tags(&first), tags(&again), "{patch:?}");
        assert_eq!(filtered(&first), [is_shown; 2], "{patch:?}");
    }

    let [first, again] = twice(&store, move |tx| async move {
        tx.set_active_of(&[ListedId::Id(user)], true, |_, _| true).await.map(drop)
    })
    .await;
    assert_eq!((filtered(&first), &first), ([true; 2], &again));

    let booking = Booking {
        amount: Amount::new(7).unwrap(),
        reason: Reason::parse("test").unwrap(),
        idempotency_key: IdempotencyKey::parse("key").unwrap(),
    };
    let [first, again] = twice(&store, move |tx| {
        let booking = booking.clone();
        async move { tx.book_points(user, Role::Admin, &booking, user).await.map(drop) }
    })
    .await;
    // The newest achievements show no balance, so the booking does not touch them.
    assert_eq!((filtered(&first), &first), ([true, false], &again));
}

/// Makes the same update of the user `ann` twice and returns the touches of each.
async fn twice<F>(store: &Store, update: impl Fn(Writer) -> F + Clone + Send + 'static) -> [Vec<Touch>; 2]
where
    F: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    let mut touched = [const { Vec::new() }; 2];
    for touched in &mut touched {
        *touched = store.write(Actor::Nobody, Kept, update.clone()).await.unwrap().1;
    }
    touched
}

/// A publisher that publishes nothing and returns what the write touched.
struct Kept;

impl Publisher for Kept {
    type Receipt = Vec<Touch>;

    async fn publish(self, recorded: Recorded) -> Vec<Touch> {
        sorted(touches_of_write(&recorded))
    }
}

async fn insert_ann(store: &Store) -> User {
    let insert = store.write(Actor::Nobody, ByJournal, |tx| async move { tx.insert_user(ann(), None).await });
    insert.await.unwrap().0
}

/// A change of each field of the user `ann`, and whether the leaderboard and the newest achievements show the field.
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

/// Whether the touches include the tag of the leaderboard, and whether they include the tag of the newest achievements.
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
    let user = insert_ann(&store).await;
    let said = sorted(touches("permissions", &[("user_id", user.id.to_string())], None));
    for round in 0..3 {
        let (user_id, role) = (user.id, user.role);
        let change = move |tx: Writer| async move {
            let permission = Permission::parse("points.write").unwrap();
            match round {
                0 | 1 => tx.grant(user_id, role, &permission, user_id).await.map(drop),
                _ => tx.revoke(user_id, role, &permission).await.map(drop),
            }
        };
        let ((), touched) = store.write(Actor::Nobody, Kept, change).await.unwrap();
        assert_eq!(touched, said, "round {round}");
    }
}

#[test]
fn each_table_that_a_row_names_has_its_unique_keys() {
    for row in CLASSES {
        for touched_by in row.touched_by {
            let table = touched_by.table();
            assert!(TABLES.iter().any(|(name, _)| *name == table), "{}: {table} is not in TABLES", row.name);
        }
    }
}

/// With `LARDER_WRITE_MIGRATIONS=1` the test first writes the migration `0014_journal.sql` of each database. Use this
/// only while no release contains that migration. After a release, a change of the declarations needs a new migration,
/// made by `larder_sql::journal::triggers`.
#[test]
fn migrations_are_what_is_declared() {
    for (folder, dialect) in [("postgres", Dialect::Postgres), ("sqlite", Dialect::Sqlite)] {
        let file = |name| Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder).join(name);
        let newest = format!(
            "-- Written by larder_sql::journal: the `triggers` that src/cached/classes.rs declares. A program of the \
             preceding version does not notice them.\n\n{}\n\
             INSERT INTO larder_compatibility (version, oldest) VALUES (14, 13);\n",
            triggers(dialect, &tables()).unwrap()
        );
        let file = file("0014_journal.sql");
        if std::env::var_os("LARDER_WRITE_MIGRATIONS").is_some() {
            std::fs::write(&file, &newest).unwrap();
        }
        assert!(std::fs::read_to_string(&file).unwrap() == newest, "{} is out of date", file.display());
    }
}
