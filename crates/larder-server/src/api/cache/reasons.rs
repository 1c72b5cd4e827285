//! Why the cache is degraded, as every answer about its health shows it.

use std::collections::BTreeMap;

use larder::cache::Cache;
use larder::health;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::timestamp::Timestamp;

/// One reason for which the cache is degraded.
#[derive(Serialize, ToSchema)]
#[schema(as = DegradedBecause)]
pub(crate) struct Reason {
    /// One word of a fixed set: `away`, `full`, `replica`, …
    cause: &'static str,
    /// What is wrong, and what to do.
    text: String,
    since: Timestamp,
    /// The server's own message. Only admins see it, because it may name a user or a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
}

impl From<health::Reason> for Reason {
    fn from(reason: health::Reason) -> Self {
        Self {
            cause: reason.trouble.as_str(),
            text: reason.text.into_owned(),
            since: Timestamp::from(reason.since),
            detail: reason.detail,
        }
    }
}

impl Reason {
    /// The reasons without `detail`, for routes that need no login.
    pub(crate) fn public(reasons: Vec<health::Reason>) -> Vec<Self> {
        reasons.into_iter().map(|reason| Self { detail: None, ..Self::from(reason) }).collect()
    }

    /// The reasons with `detail`, for routes of admins.
    pub(crate) fn detailed(reasons: Vec<health::Reason>) -> Vec<Self> {
        reasons.into_iter().map(Self::from).collect()
    }
}

/// How many episodes of each trouble this instance had since its start. A trouble without an episode is left out.
pub(crate) fn troubles(cache: &Cache) -> BTreeMap<&'static str, u64> {
    let counts = cache.trouble_counts().into_iter().filter(|count| count.episodes > 0);
    counts.map(|count| (count.trouble.as_str(), count.episodes)).collect()
}
