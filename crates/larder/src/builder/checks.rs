//! Checks the settings of a cache.

use std::fmt::Debug;

#[cfg(feature = "redis")]
use crate::builder::place::Place;
use crate::builder::{Builder, START_UP_TIMEOUT};
use crate::error::Error;
use crate::journal::{Journal, within};

impl Builder {
    pub(super) fn has_redis(&self) -> bool {
        #[cfg(feature = "redis")]
        return self.redis.is_some();
        #[cfg(not(feature = "redis"))]
        return false;
    }

    /// Whether the Redis is a cluster.
    pub(super) fn is_cluster(&self) -> bool {
        #[cfg(feature = "redis")]
        return self.redis.as_ref().is_some_and(Place::is_cluster);
        #[cfg(not(feature = "redis"))]
        return false;
    }
}

#[cfg(feature = "redis")]
pub(super) fn installation(id: Option<&str>) -> Result<String, Error> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let allowed = "1 to 64 of letters, digits, `-`, `_` and `.`, the same for all instances over one database and \
                   another one for each other database";
    match id {
        Some(id) if (1..=64).contains(&id.len()) && id.bytes().all(is_allowed) => Ok(id.to_owned()),
        Some(id) => Err(Error::config(format!("installation {id:?}: allowed are {allowed}"))),
        None => Err(Error::config(format!(
            "installation: missing. A cache with Redis and without a journal needs the name of the database behind it, \
             `.installation(\"production\")`: {allowed}"
        ))),
    }
}

/// Fails if the journal's tables have declaration errors. If the database does not answer, this function logs a warning
/// and the build continues: an unreachable database is no declaration error.
pub(super) async fn check_declarations(journal: &dyn Journal) -> Result<(), Error> {
    match within(START_UP_TIMEOUT, journal.declaration_errors()).await {
        Ok(wrong) if wrong.is_empty() => Ok(()),
        Ok(wrong) => Err(Error::config(format!(
            "the journal's tables are declared wrongly:\n- {}",
            wrong.join("\n- ")
        ))),
        Err(error) => {
            tracing::warn!(%error, "the journal's declarations could not be checked");
            Ok(())
        }
    }
}

pub(super) fn check_range<T: PartialOrd + Debug + Copy>(
    name: &str,
    value: T,
    least: T,
    most: T,
) -> Result<(), Error> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(Error::config(format!("{name} {value:?}: allowed is {least:?} to {most:?}")))
    }
}
