//! `GET /api/v1/users`: pages, cursors, filters, sorts and searches; newest first.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::{TestApp, on_every_stack};
use crate::support::client::Client;
use crate::support::within;

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap()).collect()
}

fn list(client: &Client, query: &str) -> Value {
    client.get(&format!("/api/v1/users{query}")).expect(200).json()
}

/// Follows the cursors to the end; returns the size of each part, and the names in order.
fn walk(client: &Client, query: &str) -> (Vec<usize>, Vec<String>) {
    let (mut sizes, mut seen) = (Vec::new(), Vec::new());
    let mut part = list(client, query);
    loop {
        sizes.push(part["items"].as_array().unwrap().len());
        seen.extend(names(&part).into_iter().map(str::to_owned));
        let Some(cursor) = part["next_cursor"].as_str() else { return (sizes, seen) };
        part = list(client, &format!("{query}&cursor={cursor}"));
        assert_eq!(part["page"], Value::Null, "a cursor has no page");
    }
}

fn pages_and_cursors_list_every_user_newest_first(app: &TestApp) {
    let admin = app.admin();
    let made: Vec<String> = (10..40).map(|number| format!("user{number}")).collect();
    for name in &made {
        app.plain_user(&admin, name);
    }
    let newest_first: Vec<String> =
        made.iter().rev().cloned().chain(std::iter::once("admin".to_owned())).collect();

    let first = list(&admin, "");
    assert_eq!((&first["page"], &first["limit"], &first["total"]), (&json!(1), &json!(25), &json!(31)));
    assert_eq!(names(&first), newest_first[..25]);
    let second = list(&admin, "?page=2");
    assert_eq!((names(&second).len(), &second["page"], &second["next_cursor"]), (6, &json!(2), &Value::Null));
    assert_eq!(names(&second), newest_first[25..]);
    let beyond = list(&admin, "?page=3");
    assert_eq!((&beyond["items"], &beyond["total"]), (&json!([]), &json!(31)));
    assert_eq!(names(&list(&admin, "?page=4&limit=10")), newest_first[30..]);
    assert_eq!(names(&list(&admin, "?limit=100")), newest_first);

    let (sizes, seen) = walk(&admin, "?limit=8");
    assert_eq!((sizes, seen), (vec![8, 8, 8, 7], newest_first.clone()));
    assert_eq!(walk(&admin, "?limit=31").0, [31], "no cursor leads to an empty part");
    assert_eq!(walk(&admin, "?limit=1").1, newest_first);
}

fn a_walk_misses_no_user_when_the_list_changes_under_it(app: &TestApp) {
    let admin = app.admin();
    let made: Vec<String> = (10..20).map(|number| format!("user{number}")).collect();
    for name in &made {
        app.plain_user(&admin, name);
    }
    let first = list(&admin, "?limit=4");
    assert_eq!(names(&first), ["user19", "user18", "user17", "user16"]);
    // Adds a user before the place of the cursor, and deletes the user of the cursor.
    app.plain_user(&admin, "late");
    let gone = first["items"][3]["id"].as_str().unwrap();
    admin.delete(&format!("/api/v1/users/{gone}")).expect(204);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = list(&admin, &format!("?limit=100&cursor={cursor}"));
    assert_eq!(names(&rest), ["user15", "user14", "user13", "user12", "user11", "user10", "admin"]);
    assert_eq!(rest["total"], 11);
}

fn filters_narrow_the_list_and_its_total(app: &TestApp) {
    let admin = app.admin();
    for (name, role, is_active) in
        [("ann", "user", true), ("bea", "admin", true), ("cyd", "user", false), ("dan", "admin", false)]
    {
        let email = format!("{name}@example.com");
        let body = json!({ "email": email, "username": name, "role": role, "is_active": is_active });
        admin.post("/api/v1/users", &admin.confirmed(&body)).expect(201);
    }
    for (query, expected) in [
        ("?role=user", vec!["cyd", "ann"]),
        ("?role=admin", vec!["dan", "bea"]),
        ("?role=superadmin", vec!["admin"]),
        ("?status=inactive", vec!["dan", "cyd"]),
        ("?status=active&role=admin", vec!["bea"]),
        ("?status=inactive&role=superadmin", vec![]),
    ] {
        let list = list(&admin, query);
        assert_eq!((names(&list), &list["total"]), (expected.clone(), &json!(expected.len())), "{query}");
        let (sizes, walked) = walk(&admin, &format!("{query}&limit=1"));
        assert_eq!(
            (sizes.len(), walked),
            (expected.len().max(1), expected.iter().map(|n| n.to_string()).collect())
        );
    }
    // A change moves a user from one filtered list to another.
    let ann = admin.lookup(&json!({ "username": "ann" })).field("id");
    admin.post(&format!("/api/v1/users/{ann}/deactivate"), &json!({})).expect(200);
    assert_eq!(names(&list(&admin, "?status=inactive")), ["dan", "cyd", "ann"]);
    assert_eq!(names(&list(&admin, "?status=active&role=user")), [""; 0]);
    admin.patch(&format!("/api/v1/users/{ann}"), &admin.confirmed(&json!({ "role": "admin" }))).expect(200);
    assert_eq!(list(&admin, "?role=admin")["total"], 3);
}

fn impossible_parts_of_the_list_are_refused(app: &TestApp) {
    let ann = app.user("ann");
    let cursor = {
        app.user("bea");
        list(&ann, "?limit=1")["next_cursor"].as_str().unwrap().to_owned()
    };
    let get = |query: &str| ann.get(&format!("/api/v1/users?{query}"));
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=1e1", "limit"),
        ("page=0", "page"),
        ("page=401", "page"),
        ("page=1.5", "page"),
        ("role=king", "role"),
        ("status=asleep", "status"),
        ("status=inactive", "status"),
        ("sort=phone", "sort"),
        ("sort=email", "sort"),
        ("sort=id;drop", "sort"),
        ("search=", "search"),
        ("search=%00abc", "search"),
        ("search=abc&page=2", "page"),
        ("search=abc&sort=username", "sort"),
        ("consistency=strong", "consistency"),
        ("cursor=", "cursor"),
        (&format!("cursor={cursor}x"), "cursor"),
        (&format!("cursor={}", &cursor[1..]), "cursor"),
        (&format!("cursor={cursor}&page=1"), "cursor"),
        (&format!("cursor={cursor}&sort=username"), "cursor"),
        (&format!("cursor={cursor}&role=user"), "cursor"),
        (&format!("cursor={cursor}&search=bea"), "cursor"),
    ] {
        get(query).complains_about(422, &[field]);
    }
    get(&format!("search={}", "x".repeat(101))).complains_about(422, &["search"]);
    get("limit=0&page=-1&role=x&status=x&sort=x")
        .complains_about(422, &["limit", "page", "role", "sort", "status"]);
    get("page=100&limit=100").expect(200);
    get("page=101&limit=100").complains_about(422, &["page"]);
    get(&format!("cursor={cursor}")).expect(200);
    // The message distinguishes an invalid cursor from a cursor of another list.
    let message = get(&format!("cursor={cursor}&sort=points")).json()["errors"]["cursor"].to_string();
    assert!(message.contains("another role, status, sort or search"), "{message}");
    assert_eq!(list(&ann, "")["total"], 3);
}

fn lists_are_sorted_and_searched(app: &TestApp) {
    let admin = app.admin();
    for (number, name) in ["Zoë Ünal", "Bob Stone", "Ann Stone"].into_iter().enumerate() {
        let username = format!("user{number}");
        let body =
            json!({ "email": format!("u{number}@mail.example"), "username": username, "full_name": name });
        admin.post("/api/v1/users", &body).expect(201);
    }
    app.stack.sql(
        "INSERT INTO points_ledger (user_id, amount, reason, idempotency_key)
         SELECT id, 7, 'by hand', 'lists' FROM users WHERE username = 'user1'",
    );
    for (query, expected) in [
        ("?sort=username", vec!["admin", "user0", "user1", "user2"]),
        ("?sort=-username", vec!["user2", "user1", "user0", "admin"]),
        ("?sort=-points&limit=1", vec!["user1"]),
        ("?sort=created_at", vec!["admin", "user0", "user1", "user2"]),
        ("?sort=email&role=user", vec!["user0", "user1", "user2"]),
        ("?search=STONE", vec!["user2", "user1"]),
        ("?search=zo%C3%AB", vec!["user0"]),
        ("?search=zo%C3%AB&role=admin", vec![]),
        ("?search=us", vec!["user2", "user1", "user0"]),
        ("?search=u1", vec!["user1"]),
        ("?search=mail.ex", vec!["user2", "user1", "user0"]),
        ("?search=%25_%25", vec![]),
    ] {
        within(Duration::from_secs(2), query, || names(&list(&admin, query)) == expected);
        if query.contains("search") {
            assert_eq!(list(&admin, query)["total"], Value::Null, "{query}");
            assert_eq!(walk(&admin, &format!("{query}&limit=1")).1.len(), expected.len(), "{query}");
        }
    }
}

fn callers_of_one_page_in_memory_see_their_own_view_of_it(app: &TestApp) {
    let admin = app.admin();
    let (ann, ben, cleo) = (app.user("ann"), app.user("ben"), app.user("cleo"));
    // The names of the users whose e-mail addresses the caller sees.
    let addresses = |client: &Client, query: &str| {
        let page = list(client, query);
        let items = page["items"].as_array().unwrap().iter();
        let shown = items.filter(|user| user["email"].is_string());
        shown.map(|user| user["username"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // Each caller several times, so that later answers come from memory, and in an order that mixes them.
    for _ in 0..3 {
        assert_eq!(addresses(&cleo, "?limit=10"), ["cleo"]);
        assert_eq!(addresses(&admin, "?limit=10"), ["cleo", "ben", "ann", "admin"]);
        assert_eq!(addresses(&ann, "?limit=10"), ["ann"]);
        // The newest user alone is on this page.
        assert!(addresses(&ben, "?limit=1").is_empty());
        assert_eq!(addresses(&cleo, "?limit=1"), ["cleo"]);
    }
    let email = |client: &Client| client.get(&format!("/api/v1/users/{}", ann.id)).expect(200).json();
    for _ in 0..3 {
        assert!(email(&ben).get("email").is_none(), "{}", email(&ben));
        assert!(email(&ann)["email"].is_string() && email(&admin)["email"].is_string());
    }
}

on_every_stack!(
    pages_and_cursors_list_every_user_newest_first,
    a_walk_misses_no_user_when_the_list_changes_under_it,
    filters_narrow_the_list_and_its_total,
    impossible_parts_of_the_list_are_refused,
    lists_are_sorted_and_searched,
    callers_of_one_page_in_memory_see_their_own_view_of_it,
);
