//! Which Redis a cache uses, and how it connects to it.

use std::fmt;
use std::path::PathBuf;

/// Which Redis a cache uses, and how it connects: the argument of [`Builder::redis`](crate::Builder::redis). A
/// `&str` or a `String` is the URL alone.
///
/// | URL | the Redis |
/// |---|---|
/// | `redis://[user:password@]host[:port][/database]` | a server over TCP; the default port is 6379 |
/// | `rediss://…` | the same over TLS; needs the feature `redis-tls` |
/// | `redis+unix:///path/to/socket[?db=0&user=…&pass=…]` | a server behind a Unix socket |
/// | `redis-sentinel://[user:password@]host[:port][,host[:port]…][/database]?sentinelMasterId=name` | the master that these Sentinels name; the default port is 26379 |
/// | `redis-cluster://[user:password@]host[:port][,host[:port]…]` | a Redis Cluster, of which these are some nodes; the default port is 6379 |
/// | `rediss-cluster://…` | the same over TLS |
/// | `rediss-sentinel://…` | the same; both Sentinels and Redis are reached over TLS |
///
/// `valkey` and `valkeys` mean the same as `redis` and `rediss`, also in `valkey+unix`, `valkey-sentinel`,
/// `valkeys-sentinel`, `valkey-cluster` and `valkeys-cluster`. A user name or a password
/// with characters that have a meaning in a URL is percent-encoded there.
///
/// The files that are named here are read again whenever a connection is opened. So a new password or certificate
/// needs no restart: open connections stay open, and later ones use what the file contains then.
///
/// # Examples
///
/// ```no_run
/// # async fn build() -> Result<(), larder::error::Error> {
/// use larder::cache::Cache;
/// use larder::redis_options::RedisOptions;
///
/// let redis = RedisOptions::new("rediss://larder@cache.internal:6380")
///     .password_file("/run/secrets/redis_password")
///     .ca_file("/etc/ssl/cache-ca.pem");
/// let cache = Cache::builder("hotel").redis(redis).installation("production").build().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct RedisOptions {
    pub(crate) url: String,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) sentinel_user: Option<String>,
    pub(crate) sentinel_password: Option<String>,
    pub(crate) sentinel_password_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) client_certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) server_name: Option<String>,
}

impl RedisOptions {
    /// The Redis at this URL.
    pub fn new(url: impl Into<String>) -> Self {
        RedisOptions { url: url.into(), ..Self::default() }
    }

    /// The file with the password of Redis; a line break at its end is no part of the password. It replaces a password
    /// in the URL. Default: none.
    pub fn password_file(self, path: impl Into<PathBuf>) -> Self {
        RedisOptions { password_file: Some(path.into()), ..self }
    }

    /// The user of the Sentinels. Default: their default user.
    pub fn sentinel_user(self, user: impl Into<String>) -> Self {
        RedisOptions { sentinel_user: Some(user.into()), ..self }
    }

    /// The password of the Sentinels, which is not that of Redis. Default: none.
    pub fn sentinel_password(self, password: impl Into<String>) -> Self {
        RedisOptions { sentinel_password: Some(password.into()), ..self }
    }

    /// The file with the password of the Sentinels. It replaces [`sentinel_password`](Self::sentinel_password).
    /// Default: none.
    pub fn sentinel_password_file(self, path: impl Into<PathBuf>) -> Self {
        RedisOptions { sentinel_password_file: Some(path.into()), ..self }
    }

    /// The file with the certificates, in PEM, of the authorities to trust. With it, larder trusts no other authority.
    /// Default: the authorities that the system trusts.
    pub fn ca_file(self, path: impl Into<PathBuf>) -> Self {
        RedisOptions { ca_file: Some(path.into()), ..self }
    }

    /// The files with this client's certificate, its chain included, and its private key, both in PEM. Default: none.
    pub fn client_certificate(self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        RedisOptions { client_certificate: Some((certificate.into(), key.into())), ..self }
    }

    /// The name that the server's certificate has to be for. Default: the host in the URL, or the host that the
    /// Sentinels name. The certificate is always verified.
    pub fn server_name(self, name: impl Into<String>) -> Self {
        RedisOptions { server_name: Some(name.into()), ..self }
    }
}

impl<T: Into<String>> From<T> for RedisOptions {
    fn from(url: T) -> Self {
        RedisOptions::new(url)
    }
}

/// Leaves out the URL and the passwords.
impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("password_file", &self.password_file)
            .field("ca_file", &self.ca_file)
            .field("client_certificate", &self.client_certificate)
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}
