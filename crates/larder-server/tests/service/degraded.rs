//! A Redis that answers and refuses writes: every answer about the health says so, why, and what to do.

use serde_json::{Value, json};

use crate::support::app::{TestApp, on_redis};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::exposition::Metrics;

/// Returns for each place whether it reports a degraded cache, and its reasons.
fn shown(app: &TestApp, admin: &Client) -> Vec<(&'static str, bool, Value)> {
    let ready = app.anonymous().get("/readyz").expect(200).json();
    let health = app.anonymous().get("/api/v1/cache/health").expect(200).json();
    let detailed = admin.get("/api/v1/cache/health/detailed").expect(200).json();
    let hita = app.anonymous().get("/v1.0/cache/health").expect(200).json()["cache_info"].clone();
    let generic = app.anonymous().get("/cache/health").expect(200).json()["cache_info"].clone();
    let hita_detailed = admin.get("/v1.0/cache/health/detailed").expect(200).json()["cache_info"].clone();
    let hiremebahamas = app.anonymous().get("/health/cache").expect(200).json();
    let is_degraded = |status: &Value| status == "degraded";
    vec![
        ("readyz", is_degraded(&ready["cache"]), ready["cache_reasons"].clone()),
        ("canonical", is_degraded(&health["status"]), health["reasons"].clone()),
        ("canonical, detailed", is_degraded(&detailed["status"]), detailed["reasons"].clone()),
        ("hita", is_degraded(&hita["status"]), hita["reasons"].clone()),
        ("hita, detailed", is_degraded(&hita_detailed["status"]), hita_detailed["reasons"].clone()),
        ("generic", is_degraded(&generic["status"]), generic["reasons"].clone()),
        ("hiremebahamas", is_degraded(&hiremebahamas["status"]), hiremebahamas["reasons"].clone()),
    ]
}

fn scrape(admin: &Client) -> Metrics {
    Metrics::parse(admin.get("/metrics").expect(200).text())
}

fn every_place_names_the_refusal_and_its_end(app: &TestApp) {
    let (admin, redis) = (app.admin(), app.stack.redis());
    redis.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).unwrap();
    for (cause, says, setting, bad, good) in [
        ("full", "raise maxmemory", "maxmemory", "1", "0"),
        ("replicas-missing", "bring the replicas back", "min-replicas-to-write", "1", "0"),
    ] {
        let cause_of = [("cause", cause)];
        let before = scrape(&admin).value("larder_cache_trouble_episodes_total", &cause_of);
        redis.command(&["CONFIG", "SET", setting, bad]).unwrap();
        eventually("the refusal is noticed", || {
            app.anonymous().get("/readyz").expect(200).json()["cache"] == "degraded"
        });
        for (place, is_degraded, reasons) in shown(app, &admin) {
            assert!(is_degraded, "{place}");
            let [reason] = &reasons.as_array().unwrap()[..] else { panic!("{place}: {reasons}") };
            assert_eq!(reason["cause"], cause, "{place}: {reason}");
            assert!(reason["text"].as_str().unwrap().contains(says), "{place}: {reason}");
            assert!(reason["since"].is_string(), "{place}: {reason}");
            // Redis's error text can name a user, so only admins see it.
            assert_eq!(reason["detail"].is_string(), place.contains("detailed"), "{place}: {reason}");
        }
        let metrics = scrape(&admin);
        assert_eq!(metrics.value("larder_cache_health", &[("state", "degraded")]), 1.0);
        assert_eq!(metrics.value("larder_cache_trouble", &cause_of), 1.0);
        assert_eq!(metrics.value("larder_cache_trouble", &[("cause", "away")]), 0.0);
        assert_eq!(metrics.value("larder_cache_trouble_episodes_total", &cause_of), before + 1.0);
        let stats = admin.get("/api/v1/cache/stats").expect(200).json();
        assert_eq!(stats["troubles"][cause], json!(1), "{stats}");

        redis.command(&["CONFIG", "SET", setting, good]).unwrap();
        eventually("its end is noticed", || {
            app.anonymous().get("/readyz").expect(200).json()["cache"] == "working"
        });
        for (place, is_degraded, reasons) in shown(app, &admin) {
            assert!(!is_degraded, "{place}");
            assert!(reasons.is_null() || reasons == json!([]), "{place}: {reasons}");
        }
        assert_eq!(scrape(&admin).value("larder_cache_trouble", &cause_of), 0.0);
    }
}

on_redis!(every_place_names_the_refusal_and_its_end);
