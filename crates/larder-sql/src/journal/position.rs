//! Positions of the journal: their text, and the conditions under which a consumer can continue from one.
//!
//! Invariant `position_is_durable`: a position on PostgreSQL covers no transaction number that the server can assign
//! again after a crash. A crash may lose the numbers of rolled-back transactions, and the server then assigns them
//! again. A position taken from the snapshot alone would cover those numbers, so their later commits would be missed.
//! So a position ends at one of two points: at the last committed row, whose commit is on disk, or at the floor of a
//! mark. The transaction that committed the mark has a higher number than the floor, so the server assigns no number
//! below the floor again.

use std::fmt;

use larder::journal::{DatabaseId, Position};

/// A snapshot of PostgreSQL: every transaction below `xmax` has ended, except those in `running`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    xmax: u64,
    /// The running transactions in rising order, each below `xmax`.
    running: Vec<u64>,
}

impl Snapshot {
    /// Reads PostgreSQL's text form, `xmin:xmax:running,…`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(':');
        let (xmin, xmax) = (number(fields.next()?)?, number(fields.next()?)?);
        let running = fields.next()?;
        let running = match running {
            "" => Vec::new(),
            some => some.split(',').map(number).collect::<Option<Vec<_>>>()?,
        };
        let is_rising = running.windows(2).all(|pair| pair[0] < pair[1]);
        let in_bounds = running.iter().all(|xid| (xmin..xmax).contains(xid));
        let is_complete = fields.next().is_none() && 0 < xmin && xmin <= xmax;
        (is_complete && is_rising && in_bounds).then_some(Self { xmax, running })
    }

    /// Every transaction below this number has ended.
    pub(super) fn xmin(&self) -> u64 {
        self.running.first().copied().unwrap_or(self.xmax)
    }

    /// This snapshot without the transactions from `end` on.
    pub(super) fn cut(mut self, end: u64) -> Self {
        self.xmax = self.xmax.min(end);
        self.running.retain(|&xid| xid < self.xmax);
        self
    }

    /// Whether a consumer at this position can continue in a database whose snapshot is `now` and whose rows below
    /// `floor` may have been pruned. The consumer cannot if the position is later than `now`, for example because the
    /// database was restored, or if rows that it has not read may be gone.
    pub(super) fn can_go_on(&self, now: &Snapshot, floor: u64) -> bool {
        self.xmax <= now.xmax && self.xmin() <= now.xmin() && self.xmin() >= floor
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.xmin(), self.xmax)?;
        for (n, xid) in self.running.iter().enumerate() {
            write!(f, "{}{xid}", if n == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// A position on SQLite: the consumer has seen this row of the outbox and all rows before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutboxPosition {
    pub(super) id: i64,
    pub(super) stamp: i64,
}

impl OutboxPosition {
    /// Reads `id:stamp`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (id, stamp) = text.split_once(':')?;
        Some(Self { id: id.parse().ok()?, stamp: stamp.parse().ok()? })
    }
}

impl fmt::Display for OutboxPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.stamp)
    }
}

/// The parts of a position.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub(super) database: DatabaseId,
    /// The place in the journal: a [`Snapshot`] or an [`OutboxPosition`].
    pub(super) at: &'a str,
    /// The attestation under which the position was taken.
    pub(super) attestation: &'a str,
}

/// Builds the position `at` of a database: `system/timeline/at@attestation`.
pub(super) fn of(database: &DatabaseId, at: &impl fmt::Display, attestation: &str) -> Position {
    Position::new(format!("{database}/{at}@{attestation}"))
}

/// Splits a position into its parts. `None` for an invalid position, and for one of the first release, which has no
/// attestation.
pub(super) fn split(position: &Position) -> Option<Parts<'_>> {
    let (database, at) = position.as_str().rsplit_once('/')?;
    let (system, timeline) = database.rsplit_once('/')?;
    let (at, attestation) = at.split_once('@')?;
    let database = DatabaseId { system: system.to_owned(), timeline: number(timeline)? };
    Some(Parts { database, at, attestation })
}

/// Parses digits only: `parse` alone would also accept a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str) -> Snapshot {
        Snapshot::parse(text).unwrap()
    }

    #[test]
    fn snapshots_come_back_as_they_were_written() {
        for text in ["7:7:", "3:9:3,5,8", "10:20:10"] {
            assert_eq!(snapshot(text).to_string(), text);
        }
        // PostgreSQL's xmin may be below every transaction that still runs.
        assert_eq!(snapshot("3:9:5").xmin(), 5);
    }

    #[test]
    fn an_invalid_snapshot_is_refused() {
        for text in [
            "", ":", "::", "1:2", "2:1:", "0:1:", "1:3:2,2", "1:3:3", "2:3:1", "1:3:x", "1:3:2,", "1:3::",
            "-1:3:", "+1:3:",
        ] {
            assert_eq!(Snapshot::parse(text), None, "{text}");
        }
    }

    #[test]
    fn position_is_durable() {
        // 8 and 9 were rolled back or still run: after a crash, other transactions may commit under these numbers.
        assert_eq!(snapshot("5:10:5,9").cut(8).to_string(), "5:8:5");
        assert_eq!(snapshot("10:10:").cut(8).to_string(), "8:8:");
        assert_eq!(snapshot("5:10:5,9").cut(11).to_string(), "5:10:5,9");
    }

    #[test]
    fn no_consumer_continues_from_the_future_or_from_below_the_floor() {
        let now = snapshot("8:20:8,12");
        assert!(snapshot("8:15:8").can_go_on(&now, 8));
        assert!(snapshot("5:15:5").can_go_on(&now, 5));
        assert!(!snapshot("5:15:5").can_go_on(&now, 6), "pruned");
        assert!(!snapshot("8:21:8").can_go_on(&now, 1), "future");
        assert!(
            !snapshot("9:15:9").can_go_on(&now, 1),
            "8 runs now, and the position says that it had ended"
        );
    }

    #[test]
    fn positions_name_their_database() {
        let database = DatabaseId { system: "74/5:16384".to_owned(), timeline: 3 };
        let position = of(&database, &OutboxPosition { id: 7, stamp: -2 }, "x1");
        assert_eq!(position.as_str(), "74/5:16384/3/7:-2@x1");
        assert_eq!(split(&position), Some(Parts { database, at: "7:-2", attestation: "x1" }));
        assert_eq!(OutboxPosition::parse("7:-2"), Some(OutboxPosition { id: 7, stamp: -2 }));
        for text in ["", "/", "a/1", "a/x/1:2@x", "a/-1/1:2@x", "a//1:2@x", "a/1/1:2"] {
            assert_eq!(split(&Position::new(text)), None, "{text}");
        }
    }
}
