//! Hides the parts of a URL that may be secret.

const HIDDEN: &str = "…";

/// A URL with its user, its password and its query hidden. A text that is no URL is hidden completely.
pub(super) fn url(raw: &str) -> String {
    let Some((scheme, rest)) = raw.split_once("://") else {
        return HIDDEN.to_owned();
    };
    // A Unix socket's user and password are in the query.
    if scheme.ends_with("unix") {
        return match rest.split_once('?') {
            Some((path, _)) => format!("{scheme}://{path}?{HIDDEN}"),
            None => format!("{scheme}://{rest}"),
        };
    }
    // A password may hold `@` and `?` without encoding, so the last `@` ends it, and the query is searched behind that
    // `@`.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, host)) => (format!("{HIDDEN}@"), host),
        None => (String::new(), rest),
    };
    let (address, query) = match rest.split_once('?') {
        Some((address, _)) => (address, format!("?{HIDDEN}")),
        None => (rest, String::new()),
    };
    format!("{scheme}://{user}{address}{query}")
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
            ("postgres://u:z?qx@h/db", "postgres://…@h/db"),
            ("postgres://h/db?password=zqx", "postgres://h/db?…"),
            ("redis+unix:///r.sock?user=u&pass=z@qx", "redis+unix:///r.sock?…"),
            ("postgres:u:zqx", "…"),
            ("zqx", "…"),
        ] {
            assert_eq!(url(raw), shown);
        }
    }
}
