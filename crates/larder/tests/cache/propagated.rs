//! The relay and the consumer skip a change that its writer has already propagated; they propagate every other change.

use std::sync::Arc;
use std::time::Duration;

use larder::cache::Health;
use larder::journal::{ChangeId, Touch};
use larder::receipt::Delivery;
use larder::source::Source;
use larder_testbed::Redis;

use crate::support::journal::Ledger;
use crate::support::{Instance, Table, classes, eventually, in_redis_of_ledger};

/// Longer than any machine needs for the steps of a test while the journal is frozen.
const BOUND: Duration = Duration::from_secs(20);

struct Bed {
    redis: Option<Redis>,
    table: Arc<Table>,
    ledger: Ledger,
    /// The first one writes.
    instances: Vec<Instance>,
}

impl Bed {
    async fn on(redis: Option<Redis>, count: usize) -> Self {
        let (table, ledger) = (Table::new(), Ledger::new());
        let mut instances = Vec::new();
        for _ in 0..count {
            let builder = crate::support::builder().journal(ledger.clone()).staleness_bound(BOUND);
            let builder = match &redis {
                Some(redis) => builder.redis(redis.url()),
                None => builder,
            };
            instances.push(classes(builder.build().await.unwrap()));
        }
        Bed { redis, table, ledger, instances }
    }

    /// Commits; returns the touches and their change ids.
    fn commit(&self, key: u32, version: u64) -> (Vec<Touch>, Vec<ChangeId>) {
        self.table.write(key, version);
        let touches = vec![Touch::entry("values", [key.to_string()]), Touch::Tag("everything".to_owned())];
        let changes = touches.iter().map(|touch| self.ledger.note(touch.clone())).collect();
        (touches, changes)
    }

    async fn write(&self, key: u32, version: u64) -> Delivery {
        let (touches, changes) = self.commit(key, version);
        self.instances[0].cache.committed(&touches, &changes).send().await.delivery()
    }

    /// A later change by other software is seen, so the journal was polled beyond all earlier commits.
    async fn poll(&self, version: u64) {
        self.table.write(1_000, version);
        self.ledger.note(Touch::entry("values", ["1000"]));
        for instance in &self.instances {
            eventually("the journal was followed", async || {
                instance.read(&self.table, 1_000).await == Some(version)
            })
            .await;
        }
    }

    async fn warm(&self, key: u32) {
        for instance in &self.instances {
            eventually("memory answers", async || {
                let value = instance.values.read(&key).or_load(self.table.loader(key)).await.unwrap();
                let list = instance.lists.read("all").or_load(self.table.loader_of_all()).await.unwrap();
                value.source == Source::Memory && list.source == Source::Memory
            })
            .await;
        }
    }

    /// The sources of the value and of the list on each instance now.
    async fn sources(&self, key: u32) -> Vec<(Source, Source)> {
        let mut sources = Vec::new();
        for instance in &self.instances {
            let value = instance.values.read(&key).or_load(self.table.loader(key)).await.unwrap();
            assert_eq!(value.value, self.table.load(key).unwrap().map(Arc::new), "it is the present one");
            let list = instance.lists.read("all").or_load(self.table.loader_of_all()).await.unwrap();
            sources.push((value.source, list.source));
        }
        sources
    }
}

const MEMORY: (Source, Source) = (Source::Memory, Source::Memory);

#[tokio::test]
async fn a_change_that_its_writer_propagated_is_not_applied_again() {
    for (redis, instances) in [(Some(Redis::start().unwrap()), 2), (None, 1)] {
        let bed = Bed::on(redis, instances).await;
        bed.poll(1).await;
        for round in 2..6 {
            // The journal is polled only after the writer propagated the change.
            bed.ledger.freeze(true);
            assert_eq!(bed.write(7, round).await, Delivery::Sent);
            bed.warm(7).await;
            bed.ledger.freeze(false);
            // Only the key's change is foreign: a list under the tag stays too.
            bed.poll(round).await;
            assert_eq!(bed.sources(7).await, vec![MEMORY; instances], "round {round}");
        }
    }
}

#[tokio::test]
async fn a_write_without_change_ids_is_propagated_again() {
    for redis in [Some(Redis::start().unwrap()), None] {
        let bed = Bed::on(redis, 1).await;
        bed.poll(1).await;
        bed.ledger.freeze(true);
        let (touches, _) = bed.commit(7, 2);
        let _receipt = bed.instances[0].cache.committed(&touches, &[]).send().await;
        bed.warm(7).await;
        bed.ledger.freeze(false);
        bed.poll(2).await;
        assert_ne!(bed.sources(7).await, [MEMORY]);
    }
}

#[tokio::test]
async fn processes_without_redis_apply_changes_from_the_journal() {
    let bed = Bed::on(None, 2).await;
    bed.write(7, 1).await;
    bed.warm(7).await;
    bed.write(7, 2).await;
    eventually("the other sees it", async || bed.instances[1].read(&bed.table, 7).await == Some(2)).await;
}

#[tokio::test]
async fn an_unsent_invalidation_is_propagated_from_the_journal() {
    let bed = Bed::on(Some(Redis::start().unwrap()), 2).await;
    let redis = bed.redis.as_ref().unwrap();
    bed.write(7, 1).await;
    bed.warm(7).await;
    redis.pause().unwrap();
    assert_eq!(bed.write(7, 2).await, Delivery::Queued);
    redis.resume().unwrap();
    for instance in &bed.instances {
        eventually("it is seen", async || instance.read(&bed.table, 7).await == Some(2)).await;
    }
}

/// An old snapshot of Redis contains neither the record of a later change nor its UNLINK.
#[tokio::test]
async fn the_record_of_a_change_is_as_current_as_the_position() {
    let mut bed = Bed::on(Some(Redis::start().unwrap()), 2).await;
    bed.write(7, 1).await;
    bed.poll(1).await;
    bed.poll(2).await;
    bed.warm(7).await;
    let snapshot = bed.redis.as_ref().unwrap().snapshot().unwrap();
    bed.ledger.freeze(true);
    assert_eq!(bed.write(7, 2).await, Delivery::Sent);
    bed.redis.as_mut().unwrap().restore(&snapshot).unwrap();
    bed.ledger.freeze(false);
    eventually("it is used again", async || {
        let are_working = bed.instances.iter().all(|instance| instance.cache.health() == Health::Working);
        // Each read is compared with the table.
        bed.sources(7).await == [MEMORY; 2] && are_working
    })
    .await;
    assert_eq!(bed.write(7, 3).await, Delivery::Sent, "with this Redis");
    for instance in &bed.instances {
        assert_eq!(instance.read_fresh(&bed.table, 7).await, Some(3));
    }
}

/// A Redis that lost the records of changes has lost the entries too.
#[tokio::test]
async fn records_of_changes_are_lost_with_the_entries() {
    let bed = Bed::on(Some(Redis::start().unwrap()), 2).await;
    let redis = bed.redis.as_ref().unwrap();
    bed.poll(1).await;
    bed.ledger.freeze(true);
    assert_eq!(bed.write(7, 2).await, Delivery::Sent);
    let recorded = || redis.command(&["KEYS", in_redis_of_ledger!("@told=*")]).unwrap().lines().count();
    assert_eq!(recorded(), 2, "one record for each row, which no relay has polled yet");
    for name in redis.command(&["KEYS", in_redis_of_ledger!("@told=*")]).unwrap().lines() {
        let left: u64 = redis.command(&["PTTL", name]).unwrap().trim().parse().unwrap();
        assert!((1..=20_000).contains(&left), "{left} ms");
    }
    redis.command(&["FLUSHALL"]).unwrap();
    assert_eq!(recorded(), 0);
    bed.ledger.freeze(false);
    for instance in &bed.instances {
        eventually("it is seen", async || instance.read(&bed.table, 7).await == Some(2)).await;
    }
}

/// Tracked records would make Redis report the expiry of each one to every instance.
#[tokio::test]
async fn records_of_changes_are_not_tracked() {
    let bed = Bed::on(Some(Redis::start().unwrap()), 2).await;
    let redis = bed.redis.as_ref().unwrap();
    let tracked = || -> u64 {
        let info = redis.command(&["INFO", "stats"]).unwrap();
        info.lines()
            .find_map(|line| line.strip_prefix("tracking_total_keys:"))
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    };
    bed.poll(1).await;
    bed.write(7, 1).await;
    bed.warm(7).await;
    let before = tracked();
    for version in 2..22 {
        assert_eq!(bed.write(7, version).await, Delivery::Sent);
    }
    bed.poll(2).await;
    bed.warm(7).await;
    assert!(tracked() <= before + 2, "{} keys, {before} before", tracked());
}

/// The UNLINK and the record are one command: no snapshot of this Redis can contain one without the other.
#[tokio::test]
async fn a_change_is_propagated_and_recorded_by_one_command() {
    let bed = Bed::on(Some(Redis::start().unwrap()), 1).await;
    let redis = bed.redis.as_ref().unwrap();
    bed.poll(1).await;
    bed.ledger.freeze(true);
    redis.command(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]).unwrap();
    redis.command(&["SLOWLOG", "RESET"]).unwrap();
    assert_eq!(bed.write(7, 2).await, Delivery::Sent);
    let sent = redis.command(&["SLOWLOG", "GET", "100"]).unwrap();
    bed.ledger.freeze(false);
    let script =
        sent.lines().skip_while(|line| *line != "EVALSHA").take_while(|line| !line.contains("127.0.0.1"));
    let script: Vec<&str> = script.collect();
    for key in [
        in_redis_of_ledger!("values:7"),
        in_redis_of_ledger!("#everything"),
        in_redis_of_ledger!("@told=1"),
        in_redis_of_ledger!("@told=2"),
    ] {
        assert!(script.contains(&key), "{key} in {sent}");
    }
}

/// An ACL need not allow the records: without them each change is propagated once more.
#[tokio::test]
async fn a_redis_that_allows_no_records_of_changes_is_still_used() {
    let keys = ["@installation", "*:@live", "*:@wm", "*:@pos", "*:#*", "*:values:*", "*:lists:*"];
    let keys = keys.map(|key| format!("~test:{key}"));
    let keys = keys.each_ref().map(String::as_str);
    for allowed in [[&["~*", "+@all", "-getex"][..], &[]].concat(), [&keys[..], &["+@all"]].concat()] {
        let redis = Redis::start().unwrap();
        let user = ["ACL", "SETUSER", "larder", "on", ">secret", "&*"];
        redis.command(&[&user[..], &allowed].concat()).unwrap();
        let url = redis.url().replace("redis://", "redis://larder:secret@");
        let (table, ledger) = (Table::new(), Ledger::new());
        let cache = crate::support::builder().journal(ledger.clone()).redis(url).build().await.unwrap();
        let bed = Bed { redis: Some(redis), table, ledger, instances: vec![classes(cache)] };
        for version in 1..4 {
            assert_eq!(bed.write(7, version).await, Delivery::Sent, "{allowed:?}");
            bed.poll(version).await;
            bed.warm(7).await;
            assert_eq!(bed.instances[0].cache.health(), Health::Working, "{allowed:?}");
        }
    }
}

/// A full Redis accepts no value, but it accepts invalidations.
#[tokio::test]
async fn a_full_redis_receives_invalidations() {
    let bed = Bed::on(Some(Redis::start_with(&[("maxmemory-policy", "noeviction")]).unwrap()), 2).await;
    let redis = bed.redis.as_ref().unwrap();
    bed.write(7, 1).await;
    bed.warm(7).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    assert_eq!(bed.write(7, 2).await, Delivery::Sent);
    for instance in &bed.instances {
        assert_eq!(instance.read_fresh(&bed.table, 7).await, Some(2));
    }
}

/// An invalidation by a search, or by more than one command, is propagated again: no single step proves that all of it
/// is done.
#[tokio::test]
async fn an_invalidation_of_several_steps_is_not_recorded() {
    let bed = Bed::on(Some(Redis::start().unwrap()), 1).await;
    let redis = bed.redis.as_ref().unwrap();
    bed.poll(1).await;
    bed.ledger.freeze(true);
    let many = (0..600).map(|key| Touch::entry("values", [key.to_string()])).collect();
    let with_seven = |touch: Touch| vec![Touch::entry("values", ["7"]), touch];
    let searches = [with_seven(Touch::Matching("values:*".to_owned())), with_seven(Touch::Everything)];
    for touches in searches.into_iter().chain([many]) {
        let changes: Vec<ChangeId> = touches.iter().map(|touch| bed.ledger.note(touch.clone())).collect();
        let receipt = bed.instances[0].cache.committed(&touches, &changes[..1]).send().await;
        assert_eq!(receipt.delivery(), Delivery::Sent);
        assert_eq!(redis.command(&["KEYS", in_redis_of_ledger!("@told=*")]).unwrap().trim(), "");
    }
    bed.ledger.freeze(false);
}
