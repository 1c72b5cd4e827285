//! The generic user-management cache: `/cache`, answered as the hotel answers `/v1.0/cache`.

use serde_json::json;

use crate::support::app::{TestApp, on_both_databases};

fn every_path_answers_as_the_hotels(app: &TestApp) {
    let admin = app.admin();
    for path in ["health", "stats", "test"] {
        let names = |root: &str| {
            let answer = admin.get(&format!("{root}/{path}")).expect(200).json();
            answer.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(names("/cache"), names("/v1.0/cache"), "{path}");
    }
    for path in ["warm", "clear", "clear/user/4711"] {
        let post = |root: &str| admin.post(&format!("{root}/{path}"), &json!(null)).expect(200).json();
        assert_eq!(post("/cache"), post("/v1.0/cache"), "{path}");
    }
    let ann = app.user("ann");
    app.anonymous().get("/cache/health").expect(200);
    for path in ["stats", "test"] {
        let path = format!("/cache/{path}");
        assert_eq!((app.anonymous().get(&path).status, ann.get(&path).status), (401, 403), "{path}");
    }
    for path in ["clear", "clear/user/1", "warm"] {
        let path = format!("/cache/{path}");
        let statuses = [&app.anonymous(), &ann].map(|client| client.post(&path, &json!(null)).status);
        assert_eq!(statuses, [401, 403], "{path}");
    }
}

on_both_databases!(every_path_answers_as_the_hotels);
