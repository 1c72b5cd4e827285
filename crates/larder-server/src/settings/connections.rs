//! How many connections the service holds, and how long each step of a request may take.

use std::time::Duration;

use larder_sql::options::POOL_SIZE;

use crate::settings::bad::BadSetting;
use crate::settings::sources::{SettingSource, Sources};

/// The longest time-out: an hour.
const SECONDS_MAX: f64 = 3600.0;
/// The most connections that a setting may ask for.
const CONNECTIONS_MAX: u32 = 1_000_000;

/// Descriptors for everything that is neither a connection of a client nor in a pool.
const RESERVE: u32 = 96;

/// The bounds of connections. Without them a client could hold memory and descriptors without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// `LARDER_CONNECTIONS`: the most connections at once. Default `None`: as many as the process has descriptors for,
    /// less a reserve, and at most 10,000.
    pub max: Option<u32>,
    /// Descriptors that connections of clients never take: as many as the pools of the database and of Redis may hold,
    /// and 96 for files and for refused connections.
    pub reserved_descriptors: u32,
    /// `LARDER_CONNECTIONS_PER_ADDRESS`: the most connections from one address (IPv6: its /64). The limit does not
    /// apply to the address of a trusted proxy, because all clients behind the proxy share that address. Default 256.
    pub max_per_address: u32,
    /// `LARDER_STREAMS_PER_CONNECTION`: the most requests at once on one HTTP/2 connection. Each of them also counts
    /// like one connection against `max` and `max_per_address`. Default 100.
    pub streams: u32,
    /// `LARDER_HEAD_TIMEOUT`: the time from the first byte of a request to the end of its headers; for the first
    /// request, from the opening of the connection. Default 15 s.
    pub head_timeout: Duration,
    /// `LARDER_BODY_TIMEOUT`: the time from the end of the headers to the end of the body. Default 30 s.
    pub body_timeout: Duration,
    /// `LARDER_WRITE_TIMEOUT`: how long a client may take to read 16 KiB of an answer, or its rest if that is smaller.
    /// Default 30 s.
    pub write_timeout: Duration,
    /// `LARDER_IDLE_TIMEOUT`: how long a connection stays open between two requests. Default 75 s, which is more than
    /// the 60 s of common load balancers. The load balancer has to close first: if the service did, a request on its
    /// way would meet a closed connection.
    pub idle_timeout: Duration,
    /// `LARDER_CLOSE_TIMEOUT`: how long the service reads and discards what a client still sends after it was refused.
    /// Default 10 s.
    pub close_timeout: Duration,
    /// `LARDER_STOP_DELAY`: how long the service accepts connections after SIGTERM, while `/readyz` answers 503.
    /// Default 5 s.
    pub stop_delay: Duration,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            max: None,
            reserved_descriptors: RESERVE + POOL_SIZE,
            max_per_address: 256,
            streams: 100,
            head_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            close_timeout: Duration::from_secs(10),
            stop_delay: Duration::from_secs(5),
        }
    }
}

/// Reads the bounds of connections; `pooled` is how many descriptors the pools may take.
pub(super) fn read(sources: &Sources, pooled: u32) -> Result<ConnectionSettings, BadSetting> {
    let defaults = ConnectionSettings::default();
    let timeout = |name, default: Duration, min: f64| {
        sources.take(name, &default.as_secs_f64().to_string(), |raw| match raw.trim().parse::<f64>() {
            Ok(seconds) if (min..=SECONDS_MAX).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
            _ => Err(format!("must be seconds from {min} to {SECONDS_MAX}, such as 0.5")),
        })
    };
    const MIN: f64 = 0.001;
    Ok(ConnectionSettings {
        max: max(sources)?,
        reserved_descriptors: RESERVE + pooled,
        max_per_address: sources.take(
            "LARDER_CONNECTIONS_PER_ADDRESS",
            &defaults.max_per_address.to_string(),
            connections,
        )?,
        streams: sources.take("LARDER_STREAMS_PER_CONNECTION", &defaults.streams.to_string(), connections)?,
        head_timeout: timeout("LARDER_HEAD_TIMEOUT", defaults.head_timeout, MIN)?,
        body_timeout: timeout("LARDER_BODY_TIMEOUT", defaults.body_timeout, MIN)?,
        write_timeout: timeout("LARDER_WRITE_TIMEOUT", defaults.write_timeout, MIN)?,
        idle_timeout: timeout("LARDER_IDLE_TIMEOUT", defaults.idle_timeout, MIN)?,
        close_timeout: timeout("LARDER_CLOSE_TIMEOUT", defaults.close_timeout, MIN)?,
        stop_delay: timeout("LARDER_STOP_DELAY", defaults.stop_delay, 0.0)?,
    })
}

fn max(sources: &Sources) -> Result<Option<u32>, BadSetting> {
    const NAME: &str = "LARDER_CONNECTIONS";
    if sources.find(NAME).is_some() {
        return sources.take(NAME, "", connections).map(Some);
    }
    sources.note(NAME, "by the limit on open files, at most 10000", SettingSource::Default);
    Ok(None)
}

fn connections(raw: &str) -> Result<u32, String> {
    match raw.trim().parse() {
        Ok(number) if (1..=CONNECTIONS_MAX).contains(&number) => Ok(number),
        _ => Err(format!("must be an integer from 1 to {CONNECTIONS_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sources::of;

    #[test]
    fn what_is_set_is_read_and_the_rest_has_defaults() {
        assert_eq!(read(&of(&[], "").unwrap(), POOL_SIZE).unwrap(), ConnectionSettings::default());
        let set = [("LARDER_CONNECTIONS", "7"), ("LARDER_IDLE_TIMEOUT", " 0.5 "), ("LARDER_STOP_DELAY", "0")];
        let read = read(&of(&set, "larder_head_timeout = 2").unwrap(), 1000).unwrap();
        let seconds = Duration::from_secs_f64;
        assert_eq!((read.max, read.idle_timeout, read.stop_delay), (Some(7), seconds(0.5), seconds(0.0)));
        assert_eq!((read.head_timeout, read.reserved_descriptors), (seconds(2.0), 1096));
    }

    #[test]
    fn a_bad_value_is_named() {
        for (name, value, says) in [
            ("LARDER_CONNECTIONS", "0", "from 1 to 1000000"),
            ("LARDER_CONNECTIONS_PER_ADDRESS", "many", "from 1 to 1000000"),
            ("LARDER_STREAMS_PER_CONNECTION", "0", "from 1 to 1000000"),
            ("LARDER_HEAD_TIMEOUT", "0", "from 0.001 to 3600"),
            ("LARDER_BODY_TIMEOUT", "3601", "from 0.001 to 3600"),
            ("LARDER_WRITE_TIMEOUT", "NaN", "from 0.001 to 3600"),
            ("LARDER_IDLE_TIMEOUT", "1m", "from 0.001 to 3600"),
            ("LARDER_CLOSE_TIMEOUT", "-1", "from 0.001 to 3600"),
            ("LARDER_STOP_DELAY", "-1", "from 0 to 3600"),
        ] {
            let error = read(&of(&[(name, value)], "").unwrap(), 0).unwrap_err().to_string();
            assert!(error.starts_with(name) && error.contains(says), "{error}");
        }
    }
}
