//! The declarations of a cache's classes, for code that checks a journal's tables against them.

use crate::cache::Cache;

pub use crate::engine::registry::DeclaredClass;
pub use crate::tag::TagGroup;

impl Cache {
    /// Every class that was ever opened, sorted by name, as it was declared.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let rooms = cache.class::<u32, String>("rooms").tagged("hotel").open()?;
    /// let [declared] = cache.declared_classes().try_into().unwrap();
    /// assert_eq!((declared.name.as_str(), declared.tags), ("rooms", vec!["hotel".to_owned()]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn declared_classes(&self) -> Vec<DeclaredClass> {
        let all = self.engine.classes.all();
        all.into_iter().map(|(_, common)| common.declared()).collect()
    }
}
