//! Which cache can use a namespace: databases that name themselves, and installations without a journal, each with its
//! own name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use larder::cache::{Cache, Health};
use larder::error::ErrorKind;
use larder::health::{Reason, Trouble};
use larder::journal::{ChangesSince, DatabaseId, Failure, Journal, Position, Touch};
use larder::receipt::Delivery;
use larder_testbed::Redis;

use crate::support::journal::Ledger;
use crate::support::{Instance, Table, classes, eventually, in_redis};

async fn installed(redis: &Redis, id: &str) -> Instance {
    classes(crate::support::builder().redis(redis.url()).installation(id).build().await.unwrap())
}

async fn journalled(redis: &Redis, ledger: &Ledger) -> Instance {
    classes(crate::support::builder().redis(redis.url()).journal(ledger.clone()).build().await.unwrap())
}

async fn is_refused_for(instance: &Instance, trouble: Trouble) -> Reason {
    let reason =
        || instance.cache.health_report().reasons.into_iter().find(|reason| reason.trouble == trouble);
    eventually("its trouble is named", async || reason().is_some()).await;
    assert_eq!(instance.cache.health(), Health::Degraded);
    reason().unwrap()
}

async fn works(instance: &Instance) {
    eventually("it works", async || instance.cache.health() == Health::Working).await;
}

#[tokio::test]
async fn redis_without_a_journal_needs_the_name_of_the_database() {
    let builder = || crate::support::builder().redis("redis://127.0.0.1:1");
    let long = "a".repeat(65);
    for builder in
        [builder(), builder().installation(""), builder().installation(long), builder().installation("a b")]
    {
        let error = builder.build().await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.to_string();
        assert!(text.starts_with("installation") && text.contains("1 to 64 of letters"), "{text}");
    }
    assert!(Cache::builder("test").build().await.is_ok(), "memory alone needs none");
    assert!(builder().journal(Ledger::new()).build().await.is_ok(), "a journal names its database");
}

#[tokio::test]
async fn a_second_installation_in_a_namespace_is_refused_and_says_so() {
    let (redis, [production, staging]) = (Redis::start().unwrap(), [Table::new(), Table::new()]);
    production.write(7, 1);
    staging.write(7, 1_000);
    let [first, also] = [installed(&redis, "production").await, installed(&redis, "production").await];
    assert_eq!(first.read(&production, 7).await, Some(1));
    assert_eq!(also.read(&production, 7).await, Some(1));
    assert_eq!((also.values.stats().redis_hits, production.loads()), (1, 1), "one id is one installation");

    let second = installed(&redis, "staging").await;
    let reason = is_refused_for(&second, Trouble::AnotherInstallation).await;
    let detail = reason.detail.unwrap();
    for part in ["\"production\"", "\"staging\"", "test:@installation"] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    for version in 1_001..1_010 {
        assert_eq!(second.write(&staging, 7, version).await, Delivery::Queued);
        assert_eq!(second.read(&staging, 7).await, Some(version), "from its loader");
        assert_eq!(second.read_fresh(&staging, 7).await, Some(version));
        assert_eq!(first.read_fresh(&production, 7).await, Some(1));
    }
    assert_eq!(second.values.stats().redis_hits, 0);
    assert_eq!((first.cache.health(), also.cache.health()), (Health::Working, Health::Working));

    // The other installation is gone, and an operator deletes its claim.
    drop((first, also));
    redis.command(&["DEL", "test:@installation"]).unwrap();
    works(&second).await;
    assert_eq!(second.read_fresh(&staging, 7).await, Some(1_009));
    let late = installed(&redis, "production").await;
    is_refused_for(&late, Trouble::AnotherInstallation).await;
}

/// The entries that it left in Redis are from before the other installation came, and no write since then was
/// propagated to it.
#[tokio::test]
async fn an_installation_that_gets_its_namespace_back_starts_empty() {
    let (redis, table) = (Redis::start().unwrap(), Table::new());
    table.write(7, 1);
    let before = installed(&redis, "test").await;
    before.read(&table, 7).await;
    assert_eq!(redis.command(&["EXISTS", in_redis!("values:7")]).unwrap(), "1");
    drop(before);
    redis.command(&["SET", "test:@installation", "other"]).unwrap();
    table.write(7, 2);
    redis.command(&["DEL", "test:@installation"]).unwrap();
    let after = installed(&redis, "test").await;
    works(&after).await;
    assert_eq!(after.read(&table, 7).await, Some(2));
}

#[tokio::test]
async fn a_flushed_redis_is_claimed_again_by_its_installation() {
    let redis = Redis::start().unwrap();
    let first = installed(&redis, "production").await;
    redis.command(&["FLUSHALL"]).unwrap();
    let claim = || redis.command(&["GET", "test:@installation"]).unwrap();
    eventually("it is claimed again", async || claim() == "production").await;
    works(&first).await;
    let second = installed(&redis, "staging").await;
    is_refused_for(&second, Trouble::AnotherInstallation).await;
    assert_eq!(claim(), "production");
}

/// An instance with a journal propagates only to the keys of its own database.
#[tokio::test]
async fn a_journal_and_none_do_not_share_a_namespace() {
    let (redis, ledger) = (Redis::start().unwrap(), Ledger::new());
    let without = installed(&redis, "production").await;
    works(&without).await;
    let with = journalled(&redis, &ledger).await;
    works(&with).await;
    let reason = is_refused_for(&without, Trouble::Disagreement).await;
    assert!(reason.detail.unwrap().contains("journal"));
    works(&with).await;
}

#[tokio::test]
async fn dropping_everything_leaves_another_databases_entries() {
    let (redis, tables) = (Redis::start().unwrap(), [Table::new(), Table::new()]);
    let ledgers = [Ledger::new(), Ledger::new()];
    ledgers[1].rename("other");
    let [a, b] = [journalled(&redis, &ledgers[0]).await, journalled(&redis, &ledgers[1]).await];
    for (instance, table, value) in [(&a, &tables[0], 1), (&b, &tables[1], 2)] {
        works(instance).await;
        table.write(7, value);
        instance.warm(table, 7).await;
    }
    for drop_all in ["by hand", "by pattern", "by the journal"] {
        let loads = tables[1].loads();
        match drop_all {
            "by hand" => drop(a.cache.clear().await),
            "by pattern" => drop(a.cache.invalidate_matching("values:*").await.unwrap()),
            _ => drop(ledgers[0].note(Touch::Everything)),
        }
        let before = tables[0].loads();
        eventually("it is dropped", async || {
            a.read_fresh(&tables[0], 7).await;
            tables[0].loads() > before
        })
        .await;
        assert_eq!(b.read_fresh(&tables[1], 7).await, Some(2));
        assert_eq!(tables[1].loads(), loads, "{drop_all}");
    }
    let keys = a.cache.key_counts().await.redis.value().unwrap();
    assert_eq!(keys.by_class["values"], 1, "its own");
}

/// One instance notices at once that the database has another identity, the other one does not notice it: until its
/// watermark is older than the bound, it can read under the old identity. So no write may be acknowledged as sent under
/// the new identity before, whatever else happens at the restart (`also`).
async fn nothing_is_sent_under_a_new_name(also: impl Fn(&Redis, &Ledger)) {
    let (redis, table, ledger) = (Redis::start().unwrap(), Table::new(), Ledger::new());
    let late = ledger.seen_by_another();
    let [a, b] = [journalled(&redis, &ledger).await, journalled(&redis, &late).await];
    table.write(7, 1);
    for instance in [&a, &b] {
        works(instance).await;
        instance.warm(&table, 7).await;
    }
    late.freeze(true);
    ledger.rename("test-again");
    also(&redis, &ledger);
    let renamed = Instant::now();
    let (mut version, mut sent_later) = (1_u64, 0);
    while renamed.elapsed() < Duration::from_secs(5) {
        version += 1;
        // Every second write waits for its delivery. An UNLINK under the new identity is none yet.
        let delivery = if version.is_multiple_of(2) {
            a.write_and_wait(&table, 7, version).await
        } else {
            a.write(&table, 7, version).await
        };
        if delivery == Delivery::Sent {
            sent_later += usize::from(renamed.elapsed() > Duration::from_secs(3));
            assert_eq!(b.read_fresh(&table, 7).await, Some(version), "after {:?}", renamed.elapsed());
        }
        assert_eq!(a.read_fresh(&table, 7).await, Some(version));
        // Unsent invalidations are sent between two writes.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(sent_later > 0, "in the end it is used under the new name");
    late.rename("test-again");
    late.freeze(false);
    works(&b).await;
    assert_eq!(b.read_fresh(&table, 7).await, Some(version));
}

#[tokio::test]
async fn nothing_is_sent_under_a_new_name_while_the_old_one_may_be_read() {
    nothing_is_sent_under_a_new_name(|_, _| {}).await;
}

#[tokio::test]
async fn nothing_is_sent_under_a_new_name_even_if_the_claim_was_evicted() {
    nothing_is_sent_under_a_new_name(|redis, _| {
        assert_eq!(redis.command(&["DEL", "test:@installation"]).unwrap(), "1");
    })
    .await;
}

#[tokio::test]
async fn nothing_is_sent_under_a_new_name_even_if_the_databases_clock_was_set_forward() {
    nothing_is_sent_under_a_new_name(|_, ledger| ledger.set_age(Duration::from_secs(3_600))).await;
}

/// A journal whose database does not answer until `is_away` is false.
struct Away {
    ledger: Ledger,
    is_away: Arc<AtomicBool>,
}

impl Away {
    fn answers(&self) -> Result<(), Failure> {
        if self.is_away.load(Ordering::SeqCst) { Err("it is away".into()) } else { Ok(()) }
    }
}

#[async_trait]
impl Journal for Away {
    async fn database(&self) -> Result<DatabaseId, Failure> {
        self.answers()?;
        self.ledger.database().await
    }

    async fn changes_since(&self, position: Option<&Position>) -> Result<ChangesSince, Failure> {
        self.answers()?;
        self.ledger.changes_since(position).await
    }

    async fn append(&self, touches: &[Touch]) -> Result<(), Failure> {
        self.answers()?;
        self.ledger.append(touches).await
    }

    async fn prune(&self) -> Result<u64, Failure> {
        self.ledger.prune().await
    }
}

/// Redis has the invalidation. But a replica that is promoted may lack it, and then only the journal could repeat it.
#[tokio::test]
async fn an_invalidation_that_the_journal_did_not_take_is_queued() {
    let (redis, is_away) = (Redis::start().unwrap(), Arc::new(AtomicBool::new(false)));
    let on = async |redis: Option<&Redis>| {
        let journal = Away { ledger: Ledger::new(), is_away: is_away.clone() };
        let builder = crate::support::builder().journal(journal);
        let instance = match redis {
            Some(redis) => classes(builder.redis(redis.url()).build().await.unwrap()),
            None => classes(builder.build().await.unwrap()),
        };
        if redis.is_some() {
            works(&instance).await;
        }
        instance
    };
    for instance in [on(Some(&redis)).await, on(None).await] {
        for (now_away, waits, is_journalled) in
            [(true, false, false), (true, true, false), (false, true, true)]
        {
            is_away.store(now_away, Ordering::SeqCst);
            let invalidation = instance.cache.invalidation().key(&instance.values, &7);
            let receipt = if waits { invalidation.wait() } else { invalidation }.send().await;
            let delivery = if is_journalled { Delivery::Sent } else { Delivery::Queued };
            assert_eq!((receipt.delivery(), receipt.is_journalled()), (delivery, is_journalled));
        }
    }
}

/// Its unsent invalidations name keys of a database whose identity it does not know yet.
#[tokio::test]
async fn no_unsent_invalidation_is_sent_before_the_database_is_known() {
    let (redis, table, ledger) = (Redis::start().unwrap(), Table::new(), Ledger::new());
    let a = journalled(&redis, &ledger).await;
    works(&a).await;
    table.write(7, 1);
    a.warm(&table, 7).await;
    let is_away = Arc::new(AtomicBool::new(true));
    let away = Away { ledger, is_away: is_away.clone() };
    let b = classes(crate::support::builder().redis(redis.url()).journal(away).build().await.unwrap());
    table.write(7, 2);
    let receipt = b.cache.invalidation().key(&b.values, &7).wait().send().await;
    assert_eq!(receipt.delivery(), Delivery::Queued);
    is_away.store(false, Ordering::SeqCst);
    works(&b).await;
    assert_eq!(b.read(&table, 7).await, Some(2));
    eventually("the other instance receives it", async || a.read(&table, 7).await == Some(2)).await;
}
