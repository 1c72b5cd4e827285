//! API keys: the public id, the secret, and what a key may be used for.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::identity::UserId;
use crate::domain::invalid::Invalid;
use crate::domain::text::Line;
use crate::domain::timestamp::Timestamp;

const PREFIX: &str = "lk_";
const ID_CHARS: usize = 16;
const SECRET_CHARS: usize = 43;

/// The name that a user gives a key: one line of at most 100 characters.
pub type ApiKeyName = Line<100>;

/// The public id of a key, 16 hexadecimal digits: it is part of the key, and lists and logs show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiKeyId(u64);

impl ApiKeyId {
    fn random() -> Self {
        Self(rand::random())
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

/// A complete key: `lk_`, the id, `_`, and 256 random bits. It can be neither printed nor serialised.
#[derive(Clone)]
pub struct ApiKeySecret {
    id: ApiKeyId,
    text: String,
}

impl ApiKeySecret {
    /// A new random key.
    pub fn random() -> Self {
        let (id, secret) = (ApiKeyId::random(), rand::random::<[u8; 32]>());
        Self { id, text: format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(secret)) }
    }

    /// Whether a credential has the prefix of an API key; it need not be a valid one.
    pub fn is_meant(raw: &str) -> bool {
        raw.starts_with(PREFIX)
    }

    /// Parses a key. Whether the key exists is checked in the database.
    pub fn parse(raw: &str) -> Option<Self> {
        let rest = raw.strip_prefix(PREFIX)?;
        let (id, secret) = rest.split_at_checked(ID_CHARS)?;
        let secret = secret.strip_prefix('_')?;
        let shaped = secret.len() == SECRET_CHARS && URL_SAFE_NO_PAD.decode(secret).is_ok();
        let id = id.parse().ok()?;
        shaped.then(|| Self { id, text: raw.to_owned() })
    }

    /// The public part.
    pub fn id(&self) -> ApiKeyId {
        self.id
    }

    /// The key with its secret, for hashing and for its user, who sees it once.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeySecret({}…)", self.id)
    }
}

/// One kind of use that a key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Reading what its user may read.
    Read,
    /// Changing what its user may change.
    Write,
    /// Introspecting tokens; for keys of admins.
    Introspect,
}

impl Scope {
    const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Introspect];

    /// The name in requests, answers and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Introspect => "introspect",
        }
    }
}

impl FromStr for Scope {
    type Err = Invalid;

    fn from_str(raw: &str) -> Result<Self, Invalid> {
        let scope = Self::ALL.into_iter().find(|scope| scope.as_str() == raw);
        scope.ok_or_else(|| Invalid::new("must hold read, write or introspect only"))
    }
}

/// The uses that a key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scopes {
    read: bool,
    write: bool,
    introspect: bool,
}

impl Scopes {
    /// The scopes of a key that was created without any.
    pub const READ_WRITE: Self = Self { read: true, write: true, introspect: false };

    /// Whether `scope` is allowed.
    pub fn contains(self, scope: Scope) -> bool {
        match scope {
            Scope::Read => self.read,
            Scope::Write => self.write,
            Scope::Introspect => self.introspect,
        }
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
        let mut all = Self { read: false, write: false, introspect: false };
        for scope in scopes {
            match scope {
                Scope::Read => all.read = true,
                Scope::Write => all.write = true,
                Scope::Introspect => all.introspect = true,
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

/// The state of a key, as cached. It holds neither the key nor its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyState {
    /// The key's public id.
    pub id: ApiKeyId,
    /// The user that the key authenticates.
    pub user_id: UserId,
    /// The uses that it allows.
    pub scopes: Scopes,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires; `None` if it is valid until it is deleted.
    pub expires_at: Option<Timestamp>,
}

impl ApiKeyState {
    /// Whether it has not expired at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }
}

/// A key to create.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// Its name.
    pub name: ApiKeyName,
    /// The uses that it allows.
    pub scopes: Scopes,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_parsed_completely_or_refused() {
        let key = ApiKeySecret::random();
        let text = key.expose();
        assert_eq!(text.len(), 3 + 16 + 1 + 43);
        let read = ApiKeySecret::parse(text).unwrap();
        assert_eq!((read.id(), read.expose()), (key.id(), text));
        assert_eq!(key.id().to_string().parse::<ApiKeyId>().unwrap(), key.id());
        for bad in ["", "lk_", "lk_é", &text[..62], &text[1..], &format!("{text}A"), &text.to_uppercase()] {
            assert!(ApiKeySecret::parse(bad).is_none(), "{bad}");
        }
        assert!(!format!("{key:?}").contains(&text[20..]));
    }

    #[test]
    fn scopes_are_those_that_were_named() {
        let scopes: Scopes = "write read".parse().unwrap();
        assert_eq!((scopes, scopes.to_text().as_str()), (Scopes::READ_WRITE, "read write"));
        assert!("read admin".parse::<Scopes>().is_err());
        assert!(!scopes.contains(Scope::Introspect));
    }
}
