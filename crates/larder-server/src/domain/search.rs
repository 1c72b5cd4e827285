//! The search term for names and addresses of users.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::invalid::Invalid;

const MOST_CHARS: usize = 100;
/// A term with at least this many characters is found anywhere in a text. A shorter term would be found in too many
/// texts.
const CHARS_ANYWHERE: usize = 3;

/// A term of 1 to 100 characters, in lower case. One or two characters find users whose user name or e-mail address
/// begins with them; three or more find users that have them anywhere in name, user name or address.
///
/// `Debug` hides the term, because it may be a person's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SearchTerm(String);

impl SearchTerm {
    /// Trims, checks and lower-cases.
    ///
    /// # Errors
    /// The text is empty, too long, or has a control character.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let text = raw.trim().to_lowercase();
        if text.is_empty() {
            return Err(Invalid::new(
                "must not be empty; one or two characters find who begins with them, three or more find them anywhere",
            ));
        }
        if text.chars().count() > MOST_CHARS {
            return Err(Invalid::new("is too long; at most 100 characters are allowed"));
        }
        if text.chars().any(char::is_control) {
            return Err(Invalid::new("holds a control character, which is not allowed"));
        }
        Ok(Self(text))
    }

    /// The term, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the term is found anywhere in a text, and not only at its beginning.
    pub fn is_found_anywhere(&self) -> bool {
        self.0.chars().count() >= CHARS_ANYWHERE
    }
}

impl fmt::Debug for SearchTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SearchTerm(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_trimmed_and_in_lower_case() {
        let term = SearchTerm::parse("  ZOË Ü% ").unwrap();
        assert_eq!(term.as_str(), "zoë ü%");
        assert!(term.is_found_anywhere() && !SearchTerm::parse("Zo").unwrap().is_found_anywhere());
        assert_eq!(format!("{term:?}"), "SearchTerm(…)");
        for bad in ["", "  ", "a\0b", "a\nb", &"x".repeat(101)] {
            assert!(SearchTerm::parse(bad).is_err(), "{bad:?}");
        }
    }
}
