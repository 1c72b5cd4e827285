//! The figures as a table and as JSON.

use serde_json::json;

/// One server at one kind of request.
pub(super) struct Figure {
    pub(super) work: &'static str,
    pub(super) name: &'static str,
    /// Answers a second.
    pub(super) rate: f64,
    /// The rate, divided by that of the bare handler that checks a token.
    pub(super) of_floor: f64,
    /// The 99th percentile at half of larder's rate, in milliseconds.
    pub(super) p99_ms: f64,
}

/// What a process of larder holds, in MiB.
pub(super) struct Memory {
    pub(super) name: &'static str,
    /// After its start.
    pub(super) started_mib: u64,
    /// After all loads.
    pub(super) now_mib: u64,
}

/// A table in Markdown, ratios first.
pub(super) fn table(figures: &[Figure], memory: &[Memory]) -> String {
    let mut table = String::from(
        "| request | answered by | of bare axum with HS256 | requests/s | p99 at half of larder's rate |\n|---|---|---|---|---|\n",
    );
    for Figure { work, name, rate, of_floor, p99_ms } in figures {
        table += &format!("| {work} | {name} | {of_floor:.2} | {rate:.0} | {p99_ms:.2} ms |\n");
    }
    for Memory { name, started_mib, now_mib } in memory {
        table += &format!("\n{name}: {started_mib} MiB after the start, {now_mib} MiB after the loads");
    }
    table
}

/// The same as JSON: rates in answers a second, p99 in milliseconds, memory in MiB.
pub(super) fn json(figures: &[Figure], memory: &[Memory]) -> String {
    let figure = |Figure { work, name, rate, of_floor, p99_ms }: &Figure| json!({ "work": work, "of": name, "rate": rate, "ratio": of_floor, "p99_ms": p99_ms });
    let held = |Memory { name, started_mib, now_mib }: &Memory| json!({ "of": name, "started_mib": started_mib, "now_mib": now_mib });
    let figures: Vec<_> = figures.iter().map(figure).collect();
    let memory: Vec<_> = memory.iter().map(held).collect();
    json!({ "figures": figures, "memory": memory }).to_string()
}
