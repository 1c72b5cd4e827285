//! Why the relay's poll failed.

use redis::RedisError;

use crate::health::Trouble;
use crate::journal::Failure;
use crate::remote::redis::trouble;

/// Why a poll failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("the journal does not answer: {0}")]
    Journal(Failure),
    #[error("INFO did not name this Redis")]
    Nameless,
    #[error("this Redis is a replica")]
    Replica,
    #[error(
        "the instances that use this namespace have another staleness bound or longest TTL, or no journal ({0}): \
         give all the same settings, or this one a namespace of its own"
    )]
    Disagreement(String),
    #[error("a later timeline of this database uses this Redis: the one that answers is a former primary")]
    Superseded,
    #[error("the database that answers is another one than before, or was promoted since")]
    AnotherDatabase,
    #[error("this Redis was demoted or replaced during the poll")]
    ChangedHands,
    #[error(
        "the database has had its identity for less than the staleness bound: its former one may still be in use"
    )]
    Renamed,
}

impl RelayError {
    pub(super) fn trouble(&self) -> Trouble {
        match self {
            RelayError::Redis(error) => trouble::of(error),
            RelayError::Nameless => Trouble::Nameless,
            RelayError::Replica => Trouble::Replica,
            RelayError::Disagreement(_) => Trouble::Disagreement,
            // This trouble ends by itself, after the staleness bound.
            RelayError::Renamed => Trouble::Asking,
            RelayError::Journal(_)
            | RelayError::Superseded
            | RelayError::AnotherDatabase
            | RelayError::ChangedHands => Trouble::Untold,
        }
    }
}
