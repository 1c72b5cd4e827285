//! katiba360: users drop what is cached of themselves, admins what is cached of all.

use serde_json::json;

use crate::support::app::{TestApp, on_both_databases};
use crate::support::eventually;

fn each_drops_its_own_and_admins_what_is_everybodys(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let explain = || {
        let body = json!({ "class": "user_details", "key": [ann.id] });
        admin.post("/api/v1/cache/explain", &body).expect(200).json()
    };
    eventually("the user is held", || {
        ann.get(&ann.path()).expect(200);
        ann.get(&ann.path()).expect(200);
        !explain()["memory"].is_null() || !explain()["redis"].is_null()
    });
    let dropped = ann.post("/api/v1/users/cache/invalidate", &json!(null)).expect(200).json();
    assert_eq!((&dropped["success"], &dropped["invalidated"]["what"]), (&json!(true), &json!("user")));
    assert!(explain()["memory"].is_null() && explain()["redis"].is_null(), "{}", explain());

    let dropped = ann.post("/api/v1/achievements/cache/invalidate", &json!(null)).expect(200).json();
    assert_eq!(dropped["invalidated"]["what"], "achievements");
    assert_eq!(dropped["invalidated"]["keys"], 3, "{dropped}");
    ann.post("/api/v1/achievements/cache/invalidate/global", &json!(null)).expect(403);
    let dropped = admin.post("/api/v1/achievements/cache/invalidate/global", &json!(null)).expect(200).json();
    assert_eq!(dropped["invalidated"]["tags"], 2, "{dropped}");
    for path in
        ["users/cache/invalidate", "achievements/cache/invalidate", "achievements/cache/invalidate/global"]
    {
        app.stranger().post(&format!("/api/v1/{path}"), &json!(null)).expect(401);
    }
}

on_both_databases!(each_drops_its_own_and_admins_what_is_everybodys);
