//! Sends one entry through every tier, to check that they work.

use std::time::Duration;

use crate::cache::{Cache, Health};
use crate::class::{Class, ClassBuilder};
use crate::error::Error;
use crate::policy::Policy;
use crate::protocol::token::Token;
use crate::receipt::Delivery;

/// The class of the entry. It is not listed among the application's classes.
const CLASS: &str = "@self_test";

/// Which steps of the self-test succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfTest {
    /// Whether all configured tiers can be used. If Redis is configured and away, the test runs on memory only.
    pub is_available: bool,
    /// `put` stored the value.
    pub set: bool,
    /// `get` returned it.
    pub get: bool,
    /// `contains` found it.
    pub exists: bool,
    /// The invalidation reached every tier.
    pub delete: bool,
    /// After that, `get` found nothing.
    pub gone_after_delete: bool,
}

impl SelfTest {
    /// Whether every step succeeded.
    pub fn passed(&self) -> bool {
        self.is_available && self.set && self.get && self.exists && self.delete && self.gone_after_delete
    }
}

impl Cache {
    /// Puts, reads and invalidates an entry of an unlisted class, through the tiers as they are configured.
    ///
    /// # Errors
    ///
    /// Currently none.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// assert!(cache.self_test().await?.passed());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn self_test(&self) -> Result<SelfTest, Error> {
        let policy = Policy::ttl(Duration::from_secs(10));
        let class: Class<str, String> = ClassBuilder::new(self, CLASS).policy(policy).unlisted()?;
        // A random key, so that it collides neither with another entry nor with a concurrent self-test.
        let key = format!("{:032x}", u128::from_be_bytes(*Token::random().as_bytes()));
        let put = class.put(&key, key.clone()).await;
        let value = class.get(&key).await.value();
        let exists = class.contains(&key).await;
        let receipt = class.invalidate(&key).await;
        Ok(SelfTest {
            is_available: self.health() != Health::Degraded,
            set: put.is_stored,
            get: value.as_deref() == Some(&key),
            exists,
            // Over REST no delivery is `Sent`.
            delete: receipt.delivery() == Delivery::Sent || !self.engine.is_delivery_certain(),
            gone_after_delete: !class.get(&key).await.is_hit(),
        })
    }
}
