//! What the classes of a cache declare, for code that checks a journal's tables against them.

use crate::cache::Cache;
use crate::key::PartKind;

/// How a class was opened the first time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredClass {
    /// Its name, which is a tag of all its entries.
    pub name: String,
    /// The tags that all its entries have beside that.
    pub tags: Vec<String>,
    /// Whether its values stay in memory; see [`ClassBuilder::memory_only`](crate::class::ClassBuilder::memory_only).
    pub is_memory_only: bool,
    /// Whether entries have tags by their keys too, which only the keys can tell.
    pub has_tags_by_key: bool,
    /// Each way in which the columns of a key's parts are called, in the order of the parts; empty when unknown.
    pub columns: Vec<Vec<String>>,
    /// What the parts of its keys may spell; `None` when even their number is unknown.
    pub kinds: Option<Vec<PartKind>>,
}

impl Cache {
    /// Every class that was ever opened, in the order of their names, as it was opened the first time.
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
