//! The schemas of request bodies, for the OpenAPI document. `domain/body.rs` parses the bodies, and names every wrong field in
//! one answer.
#![allow(dead_code, reason = "these types describe JSON in the document only")]

use utoipa::ToSchema;

use crate::domain::contact::{Email, Phone};
use crate::domain::identity::{UserId, Username};
use crate::domain::user_body::{Managed, Profile};

/// A user that registers itself.
#[derive(ToSchema)]
#[schema(example = json!({"email": "ada@example.com", "username": "ada", "password": "a long password of hers", "full_name": "Ada Lovelace"}))]
pub(crate) struct Register {
    email: Email,
    username: Username,
    #[schema(min_length = 10, max_length = 256, format = Password)]
    password: String,
    #[serde(flatten)]
    profile: Profile,
}

/// A user, as an admin makes it. Without a password it cannot log in.
#[derive(ToSchema)]
#[schema(example = json!({"email": "grace@example.com", "username": "grace", "role": "user", "external_id": "staff-8"}))]
pub(crate) struct CreateUser {
    email: Email,
    username: Username,
    #[schema(min_length = 10, max_length = 256, format = Password)]
    password: Option<String>,
    #[serde(flatten)]
    profile: Profile,
    #[serde(flatten)]
    managed: Managed,
}

/// The fields that change; a missing field stays, and `null` clears one.
#[derive(ToSchema)]
#[schema(example = json!({"full_name": "Grace Hopper", "occupation": null}))]
pub(crate) struct PatchUser {
    #[schema(nullable = false)]
    email: Option<Email>,
    #[schema(nullable = false)]
    username: Option<Username>,
    #[serde(flatten)]
    profile: Profile,
    #[serde(flatten)]
    managed: Managed,
}

/// The complete user: a missing field is cleared, except `external_id`, `role` and `is_active`, which stay.
#[derive(ToSchema)]
#[schema(example = json!({"email": "grace@example.com", "username": "grace", "full_name": "Grace Hopper"}))]
pub(crate) struct PutUser {
    email: Email,
    username: Username,
    #[serde(flatten)]
    profile: Profile,
    #[serde(flatten)]
    managed: Managed,
}

/// A password and exactly one of `email`, `username` and `phone`; of a user with a second factor also `totp_code` or
/// `recovery_code`.
#[derive(ToSchema)]
#[schema(example = json!({"email": "ada@example.com", "password": "a long password of hers"}))]
pub(crate) struct Login {
    email: Option<Email>,
    username: Option<Username>,
    phone: Option<Phone>,
    #[schema(min_length = 1, max_length = 256, format = Password)]
    password: String,
    #[schema(pattern = "^[0-9]{6}$")]
    totp_code: Option<String>,
    recovery_code: Option<String>,
}

/// The refresh token as it was granted.
#[derive(ToSchema)]
pub(crate) struct Refresh {
    #[schema(min_length = 1, max_length = 512)]
    refresh_token: String,
}

/// The current password and the new one.
#[derive(ToSchema)]
pub(crate) struct ChangePassword {
    #[schema(min_length = 1, max_length = 256, format = Password)]
    current_password: String,
    #[schema(min_length = 10, max_length = 256, format = Password)]
    new_password: String,
}

/// Exactly one of these fields.
#[derive(ToSchema)]
#[schema(example = json!({"username": "ada"}))]
pub(crate) struct Lookup {
    id: Option<UserId>,
    email: Option<Email>,
    username: Option<Username>,
    phone: Option<Phone>,
}
