//! An entry in Redis that no instance of this cache stored under the same key is never served.

use std::io;

use larder::cache::{Cache, Health};
use larder::class::Class;
use larder::error::ErrorKind;
use larder::protection::{EntrySecrets, Protection};
use larder_testbed::Redis;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

use crate::support::entries::{Raw, alone, load, shared};
use crate::support::within;

const OLD_SECRET: &str = "the old secret, of 32 bytes or so";
const NEW_SECRET: &str = "the new secret, of 32 bytes or so";

async fn keyed(redis: &Redis, keys: EntrySecrets) -> Cache {
    Cache::builder("test").redis(redis.url()).installation("test").entry_secrets(keys).build().await.unwrap()
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
    let keys = || EntrySecrets::new(OLD_SECRET).unwrap();
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
        let key_text = users.windows(4).any(|bytes| bytes == b"role");
        assert_eq!(key_text, protection != Protection::Sealed);
        let mut forgeries = vec![admins];
        // An entry by an instance without the secret.
        let thief: Class<u32, Rights> = shared(&redis).await.class(&name).open().unwrap();
        assert!(within(thief.get(&2)).await.is_miss(), "it cannot read ours either");
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
            // A lease delays this read and is no alarm; every other frame is an alarm.
            if forged[0] != b'L' {
                assert!(within(reader.get(&2)).await.is_miss(), "{forged:?}");
            }
        }
        raw.set(&[(&user, users)]);
        assert_eq!(
            within(open(keyed(&redis, keys()).await).get(&2)).await.value().as_deref(),
            Some(&Rights::of(2))
        );
    }
}

#[tokio::test]
async fn a_class_that_needs_a_secret_is_not_opened_without_one() {
    let redis = Redis::start().unwrap();
    for protection in [Protection::Authenticated, Protection::Sealed] {
        let (with, without) = (shared(&redis).await, alone().await);
        let error = with.class::<u32, u64>("rights").protection(protection).open().expect_err("opened");
        assert!(error.to_string().contains("entry_secrets"), "{error}");
        assert!(
            without.class::<u32, u64>("rights").protection(protection).open().is_ok(),
            "nothing leaves the process"
        );
    }
}

#[tokio::test]
async fn a_secret_is_replaced_without_a_miss() {
    let redis = Redis::start().unwrap();
    let keys = |first: &str, second: &str| EntrySecrets::new(first).unwrap().and(second).unwrap();
    let steps = [
        EntrySecrets::new(OLD_SECRET).unwrap(),
        keys(OLD_SECRET, NEW_SECRET),
        keys(NEW_SECRET, OLD_SECRET),
        EntrySecrets::new(NEW_SECRET).unwrap(),
    ];
    let mut classes: Vec<Class<u32, u32>> = Vec::new();
    for step in steps {
        classes.push(keyed(&redis, step).await.class("rooms").open().unwrap());
    }
    // Each step of the rotation runs at the same time as the next.
    for (key, pair) in (0..).zip(classes.windows(2)) {
        for (offset, [writer, reader]) in [[&pair[0], &pair[1]], [&pair[1], &pair[0]]].into_iter().enumerate()
        {
            let key = key * 2 + offset as u32;
            load(writer, key, key).await;
            assert_eq!(within(reader.get(&key)).await.value().as_deref(), Some(&key));
        }
    }
}

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
const ROUNDS: u64 = 100;

#[tokio::test]
async fn a_hundred_thousand_mutated_entries_are_misses_and_alarms() {
    let redis = Redis::start().unwrap();
    let mut random = StdRng::seed_from_u64(11);
    let mut raw = Raw::of(&redis);
    let mut alarms = 0;
    let mut mutants = 0_u64;
    for (nth, keys) in [None, Some(EntrySecrets::new(OLD_SECRET).unwrap())].into_iter().enumerate() {
        let name = format!("records-{nth}");
        let mut builder = Cache::builder("test").redis(redis.url()).installation("test");
        if let Some(keys) = keys {
            builder = builder.entry_secrets(keys);
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
