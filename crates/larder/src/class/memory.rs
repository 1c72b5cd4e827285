//! What a class's values take in memory, and what tuning may do to them.

use std::any::TypeId;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::class::builder::ClassBuilder;
use crate::codec::AnyValue;
use crate::key::Key;

impl<K, V> ClassBuilder<'_, K, V>
where
    K: Key + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Says what a value takes in memory, in bytes: its own size and everything that it owns. Default: larder measures it
    /// while it decodes the value. That is exact for the types of std, and an estimate for types with memory of their own
    /// or with serde's `flatten` or `untagged`. `memory_of` runs once for each value that enters memory.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// // Values that fill a table of their own on first use.
    /// let grids = cache.class::<u32, String>("grids").memory_of(|grid| 4_096 + grid.len() as u64).open()?;
    /// let load = || async { Ok::<_, std::io::Error>("7x7".to_owned()) };
    /// grids.get_or_load(&7, load).await?;
    /// assert!(cache.memory_bytes() > 4_096);
    /// # Ok(())
    /// # }
    /// ```
    pub fn memory_of<F>(self, memory_of: F) -> Self
    where
        F: Fn(&V) -> u64 + Send + Sync + 'static,
    {
        let memory_of_type = (Some(TypeId::of::<F>()), std::any::type_name::<F>());
        // All values of a class have the type `V`, so the default, 0, is never used.
        let memory_of = move |value: &AnyValue| value.downcast_ref::<V>().map_or(0, &memory_of);
        ClassBuilder { memory_of: Some(Arc::new(memory_of)), memory_of_type, ..self }
    }

    /// Leaves the class out of what [tuning](crate::tuning) changes: memory admits each of its values, and its TTL stays.
    /// There can be advice on its TTL, and to switch it off, all the same. Default: memory may admit a share of the values.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::Error> {
    /// use larder::tuning::Tuning;
    ///
    /// let cache = larder::Cache::builder("docs").tuning(Tuning::apply()).build().await?;
    /// let roles = cache.class::<u32, String>("roles").untuned().open()?;
    /// # let _ = roles;
    /// # Ok(())
    /// # }
    /// ```
    pub fn untuned(mut self) -> Self {
        self.limits.is_fixed = true;
        self
    }

    /// Allows [tuning](crate::tuning) to raise the class's TTL, up to `ttl_max`, if the TTL is what ends entries in use.
    /// Without a journal a TTL also bounds how long a write by other software is missed; then `ttl_max` is that bound. A
    /// `ttl_max` that is not above the TTL has no effect. Default: the TTL is not changed.
    pub fn tune_ttl_up_to(mut self, ttl_max: Duration) -> Self {
        self.limits.ttl_max = Some(ttl_max);
        self
    }
}
