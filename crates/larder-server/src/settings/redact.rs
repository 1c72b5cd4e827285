//! Hides the parts of a URL that may be secret.

const HIDDEN: &str = "…";

/// A URL with its user, its password and its query hidden. A text that is no URL is hidden completely, and a URL of which it
/// is not clear where its password ends, up to its scheme.
pub(super) fn url(raw: &str) -> String {
    let Some((scheme, rest)) = raw.split_once("://") else {
        return HIDDEN.to_owned();
    };
    let unclear = format!("{scheme}://{HIDDEN}");
    let is_unix = scheme.to_ascii_lowercase().ends_with("unix");
    let (address, query) = match rest.split_once('?') {
        // An `@` behind the question mark ends a password with a question mark, or is in a query that may hold a password. The
        // user and the password of a Unix socket are in its query.
        Some((_, query)) if query.contains('@') && !is_unix => return unclear,
        Some((address, _)) => (address, format!("?{HIDDEN}")),
        None => (rest, String::new()),
    };
    // A password may hold `@` without encoding, so the last one ends it.
    let (user, place) = match address.rsplit_once('@') {
        Some((_, place)) => (format!("{HIDDEN}@"), place),
        None => (String::new(), address),
    };
    let hosts = || place.split('/').next().unwrap_or_default().split(',');
    if !is_unix && !hosts().all(|host| is_host(host, !user.is_empty())) {
        return unclear;
    }
    format!("{scheme}://{user}{place}{query}")
}

/// Whether `text` is a host: what follows its colon is a port, and no password whose host was forgotten. Behind a password,
/// it is a port whatever it holds.
fn is_host(text: &str, is_behind_password: bool) -> bool {
    // An IPv6 address has colons within its brackets.
    let (name, port) = match text.rsplit_once(']') {
        Some((address, port)) => (address, port.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    port.is_none_or(|port| !name.is_empty() && (is_behind_password || is_number(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_left_in_a_url() {
        for (raw, shown) in [
            ("redis://localhost:6379/0", "redis://localhost:6379/0"),
            ("redis://:zqx@h:1/2", "redis://…@h:1/2"),
            ("postgres://u:z@qx@h/db", "postgres://…@h/db"),
            ("postgres://u:z?qx@h/db", "postgres://…"),
            ("postgres://h/db?password=zqx", "postgres://h/db?…"),
            ("jdbc:postgresql://db/larder?user=app&password=p@zqx", "jdbc:postgresql://…"),
            ("redis+unix:///r.sock?user=u&pass=z@qx", "redis+unix:///r.sock?…"),
            ("Redis+Unix:///r.sock?pass=z@qx", "Redis+Unix:///r.sock?…"),
            ("redis+unix://:z@qx@h/r.sock", "redis+unix://…@h/r.sock"),
            ("redis://:zqx@h:x/2", "redis://…@h:x/2"),
            ("redis://:zqx", "redis://…"),
            ("redis://:12345/0", "redis://…"),
            ("postgres://u:zqx/db", "postgres://…"),
            ("redis-sentinel://a,[::1]:7,c:8/0?sentinelMasterId=m", "redis-sentinel://a,[::1]:7,c:8/0?…"),
            ("redis-sentinel://u:zqx,b", "redis-sentinel://…"),
            ("postgres:///db?host=/run", "postgres:///db?…"),
            ("postgres:u:zqx", "…"),
            ("zqx", "…"),
        ] {
            assert_eq!(url(raw), shown);
        }
    }
}
