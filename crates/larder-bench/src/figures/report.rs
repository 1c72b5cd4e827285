//! The two Markdown tables, with a verdict on each figure.

use crate::figures::load::Drive;
use crate::figures::mix::Ask;
use crate::figures::operations::{Measured, Operation};
use crate::figures::verdict::{ShareClaim, reduction_percent};

/// One row: its name, its other cells, and whether larder beats the figure, if a document has one.
pub(super) struct Row {
    pub(super) name: String,
    cells: Vec<String>,
    pub(super) is_beaten: Option<bool>,
}

/// A table. `columns` are the columns between the row's name and the verdict.
pub(super) fn table(corner: &str, columns: &[&str], rows: &[Row]) -> String {
    let mut table = format!("| {corner} | {} | verdict |\n", columns.join(" | "));
    table += &format!("|{}\n", "---|".repeat(columns.len() + 2));
    for row in rows {
        let verdict = row.is_beaten.map_or("–", |is_beaten| if is_beaten { "beaten" } else { "NOT BEATEN" });
        table += &format!("| {} | {} | {verdict} |\n", row.name, row.cells.join(" | "));
    }
    table
}

pub(super) const TIME_COLUMNS: [&str; 5] =
    ["cache off", "from Redis", "from memory", "p50, off to memory", "in the document"];

pub(super) fn time_row(operation: &Operation, measured: &Measured) -> Row {
    let Measured { off, redis, memory } = measured;
    let less = less(reduction_percent(off.p50, memory.p50));
    let cells = vec![
        off.to_string(),
        redis.to_string(),
        memory.to_string(),
        less,
        operation.claim.printed.to_owned(),
    ];
    let is_beaten = Some(operation.claim.is_beaten(*off, *memory));
    Row { name: operation.name.to_owned(), cells, is_beaten }
}

pub(super) const LOAD_COLUMNS: [&str; 4] = ["cache off", "cache on", "change", "in the document"];

/// The profile requests of system K. The public view of a profile, whose TTL is 180 s, belongs to system B.
const PROFILE: [Ask; 1] = [Ask::FullProfile];
const ACHIEVEMENTS: [Ask; 3] = [Ask::Achievements, Ask::AchievementSummary, Ask::AchievementStats];
const LEADERBOARD: [Ask; 1] = [Ask::Leaderboard];

/// The rows of the mixed load. If a document has a range, larder must reach its upper end.
pub(super) fn load_rows(off: &Drive, on: &Drive) -> Vec<Row> {
    let (slow, fast) = (off.per_second(), on.per_second());
    let (before, after) = (off.quantiles(), on.quantiles());
    let (all, lookups) = (on.stats, on.stats.lookups() as f64);
    let share = |count: u64| format!("{:.1} %", 100.0 * count as f64 / lookups);
    let mut rows = vec![
        plain("requests/s", [format!("{slow:.0}"), format!("{fast:.0}"), format!("× {:.1}", fast / slow)]),
        plain(
            "p50 / p99 in ms",
            [
                before.to_string(),
                after.to_string(),
                format!(
                    "{} / {}",
                    less(reduction_percent(before.p50, after.p50)),
                    less(reduction_percent(before.p99, after.p99))
                ),
            ],
        ),
        plain("look-ups answered from memory", ["–".into(), share(all.memory_hits), "–".into()]),
        plain("look-ups answered from Redis", ["–".into(), share(all.redis_hits), "–".into()]),
    ];
    let (many, few) = (off.statements(), on.statements());
    let saved = reduction_percent(many, few);
    for (name, claim) in [
        ("G database statements a request", claim("60–80 % fewer", 80.0)),
        ("B database statements a request", claim("80–90 % fewer", 90.0)),
        ("K database statements a request", claim("50 % fewer", 50.0)),
    ] {
        let cells = [format!("{many:.2}"), format!("{few:.3}"), less(saved)];
        rows.push(share_row(name, cells, saved, claim));
    }
    for (name, hits, claim) in [
        ("B hit rate, all look-ups", on.stats.hit_rate_percent(), claim("80–90 %", 90.0)),
        ("K hit rate, profile", on.hit_percent(&PROFILE), claim("85–90 %", 90.0)),
        ("K hit rate, achievements", on.hit_percent(&ACHIEVEMENTS), claim("80–85 %", 85.0)),
        ("K hit rate, leaderboard", on.hit_percent(&LEADERBOARD), claim("90–95 %", 95.0)),
    ] {
        rows.push(share_row(name, ["–".into(), format!("{hits:.1} %"), "–".into()], hits, claim));
    }
    rows
}

const fn claim(printed: &'static str, percent: f64) -> ShareClaim {
    ShareClaim { printed, percent }
}

fn share_row(name: &str, cells: [String; 3], percent: f64, claim: ShareClaim) -> Row {
    let cells = cells.into_iter().chain([claim.printed.to_owned()]).collect();
    Row { name: name.to_owned(), cells, is_beaten: Some(claim.is_beaten(percent)) }
}

/// A row for which no document has a figure.
fn plain(name: &str, cells: [String; 3]) -> Row {
    let cells = cells.into_iter().chain(["–".to_owned()]).collect();
    Row { name: name.to_owned(), cells, is_beaten: None }
}

/// The text of a reduction.
fn less(percent: f64) -> String {
    if percent < 0.0 { format!("+{:.1} %", -percent) } else { format!("−{percent:.1} %") }
}
