//! The service's settings, from a file and the environment. A bad value is refused with its name and what is allowed.

pub mod auditor;
pub mod bad;
pub mod connections;
pub mod database;
pub mod http;
pub mod listening;
pub mod mail;
pub mod names;
pub mod oauth;
pub mod presets;
pub mod redis;
pub mod rereading;
pub mod security;
pub mod sessions;
pub mod sources;

mod kubernetes;
mod lines;
mod log_levels;
mod redact;
mod secret_files;
mod ttl;

use std::net::SocketAddr;

use larder::tuning::Tuning;
use larder_sql::options::POOL_SIZE;

use crate::cached::policies::Policies;
use crate::domain::contact::Email;
use crate::domain::own_names::OwnNames;
use crate::domain::password::Password;
use crate::settings::auditor::AuditorSettings;
use crate::settings::bad::BadSetting;
use crate::settings::connections::ConnectionSettings;
use crate::settings::database::DatabaseSettings;
use crate::settings::http::Http;
use crate::settings::redis::RedisSettings;
use crate::settings::rereading::Given;
use crate::settings::security::Security;
use crate::settings::sources::{Effective, SettingSource, Sources};

/// The longest namespace: the engine allows 64 characters, and a dash and the installation's name take the rest.
const NAMESPACE_BYTES: usize = 31;

/// Every setting of the service.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `LARDER_LISTEN`: address and port to listen on. Default 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// `DATABASE_URL`: `sqlite://path` or `postgres://…`. Default `sqlite://data/larder.db`.
    pub database_url: String,
    /// How the database is reached: its pooler, its direct URL, and the number of connections.
    pub database: DatabaseSettings,
    /// How Redis is reached. Default none: entries are kept in memory alone.
    pub redis: Option<RedisSettings>,
    /// `LARDER_NAMESPACE`: the namespace with which the service's keys in Redis begin. Default `larder`, or the
    /// preset's.
    pub namespace: String,
    /// How long each class keeps its entries, and whether it starts switched on.
    pub policies: Policies,
    /// How many answers of the cache are checked against the database.
    pub auditor: AuditorSettings,
    /// `LARDER_TUNING`: `off`, `advise` or `apply`. Default off.
    pub tuning: Tuning,
    /// The superadmin that an empty database gets.
    pub admin: FirstAdmin,
    /// How many connections there may be, and how long each step of a request may take.
    pub connections: ConnectionSettings,
    /// The limits, the trusted proxies, the secret keys, and how long sessions last.
    pub security: Security,
    /// The prefix of all paths, and the origins whose pages may read answers.
    pub http: Http,
    /// `LARDER_LOG_FORMAT`: `text` or `json`. Default text.
    pub log_format: LogFormat,
    /// `LARDER_LOG_LEVELS`: the levels of the log. Default: those of `RUST_LOG`, and without it `info` with each
    /// invalidation.
    pub log_levels: Option<String>,
    /// Every setting with its effective value, secrets hidden.
    pub effective: Vec<Effective>,
    pub(crate) given: Given,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// The superadmin that an empty database gets.
#[derive(Debug, Clone)]
pub struct FirstAdmin {
    /// `LARDER_ADMIN_EMAIL`. Default `admin@localhost`.
    pub email: Email,
    /// `LARDER_ADMIN_PASSWORD`. Default: a random one, printed once.
    pub password: Option<Password>,
}

impl FirstAdmin {
    /// Its user name.
    pub(crate) const USERNAME: &str = "admin";
}

impl Settings {
    /// The name and the URL of the setting that commands about the schema use: `DATABASE_DIRECT_URL` if it is set, so
    /// that no pooler is between these commands and the server; else `DATABASE_URL`.
    pub fn database_for_schema(&self) -> (&'static str, &str) {
        match &self.database.direct_url {
            Some(direct) => ("DATABASE_DIRECT_URL", direct),
            None => ("DATABASE_URL", &self.database_url),
        }
    }

    /// Reads the settings. An empty value counts as unset.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn read(mut sources: Sources) -> Result<Self, BadSetting> {
        Self::read_from(&mut sources)
    }

    fn read_from(sources: &mut Sources) -> Result<Self, BadSetting> {
        Self::read_each(sources).map_err(|bad| sources.with_line(bad))
    }

    fn read_each(sources: &mut Sources) -> Result<Self, BadSetting> {
        sources.secret_files = secret_files::read(sources)?;
        sources.preset = sources.take("LARDER_PRESET", "", presets::find)?;
        let listen = listening::address(sources)?;
        let (database_url, database) = database::read(sources)?;
        let redis = redis::read(sources)?;
        let pooled =
            database.pool_size.unwrap_or(POOL_SIZE) + redis.as_ref().map_or(0, |redis| redis.pool_size);
        let settings = Self {
            listen,
            database_url,
            database,
            redis,
            namespace: namespace(sources)?,
            admin: first_admin(sources)?,
            policies: ttl::read(sources)?,
            auditor: auditor::read(sources)?,
            tuning: sources.take("LARDER_TUNING", "off", |raw| match raw.trim() {
                "off" => Ok(Tuning::off()),
                "advise" => Ok(Tuning::advise()),
                "apply" => Ok(Tuning::apply()),
                _ => Err("must be off, advise for advice alone, or apply for changes too".to_owned()),
            })?,
            connections: connections::read(sources, pooled)?,
            security: security::read(sources)?,
            http: http::read(sources)?,
            log_format: sources.take("LARDER_LOG_FORMAT", "text", |raw| match raw.trim() {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                _ => Err("must be text, or json for one JSON object a line".to_owned()),
            })?,
            log_levels: log_levels::read(sources)?,
            effective: Vec::new(),
            given: Given::of(sources),
        };
        oauth::check_base_path(&settings.security.oauth, &settings.http.base_path)?;
        Ok(Self { effective: sources.effective(), ..settings })
    }
}

fn namespace(sources: &Sources) -> Result<String, BadSetting> {
    const NAME: &str = "LARDER_NAMESPACE";
    let of_preset = sources.preset.and_then(|preset| Some((preset.namespace?, preset.name)));
    if let (None, Some((namespace, preset))) = (sources.find(NAME), of_preset) {
        sources.note(NAME, namespace, SettingSource::Preset(preset));
        return Ok(namespace.to_owned());
    }
    sources.take(NAME, "larder", |raw| {
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        match raw.len() <= NAMESPACE_BYTES && raw.bytes().all(is_allowed) {
            true => Ok(raw.to_owned()),
            false => Err("must be 1 to 31 lower-case letters, digits, underscores and dashes".to_owned()),
        }
    })
}

fn first_admin(sources: &Sources) -> Result<FirstAdmin, BadSetting> {
    const PASSWORD: &str = "LARDER_ADMIN_PASSWORD";
    let email = sources.take("LARDER_ADMIN_EMAIL", "admin@localhost", |raw| {
        Email::parse(raw).map_err(|invalid| invalid.message().to_owned())
    })?;
    let Some(found) = sources.find(PASSWORD) else {
        sources.note(PASSWORD, "drawn at the first start", SettingSource::Default);
        return Ok(FirstAdmin { email, password: None });
    };
    let password = Password::parse(&found.value);
    let names =
        OwnNames { email: email.as_str().to_owned(), username: FirstAdmin::USERNAME.to_owned(), phone: None };
    let password = password.and_then(|password| names.check(&password).map(|()| password));
    let password = password.map_err(|invalid| BadSetting::secret(PASSWORD, invalid.message()))?;
    sources.note(PASSWORD, "…", found.origin);
    Ok(FirstAdmin { email, password: Some(password) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, BadSetting> {
        Settings::read(sources::of(pairs, "")?)
    }

    #[test]
    fn without_any_setting_the_service_is_local_and_embedded() {
        let settings = read(&[("REDIS_URL", ""), ("LARDER_LISTEN", " ")]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.database_url, "sqlite://data/larder.db");
        assert_eq!((settings.redis, settings.admin.password), (None, None));
        assert_eq!(settings.admin.email.as_str(), "admin@localhost");
        assert_eq!(settings.namespace, "larder");
        assert!(settings.effective.iter().all(|one| one.origin == SettingSource::Default));
    }

    #[test]
    fn a_bad_value_is_named_and_a_secret_never_shown() {
        let listen = read(&[("LARDER_LISTEN", "localhost")]).unwrap_err().to_string();
        assert!(listen.starts_with("LARDER_LISTEN=\"localhost\": must be an IP address"), "{listen}");
        let email = read(&[("LARDER_ADMIN_EMAIL", "boss")]).unwrap_err().to_string();
        assert!(email.contains("LARDER_ADMIN_EMAIL") && email.contains("boss"), "{email}");
        let password = read(&[("LARDER_ADMIN_PASSWORD", "short")]).unwrap_err().to_string();
        assert!(password.contains("10 to 256") && !password.contains("short"), "{password}");
        let own =
            [("LARDER_ADMIN_EMAIL", "chief@example.com"), ("LARDER_ADMIN_PASSWORD", "Chief@example.com")];
        let own = read(&own).unwrap_err().to_string();
        assert!(own.starts_with("LARDER_ADMIN_PASSWORD") && own.contains("own e-mail address"), "{own}");
        assert!(!own.contains("example"), "{own}");
        let tuning = read(&[("LARDER_TUNING", "on")]).unwrap_err().to_string();
        assert!(tuning.contains("must be off, advise"), "{tuning}");
        let preset = read(&[("LARDER_PRESET", "prod")]).unwrap_err().to_string();
        assert!(preset.contains("LARDER_PRESET=\"prod\"") && preset.contains("hiremebahamas"), "{preset}");
    }

    #[test]
    fn a_namespace_is_set_or_the_presets_or_ours() {
        let namespace = |pairs: &[(&str, &str)]| read(pairs).map(|settings| settings.namespace);
        let preset = ("LARDER_PRESET", "katiba360");
        assert_eq!(namespace(&[preset]).unwrap(), "katiba360");
        assert_eq!(namespace(&[preset, ("LARDER_NAMESPACE", "mine")]).unwrap(), "mine");
        assert_eq!(namespace(&[("LARDER_PRESET", "production")]).unwrap(), "larder");
        for bad in ["Mine", "a b", "a:b", &"x".repeat(32)] {
            assert!(namespace(&[("LARDER_NAMESPACE", bad)]).is_err(), "{bad}");
        }
    }
}
