//! A client reads, changes what it wants to change, and sends the complete answer back.

use serde_json::json;

use crate::support::app::{TestApp, on_stacks};
use crate::support::client::Client;

fn what_get_returns_can_be_put_back(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let about = json!({ "bio": "mine", "skills": ["rust"], "phone": "+12425550123" });
    ann.patch("/api/v1/users/me", &ann.confirmed(&about)).expect(200);
    admin.patch(&ann.path(), &json!({ "external_id": "staff-9" })).expect(200);
    let fresh =
        |client: &Client, path: &str| client.get(&format!("{path}?consistency=fresh")).expect(200).json();
    for by in [&ann, &admin] {
        let own = fresh(by, &ann.path());
        let kept = by.put(&ann.path(), &own).expect(200).json();
        for (field, value) in own.as_object().unwrap() {
            let is_kept = ["updated_at", "version"].contains(&field.as_str()) || kept[field] == *value;
            assert!(is_kept, "{field}: {own} became {kept}");
        }
    }
    let profile = fresh(&ann, &format!("{}/profile", ann.path()));
    assert_eq!(ann.put("/api/v1/users/me/profile", &profile).expect(200).json()["bio"], "mine");
    for part in ["preferences", "languages", "accessibility", "interests"] {
        let path = format!("/api/v1/users/me/{part}");
        let shown = fresh(&ann, &path);
        assert_eq!(ann.put(&path, &shown).expect(200).json(), shown);
    }

    // What a caller cannot change is named if it differs, and nothing is changed.
    let own = fresh(&ann, &ann.path());
    for (field, other) in [
        ("id", json!(admin.id)),
        ("points", json!(7)),
        ("created_at", json!("2020-01-01T00:00:00Z")),
        ("updated_at", json!("2020-01-01T00:00:00Z")),
        ("version", json!(1)),
    ] {
        let mut changed = own.clone();
        changed[field] = other;
        ann.put("/api/v1/users/me", &changed).complains_about(422, &[field]);
        admin.put(&ann.path(), &changed).complains_about(422, &[field]);
    }
    for (field, other) in
        [("role", json!("admin")), ("is_active", json!(false)), ("external_id", json!(null))]
    {
        let mut changed = own.clone();
        changed[field] = other;
        ann.put("/api/v1/users/me", &changed).expect(403);
    }
    let mut renamed = profile.clone();
    renamed["username"] = json!("anna");
    ann.put("/api/v1/users/me/profile", &renamed).complains_about(422, &["username"]);
    assert_eq!(fresh(&ann, &ann.path()), own);
}

on_stacks!([sqlite_memory], what_get_returns_can_be_put_back);
