//! The only way to write: [`Store::write`] makes the [`Writer`], runs the change to its end, and then publishes which
//! entries and tags the change touched (made invalid).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use larder::journal::{ChangeId, Touch};
use larder_sql::write::WriteTransaction;

use crate::domain::audit::{Actor, Event};
use crate::domain::identity::UserId;
use crate::store::error::StoreError;
use crate::store::origin::RequestOrigin;
use crate::store::unchanged::UnchangedRow;
use crate::store::{Store, audit};

/// Publishes what a write touched before the write is acknowledged.
pub trait Publisher: Send + 'static {
    /// What the publisher reports about its publication.
    type Receipt: Send + 'static;

    /// Whether a write records what it touches. Recording costs one more statement before each commit.
    const RECORDS: bool = true;

    /// Publishes what the write recorded.
    fn publish(self, recorded: Recorded) -> impl Future<Output = Self::Receipt> + Send;
}

/// Leaves the publication to the journal. It is for programs without a cache, and for tests.
#[derive(Debug, Clone, Copy)]
pub struct ByJournal;

impl Publisher for ByJournal {
    type Receipt = ();

    const RECORDS: bool = false;

    async fn publish(self, _: Recorded) {}
}

/// What a write touched, as the database journalled it.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The touched entries and tags. They are known before each commit, so they are published even if the commit's
    /// answer is lost.
    pub touches: Vec<Touch>,
    /// The ids of the changes in the journal. They are known only after the commit, so an id here means that its change
    /// is committed.
    pub changes: Vec<ChangeId>,
    /// The rows that already had the state that the write would give them.
    pub unchanged: Vec<UnchangedRow>,
}

/// A store that may write, as one actor. Only [`Store::write`] makes one.
pub struct Writer {
    store: Store,
    /// The actor that the audit log names for the writes of this writer.
    actor: Actor,
    /// The request that writes, for the audit log.
    origin: Option<Arc<RequestOrigin>>,
    /// `None`: the journal publishes what this writer writes.
    recorder: Option<Recorder>,
}

#[derive(Clone, Default)]
struct Recorder(
    /// A writer and its publication share this. The lock is never held across an `await`.
    Arc<Mutex<Recording>>,
);

#[derive(Default)]
struct Recording {
    recorded: Recorded,
    /// Whether the publication has taken the recorded touches. A touch that is recorded later would not be published.
    is_published: bool,
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, Recording> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records what a transaction touched. The transaction calls this just before its commit.
    ///
    /// # Errors
    /// [`StoreError::Published`] if the writer outlived its closure. In that case, the publication has happened
    /// already.
    fn before_commit(&self, touches: Vec<Touch>) -> Result<(), StoreError> {
        let mut recording = self.lock();
        if recording.is_published {
            return Err(StoreError::Published);
        }
        recording.recorded.touches.extend(touches);
        Ok(())
    }

    /// Takes what is recorded. After this call, [`Recorder::before_commit`] returns an error.
    fn published(&self) -> Recorded {
        let mut recording = self.lock();
        recording.is_published = true;
        std::mem::take(&mut recording.recorded)
    }
}

impl Store {
    /// Runs `change` as `actor`, then publishes what it touched. Both happen even if the caller is cancelled: a client
    /// that disconnects between the commit and the publication must not leave an old value cached.
    ///
    /// # Errors
    /// Errors of `change`, and [`StoreError::ShuttingDown`].
    pub async fn write<T, E, P, F>(
        &self,
        actor: Actor,
        publisher: P,
        change: impl FnOnce(Writer) -> F + Send + 'static,
    ) -> Result<(T, P::Receipt), E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        P: Publisher,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let recorder = P::RECORDS.then(Recorder::default);
        let origin = RequestOrigin::present();
        let writer = Writer { store: self.clone(), actor, origin, recorder: recorder.clone() };
        let written = tokio::spawn(async move {
            let changed = change(writer).await;
            let recorded = recorder.map(|recorder| recorder.published()).unwrap_or_default();
            // Publishes even after an error: a commit whose answer was lost may have succeeded.
            let receipt = publisher.publish(recorded).await;
            Ok((changed?, receipt))
        });
        match written.await {
            Ok(written) => written,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // No code aborts these tasks, so the runtime is shutting down.
                Err(_) => Err(StoreError::ShuttingDown.into()),
            },
        }
    }
}

impl Writer {
    /// The store to which this writer writes, for reads of committed data.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Opens a transaction.
    pub(super) async fn begin(&self) -> Result<WriteTransaction, StoreError> {
        Ok(self.store.database.begin().await?)
    }

    /// Opens a transaction that locks this user's row first. Writers queue for the user's lock before they take a
    /// database connection; at most one writer per user holds a connection. So a row that a person locks in psql delays
    /// only that user's writes.
    pub(super) async fn begin_for(&self, user: UserId) -> Result<WriteTransaction, StoreError> {
        Ok(self.store.database.begin_for(&user.to_string()).await?)
    }

    /// Records a row that an earlier write changed just as this write would; see [`UnchangedRow`].
    pub(super) fn found_unchanged(&self, row: impl FnOnce() -> UnchangedRow) {
        if let Some(recorder) = &self.recorder {
            recorder.lock().recorded.unchanged.push(row());
        }
    }

    /// Writes `events` into the audit log, commits, and records what the transaction touched.
    ///
    /// This is the only way to commit, so no write can omit the log by mistake. If a write gets no entry in the log,
    /// its code passes `&[]`, and a comment beside it has the reason.
    pub(super) async fn commit(
        &self,
        mut write: WriteTransaction,
        events: &[Event],
    ) -> Result<(), StoreError> {
        let placed = |event: &Event| match &self.origin {
            Some(origin) => origin.on(event.clone()),
            None => event.clone(),
        };
        audit::record(&mut write, self.actor, &events.iter().map(placed).collect::<Vec<_>>()).await?;
        let Some(recorder) = &self.recorder else {
            write.commit().await?;
            return Ok(());
        };
        let touched = write.touched().await?;
        recorder.before_commit(touched)?;
        let changes = write.commit().await?;
        recorder.lock().recorded.changes.extend(changes);
        Ok(())
    }
}

#[cfg(test)]
#[path = "writing_tests.rs"]
mod tests;
