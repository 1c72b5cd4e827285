//! it360acad: `/api/users/`, a plain array, paths with a slash at their end.

use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_databases};
use crate::support::client::{Client, Request};

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
    app.anonymous().get("/api/users/").expect(401);
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

fn lists_have_pages_as_django_numbers_them(app: &TestApp) {
    let admin = app.admin();
    for n in 0..7 {
        app.plain_user(&admin, &format!("user{n}"));
    }
    let page = |path: &str| admin.get(path).expect(200).json();
    let first = page("/api/users/?page_size=3&is_active=true");
    assert_eq!(
        (&first["count"], names(&first["results"])),
        (&json!(8), vec!["user6".into(), "user5".into(), "user4".into()])
    );
    assert_eq!(first["previous"], Value::Null);
    // A client follows the links as they are, which are absolute.
    let (mut next, mut seen, mut last) = (first["next"].clone(), names(&first["results"]), first);
    while let Some(url) = next.as_str() {
        let origin = format!("http://{}", app.address);
        assert!(url.starts_with(&origin) && url.contains("is_active=true"), "{url}");
        last = page(url.strip_prefix(&origin).unwrap());
        seen.extend(names(&last["results"]));
        next = last["next"].clone();
    }
    assert_eq!(seen.len(), 8);
    let before = last["previous"].as_str().unwrap().to_owned();
    let path = before.strip_prefix(&format!("http://{}", app.address)).unwrap();
    assert_eq!(names(&page(path)["results"]), seen[3..6]);
    assert_eq!(page("/api/users/?page=last&page_size=3")["results"], last["results"]);
    assert_eq!(page("/api/users/?page=1")["count"], 8);
    for size in ["1000", "2147483648", "99999999999999999999999999"] {
        assert_eq!(names(&page(&format!("/api/users/?page_size={size}&format=json"))["results"]).len(), 8);
    }
    for unknown in [
        "page=4&page_size=3",
        "page=0",
        "page=x",
        "page=2",
        "page=99999999999",
        "page=2&search=user0",
        "page=9&username=user0",
    ] {
        let answer = admin.get(&format!("/api/users/?{unknown}"));
        assert_eq!(answer.expect(404).field("detail"), "Invalid page.", "{unknown}");
    }
}

fn lists_are_ordered_searched_and_filtered_as_django_does(app: &TestApp) {
    let admin = app.admin();
    for (name, full, points) in [("ann", "Zoë Ünal", 5), ("bea", "Zoë Adams", 9), ("cyd", "Carl", 1)] {
        let body = json!({ "email": format!("{name}@example.com"), "username": name, "full_name": full,
                           "external_id": format!("x|{name}") });
        let id = admin.post("/api/users/", &body).expect(201).field("id");
        let points = json!({ "amount": points, "reason": "x", "idempotency_key": name });
        admin.post(&format!("/api/v1/users/{id}/points"), &points).expect(201);
    }
    let ann = app.user("dan");
    let list = |query: &str| names(&admin.get(&format!("/api/users/?{query}")).expect(200).json());
    let page = |query: &str| {
        let page = admin.get(&format!("/api/users/?page=1&{query}")).expect(200).json();
        (page["count"].as_i64().unwrap(), names(&page["results"]))
    };
    for (query, wanted) in [
        ("ordering=username", vec!["admin", "ann", "bea", "cyd", "dan"]),
        ("ordering=-username", vec!["dan", "cyd", "bea", "ann", "admin"]),
        ("ordering=-points", vec!["bea", "ann", "cyd"]),
        ("ordering=-created_at", vec!["dan", "cyd", "bea", "ann", "admin"]),
        ("ordering=nonsense,id", vec!["admin", "ann", "bea", "cyd", "dan"]),
        ("search=zoe", vec!["bea", "ann"]),
        ("search=zoe&ordering=username", vec!["ann", "bea"]),
        ("search=zoe&ordering=points", vec!["ann", "bea"]),
        ("username=ann", vec!["ann"]),
        ("email=Bea@example.com", vec!["bea"]),
        ("external_id=x%7Ccyd", vec!["cyd"]),
        ("external_id=x%7Ccyd&search=zoe", vec![]),
        ("username=ann&search=zoe&role=user&is_active=True", vec!["ann"]),
        ("username=ann&role=admin", vec![]),
        ("username=ann&email=bea@example.com", vec![]),
        ("username=nobody", vec![]),
        ("id=nonsense", vec![]),
        ("role=superadmin", vec!["admin"]),
        ("role=&is_active=1", vec!["dan", "cyd", "bea", "ann", "admin"]),
        ("is_active=False", vec![]),
    ] {
        assert_eq!(list(query)[..wanted.len()], wanted, "{query}");
        let (count, results) = page(query);
        assert_eq!(results[..wanted.len()], wanted, "{query}");
        if !query.contains("-points") {
            assert_eq!((list(query).len(), count), (wanted.len(), wanted.len() as i64), "{query}");
        }
    }
    // Of another user, no caller finds an address that it may not see.
    assert_eq!(names(&ann.get("/api/users/?email=bea@example.com").expect(200).json()), Vec::<String>::new());
    assert_eq!(names(&ann.get("/api/users/?email=dan@example.com").expect(200).json()), ["dan"]);
    admin
        .get("/api/users/?role=king&is_active=maybe&full_name=Carl")
        .complains_about(422, &["full_name", "is_active", "role"]);
    ann.get("/api/users/?is_active=false").complains_about(422, &["is_active"]);
    ann.get("/api/users/?ordering=email").complains_about(422, &["ordering"]);
    admin.get("/api/users/?page=1&cursor=x").complains_about(422, &["cursor"]);
}

/// Each pair of filters, in both orders: a filter on hidden data would be an oracle beside one that finds the user.
fn no_pair_of_filters_confirms_hidden_data(app: &TestApp) {
    let admin = app.admin();
    let body = json!({ "email": "bob@example.com", "username": "bob", "phone": "+12425550123", "external_id": "b7" });
    let id = admin.post("/api/users/", &body).expect(201).field("id");
    let boss = json!({ "phone": "+12425550177", "current_password": admin.password });
    admin.patch("/api/v1/users/me", &boss).expect(200);
    let (ann, helper) = (app.user("ann"), app.user_with_role("helper", "admin"));
    let list = |by: &Client, query: &str| names(&by.get(&format!("/api/users/?{query}")).expect(200).json());
    let pairs = |by: &Client, shown: &[String], hidden: [&str; 2]| {
        let mut found = Vec::new();
        for (shown, hidden) in shown.iter().flat_map(|shown| hidden.map(|hidden| (shown, hidden))) {
            assert_eq!(list(by, shown).len(), 1, "{shown}");
            for query in [format!("{shown}&{hidden}"), format!("{hidden}&{shown}"), hidden.to_owned()] {
                found.extend(list(by, &query));
                found.extend(list(by, &format!("{query}&search=example")));
                let page = by.get(&format!("/api/users/?page=1&{query}")).expect(200).json();
                found.extend(names(&page["results"]));
            }
        }
        found
    };
    let of_bob = [format!("id={id}"), "external_id=b7".to_owned(), "username=bob".to_owned()];
    let hidden = ["email=bob@example.com", "phone=%2B12425550123"];
    assert_eq!(pairs(&ann, &of_bob, hidden), Vec::<String>::new(), "a user sees neither");
    assert!(pairs(&helper, &of_bob, hidden).len() >= 18, "an admin sees both");
    // The data of superadmins are hidden from admins.
    let of_boss = [format!("id={}", admin.id), "username=admin".to_owned()];
    let hidden = ["email=boss@example.com", "phone=%2B12425550177"];
    assert_eq!(pairs(&helper, &of_boss, hidden), Vec::<String>::new());
    for by in [json!({ "email": "boss@example.com" }), json!({ "phone": "+12425550177" })] {
        helper.lookup(&by).expect(404);
        assert_eq!(admin.lookup(&by).expect(200).field("username"), "admin");
    }
}

fn a_path_without_its_slash_is_redirected(app: &TestApp) {
    let admin = app.admin();
    for (method, status) in [("GET", 301), ("HEAD", 301), ("POST", 308), ("OPTIONS", 308)] {
        let answer = admin.raw(Request::new(method, "/api/users?search=a%20b&page=1"));
        assert_eq!(answer.status, status, "{method}");
        assert_eq!(answer.header("location"), Some("/api/users/?search=a%20b&page=1"), "{method}");
    }
    for (method, status) in [("GET", 301), ("PUT", 308), ("PATCH", 308), ("DELETE", 308)] {
        let answer = admin.raw(Request::new(method, "/api/users/auth0%7C1").json(&json!({ "bio": "x" })));
        assert_eq!(answer.status, status, "{method}");
        assert_eq!(answer.header("location"), Some("/api/users/auth0%7C1/"), "{method}");
    }
}

on_both_databases!(
    lists_have_pages_as_django_numbers_them,
    lists_are_ordered_searched_and_filtered_as_django_does,
    no_pair_of_filters_confirms_hidden_data,
    a_path_without_its_slash_is_redirected,
    users_are_an_array_and_each_has_a_path_with_a_slash,
    an_array_of_more_than_a_thousand_continues_behind_a_link,
);
