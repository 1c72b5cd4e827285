//! The bodies of requests, parsed whole: every wrong field is named, unknown fields are refused.

use std::str::FromStr;

use serde_json::Value;

use crate::domain::contact::{Email, Phone};
use crate::domain::fields::Fields;
use crate::domain::identity::{ExternalId, Identifier, UserId, Username};
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::password::Password;
use crate::domain::patch::{Patch, UserPatch};
use crate::domain::profile::AvatarUrl;
use crate::domain::role::Role;
use crate::domain::second_factor::{RecoveryCode, SecondFactor, TotpCode};
use crate::domain::text::{Bio, Experience, FullName, Location, Occupation};
use crate::domain::user::NewUser;

const TOKEN_BYTES: usize = 512;

/// `POST auth/register`: oneself, always with the role `user`.
#[derive(Debug)]
pub struct RegisterBody {
    /// The user to create.
    pub user: NewUser,
    /// Its password.
    pub password: Password,
}

/// `POST users`: by an admin, with role, state, external id and, if wanted, a password.
#[derive(Debug)]
pub struct CreateUserBody {
    /// The user to create; the caller checks whether the role may be given.
    pub user: NewUser,
    /// Its password; without one it cannot log in.
    pub password: Option<Password>,
}

/// `PATCH users/{id}`: missing fields stay, null clears.
#[derive(Debug)]
pub struct PatchUserBody(pub UserPatch);

/// `PUT users/{id}`: every editable field is replaced, missing optional ones are cleared.
///
/// The fields that only an admin may set (`role`, `is_active`, `external_id`) stay when they are missing, so that
/// a user may PUT what they may edit.
#[derive(Debug)]
pub struct PutUserBody(pub UserPatch);

/// `PATCH users/{id}/profile`: as `PATCH users/{id}`, of the fields that everybody sees.
#[derive(Debug)]
pub struct PatchProfileBody(pub UserPatch);

/// `PUT users/{id}/profile`: what is missing is cleared.
#[derive(Debug)]
pub struct PutProfileBody(pub UserPatch);

/// The fields of a profile, as the OpenAPI document shows the body of a request.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, missing_docs, reason = "stands for bodies in the document only")]
pub struct ProfileFields {
    #[schema(max_length = 200)]
    full_name: Option<String>,
    #[schema(max_length = 2000)]
    bio: Option<String>,
    #[schema(max_length = 200)]
    occupation: Option<String>,
    #[schema(max_length = 200)]
    location: Option<String>,
    /// The address of a picture: http or https.
    #[schema(max_length = 2048)]
    avatar_url: Option<String>,
    /// At most 50, each of at most 64 characters.
    #[schema(max_items = 50)]
    skills: Option<Vec<String>>,
    #[schema(max_length = 4000)]
    experience: Option<String>,
}

/// `POST auth/login`: a password, exactly one of email, username, phone, and perhaps a code.
#[derive(Debug)]
pub struct LoginBody {
    /// Who.
    pub identifier: Identifier,
    /// What to compare with the hash.
    pub password: Password,
    /// `totp_code` or `recovery_code`, for who has a second factor.
    pub factor: Option<SecondFactor>,
}

/// `POST auth/password`.
#[derive(Debug)]
pub struct PasswordBody {
    /// What to compare with the hash.
    pub current: Password,
    /// What to set.
    pub new: Password,
}

/// `POST auth/refresh`: the token, which is a secret.
pub struct RefreshBody(pub String);

/// `POST users/lookup`: exactly one of id, email, username, phone.
#[derive(Debug)]
pub struct LookupBody(pub Identifier);

impl RegisterBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong, missing or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let user = new_user(&mut fields);
        let password = fields.required("password", Password::parse);
        fields.finish(user.zip(password).map(|(user, password)| Self { user, password }))
    }
}

impl CreateUserBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong, missing or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let user = new_user(&mut fields);
        let external_id = fields.optional("external_id", ExternalId::parse);
        let role = fields.replacing("role", Role::from_str).unwrap_or_default();
        let is_active = fields.flag("is_active").unwrap_or(true);
        let password = fields.optional("password", Password::parse);
        fields.finish(
            user.map(|user| Self { user: NewUser { external_id, role, is_active, ..user }, password }),
        )
    }
}

impl PatchUserBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let patch = UserPatch {
            email: fields.replacing("email", Email::parse),
            username: fields.replacing("username", Username::parse),
            ..user_patch(&mut fields)
        };
        fields.finish(Some(Self(patch)))
    }
}

impl PutUserBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong, missing or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let email = fields.required("email", Email::parse);
        let username = fields.required("username", Username::parse);
        let patch = replaced(user_patch(&mut fields));
        let patch = UserPatch { email, username, phone: cleared(patch.phone), ..patch };
        fields.finish(Some(Self(patch)))
    }
}

impl PatchProfileBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let patch = profile_patch(&mut fields);
        fields.finish(Some(Self(patch)))
    }
}

impl PutProfileBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let patch = replaced(profile_patch(&mut fields));
        fields.finish(Some(Self(patch)))
    }
}

impl LoginBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong, missing or unknown; none or several identifiers.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let found = [
            fields.optional("email", Email::parse).map(Identifier::Email),
            fields.optional("username", Username::parse).map(Identifier::Username),
            fields.optional("phone", Phone::parse).map(Identifier::Phone),
        ];
        let identifier = fields.exactly_one(found, "exactly one of email, username and phone is needed");
        let password = fields.required("password", Password::attempt);
        let factor = second_factor(&mut fields);
        let both = identifier.zip(password);
        fields.finish(both.map(|(identifier, password)| Self { identifier, password, factor }))
    }
}

impl PasswordBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong, missing or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let current = fields.required("current_password", Password::attempt);
        let new = fields.required("new_password", Password::parse);
        fields.finish(current.zip(new).map(|(current, new)| Self { current, new }))
    }
}

impl RefreshBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong, missing or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let token = fields.required("refresh_token", |raw| match raw.len() {
            1..=TOKEN_BYTES => Ok(Self(raw.to_owned())),
            _ => Err(Invalid::new("is not a refresh token")),
        });
        fields.finish(token)
    }
}

impl LookupBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong or unknown; none or several identifiers.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let found = [
            fields.optional("id", UserId::parse).map(Identifier::Id),
            fields.optional("email", Email::parse).map(Identifier::Email),
            fields.optional("username", Username::parse).map(Identifier::Username),
            fields.optional("phone", Phone::parse).map(Identifier::Phone),
        ];
        let needed = "exactly one of id, email, username and phone is needed";
        let identifier = fields.exactly_one(found, needed);
        fields.finish(identifier.map(Self))
    }
}

/// `totp_code`, `recovery_code` or neither.
pub(crate) fn second_factor(fields: &mut Fields) -> Option<SecondFactor> {
    let totp = fields.optional("totp_code", TotpCode::parse).map(SecondFactor::Totp);
    let recovery = fields.optional("recovery_code", RecoveryCode::parse).map(SecondFactor::Recovery);
    match (totp, recovery) {
        (Some(_), Some(_)) => fields.refuse("recovery_code", "must not stand beside totp_code"),
        (totp, recovery) => totp.or(recovery),
    }
}

/// The fields that everybody may set on a new user.
fn new_user(fields: &mut Fields) -> Option<NewUser> {
    let email = fields.required("email", Email::parse);
    let username = fields.required("username", Username::parse);
    let phone = fields.optional("phone", Phone::parse);
    let full_name = fields.optional("full_name", FullName::parse);
    let bio = fields.optional("bio", Bio::parse);
    let occupation = fields.optional("occupation", Occupation::parse);
    let location = fields.optional("location", Location::parse);
    let avatar_url = fields.optional("avatar_url", AvatarUrl::parse);
    let skills = fields.skills("skills").unwrap_or_default();
    let experience = fields.optional("experience", Experience::parse);
    let (email, username) = email.zip(username)?;
    Some(NewUser {
        phone,
        full_name,
        bio,
        occupation,
        location,
        avatar_url,
        skills,
        experience,
        ..NewUser::new(email, username)
    })
}

/// The fields of a change but e-mail address and user name, which PATCH and PUT treat differently.
fn user_patch(fields: &mut Fields) -> UserPatch {
    UserPatch {
        phone: fields.patch("phone", Phone::parse),
        external_id: fields.patch("external_id", ExternalId::parse),
        role: fields.replacing("role", Role::from_str),
        is_active: fields.flag("is_active"),
        ..profile_patch(fields)
    }
}

/// The fields of a change that everybody sees.
fn profile_patch(fields: &mut Fields) -> UserPatch {
    UserPatch {
        full_name: fields.patch("full_name", FullName::parse),
        bio: fields.patch("bio", Bio::parse),
        occupation: fields.patch("occupation", Occupation::parse),
        location: fields.patch("location", Location::parse),
        avatar_url: fields.patch("avatar_url", AvatarUrl::parse),
        skills: fields.skills("skills"),
        experience: fields.patch("experience", Experience::parse),
        ..UserPatch::default()
    }
}

/// PUT: what is missing of the profile becomes empty.
fn replaced(patch: UserPatch) -> UserPatch {
    UserPatch {
        full_name: cleared(patch.full_name),
        bio: cleared(patch.bio),
        occupation: cleared(patch.occupation),
        location: cleared(patch.location),
        avatar_url: cleared(patch.avatar_url),
        skills: Some(patch.skills.unwrap_or_default()),
        experience: cleared(patch.experience),
        ..patch
    }
}

/// PUT: what is missing becomes empty.
fn cleared<T>(patch: Patch<T>) -> Patch<T> {
    match patch {
        Patch::Keep => Patch::Clear,
        patch => patch,
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
