//! Parses the database's URL into the kind of database and, for SQLite, the file or, for PostgreSQL, the servers.

mod postgres;

pub(crate) use crate::address::postgres::url_like;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::error::Error;

const ALLOWED: &str = "allowed are sqlite://path/to/file.db and postgres://user:password@host:port/database (or postgresql://…)";

/// Where the database is.
#[derive(Debug, PartialEq)]
pub(crate) enum Address {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// One PostgreSQL server, or several, one of which is the primary.
    Postgres(PostgresAddress),
}

/// Where a PostgreSQL database is.
#[derive(Debug, PartialEq)]
pub(crate) struct PostgresAddress {
    /// The servers in the order in which larder tries them. Each has its name for messages and a URL that sqlx
    /// understands.
    pub(crate) hosts: Vec<(String, String)>,
    /// Whether the URL says that it leads to a pooler in transaction mode.
    pub(crate) has_transaction_pooler: bool,
    /// The names of unknown parameters, which larder ignores.
    pub(crate) left_out: Vec<String>,
}

impl Address {
    /// Parses a URL.
    ///
    /// # Errors
    /// The text says what is allowed and never repeats the URL, which may contain a password.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(Error::address(format!("the database URL has no scheme; {ALLOWED}")));
        };
        let (scheme, rest) = match scheme {
            // A JDBC URL has the same form after the prefix `jdbc:`.
            "jdbc" => rest.split_once(':').unwrap_or((scheme, rest)),
            _ => (scheme, rest),
        };
        // A SQLAlchemy URL also names the driver: postgresql+asyncpg, postgres+psycopg2.
        match scheme.split('+').next().unwrap_or_default() {
            "postgres" | "postgresql" if rest.starts_with("//") => postgres::parse(rest).map(Self::Postgres),
            "sqlite" if scheme == "sqlite" => sqlite(rest.strip_prefix("//").unwrap_or(rest)),
            _ => Err(Error::address(format!("the database URL is of an unknown kind; {ALLOWED}"))),
        }
    }
}

fn sqlite(path: &str) -> Result<Address, Error> {
    if cfg!(not(feature = "sqlite")) {
        return Err(Error::address(
            "this program was built without SQLite; turn on the feature `sqlite` of larder-sql",
        ));
    }
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

/// The URL with which sqlx opens exactly this file, whatever characters its path has.
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
        for scheme in ["postgres", "postgresql", "postgresql+asyncpg", "postgres+psycopg2", "jdbc:postgresql"]
        {
            assert_eq!(server(&format!("{scheme}://u:p@h/d")), ("postgres://u:p@h/d".to_owned(), Vec::new()));
        }
        for url in ["sqlite+aiosqlite:///x.db", "jdbc:sqlite:x.db", "jdbc://h/d", "postgres+asyncpg:h"] {
            let is_file = url.starts_with("jdbc:sqlite");
            assert_eq!(Address::parse(url).is_ok(), is_file, "{url}");
        }
    }

    /// The URL of the only host, and the ignored parameters.
    fn server(url: &str) -> (String, Vec<String>) {
        let Address::Postgres(address) = Address::parse(url).unwrap() else { panic!("{url}") };
        assert_eq!(address.hosts.len(), 1, "{url}");
        (address.hosts[0].1.clone(), address.left_out)
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
            let left_out: Vec<_> = names.into_iter().map(str::to_owned).collect();
            assert_eq!(server(url), (expected.to_owned(), left_out));
        }
    }

    #[test]
    fn every_special_character_of_a_path_is_escaped() {
        assert_eq!(
            sqlite_url(Path::new("/a b/ü?#%.db")).unwrap(),
            "sqlite:///a%20b/%C3%BC%3F%23%25.db?mode=rwc"
        );
    }
}
