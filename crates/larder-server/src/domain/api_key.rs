//! API keys: the public id of a key, and its scopes.

use std::fmt;
use std::str::FromStr;

pub use larder_identity::api_key::ApiKeySecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::body::{Confirmation, Confirming};
use crate::domain::fields::{Field, Fields, NotNull, OrDefault, body};
use crate::domain::identity::UserId;
use crate::domain::invalid::Invalid;
use crate::domain::json::{FromJson, List, component, from_json, text_of};
use crate::domain::text::Line;
use crate::domain::timestamp::Timestamp;

const ID_CHARS: usize = 16;

/// The name that a user gives a key: one line of at most 100 characters.
pub type ApiKeyName = Line<100>;

/// The public id of a key, 16 hexadecimal digits: it is part of the key, and lists and logs show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiKeyId(u64);

impl ApiKeyId {
    /// The public part of a complete key.
    pub fn of(key: &ApiKeySecret) -> Self {
        Self(key.id())
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeyId({self})")
    }
}

impl FromStr for ApiKeyId {
    type Err = Invalid;

    fn from_str(raw: &str) -> Result<Self, Invalid> {
        let digits = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let shaped = raw.len() == ID_CHARS && raw.bytes().all(digits);
        let id = shaped.then(|| u64::from_str_radix(raw, 16).ok()).flatten();
        id.map(Self).ok_or_else(|| Invalid::new("is not the id of an API key: 16 hexadecimal digits"))
    }
}

/// One kind of use that a key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Reading what the key's user may read.
    Read,
    /// Changing what the key's user may change.
    Write,
    /// Introspecting tokens; for keys of admins.
    Introspect,
    /// Reading `/metrics` and nothing else; only an admin's key may have it. A key with `read` does not need it.
    Metrics,
}

impl Scope {
    const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Introspect, Self::Metrics];

    /// The name in requests, answers and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Introspect => "introspect",
            Self::Metrics => "metrics",
        }
    }
}

impl FromStr for Scope {
    type Err = Invalid;

    fn from_str(raw: &str) -> Result<Self, Invalid> {
        let scope = Self::ALL.into_iter().find(|scope| scope.as_str() == raw);
        scope.ok_or_else(|| Invalid::new("must hold read, write, introspect or metrics only"))
    }
}

/// The uses that a key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scopes {
    read: bool,
    write: bool,
    introspect: bool,
    metrics: bool,
}

/// The scopes of a key whose request names none.
impl Default for Scopes {
    fn default() -> Self {
        Self { read: true, write: true, introspect: false, metrics: false }
    }
}

impl Scopes {
    /// Whether `scope` is allowed.
    pub fn contains(self, scope: Scope) -> bool {
        match scope {
            Scope::Read => self.read,
            Scope::Write => self.write,
            Scope::Introspect => self.introspect,
            Scope::Metrics => self.metrics,
        }
    }

    /// Whether a key with these scopes may do an action that needs `scope`; `read` includes `metrics`.
    pub fn allow(self, scope: Scope) -> bool {
        self.contains(scope) || (scope == Scope::Metrics && self.read)
    }

    /// The scopes that are allowed, in order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }

    /// The form in the database: the names, separated by spaces.
    pub(crate) fn to_text(self) -> String {
        self.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut all = Self { read: false, write: false, introspect: false, metrics: false };
        for scope in scopes {
            match scope {
                Scope::Read => all.read = true,
                Scope::Write => all.write = true,
                Scope::Introspect => all.introspect = true,
                Scope::Metrics => all.metrics = true,
            }
        }
        all
    }
}

impl FromStr for Scopes {
    type Err = Invalid;

    fn from_str(raw: &str) -> Result<Self, Invalid> {
        raw.split_ascii_whitespace().map(str::parse).collect()
    }
}

/// The state of a key, as cached. It contains neither the key nor the hash of the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyState {
    /// The key's public id.
    pub id: ApiKeyId,
    /// The user that the key authenticates.
    pub user_id: UserId,
    /// The uses that the key allows.
    pub scopes: Scopes,
    /// When the key was created.
    pub created_at: Timestamp,
    /// When the key expires; `None` if it is valid until it is deleted.
    pub expires_at: Option<Timestamp>,
}

impl ApiKeyState {
    /// Whether the key is still valid at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }
}

body! {
    /// A key to make.
    #[schema(NewApiKeyFields, {"name": "nightly export", "scopes": ["read"]})]
    #[derive(Debug, Clone)]
    pub struct NewApiKey {
        /// The key's name.
        pub name: ApiKeyName,
        /// When the key expires: a time in the future, or `null` for a key that does not expire. Default: in 90 days,
        /// unless the service has another setting.
        pub expires_at: Expiry as Expiry,
        /// Some of `read`, `write` and, for admins, `introspect` and `metrics`. Default: `read` and `write`.
        pub scopes: Scopes as OrDefault<NotNull<ScopeList>>,
        /// The caller's password and, if its second factor is on, a code.
        pub confirmation: Confirmation as Confirming,
    }
}

/// When a new key expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// After the lifetime in the settings.
    Default,
    /// Never: the key is valid until it is deleted.
    Never,
    /// At this time.
    At(Timestamp),
}

impl Field for Expiry {
    type Value = Self;

    fn take(fields: &mut Fields, name: &'static str) -> Option<Self> {
        Some(match fields.missing_or_null::<Future>(name) {
            None => Self::Default,
            Some(None) => Self::Never,
            Some(Some(time)) => Self::At(time),
        })
    }

    fn describe(body: ObjectBuilder, name: &str, about: &str) -> ObjectBuilder {
        <Option<Future> as Field>::describe(body, name, about)
    }
}

/// A time in the future.
enum Future {}

from_json!(Future => Timestamp, text_of, future, Timestamp::schema());

fn future(raw: &str) -> Result<Timestamp, Invalid> {
    let time = Timestamp::parse(raw)?;
    if time > Timestamp::now() { Ok(time) } else { Err(Invalid::new("must lie in the future")) }
}

from_json!(Scope, text_of, str::parse, component::<Self>());

/// The scopes of a new key, at least one.
enum ScopeList {}

type ListedScopes = List<Scope, 1, { usize::MAX }>;

impl FromJson for ScopeList {
    type Value = Scopes;

    fn from_json(value: Value) -> Result<Scopes, Invalid> {
        if value.as_array().is_some_and(Vec::is_empty) {
            return Err(Invalid::new("must not be empty; without scopes a key may read and write"));
        }
        ListedScopes::from_json(value).map(Scopes::from_iter)
    }

    fn schema() -> RefOr<Schema> {
        ListedScopes::schema()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_id_of_a_key_is_written_as_in_the_key() {
        let key = ApiKeySecret::random();
        let id = ApiKeyId::of(&key);
        assert!(key.expose().starts_with(&format!("lk_{id}_")));
        assert_eq!(id.to_string().parse::<ApiKeyId>().unwrap(), id);
    }

    #[test]
    fn scopes_are_those_that_were_named() {
        let scopes: Scopes = "write read".parse().unwrap();
        assert_eq!((scopes, scopes.to_text().as_str()), (Scopes::default(), "read write"));
        assert!("read admin".parse::<Scopes>().is_err());
        assert!(!scopes.contains(Scope::Introspect));
    }

    #[test]
    fn a_new_key_reads_and_writes_unless_scopes_are_named() {
        let parse = NewApiKey::parse;
        let new = parse(json!({ "name": "ci" })).unwrap();
        assert_eq!((new.scopes, new.expires_at), (Scopes::default(), Expiry::Default));
        let endless = parse(json!({ "name": "ci", "expires_at": null })).unwrap();
        assert_eq!(endless.expires_at, Expiry::Never);
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
