//! What Redis says of itself.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use crate::cache::Cache;
use crate::introspection::RedisAnswer;

/// Figures of a whole server, all its databases and applications: not of this cache alone. What a server does not say is
/// zero or empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RedisInfo {
    /// Its version.
    pub version: String,
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: String,
    /// How long it has been running.
    pub uptime: Duration,
    /// Memory it uses, in bytes.
    pub used_memory_bytes: u64,
    /// The same, as it writes it: `1.05M`.
    pub used_memory_human: String,
    /// The most it ever used, in bytes.
    pub used_memory_peak_bytes: u64,
    /// The same, as it writes it.
    pub used_memory_peak_human: String,
    /// Memory the system gave it, over memory it uses.
    pub fragmentation_ratio: f64,
    /// Who is connected now, everybody's connections.
    pub connected_clients: u64,
    /// Connections since it started.
    pub connections_received: u64,
    /// Commands since it started.
    pub commands_processed: u64,
    /// Reads of keys that were there, by anybody.
    pub keyspace_hits: u64,
    /// Reads of keys that were not.
    pub keyspace_misses: u64,
    /// How long a PING took.
    pub latency: Duration,
}

impl RedisInfo {
    /// Hits of all reads in per cent, as the server counts them: an entry passed over counts as a hit there, and a hit in
    /// memory not at all. 0 without any.
    pub fn hit_rate_percent(&self) -> f64 {
        match self.keyspace_hits + self.keyspace_misses {
            0 => 0.0,
            reads => 100.0 * self.keyspace_hits as f64 / reads as f64,
        }
    }

    fn parse(info: &str, latency: Duration) -> Self {
        let fields: HashMap<&str, &str> =
            info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
        let text = |name| (*fields.get(name).unwrap_or(&"")).to_owned();
        RedisInfo {
            version: text("redis_version"),
            mode: text("redis_mode"),
            uptime: Duration::from_secs(figure(&fields, "uptime_in_seconds")),
            used_memory_bytes: figure(&fields, "used_memory"),
            used_memory_human: text("used_memory_human"),
            used_memory_peak_bytes: figure(&fields, "used_memory_peak"),
            used_memory_peak_human: text("used_memory_peak_human"),
            fragmentation_ratio: figure(&fields, "mem_fragmentation_ratio"),
            connected_clients: figure(&fields, "connected_clients"),
            connections_received: figure(&fields, "total_connections_received"),
            commands_processed: figure(&fields, "total_commands_processed"),
            keyspace_hits: figure(&fields, "keyspace_hits"),
            keyspace_misses: figure(&fields, "keyspace_misses"),
            latency,
        }
    }
}

fn figure<T: FromStr + Default>(fields: &HashMap<&str, &str>, name: &str) -> T {
    fields.get(name).and_then(|text| text.parse().ok()).unwrap_or_default()
}

impl Cache {
    /// What Redis says of itself, within a few times the Redis time-out once a connection is free. It is asked beside the
    /// tracked connection, so it may answer while the tier is not usable, and the other way round.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    /// use larder::introspection::RedisAnswer;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// match cache.redis_info().await {
    ///     RedisAnswer::NotConfigured => println!("memory alone"),
    ///     RedisAnswer::Away => println!("configured, but away"),
    ///     RedisAnswer::Value(info) => println!("{} answers in {:?}", info.version, info.latency),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn redis_info(&self) -> RedisAnswer<RedisInfo> {
        let told = self.engine.inspect(async |shared| shared.inspect.about().await).await;
        match told {
            RedisAnswer::NotConfigured => RedisAnswer::NotConfigured,
            RedisAnswer::Away => RedisAnswer::Away,
            RedisAnswer::Value((info, latency)) => RedisAnswer::Value(RedisInfo::parse(&info, latency)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_and_what_is_missing_is_zero() {
        let text = "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:12\r\n# Memory\r\nused_memory:1100\r\n\
                    used_memory_human:1.07K\r\nmem_fragmentation_ratio:1.25\r\nkeyspace_hits:3\r\nkeyspace_misses:1\r\n";
        let info = RedisInfo::parse(text, Duration::from_micros(90));
        assert_eq!(info.version, "7.0.15");
        assert_eq!((info.uptime, info.used_memory_bytes), (Duration::from_secs(12), 1_100));
        assert_eq!((info.fragmentation_ratio, info.hit_rate_percent()), (1.25, 75.0));
        assert_eq!((info.connected_clients, info.mode.as_str()), (0, ""));
        assert_eq!(RedisInfo::parse("", Duration::ZERO).hit_rate_percent(), 0.0);
    }
}
