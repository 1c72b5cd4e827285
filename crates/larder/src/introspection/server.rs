//! The statistics of a Redis server.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use crate::cache::Cache;
use crate::introspection::RedisAnswer;

/// Figures of the complete server: all its databases and applications, not only this cache. A figure that the server
/// does not report is zero or empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RedisInfo {
    /// The server's version.
    pub version: String,
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: String,
    /// How long the server has been running.
    pub uptime: Duration,
    /// Memory that the server uses, in bytes.
    pub used_memory_bytes: u64,
    /// `used_memory_bytes` in the server's own notation, such as `1.05M`.
    pub used_memory_human: String,
    /// The most memory that the server ever used, in bytes.
    pub used_memory_peak_bytes: u64,
    /// `used_memory_peak_bytes` in the server's own notation.
    pub used_memory_peak_human: String,
    /// Memory from the operating system divided by used memory.
    pub fragmentation_ratio: f64,
    /// The number of connections now, from all clients.
    pub connected_clients: u64,
    /// Connections since the server started.
    pub connections_received: u64,
    /// Commands since the server started.
    pub commands_processed: u64,
    /// Reads of existing keys, by any program.
    pub keyspace_hits: u64,
    /// Reads of missing keys, by any program.
    pub keyspace_misses: u64,
    /// How long one PING took.
    pub latency: Duration,
}

impl RedisInfo {
    /// The share of hits among all reads, in per cent, as the server counts them: an entry that larder ignores counts
    /// as a hit, and a hit in memory does not count. 0 if there were no reads.
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
            // Valkey names its mode otherwise.
            mode: if fields.contains_key("redis_mode") { text("redis_mode") } else { text("server_mode") },
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
    /// Asks Redis for its statistics, which takes at most a few times the Redis time-out once a connection is free. The
    /// connection is not the tracked one: this call can succeed while reads cannot use Redis, and fail while they can.
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
    ///     RedisAnswer::Value(info) => println!("{} answers in {:?}", info.version, info.latency),
    ///     RedisAnswer::NotConfigured => println!("memory alone"),
    ///     _ => println!("configured, but away"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn redis_info(&self) -> RedisAnswer<RedisInfo> {
        let answer = self.engine.inspect(async |shared| shared.inspect.about().await).await;
        match answer {
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
