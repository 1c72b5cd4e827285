//! Why the service refused a request or failed.

use std::time::Duration;

use larder::error::{Error as CacheError, ErrorKind};
use larder_identity::failure::Failure;
use larder_identity::hashing::HashingError;
use larder_identity::limits::TooMany;

use crate::domain::invalid::ValidationErrors;
use crate::service::refusal::Refusal;
use crate::store::error::StoreError;

/// A refusal or a failure. No variant holds personal data.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The caller's identity, its rights or the present state do not allow the request.
    #[error("{0}")]
    Refused(Refusal),
    /// There is no such user.
    #[error("there is no such user")]
    NotFound,
    /// The request has invalid fields.
    #[error("some fields are not allowed as they are; see errors")]
    Invalid(ValidationErrors),
    /// Another user has this value already.
    #[error("this {field} is taken already")]
    Taken {
        /// `email`, `username`, `phone` or `external_id`.
        field: String,
    },
    /// The user's version differs from the one that the caller expects.
    #[error("the user has version {current} by now")]
    VersionMismatch {
        /// The version that the user has now.
        current: i64,
    },
    /// The state of a part of a profile differs from the one that the caller expects.
    #[error("this part of the profile is another by now; read it again before you change it")]
    PartMismatch,
    /// The password is right, and the user has a second factor, which the request lacks.
    #[error("the password is right; a code is needed too")]
    SecondFactorNeeded,
    /// Neither a mail server nor a webhook is configured.
    #[error("this service sends no mail")]
    MailUnset,
    /// The caller or the account has too many recent failures.
    #[error("too many failed attempts, try again later")]
    TooMany {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Another program wrote a value that cannot be read; a change that sets the field again repairs it.
    #[error("what the database has in {field} cannot be read; a new value mends it")]
    Unreadable {
        /// The field.
        field: String,
    },
    /// The database does not answer in time; a retry may succeed.
    #[error("the database does not answer, try again")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The queue of passwords to hash or compare is full; a retry may succeed.
    #[error("too many passwords are being compared; try again")]
    HashingBusy,
    /// The service is shutting down.
    #[error("the service is being stopped")]
    ShuttingDown,
    /// A fault of the service itself.
    #[error("the service failed")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Taken { field } => Self::Taken { field },
            StoreError::Unreadable { field } => Self::Unreadable { field },
            error @ StoreError::Unavailable(_) => Self::Unavailable(error.into()),
            StoreError::ShuttingDown => Self::ShuttingDown,
            error @ (StoreError::Invalid(_) | StoreError::Published | StoreError::Internal(_)) => {
                Self::Internal(error.into())
            }
        }
    }
}

impl From<TooMany> for ServiceError {
    fn from(TooMany { retry_after }: TooMany) -> Self {
        Self::TooMany { retry_after }
    }
}

impl From<HashingError> for ServiceError {
    fn from(error: HashingError) -> Self {
        match error {
            HashingError::Busy => Self::HashingBusy,
            HashingError::Failed(failure) => failure.into(),
        }
    }
}

impl From<Failure> for ServiceError {
    fn from(failure: Failure) -> Self {
        Self::Internal(failure.into())
    }
}

impl From<CacheError> for ServiceError {
    fn from(error: CacheError) -> Self {
        match (error.kind(), error.load_error()) {
            (ErrorKind::LoadTimeout, _) | (_, Some(StoreError::Unavailable(_))) => {
                Self::Unavailable(error.into())
            }
            (_, Some(StoreError::Unreadable { field })) => Self::Unreadable { field: field.clone() },
            _ => Self::Internal(error.into()),
        }
    }
}

/// Why a list was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The parameters are invalid, or they ask for what the caller may not see.
    #[error("some parameters are not allowed as they are")]
    Invalid(#[from] ValidationErrors),
    /// Any other error.
    #[error(transparent)]
    Service(#[from] ServiceError),
}
