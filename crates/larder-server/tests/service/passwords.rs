//! Passwords: which are refused, and hashes of the systems that users come from.

use serde_json::json;

use crate::support::app::Stack;

/// Hashes of the password of each user that `TestApp::user` registers.
const HASHES: [&str; 9] = [
    "pbkdf2_sha256$1000$seasalt2$/AgPzJG5e6Yv25JIyxyWfNnB6QXmfp0Y+BEGfC3zoJE=",
    "pbkdf2_sha1$1000$seasalt2$ZXKgkKtGgMyeFjSN97n9NWVUzUU=",
    "$pbkdf2-sha256$1000$MDEyMzQ1Njc4OWFiY2RlZg$BVALGMmC/K/8ELErc5VgJxyPFApArIZRCQsqjEgZWJ4",
    "$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFiY2RlZg$7F/Y1rnWXXurLCfFvAmyjyXtbABhgzBTBNcm//wlnvGBOz7OExlgRFs5qwaY5PzB3/WjR7P4yv/ACDQZpDXIfQ",
    "$pbkdf2$1000$MDEyMzQ1Njc4OWFiY2RlZg$rDjxw4qmzpl4HTyqLNYNsdE5Zi4",
    "$2b$04$c6OiGSwDENz7AGiTPczhZeN4JXUsZLsUqFRtPgWLbGU2qTlHZ1Ly6",
    "$2a$04$c6OiGSwDENz7AGiTPczhZeN4JXUsZLsUqFRtPgWLbGU2qTlHZ1Ly6",
    "bcrypt$$2b$04$c6OiGSwDENz7AGiTPczhZeN4JXUsZLsUqFRtPgWLbGU2qTlHZ1Ly6",
    "bcrypt_sha256$$2b$04$wMCZAb1g.scjv3tG6BXf1OuBpTM3V3eSu0gymB6BF6Gr/4qcOKs86",
];
#[test]
fn a_hash_of_another_system_logs_in_once_and_is_replaced() {
    let app = &Stack::sqlite_memory().start();
    let ann = app.user("ann");
    for hash in HASHES {
        let sql = format!("UPDATE credentials SET password_hash = '{hash}' WHERE user_id = '{}'", ann.id);
        app.stack.sql(&sql);
        let wrong = json!({ "username": "ann", "password": "correct house battery" });
        app.stranger().post("/api/v1/auth/login", &wrong).expect(401);
        assert_eq!(app.again("ann").validate(), 200, "{hash}");
        let stored =
            app.stack.sql(&format!("SELECT password_hash FROM credentials WHERE user_id = '{}'", ann.id));
        assert!(stored.starts_with("$argon2id$"), "{hash} became {stored}");
    }
    assert_eq!([ann.validate(), app.again("ann").validate()], [200; 2], "no session ended");
}

/// A hash of Argon2id with 17 lanes, which is one more than is compared.
const OVER_THE_BOUND: &str =
    "$argon2id$v=19$m=256,t=1,p=17$c2Vhc2FsdHNlYXNhbHQyMg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[test]
fn a_hash_over_the_bound_logs_in_no_user_and_is_logged_once() {
    let app = &Stack::sqlite_memory().start();
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    app.stack.sql(&format!(
        "UPDATE credentials SET password_hash = '{OVER_THE_BOUND}' WHERE user_id = '{}'",
        ann.id
    ));
    let login = json!({ "username": "ann", "password": "correct horse battery" });
    for _ in 0..2 {
        app.stranger().post("/api/v1/auth/login", &login).expect(401);
    }
    assert_eq!([app.again("bob").validate(), bob.validate()], [200; 2]);
    let printed = app.larder.printed();
    let named: Vec<_> = printed.lines().filter(|line| line.contains("a password hash")).collect();
    assert_eq!(named.len(), 1, "{named:?}");
    assert!(named[0].contains(&ann.id) && !named[0].contains("$argon2"), "{named:?}");
}

#[test]
fn what_everybody_guesses_first_is_refused() {
    let app = &Stack::sqlite_memory().start();
    let register = |password: &str| {
        let body = json!({ "email": "bea.long@example.com", "username": "bea", "password": password });
        app.stranger().post("/api/v1/auth/register", &body)
    };
    for password in ["qwertyuiop", "Basketball", "1111111111", "Bea.Long@example.com"] {
        register(password).complains_about(422, &["password"]);
    }
    // The same letters from another keyboard.
    register("glu\u{308}ck und salz").expect(201);
    let login = json!({ "username": "bea", "password": "gl\u{fc}ck und salz" });
    let bea = app.login(&login);
    let own = json!({ "current_password": "gl\u{fc}ck und salz", "new_password": "BEA.LONG@example.com" });
    bea.post("/api/v1/auth/password", &own).complains_about(422, &["new_password"]);
    let body =
        json!({ "email": "cyd.long@example.com", "username": "cyd", "password": "cyd.long@example.com" });
    app.admin().post("/api/v1/users", &body).complains_about(422, &["password"]);
}
