//! Plain text that people write: trimmed, bounded, visible, and free of characters that distort the text beside it.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

use crate::domain::folding::is_invisible;
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

/// One line of text of 1 to `MAX` characters, of which at least one is visible. A control character, a character that
/// changes the direction of the text around it, and a combining mark without a letter before it are not allowed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Line<const MAX: usize>(String);

/// Text as a [`Line`], which may also hold line breaks and tabs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Prose<const MAX: usize>(String);

impl<const MAX: usize> Line<MAX> {
    /// Trims and checks.
    ///
    /// # Errors
    /// The text is empty or too long, or has a character that [`Line`] does not allow.
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
    /// The text is empty or too long, or has a character that [`Prose`] does not allow.
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
    let is_control = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if text.chars().any(|c| is_control(c) && !allowed(c)) {
        return Err(Invalid::new("holds a control character, which is not allowed"));
    }
    // Such a character in a name would change the direction of the text that a page shows after the name.
    if text.chars().any(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')) {
        return Err(Invalid::new(
            "holds a character that changes the direction of the text, which is not allowed",
        ));
    }
    if !text.chars().any(is_seen) {
        return Err(Invalid::new("must have a visible character"));
    }
    if has_lone_mark(text) {
        return Err(Invalid::new("holds a combining mark without a letter before it, which is not allowed"));
    }
    Ok(text.to_owned())
}

/// Whether the character is seen by itself.
fn is_seen(c: char) -> bool {
    // U+2800 is a letter of Braille without a dot.
    !c.is_whitespace() && !is_invisible(c) && !is_mark(c) && c != '\u{2800}'
}

fn is_mark(c: char) -> bool {
    !c.is_ascii() && c.general_category_group() == GeneralCategoryGroup::Mark
}

fn has_lone_mark(text: &str) -> bool {
    let before = std::iter::once(' ').chain(text.chars());
    before.zip(text.chars()).any(|(before, c)| is_mark(c) && before.is_whitespace())
}

/// Prepares the text of an identifier, in the same way for each kind and in every request. White space and characters
/// of no width at its ends are removed, because copying adds them. Letters and digits of full width, which East Asian
/// keyboards send, become ASCII. Other characters that only look like ASCII are not converted: each kind refuses them.
pub(crate) fn identifier(raw: &str) -> String {
    let text =
        raw.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}'));
    let narrow = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    };
    text.chars().map(narrow).collect()
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
    fn a_text_is_visible_and_distorts_no_other_text() {
        for good in [
            "王芳",
            "김민",
            "Zoe\u{308}",
            "مُحَمَّد",
            "שָׁלוֹם",
            "\u{200f}abc",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "कि",
        ] {
            assert_eq!(FullName::parse(good).unwrap().as_str(), good);
            assert!(Bio::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "Ann\u{202e}nnA",
            "\u{2066}Ann",
            "\u{200b}",
            "\u{200b}\u{200d} \u{feff}",
            "\u{ad}",
            "\u{3164}",
            "\u{2800}",
            "\u{301}",
            "\u{301}a",
            "a \u{301}",
            "\u{20dd}",
        ] {
            assert!(FullName::parse(bad).is_err(), "{bad:?}");
            assert!(Bio::parse(bad).is_err(), "{bad:?}");
        }
        assert!(FullName::parse("a\u{2028}b").is_err());
    }

    #[test]
    fn identifiers_lose_what_copying_and_keyboards_add() {
        assert_eq!(identifier("\u{feff} ａｎｎ＠example.com\u{a0}\u{200b}"), "ann@example.com");
        assert_eq!(identifier("\u{212a}im"), "\u{212a}im", "a confusable letter stays, and is refused");
        for kept in ["a\0", "a\u{202e}"] {
            assert_eq!(identifier(kept), kept);
        }
    }

    #[test]
    fn debug_shows_no_text() {
        assert_eq!(format!("{:?}", FullName::parse("Ann").unwrap()), "Line(…)");
    }
}
