//! Tests the consumer with a scripted journal and a clock that only the test advances.

use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::clock::Tick;
use crate::journal::{Change, ChangesSince, DatabaseId, Touch};
use crate::local::NewFlight;
use crate::local::copy::Footprint;
use crate::local::copy::{CopyKey, LocalCopy, TagCells};
use crate::local::origin::Origin;
use crate::policy::Consistency;
use crate::polls::PollRequests;
use crate::protocol::flight::JoinDecision;
use crate::protocol::rules::ProtocolRules;

const BOUND: Duration = Duration::from_secs(2);

/// A journal that returns the scripted answer once.
#[derive(Default)]
struct Scripted {
    answer: Mutex<Option<Changes>>,
    /// Runs in the middle of a poll.
    meanwhile: Mutex<Option<Box<dyn FnMut() + Send>>>,
}

#[async_trait]
impl Journal for Scripted {
    async fn database(&self) -> Result<DatabaseId, Failure> {
        Ok(DatabaseId { system: "test".to_owned(), timeline: 0 })
    }

    async fn changes_since(&self, _: Option<&Position>) -> Result<ChangesSince, Failure> {
        if let Some(meanwhile) = &mut *self.meanwhile.lock().unwrap() {
            meanwhile();
        }
        let changes = self.answer.lock().unwrap().take().ok_or("the database is away")?;
        Ok(ChangesSince { database: self.database().await?, position: Position::new("here"), changes })
    }

    async fn append(&self, _: &[Touch]) -> Result<(), Failure> {
        Ok(())
    }

    async fn prune(&self) -> Result<u64, Failure> {
        Ok(0)
    }
}

struct Bench {
    consumer: Consumer,
    journal: Arc<Scripted>,
    position: Option<Position>,
}

impl Bench {
    fn new() -> Self {
        let journal = Arc::new(Scripted::default());
        let consumer = Consumer {
            journal: journal.clone(),
            namespace: Arc::new(Namespace::parse("ns").unwrap()),
            local: Arc::new(LocalTier::new(1 << 20, ProtocolRules::default())),
            guard: Arc::new(Validity::new()),
            clock: Clock::manual(),
            causes: Arc::new(Causes::new(Clock::manual(), BOUND)),
            polls: Arc::new(PollRequests::new()).poller(),
            applied: Arc::default(),
            bound: BOUND,
            rules: ProtocolRules::default(),
        };
        Bench { consumer, journal, position: None }
    }

    async fn poll(&mut self, changes: Option<Changes>) -> Result<(), Failure> {
        *self.journal.answer.lock().unwrap() = changes;
        self.consumer.poll(&mut self.position).await
    }

    /// Begins a load. The returned closure ends the load and returns whether memory kept its copy.
    fn load(&self, key: &str) -> impl FnOnce() -> bool + use<> {
        let Consumer { local, clock, .. } = &self.consumer;
        let (local, key) = (local.clone(), bytes::Bytes::from(format!("ns:{key}")));
        let arrival = local.next_flight();
        let decision =
            local.join_or_lead(&key, &[].into(), Consistency::Bounded, arrival, clock.now(), BOUND);
        let JoinDecision::Lead(NewFlight { id, .. }) = decision else { panic!("there was a flight already") };
        move || {
            let (deadline, origin) = (Tick::FAR, Origin::Guarded);
            let copy = LocalCopy {
                value: None,
                tags: TagCells::default(),
                deadline,
                key: CopyKey::default(),
                origin,
                payload_bytes: 0,
                footprint: Footprint::default(),
                class: 0,
                loaded_at_millis: 0,
                aging: None,
            };
            local.insert_loaded(&key, id, copy).is_ok()
        }
    }

    fn serves(&self, key: &str) -> bool {
        let Consumer { local, clock, guard, .. } = &self.consumer;
        let now = clock.now();
        local.get(format!("ns:{key}").as_bytes(), now, guard.is_valid_at(now)).is_some()
    }
}

fn change(id: &str, touch: Touch) -> Change {
    Change { id: ChangeId::new(id), touches: vec![touch] }
}

fn touched(key: &str) -> Option<Changes> {
    Some(Changes::Known(vec![change("1", Touch::entry("values", [key]))]))
}

#[tokio::test]
async fn memory_applied_what_its_guard_certifies() {
    let mut bench = Bench::new();
    bench.poll(Some(Changes::Unknown)).await.unwrap();
    assert!(bench.load("values:1")() && bench.load("values:2")());
    assert!(bench.serves("values:1") && bench.serves("values:2"));

    // The clock advances while the snapshot is taken: the grant counts from before the snapshot.
    let clock = bench.consumer.clock.clone();
    let second = Duration::from_secs(1);
    *bench.journal.meanwhile.lock().unwrap() = Some(Box::new(move || clock.advance(second)));
    bench.poll(touched("1")).await.unwrap();
    assert!(!bench.serves("values:1") && bench.serves("values:2"));
    bench.consumer.clock.advance(second - Duration::from_nanos(1));
    assert!(bench.serves("values:2"));
    bench.consumer.clock.advance(Duration::from_nanos(1));
    assert!(!bench.serves("values:2"), "the validity has ended");
}

#[tokio::test]
async fn a_load_that_the_journal_overtakes_leaves_nothing_behind() {
    let mut bench = Bench::new();
    for changes in [
        touched("1"),
        Some(Changes::Unknown),
        Some(Changes::Known(vec![change("1", Touch::Everything)])),
        Some(Changes::Known(vec![change("1", Touch::Matching("val*".to_owned()))])),
    ] {
        let (overtaken, shown) = (bench.load("values:1"), format!("{changes:?}"));
        bench.poll(changes).await.unwrap();
        assert!(!overtaken(), "{shown}");
    }
    assert!(bench.load("values:1")());
}

#[tokio::test]
async fn a_journal_that_cannot_be_asked_vouches_for_nothing_and_loses_nothing() {
    let mut bench = Bench::new();
    bench.poll(Some(Changes::Unknown)).await.unwrap();
    assert!(bench.load("values:1")());
    bench.consumer.clock.advance(BOUND);
    assert!(bench.poll(None).await.is_err());
    assert!(!bench.serves("values:1"));
    assert_eq!(bench.position, Some(Position::new("here")), "the next poll continues from the same position");
    bench.poll(Some(Changes::Known(vec![]))).await.unwrap();
    assert!(bench.serves("values:1"), "nothing touched it meanwhile");
}

#[tokio::test]
async fn a_change_that_this_process_applied_is_not_applied_again() {
    let mut bench = Bench::new();
    bench.poll(Some(Changes::Unknown)).await.unwrap();
    assert!(bench.load("values:1")() && bench.load("values:2")());
    bench.consumer.applied.add(vec![ChangeId::new("1")]);
    let both = ["1", "2"].map(|id| change(id, Touch::entry("values", [id])));
    bench.poll(Some(Changes::Known(both.to_vec()))).await.unwrap();
    assert!(
        bench.serves("values:1") && !bench.serves("values:2"),
        "the change of another process is applied"
    );
    bench.poll(touched("1")).await.unwrap();
    assert!(!bench.serves("values:1"), "an applied change is forgotten with the poll that could report it");
}

#[tokio::test]
async fn a_change_applied_during_a_poll_is_not_applied_again() {
    let mut bench = Bench::new();
    bench.poll(Some(Changes::Unknown)).await.unwrap();
    assert!(bench.load("values:1")());
    let applied = bench.consumer.applied.clone();
    *bench.journal.meanwhile.lock().unwrap() = Some(Box::new(move || applied.add(vec![ChangeId::new("1")])));
    bench.poll(touched("1")).await.unwrap();
    assert!(bench.serves("values:1"));
    *bench.journal.meanwhile.lock().unwrap() = None;
    bench.poll(touched("1")).await.unwrap();
    assert!(bench.serves("values:1"), "its row may be in the next snapshot only");
    bench.poll(touched("1")).await.unwrap();
    assert!(!bench.serves("values:1"));
}

#[tokio::test]
async fn a_change_applied_before_a_failed_poll_is_applied_once_more() {
    let mut bench = Bench::new();
    bench.poll(Some(Changes::Unknown)).await.unwrap();
    bench.consumer.applied.add(vec![ChangeId::new("1")]);
    assert!(bench.poll(None).await.is_err());
    assert!(bench.load("values:1")());
    bench.poll(touched("1")).await.unwrap();
    assert!(!bench.serves("values:1"));
}
