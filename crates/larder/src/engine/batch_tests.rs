//! Tests of long batches with a scripted shared tier.

use std::future::pending;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::tests::Bench;
use super::*;
use crate::engine::call::READS_AT_ONCE;
use crate::protocol::token::Token;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Another instance's load of key 0 goes on, so this key is read again and again.
#[tokio::test]
async fn no_load_of_a_batch_waits_for_a_key_that_another_instance_loads() {
    let bench = Arc::new(Bench::new());
    let keys: Vec<KeyBuf> = (0..400_u32).map(|key| bench.class.prefix.key(&key)).collect();
    bench.tier.values.lock().unwrap().insert(Bytes::copy_from_slice(&keys[0]), Token::random().lease_frame());
    // The second part's keys are read until key 0 is read again, and that read gets no reply.
    let (tier, mut reads) = (bench.tier.clone(), 0);
    *bench.tier.after_read.lock().unwrap() = Some(Box::new(move || {
        reads += 1;
        tier.overlaps.store(reads == 1, Ordering::SeqCst);
        tier.hangs.store(reads == 3, Ordering::SeqCst);
    }));
    let (begun, mut loads) = mpsc::unbounded_channel();
    let batch = tokio::spawn({
        let bench = bench.clone();
        async move {
            let begin_loads = |loads: Vec<BatchLoad>| -> Vec<Loading> {
                begun.send(loads.len()).unwrap();
                loads.iter().map(|_| Loading::of(pending())).collect()
            };
            let tags = |_| bench.tags.clone();
            bench.engine.read_batch(&bench.class, &keys, tags, ReadOptions::default(), begin_loads).await
        }
    });
    assert_eq!(timeout(TIMEOUT, loads.recv()).await.unwrap(), Some(399), "one load of all that is missing");
    batch.abort();
}

/// Another instance loads all keys, so all of them are read again at about the same time. These reads get no reply.
#[tokio::test]
async fn few_keys_of_a_batch_are_read_in_redis_at_once() {
    let bench = Arc::new(Bench::new());
    let keys: Vec<KeyBuf> = (0..600_u32).map(|key| bench.class.prefix.key(&key)).collect();
    for key in &keys {
        bench.tier.values.lock().unwrap().insert(Bytes::copy_from_slice(key), Token::random().lease_frame());
    }
    let (tier, mut reads) = (bench.tier.clone(), 0);
    *bench.tier.after_read.lock().unwrap() = Some(Box::new(move || {
        reads += 1;
        tier.hangs.store(reads > 3, Ordering::SeqCst);
    }));
    let batch = tokio::spawn({
        let bench = bench.clone();
        async move {
            let (tags, options) = (|_| bench.tags.clone(), ReadOptions::default());
            let begin_loads = |_: Vec<BatchLoad>| -> Vec<Loading> { panic!("nothing is to be loaded") };
            bench.engine.read_batch(&bench.class, &keys, tags, options, begin_loads).await
        }
    });
    let reading = || bench.tier.reading.load(Ordering::SeqCst);
    timeout(TIMEOUT, until(|| reading() >= READS_AT_ONCE)).await.unwrap();
    // Each read asks for the tag too.
    let more = timeout(Duration::from_millis(200), until(|| reading() > 2 * READS_AT_ONCE)).await;
    assert!(more.is_err(), "{}", reading());
    batch.abort();
}

#[tokio::test]
async fn few_leases_of_a_batch_are_renewed_at_once() {
    let bench = Arc::new(Bench::new());
    let keys: Vec<KeyBuf> = (0..600_u32).map(|key| bench.class.prefix.key(&key)).collect();
    let batch = tokio::spawn({
        let bench = bench.clone();
        async move {
            let (tags, options) = (|_| bench.tags.clone(), ReadOptions::default());
            let begin_loads = |loads: Vec<BatchLoad>| loads.iter().map(|_| Loading::of(pending())).collect();
            bench.engine.read_batch(&bench.class, &keys, tags, options, begin_loads).await
        }
    });
    // They get no reply, so none makes room for others.
    let renewing = || bench.tier.renewing.load(Ordering::SeqCst);
    timeout(TIMEOUT, until(|| renewing() >= READS_AT_ONCE)).await.unwrap();
    let more = timeout(Duration::from_millis(300), until(|| renewing() > READS_AT_ONCE)).await;
    assert!(more.is_err(), "{}", renewing());
    batch.abort();
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}
