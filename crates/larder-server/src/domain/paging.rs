//! Which part of the list of users: a page or what follows a cursor, and of which users.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::identity::UserId;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::role::Role;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;

const MAX_LIMIT: u32 = 100;
const DEFAULT_LIMIT: u32 = 25;
/// Deeper pages cost the database a walk over everything before them; a cursor does not.
const MAX_PAGED_ROWS: u64 = 10_000;
const CURSOR_VERSION: u8 = 1;
const CURSOR_BYTES: usize = 1 + 8 + 16;
/// Longer inputs are refused before they are decoded.
const CURSOR_TEXT_BYTES: usize = 64;

/// How many users one answer holds: 1 to 100, by default 25.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Limit(u32);

impl Limit {
    /// Reads a number.
    ///
    /// # Errors
    /// Not a whole number of 1 to 100.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        match raw.parse() {
            Ok(limit @ 1..=MAX_LIMIT) => Ok(Self(limit)),
            _ => Err(Invalid::new("must be a whole number of 1 to 100")),
        }
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT_LIMIT)
    }
}

/// The number of a page, from 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct Page(u32);

impl Page {
    /// Reads a number.
    ///
    /// # Errors
    /// Not a whole number from 1, or a page that lies beyond the first 10,000 users.
    pub fn parse(raw: &str, limit: Limit) -> Result<Self, Invalid> {
        let deep = || {
            Invalid::new("lies too deep: page times limit may be at most 10000; follow next_cursor instead")
        };
        let digits = !raw.is_empty() && raw.bytes().all(|byte| byte.is_ascii_digit());
        match raw.parse::<u32>() {
            Ok(page) if page > 0 && u64::from(page) * u64::from(limit.0) <= MAX_PAGED_ROWS => Ok(Self(page)),
            Ok(page) if page > 0 => Err(deep()),
            Err(_) if digits => Err(deep()),
            _ => Err(Invalid::new("must be a whole number from 1")),
        }
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Page {
    fn default() -> Self {
        Self(1)
    }
}

/// A place in the list: right after this user. Opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cursor {
    /// When the user was created.
    pub created_at: Timestamp,
    /// The user; it need not exist any more.
    pub id: UserId,
}

impl Cursor {
    /// The place right after `user`.
    pub fn after(user: &User) -> Self {
        Self { created_at: user.created_at, id: user.id }
    }

    /// Reads what [`Cursor::encode`] wrote.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        Self::decode(raw).ok_or_else(|| {
            Invalid::new("is not a cursor of this service; take next_cursor as it came, or start over")
        })
    }

    fn decode(raw: &str) -> Option<Self> {
        if raw.len() > CURSOR_TEXT_BYTES {
            return None;
        }
        let bytes: [u8; CURSOR_BYTES] = URL_SAFE_NO_PAD.decode(raw).ok()?.try_into().ok()?;
        let (version, rest) = bytes.split_first()?;
        let (micros, id) = rest.split_at_checked(8)?;
        let micros = i64::from_be_bytes(micros.try_into().ok()?);
        let created_at = Timestamp::from_micros(micros);
        let id = UserId::from_uuid(Uuid::from_slice(id).ok()?)?;
        (*version == CURSOR_VERSION && created_at.as_micros() == micros).then_some(Self { created_at, id })
    }

    /// The text that clients send back.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(CURSOR_BYTES);
        bytes.push(CURSOR_VERSION);
        bytes.extend(self.created_at.as_micros().to_be_bytes());
        bytes.extend(self.id.as_uuid().as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// Where a part of the list begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Position {
    /// On a page.
    Page(Page),
    /// After a cursor.
    Cursor(Cursor),
}

/// Of which users a list is; the default is all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Filter {
    /// Only users of this role.
    pub role: Option<Role>,
    /// Only active or only inactive users.
    pub is_active: Option<bool>,
}

/// A part of the list of users, newest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ListQuery {
    /// How many at most.
    pub limit: Limit,
    /// From where.
    pub position: Position,
    /// Of which users.
    pub filter: Filter,
}

/// The parameters of a list as they stand in the URL.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// See [`Limit`].
    pub limit: Option<String>,
    /// See [`Page`]; not together with `cursor`.
    pub page: Option<String>,
    /// See [`Cursor`].
    pub cursor: Option<String>,
    /// See [`Role`].
    pub role: Option<String>,
    /// `active` or `inactive`.
    pub status: Option<String>,
}

impl ListQuery {
    /// Parses the parameters of a list.
    ///
    /// # Errors
    /// Every parameter that is wrong.
    pub fn parse(params: &ListParams) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let limit = params.limit.as_deref().and_then(|raw| errors.keep("limit", Limit::parse(raw)));
        let limit = limit.unwrap_or_default();
        let position = match (params.page.as_deref(), params.cursor.as_deref()) {
            (Some(_), Some(_)) => {
                errors.add("cursor", Invalid::new("cannot go together with page"));
                None
            }
            (_, Some(raw)) => errors.keep("cursor", Cursor::parse(raw)).map(Position::Cursor),
            (Some(raw), _) => errors.keep("page", Page::parse(raw, limit)).map(Position::Page),
            (None, None) => None,
        };
        let role = params.role.as_deref().and_then(|raw| errors.keep("role", raw.parse()));
        let is_active = params.status.as_deref().and_then(|raw| errors.keep("status", status(raw)));
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self { limit, position: position.unwrap_or_default(), filter: Filter { role, is_active } })
    }
}

impl Default for Position {
    fn default() -> Self {
        Self::Page(Page::default())
    }
}

fn status(raw: &str) -> Result<bool, Invalid> {
    match raw {
        "active" => Ok(true),
        "inactive" => Ok(false),
        _ => Err(Invalid::new("is not a status; active and inactive are allowed")),
    }
}

#[cfg(test)]
#[path = "paging_tests.rs"]
mod tests;
