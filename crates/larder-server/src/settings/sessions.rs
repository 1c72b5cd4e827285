//! How long sessions and API keys last.

use std::time::Duration;

use crate::settings::bad::BadSetting;
use crate::settings::sources::Sources;

const DAY: u64 = 24 * 3600;

/// How long sessions and API keys last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSettings {
    /// `LARDER_SESSIONS_PER_USER`: how many sessions a user has at once. Default 20.
    pub per_user: u32,
    /// `LARDER_SESSION_IDLE_SECONDS`: a session that was not refreshed for this long has ended. Default 604800, a week.
    pub idle: Duration,
    /// `LARDER_REFRESH_GRACE_SECONDS`: for how long after its use a refresh token still returns the same successor.
    /// Default 10; with 0 it never does.
    pub grace: Duration,
    /// `LARDER_API_KEY_DAYS`: the life of an API key that is created without an expiry. Default 90.
    pub api_key_life: Duration,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            per_user: 20,
            idle: Duration::from_secs(7 * DAY),
            grace: Duration::from_secs(10),
            api_key_life: Duration::from_secs(90 * DAY),
        }
    }
}

/// Reads the settings of sessions and API keys.
pub(super) fn read(sources: &Sources) -> Result<SessionSettings, BadSetting> {
    let number = |name, default: u64, least: u64, most: u64| {
        sources.take(name, &default.to_string(), move |raw| match raw.trim().parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ => Err(format!("must be an integer from {least} to {most}")),
        })
    };
    let defaults = SessionSettings::default();
    let per_user = number("LARDER_SESSIONS_PER_USER", u64::from(defaults.per_user), 1, 1_000)?;
    // The least is 900 s, the life of an access token: when a session has been idle for that long, the access token of
    // its last refresh has expired.
    let idle = number("LARDER_SESSION_IDLE_SECONDS", defaults.idle.as_secs(), 900, 30 * DAY)?;
    let grace = number("LARDER_REFRESH_GRACE_SECONDS", defaults.grace.as_secs(), 0, 60)?;
    let days = number("LARDER_API_KEY_DAYS", defaults.api_key_life.as_secs() / DAY, 1, 3_650)?;
    Ok(SessionSettings {
        per_user: u32::try_from(per_user).unwrap_or(u32::MAX),
        idle: Duration::from_secs(idle),
        grace: Duration::from_secs(grace),
        api_key_life: Duration::from_secs(days * DAY),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sources;

    #[test]
    fn values_are_bounded_and_the_defaults_are_those_of_the_page() {
        let read = |name, value| super::read(&sources::of(&[(name, value)], "")?);
        assert_eq!(read("REDIS_URL", "").unwrap(), SessionSettings::default());
        assert_eq!(read("LARDER_REFRESH_GRACE_SECONDS", "0").unwrap().grace, Duration::ZERO);
        assert_eq!(read("LARDER_API_KEY_DAYS", "2").unwrap().api_key_life, Duration::from_secs(2 * DAY));
        for (name, value, says) in [
            ("LARDER_SESSIONS_PER_USER", "0", "1 to 1000"),
            ("LARDER_SESSION_IDLE_SECONDS", "899", "900 to 2592000"),
            ("LARDER_REFRESH_GRACE_SECONDS", "61", "0 to 60"),
            ("LARDER_API_KEY_DAYS", "never", "1 to 3650"),
        ] {
            let error = read(name, value).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value) && error.contains(says), "{error}");
        }
    }
}
