//! Which Redis, if any: a URL under one of three names, its parts, or a REST interface and its token; and the files with
//! passwords and certificates.

mod address;
mod files;

use std::time::Duration;

use larder::redis_options::RedisOptions;

use crate::settings::bad::BadSetting;
use crate::settings::redact;
use crate::settings::redis::address::{is_rest, of_parts, of_rest, of_url};
use crate::settings::redis::files::{is_tls, with_files};
use crate::settings::sources::{Found, SettingSource, Sources};

/// The variables that can hold a URL; the first that is set wins.
const URLS: [&str; 3] = ["REDIS_URL", "REDIS_PRIVATE_URL", UPSTASH];
const UPSTASH: &str = "UPSTASH_REDIS_REST_URL";
const UPSTASH_TOKEN: &str = "UPSTASH_REDIS_REST_TOKEN";
/// If any of these is set, Redis is used, with defaults for the others.
const PARTS: [&str; 14] = [
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_DB",
    "REDIS_USERNAME",
    PASSWORD,
    PASSWORD_FILE,
    TLS,
    CA_FILE,
    CERTIFICATE_FILE,
    KEY_FILE,
    SERVER_NAME,
    "REDIS_SENTINELS",
    "REDIS_POOL_SIZE",
    "REDIS_POOL_TIMEOUT",
];
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
    // Read also if there is no Redis: a bad value is refused although it has no effect.
    let budget = sources.take("LARDER_REDIS_BUDGET", default, |raw| match raw.trim().parse::<f64>() {
        Ok(seconds) if (0.001..=10.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("must be seconds from 0.001 to 10, such as 0.05".to_owned()),
    })?;
    let (address, name) = match rest {
        Some(found) => {
            for name in [PASSWORD_FILE, TLS, CA_FILE, CERTIFICATE_FILE, KEY_FILE, SERVER_NAME] {
                if let Some(unused) = sources.find(name) {
                    let allowed = format!("goes without {UPSTASH}, whose interface is reached over HTTPS");
                    return Err(BadSetting::new(name, &unused.value, allowed));
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
    let pool_size = sources.take("REDIS_POOL_SIZE", "10", |raw| match raw.trim().parse() {
        Ok(size @ 1..=1000) => Ok(size),
        _ => Err("must be an integer from 1 to 1000".to_owned()),
    })?;
    let pool_timeout = sources.take("REDIS_POOL_TIMEOUT", "5.0", |raw| match raw.trim().parse::<f64>() {
        Ok(seconds) if (0.001..=60.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("must be seconds from 0.001 to 60, such as 5.0".to_owned()),
    })?;
    Ok(Some(RedisSettings { address, name, pool_size, pool_timeout, budget }))
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
        return Ok(Some((of_url(sources, found)?, name)));
    }
    if PARTS.iter().all(|name| sources.find(name).is_none()) {
        return Ok(None);
    }
    let name = if sources.find(address::SENTINELS).is_some() { address::SENTINELS } else { "REDIS_HOST" };
    Ok(Some((of_parts(sources)?, name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sources::of;

    const SECRET: &str = "zqx:/@?#%";

    /// The variables that are set, and what is expected: the URL and the variable that errors about it name.
    type Row<'a> = (&'a [(&'a str, &'a str)], Option<(&'a str, &'a str)>);

    fn url(pairs: &[(&str, &str)]) -> Option<(String, &'static str)> {
        let sources = of(pairs, "").unwrap();
        super::url(&sources, URLS.iter().find_map(|name| sources.find(name))).unwrap()
    }

    #[test]
    fn the_first_url_wins_then_the_parts_and_any_of_them_means_redis() {
        let (a, b, c) =
            (("REDIS_URL", "redis://a"), ("REDIS_PRIVATE_URL", "redis://b"), (UPSTASH, "redis://c"));
        let table: &[Row<'_>] = &[
            (&[], None),
            (&[("REDIS_URL", ""), ("REDIS_HOST", " ")], None),
            (&[a, b, c, ("REDIS_HOST", "d")], Some(("redis://a", "REDIS_URL"))),
            (&[("REDIS_URL", " "), b, c], Some(("redis://b", "REDIS_PRIVATE_URL"))),
            (&[c, ("REDIS_PORT", "1")], Some(("redis://c", UPSTASH))),
            (&[("REDIS_HOST", "d")], Some(("redis://d:6379/0", "REDIS_HOST"))),
            (&[("REDIS_PORT", "7")], Some(("redis://localhost:7/0", "REDIS_HOST"))),
            (&[("REDIS_PORT", "tcp://10.0.0.5:6379")], None),
            (&[("REDIS_DB", "2")], Some(("redis://localhost:6379/2", "REDIS_HOST"))),
            (&[("REDIS_POOL_SIZE", "3")], Some(("redis://localhost:6379/0", "REDIS_HOST"))),
            (
                &[("REDIS_PASSWORD", SECRET)],
                Some(("redis://:zqx%3A%2F%40%3F%23%25@localhost:6379/0", "REDIS_HOST")),
            ),
            (&[("REDIS_HOST", "::1")], Some(("redis://[::1]:6379/0", "REDIS_HOST"))),
            (&[a, ("REDIS_DB", "3")], Some(("redis://a/3", "REDIS_URL"))),
            (&[("REDIS_URL", "redis://a/"), ("REDIS_DB", "3")], Some(("redis://a/3", "REDIS_URL"))),
            (&[("REDIS_URL", "redis://a/1"), ("REDIS_DB", "3")], Some(("redis://a/1", "REDIS_URL"))),
            (
                &[("REDIS_URL", "redis://a?protocol=3"), ("REDIS_DB", "3")],
                Some(("redis://a/3?protocol=3", "REDIS_URL")),
            ),
            (
                &[("REDIS_URL", "redis+unix:///run/r"), ("REDIS_DB", "3")],
                Some(("redis+unix:///run/r?db=3", "REDIS_URL")),
            ),
            (
                &[("REDIS_URL", "unix:///r?db=1&pass=p"), ("REDIS_DB", "3")],
                Some(("unix:///r?db=1&pass=p", "REDIS_URL")),
            ),
            (
                &[("REDIS_URL", "unix:///db=/r?pass=db=1"), ("REDIS_DB", "3")],
                Some(("unix:///db=/r?pass=db=1&db=3", "REDIS_URL")),
            ),
            (&[("REDIS_USERNAME", "u@")], Some(("redis://u%40@localhost:6379/0", "REDIS_HOST"))),
            (
                &[("REDIS_TLS", "true"), ("REDIS_USERNAME", "u"), ("REDIS_PASSWORD", "p")],
                Some(("rediss://u:p@localhost:6379/0", "REDIS_HOST")),
            ),
            (
                &[("REDIS_SENTINELS", "a, [::1]:7"), ("REDIS_PASSWORD", "p"), ("REDIS_DB", "2")],
                Some(("redis-sentinel://:p@a,[::1]:7/2?sentinelMasterId=mymaster", "REDIS_SENTINELS")),
            ),
            (
                &[("REDIS_SENTINELS", "a"), ("REDIS_SENTINEL_MASTER", "m&x"), ("REDIS_TLS", "true")],
                Some(("rediss-sentinel://a/0?sentinelMasterId=m%26x", "REDIS_SENTINELS")),
            ),
            (
                &[("REDIS_URL", "redis-sentinel://a,b?sentinelMasterId=m"), ("REDIS_DB", "3")],
                Some(("redis-sentinel://a,b/3?sentinelMasterId=m", "REDIS_URL")),
            ),
        ];
        for (pairs, expected) in table {
            let found = url(pairs);
            let found = found.as_ref().map(|(url, name)| (url.as_str(), *name));
            assert_eq!(found, *expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_bad_part_is_named_and_a_secret_never_shown() {
        for (name, value) in [
            ("REDIS_HOST", "a b"),
            ("REDIS_HOST", "a:1"),
            ("REDIS_PORT", "0"),
            ("REDIS_PORT", "65536"),
            ("REDIS_DB", "-1"),
            ("REDIS_DB", "one"),
            ("REDIS_POOL_SIZE", "0"),
            ("LARDER_REDIS_BUDGET", "0"),
            ("LARDER_REDIS_BUDGET", "11"),
            ("REDIS_POOL_TIMEOUT", "0"),
            ("REDIS_POOL_TIMEOUT", "NaN"),
            ("REDIS_POOL_TIMEOUT", "61"),
            ("REDIS_TLS", "yes"),
            ("REDIS_SENTINELS", "a,"),
            ("REDIS_SENTINELS", "a b"),
            ("REDIS_PASSWORD_FILE", "/nowhere/password"),
        ] {
            let error = read(&of(&[(name, value)], "").unwrap()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}=\"{value}\": must be")), "{error}");
        }
        for (name, value) in [
            ("REDIS_HOST", "redis://:zqx@cache:6379"),
            ("REDIS_HOST", "redis://:zqx"),
            ("REDIS_HOST", "u:zqx@cache"),
            ("REDIS_SENTINELS", "u:zqx@a,b"),
        ] {
            let error = read(&of(&[(name, value)], "").unwrap()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}=…: must be")) && !error.contains("zqx"), "{error}");
        }
        let good = "https://eu1-fit-1.upstash.io";
        for (url, token, named) in [
            (good, "", UPSTASH_TOKEN),
            (good, "zqx zqx", UPSTASH_TOKEN),
            ("https://:zqx@eu1-fit-1.upstash.io/zqx?_token=zqx", "zqx", UPSTASH),
            ("http://eu1-fit-1.upstash.io", "zqx", UPSTASH),
        ] {
            let error = read(&of(&[(UPSTASH, url), (UPSTASH_TOKEN, token)], "").unwrap()).unwrap_err();
            let error = error.to_string();
            assert!(error.starts_with(&format!("{named}=")) && !error.contains("zqx"), "{error}");
        }
    }

    #[test]
    fn a_rest_interface_has_its_token_and_more_time() {
        let pairs = [(UPSTASH, " https://eu1-fit-1.upstash.io/ "), (UPSTASH_TOKEN, "zqx=\n")];
        let sources = of(&pairs, "").unwrap();
        let redis = read(&sources).unwrap().unwrap();
        let rest = RestAddress { url: "https://eu1-fit-1.upstash.io/".into(), token: "zqx=".into() };
        assert_eq!(redis.address, RedisAddress::Rest(rest));
        assert_eq!((redis.name, redis.budget), (UPSTASH, Duration::from_millis(500)));
        let shown = format!("{redis:?} {:?}", sources.effective());
        assert!(shown.contains("eu1-fit-1.upstash.io") && !shown.contains("zqx"), "{shown}");
        let own = [pairs[0], pairs[1], ("LARDER_REDIS_BUDGET", "0.2")];
        assert_eq!(read(&of(&own, "").unwrap()).unwrap().unwrap().budget, Duration::from_millis(200));
        let first = [pairs[0], pairs[1], ("REDIS_URL", "redis://a")];
        let redis = read(&of(&first, "").unwrap()).unwrap().unwrap();
        assert_eq!(redis.address, RedisAddress::Resp("redis://a".into()), "the first URL wins");
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused_by_name() {
        let tls = ("REDIS_URL", "rediss://a");
        for (pairs, name, says) in [
            (
                &[("REDIS_PASSWORD", "zqx"), ("REDIS_PASSWORD_FILE", "/dev/null")][..],
                "REDIS_PASSWORD",
                "goes without",
            ),
            (&[("REDIS_SENTINELS", "a"), ("REDIS_HOST", "b")], "REDIS_HOST", "goes without REDIS_SENTINELS"),
            (
                &[("REDIS_HOST", "a"), ("REDIS_CA_FILE", "/dev/null")],
                "REDIS_CA_FILE",
                "needs a URL that begins with rediss",
            ),
            (&[("REDIS_URL", "redis://a"), ("REDIS_SERVER_NAME", "b")], "REDIS_SERVER_NAME", "needs a URL"),
            (
                &[tls, ("REDIS_CLIENT_CERT_FILE", "/dev/null")],
                "REDIS_CLIENT_CERT_FILE",
                "needs REDIS_CLIENT_KEY_FILE",
            ),
            (
                &[tls, ("REDIS_CLIENT_KEY_FILE", "/dev/null")],
                "REDIS_CLIENT_KEY_FILE",
                "needs REDIS_CLIENT_CERT_FILE",
            ),
            (&[("REDIS_URL", "redis://a"), ("REDIS_TLS", "true")], "REDIS_TLS", "needs a URL"),
            (&[("REDIS_CA_FILE", "/dev/null")], "REDIS_CA_FILE", "needs a URL"),
            (
                &[(UPSTASH, "https://a"), (UPSTASH_TOKEN, "zqx"), ("REDIS_CA_FILE", "/dev/null")],
                "REDIS_CA_FILE",
                "goes without UPSTASH",
            ),
            (&[tls, ("REDIS_CA_FILE", "/dev/null")], "REDIS_URL", "contains no certificate"),
            (&[tls, ("REDIS_PASSWORD_FILE", "/dev/null")], "REDIS_URL", "is empty"),
        ] {
            let error = read(&of(pairs, "").unwrap()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}=")) && error.contains(says), "{error}");
            assert!(!error.contains("zqx"), "{error}");
        }
    }

    #[test]
    fn what_is_shown_hides_the_password() {
        let sources = of(&[("REDIS_PASSWORD", SECRET), ("REDIS_POOL_TIMEOUT", "0.5")], "").unwrap();
        let redis = read(&sources).unwrap().unwrap();
        assert_eq!((redis.pool_size, redis.pool_timeout), (10, Duration::from_millis(500)));
        let shown = format!("{redis:?} {:?}", sources.effective());
        assert!(!shown.contains("zqx"), "{shown}");
    }
}
