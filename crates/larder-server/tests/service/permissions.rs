//! Permissions over HTTP: which users may grant them, and how soon they take effect.

use std::time::Duration;

use serde_json::json;

use crate::support::app::{TestApp, on_both_databases};
use crate::support::client::Client;
use crate::support::within;

/// The staleness bound: the greatest age of a bounded answer.
const BOUND: Duration = Duration::from_secs(2);

fn path(user: &Client, permission: &str) -> String {
    format!("{}/permissions/{permission}", user.path())
}

fn names(client: &Client, of: &Client) -> Vec<String> {
    let list = client.get(&format!("{}/permissions", of.path())).expect(200).json();
    let items = list["items"].as_array().unwrap().iter();
    items.map(|grant| grant["permission"].as_str().unwrap().to_owned()).collect()
}

fn permissions_are_granted_by_those_who_manage_and_never_to_oneself(app: &TestApp) {
    let admin = app.admin();
    let (ann, bob, helper) = (app.user("ann"), app.user("bob"), app.user_with_role("helper", "admin"));
    let other = app.user_with_role("other", "admin");
    let granted = helper.grant(&ann, "points.write").expect(200).json();
    assert_eq!((&granted["permission"], &granted["granted_by"]), (&json!("points.write"), &json!(helper.id)));
    assert_eq!(admin.grant(&ann, "points.write").expect(200).json(), granted, "as it was");
    admin.grant(&ann, "rooms.clean-2").expect(200);
    for client in [&ann, &helper, &admin] {
        assert_eq!(names(client, &ann), ["points.write", "rooms.clean-2"]);
    }
    bob.get(&format!("{}/permissions", ann.path())).expect(403);
    app.anonymous().get(&format!("{}/permissions", ann.path())).expect(401);
    for (client, target, status) in [
        (&ann, &ann, 403),
        (&ann, &bob, 403),
        (&helper, &helper, 403),
        (&helper, &admin, 403),
        (&helper, &other, 200),
        (&admin, &admin, 200),
        (&app.anonymous(), &ann, 401),
    ] {
        assert_eq!(client.grant(target, "audit.read").status, status);
        let status = if status == 200 { 204 } else { status };
        assert_eq!(client.delete(&path(target, "audit.read")).status, status);
    }
    helper.put("/api/v1/users/me/permissions/audit.read", &json!({})).expect(403);
    admin.delete(&path(&ann, "points.write")).expect(204);
    admin.delete(&path(&ann, "points.write")).expect(204);
    assert_eq!(names(&ann, &ann), ["rooms.clean-2"]);
    for wrong in ["Points.write", "a%00b", "a%20b", "a*", &"x".repeat(65)] {
        admin.put(&path(&ann, wrong), &json!({})).complains_about(422, &["permission"]);
        admin.delete(&path(&ann, wrong)).complains_about(422, &["permission"]);
    }
    admin.put(&path(&ann, "a%ff"), &json!({})).expect(400);
    admin.put("/api/v1/users/a%20b/permissions/A", &json!({})).complains_about(422, &["id", "permission"]);
    admin.put("/api/v1/users/99999999999999999999/permissions/a", &admin.confirmed(&json!({}))).expect(404);
    admin.get("/api/v1/users/123/permissions").expect(404);
}

/// Whether the client may read another user's ledger; the instance decides this by the client's cached permissions.
fn reads(client: &Client, of: &Client) -> bool {
    match client.get(&format!("{}/points", of.path())).status {
        200 => true,
        403 => false,
        status => panic!("{status}"),
    }
}

fn a_permission_comes_and_goes_at_once_here_and_within_the_bound_there(app: &TestApp) {
    let second = app.second_instance();
    let (admin, ann, bob) = (app.admin(), app.user("ann"), app.user("bob"));
    let [here, there] = [bob.clone(), second.here(&bob)];
    for _ in 0..3 {
        assert!(!reads(&here, &ann) && !reads(&there, &ann));
        admin.grant(&bob, "points.write").expect(200);
        assert!(reads(&here, &ann), "at once where it was granted");
        within(BOUND, "granted, elsewhere", || reads(&there, &ann));
        admin.delete(&path(&bob, "points.write")).expect(204);
        assert!(!reads(&here, &ann), "at once where it was revoked");
        let body = json!({ "amount": 1, "reason": "x", "idempotency_key": "k" });
        there.post(&format!("{}/points", ann.path()), &body).expect(403);
        within(BOUND, "revoked, elsewhere", || !reads(&there, &ann));
    }
    app.stack.sql("INSERT INTO permissions (user_id, permission) SELECT id, 'points.write' FROM users WHERE username = 'bob'");
    within(BOUND, "granted by other software, everywhere", || reads(&here, &ann) && reads(&there, &ann));
    within(BOUND, "and shown", || names(&there, &bob) == ["points.write"]);
    app.stack.sql("DELETE FROM permissions");
    within(BOUND, "revoked by other software, everywhere", || !reads(&here, &ann) && !reads(&there, &ann));
    within(BOUND, "and shown", || names(&there, &bob).is_empty());
}

fn a_read_by_permission_ends_with_the_permission(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    for (permission, path) in
        [("statistics.read", "/api/v1/users/statistics"), ("audit.read", "/api/v1/audit")]
    {
        let grant = format!("{}/permissions/{permission}", ann.path());
        ann.get(path).expect(403);
        admin.grant(&ann, permission).expect(200);
        ann.get(path).expect(200);
        admin.delete(&grant).expect(204);
        ann.get(path).expect(403);
    }
}

on_both_databases!(
    a_read_by_permission_ends_with_the_permission,
    permissions_are_granted_by_those_who_manage_and_never_to_oneself,
    a_permission_comes_and_goes_at_once_here_and_within_the_bound_there,
);
