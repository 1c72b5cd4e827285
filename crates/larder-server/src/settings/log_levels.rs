//! The levels of the log.

use tracing_subscriber::EnvFilter;

use crate::settings::bad::BadSetting;
use crate::settings::sources::Sources;

pub(super) const LOG_LEVELS: &str = "LARDER_LOG_LEVELS";

/// Reads the levels; `None` if they are not set.
pub(super) fn read(sources: &Sources) -> Result<Option<String>, BadSetting> {
    sources.take(LOG_LEVELS, "", |raw| match raw.trim() {
        "" => Ok(None),
        // A word alone that is no level would name a module, and silence every other one.
        levels if levels.split(',').all(is_directive) && EnvFilter::try_new(levels).is_ok() => {
            Ok(Some(levels.to_owned()))
        }
        _ => Err("must be off, error, warn, info, debug or trace, or several with modules, such as \
                  info,larder::engine=debug"
            .to_owned()),
    })
}

fn is_directive(directive: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    directive.contains('=') || LEVELS.contains(&directive.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sources::of;

    #[test]
    fn levels_are_words_and_modules_and_a_mistyped_one_is_refused() {
        for good in ["debug", "INFO", "info,larder::engine=debug", "off,larder=trace"] {
            let levels = read(&of(&[(LOG_LEVELS, good)], "").unwrap()).unwrap();
            assert_eq!(levels.as_deref(), Some(good));
        }
        assert_eq!(read(&of(&[], "").unwrap()), Ok(None));
        for bad in ["inof", "info;debug", "larder=inof", "info,larder"] {
            let error = read(&of(&[(LOG_LEVELS, bad)], "").unwrap()).unwrap_err().to_string();
            assert!(error.starts_with("LARDER_LOG_LEVELS=") && error.contains("off, error"), "{error}");
        }
    }
}
