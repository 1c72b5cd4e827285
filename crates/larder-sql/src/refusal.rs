//! Why a server refused a connection, in a sentence that names the cause and never a password.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind as IoKind};
use std::time::Duration;

/// Why no connection was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    text: String,
    /// What the pool can do about it.
    pub(crate) kind: RefusalKind,
}

/// What can be done about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// The server is full: wait for a connection of the pool to be returned.
    Full,
    /// The server starts, restarts or cannot be reached now: try again soon.
    Passing,
    /// A permanent cause, such as a wrong password or a missing database: do not try again within one request.
    Settled,
}

/// SQLite's code for a file that is no database.
const NOT_SQLITE: &str = "26";

impl Refusal {
    /// `host` did not answer in time. This also happens if this process was stopped meanwhile or the machine is busy,
    /// so the kind is `Passing`: the caller tries again until its own time-out.
    pub(crate) fn late(host: &str, limit: Duration) -> Self {
        Self { text: format!("{host} did not answer within {limit:?}"), kind: RefusalKind::Passing }
    }

    /// The server answers, but is a standby.
    pub(crate) fn standby(host: &str) -> Self {
        let text = format!("{host} is a standby in recovery; larder needs the primary");
        Self { text, kind: RefusalKind::Passing }
    }

    /// The server answers and accepts writes, but this process has met a later timeline of its system.
    pub(crate) fn former(host: &str, newest: u64) -> Self {
        let text = format!(
            "{host} is a former primary: timeline {newest} has replaced it; shut it down, or, if it is the right one, \
             restart this process"
        );
        Self { text, kind: RefusalKind::Passing }
    }

    /// The driver's error from `host`.
    pub(crate) fn of(host: &str, error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(error) => Self::of_io(host, error),
            sqlx::Error::Database(error) => {
                let code = error.code();
                Self::of_server(host, code.as_deref().unwrap_or_default(), error.message())
            }
            sqlx::Error::Tls(error) => {
                Self { text: format!("{host}: no TLS: {error}"), kind: RefusalKind::Settled }
            }
            // Leave the driver's text out: it may quote a part of the URL, which can have a password.
            sqlx::Error::Configuration(_) => {
                Self { text: format!("{host}: the URL cannot be used"), kind: RefusalKind::Settled }
            }
            other => Self { text: format!("{host}: {other}"), kind: RefusalKind::Settled },
        }
    }

    fn of_io(host: &str, error: &io::Error) -> Self {
        let text = match error.kind() {
            IoKind::ConnectionRefused => format!("connection refused by {host}: nothing listens there"),
            _ => format!("{host} cannot be reached: {error}"),
        };
        // A host without a route, a name that is not found now, a time-out of the kernel: any of them passes. An address that
        // cannot be used, a socket that this user may not open, and a certificate that is refused stay as they are.
        let is_settled =
            matches!(error.kind(), IoKind::PermissionDenied | IoKind::InvalidInput | IoKind::InvalidData);
        let kind = if is_settled { RefusalKind::Settled } else { RefusalKind::Passing };
        Self { text, kind }
    }

    /// The error of PostgreSQL, PgBouncer or SQLite. Its text names users and databases, and never a password.
    fn of_server(host: &str, code: &str, message: &str) -> Self {
        let is_full = code == "53300" || message.contains("no more connections allowed");
        let hint = if is_full {
            "; DATABASE_POOL_SIZE says how many connections an instance opens"
        } else if message.contains("unsupported startup parameter") {
            "; let PgBouncer ignore it: ignore_startup_parameters = extra_float_digits,options"
        } else if code == NOT_SQLITE {
            "; the URL must name a SQLite database, or a path at which there is no file yet"
        } else {
            ""
        };
        let kind = match code {
            _ if is_full => RefusalKind::Full,
            // The server starts up or shuts down, or a pooler has lost its server.
            "57P01" | "57P02" | "57P03" => RefusalKind::Passing,
            _ => RefusalKind::Settled,
        };
        Self { text: format!("{host} refused the connection: {message}{hint}"), kind }
    }

    /// Joins the refusals of several hosts. The result has the first of these kinds that occurs: `Full`, `Passing`,
    /// `Settled`. For the first two, a retry can help.
    pub(crate) fn all(refusals: Vec<Self>) -> Self {
        let kinds = || refusals.iter().map(|refusal| refusal.kind);
        let kind = [RefusalKind::Full, RefusalKind::Passing]
            .into_iter()
            .find(|kind| kinds().any(|one| one == *kind))
            .unwrap_or(RefusalKind::Settled);
        let texts: Vec<_> = refusals.into_iter().map(|refusal| refusal.text).collect();
        Self { text: texts.join("; "), kind }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Refusal {}

/// Callers of sqlx expect an I/O error if a connection fails.
impl From<Refusal> for sqlx::Error {
    fn from(refusal: Refusal) -> Self {
        Self::Io(io::Error::other(refusal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_cause_and_the_remedy() {
        let of = |code, message| Refusal::of_server("h:1", code, message);
        let full = of("53300", "too many connections for role \"app\"");
        assert_eq!(full.kind, RefusalKind::Full);
        assert!(full.to_string().contains("DATABASE_POOL_SIZE"), "{full}");
        let starting = of("57P03", "the database system is starting up");
        assert_eq!(starting.kind, RefusalKind::Passing);
        let password = of("28P01", "password authentication failed for user \"app\"");
        assert_eq!(password.kind, RefusalKind::Settled);
        assert_eq!(
            password.to_string(),
            "h:1 refused the connection: password authentication failed for user \"app\""
        );
        let parameter = of("08P01", "unsupported startup parameter: extra_float_digits");
        assert!(parameter.to_string().contains("ignore_startup_parameters"), "{parameter}");
        let absent = Refusal::of("h:1", &sqlx::Error::Io(io::Error::from(IoKind::ConnectionRefused)));
        assert_eq!(absent.kind, RefusalKind::Passing);
        for (kind, expected) in [
            (IoKind::HostUnreachable, RefusalKind::Passing),
            (IoKind::NetworkUnreachable, RefusalKind::Passing),
            (IoKind::TimedOut, RefusalKind::Passing),
            // What a failed look-up of a name is.
            (IoKind::Other, RefusalKind::Passing),
            (IoKind::ConnectionReset, RefusalKind::Passing),
            (IoKind::PermissionDenied, RefusalKind::Settled),
            (IoKind::InvalidData, RefusalKind::Settled),
        ] {
            assert_eq!(Refusal::of("h:1", &sqlx::Error::Io(io::Error::from(kind))).kind, expected, "{kind}");
        }
        let all = Refusal::all(vec![password, absent]);
        assert_eq!(all.kind, RefusalKind::Passing);
        assert!(all.to_string().contains("; connection refused by h:1"), "{all}");
    }
}
