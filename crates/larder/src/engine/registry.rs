//! The classes that have been opened, by name: what all handles of one name share.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::key::PartKind;
use crate::stats::Counters;
use crate::times::Histogram;

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

/// How a class was opened. All handles of one name have the same declaration: an entry that one of them stores is one that
/// each of them can read, and that each of them would drop.
pub(crate) struct Declaration {
    /// Of the values, and of what says the tags of a key: two types, and two closures of one function, may have one name.
    pub(crate) types: [Option<TypeId>; 2],
    /// Each part by its name, as text.
    pub(crate) parts: Vec<(&'static str, String)>,
    /// As it is shown. Handles may differ in it: two tables may call the parts of a key by other names.
    pub(crate) shown: DeclaredClass,
}

impl Declaration {
    /// What differs in `other`; `None` if nothing does.
    fn difference(&self, other: &Declaration) -> Option<String> {
        let differing = self.parts.iter().zip(&other.parts).filter(|(here, there)| here != there);
        let differing: Vec<String> =
            differing.map(|((part, here), (_, there))| format!("{part} {here} and {part} {there}")).collect();
        if !differing.is_empty() {
            return Some(differing.join(", "));
        }
        let [value, tagged_by] = [0, 1].map(|nth| self.types[nth] == other.types[nth]);
        match (value, tagged_by) {
            (false, _) => Some("value types of one name, from two versions of a crate".to_owned()),
            (_, false) => Some("another closure for tagged_by".to_owned()),
            (true, true) => None,
        }
    }
}

/// What every handle of one class's name shares. Each part is independent of the others and guards nothing.
pub(crate) struct ClassState {
    /// Of the first handle.
    pub(crate) declaration: Declaration,
    pub(crate) counters: Counters,
    pub(crate) load_times: Histogram,
    /// As [`Engine::is_on`](crate::engine::Engine::is_on), for this class.
    pub(crate) is_on: AtomicBool,
}

impl ClassState {
    pub(crate) fn new(declaration: Declaration) -> Self {
        let (counters, load_times) = (Counters::default(), Histogram::new());
        ClassState { declaration, counters, load_times, is_on: AtomicBool::new(true) }
    }
}

/// The names. The lock guards the map alone, is taken when a class is opened, shown or named in an invalidation, never by
/// a read, and keeps that one name has one [`ClassState`] for as long as the cache lives.
#[derive(Default)]
pub(crate) struct Registry(Mutex<BTreeMap<String, Arc<ClassState>>>);

impl Registry {
    /// What the handles of `name` share, made when the first one is opened. Refused if it was opened otherwise.
    pub(crate) fn open(&self, name: &str, declaration: Declaration) -> Result<Arc<ClassState>, Error> {
        let mut classes = self.lock();
        let Some(common) = classes.get(name) else {
            return Ok(classes
                .entry(name.to_owned())
                .or_insert(Arc::new(ClassState::new(declaration)))
                .clone());
        };
        match common.declaration.difference(&declaration) {
            None => Ok(common.clone()),
            Some(difference) => Err(Error::config(format!(
                "class {name:?} is opened twice, with {difference}: open it once and clone the handle, or give \
                 the second one a name of its own"
            ))),
        }
    }

    /// What the handles of `name` share, if any was ever opened.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<ClassState>> {
        self.lock().get(name).cloned()
    }

    /// Every name with what its handles share, in the order of the names.
    pub(crate) fn all(&self) -> Vec<(String, Arc<ClassState>)> {
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

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<ClassState>>> {
        // The map is whole between any two statements, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
