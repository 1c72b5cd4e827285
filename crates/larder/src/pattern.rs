//! Patterns over the readable texts of entries: `class:part:part`, with `*` for any text.

use std::fmt;

use crate::error::Error;

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// The literal texts between the stars; a pattern without a star has one.
    literals: Vec<String>,
}

impl Pattern {
    /// `*` matches any text, also an empty text; after `\` a character has no special meaning.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::config(
                "an empty pattern: allowed is the text of an entry, `class:key`, with `*` for any text"
                    .to_owned(),
            ));
        }
        let mut literals = vec![String::new()];
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            let literal = match char {
                '*' => {
                    literals.push(String::new());
                    continue;
                }
                '\\' => chars.next().unwrap_or('\\'),
                char => char,
            };
            literals.last_mut().expect("there is always one literal").push(literal);
        }
        Ok(Pattern { literals })
    }

    /// The pattern of all texts that begin with `prefix`.
    pub(crate) fn beginning_with(prefix: &str) -> String {
        Self::literal(prefix) + "*"
    }

    /// The pattern that only `text` matches.
    pub(crate) fn literal(text: &str) -> String {
        text.replace('\\', "\\\\").replace('*', "\\*")
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.literals.as_slice() else {
            return self.literals[0] == text;
        };
        let Some(mut rest) =
            text.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()))
        else {
            return false;
        };
        // Finds each literal as early as possible, which leaves the most text for the literals after it.
        middle.iter().all(|literal| match rest.find(literal.as_str()) {
            Some(at) => {
                rest = &rest[at + literal.len()..];
                true
            }
            None => false,
        })
    }

    /// The text before the first `*`: every match begins with it.
    pub(crate) fn beginning(&self) -> &str {
        &self.literals[0]
    }
}

/// Writes a text from which [`Pattern::parse`] makes an equal pattern.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let literals: Vec<String> = self.literals.iter().map(|literal| Pattern::literal(literal)).collect();
        f.write_str(&literals.join("*"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(text)
    }

    #[test]
    fn a_star_is_any_text() {
        for text in ["user_stats:7", "user_stats", "user_stats_old:1"] {
            assert!(matches("user_stats*", text), "{text}");
        }
        assert!(!matches("user_stats*", "superuser_stats:7"));
        assert!(matches("*:7", "user:7") && !matches("*:7", "user:71"));
        assert!(matches("a*b*c", "a-b-b-c") && !matches("a*b*c", "a-c-b"));
        assert!(!matches("ab*ba", "aba"), "no character counts twice");
        assert!(matches("user:7", "user:7") && !matches("user:7", "user:77"));
        assert!(matches("*", ""));
    }

    #[test]
    fn a_star_may_be_meant_literally() {
        assert!(matches(r"a\*b", "a*b") && !matches(r"a\*b", "axb"));
        assert!(matches(&Pattern::beginning_with(r"a*\"), r"a*\b"));
        assert!(!matches(&Pattern::beginning_with("a*"), "axb"));
        assert!(Pattern::parse("").unwrap_err().to_string().contains("allowed is"));
    }

    proptest! {
        #[test]
        fn a_pattern_reads_back_as_it_is_shown(text in "[a*\\\\:]{1,8}") {
            let pattern = Pattern::parse(&text).unwrap();
            prop_assert_eq!(Pattern::parse(&pattern.to_string()).unwrap(), pattern);
        }

        #[test]
        fn a_prefix_matches_exactly_what_begins_with_it(prefix in "[a*\\\\:]{1,4}", text in "[a*\\\\:]{0,8}") {
            prop_assert_eq!(matches(&Pattern::beginning_with(&prefix), &text), text.starts_with(&prefix));
        }

        #[test]
        fn stars_match_as_a_slow_reading_says(pattern in "[ab*]{1,6}", text in "[ab]{0,8}") {
            fn slow(pattern: &[u8], text: &[u8]) -> bool {
                match pattern.split_first() {
                    None => text.is_empty(),
                    Some((b'*', rest)) => (0..=text.len()).any(|skip| slow(rest, &text[skip..])),
                    Some((byte, rest)) => text.first() == Some(byte) && slow(rest, &text[1..]),
                }
            }
            prop_assert_eq!(matches(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
