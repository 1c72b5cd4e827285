//! The order of a list of users.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::invalid::Invalid;

/// The column by which users are sorted. Each has an index, from which any page is read in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SortBy {
    /// The time at which the user was created.
    #[default]
    CreatedAt,
    /// The user name, by its bytes.
    Username,
    /// The points.
    Points,
    /// The e-mail address, by its bytes; only if the reader may see the address of every user in the list.
    Email,
}

impl SortBy {
    /// The name of the column in a URL and in the table of users.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::Username => "username",
            Self::Points => "points",
            Self::Email => "email",
        }
    }
}

/// An order of users: `created_at`, `username`, `points` or `email`; a `-` before it reverses the order. Users with
/// equal values are sorted by their ids, in the same direction. Default: `-created_at`, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sort {
    /// The column.
    pub by: SortBy,
    /// Whether the order is from the greatest value to the least.
    pub is_descending: bool,
}

impl Sort {
    /// The text of every order.
    pub const WORDS: [&'static str; 8] =
        ["created_at", "-created_at", "username", "-username", "points", "-points", "email", "-email"];

    /// The text of the order in a URL.
    pub fn as_text(self) -> String {
        format!("{}{}", if self.is_descending { "-" } else { "" }, self.by.as_str())
    }
}

impl Default for Sort {
    fn default() -> Self {
        Self { by: SortBy::CreatedAt, is_descending: true }
    }
}

impl FromStr for Sort {
    type Err = Invalid;

    fn from_str(raw: &str) -> Result<Self, Invalid> {
        let (is_descending, word) = raw.strip_prefix('-').map_or((false, raw), |word| (true, word));
        [SortBy::CreatedAt, SortBy::Username, SortBy::Points, SortBy::Email]
            .into_iter()
            .find(|by| by.as_str() == word)
            .map(|by| Self { by, is_descending })
            .ok_or_else(|| {
                Invalid::new(
                    "is not a sort; created_at, username, points and email are allowed, each with a - before it to \
                     turn it round",
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_are_names_with_a_direction() {
        for text in Sort::WORDS {
            assert_eq!(text.parse::<Sort>().unwrap().as_text(), text);
        }
        assert_eq!(Sort::default().as_text(), "-created_at");
        for bad in
            ["", "-", "--points", "+points", "phone", "id", "password_hash", "points ", "Points", "email;--"]
        {
            assert!(bad.parse::<Sort>().is_err(), "{bad}");
        }
    }
}
