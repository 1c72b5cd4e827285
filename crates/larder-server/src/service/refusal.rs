//! Why the service refuses a request that is valid in itself: by the caller's identity, its rights, or the present
//! state.

use std::fmt;

/// The kind of reason for a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The credentials are missing, or identify no user.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// The request contradicts the present state.
    Conflict,
}

/// One row for each refusal: variant, kind, code, text.
macro_rules! refusals {
    ($($variant:ident: $kind:ident, $code:literal, $text:literal;)+) => {
        /// A refusal. Its code is stable: clients distinguish refusals of one kind by their codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each variant has its text")]
        pub enum Refusal {
            $($variant,)+
        }

        impl Refusal {
            /// All refusals, in the order of their declaration.
            pub const ALL: &[Refusal] = &[$(Refusal::$variant),+];

            /// The kind of the refusal's reason.
            pub fn kind(self) -> RefusalKind {
                match self {
                    $(Refusal::$variant => RefusalKind::$kind,)+
                }
            }

            /// The name of the refusal in answers. It never changes, because clients compare it.
            pub fn code(self) -> &'static str {
                match self {
                    $(Refusal::$variant => $code,)+
                }
            }

            /// The text for people: what is wrong and what is allowed.
            pub fn text(self) -> &'static str {
                match self {
                    $(Refusal::$variant => $text,)+
                }
            }
        }
    };
}

refusals! {
    CredentialMissing: Unauthenticated, "credential_missing",
        "an access token or an API key is needed: Authorization: Bearer <token>";
    AccessTokenInvalid: Unauthenticated, "access_token_invalid", "the access token is malformed, forged or expired";
    ApiKeyInvalid: Unauthenticated, "api_key_invalid", "the API key is malformed, unknown, expired or deleted";
    ClientInvalid: Unauthenticated, "client_invalid",
        "the client's id and secret must be the id of an API key and the key: Authorization: Basic";
    SessionEnded: Unauthenticated, "session_ended", "the session has ended, log in again";
    LoginWrong: Unauthenticated, "login_wrong", "the identifier or the password is wrong";
    LoginCodeWrong: Unauthenticated, "login_code_wrong", "the code is wrong, or was used before";

    LoginNeeded: Forbidden, "login_needed", "this needs a login; an API key is not enough";
    ScopeMissing: Forbidden, "scope_missing", "this API key does not have the scope that this request needs";
    AccountInactive: Forbidden, "account_inactive", "this account is deactivated";
    PasswordNeeded: Forbidden, "password_needed", "this needs current_password, and with a second factor also a code";
    PasswordWrong: Forbidden, "password_wrong", "the current password is wrong";
    PasswordChanged: Forbidden, "password_changed", "the current password is wrong by now";
    CodeWrong: Forbidden, "code_wrong", "the code is wrong, or was used before";
    CodeNeeded: Forbidden, "code_needed", "a code, or a recovery code, is needed too";
    SecondFactorRequired: Forbidden, "second_factor_required",
        "this account needs a second factor; until it has one, it may only enroll: POST /api/v1/auth/totp/enroll";
    OwnSecondFactor: Forbidden, "own_second_factor", "one's own second factor is removed with password and code";
    AdminsOnly: Forbidden, "admins_only", "this is for admins";
    SuperadminsOnly: Forbidden, "superadmins_only", "this is for superadmins";
    SuperadminTarget: Forbidden, "superadmin_target", "superadmins are managed by superadmins only";
    PermissionMissing: Forbidden, "permission_missing", "this is for admins and for users with the permission";
    NotOwnUser: Forbidden, "not_own_user", "this user may be changed by itself and by those who manage it";
    NotOwnProfile: Forbidden, "not_own_profile", "this is for the user itself and for those who manage it";
    NotOwnFigures: Forbidden, "not_own_figures", "these figures are for the user itself and those who manage it";
    OwnAchievement: Forbidden, "own_achievement", "users cannot award achievements to themselves";
    OwnPoints: Forbidden, "own_points", "users cannot book points for themselves";
    OwnPermissions: Forbidden, "own_permissions", "only superadmins change their own permissions";
    NotOwnApiKey: Forbidden, "not_own_api_key", "API keys are made by the user they act as";
    TooManyApiKeys: Forbidden, "too_many_api_keys", "a user has at most 50 API keys; delete one first";
    KeysOfClass: Forbidden, "keys_of_class", "the keys of this class are for superadmins";
    MailTokenInvalid: Forbidden, "mail_token_invalid",
        "this token is unknown, expired, used, or was sent before a change of the user; ask for another mail";

    LastSuperadmin: Conflict, "last_superadmin", "this is the last active superadmin; make another one first";
    BadgeHeld: Conflict, "badge_held", "the user has this badge already; each is awarded once";
    UserInactive: Conflict, "user_inactive", "the user is inactive; only active users are awarded";
    AwardOutOfBounds: Conflict, "award_out_of_bounds",
        "the balance would be above 1099511627775; nothing was awarded";
    IdempotencyKeyTaken: Conflict, "idempotency_key_taken",
        "another booking has this idempotency_key; a key is for one booking";
    BalanceOutOfBounds: Conflict, "balance_out_of_bounds",
        "the balance would be negative or above 1099511627775; nothing was booked";
    TooManyPermissions: Conflict, "too_many_permissions",
        "the user has 100 permissions, which is as many as one may have";
    EmailConfirmed: Conflict, "email_confirmed", "this e-mail address is confirmed already";
    SecondFactorOn: Conflict, "second_factor_on", "the second factor is on already; remove it first";
    SecondFactorAbsent: Conflict, "second_factor_absent", "there is no second factor";
    NothingToConfirm: Conflict, "nothing_to_confirm", "there is no second factor to confirm; enroll first";
    SecondFactorChanged: Conflict, "second_factor_changed", "the second factor changed meanwhile; begin again";
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
