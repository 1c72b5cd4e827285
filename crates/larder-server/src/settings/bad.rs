//! A setting that cannot be used: its name, its value, and what is allowed.

use crate::settings::redact;

/// A setting that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}={shown}: {allowed}")]
pub struct BadSetting {
    name: String,
    /// The value, or a placeholder where it may be a secret.
    shown: String,
    allowed: String,
}

impl BadSetting {
    /// A bad value that may be shown.
    pub(super) fn new(name: &str, value: &str, allowed: impl Into<String>) -> Self {
        Self { name: name.to_owned(), shown: format!("{value:?}"), allowed: allowed.into() }
    }

    /// The setting's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Adds the number of the line of the file that has the value.
    pub(super) fn at_line(self, line: usize) -> Self {
        Self { allowed: format!("{}; line {line} of the file", self.allowed), ..self }
    }

    /// A bad URL, shown without the parts that may be secret.
    pub(super) fn url(name: &str, url: &str, allowed: impl Into<String>) -> Self {
        Self::new(name, &redact::url(url), allowed)
    }

    /// A bad value that is, or may hold, a secret: it is not shown.
    pub(super) fn secret(name: &str, allowed: impl Into<String>) -> Self {
        Self { name: name.to_owned(), shown: "…".to_owned(), allowed: allowed.into() }
    }
}
