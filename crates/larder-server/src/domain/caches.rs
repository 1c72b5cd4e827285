//! Requests of admins about the cache: which entries to list or explain, and which to invalidate.

use larder::journal::Touch;
use serde::Deserialize;
use serde_json::Value;

use crate::domain::fields::Fields;
use crate::domain::identity::UserId;
use crate::domain::invalid::{Invalid, ValidationErrors};

const NAME_BYTES: usize = 512;
const CURSOR_BYTES: usize = 1024;
const PARTS: usize = 16;
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;

/// What an invalidation by hand removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drop {
    /// All entries.
    Everything,
    /// One class.
    Class(String),
    /// Every entry whose text `class:part:part` matches.
    Matching(String),
    /// All entries of the user with this id or external id; the user need not exist.
    User(String),
    /// A user's achievements, their summary and their statistics.
    Achievements(UserId),
    /// The leaderboard and the recent achievements of all users.
    GlobalAchievements,
}

impl Drop {
    /// Its name in the log.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Class(_) => "class",
            Self::Matching(_) => "pattern",
            Self::User(_) => "user",
            Self::Achievements(_) => "achievements",
            Self::GlobalAchievements => "global achievements",
        }
    }

    /// `POST cache/invalidate`: exactly one of `user`, `class`, `pattern` and `all`.
    ///
    /// # Errors
    /// Every field that is wrong or unknown; no field, or more than one.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let found = [
            fields.optional("user", named).map(Self::User),
            fields.optional("class", named).map(Self::Class),
            fields.optional("pattern", named).map(Self::Matching),
            fields.flag("all").filter(|all| *all).map(|_| Self::Everything),
        ];
        let one = fields.exactly_one(found, "exactly one of user, class, pattern and all (true) is needed");
        fields.finish(one)
    }

    /// The user of `POST cache/clear/user/{id}`.
    ///
    /// # Errors
    /// The id is empty or longer than 512 bytes.
    pub fn user(raw: &str) -> Result<Self, Invalid> {
        named(raw).map(Self::User)
    }
}

/// Which entries are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyQuery {
    /// The pattern that an entry's text matches.
    pub pattern: String,
    /// How many entries at most.
    pub limit: usize,
    /// Where the page begins.
    pub cursor: Option<String>,
}

/// The parameters of a list of entries, as in the URL.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct KeyParams {
    /// The pattern for the text `class:part:part` of an entry; `*` matches any text. Default: `*`.
    #[param(min_length = 1, max_length = 512)]
    pub pattern: Option<String>,
    /// How many entries at most, 1 to 1,000. Default: 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    pub limit: Option<String>,
    /// The `next_cursor` of the previous page.
    pub cursor: Option<String>,
}

impl KeyQuery {
    /// Parses the parameters.
    ///
    /// # Errors
    /// Every invalid parameter.
    pub fn parse(params: &KeyParams) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let wanted = params.pattern.as_deref().unwrap_or("*");
        let wanted = errors.keep("pattern", named(wanted));
        let limit =
            params.limit.as_deref().map_or(Some(DEFAULT_LIMIT), |raw| errors.keep("limit", limit(raw)));
        if params.cursor.as_ref().is_some_and(|cursor| cursor.len() > CURSOR_BYTES) {
            errors.add("cursor", Invalid::new("is not a cursor of this list; take next_cursor as it came"));
        }
        match (wanted, limit) {
            (Some(pattern), Some(limit)) if errors.is_empty() => {
                Ok(Self { pattern, limit, cursor: params.cursor.clone() })
            }
            _ => Err(errors),
        }
    }
}

/// `POST cache/explain`: a class and the parts of an entry's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainBody(pub Touch);

impl ExplainBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong, missing or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let class = fields.required("class", named);
        let parts = fields.parts("key", PARTS);
        fields.finish(class.zip(parts).map(|(class, parts)| Self(Touch::Entry { class, parts })))
    }
}

/// A class's switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
#[schema(as = Switch)]
pub struct SwitchBody {
    /// Whether the class caches.
    pub enabled: bool,
}

impl SwitchBody {
    /// Parses a body.
    ///
    /// # Errors
    /// A field that is wrong, missing or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let enabled = fields.flag("enabled");
        if enabled.is_none() && !fields.is_refused() {
            fields.refuse::<()>("enabled", "is required");
        }
        fields.finish(enabled.map(|enabled| Self { enabled }))
    }
}

fn named(raw: &str) -> Result<String, Invalid> {
    match raw.len() {
        1..=NAME_BYTES => Ok(raw.to_owned()),
        _ => Err(Invalid::new("must be of 1 to 512 bytes")),
    }
}

fn limit(raw: &str) -> Result<usize, Invalid> {
    match raw.parse() {
        Ok(limit @ 1..=MAX_LIMIT) => Ok(limit),
        _ => Err(Invalid::new("must be an integer from 1 to 1000")),
    }
}
