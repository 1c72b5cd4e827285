//! The cost of a poll of the journal without changes: most of it is the attestation.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use larder::journal::Journal;
use larder_server::cached::journal::tables;
use larder_server::store::Store;

const POLLS: usize = 500;
/// The largest allowed difference from the shortest possible query.
const LONGER_AT_MOST: Duration = Duration::from_millis(1);

/// The medians of a poll, and of `SELECT 1` on the same kind of connection.
pub(super) struct Poll {
    poll: Duration,
    ping: Duration,
}

/// Measures polls and `SELECT 1` alternately.
pub(super) async fn measure(store: &Store) -> Result<Poll> {
    let journal = store.journal(tables()).await?;
    let mut position = journal.changes_since(None).await.map_err(anyhow::Error::from_boxed)?.position;
    let (mut polls, mut pings) = (Vec::with_capacity(POLLS), Vec::with_capacity(POLLS));
    for _ in 0..POLLS {
        let began = Instant::now();
        position = journal.changes_since(Some(&position)).await.map_err(anyhow::Error::from_boxed)?.position;
        polls.push(began.elapsed());
        let began = Instant::now();
        store.ping().await?;
        pings.push(began.elapsed());
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    Ok(Poll { poll: median(polls), ping: median(pings) })
}

impl Poll {
    pub(super) fn is_fast(&self) -> bool {
        self.poll.saturating_sub(self.ping) <= LONGER_AT_MOST
    }
}

impl fmt::Display for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a poll without changes, attestation included, medians of {POLLS}:\n  poll              {:>7.0?}\n  SELECT 1          {:>7.0?}\n  \
             difference        {:>7.0?}   at most {LONGER_AT_MOST:?}",
            self.poll,
            self.ping,
            self.poll.saturating_sub(self.ping),
        )
    }
}
