//! The URL of Redis: from one variable, or built from parts.

use std::fmt::Write as _;

use larder::cache::Cache;

use crate::settings::bad::BadSetting;
use crate::settings::redact;
use crate::settings::redis::{
    PASSWORD, PASSWORD_FILE, RestAddress, TLS, UPSTASH, UPSTASH_TOKEN, USER, take_flag,
};
use crate::settings::sources::{Found, Sources};

pub(super) const SENTINELS: &str = "REDIS_SENTINELS";
pub(super) const HOST: &str = "REDIS_HOST";

/// Whether `found` is the URL of a REST interface. Some deployments set this variable to a `redis://` URL.
pub(super) fn is_rest(found: &Found) -> bool {
    let url = found.value.trim();
    found.name == UPSTASH && (url.starts_with("https://") || url.starts_with("http://"))
}

/// The URL of a REST interface, and its token.
pub(super) fn of_rest(sources: &Sources, found: Found) -> Result<RestAddress, BadSetting> {
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
    Ok(RestAddress { url, token: value })
}

pub(super) fn of_url(sources: &Sources, found: Found) -> Result<String, BadSetting> {
    let Found { name, value, origin } = found;
    let url = value.trim().to_owned();
    sources.note(name, redact::url(&url), origin);
    refuse_unused_login(sources, name, &url)?;
    // `REDIS_DB` is parsed even if the URL names a database: a bad value is refused although it has no effect.
    let database = database(sources)?;
    if let Some(database @ 1..) = database
        && is_cluster(&url)
    {
        let allowed = "must be left out, or 0: larder uses the database 0 of a cluster";
        return Err(BadSetting::new("REDIS_DB", &database.to_string(), allowed));
    }
    Ok(match database {
        Some(database) if is_unix(&url) => match url.split_once('?') {
            // The parameters of a URL for a Unix socket name the database.
            Some((_, query)) if query.split('&').any(|parameter| parameter.starts_with("db=")) => url,
            Some(_) => format!("{url}&db={database}"),
            None => format!("{url}?db={database}"),
        },
        Some(database) if !names_a_database(&url) => {
            let (address, query) = url.split_at(url.find('?').unwrap_or(url.len()));
            format!("{}/{database}{query}", address.trim_end_matches('/'))
        }
        _ => url,
    })
}

/// A URL has its own user and password, and those of the parts have no effect beside it. Refused is what the URL lacks: larder
/// would log in otherwise than was meant.
fn refuse_unused_login(sources: &Sources, name: &str, url: &str) -> Result<(), BadSetting> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let (has_user, has_password) = match (is_unix(url), rest.split_once('?'), rest.rsplit_once('@')) {
        (true, Some((_, query)), _) => {
            let has = |name: &str| query.split('&').any(|parameter| parameter.starts_with(name));
            (has("user="), has("pass="))
        }
        (false, _, Some((login, _))) => {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            (!user.is_empty(), !password.is_empty())
        }
        _ => (false, false),
    };
    let has_file = sources.find(PASSWORD_FILE).is_some();
    for (unused, is_named) in [(USER, has_user || has_password), (PASSWORD, has_password || has_file)] {
        if !is_named && sources.find(unused).is_some() {
            let allowed = format!("has no effect beside {name}: write it into that URL, or leave it out");
            return Err(BadSetting::secret(unused, allowed));
        }
    }
    Ok(())
}

pub(super) fn of_parts(sources: &Sources) -> Result<String, BadSetting> {
    if sources.find(HOST).is_some_and(|found| found.value.contains('@') || found.value.contains("://")) {
        let allowed = "must be a host name or an IP address, without port; a URL belongs in REDIS_URL";
        return Err(BadSetting::secret(HOST, allowed));
    }
    let host = sources.take(HOST, "localhost", |raw| {
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
    let user = sources.find(USER).map(|found| {
        sources.note(found.name, &found.value, found.origin);
        encoded(&found.value)
    });
    let password = sources.find(PASSWORD).map(|found| {
        sources.note(found.name, "…", found.origin);
        encoded(&found.value)
    });
    let login = match (user, password) {
        (None, None) => String::new(),
        (user, None) => format!("{}@", user.unwrap_or_default()),
        (user, Some(password)) => format!("{}:{password}@", user.unwrap_or_default()),
    };
    let tls = if take_flag(sources, TLS)? { "s" } else { "" };
    let Some(sentinels) = sources.find(SENTINELS) else {
        return Ok(format!("redis{tls}://{login}{host}:{port}/{database}"));
    };
    if let Some(host) = sources.find(HOST) {
        return Err(BadSetting::new(
            host.name,
            &host.value,
            format!("goes without {SENTINELS}, which names the master"),
        ));
    }
    sources.note(sentinels.name, &sentinels.value, sentinels.origin);
    let hosts: Vec<_> = sentinels.value.split(',').map(str::trim).collect();
    let is_host = |host: &&str| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
    };
    if !hosts.iter().all(is_host) {
        let allowed = "must be hosts with commas between them, such as a:26379,b:26379";
        return Err(match sentinels.value.contains('@') {
            // It may hold a password, which does not belong there.
            true => BadSetting::secret(SENTINELS, allowed),
            false => BadSetting::new(SENTINELS, &sentinels.value, allowed),
        });
    }
    let master = sources.take("REDIS_SENTINEL_MASTER", "mymaster", |raw| Ok(encoded(raw)))?;
    Ok(format!("redis{tls}-sentinel://{login}{}/{database}?sentinelMasterId={master}", hosts.join(",")))
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

fn is_unix(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| scheme.to_ascii_lowercase().ends_with("unix"))
}

fn is_cluster(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| scheme.to_ascii_lowercase().ends_with("-cluster"))
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
