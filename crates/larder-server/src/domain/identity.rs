//! What identifies a user: the id, the external id, the user name, and the path segment that names a user.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::ObjectBuilder;
use uuid::Uuid;

use crate::domain::contact::{Email, Phone};
use crate::domain::invalid::Invalid;
use crate::domain::json::{component, from_json, string, text_of};
use crate::domain::text::{identifier, text_type};

/// Words that have another meaning after `/users/`, such as `/users/me`, so they cannot be external ids.
const RESERVED: [&str; 6] = ["me", "lookup", "statistics", "cache", "bulk", "superadmin"];
const CANONICAL_UUID_BYTES: usize = 36;
const EXTERNAL_ID_BYTES: usize = 128;

/// The id of a user: a UUIDv7, so that ids sort by time of creation.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct UserId(Uuid);

impl UserId {
    /// A new id, greater than every id that this process generated before.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// Parses the hyphenated form, in upper or lower case.
    ///
    /// # Errors
    /// The text is not a UUID, or not one of version 7.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let uuid = (raw.len() == CANONICAL_UUID_BYTES).then(|| Uuid::try_parse(raw).ok()).flatten();
        uuid.and_then(Self::from_uuid).ok_or_else(|| Invalid::new("is not a UUID of version 7"))
    }

    /// The id in a UUID, if the UUID is of version 7.
    pub fn from_uuid(uuid: Uuid) -> Option<Self> {
        (uuid.get_version_num() == 7).then_some(Self(uuid))
    }

    /// The UUID.
    pub fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

from_json!(UserId, text_of, Self::parse, component::<Self>());

impl FromStr for UserId {
    type Err = Invalid;

    fn from_str(raw: &str) -> Result<Self, Invalid> {
        Self::parse(raw)
    }
}

text_type! {
    /// The id a user has in another system: 1 to 128 of `A-Z a-z 0-9 . _ - : | @ + =`, unique. It may be a UUID, but not
    /// one of version 7.
    #[schema(pattern = "^[A-Za-z0-9._:|@+=-]*[A-Za-z0-9][A-Za-z0-9._:|@+=-]*$", max_length = 128)]
    ExternalId
}

impl ExternalId {
    /// Trims and checks the text; upper and lower case differ, except in a UUID, which is stored in lower case.
    ///
    /// # Errors
    /// The text has other characters or a length out of bounds, is a UUID of version 7 (it would be mistaken for a user's
    /// id), or is a reserved word.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let text = identifier(raw);
        let shaped = (1..=EXTERNAL_ID_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:|@+=".contains(&byte))
            // At least one letter or digit is required, because URL parsers remove the path segments `.` and `..`.
            && text.bytes().any(|byte| byte.is_ascii_alphanumeric());
        if !shaped {
            return Err(Invalid::new(
                "must be 1 to 128 letters, digits, dots, underscores, dashes, colons, vertical bars, @, + or =, with a letter or digit",
            ));
        }
        if RESERVED.iter().any(|word| text.eq_ignore_ascii_case(word)) {
            let words = RESERVED.join(", ");
            return Err(Invalid::new(format!("is a reserved word; not allowed are {words}")));
        }
        // A UUID has one spelling, but systems print it in either case.
        let is_uuid = text.len() == CANONICAL_UUID_BYTES && Uuid::try_parse(&text).is_ok();
        match UserId::parse(&text) {
            Ok(_) => Err(Invalid::new(
                "must not be a UUID of version 7, because it would be mistaken for an id of ours",
            )),
            Err(_) if is_uuid => Ok(Self(text.to_ascii_lowercase())),
            Err(_) => Ok(Self(text)),
        }
    }
}

text_type! {
    /// A user name: 3 to 32 of `a-z 0-9 . _ -`, beginning with a letter or digit. Capitals are accepted and stored in lower
    /// case.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{2,31}$")]
    Username
}

impl Username {
    /// Trims, converts to lower case and checks.
    ///
    /// # Errors
    /// The text has other characters, or its length is out of bounds.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let text = identifier(raw);
        let shaped = (3..=32).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if shaped {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(Invalid::new(
                "must be 3 to 32 letters, digits, dots, underscores or dashes, and begin with a letter or digit",
            ))
        }
    }
}

/// The user that a path segment names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserRef {
    /// The caller.
    Me,
    /// The user's id in this service.
    Id(UserId),
    /// The user's id in another system.
    External(ExternalId),
}

impl FromStr for UserRef {
    type Err = Invalid;

    fn from_str(raw: &str) -> Result<Self, Invalid> {
        if raw == "me" {
            return Ok(Self::Me);
        }
        if let Ok(id) = UserId::parse(raw) {
            return Ok(Self::Id(id));
        }
        ExternalId::parse(raw)
            .map(Self::External)
            .map_err(|_| Invalid::new("is not an id; expected me, a UUID of version 7, or an external id"))
    }
}

from_json!(UserRef, text_of, str::parse, id_of_user());

/// The schema of a text that names a user by either kind of id.
pub(crate) fn id_of_user() -> ObjectBuilder {
    let pattern = "^[A-Za-z0-9._:|@+=-]*[A-Za-z0-9][A-Za-z0-9._:|@+=-]*$";
    string().min_length(Some(1)).max_length(Some(EXTERNAL_ID_BYTES)).pattern(Some(pattern))
}

/// Anything that names exactly one user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identifier {
    /// The user's id in this service.
    Id(UserId),
    /// The user's id in another system.
    External(ExternalId),
    /// The user's e-mail address.
    Email(Email),
    /// The user's user name.
    Username(Username),
    /// The user's telephone number.
    Phone(Phone),
}

impl Identifier {
    /// The kind followed by the value, so that identifiers of two kinds never have the same text. The text is personal
    /// data and must not be shown.
    pub fn with_kind(&self) -> String {
        match self {
            Self::Id(id) => format!("id {id}"),
            Self::External(external) => format!("external {}", external.as_str()),
            Self::Email(email) => format!("email {}", email.as_str()),
            Self::Username(username) => format!("username {}", username.as_str()),
            Self::Phone(phone) => format!("phone {}", phone.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V7: &str = "0192f0c1-2345-7abc-8def-0123456789ab";
    const V4: &str = "8f14e45f-ceea-467f-9575-6f2e1f2d3a4b";

    #[test]
    fn user_ids_are_canonical_uuids_of_version_7() {
        assert_eq!(UserId::parse(&V7.to_uppercase()).unwrap().to_string(), V7);
        assert!(UserId::generate() < UserId::generate());
        for bad in ["", "1", V4, &V7.replace('-', ""), &format!("{{{V7}}}"), &V7[1..]] {
            assert!(UserId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn external_ids_cannot_be_mistaken_for_anything_else() {
        let plain = V4.replace('-', "");
        for good in [
            "5779356081",
            "123",
            "a",
            "A.b_c-D",
            "auth0|5f7c8ec7c33c6c004bbafe82",
            "samlp|acme|ann+x@example.com",
            "f:9f1c2d3e-4b5a-4c6d-8e7f-001122334455:ann.lee",
            "urn:example:staff:8",
            V4,
            &plain,
            &V7.replace('-', ""),
            &"x".repeat(128),
        ] {
            assert_eq!(ExternalId::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(ExternalId::parse(&format!(" {}\n", V4.to_uppercase())).unwrap().as_str(), V4);
        for bad in [
            "",
            ".",
            "..",
            "a b",
            "::",
            "a*",
            "a[",
            "a\nb",
            "a\0",
            "é",
            "||",
            V7,
            &V7.to_uppercase(),
            "me",
            "ME",
            "cache",
            "Bulk",
            "superadmin",
            &"x".repeat(129),
        ] {
            assert!(ExternalId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn usernames_are_lower_case() {
        assert_eq!(Username::parse(" Ann.B-9_\u{200b}").unwrap().as_str(), "ann.b-9_");
        assert!(Username::parse("007").is_ok());
        for bad in [
            "",
            "ab",
            ".ab",
            "-ab",
            "a:b",
            "a*b",
            "a[b",
            "a\nb",
            "a\0b",
            "a b",
            "änn",
            "\u{212a}im",
            &"x".repeat(33),
        ] {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_path_segment_names_one_user() {
        assert_eq!("me".parse::<UserRef>().unwrap(), UserRef::Me);
        assert_eq!(V7.parse::<UserRef>().unwrap(), UserRef::Id(UserId::parse(V7).unwrap()));
        assert!(matches!("123".parse::<UserRef>().unwrap(), UserRef::External(_)));
        assert!(matches!(V4.parse::<UserRef>().unwrap(), UserRef::External(_)));
        for bad in ["", "lookup", "a/b", "%00"] {
            assert!(bad.parse::<UserRef>().is_err(), "{bad}");
        }
    }
}
