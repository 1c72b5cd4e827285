//! Which branches an exploration has taken: a model that never takes one proves nothing about it.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stateright::{Checker, HasDiscoveries, Model, Property};

/// Counts transitions by branch. Beside the state and not in it: what has been taken changes nothing.
#[derive(Clone, Debug)]
pub struct Coverage(Arc<[AtomicU64]>);

impl Coverage {
    /// Counters for `branches` branches.
    pub fn new(branches: usize) -> Self {
        Coverage((0..branches).map(|_| AtomicU64::new(0)).collect())
    }

    /// Branch `nth` was taken.
    pub fn take(&self, nth: usize) {
        self.0[nth].fetch_add(1, Ordering::Relaxed);
    }

    /// How often branch `nth` was taken.
    pub fn taken(&self, nth: usize) -> u64 {
        self.0[nth].load(Ordering::Relaxed)
    }
}

/// What an exploration came to.
#[derive(Clone, Debug)]
pub struct Explored {
    /// Distinct states.
    pub states: usize,
    /// Steps on the longest way.
    pub depth: usize,
    /// The first property that does not hold, with the steps that lead to its breach.
    pub breach: Option<(&'static str, Vec<String>)>,
    /// Branches that should have been taken and were not.
    pub untaken: Vec<&'static str>,
}

/// Explores all of `model`, breadth first, so that a counterexample is short; ends at the first one.
pub fn explore<M>(model: M) -> Explored
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + PartialEq + std::hash::Hash + Send + Sync + Debug + 'static,
    M::Action: Clone + PartialEq + Debug,
{
    let checker = model.checker().threads(2).timeout(std::time::Duration::from_secs(40)).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let properties: Vec<Property<M>> = checker.model().properties();
    let mut explored = Explored {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        breach: None,
        untaken: Vec::new(),
    };
    for property in properties {
        let found = checker.discovery(property.name);
        match (property.expectation.clone(), found) {
            (stateright::Expectation::Always, Some(path)) if explored.breach.is_none() => {
                let steps = path.into_actions().into_iter().map(|action| format!("{action:?}")).collect();
                explored.breach = Some((property.name, steps));
            }
            (stateright::Expectation::Sometimes, None) => explored.untaken.push(property.name),
            _ => {}
        }
    }
    explored
}
