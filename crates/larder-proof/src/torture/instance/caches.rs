//! The cache under torture: the only file that builds the engine and reports writes to it.

use std::time::Duration;

use anyhow::Result;
use larder::cache::Cache;
use larder::class::Class;
use larder::codec::Codec;
use larder::journal::{ChangeId, Touch};
use larder::policy::Policy;
use larder::protocol::rules::ProtocolRule;
use larder::receipt::Delivery;
use larder::redis_options::RedisOptions;
use larder_sql::database::Database;
use larder_sql::journal::SqlJournal;

use crate::history::Key;
use crate::torture::instance::Settings;
use crate::torture::instance::by_hand::Scope;
use crate::torture::instance::release::Value;
use crate::torture::keys::{AGING, FALTERING};
use crate::torture::schema::{TEAM_TAG, journalled};

/// The TTL of entries that age. They are read every few milliseconds.
const TTL: Duration = Duration::from_millis(60);

/// The auditor checks every key about once a second: there are a few dozen keys, each read many times a second.
const AUDIT_RATE: f64 = 0.2;
const AUDITS_PER_SECOND: f64 = 100.0;

/// One instance's cache and its classes.
pub(super) struct Caches {
    cache: Cache,
    /// One row of `item` for each entry. Every eighth version is absent.
    pub(super) items: Class<Key, Value>,
    /// The items of `AGING`: entries that are refreshed, and served after their TTL.
    pub(super) aging: Class<Key, Value>,
    /// The items of `FALTERING`: entries that are served after their TTL if their load fails.
    pub(super) faltering: Class<Key, Value>,
    /// The sum over the rows of one team for each entry.
    pub(super) lists: Class<Key, Value>,
}

impl Caches {
    pub(super) async fn open(settings: &Settings, database: &Database) -> Result<Self> {
        let journal = SqlJournal::open(database, journalled().to_vec()).await?;
        let journal = match settings.mutant {
            Some(mutant) if !mutant.rules().keeps(ProtocolRule::AttestsSilence) => journal.trusting_silence(),
            _ => journal,
        };
        let builder = Cache::builder("torture").staleness_bound(settings.bound()).journal(journal);
        let mut builder = builder.audit_rate(AUDIT_RATE).audit_loads_per_second(AUDITS_PER_SECOND);
        if let Some(url) = &settings.redis {
            let redis = RedisOptions::new(url);
            builder = match (&settings.redis_ca, &settings.redis_token) {
                (Some(ca), _) => builder.redis(redis.ca_file(ca)),
                (None, Some(token)) => builder.upstash(url, token),
                (None, None) => builder.redis(redis),
            };
            if settings.mutant.is_some() {
                // On a busy machine and a slow link, reads with the default budget go on without Redis. Then the inserted
                // fault shows more rarely.
                builder = builder.redis_budget(Duration::from_millis(500));
            }
        }
        if let Some(mutant) = settings.mutant {
            builder = builder.rules(mutant.rules());
        }
        let cache = builder.build().await?;
        // No entry of `items` and `lists` expires during a run, so a stale entry stays until a read finds it.
        let longer_than_a_run = Duration::from_secs(3_000);
        let policy = Policy::ttl(longer_than_a_run).absent_for(longer_than_a_run);
        let short = Policy::ttl(TTL).absent_for(TTL);
        let aging = short.refresh_ahead(0.5).stale_while_revalidate(TTL);
        let faltering = short.stale_if_error(longer_than_a_run);
        Ok(Caches {
            aging: cache.class("aging").policy(aging).codec(Codec::Postcard).open()?,
            faltering: cache.class("faltering").policy(faltering).codec(Codec::Postcard).open()?,
            items: cache.class("items").policy(policy).codec(Codec::Postcard).open()?,
            lists: cache.class("lists").policy(policy).codec(Codec::Postcard).tagged(TEAM_TAG).open()?,
            cache,
        })
    }

    /// Reports a committed write to the cache. Returns the delivery with which the write is acknowledged.
    pub(super) async fn committed(&self, touches: &[Touch], changes: &[ChangeId]) -> Delivery {
        let invalidation = self.cache.committed(touches, changes);
        let invalidation = if rand::random_bool(0.1) { invalidation.wait() } else { invalidation };
        invalidation.send().await.delivery()
    }

    /// Invalidates by hand, without a write.
    pub(super) async fn invalidate(&self, scope: Scope, key: Key) -> Result<()> {
        // The receipt matters only after a write; here nothing has changed.
        let _receipt = match scope {
            Scope::Key if AGING.contains(&key) => self.aging.invalidate(&key).await,
            Scope::Key if FALTERING.contains(&key) => self.faltering.invalidate(&key).await,
            Scope::Key => self.items.invalidate(&key).await,
            Scope::Tag => self.cache.invalidate_tag(TEAM_TAG).await,
            Scope::Class => self.items.invalidate_all().await,
            Scope::Matching => self.cache.invalidate_matching(&format!("items:{key}*")).await?,
            Scope::Everything => self.cache.clear().await,
        };
        Ok(())
    }

    /// The classes' counters as `name=count`.
    pub(super) fn counts(&self) -> String {
        let lasting = self.items.stats().plus(&self.lists.stats());
        let stats = lasting.plus(&self.aging.stats()).plus(&self.faltering.stats());
        let audited = self.cache.audit().into_iter().flat_map(|audit| {
            [
                ("audit_checked", audit.checked),
                ("audit_changed", audit.changed),
                ("audit_stale", audit.stale),
                ("audit_dismissed", audit.dismissed),
                ("audit_failures", audit.failures + audit.unusable),
            ]
        });
        let counts = stats.named().chain(audited);
        counts.map(|(name, count)| format!("{name}={count}")).collect::<Vec<_>>().join(" ")
    }
}
