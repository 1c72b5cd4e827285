//! The files of the service: what a thief of them gets.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::process::Signal;
use serde_json::json;

use crate::support::app::{Stack, TestApp};
use crate::support::client::Client;
use crate::support::larder::Larder;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_KEY: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn serve(settings: &[(&str, &str)]) -> Larder {
    let listen = [("LARDER_LISTEN", "127.0.0.1:0")];
    Larder::start(&["serve"], &std::env::temp_dir(), &[&listen, settings].concat())
}

#[test]
fn the_files_are_for_their_owner_alone_and_wider_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new").join("data");
    let file = data.join("larder.db");
    let url = format!("sqlite://{}", file.display());
    let mut first = serve(&[("DATABASE_URL", &url)]);
    first.line("Listening on http://");
    let beside = ["larder.db", "larder.db-wal", "larder.db-shm"].map(|name| mode(&data.join(name)));
    assert_eq!((beside, mode(&data)), ([0o600; 3], 0o700));
    assert!(first.stop(Signal::TERM).success());
    assert!(!first.stderr().contains("can read"), "{}", first.stderr());

    let settings = folder.path().join("larder.toml");
    std::fs::write(&settings, format!("larder_secret_key = '{KEY}'\n")).unwrap();
    for path in [&settings, &file] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let config = settings.to_str().unwrap();
    let mut second = serve(&[("DATABASE_URL", &url), ("LARDER_CONFIG", config)]);
    second.line("Listening on http://");
    assert!(second.stop(Signal::TERM).success());
    let printed = second.stderr();
    assert!(printed.contains(&format!("chmod 0600 {}", file.display())), "{printed}");
    assert!(printed.contains("others can read this file of settings") && !printed.contains(KEY), "{printed}");
    let doctor = Larder::command(&["doctor"], &[("DATABASE_URL", &url), ("LARDER_SECRET_KEY", KEY)]);
    let exposed = doctor.output.contains("note: others can read or replace");
    assert!(doctor.is_success && exposed && !doctor.output.contains("is not set"), "{}", doctor.output);
}

fn private_key(app: &TestApp) -> String {
    app.stack.sql("SELECT private_key FROM signing_keys WHERE retired_at IS NULL")
}

#[test]
fn signing_keys_are_sealed_from_the_first_start_with_a_secret_key_on() {
    let app = Stack::sqlite_memory().start();
    let ann = app.user("ann");
    assert!(app.larder.stderr().contains("LARDER_SECRET_KEY is not set"), "the note");
    assert!(app.command(&["doctor"]).output.contains("note: LARDER_SECRET_KEY is not set"));
    let plain = private_key(&app);
    assert!(!plain.contains('.'), "unsealed");

    let sealing = app.instance_with("LARDER_SECRET_KEY", KEY);
    assert!(!sealing.larder.stderr().contains("is not set"));
    let stored = private_key(&app);
    assert!(stored.starts_with("sealed.") && !stored.contains(&plain[..20]), "{stored}");
    let here: Client = sealing.here(&ann);
    assert_eq!(here.validate(), 200, "the key is the same");
    let admin = sealing.admin();
    admin.post("/api/v1/auth/keys/rotate", &json!({})).expect(201);
    assert!(private_key(&app).starts_with("sealed."), "a new key is sealed too");
    assert_eq!(sealing.again("ann").validate(), 200);

    let url = app.stack.database_url();
    let mut without = serve(&[("DATABASE_URL", &url)]);
    assert!(!without.wait().success() && without.stderr().contains("LARDER_SECRET_KEY is needed"));
    let other = [("DATABASE_URL", url.as_str()), ("LARDER_SECRET_KEY", OTHER_KEY)];
    let mut with_another = serve(&other);
    assert!(!with_another.wait().success());
    assert!(with_another.stderr().contains("neither LARDER_SECRET_KEY nor"), "{}", with_another.stderr());
    let rotate = Larder::command(&["keys", "rotate", "--now"], &other);
    assert!(!rotate.is_success, "a key that the service could not open is not stored: {}", rotate.output);
    assert_eq!(here.validate(), 200);
}
