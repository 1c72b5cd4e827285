//! The database's URL, parsed once: which database, and for SQLite which file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use crate::error::Error;

const ALLOWED: &str = "allowed are sqlite://path/to/file.db and postgres://user:password@host:port/database (or postgresql://…)";

/// Where the database is.
#[derive(Debug, PartialEq)]
pub(crate) enum Address {
    /// A file of SQLite.
    Sqlite(PathBuf),
    /// A PostgreSQL server, as its URL, and the names of the parameters that it had beside those sqlx knows.
    Postgres { url: String, left_out: Vec<String> },
}

impl Address {
    /// Parses a URL.
    ///
    /// # Errors
    /// Names what is allowed and never repeats the URL, which may hold a password.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(Error::address(format!("the database URL has no scheme; {ALLOWED}")));
        };
        match scheme {
            "postgres" | "postgresql" if rest.starts_with("//") => postgres(url),
            "sqlite" => sqlite(rest.strip_prefix("//").unwrap_or(rest)),
            _ => Err(Error::address(format!("the database URL is of an unknown kind; {ALLOWED}"))),
        }
    }
}

fn postgres(url: &str) -> Result<Address, Error> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (known, unknown): (Vec<_>, Vec<_>) =
        query.split('&').filter(|pair| !pair.is_empty()).partition(|pair| is_known(name(pair)));
    let url = match known.is_empty() {
        true => address.to_owned(),
        false => format!("{address}?{}", known.join("&")),
    };
    // Its own words may quote a part of the URL.
    PgConnectOptions::from_str(&url)
        .map_err(|_| Error::address(format!("the PostgreSQL URL cannot be read; {ALLOWED}")))?;
    Ok(Address::Postgres { url, left_out: unknown.into_iter().map(|pair| name(pair).to_owned()).collect() })
}

fn name(pair: &str) -> &str {
    pair.split('=').next().unwrap_or_default()
}

/// Whether sqlx knows a parameter. It logs one that it does not know together with its value, such as `sslpassword`.
fn is_known(name: &str) -> bool {
    const KNOWN: [&str; 18] = [
        "application_name",
        "dbname",
        "host",
        "hostaddr",
        "options",
        "password",
        "port",
        "ssl-ca",
        "ssl-cert",
        "ssl-key",
        "ssl-mode",
        "ssl-root-cert",
        "sslcert",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "statement-cache-capacity",
        "user",
    ];
    KNOWN.contains(&name) || name.starts_with("options[") || name.starts_with("options%5B")
}

fn sqlite(path: &str) -> Result<Address, Error> {
    if path == ":memory:" || path.contains("mode=memory") {
        return Err(Error::address(
            "SQLite in memory is not supported, because each connection would see another database; \
             use sqlite://path/to/file.db",
        ));
    }
    if path.is_empty() || path.contains('?') {
        return Err(Error::address(
            "the SQLite URL needs the path of a file and takes no parameters: sqlite://path/to/file.db",
        ));
    }
    Ok(Address::Sqlite(PathBuf::from(path)))
}

/// The URL that makes sqlx open this very file, whatever characters its path holds.
pub(crate) fn sqlite_url(path: &Path) -> Result<String, Error> {
    let path =
        std::path::absolute(path).map_err(|_| Error::address("the SQLite path cannot be made absolute"))?;
    let Some(path) = path.to_str() else {
        return Err(Error::address("the SQLite path is not valid UTF-8"));
    };
    let mut url = String::from("sqlite://");
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url.push_str("?mode=rwc");
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_addresses() {
        let file = |path: &str| Address::Sqlite(PathBuf::from(path));
        assert_eq!(Address::parse("sqlite://data/larder.db").unwrap(), file("data/larder.db"));
        assert_eq!(Address::parse("sqlite:///var/x y.db").unwrap(), file("/var/x y.db"));
        assert_eq!(Address::parse("sqlite:x.db").unwrap(), file("x.db"));
        for url in ["postgres://u:p@h/d", "postgresql://h/d"] {
            let whole = Address::Postgres { url: url.to_owned(), left_out: Vec::new() };
            assert_eq!(Address::parse(url).unwrap(), whole);
        }
    }

    #[test]
    fn a_bad_url_names_what_is_allowed_and_hides_the_password() {
        for url in ["", "larder.db", "mysql://root:hunter2@h/d", "redis://:hunter2@h", "postgres:hunter2"] {
            let text = Address::parse(url).unwrap_err().to_string();
            assert!(text.contains("sqlite://") && text.contains("postgres://"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
        for url in [
            "postgres://u:hunter2@h:port/d",
            "postgres://u:hunter2@h:99999/d",
            "postgres://u:hunter2@/d?sslmode=hunter2",
        ] {
            let text = Address::parse(url).unwrap_err().to_string();
            assert!(text.contains("cannot be read") && !text.contains("hunter2"), "{text}");
        }
        for url in
            ["sqlite::memory:", "sqlite://:memory:", "sqlite://", "sqlite://x?mode=memory", "sqlite://x?a=b"]
        {
            assert!(Address::parse(url).unwrap_err().to_string().contains("sqlite://path"), "{url}");
        }
    }

    #[test]
    fn parameters_that_sqlx_would_log_are_left_out() {
        for (url, expected, names) in [
            (
                "postgres://h/d?sslmode=disable&sslpassword=hunter2",
                "postgres://h/d?sslmode=disable",
                vec!["sslpassword"],
            ),
            ("postgres://h/d?sslpassword=hunter2", "postgres://h/d", vec!["sslpassword"]),
            ("postgres://h/d?options[a]=b&user=c", "postgres://h/d?options[a]=b&user=c", vec![]),
        ] {
            let left_out = names.into_iter().map(str::to_owned).collect();
            let expected = Address::Postgres { url: expected.to_owned(), left_out };
            assert_eq!(Address::parse(url).unwrap(), expected);
        }
    }

    #[test]
    fn a_path_is_escaped_whole() {
        assert_eq!(
            sqlite_url(Path::new("/a b/ü?#%.db")).unwrap(),
            "sqlite:///a%20b/%C3%BC%3F%23%25.db?mode=rwc"
        );
    }
}
