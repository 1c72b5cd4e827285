//! A place in a list of users, and the text with which clients ask for the page after it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::filter::Filter;
use crate::domain::identity::UserId;
use crate::domain::invalid::Invalid;
use crate::domain::search::SearchTerm;
use crate::domain::sort::{Sort, SortBy};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;

const CURSOR_VERSION: u8 = 2;
const SCOPE_BYTES: usize = 8;
/// A longer text is refused before it is decoded. The limit is enough for the longest place, an e-mail address.
const CURSOR_TEXT_BYTES: usize = 400;

/// The list for which a cursor is valid: its filter, its sort and its search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CursorScope {
    sort: Sort,
    /// A digest of filter, sort and search: the cursor of another list has another digest and is refused.
    digest: [u8; SCOPE_BYTES],
}

impl CursorScope {
    /// Identifies the list with this filter, sort and search. A cursor is refused in any other list.
    pub fn new(filter: Filter, sort: Sort, search: Option<&SearchTerm>) -> Self {
        let role = filter.role.map_or("", |role| role.as_str());
        let status = filter.is_active.map_or("", |is_active| if is_active { "active" } else { "inactive" });
        let search = search.map_or("", SearchTerm::as_str);
        let hash = Sha256::digest(format!("{}\n{role}\n{status}\n{search}", sort.as_text()));
        let mut digest = [0; SCOPE_BYTES];
        digest.copy_from_slice(&hash[..SCOPE_BYTES]);
        Self { sort, digest }
    }
}

/// The value by which the user at a cursor is sorted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Place {
    /// Microseconds or points.
    Number(i64),
    /// A user name or an e-mail address.
    Text(String),
}

/// A place in a list: just after this user. Clients treat its text as opaque, but it is not secret: it holds the value
/// by which the list is sorted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cursor {
    scope: CursorScope,
    /// The value by which the user is sorted.
    pub place: Place,
    /// The user; it may be deleted by now.
    pub id: UserId,
}

impl Cursor {
    /// The place just after `user`.
    pub fn after(user: &User, scope: CursorScope) -> Self {
        let place = match scope.sort.by {
            SortBy::CreatedAt => Place::Number(user.created_at.as_micros()),
            SortBy::Points => Place::Number(user.points),
            SortBy::Username => Place::Text(user.username.as_str().to_owned()),
            SortBy::Email => Place::Text(user.email.as_str().to_owned()),
        };
        Self { scope, place, id: user.id }
    }

    /// Parses the text that [`Cursor::encode`] wrote.
    ///
    /// # Errors
    /// The text is no cursor, or it is the cursor of a list with another filter, sort or search.
    pub fn parse(raw: &str, scope: CursorScope) -> Result<Self, Invalid> {
        let unknown =
            || Invalid::new("is not a cursor of this service; take next_cursor as it came, or start over");
        let bytes = Self::bytes(raw).ok_or_else(unknown)?;
        let (digest, rest) = bytes.split_at_checked(SCOPE_BYTES).ok_or_else(unknown)?;
        if digest != scope.digest {
            return Err(Invalid::new(
                "belongs to a list with another role, status, sort or search; send it with the same ones, or start over",
            ));
        }
        let (id, place) = Self::user(rest, scope).ok_or_else(unknown)?;
        Ok(Self { scope, place, id })
    }

    fn bytes(raw: &str) -> Option<Vec<u8>> {
        let bytes = (raw.len() <= CURSOR_TEXT_BYTES).then(|| URL_SAFE_NO_PAD.decode(raw).ok()).flatten()?;
        let (version, rest) = bytes.split_first()?;
        (*version == CURSOR_VERSION).then(|| rest.to_vec())
    }

    fn user(bytes: &[u8], scope: CursorScope) -> Option<(UserId, Place)> {
        let (id, place) = bytes.split_at_checked(16)?;
        let id = UserId::from_uuid(Uuid::from_slice(id).ok()?)?;
        let number = || Some(i64::from_be_bytes(place.try_into().ok()?));
        let place = match scope.sort.by {
            SortBy::CreatedAt => {
                let micros = number()?;
                (Timestamp::from_micros(micros).as_micros() == micros).then_some(Place::Number(micros))?
            }
            SortBy::Points => Place::Number(number()?),
            SortBy::Username | SortBy::Email => {
                // PostgreSQL accepts no NUL character in a text. Other control characters are allowed here: this
                // service writes none into a name, but if another program wrote one, the cursor after this name must be
                // valid.
                let text = std::str::from_utf8(place).ok()?;
                (!text.is_empty() && !text.contains('\0')).then(|| Place::Text(text.to_owned()))?
            }
        };
        Some((id, place))
    }

    /// The text that clients send back.
    pub fn encode(&self) -> String {
        let mut bytes = vec![CURSOR_VERSION];
        bytes.extend(self.scope.digest);
        bytes.extend(self.id.as_uuid().as_bytes());
        match &self.place {
            Place::Number(number) => bytes.extend(number.to_be_bytes()),
            Place::Text(text) => bytes.extend(text.as_bytes()),
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(sort: &str) -> CursorScope {
        CursorScope::new(Filter::default(), sort.parse().unwrap(), None)
    }

    #[test]
    fn a_cursor_survives_a_round_trip() {
        let id = UserId::generate();
        let longest = format!("{}@x", "a".repeat(252));
        for (sort, place) in [
            ("-created_at", Place::Number(1_700_000_000_123_456)),
            ("points", Place::Number(0)),
            ("username", Place::Text("ann".to_owned())),
            ("-email", Place::Text(longest)),
        ] {
            let cursor = Cursor { scope: scope(sort), place, id };
            assert_eq!(Cursor::parse(&cursor.encode(), scope(sort)).unwrap(), cursor, "{sort}");
        }
    }

    #[test]
    fn a_cursor_is_bound_to_its_list() {
        let cursor =
            Cursor { scope: scope("points"), place: Place::Number(1), id: UserId::generate() }.encode();
        let filter = Filter { is_active: Some(true), ..Filter::default() };
        let term = SearchTerm::parse("ann").unwrap();
        for other in [
            scope("-points"),
            scope("username"),
            scope("created_at"),
            CursorScope::new(filter, "points".parse().unwrap(), None),
            CursorScope::new(Filter::default(), "points".parse().unwrap(), Some(&term)),
        ] {
            let message = Cursor::parse(&cursor, other).unwrap_err();
            assert!(message.message().contains("another role, status, sort or search"), "{message}");
        }
    }

    #[test]
    fn a_text_that_is_no_cursor_is_refused() {
        let id = UserId::generate();
        let text = Cursor { scope: scope("created_at"), place: Place::Number(5), id }.encode();
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let other_version = encoded(&[&[1][..], &bytes[1..]].concat());
        let far_time = encoded(&[&bytes[..25], &[0x7f; 8][..]].concat());
        let other_uuid = encoded(&[&bytes[..9], &[0; 16][..], &bytes[25..]].concat());
        let long = "A".repeat(1_000_000);
        let bad = [
            "",
            "x",
            "====",
            "a\0",
            &text[1..],
            &format!("{text}A"),
            &other_version,
            &far_time,
            &other_uuid,
            &long,
        ];
        for bad in bad {
            assert!(Cursor::parse(bad, scope("created_at")).is_err(), "{}", &bad[..bad.len().min(60)]);
        }
        for place in ["", "a\0b"] {
            let forged = Cursor { scope: scope("email"), place: Place::Text(place.to_owned()), id }.encode();
            assert!(Cursor::parse(&forged, scope("email")).is_err(), "{place:?}");
        }
    }
}
