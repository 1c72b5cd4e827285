//! Each example as a process, on databases and a Redis of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use larder_testbed::{Database, Postgres, Redis};

/// Time-out of an answer, enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Cargo builds the examples of a package with its tests, into the folder beside theirs, which all packages share.
fn example(name: &str) -> Command {
    let tests = std::env::current_exe().unwrap();
    let mut command = Command::new(tests.ancestors().nth(2).unwrap().join("examples").join(name));
    command.stdin(Stdio::null());
    command
}

/// Runs the example to its end; returns what it prints.
fn run(name: &str, redis: Option<&Redis>) -> String {
    let database = Database::fresh(&Postgres::shared().unwrap()).unwrap();
    let mut command = example(name);
    command.env("DATABASE_URL", database.url());
    if let Some(redis) = redis {
        command.env("REDIS_URL", redis.url());
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_table_of_ones_own() {
    let printed = run("own_tables", None);
    let expected =
        ["cached: tea", "own write: sent", "after it: green tea", "foreign write: seen within 2 s: true"];
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn two_instances_see_each_others_writes() {
    let printed = run("two_instances", Some(&Redis::start().unwrap()));
    let sales = [9, 8, 7].map(|left| format!("one sells (sent), the other has {left}"));
    assert_eq!(printed.lines().skip(1).collect::<Vec<_>>(), sales);
    assert!(printed.starts_with("both have 10 and 10"), "{printed}");
}

#[test]
fn a_cached_repository_finds_by_both_keys() {
    let printed = run("repository", None);
    for line in ["sent, 3 keys", "by the old address: None", "true"] {
        assert!(printed.lines().any(|printed| printed == line), "no {line:?} in\n{printed}");
    }
}

#[test]
fn a_worker_loads_each_price_once() {
    assert_eq!(run("worker", None).trim(), "1000 orders, 995 prices from memory, 5 loads");
}

/// A running example. A drop kills it by its process id and waits for its end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the status and the body of the answer.
fn send(address: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}"
    );
    write!(stream, "{head}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn an_axum_service_answers_with_what_was_just_written() {
    let (database, redis) = (Database::fresh(&Postgres::shared().unwrap()).unwrap(), Redis::start().unwrap());
    let mut command = example("axum");
    command.env("DATABASE_URL", database.url()).env("REDIS_URL", redis.url()).stdout(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("http://").unwrap();

    let name = || send(address, "GET", "/products/7", "");
    let list = || send(address, "GET", "/categories/1/products/0", "").1;
    assert_eq!(name(), (200, r#"{"id":7,"category_id":1,"name":"product 7","cents":700}"#.to_owned()));
    assert!(list().contains(r#""name":"product 7""#));
    let (status, delivery) = send(address, "PUT", "/products/7", "tea");
    assert_eq!((status, delivery.as_str()), (200, "sent"));
    assert!(name().1.contains(r#""name":"tea""#) && list().contains(r#""name":"tea""#));
    assert_eq!(send(address, "GET", "/products/1000", "").0, 404);
    assert_eq!(send(address, "PUT", "/products/1000", "x").0, 404);
}
