//! Errors of an input: one message per value, and all messages of a request.

use std::collections::BTreeMap;
use std::fmt;

pub use larder_identity::invalid::Invalid;
use serde::Serialize;

/// The greatest number of fields in one answer, so that a hostile body cannot make the answer large.
pub(crate) const LISTED_FIELDS: usize = 50;
/// How much of a field's name an answer shows.
pub(crate) const NAME_CHARS: usize = 64;

/// The refused fields of a request, in the order of their names, each with its first message; at most
/// `LISTED_FIELDS`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ValidationErrors(BTreeMap<String, String>);

impl ValidationErrors {
    /// One field and its message.
    pub fn one(field: &str, invalid: Invalid) -> Self {
        let mut errors = Self::default();
        errors.add(field, invalid);
        errors
    }

    /// Adds a field; the first message for a field stays.
    pub fn add(&mut self, field: &str, invalid: Invalid) {
        if self.has_room() {
            let name = field.chars().take(NAME_CHARS).collect();
            self.0.entry(name).or_insert_with(|| invalid.message().to_owned());
        }
    }

    /// Whether a field that is added now would be listed.
    pub(crate) fn has_room(&self) -> bool {
        self.0.len() < LISTED_FIELDS
    }

    /// The parsed value; if parsing failed, its error is added under `field`.
    pub fn keep<T>(&mut self, field: &str, parsed: Result<T, Invalid>) -> Option<T> {
        parsed.map_err(|invalid| self.add(field, invalid)).ok()
    }

    /// Whether no field was refused.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields and their messages.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(field, message)| (field.as_str(), message.as_str()))
    }

    /// The message for one field.
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }
}

impl fmt::Display for ValidationErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (field, message)) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            write!(f, "{comma}{field}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ValidationErrors {}
