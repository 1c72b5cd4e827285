//! The budget of a request: how long all its work in Redis may take together.
//!
//! A request runs as one future, and its budget is a task-local value of that future. Each round trip that the request
//! waits for uses up some of the budget. The following work has none: invalidations, because they are promises, and all
//! that no read waits for, such as renewals of leases, refreshes in the background, and everything that the keeper and
//! the relay send. A wait for another instance's load is no work in Redis: after it, the request gets its full budget
//! again. The load of a key of a batch has a budget of its own: the look-ups of thousands of keys would otherwise leave
//! nothing for their fills.
//!
//! Invariant, checked by the test of the same name:
//! - `a_request_spends_one_budget`: between two waits for another instance's load, the times in which a request waits for
//!   Redis add up to its budget at most.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::engine::{ClassCore, Engine};
use crate::remote::Fault;
use crate::source::NotStoredReason;
use crate::stats::count_nth;

tokio::task_local! {
    /// The budget of the request that this task runs.
    static BUDGET: Arc<RedisBudget>;
}

/// What one request may spend, and has spent.
struct RedisBudget {
    limit: Duration,
    spending: Mutex<Spending>,
}

/// What a request has spent. One lock guards all fields, so that time during which two round trips are under way counts
/// once. It is held to read or to change the fields, never across an await.
struct Spending {
    used: Duration,
    /// How many round trips are under way. Their time after `since` is not yet in `used`.
    under_way: usize,
    since: Instant,
    /// Whether a round trip was cut short or not begun.
    is_spent: bool,
    /// Whether that was counted.
    is_noted: bool,
}

impl RedisBudget {
    fn new(limit: Duration) -> Self {
        let spending = Spending {
            used: Duration::ZERO,
            under_way: 0,
            since: Instant::now(),
            is_spent: false,
            is_noted: false,
        };
        RedisBudget { limit, spending: Mutex::new(spending) }
    }

    fn lock(&self) -> MutexGuard<'_, Spending> {
        self.spending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the budget is spent and this call is the first to learn it.
    fn is_newly_spent(&self) -> bool {
        let mut spending = self.lock();
        spending.is_spent && !std::mem::replace(&mut spending.is_noted, true)
    }

    /// Begins a round trip. Returns the rest of the budget, and a guard whose drop ends the round trip.
    fn begin(&self) -> (Duration, RoundTrip<'_>) {
        let mut spending = self.lock();
        let now = Instant::now();
        if spending.under_way == 0 {
            spending.since = now;
        }
        spending.under_way += 1;
        let used = spending.used + now.duration_since(spending.since);
        (self.limit.saturating_sub(used), RoundTrip(self))
    }
}

/// A round trip under way. Its drop ends it, also if the read is dropped.
struct RoundTrip<'a>(&'a RedisBudget);

impl Drop for RoundTrip<'_> {
    fn drop(&mut self) {
        let mut spending = self.0.lock();
        spending.under_way -= 1;
        if spending.under_way == 0 {
            let elapsed = spending.since.elapsed();
            spending.used += elapsed;
        }
    }
}

/// Runs a round trip that the present request waits for, on that request's budget. Returns [`Fault::Spent`] if the
/// budget ends before the answer arrives; if it has ended already, nothing is sent. Redis may still execute a command
/// that was sent, as after any time-out.
pub(super) async fn spend<T>(round_trip: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let Ok(budget) = BUDGET.try_with(Arc::clone) else { return round_trip.await };
    let (left, _under_way) = budget.begin();
    let answer = match left.is_zero() {
        true => Err(Fault::Spent),
        false => timeout(left, round_trip).await.unwrap_or(Err(Fault::Spent)),
    };
    if matches!(answer, Err(Fault::Spent)) {
        budget.lock().is_spent = true;
    }
    answer
}

/// Gives the present request its full budget again, after a wait for another instance's load. Otherwise the look-ups
/// during a long load would use up the budget, and this process would run the same load although Redis works.
pub(super) fn renew() {
    let _ = BUDGET.try_with(|budget| {
        let mut spending = budget.lock();
        (spending.used, spending.since) = (Duration::ZERO, Instant::now());
    });
}

/// Wraps `work`, which will run in a task of its own, so that it uses the budget of the present request; with `own`, a new
/// budget of this limit.
pub(super) fn carried<F: Future>(work: F, own: Option<Duration>) -> impl Future<Output = F::Output> {
    let of_request = || BUDGET.try_with(Arc::clone).ok();
    let budget = own.map(|limit| Arc::new(RedisBudget::new(limit))).or_else(of_request);
    async move {
        match budget {
            Some(budget) => BUDGET.scope(budget, work).await,
            None => work.await,
        }
    }
}

impl Engine {
    /// Runs a request on a budget, which it makes if `request` is not a part of another one. A spent budget counts once,
    /// for the class that spent it.
    pub(crate) async fn budgeted<T>(&self, class: &ClassCore, request: impl Future<Output = T>) -> T {
        let Some(shared) = &self.shared else { return request.await };
        let (budget, outcome) = match BUDGET.try_with(Arc::clone) {
            Ok(budget) => (budget, request.await),
            Err(_) => {
                let budget = Arc::new(RedisBudget::new(shared.budget));
                (budget.clone(), BUDGET.scope(budget, request).await)
            }
        };
        if budget.is_newly_spent() {
            class.note_spent_budget(budget.limit);
        }
        outcome
    }

    /// Runs what an application does for one request on one budget.
    pub(crate) async fn with_budget<T>(&self, request: impl Future<Output = T>) -> T {
        match &self.shared {
            Some(shared) if BUDGET.try_with(|_| ()).is_err() => {
                BUDGET.scope(Arc::new(RedisBudget::new(shared.budget)), request).await
            }
            _ => request.await,
        }
    }
}

impl Fault {
    /// The reason why an entry counts as not stored, if its write to Redis ended with this fault.
    pub(super) fn not_stored(self) -> NotStoredReason {
        match self {
            Fault::Spent => NotStoredReason::BudgetSpent,
            Fault::Away | Fault::Refused => NotStoredReason::NotTaken,
        }
    }
}

impl ClassCore {
    fn note_spent_budget(&self, budget: Duration) {
        if count_nth(&self.common.counters.budgets_spent).is_power_of_two() {
            tracing::warn!(
                class = self.name,
                ?budget,
                "Redis took longer than one request may wait for it, the request went on without it"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    async fn takes(span: Duration) -> Result<(), Fault> {
        spend(async {
            sleep(span).await;
            Ok(())
        })
        .await
    }

    #[tokio::test]
    async fn a_request_spends_one_budget() {
        let budget = Arc::new(RedisBudget::new(200 * MS));
        let request = async {
            let began = Instant::now();
            // Round trips at the same time count once. Time between round trips does not count.
            assert_eq!(tokio::join!(takes(40 * MS), takes(40 * MS), takes(30 * MS)).0, Ok(()));
            sleep(300 * MS).await;
            assert!(!budget.lock().is_spent && budget.lock().used < 100 * MS, "{:?}", budget.lock().used);
            assert_eq!(carried(takes(10_000 * MS), None).await, Err(Fault::Spent));
            assert!(began.elapsed() >= 500 * MS && began.elapsed() < 5_000 * MS, "{:?}", began.elapsed());
            assert_eq!(takes(Duration::ZERO).await, Err(Fault::Spent), "nothing is sent any more");
            assert_eq!(
                carried(takes(MS), Some(200 * MS)).await,
                Ok(()),
                "a fill of a batch has a budget of its own"
            );
            renew();
            assert_eq!(takes(MS).await, Ok(()), "after a wait for another instance");
        };
        BUDGET.scope(budget.clone(), request).await;
        assert!(budget.lock().is_spent);
    }

    #[tokio::test]
    async fn work_without_a_request_has_no_budget() {
        assert_eq!(takes(20 * MS).await, Ok(()));
        let budget = Arc::new(RedisBudget::new(MS));
        let of_its_own = async { tokio::spawn(takes(20 * MS)).await };
        assert_eq!(BUDGET.scope(budget, of_its_own).await.unwrap(), Ok(()));
    }
}
