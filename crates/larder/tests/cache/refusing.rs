//! A Redis that answers and refuses: memory answers no fewer reads than without Redis, the health names the trouble,
//! and no read is outdated.

use std::time::{Duration, Instant};

use larder::cache::Health;
use larder::health::Trouble;
use larder::receipt::Delivery;

use crate::support::journal::Ledger;
use crate::support::logged::Logged;
use crate::support::refusal::{Refusal, Refusing};
use crate::support::{Instance, Table, classes, eventually, in_redis_of_ledger};

/// Longer than the test takes: copies that memory loses here do not end by age.
const LONG: Duration = Duration::from_secs(60);
const KEYS: u32 = 20;
const ROUNDS: u32 = 5;
/// The pause between two rounds of reads. Its length only decides how many copies a cache loses that empties its memory
/// at each heartbeat (five a second) or at each failed dialling.
const PAUSE: Duration = Duration::from_millis(450);

struct Bed {
    refusing: Refusing,
    ledger: Option<Ledger>,
    bound: Duration,
    table: std::sync::Arc<Table>,
}

impl Bed {
    fn new(is_journalled: bool, bound: Duration) -> Self {
        let table = Table::new();
        (0..KEYS).for_each(|key| table.write(key, 1));
        let ledger = is_journalled.then(Ledger::new);
        Bed { refusing: Refusing::start(), ledger, bound, table }
    }

    async fn instance(&self) -> Instance {
        let mut builder = crate::support::builder()
            .redis(self.refusing.url())
            .installation("test")
            .staleness_bound(self.bound);
        if let Some(ledger) = &self.ledger {
            builder = builder.journal(ledger.clone());
        }
        let instance = classes(builder.build().await.unwrap());
        eventually("Redis is used", async || instance.cache.health() == Health::Working).await;
        instance
    }

    /// Makes Redis refuse, and not usable because its watermark is missing, which no relay can write.
    async fn refuse(&mut self, refusal: Refusal, instance: &Instance) {
        if let Some(ledger) = &self.ledger {
            ledger.freeze(true);
            eventually("no instance certifies Redis", async || {
                self.refusing.command(&["DEL", in_redis_of_ledger!("@wm")]);
                instance.cache.health() == Health::Degraded
            })
            .await;
        }
        self.refusing.begin(refusal).await;
        if let Some(ledger) = &self.ledger {
            ledger.freeze(false);
        }
        eventually(&format!("{refusal:?} is named"), async || trouble(instance) == Some(refusal.trouble()))
            .await;
    }
}

fn trouble(instance: &Instance) -> Option<Trouble> {
    instance.cache.health_report().reasons.first().map(|reason| reason.trouble)
}

fn episodes(instance: &Instance, trouble: Trouble) -> u64 {
    let counts = instance.cache.trouble_counts();
    counts.iter().find(|count| count.trouble == trouble).unwrap().episodes
}

/// How many of 100 reads memory answers.
async fn answered_by_memory(instance: &Instance, table: &std::sync::Arc<Table>) -> u64 {
    let before = instance.values.stats();
    for round in 0..ROUNDS {
        if round > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        for key in 0..KEYS {
            assert_eq!(instance.read(table, key).await, Some(1));
        }
    }
    instance.values.stats().since(&before).memory_hits
}

/// `has_unsent`: a write came meanwhile, whose invalidation Redis refused.
async fn hits_while(refusal: Refusal, is_journalled: bool, has_unsent: bool) -> u64 {
    let mut bed = Bed::new(is_journalled, LONG);
    let instance = bed.instance().await;
    bed.refuse(refusal, &instance).await;
    if has_unsent {
        let expected = if refusal.takes_unlinks() { None } else { Some(Delivery::Queued) };
        let delivery = instance.write(&bed.table, KEYS, 1).await;
        assert!(expected.is_none_or(|expected| delivery == expected), "{refusal:?}: {delivery}");
    }
    let hits = answered_by_memory(&instance, &bed.table).await;
    let report = instance.cache.health_report();
    assert_eq!(trouble(&instance), Some(refusal.trouble()), "all the while: {report:?}");
    hits
}

async fn is_no_worse_than_gone(refusals: &[Refusal]) {
    // A loaded copy stays for the bound, so memory answers all rounds but the first.
    let all_but_one = u64::from(KEYS * (ROUNDS - 1));
    for (is_journalled, has_unsent) in [(true, false), (true, true), (false, false), (false, true)] {
        for refusal in refusals {
            let hits = hits_while(*refusal, is_journalled, has_unsent).await;
            assert_eq!(
                hits, all_but_one,
                "{refusal:?}, journalled: {is_journalled}, has_unsent: {has_unsent}"
            );
        }
    }
}

#[tokio::test]
async fn without_redis_memory_answers_all_but_the_first_reads() {
    is_no_worse_than_gone(&[Refusal::Gone]).await;
}

#[tokio::test]
async fn a_server_that_refuses_writes_is_no_worse_than_none() {
    is_no_worse_than_gone(&[Refusal::Full, Refusal::SavingFails, Refusal::ReplicasMissing]).await;
}

#[tokio::test]
async fn a_replica_is_no_worse_than_none() {
    is_no_worse_than_gone(&[Refusal::Replica, Refusal::MasterDown]).await;
}

#[tokio::test]
async fn a_user_without_rights_is_no_worse_than_none() {
    is_no_worse_than_gone(&[Refusal::ReadOnlyUser, Refusal::ScriptlessUser, Refusal::NewPassword]).await;
}

#[tokio::test]
async fn a_server_that_is_busy_or_loads_is_no_worse_than_none() {
    is_no_worse_than_gone(&[Refusal::Busy, Refusal::Loading]).await;
}

/// The health report names each way in which Redis refuses commands. After the refusal ends, Redis is used again, and reads
/// see every write that was made meanwhile.
#[tokio::test]
async fn each_refusal_is_named_and_ends() {
    for is_journalled in [true, false] {
        let mut bed = Bed::new(is_journalled, Duration::from_secs(2));
        let (writer, reader) = (bed.instance().await, bed.instance().await);
        for (nth, refusal) in (2..).zip(Refusal::ALL) {
            let before = episodes(&writer, refusal.trouble());
            for instance in [&writer, &reader] {
                instance.warm(&bed.table, 7).await;
            }
            bed.refusing.begin(refusal).await;
            eventually(&format!("{refusal:?} is named"), async || {
                [&writer, &reader].iter().all(|instance| trouble(instance) == Some(refusal.trouble()))
            })
            .await;
            let report = writer.cache.health_report();
            assert_eq!((report.state, report.reasons.len()), (Health::Degraded, 1));
            assert_eq!(report.reasons[0].text, refusal.trouble().text());
            assert!(!format!("{report:?}").contains("secret"), "{report:?}");

            let delivery = writer.write(&bed.table, 7, nth).await;
            assert!(refusal.takes_unlinks() || delivery == Delivery::Queued, "{refusal:?}: {delivery}");
            assert_eq!(writer.read(&bed.table, 7).await, Some(nth), "{refusal:?}: its own write");
            assert_eq!(writer.read_fresh(&bed.table, 7).await, Some(nth), "{refusal:?}: its own write");

            bed.refusing.end(refusal).await;
            eventually(&format!("after {refusal:?} it is used again"), async || {
                [&writer, &reader].iter().all(|instance| instance.cache.health() == Health::Working)
            })
            .await;
            assert_eq!(reader.read_fresh(&bed.table, 7).await, Some(nth), "{refusal:?}: sent at last");
            assert_eq!(writer.cache.health_report().reasons, []);
            // An episode can continue from an earlier refusal, so at most one is added.
            assert!(episodes(&writer, refusal.trouble()) <= before + 1, "{refusal:?}");
        }
    }
}

/// A copy that is loaded while Redis refuses stays no longer than the bound from the start of its load.
#[tokio::test]
async fn copies_loaded_while_redis_refuses_end_with_the_bound() {
    let bound = Duration::from_millis(500);
    for refusal in [Refusal::Full, Refusal::ReplicasMissing, Refusal::ReadOnlyUser, Refusal::Busy] {
        let mut bed = Bed::new(true, bound);
        let instance = bed.instance().await;
        bed.refuse(refusal, &instance).await;
        for version in 2..8 {
            // Another program writes: neither this process nor Redis receives a report.
            bed.table.write(7, version);
            let written = Instant::now();
            eventually("the write is seen", async || {
                let began = Instant::now();
                let value = instance.read(&bed.table, 7).await;
                assert!(value == Some(version) || began < written + bound, "{refusal:?}: beyond the bound");
                value == Some(version)
            })
            .await;
        }
    }
}

/// When Redis is no longer certified, the copies that it guarded are dropped once; they are loaded again, not found
/// again.
#[tokio::test]
async fn guarded_copies_are_dropped_when_redis_is_no_longer_certified() {
    let mut bed = Bed::new(true, LONG);
    let instance = bed.instance().await;
    instance.warm(&bed.table, 7).await;
    bed.refuse(Refusal::ReplicasMissing, &instance).await;
    // Another program writes: neither this process nor Redis receives a report.
    bed.table.write(7, 2);
    assert_eq!(instance.read(&bed.table, 7).await, Some(2), "the tracked copy is not served");
    bed.refusing.end(Refusal::ReplicasMissing).await;
    eventually("it is used again", async || instance.cache.health() == Health::Working).await;
    assert_eq!(instance.read(&bed.table, 7).await, Some(2), "nor afterwards");
}

/// Calls of a command that only heartbeats and the relay send.
fn beats(bed: &Bed) -> u32 {
    let stats = bed.refusing.command(&["INFO", "commandstats"]);
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_time:calls="));
    calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn an_episode_is_one_line_and_one_at_its_end() {
    let logged = Logged::start();
    let mut bed = Bed::new(true, Duration::from_secs(2));
    let instance = bed.instance().await;
    for (nth, refusal) in [Refusal::Full, Refusal::ReplicasMissing].into_iter().enumerate() {
        bed.refuse(refusal, &instance).await;
        let before = beats(&bed);
        eventually("Redis was asked many times", async || {
            instance.read(&bed.table, 7).await;
            beats(&bed) > before + 20
        })
        .await;
        let word = format!("trouble={}", refusal.trouble());
        assert_eq!(logged.with(&word).len(), 1, "{:?}", logged.with(""));
        assert!(logged.with(&word)[0].contains(refusal.trouble().text()), "{:?}", logged.with(&word));
        bed.refusing.end(refusal).await;
        eventually("its end is logged", async || logged.with("no longer degraded").len() > nth).await;
        assert_eq!(episodes(&instance, refusal.trouble()), 1);
        assert_eq!(instance.cache.health(), Health::Working);
    }
    assert_eq!(logged.with("WARN").len(), 2, "{:?}", logged.with("WARN"));
    assert_eq!(logged.with("no longer degraded").len(), 2);
}

/// A connection that is made while a script runs is tracked like any other.
#[tokio::test]
async fn a_refusal_that_passes_costs_no_tracking() {
    let mut bed = Bed::new(true, Duration::from_secs(2));
    let instance = bed.instance().await;
    bed.refusing.begin(Refusal::Busy).await;
    eventually("it is named", async || trouble(&instance) == Some(Trouble::Busy)).await;
    bed.refusing.end(Refusal::Busy).await;
    eventually("it is used again", async || instance.cache.health() == Health::Working).await;
    instance.warm(&bed.table, 7).await;
}
