//! Users with rights, by their role or by a permission: what a stolen token or key of an admin cannot do to them.

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp, on_both_databases};
use crate::support::client::{Answer, Client, Request};

fn send(by: &Client, (method, path, body): &(&'static str, String, Value)) -> Answer {
    by.send(Request::new(method, path).json(body))
}

fn enable_second_factor(user: &Client) {
    let enrolled = user.post("/api/v1/auth/totp/enroll", &json!({ "password": PASSWORD })).expect(200);
    let secret = totp_rs::Secret::try_from_base32(enrolled.field("secret")).unwrap();
    let code = totp_rs::Builder::new().with_secret(secret).build().unwrap().generate_current().to_string();
    user.post("/api/v1/auth/totp/confirm", &json!({ "totp_code": code })).expect(200);
}

fn has_second_factor(user: &Client) -> bool {
    user.get("/api/v1/auth/totp").expect(200).json()["enabled"] == true
}

/// Neither a token nor a key of a superadmin deletes a user with rights, or weakens its login.
fn a_stolen_token_strips_no_user_with_rights(app: &TestApp) {
    let boss = app.admin();
    let (helper, ann, bea) = (app.user_with_role("helper", "admin"), app.user("ann"), app.user("bea"));
    boss.grant(&ann, "rooms.clean").expect(200);
    let key = boss.with_token(&boss.make_key(&json!({ "name": "ci" })).expect(201).field("key"));
    for user in [&helper, &ann, &bea] {
        enable_second_factor(user);
        let reset = ("DELETE", format!("{}/totp", user.path()), json!({}));
        let deletions = [
            ("DELETE", user.path(), json!({})),
            ("DELETE", format!("/v1.0/user/delete/{}", user.id), json!({})),
            ("DELETE", format!("/api/users/{}/", user.id), json!({})),
        ];
        if user.id != bea.id {
            boss.delete(&reset.1).refuses(403, "password_needed");
            send(&boss, &reset).refuses(403, "password_needed");
            for deletion in &deletions {
                boss.delete(&deletion.1).refuses(403, "password_needed");
                send(&key, &(deletion.0, deletion.1.clone(), boss.confirmed(&json!({}))))
                    .refuses(403, "login_needed");
            }
            let guess = json!({ "current_password": "wrong horse battery" });
            boss.delete_with(&reset.1, &guess).refuses(403, "password_wrong");
            boss.delete_with(&user.path(), &guess).refuses(403, "password_wrong");
        }
        assert!(has_second_factor(user));
        // Of a user without rights, what needs no password stays as it was.
        let body = if user.id == bea.id { json!({}) } else { boss.confirmed(&json!({})) };
        boss.delete_with(&reset.1, &body).expect(204);
        assert!(!has_second_factor(user));
        boss.delete_with(&user.path(), &body).expect(204);
    }
}

/// A permission is a right as a role is: a user that has one is activated and renamed with the password only.
fn a_user_with_a_permission_is_protected_as_an_admin_is(app: &TestApp) {
    let (boss, ann, bea) = (app.admin(), app.user("ann"), app.user("bea"));
    boss.grant(&ann, "audit.read").expect(200);
    let external = json!({ "external_id": "staff-1" });
    boss.patch(&ann.path(), &external).expect(200);
    boss.patch(&bea.path(), &json!({ "external_id": "staff-2" })).expect(200);
    for user in [&ann, &bea] {
        boss.post(&format!("{}/deactivate", user.path()), &json!(null)).expect(200);
    }
    let key = boss.with_token(&boss.make_key(&json!({ "name": "ci" })).expect(201).field("key"));
    let gifts = [
        ("POST", format!("{}/activate", ann.path()), json!({})),
        ("POST", format!("/v1.0/user/{}/activate", ann.id), json!({})),
        ("PATCH", ann.path(), json!({ "is_active": true })),
        ("PATCH", ann.path(), json!({ "email": "thief@example.com" })),
        ("PATCH", ann.path(), json!({ "username": "thief" })),
    ];
    for gift in &gifts {
        send(&boss, gift).refuses(403, "password_needed");
        send(&key, gift).refuses(403, "login_needed");
    }
    let both = json!({ "ids": [ann.id, bea.id] });
    let outcomes = |answer: Value| [0, 1].map(|nth| answer["results"][nth]["outcome"].clone());
    let bulk = key.post("/api/v1/users/bulk/activate", &both).expect(200).json();
    assert_eq!(outcomes(bulk), ["forbidden", "changed"]);
    // An import has no password, so it gives no user with rights a login.
    let import = |line: Value| {
        let request =
            Request::new("POST", "/api/v1/users/import").header("content-type", "application/x-ndjson");
        let report = key.send(request.bytes(line.to_string())).expect(200).json();
        (report["updated"].clone(), report["errors"][0]["field"].clone())
    };
    let hash = "$2b$04$abcdefghijklmnopqrstuuk6Q5AkpXJ0vlH1iZAnNhFTwVdSBrd8m";
    for (line, field) in [
        (json!({ "external_id": "staff-1", "is_active": true }), "is_active"),
        (json!({ "external_id": "staff-1", "email": "thief@example.com" }), "id"),
        (json!({ "external_id": "staff-1", "phone": "+12425550123" }), "id"),
    ] {
        assert_eq!(import(line.clone()), (json!(0), json!(field)), "{line}");
    }
    assert_eq!(import(json!({ "external_id": "staff-1", "bio": "at work" })), (json!(1), Value::Null));
    assert_eq!(
        import(json!({ "external_id": "staff-2", "email": "b@example.com" })),
        (json!(1), Value::Null)
    );
    let cyd = app.plain_user(&boss, "cyd");
    let id = cyd["id"].as_str().unwrap();
    let with_hash = json!({ "id": id, "password_hash": hash });
    boss.put(&format!("/api/v1/users/{id}/permissions/audit.read"), &boss.confirmed(&json!({}))).expect(200);
    assert_eq!(import(with_hash), (json!(0), json!("id")));

    let bulk = boss.post("/api/v1/users/bulk/activate", &boss.confirmed(&both)).expect(200).json();
    assert_eq!(outcomes(bulk), ["changed", "already"]);
    for (method, path, body) in &gifts[3..] {
        send(&boss, &(*method, path.clone(), boss.confirmed(body))).expect(200);
    }
    // Without the permission the user is as any other.
    boss.delete(&format!("{}/permissions/audit.read", ann.path())).expect(204);
    key.patch(&ann.path(), &json!({ "email": "ann@example.com" })).expect(200);
    key.delete(&ann.path()).expect(204);
}

on_both_databases!(
    a_stolen_token_strips_no_user_with_rights,
    a_user_with_a_permission_is_protected_as_an_admin_is,
);
