//! A password between a request and its hash.

use std::fmt;

use crate::invalid::Invalid;

const CHARS: std::ops::RangeInclusive<usize> = 10..=256;

/// A password of 10 to 256 characters. It can be neither printed nor serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Checks the length of a new password.
    ///
    /// # Errors
    /// Fewer than 10 or more than 256 characters.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        if CHARS.contains(&raw.chars().count()) {
            Ok(Self(raw.to_owned()))
        } else {
            Err(Invalid::new("must be 10 to 256 characters long"))
        }
    }

    /// A password to compare with a hash: any text up to the greatest length of a password.
    ///
    /// # Errors
    /// The text has more than 256 characters: the bound limits the cost of a hash.
    pub fn attempt(raw: &str) -> Result<Self, Invalid> {
        if raw.chars().count() <= *CHARS.end() {
            Ok(Self(raw.to_owned()))
        } else {
            Err(Invalid::new("must be at most 256 characters long"))
        }
    }

    /// The secret itself, for hashing and comparing only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_bounded_and_hidden() {
        for (chars, good) in [(0, false), (9, false), (10, true), (256, true), (257, false)] {
            assert_eq!(Password::parse(&"ö".repeat(chars)).is_ok(), good, "{chars}");
        }
        assert!(Password::attempt("").is_ok());
        assert!(Password::attempt(&"x".repeat(257)).is_err());
        assert_eq!(format!("{:?}", Password::parse("correct horse").unwrap()), "Password(…)");
    }
}
