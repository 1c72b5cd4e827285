//! The options `ttl`, `tags` and `key_prefix` of `#[cached]`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder::error::ErrorKind;
use larder::{Cache, Class, Policy, Tag, cached, tag};
use larder_testbed::Redis;

use crate::support::logged::Logged;
use crate::support::{Instance, Table, in_redis, instance, memory_instance, within};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone)]
struct Pages {
    by_category: Class<(String, u32), u64>,
    /// Its class was opened without `tagged_by`.
    untagged: Class<(String, u32), u64>,
    texts: Class<String, u64>,
    pairs: Class<(u64, u32), u64>,
    region: String,
    shelf: u8,
    calls: Arc<AtomicUsize>,
}

impl Pages {
    fn of(cache: &Cache) -> Self {
        let tagged = cache.class::<(String, u32), u64>("pages").tagged("site");
        Pages {
            by_category: tagged.tagged_by(|(category, _)| [tag("category", category)]).open().unwrap(),
            untagged: cache.class("untagged").open().unwrap(),
            texts: cache.class("texts").open().unwrap(),
            pairs: cache.class("pairs").open().unwrap(),
            region: "eu".to_owned(),
            shelf: 3,
            calls: Arc::default(),
        }
    }

    fn called(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::SeqCst) as u64 + 1
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    #[cached(class = self.by_category, tags = [tag("category", category), "site"])]
    async fn page(&self, category: &str, number: u32) -> Result<u64, larder::Error> {
        Ok(self.called())
    }

    #[cached(class = self.untagged, tags = [tag("category", category)])]
    async fn untagged(&self, category: &str, number: u32) -> Result<u64, larder::Error> {
        Ok(self.called())
    }

    #[cached(class = self.untagged, tags = tag("category", category))]
    async fn untagged_value(&self, category: &str, number: u32) -> u64 {
        self.called()
    }

    #[cached(class = self.untagged, key_prefix = "first")]
    async fn first(&self, number: u32) -> Result<u64, larder::Error> {
        Ok(self.called())
    }

    #[cached(class = self.untagged, key_prefix = self.region, key = (number + 1,))]
    async fn of_region(&self, number: u32) -> Result<u64, larder::Error> {
        Ok(self.called())
    }

    #[cached(class = self.untagged, key_prefix = self.region.clone() + "/shop")]
    async fn of_sum(&self, number: u32) -> Result<u64, larder::Error> {
        Ok(self.called())
    }

    #[cached(class = self.pairs, key_prefix = self.shelf as u64)]
    async fn of_cast(&self, number: u32) -> Result<u64, larder::Error> {
        Ok(self.called())
    }

    #[cached(class = self.untagged, key_prefix = self.region, tags = [tag("region", &self.region), "site"])]
    async fn untagged_region(&self, number: u32) -> Result<u64, larder::Error> {
        Ok(self.called())
    }

    #[cached(class = self.untagged, key = (self.region.to_uppercase(), number), tags = [format!("{number}")])]
    async fn untagged_number(&self, number: u32) -> Result<u64, larder::Error> {
        Ok(self.called())
    }

    #[cached(class = self.pairs, key = (u64::from(number) + 1, 7), tags = [tag("number", number)])]
    async fn untagged_sum(&self, number: u32) -> Result<u64, larder::Error> {
        Ok(self.called())
    }

    #[cached(class = self.untagged, tags = [tag("category", &category)])]
    async fn untagged_owned(&self, category: String, number: u32) -> Result<u64, larder::Error> {
        Ok(self.called())
    }

    #[cached(class = self.texts, key_prefix = "site", tags = "site")]
    async fn untagged_text(&self) -> Result<u64, larder::Error> {
        Ok(self.called())
    }

    #[cached(class = self.texts, key_prefix = "all")]
    async fn all(&self) -> Result<u64, larder::Error> {
        Ok(self.called())
    }
}

async fn each() -> (Redis, [Instance; 2]) {
    let redis = Redis::start().unwrap();
    let instances = [instance(&redis).await, memory_instance().await];
    (redis, instances)
}

#[tokio::test]
async fn an_invalidation_of_a_tag_that_the_function_names_reaches_its_entry() {
    let (_redis, instances) = each().await;
    for Instance { cache, .. } in instances {
        let pages = Pages::of(&cache);
        for _ in 0..3 {
            assert_eq!(within(pages.page("lights", 1)).await.unwrap(), 1);
            assert_eq!(within(pages.page("chairs", 1)).await.unwrap(), 2);
        }
        let _ = cache.invalidate_tag(tag("category", "lights")).await;
        assert_eq!(within(pages.page("lights", 1)).await.unwrap(), 3);
        assert_eq!(within(pages.page("chairs", 1)).await.unwrap(), 2);
        let _ = cache.invalidate_tag("site").await;
        assert_eq!(within(pages.page("chairs", 1)).await.unwrap(), 4);
    }
}

/// Without the check, an invalidation of the tag would leave the entry in the cache, and nothing would say so.
#[tokio::test]
async fn a_tag_that_the_class_does_not_give_its_entries_is_an_error_that_says_what_to_write() {
    let (_redis, instances) = each().await;
    let logged = Logged::start();
    for Instance { cache, .. } in instances {
        let pages = Pages::of(&cache);
        let error = within(pages.untagged("lights", 1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Load);
        let text = format!("{:#}", anyhow::Error::from(error));
        let opened =
            r#"open the class with `.tagged_by(|(category, number): &(_, _)| [tag("category", category)])`"#;
        assert!(text.contains(opened) && text.contains("`untagged`"), "{text}");
        assert_eq!(pages.calls(), 0, "the body did not run");
        assert!(pages.untagged.get(&("lights", 1)).await.is_miss());

        // A function that cannot return the error works without the cache.
        assert_eq!(within(pages.untagged_value("lights", 1)).await, 1);
        assert_eq!(within(pages.untagged_value("lights", 1)).await, 2);
        assert!(pages.untagged.get(&("lights", 1)).await.is_miss());
    }
    // Of each function the first, second, fourth … error is logged: two of two, and three of four.
    assert_eq!(logged.with("have not all of the tags").len(), 5);
}

/// The class has the parts of the key, and neither the function's arguments nor `self`.
#[tokio::test]
async fn what_the_error_says_to_write_compiles_where_the_class_is_opened() {
    let cache = memory_instance().await.cache;
    let pages = Pages::of(&cache);
    let said =
        async |read: Result<u64, larder::Error>| format!("{:#}", anyhow::Error::from(read.unwrap_err()));
    for (said, code) in [
        (
            said(pages.untagged_region(1).await).await,
            r#"with `.tagged_by(|(region, number): &(_, _)| [tag("region", region), Tag::from("site")])`"#,
        ),
        (
            said(pages.untagged_number(1).await).await,
            r#"with `.tagged_by(|(_, number): &(_, _)| [format! ("{number}")])`"#,
        ),
        (
            said(pages.untagged_sum(1).await).await,
            "with `.tagged_by(…)`, whose closure gets the key and returns them",
        ),
        (said(pages.untagged_text().await).await, r#"with `.tagged("site")`"#),
        (
            said(pages.untagged_owned("lights".to_owned(), 1).await).await,
            r#"with `.tagged_by(|(category, number): &(_, _)| [tag("category", category)])`"#,
        ),
    ] {
        assert!(said.ends_with(code), "{said}");
    }
    let regions = cache.class::<(String, u32), u64>("regions");
    #[allow(unused_variables)]
    let regions = regions.tagged_by(|(region, number): &(_, _)| [tag("region", region), Tag::from("site")]);
    let numbers = cache.class::<(String, u32), u64>("numbers");
    let numbers = numbers.tagged_by(|(_, number): &(_, _)| [format!("{number}")]);
    let pages = Pages { untagged: regions.open().unwrap(), ..pages };
    assert_eq!(pages.untagged_region(1).await.unwrap(), 1);
    let pages = Pages { untagged: numbers.open().unwrap(), ..pages };
    assert_eq!(pages.untagged_number(1).await.unwrap(), 2);
    let pages = Pages { texts: cache.class("site").tagged("site").open().unwrap(), ..pages };
    assert_eq!(pages.untagged_text().await.unwrap(), 3);
}

#[tokio::test]
async fn a_prefix_keeps_the_entries_of_two_functions_of_one_class_apart() {
    let redis = Redis::start().unwrap();
    let instance = instance(&redis).await;
    let pages = Pages::of(&instance.cache);
    for _ in 0..3 {
        assert_eq!(within(pages.first(7)).await.unwrap(), 1);
        assert_eq!(within(pages.of_region(7)).await.unwrap(), 2);
        assert_eq!(within(pages.all()).await.unwrap(), 3);
        // A sum and a cast, which bind less tightly than `&`.
        assert_eq!(within(pages.of_sum(7)).await.unwrap(), 4);
        assert_eq!(within(pages.of_cast(7)).await.unwrap(), 5);
    }
    for key in [
        in_redis!("untagged:first:7"),
        in_redis!("untagged:eu:8"),
        in_redis!("texts:all"),
        in_redis!("untagged:eu%2Fshop:7"),
        in_redis!("pairs:3:7"),
    ] {
        assert_eq!(redis.command(&["EXISTS", key]).unwrap().trim(), "1", "{key}");
    }
    // All entries of one function.
    let _ = pages.untagged.invalidate_matching("first:*").await.unwrap();
    assert_eq!(within(pages.first(7)).await.unwrap(), 6);
    assert_eq!(within(pages.of_region(7)).await.unwrap(), 2);
}

#[derive(Clone)]
struct Rates {
    rates: Class<u32, u64>,
    table: Arc<Table>,
}

impl Rates {
    #[cached(class = self.rates, ttl = "2 min")]
    async fn written(&self, id: u32) -> Result<Option<u64>, larder::Error> {
        let Ok(found) = self.table.load(id);
        Ok(found)
    }

    #[cached(class = self.rates, key = id + 100, ttl = if id == 1 { MINUTE } else { 2 * MINUTE })]
    async fn computed(&self, id: u32) -> Result<Option<Arc<u64>>, larder::Error> {
        let Ok(found) = self.table.load(id);
        Ok(found.map(Arc::new))
    }

    #[cached(class = self.rates, key = id + 200, ttl = |seconds| Duration::from_secs(*seconds))]
    async fn of_value(&self, id: u32) -> Option<u64> {
        let Ok(found) = self.table.load(id);
        found
    }
}

fn rates(cache: &Cache) -> Rates {
    let policy = Policy::ttl(10 * MINUTE).absent_for(MINUTE).jitter(0.0);
    let rates = cache.class("rates").policy(policy).open().unwrap();
    let table = Table::new();
    (1..=2).for_each(|id| table.write(id, u64::from(id) * 90));
    Rates { rates, table }
}

/// How long the entry of a key of `rates` stays in Redis, in seconds.
fn stays(redis: &Redis, key: u32) -> u64 {
    let key = format!("{}:{key}", in_redis!("rates"));
    let millis: u64 = redis.command(&["PTTL", &key]).unwrap().trim().parse().unwrap();
    millis.div_ceil(1_000)
}

#[tokio::test]
async fn the_ttl_of_a_function_is_that_of_its_values() {
    let redis = Redis::start().unwrap();
    let instance = instance(&redis).await;
    let rates = rates(&instance.cache);
    within(rates.written(1)).await.unwrap();
    within(rates.computed(1)).await.unwrap();
    within(rates.computed(2)).await.unwrap();
    within(rates.of_value(1)).await;
    within(rates.of_value(2)).await;
    for (key, seconds) in [(1, 120), (101, 60), (102, 120), (201, 90), (202, 180)] {
        let stays = stays(&redis, key);
        assert!((seconds - 20..=seconds).contains(&stays), "{key}: {stays}");
    }
    // Absence stays as the class says.
    assert_eq!(within(rates.written(9)).await.unwrap(), None);
    assert!((40..=60).contains(&stays(&redis, 9)));
    assert_eq!(rates.rates.stats().ttls_cut, 0);
}

#[tokio::test]
async fn a_ttl_longer_than_the_classs_is_cut_counted_and_logged() {
    let logged = Logged::start();
    let cache = memory_instance().await.cache;
    let rates = Rates { rates: cache.class("short").ttl(MINUTE).open().unwrap(), table: Table::new() };
    rates.table.write(1, 7);
    assert_eq!(within(rates.written(1)).await.unwrap(), Some(7));
    assert_eq!(rates.rates.stats().ttls_cut, 1);
    assert_eq!(logged.with("a loader asks for a longer TTL than its class has").len(), 1);
}
