//! Failure trace 7: a name passes from one user to another, and no lookup finds a user under a name that it does not
//! have.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::{TestApp, on_every_stack};
use crate::support::client::Client;
use crate::support::within;

/// The staleness bound: the greatest age of a bounded answer of another instance.
const BOUND: Duration = Duration::from_secs(2);

/// Each kind of name with two values.
const NAMES: [(&str, &str, &str); 3] = [
    ("email", "first@example.com", "second@example.com"),
    ("username", "first", "second"),
    ("phone", "+12425550101", "+12425550102"),
];

const STRENGTHS: [&str; 2] = ["bounded", "fresh"];

/// Returns the id of the user with this name, and fails if the user that is found has another one.
fn holder(client: &Client, kind: &str, name: &str, strength: &str) -> Option<String> {
    let found = client.post(&format!("/api/v1/users/lookup?consistency={strength}"), &json!({ kind: name }));
    if found.status == 404 {
        return None;
    }
    assert_eq!(found.json()[kind], name, "found under a name that it has not");
    Some(found.expect(200).field("id"))
}

/// A sequence of changes of one kind of name; after each step, `check` gets each name with the id of its present owner.
struct Story<'a> {
    kind: &'a str,
    client: Client,
    check: &'a dyn Fn(&str, &str, Option<&str>),
}

impl Story<'_> {
    /// Checks the present owner of each name.
    fn now(&self, holders: &[(&str, Option<&Value>)]) {
        for (name, id) in holders {
            (self.check)(self.kind, name, id.map(|id| id.as_str().unwrap()));
        }
    }

    fn create(&self, other: &str, name: Option<&str>) -> Value {
        let mut body = json!({ "email": format!("{other}@example.org"), "username": other });
        if let Some(name) = name {
            body[self.kind] = json!(name);
        }
        self.client.post("/api/v1/users", &body).expect(201).json()["id"].clone()
    }

    fn rename(&self, id: &Value, name: &str) {
        let path = format!("/api/v1/users/{}", id.as_str().unwrap());
        self.client.patch(&path, &json!({ self.kind: name })).expect(200);
    }

    fn delete(&self, id: &Value) {
        self.client.delete(&format!("/api/v1/users/{}", id.as_str().unwrap())).expect(204);
    }

    /// Passes `a` from one user to the next by changes, a deletion and a creation.
    fn play(&self, a: &str, b: &str) {
        let kind = self.kind;
        self.now(&[(a, None), (b, None)]);
        let one = self.create(&format!("{kind}.one"), Some(a));
        let two = self.create(&format!("{kind}.two"), None);
        self.now(&[(a, Some(&one)), (b, None)]);
        self.rename(&one, b);
        self.now(&[(a, None), (b, Some(&one))]);
        self.rename(&two, a);
        self.now(&[(a, Some(&two)), (b, Some(&one))]);
        self.delete(&one);
        self.now(&[(a, Some(&two)), (b, None)]);
        self.rename(&two, b);
        self.now(&[(a, None), (b, Some(&two))]);
        let three = self.create(&format!("{kind}.three"), Some(a));
        self.now(&[(a, Some(&three)), (b, Some(&two))]);
        // Two users exchange their names through a third name, because two users never have one name at the same time.
        let spare = a.replace("01", "03").replace("first", "third");
        self.rename(&three, &spare);
        self.rename(&two, a);
        self.rename(&three, b);
        self.now(&[(a, Some(&two)), (b, Some(&three)), (&spare, None)]);
        self.client.put(
            &format!("/api/v1/users/{}", two.as_str().unwrap()),
            &json!({ "email": format!("{kind}.put@example.org"), "username": format!("{kind}.put") }),
        );
        self.now(&[(a, None), (b, Some(&three))]);
    }
}

fn trace_7_a_name_that_changed_owners_finds_the_new_owner(app: &TestApp) {
    let admin = app.admin();
    let at_once = |kind: &str, name: &str, id: Option<&str>| {
        for strength in STRENGTHS {
            // The first lookup fills the cache, and the second can be answered from it.
            for _ in 0..2 {
                assert_eq!(holder(&admin, kind, name, strength).as_deref(), id, "{kind} {name} {strength}");
            }
        }
    };
    for (kind, a, b) in NAMES {
        Story { kind, client: admin.clone(), check: &at_once }.play(a, b);
    }
}

fn trace_7_an_external_id_that_changed_owners_finds_the_new_owner(app: &TestApp) {
    let admin = app.admin();
    let path = |user: &Value| format!("/api/v1/users/{}", user["id"].as_str().unwrap());
    let owned = |owners: &[(&str, Option<&Value>)]| {
        for ((external, owner), strength) in owners.iter().flat_map(|pair| STRENGTHS.map(|word| (pair, word)))
        {
            for _ in 0..2 {
                let found = admin.get(&format!("/api/v1/users/{external}?consistency={strength}"));
                let id = (found.status == 200).then(|| found.json()["id"].clone());
                assert_eq!(id.as_ref(), owner.map(|owner| &owner["id"]), "{external} {strength}");
            }
        }
    };
    let [one, two] = ["one", "two"].map(|name| app.plain_user(&admin, name));
    owned(&[("HR-1", None), ("HR-2", None)]);
    admin.patch(&path(&one), &json!({ "external_id": "HR-1" })).expect(200);
    owned(&[("HR-1", Some(&one)), ("HR-2", None)]);
    admin.patch("/api/v1/users/HR-1", &json!({ "external_id": "HR-2" })).expect(200);
    owned(&[("HR-1", None), ("HR-2", Some(&one))]);
    admin.patch(&path(&two), &json!({ "external_id": "HR-1" })).expect(200);
    owned(&[("HR-1", Some(&two)), ("HR-2", Some(&one))]);
    admin.patch(&path(&one), &json!({ "external_id": null })).expect(200);
    owned(&[("HR-1", Some(&two)), ("HR-2", None)]);
    admin.delete("/api/v1/users/HR-1").expect(204);
    owned(&[("HR-1", None), ("HR-2", None)]);
    let body = json!({ "email": "three@example.com", "username": "three", "external_id": "HR-1" });
    let three = admin.post("/api/v1/users", &body).expect(201).json();
    owned(&[("HR-1", Some(&three))]);
}

fn trace_7_another_instance_finds_the_new_owner_fresh_at_once_and_bounded_within_the_bound(app: &TestApp) {
    let second = app.second_instance();
    let here = app.admin();
    let there = second.here(&here);
    let everywhere = |kind: &str, name: &str, id: Option<&str>| {
        assert_eq!(holder(&there, kind, name, "fresh").as_deref(), id, "{kind} {name} fresh, there");
        assert_eq!(holder(&here, kind, name, "bounded").as_deref(), id, "{kind} {name} bounded, here");
        within(BOUND, "the other instance finds the present owner", || {
            holder(&there, kind, name, "bounded").as_deref() == id
        });
        assert_eq!(holder(&there, kind, name, "bounded").as_deref(), id, "and no older answer returns");
    };
    for (kind, a, b) in NAMES {
        Story { kind, client: here.clone(), check: &everywhere }.play(a, b);
    }
}

on_every_stack!(
    trace_7_a_name_that_changed_owners_finds_the_new_owner,
    trace_7_an_external_id_that_changed_owners_finds_the_new_owner,
    trace_7_another_instance_finds_the_new_owner_fresh_at_once_and_bounded_within_the_bound,
);
