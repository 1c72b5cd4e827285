//! The steps of the runbook, as the page has them, on a PostgreSQL that asks for passwords: each block of a section is run,
//! with the address of this test's server in place of the page's.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use larder_testbed::Postgres;
use regex::Regex;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::support::app::{ADMIN_PASSWORD, PASSWORD, Stack};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::larder::{Ended, Larder};
use crate::support::repository::{blocks, file, shell, succeeds, text};

/// The PostgreSQL of compose: its secrets, its roles, and a server that asks all but its superuser for a password.
struct Compose {
    server: Postgres,
    folder: TempDir,
}

impl Compose {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The server runs as another user.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let access = folder.path().join("pg_hba.conf");
        let lines = "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(&access, lines).unwrap();
        let server = Postgres::start_with(&[format!("hba_file={}", access.display()).as_str()]).unwrap();
        let compose = Self { server, folder };
        let (secrets, port) = (compose.path("secrets"), compose.server.port());
        succeeds(Command::new("sh").arg(file("deploy/compose-secrets.sh")).arg(&secrets));
        let services = blocks("docs/runbook.md", "## Commands").remove(0);
        let here = format!("host=127.0.0.1\nport={port}");
        fs::write(compose.path("services"), services.replace("host=db.internal", &here)).unwrap();
        let password = compose.secret("postgres-owner-password");
        compose.write_private("passwords", &format!("*:*:*:larder_owner:{password}\n"));
        compose.sh("createdb --maintenance-db=service=larder_admin larder");
        let roles = text("deploy/compose-roles.sql").replace("/run/secrets", &secrets);
        fs::write(compose.path("roles.sql"), roles).unwrap();
        compose.sh("psql --dbname='service=larder_admin dbname=larder' --file=roles.sql");
        let toml = compose.secret("larder.toml");
        compose.write_private("larder.toml", &toml.replace("@postgres:5432", &format!("@127.0.0.1:{port}")));
        compose
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn secret(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join("secrets").join(name)).unwrap()
    }

    fn write_private(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
    }

    fn command(&self, script: &str) -> Command {
        let mut command = shell(script, self.folder.path());
        command.env("PGSERVICEFILE", self.path("services")).env("PGPASSFILE", self.path("passwords"));
        command
    }

    fn sh(&self, script: &str) -> String {
        succeeds(&mut self.command(script))
    }

    /// Asks a database as its superuser; one value.
    fn ask(&self, database: &str, query: &str) -> String {
        let script = format!(
            "psql --dbname='service=larder_admin dbname={database}' --tuples-only --no-align --command=\"{query}\""
        );
        self.sh(&script).trim().to_owned()
    }

    fn larder(&self, arguments: &[&str]) -> Ended {
        Larder::command(arguments, &[("LARDER_CONFIG", &self.path("larder.toml"))])
    }

    /// An instance with this file of settings.
    fn serve(&self, toml: &str) -> (Larder, SocketAddr) {
        let settings = [("LARDER_CONFIG", self.path(toml)), ("LARDER_LISTEN", "127.0.0.1:0".to_owned())];
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        let mut larder = Larder::start(&["serve"], self.folder.path(), &settings);
        let address = larder.line("Listening on http://").parse().unwrap();
        (larder, address)
    }
}

fn register(address: SocketAddr, name: &str) -> u16 {
    let body = json!({ "email": format!("{name}@example.com"), "username": name, "password": PASSWORD });
    Client::anonymous(address).post("/api/v1/auth/register", &body).status
}

#[test]
fn the_password_of_composes_database_is_replaced_while_it_is_used() {
    let compose = Compose::start();
    let (_first, first) = compose.serve("larder.toml");
    assert_eq!(register(first, "ann"), 201);
    // The owner has migrated, and the service is neither the owner nor a superuser.
    assert_eq!(
        compose.ask("larder", "SELECT tableowner FROM pg_tables WHERE tablename = 'users'"),
        "larder_owner"
    );
    let clients = "SELECT string_agg(DISTINCT usename, ',') FROM pg_stat_activity WHERE datname = 'larder' AND usename <> 'postgres'";
    eventually("the service alone is connected", || compose.ask("postgres", clients) == "larder_service");
    assert_eq!(
        compose.ask("larder", "SELECT count(*) FROM pg_roles WHERE rolsuper AND rolname LIKE 'larder%'"),
        "0"
    );
    let doctor = compose.larder(&["doctor"]);
    assert!(doctor.is_success && doctor.output.contains("The journal is complete"), "{}", doctor.output);

    let steps = blocks("docs/runbook.md", "### The database's password");
    assert_eq!(steps.len(), 2, "{steps:?}");
    let new = "the-new-password-which-no-argument-has";
    let in_psql = |lines: &str, input: &str| {
        let commands: Vec<_> =
            lines.lines().map(|line| format!("--command='{}'", line.replace('\'', r"'\''"))).collect();
        let script =
            format!("psql --dbname=service=larder_admin --set=ON_ERROR_STOP=1 {}", commands.join(" "));
        fs::write(compose.path("input"), input).unwrap();
        let mut command = compose.command(&script);
        succeeds(command.stdin(fs::File::open(compose.path("input")).unwrap()))
    };
    in_psql(&steps[0], &format!("{new}\n{new}\n"));
    let toml = fs::read_to_string(compose.path("larder.toml")).unwrap();
    let old = compose.secret("postgres-service-password");
    let toml = toml.replace(&format!("larder_service:{old}@"), &format!("larder_service_b:{new}@"));
    compose.write_private("larder_b.toml", &toml);
    let (_second, second) = compose.serve("larder_b.toml");
    assert_eq!([register(second, "bea"), register(first, "cyd")], [201; 2], "both roles may connect");

    in_psql(&steps[1], "");
    assert_eq!(register(second, "dan"), 201);
    let ready = |address| Client::anonymous(address).get("/readyz").status;
    eventually("the former role has no connection any more", || ready(first) == 503);
    assert_eq!((ready(second), register(second, "eve")), (200, 201));
    assert_eq!(
        compose.ask(
            "larder",
            "SELECT count(*) FROM users WHERE username IN ('ann', 'bea', 'cyd', 'dan', 'eve')"
        ),
        "5"
    );
}

/// The version of the schema at which the dump is made: a later migration adds a table that references one of then.
const DUMPED: i64 = 16;

impl Compose {
    /// Makes the schema of an earlier release.
    fn migrate_to(&self, version: i64) {
        self.sh("createdb --maintenance-db=service=larder_admin --owner=larder_owner present");
        let owner = format!(
            "postgres://larder_owner:{}@127.0.0.1:{}/present",
            self.secret("postgres-owner-password"),
            self.server.port()
        );
        assert!(Larder::command(&["migrate"], &[("DATABASE_URL", &owner)]).is_success);
        // A migration asks for the table of migrations, and makes its triggers.
        self.sh("pg_dump --table=_sqlx_migrations --section=pre-data --section=data --file=recorded.sql 'service=larder_owner dbname=present'
             psql --dbname=service=larder_owner --set=ON_ERROR_STOP=1 --file=recorded.sql");
        let mut files: Vec<_> = fs::read_dir(file("crates/larder-server/migrations/postgres"))
            .unwrap()
            .map(|one| one.unwrap().path())
            .collect();
        files.sort();
        let is_of_then = |path: &&PathBuf| {
            path.file_name().unwrap().to_str().unwrap()[..4].parse::<i64>().unwrap() <= version
        };
        for path in files.iter().filter(is_of_then) {
            self.sh(&format!(
                "psql --dbname=service=larder_owner --set=ON_ERROR_STOP=1 --single-transaction --file={}",
                path.display()
            ));
        }
        self.sh(&format!(
            "psql --dbname=service=larder_owner --command='DELETE FROM _sqlx_migrations WHERE version > {version}'"
        ));
    }
}

#[test]
fn a_dump_of_an_earlier_release_is_restored_after_a_migration() {
    let compose = Compose::start();
    compose.migrate_to(DUMPED);
    let backup = blocks("docs/runbook.md", "## Backup");
    compose.sh(&backup[0]);

    let migrated = compose.larder(&["migrate"]);
    assert!(migrated.is_success && migrated.output.contains("Migrated: applied 17, "), "{}", migrated.output);
    let (mut larder, address) = compose.serve("larder.toml");
    assert_eq!(register(address, "ann"), 201);
    assert!(larder.stop(Signal::TERM).success());
    // Why the page does not restore over the old database.
    let over = "pg_restore --clean --if-exists --single-transaction --exit-on-error --dbname=service=larder_owner larder.dump";
    let refused = compose.command(over).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("other objects depend on it"), "{said}");

    let restore = blocks("docs/runbook.md", "## Restore");
    compose.sh(&restore[0]);
    assert_eq!(compose.ask("larder", "SELECT MAX(version) FROM _sqlx_migrations"), DUMPED.to_string());
    for (arguments, says) in [
        (["migrate"].as_slice(), "Migrated: applied 17, "),
        (&["doctor"], "The journal is complete"),
        (&["keys", "rotate", "--now"], "Every token has ended"),
    ] {
        let ended = compose.larder(arguments);
        assert!(ended.is_success && ended.output.contains(says), "{arguments:?}: {}", ended.output);
    }
    let (_larder, address) = compose.serve("larder.toml");
    assert_eq!(compose.ask("larder", "SELECT count(*) FROM users WHERE username = 'ann'"), "0");
    assert_eq!(compose.ask("larder_before", "SELECT count(*) FROM users WHERE username = 'ann'"), "1");
    assert_eq!(register(address, "ann"), 201, "the rights of the service's role are in the dump");
}

/// While the service is stopped, there are no copies of its secrets.
#[test]
fn a_command_beside_the_unit_of_systemd_needs_no_running_service() {
    let folder = tempfile::tempdir().unwrap();
    let [etc, state, secrets] = ["etc", "state", "etc/secrets"].map(|name| folder.path().join(name));
    fs::create_dir_all(&secrets).unwrap();
    fs::create_dir(&state).unwrap();
    let toml = blocks("docs/deploying.md", "## systemd").remove(1);
    fs::write(etc.join("larder.toml"), &toml).unwrap();
    let named = Regex::new(r#""/run/credentials/larder\.service/secret_([a-z-]+)""#).unwrap();
    let names: Vec<_> = named.captures_iter(&toml).map(|found| found[1].to_owned()).collect();
    assert_eq!(names, ["database-url", "larder-secret-key", "larder-admin-password"]);
    let values = ["sqlite://data/larder.db", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", ADMIN_PASSWORD];
    for (name, value) in names.iter().zip(values) {
        fs::write(secrets.join(name), format!("{value}\n")).unwrap();
        fs::set_permissions(secrets.join(name), Permissions::from_mode(0o600)).unwrap();
    }
    let once = text("deploy/larder-once.sh")
        .replace("/etc/larder", etc.to_str().unwrap())
        .replace("/var/lib/larder", state.to_str().unwrap())
        .replace("/usr/local/bin/larder", env!("CARGO_BIN_EXE_larder"));
    let script = folder.path().join("larder-once");
    fs::write(&script, once).unwrap();
    let config = etc.join("larder.toml");
    let without = Larder::command(&["doctor"], &[("LARDER_CONFIG", config.to_str().unwrap())]);
    assert!(!without.is_success && without.output.contains("DATABASE_URL_FILE"), "{}", without.output);

    let run = |arguments: &[&str]| {
        let mut command = Command::new("sh");
        command.arg(&script).args(arguments).current_dir(folder.path()).stdin(Stdio::null());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.output().unwrap()
    };
    let refused = run(&["keys", "rotate", "--now"]);
    assert_eq!(refused.status.code(), Some(1), "there is no database yet");
    for (arguments, says) in [
        (["migrate"].as_slice(), "Migrated: applied 1, "),
        (&["doctor"], "The journal is complete"),
        (&["keys", "rotate", "--now"], "Every token has ended"),
    ] {
        let ended = run(arguments);
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success() && said.contains(says),
            "{arguments:?}: {said}{}",
            String::from_utf8_lossy(&ended.stderr)
        );
        assert!(
            said.starts_with("Database: DATABASE_URL=sqlite://data/larder.db (file of DATABASE_URL_FILE)\n"),
            "{said}"
        );
    }
    assert!(state.join("data/larder.db").is_file());
}

#[test]
fn the_settings_of_kubernetes_are_read_with_the_secret_as_files() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = text("deploy/kubernetes.yaml");
    let toml = manifest.split_once("  larder.toml: |\n").unwrap().1.split_once("\n---").unwrap().0;
    let mounted = "/etc/larder/secrets";
    let (config, secrets) = (folder.path().join("larder.toml"), folder.path().to_str().unwrap());
    fs::write(&config, toml.replace(mounted, secrets)).unwrap();
    for (name, value) in [
        ("DATABASE_URL", "postgres://larder_service:zqx@db/larder"),
        ("REDIS_URL", "redis://:zqx@redis"),
        ("LARDER_SECRET_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        ("LARDER_ADMIN_PASSWORD", ADMIN_PASSWORD),
    ] {
        // The manifest lists the names for the Secret.
        assert!(manifest.split_once("apiVersion").unwrap().0.contains(name), "{name}");
        fs::write(folder.path().join(name), value).unwrap();
        fs::set_permissions(folder.path().join(name), Permissions::from_mode(0o400)).unwrap();
    }
    let shown = Larder::command(&["config"], &[("LARDER_CONFIG", config.to_str().unwrap())]);
    assert!(shown.is_success && !shown.output.contains("others can read"), "{}", shown.output);
    let toml_names = toml.lines().filter_map(|line| line.trim().split_once(" = ")).map(|(name, _)| name);
    for name in toml_names.filter(|name| !name.starts_with('#')) {
        let of_file = format!("(file, {name})");
        assert!(shown.output.contains(&of_file), "{name}: {}", shown.output);
    }
    // The Job has the same mounts.
    let job = text("deploy/kubernetes-job.yaml");
    for line in manifest.lines().filter(|line| {
        ["mountPath:", "configMap:", "secretName:", "fsGroup:", "LARDER_CONFIG"]
            .iter()
            .any(|part| line.contains(part))
    }) {
        assert!(job.contains(line.trim()), "{line}");
    }
}

#[test]
fn the_key_of_prometheus_is_made_by_the_request_of_the_page() {
    let app = Stack::sqlite_memory().start();
    let request = blocks("docs/metrics.md", "## The service").remove(1);
    // The date of the page passes one day.
    let later = Regex::new(r"\d{4}-").unwrap().replace(&request, "2999-").into_owned();
    let body = serde_json::from_str(&later.replace('…', ADMIN_PASSWORD)).unwrap();
    let made = app.admin().post("/api/v1/users/me/api-keys", &body).expect(201);
    assert!(made.field("expires_at").starts_with("2999-11-30"), "{}", made.text());
    let prometheus = app.anonymous().with_token(&made.field("key"));
    prometheus.get("/metrics").expect(200);
    prometheus.get("/api/v1/users").expect(403);
}
