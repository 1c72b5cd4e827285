//! Which Redis, if any: a URL under one of three names, a REST interface and its token, or host, port, database and password.

use std::fmt::Write as _;
use std::time::Duration;

use larder::cache::Cache;

use crate::settings::bad::BadSetting;
use crate::settings::redact;
use crate::settings::sources::{Found, SettingSource, Sources};

/// The variables that can hold a URL; the first that is set wins.
const URLS: [&str; 3] = ["REDIS_URL", "REDIS_PRIVATE_URL", UPSTASH];
const UPSTASH: &str = "UPSTASH_REDIS_REST_URL";
const UPSTASH_TOKEN: &str = "UPSTASH_REDIS_REST_TOKEN";
/// If any of these is set, Redis is used, with defaults for the others.
const PARTS: [&str; 6] =
    ["REDIS_HOST", "REDIS_PORT", "REDIS_DB", "REDIS_PASSWORD", "REDIS_POOL_SIZE", "REDIS_POOL_TIMEOUT"];

/// How to reach Redis.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisSettings {
    /// The complete URL; it may hold a password.
    pub url: String,
    /// `UPSTASH_REDIS_REST_TOKEN`, if the URL is that of a REST interface.
    pub rest_token: Option<String>,
    /// The name of the variable for error messages about this URL.
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
        f.debug_struct("RedisSettings").field("url", &redact::url(&self.url)).finish_non_exhaustive()
    }
}

impl RedisSettings {
    /// Settings with this URL, as if `REDIS_URL` held it, and defaults for the rest.
    pub fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            rest_token: None,
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
    let is_rest = named.as_ref().is_some_and(is_rest);
    // A round trip over the internet takes tens of milliseconds, and a request makes several.
    let default = if is_rest { "0.5" } else { "0.05" };
    // Read also if there is no Redis: a bad value is refused although it has no effect.
    let budget = sources.take("LARDER_REDIS_BUDGET", default, |raw| match raw.trim().parse::<f64>() {
        Ok(seconds) if (0.001..=10.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("must be seconds from 0.001 to 10, such as 0.05".to_owned()),
    })?;
    let is_wanted = named.is_some() || PARTS.iter().any(|name| sources.find(name).is_some());
    if !is_wanted {
        sources.note("REDIS_URL", "none: memory alone", SettingSource::Default);
        return Ok(None);
    }
    let name = named.as_ref().map_or("REDIS_HOST", |found| found.name);
    let (url, rest_token) = match named {
        Some(found) if is_rest => of_rest(sources, found)?,
        Some(found) => (of_url(sources, found)?, None),
        None => (of_parts(sources)?, None),
    };
    if rest_token.is_none() {
        Cache::check_redis_url(&url).map_err(|error| BadSetting::url(name, &url, error.to_string()))?;
    }
    let pool_size = sources.take("REDIS_POOL_SIZE", "10", |raw| match raw.trim().parse() {
        Ok(size @ 1..=1000) => Ok(size),
        _ => Err("must be an integer from 1 to 1000".to_owned()),
    })?;
    let pool_timeout = sources.take("REDIS_POOL_TIMEOUT", "5.0", |raw| match raw.trim().parse::<f64>() {
        Ok(seconds) if (0.001..=60.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("must be seconds from 0.001 to 60, such as 5.0".to_owned()),
    })?;
    Ok(Some(RedisSettings { url, rest_token, name, pool_size, pool_timeout, budget }))
}

/// Whether `found` is the URL of a REST interface. Some deployments set this variable to a `redis://` URL.
fn is_rest(found: &Found) -> bool {
    let url = found.value.trim();
    found.name == UPSTASH && (url.starts_with("https://") || url.starts_with("http://"))
}

/// The URL of a REST interface, and its token.
fn of_rest(sources: &Sources, found: Found) -> Result<(String, Option<String>), BadSetting> {
    let url = found.value.trim().to_owned();
    let Some(token) = sources.find(UPSTASH_TOKEN) else {
        let allowed = "must be set beside UPSTASH_REDIS_REST_URL: Upstash's console shows the token of its REST interface";
        return Err(BadSetting::secret(UPSTASH_TOKEN, allowed));
    };
    let value = token.value.trim().to_owned();
    Cache::check_upstash(&url, &value).map_err(|error| {
        let message = error.to_string();
        // The URL is not shown: it may hold the token.
        let name = if message.contains("token") { UPSTASH_TOKEN } else { UPSTASH };
        BadSetting::secret(name, message)
    })?;
    sources.note(found.name, redact::url(&url), found.origin);
    sources.note(token.name, "…", token.origin);
    Ok((url, Some(value)))
}

fn of_url(sources: &Sources, found: Found) -> Result<String, BadSetting> {
    let Found { name, value, origin } = found;
    let url = value.trim().to_owned();
    sources.note(name, redact::url(&url), origin);
    // `REDIS_DB` is parsed even if the URL names a database: a bad value is refused although it has no effect.
    let database = database(sources)?;
    Ok(match database {
        Some(database) if !names_a_database(&url) => {
            let (address, query) = url.split_at(url.find('?').unwrap_or(url.len()));
            format!("{}/{database}{query}", address.trim_end_matches('/'))
        }
        _ => url,
    })
}

fn of_parts(sources: &Sources) -> Result<String, BadSetting> {
    let host = sources.take("REDIS_HOST", "localhost", |raw| {
        let host = raw.trim();
        let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::Ipv6Addr>();
        match address {
            Ok(address) => Ok(format!("[{address}]")),
            Err(_) if is_name => Ok(host.to_owned()),
            Err(_) => Err("must be a host name or an IP address, without port".to_owned()),
        }
    })?;
    let port = sources.take("REDIS_PORT", "6379", |raw| match raw.trim().parse::<u16>() {
        Ok(port @ 1..) => Ok(port),
        _ => Err("must be a port, an integer from 1 to 65535".to_owned()),
    })?;
    let database = database(sources)?.unwrap_or(0);
    let password = match sources.find("REDIS_PASSWORD") {
        Some(found) => {
            sources.note(found.name, "…", found.origin);
            format!(":{}@", encoded(&found.value))
        }
        None => String::new(),
    };
    Ok(format!("redis://{password}{host}:{port}/{database}"))
}

fn database(sources: &Sources) -> Result<Option<u32>, BadSetting> {
    if sources.find("REDIS_DB").is_none() {
        return Ok(None);
    }
    sources.take("REDIS_DB", "0", |raw| match raw.trim().parse() {
        Ok(database @ 0..=65535) => Ok(Some(database)),
        _ => Err("must be the number of a database, from 0".to_owned()),
    })
}

fn names_a_database(url: &str) -> bool {
    let address = url.split('?').next().unwrap_or_default();
    let rest = address.split_once("://").map_or("", |(_, rest)| rest);
    // The slash is searched behind the user and the password, because a password may hold a slash without encoding.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    rest.split_once('/').is_some_and(|(_, database)| !database.is_empty())
}

/// Percent-encodes every byte except the unreserved ones of RFC 3986.
fn encoded(secret: &str) -> String {
    let mut text = String::with_capacity(secret.len());
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sources::of;

    const SECRET: &str = "zqx:/@?#%";

    /// The variables that are set, and what is expected: the URL and the variable that errors about it name.
    type Row<'a> = (&'a [(&'a str, &'a str)], Option<(&'a str, &'a str)>);

    fn url(pairs: &[(&str, &str)]) -> Option<(String, &'static str)> {
        read(&of(pairs, "").unwrap()).unwrap().map(|redis| (redis.url, redis.name))
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
            (&[("REDIS_URL", "redis://a?x=/y"), ("REDIS_DB", "3")], Some(("redis://a/3?x=/y", "REDIS_URL"))),
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
        ] {
            let error = read(&of(&[(name, value)], "").unwrap()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}=\"{value}\": must be")), "{error}");
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
        assert_eq!(
            (redis.url.as_str(), redis.rest_token.as_deref()),
            ("https://eu1-fit-1.upstash.io/", Some("zqx="))
        );
        assert_eq!((redis.name, redis.budget), (UPSTASH, Duration::from_millis(500)));
        let shown = format!("{redis:?} {:?}", sources.effective());
        assert!(shown.contains("eu1-fit-1.upstash.io") && !shown.contains("zqx"), "{shown}");
        let own = [pairs[0], pairs[1], ("LARDER_REDIS_BUDGET", "0.2")];
        assert_eq!(read(&of(&own, "").unwrap()).unwrap().unwrap().budget, Duration::from_millis(200));
        let first = [pairs[0], pairs[1], ("REDIS_URL", "redis://a")];
        assert_eq!(read(&of(&first, "").unwrap()).unwrap().unwrap().rest_token, None, "the first URL wins");
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
