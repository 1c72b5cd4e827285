//! Writers: each commits, reports the change to the cache and acknowledges. Some die after the commit, and some skip
//! the report.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use rustix::process::{Signal, getpid, kill_process};

use crate::history::clock::now;
use crate::history::{Event, Key, Nanos, What};
use crate::torture::instance::Instance;
use crate::torture::keys::{HOT, ITEMS, LISTED, habit};
use crate::torture::schema::{Written, write};

/// Writes until the process ends, and pauses while `is_calm` is set.
pub(super) async fn write_on(instance: Arc<Instance>) {
    loop {
        tokio::time::sleep(Duration::from_micros(rand::random_range(5_000..40_000))).await;
        let key = any_item();
        let may_write = habit(key, instance.number, now(), instance.bound).writes;
        if may_write
            && !instance.is_calm.load(Ordering::Relaxed)
            && let Err(error) = instance.write(key).await
        {
            // The database is away, or the outcome is unknown: the write is not recorded and not acknowledged.
            tracing::debug!(%error, "a write failed");
        }
    }
}

/// A random item. Items on a list are written rarely, because otherwise a list would never be a hit.
fn any_item() -> Key {
    match rand::random_range(0..10) {
        0 => rand::random_range(0..LISTED),
        1..5 => rand::random_range(HOT),
        _ => rand::random_range(LISTED..ITEMS),
    }
}

impl Instance {
    async fn write(&self, key: Key) -> Result<()> {
        let begin = now();
        let mut transaction = self.database.begin().await?;
        let written = write(&mut transaction, key).await?;
        let touches = transaction.touched().await?;
        let changes = transaction.commit().await?;
        let committed = now();
        if self.is_doomed.load(Ordering::Relaxed) {
            kill_process(getpid(), Signal::KILL)?;
        }
        self.note(&written, begin, committed, What::Committed { foreign: false });
        // Simulates a cancelled request: it has committed, and the cache gets no report.
        if rand::random_bool(0.02) {
            return Ok(());
        }
        let delivery = self.caches.committed(&touches, &changes).await;
        self.note(&written, committed, now(), What::Acknowledged(delivery));
        Ok(())
    }

    fn note(&self, written: &Written, begin: Nanos, end: Nanos, what: What) {
        for (key, seen) in written.entries() {
            self.writes.record(&Event { key, seen, instance: self.number, begin, end, what });
        }
    }
}
