//! Plain text that people write: trimmed, bounded, and free of control characters.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::invalid::Invalid;
use crate::domain::json::string;

/// A text with rules of its own: the value of a text column.
pub trait Text: Sized {
    /// The text.
    fn as_str(&self) -> &str;
    /// A text that was parsed before it was stored.
    fn stored(text: String) -> Self;
}

/// Defines a newtype over `String`. The type has to define `parse`, the only function that makes a value from a
/// request. With `@bare`, it has to define `new` instead, and it does not implement [`Text`].
///
/// `Debug` hides the text, because it is personal data and could reach logs. `Deserialize` does not check the text. It
/// is only for cached entries, which larder wrote itself, and never for the body of a request.
macro_rules! text_type {
    (@bare $(#[$doc:meta])* $name:ident) => {
        #[derive(
            Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
        )]
        $(#[$doc])*
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// A text that was parsed before it was stored.
            pub(crate) fn stored(text: String) -> Self {
                Self(text)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
    ($(#[$doc:meta])* $name:ident) => {
        $crate::domain::text::text_type!(@bare $(#[$doc])* $name);
        $crate::domain::text::text!([] $name, $crate::domain::json::component::<Self>());
    };
}
pub(crate) use text_type;

/// Implements [`Text`] and `FromJson` for a type that has its own `as_str`, `stored` and `parse`.
macro_rules! text {
    ([$($generic:tt)*] $name:ty, $schema:expr) => {
        impl<$($generic)*> $crate::domain::text::Text for $name {
            fn as_str(&self) -> &str {
                self.as_str()
            }

            fn stored(text: String) -> Self {
                Self::stored(text)
            }
        }

        $crate::domain::json::from_json!(
            @[$($generic)*] $name, $crate::domain::json::text_of, Self::parse, $schema
        );
    };
}
pub(crate) use text;

text!([const MAX: usize] Line<MAX>, string().min_length(Some(1)).max_length(Some(MAX)));
text!([const MAX: usize] Prose<MAX>, string().min_length(Some(1)).max_length(Some(MAX)));

/// A full name, at most 200 characters.
pub type FullName = Line<200>;
/// A user's occupation, at most 200 characters.
pub type Occupation = Line<200>;
/// A user's location, at most 200 characters.
pub type Location = Line<200>;
/// A user's description of itself, at most 2,000 characters.
pub type Bio = Prose<2000>;
/// A user's experience, at most 4,000 characters.
pub type Experience = Prose<4000>;

/// One line of text of 1 to `MAX` characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Line<const MAX: usize>(String);

/// Text of 1 to `MAX` characters that may hold line breaks and tabs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Prose<const MAX: usize>(String);

impl<const MAX: usize> Line<MAX> {
    /// Trims and checks.
    ///
    /// # Errors
    /// The text is empty, too long, or has a control character.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        bounded(raw, MAX, |_| false).map(Self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }
}

impl<const MAX: usize> Prose<MAX> {
    /// Trims and checks; a carriage return before a line feed is dropped.
    ///
    /// # Errors
    /// The text is empty, too long, or has a control character other than a line feed or a tab.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        bounded(&raw.replace("\r\n", "\n"), MAX, |c| c == '\n' || c == '\t').map(Self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }
}

impl<const MAX: usize> fmt::Debug for Line<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line(…)")
    }
}

impl<const MAX: usize> fmt::Debug for Prose<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prose(…)")
    }
}

fn bounded(raw: &str, max_chars: usize, allowed: fn(char) -> bool) -> Result<String, Invalid> {
    let text = raw.trim();
    if text.is_empty() {
        return Err(Invalid::new("must not be empty; leave it out or send null for none"));
    }
    if text.chars().count() > max_chars {
        return Err(Invalid::new(format!("is too long; at most {max_chars} characters are allowed")));
    }
    if text.chars().any(|c| c.is_control() && !allowed(c)) {
        return Err(Invalid::new("holds a control character, which is not allowed"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_trimmed_and_bounded() {
        assert_eq!(FullName::parse("  Zoë *[x]: \u{1F980} ").unwrap().as_str(), "Zoë *[x]: \u{1F980}");
        assert!(Line::<3>::parse("äöü").is_ok());
        for bad in ["", "   ", "abcd", "a\nb", "a\0", "\u{7f}b", "a\u{85}b"] {
            assert!(Line::<3>::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn prose_may_have_line_breaks_but_no_other_control_character() {
        assert_eq!(Bio::parse("a\r\n\tb\n").unwrap().as_str(), "a\n\tb");
        for bad in ["a\0b", "a\rb", "a\u{1b}[0m", &"x".repeat(2001)] {
            assert!(Bio::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn debug_shows_no_text() {
        assert_eq!(format!("{:?}", FullName::parse("Ann").unwrap()), "Line(…)");
    }
}
