//! A user's preferences: appearance, language, time zone and notifications.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::audit::Action;
use crate::domain::fields::Fields;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::parts::Part;
use crate::domain::parts::languages::LanguageTag;
use crate::domain::text::text_type;

const ZONE_BYTES: usize = 64;

/// The colours of the user interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// The device's setting.
    #[default]
    System,
    /// Dark text on a light background.
    Light,
    /// Light text on a dark background.
    Dark,
}

impl Theme {
    /// Its name in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

impl FromStr for Theme {
    type Err = Invalid;

    fn from_str(raw: &str) -> Result<Self, Invalid> {
        [Self::System, Self::Light, Self::Dark]
            .into_iter()
            .find(|theme| theme.as_str() == raw)
            .ok_or_else(|| Invalid::new("is not a theme; system, light and dark are allowed"))
    }
}

text_type! {
    /// The name of a time zone, in the form of the IANA database, such as `America/Nassau`. Whether the zone exists is
    /// not checked, because the database of zones changes several times a year; a program that shows times checks it.
    TimeZone
}

impl TimeZone {
    /// Checks the form.
    ///
    /// # Errors
    /// The text is not one to three words of letters, digits, `_`, `+` and `-`, separated by slashes.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let word = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_alphabetic())
                && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
        };
        let words: Vec<_> = raw.split('/').collect();
        if raw.len() <= ZONE_BYTES && words.len() <= 3 && words.iter().all(|part| word(part)) {
            Ok(Self(raw.to_owned()))
        } else {
            Err(Invalid::new("is not a time zone; expected a name such as UTC or America/Nassau"))
        }
    }
}

/// A user's preferences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Preferences {
    /// Default: `system`.
    pub theme: Theme,
    /// The language and region in which the service is shown. Default: `en`.
    pub locale: LanguageTag,
    /// Default: `UTC`.
    pub time_zone: TimeZone,
    /// Default: true.
    pub email_notifications: bool,
    /// Default: true.
    pub push_notifications: bool,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            theme: Theme::System,
            locale: LanguageTag::stored("en".to_owned()),
            time_zone: TimeZone::stored("UTC".to_owned()),
            email_notifications: true,
            push_notifications: true,
        }
    }
}

/// Some preferences, as the OpenAPI document describes the body of a request.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, missing_docs, reason = "describes bodies in the OpenAPI document only")]
pub struct PreferencesBody {
    #[schema(required = false)]
    theme: Theme,
    /// A language tag as in BCP 47, such as `pt-BR`.
    #[schema(required = false, max_length = 35, pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]
    locale: String,
    /// A name as in the IANA database, such as `America/Nassau`.
    #[schema(
        required = false,
        max_length = 64,
        pattern = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z][A-Za-z0-9_+-]*){0,2}$"
    )]
    time_zone: String,
    #[schema(required = false)]
    email_notifications: bool,
    #[schema(required = false)]
    push_notifications: bool,
}

/// A change of preferences: a field that is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in `Preferences`")]
pub struct PreferencesChange {
    pub theme: Option<Theme>,
    pub locale: Option<LanguageTag>,
    pub time_zone: Option<TimeZone>,
    pub email_notifications: Option<bool>,
    pub push_notifications: Option<bool>,
}

impl PreferencesChange {
    /// `PATCH`: missing fields stay.
    ///
    /// # Errors
    /// Every field that is wrong or unknown.
    pub fn parse_patch(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let change = Self {
            theme: fields.replacing("theme", Theme::from_str),
            locale: fields.replacing("locale", LanguageTag::parse),
            time_zone: fields.replacing("time_zone", TimeZone::parse),
            email_notifications: fields.flag("email_notifications"),
            push_notifications: fields.flag("push_notifications"),
        };
        fields.finish(Some(change))
    }

    /// `PUT`: missing fields get their defaults.
    ///
    /// # Errors
    /// Every field that is wrong or unknown.
    pub fn parse_put(body: Value) -> Result<Self, ValidationErrors> {
        let Preferences { theme, locale, time_zone, email_notifications, push_notifications } =
            Preferences::default().changed(&Self::parse_patch(body)?);
        Ok(Self {
            theme: Some(theme),
            locale: Some(locale),
            time_zone: Some(time_zone),
            email_notifications: Some(email_notifications),
            push_notifications: Some(push_notifications),
        })
    }
}

impl Part for Preferences {
    type Change = PreferencesChange;

    const NAME: &'static str = "preferences";
    const UPDATED: Action = Action::PreferencesUpdate;

    fn is_whole(change: &PreferencesChange) -> bool {
        // The pattern names every field, so the compiler rejects a new field that is not checked here.
        let PreferencesChange { theme, locale, time_zone, email_notifications, push_notifications } = change;
        theme.is_some()
            && locale.is_some()
            && time_zone.is_some()
            && email_notifications.is_some()
            && push_notifications.is_some()
    }

    fn changed(&self, change: &PreferencesChange) -> Self {
        Self {
            theme: change.theme.unwrap_or(self.theme),
            locale: change.locale.clone().unwrap_or_else(|| self.locale.clone()),
            time_zone: change.time_zone.clone().unwrap_or_else(|| self.time_zone.clone()),
            email_notifications: change.email_notifications.unwrap_or(self.email_notifications),
            push_notifications: change.push_notifications.unwrap_or(self.push_notifications),
        }
    }

    fn changed_fields(&self, after: &Self) -> Vec<&'static str> {
        let fields = [
            ("theme", self.theme != after.theme),
            ("locale", self.locale != after.locale),
            ("time_zone", self.time_zone != after.time_zone),
            ("email_notifications", self.email_notifications != after.email_notifications),
            ("push_notifications", self.push_notifications != after.push_notifications),
        ];
        fields.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_form_of_time_zones_is_checked() {
        for good in ["UTC", "America/Nassau", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT"] {
            assert_eq!(TimeZone::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "/", "UTC/", "a b", "../etc/passwd", "A/B/C/D", "+05:00", "5", &"x".repeat(65)] {
            assert!(TimeZone::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patch_keeps_and_put_resets() {
        let dark = json!({ "theme": "dark", "push_notifications": false });
        let before = Preferences::default().changed(&PreferencesChange::parse_patch(dark).unwrap());
        assert_eq!((before.theme, before.push_notifications), (Theme::Dark, false));
        let patched = before.changed(&PreferencesChange::parse_patch(json!({ "locale": "NL-be" })).unwrap());
        assert_eq!((patched.theme, patched.locale.as_str()), (Theme::Dark, "nl-BE"));
        assert_eq!(before.changed_fields(&patched), ["locale"]);
        let put = patched.changed(&PreferencesChange::parse_put(json!({ "theme": "light" })).unwrap());
        assert_eq!(put, Preferences { theme: Theme::Light, ..Preferences::default() });

        let bad =
            json!({ "theme": "pink", "locale": null, "time_zone": 1, "push_notifications": "no", "x": 1 });
        let errors = PreferencesChange::parse_put(bad).unwrap_err();
        let names: Vec<_> = errors.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["locale", "push_notifications", "theme", "time_zone", "x"]);
    }
}
