//! A user is read as it was inserted, under each of its names, and no other user can have these names.

use larder_server::domain::contact::{Email, Phone};
use larder_server::domain::identity::{ExternalId, UserId, Username};
use larder_server::domain::patch::{Patch, UserPatch};
use larder_server::domain::profile::{AvatarUrl, Skills};
use larder_server::domain::role::Role;
use larder_server::domain::text::{Bio, Experience, FullName, Location, Occupation};
use larder_server::domain::user::NewUser;
use larder_server::store::error::StoreError;

use crate::bed::{Bed, contract, new, tx};

contract!(
    a_user_is_read_as_it_was_inserted,
    hostile_strings_are_stored_unchanged,
    a_user_is_found_by_each_of_its_names,
    a_conflict_names_the_taken_field_and_no_value,
    several_users_are_read_in_one_statement,
    reads_are_counted,
    no_secret_in_user,
);

fn full() -> NewUser {
    NewUser {
        external_id: Some(ExternalId::parse("5779356081").unwrap()),
        phone: Some(Phone::parse("+12425550123").unwrap()),
        full_name: Some(FullName::parse("Zoë Ünal").unwrap()),
        bio: Some(Bio::parse("one\n\ttwo").unwrap()),
        occupation: Some(Occupation::parse("Baker").unwrap()),
        location: Some(Location::parse("Nassau").unwrap()),
        avatar_url: Some(AvatarUrl::parse("https://example.com/a.png").unwrap()),
        skills: Skills::parse(["bread", "\"quotes\", [brackets]"]).unwrap(),
        experience: Some(Experience::parse("ten years").unwrap()),
        role: Role::Admin,
        is_active: false,
        ..new("zoe")
    }
}

async fn a_user_is_read_as_it_was_inserted(bed: &Bed) {
    for new in [full(), new("plain")] {
        let user = tx(&bed.store).await.insert_user(new.clone(), None).await.unwrap();
        assert_eq!(user.version, 1);
        assert_eq!(user.created_at, user.updated_at);
        assert_eq!((&user.email, &user.skills, &user.bio), (&new.email, &new.skills, &new.bio));
        assert_eq!((user.role, user.is_active), (new.role, new.is_active));
        assert_eq!(bed.store.user(user.id).await.unwrap(), Some(user));
    }
    assert_eq!(bed.store.user(UserId::generate()).await.unwrap(), None);
}

async fn hostile_strings_are_stored_unchanged(bed: &Bed) {
    let hostile = "'; DROP TABLE users; -- $1 ? \\ \\0 %_ \"x\" {{}} \u{200f}\u{1F980} :*[";
    let user = tx(&bed.store)
        .await
        .insert_user(
            NewUser {
                full_name: Some(FullName::parse(hostile).unwrap()),
                bio: Some(Bio::parse(&format!("{hostile}\n{hostile}")).unwrap()),
                skills: Skills::parse([hostile]).unwrap(),
                ..new("hostile")
            },
            Some(hostile),
        )
        .await
        .unwrap();
    let back = bed.store.user(user.id).await.unwrap().unwrap();
    assert_eq!(back.full_name.as_ref().unwrap().as_str(), hostile);
    assert_eq!(back, user);
    for email in ["a*b'c@example.com", "x--y$1@example.com"] {
        let email = Email::parse(email).unwrap();
        let new =
            NewUser::new(email.clone(), Username::parse(&format!("u{}", email.as_str().len())).unwrap());
        let id = tx(&bed.store).await.insert_user(new, None).await.unwrap().id;
        assert_eq!(bed.store.id_by_email(&email).await.unwrap(), Some(id));
    }
}

async fn a_user_is_found_by_each_of_its_names(bed: &Bed) {
    let user = tx(&bed.store).await.insert_user(full(), None).await.unwrap();
    bed.user("other").await;
    let store = &bed.store;
    let id = Some(user.id);
    assert_eq!(store.id_by_email(&user.email).await.unwrap(), id);
    assert_eq!(store.id_by_username(&user.username).await.unwrap(), id);
    assert_eq!(store.id_by_phone(user.phone.as_ref().unwrap()).await.unwrap(), id);
    assert_eq!(store.id_by_external(user.external_id.as_ref().unwrap()).await.unwrap(), id);
    assert_eq!(store.id_by_email(&Email::parse("nobody@example.com").unwrap()).await.unwrap(), None);
    assert_eq!(store.id_by_username(&Username::parse("nobody").unwrap()).await.unwrap(), None);
    assert_eq!(store.id_by_phone(&Phone::parse("+19999999999").unwrap()).await.unwrap(), None);
    assert_eq!(store.id_by_external(&ExternalId::parse("0").unwrap()).await.unwrap(), None);
}

async fn a_conflict_names_the_taken_field_and_no_value(bed: &Bed) {
    let one = tx(&bed.store).await.insert_user(full(), None).await.unwrap();
    let two = bed.user("two").await;
    let taken = [
        ("email", UserPatch { email: Some(one.email), ..UserPatch::default() }),
        ("username", UserPatch { username: Some(one.username), ..UserPatch::default() }),
        ("phone", UserPatch { phone: Patch::Set(one.phone.unwrap()), ..UserPatch::default() }),
        (
            "external_id",
            UserPatch { external_id: Patch::Set(one.external_id.unwrap()), ..UserPatch::default() },
        ),
    ];
    for (name, patch) in taken {
        let error = tx(&bed.store).await.update_user(two.id, &patch, None).await.unwrap_err();
        assert!(matches!(&error, StoreError::Taken { field } if field == name), "{name}: {error:?}");
        let mut third = new("third");
        third.email = patch.email.unwrap_or(third.email);
        third.username = patch.username.unwrap_or(third.username);
        if let Patch::Set(phone) = patch.phone {
            third.phone = Some(phone);
        }
        if let Patch::Set(external_id) = patch.external_id {
            third.external_id = Some(external_id);
        }
        let error = tx(&bed.store).await.insert_user(third, None).await.unwrap_err();
        assert!(matches!(&error, StoreError::Taken { field } if field == name), "{name}: {error:?}");
        assert!(!format!("{error:?}").contains("example.com"), "shows a value");
    }
    assert_eq!(bed.store.user(two.id).await.unwrap(), Some(two), "a refused change changes nothing");
}

async fn several_users_are_read_in_one_statement(bed: &Bed) {
    let users = [bed.user("ann").await, bed.user("bob").await, bed.user("cat").await];
    let before = bed.store.statements();
    let ids = [users[2].id, UserId::generate(), users[0].id];
    let mut found = bed.store.users_by_ids(&ids).await.unwrap();
    assert_eq!(bed.store.statements(), before + 1);
    found.sort_by_key(|user| user.id);
    assert_eq!(found, [users[0].clone(), users[2].clone()]);
    assert!(bed.store.users_by_ids(&[]).await.unwrap().is_empty());
}

async fn reads_are_counted(bed: &Bed) {
    let user = bed.user("ann").await;
    let before = bed.store.statements();
    bed.store.user(user.id).await.unwrap();
    bed.store.id_by_email(&user.email).await.unwrap();
    bed.store.ping().await.unwrap();
    assert_eq!(bed.store.statements(), before + 2);
}

async fn no_secret_in_user(bed: &Bed) {
    let user = tx(&bed.store).await.insert_user(new("ann"), Some("$argon2id$secret")).await.unwrap();
    let json = serde_json::to_string(&bed.store.user(user.id).await.unwrap()).unwrap();
    assert!(!json.contains("argon2") && !json.contains("hash"), "{json}");
}
