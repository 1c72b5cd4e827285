//! `larder doctor --instance`: each check on an instance that has what it looks for.

use larder_testbed::{Redis, free_port};
use serde_json::{Value, json};

use crate::command_line::{Operator, Ran, conforms};
use crate::support::app::{Stack, TestApp, on_both_databases};
use crate::support::eventually;
use crate::support::larder::Larder;

const DOCTOR: [&str; 2] = ["doctor", "--instance"];

fn checks<'a>(checkup: &'a Value, name: &str) -> Vec<&'a Value> {
    checkup["checks"].as_array().unwrap().iter().filter(|check| check["name"] == name).collect()
}

#[track_caller]
fn the_check<'a>(checkup: &'a Value, name: &str) -> &'a Value {
    let found = checks(checkup, name);
    assert_eq!(found.len(), 1, "{name}: {checkup:#}");
    found[0]
}

fn a_healthy_instance_passes_every_check(app: &TestApp) {
    let operator = Operator::of(app);
    let mut checkup = Value::Null;
    // Right after the start nothing may be certified yet.
    eventually("every check is good", || {
        checkup = operator.run(&[&DOCTOR[..], &["--json"]].concat()).json();
        checkup["verdict"] == "ok"
    });
    for name in
        ["ready", "redis", "journal", "triggers", "staleness", "round_trip", "classes", "hit_ratio", "clock"]
    {
        assert_eq!(the_check(&checkup, name)["verdict"], "ok", "{checkup:#}");
    }
    let shown = operator.run(&DOCTOR).expect(0);
    assert!(shown.stdout.starts_with(&operator.url) && shown.stdout.contains("ok    ready"), "{shown:?}");
    let by_url = Ran::of(&["doctor", "--url", &operator.url, "--key", &operator.key], &[]).expect(0);
    assert!(by_url.stdout.starts_with(&operator.url) && by_url.stdout.contains("ok    ready"), "{by_url:?}");
    let mending = ["doctor", "--mend", "--url", &operator.url, "--key", &operator.key];
    Ran::of(&mending, &[]).expect(2);
    operator.json(&DOCTOR, "doctor", 0);
}

fn a_class_that_is_off_is_a_warning_with_the_command_that_switches_it_on(app: &TestApp) {
    let operator = Operator::of(app);
    operator.run(&["switch", "user_list", "off"]).expect(0);
    let checkup = operator.json(&DOCTOR, "doctor", 0);
    assert_eq!(checkup["verdict"], "warn", "{checkup:#}");
    let check = the_check(&checkup, "classes");
    assert_eq!(check["advice"], "larder switch user_list on", "{check}");
    assert!(check["text"].as_str().unwrap().contains("user_list is off"), "{check}");
}

fn a_trigger_that_is_gone_fails(app: &TestApp) {
    let operator = Operator::of(app);
    let drop = match app.has_redis() {
        true => "ALTER TABLE users DISABLE TRIGGER larder_journal",
        false => "DROP TRIGGER larder_journal_users_updated",
    };
    app.stack.sql(drop);
    let mut checkup = Value::Null;
    // Which trigger it is, the instance knows once it has inspected them.
    eventually("the triggers fail by name", || {
        let ran = operator.run(&[&DOCTOR[..], &["--json"]].concat());
        checkup = ran.json();
        let names_it = |check: &&Value| check["text"].as_str().unwrap().contains("larder_journal");
        ran.code == 1
            && checks(&checkup, "triggers").iter().any(|check| check["verdict"] == "fail" && names_it(check))
    });
    let check = the_check(&checkup, "triggers");
    assert!(check["advice"].as_str().unwrap().contains("larder doctor --mend"), "{check}");
}

#[test]
fn a_redis_that_is_away_fails_with_the_causes_own_advice() {
    let redis = Redis::start().unwrap();
    let app = Stack::sqlite_memory().with_redis_at(redis.url()).start();
    let operator = Operator::of(&app);
    drop(redis);
    let mut checkup = Value::Null;
    eventually("Redis and staleness fail", || {
        let ran = operator.run(&[&DOCTOR[..], &["--json"]].concat());
        checkup = ran.json();
        let failed = |name| checks(&checkup, name).iter().any(|check| check["verdict"] == "fail");
        ran.code == 1 && failed("redis") && failed("staleness")
    });
    let redis = checks(&checkup, "redis")[0];
    assert!(redis["text"].as_str().unwrap().starts_with("Redis cannot be reached"), "{redis}");
    assert!(redis["advice"].as_str().unwrap().contains("check that it runs"), "{redis}");
    let shown = operator.run(&DOCTOR).expect(1);
    assert!(shown.stdout.contains("FAIL  redis") && shown.stderr.contains("checks failed"), "{shown:?}");
    let stats = operator.run(&["stats"]).expect(0).stdout;
    assert!(stats.contains("nothing is certified now") && stats.contains("does not answer"), "{stats}");
}

#[test]
fn an_instance_without_its_database_is_not_ready() {
    let database = format!("postgres://larder@127.0.0.1:{}/larder", free_port().unwrap());
    let settings = [("LARDER_LISTEN", "127.0.0.1:0"), ("DATABASE_URL", database.as_str())];
    let mut larder = Larder::start(&["serve"], &std::env::temp_dir(), &settings);
    let line = larder.line("Listening on http://");
    let url = format!("http://{}", line.split(',').next().unwrap());
    let ran = Ran::of(&["doctor", "--url", &url, "--json"], &[]).expect(1);
    let checkup = ran.json();
    assert_eq!(the_check(&checkup, "ready")["verdict"], "fail", "{checkup:#}");
}

#[test]
fn an_instance_that_cannot_be_asked_fails_in_the_form_of_every_checkup() {
    let schema = Ran::of(&["schema", "doctor"], &[]).expect(0).json();
    let url = format!("http://127.0.0.1:{}", free_port().unwrap());
    let away = Ran::of(&["doctor", "--url", &url, "--json"], &[]).expect(1).json();
    conforms(&schema, &away);
    assert_eq!(the_check(&away, "reachable")["verdict"], "fail");

    let app = Stack::sqlite_memory().start();
    let url = format!("http://{}", app.address);
    let keyless = Ran::of(&["doctor", "--url", &url, "--json"], &[]).expect(1).json();
    conforms(&schema, &keyless);
    assert_eq!(
        (the_check(&keyless, "ready")["verdict"].clone(), the_check(&keyless, "key")["verdict"].clone()),
        (json!("ok"), json!("fail"))
    );
    let text = the_check(&keyless, "key")["text"].as_str().unwrap().to_owned();
    assert!(text.contains("401"), "{text}");
}

#[test]
fn without_an_instance_the_doctor_still_examines_the_database() {
    let app = Stack::sqlite_memory().start();
    let database = app.stack.database_url();
    let environment = [("DATABASE_URL", database.as_str()), ("LARDER_URL", "http://127.0.0.1:1")];
    let ran = Ran::of(&["doctor"], &environment).expect(0);
    assert!(ran.stdout.contains("The journal is complete"), "{ran:?}");
    Ran::of(&["doctor", "--json"], &environment).expect(2);
    Ran::of(&["doctor", "--mend", "--instance"], &environment).expect(2);
}

on_both_databases!(
    a_healthy_instance_passes_every_check,
    a_class_that_is_off_is_a_warning_with_the_command_that_switches_it_on,
    a_trigger_that_is_gone_fails,
);
