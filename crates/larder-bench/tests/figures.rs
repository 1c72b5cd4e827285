//! A small and short `cargo xtask bench figures`: every figure has its row, and the counts are as promised. It does not
//! check times, because they depend on the load of the machine.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

use std::process::Command;

const BARE: [&str; 4] =
    ["requests/s", "p50 / p99 in ms", "look-ups answered from memory", "look-ups answered from Redis"];
const TIMES: [&str; 9] = [
    "G user statistics",
    "G user list, a page",
    "G user details",
    "G dashboard",
    "B token validation",
    "B profile by user name",
    "K user profile",
    "K achievements",
    "K leaderboard",
];
const COUNTS: [&str; 7] = [
    "G database statements a request",
    "B database statements a request",
    "K database statements a request",
    "B hit rate, all look-ups",
    "K hit rate, profile",
    "K hit rate, achievements",
    "K hit rate, leaderboard",
];

/// The rows of both tables as cells. The first cell is the name.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| verdict |"));
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

fn percent(cell: &str) -> f64 {
    let number = cell.trim_start_matches('−').trim_end_matches(" %");
    number.parse().unwrap_or_else(|_| panic!("no share: {cell:?}"))
}

#[test]
fn every_figure_is_measured_and_the_database_is_asked_a_fifth_as_often() {
    let options = "figures --users 200 --rounds 1 --samples 20 --seconds 1 --distance-ms 0";
    let bench = Command::new(env!("CARGO_BIN_EXE_larder-bench")).args(options.split(' ')).output().unwrap();
    let text = String::from_utf8(bench.stdout).unwrap();
    let printed = format!("{text}\n{}", String::from_utf8_lossy(&bench.stderr));
    let rows = rows(&text);
    let names: Vec<_> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(names, [&TIMES[..], &BARE, &COUNTS].concat(), "{printed}");
    for row in &rows {
        let verdicts: &[&str] = if BARE.contains(&row[0]) { &["–"] } else { &["beaten", "NOT BEATEN"] };
        assert!(verdicts.contains(row.last().unwrap()), "{row:?}");
    }
    // The exit code and the last line must match the verdicts.
    let is_beaten = rows.iter().all(|row| *row.last().unwrap() != "NOT BEATEN");
    assert_eq!(bench.status.code(), Some(if is_beaten { 0 } else { 1 }), "{printed}");
    assert_eq!(text.trim_end().ends_with("all 16 figures of the documents are beaten"), is_beaten, "{text}");

    let cell = |name: &str, number: usize| rows.iter().find(|row| row[0] == name).unwrap()[number];
    assert!(percent(cell("G database statements a request", 3)) >= 80.0, "{printed}");
    assert!(percent(cell("B hit rate, all look-ups", 2)) >= 80.0, "{printed}");
}

#[test]
fn meaningless_options_are_refused() {
    for options in
        ["figures --distance-ms -1", "figures --distance-ms NaN", "figures --users 199", "nonsense"]
    {
        let bench = Command::new(env!("CARGO_BIN_EXE_larder-bench")).args(options.split(' ')).output();
        assert_eq!(bench.unwrap().status.code(), Some(2), "{options}");
    }
}
