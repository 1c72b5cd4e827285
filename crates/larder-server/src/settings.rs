//! The service's settings, from the environment. A bad value is refused with its name and what is allowed.

pub mod security;

use std::net::SocketAddr;

use crate::domain::contact::Email;
use crate::domain::password::Password;
use crate::settings::security::Security;

/// Where everything is, and who is first.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `LARDER_LISTEN`: address and port to listen on. Default 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// `DATABASE_URL`: `sqlite://path` or `postgres://…`. Default `sqlite://data/larder.db`.
    pub database_url: String,
    /// `REDIS_URL`: `redis://…`. Default none, memory alone.
    pub redis_url: Option<String>,
    /// The superadmin that an empty database gets.
    pub admin: FirstAdmin,
    /// How the service defends itself.
    pub security: Security,
}

/// The superadmin that an empty database gets.
#[derive(Debug, Clone)]
pub struct FirstAdmin {
    /// `LARDER_ADMIN_EMAIL`. Default `admin@localhost`.
    pub email: Email,
    /// `LARDER_ADMIN_PASSWORD`. Default: a random one, printed once.
    pub password: Option<Password>,
}

/// A setting that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}={shown}: {allowed}")]
pub struct BadSetting {
    name: &'static str,
    /// The value, or a placeholder where it may be a secret.
    shown: String,
    allowed: String,
}

impl Settings {
    /// Reads the settings through `lookup`, such as `|name| std::env::var(name).ok()`. An empty value counts as
    /// unset.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, BadSetting> {
        let set = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let listen = set("LARDER_LISTEN").unwrap_or_else(|| "127.0.0.1:8080".to_owned());
        let email = set("LARDER_ADMIN_EMAIL").unwrap_or_else(|| "admin@localhost".to_owned());
        let password = set("LARDER_ADMIN_PASSWORD");
        Ok(Self {
            listen: listen.parse().map_err(|_| BadSetting {
                name: "LARDER_LISTEN",
                shown: format!("{listen:?}"),
                allowed: "must be an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080".to_owned(),
            })?,
            database_url: set("DATABASE_URL").unwrap_or_else(|| "sqlite://data/larder.db".to_owned()),
            redis_url: set("REDIS_URL"),
            security: Security::read(set)?,
            admin: FirstAdmin {
                email: Email::parse(&email).map_err(|invalid| BadSetting {
                    name: "LARDER_ADMIN_EMAIL",
                    shown: format!("{email:?}"),
                    allowed: invalid.message().to_owned(),
                })?,
                password: password.as_deref().map(Password::parse).transpose().map_err(|invalid| {
                    BadSetting {
                        name: "LARDER_ADMIN_PASSWORD",
                        shown: "…".to_owned(),
                        allowed: invalid.message().to_owned(),
                    }
                })?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, BadSetting> {
        Settings::read(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_any_setting_the_service_is_local_and_embedded() {
        let settings = read(&[("REDIS_URL", ""), ("LARDER_LISTEN", " ")]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.database_url, "sqlite://data/larder.db");
        assert_eq!((settings.redis_url, settings.admin.password), (None, None));
        assert_eq!(settings.admin.email.as_str(), "admin@localhost");
    }

    #[test]
    fn a_bad_value_is_named_and_a_secret_never_shown() {
        let listen = read(&[("LARDER_LISTEN", "localhost")]).unwrap_err().to_string();
        assert!(listen.starts_with("LARDER_LISTEN=\"localhost\": must be an IP address"), "{listen}");
        let email = read(&[("LARDER_ADMIN_EMAIL", "boss")]).unwrap_err().to_string();
        assert!(email.contains("LARDER_ADMIN_EMAIL") && email.contains("boss"), "{email}");
        let password = read(&[("LARDER_ADMIN_PASSWORD", "short")]).unwrap_err().to_string();
        assert!(password.contains("10 to 256") && !password.contains("short"), "{password}");
    }
}
