//! An entry proves what it is: nothing that stands in Redis is served but what an instance of this cache stored under that
//! very key, as a value of that very type.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

mod support;

use std::fmt::Debug;
use std::io;

use larder::cache::{Cache, Health};
use larder::class::{Class, ClassBuilder};
use larder::codec::Codec;
use larder::entry_keys::{EntryKeys, Protection};
use larder::error::ErrorKind;
use larder::policy::Policy;
use larder::source::{Kept, Source, WhyNot};
use larder_testbed::Redis;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use support::within;

const OLD_SECRET: &str = "the old secret, of 32 bytes or so";
const NEW_SECRET: &str = "the new secret, of 32 bytes or so";

async fn shared(redis: &Redis) -> Cache {
    Cache::builder("test").redis(redis.url()).build().await.unwrap()
}

async fn keyed(redis: &Redis, keys: EntryKeys) -> Cache {
    Cache::builder("test").redis(redis.url()).entry_keys(keys).build().await.unwrap()
}

async fn alone() -> Cache {
    Cache::builder("test").build().await.unwrap()
}

async fn load<V>(class: &Class<u32, V>, key: u32, value: V) -> (V, Source)
where
    V: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let answer = within(class.read(&key).or_load(|| async { Ok::<_, io::Error>(value) })).await.unwrap();
    ((*answer.value.unwrap()).clone(), answer.source)
}

/// What stands in Redis, past larder.
struct Raw(redis::Connection);

impl Raw {
    fn of(redis: &Redis) -> Self {
        Raw(redis::Client::open(redis.url()).unwrap().get_connection().unwrap())
    }

    /// The whole key of an entry, by its text.
    fn key(&mut self, text: &str) -> Vec<u8> {
        let mut keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg(format!("*:{text}")).query(&mut self.0).unwrap();
        assert_eq!(keys.len(), 1, "{text}");
        keys.remove(0)
    }

    fn get(&mut self, key: &[u8]) -> Vec<u8> {
        redis::cmd("GET").arg(key).query(&mut self.0).unwrap()
    }

    fn set(&mut self, frames: &[(&[u8], Vec<u8>)]) {
        let mut pipe = redis::pipe();
        for (key, frame) in frames {
            pipe.cmd("SET").arg(*key).arg(frame).ignore();
        }
        pipe.exec(&mut self.0).unwrap();
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Offer {
    #[serde(skip_serializing_if = "Option::is_none")]
    discount: Option<u32>,
    price: u32,
    stock: i32,
}

const OFFER: Offer = Offer { discount: None, price: 1, stock: 7 };

#[tokio::test]
async fn a_value_with_a_field_left_out_comes_back_as_it_was_or_is_not_stored() {
    let redis = Redis::start().unwrap();
    let [a, b] =
        [shared(&redis).await, shared(&redis).await].map(|c| c.class::<u32, Offer>("offers").open().unwrap());
    assert_eq!(load(&a, 7, OFFER).await, (OFFER, Source::Load { kept: Kept::Redis }));
    assert_eq!(within(b.get(&7)).await.as_deref(), Some(&OFFER));
    for cache in [shared(&redis).await, alone().await] {
        let class = cache.class::<u32, Offer>("small").codec(Codec::Postcard).open().unwrap();
        for _ in 0..2 {
            let refused = Source::Load { kept: Kept::Nowhere(WhyNot::NotCarried) };
            assert_eq!(load(&class, 7, OFFER).await, (OFFER, refused));
        }
        assert_eq!(class.stats().not_carried, 2);
        assert!(class.get(&7).await.is_none());
    }
}

/// Two releases of one type, side by side on one Redis: what the first stored and what the second makes of it.
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
            assert!(within(new.get(&7)).await.is_none(), "{name}: the new release takes the old one's entry");
            assert_eq!(
                load(&new, 7, second.clone()).await,
                (second.clone(), Source::Load { kept: Kept::Redis })
            );
            assert!(within(old.get(&7)).await.is_none(), "{name}: the old release takes the new one's entry");
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
    never_exchanged(&redis, "widened", price, now::FloatPrice { amount: 7.0 }).await;
    assert_ne!(now::Order::New, now::Order::Cancelled);
    assert_ne!(then::Order::New, then::Order::Paid);
}

/// Release B declares a tag that release A does not: an invalidation of it passes A's entries over.
#[tokio::test]
async fn an_entry_without_one_of_the_tags_is_a_miss() {
    let redis = Redis::start().unwrap();
    let a: Class<u32, u64> = shared(&redis).await.class("prices").open().unwrap();
    let b: Class<u32, u64> = shared(&redis).await.class("prices").tagged("taxes").open().unwrap();
    load(&a, 7, 1).await;
    assert!(within(b.get(&7)).await.is_none());
    load(&b, 7, 2).await;
    assert!(within(a.get(&7)).await.is_none(), "and one with a tag more: A does not know whether it stands");
}

fn refused<V>(second: ClassBuilder<'_, u32, V>, says: [&str; 2])
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let error = second.open().err().expect("opened");
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
        refused(rooms().tagged("floors"), ["[]", "floors"]);
        refused(rooms().tagged_by(|key| vec![format!("floor:{key}")]), ["none", "closure"]);
        refused(rooms().policy(Policy::ttl(std::time::Duration::from_secs(7))), ["300s", "7s"]);
        refused(rooms().version(2), ["version 0", "version 2"]);
        refused(rooms().max_value_bytes(7), ["1048576", "max_value_bytes 7"]);
        let again = rooms().open().unwrap();
        load(&first, 7, 1).await;
        assert_eq!(again.get(&7).await.as_deref(), Some(&1));
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
                (size, Source::Load { kept: Kept::Nowhere(WhyNot::TooLarge) })
            );
            assert!(!class.put(&7, report).await.is_stored);
            assert_eq!(cache.health(), health);
        }
        assert_eq!(class.stats().too_large, 4);
        assert!(load(&class, 8, "x".repeat(1 << 19)).await.1.is_stored());
    }
    let small = Cache::builder("test").memory_bytes(1 << 20).build().await.unwrap();
    let class: Class<u32, String> = small.class("reports").max_value_bytes(16 << 20).open().unwrap();
    let no_room = Source::Load { kept: Kept::Nowhere(WhyNot::NoRoom) };
    assert_eq!(load(&class, 7, "x".repeat(8 << 20)).await.1, no_room);
    assert!(class.get(&7).await.is_none());
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Rights {
    user: u32,
    role: String,
}

impl Rights {
    fn of(user: u32) -> Self {
        Rights { user, role: if user == 1 { "superadmin" } else { "user" }.to_owned() }
    }
}

#[tokio::test]
async fn an_entry_that_was_forged_or_copied_grants_nothing() {
    let redis = Redis::start().unwrap();
    let keys = || EntryKeys::new(OLD_SECRET).unwrap();
    for protection in [Protection::Standard, Protection::Authenticated, Protection::Sealed] {
        let name = format!("rights-{protection:?}");
        let open = |cache: Cache| -> Class<u32, Rights> {
            cache.class(&name).protection(protection).open().unwrap()
        };
        let ours = open(keyed(&redis, keys()).await);
        for user in 1..=2 {
            assert!(load(&ours, user, Rights::of(user)).await.1.is_stored());
        }
        let mut raw = Raw::of(&redis);
        let [admin, user] = [1, 2].map(|user| raw.key(&format!("{name}:{user}")));
        let (admins, users) = (raw.get(&admin), raw.get(&user));
        let readable = users.windows(4).any(|bytes| bytes == b"role");
        assert_eq!(readable, protection != Protection::Sealed);
        let mut forgeries = vec![admins];
        // One that an instance without the secret made.
        let thief: Class<u32, Rights> = shared(&redis).await.class(&name).open().unwrap();
        assert!(within(thief.get(&2)).await.is_none(), "it cannot read ours either");
        load(&thief, 2, Rights { user: 2, role: "superadmin".to_owned() }).await;
        forgeries.push(raw.get(&user));
        forgeries.extend((0..users.len()).map(|at| {
            let mut forged = users.clone();
            forged[at] ^= 1;
            forged
        }));
        for forged in forgeries {
            raw.set(&[(&user, forged.clone())]);
            let reader = keyed(&redis, keys()).await;
            let reader = open(reader);
            // A lease stands in the way of this read alone; everything else is an alarm.
            if forged[0] != b'L' {
                assert!(within(reader.get(&2)).await.is_none(), "{forged:?}");
            }
        }
        raw.set(&[(&user, users)]);
        assert_eq!(within(open(keyed(&redis, keys()).await).get(&2)).await.as_deref(), Some(&Rights::of(2)));
    }
}

#[tokio::test]
async fn a_class_that_needs_a_secret_is_not_opened_without_one() {
    let redis = Redis::start().unwrap();
    for protection in [Protection::Authenticated, Protection::Sealed] {
        let (with, without) = (shared(&redis).await, alone().await);
        let error = with.class::<u32, u64>("rights").protection(protection).open().err().expect("opened");
        assert!(error.to_string().contains("entry_keys"), "{error}");
        assert!(
            without.class::<u32, u64>("rights").protection(protection).open().is_ok(),
            "nothing leaves the process"
        );
    }
}

#[tokio::test]
async fn a_secret_is_replaced_without_a_miss() {
    let redis = Redis::start().unwrap();
    let keys = |first: &str, second: &str| EntryKeys::new(first).unwrap().and(second).unwrap();
    let steps = [
        EntryKeys::new(OLD_SECRET).unwrap(),
        keys(OLD_SECRET, NEW_SECRET),
        keys(NEW_SECRET, OLD_SECRET),
        EntryKeys::new(NEW_SECRET).unwrap(),
    ];
    let mut classes: Vec<Class<u32, u32>> = Vec::new();
    for step in steps {
        classes.push(keyed(&redis, step).await.class("rooms").open().unwrap());
    }
    // Each step runs beside the next.
    for (key, pair) in (0..).zip(classes.windows(2)) {
        for (offset, [writer, reader]) in [[&pair[0], &pair[1]], [&pair[1], &pair[0]]].into_iter().enumerate()
        {
            let key = key * 2 + offset as u32;
            load(writer, key, key).await;
            assert_eq!(within(reader.get(&key)).await.as_deref(), Some(&key));
        }
    }
}

/// Changes a frame as damage and malice do.
fn mutated(random: &mut StdRng, frame: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    let at = random.random_range(0..bytes.len());
    match random.random_range(0..8) {
        0 => bytes[at] ^= 1 << random.random_range(0..8),
        1 => bytes[at] = random.random(),
        2 => bytes.truncate(at),
        3 => bytes.extend_from_slice(&other[..random.random_range(1..other.len())]),
        4 => bytes.splice(at.., other.iter().copied().skip(at)).for_each(drop),
        5 => {
            let with = random.random_range(0..bytes.len());
            bytes.swap(at, with);
        }
        6 => {
            let end = random.random_range(at..bytes.len());
            bytes[at..=end].reverse();
        }
        _ => bytes = other.to_vec(),
    }
    bytes
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    id: u32,
    names: Vec<String>,
    balance: i64,
    #[serde(flatten)]
    more: std::collections::BTreeMap<String, u32>,
}

impl Record {
    fn of(id: u32) -> Self {
        let names = (0..id % 4).map(|n| format!("{n}")).collect();
        Record { id, names, balance: -i64::from(id), more: [("floor".to_owned(), id)].into() }
    }
}

const KEYS: u32 = 1000;
const ROUNDS: u64 = 100;

#[tokio::test]
async fn a_hundred_thousand_mutated_entries_are_misses_and_alarms() {
    let redis = Redis::start().unwrap();
    let mut random = StdRng::seed_from_u64(11);
    let mut raw = Raw::of(&redis);
    let mut alarms = 0;
    let mut mutants = 0_u64;
    for (nth, keys) in [None, Some(EntryKeys::new(OLD_SECRET).unwrap())].into_iter().enumerate() {
        let name = format!("records-{nth}");
        let mut builder = Cache::builder("test").redis(redis.url());
        if let Some(keys) = keys {
            builder = builder.entry_keys(keys);
        }
        let cache = builder.build().await.unwrap();
        let class: Class<u32, Record> = cache.class(&name).open().unwrap();
        for key in 0..KEYS {
            load(&class, key, Record::of(key)).await;
        }
        let prefix = raw.key(&format!("{name}:0"));
        let prefix = prefix.strip_suffix(b"0").unwrap();
        let keys: Vec<_> = (0..KEYS).map(|key| [prefix, key.to_string().as_bytes()].concat()).collect();
        let frames: Vec<_> = keys.iter().map(|key| raw.get(key)).collect();
        for _ in 0..ROUNDS / 2 {
            let frames: Vec<(&[u8], Vec<u8>)> = (0..frames.len())
                .map(|nth| {
                    let other = &frames[random.random_range(0..frames.len())];
                    (&keys[nth][..], mutated(&mut random, &frames[nth], other))
                })
                .collect();
            raw.set(&frames);
            for key in 0..KEYS {
                let frame = &frames[key as usize].1;
                let found = within(
                    class.read(&key).fresh().or_load(async || Err::<Record, _>(io::Error::other("asked"))),
                );
                match found.await {
                    Ok(answer) => assert_eq!(answer.value.as_deref(), Some(&Record::of(key)), "{frame:?}"),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Load),
                }
                mutants += 1;
            }
        }
        alarms += class.stats().broken_frames;
        assert_eq!(cache.health(), Health::Working);
    }
    assert_eq!(mutants, 100_000);
    println!("{mutants} mutants, {alarms} alarms");
    assert!(alarms > mutants * 8 / 10, "{alarms} alarms");
}
