//! The routes in a program of another kind: it serves the router itself.

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use larder_server::router;
use larder_server::settings::Settings;
use larder_server::settings::http::Http;
use larder_server::settings::sources::Sources;
use larder_testbed::Sqlite;
use serde_json::{Value, json};
use tower::Service as _;

fn login(name: &str) -> Request<Body> {
    let body = json!({ "username": name, "password": "wrong horse battery" }).to_string();
    let request = Request::post("/api/v1/auth/login").header("content-type", "application/json");
    request.body(Body::from(body)).unwrap()
}

/// Without the addresses of the clients, all of them are one client; no request fails for that.
#[tokio::test]
async fn without_the_addresses_of_clients_they_share_one_budget() {
    let sqlite = Sqlite::fresh().unwrap();
    let url = sqlite.url();
    let settings = Sources::new(move |name| match name {
        "DATABASE_URL" => Some(url.clone()),
        "LARDER_FAILURES_PER_ADDRESS" => Some("2".to_owned()),
        _ => None,
    });
    let settings = Settings::read(settings).unwrap();
    let (service, _) = larder_server::app::open(&settings).await.unwrap();
    let mut routes = router::routes(service.clone(), &Http::default());
    let mut statuses = Vec::new();
    for name in ["ann", "bea", "cyd"] {
        let answer = routes.call(login(name)).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["status"], status, "{problem}");
        statuses.push(status);
    }
    assert_eq!(statuses, [401, 401, 429]);
    // Axum's router of the same routes, which answers with the same ids and headers.
    let mut router = axum::Router::from(routes.clone());
    let answer = router.call(login("eve")).await.unwrap();
    assert_eq!(answer.status(), 429);
    assert!(answer.headers().contains_key("x-request-id"), "{:?}", answer.headers());
    let mut known = login("dan");
    known.extensions_mut().insert(ConnectInfo(std::net::SocketAddr::from(([192, 0, 2, 1], 1))));
    assert_eq!(
        routes.call(known).await.unwrap().status(),
        401,
        "a client with an address has its own budget"
    );
    larder_server::app::close(&service).await;
}
