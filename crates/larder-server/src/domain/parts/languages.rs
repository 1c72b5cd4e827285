//! The languages that a user speaks, and how well.

use std::collections::HashSet;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::domain::audit::Action;
use crate::domain::fields::body;
use crate::domain::invalid::Invalid;
use crate::domain::json::{FromJson, List, component, from_json, text_of};
use crate::domain::parts::Part;
use crate::domain::text::text_type;

const TAG_BYTES: usize = 35;

text_type! {
    /// A language tag in the form of BCP 47: `en`, `pt-BR`, `zh-Hant-TW`. Whether the language exists is not checked.
    #[schema(max_length = 35, pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]
    LanguageTag
}

impl LanguageTag {
    /// Checks the form, and converts the case to the usual one: `EN-gb` becomes `en-GB`.
    ///
    /// # Errors
    /// The text is longer than 35 bytes, or it does not have the form of a tag: a word of 2 to 8 letters, then words of
    /// 1 to 8 letters and digits, separated by dashes.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let words: Vec<_> = raw.split('-').collect();
        let shaped = raw.len() <= TAG_BYTES
            && words.iter().all(|word| {
                (1..=8).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
            })
            && words
                .first()
                .is_some_and(|word| word.len() >= 2 && word.bytes().all(|byte| byte.is_ascii_alphabetic()));
        if !shaped {
            return Err(Invalid::new("is not a language tag; expected one such as en or pt-BR"));
        }
        // A single letter begins an extension, and extensions are entirely in lower case.
        let extensions = words.iter().position(|word| word.len() == 1).unwrap_or(words.len());
        let usual = words.iter().enumerate().map(|(index, word)| {
            let lower = word.to_ascii_lowercase();
            match word.len() {
                2 if (1..extensions).contains(&index) => lower.to_ascii_uppercase(),
                4 if (1..extensions).contains(&index) => lower[..1].to_ascii_uppercase() + &lower[1..],
                _ => lower,
            }
        });
        Ok(Self(usual.collect::<Vec<_>>().join("-")))
    }
}

/// How well a user speaks a language.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Knows a few words.
    Basic,
    /// Speaks about everyday matters.
    Conversational,
    /// Speaks about everything, with ease.
    Fluent,
    /// Has spoken it since childhood.
    Native,
}

impl FromStr for Level {
    type Err = Invalid;

    fn from_str(raw: &str) -> Result<Self, Invalid> {
        match raw {
            "basic" => Ok(Self::Basic),
            "conversational" => Ok(Self::Conversational),
            "fluent" => Ok(Self::Fluent),
            "native" => Ok(Self::Native),
            _ => Err(Invalid::new("must be basic, conversational, fluent or native")),
        }
    }
}

from_json!(Level, text_of, str::parse, component::<Self>());

body! {
    /// One language of a user.
    #[schema(Language)]
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Language {
        /// The language.
        pub code: LanguageTag,
        /// How well the user speaks it.
        pub level: Level,
    }
}

impl FromJson for Language {
    type Value = Self;

    fn from_json(value: Value) -> Result<Self, Invalid> {
        Self::parse(value).map_err(|errors| Invalid::new(format!("is not a language: {errors}")))
    }

    fn schema() -> RefOr<Schema> {
        component::<Self>().into()
    }
}

body! {
    /// At most 20 languages, each once, in the user's order.
    #[schema(Languages)]
    #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Languages {
        /// Default: none.
        pub languages: Vec<Language> as LanguageList,
    }
}

/// Languages, each of which occurs once.
enum LanguageList {}

type Entries = List<Language, 0, 20>;

impl FromJson for LanguageList {
    type Value = Vec<Language>;

    fn from_json(value: Value) -> Result<Self::Value, Invalid> {
        let languages = Entries::from_json(value)?;
        let mut codes = HashSet::new();
        match languages.iter().position(|language| !codes.insert(&language.code)) {
            Some(index) => Err(Invalid::new(format!("entry {} is a language listed before", index + 1))),
            None => Ok(languages),
        }
    }

    fn schema() -> RefOr<Schema> {
        Entries::schema()
    }
}

impl Part for Languages {
    type Change = Self;

    const NAME: &'static str = "languages";
    const UPDATED: Action = Action::LanguagesUpdate;

    fn is_whole(_change: &Self) -> bool {
        true
    }

    fn changed(&self, change: &Self) -> Self {
        change.clone()
    }

    fn changed_fields(&self, after: &Self) -> Vec<&'static str> {
        if self == after { Vec::new() } else { vec!["languages"] }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tags_are_checked_and_get_their_usual_case() {
        for (raw, usual) in [
            ("en", "en"),
            ("EN-gb", "en-GB"),
            ("ZH-hant-tw", "zh-Hant-TW"),
            ("es-419", "es-419"),
            ("de-CH-1996", "de-CH-1996"),
            ("en-US-u-CA-Gregory", "en-US-u-ca-gregory"),
            ("haw", "haw"),
        ] {
            assert_eq!(LanguageTag::parse(raw).unwrap().as_str(), usual);
        }
        for bad in
            ["", "e", "e-n", "en-", "-en", "en_GB", "én", "12", "en gb", "abcdefghi", &"en-x".repeat(9)]
        {
            assert!(LanguageTag::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_language_occurs_once() {
        let parse = |list: Value| Languages::parse(json!({ "languages": list }));
        let two = json!([{ "code": "en", "level": "native" }, { "code": "NL", "level": "basic" }]);
        assert_eq!(parse(two).unwrap().languages[1].code.as_str(), "nl");
        assert!(parse(json!([])).unwrap().languages.is_empty());
        let twice = json!([{ "code": "en", "level": "native" }, { "code": "EN", "level": "basic" }]);
        for (bad, says) in [
            (twice, "entry 2 is a language"),
            (json!([{ "code": "en", "level": "good" }]), "entry 1 is not a language: level: must be basic"),
            (json!([{ "code": "en" }]), "entry 1 is not a language: level: is required"),
            (json!(["en"]), "entry 1 is not a language: body: must be a JSON object"),
            (json!(null), "must not be null"),
            (json!("en"), "must be a list"),
            (json!(vec![json!({ "code": "en", "level": "basic" }); 21]), "at most 20"),
        ] {
            let errors = parse(bad.clone()).unwrap_err();
            assert!(errors.get("languages").unwrap().contains(says), "{bad}: {errors}");
        }
        assert!(Languages::parse(json!({})).unwrap_err().get("languages").is_some());
    }
}
