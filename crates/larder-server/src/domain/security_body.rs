//! The bodies of requests about second factors and API keys. They are parsed completely, as those in `body.rs`.

use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::api_key::{ApiKeyName, NewApiKey, Scope, Scopes};
use crate::domain::body::second_factor;
use crate::domain::fields::Fields;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::password::Password;
use crate::domain::second_factor::{SecondFactor, TotpCode};
use crate::domain::timestamp::Timestamp;

/// The current password.
#[derive(Debug, ToSchema)]
#[schema(as = EnrollFields)]
pub struct EnrollBody {
    /// The caller's password.
    #[schema(value_type = String)]
    pub password: Password,
}

/// A code of the authenticator.
#[derive(Debug, ToSchema)]
#[schema(as = ConfirmFields)]
pub struct ConfirmBody {
    /// The present code: six digits.
    #[schema(value_type = String, pattern = "^[0-9]{6}$")]
    pub totp_code: TotpCode,
}

/// `DELETE auth/totp`: the password, and a code if logins need one.
#[derive(Debug)]
pub struct RemoveTotpBody {
    /// The password to compare with the hash.
    pub password: Password,
    /// `totp_code` or `recovery_code`.
    pub factor: Option<SecondFactor>,
}

/// `POST users/{id}/api-keys`.
#[derive(Debug)]
pub struct NewApiKeyBody(pub NewApiKey);

impl EnrollBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong, missing or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let password = fields.required("password", Password::attempt);
        fields.finish(password.map(|password| Self { password }))
    }
}

impl ConfirmBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong, missing or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let code = fields.required("totp_code", TotpCode::parse);
        fields.finish(code.map(|totp_code| Self { totp_code }))
    }
}

impl RemoveTotpBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong, missing or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let password = fields.required("password", Password::attempt);
        let factor = second_factor(&mut fields);
        fields.finish(password.map(|password| Self { password, factor }))
    }
}

impl NewApiKeyBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong, missing or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let name = fields.required("name", ApiKeyName::parse);
        let expires_at = fields.optional("expires_at", future);
        let scopes: Option<Vec<Scope>> = fields.texts("scopes", str::parse);
        let scopes = match scopes {
            Some(scopes) if scopes.is_empty() && !fields.is_refused() => {
                fields.refuse("scopes", "must not be empty; without scopes a key may read and write")
            }
            Some(scopes) => Some(scopes.into_iter().collect()),
            None => Some(Scopes::READ_WRITE),
        };
        let both = name.zip(scopes);
        fields.finish(both.map(|(name, scopes)| Self(NewApiKey { name, scopes, expires_at })))
    }
}

fn future(raw: &str) -> Result<Timestamp, Invalid> {
    let time = Timestamp::parse(raw)?;
    if time > Timestamp::now() { Ok(time) } else { Err(Invalid::new("must lie in the future")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_new_key_reads_and_writes_unless_scopes_are_named() {
        let parse = |body| NewApiKeyBody::parse(body).map(|NewApiKeyBody(new)| new);
        let new = parse(json!({ "name": "ci" })).unwrap();
        assert_eq!((new.scopes, new.expires_at), (Scopes::READ_WRITE, None));
        let new =
            parse(json!({ "name": "ci", "scopes": ["read"], "expires_at": "2999-01-01T00:00:00Z" })).unwrap();
        assert!(new.scopes.contains(Scope::Read) && !new.scopes.contains(Scope::Write));
        let bad = [
            (json!({}), "name"),
            (json!({ "name": "ci", "scopes": [] }), "scopes"),
            (json!({ "name": "ci", "scopes": ["admin"] }), "scopes"),
            (json!({ "name": "ci", "scopes": "read" }), "scopes"),
            (json!({ "name": "ci", "expires_at": "2001-01-01T00:00:00Z" }), "expires_at"),
            (json!({ "name": "ci", "expires_at": "tomorrow" }), "expires_at"),
            (json!({ "name": "ci", "user_id": "x" }), "user_id"),
        ];
        for (body, field) in bad {
            let errors = parse(body.clone()).unwrap_err();
            assert!(errors.get(field).is_some(), "{body}: {errors}");
        }
    }
}
