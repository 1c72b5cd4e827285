//! `larder config` and settings from a file: what it shows and hides, and how a bad value ends a start.

use std::path::Path;

use serde_json::json;

use crate::support::app::{ADMIN_EMAIL, ADMIN_PASSWORD};
use crate::support::client::Client;
use crate::support::larder::Larder;
use larder_testbed::Sqlite;

const SECRET: &str = "zqxhunter2";

/// Runs `larder config`; returns its exit code and its output.
fn config(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut larder = Larder::start(arguments, folder, settings);
    let code = larder.wait().code();
    assert!(!larder.printed().contains(SECRET), "{}", larder.printed());
    (code, larder.printed())
}

/// Returns the line of a setting, with single spaces between its words.
fn line(printed: &str, name: &str) -> String {
    let line = printed.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name}: {printed}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn config_shows_each_setting_where_it_came_from_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let toml = format!(
        "larder_preset = 'katiba360'\nuser_list_ttl = 45\nlarder_classes_off = ['profile']\n\
         [larder_admin]\npassword = '{SECRET}-of-the-admin'\n"
    );
    let file = folder.path().join("larder.toml");
    std::fs::write(&file, toml).unwrap();
    // A file that others can read would get a warning with the time in it.
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let database = format!("postgres://larder:{SECRET}@db/larder?sslpassword={SECRET}");
    let direct = format!("postgres://larder:{SECRET}@server/larder");
    let redis = format!("redis://:{SECRET}@cache:6379");
    let environment = [
        ("DATABASE_URL", database.as_str()),
        ("DATABASE_DIRECT_URL", direct.as_str()),
        ("DATABASE_POOL_SIZE", "8"),
        ("REDIS_URL", " "),
        ("REDIS_PRIVATE_URL", redis.as_str()),
        ("REDIS_DB", "2"),
        ("REDIS_POOL_TIMEOUT", "0.5"),
        ("USER_DETAILS_TTL", "10"),
    ];
    let expected = [
        ("LARDER_LISTEN", "LARDER_LISTEN 127.0.0.1:8080 (default)"),
        ("DATABASE_URL", "DATABASE_URL postgres://…@db/larder?… (environment, DATABASE_URL)"),
        ("DATABASE_POOL_SIZE", "DATABASE_POOL_SIZE 8 (environment, DATABASE_POOL_SIZE)"),
        ("DATABASE_POOLER", "DATABASE_POOLER none (default)"),
        (
            "DATABASE_DIRECT_URL",
            "DATABASE_DIRECT_URL postgres://…@server/larder (environment, DATABASE_DIRECT_URL)",
        ),
        ("REDIS_PRIVATE_URL", "REDIS_PRIVATE_URL redis://…@cache:6379 (environment, REDIS_PRIVATE_URL)"),
        ("REDIS_DB", "REDIS_DB 2 (environment, REDIS_DB)"),
        ("REDIS_POOL_SIZE", "REDIS_POOL_SIZE 10 (default)"),
        ("REDIS_POOL_TIMEOUT", "REDIS_POOL_TIMEOUT 0.5 (environment, REDIS_POOL_TIMEOUT)"),
        ("LARDER_NAMESPACE", "LARDER_NAMESPACE katiba360 (preset katiba360)"),
        ("LARDER_ADMIN_PASSWORD", "LARDER_ADMIN_PASSWORD … (file, larder_admin_password)"),
        ("class user_details", "class user_details 10 s (environment, USER_DETAILS_TTL)"),
        ("class user_list", "class user_list 45 s (file, user_list_ttl)"),
        ("class interests", "class interests 3600 s (preset katiba360)"),
        ("class profile", "class profile 3600 s, off (preset katiba360)"),
    ];
    let named = config(folder.path(), &["config", "--config", "larder.toml"], &environment);
    let in_environment =
        config(folder.path(), &["config"], &[&environment[..], &[("LARDER_CONFIG", "larder.toml")]].concat());
    assert_eq!(named, in_environment);
    let (code, printed) = named;
    assert_eq!(code, Some(0), "{printed}");
    for (name, shown) in expected {
        assert_eq!(line(&printed, name), shown);
    }
    let (code, printed) = config(folder.path(), &["config"], &[]);
    assert_eq!((code, printed.contains("memory alone")), (Some(0), true), "{printed}");
}

#[test]
fn a_bad_value_ends_every_command_and_names_what_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.toml"), format!("redis_password = '{SECRET}'\nredis_prot = 1\n"))
        .unwrap();
    for (name, value, says) in [
        ("USER_LIST_TTL", "0", "from 1 to 2592000"),
        ("CACHE_LEADERBOARD_TTL", "soon", "from 1 to 2592000"),
        ("LARDER_CLASSES_OFF", "users", "user_details"),
        ("LARDER_PRESET", "prod", "production"),
        ("LARDER_NAMESPACE", "No", "lower-case"),
        ("LARDER_CONFIG", "absent.toml", "cannot be read"),
        ("LARDER_CONFIG", "bad.toml", "\"redis_prot\" is no setting"),
        ("REDIS_PORT", "x", "65535"),
        ("REDIS_URL", "foo", "=\"…\": a Redis URL looks like redis://"),
        (
            "REDIS_URL",
            "redis://:zqxhunter2@cache:x/0",
            "=\"redis://…@cache:x/0\": a Redis URL looks like redis://",
        ),
        ("REDIS_PRIVATE_URL", "rediss://:zqxhunter2@cache/0#insecure", "always verified"),
        ("DATABASE_URL", "foo", "=\"…\": the database URL has no scheme; allowed are sqlite://"),
        (
            "DATABASE_URL",
            "mysql://root:zqxhunter2@h/d",
            "=\"mysql://…@h/d\": the database URL is of an unknown kind",
        ),
        (
            "DATABASE_URL",
            "postgres://u:zqxhunter2@h:x/d",
            "=\"postgres://…@h:x/d\": the PostgreSQL URL cannot be read",
        ),
        ("REDIS_POOL_TIMEOUT", "-1", "from 0.001 to 60"),
        ("UPSTASH_REDIS_REST_URL", "https://eu1.upstash.io", "UPSTASH_REDIS_REST_TOKEN=…: must be set"),
    ] {
        for command in ["config", "serve"] {
            let (code, printed) = config(folder.path(), &[command], &[(name, value)]);
            assert_eq!(code, Some(1), "{name}={value}: {printed}");
            assert!(printed.contains(name) && printed.contains(says), "{name}={value}: {printed}");
        }
    }
    let tls = [
        ("LARDER_LISTEN", "127.0.0.1:0"),
        ("REDIS_PRIVATE_URL", "rediss://:zqxhunter2@127.0.0.1:1"),
        ("REDIS_CA_FILE", "absent.pem"),
    ];
    let (code, printed) = config(folder.path(), &["serve"], &tls);
    assert!(
        code == Some(1) && printed.contains("REDIS_CA_FILE=\"absent.pem\": must be a readable file"),
        "{printed}"
    );
}

#[test]
fn a_service_runs_from_a_file_with_a_class_switched_off() {
    let (folder, sqlite) = (tempfile::tempdir().unwrap(), Sqlite::fresh().unwrap());
    let toml = format!(
        "database_url = '{}'\nlarder_listen = '127.0.0.1:0'\nlarder_classes_off = ['user_details']\n\
         larder_admin_email = '{ADMIN_EMAIL}'\nlarder_admin_password = '{ADMIN_PASSWORD}'\n",
        sqlite.url()
    );
    std::fs::write(folder.path().join("larder.toml"), toml).unwrap();
    let mut larder = Larder::start(&["serve", "--config", "larder.toml"], folder.path(), &[]);
    let anonymous = Client::anonymous(larder.line("Listening on http://").parse().unwrap());
    let body = json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD });
    let admin =
        anonymous.with_token(&anonymous.post("/api/v1/auth/login", &body).expect(200).field("access_token"));
    for _ in 0..3 {
        let status = admin.get("/api/v1/users/me").expect(200).header("cache-status").unwrap().to_owned();
        assert!(!status.contains("hit"), "{status}");
    }
}

/// Each class with its TTL in seconds: by default, in development, in production.
const TIMES: [(&str, [u32; 3]); 19] = [
    ("user_stats", [300, 60, 600]),
    ("user_personal_stats", [3600; 3]),
    ("user_list", [60, 30, 300]),
    ("superadmin_user_list", [900; 3]),
    ("user_details", [180; 3]),
    ("user_email", [300; 3]),
    ("user_username", [300; 3]),
    ("user_phone", [300; 3]),
    ("profile", [180; 3]),
    ("full_profile", [3600; 3]),
    ("preferences", [3600; 3]),
    ("languages", [3600; 3]),
    ("accessibility", [3600; 3]),
    ("interests", [3600; 3]),
    ("dashboard_stats", [600, 120, 1800]),
    ("achievements", [1800; 3]),
    ("achievement_stats", [1800; 3]),
    ("leaderboard", [900; 3]),
    ("recent_achievements", [300; 3]),
];

#[test]
fn each_class_has_the_ttl_of_the_documents() {
    let folder = tempfile::tempdir().unwrap();
    for (column, preset) in ["", "development", "production"].into_iter().enumerate() {
        let (_, printed) = config(folder.path(), &["config"], &[("LARDER_PRESET", preset)]);
        for (class, seconds) in TIMES {
            let shown = line(&printed, &format!("class {class}"));
            let expected = format!("class {class} {} s (", seconds[column]);
            assert!(shown.starts_with(&expected), "{preset}: {shown}");
        }
    }
    for (preset, class, seconds) in [
        ("it360acad", "user_list", 3600),
        ("it360acad", "user_details", 3600),
        ("katiba360", "profile", 3600),
        ("katiba360", "leaderboard", 900),
        ("hiremebahamas", "user_details", 300),
        ("hiremebahamas", "profile", 180),
    ] {
        let (_, printed) = config(folder.path(), &["config"], &[("LARDER_PRESET", preset)]);
        let shown = line(&printed, &format!("class {class}"));
        assert!(shown.starts_with(&format!("class {class} {seconds} s (")), "{preset}: {shown}");
    }
}

/// Kubernetes sets variables for each service of a namespace, and some have the names of settings.
#[test]
fn what_kubernetes_sets_is_unset_and_a_mistyped_name_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = |settings: &[(&str, &str)]| config(folder.path(), &["config"], settings);
    let injected = [
        ("REDIS_SERVICE_HOST", "10.0.0.5"),
        ("REDIS_SERVICE_PORT", "6379"),
        ("REDIS_PORT", "tcp://10.0.0.5:6379"),
        ("REDIS_PORT_6379_TCP_ADDR", "10.0.0.5"),
        ("DATABASE_PORT", "tcp://10.0.0.7:5432"),
        ("LARDER_PORT", "tcp://10.0.0.6:80"),
        ("LARDER_API_PORT", "tcp://10.0.0.8:80"),
        ("LARDER_API_SERVICE_PORT_HTTP", "80"),
    ];
    let (code, printed) = config(&injected);
    assert_eq!(code, Some(0), "{printed}");
    assert_eq!(line(&printed, "REDIS_URL"), "REDIS_URL none: memory alone (default)");
    assert!(!printed.contains("did you mean"), "{printed}");
    let (code, printed) = config(&[&injected[..], &[("REDIS_HOST", "cache")]].concat());
    assert_eq!((code, line(&printed, "REDIS_PORT")), (Some(0), "REDIS_PORT 6379 (default)".to_owned()));

    let mistyped = format!("postgres://larder:{SECRET}@db/larder");
    let (code, printed) = config(&[("DATABASE_ULR", &mistyped)]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("DATABASE_ULR") && printed.contains("DATABASE_URL is not set"), "{printed}");
    let both = [("DATABASE_URL", "sqlite://x.db"), ("DATABASE_ULR", &mistyped), ("REDIS_ULR", "redis://x")];
    let (code, printed) = config(&both);
    assert_eq!(code, Some(0), "{printed}");
    for (name, near) in [("DATABASE_ULR", "DATABASE_URL"), ("REDIS_ULR", "REDIS_URL")] {
        assert!(printed.contains(&format!("{name} is no setting; did you mean {near}?")), "{printed}");
    }
    assert_eq!(config(&[("LARDER_PORT", "8080")]).0, Some(1));
}

#[test]
fn a_file_with_the_password_of_the_mail_server_is_named_if_others_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let path = file.to_str().unwrap();
    let settings = [
        ("LARDER_MAIL_URL", "smtp://larder@127.0.0.1:2525"),
        ("LARDER_MAIL_FROM", "no-reply@example.com"),
        ("LARDER_MAIL_PASSWORD_FILE", path),
    ];
    for (mode, is_named) in [(0o600, false), (0o640, true), (0o604, true)] {
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let (code, printed) = config(folder.path(), &["config"], &settings);
        assert_eq!(code, Some(0), "{printed}");
        let says = printed.contains("others can read this file, which holds a secret");
        assert_eq!(says, is_named, "{mode:o}: {printed}");
    }
}
