//! Failures that no input caused.

/// A failure that no input caused: no randomness, no memory, an unusable key. Its message is that of the cause.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Failure(Box<dyn std::error::Error + Send + Sync>);

impl Failure {
    pub(crate) fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}
