//! Compressed entries in Redis: smaller, readable by instances with any threshold, and harmless if they are forged.

use larder::class::Class;
use larder::error::ErrorKind;
use larder::protection::Protection;
use larder_testbed::Redis;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::support::entries::{Raw, alone, load, shared};
use crate::support::within;

const ABOVE: usize = 1_000;

fn text(of: u32) -> String {
    format!("the sea, {of} times. ").repeat(500)
}

#[tokio::test]
async fn long_values_are_smaller_in_redis_and_read_with_any_threshold() {
    let redis = Redis::start().unwrap();
    let open = async |above: Option<usize>| -> Class<u32, String> {
        let cache = shared(&redis).await;
        let class = cache.class("reports");
        match above {
            Some(above) => class.compress_above(above).open().unwrap(),
            None => class.open().unwrap(),
        }
    };
    let (plain, packed) = (open(None).await, open(Some(ABOVE)).await);
    let mut raw = Raw::of(&redis);
    let mut frame_bytes = |key: u32| {
        let key = raw.key(&format!("reports:{key}"));
        raw.get(&key).len()
    };
    load(&packed, 1, text(1)).await;
    load(&packed, 2, "short".to_owned()).await;
    load(&plain, 3, text(3)).await;
    assert!(frame_bytes(1) < text(1).len() / 10, "{}", frame_bytes(1));
    assert!(frame_bytes(3) > text(3).len());
    // What one instance compressed, another one reads, whatever it compresses itself.
    for reader in [open(None).await, open(Some(10)).await, open(Some(ABOVE)).await] {
        for (key, value) in [(1, text(1)), (2, "short".to_owned()), (3, text(3))] {
            assert_eq!(within(reader.get(&key)).await.value().as_deref(), Some(&value));
        }
        assert_eq!((reader.stats().broken_frames, reader.stats().passed_over), (0, 0));
    }
    // A put by a permit compresses too.
    assert!(packed.permit(&4).await.put(text(4)).await.is_stored);
    assert!(frame_bytes(4) < text(4).len() / 10);
    assert_eq!(within(plain.get(&4)).await.value().as_deref(), Some(&text(4)));
}

#[tokio::test]
async fn a_value_that_grows_beyond_the_class_limit_is_a_miss_and_an_alarm() {
    let redis = Redis::start().unwrap();
    let large: Class<u32, String> =
        shared(&redis).await.class("reports").compress_above(ABOVE).open().unwrap();
    load(&large, 1, "x".repeat(900_000)).await;
    let small: Class<u32, String> =
        shared(&redis).await.class("reports").max_value_bytes(100_000).open().unwrap();
    assert!(within(small.get(&1)).await.is_miss());
    assert_eq!(small.stats().broken_frames, 1);
}

const MUTANTS: u32 = 2_000;

/// Without a secret the mac is a checksum, so an attacker can compute it. Damage at random is found by it; a forged
/// length is refused by `compression` itself, whose tests have 10,000 cases.
#[tokio::test]
async fn damaged_compressed_entries_are_misses() {
    let redis = Redis::start().unwrap();
    let writer: Class<u32, String> =
        shared(&redis).await.class("reports").compress_above(ABOVE).open().unwrap();
    load(&writer, 1, text(1)).await;
    let mut raw = Raw::of(&redis);
    let key = raw.key("reports:1");
    let frame = raw.get(&key);
    let mut random = StdRng::seed_from_u64(3);
    for _ in 0..MUTANTS {
        let mut damaged = frame.clone();
        // The first byte says what the frame is; a lease there would make the read wait.
        let at = random.random_range(1..damaged.len());
        match random.random_range(0..3) {
            0 => damaged[at] ^= 1 << random.random_range(0..8),
            1 => damaged.truncate(at.max(18)),
            _ => damaged.extend_from_slice(&frame[at..]),
        }
        raw.set(&[(&key, damaged)]);
        assert!(within(writer.get(&1)).await.is_miss());
    }
    assert_eq!(writer.stats().broken_frames, u64::from(MUTANTS), "{:?}", writer.stats());
}

#[tokio::test]
async fn encrypted_values_are_not_compressed() {
    let cache = alone().await;
    let class = cache.class::<u32, String>("letters").protection(Protection::Sealed).compress_above(ABOVE);
    let error = class.open().expect_err("opened");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("compress_above"), "{error}");
}
