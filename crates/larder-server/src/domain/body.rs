//! The bodies of requests. A body is parsed completely: every wrong field is named, and unknown fields are refused.

use serde_json::Value;

use crate::domain::contact::{Email, Phone};
use crate::domain::fields::Fields;
use crate::domain::identity::{Identifier, UserId, Username};
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::password::Password;
use crate::domain::patch::UserPatch;
use crate::domain::second_factor::{RecoveryCode, SecondFactor, TotpCode};
use crate::domain::user::NewUser;
pub(crate) use crate::domain::user_body::ProfileFields;
use crate::domain::user_body::{self, Missing};
use crate::domain::user_columns::SetBy;

const TOKEN_BYTES: usize = 512;

/// `POST auth/register`: a user creates itself, always with the role `user`.
#[derive(Debug)]
pub struct RegisterBody {
    /// The user to create.
    pub user: NewUser,
    /// Its password.
    pub password: Password,
}

/// `POST users`: an admin creates a user with role, status, external id and, optionally, a password.
#[derive(Debug)]
pub struct CreateUserBody {
    /// The user to create; the caller checks whether the role may be given.
    pub user: NewUser,
    /// Its password; without one it cannot log in.
    pub password: Option<Password>,
}

/// `PATCH users/{id}`: missing fields stay, and null clears.
#[derive(Debug)]
pub struct PatchUserBody(pub UserPatch);

/// `PUT users/{id}`: every editable field is replaced, and missing optional ones are cleared.
///
/// The fields that only an admin may set stay if they are missing, so that users can PUT the fields that they may edit.
#[derive(Debug)]
pub struct PutUserBody(pub UserPatch);

/// `PATCH users/{id}/profile`: as `PATCH users/{id}`, with the fields that every user sees.
#[derive(Debug)]
pub struct PatchProfileBody(pub UserPatch);

/// `PUT users/{id}/profile`: missing fields are cleared.
#[derive(Debug)]
pub struct PutProfileBody(pub UserPatch);

/// `POST auth/login`: a password, exactly one of email, username and phone, and optionally a code.
#[derive(Debug)]
pub struct LoginBody {
    /// The user that logs in.
    pub identifier: Identifier,
    /// The password to compare with the hash.
    pub password: Password,
    /// `totp_code` or `recovery_code`, for users with a second factor.
    pub factor: Option<SecondFactor>,
}

/// `POST auth/password`.
#[derive(Debug)]
pub struct PasswordBody {
    /// The present password, to compare with the hash.
    pub current: Password,
    /// The new password.
    pub new: Password,
}

/// `POST auth/refresh`: the refresh token, which is a secret.
pub struct RefreshBody(pub String);

/// `POST users/lookup`: exactly one of id, email, username and phone.
#[derive(Debug)]
pub struct LookupBody(pub Identifier);

impl RegisterBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong, missing or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let all = [(SetBy::Own, Missing::Cleared), (SetBy::Profile, Missing::Cleared)];
        let user = user_body::read(&mut fields, &all);
        let password = fields.required("password", Password::parse);
        fields.finish(user.new_user().zip(password).map(|(user, password)| Self { user, password }))
    }
}

impl CreateUserBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong, missing or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let all = [
            (SetBy::Own, Missing::Cleared),
            (SetBy::Profile, Missing::Cleared),
            (SetBy::Manager, Missing::Stays),
        ];
        let user = user_body::read(&mut fields, &all);
        let password = fields.optional("password", Password::parse);
        fields.finish(user.new_user().map(|user| Self { user, password }))
    }
}

impl PatchUserBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let all = [SetBy::Own, SetBy::Manager, SetBy::Profile].map(|set_by| (set_by, Missing::Stays));
        let patch = user_body::read(&mut fields, &all);
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
        let all = [
            (SetBy::Own, Missing::Cleared),
            (SetBy::Manager, Missing::Stays),
            (SetBy::Profile, Missing::Cleared),
        ];
        let patch = user_body::read(&mut fields, &all);
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
        let patch = user_body::read(&mut fields, &[(SetBy::Profile, Missing::Stays)]);
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
        let patch = user_body::read(&mut fields, &[(SetBy::Profile, Missing::Cleared)]);
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
        (Some(_), Some(_)) => fields.refuse("recovery_code", "must not be sent together with totp_code"),
        (totp, recovery) => totp.or(recovery),
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
