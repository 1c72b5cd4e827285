//! Tests the read rule with a scripted shared tier and a clock that only the test advances.

use std::any::TypeId;
use std::future::ready;
use std::sync::Mutex;

use super::*;
use crate::batch::Batch;
use crate::engine::registry::Declaration;
use crate::engine::scripted::Scripted;
use crate::key::Namespace;
use crate::loaded::Loaded;
use crate::local::copy::LocalCopy;
use crate::policy::Consistency;
use crate::protection::Protection;
use crate::source::{Placement, Source};
use crate::tuning::limits::TuningLimits;

const BOUND: Duration = Duration::from_secs(2);

pub(super) struct Bench {
    pub(super) engine: Arc<Engine>,
    pub(super) tier: Arc<Scripted>,
    validity: Arc<Validity>,
    pub(super) class: Arc<ClassCore>,
    pub(super) tags: Tags,
    key: KeyBuf,
}

impl Bench {
    pub(super) fn new() -> Self {
        let tier = Arc::new(Scripted::default());
        let validity = tier.validity.clone();
        let namespace = Namespace::parse("ns").unwrap();
        let events = Arc::new(EventSender::new(Arc::new(namespace.clone())));
        let declaration = Declaration {
            types: [Some(TypeId::of::<u64>()), None, None],
            parts: Vec::new(),
            key: "u64",
            shown: Default::default(),
            breaker: None,
            abandonment: Default::default(),
            policy: Policy::default(),
            limits: TuningLimits::default(),
        };
        let class = ClassCore {
            name: "values".to_owned(),
            prefix: namespace.class_prefix("values").unwrap(),
            declared_policy: Policy::ttl(Duration::from_secs(600)).jitter(0.0),
            load_timeout: BOUND,
            soft_timeout: None,
            consistency: Consistency::default(),
            coder: Coder::of::<u64>(Default::default()),
            version: 0,
            is_memory_only: false,
            is_audited: true,
            common: Arc::new(ClassState::new(declaration, 0)),
            sealer: Sealer::new(Protection::Standard, None).unwrap(),
            max_value_bytes: 1 << 20,
            compress_above: None,
            load_keys_max: 10_000,
            memory_of: None,
            events: events.clone(),
        };
        let tags: Tags = [namespace.tag_key("values")].into();
        let engine = Engine {
            local: Arc::new(LocalTier::new(1 << 20, ProtocolRules::default())),
            namespace: Arc::new(namespace),
            shared: Some(SharedTier::new(
                tier.clone(),
                validity.clone(),
                Duration::from_secs(10),
                Arc::new(Condition::new(Clock::manual())),
            )),
            guard: Some(validity.clone()),
            journal: None,
            applied: None,
            auditor: None,
            _tasks: Vec::new(),
            clock: Clock::manual(),
            limits: Limits { bound: BOUND, load_timeout: BOUND },
            rules: ProtocolRules::default(),
            classes: Arc::default(),
            tuner: None,
            polls: Arc::new(PollRequests::new()),
            causes: Arc::new(Causes::new(Clock::manual(), BOUND)),
            events,
            entry_secrets: None,
            is_on: AtomicBool::new(true),
        };
        let key = class.prefix.key::<str>("k");
        let bench = Bench { engine: Arc::new(engine), tier, validity, class: Arc::new(class), tags, key };
        bench.beat();
        bench
    }

    /// Grants the validity, as a heartbeat does that succeeds at this instant.
    fn beat(&self) {
        let until = self.engine.clock.now().plus(BOUND);
        assert!(self.validity.grant(self.validity.epoch(), until));
    }

    async fn read(&self, consistency: Consistency, version: u64) -> (u64, Source) {
        let begin_load = |_| Loading::of(ready(Ok(Loaded::new(version).untyped())));
        let (tags, options) =
            (|| self.tags.clone(), ReadOptions { consistency: Some(consistency), soft_timeout: None });
        let found = self.engine.read(&self.class, &self.key, tags, options, begin_load).await.unwrap();
        (*found.value.unwrap().downcast::<u64>().unwrap(), found.source)
    }

    /// Loads version 1 and reads it back until memory holds it.
    async fn warm(&self) {
        assert_eq!(self.bounded(1).await, (1, Source::Load { placement: Placement::Redis }));
        assert_eq!(self.bounded(9).await, (1, Source::Redis));
        assert_eq!(self.bounded(9).await, (1, Source::Memory));
    }

    async fn bounded(&self, version: u64) -> (u64, Source) {
        self.read(Consistency::Bounded, version).await
    }
}

#[tokio::test]
async fn memory_is_never_populated_by_the_filler_but_by_the_next_tracked_read() {
    Bench::new().warm().await;
}

#[tokio::test]
async fn the_first_read_after_a_stop_of_the_process_serves_no_outdated_copy() {
    let bench = Bench::new();
    bench.warm().await;
    bench.engine.clock.advance(BOUND - Duration::from_millis(1));
    assert_eq!(bench.bounded(2).await, (1, Source::Memory), "within the bound");
    // The effect of SIGSTOP: time advances, and no task of the cache runs, so no heartbeat renews the validity.
    bench.engine.clock.advance(Duration::from_millis(1));
    assert_eq!(bench.bounded(2).await.0, 2, "beyond the bound only the database can answer");
}

#[tokio::test]
async fn a_push_between_the_reply_and_the_insert_refuses_the_insert() {
    let bench = Bench::new();
    assert_eq!(bench.bounded(1).await, (1, Source::Load { placement: Placement::Redis }));
    let (local, key) = (bench.engine.local.clone(), Bytes::copy_from_slice(&bench.key));
    *bench.tier.after_read.lock().unwrap() = Some(Box::new(move || {
        local.apply_push(&key);
    }));
    assert_eq!(bench.bounded(9).await, (1, Source::Redis), "the reply itself is correct");
    assert_eq!(bench.bounded(9).await, (1, Source::Redis), "and it was not inserted");
    *bench.tier.after_read.lock().unwrap() = None;
    assert_eq!(bench.bounded(9).await, (1, Source::Redis));
    assert_eq!(bench.bounded(9).await, (1, Source::Memory));
}

#[tokio::test]
async fn a_clear_between_the_reply_and_the_insert_refuses_the_insert() {
    let bench = Bench::new();
    assert_eq!(bench.bounded(1).await, (1, Source::Load { placement: Placement::Redis }));
    let local = bench.engine.local.clone();
    *bench.tier.after_read.lock().unwrap() = Some(Box::new(move || {
        local.clear();
    }));
    assert_eq!(bench.bounded(9).await, (1, Source::Redis));
    assert_eq!(bench.bounded(9).await, (1, Source::Redis), "nothing was inserted");
}

#[tokio::test]
async fn without_a_usable_tier_copies_live_for_the_bound_from_the_start_of_their_load() {
    let bench = Bench::new();
    bench.warm().await;
    bench.validity.revoke();
    assert_eq!(
        bench.bounded(2).await,
        (2, Source::Load { placement: Placement::Memory }),
        "tracked copies are not served"
    );
    assert_eq!(
        bench.read(Consistency::Fresh, 3).await,
        (3, Source::Load { placement: Placement::Memory }),
        "nor is a fresh read"
    );
    bench.engine.clock.advance(BOUND - Duration::from_millis(1));
    assert_eq!(bench.bounded(4).await, (3, Source::Memory));
    bench.engine.clock.advance(Duration::from_millis(1));
    assert_eq!(bench.bounded(5).await, (5, Source::Load { placement: Placement::Memory }));
}

#[tokio::test]
async fn a_copy_inserted_during_the_unlink_is_dropped_before_the_acknowledgement() {
    let bench = Bench::new();
    bench.warm().await;
    // Acts as a read on this instance that Redis answered with the old value just before the UNLINK. No push has
    // arrived yet, so the insert is allowed.
    let (local, key) = (bench.engine.local.clone(), Bytes::copy_from_slice(&bench.key));
    let old = local.copy(&key).unwrap();
    let meanwhile = {
        let key = key.clone();
        move || {
            let mark = local.note_seqs([&key[..]].into_iter());
            local.insert_tracked(&mark, &key, LocalCopy::clone(&old)).1.unwrap();
        }
    };
    *bench.tier.during_unlink.lock().unwrap() = Some(Box::new(meanwhile));
    let batch = Batch { keys: vec![key], ..Batch::default() };
    assert_eq!(
        bench.engine.clone().invalidate(batch, InvalidationKind::Committed(Vec::new())).await.delivery,
        crate::receipt::Delivery::Sent
    );
    assert_eq!(bench.bounded(2).await, (2, Source::Load { placement: Placement::Redis }));
}

#[tokio::test]
async fn a_read_with_a_fault_of_redis_continues_with_the_loader() {
    let bench = Bench::new();
    bench.tier.is_away.store(true, Ordering::SeqCst);
    assert_eq!(bench.bounded(1).await.0, 1);
    assert_eq!(bench.tier.suspicions.load(Ordering::SeqCst), 1, "and the tier is suspected");
    assert_eq!(bench.class.common.counters.snapshot().untiered_loads, 1);
}

#[tokio::test]
async fn a_write_whose_unlink_fails_is_queued_and_read_back_from_the_database() {
    let bench = Bench::new();
    bench.warm().await;
    bench.tier.is_away.store(true, Ordering::SeqCst);
    let batch = || Batch { keys: vec![Bytes::copy_from_slice(&bench.key)], ..Batch::default() };
    assert_eq!(
        bench.engine.clone().invalidate(batch(), InvalidationKind::Committed(Vec::new())).await.delivery,
        crate::receipt::Delivery::Queued
    );
    bench.tier.is_away.store(false, Ordering::SeqCst);
    // Redis still holds version 1; a successful heartbeat alone must not grant the validity.
    assert!(!bench.validity.grant(bench.validity.epoch(), crate::clock::Tick::FAR));
    assert_eq!(bench.bounded(2).await.0, 2);
    assert_eq!(bench.read(Consistency::Fresh, 2).await.0, 2);
}

#[tokio::test]
async fn a_read_does_not_take_the_outcome_of_a_flight_whose_validity_ended_before_it_began() {
    let bench = Arc::new(Bench::new());
    assert_eq!(bench.bounded(1).await, (1, Source::Load { placement: Placement::Redis }));
    // The tier is valid for another millisecond. The leader reads, and the process stops for one second; meanwhile
    // another instance writes, and a heartbeat grants a new validity.
    bench.engine.clock.advance(BOUND - Duration::from_millis(1));
    let joiner = Arc::new(Mutex::new(None));
    let meanwhile = {
        let (bench, joiner) = (bench.clone(), joiner.clone());
        move || {
            bench.engine.clock.advance(Duration::from_secs(1));
            bench.beat();
            let reading = bench.clone();
            let mut joiner = joiner.lock().unwrap();
            if joiner.is_none() {
                *joiner = Some(tokio::spawn(async move { reading.bounded(2).await }));
            }
        }
    };
    *bench.tier.after_read.lock().unwrap() = Some(Box::new(meanwhile));
    bench.tier.yields.store(true, Ordering::SeqCst);
    let leader = bench.bounded(9).await;
    assert_eq!(leader.0, 1, "the leader began before");
    *bench.tier.after_read.lock().unwrap() = None;
    bench.tier.values.lock().unwrap().clear();
    let joiner = joiner.lock().unwrap().take().unwrap();
    assert_eq!(joiner.await.unwrap(), (2, Source::Load { placement: Placement::Redis }));
}

#[tokio::test]
async fn an_unlink_that_was_answered_across_a_loss_is_not_acknowledged_as_sent() {
    let bench = Bench::new();
    bench.warm().await;
    let validity = bench.validity.clone();
    // The old master answers the UNLINK. Before the answer arrives, the new master is certified and granted.
    *bench.tier.during_unlink.lock().unwrap() = Some(Box::new(move || {
        validity.revoke();
        assert!(validity.grant(validity.epoch(), crate::clock::Tick::FAR));
    }));
    let batch = Batch { keys: vec![Bytes::copy_from_slice(&bench.key)], ..Batch::default() };
    assert_eq!(
        bench.engine.clone().invalidate(batch, InvalidationKind::Committed(Vec::new())).await.delivery,
        crate::receipt::Delivery::Queued
    );
}

/// Redis goes away between the MGET of a batch and its leases.
#[tokio::test]
async fn a_fault_in_the_middle_of_a_batch_fails_no_read_and_loads_once() {
    let bench = Bench::new();
    let tier = bench.tier.clone();
    *bench.tier.after_read.lock().unwrap() =
        Some(Box::new(move || tier.is_away.store(true, Ordering::SeqCst)));
    let keys: Vec<KeyBuf> = (0..50_u32).map(|key| bench.class.prefix.key(&key)).collect();
    let mut calls = Vec::new();
    let begin_loads = |loads: Vec<BatchLoad>| -> Vec<Loading> {
        calls.push(loads.len());
        let loading =
            |load: BatchLoad| -> Loading { Loading::of(ready(Ok(Loaded::new(load.nth as u64).untyped()))) };
        loads.into_iter().map(loading).collect()
    };
    let (tags, options) = (|_| bench.tags.clone(), ReadOptions::default());
    let answers = bench.engine.read_batch(&bench.class, &keys, tags, options, begin_loads).await;
    for (nth, answer) in answers.into_iter().enumerate() {
        let answer = answer.unwrap();
        assert_eq!(answer.source, Source::Load { placement: Placement::Memory });
        assert_eq!(answer.value.unwrap().downcast_ref::<u64>(), Some(&(nth as u64)));
    }
    assert_eq!((calls, bench.tier.suspicions.load(Ordering::SeqCst) > 0), (vec![50], true));
}

/// A batch's key may load while another of its keys waits for Redis; then the client that reads the batch leaves.
#[tokio::test]
async fn a_batch_that_is_given_up_before_its_load_begins_fails_no_follower() {
    let bench = Arc::new(Bench::new());
    let other = bench.class.prefix.key::<str>("other");
    // The other key is filled after the MGET of the batch and before its lease, so it is read again, which hangs.
    let options = ReadOptions::default();
    let begin_load = |_| Loading::of(ready(Ok(Loaded::new(1_u64).untyped())));
    let filled = bench.engine.read(&bench.class, &other, || bench.tags.clone(), options, begin_load).await;
    assert!(filled.is_ok());
    let frame = bench.tier.values.lock().unwrap().remove(&Bytes::copy_from_slice(&other)).unwrap();
    let (tier, filled) = (bench.tier.clone(), Bytes::copy_from_slice(&other));
    *bench.tier.after_read.lock().unwrap() = Some(Box::new(move || {
        let earlier = tier.values.lock().unwrap().insert(filled.clone(), frame.clone());
        tier.hangs.store(earlier.is_some(), Ordering::SeqCst);
    }));
    let batch = tokio::spawn({
        let (bench, keys) = (bench.clone(), [bench.key.clone(), other]);
        async move {
            let begin_loads = |_| panic!("no load may begin");
            let tags = |_| bench.tags.clone();
            bench.engine.read_batch(&bench.class, &keys, tags, ReadOptions::default(), begin_loads).await
        }
    });
    while !bench.tier.hangs.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    let follower = tokio::spawn({
        let bench = bench.clone();
        async move { bench.bounded(2).await }
    });
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!batch.is_finished() && !follower.is_finished());
    bench.tier.hangs.store(false, Ordering::SeqCst);
    *bench.tier.after_read.lock().unwrap() = None;
    batch.abort();
    assert!(batch.await.is_err_and(|error| error.is_cancelled()));
    assert_eq!(follower.await.unwrap().0, 2, "the follower leads a flight of its own");
    assert_eq!(bench.class.common.counters.snapshot().load_failures, 0);
}
