//! Reads that are dropped while they lead a flight: `engine::flight`.

use crate::model::coherence::phase::{Phase, flight};
use crate::model::coherence::state::State;
use crate::model::coherence::{Action, Branch, Coherence};

impl State {
    pub(super) fn departures(&self, actions: &mut Vec<Action>) {
        if self.left.departures == 0 {
            return;
        }
        for (nth, read) in self.readers.iter().enumerate() {
            match &read.phase {
                Phase::Before | Phase::Arrived | Phase::Joined(_) | Phase::After(_) => {}
                Phase::Failed | Phase::Done => {}
                Phase::Asked(..) | Phase::Replied(..) if read.has_failed => {}
                // The read asks the tiers in its own task, so the flight ends with the read.
                Phase::Asked(..)
                | Phase::Replied(..)
                | Phase::Waiting(_)
                | Phase::Leasing { .. }
                | Phase::Minting { .. }
                | Phase::SettingAnchor { .. } => actions.push(Action::Leave(nth)),
                // The load has a task of its own, so it can go on without the read.
                _ => {
                    actions.push(Action::LeaveLoad(nth));
                    // A class may say `Abandonment::Stop`: then the load ends too, if no other read waits for it.
                    if !self.is_followed(nth) {
                        actions.push(Action::Leave(nth));
                    }
                }
            }
        }
    }

    fn is_followed(&self, nth: usize) -> bool {
        let leader = &self.readers[nth];
        let id = flight(&leader.phase);
        let mut others = self.readers.iter().filter(|read| read.instance == leader.instance);
        others.any(|read| matches!(read.phase, Phase::Joined(joined) if joined == id))
    }

    /// The flight ends without an outcome: its followers decide again.
    pub(super) fn leave(&mut self, model: &Coherence, nth: usize) {
        model.take(Branch::Left);
        self.left.departures -= 1;
        self.release_hold(nth);
        let id = flight(&self.readers[nth].phase);
        self.finish(nth);
        self.remove_flight(nth, id, None);
    }

    /// The load, its fill and its followers go on. Only this read gets no answer, so its answer need not see any
    /// version.
    pub(super) fn leave_load(&mut self, model: &Coherence, nth: usize) {
        model.take(Branch::LeftItsLoad);
        self.left.departures -= 1;
        let read = &mut self.readers[nth];
        (read.must_fresh, read.must_own) = (0, 0);
        read.has_left = !model.left_loads_compare;
    }
}
