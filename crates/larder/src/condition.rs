//! Stores why a tier cannot be used fully, logs it and sends it to subscribers. The keeper (`remote::redis::keeper`) writes
//! the condition of Redis, which every health report reads; the polls of the journal (`polls`) write the journal's.
//!
//! Invariants, each checked by the test of the same name:
//! - `an_episode_is_logged_once_and_once_at_its_end`;
//! - `one_trouble_after_another_is_one_episode`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use crate::clock::{Clock, Tick};
use crate::event_sender::EventSender;
use crate::events::Event;
use crate::health::{Reason, Trouble, TroubleCount};

/// An episode is a period of troubles; it ends when there has been no trouble for this long. A Redis whose memory is
/// nearly full refuses one write and accepts the next: without this period each refusal would be an episode of its own.
const CALM_PERIOD: Duration = Duration::from_secs(2);

pub(crate) struct Condition {
    clock: Clock,
    /// The lock is held for a few statements and never together with another lock.
    state: Mutex<State>,
    /// One counter for each trouble, in the order of `Trouble::ALL`. The counters guard no other data: relaxed order is
    /// enough.
    counts: Vec<AtomicU64>,
    events: Option<Arc<EventSender>>,
    /// Whether another condition reports what this one says, so that nothing is logged here.
    is_part: bool,
}

struct State {
    present: Option<Reason>,
    episode: Option<Episode>,
}

struct Episode {
    began: Tick,
    /// The troubles that were logged in this episode.
    troubles: Vec<Trouble>,
    /// Since when there has been no trouble; `None` while there is one.
    calm_since: Option<Tick>,
}

impl Condition {
    pub(crate) fn new(clock: Clock) -> Self {
        let present = reason(&clock, Trouble::Starting, None);
        Condition {
            clock,
            state: Mutex::new(State { present: Some(present), episode: None }),
            counts: Trouble::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            events: None,
            is_part: false,
        }
    }

    /// The condition of one of several servers. It logs nothing: the condition of all of them does.
    pub(crate) fn of_part(clock: Clock) -> Self {
        Condition { is_part: true, ..Condition::new(clock) }
    }

    /// Makes this condition also send an event for each line that it logs.
    pub(crate) fn reporting_to(self, events: Arc<EventSender>) -> Self {
        Condition { events: Some(events), ..self }
    }

    fn send(&self, event: Event) {
        if let Some(events) = &self.events {
            events.send(|_| event);
        }
    }

    /// Records that `trouble` is present now; `detail` is what the server answered.
    pub(crate) fn note(&self, trouble: Trouble, detail: Option<String>) {
        let mut state = self.lock();
        match &mut state.present {
            Some(present) if present.trouble == trouble => present.detail.clone_from(&detail),
            present => *present = Some(reason(&self.clock, trouble, detail.clone())),
        }
        if let Some(episode) = &mut state.episode {
            episode.calm_since = None;
        }
        if trouble.is_passing() || self.is_part {
            return;
        }
        let began = self.clock.now();
        let episode = state.episode.get_or_insert(Episode { began, troubles: Vec::new(), calm_since: None });
        if episode.troubles.contains(&trouble) {
            return;
        }
        episode.troubles.push(trouble);
        drop(state);
        self.counts[trouble as usize].fetch_add(1, Ordering::Relaxed);
        self.send(Event::Degraded { trouble });
        let said = detail.unwrap_or_default();
        tracing::warn!(%trouble, said, "the cache is degraded: {}", trouble.text());
    }

    /// Records that no trouble is present.
    pub(crate) fn note_recovery(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.present = None;
        let Some(episode) = &mut state.episode else { return };
        let calm_since = *episode.calm_since.get_or_insert(now);
        if now < calm_since.plus(CALM_PERIOD) {
            return;
        }
        let Some(episode) = state.episode.take() else { return };
        drop(state);
        let lasted = calm_since.since(episode.began);
        let troubles: Vec<&str> = episode.troubles.iter().map(|trouble| trouble.as_str()).collect();
        tracing::info!(troubles = troubles.join(" "), ?lasted, "the cache is no longer degraded");
        self.send(Event::Recovered { troubles: episode.troubles });
    }

    /// The present trouble, if there is one.
    pub(crate) fn present(&self) -> Option<Reason> {
        self.lock().present.clone()
    }

    /// The reason to show while Redis cannot be used and no trouble is recorded: an operation got no answer, or the
    /// last grant ran out, and the keeper has not checked Redis since.
    pub(crate) fn checking_reason(&self) -> Reason {
        reason(&self.clock, Trouble::Asking, None)
    }

    /// How many episodes of each trouble there have been.
    pub(crate) fn counts(&self) -> Vec<TroubleCount> {
        let count = |(trouble, count): (&Trouble, &AtomicU64)| TroubleCount {
            trouble: *trouble,
            episodes: count.load(Ordering::Relaxed),
        };
        Trouble::ALL
            .iter()
            .zip(&self.counts)
            .filter(|(trouble, _)| !trouble.is_passing())
            .map(count)
            .collect()
    }

    /// The state is consistent between any two statements, so it can be used after another thread panicked with the
    /// lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reason(clock: &Clock, trouble: Trouble, detail: Option<String>) -> Reason {
    let since = UNIX_EPOCH + Duration::from_millis(clock.unix_millis());
    Reason { trouble, text: trouble.text().into(), detail, since }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episodes(condition: &Condition, trouble: Trouble) -> u64 {
        condition.counts().iter().find(|count| count.trouble == trouble).map_or(0, |count| count.episodes)
    }

    #[test]
    fn an_episode_is_logged_once_and_once_at_its_end() {
        let clock = Clock::manual();
        let condition = Condition::new(clock.clone());
        assert_eq!(condition.present().map(|reason| reason.trouble), Some(Trouble::Starting));
        for round in 1..=2 {
            // Redis refuses and accepts in turn, always within the calm period: this is one episode.
            for _ in 0..50 {
                condition.note(Trouble::Full, Some("OOM".to_owned()));
                assert_eq!(condition.present().map(|reason| reason.trouble), Some(Trouble::Full));
                clock.advance(Duration::from_millis(200));
                condition.note_recovery();
                assert_eq!(condition.present(), None, "the health follows at once");
                clock.advance(CALM_PERIOD - Duration::from_millis(1));
                condition.note_recovery();
            }
            assert_eq!(episodes(&condition, Trouble::Full), round);
            clock.advance(Duration::from_millis(1));
            condition.note_recovery();
            assert!(condition.lock().episode.is_none(), "it ends after {CALM_PERIOD:?} of calm");
        }
    }

    #[test]
    fn one_trouble_after_another_is_one_episode() {
        let condition = Condition::new(Clock::manual());
        for _ in 0..10 {
            for trouble in [Trouble::Away, Trouble::Loading, Trouble::Asking] {
                condition.note(trouble, None);
            }
        }
        let counted: Vec<TroubleCount> =
            condition.counts().into_iter().filter(|count| count.episodes > 0).collect();
        let once = |trouble| TroubleCount { trouble, episodes: 1 };
        assert_eq!(counted, [once(Trouble::Away), once(Trouble::Loading)], "what passes is not counted");
    }
}
