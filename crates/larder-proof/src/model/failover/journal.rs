//! The steps in which the journal becomes silent (commits leave no rows) or hidden (row security hides the rows), and
//! complete again; what the processes see of that; and what their writers acknowledge.

use crate::model::failover::state::{KEY, PollProgress, Position, Seen, State, TAG};
use crate::model::failover::{Action, Branch, Failover};
use crate::model::journal::{Touched, View};

impl Failover {
    /// Whether rows can be missing from the outbox, or be hidden from a process that reads it.
    pub(super) fn can_be_incomplete(&self) -> bool {
        self.silences > 0 || self.subject.is_some()
    }

    /// The process of the instance that writes `transaction`.
    pub(super) fn writer(&self, transaction: u8) -> usize {
        usize::from(transaction) % self.instances
    }
}

impl State {
    pub(super) fn journal_turns(&self, actions: &mut Vec<Action>) {
        if self.catalog.is_silent() {
            actions.push(Action::Mend);
        } else if self.left.silences > 0 {
            actions.push(Action::Silence);
        }
        if self.catalog.is_hiding() {
            actions.push(Action::Hide(false));
        } else if self.left.hidings > 0 {
            actions.push(Action::Hide(true));
        }
    }

    pub(super) fn silence(&mut self) {
        self.left.silences -= 1;
        self.catalog.silence();
    }

    pub(super) fn hide(&mut self, is_hiding: bool) {
        self.left.hidings -= u8::from(is_hiding);
        self.catalog.hide(is_hiding);
    }

    /// The catalog as the process `nth` sees it.
    pub(super) fn view(&self, model: &Failover, nth: usize) -> View {
        self.catalog.view(model.subject == Some(nth))
    }

    /// `touched` and the commit of a write are one step: the transaction's locks prevent a change of the triggers in
    /// between.
    pub(super) fn commit(&mut self, model: &Failover, transaction: u8) {
        self.order.push(transaction);
        if self.catalog.is_silent() {
            self.silent |= 1 << transaction;
            model.take(Branch::Silent);
        }
        if model.has_foreign && transaction + 1 == model.transactions {
            return;
        }
        let view = self.view(model, model.writer(transaction));
        let process = &mut self.processes[model.writer(transaction)];
        let knew = process.is_incomplete;
        let touched = process.touched(view, model.own_rules.journal);
        if touched == Touched::Everything {
            model.take(if knew { Branch::WroteBroken } else { Branch::Noticed });
        }
        self.touched[usize::from(transaction)] = touched;
    }

    /// The rows after `position` that a poll of relay `nth` sees; `None` if the changes are unknown.
    pub(super) fn known(&mut self, model: &Failover, nth: usize, position: Option<Position>) -> Option<Seen> {
        let view = self.view(model, nth);
        let sees_rows = self.processes[nth].sees_rows(view);
        let position = position?;
        if position.seen & self.pruned != self.pruned || !self.is_of_timeline(model, position) {
            return None;
        }
        let process = &self.processes[nth];
        let missed = self.committed() & !position.seen;
        if !process.is_attested(position.attestation, view, model.rules, model.own_rules.journal) {
            model.take(Branch::Unattested);
            // An even attestation means that the triggers were on.
            if view.is_complete() && position.attestation.is_multiple_of(2) && missed & self.silent != 0 {
                model.take(Branch::CompleteAtBothEnds);
                if process.is_newcomer() {
                    model.take(Branch::UnattestedByNewcomer);
                }
            }
            return None;
        }
        Some(if sees_rows { missed & !self.silent } else { 0 })
    }

    /// The part of `SqlJournal::ask` after its statement: inspects if necessary, then answers or fails.
    pub(super) fn inspect(&mut self, model: &Failover, nth: usize) {
        let now = self.view(model, nth);
        let relay = &mut self.relays[nth];
        let Some(poll) = &mut relay.poll else { return };
        let PollProgress::Answered(next) = poll.progress.clone() else { return };
        if poll.attested != now {
            model.take(Branch::InspectedLater);
        }
        if self.processes[nth].inspect(poll.attested, now, model.rules, model.own_rules.journal) {
            poll.progress = *next;
            return;
        }
        model.take(if now.is_hidden { Branch::Hidden } else { Branch::Broken });
        relay.poll = None;
    }

    /// A write that touches everything unlinks every entry. It sets no `@propagated` key. While the journal is
    /// incomplete, the product's writer leaves the sweep to its keeper, and does not use Redis before that sweep has
    /// ended. The model omits the sweep, because fewer unlinks are the harder case.
    pub(super) fn propagate_everything(&mut self, model: &Failover, transaction: u8, at: usize) {
        let writer = model.writer(transaction);
        if self.processes[writer].is_incomplete {
            model.take(Branch::Queued);
            self.grants[writer] = None;
            return;
        }
        self.nodes[at].redis.unlink(&KEY);
        self.nodes[at].redis.unlink(&TAG);
    }

    /// Whether the write may be acknowledged as `sent`: the check of `Engine::is_journal_incomplete`.
    pub(super) fn may_say_sent(&self, model: &Failover, transaction: u8) -> bool {
        !self.processes[model.writer(transaction)].is_incomplete || !model.own_rules.journal.defect_queues
    }
}
