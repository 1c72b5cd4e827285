//! HireMeBahamas: `/health/cache`.

use larder_testbed::{Postgres, free_port};
use serde_json::{Value, json};

use crate::support::app::{Stack, TestApp, on_both_databases};
use crate::support::eventually;

fn the_health_is_as_printed(app: &TestApp) {
    let health = app.anonymous().get("/health/cache").expect(200).json();
    let names: Vec<_> = health.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["backend", "connected", "latency_ms", "status", "used_memory"]);
    assert_eq!((&health["status"], &health["connected"]), (&json!("healthy"), &json!(true)));
    let backend = if app.has_redis() { "redis" } else { "memory" };
    assert_eq!(health["backend"], backend);
    assert_eq!(health["latency_ms"].is_number(), app.has_redis(), "{health}");
    assert!(health["used_memory"].as_str().unwrap().ends_with(['B', 'K', 'M']), "{health}");
}

#[test]
fn without_its_redis_it_is_degraded() {
    let url = format!("redis://127.0.0.1:{}", free_port().unwrap());
    let app = Stack::sqlite_memory().with_redis_at(url).start();
    let health = app.anonymous().get("/health/cache").expect(200).json();
    assert_eq!((&health["status"], &health["backend"]), (&json!("degraded"), &json!("memory")));
    assert_eq!((&health["connected"], &health["latency_ms"]), (&json!(false), &Value::Null));
}

#[test]
fn without_its_redis_and_its_database_it_is_unhealthy() {
    let server = Postgres::start().unwrap();
    let url = format!("redis://127.0.0.1:{}", free_port().unwrap());
    let app = Stack::postgres_on(&server.url()).with_redis_at(url).start();
    let status = || app.anonymous().get("/health/cache").expect(200).field("status");
    assert_eq!(status(), "degraded");
    drop(server);
    eventually("it is unhealthy", || status() == "unhealthy");
}

on_both_databases!(the_health_is_as_printed);
