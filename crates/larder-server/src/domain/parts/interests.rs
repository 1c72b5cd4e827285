//! The interests of a user.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::audit::Action;
use crate::domain::fields::Fields;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::parts::Part;
use crate::domain::text::Line;

const INTERESTS: usize = 50;

/// At most 50 lines of at most 64 characters, each once, in the user's order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Interests {
    /// Default: none.
    #[schema(max_items = 50)]
    pub interests: Vec<Line<64>>,
}

impl Interests {
    /// `PUT`: the complete list.
    ///
    /// # Errors
    /// The first entry that is wrong is named; too many entries; an entry that occurs twice, whatever its case.
    pub fn parse_put(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let entries = fields.list("interests", Self::parse);
        fields.finish(entries)
    }

    fn parse(entries: Vec<Value>) -> Result<Self, Invalid> {
        if entries.len() > INTERESTS {
            return Err(Invalid::new("has too many entries; at most 50 are allowed"));
        }
        let mut interests: Vec<Line<64>> = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let number = index + 1;
            let text =
                entry.as_str().ok_or_else(|| Invalid::new(format!("entry {number} must be a string")))?;
            let line = Line::<64>::parse(text)
                .map_err(|invalid| Invalid::new(format!("entry {number} {}", invalid.message())))?;
            let folded = line.as_str().to_lowercase();
            if interests.iter().any(|other| other.as_str().to_lowercase() == folded) {
                return Err(Invalid::new(format!("entry {number} is in the list already")));
            }
            interests.push(line);
        }
        Ok(Self { interests })
    }
}

impl Part for Interests {
    type Change = Self;

    const NAME: &'static str = "interests";
    const UPDATED: Action = Action::InterestsUpdate;

    fn is_whole(_change: &Self) -> bool {
        true
    }

    fn changed(&self, change: &Self) -> Self {
        change.clone()
    }

    fn changed_fields(&self, after: &Self) -> Vec<&'static str> {
        if self == after { Vec::new() } else { vec!["interests"] }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_interest_occurs_once() {
        let parse = |list: Value| Interests::parse_put(json!({ "interests": list }));
        let good = parse(json!([" sailing ", "C++: *"])).unwrap();
        assert_eq!(good.interests.iter().map(Line::as_str).collect::<Vec<_>>(), ["sailing", "C++: *"]);
        for (bad, says) in [
            (json!(["sailing", "Sailing"]), "entry 2 is in the list already"),
            (json!(["a", 1]), "entry 2 must be a string"),
            (json!(["a", ""]), "entry 2 must not be empty"),
            (json!(["x".repeat(65)]), "at most 64"),
            (json!((0..51).map(|n| n.to_string()).collect::<Vec<_>>()), "at most 50"),
            (json!({}), "must be a list"),
        ] {
            let errors = parse(bad.clone()).unwrap_err();
            assert!(errors.get("interests").unwrap().contains(says), "{bad}: {errors}");
        }
    }
}
