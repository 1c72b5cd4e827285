//! `larder top`, in a real terminal and without one.

use rustix::process::Signal;
use serde_json::json;

use crate::command_line::terminal::Terminal;
use crate::command_line::{Operator, Ran};
use crate::support::app::{Stack, TestApp, on_both_databases};
use crate::support::client::Client;

impl Operator {
    fn top(&self, arguments: &[&str], columns: u16, lines: u16) -> Terminal {
        let environment = [("LARDER_URL", self.url.as_str()), ("LARDER_API_KEY", self.key.as_str())];
        Terminal::start(&[&["top", "--interval", "0.2"], arguments].concat(), &environment, columns, lines)
    }
}

/// The classes on the screen, in their order.
fn classes(lines: &[String]) -> Vec<String> {
    let rows = lines.iter().skip_while(|line| !line.starts_with("class ")).skip(1);
    let rows = rows.take_while(|line| {
        !line.is_empty() && !line.starts_with("q quit") && !line.ends_with("more classes")
    });
    rows.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn it_fits_80_by_24_and_shows_the_rates_of_each_class(app: &TestApp) {
    let (operator, ann) = (Operator::of(app), app.user("ann"));
    let mut top = operator.top(&[], 80, 24);
    top.shows("the classes", |lines| classes(lines).len() > 10);
    assert!(top.is_taken());
    let lines = top.lines();
    assert_eq!(lines.len(), 24);
    assert!(lines[0].starts_with("larder top  http://"), "{lines:?}");
    assert!(lines[1].contains(if app.has_redis() { "Redis 7" } else { "no Redis" }), "{lines:?}");
    assert!(lines[4].starts_with("class") && lines[4].ends_with("inval/s"), "{lines:?}");
    assert_eq!(lines[4].chars().count(), 80, "{lines:?}");
    assert!(lines[23].starts_with("q quit") && lines[23].ends_with("[reads]"), "{lines:?}");
    assert!(lines[22].ends_with("more classes"), "{lines:?}");
    top.shows("reads come first, with their hits", |lines| {
        ann.get(&ann.path()).expect(200);
        let row = lines.iter().find(|line| line.starts_with("user_details"));
        let figures: Vec<&str> = row.into_iter().flat_map(|row| row.split_whitespace()).collect();
        let figure = |at: usize| figures.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        figure(1) > 0.0 && figure(2) > 0.0 && figure(3) > 0.0
    });
    top.press("q");
    assert!(top.ends_as_it_began().success());
}

#[test]
fn keys_sort_and_a_resize_changes_the_columns() {
    let app = Stack::sqlite_memory().start();
    let operator = Operator::of(&app);
    let mut top = operator.top(&["--sort", "name"], 80, 24);
    top.shows("it is sorted by name", |lines| {
        let classes = classes(lines);
        classes.len() > 10 && classes.is_sorted() && lines[23].ends_with("[name]")
    });
    for (key, name) in
        [("h", "hit ratio"), ("l", "loads"), ("t", "load time"), ("i", "invalidations"), ("r", "reads")]
    {
        top.press(key);
        top.shows(name, |lines| lines[23].ends_with(&format!("[{name}]")));
    }
    top.press("n");
    top.shows("it is sorted by name again", |lines| lines[23].ends_with("[name]"));
    top.resize(140, 50);
    top.shows("a wide screen has more columns, and room for all classes", |lines| {
        let header = lines.iter().find(|line| line.starts_with("class ")).cloned().unwrap_or_default();
        let is_wide = header.ends_with("cached") && header.contains("failed/s");
        is_wide
            && lines.len() == 50
            && lines[49].starts_with("q quit")
            && !lines.concat().contains("more classes")
    });
    let stats = operator.json(&["stats"], "stats", 0);
    assert_eq!(classes(&top.lines()).len(), stats["classes"].as_array().unwrap().len());
    for (columns, lines) in [(40, 8), (20, 3), (1, 1)] {
        top.resize(columns, lines);
        top.shows("it fits", |shown| shown.len() == usize::from(lines));
    }
    top.resize(80, 24);
    top.shows("it is complete again", |lines| lines[23].starts_with("q quit") && classes(lines).len() > 10);
    top.press("\u{3}");
    assert!(top.ends_as_it_began().success());
}

#[test]
fn a_signal_ends_it_and_the_terminal_is_as_it_was() {
    let app = Stack::sqlite_memory().start();
    let operator = Operator::of(&app);
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut top = operator.top(&[], 80, 24);
        top.shows("the classes", |lines| classes(lines).len() > 10);
        assert!(top.is_taken());
        top.signal(signal);
        assert!(top.ends_as_it_began().success());
    }
}

#[test]
fn it_says_that_the_instance_went_away_and_goes_on_when_it_is_back() {
    let mut app = Stack::sqlite_memory().start();
    let operator = Operator::of(&app);
    let top = operator.top(&[], 100, 24);
    top.shows("the classes", |lines| classes(lines).len() > 10);
    app.larder.stop(Signal::TERM);
    top.shows("it says so, and keeps the figures", |lines| {
        lines[1].starts_with("UNREACHABLE, trying again") && classes(lines).len() > 10
    });
    let back = app.instance_with("LARDER_LISTEN", &app.address.to_string());
    top.shows("it goes on", |lines| !lines.concat().contains("UNREACHABLE"));
    let reader: Client = back.admin();
    top.shows("it shows new reads", |lines| {
        reader.get("/api/v1/users/me").expect(200);
        let row = lines.iter().find(|line| line.starts_with("user_details"));
        row.is_some_and(|row| row.split_whitespace().nth(1).is_some_and(|reads| reads != "0.0"))
    });
}

#[test]
fn keys_work_while_an_instance_hangs_and_it_is_named() {
    let app = Stack::sqlite_memory().start();
    let operator = Operator::of(&app);
    let mut top = operator.top(&[], 100, 24);
    top.shows("the classes", |lines| classes(lines).len() > 10);
    app.larder.signal(Signal::STOP);
    top.press("n");
    top.shows("it is sorted", |lines| lines[23].ends_with("[name]"));
    top.shows("it says that there is no answer", |lines| {
        lines[1].starts_with("UNREACHABLE") && lines[1].contains("did not answer within 10s")
    });
    app.larder.signal(Signal::CONT);
    top.shows("it goes on", |lines| !lines.concat().contains("UNREACHABLE"));
    top.press("q");
    assert!(top.ends_as_it_began().success());
}

fn one_frame_needs_no_terminal(app: &TestApp) {
    let operator = Operator::of(app);
    let shown = operator.run(&["top", "--once", "--interval", "0.1"]).expect(0).stdout;
    assert!(shown.starts_with("larder top  http://") && shown.contains("\nclass "), "{shown}");
    assert!(!shown.contains('\u{1b}') && shown.contains("user_details"), "{shown}");
    let frame = operator.json(&["top", "--once", "--interval", "0.1"], "top", 0);
    assert_eq!(frame["total"]["name"], "all", "{frame}");
    assert_eq!(frame["has_guard"], json!(true), "{frame}");

    let without = operator.run(&["top"]).expect(2);
    assert!(without.stderr.contains("--once"), "{without:?}");
    operator.run(&["top", "--json"]).expect(2);
    operator.run(&["top", "--once", "--interval", "0"]).expect(2);
    Ran::of(&["top", "--once", "--url", &operator.url, "--key", "wrong"], &[]).expect(1);
}

on_both_databases!(it_fits_80_by_24_and_shows_the_rates_of_each_class, one_frame_needs_no_terminal);
