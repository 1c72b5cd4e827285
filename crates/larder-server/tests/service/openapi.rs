//! `/openapi.json` and the page that shows it.

use crate::support::app::{TestApp, on_both_databases};

fn the_document_and_its_page_are_served_from_the_binary(app: &TestApp) {
    let anonymous = app.anonymous();
    let document = anonymous.get("/openapi.json").expect(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/api/v1/users/{id}"]["get"]["responses"]["200"].is_object(), "{document}");
    let of =
        |name: &str| document["paths"][format!("/api/v1/users/{{id}}/{name}")].as_object().unwrap().clone();
    for (name, methods) in [
        ("details", &["get"][..]),
        ("profile", &["get", "patch", "put"]),
        ("full-profile", &["get"]),
        ("preferences", &["get", "patch", "put"]),
        ("languages", &["get", "put"]),
        ("accessibility", &["get", "patch", "put"]),
        ("interests", &["get", "put"]),
    ] {
        assert_eq!(of(name).keys().collect::<Vec<_>>(), methods, "{name}");
    }
    assert!(document["paths"]["/api/v1/audit"]["get"]["parameters"].as_array().unwrap().len() == 5);
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let mut ids: Vec<_> = operations.filter_map(|one| one["operationId"].as_str()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "{ids:?}");
    let is_name = |id: &str| {
        id.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && !id.contains("api_v1")
            && !id.contains("v1_0")
    };
    assert!(ids.iter().all(|id| is_name(id)), "an operation is named by what it does: {ids:?}");

    for (path, method) in [
        ("/api/v1/users/{id}/points", "post"),
        ("/api/v1/users/{id}/permissions/{permission}", "put"),
        ("/api/v1/achievements/award", "post"),
        ("/api/v1/leaderboard", "get"),
    ] {
        assert!(document["paths"][path][method].is_object(), "{method} {path}");
    }
    let book = &document["components"]["schemas"]["BookRequest"];
    assert_eq!(book["additionalProperties"], false, "{book}");

    for (path, method) in [
        ("/.well-known/jwks.json", "get"),
        ("/api/v1/auth/introspect", "post"),
        ("/api/v1/auth/revoke", "post"),
        ("/api/v1/auth/totp/confirm", "post"),
        ("/api/v1/users/{id}/api-keys/{key_id}", "delete"),
    ] {
        assert!(document["paths"][path][method]["responses"].is_object(), "{method} {path}");
    }
    for path in ["users", "superadmin/users", "users/statistics", "dashboard/statistics", "users/{id}/stats"]
    {
        let route = &document["paths"][format!("/api/v1/{path}")]["get"];
        for status in ["200", "401", "403", "422", "503"] {
            assert!(route["responses"][status].is_object(), "{path} {status}");
        }
    }

    let page = anonymous.get("/docs/").expect(200);
    let policy = page.header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
    let foreign = ["src=\"http", "href=\"http", "src=\"//", "href=\"//"];
    assert!(foreign.iter().all(|link| !page.text().contains(link)), "{}", page.text());
    let start = anonymous.get("/docs/swagger-initializer.js").expect(200);
    assert!(start.text().contains("/openapi.json"), "{}", start.text());
}

fn the_document_is_complete_and_says_the_same_thing_the_same_way(app: &TestApp) {
    let document = app.anonymous().get("/openapi.json").expect(200).json();
    let tags: Vec<_> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut used = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let about = format!("{method} {path}");
            let tag = &operation["tags"][0];
            assert!(tags.contains(&tag), "{about} has the tag {tag}, which is not described");
            used.push(tag);
            assert!(operation["summary"].as_str().unwrap().ends_with('.'), "{about}");
            assert!(operation["description"].as_str().unwrap().ends_with('.'), "{about}");
            // An empty list says that the operation is open.
            let is_protected = !operation["security"].as_array().unwrap().is_empty();
            assert!(!is_protected || operation["security"][0]["bearer"].is_array(), "{about}");
            assert_eq!(
                operation["responses"]["401"].is_object()
                    && path != "/api/v1/auth/login"
                    && path != "/api/v1/auth/refresh",
                is_protected,
                "{about}"
            );
            let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            if let Some(name) = body.as_str().and_then(|name| name.rsplit('/').next()) {
                let schema = &document["components"]["schemas"][name];
                assert_eq!(schema["additionalProperties"], false, "{about}: {schema}");
            }
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let in_path = parameters.filter(|parameter| parameter["in"] == "path");
            let mut described: Vec<_> = in_path.filter_map(|parameter| parameter["name"].as_str()).collect();
            described.sort_unstable();
            let segments = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
            let mut variable: Vec<_> = segments.collect();
            variable.sort_unstable();
            assert_eq!(described, variable, "{about}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{about}: {parameter}");
                let schema = &parameter["schema"];
                match parameter["name"].as_str().unwrap() {
                    // Django REST framework's pages have a number or the word `last`.
                    "page" if schema["oneOf"].is_array() => {
                        assert_eq!(schema["oneOf"][0]["type"], "integer", "{about}");
                    }
                    "limit" | "page" | "offset" => assert_eq!(schema["type"], "integer", "{about}"),
                    "role" | "status" | "sort" | "consistency" => {
                        assert!(schema["enum"].is_array(), "{about}")
                    }
                    _ => {}
                }
                if parameter["name"] == "id"
                    && parameter["in"] == "path"
                    && !path.ends_with("/cache/clear/user/{id}")
                {
                    assert_eq!(parameter["schema"]["maxLength"], 128, "{about}: {parameter}");
                }
            }
        }
    }
    assert_eq!(document["servers"][0]["url"], "/", "{}", document["servers"]);
    let login = &document["components"]["schemas"]["Login"]["properties"];
    assert!(login["totp_code"].is_object() && login["recovery_code"].is_object(), "{login}");
    let text = document.to_string();
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(text.contains(&format!("\"#/components/schemas/{name}\"")), "{name} is unused");
    }
    let unused: Vec<_> = tags.iter().filter(|tag| !used.contains(tag)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

on_both_databases!(
    the_document_and_its_page_are_served_from_the_binary,
    the_document_is_complete_and_says_the_same_thing_the_same_way,
);
