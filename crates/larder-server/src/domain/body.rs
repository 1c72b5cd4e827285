//! The bodies of requests about users, logins and second factors.

use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat};

use crate::domain::contact::{Email, SoughtPhone};
use crate::domain::fields::{Field, Fields, body, one_of};
use crate::domain::identity::{Identifier, UserId, Username};
use crate::domain::invalid::Invalid;
use crate::domain::json::{from_json, string, text_of};
use crate::domain::password::Password;
use crate::domain::patch::UserPatch;
use crate::domain::read_only::{OfProfile, OfUser, ReadOnly};
use crate::domain::second_factor::{RecoveryCode, SecondFactor, TotpCode};
use crate::domain::user::NewUser;
use crate::domain::user_body::{Created, Patched, ProfilePatched, ProfileReplaced, Registered, Replaced};

const TOKEN_BYTES: usize = 512;

body! {
    /// A user that registers itself, always with the role `user`.
    #[schema(Register, {"email": "ada@example.com", "username": "ada", "password": "a long password of hers", "full_name": "Ada Lovelace"})]
    #[derive(Debug)]
    pub struct RegisterBody {
        /// The user to create.
        pub user: NewUser as Registered,
        pub password: Password,
    }
}

body! {
    /// A user, as an admin makes it. Without a password it cannot log in.
    #[schema(CreateUser, {"email": "grace@example.com", "username": "grace", "role": "user", "external_id": "staff-8"})]
    #[derive(Debug)]
    pub struct CreateUserBody {
        /// The user to create; the caller checks whether the role may be given.
        pub user: NewUser as Created,
        pub password: Option<Password>,
        /// Needed for a role above `user`: the password of the caller, not of the new user.
        pub confirmation: Confirmation as Confirming,
    }
}

body! {
    /// The fields that change; a missing field stays, and `null` clears one.
    #[schema(PatchUser, {"full_name": "Grace Hopper", "occupation": null})]
    #[derive(Debug)]
    pub struct PatchUserBody {
        /// The change.
        pub patch: UserPatch as Patched,
        /// Needed if a caller changes the e-mail address, user name or telephone number of its own or of a user with a role
        /// above `user` or a permission, gives such a role, or activates such a user.
        pub confirmation: Confirmation as Confirming,
    }
}

body! {
    /// The complete user: a missing field is cleared, except `external_id`, `role` and `is_active`, which stay.
    #[schema(PutUser, {"email": "grace@example.com", "username": "grace", "full_name": "Grace Hopper"})]
    #[derive(Debug)]
    pub struct PutUserBody {
        /// The change.
        pub patch: UserPatch as Replaced,
        /// The read-only fields that the body repeats.
        pub read_only: ReadOnly as OfUser,
        /// Needed if a caller changes the e-mail address, user name or telephone number of its own or of a user with a role
        /// above `user` or a permission, gives such a role, or activates such a user.
        pub confirmation: Confirmation as Confirming,
    }
}

body! {
    /// The fields that change, as for `PATCH`. The body may also be a complete user, as GET returned it.
    #[schema(UpdateUser, {"occupation": "concierge"})]
    #[derive(Debug)]
    pub struct UpdateUserBody {
        /// The change: a missing field stays, and `null` clears one.
        pub patch: UserPatch as Patched,
        /// The read-only fields that the body repeats.
        pub read_only: ReadOnly as OfUser,
        /// Needed if a caller changes its own e-mail address, user name or telephone number.
        pub confirmation: Confirmation as Confirming,
    }
}

body! {
    /// The fields of a profile.
    #[schema(ProfileFields)]
    #[derive(Debug)]
    pub struct PatchProfileBody {
        /// The change: a missing field stays, and `null` clears one.
        pub patch: UserPatch as ProfilePatched,
    }
}

body! {
    /// The complete profile: a missing field is cleared.
    #[schema(PutProfile)]
    #[derive(Debug)]
    pub struct PutProfileBody {
        /// The change.
        pub patch: UserPatch as ProfileReplaced,
        /// The read-only fields that the body repeats.
        pub read_only: ReadOnly as OfProfile,
    }
}

body! {
    /// A password and exactly one of `email`, `username` and `phone`; of a user with a second factor also `totp_code` or
    /// `recovery_code`.
    #[schema(Login, {"email": "ada@example.com", "password": "a long password of hers"})]
    #[derive(Debug)]
    pub struct LoginBody {
        /// The user that logs in.
        pub identifier: Identifier as LoginName,
        /// The password to compare with the hash.
        pub password: Password as Attempt,
        /// For users with a second factor.
        pub factor: Option<SecondFactor> as Factor,
        /// The `device_token` of an earlier login on this device: failures elsewhere do not lock the device out. An unknown
        /// one is ignored.
        pub device_token: Option<String> as Option<DeviceToken>,
    }
}

body! {
    /// What proves that the sender is the user, and not only holds a token of it.
    #[schema(ConfirmationFields)]
    #[derive(Debug)]
    pub struct ConfirmationBody {
        /// The password and the code.
        pub confirmation: Confirmation as Confirming,
    }
}

body! {
    /// The refresh token as it was granted.
    #[schema(Refresh)]
    pub struct RefreshBody {
        pub refresh_token: String as RefreshToken,
    }
}

body! {
    /// The current password and the new one.
    #[schema(ChangePassword)]
    #[derive(Debug)]
    pub struct PasswordBody {
        pub current_password: Password as Attempt,
        pub new_password: Password,
    }
}

body! {
    /// The address to which a mail is sent.
    #[schema(ForgotPassword, {"email": "ada@example.com"})]
    #[derive(Debug)]
    pub struct ForgotBody {
        pub email: Email,
    }
}

body! {
    /// The token of a mail, and the new password.
    #[schema(ResetPassword)]
    pub struct ResetBody {
        pub token: String as MailToken,
        pub new_password: Password,
    }
}

body! {
    /// The token of a mail.
    #[schema(ConfirmEmail)]
    pub struct ConfirmEmailBody {
        pub token: String as MailToken,
    }
}

body! {
    /// Exactly one of these fields.
    #[schema(Lookup, {"username": "ada"})]
    #[derive(Debug)]
    pub struct LookupBody {
        /// The user to find.
        pub identifier: Identifier as AnyName,
    }
}

body! {
    /// The current password.
    #[schema(EnrollFields)]
    #[derive(Debug)]
    pub struct EnrollBody {
        /// The caller's password.
        pub password: Password as Attempt,
    }
}

body! {
    /// A code of the authenticator.
    #[schema(ConfirmFields)]
    #[derive(Debug)]
    pub struct ConfirmBody {
        /// The present code: six digits.
        pub totp_code: TotpCode,
    }
}

body! {
    /// The password and a code.
    #[schema(RemoveTotpFields)]
    #[derive(Debug)]
    pub struct RemoveTotpBody {
        pub password: Password as Attempt,
        /// Required if the second factor is on.
        pub factor: Option<SecondFactor> as Factor,
    }
}

one_of! {
    /// How a login names its user.
    LoginName => Identifier, "exactly one of email, username and phone is needed";
    email: Option<Email> => Identifier::Email,
    username: Option<Username> => Identifier::Username,
    phone: Option<SoughtPhone> => Identifier::Phone,
}

one_of! {
    /// How a look-up names its user.
    AnyName => Identifier, "exactly one of id, email, username and phone is needed";
    id: Option<UserId> => Identifier::Id,
    email: Option<Email> => Identifier::Email,
    username: Option<Username> => Identifier::Username,
    phone: Option<SoughtPhone> => Identifier::Phone,
}

/// `totp_code`, `recovery_code` or neither.
pub(crate) enum Factor {}

impl Field for Factor {
    type Value = Option<SecondFactor>;

    fn take(fields: &mut Fields, _: &'static str) -> Option<Self::Value> {
        let totp = fields.optional::<TotpCode>("totp_code").map(SecondFactor::Totp);
        let recovery = fields.optional::<RecoveryCode>("recovery_code").map(SecondFactor::Recovery);
        match (totp, recovery) {
            (Some(_), Some(_)) => fields.refuse("recovery_code", "must not be sent together with totp_code"),
            (totp, recovery) => Some(totp.or(recovery)),
        }
    }

    fn describe(body: ObjectBuilder, _: &str, _: &str) -> ObjectBuilder {
        let needed = "Needed if the second factor is on, unless `recovery_code` is sent.";
        let body = <Option<TotpCode> as Field>::describe(body, "totp_code", needed);
        let instead = "In place of `totp_code`.";
        <Option<RecoveryCode> as Field>::describe(body, "recovery_code", instead)
    }
}

/// A password, and the code of a user with a second factor.
#[derive(Debug, Clone, Default)]
pub struct Confirmation {
    /// The present password.
    pub current_password: Option<Password>,
    /// The code.
    pub factor: Option<SecondFactor>,
}

/// `current_password`, and `totp_code` or `recovery_code`; each may be missing.
pub(crate) enum Confirming {}

impl Field for Confirming {
    type Value = Confirmation;

    fn take(fields: &mut Fields, _: &'static str) -> Option<Confirmation> {
        let current_password = fields.optional::<Attempt>("current_password");
        let factor = Factor::take(fields, "factor");
        factor.map(|factor| Confirmation { current_password, factor })
    }

    fn describe(body: ObjectBuilder, name: &str, about: &str) -> ObjectBuilder {
        let body = <Option<Attempt> as Field>::describe(body, "current_password", about);
        Factor::describe(body, name, about)
    }
}

/// The proof of a known device.
pub(crate) enum DeviceToken {}

from_json!(
    DeviceToken => String, text_of, device_token, string().min_length(Some(1)).max_length(Some(TOKEN_BYTES))
);

fn device_token(raw: &str) -> Result<String, Invalid> {
    match raw.len() {
        1..=TOKEN_BYTES => Ok(raw.to_owned()),
        _ => Err(Invalid::new("is not a device token")),
    }
}

/// A password to compare with a hash: any text that is not too long.
pub(crate) enum Attempt {}

from_json!(Attempt => Password, text_of, Password::attempt, password());
from_json!(Password, text_of, Self::parse, password().min_length(Some(10)));
from_json!(TotpCode, text_of, Self::parse, string().pattern(Some("^ *([0-9] *){6}$")));
from_json!(RecoveryCode, text_of, Self::parse, string().pattern(Some("^[ -]*([A-Za-z2-7][ -]*){16}$")));

/// A refresh token, which is a secret.
pub(crate) enum RefreshToken {}

from_json!(
    RefreshToken => String, text_of, refresh_token, string().min_length(Some(1)).max_length(Some(TOKEN_BYTES))
);

fn refresh_token(raw: &str) -> Result<String, Invalid> {
    match raw.len() {
        1..=TOKEN_BYTES => Ok(raw.to_owned()),
        _ => Err(Invalid::new("is not a refresh token")),
    }
}

/// A token from a mail; it is a secret.
pub(crate) enum MailToken {}

from_json!(
    MailToken => String, text_of, mail_token, string().min_length(Some(1)).max_length(Some(TOKEN_BYTES))
);

fn mail_token(raw: &str) -> Result<String, Invalid> {
    match raw.len() {
        1..=TOKEN_BYTES => Ok(raw.to_owned()),
        _ => Err(Invalid::new("is not a token of a mail")),
    }
}

fn password() -> ObjectBuilder {
    string().max_length(Some(256)).format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
