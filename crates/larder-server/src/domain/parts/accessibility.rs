//! A user's accessibility settings.

use serde::{Deserialize, Serialize};

use crate::domain::invalid::Invalid;
use crate::domain::json::{component, from_json, integer_of};
use crate::domain::parts::settings;

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

    /// Makes a size from a stored number, which was checked before it was stored.
    pub(crate) fn stored(percent: i64) -> Self {
        Self(percent)
    }
}

from_json!(TextScale, integer_of, Self::parse, component::<Self>());

settings! {
    /// A user's accessibility settings.
    Accessibility, "accessibility", AccessibilityUpdate;
    /// Some accessibility settings. `PATCH` keeps what is missing, `PUT` sets it to its default.
    AccessibilityChange as AccessibilityBody;
    /// Default: 100.
    text_scale_percent: TextScale = TextScale(100);
    /// Default: false.
    high_contrast: bool = false;
    /// Default: false.
    reduced_motion: bool = false;
    /// Default: false.
    screen_reader: bool = false;
    /// Default: false.
    captions: bool = false;
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::parts::Part as _;

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
        let change = |body| AccessibilityChange::parse(body).unwrap();
        let before = Accessibility::default().changed(&change(json!({ "captions": true })));
        let after = before.changed(&change(json!({ "text_scale_percent": 200 })));
        assert_eq!((after.captions, after.text_scale_percent.percent()), (true, 200));
        assert_eq!(before.changed_fields(&after), ["text_scale_percent"]);
        let put = AccessibilityChange::parse_put(json!({})).unwrap();
        assert_eq!(after.changed(&put), Accessibility::default());
    }
}
