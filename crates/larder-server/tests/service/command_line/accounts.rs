//! `larder users list`, `show`, `create`, `activate`, `deactivate` and `delete`.

use serde_json::json;

use crate::command_line::{Operator, Ran};
use crate::support::app::{ADMIN_PASSWORD, TestApp, on_both_databases};

fn users_are_created_found_changed_and_deleted(app: &TestApp) {
    let operator = Operator::of(app);
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "correct horse battery\n").unwrap();
    let create = [
        "users",
        "create",
        "--email",
        "grace@example.com",
        "--username",
        "grace",
        "--full-name",
        "Grace Hopper",
    ];
    let made =
        [&create[..], &["--external-id", "staff-8", "--password-file", password.to_str().unwrap()]].concat();
    let made = operator.json(&made, "users-show", 0);
    assert_eq!((&made["username"], &made["external_id"]), (&json!("grace"), &json!("staff-8")));
    app.login(&json!({ "username": "grace", "password": "correct horse battery" }));
    let taken = operator.run(&create).expect(1);
    assert!(taken.stderr.contains("409"), "{taken:?}");
    operator.run(&["users", "create", "--email", "x@example.com"]).expect(2);

    let names: [&[&str]; 4] = [
        &["staff-8"],
        &["--email", "grace@example.com"],
        &["--username", "grace"],
        &[made["id"].as_str().unwrap()],
    ];
    for name in names {
        let shown = operator.run(&[&["users", "show"], name].concat()).expect(0).stdout;
        assert!(
            shown.contains("full name    Grace Hopper") && shown.contains("state        active"),
            "{shown}"
        );
    }
    operator.json(&["users", "show", "staff-8"], "users-show", 0);
    for other in [&[][..], &[""], &["."], &[".."]] {
        operator.run(&[&["users", "show"], other].concat()).expect(2);
    }
    operator.run(&["users", "show", "staff-8", "--email", "x"]).expect(2);
    let missing = operator.run(&["users", "show", "staff-9"]).expect(1);
    assert!(missing.stderr.contains("404"), "{missing:?}");

    let off = operator.json(&["users", "deactivate", "staff-8"], "users-show", 0);
    assert_eq!(off["is_active"], false);
    let listed =
        operator.json(&["users", "list", "--status", "inactive", "--sort", "-username"], "users-list", 0);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    let shown = operator.run(&["users", "activate", "staff-8"]).expect(0).stdout;
    assert!(shown.contains("state        active"), "{shown}");

    let gone = operator.json(&["users", "delete", "staff-8"], "users-delete", 0);
    assert_eq!(gone, json!({ "deleted": "staff-8" }));
    operator.run(&["users", "show", "staff-8"]).expect(1);
}

fn lists_are_searched_and_followed_by_their_cursor(app: &TestApp) {
    let operator = Operator::of(app);
    for name in ["ann", "annabel", "bea"] {
        app.plain_user(&app.admin(), name);
    }
    let found = operator.run(&["users", "list", "--search", "anna"]).expect(0).stdout;
    assert!(found.contains("annabel") && !found.contains("bea"), "{found}");
    let first = operator.run(&["users", "list", "--limit", "2"]).expect(0).stdout;
    assert!(first.contains("2 of 4 users; next: --cursor "), "{first}");
    let cursor = first.trim().rsplit(' ').next().unwrap();
    let second = operator.run(&["users", "list", "--limit", "2", "--cursor", cursor]).expect(0).stdout;
    assert!(second.contains("2 of 4 users\n") || second.trim().ends_with("2 of 4 users"), "{second}");
    operator.run(&["users", "list", "--page", "1", "--cursor", cursor]).expect(2);
    let refused = operator.run(&["users", "list", "--role", "king"]).expect(1);
    assert!(refused.stderr.contains("role"), "{refused:?}");
}

fn a_role_needs_a_token_and_the_callers_password(app: &TestApp) {
    let operator = Operator::of(app);
    let create = ["users", "create", "--email", "ada@example.com", "--username", "ada", "--role", "admin"];
    operator.run(&create).expect(1);
    let folder = tempfile::tempdir().unwrap();
    let confirm = folder.path().join("mine");
    std::fs::write(&confirm, ADMIN_PASSWORD).unwrap();
    let admin = app.admin();
    let token = admin.token.as_deref().unwrap();
    let target = ["--url", &operator.url, "--key", token];
    Ran::of(&[&create[..], &target].concat(), &[]).expect(1);
    let confirmed = [&create[..], &target, &["--confirm-file", confirm.to_str().unwrap()]].concat();
    let made = Ran::of(&confirmed, &[]).expect(0).stdout;
    assert!(made.contains("role         admin"), "{made}");
}

on_both_databases!(
    users_are_created_found_changed_and_deleted,
    lists_are_searched_and_followed_by_their_cursor,
    a_role_needs_a_token_and_the_callers_password,
);
