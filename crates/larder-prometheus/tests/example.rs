//! The example as a process: its route is cached, and its `/metrics` counts the reads.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use openmetrics_parser::prometheus::parse_prometheus;

/// Time-out of an answer, enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The running example. A drop kills it by its process id and waits for its end.
struct Example(Child);

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the example on a free port; returns it with its address.
fn start() -> (Example, String) {
    // Cargo builds the examples of a package with its tests, into the folder beside theirs, which all packages share.
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/metrics");
    let child = Command::new(&program).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut example = Example(child.unwrap_or_else(|error| panic!("{}: {error}", program.display())));
    let mut line = String::new();
    BufReader::new(example.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("http://").unwrap().to_owned();
    (example, address)
}

/// Returns the head and the body of the answer.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn the_example_caches_its_route_and_counts_the_reads() {
    let (_example, address) = start();
    for _ in 0..3 {
        let (head, body) = get(&address, "/rooms/7");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(body, "room 7");
    }
    let (head, text) = get(&address, "/metrics");
    assert!(head.contains("\r\ncontent-type: text/plain; version=0.0.4\r\n"), "{head}");
    parse_prometheus(&text).unwrap();
    for line in [
        r#"larder_cache_hits_total{class="rooms",tier="memory"} 2"#,
        r#"larder_cache_misses_total{class="rooms"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
}
