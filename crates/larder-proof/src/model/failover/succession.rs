//! The steps in which the database fails over to a standby, and in which the processes learn of that.

use crate::model::failover::state::{Position, State};
use crate::model::failover::{Action, Branch, Failover};

impl State {
    pub(super) fn successions(&self, actions: &mut Vec<Action>) {
        if self.left.successions > 0 {
            let commits = u8::try_from(self.present().len()).unwrap_or(u8::MAX);
            actions.extend((0..=commits).map(Action::Succeed));
        }
        let processes = self.known_timelines.iter().enumerate();
        actions.extend(
            processes.filter(|(_, known)| **known != self.timeline).map(|(nth, _)| Action::Notice(nth)),
        );
    }

    /// The commits that the database has, in their order.
    fn present(&self) -> Vec<u8> {
        self.order.iter().copied().filter(|transaction| self.lost & 1 << transaction == 0).collect()
    }

    /// A standby replays commits in their order, so those that it lacks are the last ones. The old primary has ended.
    pub(super) fn succeed(&mut self, model: &Failover, lacking: u8) {
        model.take(if lacking == 0 { Branch::SucceededByWhole } else { Branch::SucceededByLacking });
        self.left.successions -= 1;
        self.timeline += 1;
        for transaction in self.present().into_iter().rev().take(lacking.into()) {
            self.lost |= 1 << transaction;
        }
    }

    /// The process gets an answer of the journal. If that names another timeline, `Prefixes::set_identity` ends the
    /// process's right to use Redis. Returns whether it does.
    pub(super) fn notice(&mut self, model: &Failover, process: usize) -> bool {
        if self.known_timelines[process] == self.timeline {
            return false;
        }
        self.known_timelines[process] = self.timeline;
        if model.own_rules.another_timeline_revokes
            && self.grants.get_mut(process).is_some_and(|grant| grant.take().is_some())
        {
            model.take(Branch::RevokedBySuccession);
        }
        true
    }

    /// Whether a poll can continue from `position` as far as the timeline decides: `parts.database == place` in
    /// larder-sql's journal.
    pub(super) fn is_of_timeline(&self, model: &Failover, position: Position) -> bool {
        if position.timeline == self.timeline || !model.own_rules.position_names_timeline {
            return true;
        }
        model.take(Branch::AnotherTimeline);
        false
    }

    /// A process that knows of the fail-over reads no entry whose load saw a commit that the fail-over has lost. What
    /// other processes read is bounded by time, and not checked here.
    pub(super) fn no_lost_write_is_read(&self, model: &Failover) -> bool {
        self.grants.iter().zip(&self.known_timelines).all(|(grant, known)| {
            let Some(grant) = grant.as_ref().filter(|_| *known == self.timeline) else { return true };
            let node = &self.nodes[grant.node];
            let can_read = node.run == grant.run && node.is_master && node.history == grant.history;
            let Some(seen) = node.entry().filter(|_| can_read) else { return true };
            if self.lost != 0 {
                model.take(Branch::ReadsAfterLoss);
            }
            seen & self.lost == 0
        })
    }
}
