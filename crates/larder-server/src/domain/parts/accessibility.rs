//! A user's accessibility settings.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::audit::Action;
use crate::domain::fields::Fields;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::parts::Part;

/// The size of text, in percent: 50 to 300.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(transparent)]
#[schema(minimum = 50, maximum = 300)]
pub struct TextScale(i64);

impl TextScale {
    /// Checks the bounds.
    ///
    /// # Errors
    /// `percent` is less than 50 or more than 300.
    pub fn parse(percent: i64) -> Result<Self, Invalid> {
        match percent {
            50..=300 => Ok(Self(percent)),
            _ => Err(Invalid::new("must be an integer from 50 to 300")),
        }
    }

    /// The size in percent.
    pub fn percent(self) -> i64 {
        self.0
    }

    /// A size that was parsed before it was stored.
    pub(crate) fn stored(percent: i64) -> Self {
        Self(percent)
    }
}

/// A user's accessibility settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Accessibility {
    /// Default: 100.
    pub text_scale_percent: TextScale,
    /// Default: false.
    pub high_contrast: bool,
    /// Default: false.
    pub reduced_motion: bool,
    /// Default: false.
    pub screen_reader: bool,
    /// Default: false.
    pub captions: bool,
}

impl Default for Accessibility {
    fn default() -> Self {
        Self {
            text_scale_percent: TextScale(100),
            high_contrast: false,
            reduced_motion: false,
            screen_reader: false,
            captions: false,
        }
    }
}

/// Some accessibility settings, as the OpenAPI document describes the body of a request.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, missing_docs, reason = "describes bodies in the OpenAPI document only")]
pub struct AccessibilityBody {
    #[schema(required = false, minimum = 50, maximum = 300)]
    text_scale_percent: i64,
    #[schema(required = false)]
    high_contrast: bool,
    #[schema(required = false)]
    reduced_motion: bool,
    #[schema(required = false)]
    screen_reader: bool,
    #[schema(required = false)]
    captions: bool,
}

/// A change of accessibility settings: a field that is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in `Accessibility`")]
pub struct AccessibilityChange {
    pub text_scale_percent: Option<TextScale>,
    pub high_contrast: Option<bool>,
    pub reduced_motion: Option<bool>,
    pub screen_reader: Option<bool>,
    pub captions: Option<bool>,
}

impl AccessibilityChange {
    /// `PATCH`: missing fields stay.
    ///
    /// # Errors
    /// Every field that is wrong or unknown.
    pub fn parse_patch(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let change = Self {
            text_scale_percent: fields.replacing_number("text_scale_percent", TextScale::parse),
            high_contrast: fields.flag("high_contrast"),
            reduced_motion: fields.flag("reduced_motion"),
            screen_reader: fields.flag("screen_reader"),
            captions: fields.flag("captions"),
        };
        fields.finish(Some(change))
    }

    /// `PUT`: missing fields get their defaults.
    ///
    /// # Errors
    /// Every field that is wrong or unknown.
    pub fn parse_put(body: Value) -> Result<Self, ValidationErrors> {
        let Accessibility { text_scale_percent, high_contrast, reduced_motion, screen_reader, captions } =
            Accessibility::default().changed(&Self::parse_patch(body)?);
        Ok(Self {
            text_scale_percent: Some(text_scale_percent),
            high_contrast: Some(high_contrast),
            reduced_motion: Some(reduced_motion),
            screen_reader: Some(screen_reader),
            captions: Some(captions),
        })
    }
}

impl Part for Accessibility {
    type Change = AccessibilityChange;

    const NAME: &'static str = "accessibility";
    const UPDATED: Action = Action::AccessibilityUpdate;

    fn is_whole(change: &AccessibilityChange) -> bool {
        // The pattern names every field, so the compiler rejects a new field that is not checked here.
        let AccessibilityChange {
            text_scale_percent,
            high_contrast,
            reduced_motion,
            screen_reader,
            captions,
        } = change;
        let flags = [high_contrast, reduced_motion, screen_reader, captions];
        text_scale_percent.is_some() && flags.iter().all(|flag| flag.is_some())
    }

    fn changed(&self, change: &AccessibilityChange) -> Self {
        Self {
            text_scale_percent: change.text_scale_percent.unwrap_or(self.text_scale_percent),
            high_contrast: change.high_contrast.unwrap_or(self.high_contrast),
            reduced_motion: change.reduced_motion.unwrap_or(self.reduced_motion),
            screen_reader: change.screen_reader.unwrap_or(self.screen_reader),
            captions: change.captions.unwrap_or(self.captions),
        }
    }

    fn changed_fields(&self, after: &Self) -> Vec<&'static str> {
        let fields = [
            ("text_scale_percent", self.text_scale_percent != after.text_scale_percent),
            ("high_contrast", self.high_contrast != after.high_contrast),
            ("reduced_motion", self.reduced_motion != after.reduced_motion),
            ("screen_reader", self.screen_reader != after.screen_reader),
            ("captions", self.captions != after.captions),
        ];
        fields.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_size_of_text_is_bounded() {
        let parse = |value: Value| AccessibilityChange::parse_put(json!({ "text_scale_percent": value }));
        for good in [50, 100, 300] {
            assert_eq!(parse(json!(good)).unwrap().text_scale_percent.unwrap().percent(), good);
        }
        for bad in [json!(49), json!(301), json!(-1), json!(1.5), json!("100"), json!(null), json!(1e300)] {
            assert!(parse(bad.clone()).unwrap_err().get("text_scale_percent").is_some(), "{bad}");
        }
    }

    #[test]
    fn patch_keeps_and_put_resets() {
        let change = |body| AccessibilityChange::parse_patch(body).unwrap();
        let before = Accessibility::default().changed(&change(json!({ "captions": true })));
        let after = before.changed(&change(json!({ "text_scale_percent": 200 })));
        assert_eq!((after.captions, after.text_scale_percent.percent()), (true, 200));
        assert_eq!(before.changed_fields(&after), ["text_scale_percent"]);
        let put = AccessibilityChange::parse_put(json!({})).unwrap();
        assert_eq!(after.changed(&put), Accessibility::default());
    }
}
