//! Why the service did not do what it was asked.

use larder::error::{Error as CacheError, ErrorKind};

use crate::domain::invalid::ValidationErrors;
use crate::store::error::StoreError;

/// A refusal or a failure. No variant shows personal data.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// No token, or one that is malformed, forged, expired or ended.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The caller may not do this.
    #[error("{0}")]
    Forbidden(&'static str),
    /// There is no such user.
    #[error("there is no such user")]
    NotFound,
    /// Another user has this value already.
    #[error("this {field} is taken already")]
    Taken {
        /// `email`, `username`, `phone` or `external_id`.
        field: String,
    },
    /// The user has another version than the caller believes.
    #[error("the user has version {current} by now")]
    VersionConflict {
        /// The version it has.
        current: i64,
    },
    /// The database does not answer in time; trying again may help.
    #[error("the database does not answer, try again")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The service is being stopped.
    #[error("the service is being stopped")]
    ShuttingDown,
    /// A mistake of ours.
    #[error("the service failed")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Taken { field } => Self::Taken { field },
            error @ StoreError::Unavailable(_) => Self::Unavailable(error.into()),
            error @ (StoreError::Invalid(_) | StoreError::Internal(_)) => Self::Internal(error.into()),
        }
    }
}

impl From<CacheError> for ServiceError {
    fn from(error: CacheError) -> Self {
        match (error.kind(), error.load_error()) {
            (ErrorKind::LoadTimeout, _) | (_, Some(StoreError::Unavailable(_))) => {
                Self::Unavailable(error.into())
            }
            _ => Self::Internal(error.into()),
        }
    }
}

/// Why a list was not given.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// Parameters that are wrong, or ask for what the caller may not see.
    #[error("some parameters are not allowed as they are")]
    Invalid(#[from] ValidationErrors),
    /// Everything else.
    #[error(transparent)]
    Service(#[from] ServiceError),
}
