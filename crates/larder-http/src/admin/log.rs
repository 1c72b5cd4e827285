//! The newest invalidations and troubles, bounded in number.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use larder::cause::Cause;
use larder::events::{Event, InvalidatedScope};
use serde::Serialize;

use crate::admin::times::millis;

/// How many lines are kept. While more than half of them are reports of Redis, the oldest of those are dropped first.
const LINES: usize = 400;
/// A line that equals the last one within this time is counted with it, in milliseconds.
const REPEATED_WITHIN: u64 = 1_000;

/// How many invalidations each cause made known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Causes {
    committed: u64,
    by_hand: u64,
    push: u64,
    journal: u64,
    loss: u64,
    other: u64,
}

/// What a line is about. The scope of an invalidation can name a key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum About {
    Invalidated(InvalidatedScope, Cause),
    Note(&'static str, String),
}

#[derive(Clone, Debug)]
struct Line {
    id: u64,
    /// The change that made or repeated it.
    change: u64,
    at: u64,
    times: u64,
    about: About,
}

/// A line as a viewer gets it.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(super) struct Shown {
    /// The same for a line that is sent again because it was repeated.
    id: u64,
    /// In milliseconds since 1970.
    at: u64,
    times: u64,
    /// The cause of an invalidation, or `degraded`, `recovered`, `alarm`, `tuned`, `missed`.
    cause: String,
    /// What was invalidated: `entry`, `class`, `tag`, `pattern`, `everything`, or `note`.
    kind: &'static str,
    text: String,
    /// Whether a key is left out, because the viewer may not see it.
    is_hidden: bool,
}

#[derive(Default)]
struct Lines {
    kept: VecDeque<Line>,
    causes: Causes,
    /// The latest change of a line that was dropped.
    dropped: u64,
    /// Incremented at each change: a viewer asks for what is newer than the change that it has seen.
    changes: u64,
}

/// The log. The lock is held for a few statements on at most [`LINES`] lines and never with another lock.
#[derive(Default)]
pub(super) struct Log(Mutex<Lines>);

impl Log {
    /// Forgets all lines and counts: what happens while no viewer is there is not noted, so older lines would show a gap
    /// as silence.
    pub(super) fn restart(&self) {
        let mut lines = self.lock();
        lines.kept.clear();
        lines.dropped = 0;
        lines.causes = Causes::default();
    }

    pub(super) fn causes(&self) -> Causes {
        self.lock().causes
    }

    /// Adds what an event says, if it belongs into the log.
    pub(super) fn note(&self, event: Event) {
        let about = match event {
            Event::Invalidated { scope, cause } => About::Invalidated(scope, cause),
            Event::Degraded { trouble } => About::Note("degraded", trouble.text().to_owned()),
            Event::Recovered { troubles } => {
                let troubles: Vec<_> = troubles.iter().map(|trouble| trouble.as_str()).collect();
                About::Note("recovered", troubles.join(", "))
            }
            Event::Alarm { class, reason } => About::Note("alarm", format!("{class}: {reason}")),
            Event::Tuned { class, change, reason } => {
                About::Note("tuned", format!("{class}: {change} ({reason})"))
            }
            Event::Missed(count) => {
                About::Note("missed", format!("{count} events came too fast for this log"))
            }
            _ => return,
        };
        let at = millis(SystemTime::now());
        let mut lines = self.lock();
        lines.changes += 1;
        if let About::Invalidated(_, cause) = &about {
            *lines.causes.of(*cause) += 1;
        }
        let changes = lines.changes;
        match lines.kept.back_mut() {
            Some(last) if last.about == about && at.saturating_sub(last.at) < REPEATED_WITHIN => {
                last.times += 1;
                last.change = changes;
            }
            _ => {
                lines.kept.push_back(Line { id: changes, change: changes, at, times: 1, about });
            }
        }
        while lines.kept.len() > LINES {
            // A clear is followed by a report of Redis for each key: those must not drop the line that says why. Without the
            // share that reports have, an instance that writes much would show none.
            let reports = lines.kept.iter().filter(|line| line.is_report());
            let oldest = match reports.count() > LINES / 2 {
                true => lines.kept.iter().position(Line::is_report).unwrap_or(0),
                false => lines.kept.iter().position(|line| !line.is_report()).unwrap_or(0),
            };
            let dropped = lines.kept.remove(oldest).map_or(0, |line| line.change);
            lines.dropped = lines.dropped.max(dropped);
        }
    }

    /// The lines of the changes after `seen`, the oldest first, and the newest change. If some of them were dropped before the
    /// viewer got them, the first line says so. `may_see` says whether the viewer may see
    /// the keys of a class.
    pub(super) fn after(&self, seen: u64, may_see: impl Fn(&str) -> bool) -> (Vec<Shown>, u64) {
        let (newer, dropped, newest) = {
            let lines = self.lock();
            let newer: Vec<_> = lines.kept.iter().filter(|line| line.change > seen).cloned().collect();
            (newer, lines.dropped, lines.changes)
        };
        // A viewer that has seen nothing yet has missed nothing.
        let gap = newer.first().filter(|_| seen > 0 && dropped > seen).map(|first| {
            let text = format!("more than {LINES} lines came at once: some are left out");
            Line { id: dropped, change: dropped, at: first.at, times: 1, about: About::Note("missed", text) }
        });
        (gap.into_iter().chain(newer).map(|line| line.shown(&may_see)).collect(), newest)
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        // Each change is complete before the lock is released, so the lines of a thread that panicked can be used.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Causes {
    fn of(&mut self, cause: Cause) -> &mut u64 {
        match cause {
            Cause::Committed => &mut self.committed,
            Cause::ByHand => &mut self.by_hand,
            Cause::Push => &mut self.push,
            Cause::Journal => &mut self.journal,
            Cause::Loss => &mut self.loss,
            _ => &mut self.other,
        }
    }
}

impl Line {
    fn is_report(&self) -> bool {
        matches!(self.about, About::Invalidated(_, Cause::Push))
    }

    fn shown(self, may_see: &impl Fn(&str) -> bool) -> Shown {
        let Self { id, at, times, about, .. } = self;
        let (cause, kind, text) = match about {
            About::Note(cause, text) => (cause.to_owned(), "note", Some(text)),
            About::Invalidated(scope, cause) => {
                let (kind, text) = named(scope, may_see);
                (cause.to_string(), kind, text)
            }
        };
        let is_hidden = text.is_none();
        let text = text.unwrap_or_default();
        Shown { id, at, times, cause, kind, text, is_hidden }
    }
}

/// The kind of a scope and its text; `None`: the viewer may not see it.
fn named(scope: InvalidatedScope, may_see: &impl Fn(&str) -> bool) -> (&'static str, Option<String>) {
    // The class of `class:part:part`. A tag that is no class, such as a group's, counts as one here.
    let of_class = |text: &String| may_see(text.split(':').next().unwrap_or_default());
    match scope {
        InvalidatedScope::Entry(entry) => match entry.key {
            Some(key) if may_see(&entry.class) => ("entry", Some(format!("{}:{key}", entry.class))),
            _ => ("entry", Some(format!("{}:…", entry.class))),
        },
        InvalidatedScope::Class(class) => ("class", Some(class)),
        InvalidatedScope::Tag(tag) => ("tag", tag.filter(of_class)),
        InvalidatedScope::Matching(pattern) => ("pattern", pattern.filter(of_class)),
        InvalidatedScope::Everything => ("everything", Some("everything".to_owned())),
        _ => ("note", Some("an invalidation of a kind that this release does not know".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use larder::cache::Cache;

    use super::*;

    fn invalidated(scope: InvalidatedScope) -> Event {
        Event::Invalidated { scope, cause: Cause::ByHand }
    }

    #[tokio::test]
    async fn a_viewer_sees_the_keys_of_its_classes_only() {
        let cache = Cache::builder("log").build().await.unwrap();
        let rooms = cache.class::<u32, String>("rooms").open().unwrap();
        let guests = cache.class::<u32, String>("guests").open().unwrap();
        let mut events = cache.events_without_reads();
        let log = Log::default();
        let _receipts = (rooms.invalidate(&7).await, guests.invalidate(&8).await);
        for _ in 0..2 {
            log.note(events.next().await.unwrap());
        }
        for scope in [Some("guests:vip".to_owned()), None] {
            log.note(invalidated(InvalidatedScope::Tag(scope.clone())));
            log.note(invalidated(InvalidatedScope::Matching(scope)));
        }
        let (lines, newest) = log.after(0, |class| class == "rooms");
        let texts: Vec<_> =
            lines.iter().map(|line| (line.kind, line.text.as_str(), line.is_hidden)).collect();
        assert_eq!(
            texts,
            [
                ("entry", "rooms:7", false),
                ("entry", "guests:…", false),
                ("tag", "", true),
                ("pattern", "", true),
                ("tag", "", true),
                ("pattern", "", true)
            ]
        );
        assert_eq!(log.after(newest, |_| true).0, []);
    }

    #[test]
    fn what_was_done_stays_when_its_reports_are_dropped() {
        let log = Log::default();
        log.note(invalidated(InvalidatedScope::Everything));
        for nth in 0..2 * LINES {
            let scope = InvalidatedScope::Class(format!("class{nth}"));
            log.note(Event::Invalidated { scope, cause: Cause::Push });
        }
        let (lines, _) = log.after(0, |_| true);
        assert_eq!((lines.len(), lines[0].kind), (LINES, "everything"));
    }

    #[test]
    fn reports_are_shown_beside_many_other_lines() {
        let log = Log::default();
        let note = |nth: usize, cause| {
            log.note(Event::Invalidated { scope: InvalidatedScope::Class(format!("class{nth}")), cause });
        };
        (0..2 * LINES).for_each(|nth| note(nth, Cause::Committed));
        note(0, Cause::Push);
        let (lines, _) = log.after(0, |_| true);
        assert_eq!((lines.len(), lines[LINES - 1].cause.as_str()), (LINES, "push"));
    }

    #[test]
    fn the_log_is_bounded_and_counts_what_repeats() {
        let log = Log::default();
        let class = |nth: usize| invalidated(InvalidatedScope::Class(format!("class{nth}")));
        for nth in 0..2 * LINES {
            log.note(class(nth));
        }
        log.note(class(2 * LINES - 1));
        let (lines, newest) = log.after(0, |_| true);
        assert_eq!((lines.len(), newest), (LINES, 2 * LINES as u64 + 1));
        assert_eq!(lines.last().map(|line| line.times), Some(2));
        assert!(lines.iter().all(|line| line.cause != "missed"), "a new viewer has missed nothing");
        let (lines, _) = log.after(1, |_| true);
        assert_eq!((lines.len(), lines[0].cause.as_str()), (LINES + 1, "missed"));
        // Five changes of four lines: the last line was repeated.
        let (lines, _) = log.after(newest - 5, |_| true);
        assert_eq!((lines.len(), lines[0].cause.as_str()), (4, "by hand"), "it has seen the dropped ones");
        assert_eq!(log.causes(), Causes { by_hand: 2 * LINES as u64 + 1, ..Causes::default() });
        log.restart();
        assert_eq!((log.after(0, |_| true).0, log.causes()), (Vec::new(), Causes::default()));
    }
}
