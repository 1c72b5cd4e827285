//! SIGHUP: a service that runs reads the file of its settings again.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::app::{Stack, TestApp};
use crate::support::client::Client;
use crate::support::eventually;

/// A service with a file of settings, which the test changes.
struct Service {
    app: TestApp,
    admin: Client,
    file: PathBuf,
    _folder: TempDir,
}

impl Service {
    fn start(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("larder.toml");
        fs::write(&file, toml).unwrap();
        let stack = Stack::sqlite_redis().with_setting("LARDER_CONFIG", file.to_str().unwrap());
        let app = stack.start();
        let admin = app.admin();
        Self { app, admin, file, _folder: folder }
    }

    /// Writes the file, sends SIGHUP, and waits until the log has a new line with `says`. Returns what the log got
    /// meanwhile.
    fn reload(&self, toml: &str, says: &str) -> String {
        let before = self.app.larder.stderr().len();
        // An editor replaces a file in one step, and so does a deployment.
        let next = self.file.with_extension("next");
        fs::write(&next, toml).unwrap();
        fs::rename(&next, &self.file).unwrap();
        self.app.larder.signal(Signal::HUP);
        eventually(says, || self.app.larder.stderr()[before..].contains(says));
        self.app.larder.stderr()[before..].to_owned()
    }

    fn is_on(&self, class: &str) -> bool {
        let classes = self.admin.get("/api/v1/cache/classes").expect(200).json();
        let named = |one: &&Value| one["name"] == class;
        let listed = classes.as_array().or_else(|| classes["classes"].as_array()).unwrap();
        listed.iter().find(named).unwrap()["enabled"] == true
    }

    /// How long Redis keeps the entry of a user that was loaded just now, in milliseconds.
    fn life_ms(&self, user: &Client) -> i64 {
        user.patch(&user.path(), &serde_json::json!({ "bio": "written again" })).expect(200);
        let mut life = -1;
        eventually("Redis has the user's entry", || {
            user.get(&user.path()).expect(200);
            let redis = self.app.stack.redis();
            let keys = redis.command(&["KEYS", &format!("*:user_details:*{}", user.id)]).unwrap();
            let Some(key) = keys.lines().next() else { return false };
            // A lease lives for 3 s, and an entry for at least its TTL less a tenth.
            let stored = redis.command(&["GETRANGE", key, "0", "0"]).unwrap();
            life = redis.command(&["PTTL", key]).unwrap().trim().parse().unwrap();
            !stored.starts_with('L') && life > 0
        });
        life
    }
}

const READ: &str = "the settings have been read again";

#[test]
fn ttls_switches_and_levels_change_while_the_service_runs() {
    let service = Service::start("user_details_ttl = 1800\n");
    let ann = service.app.user("ann");
    assert!(service.life_ms(&ann) > 1_600_000);
    assert!(service.is_on("profile"));

    let log = service.reload("user_details_ttl = 60\nlarder_classes_off = ['profile']\n", READ);
    assert!(log.contains("class user_details: ttl 60 s, was 1800 s"), "{log}");
    assert!(log.contains("class profile: off"), "{log}");
    assert!(!service.is_on("profile"));
    let life = service.life_ms(&ann);
    assert!((1..=60_000).contains(&life), "{life}");

    // A class that an administrator switches stays as it is until its setting changes.
    let on = serde_json::json!({ "enabled": true });
    service.admin.put("/api/v1/cache/classes/profile", &on).expect(204);
    let log = service.reload("user_details_ttl = 61\nlarder_classes_off = ['profile']\n", READ);
    assert!(
        log.contains("class user_details: ttl 61 s, was 60 s") && !log.contains("class profile:"),
        "{log}"
    );
    assert!(service.is_on("profile"));

    // Without the lines, the defaults are back.
    let log = service.reload("larder_log_levels = 'warn,larder_server=info'\n", READ);
    assert!(log.contains("class user_details: ttl 180 s, was 61 s"), "{log}");
    let log = service.reload("larder_log_levels = 'warn,larder_server=debug'\n", READ);
    assert!(log.contains("the levels of the log change"), "{log}");
    assert_eq!(service.app.anonymous().get("/livez").status, 200);
}

#[test]
fn what_needs_a_restart_is_named_and_a_bad_file_changes_nothing() {
    let service = Service::start("user_details_ttl = 1800\nlarder_namespace = 'mine'\n");
    let toml = "user_details_ttl = 1700\nlarder_namespace = 'yours'\nlarder_secret_key = 'zqxAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='\n";
    let log = service.reload(toml, READ);
    for setting in ["LARDER_NAMESPACE", "LARDER_SECRET_KEY"] {
        let line =
            log.lines().find(|line| line.contains(setting)).unwrap_or_else(|| panic!("{setting}: {log}"));
        assert!(line.contains("needs a restart"), "{line}");
    }
    assert!(log.contains("class user_details: ttl 1700 s, was 1800 s") && !log.contains("zqx"), "{log}");

    const REFUSED: &str = "nothing has changed";
    for (toml, says) in [
        ("\nuser_details_ttl = 0\n", "USER_DETAILS_TTL=\"0\": must be an integer from 1"),
        ("\nuser_lits_ttl = 7\n", "\"user_lits_ttl\" is no setting; allowed are"),
        ("\nuser_details_ttl = zqx'\n", "is not TOML"),
        ("\nlarder_log_levels = 'inof'\n", "LARDER_LOG_LEVELS=\"inof\": must be off, error"),
    ] {
        let log = service.reload(toml, REFUSED);
        assert!(log.contains(says) && log.contains("line 2 of the file"), "{toml}: {log}");
        assert!(!log.contains("zqx") && !log.contains(READ), "{log}");
    }
    fs::remove_file(&service.file).unwrap();
    let before = service.app.larder.stderr().len();
    service.app.larder.signal(Signal::HUP);
    eventually("the missing file is named", || {
        let log = service.app.larder.stderr();
        log[before..].contains("cannot be read") && log[before..].contains(REFUSED)
    });
    let log = service.reload("user_details_ttl = 1600\nlarder_namespace = 'mine'\n", READ);
    assert!(log.contains("class user_details: ttl 1600 s, was 1700 s"), "nothing was taken over: {log}");
    assert!(!log.contains("needs a restart"), "{log}");
    assert!(Path::new(&service.file).exists());
}
