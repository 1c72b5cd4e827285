//! One entry through every tier, to see that they work.

use std::time::Duration;

use crate::cache::{Cache, Health};
use crate::class::{Class, ClassBuilder};
use crate::error::Error;
use crate::policy::Policy;
use crate::protocol::token::Token;
use crate::receipt::Delivery;

/// The class of the entry; nobody needs to see it among their own.
const CLASS: &str = "@self_test";

/// What worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfTest {
    /// The configured tiers can be used; with Redis configured and away it is memory alone that is tested.
    pub is_available: bool,
    /// A value could be put.
    pub set: bool,
    /// It came back.
    pub get: bool,
    /// It was said to exist.
    pub exists: bool,
    /// It was dropped, and every tier told.
    pub delete: bool,
    /// It was gone then.
    pub gone_after_delete: bool,
}

impl SelfTest {
    /// Whether all of it worked.
    pub fn passed(&self) -> bool {
        self.is_available && self.set && self.get && self.exists && self.delete && self.gone_after_delete
    }
}

impl Cache {
    /// Puts, reads and drops an entry of a class of its own, through the tiers as they are.
    ///
    /// # Errors
    ///
    /// None today.
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
        // Nobody else's, not even that of a self-test at the same time.
        let key = format!("{:032x}", u128::from_be_bytes(*Token::random().as_bytes()));
        let put = class.put(&key, key.clone()).await;
        let value = class.get(&key).await;
        let exists = class.contains(&key).await;
        let receipt = class.invalidate(&key).await;
        Ok(SelfTest {
            is_available: self.health() != Health::Degraded,
            set: put.is_stored,
            get: value.as_deref() == Some(&key),
            exists,
            delete: receipt.delivery() == Delivery::Sent,
            gone_after_delete: class.get(&key).await.is_none(),
        })
    }
}
