//! A foreign exporter of the facade renders what an adapter copies.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use larder::{Cache, Class, Error};
use larder_metrics::Adapter;
use larder_prometheus::Exporter;
use larder_testbed::Redis;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use openmetrics_parser::prometheus::parse_prometheus;

async fn memory(namespace: &str) -> Cache {
    Cache::builder(namespace).build().await.unwrap()
}

/// One load and two hits in a class of this name.
async fn read(cache: &Cache, class: &str) {
    let class: Class<u32, String> = cache.class(class).open().unwrap();
    for _ in 0..3 {
        class.get_or_load(&7, || async { Ok::<_, Error>("soap".to_owned()) }).await.unwrap();
    }
}

/// What `metrics-exporter-prometheus` renders after the adapter has recorded the counts once.
fn rendered(adapter: &Adapter) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || adapter.record());
    recorder.handle().render()
}

fn samples(text: &str) -> BTreeSet<&str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[tokio::test]
async fn the_exporter_has_each_figure_of_the_text_and_no_other() {
    let cache = memory("shop").await;
    read(&cache, "product").await;
    read(&cache, r#"say "hi" \ {a="b"}"#).await;
    let (theirs, ours) = (rendered(&Adapter::new(&cache)), larder_prometheus::text(&cache));
    parse_prometheus(&theirs).unwrap();
    assert_eq!(samples(&theirs), samples(&ours));
    assert!(theirs.contains(r#"larder_cache_hits_total{class="product",tier="memory"} 2"#), "{theirs}");
    for help in ours.lines().filter(|line| line.starts_with("# HELP")) {
        assert!(theirs.lines().any(|line| line == help), "no {help} in\n{theirs}");
    }
}

#[tokio::test]
async fn a_counter_is_copied_as_what_it_has_grown_by() {
    let cache = memory("shop").await;
    read(&cache, "product").await;
    let adapter = Adapter::new(&cache);
    let hits = |count: u32| format!(r#"larder_cache_hits_total{{class="product",tier="memory"}} {count}"#);
    assert!(rendered(&adapter).contains(&hits(2)));
    assert!(rendered(&adapter).contains(&hits(0)), "another recorder gets what is new");
    let recorder = PrometheusBuilder::new().build_recorder();
    for _ in 0..2 {
        read(&cache, "product").await;
        metrics::with_local_recorder(&recorder, || adapter.record());
    }
    assert!(recorder.handle().render().contains(&hits(6)));
}

#[tokio::test]
async fn several_caches_have_their_names_as_a_label() {
    let (shop, sessions) = (memory("shop").await, memory("sessions").await);
    read(&shop, "user").await;
    read(&sessions, "user").await;
    let caches = [("shop", &shop), ("sessions", &sessions)];
    let theirs = rendered(&Adapter::named(caches));
    assert_eq!(samples(&theirs), samples(&Exporter::named(caches).text()));
    assert!(theirs.contains(r#"larder_cache_misses_total{cache="sessions",class="user"} 1"#), "{theirs}");
}

async fn eventually(handle: &PrometheusHandle, line: &str) {
    let began = Instant::now();
    while !handle.render().lines().any(|found| found == line) {
        assert!(began.elapsed() < Duration::from_secs(20), "no {line} in\n{}", handle.render());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The only test with a recorder for the entire process.
#[tokio::test]
async fn the_counts_are_copied_at_each_interval_with_those_of_redis() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).unwrap();

    let mut redis = Redis::start().unwrap();
    let cache = Cache::builder("shop").redis(redis.url()).installation("shop").build().await.unwrap();
    let copying = tokio::spawn(Adapter::new(&cache).every(Duration::from_millis(20)));
    eventually(&handle, "larder_redis_up 1").await;
    for nth in 1..3 {
        read(&cache, &format!("class_{nth}")).await;
        eventually(&handle, &format!(r#"larder_cache_loads_total{{class="class_{nth}"}} 1"#)).await;
    }
    redis.kill().unwrap();
    eventually(&handle, "larder_redis_up 0").await;
    copying.abort();
}
