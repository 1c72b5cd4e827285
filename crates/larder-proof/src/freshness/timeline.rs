//! When each version of one key was known, and when it can first have existed.

use crate::history::{Nanos, Version};

/// When each version of one key was first known to exist. A known version proves that all earlier versions exist, so
/// each point has the earliest instant of its own version and of all later ones. The points are sorted by version.
#[derive(Default)]
pub(super) struct FirstKnown {
    points: Vec<(Version, Nanos)>,
}

impl FirstKnown {
    pub(super) fn new(mut points: Vec<(Version, Nanos)>) -> Self {
        points.sort_unstable();
        let mut earliest = Nanos::MAX;
        for (_, known) in points.iter_mut().rev() {
            earliest = earliest.min(*known);
            *known = earliest;
        }
        FirstKnown { points }
    }

    /// When a later version than this one was first known; `None` if no later version is recorded.
    pub(super) fn after(&self, version: Version) -> Option<Nanos> {
        let next = self.points.partition_point(|(known, _)| *known <= version);
        self.points.get(next).map(|(_, instant)| *instant)
    }
}

/// For each version, the instant before which it cannot have existed: no version exists before its own write began, nor
/// before that of an earlier version.
pub(super) struct EarliestBegin {
    points: Vec<(Version, Nanos)>,
}

impl EarliestBegin {
    pub(super) fn new(points: impl Iterator<Item = (Version, Nanos)>) -> Self {
        let mut points: Vec<_> = points.collect();
        points.sort_unstable();
        let mut latest = 0;
        for (_, begun) in &mut points {
            latest = latest.max(*begun);
            *begun = latest;
        }
        EarliestBegin { points }
    }

    /// The earliest instant at which this version can have been read; 0 if nothing is known.
    pub(super) fn of(&self, version: Version) -> Nanos {
        let next = self.points.partition_point(|(begun, _)| *begun <= version);
        next.checked_sub(1).map_or(0, |last| self.points[last].1)
    }

    /// The newest version up to `newest` that can have been read at `instant`.
    pub(super) fn newest_by(&self, instant: Nanos, newest: Version) -> Version {
        let unborn = self.points.partition_point(|(_, born)| *born <= instant);
        self.points.get(unborn).map_or(newest, |(version, _)| version - 1)
    }
}
