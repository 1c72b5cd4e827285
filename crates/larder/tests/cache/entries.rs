//! A read serves an entry from Redis only if an instance of this cache stored it, under the same key, as a value of the
//! same type.

use std::fmt::Debug;

use larder::cache::Cache;
use larder::class::{Class, ClassBuilder};
use larder::codec::Codec;
use larder::error::ErrorKind;
use larder::policy::Policy;
use larder::source::{NotStoredReason, Placement, Source};
use larder_testbed::Redis;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::support::entries::{alone, load, shared};
use crate::support::within;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Offer {
    #[serde(skip_serializing_if = "Option::is_none")]
    discount: Option<u32>,
    price: u32,
    stock: i32,
}

const OFFER: Offer = Offer { discount: None, price: 1, stock: 7 };

#[tokio::test]
async fn a_value_that_its_codec_does_not_carry_is_written_by_another_codec() {
    let redis = Redis::start().unwrap();
    for (codec, others) in [(Codec::MessagePack, 0), (Codec::Postcard, 1), (Codec::Json, 0)] {
        let name = format!("offers-{codec:?}");
        let open = |cache: Cache| cache.class::<u32, Offer>(&name).codec(codec).open().unwrap();
        let [a, b] = [open(shared(&redis).await), open(shared(&redis).await)];
        assert_eq!(load(&a, 7, OFFER).await, (OFFER, Source::Load { placement: Placement::Redis }));
        assert_eq!(within(b.get(&7)).await.value().as_deref(), Some(&OFFER), "{codec:?}");
        let alone = open(alone().await);
        assert_eq!(load(&alone, 7, OFFER).await, (OFFER, Source::Load { placement: Placement::Memory }));
        assert_eq!([&a, &alone].map(|class| class.stats().other_codec), [others; 2], "{codec:?}");
        let full = Offer { discount: Some(1), ..OFFER };
        assert!(load(&a, 8, full).await.1.is_stored());
        assert_eq!(a.stats().other_codec, others, "{codec:?} carries the full value");
    }
    // The default does not carry this one.
    let twice: Class<u32, Option<Option<u8>>> = shared(&redis).await.class("twice").open().unwrap();
    let stored = Source::Load { placement: Placement::Redis };
    assert_eq!(load(&twice, 7, Some(None)).await, (Some(None), stored));
    assert_eq!(within(twice.get(&7)).await.value().as_deref(), Some(&Some(None)));
}

/// Its `Serialize` writes what its `Deserialize` does not read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Forgetful {
    #[serde(skip_deserializing)]
    discount: u32,
}

#[tokio::test]
async fn a_value_that_no_codec_carries_is_not_stored() {
    let redis = Redis::start().unwrap();
    for cache in [shared(&redis).await, alone().await] {
        let class = cache.class::<u32, Forgetful>("forgetful").open().unwrap();
        for _ in 0..2 {
            let refused = Source::Load { placement: Placement::Nowhere(NotStoredReason::NotCarried) };
            assert_eq!(
                load(&class, 7, Forgetful { discount: 3 }).await,
                (Forgetful { discount: 3 }, refused)
            );
        }
        assert_eq!(class.stats().not_carried, 2);
        assert!(class.get(&7).await.is_miss());
    }
}

/// Runs two releases of one type on one Redis; neither may serve the other's entries.
async fn never_exchanged<A, B>(redis: &Redis, name: &str, first: A, second: B)
where
    A: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
    B: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    for codec in [Codec::MessagePack, Codec::Postcard, Codec::Json] {
        let name = format!("{name}-{codec:?}");
        let old: Class<u32, A> = shared(redis).await.class(&name).codec(codec).open().unwrap();
        let new: Class<u32, B> = shared(redis).await.class(&name).codec(codec).open().unwrap();
        for _ in 0..2 {
            assert_eq!(load(&old, 7, first.clone()).await.0, first, "{name}");
            assert!(within(new.get(&7)).await.is_miss(), "{name}: the new release takes the old one's entry");
            let (loaded, source) = load(&new, 7, second.clone()).await;
            assert_eq!(loaded, second, "{name}");
            if source == (Source::Load { placement: Placement::Nowhere(NotStoredReason::NotCarried) }) {
                // Nothing is stored, so nothing can be exchanged.
                assert_eq!(codec, Codec::Postcard);
                return;
            }
            assert_eq!(source, Source::Load { placement: Placement::Redis }, "{name}");
            assert!(within(old.get(&7)).await.is_miss(), "{name}: the old release takes the new one's entry");
        }
        assert!(new.stats().broken_frames > 0, "{name}: {:?}", new.stats());
    }
}

mod then {
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Guest {
        pub(super) name: String,
        pub(super) email: String,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) enum Order {
        New,
        Paid,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Price {
        pub(super) amount: u32,
    }
}

mod now {
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Guest {
        pub(super) email: String,
        pub(super) name: String,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) enum Order {
        New,
        Cancelled,
        Paid,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Price {
        pub(super) amount: u32,
        #[serde(default)]
        pub(super) tax: Option<u32>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename = "Price")]
    pub(super) struct Discounted {
        pub(super) amount: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) discount: Option<u32>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct FloatPrice {
        pub(super) amount: f64,
    }
}

#[tokio::test]
async fn two_releases_of_one_type_never_exchange_entries() {
    let redis = Redis::start().unwrap();
    let (name, email) = (|| "ada".to_owned(), || "ada@example.com".to_owned());
    let guest = then::Guest { name: name(), email: email() };
    never_exchanged(&redis, "swapped", guest, now::Guest { name: name(), email: email() }).await;
    never_exchanged(&redis, "inserted", then::Order::Paid, now::Order::Paid).await;
    let price = then::Price { amount: 7 };
    never_exchanged(&redis, "added", price.clone(), now::Price { amount: 7, tax: None }).await;
    for discount in [None, Some(7)] {
        let discounted = now::Discounted { amount: 7, discount };
        never_exchanged(&redis, &format!("left-out-{discount:?}"), price.clone(), discounted).await;
    }
    never_exchanged(&redis, "widened", price, now::FloatPrice { amount: 7.0 }).await;
    assert_ne!(now::Order::New, now::Order::Cancelled);
    assert_ne!(then::Order::New, then::Order::Paid);
}

/// Release B declares a tag that release A does not: an invalidation of this tag has to reach every entry that B reads,
/// so A's entries are misses for B.
#[tokio::test]
async fn an_entry_without_one_of_the_tags_is_a_miss() {
    let redis = Redis::start().unwrap();
    let a: Class<u32, u64> = shared(&redis).await.class("prices").open().unwrap();
    let b: Class<u32, u64> = shared(&redis).await.class("prices").tagged("taxes").open().unwrap();
    load(&a, 7, 1).await;
    assert!(within(b.get(&7)).await.is_miss());
    load(&b, 7, 2).await;
    assert!(
        within(a.get(&7)).await.is_miss(),
        "an entry with one more tag is a miss too: A does not know that tag's token"
    );
}

fn refused<V>(second: ClassBuilder<'_, u32, V>, says: [&str; 2])
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let error = second.open().expect_err("opened");
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(text.contains("rooms") && says.iter().all(|word| text.contains(word)), "{text}");
}

#[tokio::test]
async fn a_class_that_is_opened_twice_with_anything_different_is_refused() {
    let redis = Redis::start().unwrap();
    for cache in [shared(&redis).await, alone().await] {
        let rooms = || cache.class::<u32, u64>("rooms");
        let first = rooms().open().unwrap();
        refused(cache.class::<u32, String>("rooms"), ["u64", "String"]);
        refused(rooms().codec(Codec::Json), ["MessagePack", "Json"]);
        refused(rooms().tagged("floors"), ["{}", "floors"]);
        refused(rooms().tagged_by(|key| vec![format!("floor:{key}")]), ["none", "closure"]);
        refused(rooms().policy(Policy::ttl(std::time::Duration::from_secs(7))), ["300s", "7s"]);
        refused(rooms().version(2), ["version 0", "version 2"]);
        refused(rooms().max_value_bytes(7), ["1048576", "max_value_bytes 7"]);
        let tagged = || cache.class::<u32, u64>("tagged").tagged("a").tagged("b");
        let _first = tagged().tagged_by(|key| vec![format!("floor:{key}")]).open().unwrap();
        let other = tagged().tagged_by(|key| vec![format!("team:{key}")]).open().expect_err("opened");
        assert!(other.to_string().contains("tagged_by"), "{other}");
        let plain = |tags: [&str; 3]| {
            tags.iter().fold(cache.class::<u32, u64>("plain"), |class, tag| class.tagged(tag))
        };
        let _first = plain(["a", "b", "b"]).open().unwrap();
        let _same = plain(["b", "plain", "a"]).open().unwrap();
        let again = rooms().open().unwrap();
        load(&first, 7, 1).await;
        assert_eq!(again.get(&7).await.value().as_deref(), Some(&1));
    }
}

#[tokio::test]
async fn a_large_value_is_stored_nowhere_and_says_so() {
    let redis = Redis::start().unwrap();
    for cache in [shared(&redis).await, alone().await] {
        let health = cache.health();
        let class: Class<u32, String> = cache.class("reports").open().unwrap();
        for size in [8 << 20, 100 << 20] {
            let (report, source) = load(&class, 7, "x".repeat(size)).await;
            assert_eq!(
                (report.len(), source),
                (size, Source::Load { placement: Placement::Nowhere(NotStoredReason::TooLarge) })
            );
            assert!(!class.put(&7, report).await.is_stored);
            assert_eq!(cache.health(), health);
        }
        assert_eq!(class.stats().too_large, 4);
        assert!(load(&class, 8, "x".repeat(1 << 19)).await.1.is_stored());
    }
    let small = crate::support::builder().memory_bytes(1 << 20).build().await.unwrap();
    let class: Class<u32, String> = small.class("reports").max_value_bytes(16 << 20).open().unwrap();
    let no_room = Source::Load { placement: Placement::Nowhere(NotStoredReason::NoRoom) };
    assert_eq!(load(&class, 7, "x".repeat(8 << 20)).await.1, no_room);
    assert!(class.get(&7).await.is_miss());
}
