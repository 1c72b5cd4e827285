//! Why the keeper gives up a connection.

use redis::{RedisError, RedisResult};

use crate::health::Trouble;
use crate::remote::redis::trouble::{self, DialError};

/// Why the keeper gives up a connection.
pub(super) enum LossReason {
    Redis(RedisError),
    /// No connection could be opened, or the Sentinels name another master; the text says why.
    Unusable(Trouble, String),
    /// This server can never be used.
    Unfit(Trouble),
    /// Other instances use this Redis with other settings; the text says which.
    Disagreement(String),
    /// Another installation has claimed the namespace; the text says which.
    AnotherInstallation(String),
}

impl From<RedisError> for LossReason {
    fn from(error: RedisError) -> Self {
        LossReason::Redis(error)
    }
}

impl From<DialError> for LossReason {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Redis(error) => LossReason::Redis(error),
            DialError::Unusable(trouble, detail) => LossReason::Unusable(trouble, detail),
        }
    }
}

impl LossReason {
    pub(super) fn trouble(&self) -> Trouble {
        match self {
            LossReason::Redis(error) => trouble::of(error),
            LossReason::Unfit(trouble) | LossReason::Unusable(trouble, _) => *trouble,
            LossReason::Disagreement(_) => Trouble::Disagreement,
            LossReason::AnotherInstallation(_) => Trouble::AnotherInstallation,
        }
    }

    /// What the trouble's own text does not say.
    pub(super) fn detail(&self) -> Option<String> {
        match self {
            LossReason::Redis(error) => Some(trouble::words(error)),
            LossReason::Unusable(_, detail) => Some(detail.clone()),
            LossReason::Unfit(_) => None,
            LossReason::Disagreement(existing) => Some(format!("they have {existing}")),
            LossReason::AnotherInstallation(claim) => Some(claim.clone()),
        }
    }
}

/// Why Redis takes no writes, if it refused to take one.
pub(super) fn refusal_of(taken: RedisResult<()>) -> Result<Option<(Trouble, String)>, LossReason> {
    match taken {
        Ok(()) => Ok(None),
        Err(error) if trouble::code(&error).is_some() => {
            Ok(Some((trouble::of(&error), trouble::words(&error))))
        }
        Err(error) => Err(error.into()),
    }
}
