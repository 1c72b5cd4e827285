//! What the commands print: tables for people, JSON for programs.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use crate::domain::timestamp::Timestamp;

/// The text without control characters, which a terminal would follow.
pub(crate) fn plain(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// A table without lines. The columns from `first_number` on are aligned to the right.
pub(crate) fn table(
    header: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    first_number: usize,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    for row in rows {
        table.add_row(row.iter().map(|cell| plain(cell)));
    }
    for column in 0..header.len() {
        if let Some(column_) = table.column_mut(column) {
            column_.set_padding((0, 2));
            if column >= first_number {
                column_.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let lines: Vec<_> = table.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Prints a value as JSON.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    say!("{}", serde_json::to_string_pretty(value)?)
}

/// Bytes in the largest unit of which there is at least one.
pub(crate) fn bytes(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(shift, _)| bytes >> shift > 0) {
        Some((shift, unit)) => format!("{:.1} {unit}", bytes as f64 / f64::from(1 << shift)),
        None => format!("{bytes} B"),
    }
}

/// Milliseconds as seconds, with two decimals.
pub(crate) fn seconds(milliseconds: f64) -> String {
    format!("{:.2} s", milliseconds / 1_000.0)
}

/// How long an instant of an answer is before (`ago`) or after (`in`) now, beside the instant itself if it is no time.
pub(crate) fn relative(instant: &str) -> String {
    let Ok(at) = Timestamp::parse(instant) else { return plain(instant) };
    let micros = at.as_micros() - Timestamp::now().as_micros();
    let length = seconds(micros.unsigned_abs() as f64 / 1_000.0);
    if micros < 0 { format!("{length} ago") } else { format!("in {length}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_reaches_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\u{9b}c"), "a\\u{1b}[2Jb\\u{9b}c");
        let table = table(&["name"], [vec!["x\u{7}".to_owned()]], 1);
        assert_eq!(table, "name\nx\\u{7}");
    }

    #[test]
    fn sizes_have_the_largest_unit_that_fits() {
        let shown = [0, 1023, 1024, 1_572_864, 3 << 30].map(bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "3.0 GiB"]);
    }
}
