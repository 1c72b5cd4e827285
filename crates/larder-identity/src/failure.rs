//! Faults of the mechanisms themselves.

/// A mechanism failed without a fault of the input: no randomness, no memory, an unusable key. It shows the cause.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Failure(Box<dyn std::error::Error + Send + Sync>);

impl Failure {
    pub(crate) fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}
