//! Each body that the OpenAPI document describes, held against the parser of its route: what the schema allows is
//! parsed, and what it forbids is refused.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::support::app::{TestApp, on_stacks};
use crate::support::client::{Answer, Client, Request};

/// Fields that exclude each other, which the schemas say only in words. `true`: a body needs one of them.
const GROUPS: [(&str, &[&str], bool); 12] = [
    ("Login", &["email", "username", "phone"], true),
    ("Login", &["totp_code", "recovery_code"], false),
    ("Lookup", &["id", "email", "username", "phone"], true),
    ("Invalidate", &["all", "user", "class", "pattern"], true),
    ("RemoveTotpFields", &["totp_code", "recovery_code"], false),
    ("CreateUser", &["totp_code", "recovery_code"], false),
    ("BulkIds", &["totp_code", "recovery_code"], false),
    ("PatchUser", &["totp_code", "recovery_code"], false),
    ("PutUser", &["totp_code", "recovery_code"], false),
    ("UpdateUser", &["totp_code", "recovery_code"], false),
    ("NewApiKeyFields", &["totp_code", "recovery_code"], false),
    ("ConfirmationFields", &["totp_code", "recovery_code"], false),
];

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

fn the_document_and_the_parsers_agree_about_every_body(app: &TestApp) {
    let document = app.anonymous().get("/openapi.json").expect(200).json();
    let admin = app.admin();
    let target = app.plain_user(&admin, "target")["id"].as_str().unwrap().to_owned();
    let mut seen = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (media_type, content) in operation["requestBody"]["content"].as_object().into_iter().flatten()
            {
                // Rows of users have no schema: each is parsed by itself, and `importing.rs` tests them.
                if path.ends_with("/users/import") {
                    continue;
                }
                // A body that may be missing may be null too.
                let either = content["schema"]["oneOf"].as_array();
                let schema = either.map_or(&content["schema"], |either| &either[0]);
                let name = schema["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
                // A path of an older system has the operation of a canonical one.
                if seen.insert((method.clone(), name.to_owned())) {
                    // A deletion must not delete what the other routes change.
                    let id = if name == "ConfirmationFields" { NOBODY } else { &target };
                    let path = path.replace("{id}", id).replace("{name}", "user_list");
                    let path = path.replace("{permission}", "points.write");
                    let route = Route {
                        admin: &admin,
                        schemas: Schemas(&document["components"]["schemas"]),
                        method: method.to_uppercase(),
                        path,
                        media_type,
                        name,
                        may_be_null: either.is_some(),
                    };
                    route.check();
                }
            }
        }
    }
    assert!(seen.len() > 20, "{seen:?}");
}

/// A route, and the name of its body's schema.
struct Route<'a> {
    admin: &'a Client,
    schemas: Schemas<'a>,
    method: String,
    path: String,
    media_type: &'a str,
    name: &'a str,
    may_be_null: bool,
}

impl Route<'_> {
    fn check(&self) {
        let schema = &self.schemas.0[self.name];
        let fields = schema["properties"].as_object().unwrap();
        let required = required(schema);
        self.accepts(&self.complete(fields, |_| true));
        if self.media_type == "application/json" {
            let is_parsed = !matches!(self.send(&Value::Null).status, 400 | 422);
            assert_eq!(is_parsed, self.may_be_null, "{self}: null");
        }
        let is_first = |field: &str| self.groups().any(|(group, needed)| needed && group[0] == field);
        self.accepts(&self.complete(fields, |field| required.contains(&field) || is_first(field)));
        for field in required {
            self.refuses(&self.complete(fields, |other| other != field), field);
        }
        if schema["additionalProperties"] == false {
            let mut body = self.complete(fields, |_| true);
            body["unknown"] = json!("x");
            let allowed = allowed(&self.refuses(&body, "unknown"));
            assert_eq!(allowed, fields.keys().cloned().collect(), "{self}: the parser's fields are others");
        }
        for (field, schema) in fields {
            for good in self.schemas.good(schema).iter().filter(|good| self.can_send(good)) {
                let body = self.with(fields, field, good);
                match schema["readOnly"] == true && !self.is_present(field, good) {
                    false => self.accepts(&body),
                    true => drop(self.refuses(&body, field)),
                }
            }
            for bad in self.schemas.bad(schema).iter().filter(|bad| self.can_send(bad)) {
                self.refuses(&self.with(fields, field, bad), field);
            }
        }
    }

    /// Whether a read-only field has this value in the user that the path names.
    fn is_present(&self, field: &str, value: &Value) -> bool {
        let user = self.path.trim_end_matches("/profile").replace("/v1.0/user/update/", "/api/v1/users/");
        self.admin.get(&user).expect(200).json()[field] == *value
    }

    /// A form holds texts only.
    fn can_send(&self, value: &Value) -> bool {
        self.media_type == "application/json" || value.is_string()
    }

    fn groups(&self) -> impl Iterator<Item = (&'static [&'static str], bool)> {
        let of_name = GROUPS.iter().filter(|(name, ..)| *name == self.name);
        of_name.map(|(_, group, needed)| (*group, *needed))
    }

    /// A body of these fields; of a group, it has the first.
    fn complete(&self, fields: &Map<String, Value>, has: impl Fn(&str) -> bool) -> Value {
        let is_excluded = |field: &str| self.groups().any(|(group, _)| group[1..].contains(&field));
        let fields = fields.iter().filter(|(_, schema)| schema["readOnly"] != true);
        let fields = fields.filter(|(field, _)| has(field) && !is_excluded(field));
        fields.map(|(field, schema)| (field.clone(), self.schemas.good(schema).swap_remove(0))).collect()
    }

    /// A complete body with this value of a field, and without those that the field excludes.
    fn with(&self, fields: &Map<String, Value>, field: &str, value: &Value) -> Value {
        let mut body = self.complete(fields, |_| true);
        if let Some((group, needed)) = self.groups().find(|(group, _)| group.contains(&field)) {
            let body = body.as_object_mut().unwrap();
            body.remove(group[0]);
            if value.is_null() && needed {
                let other = group.iter().find(|other| **other != field).unwrap();
                body.insert((*other).to_owned(), self.schemas.good(&fields[*other]).swap_remove(0));
            }
        }
        body[field] = value.clone();
        body
    }

    fn send(&self, body: &Value) -> Answer {
        let methods = ["POST", "PUT", "PATCH", "DELETE"];
        let method = methods.into_iter().find(|method| *method == self.method).unwrap();
        let bytes = match self.media_type {
            "application/json" => body.to_string(),
            _ => {
                let pairs = body.as_object().unwrap().iter();
                let pairs = pairs.map(|(field, text)| format!("{field}={}", text.as_str().unwrap()));
                pairs.collect::<Vec<_>>().join("&")
            }
        };
        let mut request = Request::new(method, &self.path).header("content-type", self.media_type);
        if self.name == "BookRequest" && body["idempotency_key"].is_null() {
            request = request.header("idempotency-key", "sent");
        }
        self.admin.send(request.bytes(bytes))
    }

    fn accepts(&self, body: &Value) {
        let answer = self.send(body);
        // The service may still refuse what the body asks for: it lists its classes if there is no such class.
        let is_parsed =
            !matches!(answer.status, 400 | 413 | 415 | 422 | 500..) || answer.text().contains("; there are");
        assert!(is_parsed, "{self} {body}: {}", answer.text());
    }

    /// Returns the message about the field.
    fn refuses(&self, body: &Value, field: &str) -> String {
        let answer = self.send(body);
        assert_eq!(answer.status, 422, "{self} {body}: {}", answer.text());
        let message = answer.json()["errors"][field].as_str().map(str::to_owned);
        message.unwrap_or_else(|| panic!("{self} {body} names not {field}: {}", answer.text()))
    }
}

impl std::fmt::Display for Route<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({})", self.method, self.path, self.name)
    }
}

/// The components of the document.
#[derive(Clone, Copy)]
struct Schemas<'a>(&'a Value);

impl<'a> Schemas<'a> {
    /// The schema that a reference or a nullable schema means, and whether null is allowed.
    fn resolved<'s>(self, schema: &'s Value) -> (&'s Value, bool)
    where
        'a: 's,
    {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap();
            assert!(self.0[name].is_object(), "{reference} is not in the document");
            return self.resolved(&self.0[name]);
        }
        match schema["oneOf"].as_array() {
            Some(either) => {
                let is_null = |one: &&Value| one["type"] == "null";
                let value = either.iter().find(|one| !is_null(one)).unwrap();
                (self.resolved(value).0, either.iter().any(|one| is_null(&one)))
            }
            None => (schema, kinds(schema).contains(&"null")),
        }
    }

    /// Values that the schema allows, at its bounds.
    fn good(self, schema: &Value) -> Vec<Value> {
        let (schema, is_nullable) = self.resolved(schema);
        let mut good = match kinds(schema)[0] {
            // `false` in place of one field of a group counts as missing.
            "boolean" => vec![json!(true)],
            "integer" => {
                let (min, max) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
                [min, max].into_iter().map(|bound| json!(bound.unwrap())).collect()
            }
            "array" => {
                let list =
                    |length| json!((0..length).map(|n| self.nth(&schema["items"], n)).collect::<Vec<_>>());
                let min = schema["minItems"].as_u64().unwrap_or(0);
                let max = schema["maxItems"].as_u64().unwrap_or(3);
                vec![list(min.max(1)), list(min), list(max)]
            }
            "object" => vec![self.nth(schema, 0)],
            "string" => texts(schema),
            other => panic!("{other} in {schema}"),
        };
        good.extend(is_nullable.then_some(Value::Null));
        good
    }

    /// One of many values that differ, if the schema has as many.
    fn nth(self, schema: &Value, n: u64) -> Value {
        let (schema, _) = self.resolved(schema);
        match schema["properties"].as_object() {
            Some(fields) => fields.iter().map(|(name, field)| (name.clone(), self.nth(field, n))).collect(),
            None if kinds(schema)[0] == "object" => json!({}),
            None => json!(sample(schema, n)),
        }
    }

    /// Values that the schema forbids, most of them just outside its bounds.
    fn bad(self, schema: &Value) -> Vec<Value> {
        let (schema, is_nullable) = self.resolved(schema);
        let mut bad = match kinds(schema)[0] {
            "boolean" => vec![json!("true"), json!(1)],
            "integer" => {
                let outside = [("minimum", -1), ("maximum", 1)].into_iter();
                let outside = outside.map(|(bound, step)| json!(schema[bound].as_i64().unwrap() + step));
                outside.chain([json!("1"), json!(1.5)]).collect()
            }
            "array" => {
                let list =
                    |length| json!((0..length).map(|n| self.nth(&schema["items"], n)).collect::<Vec<_>>());
                let short = schema["minItems"].as_u64().map(|min| list(min - 1));
                let long = schema["maxItems"].as_u64().map(|max| list(max + 1));
                let items = self.bad(&schema["items"]).into_iter().map(|bad| json!([bad]));
                items.chain(short).chain(long).chain([json!("x")]).collect()
            }
            "object" => {
                let good = self.nth(schema, 0);
                let without = required(schema).into_iter().map(|field| {
                    let mut body = good.clone();
                    body.as_object_mut().unwrap().remove(field);
                    body
                });
                let mut more = good.clone();
                more["unknown"] = json!(1);
                let is_closed = schema["additionalProperties"] == false;
                let good = &good;
                let fields = schema["properties"].as_object().into_iter().flatten();
                let wrong = fields.flat_map(|(name, field)| {
                    self.bad(field).into_iter().map(move |bad| {
                        let mut body = good.clone();
                        body[name] = bad;
                        body
                    })
                });
                without
                    .chain(is_closed.then_some(more))
                    .chain(wrong)
                    .chain([json!([]), json!("{}")])
                    .collect()
            }
            _ => bad_texts(schema),
        };
        bad.extend((!is_nullable).then_some(Value::Null));
        bad
    }
}

/// The types of a schema; a schema without one is an object.
fn kinds(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().map(|one| one.as_str().unwrap()).collect(),
        _ => vec!["object"],
    }
}

fn required(schema: &Value) -> Vec<&str> {
    schema["required"].as_array().into_iter().flatten().map(|field| field.as_str().unwrap()).collect()
}

/// The fields that a parser names as those that it takes.
fn allowed(message: &str) -> BTreeSet<String> {
    message.split_once("allowed are ").unwrap().1.split(", ").map(str::to_owned).collect()
}

fn length(schema: &Value, bound: &str) -> Option<usize> {
    schema[bound].as_u64().map(|length| usize::try_from(length).unwrap())
}

fn allows(schema: &Value, text: &str) -> bool {
    let shaped = schema["pattern"].as_str().is_none_or(|pattern| Regex::new(pattern).unwrap().is_match(text));
    let fits = |bound, long: fn(&usize, &usize) -> bool| {
        length(schema, bound).is_none_or(|length| long(&text.chars().count(), &length))
    };
    shaped && fits("minLength", usize::ge) && fits("maxLength", usize::le)
}

/// The first of these texts that the schema allows.
fn sample(schema: &Value, n: u64) -> String {
    if let Some(words) = schema["enum"].as_array() {
        return words[0].as_str().unwrap().to_owned();
    }
    match schema["format"].as_str() {
        Some("email") => return format!("sample{n}@example.com"),
        Some("uuid") => return format!("0192f0c1-2345-7abc-8def-{n:012}"),
        Some("date-time") => return "2999-01-01T00:00:00Z".to_owned(),
        Some("iana-time-zone") => return "America/Nassau".to_owned(),
        _ => {}
    }
    let texts = [
        n.to_string(),
        format!("user-{n}"),
        format!("a password {n}"),
        format!("+1555123456{}", n % 10),
        "123 456".to_owned(),
        "ABCD-efgh-ijkl-2345".to_owned(),
        format!("https://example.com/{n}"),
    ];
    let found = texts.into_iter().find(|text| allows(schema, text));
    found.unwrap_or_else(|| panic!("this test has no text for {schema}"))
}

fn texts(schema: &Value) -> Vec<Value> {
    if let Some(words) = schema["enum"].as_array() {
        return words.clone();
    }
    let mut texts = vec![sample(schema, 0)];
    if schema["format"].is_null() || schema["format"] == "password" {
        let bounds = [length(schema, "minLength").unwrap_or(0), length(schema, "maxLength").unwrap_or(64)];
        // One repeated character is no password, which a schema cannot say.
        let fill = |length| "axbyczdw".chars().cycle().take(length).collect::<String>();
        texts.extend(bounds.map(fill).into_iter().filter(|text| allows(schema, text)));
    }
    texts.into_iter().map(Value::String).collect()
}

fn bad_texts(schema: &Value) -> Vec<Value> {
    let long = length(schema, "maxLength").map(|max| {
        let good = sample(schema, 0);
        "a".repeat(max + 1 - good.len()) + &good
    });
    let short = length(schema, "minLength").map(|min| "a".repeat(min - 1));
    let odd = match schema["format"].as_str() {
        None if schema["pattern"].is_null() && schema["enum"].is_null() => None,
        None => Some(format!("!{}", sample(schema, 0))),
        Some("password") => None,
        Some(_) => Some("!".to_owned()),
    };
    let texts = [long, short, odd].into_iter().flatten().map(Value::String);
    texts.chain([json!(1), json!(["x"])]).collect()
}

on_stacks!([sqlite_memory], the_document_and_the_parsers_agree_about_every_body);
