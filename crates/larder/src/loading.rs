//! Lets a running load say that its value must not be stored.

use std::borrow::Cow;
use std::future::Future;
use std::sync::{Arc, OnceLock};

use crate::journal::{Journal, downcast};
use crate::uncached::uncached;

tokio::task_local! {
    /// The load that this task runs.
    static LOAD: Arc<RunningLoad>;
}

/// A load that is running.
#[derive(Default)]
struct RunningLoad {
    /// Why the value must not be stored. Only the first reason is kept.
    spoiled: OnceLock<Cow<'static, str>>,
    /// The load whose loader began this load. The outer value is built from the inner value, so an inner load that is
    /// spoiled also spoils the outer one.
    outer: Option<Arc<RunningLoad>>,
    /// Whether the auditor runs the load.
    is_audit: bool,
    /// The journal of the cache that stores the value.
    journal: Option<Arc<dyn Journal>>,
}

/// Spoils the load that this task runs, and the loads around it: the value goes to the caller that loads it, no tier
/// stores it, and followers load for themselves. [`Stats::loads_spoiled`](crate::stats::Stats::loads_spoiled) counts
/// it; the first `reason` of each class is logged. Outside a load, `spoil` does nothing.
///
/// Call `spoil` from code that lends connections to loaders. A statement in an already open transaction can show rows
/// that are rolled back later, or rows that are out of date. `larder_sql` calls it for its own connections;
/// `larder_sql::fresh` does this for other connections.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::error::Error> {
/// use larder::cache::Cache;
/// use larder::loading::spoil;
///
/// let cache = Cache::builder("docs").build().await?;
/// let rooms = cache.class::<u32, String>("rooms").open()?;
/// let load = || async {
///     spoil("it was read inside a transaction");
///     Ok::<_, std::io::Error>("sea view".to_owned())
/// };
///
/// let room = rooms.get_or_load(&7, load).await?;
/// assert_eq!(room.as_deref().map(String::as_str), Some("sea view"));
/// assert!(rooms.get(&7).await.is_miss(), "nothing was stored");
/// # Ok(())
/// # }
/// ```
pub fn spoil(reason: impl Into<Cow<'static, str>>) {
    let Ok(load) = LOAD.try_with(Arc::clone) else { return };
    let reason = reason.into();
    let mut load = Some(&load);
    while let Some(spoiled) = load {
        // Only the first reason is kept, because later ones follow from it.
        let _ = spoiled.spoiled.set(reason.clone());
        load = spoiled.outer.as_ref();
    }
}

/// Whether this task runs a load. Tasks that a loader spawns are not part of the load.
///
/// # Examples
///
/// ```
/// assert!(!larder::loading::is_loading());
/// ```
pub fn is_loading() -> bool {
    LOAD.try_with(|_| ()).is_ok()
}

/// Whether this task runs a load of the [auditor](crate::audit), which only compares its value: no tier stores it, and no
/// read gets it. A loader that counts its calls, or does more than to read, can ask this. It is also true while the
/// auditor calls the closure that begins the load.
///
/// # Examples
///
/// ```
/// assert!(!larder::loading::is_auditing());
/// ```
pub fn is_auditing() -> bool {
    LOAD.try_with(|load| load.is_audit).unwrap_or(false)
}

/// The journal of the cache whose load this task runs; if that cache has none, of the cache whose loader began the load.
/// `None` outside a load, without a journal, or if its type is neither `J` nor `Arc<J>`.
///
/// Code that lends connections to loaders asks it whether a connection leads to the database of the cache.
/// `larder_sql::fresh` does.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use larder::journal::Journal;
///
/// assert!(larder::loading::journal::<Arc<dyn Journal>>().is_none(), "no load runs here");
/// ```
pub fn journal<J: Journal + Clone>() -> Option<J> {
    LOAD.try_with(|load| load.journal.as_deref().and_then(downcast::<J>).cloned()).ok().flatten()
}

/// Runs a loader for the auditor of a cache with `journal`, as [`run_load`] does for a read.
pub(crate) async fn run_audit_load<F: Future>(
    load: F,
    journal: Option<Arc<dyn Journal>>,
) -> (F::Output, Option<Cow<'static, str>>) {
    let this = Arc::new(RunningLoad { is_audit: true, journal, ..RunningLoad::default() });
    let output = LOAD.scope(this.clone(), uncached(load)).await;
    (output, this.spoiled.get().cloned())
}

/// Calls the application's closure that begins a load, for the auditor.
pub(crate) fn begin_audit_load<T>(begin: impl FnOnce() -> T) -> T {
    LOAD.sync_scope(Arc::new(RunningLoad { is_audit: true, ..RunningLoad::default() }), begin)
}

/// Runs a loader of a cache with `journal`, with caching off. Also returns the reason if the value must not be stored.
pub(crate) async fn run_load<F: Future>(
    load: F,
    journal: Option<Arc<dyn Journal>>,
) -> (F::Output, Option<Cow<'static, str>>) {
    let outer = LOAD.try_with(Arc::clone).ok();
    let is_audit = outer.as_ref().is_some_and(|outer| outer.is_audit);
    let journal = journal.or_else(|| outer.as_ref()?.journal.clone());
    let this = Arc::new(RunningLoad { outer, is_audit, journal, ..RunningLoad::default() });
    let output = LOAD.scope(this.clone(), uncached(load)).await;
    (output, this.spoiled.get().cloned())
}
