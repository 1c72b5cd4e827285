//! The functions that a service must have for each kind of connection to its database.

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::{TIMEOUT, within};

/// Uses both instances for users, a session, points, a list, statistics, a foreign write and a deactivation.
pub(super) fn check(app: &TestApp, second: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let there = second.here(&ann);
    let me = "/api/v1/users/me";
    for (writer, bio) in [(&ann, "here"), (&there, "there"), (&ann, "here again")] {
        let written = writer.patch(me, &json!({ "bio": bio })).expect(200);
        assert!(
            written.header("cache-invalidation").is_some_and(|said| said != "queued"),
            "{}",
            written.text()
        );
        assert_eq!(writer.get(me).expect(200).field("bio"), bio);
        for reader in [&ann, &there] {
            within(TIMEOUT, "both instances see it", || reader.get(me).expect(200).field("bio") == bio);
            assert_eq!(reader.get(&format!("{me}?consistency=fresh")).expect(200).field("bio"), bio);
        }
    }
    app.stack.sql("UPDATE users SET bio = 'by hand' WHERE username = 'ann'");
    for reader in [&ann, &there] {
        within(TIMEOUT, "a foreign write is seen", || reader.get(me).expect(200).field("bio") == "by hand");
    }
    let booking = json!({ "amount": 7, "reason": "a test", "idempotency_key": "k" });
    let path = format!("{}/points", ann.path());
    admin.post(&path, &booking).expect(201);
    second.here(&admin).post(&path, &booking).expect(200);
    assert_eq!(there.get("/api/v1/users/me/points").expect(200).json()["balance"], 7);
    let taken =
        json!({ "email": "ann@example.com", "username": "other", "password": "correct horse battery" });
    second.anonymous().post("/api/v1/auth/register", &taken).expect(409);
    let ben = app.plain_user(&admin, "ben");
    let ben = format!("/api/v1/users/{}", ben["id"].as_str().unwrap());
    within(TIMEOUT, "the list has all", || {
        there.get("/api/v1/users").expect(200).json()["items"].as_array().unwrap().len() == 3
    });
    admin.delete(&ben).expect(204);
    admin.get(&ben).expect(404);
    assert_eq!(there.validate(), 200);
    app.stack.sql("UPDATE users SET is_active = FALSE WHERE username = 'ann'");
    within(TIMEOUT, "the token ends", || ann.validate() == 401 && there.validate() == 401);
}
