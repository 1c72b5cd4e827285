//! Counts which branches an exploration takes: a model proves nothing about a branch that it never takes.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stateright::{Checker, HasDiscoveries, Model, Path};

/// The number of cores of the smallest machine that runs the models.
const THREADS: usize = 2;

/// Counts transitions by branch. It is not part of the model's state, because a count must not make two states
/// different.
#[derive(Clone, Debug)]
pub struct Coverage(Arc<[AtomicU64]>);

impl Coverage {
    /// Counters for `branches` branches.
    pub fn new(branches: usize) -> Self {
        Coverage((0..branches).map(|_| AtomicU64::new(0)).collect())
    }

    /// Counts that branch `nth` was taken.
    pub fn take(&self, nth: usize) {
        // Relaxed: a counter, on which no other data depends.
        self.0[nth].fetch_add(1, Ordering::Relaxed);
    }

    /// How often branch `nth` was taken.
    pub fn taken(&self, nth: usize) -> u64 {
        // Relaxed: the exploration's threads have been joined before this read.
        self.0[nth].load(Ordering::Relaxed)
    }
}

/// The result of an exploration.
#[derive(Clone, Debug)]
pub struct Explored {
    /// Distinct states.
    pub states: usize,
    /// The number of steps on the longest path.
    pub depth: usize,
    /// The first property that does not hold, and the steps that break it.
    pub breach: Option<(&'static str, Vec<String>)>,
}

/// Explores all of `model`, breadth first, so that a counterexample is short. Ends at the first breach of any property,
/// or of the property `only` if it is given.
pub fn explore<M>(model: M, only: Option<&'static str>) -> Explored
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + PartialEq + Hash + Send + Sync + Debug + 'static,
    M::Action: Clone + PartialEq + Debug,
{
    let end = match only {
        Some(property) => HasDiscoveries::AnyOf(BTreeSet::from([property])),
        None => HasDiscoveries::AnyFailures,
    };
    let checker = model.checker().threads(THREADS).finish_when(end).spawn_bfs().join();
    let properties = checker.model().properties();
    let looked_at =
        properties.iter().map(|property| property.name).filter(|name| only.is_none_or(|it| it == *name));
    let breach = looked_at.filter_map(|name| Some((name, checker.discovery(name)?))).next();
    let steps = |path: Path<M::State, M::Action>| -> Vec<String> {
        path.into_actions().into_iter().map(|action| format!("{action:?}")).collect()
    };
    Explored {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        breach: breach.map(|(name, path)| (name, steps(path))),
    }
}
