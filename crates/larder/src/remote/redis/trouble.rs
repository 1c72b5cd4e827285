//! Translates an error of Redis into the trouble that the health report shows.

use std::io;
#[cfg(any(feature = "redis-tls", feature = "upstash"))]
use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerError};
#[cfg(any(feature = "redis-tls", feature = "upstash"))]
use tokio_rustls::rustls::Error as TlsError;

use crate::health::Trouble;
use crate::remote::Fault;

/// Why no connection was opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The text is the detail of the trouble. It contains no password.
    #[error("{1}")]
    Unusable(Trouble, String),
}

impl DialError {
    pub(crate) fn fault(self) -> Fault {
        match self {
            DialError::Redis(error) => fault(error),
            DialError::Unusable(..) => Fault::Away,
        }
    }
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        DialError::Redis(error.into())
    }
}

/// The trouble behind `error`, by the code with which Redis begins each error. The codes are part of Redis's interface
/// and the words after them are not, so the words decide only if the code has no trouble of its own, such as `ERR`.
pub(crate) fn of(error: &RedisError) -> Trouble {
    if error.is_timeout() {
        return Trouble::Silent;
    }
    #[cfg(any(feature = "redis-tls", feature = "upstash"))]
    if tls_error(error).is_some() {
        return Trouble::Untrusted;
    }
    match (error.kind(), code(error)) {
        (ErrorKind::AuthenticationFailed, _) => Trouble::Unauthenticated,
        (ErrorKind::RESP3NotSupported, _) => Trouble::TooOld,
        (_, Some(code)) => of_code(&code).unwrap_or_else(|| of_words(&error.to_string())),
        // redis-rs itself made this error, for example for a database that it could not select.
        (ErrorKind::Server(_) | ErrorKind::Extension, None) => of_words(&error.to_string()),
        (_, None) => Trouble::Away,
    }
}

/// The error of TLS that caused `error`, if one did.
#[cfg(any(feature = "redis-tls", feature = "upstash"))]
pub(crate) fn tls_error(error: &RedisError) -> Option<&TlsError> {
    let source = std::error::Error::source(error)?;
    // redis-rs holds the error of a connection behind an `Arc`, which is an error itself.
    let source = source.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>()?;
    source.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}

/// The code with which Redis begins its refusal; `None` if Redis did not send the error. `RedisError::code` returns no
/// code for most errors of a pipeline, so it is not used here.
pub(crate) fn code(error: &RedisError) -> Option<String> {
    refusal(error).map(|refusal| refusal.code().to_owned())
}

/// The code and the words of Redis's refusal, which the health report shows as the detail.
pub(crate) fn words(error: &RedisError) -> String {
    match refusal(error) {
        Some(refusal) => {
            let details = refusal.details().unwrap_or_default();
            // An unknown command is quoted with its arguments, which can be a password.
            let details = details.split(", with args beginning with").next().unwrap_or_default();
            format!("{} {details}", refusal.code())
        }
        None => error.to_string(),
    }
}

/// What an error of Redis means for an operation of the tier.
pub(crate) fn fault(error: RedisError) -> Fault {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => Fault::Refused,
        _ => Fault::Away,
    }
}

fn refusal(error: &RedisError) -> Option<ServerError> {
    // `into_server_errors` consumes the error. The clone is cheap, because it shares the text.
    error.clone().into_server_errors()?.first().map(|(_, refusal)| refusal.clone())
}

fn of_code(code: &str) -> Option<Trouble> {
    Some(match code {
        "OOM" => Trouble::Full,
        "MISCONF" => Trouble::SavingFails,
        "NOREPLICAS" => Trouble::ReplicasMissing,
        "READONLY" | "MASTERDOWN" => Trouble::Replica,
        "NOPERM" => Trouble::Forbidden,
        "NOAUTH" | "WRONGPASS" | "DENIED" => Trouble::Unauthenticated,
        "LOADING" => Trouble::Loading,
        "BUSY" => Trouble::Busy,
        "MOVED" | "ASK" | "TRYAGAIN" | "CROSSSLOT" => Trouble::Cluster,
        "CLUSTERDOWN" => Trouble::ClusterDown,
        _ => return None,
    })
}

fn of_words(words: &str) -> Trouble {
    let has = |part| words.contains(part);
    // A script gets these words if an ACL forbids its user a command or a key: the first from Redis 7.0, the others from
    // Redis 7.2 and later and from Valkey.
    if has("The user executing the script can't") || has("ACL failure in script") {
        Trouble::Forbidden
    } else if has("max number of clients") {
        Trouble::Crowded
    } else if has("cluster support disabled") {
        Trouble::NoCluster
    } else if has("cluster mode") {
        Trouble::Cluster
    } else if has("unknown command") || has("unknown subcommand") {
        Trouble::CommandMissing
    } else {
        Trouble::Refused
    }
}

/// Whether Redis refuses tracking permanently, so that the tier has to be used without copies in memory. Any other
/// error is temporary, such as BUSY while a script runs. The caller then has to dial again, because a connection
/// without tracking stays untracked until it closes.
pub(crate) fn forbids_tracking(error: &RedisError) -> bool {
    matches!(of(error), Trouble::Forbidden | Trouble::CommandMissing | Trouble::Refused)
}

#[cfg(test)]
mod tests {
    use redis::make_extension_error;

    use super::*;

    #[test]
    fn the_arguments_of_an_unknown_command_are_not_shown() {
        let words = "unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'larder' 'PASSWORD' ";
        let error = make_extension_error("ERR".to_owned(), Some(words.to_owned()));
        assert_eq!(super::words(&error), "ERR unknown command 'HELLO'");
    }

    #[test]
    fn each_code_means_one_trouble() {
        for (code, words, trouble) in [
            ("OOM", "command not allowed when used memory > 'maxmemory'.", Trouble::Full),
            ("MISCONF", "Redis is configured to save RDB snapshots, but", Trouble::SavingFails),
            ("NOREPLICAS", "Not enough good replicas to write.", Trouble::ReplicasMissing),
            ("READONLY", "You can't write against a read only replica.", Trouble::Replica),
            ("MASTERDOWN", "Link with MASTER is down", Trouble::Replica),
            ("NOPERM", "this user has no permissions to run the 'set' command", Trouble::Forbidden),
            ("ERR", "The user executing the script can't run this command", Trouble::Forbidden),
            ("ERR", "ACL failure in script: No permissions to access a key", Trouble::Forbidden),
            ("NOAUTH", "Authentication required.", Trouble::Unauthenticated),
            ("WRONGPASS", "invalid username-password pair", Trouble::Unauthenticated),
            ("DENIED", "Redis is running in protected mode", Trouble::Unauthenticated),
            ("LOADING", "Redis is loading the dataset in memory", Trouble::Loading),
            ("BUSY", "Redis is busy running a script.", Trouble::Busy),
            ("CROSSSLOT", "Keys in request don't hash to the same slot", Trouble::Cluster),
            ("CLUSTERDOWN", "Hash slot not served", Trouble::ClusterDown),
            ("ERR", "SELECT is not allowed in cluster mode", Trouble::Cluster),
            ("ERR", "max number of clients reached", Trouble::Crowded),
            ("ERR", "unknown command 'TIME', with args beginning with: ", Trouble::CommandMissing),
            ("ERR", "something new", Trouble::Refused),
            ("NEWCODE", "something new", Trouble::Refused),
        ] {
            let error = make_extension_error(code.to_owned(), Some(words.to_owned()));
            assert_eq!(of(&error), trouble, "{code} {words}");
        }
        let gone = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        assert_eq!(of(&gone), Trouble::Away);
        let silent = RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        assert_eq!(of(&silent), Trouble::Silent);
    }
}
