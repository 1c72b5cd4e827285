//! The cache under torture: the one file that knows how the engine is built and told of writes.

use anyhow::Result;
use larder::cache::Cache;
use larder::class::Class;
use larder::policy::Policy;
use larder::receipt::Delivery;
use larder_sql::database::Database;
use larder_sql::write::Write;

use std::time::Duration;

use crate::history::{Key, Version};
use crate::torture::instance::Settings;
use crate::torture::instance::hands::Hand;
use crate::torture::keys::team_of;

/// Whether the engine hears from the database's own record of writes whose writer told it nothing.
pub const HAS_JOURNAL: bool = false;

/// The value of an entry names its key, so that an answer of another key shows.
pub(super) type Value = (Key, Version);

/// One instance's cache and its classes.
pub(super) struct Caches {
    cache: Cache,
    /// One row each; absent now and then.
    pub(super) items: Class<Key, Value>,
    /// The sum over a team's rows.
    pub(super) lists: Class<Key, Value>,
}

/// What a write touched.
pub(super) struct Touched {
    key: Key,
}

impl Caches {
    pub(super) async fn open(settings: &Settings, _database: &Database) -> Result<Self> {
        let mut builder = Cache::builder("torture").staleness_bound(settings.bound());
        if let Some(url) = &settings.redis {
            builder = builder.redis(url);
        }
        if let Some(plant) = settings.plant {
            builder = builder.rules(plant.rules());
        }
        let cache = builder.build().await?;
        // No entry goes by itself: what is wrong stays wrong until somebody notices.
        let ages = Duration::from_secs(3_000);
        let policy = Policy::ttl(ages).absent_for(ages);
        Ok(Caches {
            items: cache.class("items").policy(policy).open()?,
            lists: cache.class("lists").policy(policy).open()?,
            cache,
        })
    }

    /// What the write's transaction touched, asked before its commit.
    pub(super) async fn touched(&self, _write: &mut Write, key: Key) -> Result<Touched> {
        Ok(Touched { key })
    }

    /// Tells the cache of a committed write; the write may be acknowledged with the answer.
    pub(super) async fn committed(&self, touched: Touched) -> Delivery {
        let mut invalidation = self.cache.invalidation().key(&self.items, &touched.key);
        if team_of(touched.key).is_some() {
            invalidation = invalidation.class(&self.lists);
        }
        invalidation.send().await.delivery()
    }

    /// Invalidates by hand, without any write.
    pub(super) async fn invalidate(&self, hand: Hand, key: Key) {
        // Whether everybody knows matters to a write; here nothing has changed.
        let _receipt = match hand {
            Hand::Key => self.items.invalidate(&key).await,
            Hand::Tag => self.lists.invalidate_all().await,
            Hand::Class | Hand::Matching | Hand::Everything => self.items.invalidate_all().await,
        };
    }

    /// `name=count` of what the classes counted.
    pub(super) fn counts(&self) -> String {
        let stats = self.items.stats().plus(&self.lists.stats());
        // Whatever counters there are: `Stats { memory_hits: 8, … }`.
        let shown = format!("{stats:?}").replace(": ", "=");
        let counts = shown.split([' ', ',', '{', '}']).filter(|word| word.contains('='));
        counts.collect::<Vec<_>>().join(" ")
    }
}
