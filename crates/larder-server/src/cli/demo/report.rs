//! The demo's table, and the text that shows requests to try by hand.

use std::fmt;
use std::net::SocketAddr;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use crate::cli::demo::load::Measured;
use crate::cli::demo::people::{ADMIN_EMAIL, PASSWORD};

/// The measurements of one load, with the cache off and with it on.
pub(crate) struct Report {
    pub(crate) off: Measured,
    pub(crate) on: Measured,
    pub(crate) users: usize,
    pub(crate) has_redis: bool,
}

fn per_second(measured: &Measured) -> f64 {
    measured.requests() as f64 / measured.elapsed.as_secs_f64()
}

fn queries(measured: &Measured) -> f64 {
    measured.statements as f64 / measured.requests().max(1) as f64
}

fn millis(measured: &Measured, quantile: f64) -> f64 {
    measured.latency_micros.value_at_quantile(quantile) as f64 / 1_000.0
}

fn share(part: u64, measured: &Measured) -> String {
    match measured.stats.lookups() {
        0 => "–".to_owned(),
        lookups => format!("{:.1} %", 100.0 * part as f64 / lookups as f64),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (off, on) = (&self.off, &self.on);
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(["", "cache off", "cache on", "gain"]);
        let mut row = |name: &str, off: String, on: String, gain: String| {
            table.add_row([name, &off, &on, &gain]);
        };
        let times = |ratio: f64| format!("{ratio:.1} ×");
        let (slow, fast) = (per_second(off), per_second(on));
        row("requests/s", format!("{slow:.0}"), format!("{fast:.0}"), times(fast / slow));
        for (name, quantile) in [("p50 ms", 0.50), ("p99 ms", 0.99)] {
            let (slow, fast) = (millis(off, quantile), millis(on, quantile));
            row(name, format!("{slow:.2}"), format!("{fast:.2}"), times(slow / fast));
        }
        let (many, few) = (queries(off), queries(on));
        let spared = format!("−{:.1} %", 100.0 * (1.0 - few / many));
        row("database queries per request", format!("{many:.2}"), format!("{few:.3}"), spared);
        let hits = [
            ("hits in memory", on.stats.memory_hits + on.stats.joins),
            ("hits in Redis", on.stats.redis_hits),
            ("loads", on.stats.loads),
        ];
        for (name, count) in hits {
            if self.has_redis || name != "hits in Redis" {
                row(name, "–".to_owned(), share(count, on), String::new());
            }
        }
        for column in 1..4 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        writeln!(f, "\n{table}")?;
        let requests = off.requests() + on.requests();
        write!(f, "{requests} requests over {} users, Zipf, 1 % writes; every answer was right.", self.users)
    }
}

/// The text with requests that a person can try next.
pub(crate) fn invitation(address: SocketAddr) -> String {
    let base = format!("http://{address}/api/v1");
    format!(
        r#"
Serving on http://{address}   admin: {ADMIN_EMAIL}   password, everybody's: {PASSWORD}

  TOKEN=$(curl -s {base}/auth/login -H 'content-type: application/json' -d '{{"email":"{ADMIN_EMAIL}","password":"{PASSWORD}"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -si {base}/users/me -H "authorization: Bearer $TOKEN"
  curl -si -X PATCH {base}/users/me -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{{"bio":"seen everywhere, at once"}}'

Ctrl-C ends it."#
    )
}
