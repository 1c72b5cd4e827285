//! A small and short `cargo xtask bench hit-ratio`, `hit-cost`, `hit` and `redis`: each load has its rows, and the ratios
//! follow from the requests and the times.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// What the caches are, in the order of the columns.
const CACHES: usize = 7;

fn run(traces: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder-hits"));
    command.args(["hit-ratio", "--requests", "1000"]);
    for trace in traces {
        command.arg("--trace").arg(trace);
    }
    command.output().unwrap()
}

/// The ratios in percent of each row of the table.
fn ratios(text: &str) -> Vec<(String, Vec<f64>)> {
    let ratio = |cell: &str| cell.trim().trim_end_matches(" %").parse().unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        (format!("{} {}", cells[0].trim(), cells[2].trim()), cells[3..].iter().copied().map(ratio).collect())
    };
    text.lines().skip(2).map(row).collect()
}

#[test]
fn every_load_has_its_rows_and_larder_hits_as_its_memory_does() {
    let folder = tempfile::tempdir().unwrap();
    let (once, often) = (folder.path().join("once.lis"), folder.path().join("often.lis"));
    fs::write(&once, "0 500 0 0\n500 500 0 1\n").unwrap();
    fs::write(&often, "7 10 0 0\n".repeat(100)).unwrap();
    let output = run(&[&once, &often]);
    assert!(output.status.success(), "{output:?}");
    let rows = ratios(&String::from_utf8(output.stdout).unwrap());
    let names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
    let of = |name: &str| format!("{name} 1000\n{name} 10000\n");
    let traced = |name: &str| of(name) + &format!("{name} 100000\n");
    let loads = ["Zipf 0.8", "Zipf 1.0", "Zipf 1.2", "Zipf 1.0 and scans"].map(of).concat();
    assert_eq!(names.join("\n") + "\n", loads + &traced("once") + &traced("often"));
    for (name, ratios) in &rows {
        assert_eq!(ratios.len(), CACHES, "{name}");
        match name.split(' ').next().unwrap() {
            "once" => assert_eq!(ratios, &[0.0; CACHES], "{name}"),
            "often" => assert_eq!(ratios, &[99.0; CACHES], "{name}"),
            _ => {
                // quick_cache with larder's room for entries.
                let difference = ratios[0] - ratios[2];
                assert!((-1.5..=1.5).contains(&difference), "{name}: {ratios:?}");
            }
        }
    }
}

#[test]
fn what_is_no_trace_is_refused_by_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("odd.lis");
    for (text, said) in [("1 2\nx 3\n", "odd.lis: not a line of a trace: x 3"), ("", "odd.lis: no requests")]
    {
        fs::write(&trace, text).unwrap();
        let output = run(&[&trace]);
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn the_cost_of_a_hit_is_measured_for_each_kind_of_subscriber() {
    let output = Command::new(env!("CARGO_BIN_EXE_larder-hits"))
        .args(["hit-cost", "--hits", "1000"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<&str>> =
        text.lines().skip(2).map(|line| line.split('|').map(str::trim).collect()).collect();
    let names: Vec<&str> = rows.iter().map(|row| row[1]).collect();
    assert_eq!(names, ["none", "`events_without_hits`", "`events`"], "{text}");
    assert!(rows.iter().all(|row| row[2].trim_end_matches(" ns").parse::<f64>().unwrap() > 0.0), "{text}");
    assert_eq!(rows[0][3], "1.00");
}

#[test]
fn the_time_of_a_read_is_measured_beside_its_floor() {
    for (part, works) in [("hit", 7), ("redis", 3)] {
        let output = Command::new(env!("CARGO_BIN_EXE_larder-hits"))
            // With one round the median of the ratios is the ratio of the times.
            .args([part, "--times", "200", "--rounds", "1", "--json"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut floors: Vec<(&str, f64)> = Vec::new();
        for figure in figures.as_array().unwrap() {
            let (work, nanos) = (figure["work"].as_str().unwrap(), figure["nanos"].as_f64().unwrap());
            if floors.last().is_none_or(|(last, _)| *last != work) {
                floors.push((work, nanos));
            }
            let floor = floors[floors.len() - 1].1;
            assert!(
                nanos > 0.0 && (figure["ratio"].as_f64().unwrap() - nanos / floor).abs() < 1e-9,
                "{figure}"
            );
        }
        assert_eq!(floors.len(), works, "{floors:?}");
    }
}

#[test]
fn one_kind_of_work_is_measured_alone_and_an_unknown_one_is_refused() {
    let measure = |work: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder-hits"));
        command.args(["hit", "--times", "200", "--rounds", "3", "--work", work]).output().unwrap()
    };
    let table = String::from_utf8(measure("with tuning").stdout).unwrap();
    let rows: Vec<&str> = table.lines().skip(2).collect();
    assert!(rows.len() == 2 && rows.iter().all(|row| row.contains("hit by `get`, with tuning")), "{table}");
    let refused = measure("no such work");
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && error.contains("no kind of work has \"no such work\""), "{error}");
}
