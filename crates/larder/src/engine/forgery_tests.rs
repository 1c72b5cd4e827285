//! Passes damaged and forged entries to the decisions and the checks of a tracked read: many more than a test could
//! send through Redis. The tests that send them through Redis are in `crates/larder/tests/cache/forgeries.rs`.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

use super::*;
use crate::cache::Cache;
use crate::class::Class;
use crate::protocol::frame::{Entry, Frame, Header, Seal};
use crate::protocol::lease::{AfterRead, after_read};
use crate::protocol::tag::TagToken;
use crate::protocol::token::Token;

/// Changes a frame at random, like damage or an attacker.
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
const ROUNDS: u32 = 50;

/// What a tracked read does with a frame: it returns the record, waits for the lease's load, or treats the frame as a
/// miss.
enum Read {
    Record(Record),
    Waits,
    Alarm,
}

/// A class, and the tokens of its tags.
struct Bed {
    class: Class<u32, Record>,
    tokens: Vec<TagToken>,
}

impl Bed {
    async fn new(secrets: Option<EntrySecrets>) -> Self {
        let mut builder = Cache::builder("test");
        if let Some(secrets) = secrets {
            builder = builder.entry_secrets(secrets);
        }
        let class: Class<u32, Record> = builder.build().await.unwrap().class("records").open().unwrap();
        let token = |tag: &TagKey| TagToken { tag: tag.clone(), token: Token::random() };
        let tokens = class.tags(&0).iter().map(token).collect();
        Bed { class, tokens }
    }

    /// The frame that a fill stores.
    fn frame(&self, key: u32) -> Bytes {
        let core = &self.class.core;
        let value: AnyValue = Arc::new(Record::of(key));
        let storable = core.storable(Some(&value)).unwrap();
        let (payload, codec) = core.packed(storable.payload, storable.codec);
        let header = Header {
            codec,
            class_version: 0,
            digest: storable.digest,
            loaded_at_millis: 1,
            ttl_millis: 60_000,
            stale_millis: 0,
            load_millis: 1,
            loader_version: None,
            tags: self.tokens.clone(),
        };
        let entry = Entry { fill: Token::random(), header, payload, seal: Seal::default() };
        core.sealer.seal(&self.class.key(&key), entry).encode()
    }

    /// What a tracked read does with `frame` under `key`.
    fn read(&self, key: u32, frame: Bytes) -> Read {
        let core = &self.class.core;
        let token =
            |tag: &TagKey| self.tokens.iter().find(|taken| taken.tag == *tag).map(|taken| taken.token);
        match after_read(Some(&frame), core.readable_format(&self.class.tags(&key)), token) {
            AfterRead::Wait => Read::Waits,
            AfterRead::Acquire { unused, .. } => {
                core.note_unused(&self.class.key(&key), &unused);
                Read::Alarm
            }
            AfterRead::Serve(entry) => {
                match core.open_entry(&self.class.key(&key), &entry, ProtocolRules::default()) {
                    None => Read::Alarm,
                    Some((value, _)) => {
                        Read::Record(value.unwrap().downcast_ref::<Record>().unwrap().clone())
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_hundred_thousand_mutated_entries_are_misses_and_alarms() {
    let mut random = StdRng::seed_from_u64(11);
    let (mut mutants, mut alarms, mut counted) = (0, 0, 0);
    for secrets in [None, Some(EntrySecrets::new("a secret of thirty-two bytes or so").unwrap())] {
        let bed = Bed::new(secrets).await;
        let frames: Vec<Bytes> = (0..KEYS).map(|key| bed.frame(key)).collect();
        for key in 0..KEYS {
            let Read::Record(record) = bed.read(key, frames[key as usize].clone()) else { panic!("{key}") };
            assert_eq!(record, Record::of(key), "an entry that was not changed is read");
        }
        for (key, frame) in (0..ROUNDS).flat_map(|_| (0..KEYS).zip(&frames)) {
            let other = &frames[random.random_range(0..frames.len())];
            let mutant = mutated(&mut random, frame, other);
            match bed.read(key, Bytes::from(mutant.clone())) {
                Read::Record(record) => assert_eq!(record, Record::of(key), "{mutant:?}"),
                Read::Waits => {}
                Read::Alarm => alarms += 1,
            }
            mutants += 1;
        }
        // What is a permit or another frame by chance is passed over.
        let stats = bed.class.stats();
        counted += stats.broken_frames;
        assert!(stats.passed_over < 100, "{stats:?}");
    }
    assert_eq!(mutants, 100_000);
    println!("{mutants} mutants, {alarms} alarms");
    assert!(alarms > mutants * 8 / 10, "{alarms} alarms");
    assert!(counted > alarms - 200, "{counted} of {alarms} are counted as broken");
}

/// Without a secret the seal is a checksum, which an attacker computes as an instance does.
#[tokio::test]
async fn a_sealed_entry_that_says_a_forged_length_is_a_miss_through_redis() {
    let redis = larder_testbed::Redis::start().unwrap();
    let builder = Cache::builder("test").redis(redis.url()).installation("test");
    let cache = builder.redis_budget(Duration::from_secs(10)).build().await.unwrap();
    let class: Class<u32, String> = cache.class("reports").compress_above(100).open().unwrap();
    let loaded = class.read(&1).or_load(|| async { Ok::<_, std::io::Error>("abc".repeat(1_000)) }).await;
    assert!(loaded.unwrap().source.is_stored());
    let key = class.engine.redis_key(&Bytes::copy_from_slice(&class.key(&1)));
    let frame = Bytes::from(redis.command_bytes(&[b"GET", &key]).unwrap());
    let Ok(Frame::Entry(entry)) = Frame::parse(&frame) else { panic!("no entry") };
    assert!(entry.header.is_compressed());
    let payload = entry.payload.clone().unwrap();
    let most = u32::try_from(class.core.max_value_bytes).unwrap();
    for (nth, says) in (1..).zip([u32::MAX, most + 1, most, 0, 2_999]) {
        let forged = [&says.to_le_bytes(), &payload[4..]].concat();
        let entry = Entry { payload: Some(Bytes::from(forged)), ..entry.clone() };
        let sealed = class.core.sealer.seal(&key, entry).encode();
        redis.command_bytes(&[b"SET", &key, &sealed]).unwrap();
        assert!(class.get(&1).await.is_miss(), "{says}");
        assert_eq!(class.stats().broken_frames, nth, "{says}");
    }
}
