//! A change of 100,000 rows at once, alternately with and without the journal's triggers.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use larder_server::store::Store;
use larder_testbed::{Database, PostgresUrl};

use crate::cost::writers::people;
use crate::terminal::progress;

const ROWS: usize = 100_000;
const TURNS: usize = 3;
/// The largest allowed ratio of the time with the journal's triggers to the time without them.
const SLOWER_AT_MOST: f64 = 3.0;

/// The measurements: the seconds without and with triggers for each turn, and the outbox after one change.
pub(super) struct Bulk {
    turns: Vec<[f64; 2]>,
    rows: u64,
    bytes: u64,
}

/// In each turn, updates every user of a separate database once without and once with the triggers.
pub(super) async fn measure(server: &PostgresUrl) -> Result<Bulk> {
    let database = Database::fresh(server)?;
    let store = Store::open(&database.url()).await?;
    for part in 0..ROWS / 10_000 {
        people(&store, part * 10_000..(part + 1) * 10_000).await?;
    }
    let mut turns = Vec::new();
    for turn in 0..TURNS {
        let mut seconds = [0.0; 2];
        for side in if turn % 2 == 0 { [0, 1] } else { [1, 0] } {
            let state = if side == 0 { "DISABLE" } else { "ENABLE ALWAYS" };
            database.sql(&format!("ALTER TABLE users {state} TRIGGER larder_journal"))?;
            // Give each turn the same free space for new row versions.
            database.sql("VACUUM FULL users")?;
            database.sql("TRUNCATE larder_outbox")?;
            let began = Instant::now();
            database.sql(&format!("UPDATE users SET bio = 'turn {turn} of {side}'"))?;
            seconds[side] = began.elapsed().as_secs_f64();
        }
        progress(&format!("{ROWS} users at once: {:.1} s without, {:.1} s with", seconds[0], seconds[1]));
        turns.push(seconds);
    }
    let outbox = "SELECT count(*) || ' ' || pg_total_relation_size('larder_outbox') FROM larder_outbox";
    let outbox = database.sql(outbox)?;
    let (rows, bytes) = outbox.split_once(' ').unwrap_or(("0", "0"));
    Ok(Bulk { turns, rows: rows.parse()?, bytes: bytes.parse()? })
}

impl Bulk {
    fn ratio(&self) -> f64 {
        let mut ratios: Vec<f64> = self.turns.iter().map(|[without, with]| with / without).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }

    pub(super) fn is_fast(&self) -> bool {
        self.ratio() <= SLOWER_AT_MOST
    }
}

impl fmt::Display for Bulk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mean = |side: usize| {
            let total: f64 = self.turns.iter().map(|turn| turn[side]).sum();
            Duration::from_secs_f64(total / self.turns.len() as f64)
        };
        write!(
            f,
            "bulk change, an UPDATE of {ROWS} users, {TURNS} turns:\n  without a journal {:>7.2?}\n  with              {:>7.2?}\n  \
             ratio             {:>7.2}   median of the turns; at most {SLOWER_AT_MOST}\n  outbox afterwards {} rows, {:.1} MiB",
            mean(0),
            mean(1),
            self.ratio(),
            self.rows,
            self.bytes as f64 / f64::from(1 << 20),
        )
    }
}
