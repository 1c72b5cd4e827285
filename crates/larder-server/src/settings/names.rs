//! Checks the names of the variables of the environment: a mistyped setting would otherwise have no effect, in silence.

use crate::settings::bad::BadSetting;
use crate::settings::kubernetes::is_of_kubernetes;
use crate::settings::sources::{Sources, VARIABLES};

const DATABASE: &str = "DATABASE_URL";

/// Variables of ours that are no settings of the service: the file of settings, and how commands reach an instance.
const OF_COMMANDS: [&str; 4] = ["LARDER_API_KEY", "LARDER_API_KEY_FILE", "LARDER_CONFIG", "LARDER_URL"];

/// Checks the names of these variables, each with its value. A name that begins with `LARDER_` and is no setting is a
/// mistake. Any other name may be another program's; if it is one typing error away from a setting, it gets a line of
/// warning, which is returned. What Kubernetes sets for its services is left out.
///
/// # Errors
/// The first name of ours that is no setting, with the setting that it resembles; or a name that resembles
/// `DATABASE_URL`, if no database is set: the users would be in another database than the one that was meant.
pub fn check_names(
    variables: impl Iterator<Item = (String, String)>,
    sources: &Sources,
) -> Result<Vec<String>, BadSetting> {
    let mut names: Vec<String> = variables
        .filter(|(name, value)| !is_of_kubernetes(name, value) && !value.trim().is_empty())
        .map(|(name, _)| name)
        .filter(|name| !OF_COMMANDS.contains(&name.as_str()) && !VARIABLES.contains(&name.as_str()))
        .collect();
    names.sort();
    let mut warnings = Vec::new();
    for name in names {
        let near = VARIABLES.iter().map(|known| (strsim::osa_distance(&name, known), *known)).min();
        // The value is not shown, because it may be a secret.
        match near {
            Some((0..=3, known)) if name.starts_with("LARDER_") => {
                return Err(BadSetting::secret(&name, format!("is no setting; did you mean {known}?")));
            }
            _ if name.starts_with("LARDER_") => {
                return Err(BadSetting::secret(&name, "is no setting; `larder config` shows every setting"));
            }
            Some((1, DATABASE)) if sources.find(DATABASE).is_none() => {
                let allowed = format!(
                    "is no setting, and {DATABASE} is not set; did you mean it? Otherwise set {DATABASE} too"
                );
                return Err(BadSetting::secret(&name, allowed));
            }
            Some((1, known)) => warnings.push(format!("{name} is no setting; did you mean {known}?")),
            _ => {}
        }
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sources::of;

    /// What the check says about one variable beside those that are set.
    fn check(name: &str, value: &str, set: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let variables = [(name.to_owned(), value.to_owned())].into_iter();
        check_names(variables, &of(set, "").unwrap()).map_err(|bad| bad.to_string())
    }

    #[test]
    fn a_variable_of_ours_that_is_no_setting_is_refused_with_the_nearest_one() {
        for (good, value) in [
            ("LARDER_LISTEN", "x"),
            ("LARDER_CONFIG", "x"),
            ("LARDER_URL", "http://larder:8080"),
            ("LARDER_API_KEY", "x"),
            ("LARDER_API_KEY_FILE", "x"),
            ("LISTN", "x"),
            ("REDIS_WORD", "x"),
            ("LARDER_SERVICE_HOST", "10.0.0.1"),
            ("LARDER_PORT", "tcp://10.0.0.1:80"),
            ("LARDER_API_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("REDIS_PORT", "tcp://10.0.0.5:6379"),
            ("DATABASE_PORT", "tcp://10.0.0.5:5432"),
            ("LARDER_LISTN", ""),
        ] {
            assert_eq!(check(good, value, &[]), Ok(vec![]), "{good}");
        }
        for (bad, near) in [
            ("LARDER_LISTN", "LARDER_LISTEN"),
            ("LARDER_SECRETKEY", "LARDER_SECRET_KEY"),
            ("LARDER_CORS_ORIGIN", "LARDER_CORS_ORIGINS"),
        ] {
            let error = check(bad, "zqx", &[]).unwrap_err();
            assert!(error.starts_with(bad) && error.contains(&format!("did you mean {near}?")), "{error}");
            assert!(!error.contains("zqx"), "{error}");
        }
        for bad in ["LARDER_COLOUR_OF_EVERYTHING", "LARDER_PORT"] {
            let error = check(bad, "8080", &[]).unwrap_err();
            assert!(!error.contains("did you mean") && error.contains("larder config"), "{error}");
        }
    }

    #[test]
    fn a_mistyped_name_of_another_prefix_is_named_and_without_a_database_an_error() {
        let database = ("DATABASE_URL", "sqlite://x.db");
        for name in ["DATABASE_ULR", "DATABASE_URI", "DATABSE_URL"] {
            let error = check(name, "postgres://u:zqx@h/d", &[]).unwrap_err();
            assert!(error.starts_with(name) && error.contains("DATABASE_URL is not set"), "{error}");
            assert!(!error.contains("zqx"), "{error}");
            let warnings = check(name, "postgres://u:zqx@h/d", &[database]).unwrap();
            assert_eq!(warnings, [format!("{name} is no setting; did you mean DATABASE_URL?")]);
        }
        for (name, near) in [("REDIS_ULR", "REDIS_URL"), ("USER_LIST_TTTL", "USER_LIST_TTL")] {
            assert_eq!(
                check(name, "zqx", &[]),
                Ok(vec![format!("{name} is no setting; did you mean {near}?")])
            );
        }
    }
}
