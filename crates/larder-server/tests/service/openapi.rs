//! `/openapi.json` and the page that shows it.

use crate::support::app::{TestApp, on_both_databases};

fn the_document_and_its_page_are_served_from_the_binary(app: &TestApp) {
    let stranger = app.stranger();
    let document = stranger.get("/openapi.json").expect(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/api/v1/users/{id}"]["get"]["responses"]["200"].is_object(), "{document}");
    for path in ["users", "superadmin/users", "users/statistics", "dashboard/statistics", "users/{id}/stats"]
    {
        let route = &document["paths"][format!("/api/v1/{path}")]["get"];
        for status in ["200", "401", "403", "422", "503"] {
            assert!(route["responses"][status].is_object(), "{path} {status}");
        }
    }

    let page = stranger.get("/docs/").expect(200);
    let policy = page.header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
    let foreign = ["src=\"http", "href=\"http", "src=\"//", "href=\"//"];
    assert!(foreign.iter().all(|link| !page.text().contains(link)), "{}", page.text());
    let start = stranger.get("/docs/swagger-initializer.js").expect(200);
    assert!(start.text().contains("/openapi.json"), "{}", start.text());
}

on_both_databases!(the_document_and_its_page_are_served_from_the_binary);
