//! An instant, to the microsecond, as the database stores it and as JSON shows it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::invalid::Invalid;

/// The beginning of the year 1. In RFC 3339 a year has four digits and no sign, so it cannot be negative.
const FIRST_MICROS: i64 = -62_135_596_800_000_000;
/// The last midnight that the calendar library can show in every time zone: 9999-12-30.
const LAST_MICROS: i64 = 253_402_128_000_000_000;

/// Microseconds since 1970-01-01 UTC. JSON has it as RFC 3339; compact formats have the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The present instant of the system's clock.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_microsecond())
    }

    /// Parses RFC 3339.
    ///
    /// # Errors
    /// The text is not in the form of RFC 3339.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let moment = raw.parse::<jiff::Timestamp>();
        let moment = moment.map_err(|_| Invalid::new("must be a time such as 2030-01-31T12:00:00Z"))?;
        Ok(Self::from_micros(moment.as_microsecond()))
    }

    /// The instant of this number of microseconds since 1970. An instant outside the years 1 to 9999 becomes the
    /// nearest instant inside.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(FIRST_MICROS, LAST_MICROS))
    }

    /// Microseconds since 1970.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// The instant `later` after this one.
    #[must_use]
    pub fn after(self, later: Duration) -> Self {
        let micros = i64::try_from(later.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// This instant minus `earlier`.
    pub fn before(self, earlier: Duration) -> Self {
        let micros = i64::try_from(earlier.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_sub(micros))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let micros = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        };
        Self::from_micros(micros)
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let distance = Duration::from_micros(time.0.unsigned_abs());
        if time.0 < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(moment) => moment.fmt(f),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            let moment: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
            Ok(Self::from_micros(moment.as_microsecond()))
        } else {
            i64::deserialize(deserializer).map(Self::from_micros)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_shows_rfc_3339_and_loses_nothing() {
        let moment = Timestamp::from_micros(1_700_000_000_123_456);
        let json = serde_json::to_string(&moment).unwrap();
        assert_eq!(json, "\"2023-11-14T22:13:20.123456Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), moment);
    }

    #[test]
    fn the_systems_time_of_an_instant_is_that_instant() {
        for micros in [FIRST_MICROS, -1, 0, 1_700_000_000_123_456, LAST_MICROS] {
            let moment = Timestamp::from_micros(micros);
            assert_eq!(Timestamp::from(SystemTime::from(moment)), moment);
        }
    }

    #[test]
    fn instants_out_of_bounds_are_clamped() {
        for micros in [i64::MIN, i64::MAX] {
            assert!(!Timestamp::from_micros(micros).to_string().is_empty());
        }
        assert!(Timestamp::now().after(Duration::MAX) > Timestamp::now());
    }
}
