//! For a value of any type, each tier returns an equal value, or no tier stores it.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

mod types;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use larder::cache::Cache;
use larder::class::Class;
use larder::codec::Codec;
use larder::source::{NotStoredReason, Placement, Source};
use larder_testbed::Redis;
use rust_decimal::Decimal;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;
use uuid::Uuid;

use types::*;

const CODECS: [Codec; 3] = [Codec::MessagePack, Codec::Postcard, Codec::Json];
const VALUES: u32 = 25;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Two instances on one Redis, and one on memory only.
struct Caches {
    writer: Cache,
    reader: Cache,
    alone: Cache,
}

impl Caches {
    async fn on(redis: &Redis) -> Self {
        // On a machine that is busy with other tests, Redis answers late. Each value has to reach it all the same.
        let shared = || async {
            let cache = Cache::builder("shapes").redis(redis.url()).installation("shapes");
            let cache = cache.redis_timeout(Duration::from_millis(500)).redis_budget(TIMEOUT);
            cache.staleness_bound(TIMEOUT).build().await.unwrap()
        };
        let alone = Cache::builder("shapes").build().await.unwrap();
        Caches { writer: shared().await, reader: shared().await, alone }
    }
}

/// How many values of one type were carried, and how many refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    encoded: u32,
    refused: u32,
}

async fn load<V>(class: &Class<u32, V>, key: u32, value: &V) -> (Arc<V>, Source)
where
    V: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let value = value.clone();
    let read = class.read(&key).or_load(|| async move { Ok::<_, std::io::Error>(value) });
    let answer = read.await.unwrap();
    (answer.value.unwrap(), answer.source)
}

/// NaN counts as equal to itself here.
fn same<V: PartialEq + Debug>(a: &V, b: &V) -> bool {
    a == b || format!("{a:?}") == format!("{b:?}")
}

async fn carries<V>(caches: &Caches, codec: Codec, name: &str) -> Tally
where
    V: RandomValue + Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let open = |cache: &Cache| -> Class<u32, V> {
        cache.class(&format!("{name}-{codec:?}")).codec(codec).open().unwrap()
    };
    let [writer, reader, alone] = [&caches.writer, &caches.reader, &caches.alone].map(open);
    let mut draw = Draw::new(u64::from(codec as u8) + 1);
    let mut tally = Tally::default();
    for key in 0..VALUES {
        let value = V::drawn(&mut draw);
        let what = format!("{name} by {codec:?}: {value:?}");
        let (loaded, source) = load(&writer, key, &value).await;
        assert!(same(&*loaded, &value), "{what} was loaded as {loaded:?}");
        let (_, source_alone) = load(&alone, key, &value).await;
        match source {
            Source::Load { placement: Placement::Redis } => {
                tally.encoded += 1;
                assert_eq!(source_alone, Source::Load { placement: Placement::Memory }, "{what}");
                for (class, from) in
                    [(&reader, Source::Redis), (&reader, Source::Memory), (&alone, Source::Memory)]
                {
                    let read =
                        class.read(&key).or_load(async || Err::<V, _>(std::io::Error::other("not asked")));
                    let answer = read.await.unwrap();
                    assert_eq!(answer.source, from, "{what}");
                    let read = answer.value.unwrap();
                    assert!(same(&*read, &value), "{what} was read from {from:?} as {read:?}");
                }
            }
            refused => {
                tally.refused += 1;
                assert_eq!(
                    refused,
                    Source::Load { placement: Placement::Nowhere(NotStoredReason::NotCarried) },
                    "{what}"
                );
                assert_eq!(source_alone, refused, "{what}: memory alone shows it too");
            }
        }
    }
    assert_eq!(writer.stats().not_carried, u64::from(tally.refused));
    tally
}

macro_rules! tallies {
    ($caches:expr, $codec:expr, [$($type:ty),+ $(,)?]) => {
        vec![$((stringify!($type), carries::<$type>($caches, $codec, stringify!($type)).await)),+]
    };
}

async fn tallies(caches: &Caches, codec: Codec) -> Vec<(&'static str, Tally)> {
    tallies!(caches, codec, [
        Plain, Plainer, Widths, Skipping, Renamed, Defaulted, Flattened, Strict, Bytes, Money, Times, Documents, Ids,
        Maps, Sets, Tuples, Shared, Floats, Wrapping, Deep, External, Shouting, Adjacent, Untagged, Internal, Newtype,
        Transparent, UnitStruct, TupleStruct, Generic<Adjacent>, Generic<Flattened>, Generic<(String, Decimal)>, u64,
        bool, f64, String, Json, Decimal, Vec<u64>, (String, (u8, Vec<Skipping>)), Option<Option<u8>>,
        Option<Untagged>, Vec<Internal>, HashMap<(u8, bool), Vec<Shouting>>, BTreeMap<Uuid, External>,
    ])
}

#[tokio::test]
async fn values_of_any_shape_are_equal_in_both_tiers_or_stored_in_neither() {
    let redis = Redis::start().unwrap();
    let caches = Caches::on(&redis).await;
    for codec in CODECS {
        let tallies = tallies(&caches, codec).await;
        assert!(tallies.len() >= 40);
        let refused: Vec<_> = tallies.iter().filter(|(_, tally)| tally.refused > 0).collect();
        let never: Vec<_> =
            tallies.iter().filter(|(_, tally)| tally.encoded == 0).map(|(name, _)| *name).collect();
        println!("{codec:?} refuses values of {refused:?}, all of {never:?}");
        let names: Vec<&str> = refused.iter().map(|(name, _)| *name).collect();
        // Any format decodes a `Plain` as a `Named` without its option. What else a codec does not carry, another does.
        assert_eq!(names, ["Untagged", "Option<Untagged>"], "{codec:?}");
    }
}
