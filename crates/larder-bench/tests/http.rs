//! A small and short `cargo xtask bench http`: every kind of request is measured beside its floor. It does not check
//! times, because they depend on the load of the machine.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

use std::process::Command;

use serde_json::Value;

fn run(arguments: &str) -> String {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_larder-bench"));
    let output = bench.args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const SHORT: &str = "http --users 200 --rounds 1 --milliseconds 30 --connections 2";

#[test]
fn every_request_is_measured_beside_its_floor() {
    let beside = env!("CARGO_BIN_EXE_larder-bench");
    let report: Value = serde_json::from_str(&run(&format!("{SHORT} --json --beside {beside}"))).unwrap();
    let figures = report["figures"].as_array().unwrap();
    let works = ["a user", "a page of 25 users", "statistics", "the leaderboard", "validation of a token"];
    let servers = ["bare axum", "bare axum, HS256", "larder", "larder, the other release"];
    let expected: Vec<_> = works.iter().flat_map(|work| servers.map(|server| (*work, server))).collect();
    let measured: Vec<_> =
        figures.iter().map(|one| (one["work"].as_str().unwrap(), one["of"].as_str().unwrap())).collect();
    assert_eq!(measured, expected);
    for of_work in figures.chunks(servers.len()) {
        let floor = of_work[1]["rate"].as_f64().unwrap();
        for figure in of_work {
            let (rate, ratio) = (figure["rate"].as_f64().unwrap(), figure["ratio"].as_f64().unwrap());
            assert!(rate > 0.0 && (ratio - rate / floor).abs() < 1e-9, "{figure}");
            assert!(figure["p99_ms"].as_f64().unwrap() > 0.0, "{figure}");
        }
    }
    let memory = report["memory"].as_array().unwrap();
    assert_eq!(memory.len(), 2);
    assert!(memory.iter().all(|one| one["started_mib"].as_u64() > Some(0)), "{memory:?}");
}

#[test]
fn the_table_has_a_row_for_each_figure() {
    let table = run(SHORT);
    let rows = table.lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(rows, 1 + 5 * 3, "{table}");
}
