//! Starting and stopping: the first superadmin, invalid settings, signals, two instances that start at once.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use larder_testbed::Sqlite;
use rustix::process::Signal;
use serde_json::json;

use crate::support::app::{ADMIN_EMAIL, ADMIN_PASSWORD, Stack, TestApp};
use crate::support::client::Client;
use crate::support::larder::Larder;

const SECRET: &str = "zqxhunter2";

fn serve(folder: &Path, settings: &[(&str, &str)]) -> Larder {
    let listen = [("LARDER_LISTEN", "127.0.0.1:0")];
    Larder::start(&["serve"], folder, &[&listen, settings].concat())
}

fn address(larder: &mut Larder) -> SocketAddr {
    larder.line("Listening on http://").parse().unwrap()
}

#[test]
fn a_generated_password_is_printed_once_and_works() {
    let sqlite = Sqlite::fresh().unwrap();
    let folder = std::env::temp_dir();
    let settings = [("DATABASE_URL", sqlite.url()), ("LARDER_ADMIN_EMAIL", "boss@example.com".into())];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut first = serve(&folder, &settings);
    let line = first.line("First superadmin: ");
    let (email, password) = line.split_once(" with password ").unwrap();
    assert_eq!(email, "boss@example.com");
    assert!(password.len() >= 20, "too short to resist guessing");
    let login = |address| {
        let body = json!({ "email": email, "password": password });
        let granted = Client::anonymous(address).post("/api/v1/auth/login", &body).expect(200);
        let token = granted.field("access_token");
        Client::anonymous(address).with_token(&token).get("/api/v1/auth/validate").expect(200).field("role")
    };
    assert_eq!(login(address(&mut first)), "superadmin");
    assert!(first.stop(Signal::TERM).success());
    assert_eq!(first.printed().matches(password).count(), 1);

    let mut second = serve(&folder, &settings);
    assert_eq!(login(address(&mut second)), "superadmin");
    assert!(second.stop(Signal::TERM).success());
    assert!(!second.printed().contains(password) && !second.stdout().contains("superadmin"));
}

#[test]
fn a_chosen_password_is_not_printed_and_later_ones_change_nothing() {
    let app = Stack::sqlite_memory().start();
    assert!(app.larder.stdout().contains(&format!("First superadmin: {ADMIN_EMAIL}\n")));
    assert!(!app.larder.printed().contains(ADMIN_PASSWORD));
    let url = app.stack.database_url();
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("LARDER_ADMIN_EMAIL", "other@example.com"),
        ("LARDER_ADMIN_PASSWORD", "another password"),
    ];
    let mut second = serve(&std::env::temp_dir(), &settings);
    let anonymous = Client::anonymous(address(&mut second));
    assert!(!second.stdout().contains("superadmin"));
    let login = |email: &str, password: &str| {
        anonymous.post("/api/v1/auth/login", &json!({ "email": email, "password": password })).status
    };
    assert_eq!(login("other@example.com", "another password"), 401);
    assert_eq!(login(ADMIN_EMAIL, ADMIN_PASSWORD), 200);
}

#[test]
fn a_setting_that_cannot_be_used_is_named_without_its_secret() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let with_secret = |url: &str| url.replace("SECRET", SECRET);
    for (name, value) in [
        ("LARDER_LISTEN", "localhost"),
        ("LARDER_LISTEN", "127.0.0.1"),
        ("LARDER_LISTEN", "127.0.0.1:99999"),
        ("LARDER_LISTEN", "192.0.2.1:1"),
        ("LARDER_ADMIN_EMAIL", "boss"),
        ("LARDER_ADMIN_PASSWORD", "zqxhunt"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "mysql://root:SECRET@127.0.0.1/larder"),
        ("DATABASE_URL", "sqlite::memory:"),
        ("DATABASE_URL", "sqlite://file/below/a/file.db"),
        ("DATABASE_URL", "postgres://larder:SECRET@127.0.0.1:port/larder"),
        ("DATABASE_URL", "postgres:larder:SECRET"),
        ("REDIS_URL", "rediss://:SECRET@127.0.0.1:1/0#insecure"),
        ("REDIS_URL", "redis://:SECRET@127.0.0.1:port/0"),
        ("REDIS_URL", "redis://:SECRET@127.0.0.1:1/zero"),
        ("REDIS_URL", "http://:SECRET@127.0.0.1:1"),
        ("REDIS_URL", "nonsense SECRET"),
    ] {
        let value = with_secret(value);
        let mut larder = serve(folder.path(), &[("DATABASE_URL", "sqlite://good.db"), (name, &value)]);
        let status = larder.wait();
        let said = larder.printed();
        assert_eq!(status.code(), Some(1), "{name}={value}: {said}");
        assert!(larder.stderr().contains(name), "{name}={value}: {said}");
        assert!(!said.contains(SECRET) && !said.contains("zqxhunt"), "{name}={value}: {said}");
        let reason =
            larder.stderr().lines().find_map(|line| line.strip_prefix("larder: ")).unwrap().to_owned();
        let mut parts: Vec<_> = reason.split(": ").collect();
        parts.sort_unstable();
        assert!(parts.is_sorted_by(|one, next| one < next), "something is said twice: {reason}");
        assert!(!said.contains("panicked") && !said.contains("Listening"), "{name}={value}: {said}");
    }
}

#[test]
fn without_any_setting_the_folder_for_the_database_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let mut larder = serve(folder.path(), &[]);
    let anonymous = Client::anonymous(address(&mut larder));
    assert_eq!(anonymous.get("/readyz").expect(200).json()["cache"], "memory-only");
    assert!(folder.path().join("data/larder.db").is_file());
    assert!(larder.line("First superadmin: ").starts_with("admin@localhost with password "));
}

#[test]
fn a_signal_ends_the_service_while_a_connection_is_kept_alive() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut app = Stack::sqlite_memory().start();
        let mut idle = TcpStream::connect(app.address).unwrap();
        idle.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut some = [0; 64];
        assert!(idle.read(&mut some).unwrap() > 0, "the connection is in use, and stays open");
        let _unused = TcpStream::connect(app.address).unwrap();
        let start = Instant::now();
        let status = app.larder.stop(signal);
        assert_eq!(status.code(), Some(0), "{}", app.larder.printed());
        assert!(start.elapsed() < Duration::from_secs(9), "it waited for {:?}", start.elapsed());
        assert!(app.larder.stdout().ends_with("Stopped.\n"), "{}", app.larder.stdout());
    }
}

#[test]
fn a_taken_port_is_reported_and_loses_no_password() {
    let app = Stack::sqlite_memory().start();
    let listen = app.address.to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut second = serve(folder.path(), &[("LARDER_LISTEN", &listen)]);
    assert_eq!(second.wait().code(), Some(1));
    assert!(second.stderr().contains("LARDER_LISTEN"), "{}", second.stderr());
    // The failed start must not have created the superadmin; so the first start that succeeds prints the password.
    let mut third = serve(folder.path(), &[]);
    assert!(third.line("First superadmin: ").contains(" with password "));
}

/// Two instances start at the same moment on one empty database.
mod two_at_once_share_one_superadmin_and_one_key {
    use super::*;

    fn check(stack: Stack) {
        let apps = TestApp::start_two(stack);
        let announced = apps.iter().filter(|app| app.larder.stdout().contains("First superadmin: ")).count();
        assert_eq!(announced, 1);
        assert_eq!(apps[0].stack.sql("SELECT COUNT(*) FROM users"), "1");
        assert_eq!(apps[0].stack.sql("SELECT COUNT(*) FROM signing_keys"), "1");
        let admins = [apps[0].admin(), apps[1].admin()];
        for app in &apps {
            for admin in &admins {
                assert_eq!(app.here(admin).validate(), 200);
            }
        }
    }

    #[test]
    fn sqlite_memory() {
        check(Stack::sqlite_memory());
    }

    #[test]
    fn sqlite_redis() {
        check(Stack::sqlite_redis());
    }

    #[test]
    fn postgres_memory() {
        check(Stack::postgres_memory());
    }

    #[test]
    fn postgres_redis() {
        check(Stack::postgres_redis());
    }
}
