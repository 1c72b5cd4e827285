//! The address of a Redis, parsed from a URL.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use redis::{ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion, RedisConnectionInfo};
use url::form_urlencoded;

use crate::error::Error;

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// What a URL may look like. An error shows this and never the URL, because that may contain a password.
const ALLOWED: &str = "a Redis URL looks like redis://[user:password@]host[:port][/database], rediss://… with TLS, \
                       redis+unix:///path/to/socket, \
                       redis-cluster://[user:password@]host[:port][,host[:port]…], or \
                       redis-sentinel://[user:password@]host[:port][,host[:port]…][/database]?sentinelMasterId=name";

/// Where a Redis is, and how to log in there.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) server: Server,
    pub(crate) is_tls: bool,
    /// The user, the password and the database.
    pub(crate) login: RedisConnectionInfo,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Tcp(Host),
    Unix(PathBuf),
    /// The master that one of `sentinels` names.
    MasterOf {
        sentinels: Vec<Host>,
        /// The name under which the Sentinels monitor the master.
        name: String,
    },
    /// A Redis Cluster, of which these are some nodes.
    Cluster(Vec<Host>),
}

/// A host name or an IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

impl Address {
    /// Parses a URL; [`RedisOptions`](crate::redis_options::RedisOptions) lists the forms.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| refused(ALLOWED))?;
        refuse_fragment(rest)?;
        match scheme.to_ascii_lowercase().as_str() {
            "redis" | "valkey" => Self::tcp(rest, false),
            "rediss" | "valkeys" => Self::tcp(rest, true),
            "unix" | "redis+unix" | "valkey+unix" => Self::of_socket(rest),
            "redis-sentinel" | "valkey-sentinel" => Self::of_sentinels(rest, false),
            "rediss-sentinel" | "valkeys-sentinel" => Self::of_sentinels(rest, true),
            "redis-cluster" | "valkey-cluster" => Self::of_cluster(rest, false),
            "rediss-cluster" | "valkeys-cluster" => Self::of_cluster(rest, true),
            _ => Err(refused(ALLOWED)),
        }
    }

    fn tcp(rest: &str, is_tls: bool) -> Result<Self, Error> {
        if rest.split_once('?').is_some_and(|(_, query)| !["protocol=resp3", "protocol=3"].contains(&query)) {
            // Ignored, it would lead to another database, or to a certificate that is not verified as its writer meant. The
            // error does not show it: it may be the rest of a password that has a question mark.
            return Err(refused(
                "a URL for one Redis has no parameters after a question mark: its database is its path, as in \
                 redis://host/2, and TLS is rediss:// with the options of RedisOptions; a question mark in a password is %3F",
            ));
        }
        Ok(Address { is_tls, ..Self::of_redis_rs(&format!("redis://{rest}"))? })
    }

    /// Parses what follows the scheme of a URL for a Unix socket.
    fn of_socket(rest: &str) -> Result<Self, Error> {
        let query = rest.split_once('?').map_or("", |(_, query)| query);
        let is_known =
            |(name, _): (Cow<'_, str>, Cow<'_, str>)| ["db", "user", "pass", "protocol"].contains(&&*name);
        if !form_urlencoded::parse(query.as_bytes()).all(is_known) {
            // Ignored, `database=2` would lead to database 0. The error does not show it: it may be the rest of a password that
            // has an ampersand.
            return Err(refused(
                "a URL for a Unix socket has the parameters db, user, pass and protocol alone, as in \
                 redis+unix:///path?db=2&pass=p; an ampersand in a password is %26",
            ));
        }
        Self::of_redis_rs(&format!("unix://{rest}"))
    }

    fn of_redis_rs(url: &str) -> Result<Self, Error> {
        let info =
            url.into_connection_info().map_err(|error| Error::config_because(ALLOWED.to_owned(), error))?;
        let server = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Server::Tcp(Host { name: host.clone(), port: *port }),
            ConnectionAddr::Unix(path) => Server::Unix(path.clone()),
            _ => return Err(refused(ALLOWED)),
        };
        // Without the name of the library: a user with few rights may not set it, and Redis 7.0 does not know it.
        let login =
            info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
        Ok(Address { server, is_tls: false, login })
    }

    /// Parses what follows the scheme of a Sentinel URL. No URL parser accepts several hosts, so each host is parsed as
    /// one of its own.
    fn of_sentinels(rest: &str, is_tls: bool) -> Result<Self, Error> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (sentinels, login) = Self::of_hosts(rest, with_sentinel_port)?;
        let mut name = None;
        for (parameter, value) in form_urlencoded::parse(query.as_bytes()) {
            if parameter != "sentinelMasterId" || value.is_empty() || name.is_some() {
                return Err(refused(ALLOWED));
            }
            name = Some(value.into_owned());
        }
        let name = name.ok_or_else(|| refused(ALLOWED))?;
        Ok(Address { server: Server::MasterOf { sentinels, name }, is_tls, login })
    }

    /// Parses what follows the scheme of a cluster's URL. Redis has no other database in a cluster, and larder asks none of
    /// Valkey 9, which can have some.
    fn of_cluster(rest: &str, is_tls: bool) -> Result<Self, Error> {
        let (nodes, login) = Self::of_hosts(rest, |_, server| server)?;
        if rest.contains('?') {
            return Err(refused(ALLOWED));
        }
        if login.db() != 0 {
            return Err(refused("larder uses the database 0 of a cluster: leave out what follows the slash"));
        }
        Ok(Address { server: Server::Cluster(nodes), is_tls, login })
    }

    /// Parses `[user:password@]host[:port][,host[:port]…][/database]`. `with_port` may give a host another port.
    fn of_hosts(
        rest: &str,
        with_port: impl Fn(&str, Server) -> Server,
    ) -> Result<(Vec<Host>, RedisConnectionInfo), Error> {
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (format!("{user}@"), rest),
            None => (String::new(), rest),
        };
        let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (mut parsed_hosts, mut login) = (Vec::new(), None);
        for host in hosts.split(',') {
            let parsed = Self::of_redis_rs(&format!("redis://{user}{host}/{database}"))?;
            let Server::Tcp(host) = with_port(host, parsed.server) else {
                return Err(refused(ALLOWED));
            };
            parsed_hosts.push(host);
            login = Some(parsed.login);
        }
        Ok((parsed_hosts, login.ok_or_else(|| refused(ALLOWED))?))
    }
}

/// Refuses what follows a `#`: a client would ignore it, or verify no certificate.
fn refuse_fragment(rest: &str) -> Result<(), Error> {
    // Behind the user and the password.
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    match place.split_once('#') {
        None => Ok(()),
        Some((_, "insecure")) => Err(refused(
            "the certificate of Redis is always verified: leave out #insecure, and name its authority",
        )),
        // The error does not show it: it may be the rest of a password.
        Some(_) => Err(refused("nothing follows a # in a URL of Redis; in a password or a path it is %23")),
    }
}

/// `server`, with the port of Sentinels if `text`, from which it was parsed, names no port.
fn with_sentinel_port(text: &str, server: Server) -> Server {
    // An IPv6 address has colons within its brackets.
    let has_port = text.rsplit(']').next().is_some_and(|tail| tail.contains(':'));
    match server {
        Server::Tcp(host) if !has_port && host.port == REDIS_PORT => {
            Server::Tcp(Host { port: SENTINEL_PORT, ..host })
        }
        server => server,
    }
}

fn refused(allowed: &str) -> Error {
    Error::config(allowed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port }
    }

    #[test]
    fn each_form_names_its_server_its_user_and_its_database() {
        let sentinels = |at: &[Host]| Server::MasterOf { sentinels: at.to_vec(), name: "my master".into() };
        for (url, server, is_tls, login) in [
            ("redis://a", Server::Tcp(host("a", 6379)), false, (None, None, 0)),
            ("REDIS://a:7/3", Server::Tcp(host("a", 7)), false, (None, None, 3)),
            ("rediss://u:p%40q@a", Server::Tcp(host("a", 6379)), true, (Some("u"), Some("p@q"), 0)),
            ("valkeys://:p@[::1]:7", Server::Tcp(host("::1", 7)), true, (None, Some("p"), 0)),
            ("redis+unix:///run/r.sock?db=2", Server::Unix("/run/r.sock".into()), false, (None, None, 2)),
            ("unix:///r?user=u&pass=p", Server::Unix("/r".into()), false, (Some("u"), Some("p"), 0)),
            (
                "redis-sentinel://a?sentinelMasterId=my+master",
                sentinels(&[host("a", 26379)]),
                false,
                (None, None, 0),
            ),
            (
                "valkeys-sentinel://a?sentinelMasterId=my+master",
                sentinels(&[host("a", 26379)]),
                true,
                (None, None, 0),
            ),
            (
                "rediss-sentinel://u:p@a:1,[::1],[::1]:2,c:6379/4?sentinelMasterId=my%20master",
                sentinels(&[host("a", 1), host("::1", 26379), host("::1", 2), host("c", 6379)]),
                true,
                (Some("u"), Some("p"), 4),
            ),
            ("redis-cluster://a", Server::Cluster(vec![host("a", 6379)]), false, (None, None, 0)),
            (
                "valkeys-cluster://u:p@a:1,[::1]:2/0",
                Server::Cluster(vec![host("a", 1), host("::1", 2)]),
                true,
                (Some("u"), Some("p"), 0),
            ),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!((&address.server, address.is_tls), (&server, is_tls), "{url}");
            let parsed = (address.login.username(), address.login.password(), address.login.db());
            assert_eq!(parsed, login, "{url}");
            assert_eq!(address.login.protocol(), ProtocolVersion::RESP3, "{url}");
        }
    }

    #[test]
    fn an_error_says_what_is_allowed_and_never_shows_the_url() {
        for url in [
            "secret",
            "",
            "http://:secret@host",
            "redis://:secret@host:99999",
            "redis://:secret@host/one",
            "redis-sentinel://:secret@a,b",
            "redis-sentinel://:secret@a,b?sentinelMasterId=",
            "redis-sentinel://:secret@a,b?sentinelMasterId=m&other=1",
            "redis-sentinel://:secret@a,?sentinelMasterId=m",
            "redis-sentinel://:secret@a:x?sentinelMasterId=m",
            "redis-sentinel://:secret@?sentinelMasterId=m",
            "redis+unix://:secret@host/path",
            "redis-cluster://:secret@a,",
            "redis-cluster://:secret@a?db=1",
        ] {
            let error = Address::parse(url).expect_err(url);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("redis://[user:password@]host") && !shown.contains("secret"), "{shown}");
        }
        for url in ["redis://host?db=secret", "rediss://a:7/0?ssl_cert_reqs=secret", "redis://:p?secret@host"]
        {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.contains("no parameters") && !error.contains("secret"), "{error}");
        }
        assert!(Address::parse("redis://host/0?protocol=resp3").is_ok());
        for (url, says) in [
            ("rediss://:secret@host/0#insecure", "always verified"),
            ("rediss-cluster://:secret@a,b#insecure", "always verified"),
            ("rediss-sentinel://:secret@a?sentinelMasterId=m#insecure", "always verified"),
            ("redis://host/0#secret", "nothing follows a #"),
            ("redis://:p#secret", "nothing follows a #"),
            ("unix:///a#b.sock", "nothing follows a #"),
            ("redis+unix:///r?database=2", "db, user, pass and protocol"),
            ("redis+unix:///r?pass=p&secret", "db, user, pass and protocol"),
            ("redis-cluster://:secret@a/1", "uses the database 0"),
        ] {
            let error = Address::parse(url).expect_err(url).to_string();
            assert!(error.contains(says) && !error.contains("secret"), "{error}");
        }
    }
}
