//! Parses PostgreSQL URLs, including lists of hosts and the schemes and parameters of other libraries.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgPool};

use crate::address::{ALLOWED, PostgresAddress};
use crate::error::Error;

/// Splits a URL into one URL for each host.
///
/// `rest` is the part of the URL after the scheme and its colon, and begins with two slashes.
///
/// # Errors
/// The text says what is allowed and never repeats the URL, which may contain a password.
pub(super) fn parse(rest: &str) -> Result<PostgresAddress, Error> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = match address.find('/') {
        Some(slash) => address.split_at(slash),
        None => (address, ""),
    };
    let (user, listed) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    let mut parameters = Parameters::read(query)?;
    let hosts = match parameters.hosts(listed)? {
        // A URL with a user needs a host. sqlx prefers the `host` parameter to this placeholder.
        hosts if hosts == [""] && !user.is_empty() && parameters.has_host() => vec!["localhost".to_owned()],
        hosts => hosts,
    };
    let query = match parameters.known.is_empty() {
        true => String::new(),
        false => format!("?{}", parameters.known.join("&")),
    };
    let of_host = |host: String| {
        let url = format!("postgres://{user}{host}{path}{query}");
        // Replace sqlx's text, which may quote a part of the URL.
        let options = PgConnectOptions::from_str(&url)
            .map_err(|_| Error::address(format!("the PostgreSQL URL cannot be read; {ALLOWED}")))?;
        Ok((shown(&options), url))
    };
    Ok(PostgresAddress {
        hosts: hosts.into_iter().map(of_host).collect::<Result<_, Error>>()?,
        has_transaction_pooler: parameters.has_transaction_pooler,
        left_out: parameters.left_out,
    })
}

/// The URL of what a pool connects to now. sqlx's own URL leaves out the session's options, among them the search path, and
/// sqlx panics if the host is a socket or an IPv6 address, or the user's name has a character of URLs.
///
/// # Errors
/// A URL cannot carry a certificate or a key as PEM text. The text never repeats it.
pub(crate) fn url_like(pool: &PgPool) -> Result<String, Error> {
    let options = pool.connect_options();
    let plain = PgConnectOptions::clone(&options).username("named-below").host("localhost");
    let mut url = plain.to_url_lossy();
    url.set_path("");
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let pairs: Vec<_> = pairs.into_iter().map(certificate_as_path).collect::<Result<_, _>>()?;
    url.query_pairs_mut().clear().extend_pairs(pairs);
    let socket = options.get_socket().map(|socket| socket.display().to_string());
    let host = socket.as_deref().unwrap_or_else(|| options.get_host());
    let named = [
        ("host", Some(host)),
        ("user", Some(options.get_username())),
        ("dbname", options.get_database()),
        ("application_name", options.get_application_name()),
        ("options", options.get_options()),
    ];
    let named = named.into_iter().filter_map(|(name, value)| Some((name, value?)));
    url.query_pairs_mut().extend_pairs(named);
    Ok(url.into())
}

/// A parameter as sqlx reads it: sqlx writes the file of a certificate or of a key as `file: /path`, and reads the path
/// alone.
fn certificate_as_path((name, value): (String, String)) -> Result<(String, String), Error> {
    if !["sslrootcert", "sslcert", "sslkey"].contains(&name.as_str()) {
        return Ok((name, value));
    }
    match value.strip_prefix("file: ") {
        Some(path) => Ok((name, path.to_owned())),
        None => Err(Error::address(format!(
            "the pool has its {name} as PEM text, which the journal's own connections cannot take over; give the pool the \
             path of a file (`ssl_root_cert`, `ssl_client_cert`, `ssl_client_key`, or {name}=/path in the URL)"
        ))),
    }
}

/// The name of a host in messages.
fn shown(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// The URL's parameters, sorted by the library that understands them.
#[derive(Default)]
struct Parameters<'a> {
    /// Parameters that sqlx knows, unchanged.
    known: Vec<String>,
    /// The names of unknown parameters.
    left_out: Vec<String>,
    hosts: Option<&'a str>,
    ports: Option<&'a str>,
    has_transaction_pooler: bool,
}

impl<'a> Parameters<'a> {
    fn read(query: &'a str) -> Result<Self, Error> {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            parameters.take(pair)?;
        }
        Ok(parameters)
    }

    fn take(&mut self, pair: &'a str) -> Result<(), Error> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match (name, value) {
            // The names of this parameter in libpq and JDBC. Ignore it: larder refuses every standby anyway.
            (
                "target_session_attrs" | "targetServerType",
                "read-write" | "primary" | "master" | "any" | "",
            ) => {}
            ("target_session_attrs" | "targetServerType", _) => {
                return Err(Error::address(
                    "the PostgreSQL URL asks for a standby; larder writes, so target_session_attrs must be \
                     read-write, primary or any",
                ));
            }
            ("pgbouncer", "true") => self.has_transaction_pooler = true,
            ("pgbouncer", "false" | "") => {}
            ("pgbouncer", _) => {
                return Err(Error::address("pgbouncer in the PostgreSQL URL must be true or false"));
            }
            // The name of `sslmode` in asyncpg and JDBC. Translate it: without it, the connection would be less safe
            // than the URL asks for.
            ("ssl", "true") => self.known.push("sslmode=require".to_owned()),
            ("ssl", "false") => self.known.push("sslmode=disable".to_owned()),
            ("ssl", mode) => self.known.push(format!("sslmode={mode}")),
            ("host", hosts) if hosts.contains(',') => self.hosts = Some(hosts),
            ("port", ports) if ports.contains(',') => self.ports = Some(ports),
            (name, _) if is_known(name) => self.known.push(pair.to_owned()),
            (name, _) => self.left_out.push(name.to_owned()),
        }
        Ok(())
    }

    fn has_host(&self) -> bool {
        self.known.iter().any(|pair| pair.starts_with("host=") || pair.starts_with("hostaddr="))
    }

    /// The hosts, each as `host:port`; without the port if the `port` parameter has no list.
    fn hosts(&mut self, listed: &str) -> Result<Vec<String>, Error> {
        let listed: Vec<_> = self.hosts.unwrap_or(listed).split(',').collect();
        if listed.len() > 1 && listed.iter().any(|host| host.is_empty()) {
            return Err(Error::address("the PostgreSQL URL lists a host without a name"));
        }
        let Some(ports) = self.ports else {
            return Ok(listed.into_iter().map(str::to_owned).collect());
        };
        let ports: Vec<_> = ports.split(',').collect();
        if ports.len() != listed.len() {
            return Err(Error::address("the PostgreSQL URL lists as many ports as hosts, or one for all"));
        }
        Ok(listed.iter().zip(ports).map(|(host, port)| format!("{host}:{port}")).collect())
    }
}

/// Whether sqlx knows a parameter. sqlx logs an unknown parameter together with its value, such as that of
/// `sslpassword`.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(rest: &str) -> Vec<String> {
        parse(rest).unwrap().hosts.into_iter().map(|(_, url)| url).collect()
    }

    #[test]
    fn each_host_has_a_url_of_its_own() {
        let table: &[(&str, &[&str])] = &[
            ("//h/d", &["postgres://h/d"]),
            ("//u:p@a,b/d", &["postgres://u:p@a/d", "postgres://u:p@b/d"]),
            (
                "//a:1,[::1]:2/d?sslmode=disable",
                &["postgres://a:1/d?sslmode=disable", "postgres://[::1]:2/d?sslmode=disable"],
            ),
            ("//u@/d?host=a,b&port=1,2&user=c", &["postgres://u@a:1/d?user=c", "postgres://u@b:2/d?user=c"]),
            ("//h/d?ssl=true", &["postgres://h/d?sslmode=require"]),
            ("//h/d?ssl=verify-full", &["postgres://h/d?sslmode=verify-full"]),
            ("//%2Frun%2Fpg/d", &["postgres://%2Frun%2Fpg/d"]),
            ("///d?host=/run/pg&port=7", &["postgres:///d?host=/run/pg&port=7"]),
            ("//u:p@/d?host=/run/pg", &["postgres://u:p@localhost/d?host=/run/pg"]),
        ];
        for (rest, expected) in table {
            assert_eq!(urls(rest), *expected, "{rest}");
        }
        for bad in ["//a,,b/d", "//a,b/d?port=1,2,3", "//a,b:x/d", "//h/d?ssl=zqx"] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.contains("PostgreSQL URL") && !error.contains("zqx"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_url_that_asks_for_a_standby_is_refused() {
        for rest in ["//h/d?target_session_attrs=any", "//a,b/d?targetServerType=primary"] {
            parse(rest).unwrap();
        }
        let error = parse("//h/d?target_session_attrs=prefer-standby").unwrap_err().to_string();
        assert!(error.contains("target_session_attrs must be read-write"), "{error}");
    }

    #[test]
    fn a_host_is_shown_without_its_user_and_a_pooler_is_noticed() {
        let address = parse("//u:zqx@a:1,b/d?pgbouncer=true&connect_timeout=3").unwrap();
        let shown: Vec<_> = address.hosts.iter().map(|(shown, _)| shown.as_str()).collect();
        assert_eq!(shown, ["a:1", "b:5432"]);
        assert!(address.has_transaction_pooler);
        assert_eq!(address.left_out, ["connect_timeout"]);
        assert!(!parse("//h/d?pgbouncer=false").unwrap().has_transaction_pooler);
        assert!(parse("//h/d?pgbouncer=maybe").is_err());
    }
}
