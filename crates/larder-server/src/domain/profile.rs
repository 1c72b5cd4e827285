//! The fields of a profile with types of their own: the picture's address and the list of skills.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::domain::invalid::Invalid;
use crate::domain::json::{FromJson, List};
use crate::domain::text::{Line, text_type};

const URL_BYTES: usize = 2048;

text_type! {
    /// The address of a picture: http or https, at most 2,048 characters.
    #[schema(pattern = "^[Hh][Tt][Tt][Pp][Ss]?://", max_length = 2048)]
    AvatarUrl
}

impl AvatarUrl {
    /// Trims and checks. The address is not fetched.
    ///
    /// # Errors
    /// The text has another scheme, no host, a user name, or a character that a URL must escape, or it is too long.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let text = raw.trim();
        if text.len() > URL_BYTES {
            return Err(Invalid::new("is too long; at most 2048 characters are allowed"));
        }
        let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
        let after_scheme = if lower.starts_with("https://") {
            text.get(8..)
        } else if lower.starts_with("http://") {
            text.get(7..)
        } else {
            None
        };
        let host = after_scheme.unwrap_or_default().split(['/', '?', '#']).next().unwrap_or_default();
        let clean = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
        if host.is_empty() || host.contains('@') || !clean {
            return Err(Invalid::new("is not a web address; expected http:// or https:// and a host"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The skills of a user: at most 50 entries of at most 64 characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(max_items = 50)]
pub struct Skills(Vec<Line<64>>);

impl Skills {
    /// Trims and checks each entry.
    ///
    /// # Errors
    /// There are more than 50 entries, or an entry is empty, too long or holds a control character.
    pub fn parse<'a>(raw: impl IntoIterator<Item = &'a str>) -> Result<Self, Invalid> {
        SkillList::from_json(raw.into_iter().collect())
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Line::as_str)
    }
}

/// Skills in the body of a request.
pub(crate) enum SkillList {}

type Entries = List<Line<64>, 0, 50>;

impl FromJson for SkillList {
    type Value = Skills;

    fn from_json(value: Value) -> Result<Skills, Invalid> {
        Entries::from_json(value).map(Skills)
    }

    fn schema() -> RefOr<Schema> {
        Entries::schema()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn avatars_are_web_addresses() {
        for good in ["https://x.org/a.png?s=1#f", "HTTP://x", "http://[::1]:8080/a"] {
            assert!(AvatarUrl::parse(good).is_ok(), "{good}");
        }
        let long = format!("https://x/{}", "a".repeat(2048));
        for bad in [
            "",
            "x",
            "ftp://x/a",
            "javascript:alert(1)",
            "http://",
            "https:///a",
            "http://u:p@x/",
            "http://x/a b",
            "http://x/<script>",
            "http://x/\"",
            "http://x/\na",
            "http://ä.de/",
            "äääähttp://x",
            &long,
        ] {
            assert!(AvatarUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn skills_are_bounded() {
        let skills = Skills::parse([" rust ", "sql: *"]).unwrap();
        assert_eq!(skills.iter().collect::<Vec<_>>(), ["rust", "sql: *"]);
        assert!(Skills::parse([]).is_ok());
        assert!(Skills::parse(["x"; 50]).is_ok());
        assert!(Skills::parse(["x"; 51]).is_err());
        assert!(Skills::parse(["ok", ""]).unwrap_err().message().starts_with("entry 2 "));
    }
}
