//! A password that a request sent, before it is hashed.

use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization as _;

use crate::invalid::Invalid;

const CHARS: std::ops::RangeInclusive<usize> = 10..=256;

/// The passwords that are refused, one a line, in the form in which they are compared: NFKC, lower case, at least 10
/// characters. A line that begins with `#` is a comment; the comments say where the passwords come from. The list is
/// compiled in, and no setting changes it.
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let lines = include_str!("common_passwords.txt").lines();
    lines.filter(|line| !line.starts_with('#')).collect()
});

/// A password of at most 256 characters, and of at least 10 if it is a new one. It can be neither printed nor
/// serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    /// The password in Unicode's form NFKC, because two keyboards may send the same letter as different characters.
    normal: String,
    /// The password as it was sent, if it differs from `normal`: earlier releases hashed this form.
    sent: Option<String>,
}

impl Password {
    /// Checks a new password.
    ///
    /// # Errors
    /// Fewer than 10 or more than 256 characters, a common password, or one character only.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let password = Self::attempt(raw).map_err(|_| Invalid::new("must be 10 to 256 characters long"))?;
        let folded = password.normal.to_lowercase();
        let mut letters = folded.chars();
        let first = letters.next();
        if !CHARS.contains(&password.normal.chars().count()) {
            Err(Invalid::new("must be 10 to 256 characters long"))
        } else if letters.all(|letter| Some(letter) == first) {
            Err(Invalid::new("must not be one character, repeated"))
        } else if COMMON.contains(folded.as_str()) {
            Err(Invalid::new("is one of the commonest passwords; take several words"))
        } else {
            Ok(password)
        }
    }

    /// A password to compare with a hash: any text up to the greatest length of a password.
    ///
    /// # Errors
    /// The text has more than 256 characters: the bound limits the cost of a hash.
    pub fn attempt(raw: &str) -> Result<Self, Invalid> {
        if raw.chars().count() > *CHARS.end() {
            return Err(Invalid::new("must be at most 256 characters long"));
        }
        let normal: String = raw.nfkc().collect();
        let sent = (normal != raw).then(|| raw.to_owned());
        Ok(Self { normal, sent })
    }

    /// Whether the password is this text, such as the user's own address; upper and lower case count as equal.
    pub fn is_same_as(&self, text: &str) -> bool {
        self.normal.to_lowercase() == text.nfkc().collect::<String>().to_lowercase()
    }

    /// The secret itself, for hashing and comparing only.
    pub fn expose(&self) -> &str {
        &self.normal
    }

    /// The password as it was sent, if that differs from [`Password::expose`]. It is compared with hashes of earlier
    /// releases and of other systems.
    pub(crate) fn expose_sent(&self) -> Option<&str> {
        self.sent.as_deref()
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
        for (chars, good) in [(0, false), (8, false), (9, true), (255, true), (256, false)] {
            assert_eq!(Password::parse(&format!("a{}", "ö".repeat(chars))).is_ok(), good, "{chars}");
        }
        assert!(Password::attempt("").is_ok());
        assert!(Password::attempt(&"x".repeat(257)).is_err());
        assert_eq!(format!("{:?}", Password::parse("correct horse").unwrap()), "Password(…)");
    }

    #[test]
    fn what_everybody_guesses_first_is_refused() {
        assert!(COMMON.len() > 10_000 && !COMMON.iter().any(|line| line.chars().count() < 10));
        for (raw, says) in [
            ("qwertyuiop", "commonest"),
            ("Basketball", "commonest"),
            ("\u{ff11}234567890", "commonest"),
            ("aaaaaaaaaaaa", "repeated"),
            ("AaAaAaAaAaAa", "repeated"),
        ] {
            let invalid = Password::parse(raw).unwrap_err();
            assert!(invalid.message().contains(says), "{raw}: {}", invalid.message());
            assert!(Password::attempt(raw).is_ok(), "who has it already logs in");
        }
        assert!(Password::parse("basketball shoes").is_ok());
        assert!(Password::parse("Ann.Lee@x.example").unwrap().is_same_as("ann.lee@X.example"));
    }

    #[test]
    fn one_password_has_one_form() {
        let composed = Password::parse("gl\u{fc}ck und salz").unwrap();
        let decomposed = Password::parse("glu\u{308}ck und salz").unwrap();
        assert_eq!(composed.expose(), decomposed.expose());
        assert_eq!((composed.expose_sent(), decomposed.expose_sent()), (None, Some("glu\u{308}ck und salz")));
    }
}
