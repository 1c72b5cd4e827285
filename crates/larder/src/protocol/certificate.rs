//! Until when the caches may be served, judged from one heartbeat.
//!
//! A heartbeat travels on the tracked connection, so every push that Redis sent before its reply has been
//! handled when the reply is judged: what memory still holds was right when the heartbeat was SENT. The
//! watermark of a journal will enter here as a lag to subtract; without a journal there is none.

use std::time::Duration;

use crate::clock::Tick;

/// What one heartbeat said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heartbeat {
    /// The clock when the heartbeat was sent; never when its reply came.
    pub(crate) sent: Tick,
    /// Redis calls itself a master.
    pub(crate) is_master: bool,
    /// The certificate kept in this Redis names this Redis, as this instance sees it.
    pub(crate) is_live: bool,
}

impl Heartbeat {
    /// The instant up to which reads may be served on its word, or `None` when it certifies nothing.
    pub(crate) fn fresh_until(self, bound: Duration, resolution: Duration) -> Option<Tick> {
        (self.is_master && self.is_live).then(|| self.sent.plus(bound).minus(resolution))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(2);
    const GRAIN: Duration = Duration::from_millis(4);

    #[test]
    fn freshness_counts_from_the_sending_and_gives_the_clocks_grain_away() {
        let sent = Tick::from_nanos(10_000_000_000);
        let beat = Heartbeat { sent, is_master: true, is_live: true };
        assert_eq!(beat.fresh_until(BOUND, GRAIN), Some(sent.plus(Duration::from_millis(1_996))));
    }

    #[test]
    fn a_replica_or_an_uncertified_redis_certifies_nothing() {
        let sent = Tick::from_nanos(10_000_000_000);
        for (is_master, is_live) in [(false, true), (true, false), (false, false)] {
            assert_eq!(Heartbeat { sent, is_master, is_live }.fresh_until(BOUND, GRAIN), None);
        }
    }
}
