//! The outbox over simulated hours of writes: it must not grow after the rows of the first hour have been pruned.

use std::fmt;

use anyhow::Result;
use larder::journal::Journal;
use larder_server::cached::journal::tables;
use larder_server::store::Store;
use larder_testbed::Database;

use crate::terminal::progress;

/// More than two hours: in the first the outbox fills, in the second its size must stay the same.
const MINUTES: usize = 130;
/// From this minute on the outbox is full: prunes delete rows, which are then an hour and a minute old.
const FULL: usize = 65;
/// The largest allowed ratio of the size at the end to the size when the outbox was full.
const STEADY: f64 = 1.15;

/// The measured sizes.
pub(super) struct Outbox {
    rate: f64,
    /// The most rows and bytes in the first 20 minutes with a full outbox.
    full: (f64, f64),
    /// The most rows and bytes in the last 20 minutes.
    end: (f64, f64),
}

/// Repeats for each simulated minute: inserts the rows of a minute, makes everything in `larder_outbox_marks`, by which
/// prune knows how old rows are, a minute older, prunes, and runs vacuum in place of autovacuum.
pub(super) async fn an_hour(database: &Database, store: &Store, rate: f64) -> Result<Outbox> {
    let journal = store.journal(tables()).await?;
    let touched = database.sql("SELECT touched FROM larder_outbox ORDER BY xid DESC LIMIT 1")?;
    database.sql("TRUNCATE larder_outbox, larder_outbox_marks")?;
    let rows = (rate * 60.0) as u64;
    let mut sizes = Vec::with_capacity(MINUTES);
    for minute in 0..MINUTES {
        // Insert a thousand rows in each transaction. One transaction for each row would take minutes, and makes no
        // difference to prune and vacuum.
        for batch in 0..=rows / 1000 {
            let count = (rows - batch * 1000).min(1000);
            database.sql(&format!(
                "INSERT INTO larder_outbox (touched) SELECT '{touched}' FROM generate_series(1, {count})"
            ))?;
        }
        database.sql("UPDATE larder_outbox_marks SET taken_at = taken_at - 60000000")?;
        journal.prune().await.map_err(anyhow::Error::from_boxed)?;
        database.sql("VACUUM larder_outbox")?;
        let size = database
            .sql("SELECT COUNT(*) || ' ' || pg_total_relation_size('larder_outbox') FROM larder_outbox")?;
        let (rows, bytes) = size.split_once(' ').unwrap_or(("0", "0"));
        sizes.push((rows.parse::<f64>()?, bytes.parse::<f64>()?));
        if minute % 20 == 19 {
            progress(&format!("simulated minute {}: {rows} rows, {bytes} bytes", minute + 1));
        }
    }
    Ok(Outbox { rate, full: largest(&sizes[FULL..FULL + 20]), end: largest(&sizes[MINUTES - 20..]) })
}

fn largest(sizes: &[(f64, f64)]) -> (f64, f64) {
    sizes.iter().fold((0.0, 0.0), |most: (f64, f64), size| (most.0.max(size.0), most.1.max(size.1)))
}

impl Outbox {
    pub(super) fn is_steady(&self) -> bool {
        self.end.0 <= self.full.0 * STEADY && self.end.1 <= self.full.1 * STEADY && self.full.0 > 0.0
    }
}

impl fmt::Display for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        write!(
            f,
            "outbox, {MINUTES} simulated minutes at {:.0} writes/s, pruned after 61 minutes:\n  \
             minutes {FULL} to {}: at most {:.0} rows, {:.1} MiB\n  the last 20:      at most {:.0} rows, {:.1} MiB",
            self.rate,
            FULL + 20,
            self.full.0,
            mib(self.full.1),
            self.end.0,
            mib(self.end.1),
        )
    }
}
