//! it360acad: `/api/users/`, a plain array, paths with a slash at their end.

use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_databases};

fn names(list: &Value) -> Vec<String> {
    let items = list.as_array().unwrap_or_else(|| panic!("no array: {list}"));
    items.iter().map(|user| user["username"].as_str().unwrap().to_owned()).collect()
}

fn users_are_an_array_and_each_has_a_path_with_a_slash(app: &TestApp) {
    let admin = app.admin();
    let body = json!({ "email": "ann@example.com", "username": "ann", "password": "correct horse battery",
                       "external_id": "123" });
    let made = admin.post("/api/users/", &body).expect(201);
    assert!(made.header("location").unwrap().ends_with(&made.field("id")), "{made:?}");
    let ann = app.again("ann");
    assert_eq!(names(&admin.get("/api/users/").expect(200).json()), ["ann", "admin"]);
    let one = admin.get("/api/users/123/").expect(200).json();
    assert_eq!((&one["id"], &one["email"]), (&json!(made.field("id")), &json!("ann@example.com")));

    assert_eq!(ann.patch("/api/users/123/", &json!({ "bio": "one" })).expect(200).json()["bio"], "one");
    assert_eq!(admin.get("/api/users/").expect(200).json()[0]["bio"], "one", "an update drops the list");
    let whole = json!({ "email": "ann@example.com", "username": "ann", "bio": "two" });
    assert_eq!(admin.put("/api/users/123/", &whole).expect(200).json()["bio"], "two");
    assert_eq!(admin.get("/api/users/123/").expect(200).json()["bio"], "two");

    let seen = ann.get("/api/users/").expect(200).json();
    let boss = seen.as_array().unwrap().iter().find(|user| user["username"] == "admin").unwrap();
    assert_eq!(boss["email"], Value::Null, "others see no address");
    app.stranger().get("/api/users/").expect(401);
    ann.post("/api/users/", &body).expect(403);

    admin.delete("/api/users/123/").expect(204);
    admin.get("/api/users/123/").expect(404);
    assert_eq!(names(&admin.get("/api/users/").expect(200).json()), ["admin"]);
}

fn an_array_of_more_than_a_thousand_continues_behind_a_link(app: &TestApp) {
    let admin = app.admin();
    app.stack.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)
         INSERT INTO users (id, email, username)
         SELECT '0192f0c1-0000-7000-8000-' || substr(CAST(1000000000000 + i AS TEXT), 2),
                'u' || i || '@example.com', 'user' || i FROM n",
    );
    let mut client_path = "/api/users/".to_owned();
    let mut seen = Vec::new();
    let mut sizes = Vec::new();
    loop {
        let answer = admin.get(&client_path).expect(200);
        let part = names(&answer.json());
        sizes.push(part.len());
        seen.extend(part);
        let Some(link) = answer.header("link") else { break };
        let (target, relation) = link.split_once(';').unwrap();
        assert_eq!(relation.trim(), "rel=\"next\"");
        client_path = target.trim_start_matches('<').trim_end_matches('>').to_owned();
    }
    assert_eq!(sizes, [1000, 101]);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 1101, "each user once");
    admin.get("/api/users/?cursor=x").complains_about(422, &["cursor"]);
}

on_both_databases!(
    users_are_an_array_and_each_has_a_path_with_a_slash,
    an_array_of_more_than_a_thousand_continues_behind_a_link,
);
