//! What operators do to a program: secrets from files, logs into files, signals, closed pipes, misspelled names, wrong
//! files.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use larder_testbed::free_port;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::app::{ADMIN_EMAIL, ADMIN_PASSWORD, Stack};
use crate::support::client::{Client, send_raw};
use crate::support::eventually;
use crate::support::larder::Larder;

/// The binary with these settings only.
fn command(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.args(arguments).env_clear().envs(settings.iter().copied());
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

#[test]
fn a_secret_ends_before_the_line_that_it_came_with() {
    let stack = Stack::sqlite_memory()
        .with_setting("LARDER_SECRET_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
    let app = stack.with_setting("LARDER_ADMIN_PASSWORD", &format!("{ADMIN_PASSWORD}\r\n")).start();
    app.anonymous()
        .post("/api/v1/auth/login", &json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD }))
        .expect(200);
}

#[test]
fn a_key_for_metrics_reads_nothing_else_and_metrics_describe_the_process() {
    let app = Stack::sqlite_memory().start();
    let (admin, ann) = (app.admin(), app.user("ann"));
    let body = json!({ "name": "prometheus", "scopes": ["metrics"] });
    ann.post("/api/v1/users/me/api-keys", &body).expect(403);
    let key = admin.make_key(&body).expect(201).field("key");
    let scraper = app.anonymous().with_token(&key);
    scraper.get("/api/v1/users/me").refuses(403, "scope_missing");
    let scraped = scraper.get("/metrics").expect(200);
    let figure = |name: &str| -> f64 {
        let line = scraped.text().lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name}: {}", scraped.text())).parse().unwrap()
    };
    assert!(figure("process_resident_memory_bytes") > 1e6 && figure("process_virtual_memory_bytes") > 1e6);
    assert!(figure("process_open_fds") > 3.0 && figure("process_max_fds") >= figure("process_open_fds"));
    assert!(figure("process_threads") >= 1.0 && figure("process_cpu_seconds_total") >= 0.0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let age = now - figure("process_start_time_seconds");
    assert!((-2.0..600.0).contains(&age), "the process started {age} s ago");
}

#[test]
fn a_log_in_a_file_has_no_colours_and_is_json_if_that_is_set() {
    let app = Stack::sqlite_memory().with_setting("LARDER_LOG_FORMAT", "json").start();
    let answer = app.anonymous().get("/nowhere").expect(404);
    let id = answer.header("x-request-id").unwrap().to_owned();
    let log = app.larder.stderr();
    let complete = log.rsplit_once('\n').unwrap().0;
    let lines: Vec<Value> = complete
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let line = lines.iter().find(|line| line["span"]["request_id"] == id.as_str());
    let line = line.unwrap_or_else(|| panic!("no line of {id}: {log}"));
    assert!(
        line["timestamp"].is_string() && line["level"].is_string() && line["target"].is_string(),
        "{line}"
    );
    let text = app.instance_with("LARDER_LOG_FORMAT", "text");
    assert!(text.larder.stderr().contains("INFO") && !text.larder.stderr().contains('\u{1b}'));
    let refused = Larder::command(&["config"], &[("LARDER_LOG_FORMAT", "xml")]);
    assert!(!refused.is_success && refused.output.contains("must be text, or json"), "{}", refused.output);
}

#[test]
fn a_hangup_stops_the_service_unless_it_was_started_to_outlive_one() {
    let mut app = Stack::sqlite_memory().start();
    assert!(app.larder.stop(Signal::HUP).success(), "{}", app.larder.printed());
    assert!(app.larder.stdout().contains("Stopped."), "{}", app.larder.printed());

    // As `nohup` starts a program.
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port().unwrap());
    let url = format!("sqlite://{}", folder.path().join("larder.db").display());
    let script = format!("trap '' HUP; exec '{}' serve", env!("CARGO_BIN_EXE_larder"));
    let mut child = Command::new("/bin/sh")
        .args(["-c", &script])
        .env_clear()
        .envs([
            ("LARDER_LISTEN", listen.as_str()),
            ("DATABASE_URL", &url),
            ("LARDER_ADMIN_PASSWORD", ADMIN_PASSWORD),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let address: SocketAddr = listen.parse().unwrap();
    eventually("it listens", || TcpStream::connect(address).is_ok());
    let id = Pid::from_child(&child);
    kill_process(id, Signal::HUP).unwrap();
    assert_eq!(Client::anonymous(address).get("/livez").status, 200, "it goes on");
    kill_process(id, Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_closed_pipe_ends_no_service_and_a_full_disk_is_an_error() {
    for arguments in [["config"].as_slice(), &["--help"]] {
        let mut child = command(arguments, &[]).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        let printed = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success() && printed.is_empty(), "{arguments:?}: {} {printed}", ended.status);
    }
    if Path::new("/dev/full").exists() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ended = command(&["config"], &[]).stdout(full).output().unwrap();
        let printed = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(
            !ended.status.success() && printed.contains("standard output cannot be written"),
            "{printed}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port().unwrap());
    let url = format!("sqlite://{}", folder.path().join("larder.db").display());
    let settings = [("LARDER_LISTEN", listen.as_str()), ("DATABASE_URL", &url), ("RUST_LOG", "debug")];
    let mut child = command(&["serve"], &settings).stdout(Stdio::piped()).spawn().unwrap();
    // Both are closed at once, in practice before it prints its first line or logs one.
    drop((child.stdout.take(), child.stderr.take()));
    let address: SocketAddr = listen.parse().unwrap();
    eventually("it is ready", || {
        let wire = b"GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        TcpStream::connect(address).is_ok()
            && send_raw(address, wire).is_some_and(|answer| answer.status == 200)
    });
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_health_check_asks_the_instance_and_fails_if_it_is_not_well() {
    let mut app = Stack::sqlite_memory().with_setting("LARDER_BASE_PATH", "/larder").start();
    let port = app.address.port();
    // As in a container: the instance listens at every address.
    let listens = format!("0.0.0.0:{port}");
    let settings = [("LARDER_LISTEN", listens.as_str()), ("LARDER_BASE_PATH", "/larder")];
    for arguments in [["health"].as_slice(), &["health", "--ready"]] {
        let asked = Larder::command(arguments, &settings);
        assert!(asked.is_success && asked.output.contains(&format!("127.0.0.1:{port}")), "{}", asked.output);
    }
    a_mistake_in_the_settings_does_not_make_a_running_instance_ill(&listens);
    let named = format!("http://127.0.0.1:{port}/larder/");
    let asked = Larder::command(&["health", "--url", &named], &[("LARDER_LISTEN", "127.0.0.1:1")]);
    assert!(asked.is_success, "{}", asked.output);
    let asked = Larder::command(&["health", "--url", "https://a.example"], &[]);
    assert!(!asked.is_success && asked.output.contains("must begin with http://"), "{}", asked.output);
    assert!(app.larder.stop(Signal::TERM).success());
    let asked = Larder::command(&["health"], &settings);
    assert!(!asked.is_success && asked.output.contains("/larder/livez cannot be asked"), "{}", asked.output);

    // It waits for its database.
    let listen = format!("127.0.0.1:{}", free_port().unwrap());
    let absent = format!("postgres://larder@127.0.0.1:{}/larder", free_port().unwrap());
    let settings = [("LARDER_LISTEN", listen.as_str()), ("DATABASE_URL", &absent)];
    let mut waiting = Larder::start(&["serve"], &std::env::temp_dir(), &settings);
    waiting.line("Listening on http://");
    assert!(Larder::command(&["health"], &settings).is_success);
    let asked = Larder::command(&["health", "--ready"], &settings);
    let says = asked.output.contains("answers 503") && asked.output.contains("refused");
    assert!(!asked.is_success && says, "{}", asked.output);
}

/// The file of settings is being edited, and a secret is not readable for a shell beside the service.
fn a_mistake_in_the_settings_does_not_make_a_running_instance_ill(listen: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let address = format!("larder_listen = '{listen}'\nlarder_base_path = '/larder'\n");
    for mistake in [
        "user_lits_ttl = 60",
        "user_list_ttl = 0",
        "larder_secret_key_file = '/nowhere/key'",
        "database_url = 'mysql://u:zqx@h/d'",
    ] {
        std::fs::write(file.path(), format!("{mistake}\n{address}")).unwrap();
        let ended = Larder::command(&["config"], &[("LARDER_CONFIG", path)]);
        assert!(!ended.is_success, "{mistake} is no mistake: {}", ended.output);
        let asked = Larder::command(&["health"], &[("LARDER_CONFIG", path), ("LARDER_PORTT", "a")]);
        assert!(asked.is_success, "{mistake}: {}", asked.output);
        // The commands that ask an instance find it too: it refuses them for want of a key.
        let stats = Larder::command(&["stats"], &[("LARDER_CONFIG", path)]);
        assert!(stats.output.contains("401"), "{mistake}: {}", stats.output);
    }
}

#[test]
fn a_misspelled_name_ends_the_start_and_names_the_right_one() {
    for command in ["serve", "config", "migrate", "doctor"] {
        let ended = Larder::command(&[command], &[("LARDER_LISTN", "127.0.0.1:0")]);
        assert!(
            !ended.is_success && ended.output.contains("did you mean LARDER_LISTEN?"),
            "{}",
            ended.output
        );
        assert!(!ended.output.contains("127.0.0.1:0"), "the value may be a secret: {}", ended.output);
    }
    let of_kubernetes = [("LARDER_SERVICE_HOST", "10.0.0.1"), ("LARDER_PORT", "tcp://10.0.0.1:80")];
    assert!(Larder::command(&["config"], &of_kubernetes).is_success);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    let letter = "Dear reader, this is a letter, and no database. ".repeat(100);
    std::fs::write(&path, &letter).unwrap();
    let url = format!("sqlite://{}", path.display());
    let ended = Larder::command(&["serve"], &[("LARDER_LISTEN", "127.0.0.1:0"), ("DATABASE_URL", &url)]);
    let says = ended.output.contains("DATABASE_URL") && ended.output.contains("must name a SQLite database");
    assert!(!ended.is_success && says, "{}", ended.output);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), letter);
}
