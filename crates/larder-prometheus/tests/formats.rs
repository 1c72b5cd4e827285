//! A foreign parser reads the text, alone and together with the texts of other libraries. It refuses a family that occurs
//! twice, a series that occurs twice, and a name or label that the format does not allow.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use larder::{Cache, Class, Error};
use larder_prometheus::{Exporter, text, text_with_redis};
use larder_testbed::Redis;
use openmetrics_parser::openmetrics::parse_openmetrics;
use openmetrics_parser::prometheus::parse_prometheus;
use prometheus_client::encoding::text::{encode_eof, encode_registry};

/// The time-out of Redis is two seconds; the rest is for a busy machine.
const BOUNDED: Duration = Duration::from_secs(4);

async fn memory(namespace: &str) -> Cache {
    Cache::builder(namespace).build().await.unwrap()
}

async fn over(redis: &Redis) -> Cache {
    Cache::builder("shop").redis(redis.url()).installation("shop").build().await.unwrap()
}

fn open(cache: &Cache, class: &str) -> Class<u32, String> {
    cache.class(class).open().unwrap()
}

/// Returns the names of the families, and fails the test if the text is not as Prometheus's format requires.
#[track_caller]
fn families(text: &str) -> BTreeSet<String> {
    let parsed = parse_prometheus(text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    for (name, family) in &parsed.families {
        assert!(!family.help.is_empty() && family.iter_samples().next().is_some(), "{name}");
    }
    parsed.families.into_keys().collect()
}

/// The same for OpenMetrics. `text` has no last line.
#[track_caller]
fn open_metrics_families(text: &str) -> BTreeSet<String> {
    let text = format!("{text}# EOF\n");
    let parsed = parse_openmetrics(&text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    parsed.families.into_keys().collect()
}

#[track_caller]
fn assert_has(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
}

#[tokio::test]
async fn hits_and_misses_are_counted() {
    let cache = memory("shop").await;
    let products = open(&cache, "product");
    for _ in 0..3 {
        products.get_or_load(&7, || async { Ok::<_, Error>("soap".to_owned()) }).await.unwrap();
    }
    let text = text(&cache);
    families(&text);
    assert_has(&text, r#"larder_cache_hits_total{class="product",tier="memory"} 2"#);
    assert_has(&text, r#"larder_cache_misses_total{class="product"} 1"#);
    assert_has(&text, r#"larder_cache_load_duration_seconds_count{class="product"} 1"#);
}

#[tokio::test]
async fn a_cache_without_classes_has_only_its_own_families() {
    let text = text(&memory("shop").await);
    let expected = ["larder_cache_evictions_total", "larder_cache_health", "larder_cache_memory_bytes"];
    assert_eq!(families(&text), BTreeSet::from(expected.map(str::to_owned)));
    assert_has(&text, r#"larder_cache_health{state="memory-only"} 1"#);
}

#[tokio::test]
async fn names_are_escaped() {
    let cache = memory("shop").await;
    let _odd = open(&cache, r#"say "hi" \ {a="b"}, ü"#);
    let exporter = Exporter::named([("two\nlines", &cache)]);
    let line = concat!(
        r#"larder_cache_class_enabled{cache="two\nlines","#,
        r#"class="say \"hi\" \\ {a=\"b\"}, ü"} 1"#
    );
    families(&exporter.text());
    assert_has(&exporter.text(), line);
    let exporter = exporter.openmetrics();
    open_metrics_families(&exporter.text());
    assert_has(&exporter.text(), line);
}

#[tokio::test]
async fn a_class_that_is_off_says_so() {
    let cache = memory("shop").await;
    let (_product, _price) = (open(&cache, "product"), open(&cache, "price"));
    cache.set_class_enabled("price", false).unwrap();
    assert_has(&text(&cache), r#"larder_cache_class_enabled{class="price"} 0"#);
    assert_has(&text(&cache), r#"larder_cache_class_enabled{class="product"} 1"#);
}

#[tokio::test]
async fn several_caches_share_each_family_and_no_series() {
    let (shop, sessions) = (memory("shop").await, memory("sessions").await);
    // A class of one name in both.
    let (_shop, _sessions) = (open(&shop, "user"), open(&sessions, "user"));
    let exporter = Exporter::named([("shop", &shop), ("sessions", &sessions)]);
    assert_eq!(families(&exporter.text()), families(&text(&shop)));
    open_metrics_families(&exporter.openmetrics().text());
    // The parser finds what `named` prevents.
    assert!(parse_prometheus(&(text(&shop) + &text(&sessions))).is_err());
}

#[tokio::test]
async fn the_page_lists_every_family() {
    let redis = Redis::start().unwrap();
    let builder = Cache::builder("shop").redis(redis.url()).installation("shop");
    let cache = builder.audit_rate(1.0).build().await.unwrap();
    let product = open(&cache, "product");
    let start = Instant::now();
    // With a checked hit there are all figures of the auditor.
    while cache.audit().unwrap().checked == 0 {
        product.get_or_load(&7, || async { Ok::<_, Error>("soap".to_owned()) }).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(20), "no hit is checked");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let families = families(&text_with_redis(&cache).await);
    assert_eq!(families.len(), 55);
    for family in families {
        assert!(page.contains(&format!("`{family}`")), "docs/metrics.md has no {family}");
    }
}

#[tokio::test]
async fn the_figures_of_redis_need_a_redis_that_answers() {
    let of_redis = |text: &str| families(text).into_iter().filter(|name| name.starts_with("larder_redis_"));
    assert_eq!(of_redis(&text_with_redis(&memory("shop").await).await).count(), 0);

    let redis = Redis::start().unwrap();
    let cache = over(&redis).await;
    assert_eq!(of_redis(&text(&cache)).count(), 0);
    let working = text_with_redis(&cache).await;
    assert_eq!(of_redis(&working).count(), 6);
    assert_has(&working, "larder_redis_up 1");
    open_metrics_families(&Exporter::new(&cache).openmetrics().text_with_redis().await);

    redis.pause().unwrap();
    let hanging = text_with_redis(&cache).await;
    assert_eq!(of_redis(&hanging).collect::<Vec<_>>(), ["larder_redis_up"]);
    assert_has(&hanging, "larder_redis_up 0");
}

#[tokio::test]
async fn one_time_out_bounds_the_wait_for_all_caches() {
    let redis = Redis::start().unwrap();
    let builder = Cache::builder("shop").redis(redis.url()).installation("shop");
    // All 20 queue for one connection, and each holds it for at least 250 ms.
    let shop = builder.redis_pool_size(1).build().await.unwrap();
    let names: Vec<_> = (0..20).map(|number| format!("shop-{number}")).collect();
    let sessions = memory("sessions").await;
    let caches = names.iter().map(|name| (name.as_str(), &shop)).chain([("sessions", &sessions)]);
    let exporter = Exporter::named(caches);
    redis.pause().unwrap();
    let begun = Instant::now();
    let text = exporter.text_with_redis().await;
    assert!(begun.elapsed() < BOUNDED, "{:?}", begun.elapsed());
    families(&text);
    for name in &names {
        assert_has(&text, &format!("larder_redis_up{{cache=\"{name}\"}} 0"));
    }
    assert!(!text.contains("larder_redis_up{cache=\"sessions\"}"));
}

#[tokio::test]
async fn the_texts_of_other_libraries_take_ours_behind_them() {
    let cache = memory("shop").await;
    let _product = open(&cache, "product");
    let ours = families(&text(&cache)).len();

    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        metrics::describe_counter!("orders_total", "Orders.");
        metrics::counter!("orders_total").increment(1);
    });
    assert_eq!(families(&(recorder.handle().render() + &text(&cache))).len(), ours + 1);

    let registry = prometheus::Registry::new();
    let orders = prometheus::IntCounter::new("orders_total", "Orders.").unwrap();
    registry.register(Box::new(orders)).unwrap();
    let theirs = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert_eq!(families(&(theirs + &text(&cache))).len(), ours + 1);

    let mut registry = prometheus_client::registry::Registry::default();
    let orders = prometheus_client::metrics::counter::Counter::<u64>::default();
    registry.register("orders", "Orders", orders);
    let mut both = String::new();
    encode_registry(&mut both, &registry).unwrap();
    both += &Exporter::new(&cache).openmetrics().text();
    assert_eq!(open_metrics_families(&both).len(), ours + 1);
    encode_eof(&mut both).unwrap();
    assert!(both.ends_with("\n# EOF\n"));
}
