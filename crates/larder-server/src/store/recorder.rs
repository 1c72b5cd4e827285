//! Remembers what a write touched, as the database journalled it, for whoever acknowledges the write.

use std::sync::{Arc, Mutex, PoisonError};

use larder::journal::Touch;
use larder_sql::write::Write;

use crate::domain::audit::{Actor, Event};
use crate::store::error::StoreError;
use crate::store::{Store, audit};

/// What the writes of one [`Store::recording`] touched. Filled just before each commit, so that it is known also when
/// nobody can say whether the commit came about.
#[derive(Clone, Default)]
pub struct Recorder(
    /// Guarded by its lock alone; the writes that share it run one after the other.
    Arc<Mutex<Vec<Touch>>>,
);

impl Recorder {
    /// What has been touched so far.
    pub fn touches(&self) -> Vec<Touch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, touches: Vec<Touch>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(touches);
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
            recorder.add(touches());
        }
    }

    /// Writes `events` into the audit log, commits, and remembers what was touched if somebody wants to know. Who does
    /// not leaves it to the journal.
    ///
    /// The one way to commit, so that no write forgets the log: `&[]` says that this one leaves no trace there, and a
    /// comment beside it says why.
    pub(super) async fn commit(&self, mut write: Write, events: &[Event]) -> Result<(), StoreError> {
        audit::record(&mut write, self.actor, events).await?;
        if let Some(recorder) = &self.recorder {
            recorder.add(write.touched().await?);
        }
        Ok(write.commit().await?)
    }
}
