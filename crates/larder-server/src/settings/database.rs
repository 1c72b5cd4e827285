//! Which database the service uses, how it is reached, and with how many connections.

use std::path::PathBuf;

use larder_sql::database::Database;
use larder_sql::options::{DatabaseOptions, POOL_SIZE, POOL_SIZE_MIN, Pooler};

use crate::settings::bad::BadSetting;
use crate::settings::redact;
use crate::settings::sources::{Found, SettingSource, Sources};
use crate::store::Store;

const URL: &str = "DATABASE_URL";
const DEFAULT_URL: &str = "sqlite://data/larder.db";
const DIRECT_URL: &str = "DATABASE_DIRECT_URL";
/// Ten times the 100 connections that PostgreSQL allows by default.
const POOL_SIZE_MAX: u32 = 1000;

/// How to reach the database, besides its URL.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// `DATABASE_DIRECT_URL`: the server without the pooler, for commands about the schema. Default: none, and these
    /// commands use `DATABASE_URL`.
    pub direct_url: Option<String>,
    /// `DATABASE_POOLER`: `none` or `transaction`. Default none.
    pub pooler: Pooler,
    /// `DATABASE_POOL_SIZE`: the most connections to PostgreSQL that an instance opens, the journal's included. Default
    /// 21.
    pub pool_size: Option<u32>,
}

impl DatabaseSettings {
    /// The options with which the database of this URL is opened.
    pub fn options(&self, url: &str) -> DatabaseOptions {
        let options =
            DatabaseOptions::new(url).pooler(self.pooler).pool_size(self.pool_size.unwrap_or(POOL_SIZE));
        match &self.direct_url {
            Some(direct) => options.direct_url(direct),
            None => options,
        }
    }

    /// The database's files that other users of the system can read or replace: one line for each, with the command
    /// that changes its mode.
    pub fn exposed(&self, url: &str) -> Vec<String> {
        // There is no error here: `Settings::read` has refused a URL that cannot be used.
        let files = Database::exposed_files(url).unwrap_or_default();
        let line = |(path, mode): (PathBuf, u32)| {
            let (path, narrow) = (path.display(), if path.is_dir() { "0700" } else { "0600" });
            format!("others can read or replace {path}, which has the mode {mode:04o}: chmod {narrow} {path}")
        };
        files.into_iter().map(line).collect()
    }
}

impl std::fmt::Debug for DatabaseSettings {
    // `direct_url` is left out, because it may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseSettings")
            .field("pooler", &self.pooler)
            .field("pool_size", &self.pool_size)
            .finish_non_exhaustive()
    }
}

/// Reads the URL and the other settings of the database.
pub(super) fn read(sources: &Sources) -> Result<(String, DatabaseSettings), BadSetting> {
    let url = url(sources)?;
    let pooler = sources.take("DATABASE_POOLER", "none", |raw| match raw.trim() {
        "none" => Ok(Pooler::None),
        "transaction" => Ok(Pooler::Transaction),
        _ => {
            Err("must be none, or transaction for a pooler that hands each transaction to another connection"
                .to_owned())
        }
    })?;
    let pool_size =
        sources.take("DATABASE_POOL_SIZE", &POOL_SIZE.to_string(), |raw| match raw.trim().parse() {
            Ok(size) if (POOL_SIZE_MIN..=POOL_SIZE_MAX).contains(&size) => Ok(size),
            _ => Err(format!("must be an integer from {POOL_SIZE_MIN} to {POOL_SIZE_MAX}")),
        })?;
    let direct_url = direct_url(sources, &url)?;
    Ok((url, DatabaseSettings { direct_url, pooler, pool_size: Some(pool_size) }))
}

fn url(sources: &Sources) -> Result<String, BadSetting> {
    let Some(Found { value: url, origin, .. }) = sources.find(URL) else {
        sources.note(URL, DEFAULT_URL, SettingSource::Default);
        return Ok(DEFAULT_URL.to_owned());
    };
    Store::check_url(&url).map_err(|error| BadSetting::url(URL, &url, error.to_string()))?;
    sources.note(URL, redact::url(&url), origin);
    Ok(url)
}

fn direct_url(sources: &Sources, url: &str) -> Result<Option<String>, BadSetting> {
    let Some(Found { value: direct, origin, .. }) = sources.find(DIRECT_URL) else {
        sources.note(DIRECT_URL, "none: DATABASE_URL", SettingSource::Default);
        return Ok(None);
    };
    let checked = DatabaseOptions::new(url).direct_url(&direct).check();
    checked.map_err(|error| BadSetting::url(DIRECT_URL, &direct, error.to_string()))?;
    sources.note(DIRECT_URL, redact::url(&direct), origin);
    Ok(Some(direct))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sources::of;

    const SERVER: (&str, &str) = ("DATABASE_URL", "postgres://u:zqx@h/d");

    #[test]
    fn what_is_set_is_read_and_no_password_is_shown() {
        let direct = ("DATABASE_DIRECT_URL", "postgres://u:zqx@server/d");
        let set = [SERVER, direct, ("DATABASE_POOLER", "transaction"), ("DATABASE_POOL_SIZE", "4")];
        let sources = of(&set, "").unwrap();
        let (url, settings) = read(&sources).unwrap();
        assert_eq!(
            (url.as_str(), settings.pooler, settings.pool_size),
            (SERVER.1, Pooler::Transaction, Some(4))
        );
        assert_eq!(settings.direct_url.as_deref(), Some(direct.1));
        let shown = format!("{settings:?} {:?}", sources.effective());
        assert!(!shown.contains("zqx") && shown.contains("postgres://…@server/d"), "{shown}");
        let (url, settings) = read(&of(&[], "").unwrap()).unwrap();
        assert_eq!(
            (url.as_str(), settings.pooler, settings.pool_size),
            (DEFAULT_URL, Pooler::None, Some(21))
        );
    }

    #[test]
    fn a_bad_value_is_named() {
        for (name, value, says) in [
            ("DATABASE_POOL_SIZE", "2", "from 3 to 1000"),
            ("DATABASE_POOL_SIZE", "many", "from 3 to 1000"),
            ("DATABASE_POOLER", "session", "must be none, or transaction"),
            ("DATABASE_DIRECT_URL", "sqlite://x.db", "must be of PostgreSQL"),
            ("DATABASE_DIRECT_URL", "mysql://u:zqx@h/d", "unknown kind"),
        ] {
            let error = read(&of(&[SERVER, (name, value)], "").unwrap()).unwrap_err().to_string();
            assert!(error.starts_with(name) && error.contains(says) && !error.contains("zqx"), "{error}");
        }
        let beside_a_file = [("DATABASE_DIRECT_URL", "postgres://h/d")];
        assert!(read(&of(&beside_a_file, "").unwrap()).is_err());
    }
}
