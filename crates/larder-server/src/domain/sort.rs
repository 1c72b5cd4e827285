//! In which order a list of users stands.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::invalid::Invalid;

/// What users may be sorted by. Each has an index that holds any part of the list in its order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SortBy {
    /// When the user was created.
    #[default]
    CreatedAt,
    /// The user name, by its bytes.
    Username,
    /// The points.
    Points,
    /// The e-mail address, by its bytes; only where the reader sees the address of every user in the list.
    Email,
}

impl SortBy {
    /// The word for it in a URL, and the column of the table of users.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::Username => "username",
            Self::Points => "points",
            Self::Email => "email",
        }
    }
}

/// An order of users: `created_at`, `username`, `points` or `email`, with a `-` before it from the last to the first. Users
/// who are equal in it stand by their ids, in the same direction. Default: `-created_at`, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// From the last to the first.
    pub is_descending: bool,
}

impl Sort {
    /// The word for it in a URL.
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
    fn sorts_are_words_with_a_direction() {
        for text in
            ["created_at", "-created_at", "username", "-username", "points", "-points", "email", "-email"]
        {
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
