//! Requests of admins about the cache: which entries to list or explain, and which to invalidate.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::fields::{NotNull, body, one_of};
use crate::domain::identity::UserId;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::json::{List, from_json, nullable, string, text_of, whole};

const NAME_BYTES: usize = 512;
const CURSOR_BYTES: usize = 1024;
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;
const HISTORY_SPAN: Duration = Duration::from_secs(3_600);
/// Up to this span, a step is `HISTORY_FINE`; beyond it `HISTORY_COARSE`: 144 of them are a day.
const HISTORY_FINE_MAX: Duration = Duration::from_secs(7_200);
const HISTORY_FINE: Duration = Duration::from_secs(60);
const HISTORY_COARSE: Duration = Duration::from_secs(600);
/// Each step of the answer has the counts of each class.
const HISTORY_STEPS_MAX: u64 = 500;

/// What an invalidation by hand removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drop {
    /// All entries.
    Everything,
    /// One class.
    Class(String),
    /// Every entry whose text `class:part:part` matches this pattern.
    Matching(String),
    /// All entries of the user with this id or external id; the user need not exist.
    User(String),
    /// A user's achievements, their summary and their statistics.
    Achievements(UserId),
    /// The leaderboard and the recent achievements of all users.
    GlobalAchievements,
}

impl Drop {
    /// The name of this kind in the log.
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

    /// Parses the id in the path `cache/clear/user/{id}`.
    ///
    /// # Errors
    /// The id is empty or longer than 512 bytes.
    pub fn user(raw: &str) -> Result<Self, Invalid> {
        named::<NAME_BYTES>(raw).map(Self::User)
    }
}

body! {
    /// Exactly one of these fields.
    #[schema(Invalidate, {"pattern": "user_details:*"})]
    #[derive(Debug)]
    pub struct InvalidateBody {
        /// What to remove.
        pub what: Drop as DropByHand,
    }
}

one_of! {
    /// What a request can remove.
    DropByHand => Drop, "exactly one of user, class, pattern and all (true) is needed";
    /// All entries of one user, by our id or an external one; the user need not exist.
    user: Option<Name<NAME_BYTES>> => Drop::User,
    /// A class with all its entries.
    class: Option<ClassName> => Drop::Class,
    /// Every entry whose text `class:part:part` matches; `*` matches any text.
    pattern: Option<Name<NAME_BYTES>> => Drop::Matching,
    /// Everything.
    all: NotNull<bool> => |all: bool| all.then_some(Drop::Everything),
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
        let wanted = errors.keep("pattern", named::<NAME_BYTES>(wanted));
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

/// Which part of the history is summed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// How much of it, until now.
    pub since: Duration,
    /// The length of a step.
    pub step: Duration,
    /// The only instance that counts; `None`: all.
    pub instance: Option<String>,
}

/// The parameters of the history, as in the URL.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryParams {
    /// How much of the history, in seconds until now, 60 to 86,400. Default: 3600, an hour.
    #[param(value_type = Option<u32>, minimum = 60, maximum = 86400)]
    pub since: Option<String>,
    /// The length of a step in seconds, 60 to 86,400; rounded up to minutes. `since` may have 500 steps at most. Default: 60 up
    /// to two hours, else 600.
    #[param(value_type = Option<u32>, minimum = 60, maximum = 86400)]
    pub step: Option<String>,
    /// The only instance that counts, by its name. Default: all instances.
    #[param(min_length = 1, max_length = 512)]
    pub instance: Option<String>,
}

impl HistoryQuery {
    /// Parses the parameters.
    ///
    /// # Errors
    /// Every invalid parameter.
    pub fn parse(params: &HistoryParams) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let mut seconds = |name, raw: &Option<String>| match raw {
            Some(raw) => errors.keep(name, span(raw)).map(Some),
            None => Some(None),
        };
        let (since, step) = (seconds("since", &params.since), seconds("step", &params.step));
        let instance = params.instance.as_deref().map(named::<NAME_BYTES>);
        let instance = instance.and_then(|instance| errors.keep("instance", instance));
        match (since, step) {
            (Some(since), Some(step)) if errors.is_empty() => {
                let since = since.unwrap_or(HISTORY_SPAN);
                let usual = if since <= HISTORY_FINE_MAX { HISTORY_FINE } else { HISTORY_COARSE };
                let step = step.unwrap_or(usual);
                match since.as_secs().div_ceil(step.as_secs()) <= HISTORY_STEPS_MAX {
                    true => Ok(Self { since, step, instance }),
                    false => {
                        Err(ValidationErrors::one("step", Invalid::new("must be at least 1/500 of since")))
                    }
                }
            }
            _ => Err(errors),
        }
    }
}

fn span(raw: &str) -> Result<Duration, Invalid> {
    match raw.parse() {
        Ok(seconds @ 60..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err(Invalid::new("must be an integer from 60 to 86400")),
    }
}

body! {
    /// The entry to explain.
    #[schema(Explain)]
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ExplainBody {
        /// The class of the entry.
        pub class: String as ClassName,
        /// The parts of the entry's key, as `cache/keys` shows them.
        pub key: Vec<Option<String>> as List<Part, 1, 16>,
    }
}

body! {
    /// A class's switch.
    #[schema(Switch)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct SwitchBody {
        /// Whether the class caches.
        pub enabled: bool,
    }
}

/// A text of 1 to `MAX` bytes.
enum Name<const MAX: usize> {}

from_json!(
    @[const MAX: usize] Name<MAX> => String, text_of, named::<MAX>, string().min_length(Some(1)).max_length(Some(MAX))
);

/// The name of a class, as long as the cache allows one.
type ClassName = Name<128>;

/// A part of a key; null is a missing part.
enum Part {}

from_json!(Part => Option<String>, whole, part, nullable(string().into()));

fn part(value: &Value) -> Result<Option<String>, Invalid> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err(Invalid::new("must be a string or null")),
    }
}

fn named<const MAX: usize>(raw: &str) -> Result<String, Invalid> {
    match (1..=MAX).contains(&raw.len()) {
        true => Ok(raw.to_owned()),
        false => Err(Invalid::new(format!("must be of 1 to {MAX} bytes"))),
    }
}

fn limit(raw: &str) -> Result<usize, Invalid> {
    match raw.parse() {
        Ok(limit @ 1..=MAX_LIMIT) => Ok(limit),
        _ => Err(Invalid::new("must be an integer from 1 to 1000")),
    }
}
