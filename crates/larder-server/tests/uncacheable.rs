//! Secrets cannot be cached: a class's values are serialised, and no type that holds a secret can be.
//!
//! Each line of the list below stops compiling once its type implements `Serialize`. A doctest at
//! `larder_server::cached` that must not compile shows that a class requires `Serialize`. Neither check compares
//! compiler messages.

use larder_identity::authenticator::Authenticator;
use larder_identity::keys::SigningKey;
use larder_identity::mail_token::MailToken;
use larder_identity::refresh::RefreshToken;
use larder_identity::sealing::SealedSecret;
use larder_identity::webhook::WebhookSecret;
use larder_server::domain::api_key::{ApiKeySecret, ApiKeyState};
use larder_server::domain::auth::AuthState;
use larder_server::domain::password::Password;
use larder_server::domain::second_factor::{RecoveryCode, SecondFactor, TotpCode};
use larder_server::domain::secret_key::SecretKey;
use larder_server::domain::user::User;
use larder_server::mail::Mail;
use larder_server::service::auth::Grant;
use larder_server::service::totp::Enrollment;
use larder_server::store::api_keys::ApiKeyHash;
use larder_server::store::mail_tokens::NewMailToken;
use larder_server::store::passwords::Login;
use larder_server::store::totp::TotpRow;

/// A type that implements `Serialize` has two ways to `check`, and the compiler refuses to choose.
macro_rules! uncacheable {
    ($($secret:ty),+ $(,)?) => {$(
        const _: fn() = || {
            trait Ambiguous<Way> {
                fn check() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Serializable;
            impl<T: ?Sized + serde::Serialize> Ambiguous<Serializable> for T {}
            <$secret as Ambiguous<_>>::check()
        };
    )+};
}

uncacheable!(
    Password,
    Login,
    SigningKey,
    SecretKey,
    SealedSecret,
    TotpRow,
    TotpCode,
    RecoveryCode,
    SecondFactor,
    Authenticator,
    RefreshToken,
    Enrollment,
    ApiKeySecret,
    ApiKeyHash,
    Grant,
    Mail,
    MailToken,
    NewMailToken<'static>,
    WebhookSecret,
);

fn cacheable<T: serde::Serialize + serde::de::DeserializeOwned>() -> usize {
    size_of::<T>()
}

/// The control: a type that is cached would not compile in the list above.
#[test]
fn cached_types_are_serialisable_and_no_secret_is() {
    assert!(cacheable::<User>() > 0 && cacheable::<AuthState>() > 0 && cacheable::<ApiKeyState>() > 0);
}
