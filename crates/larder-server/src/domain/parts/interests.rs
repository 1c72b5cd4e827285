//! The interests of a user.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::domain::audit::Action;
use crate::domain::fields::body;
use crate::domain::invalid::Invalid;
use crate::domain::json::{FromJson, List};
use crate::domain::parts::Part;
use crate::domain::text::Line;

body! {
    /// At most 50 lines of at most 64 characters, each once, in the user's order.
    #[schema(Interests)]
    #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Interests {
        /// Default: none.
        pub interests: Vec<Line<64>> as InterestList,
    }
}

/// Interests, each of which occurs once, whatever its case.
enum InterestList {}

type Lines = List<Line<64>, 0, 50>;

impl FromJson for InterestList {
    type Value = Vec<Line<64>>;

    fn from_json(value: Value) -> Result<Self::Value, Invalid> {
        let interests = Lines::from_json(value)?;
        let mut folded = HashSet::new();
        match interests.iter().position(|interest| !folded.insert(interest.as_str().to_lowercase())) {
            Some(index) => Err(Invalid::new(format!("entry {} is in the list already", index + 1))),
            None => Ok(interests),
        }
    }

    fn schema() -> RefOr<Schema> {
        Lines::schema()
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
        let parse = |list: Value| Interests::parse(json!({ "interests": list }));
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
