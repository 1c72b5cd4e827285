//! Bodies of requests: which are accepted, and which field names the refusals have.

use serde_json::json;

use super::*;
use crate::domain::contact::Phone;
use crate::domain::invalid::ValidationErrors;
use crate::domain::patch::Patch;
use crate::domain::profile::Skills;
use crate::domain::role::Role;

fn names(errors: &ValidationErrors) -> Vec<&str> {
    errors.iter().map(|(name, _)| name).collect()
}

#[test]
fn all_wrong_fields_are_named_at_once() {
    let body = json!({"email": "x", "phone": 5, "skills": ["a", 1], "bio": "", "shoe_size": 44, "password": "short"});
    let errors = RegisterBody::parse(body).unwrap_err();
    assert_eq!(names(&errors), ["bio", "email", "password", "phone", "shoe_size", "skills", "username"]);
    assert!(errors.get("shoe_size").unwrap().contains("full_name"), "names what is allowed");
    for body in [json!(null), json!([]), json!("x"), json!(1)] {
        assert_eq!(names(&RegisterBody::parse(body).unwrap_err()), ["body"]);
    }
}

#[test]
fn a_registration_sets_no_admin_field() {
    let body = json!({"email": "a@x.com", "username": "ann", "password": "long enough", "role": "admin",
                      "is_active": true, "external_id": "1"});
    assert_eq!(names(&RegisterBody::parse(body).unwrap_err()), ["external_id", "is_active", "role"]);
}

#[test]
fn an_admin_creates_a_user_with_every_field() {
    let body = json!({"email": "a@x.com", "username": "ann", "role": "admin", "is_active": false,
                      "external_id": "5779356081", "phone": null, "skills": ["rust"]});
    let created = CreateUserBody::parse(body).unwrap();
    assert!(created.password.is_none());
    assert_eq!((created.user.role, created.user.is_active), (Role::Admin, false));
    assert_eq!(created.user.external_id.unwrap().as_str(), "5779356081");
    let plain = CreateUserBody::parse(json!({"email": "a@x.com", "username": "ann"})).unwrap();
    assert_eq!((plain.user.role, plain.user.is_active), (Role::User, true));
}

#[test]
fn patch_distinguishes_missing_from_null() {
    let PatchUserBody { patch, .. } =
        PatchUserBody::parse(json!({"bio": null, "full_name": "Ann", "skills": null, "role": "admin"}))
            .unwrap();
    assert_eq!((&patch.bio, &patch.location), (&Patch::Clear, &Patch::Keep));
    assert!(matches!(patch.full_name, Patch::Set(_)));
    assert_eq!(patch.skills, Some(Skills::default()));
    assert_eq!(patch.admin_fields(), ["role"]);
    assert_eq!(PatchUserBody::parse(json!({})).unwrap().patch, UserPatch::default());
    let errors =
        PatchUserBody::parse(json!({"email": null, "role": null, "is_active": 1, "id": "x"})).unwrap_err();
    assert_eq!(names(&errors), ["email", "id", "is_active", "role"]);
}

#[test]
fn put_replaces_the_editable_fields() {
    let PutUserBody { patch, .. } =
        PutUserBody::parse(json!({"email": "a@x.com", "username": "ann"})).unwrap();
    assert_eq!((&patch.bio, &patch.phone), (&Patch::Clear, &Patch::Clear));
    assert_eq!(patch.skills, Some(Skills::default()));
    assert!(patch.admin_fields().is_empty(), "those stay");
    assert_eq!(names(&PutUserBody::parse(json!({})).unwrap_err()), ["email", "username"]);
}

#[test]
fn exactly_one_identifier_is_accepted() {
    let login = LoginBody::parse(json!({"email": "A@x.com", "password": "p"})).unwrap();
    assert_eq!(login.identifier, Identifier::Email(Email::parse("a@x.com").unwrap()));
    for body in [json!({"password": "p"}), json!({"password": "p", "email": "a@x.com", "username": "ann"})] {
        assert_eq!(names(&LoginBody::parse(body).unwrap_err()), ["body"]);
    }
    assert_eq!(names(&LoginBody::parse(json!({"email": "x", "password": "p"})).unwrap_err()), ["email"]);
    assert_eq!(names(&LookupBody::parse(json!({"id": "1"})).unwrap_err()), ["id"]);
    let LookupBody { identifier: found } = LookupBody::parse(json!({"phone": "+1 242 555 0123"})).unwrap();
    assert_eq!(found, Identifier::Phone(Phone::parse("+12425550123").unwrap()));
}

#[test]
fn secrets_are_bounded() {
    assert!(RefreshBody::parse(json!({"refresh_token": "x".repeat(513)})).is_err());
    assert!(RefreshBody::parse(json!({"refresh_token": ""})).is_err());
    let errors = PasswordBody::parse(json!({"current_password": "x", "new_password": "short"})).unwrap_err();
    assert_eq!(names(&errors), ["new_password"]);
}
