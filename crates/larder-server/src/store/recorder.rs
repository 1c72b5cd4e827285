//! Remembers what a write touched, as the database journalled it, for whoever acknowledges the write.

use std::sync::{Arc, Mutex, PoisonError};

use larder::journal::Touch;
use larder_sql::write::Write;

use crate::store::Store;
use crate::store::error::StoreError;

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
    /// The same store, and what its writes will have touched: to be invalidated before they are acknowledged.
    pub fn recording(&self) -> (Store, Recorder) {
        let recorder = Recorder::default();
        (Store { recorder: Some(recorder.clone()), ..self.clone() }, recorder)
    }

    /// Remembers what a write would have touched that found everything as it wanted it. Whoever wrote that may have died
    /// before it told anybody, and the acknowledgement says that all has been told.
    pub(super) fn touch(&self, touches: impl FnOnce() -> Vec<Touch>) {
        if let Some(recorder) = &self.recorder {
            recorder.add(touches());
        }
    }

    /// Commits, and remembers what was touched if somebody wants to know. Who does not leaves it to the journal.
    pub(super) async fn commit(&self, mut write: Write) -> Result<(), StoreError> {
        if let Some(recorder) = &self.recorder {
            recorder.add(write.touched().await?);
        }
        Ok(write.commit().await?)
    }
}
