//! The classes that have been opened, by name: what all handles of one name share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::error::Error;
use crate::introspection::declared::DeclaredClass;
use crate::stats::Counters;
use crate::times::Histogram;

/// What every handle of one class's name shares. Each part is independent of the others and guards nothing.
pub(crate) struct Common {
    pub(crate) counters: Counters,
    pub(crate) load_times: Histogram,
    /// As [`Engine::is_on`](crate::engine::Engine::is_on), for this class.
    pub(crate) is_on: AtomicBool,
    /// As the first handle was opened.
    pub(crate) declared: OnceLock<DeclaredClass>,
}

impl Common {
    pub(crate) fn new() -> Self {
        Common {
            counters: Counters::default(),
            load_times: Histogram::new(),
            is_on: AtomicBool::new(true),
            declared: OnceLock::new(),
        }
    }
}

/// The names. The lock guards the map alone, is taken when a class is opened, shown or named in an invalidation, never by
/// a read, and keeps that one name has one [`Common`] for as long as the cache lives.
#[derive(Default)]
pub(crate) struct Registry(Mutex<BTreeMap<String, Arc<Common>>>);

impl Registry {
    /// What the handles of `name` share, made when the first one is opened.
    pub(crate) fn open(&self, name: &str) -> Arc<Common> {
        let mut classes = self.lock();
        match classes.get(name) {
            Some(common) => common.clone(),
            None => classes.entry(name.to_owned()).or_insert(Arc::new(Common::new())).clone(),
        }
    }

    /// What the handles of `name` share, if any was ever opened.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Common>> {
        self.lock().get(name).cloned()
    }

    /// Every name with what its handles share, in the order of the names.
    pub(crate) fn all(&self) -> Vec<(String, Arc<Common>)> {
        self.lock().iter().map(|(name, common)| (name.clone(), common.clone())).collect()
    }

    /// Switches a class.
    pub(crate) fn set_enabled(&self, name: &str, is_on: bool) -> Result<(), Error> {
        match self.get(name) {
            Some(common) => {
                common.is_on.store(is_on, Ordering::Relaxed);
                Ok(())
            }
            None => {
                let names: Vec<String> = self.all().into_iter().map(|(name, _)| name).collect();
                let allowed = if names.is_empty() { "no class is open".to_owned() } else { names.join(", ") };
                Err(Error::config(format!("class {name:?} was never opened; there are: {allowed}")))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Common>>> {
        // The map is whole between any two statements, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
