//! The hotel's API over HTTP with two instances and a real Redis: after a write, the layer drops the entries on both.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

#[path = "../examples/hotel/app.rs"]
mod app;
mod support;

use std::net::SocketAddr;

use larder_testbed::Redis;
use serde_json::{Value, json};

use crate::app::{Database, User, app};
use crate::support::{cache, eventually, get, request, serve};

const READS: [&str; 4] =
    ["/v1.0/user/list", "/v1.0/user/superadmin/list", "/v1.0/user/stats", "/v1.0/dashboard/stats"];

fn user(id: &str, name: &str) -> User {
    User { id: id.to_owned(), name: name.to_owned(), is_active: true }
}

/// Two instances over one database.
async fn instances(redis: Option<&Redis>) -> ([SocketAddr; 2], Database) {
    let database = Database::default();
    database.insert(user("1", "Ada"));
    let mut at = Vec::new();
    for _ in 0..2 {
        let app = app(&cache(redis).await, database.clone()).unwrap();
        at.push(serve(app).await);
    }
    (at.try_into().unwrap(), database)
}

/// Reads until memory answers.
async fn warm(at: SocketAddr, paths: &[&str]) {
    for path in paths {
        eventually("memory answers", async || {
            get(at, path).await.cache_status.as_deref() == Some("larder; hit; detail=memory")
        })
        .await;
    }
}

#[tokio::test]
async fn a_write_through_one_instance_drops_the_lists_of_the_other() {
    let redis = Redis::start().unwrap();
    let ([a, b], _) = instances(Some(&redis)).await;
    let mut users = vec![json!({"id": "1", "name": "Ada", "is_active": true})];
    for round in 2..9 {
        warm(a, &READS).await;
        warm(b, &READS).await;
        let created = json!({"id": (10 * round).to_string(), "name": "Grace", "is_active": true});
        let reply = request(a, "POST", "/v1.0/user/create", created.clone()).await;
        assert_eq!((reply.status, reply.invalidation.as_deref()), (201, Some("sent")));
        users.push(created);
        // After the acknowledgement, reads on `a` and fresh reads anywhere see the write at once; `b`'s memory sees it
        // one push later.
        for path in &READS[..2] {
            assert_eq!(get(a, path).await.body, json!(users), "{path}");
            assert_eq!(get(b, &format!("{path}?consistency=fresh")).await.body, json!(users), "{path}");
            eventually("b follows", async || get(b, path).await.body == json!(users)).await;
        }
        for path in &READS[2..] {
            eventually("b follows", async || get(b, path).await.body["users"] == json!(users.len())).await;
        }
    }
}

#[tokio::test]
async fn every_write_drops_the_details_too() {
    let redis = Redis::start().unwrap();
    for redis in [Some(&redis), None] {
        let ([a, b], _) = instances(redis).await;
        let reader = if redis.is_some() { b } else { a };
        let details = "/v1.0/user/details/1";
        for (method, path, body, field, expected) in [
            ("PUT", "/v1.0/user/update/1", json!({"name": "Lovelace"}), "name", json!("Lovelace")),
            ("PATCH", "/v1.0/user/update/1", json!({"name": "Byron"}), "name", json!("Byron")),
            ("POST", "/v1.0/user/1/deactivate", Value::Null, "is_active", json!(false)),
            ("POST", "/v1.0/user/1/activate", Value::Null, "is_active", json!(true)),
            ("DELETE", "/v1.0/user/delete/1", Value::Null, "name", Value::Null),
        ] {
            warm(reader, &[details, "/v1.0/user/list"]).await;
            let reply = request(a, method, path, body).await;
            assert_eq!((reply.status, reply.invalidation.as_deref()), (204, Some("sent")), "{method} {path}");
            assert_eq!(get(reader, &format!("{details}?consistency=fresh")).await.body[field], expected);
            eventually("the reader follows", async || get(reader, details).await.body[field] == expected)
                .await;
        }
    }
}

#[tokio::test]
async fn a_refused_write_drops_nothing() {
    let redis = Redis::start().unwrap();
    let ([a, b], _) = instances(Some(&redis)).await;
    warm(a, &READS).await;
    warm(b, &READS).await;
    for (method, path, status) in [
        ("PUT", "/v1.0/user/update/nobody", 404),
        ("PUT", "/v1.0/user/update/1", 422),
        ("PUT", "/v1.0/user/create", 405),
    ] {
        let reply =
            request(a, method, path, json!({"name": if status == 422 { json!(1) } else { json!("x") }}))
                .await;
        assert_eq!((reply.status, reply.invalidation), (status, None), "{method} {path}");
    }
    for at in [a, b] {
        for path in READS {
            assert_eq!(get(at, path).await.cache_status.as_deref(), Some("larder; hit; detail=memory"));
        }
    }
}

#[tokio::test]
async fn a_write_while_redis_is_away_says_queued() {
    let redis = Redis::start().unwrap();
    let ([a, b], _) = instances(Some(&redis)).await;
    warm(a, &READS).await;
    warm(b, &READS).await;
    redis.pause().unwrap();
    let reply = request(a, "PUT", "/v1.0/user/update/1", json!({"name": "Lovelace"})).await;
    assert_eq!((reply.status, reply.invalidation.as_deref()), (204, Some("queued")));
    assert_eq!(
        get(a, "/v1.0/user/list").await.body[0]["name"],
        "Lovelace",
        "the writing instance still reads its own writes"
    );
    redis.resume().unwrap();
    eventually("b follows", async || get(b, "/v1.0/user/list").await.body[0]["name"] == "Lovelace").await;
}

#[tokio::test]
async fn the_counts_are_named_as_monitoring_knows_them() {
    let ([a, _], _) = instances(None).await;
    for _ in 0..4 {
        get(a, "/v1.0/user/list").await;
    }
    request(a, "POST", "/v1.0/permissions/grant", Value::Null).await;
    let expected =
        json!({"hits": 3, "misses": 1, "hit_rate_percent": 75.0, "total_lookups": 4, "invalidations": 1});
    assert_eq!(get(a, "/v1.0/cache/stats").await.body, expected);
}
