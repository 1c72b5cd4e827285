//! A reader of Redis finds no secret. The test uses every feature that touches a secret, and searches every command
//! that Redis received and every dump of its contents. It has a Redis of its own.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use larder_testbed::Redis;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use totp_rs::{Builder, Secret};

use crate::support::app::{ADMIN_PASSWORD, PASSWORD, TestApp, on_redis};
use crate::support::client::Client;
use crate::support::eventually;

const NEW_PASSWORD: &str = "staple of another kind";

/// Every column of the database that holds a secret or a value derived from one.
const SECRET_COLUMNS: [&str; 7] = [
    "SELECT password_hash FROM credentials",
    "SELECT token_hash FROM refresh_tokens",
    "SELECT successor FROM refresh_tokens WHERE successor IS NOT NULL",
    "SELECT private_key FROM signing_keys",
    "SELECT secret FROM totp",
    "SELECT code_hash FROM recovery_codes",
    "SELECT key_hash FROM api_keys",
];

/// An attacker who reads every command and takes dumps.
struct Thief<'a> {
    redis: &'a Redis,
    monitor: TcpStream,
    /// Every command that Redis received, as MONITOR writes it, one character a byte.
    heard: String,
    /// Every dump, one after the other, one character a byte.
    dumped: String,
}

impl<'a> Thief<'a> {
    fn at(redis: &'a Redis) -> Self {
        // A search would not find a secret in a compressed value.
        redis.command(&["CONFIG", "SET", "rdbcompression", "no"]).unwrap();
        let mut monitor = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
        monitor.write_all(b"MONITOR\r\n").unwrap();
        // MONITOR never ends: `listen` returns when no command came for this time.
        monitor.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self { redis, monitor, heard: String::new(), dumped: String::new() }
    }

    fn dump(&mut self) {
        self.redis.command(&["SAVE"]).unwrap();
        let folder = self.redis.command(&["CONFIG", "GET", "dir"]).unwrap();
        let dump = fs::read(Path::new(folder.lines().nth(1).unwrap()).join("dump.rdb")).unwrap();
        assert!(dump.starts_with(b"REDIS"), "it is a dump");
        self.dumped.extend(characters(&dump));
        self.listen();
    }

    fn listen(&mut self) {
        let mut some = [0; 65_536];
        loop {
            match self.monitor.read(&mut some) {
                Ok(length) if length > 0 => self.heard.extend(characters(&some[..length])),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
                end => panic!("MONITOR ended: {end:?}"),
            }
        }
    }

    /// Whether a dump contains the secret, and whether a command does; MONITOR writes bytes that are no text as `\x00`.
    fn has(&self, secret: &[u8]) -> [bool; 2] {
        let monitored = as_monitored(secret);
        [(&self.dumped, secret), (&self.heard, &monitored)]
            .map(|(all, part)| all.contains(&characters(part).collect::<String>()))
    }
}

/// Maps each byte to a character: the search in a `String` is much faster than a search in bytes.
fn characters(bytes: &[u8]) -> impl Iterator<Item = char> {
    bytes.iter().map(|byte| char::from(*byte))
}

fn as_monitored(bytes: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    for byte in bytes {
        match byte {
            b'"' | b'\\' => shown.extend([b'\\', *byte]),
            b'\n' => shown.extend(b"\\n"),
            b'\r' => shown.extend(b"\\r"),
            b'\t' => shown.extend(b"\\t"),
            7 => shown.extend(b"\\a"),
            8 => shown.extend(b"\\b"),
            0x20..0x7f => shown.push(*byte),
            _ => shown.extend(format!("\\x{byte:02x}").bytes()),
        }
    }
    shown
}

/// The values that must not be found, each with a name that a failure can print.
#[derive(Default)]
struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    fn add(&mut self, name: &str, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref().to_vec();
        assert!(secret.len() >= 10, "{name} would be found by chance");
        if !self.0.iter().any(|(_, known)| *known == secret) {
            self.0.push((name.to_owned(), secret));
        }
    }

    /// Adds a secret, and its SHA-256 in every encoding.
    fn add_hashed(&mut self, name: &str, secret: &str) {
        self.add(name, secret);
        let hash = Sha256::digest(secret.as_bytes());
        self.add_bytes(&format!("the hash of {name}"), &hash);
    }

    /// Adds bytes, raw and in every encoding.
    fn add_bytes(&mut self, name: &str, bytes: &[u8]) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let spelt = [hex.clone(), hex.to_uppercase(), STANDARD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)];
        self.add(name, bytes);
        spelt.iter().for_each(|spelt| self.add(name, spelt.trim_end_matches('=')));
    }

    fn add_session(&mut self, granted: &Value) {
        self.add_hashed("an access token", granted["access_token"].as_str().unwrap());
        self.add_hashed("a refresh token", granted["refresh_token"].as_str().unwrap());
        if let Some(proof) = granted["device_token"].as_str() {
            self.add_hashed("a device token", proof);
        }
    }

    /// Adds the secrets as the database stores them now.
    fn add_stored(&mut self, app: &TestApp) {
        for column in SECRET_COLUMNS {
            for stored in app.stack.sql(column).lines().filter(|line| !line.is_empty()) {
                self.add(column, stored);
                let spelt = stored.rsplit(['.', '$']).next().unwrap_or(stored);
                if let Ok(bytes) = STANDARD.decode(spelt).or_else(|_| URL_SAFE_NO_PAD.decode(spelt)) {
                    self.add(column, bytes);
                }
            }
        }
    }
}

/// Logs in and reads each route whose answer is cached, twice: the first read loads, the second finds the entry.
fn session(app: &TestApp, credentials: &Value, secrets: &mut Secrets) -> Client {
    let granted = app.anonymous().post("/api/v1/auth/login", credentials).expect(200).json();
    secrets.add_session(&granted);
    let client = app.anonymous().with_token(granted["access_token"].as_str().unwrap());
    let refresh_token = granted["refresh_token"].as_str().unwrap().to_owned();
    let id = client.get("/api/v1/auth/validate").expect(200).field("user_id");
    let password = credentials["password"].as_str().unwrap_or_default().to_owned();
    Client { id, refresh_token, password, ..client }
}

fn look_at_everything(client: &Client, is_admin: bool) {
    let own =
        ["", "/details", "/profile", "/full-profile", "/stats", "/permissions", "/points", "/achievements"];
    let mut paths: Vec<_> = own.iter().map(|part| format!("/api/v1/users/me{part}")).collect();
    paths.extend(
        ["/api/v1/users", "/api/v1/leaderboard", "/api/v1/auth/validate", "/api/v1/auth/totp"]
            .map(str::to_owned),
    );
    paths.push("/api/v1/users/me/api-keys".to_owned());
    if is_admin {
        let more = [
            "superadmin/users",
            "users/statistics",
            "dashboard/statistics",
            "audit",
            "cache/stats",
            "cache/keys?limit=100",
        ];
        paths.extend(more.map(|path| format!("/api/v1/{path}")));
        paths.extend(["/api/users/", "/v1.0/cache/health/detailed", "/v1.0/cache/test"].map(str::to_owned));
    }
    for path in paths.iter().chain(&paths) {
        client.get(path).expect(200);
    }
}

/// Uses each change of a second factor; returns a session that is still open.
fn second_factor(app: &TestApp, ann: &Client, secrets: &mut Secrets) -> Client {
    let enrolled = ann.post("/api/v1/auth/totp/enroll", &json!({ "password": NEW_PASSWORD })).expect(200);
    let base32 = enrolled.field("secret");
    secrets.add("a TOTP secret", &base32);
    secrets.add("an otpauth address", enrolled.field("otpauth_uri"));
    let secret = Secret::try_from_base32(base32).unwrap();
    secrets.add_bytes("a TOTP secret", secret.as_bytes());
    let phone = Builder::new().with_secret(secret).build().unwrap();
    secrets.add_stored(app);
    let code = json!({ "totp_code": phone.generate_current().to_string() });
    let confirmed = ann.post("/api/v1/auth/totp/confirm", &code).expect(200).json();
    let codes: Vec<_> =
        confirmed["recovery_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    for code in &codes {
        secrets.add_hashed("a recovery code", code);
        let bare: String = code.chars().filter(|letter| *letter != '-').collect();
        secrets.add_hashed("a recovery code", &bare);
        secrets.add_hashed("a recovery code", &bare.to_uppercase());
        secrets.add_hashed("a recovery code", &bare.to_lowercase());
    }
    secrets.add_stored(app);
    // The code that confirmed is used up; the code of the next time step is valid already.
    let next = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 30;
    let with_code =
        json!({ "username": "ann", "password": NEW_PASSWORD, "totp_code": phone.generate(next).to_string() });
    session(app, &with_code, secrets);
    session(app, &json!({ "username": "ann", "password": NEW_PASSWORD, "recovery_code": codes[0] }), secrets)
}

/// Makes an API key and uses it in both headers; returns it.
fn api_key(client: &Client, scopes: &Value, secrets: &mut Secrets) -> String {
    let made = client.make_key(&json!({ "name": "ci", "scopes": scopes })).expect(201);
    let key = made.field("key");
    secrets.add_hashed("an API key", &key);
    let random = key.splitn(3, '_').nth(2).unwrap();
    secrets.add_hashed("what is random of an API key", random);
    key
}

/// Uses every feature that touches a secret, and takes a dump after each group of them.
fn live(app: &TestApp, thief: &mut Thief<'_>, secrets: &mut Secrets) {
    let admin = session(app, &json!({ "username": "admin", "password": ADMIN_PASSWORD }), secrets);
    let register = json!({ "email": "ann@example.com", "username": "ann", "password": PASSWORD });
    app.anonymous().post("/api/v1/auth/register", &register).expect(201);
    let ann = session(app, &json!({ "email": "ann@example.com", "password": PASSWORD }), secrets);
    look_at_everything(&ann, false);
    look_at_everything(&admin, true);
    secrets.add_stored(app);
    thief.dump();

    let renewed = app
        .anonymous()
        .post("/api/v1/auth/refresh", &json!({ "refresh_token": ann.refresh_token }))
        .expect(200);
    secrets.add_session(&renewed.json());
    let ann = ann.with_token(&renewed.field("access_token"));
    let password = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    ann.post("/api/v1/auth/password", &password).expect(204);
    let ann = session(app, &json!({ "username": "ann", "password": NEW_PASSWORD }), secrets);
    look_at_everything(&ann, false);
    thief.dump();

    // Made before the second factor: afterwards it would need a code too.
    let key = api_key(&ann, &json!(["read", "write"]), secrets);
    let ann = second_factor(app, &ann, secrets);
    look_at_everything(&ann, false);
    look_at_everything(&admin, true);
    thief.dump();

    let asking = api_key(&admin, &json!(["introspect"]), secrets);
    for _ in 0..3 {
        ann.with_token(&key).get("/api/v1/users/me").expect(200);
    }
    for token in [&key, ann.token.as_ref().unwrap(), &ann.refresh_token] {
        let worth = admin.with_token(&asking).token_form("/api/v1/auth/introspect", token).expect(200);
        assert_eq!(worth.json()["active"], true);
    }
    look_at_everything(&admin, true);
    for (class, id) in [("user_details", &ann.id), ("auth_state", &ann.id)] {
        admin.post("/api/v1/cache/explain", &json!({ "class": class, "key": [id] })).expect(200);
    }
    secrets.add_stored(app);
    thief.dump();

    admin.post("/api/v1/auth/keys/rotate", &json!({})).expect(201);
    secrets.add_stored(app);
    app.anonymous().token_form("/api/v1/auth/revoke", &key).expect(200);
    app.anonymous().token_form("/api/v1/auth/revoke", &ann.refresh_token).expect(200);
    let again = session(app, &json!({ "username": "admin", "password": ADMIN_PASSWORD }), secrets);
    again.delete(&format!("{}/totp", ann.path())).expect(204);
    session(app, &json!({ "username": "ann", "password": NEW_PASSWORD }), secrets);
    again.post("/api/v1/auth/logout", &json!({})).expect(204);
    secrets.add_stored(app);
    thief.dump();
}

fn no_dump_of_redis_holds_a_secret_of_any_feature(app: &TestApp) {
    let (mut thief, mut secrets) = (Thief::at(app.stack.redis()), Secrets::default());
    for password in [PASSWORD, NEW_PASSWORD, ADMIN_PASSWORD] {
        secrets.add_hashed("a password", password);
    }
    live(app, &mut thief, &mut secrets);
    for class in [
        "user_details",
        "auth_state",
        "api_key",
        "user_list",
        "superadmin_user_list",
        "user_stats",
        "permissions",
    ] {
        assert_eq!(thief.has(class.as_bytes()), [true; 2], "Redis has held no entry of {class}");
    }
    for (name, secret) in &secrets.0 {
        assert_eq!(thief.has(secret), [false; 2], "Redis held or received {name}");
    }
    each_is_found_where_it_is_set(&mut thief, &secrets);
}

/// The control: the search finds each secret inside a value that this function sets.
fn each_is_found_where_it_is_set(thief: &mut Thief<'_>, secrets: &Secrets) {
    assert!(secrets.0.len() > 100, "{}", secrets.0.len());
    for (number, (_, secret)) in secrets.0.iter().enumerate() {
        let value = [&b"aaaaaaaaaaaaaaaaaaaaaaaa"[..], secret, b"aaaaaaaaaaaaaaaaaaaaaaaa"].concat();
        thief.redis.command_bytes(&[b"SET", format!("forged{number}").as_bytes(), &value]).unwrap();
    }
    (thief.dumped, thief.heard) = (String::new(), String::new());
    thief.dump();
    eventually("all of them are found", || {
        thief.listen();
        secrets.0.iter().all(|(_, secret)| thief.has(secret) == [true; 2])
    });
}

on_redis!(no_dump_of_redis_holds_a_secret_of_any_feature);
