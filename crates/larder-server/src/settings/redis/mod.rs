//! Which Redis, if any: a URL under one of three names, its parts, or a REST interface and its token; and the files with
//! passwords and certificates.

mod address;
mod files;

use std::time::Duration;

use larder::redis_options::RedisOptions;

use crate::settings::bad::BadSetting;
use crate::settings::redact;
use crate::settings::redis::address::{is_rest, of_parts, of_rest, of_url};
use crate::settings::redis::files::{NEEDS_TLS, is_tls, with_files};
use crate::settings::sources::{Found, SettingSource, Sources};

/// The variables that can hold a URL; the first that is set wins.
const URLS: [&str; 3] = ["REDIS_URL", "REDIS_PRIVATE_URL", UPSTASH];
const UPSTASH: &str = "UPSTASH_REDIS_REST_URL";
const UPSTASH_TOKEN: &str = "UPSTASH_REDIS_REST_TOKEN";
/// If any of these is set, Redis is used, with defaults for the others.
const PARTS: [&str; 12] = [
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_DB",
    USER,
    PASSWORD,
    PASSWORD_FILE,
    TLS,
    CA_FILE,
    CERTIFICATE_FILE,
    KEY_FILE,
    SERVER_NAME,
    "REDIS_SENTINELS",
];
const USER: &str = "REDIS_USERNAME";
const PASSWORD: &str = "REDIS_PASSWORD";
const PASSWORD_FILE: &str = "REDIS_PASSWORD_FILE";
const TLS: &str = "REDIS_TLS";
const CA_FILE: &str = "REDIS_CA_FILE";
const CERTIFICATE_FILE: &str = "REDIS_CLIENT_CERT_FILE";
const KEY_FILE: &str = "REDIS_CLIENT_KEY_FILE";
const SERVER_NAME: &str = "REDIS_SERVER_NAME";
const SENTINEL_PASSWORD: &str = "REDIS_SENTINEL_PASSWORD";
const SENTINEL_PASSWORD_FILE: &str = "REDIS_SENTINEL_PASSWORD_FILE";

/// Where Redis is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisAddress {
    /// A server or Sentinels: the URL, the passwords and the files.
    Resp(RedisOptions),
    /// A REST interface, as Upstash has it.
    Rest(RestAddress),
}

/// A REST interface.
#[derive(Clone, PartialEq, Eq)]
pub struct RestAddress {
    /// `UPSTASH_REDIS_REST_URL`.
    pub url: String,
    /// `UPSTASH_REDIS_REST_TOKEN`.
    pub token: String,
}

impl std::fmt::Debug for RestAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestAddress").field("url", &redact::url(&self.url)).finish_non_exhaustive()
    }
}

/// How to reach Redis.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisSettings {
    /// Where it is, and how to log in there.
    pub address: RedisAddress,
    /// The name of the variable for error messages about the address.
    pub name: &'static str,
    /// `REDIS_POOL_SIZE`: the most connections that introspection opens to Redis; all other work uses the one tracked
    /// connection. Default 10.
    pub pool_size: u32,
    /// `REDIS_POOL_TIMEOUT`: how long introspection waits for one of these connections. Default 5 s.
    pub pool_timeout: Duration,
    /// `LARDER_REDIS_BUDGET`: how long one request waits for Redis in total. Default 50 ms, over REST 500 ms.
    pub budget: Duration,
}

impl std::fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSettings").field("address", &self.address).finish_non_exhaustive()
    }
}

impl RedisSettings {
    /// Settings with this URL, as if `REDIS_URL` held it, and defaults for the rest.
    pub fn at(url: &str) -> Self {
        Self {
            address: RedisAddress::Resp(RedisOptions::new(url)),
            name: "REDIS_URL",
            pool_size: 10,
            pool_timeout: Duration::from_secs(5),
            budget: Duration::from_millis(50),
        }
    }
}

/// Reads the settings of Redis; `None` if none is set: entries are then kept in memory alone.
pub(super) fn read(sources: &Sources) -> Result<Option<RedisSettings>, BadSetting> {
    let named = URLS.iter().find_map(|name| sources.find(name));
    let rest = named.clone().filter(is_rest);
    // A round trip over the internet takes tens of milliseconds, and a request makes several.
    let default = if rest.is_some() { "0.5" } else { "0.05" };
    // These are read also if there is no Redis: a bad value is refused although it has no effect. None of them turns Redis on.
    let budget = sources.take("LARDER_REDIS_BUDGET", default, |raw| match raw.trim().parse::<f64>() {
        Ok(seconds) if (0.001..=10.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("must be seconds from 0.001 to 10, such as 0.05".to_owned()),
    })?;
    let pool_size = sources.take("REDIS_POOL_SIZE", "10", |raw| match raw.trim().parse() {
        Ok(size @ 1..=1000) => Ok(size),
        _ => Err("must be an integer from 1 to 1000".to_owned()),
    })?;
    let pool_timeout = sources.take("REDIS_POOL_TIMEOUT", "5.0", |raw| match raw.trim().parse::<f64>() {
        Ok(seconds) if (0.001..=60.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("must be seconds from 0.001 to 60, such as 5.0".to_owned()),
    })?;
    let (address, name) = match rest {
        Some(found) => {
            refuse_flag(sources, &rest_allowed())?;
            for name in [PASSWORD_FILE, CA_FILE, CERTIFICATE_FILE, KEY_FILE, SERVER_NAME] {
                if let Some(unused) = sources.find(name) {
                    return Err(BadSetting::new(name, &unused.value, rest_allowed()));
                }
            }
            (RedisAddress::Rest(of_rest(sources, found)?), UPSTASH)
        }
        None => {
            let Some((url, name)) = url(sources, named)? else {
                sources.note("REDIS_URL", "none: memory alone", SettingSource::Default);
                return Ok(None);
            };
            let options = with_files(sources, RedisOptions::new(&url), is_tls(&url))?;
            options.check().map_err(|error| BadSetting::url(name, &url, error.to_string()))?;
            (RedisAddress::Resp(options), name)
        }
    };
    Ok(Some(RedisSettings { address, name, pool_size, pool_timeout, budget }))
}

fn rest_allowed() -> String {
    format!("goes without {UPSTASH}, whose interface is reached over HTTPS")
}

/// Refuses `REDIS_TLS=true` where TLS is not its decision, and whatever is neither `true` nor `false`.
fn refuse_flag(sources: &Sources, allowed: &str) -> Result<(), BadSetting> {
    if sources.find(TLS).is_some() && take_flag(sources, TLS)? {
        return Err(BadSetting::new(TLS, "true", allowed));
    }
    Ok(())
}

fn take_flag(sources: &Sources, name: &'static str) -> Result<bool, BadSetting> {
    sources.take(name, "false", |raw| match raw.trim() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    })
}

/// The URL, from the variable `named` or from parts, and the name of the variable for error messages about it.
fn url(sources: &Sources, named: Option<Found>) -> Result<Option<(String, &'static str)>, BadSetting> {
    if let Some(found) = named {
        let name = found.name;
        let url = of_url(sources, found)?;
        if !is_tls(&url) {
            refuse_flag(sources, NEEDS_TLS)?;
        } else if sources.find(TLS).is_some() {
            take_flag(sources, TLS)?;
        }
        return Ok(Some((url, name)));
    }
    if PARTS.iter().all(|name| sources.find(name).is_none()) {
        return Ok(None);
    }
    let name = if sources.find(address::SENTINELS).is_some() { address::SENTINELS } else { "REDIS_HOST" };
    Ok(Some((of_parts(sources)?, name)))
}

#[cfg(test)]
mod tests;
