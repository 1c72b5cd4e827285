//! The files of `deploy/`, as far as real servers can run them: Debian's Prometheus evaluates the alerts and the queries of
//! the board on the metrics of a real service, and a real Redis starts with the configuration of compose.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use larder_testbed::{Program, Prometheus, find, free_port};
use regex::Regex;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::app::{Stack, TestApp};
use crate::support::eventually;
use crate::support::larder::Larder;
use crate::support::repository::{blocks, file, shell, succeeds, text};

/// How many series an expression has.
fn series(prometheus: &Prometheus, expression: &str) -> usize {
    let answer: Value =
        serde_json::from_str(&prometheus.query(expression).unwrap_or_else(|error| panic!("{error:#}")))
            .unwrap();
    answer["data"]["result"].as_array().unwrap().len()
}

/// The alerts: the name, the expression and the annotations of each, as Prometheus has read them.
fn alerts(prometheus: &Prometheus) -> Vec<Value> {
    let rules: Value = serde_json::from_str(&prometheus.get("/api/v1/rules").unwrap()).unwrap();
    rules["data"]["groups"][0]["rules"].as_array().unwrap().clone()
}

fn expression(alert: &Value) -> &str {
    alert["query"].as_str().unwrap()
}

/// The expressions of the board, for all instances, with rates over a minute.
fn queries() -> Vec<String> {
    let board: Value = serde_json::from_str(&text("deploy/grafana/larder.json")).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let expressions = targets.map(|target| target["expr"].as_str().unwrap());
    expressions.map(|query| query.replace("$__rate_interval", "1m").replace("$instance", ".*")).collect()
}

/// The parts of an expression that select series.
fn selectors(expression: &str) -> Vec<String> {
    let selector = Regex::new(r"\b(?:(?:larder|process)_[a-z_]+|up)\b(?:\{[^}]*\})?").unwrap();
    selector.find_iter(expression).map(|found| found.as_str().to_owned()).collect()
}

/// A selector of answers with some status finds no series before there is such an answer. Without the condition it does, and
/// with a condition that each status fulfils, so neither the metric nor the label is misspelt.
fn without_status(selector: &str) -> String {
    Regex::new(r#"status(=|!=|=~|!~)"[^"]*""#).unwrap().replace_all(selector, r#"status!="""#).into_owned()
}

/// Uses everything that has metrics: reads of one and of several users, writes, logins, right and wrong.
fn load(app: &TestApp) {
    let ann = app.user("ann");
    for round in 0..20 {
        ann.patch(&ann.path(), &json!({ "bio": format!("round {round}") })).expect(200);
        ann.get(&ann.path()).expect(200);
        ann.get("/api/v1/users").expect(200);
    }
    let wrong = json!({ "username": "ann", "password": "not the password" });
    app.anonymous().post("/api/v1/auth/login", &wrong).expect(401);
}

#[test]
fn the_rules_are_valid_and_pass_their_unit_tests() {
    let rules = file("deploy/prometheus/alerts.yaml");
    let printed =
        succeeds(Command::new(find(Program::Promtool).unwrap()).args(["check", "rules"]).arg(&rules));
    assert!(printed.contains("21 rules found"), "{printed}");
    let tests = file("deploy/prometheus/alerts.test.yaml");
    succeeds(Command::new(find(Program::Promtool).unwrap()).args(["test", "rules"]).arg(&tests));
    // Each rule has a unit test, with a time at which it is quiet.
    let (rules, tests) = (text("deploy/prometheus/alerts.yaml"), text("deploy/prometheus/alerts.test.yaml"));
    let name = Regex::new(r"- alert: (\w+)").unwrap();
    for alert in name.captures_iter(&rules) {
        let times = tests.matches(&format!("alertname: {}", &alert[1])).count();
        assert_eq!(times, 2, "{}", &alert[1]);
    }
}

#[test]
fn every_query_of_the_board_and_of_the_alerts_finds_series() {
    // Without a way to send mails there are no metrics of mails. No mail is sent here.
    let webhook = format!("http://127.0.0.1:{}/", free_port().unwrap());
    let app = Stack::postgres_redis()
        .with_setting("LARDER_MAIL_WEBHOOK_URL", &webhook)
        .with_setting("LARDER_MAIL_WEBHOOK_SECRET", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
        .with_setting("LARDER_AUDITOR_RATE", "1")
        .start();
    let admin = app.admin();
    let key =
        admin.make_key(&json!({ "name": "prometheus", "scopes": ["metrics"] })).expect(201).field("key");
    let rules = file("deploy/prometheus/alerts.yaml");
    let prometheus = Prometheus::start(&[app.address], &key, &rules).unwrap();
    load(&app);

    let (alerts, queries) = (alerts(&prometheus), queries());
    assert!(alerts.len() == 21 && queries.len() > 40, "{} {}", alerts.len(), queries.len());
    for query in &queries {
        // A rate has a value after the second scrape that has its counter.
        eventually(query, || series(&prometheus, query) > 0);
    }
    let every = queries.iter().map(String::as_str).chain(alerts.iter().map(expression));
    let selected: BTreeSet<String> = every.flat_map(selectors).collect();
    assert!(selected.len() > 50, "{selected:?}");
    for selector in &selected {
        let selector = without_status(selector);
        assert!(series(&prometheus, &selector) > 0, "{selector} selects nothing");
    }
    assert_eq!(series(&prometheus, "larder_cache_hitz_total"), 0, "a misspelt name is found out");

    // A service that is well fires nothing, and each rule was evaluated without an error.
    for alert in &alerts {
        assert_eq!(series(&prometheus, expression(alert)), 0, "{alert}");
    }
    eventually("every rule is evaluated", || {
        self::alerts(&prometheus).iter().all(|rule| rule["health"] == "ok")
    });
    redis_that_hangs_fires(&app, &prometheus, &alerts);
}

/// Redis hangs: these alerts' conditions hold, and no others, until it is back.
fn redis_that_hangs_fires(app: &TestApp, prometheus: &Prometheus, alerts: &[Value]) {
    let fires = |name: &str| {
        let alert = alerts.iter().find(|alert| alert["name"] == name).unwrap();
        series(prometheus, expression(alert)) > 0
    };
    let ann = app.again("ann");
    app.stack.redis().pause().unwrap();
    ann.patch(&ann.path(), &json!({ "bio": "while Redis hangs" })).expect(200);
    eventually("the alerts of a Redis that hangs", || {
        fires("LarderRedisUnusable") && fires("LarderInvalidationsUnsent")
    });
    for quiet in ["LarderDown", "LarderJournalIncomplete", "LarderJournalSilent", "LarderUnavailable"] {
        assert!(!fires(quiet), "{quiet}");
    }
    app.stack.redis().resume().unwrap();
    eventually("the alerts end", || !fires("LarderRedisUnusable") && !fires("LarderInvalidationsUnsent"));
}

#[test]
fn every_alert_has_its_part_of_the_runbook() {
    let rules = text("deploy/prometheus/alerts.yaml");
    let alert = Regex::new(r"(?s)- alert: (\w+)\n.*?runbook_url: docs/runbook\.md#(\w+)\n").unwrap();
    let linked: BTreeSet<String> = alert
        .captures_iter(&rules)
        .map(|found| {
            assert_eq!(found[1].to_lowercase(), found[2], "the link of {}", &found[1]);
            found[1].to_owned()
        })
        .collect();
    let page = text("docs/runbook.md");
    let described: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### Larder"))
        .map(|rest| format!("Larder{rest}"))
        .collect();
    assert_eq!(linked, described);
}

#[test]
fn every_setting_that_the_files_name_exists() {
    let settings = text("docs/settings.md");
    // In upper case as a variable, in lower case as a name of a file of settings.
    let name =
        Regex::new(r"\b(?:LARDER|DATABASE)_[A-Z_]+\b|\b(?:larder|database|redis)_[a-z_]+(?: =)").unwrap();
    // What Kubernetes sets for a Service named `larder`; a comment names it.
    let of_kubernetes = "LARDER_PORT";
    let mut found = 0;
    for path in [
        "Dockerfile",
        "compose.yaml",
        "kubernetes.yaml",
        "kubernetes-job.yaml",
        "larder.service",
        "compose-secrets.sh",
    ] {
        let text = text(&format!("deploy/{path}"));
        for name in name.find_iter(&text).map(|found| found.as_str()).filter(|name| *name != of_kubernetes) {
            let name = name.trim_end_matches(" =").to_uppercase();
            let is_setting = settings.contains(&format!("`{name}`")) || name == "LARDER_CONFIG";
            assert!(is_setting, "{path} names {name}");
            found += 1;
        }
    }
    assert!(found > 10, "{found}");
}

/// A server that ends with this value. `timeout` ends it if the test is killed.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // `timeout` hands SIGTERM on; an error means that it has ended.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// Compose's Redis with its configuration and secrets, on a port of this test.
struct ComposeRedis {
    // Ends before its folder is removed: Redis does not end while it cannot save.
    _running: Running,
    port: u16,
    folder: TempDir,
}

impl ComposeRedis {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secrets = folder.path().join("secrets");
        let draw = || {
            let mut command = Command::new("sh");
            command.arg(file("deploy/compose-secrets.sh")).arg(&secrets);
            command
        };
        succeeds(&mut draw());
        let again = draw().output().unwrap();
        assert!(!again.status.success(), "it replaces no secret that is in use");
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let port = free_port().unwrap();
        let config = text("deploy/redis.conf")
            .replace("/run/secrets", &secrets.display().to_string())
            .replace("tls-port 6379", &format!("bind 127.0.0.1\ntls-port {port}"))
            .replace("dir /data", &format!("dir {}", data.display()));
        let path = folder.path().join("redis.conf");
        fs::write(&path, config).unwrap();
        let mut server = Command::new("timeout");
        server.arg("100").arg(find(Program::RedisServer).unwrap()).arg(&path).stdout(Stdio::null());
        Self { _running: Running(server.spawn().unwrap()), port, folder }
    }

    fn secret(&self, name: &str) -> String {
        self.folder.path().join("secrets").join(name).to_str().unwrap().to_owned()
    }

    fn ask(&self, arguments: &[&str], password: &str) -> String {
        let mut command = Command::new(find(Program::RedisServer).unwrap().with_file_name("redis-cli"));
        command.args(["-h", "localhost", "-p", &self.port.to_string(), "--tls", "--cacert"]);
        command.arg(self.secret("ca.pem")).args(arguments).env("REDISCLI_AUTH", password);
        String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
    }

    /// The service, with compose's own names and a database of this test. `runbook.rs` uses that of compose.
    fn serve(&self) -> Larder {
        let toml = fs::read_to_string(self.secret("larder.toml")).unwrap();
        let toml = toml.lines().filter(|line| !line.starts_with("database_"));
        let toml: String = toml.map(|line| format!("{line}\n")).collect();
        let config = self.folder.path().join("larder.toml").to_str().unwrap().to_owned();
        fs::write(&config, toml).unwrap();
        fs::set_permissions(&config, Permissions::from_mode(0o600)).unwrap();
        let port = self.port.to_string();
        let [ca, password] = ["ca.pem", "redis-password"].map(|name| self.secret(name));
        let settings = [
            ("LARDER_CONFIG", &*config),
            ("LARDER_LISTEN", "127.0.0.1:0"),
            ("DATABASE_URL", "sqlite://larder.db"),
            ("REDIS_HOST", "localhost"),
            ("REDIS_PORT", &port),
            ("REDIS_TLS", "true"),
            ("REDIS_CA_FILE", &ca),
            ("REDIS_PASSWORD_FILE", &password),
        ];
        Larder::start(&["serve"], self.folder.path(), &settings)
    }
}

#[test]
fn the_secrets_of_compose_fit_its_redis_and_the_service() {
    let redis = ComposeRedis::start();
    let password = redis.secret("redis-password");
    let old = fs::read_to_string(&password).unwrap();
    eventually("Redis answers over TLS", || redis.ask(&["PING"], &old).contains("PONG"));
    assert!(redis.ask(&["PING"], "another").contains("NOAUTH"), "the password counts");
    assert!(redis.ask(&["CONFIG", "GET", "appendonly"], &old).contains("yes"));
    assert!(redis.ask(&["CONFIG", "GET", "port"], &old).ends_with("0\n"), "no port without TLS");

    let shown = Larder::command(&["config"], &[("LARDER_CONFIG", &redis.secret("larder.toml"))]);
    let has_database = shown.output.contains("postgres://…@postgres:5432/larder");
    assert!(shown.is_success && has_database, "{}", shown.output);
    assert!(!shown.output.contains("others can read"), "{}", shown.output);
    let service = redis.serve();
    eventually("the service uses Redis", || service.stderr().contains("Redis tier usable"));

    // Its password is replaced by the steps of the runbook.
    let (folder, new) = (redis.folder.path(), "the new password");
    fs::write(folder.join("old"), &old).unwrap();
    fs::write(folder.join("new"), new).unwrap();
    fs::copy(redis.secret("ca.pem"), folder.join("ca.pem")).unwrap();
    let steps = blocks("docs/runbook.md", "### The password of Redis");
    assert_eq!(steps.len(), 2, "{steps:?}");
    let step = |number: usize| {
        let here = steps[number].replace("redis.internal", &format!("localhost -p {}", redis.port));
        assert_eq!(succeeds(&mut shell(&here, folder)).trim(), "OK", "{here}");
    };
    let answers = |password: &str| redis.ask(&["PING"], password).contains("PONG");
    step(0);
    assert_eq!([answers(&old), answers(new)], [true; 2]);
    fs::set_permissions(&password, Permissions::from_mode(0o600)).unwrap();
    fs::write(&password, new).unwrap();
    step(1);
    assert_eq!([answers(&old), answers(new)], [false, true]);
    redis.ask(&["CLIENT", "KILL", "TYPE", "normal"], new);
    let is_back = || service.stderr().contains("the cache is no longer degraded troubles=\"away\"");
    eventually("the service has read the new password and is connected again", is_back);
}
