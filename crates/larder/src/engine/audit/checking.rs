//! The task that checks hits against the database.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::select;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::codec::AnyValue;
use crate::engine::ClassCore;
use crate::engine::audit::{Auditor, Sample};
use crate::engine::call::Loading;
use crate::journal::Journal;
use crate::loaded::LoadedKind;
use crate::loading::run_audit_load;
use crate::stats::{count, count_nth};

const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// An entry is no longer watched if no hit has named it for so many staleness bounds.
const WATCHED_BOUNDS: u32 = 30;

/// Runs the auditor's loads, one after the other, so they never hold more than one connection.
pub(super) struct Checker {
    auditor: Arc<Auditor>,
    drawn: Receiver<Sample>,
    due: Receiver<Sample>,
    /// The shortest time between the beginnings of two loads.
    gap: Duration,
}

/// What a load of the auditor proves.
enum Proof {
    Equal,
    Different,
    Failed,
    Unusable,
}

impl Checker {
    pub(super) fn new(auditor: Arc<Auditor>, drawn: Receiver<Sample>, due: Receiver<Sample>) -> Self {
        let gap = Duration::from_secs_f64(1.0 / auditor.settings.loads_per_second);
        Checker { auditor, drawn, due, gap }
    }

    /// Checks hits until the task is aborted.
    pub(super) async fn check_on(mut self) {
        let mut sweeps = interval(SWEEP_INTERVAL);
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = Instant::now();
        loop {
            let is_allowed = Instant::now() >= next;
            select! {
                // A hit that is due comes before those that were drawn: it may prove a fault.
                biased;
                _ = sweeps.tick() => self.sweep(),
                () = sleep_until(next), if !is_allowed => {}
                Some(sample) = self.due.recv(), if is_allowed => {
                    next = Instant::now() + self.gap;
                    self.auditor.check(sample).await;
                }
                Some(sample) = self.drawn.recv(), if is_allowed => {
                    next = Instant::now() + self.gap;
                    self.auditor.check(sample).await;
                }
            }
        }
    }

    fn sweep(&self) {
        let Auditor { clock, bound, watches, tallies, .. } = &*self.auditor;
        watches.sweep(clock.now().minus(bound.saturating_mul(WATCHED_BOUNDS)), &tallies.lag);
    }
}

impl Auditor {
    async fn check(&self, sample: Sample) {
        let Sample { class, key, value, loaded_at_millis, at, seen_at, loading } = sample;
        let proof = prove(&class, value, loading, self.journal.clone()).await;
        // The clock can be late by its resolution, and what the load saw was committed before the load ended.
        let seen_now = self.clock.now().plus(self.clock.resolution());
        let due = seen_now.plus(self.bound);
        let settle = |is_stale, due| self.watches.settle(&key, loaded_at_millis, is_stale, due);
        match proof {
            Proof::Failed => count(&self.tallies.failures),
            Proof::Unusable => count(&self.tallies.unusable),
            Proof::Equal | Proof::Different => {}
        }
        match (proof, seen_at) {
            // It proves nothing, so the next hit is due.
            (Proof::Failed | Proof::Unusable, Some(_)) => settle(false, Some(seen_now)),
            (Proof::Failed | Proof::Unusable, None) => {}
            (Proof::Equal, None) => {
                count(&self.tallies.checked);
                self.count_verdict(false);
            }
            (Proof::Equal, Some(_)) => {
                // The database changed back, or the first load has read an older state than the served value.
                count(&self.tallies.checked);
                count(&self.tallies.dismissed);
                settle(false, None);
            }
            (Proof::Different, None) => {
                count(&self.tallies.checked);
                count(&self.tallies.changed);
                match self.watches.seen_at(&key, loaded_at_millis) {
                    Some(seen_at) if at >= seen_at.plus(self.bound) => self.ring(&class, at.since(seen_at)),
                    Some(_) => {}
                    // No verdict: the database may have changed after the hit.
                    None => {
                        let entry = (key.clone(), loaded_at_millis);
                        if !self.watches.watch(entry, (seen_now, due), &self.tallies.lag) {
                            count(&self.tallies.unwatched);
                        }
                    }
                }
            }
            (Proof::Different, Some(seen_at)) => {
                count(&self.tallies.checked);
                count(&self.tallies.changed);
                self.ring(&class, at.since(seen_at));
                settle(true, Some(due));
            }
        }
    }

    fn count_verdict(&self, is_stale: bool) {
        let minute = self.minute();
        self.tallies.minutes.lock().unwrap_or_else(PoisonError::into_inner).count(minute, is_stale);
    }

    /// Counts and logs an answer that was stale beyond the bound. `age`: how long before the read, at least, the database
    /// had another value.
    fn ring(&self, class: &ClassCore, age: Duration) {
        let nanos = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        self.tallies.worst_age_nanos.fetch_max(nanos, Ordering::Relaxed);
        self.count_verdict(true);
        count(&self.tallies.stale);
        // Logged at the first, second, fourth … answer of each class, so that a fault does not fill the disk. The key is
        // left out: it may be personal data.
        if count_nth(&class.common.stale_found).is_power_of_two() {
            let bound = self.bound;
            tracing::error!(
                class = class.name,
                ?age,
                ?bound,
                "a read was answered with a value older than the bound"
            );
        }
    }
}

/// Loads the value again, and compares it with the one that was served.
async fn prove(
    class: &Arc<ClassCore>,
    served: Option<AnyValue>,
    loading: Loading,
    journal: Option<Arc<dyn Journal>>,
) -> Proof {
    // In a task of its own, because a loader may panic, and so may the application's `Serialize`; the set ends it with the
    // auditor.
    let (mut loads, coder) = (JoinSet::new(), class.coder);
    let prove = async move {
        let (load, _) = loading.begun().await?;
        let present = match load.await.ok()?.answer {
            LoadedKind::Value(value) => Some(value),
            LoadedKind::Absent => None,
            LoadedKind::Unchanged | LoadedKind::Failed(_) => return None,
        };
        Some(match (&served, &present) {
            (None, None) => Ok(true),
            (Some(served), Some(present)) => coder.are_equal(served, present),
            _ => Ok(false),
        })
    };
    loads.spawn(run_audit_load(prove, journal));
    match timeout(class.load_timeout, loads.join_next()).await {
        Ok(Some(Ok((Some(_), Some(_))))) => Proof::Unusable,
        Ok(Some(Ok((Some(Ok(true)), None)))) => Proof::Equal,
        Ok(Some(Ok((Some(Ok(false)), None)))) => Proof::Different,
        Ok(Some(Ok((Some(Err(_)), None)))) => Proof::Unusable,
        _ => Proof::Failed,
    }
}
