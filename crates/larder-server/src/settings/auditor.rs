//! The settings of the auditor, which measures how stale answers of the cache are.

use crate::settings::bad::BadSetting;
use crate::settings::sources::Sources;

/// How much the auditor does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AuditorSettings {
    /// `LARDER_AUDITOR_RATE`: the share of the hits that are drawn, from 0 to 1. Default 0: there is no auditor.
    pub rate: f64,
    /// `LARDER_AUDITOR_LOADS_PER_SECOND`: the most loads of the auditor in a second. Default 10.
    pub loads_per_second: f64,
}

pub(super) fn read(sources: &Sources) -> Result<AuditorSettings, BadSetting> {
    let number = |name, default, range: std::ops::RangeInclusive<f64>, allowed: &str| {
        sources.take(name, default, |raw| match raw.trim().parse::<f64>() {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => Err(allowed.to_owned()),
        })
    };
    let rate = "must be a share of the hits from 0 to 1, such as 0.01";
    let loads = "must be a number from 0.01 to 10000";
    Ok(AuditorSettings {
        rate: number("LARDER_AUDITOR_RATE", "0", 0.0..=1.0, rate)?,
        loads_per_second: number("LARDER_AUDITOR_LOADS_PER_SECOND", "10", 0.01..=10_000.0, loads)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sources;

    fn auditor(pairs: &[(&str, &str)]) -> Result<AuditorSettings, BadSetting> {
        read(&sources::of(pairs, "")?)
    }

    #[test]
    fn the_auditor_is_off_unless_it_is_set() {
        assert_eq!(auditor(&[]).unwrap(), AuditorSettings { rate: 0.0, loads_per_second: 10.0 });
        let set = [("LARDER_AUDITOR_RATE", "0.01"), ("LARDER_AUDITOR_LOADS_PER_SECOND", "2.5")];
        assert_eq!(auditor(&set).unwrap(), AuditorSettings { rate: 0.01, loads_per_second: 2.5 });
        for bad in ["-0.1", "1.5", "NaN", "1 %"] {
            let error = auditor(&[("LARDER_AUDITOR_RATE", bad)]).unwrap_err().to_string();
            assert!(error.contains("from 0 to 1"), "{error}");
        }
        assert!(auditor(&[("LARDER_AUDITOR_LOADS_PER_SECOND", "0")]).is_err());
    }
}
