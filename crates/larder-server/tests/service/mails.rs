//! Resetting a forgotten password and confirming an e-mail address, over a real mail server.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use larder_testbed::{SmtpOptions, SmtpServer, free_port};
use serde_json::{Value, json};

use crate::support::app::{PASSWORD, Stack, TestApp};
use crate::support::client::{Client, Request};
use crate::support::{eventually, exposition};

const FORGOT: &str = "/api/v1/auth/password/forgot";
pub(crate) const RESET: &str = "/api/v1/auth/password/reset";
const ASK: &str = "/api/v1/auth/email/confirm/request";
const CONFIRM: &str = "/api/v1/auth/email/confirm";
pub(crate) const NEW: &str = "another horse battery";

fn with_server(stack: Stack, server: &SmtpServer) -> Stack {
    stack
        .with_setting("LARDER_MAIL_URL", &format!("smtp://127.0.0.1:{}", server.port()))
        .with_setting("LARDER_MAIL_FROM", "Larder <no-reply@larder.example>")
        .with_setting("LARDER_MAIL_RESET_LINK", "https://app.example/reset#token={token}")
}

/// A mail server, and an instance that sends to it, on each database.
pub(crate) fn on_both(test: impl Fn(&SmtpServer, &TestApp)) {
    for stack in [Stack::sqlite_memory(), Stack::postgres_redis()] {
        let server = SmtpServer::start(SmtpOptions::default()).unwrap();
        test(&server, &with_server(stack, &server).start());
    }
}

pub(crate) fn mails(server: &SmtpServer) -> Vec<Value> {
    server.mails().unwrap().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits for the mail with this number, from 0.
fn mail(server: &SmtpServer, number: usize) -> Value {
    eventually("a mail", || mails(server).len() > number);
    mails(server).swap_remove(number)
}

/// The token in a mail: behind `#token=`, or in a line of its own.
fn token(mail: &Value) -> String {
    let text = mail["text"].as_str().unwrap();
    let is_token = |word: &&str| word.len() == 43;
    text.split(['=', '\r', '\n']).find(is_token).unwrap_or_else(|| panic!("no token: {text}")).to_owned()
}

pub(crate) fn forgot(app: &TestApp, email: &str) -> u16 {
    app.anonymous().post(FORGOT, &json!({ "email": email })).status
}

/// Asks for a reset, and returns the token that arrives.
pub(crate) fn asked(server: &SmtpServer, app: &TestApp, email: &str) -> String {
    let number = mails(server).len();
    assert_eq!(forgot(app, email), 202);
    token(&mail(server, number))
}

pub(crate) fn reset(token: &str, password: &str) -> Value {
    json!({ "token": token, "new_password": password })
}

pub(crate) fn entries(app: &TestApp, action: &str) -> Vec<Value> {
    let page = app.admin().get(&format!("/api/v1/audit?limit=100&action={action}")).expect(200).json();
    page["items"].as_array().unwrap().clone()
}

#[test]
fn a_forgotten_password_is_reset_once_and_every_session_ends() {
    on_both(|server, app| {
        let (ann, anonymous) = (app.user("ann"), app.anonymous());
        assert_eq!(forgot(app, "ANN@example.com"), 202);
        let mail = mail(server, 0);
        assert_eq!(mail["to"], json!(["ann@example.com"]));
        assert_eq!((&mail["from"], &mail["tls"]), (&json!("no-reply@larder.example"), &json!(false)));
        assert_eq!(mail["auto_submitted"], "auto-generated");
        assert!(mail["text"].as_str().unwrap().contains("https://app.example/reset#token="), "{mail}");
        let token = token(&mail);
        let stored = app.stack.sql("SELECT token_hash FROM mail_tokens");
        assert!(stored.len() == 64 && !stored.contains(&token), "the database has its hash alone");
        let life = app.stack.sql("SELECT (expires_at - created_at) / 1000000 FROM mail_tokens");
        assert_eq!(life, "900");

        for bad in ["short", "qwertyuiop", "ann@example.com"] {
            anonymous.post(RESET, &reset(&token, bad)).complains_about(422, &["new_password"]);
        }
        anonymous.post(RESET, &reset("wrong", NEW)).refuses(403, "mail_token_invalid");
        anonymous.post(CONFIRM, &json!({ "token": token })).refuses(403, "mail_token_invalid");
        assert_eq!(ann.validate(), 200);
        anonymous.post(RESET, &reset(&token, NEW)).expect(204);
        assert_eq!(ann.validate(), 401, "its sessions have ended");
        anonymous.post(RESET, &reset(&token, PASSWORD)).refuses(403, "mail_token_invalid");
        anonymous
            .post("/api/v1/auth/login", &json!({ "username": "ann", "password": PASSWORD }))
            .refuses(401, "login_wrong");
        app.login(&json!({ "username": "ann", "password": NEW }));

        for action in ["password.forget", "password.reset"] {
            let entries = entries(app, action);
            assert_eq!(entries.len(), 1, "{entries:?}");
            assert_eq!(entries[0]["target_id"], json!(ann.id));
            assert_eq!(entries[0]["details"]["address"], "127.0.0.1");
        }
        eventually("the refusals are noted", || {
            let refused = entries(app, "request.refuse");
            refused.iter().any(|entry| entry["details"]["code"] == "mail_token_invalid")
        });
        let log = app.larder.printed();
        assert!(log.contains("a mail was sent") && log.contains(&ann.id), "{log}");
        assert!(!log.contains(&token) && !log.contains("ann@example.com"), "by id alone");
    });
}

#[test]
fn a_token_sent_many_times_at_once_is_used_once() {
    on_both(|server, app| {
        app.user("ann");
        let token = asked(server, app, "ann@example.com");
        let other = app.second_instance();
        let statuses: Vec<_> = std::thread::scope(|scope| {
            let send = |app| {
                let body = reset(&token, NEW);
                scope.spawn(move || TestApp::anonymous(app).post(RESET, &body).status)
            };
            let threads: Vec<_> = [app, &other, app, &other].map(send).into();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 3, "{statuses:?}");
    });
}

#[test]
fn the_answer_is_the_same_for_an_unknown_address_and_mails_are_limited() {
    on_both(|server, app| {
        app.user("ann");
        let statuses = |email: &str| {
            let answers: Vec<_> =
                (0..5).map(|_| app.anonymous().post(FORGOT, &json!({ "email": email }))).collect();
            let wait: u64 = answers[4].header("retry-after").unwrap().parse().unwrap();
            assert!((1..=301).contains(&wait), "{wait}");
            answers.iter().map(|answer| (answer.status, answer.text().to_owned())).collect::<Vec<_>>()
        };
        let known = statuses("ann@example.com");
        let codes: Vec<_> = known.iter().map(|(status, _)| *status).collect();
        assert_eq!(codes, [202, 202, 202, 429, 429], "no mail bombing");
        assert_eq!(known, statuses("nobody@example.com"));
        // Every one of the mails works until one is used.
        mail(server, 2);
        eventually("the unknown address is noted", || {
            entries(app, "password.forget").iter().any(|entry| entry["target_id"].is_null())
        });
        let sent = mails(server);
        assert_eq!(sent.len(), 3, "{sent:?}");
        app.anonymous().post(RESET, &reset(&token(&sent[0]), NEW)).expect(204);
        app.anonymous().post(RESET, &reset(&token(&sent[2]), NEW)).refuses(403, "mail_token_invalid");
    });
}

#[test]
fn a_token_ends_with_a_change_of_its_user() {
    on_both(|server, app| {
        let admin = app.admin();
        let change = |name: &str, change: &dyn Fn(&Client)| {
            let user = app.user(name);
            let token = asked(server, app, &format!("{name}@example.com"));
            change(&user);
            app.anonymous().post(RESET, &reset(&token, NEW)).refuses(403, "mail_token_invalid");
        };
        let active = |user: &Client, is_active: bool| {
            admin.patch(&user.path(), &json!({ "is_active": is_active })).expect(200);
        };
        change("ann", &|user| {
            let body = json!({ "current_password": PASSWORD, "new_password": "yet another password" });
            user.post("/api/v1/auth/password", &body).expect(204);
        });
        change("ben", &|user| {
            let body = user.confirmed(&json!({ "email": "ben@other.example" }));
            user.patch("/api/v1/users/me", &body).expect(200);
        });
        change("cyd", &|user| drop(user.delete_itself().expect(204)));
        change("dan", &|user| active(user, false));
        change("eve", &|user| {
            active(user, false);
            active(user, true);
        });
        change("fay", &|user| {
            let sql = format!("UPDATE mail_tokens SET expires_at = created_at WHERE user_id = '{}'", user.id);
            app.stack.sql(&sql);
        });
        // A user without a password has no epoch that a deactivation raises.
        let gus = app.plain_user(&admin, "gus");
        let gus = Client { id: gus["id"].as_str().unwrap().to_owned(), ..app.anonymous() };
        let token = asked(server, app, "gus@example.com");
        active(&gus, false);
        assert_eq!(forgot(app, "gus@example.com"), 202, "no mail is sent to an inactive user");
        active(&gus, true);
        app.anonymous().post(RESET, &reset(&token, NEW)).refuses(403, "mail_token_invalid");
        let token = asked(server, app, "gus@example.com");
        app.anonymous().post(RESET, &reset(&token, NEW)).expect(204);
        app.login(&json!({ "username": "gus", "password": NEW }));
    });
}

#[test]
fn a_reset_leaves_the_second_factor() {
    on_both(|server, app| {
        let ann = app.user("ann");
        let enrolled = ann.post("/api/v1/auth/totp/enroll", &json!({ "password": PASSWORD })).expect(200);
        let secret = totp_rs::Secret::try_from_base32(enrolled.field("secret")).unwrap();
        let phone = totp_rs::Builder::new().with_secret(secret).build().unwrap();
        let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let code = phone.generate(now()).to_string();
        ann.post("/api/v1/auth/totp/confirm", &json!({ "totp_code": code })).expect(200);
        let token = asked(server, app, "ann@example.com");
        app.anonymous().post(RESET, &reset(&token, NEW)).expect(204);
        let mut body = json!({ "username": "ann", "password": NEW });
        app.anonymous().post("/api/v1/auth/login", &body).refuses(401, "second_factor_needed");
        body["totp_code"] = json!(phone.generate(now() + 30).to_string());
        app.anonymous().post("/api/v1/auth/login", &body).expect(200);
    });
}

#[test]
fn an_address_is_confirmed_by_its_owner_and_another_one_is_not() {
    on_both(|server, app| {
        let ann = app.user("ann");
        let second = app.second_instance();
        let there = second.here(&ann);
        let state =
            |client: &Client| client.get("/api/v1/users/me").expect(200).json()["email_verified"].clone();
        assert_eq!([state(&ann), state(&there)], [json!(false), json!(false)]);
        ann.patch("/api/v1/users/me", &json!({ "email_verified": true }))
            .complains_about(422, &["email_verified"]);
        ann.send(Request::new("POST", ASK)).expect(202);
        let mail = mail(server, 0);
        assert_eq!(
            (&mail["to"], &mail["subject"]),
            (&json!(["ann@example.com"]), &json!("Confirm your e-mail address"))
        );
        let token = token(&mail);
        app.anonymous().post(RESET, &reset(&token, NEW)).refuses(403, "mail_token_invalid");
        app.anonymous().post(CONFIRM, &json!({ "token": token })).expect(204);
        assert_eq!(state(&ann), json!(true), "where it was acknowledged");
        eventually("elsewhere", || state(&there) == json!(true));
        app.anonymous().post(CONFIRM, &json!({ "token": token })).refuses(403, "mail_token_invalid");
        ann.send(Request::new("POST", ASK)).refuses(409, "email_confirmed");
        assert_eq!(entries(app, "email.confirm")[0]["target_id"], json!(ann.id));
        let version = |body: Value| body["version"].as_i64().unwrap();
        let before = version(ann.get("/api/v1/users/me").json());

        let moved = ann.confirmed(&json!({ "email": "ann@other.example" }));
        let moved = ann.patch("/api/v1/users/me", &moved).expect(200).json();
        assert_eq!(moved["email_verified"], json!(false));
        assert_eq!(version(moved), before + 1);
        ann.send(Request::new("POST", ASK)).expect(202);
        let late = self::token(&self::mail(server, 1));
        assert_eq!(mails(server)[1]["to"], json!(["ann@other.example"]), "the new address is what is proved");
        app.stack.sql(&format!("UPDATE users SET email = 'ann@third.example' WHERE id = '{}'", ann.id));
        app.anonymous().post(CONFIRM, &json!({ "token": late })).refuses(403, "mail_token_invalid");
        let put = json!({ "email": "ann@third.example", "username": "ann", "email_verified": true });
        ann.put("/api/v1/users/me", &ann.confirmed(&put)).complains_about(422, &["email_verified"]);
    });
}

#[test]
fn mails_are_encrypted_and_the_server_is_logged_in_to() {
    let server = SmtpServer::start(SmtpOptions { tls: true, auth: true }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "a mail password\n").unwrap();
    let app = Stack::sqlite_memory()
        .with_setting("LARDER_MAIL_URL", &format!("smtp://larder@localhost:{}?tls=required", server.port()))
        .with_setting("LARDER_MAIL_PASSWORD_FILE", password.to_str().unwrap())
        .with_setting("LARDER_MAIL_FROM", "no-reply@larder.example")
        .with_setting("SSL_CERT_FILE", server.certificate().to_str().unwrap())
        .start();
    app.user("ann");
    assert_eq!(forgot(&app, "ann@example.com"), 202);
    let mail = mail(&server, 0);
    assert_eq!((&mail["tls"], &mail["user"]), (&json!(true), &json!("larder")));
    app.anonymous().post(RESET, &reset(&token(&mail), NEW)).expect(204);
}

#[test]
fn nothing_is_sent_to_a_server_without_encryption_or_with_another_certificate() {
    let plain = SmtpServer::start(SmtpOptions::default()).unwrap();
    let strange = SmtpServer::start(SmtpOptions { tls: true, auth: false }).unwrap();
    let other = SmtpServer::start(SmtpOptions { tls: true, auth: false }).unwrap();
    for server in [&plain, &strange] {
        let app = Stack::sqlite_memory()
            .with_setting("LARDER_MAIL_URL", &format!("smtp://localhost:{}?tls=required", server.port()))
            .with_setting("LARDER_MAIL_FROM", "no-reply@larder.example")
            .with_setting("SSL_CERT_FILE", other.certificate().to_str().unwrap())
            .start();
        app.user("ann");
        assert_eq!(forgot(&app, "ann@example.com"), 202);
        eventually("an attempt has failed", || app.larder.printed().contains("a mail could not be sent yet"));
        assert_eq!(mails(server), [json!(null); 0]);
    }
}

#[test]
fn a_server_that_hangs_or_refuses_costs_no_request_anything() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let app = Stack::sqlite_memory()
        .with_setting("LARDER_MAIL_URL", &format!("smtp://{}", silent.local_addr().unwrap()))
        .with_setting("LARDER_MAIL_FROM", "no-reply@larder.example")
        .start();
    let admin = app.admin();
    for number in 0..8 {
        app.plain_user(&admin, &format!("user{number}"));
    }
    let began = Instant::now();
    for number in 0..8 {
        assert_eq!(forgot(&app, &format!("user{number}@example.com")), 202);
    }
    // A connection to the silent server is open, and the requests took no time of it.
    let (_held, _) = silent.accept().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(admin.validate(), 200);

    let server = SmtpServer::start(SmtpOptions::default()).unwrap();
    let app = with_server(Stack::sqlite_memory(), &server).start();
    let admin = app.admin();
    let refused = app.plain_user(&admin, "refused.one");
    app.plain_user(&admin, "later.one");
    assert_eq!([forgot(&app, "refused.one@example.com"), forgot(&app, "later.one@example.com")], [202; 2]);
    assert_eq!(mail(&server, 0)["to"], json!(["later.one@example.com"]), "the second attempt");
    let of = |outcome: &str| {
        let metrics = exposition::Metrics::parse(admin.get("/metrics").expect(200).text());
        metrics.value("larder_mails_total", &[("outcome", outcome)])
    };
    eventually("both are counted", || (of("sent"), of("failed")) == (1.0, 1.0));
    let log = app.larder.printed();
    let given_up = log.lines().find(|line| line.contains("a mail was given up")).unwrap();
    assert!(
        given_up.contains(refused["id"].as_str().unwrap()) && given_up.contains("answered 550"),
        "{given_up}"
    );
    assert!(!log.contains("refused.one@example.com"), "{log}");
}

#[test]
fn a_mail_waits_for_a_server_that_is_away() {
    let port = free_port().unwrap();
    let app = Stack::sqlite_memory()
        .with_setting("LARDER_MAIL_URL", &format!("smtp://127.0.0.1:{port}"))
        .with_setting("LARDER_MAIL_FROM", "no-reply@larder.example")
        .start();
    app.user("ann");
    assert_eq!(forgot(&app, "ann@example.com"), 202);
    eventually("an attempt has failed", || app.larder.printed().contains("a mail could not be sent yet"));
    let server = SmtpServer::start_on(port, SmtpOptions::default()).unwrap();
    app.anonymous().post(RESET, &reset(&token(&mail(&server, 0)), NEW)).expect(204);
}

#[test]
fn without_a_way_to_send_mails_the_routes_say_what_to_configure() {
    let app = Stack::sqlite_memory().start();
    let ann = app.user("ann");
    for answer in [
        app.anonymous().post(FORGOT, &json!({ "email": "ann@example.com" })),
        app.anonymous().post(RESET, &reset("token", NEW)),
        ann.send(Request::new("POST", ASK)),
        app.anonymous().post(CONFIRM, &json!({ "token": "token" })),
    ] {
        answer.refuses(404, "mail_unset");
        assert!(
            answer.text().contains("LARDER_MAIL_URL") && answer.text().contains("LARDER_MAIL_WEBHOOK_URL")
        );
    }
}
