//! The settings of the service's defences: limits, trusted proxies, secret keys, and how long sessions last.

use std::num::NonZeroU32;
use std::time::Duration;

use larder_identity::hashing::HashingLimits;
use larder_identity::limits::FailureLimits;

use crate::domain::invalid::Invalid;
use crate::domain::network::{ForwardedHeader, TrustedProxies};
use crate::domain::secret_key::{SecretKey, SecretKeys};
use crate::mail::MailSettings;
use crate::settings::bad::BadSetting;
use crate::settings::mail;
use crate::settings::oauth::{self, OAuth};
use crate::settings::sessions::{self, SessionSettings};
use crate::settings::sources::{SettingSource, Sources};

/// The settings of the service's defences.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// `LARDER_SECRET_KEY` and `LARDER_SECRET_KEY_OTHER`: the keys that encrypt signing keys and second factors, and
    /// authenticate the entries in Redis. Default: none. Without a key, signing keys and second factors are stored
    /// unencrypted, and a secret from the database authenticates the entries.
    pub secret_keys: SecretKeys,
    /// `LARDER_FAILURES_PER_ADDRESS` and `LARDER_FAILURES_PER_ACCOUNT`: how many failed attempts are allowed.
    pub limits: FailureLimits,
    /// How many passwords are hashed at once, and how many more may wait, in all and of one client.
    pub hashing: HashingLimits,
    /// How large the body of a request may be.
    pub bodies: BodyLimits,
    /// `LARDER_TRUSTED_PROXIES`: networks separated by commas, default none. `LARDER_FORWARDED_HEADER`: the header in
    /// which these proxies name the client.
    pub proxies: TrustedProxies,
    /// The issuer and the audience that access tokens name.
    pub oauth: OAuth,
    /// How long sessions and API keys last.
    pub sessions: SessionSettings,
    /// `LARDER_SECOND_FACTOR_REQUIRED`: who has to have a second factor. Default: no user.
    pub second_factor: SecondFactorRequired,
    /// How mails with tokens are sent.
    pub mail: MailSettings,
}

/// Who has to have a second factor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SecondFactorRequired {
    /// No user must have one; each user decides.
    #[default]
    None,
    /// Users with a role above `user`.
    Admins,
    /// Every user.
    Everyone,
}

/// How large the body of a request may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// `LARDER_BODY_BYTES`: the most bytes of a body if the operation needs a credential. Default 1 MiB.
    pub bytes: usize,
    /// `LARDER_AUTH_BODY_BYTES`: the most bytes of a body if the operation needs none, or is under `auth`. Default 16
    /// KiB.
    pub auth_bytes: usize,
    /// `LARDER_IMPORT_BYTES`: the most bytes of an import of users. Default 1 GiB.
    pub import_bytes: u64,
    /// `LARDER_BODY_MEMORY`: the most bytes of bodies that are being read at once, beside the first 16 KiB of each. One
    /// client takes at most half. Default 64 MiB.
    pub memory: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { bytes: 1 << 20, auth_bytes: 16 << 10, import_bytes: 1 << 30, memory: 64 << 20 }
    }
}

/// Reads the settings of the service's defences.
pub(super) fn read(sources: &Sources) -> Result<Security, BadSetting> {
    let limit = |name, default: &str| {
        sources.take(name, default, |raw| {
            let limit = raw.trim().parse::<u32>().ok().and_then(bounded);
            limit.ok_or_else(|| "must be an integer from 1 to 1000000".to_owned())
        })
    };
    let defaults = FailureLimits::default();
    let limits = FailureLimits {
        per_address: limit("LARDER_FAILURES_PER_ADDRESS", &defaults.per_address.to_string())?,
        per_account: limit("LARDER_FAILURES_PER_ACCOUNT", &defaults.per_account.to_string())?,
    };
    let networks = sources.take("LARDER_TRUSTED_PROXIES", "", |raw| {
        let networks = raw.split(',').map(str::trim).filter(|raw| !raw.is_empty()).map(str::parse);
        networks.collect::<Result<_, Invalid>>().map_err(|invalid| invalid.message().to_owned())
    })?;
    let header = sources.take("LARDER_FORWARDED_HEADER", "x-forwarded-for", |raw| {
        raw.parse::<ForwardedHeader>().map_err(|invalid: Invalid| invalid.message().to_owned())
    })?;
    let proxies = TrustedProxies { networks, header };
    let secret_keys = secret_keys(sources)?;
    let (hashing, bodies) = (hashing(sources)?, bodies(sources)?);
    let (oauth, sessions) = (oauth::read(sources)?, sessions::read(sources)?);
    let mail = mail::read(sources)?;
    let second_factor = sources.take("LARDER_SECOND_FACTOR_REQUIRED", "none", |raw| match raw.trim() {
        "none" => Ok(SecondFactorRequired::None),
        "admins" => Ok(SecondFactorRequired::Admins),
        "everyone" => Ok(SecondFactorRequired::Everyone),
        _ => Err("must be none, admins or everyone".to_owned()),
    })?;
    Ok(Security { secret_keys, limits, hashing, bodies, proxies, oauth, sessions, second_factor, mail })
}

fn hashing(sources: &Sources) -> Result<HashingLimits, BadSetting> {
    let defaults = HashingLimits::default();
    let hashers = sources.take("LARDER_PASSWORD_HASHERS", &defaults.hashers.to_string(), |raw| match raw
        .trim()
        .parse()
    {
        Ok(hashers) if (1..=64).contains(&hashers) => Ok(hashers),
        _ => Err("must be an integer from 1 to 64".to_owned()),
    })?;
    let queue = sources.take("LARDER_PASSWORD_QUEUE", &defaults.queue.to_string(), |raw| {
        match raw.trim().parse() {
            Ok(queue) if queue <= 10_000 => Ok(queue),
            _ => Err("must be an integer from 0 to 10000".to_owned()),
        }
    })?;
    let costly = defaults.costly_queue.to_string();
    let costly_queue =
        sources.take("LARDER_PASSWORD_COSTLY_QUEUE", &costly, |raw| match raw.trim().parse() {
            Ok(queue) if queue <= 1_000 => Ok(queue),
            _ => Err("must be an integer from 0 to 1000".to_owned()),
        })?;
    let wait = defaults.wait.as_secs_f64().to_string();
    let wait = sources.take("LARDER_PASSWORD_WAIT", &wait, |raw| match raw.trim().parse::<f64>() {
        Ok(seconds) if (0.1..=60.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("must be seconds from 0.1 to 60, such as 2.5".to_owned()),
    })?;
    const PER_ADDRESS: &str = "LARDER_PASSWORD_QUEUE_PER_ADDRESS";
    if sources.find(PER_ADDRESS).is_none() {
        sources.note(
            PER_ADDRESS,
            "half of LARDER_PASSWORD_HASHERS and LARDER_PASSWORD_QUEUE",
            SettingSource::Default,
        );
        return Ok(HashingLimits { hashers, queue, per_client: None, costly_queue, wait });
    }
    let per_client = sources.take(PER_ADDRESS, "", |raw| match raw.trim().parse() {
        Ok(places) if (1..=10_064).contains(&places) => Ok(places),
        _ => Err("must be an integer from 1 to 10064".to_owned()),
    })?;
    Ok(HashingLimits { hashers, queue, per_client: Some(per_client), costly_queue, wait })
}

fn bodies(sources: &Sources) -> Result<BodyLimits, BadSetting> {
    let bytes = |name, default: usize| {
        sources.take(name, &default.to_string(), |raw| match raw.trim().parse() {
            Ok(bytes) if (1024..=64 << 20).contains(&bytes) => Ok(bytes),
            _ => Err("must be bytes, an integer from 1024 to 67108864".to_owned()),
        })
    };
    let defaults = BodyLimits::default();
    let largest = bytes("LARDER_BODY_BYTES", defaults.bytes)?;
    Ok(BodyLimits {
        bytes: largest,
        // One client takes at most half, so a smaller memory would never hold the largest body.
        memory: sources.take("LARDER_BODY_MEMORY", &defaults.memory.to_string(), |raw| {
            match raw.trim().parse() {
                Ok(memory) if (2 * largest..=1 << 40).contains(&memory) => Ok(memory),
                _ => Err(format!(
                    "must be bytes, an integer from {}, twice LARDER_BODY_BYTES, to 1099511627776",
                    2 * largest
                )),
            }
        })?,
        auth_bytes: bytes("LARDER_AUTH_BODY_BYTES", defaults.auth_bytes)?,
        import_bytes: sources.take(
            "LARDER_IMPORT_BYTES",
            &defaults.import_bytes.to_string(),
            |raw| match raw.trim().parse() {
                Ok(bytes) if (1024..=1 << 40).contains(&bytes) => Ok(bytes),
                _ => Err("must be bytes, an integer from 1024 to 1099511627776".to_owned()),
            },
        )?,
    })
}

fn secret_keys(sources: &Sources) -> Result<SecretKeys, BadSetting> {
    const OTHER: &str = "LARDER_SECRET_KEY_OTHER";
    let keys =
        SecretKeys { current: secret_key(sources, "LARDER_SECRET_KEY")?, other: secret_key(sources, OTHER)? };
    match (&keys.current, &keys.other) {
        (None, Some(_)) => Err(BadSetting::secret(OTHER, "goes with LARDER_SECRET_KEY, which is not set")),
        _ => Ok(keys),
    }
}

fn secret_key(sources: &Sources, name: &'static str) -> Result<Option<SecretKey>, BadSetting> {
    let Some(found) = sources.find(name) else {
        sources.note(name, "none", SettingSource::Default);
        return Ok(None);
    };
    let key = SecretKey::parse(&found.value);
    let key = key.map_err(|invalid| BadSetting::secret(name, invalid.message()))?;
    sources.note(name, "…", found.origin);
    Ok(Some(key))
}

fn bounded(number: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(number).filter(|number| number.get() <= 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sources;

    fn read(name: &str, value: &str) -> Result<Security, BadSetting> {
        super::read(&sources::of(&[(name, value)], "")?)
    }

    #[test]
    fn a_bad_value_is_named_and_the_key_never_shown() {
        for (name, value, says) in [
            ("LARDER_FAILURES_PER_ADDRESS", "0", "1 to 1000000"),
            ("LARDER_FAILURES_PER_ACCOUNT", "many", "1 to 1000000"),
            ("LARDER_PASSWORD_HASHERS", "65", "from 1 to 64"),
            ("LARDER_PASSWORD_QUEUE", "-1", "from 0 to 10000"),
            ("LARDER_PASSWORD_QUEUE_PER_ADDRESS", "0", "from 1 to 10064"),
            ("LARDER_PASSWORD_COSTLY_QUEUE", "1001", "from 0 to 1000"),
            ("LARDER_PASSWORD_WAIT", "0", "from 0.1 to 60"),
            ("LARDER_BODY_BYTES", "1MB", "from 1024 to 67108864"),
            ("LARDER_BODY_MEMORY", "2097151", "from 2097152, twice LARDER_BODY_BYTES"),
            ("LARDER_AUTH_BODY_BYTES", "7", "from 1024 to 67108864"),
            ("LARDER_TRUSTED_PROXIES", "10.0.0.0/99", "10.0.0.0/8"),
            ("LARDER_SECOND_FACTOR_REQUIRED", "admin", "none, admins or everyone"),
            ("LARDER_FORWARDED_HEADER", "via", "x-forwarded-for or forwarded"),
            ("LARDER_SECRET_KEY", "c2hvcnQ=", "32 bytes"),
            (
                "LARDER_SECRET_KEY_OTHER",
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                "LARDER_SECRET_KEY, which",
            ),
        ] {
            let error = read(name, value).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(says), "{error}");
            assert_eq!(error.contains(value), !name.starts_with("LARDER_SECRET_KEY"), "{error}");
        }
    }

    #[test]
    fn the_default_limits_are_100_and_10_and_no_key_is_set() {
        let security = read("REDIS_URL", "").unwrap();
        assert_eq!((security.limits.per_address.get(), security.limits.per_account.get()), (100, 10));
        assert!(security.secret_keys.current.is_none() && security.proxies.networks.is_empty());
        let proxies = read("LARDER_TRUSTED_PROXIES", "10.0.0.0/8, ::1,").unwrap().proxies;
        assert_eq!(proxies.networks.len(), 2);
        let key = read("LARDER_SECRET_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        assert_eq!(format!("{:?}", key.secret_keys.current), "Some(SecretKey(…))");
    }
}
