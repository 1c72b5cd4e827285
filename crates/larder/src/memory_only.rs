//! Opening a class whose values never enter Redis.

use serde::{Serialize, de::DeserializeOwned};

use crate::class::ClassBuilder;
use crate::key::Key;

impl<K, V> ClassBuilder<'_, K, V>
where
    K: Key + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Keeps the class's values in this process's memory alone: they never enter Redis, and none is ever taken from there.
    /// For values that hold rights, such as who is logged in and what they may do: nothing that is written into Redis can
    /// grant any. Default: values are shared through Redis.
    ///
    /// With Redis, an anchor stands there under each key that some instance keeps: 17 bytes without a value, by which an
    /// invalidation reaches every instance as fast as that of any other class. The price: each instance loads for itself,
    /// a burst of reads once an instance; and where Redis refuses tracking, copies stay no longer than the staleness bound.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let roles = cache.class::<u32, String>("roles").memory_only().open()?;
    /// let load = || async { Ok::<_, std::io::Error>("admin".to_owned()) };
    /// assert_eq!(roles.get_or_load(&7, load).await?.as_deref().map(String::as_str), Some("admin"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn memory_only(mut self) -> Self {
        self.memory_only = true;
        self
    }
}
