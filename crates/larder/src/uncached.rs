//! Runs a piece of work with caching off.

use std::future::Future;

tokio::task_local! {
    /// Set while this task runs a load or called `uncached`: cached reads then go to their loader and store nothing.
    /// The reasons: an outer entry must not be built from an older inner entry, and uncommitted rows must never be
    /// stored.
    static UNCACHED: ();
}

/// Runs `work` so that every cached read in it goes to its loader and stores nothing. Loaders run like this; so should
/// code that reads inside its own database transaction. Tasks that `work` spawns are not included.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::error::Error> {
/// use larder::cache::Cache;
/// use larder::uncached::uncached;
///
/// let cache = Cache::builder("docs").build().await?;
/// let rooms = cache.class::<u32, String>("rooms").open()?;
/// let load = || async { Ok::<_, std::io::Error>("sea view".to_owned()) };
///
/// uncached(rooms.get_or_load(&7, load)).await?;
/// assert!(rooms.get(&7).await.is_miss(), "nothing was stored");
/// # Ok(())
/// # }
/// ```
pub async fn uncached<F: Future>(work: F) -> F::Output {
    UNCACHED.scope((), work).await
}

#[inline]
pub(crate) fn is_uncached() -> bool {
    UNCACHED.try_with(|()| ()).is_ok()
}
