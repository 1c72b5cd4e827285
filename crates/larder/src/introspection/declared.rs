//! The declarations of a cache's classes, for code that checks a journal's tables against them.

use crate::cache::Cache;
use crate::key::PartKind;

/// How a class was declared when it was first opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredClass {
    /// The class's name, which is a tag of all its entries.
    pub name: String,
    /// The other tags that all its entries have.
    pub tags: Vec<String>,
    /// Whether its values stay in memory; see [`ClassBuilder::memory_only`](crate::class::ClassBuilder::memory_only).
    pub is_memory_only: bool,
    /// Whether entries also have tags that depend on their keys.
    pub has_tags_by_key: bool,
    /// Each list of column names behind the key's parts, in the order of the parts; empty if unknown.
    pub columns: Vec<Vec<String>>,
    /// Which texts the parts of its keys can have; `None` if even the number of parts is unknown.
    pub kinds: Option<Vec<PartKind>>,
}

impl Cache {
    /// Every class that was ever opened, sorted by name, as it was declared the first time.
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
        all.into_iter().map(|(_, common)| common.declaration.shown.clone()).collect()
    }
}
