//! Two observers without a cache: one polls the database, the other writes into it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use larder_sql::database::Database;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::history::clock::now;
use crate::history::record::Recorder;
use crate::history::{Event, Instance, Key, Nanos, Seen, Version, What};
use crate::torture::keys::ITEMS;
use crate::torture::schema::{versions, write};

/// The observers' instance number in the history.
const NO_INSTANCE: Instance = Instance::MAX;

const POLL: Duration = Duration::from_millis(5);

/// Both observers. A drop ends them.
pub(super) struct Observers {
    runtime: Runtime,
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    polled: Recorder,
    foreign: Recorder,
    /// Whether the writing observer writes. `Relaxed`, because no other data depends on it.
    may_write: AtomicBool,
}

impl Observers {
    /// Starts the observers. Polls the database once, so that every version is recorded that exists before the
    /// instances start.
    pub(super) fn start(url: &str, folder: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let shared = Arc::new(Shared {
            database: runtime.block_on(Database::connect(url))?,
            polled: Recorder::create(&folder.join("writes-polled"))?,
            foreign: Recorder::create(&folder.join("writes-foreign"))?,
            may_write: AtomicBool::new(false),
        });
        let mut known = Vec::new();
        runtime.block_on(shared.poll(&mut known))?;
        let polling = shared.clone();
        runtime.spawn(async move {
            loop {
                // If the database is away, poll again.
                let _ = polling.poll(&mut known).await;
                sleep(POLL).await;
            }
        });
        runtime.spawn(write_on(shared.clone()));
        Ok(Observers { runtime, shared })
    }

    /// Sets whether the writing observer writes.
    pub(super) fn let_write(&self, may_write: bool) {
        self.shared.may_write.store(may_write, Ordering::Relaxed);
    }

    /// Polls the database once more, records every version that it finds, and flushes all records.
    pub(super) fn look(&self) -> Result<()> {
        self.runtime.block_on(self.shared.poll(&mut Vec::new()))?;
        self.shared.polled.flush();
        self.shared.foreign.flush();
        Ok(())
    }
}

impl Shared {
    /// Records every version that is not in `known`.
    async fn poll(&self, known: &mut Vec<(Key, Version)>) -> Result<()> {
        let begin = now();
        let found = versions(&self.database).await?;
        let end = now();
        for (key, version) in found.iter().filter(|version| !known.contains(version)) {
            self.note(&self.polled, *key, Seen::Version(*version), begin, end, What::Polled);
        }
        *known = found;
        Ok(())
    }

    async fn write(&self, key: Key) -> Result<()> {
        let begin = now();
        let mut transaction = self.database.begin().await?;
        let written = write(&mut transaction, key).await?;
        transaction.commit().await?;
        let end = now();
        for (key, seen) in written.entries() {
            self.note(&self.foreign, key, seen, begin, end, What::Committed { foreign: true });
        }
        Ok(())
    }

    fn note(&self, recorder: &Recorder, key: Key, seen: Seen, begin: Nanos, end: Nanos, what: What) {
        recorder.record(&Event { key, seen, instance: NO_INSTANCE, begin, end, what });
    }
}

async fn write_on(shared: Arc<Shared>) {
    loop {
        sleep(Duration::from_millis(rand::random_range(5..100))).await;
        if shared.may_write.load(Ordering::Relaxed) {
            // A write that fails, or whose outcome is unknown, is not recorded.
            let _ = shared.write(rand::random_range(0..ITEMS)).await;
        }
    }
}
