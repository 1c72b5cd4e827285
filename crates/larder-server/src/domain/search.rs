//! The search term for names and addresses of users.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::folding::{WORD_BEGINS, folded};
use crate::domain::invalid::Invalid;

const MOST_CHARS: usize = 100;
/// A term with at least this many characters is found anywhere in a text. A shorter term would be found in too many
/// texts.
const CHARS_ANYWHERE: usize = 3;

/// A term of 1 to 100 characters, [folded]. If one or two characters are left, the term finds the users whose name,
/// user name or e-mail address has a word that begins with them. If three or more are left, it finds the users that
/// have them anywhere in these texts.
///
/// `Debug` hides the term, because it may be a person's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SearchTerm(String);

impl SearchTerm {
    /// Trims, checks and folds.
    ///
    /// # Errors
    /// The text is empty or too long, or has a control character or nothing visible.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let text = raw.trim();
        if text.is_empty() {
            return Err(Invalid::new(
                "must not be empty; one or two characters find words that begin with them, three or more are found anywhere",
            ));
        }
        if text.chars().count() > MOST_CHARS {
            return Err(Invalid::new("is too long; at most 100 characters are allowed"));
        }
        if text.chars().any(char::is_control) {
            return Err(Invalid::new("holds a control character, which is not allowed"));
        }
        let folded = folded(text);
        match folded.trim().chars().count() {
            0 => Err(Invalid::new("holds no visible character; accents alone find nothing")),
            // The folded form of a letter that is a word by itself already begins with `WORD_BEGINS`.
            _ if folded.chars().count() >= CHARS_ANYWHERE => Ok(Self(folded)),
            _ => Ok(Self(format!("{WORD_BEGINS}{folded}"))),
        }
    }

    /// The text that the folded columns of the found users contain; at least three characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the term is found in a text, which need not be folded.
    pub fn is_in(&self, text: &str) -> bool {
        format!("{WORD_BEGINS}{}", folded(text)).contains(&self.0)
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
    fn terms_are_trimmed_and_folded() {
        let term = SearchTerm::parse("  ZOË Ü% ").unwrap();
        assert_eq!(term.as_str(), "zoe  u%");
        for (short, contained) in [("Zo", "  zo"), ("É", "  e"), ("王", "  王"), ("王芳", "  王  芳")]
        {
            assert_eq!(SearchTerm::parse(short).unwrap().as_str(), contained);
        }
        assert!(term.is_in("a Zoe\u{308} U%") && !term.is_in("Zoë"));
        let short = SearchTerm::parse("zo").unwrap();
        assert!(short.is_in("Zoë") && short.is_in("a zoo") && !short.is_in("azo"));
        assert_eq!(format!("{term:?}"), "SearchTerm(…)");
        for bad in ["", "  ", "a\0b", "a\nb", "\u{301}", "\u{200b}\u{202e}", &"x".repeat(101)] {
            assert!(SearchTerm::parse(bad).is_err(), "{bad:?}");
        }
    }
}
