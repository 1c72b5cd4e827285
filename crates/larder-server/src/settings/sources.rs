//! Where settings come from: variables of the environment, a TOML file, a preset. A setting has the same name in all of
//! them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use config::{Config, ConfigError, File, FileFormat, Value, ValueKind};

use crate::settings::bad::BadSetting;
use crate::settings::kubernetes::is_of_kubernetes;
use crate::settings::lines;
use crate::settings::presets::Preset;

/// Every setting, by the name of its variable. In the file it has the same name in lower case.
pub const VARIABLES: &[&str] = &[
    "CACHE_ACHIEVEMENT_TTL",
    "CACHE_DEFAULT_TTL",
    "CACHE_LEADERBOARD_TTL",
    "CACHE_USER_TTL",
    "DASHBOARD_STATS_TTL",
    "DATABASE_DIRECT_URL",
    "DATABASE_DIRECT_URL_FILE",
    "DATABASE_POOLER",
    "DATABASE_POOL_SIZE",
    "DATABASE_URL",
    "DATABASE_URL_FILE",
    "LARDER_ADMIN_EMAIL",
    "LARDER_ADMIN_PASSWORD",
    "LARDER_ADMIN_PASSWORD_FILE",
    "LARDER_API_KEY_DAYS",
    "LARDER_AUDIENCE",
    "LARDER_AUDITOR_LOADS_PER_SECOND",
    "LARDER_AUDITOR_RATE",
    "LARDER_AUTH_BODY_BYTES",
    "LARDER_BASE_PATH",
    "LARDER_BODY_BYTES",
    "LARDER_BODY_MEMORY",
    "LARDER_BODY_TIMEOUT",
    "LARDER_CLASSES_OFF",
    "LARDER_CLOSE_TIMEOUT",
    "LARDER_CONNECTIONS",
    "LARDER_CONNECTIONS_PER_ADDRESS",
    "LARDER_CORS_ORIGINS",
    "LARDER_FAILURES_PER_ACCOUNT",
    "LARDER_FAILURES_PER_ADDRESS",
    "LARDER_FORWARDED_HEADER",
    "LARDER_HEAD_TIMEOUT",
    "LARDER_IDLE_TIMEOUT",
    "LARDER_IMPORT_BYTES",
    "LARDER_ISSUER",
    "LARDER_LISTEN",
    "LARDER_LOG_FORMAT",
    "LARDER_LOG_LEVELS",
    "LARDER_MAIL_CONFIRM_LINK",
    "LARDER_MAIL_FROM",
    "LARDER_MAIL_PASSWORD_FILE",
    "LARDER_MAIL_RESET_LINK",
    "LARDER_MAIL_TOKEN_SECONDS",
    "LARDER_MAIL_URL",
    "LARDER_MAIL_URL_FILE",
    "LARDER_MAIL_WEBHOOK_SECRET",
    "LARDER_MAIL_WEBHOOK_SECRET_FILE",
    "LARDER_MAIL_WEBHOOK_URL",
    "LARDER_NAMESPACE",
    "LARDER_PASSWORD_COSTLY_QUEUE",
    "LARDER_PASSWORD_HASHERS",
    "LARDER_PASSWORD_QUEUE",
    "LARDER_PASSWORD_QUEUE_PER_ADDRESS",
    "LARDER_PASSWORD_WAIT",
    "LARDER_PRESET",
    "LARDER_REDIS_BUDGET",
    "LARDER_REFRESH_GRACE_SECONDS",
    "LARDER_SECOND_FACTOR_REQUIRED",
    "LARDER_SECRET_KEY",
    "LARDER_SECRET_KEY_FILE",
    "LARDER_SECRET_KEY_OTHER",
    "LARDER_SECRET_KEY_OTHER_FILE",
    "LARDER_SESSIONS_PER_USER",
    "LARDER_SESSION_IDLE_SECONDS",
    "LARDER_STOP_DELAY",
    "LARDER_STREAMS_PER_CONNECTION",
    "LARDER_TRUSTED_PROXIES",
    "LARDER_TUNING",
    "LARDER_WRITE_TIMEOUT",
    "REDIS_CA_FILE",
    "REDIS_CLIENT_CERT_FILE",
    "REDIS_CLIENT_KEY_FILE",
    "REDIS_DB",
    "REDIS_HOST",
    "REDIS_PASSWORD",
    "REDIS_PASSWORD_FILE",
    "REDIS_POOL_SIZE",
    "REDIS_POOL_TIMEOUT",
    "REDIS_PORT",
    "REDIS_PRIVATE_URL",
    "REDIS_PRIVATE_URL_FILE",
    "REDIS_SENTINELS",
    "REDIS_SENTINEL_MASTER",
    "REDIS_SENTINEL_PASSWORD",
    "REDIS_SENTINEL_PASSWORD_FILE",
    "REDIS_SENTINEL_USERNAME",
    "REDIS_SERVER_NAME",
    "REDIS_TLS",
    "REDIS_URL",
    "REDIS_URL_FILE",
    "REDIS_USERNAME",
    "SUPERADMIN_USER_LIST_TTL",
    "UPSTASH_REDIS_REST_TOKEN",
    "UPSTASH_REDIS_REST_TOKEN_FILE",
    "UPSTASH_REDIS_REST_URL",
    "USER_CACHE_TTL",
    "USER_DETAILS_TTL",
    "USER_LIST_TTL",
    "USER_PROFILE_TTL",
    "USER_STATS_TTL",
];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingSource {
    /// The setting is not set anywhere.
    Default,
    /// A preset.
    Preset(&'static str),
    /// The file, under this variable's name in lower case.
    File(&'static str),
    /// This variable of the environment.
    Variable(&'static str),
    /// A file that has only the secret; this variable has the file's path.
    SecretFile(&'static str),
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset(name) => write!(f, "preset {name}"),
            Self::File(name) => write!(f, "file, {}", name.to_lowercase()),
            Self::Variable(name) => write!(f, "environment, {name}"),
            Self::SecretFile(name) => write!(f, "file of {name}"),
        }
    }
}

/// A value that is set in the environment or in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The setting's name.
    pub name: &'static str,
    /// The value, as text.
    pub value: String,
    /// Where the value comes from.
    pub origin: SettingSource,
}

/// One line of [`Settings::effective`](crate::settings::Settings::effective).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The setting's name, or `class` and the name of a class.
    pub name: String,
    /// The value, secrets hidden.
    pub value: String,
    /// Where the value comes from.
    pub origin: SettingSource,
}

/// The values of secrets that are in files of their own, each with the variable that names its file.
pub(super) type SecretFiles = BTreeMap<&'static str, (String, &'static str)>;

/// The value of a variable, by its name.
type Lookup = Box<dyn Fn(&str) -> Option<String>>;

/// The values that are set, and the effective values that were recorded so far.
pub struct Sources {
    lookup: Lookup,
    file: BTreeMap<&'static str, String>,
    /// The line of the file on which each value begins.
    lines: BTreeMap<String, usize>,
    pub(super) secret_files: SecretFiles,
    pub(super) preset: Option<&'static Preset>,
    effective: RefCell<Vec<Effective>>,
}

impl Sources {
    /// The environment alone, read through `lookup`, such as `|name| std::env::var(name).ok()`. An empty value counts
    /// as unset.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + 'static) -> Self {
        Self {
            lookup: Box::new(lookup),
            file: BTreeMap::new(),
            lines: BTreeMap::new(),
            secret_files: SecretFiles::new(),
            preset: None,
            effective: RefCell::new(Vec::new()),
        }
    }

    /// Adds a TOML file; the environment wins over it.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or holds a name that is no setting.
    pub fn with_file(self, path: &Path) -> Result<Self, BadSetting> {
        let shown = path.display().to_string();
        // The file is read here and parsed in `with_toml`. That drops the parser's message, which may quote a line with
        // a secret.
        let text = std::fs::read_to_string(path)
            .map_err(|error| BadSetting::new("LARDER_CONFIG", &shown, format!("cannot be read: {error}")))?;
        self.with_toml(&shown, &text)
    }

    /// Adds what a TOML file has of the settings, and leaves out what [`Self::with_file`] would refuse: a file that cannot
    /// be read, a text that is no TOML, an unknown name.
    pub(super) fn with_known_of(mut self, path: &Path) -> Self {
        let flat = std::fs::read_to_string(path).ok().and_then(|text| parsed(&text).ok()).unwrap_or_default();
        let known = |(name, value): (String, Option<String>)| {
            let upper = name.to_uppercase();
            Some((*VARIABLES.iter().find(|known| **known == upper)?, value?))
        };
        self.file.extend(flat.into_iter().filter_map(known));
        self
    }

    fn with_toml(mut self, shown: &str, text: &str) -> Result<Self, BadSetting> {
        let bad = |allowed: String| BadSetting::new("LARDER_CONFIG", shown, allowed);
        let flat = parsed(text).map_err(|error| {
            let not_toml = bad("is not TOML, such as: user_list_ttl = 60".to_owned());
            match lines::of_error(&error.to_string()) {
                Some(line) => not_toml.at_line(line),
                None => not_toml,
            }
        })?;
        self.lines = lines::of_names(text);
        let bad = |name: &str, allowed| match self.lines.get(&name.to_uppercase()) {
            Some(line) => bad(allowed).at_line(*line),
            None => bad(allowed),
        };
        for (name, value) in flat {
            let upper = name.to_uppercase();
            let Some(known) = VARIABLES.iter().find(|known| **known == upper) else {
                let known: Vec<_> = VARIABLES.iter().map(|name| name.to_lowercase()).collect();
                let allowed = format!("{name:?} is no setting; allowed are {}", known.join(", "));
                return Err(bad(&name, allowed));
            };
            let Some(value) = value else {
                let allowed = format!("{name:?} must be a text, a number, true, false or a list of texts");
                return Err(bad(&name, allowed));
            };
            self.file.insert(known, value);
        }
        Ok(self)
    }

    /// The value that is set under this name: in the environment, in a file of its own, else in the TOML file. What Kubernetes sets in the
    /// environment for a service of that name is no setting.
    pub(super) fn find(&self, name: &'static str) -> Option<Found> {
        let filled = |value: &String| !value.trim().is_empty();
        // A secret that `echo` wrote, or that is mounted from a file, ends with a line break that is no part of it.
        let found = |value: &str, origin| {
            Some(Found { name, value: value.trim_end_matches(['\r', '\n']).to_owned(), origin })
        };
        let is_set = |value: &String| filled(value) && !is_of_kubernetes(name, value);
        if let Some(value) = (self.lookup)(name).filter(is_set) {
            return found(&value, SettingSource::Variable(name));
        }
        if let Some((value, file)) = self.secret_files.get(name) {
            return found(value, SettingSource::SecretFile(file));
        }
        found(self.file.get(name).filter(|value| filled(value))?, SettingSource::File(name))
    }

    /// Adds the line of the file to what is wrong with a value that the file has.
    pub(super) fn with_line(&self, bad: BadSetting) -> BadSetting {
        let known = VARIABLES.iter().find(|known| **known == bad.name());
        let origin = known.and_then(|name| self.find(name)).map(|found| found.origin);
        match self.lines.get(bad.name()) {
            Some(line) if matches!(origin, Some(SettingSource::File(_))) => bad.at_line(*line),
            _ => bad,
        }
    }

    /// Records the effective value of a setting.
    pub(super) fn note(&self, name: &str, value: impl Into<String>, origin: SettingSource) {
        let effective = Effective { name: name.to_owned(), value: value.into(), origin };
        self.effective.borrow_mut().push(effective);
    }

    /// Parses the value of the setting `name`, or `default` if it is not set. Records the value and its origin.
    pub(super) fn take<T>(
        &self,
        name: &'static str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, BadSetting> {
        let (value, origin) = match self.find(name) {
            Some(found) => (found.value, found.origin),
            None => (default.to_owned(), SettingSource::Default),
        };
        let parsed = parse(&value).map_err(|allowed| BadSetting::new(name, &value, allowed))?;
        self.note(name, value, origin);
        Ok(parsed)
    }

    /// Every effective value that was recorded.
    pub(super) fn effective(&self) -> Vec<Effective> {
        self.effective.borrow().clone()
    }
}

/// The names and values of a text of TOML.
fn parsed(text: &str) -> Result<Vec<(String, Option<String>)>, ConfigError> {
    let parsed = Config::builder().add_source(File::from_str(text, FileFormat::Toml)).build()?;
    let mut flat = Vec::new();
    for (name, value) in parsed.try_deserialize::<BTreeMap<String, Value>>()? {
        flatten(&name, value, &mut flat);
    }
    Ok(flat)
}

/// Flattens tables and lists: `[redis] host = …` becomes `redis_host`, and a list becomes its texts joined by commas. A
/// value that cannot be written as text becomes `None`.
fn flatten(name: &str, value: Value, flat: &mut Vec<(String, Option<String>)>) {
    match value.kind {
        ValueKind::Table(table) => {
            for (inner, value) in table {
                flatten(&format!("{name}_{inner}"), value, flat);
            }
        }
        ValueKind::Array(entries) => {
            let texts: Result<Vec<_>, _> = entries.into_iter().map(Value::into_string).collect();
            flat.push((name.to_owned(), texts.ok().map(|texts| texts.join(","))));
        }
        _ => flat.push((name.to_owned(), value.into_string().ok())),
    }
}

/// Sources for the tests of the modules that read settings.
#[cfg(test)]
pub(super) fn of(pairs: &[(&str, &str)], toml: &str) -> Result<Sources, BadSetting> {
    let pairs: BTreeMap<_, _> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources::new(move |name| pairs.get(name).cloned()).with_toml("larder.toml", toml)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_over_the_file_and_empty_is_unset() {
        let toml = "user_list_ttl = 30\nlarder_classes_off = ['a', 'b']\n[redis]\nhost = 'filed'\nport = 1\n";
        let sources = of(&[("REDIS_HOST", "named"), ("REDIS_PORT", " ")], toml).unwrap();
        let found = |name| sources.find(name).map(|found| (found.value, found.origin.to_string()));
        assert_eq!(found("REDIS_HOST"), Some(("named".into(), "environment, REDIS_HOST".into())));
        assert_eq!(found("REDIS_PORT"), Some(("1".into(), "file, redis_port".into())));
        assert_eq!(found("USER_LIST_TTL").unwrap().0, "30");
        assert_eq!(found("LARDER_CLASSES_OFF").unwrap().0, "a,b");
        assert_eq!(found("REDIS_DB"), None);
        let secret = of(&[("REDIS_PASSWORD", " a b \r\n")], "larder_admin_password = \"c\\n\"").unwrap();
        let value = |name| secret.find(name).unwrap().value;
        assert_eq!((value("REDIS_PASSWORD"), value("LARDER_ADMIN_PASSWORD")), (" a b ".into(), "c".into()));
    }

    #[test]
    fn what_kubernetes_sets_is_unset_here() {
        let sources = of(&[("REDIS_PORT", "tcp://10.0.0.5:6379")], "").unwrap();
        assert_eq!(sources.find("REDIS_PORT"), None);
        let sources = of(&[("REDIS_PORT", "tcp://10.0.0.5:6379")], "redis_port = 7").unwrap();
        assert_eq!(sources.find("REDIS_PORT").unwrap().value, "7");
    }

    #[test]
    fn a_file_with_mistakes_is_refused_and_never_quoted() {
        for (toml, says) in [
            ("user_lits_ttl = 30", "\"user_lits_ttl\" is no setting; allowed are cache_achievement_ttl"),
            ("redis_password = 'zqxhunter2", "is not TOML"),
            ("redis_password = ['zqxhunter2', {}]", "must be a text"),
        ] {
            let Err(bad) = of(&[], toml) else { panic!("{toml}") };
            assert!(bad.to_string().contains(says) && !bad.to_string().contains("zqx"), "{bad}");
        }
        assert!(VARIABLES.is_sorted());
    }
}
