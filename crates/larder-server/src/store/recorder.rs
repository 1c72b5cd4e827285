//! Remembers what a write touched, as the database journalled it, for whoever acknowledges the write.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use larder::journal::{ChangeId, Touch};
use larder_sql::write::WriteTransaction;

use crate::domain::audit::{Actor, Event};
use crate::store::error::StoreError;
use crate::store::{Store, audit};

/// What the writes of one [`Store::recording`] touched.
#[derive(Clone, Default)]
pub struct Recorder(
    /// Guarded by its lock alone; the writes that share it run one after the other.
    Arc<Mutex<Recorded>>,
);

/// What has been recorded so far.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// What was touched. Known just before each commit, and so also when nobody can say whether the commit came about.
    pub touches: Vec<Touch>,
    /// As which changes the journal has it. Known only after the commit: what may not be committed must not pass for it.
    pub changes: Vec<ChangeId>,
}

impl Recorder {
    /// What has been recorded so far.
    pub fn recorded(&self) -> Recorded {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// The same store, which writes as `actor`, and what its writes will have touched: to be invalidated before they are
    /// acknowledged.
    pub fn recording(&self, actor: Actor) -> (Store, Recorder) {
        let recorder = Recorder::default();
        (Store { recorder: Some(recorder.clone()), actor, ..self.clone() }, recorder)
    }

    /// Remembers what a write would have touched that found everything as it wanted it. Whoever wrote that may have died
    /// before it told anybody, and the acknowledgement says that all has been told.
    pub(super) fn touch(&self, touches: impl FnOnce() -> Vec<Touch>) {
        if let Some(recorder) = &self.recorder {
            recorder.lock().touches.extend(touches());
        }
    }

    /// Writes `events` into the audit log, commits, and remembers what was touched if somebody wants to know. Who does
    /// not leaves it to the journal.
    ///
    /// The one way to commit, so that no write forgets the log: `&[]` says that this one leaves no trace there, and a
    /// comment beside it says why.
    pub(super) async fn commit(
        &self,
        mut write: WriteTransaction,
        events: &[Event],
    ) -> Result<(), StoreError> {
        audit::record(&mut write, self.actor, events).await?;
        let Some(recorder) = &self.recorder else {
            write.commit().await?;
            return Ok(());
        };
        let touched = write.touched().await?;
        recorder.lock().touches.extend(touched);
        let changes = write.commit().await?;
        recorder.lock().changes.extend(changes);
        Ok(())
    }
}
