//! Passwords: which are refused, and hashes of the systems that users come from.

use serde_json::json;

use crate::support::app::Stack;

/// Hashes of the password of each user that `TestApp::user` registers.
const HASHES: [&str; 16] = [
    "pbkdf2_sha256$1000$seasalt2$/AgPzJG5e6Yv25JIyxyWfNnB6QXmfp0Y+BEGfC3zoJE=",
    "pbkdf2_sha1$1000$seasalt2$ZXKgkKtGgMyeFjSN97n9NWVUzUU=",
    "$pbkdf2-sha256$1000$MDEyMzQ1Njc4OWFiY2RlZg$BVALGMmC/K/8ELErc5VgJxyPFApArIZRCQsqjEgZWJ4",
    "$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFiY2RlZg$7F/Y1rnWXXurLCfFvAmyjyXtbABhgzBTBNcm//wlnvGBOz7OExlgRFs5qwaY5PzB3/WjR7P4yv/ACDQZpDXIfQ",
    "$pbkdf2$1000$MDEyMzQ1Njc4OWFiY2RlZg$rDjxw4qmzpl4HTyqLNYNsdE5Zi4",
    "$2b$04$c6OiGSwDENz7AGiTPczhZeN4JXUsZLsUqFRtPgWLbGU2qTlHZ1Ly6",
    "$2a$04$c6OiGSwDENz7AGiTPczhZeN4JXUsZLsUqFRtPgWLbGU2qTlHZ1Ly6",
    "bcrypt$$2b$04$c6OiGSwDENz7AGiTPczhZeN4JXUsZLsUqFRtPgWLbGU2qTlHZ1Ly6",
    "bcrypt_sha256$$2b$04$wMCZAb1g.scjv3tG6BXf1OuBpTM3V3eSu0gymB6BF6Gr/4qcOKs86",
    "$bcrypt-sha256$v=2,t=2b,r=4$BZ0wqitMTV8MpOOfy73wV.$rVD7.nsd7KWhqCvMa1wSAk2n592Hxim",
    "argon2$argon2id$v=19$m=512,t=1,p=2$c2Vhc2FsdHNlYXNhbHQ$A9GBd3G663eDHNiPUQXeReK5CUGTSUmZdALZBi9YT8E",
    "scrypt$16$seasalt$8$5$xAqYCS9W+caLs5681n2R3APXiV72AslhItKsBTG6TWWbPXynv+QwCiG9z2QDe6+Ni3HtwW9T7etq0bMXflFWlA==",
    "scrypt$16384$seasalt$8$5$c62G7BnVIdgvpUcj0pQMPzfmtRa4x5epsX8WcSVL79dVUxFXc/iwpywDOJnE/Tyd5630DPDnvhe0YrkyoXDacg==",
    "pbkdf2:sha256:1000$ULJKs9XQ86hxJQLY$1966e24bbe6f4a95deb239c9426dad0d4c196ceaef3e5ef70878f9e0e8e239d3",
    "scrypt:1024:8:1$LlPDfaYZqZqbdt8X$db194c78fb199eb8ba6d30e77414cfdf5bcef1f68d834fbba4dc0c3ea9da7e6618771fd8c0242191944711a3a91ba84eee74295a087d59a8e00e40ecb52f4e67",
    "scrypt:32768:8:1$0PGTLmyGu1PwztuB$fa653989fc4affc2f0387d6184a84710acee923d3855aa40b6367416083722eff804068f2fb3c313d05c07ecae863a8cf068db67d476fb44dcc09a2ea4bf083f",
];

#[test]
fn a_hash_of_another_system_logs_in_once_and_is_replaced() {
    // Each hash costs a wrong login.
    let app = &Stack::sqlite_memory().with_setting("LARDER_FAILURES_PER_ACCOUNT", "100").start();
    let ann = app.user("ann");
    for hash in HASHES {
        let sql = format!("UPDATE credentials SET password_hash = '{hash}' WHERE user_id = '{}'", ann.id);
        app.stack.sql(&sql);
        let wrong = json!({ "username": "ann", "password": "correct house battery" });
        app.anonymous().post("/api/v1/auth/login", &wrong).expect(401);
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
        app.anonymous().post("/api/v1/auth/login", &login).expect(401);
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
        let body = json!({ "email": "bea.long@example.com", "username": "bea-the-long", "phone": "+12425550123",
                           "password": password });
        app.anonymous().post("/api/v1/auth/register", &body)
    };
    for password in [
        "qwertyuiop",
        "Basketball",
        "1111111111",
        "abababababab",
        "Bea.Long@example.com",
        "Bea-The-Long",
        "+12425550123",
        "(242) 555-0123",
    ] {
        register(password).complains_about(422, &["password"]);
    }
    // The same letters from another keyboard.
    register("glu\u{308}ck und salz").expect(201);
    let login = json!({ "username": "bea-the-long", "password": "gl\u{fc}ck und salz" });
    let bea = app.login(&login);
    let own = json!({ "current_password": "gl\u{fc}ck und salz", "new_password": "BEA.LONG@example.com" });
    bea.post("/api/v1/auth/password", &own).complains_about(422, &["new_password"]);
    let own = json!({ "current_password": "gl\u{fc}ck und salz", "new_password": "bea-the-long" });
    bea.post("/api/v1/auth/password", &own).complains_about(422, &["new_password"]);
    let body =
        json!({ "email": "cyd.long@example.com", "username": "cyd", "password": "cyd.long@example.com" });
    app.admin().post("/api/v1/users", &body).complains_about(422, &["password"]);
}
