//! Reads the settings again for a process that runs: what it takes over, and what needs a restart.

use std::collections::BTreeMap;
use std::fmt;

use crate::settings::Settings;
use crate::settings::bad::BadSetting;
use crate::settings::log_levels::LOG_LEVELS;
use crate::settings::presets::Preset;
use crate::settings::sources::{Sources, VARIABLES};
use crate::settings::ttl;

/// What the settings were read from.
#[derive(Clone, Default)]
pub(crate) struct Given {
    /// Every value that is set, as it is set.
    values: BTreeMap<&'static str, String>,
    preset: Option<&'static Preset>,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values may be secrets.
        f.debug_list().entries(self.values.keys()).finish()
    }
}

impl Given {
    pub(super) fn of(sources: &Sources) -> Self {
        let value = |name: &&'static str| Some((*name, sources.find(name)?.value));
        Given { values: VARIABLES.iter().filter_map(value).collect(), preset: sources.preset }
    }
}

/// Settings that were read again.
#[derive(Debug)]
pub struct Reread {
    /// What the process runs with from now on.
    pub settings: Settings,
    /// The settings that have changed and that the process does not take over.
    pub needing_restart: Vec<&'static str>,
}

impl Settings {
    /// Reads the settings again. Of what has changed, the process takes over the times to live, `LARDER_CLASSES_OFF` and
    /// `LARDER_LOG_LEVELS`; every other setting keeps its former value, the preset too.
    ///
    /// # Errors
    /// The first setting that cannot be used, also if it would need a restart: then nothing is taken over.
    pub fn reread(&self, mut sources: Sources) -> Result<Reread, BadSetting> {
        let read = Self::read_from(&mut sources)?;
        let is_taken_over = |name: &str| ttl::is_read(name) || name == LOG_LEVELS;
        let mut given = self.given.clone();
        let mut needing_restart = Vec::new();
        for name in VARIABLES {
            let new = read.given.values.get(name);
            if new == given.values.get(name) {
                continue;
            }
            if !is_taken_over(name) {
                needing_restart.push(*name);
                continue;
            }
            match new {
                Some(value) => given.values.insert(name, value.clone()),
                None => given.values.remove(name),
            };
        }
        // The preset needs a restart, so the times to live are those beside the former one.
        sources.preset = given.preset;
        let policies = ttl::read(&sources)?;
        let settings = Settings { policies, log_levels: read.log_levels, given, ..self.clone() };
        Ok(Reread { settings, needing_restart })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cached::classes::row;
    use crate::settings::sources::of;

    fn read(toml: &str) -> Settings {
        Settings::read(of(&[], toml).unwrap()).unwrap()
    }

    fn reread(running: &Settings, toml: &str) -> Result<Reread, BadSetting> {
        running.reread(of(&[("USER_STATS_TTL", "9")], toml)?)
    }

    #[test]
    fn what_can_change_is_taken_over_and_the_rest_is_named_each_time() {
        let running = Settings::read(of(&[("USER_STATS_TTL", "9")], "").unwrap()).unwrap();
        let toml = "user_list_ttl = 7\nlarder_classes_off = 'profile'\nlarder_log_levels = 'debug'\nlarder_listen = \"[::1]:1\"";
        for _ in 0..2 {
            let Reread { settings, needing_restart } = reread(&running, toml).unwrap();
            assert_eq!(needing_restart, ["LARDER_LISTEN"]);
            assert_eq!(settings.listen, running.listen);
            assert_eq!(settings.policies.ttl(&row::user_list).as_secs(), 7);
            assert!(!settings.policies.is_on(&row::profile));
            assert_eq!(settings.log_levels.as_deref(), Some("debug"));
            let Reread { settings, needing_restart } = reread(&settings, "").unwrap();
            assert_eq!((settings.policies, needing_restart), (running.policies.clone(), vec![]));
        }
    }

    #[test]
    fn a_new_preset_and_a_new_secret_need_a_restart() {
        let running = read("larder_preset = 'production'\nlarder_admin_password = 'correct horse 1'");
        let before = running.policies.ttl(&row::user_list);
        let toml = "larder_preset = 'development'\nlarder_admin_password = 'correct horse 2'";
        let Reread { settings, needing_restart } = running.reread(of(&[], toml).unwrap()).unwrap();
        assert_eq!(needing_restart, ["LARDER_ADMIN_PASSWORD", "LARDER_PRESET"]);
        assert_eq!(settings.policies.ttl(&row::user_list), before);
        assert!(!format!("{settings:?}{running:?}").contains("correct horse 2"));
    }

    #[test]
    fn a_bad_value_is_refused_also_where_a_restart_is_needed() {
        let running = read("");
        for (toml, says) in [
            ("user_list_ttl = 7\nlarder_listen = 'here'", "LARDER_LISTEN=\"here\": must be an IP address"),
            ("user_list_ttl = 0", "USER_LIST_TTL=\"0\": must be an integer"),
        ] {
            let error = running.reread(of(&[], toml).unwrap()).unwrap_err().to_string();
            let line = toml.lines().count();
            assert!(
                error.starts_with(says) && error.ends_with(&format!("; line {line} of the file")),
                "{error}"
            );
        }
    }
}
