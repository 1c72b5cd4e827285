//! The state of one exploration, its steps and its properties.

use crate::model::slots::{Action, Branch, Slots};

/// A set of transactions, one bit each.
type Seen = u8;

/// What a master knows of the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum View {
    Owner,
    /// It is moving to the other master.
    Migrating,
    /// It is on its way here.
    Importing,
    Absent,
}

/// What is under the key at a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Content {
    Lease(usize),
    Entry(Seen),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Master {
    view: View,
    content: Option<Content>,
    /// Whether the certificate lists the slot.
    lists: bool,
    position: Seen,
    watermark: Seen,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Loader {
    Before,
    Held,
    Loaded { seen: Seen, at: usize },
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Poll {
    at: usize,
    /// Whether the master has the slot, and it is not being moved.
    owned: bool,
    /// Whether the certificate listed the slot.
    found: bool,
    position: Seen,
    began: Seen,
    snapshot: Option<Seen>,
    is_unlinked: bool,
    is_emptied: bool,
}

/// The state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    committed: Seen,
    acknowledged: Seen,
    propagated: Seen,
    masters: [Master; 2],
    /// For each master what a grant lets the instance read there: the commits before the watermark.
    grants: [Option<Seen>; 2],
    loaders: Vec<Loader>,
    leases: Vec<Option<usize>>,
    polls: Vec<Option<Poll>>,
    polls_left: Vec<u8>,
    moves_left: u8,
    give_ups_left: u8,
    /// Whether a key has been carried since the new master's last heartbeat.
    is_unseen: bool,
    /// Whether the move is being given up.
    is_given_up: bool,
}

impl State {
    pub(super) fn new(model: &Slots) -> Self {
        let master = |view, lists| Master { view, content: None, lists, position: 0, watermark: 0 };
        State {
            committed: 0,
            acknowledged: 0,
            propagated: 0,
            masters: [master(View::Owner, true), master(View::Absent, false)],
            grants: [None; 2],
            loaders: vec![Loader::Before; model.loads],
            leases: vec![None; model.loads],
            polls: vec![None; model.polls.len()],
            polls_left: model.polls.clone(),
            moves_left: model.moves,
            give_ups_left: model.give_ups,
            is_unseen: false,
            is_given_up: false,
        }
    }

    fn of(&self, view: View) -> Option<usize> {
        self.masters.iter().position(|master| master.view == view)
    }

    /// The former and the new master of a move that is under way and not settled.
    fn moving(&self) -> Option<(usize, usize)> {
        Some((self.of(View::Migrating)?, self.of(View::Importing)?))
    }

    pub(super) fn actions(&self, model: &Slots, actions: &mut Vec<Action>) {
        actions
            .extend((0..model.transactions).filter(|it| self.committed & 1 << it == 0).map(Action::Commit));
        for at in 0..2 {
            let due = (0..model.transactions).filter(|it| self.committed & !self.propagated & 1 << it != 0);
            actions.extend(due.map(|it| Action::Propagate(it, at)));
            actions.push(Action::Beat(at));
            for load in 0..self.loaders.len() {
                match self.loaders[load] {
                    Loader::Before if self.grants[at].is_some() => actions.push(Action::Lease(load, at)),
                    Loader::Loaded { .. } if self.grants[at].is_some() => {
                        actions.push(Action::Fill(load, at))
                    }
                    _ => {}
                }
            }
        }
        let held = (0..self.loaders.len()).filter(|load| self.loaders[*load] == Loader::Held);
        actions.extend(held.map(Action::Load));
        for (relay, poll) in self.polls.iter().enumerate() {
            match poll {
                None if self.polls_left[relay] > 0 => actions.extend([0, 1].map(|at| Action::Ask(relay, at))),
                None => {}
                Some(Poll { snapshot: None, .. }) => actions.push(Action::Snapshot(relay)),
                Some(Poll { is_unlinked: false, .. }) => actions.push(Action::Unlink(relay)),
                Some(Poll { is_emptied: false, .. }) => actions.push(Action::Empty(relay)),
                Some(_) => actions.push(Action::Mark(relay)),
            }
        }
        if let (Some(owner), 1..) = (self.of(View::Owner), self.moves_left)
            && self.of(View::Absent).is_some()
        {
            actions.push(Action::Begin(owner));
        }
        if self.moving().is_some() {
            actions.extend([Action::Carry, Action::Settle]);
            if self.give_ups_left > 0 {
                actions.push(Action::GiveUp);
            }
        }
        if self.of(View::Migrating).is_some() && self.of(View::Owner).is_some() {
            actions.push(Action::Leave);
        }
        if self.is_given_up {
            actions.extend([Action::CarryBack, Action::Forget]);
        }
    }

    pub(super) fn step(&mut self, model: &Slots, action: Action) {
        match action {
            Action::Commit(transaction) => self.committed |= 1 << transaction,
            Action::Propagate(transaction, at) => self.propagate(model, transaction, at),
            Action::Beat(at) => self.beat(model, at),
            Action::Lease(load, at) => self.lease(load, at),
            Action::Load(load) => {
                let at = self.leases[load].unwrap_or_default();
                self.loaders[load] = Loader::Loaded { seen: self.committed, at };
            }
            Action::Fill(load, at) => self.fill(model, load, at),
            Action::Ask(relay, at) => self.ask(relay, at),
            Action::Snapshot(relay) => {
                let committed = self.committed;
                self.poll(relay, |poll| poll.snapshot = Some(committed));
            }
            Action::Unlink(relay) => self.unlink_for(model, relay),
            Action::Empty(relay) => self.empty_for(model, relay),
            Action::Mark(relay) => self.mark(model, relay),
            _ => self.reshard(action),
        }
    }

    /// The steps of a move.
    fn reshard(&mut self, action: Action) {
        match (action, self.moving()) {
            (Action::Begin(from), _) => {
                self.masters[1 - from].view = View::Importing;
                self.masters[from].view = View::Migrating;
                self.moves_left -= 1;
            }
            (Action::Carry, Some((from, to))) if self.masters[from].content.is_some() => {
                self.masters[to].content = self.masters[from].content.take();
                self.is_unseen = true;
            }
            // The tool settles the slot only after no key is left.
            (Action::Settle, Some((from, to))) if self.masters[from].content.is_none() => {
                self.masters[to].view = View::Owner;
            }
            // A master with keys in the slot refuses to leave.
            (Action::Leave, _) => {
                if let Some(from) = self.of(View::Migrating)
                    && self.masters[from].content.is_none()
                {
                    self.masters[from].view = View::Absent;
                }
            }
            (Action::GiveUp, Some((from, _))) => {
                self.masters[from].view = View::Owner;
                self.is_given_up = true;
                self.give_ups_left -= 1;
            }
            (Action::CarryBack, _) if !self.is_unseen => {
                if let (Some(from), Some(to)) = (self.of(View::Owner), self.of(View::Importing))
                    && let Some(content) = self.masters[to].content.take()
                {
                    self.masters[from].content = Some(content);
                }
            }
            (Action::Forget, _) => {
                if let Some(to) = self.of(View::Importing)
                    && self.masters[to].content.is_none()
                {
                    self.masters[to].view = View::Absent;
                    self.is_given_up = false;
                }
            }
            _ => {}
        }
    }

    /// UNLINK at a master. An error is the branch of the refusal.
    fn unlink(&mut self, at: usize) -> Result<(), Branch> {
        let master = &mut self.masters[at];
        match (master.view, master.content) {
            (View::Owner, _) | (View::Migrating, Some(_)) => {
                master.content = None;
                Ok(())
            }
            (View::Migrating, None) => Err(Branch::Asked),
            (View::Importing | View::Absent, _) => Err(Branch::Moved),
        }
    }

    fn propagate(&mut self, model: &Slots, transaction: u8, at: usize) {
        let unlinked = self.unlink(at);
        model.take(unlinked.err().unwrap_or(Branch::Unlinked));
        let is_deleted = match unlinked {
            Ok(()) => true,
            Err(Branch::Asked) => !model.own_rules.asking_is_no_deletion,
            Err(_) => false,
        };
        if is_deleted {
            self.propagated |= 1 << transaction;
            self.acknowledged |= 1 << transaction;
        }
    }

    fn beat(&mut self, model: &Slots, at: usize) {
        let master = &mut self.masters[at];
        if master.view == View::Importing {
            self.is_unseen = false;
            if model.own_rules.importing_is_emptied && master.content.take().is_some() {
                model.take(Branch::EmptiedImporting);
            }
        }
        let may = master.lists && master.view == View::Owner;
        self.grants[at] = may.then_some(master.watermark);
    }

    fn lease(&mut self, load: usize, at: usize) {
        let master = &mut self.masters[at];
        if master.view == View::Owner && master.content.is_none() {
            master.content = Some(Content::Lease(load));
            self.leases[load] = Some(at);
            self.loaders[load] = Loader::Held;
        }
    }

    fn fill(&mut self, model: &Slots, load: usize, at: usize) {
        let Loader::Loaded { seen, at: leased_at } = self.loaders[load] else { return };
        let master = &mut self.masters[at];
        let answers = matches!(master.view, View::Owner | View::Migrating);
        if answers && master.content == Some(Content::Lease(load)) {
            master.content = Some(Content::Entry(seen));
            model.take(if at == leased_at { Branch::Filled } else { Branch::FilledElsewhere });
        } else {
            model.take(Branch::FillRefused);
        }
        self.loaders[load] = Loader::Done;
    }

    fn ask(&mut self, relay: usize, at: usize) {
        let master = &self.masters[at];
        let owned = master.view == View::Owner;
        self.polls_left[relay] -= 1;
        self.polls[relay] = Some(Poll {
            at,
            owned,
            found: master.lists,
            position: master.position,
            began: self.committed,
            snapshot: None,
            is_unlinked: false,
            is_emptied: false,
        });
    }

    fn poll(&mut self, relay: usize, change: impl FnOnce(&mut Poll)) {
        if let Some(poll) = &mut self.polls[relay] {
            change(poll);
        }
    }

    fn unlink_for(&mut self, model: &Slots, relay: usize) {
        let Some(poll) = self.polls[relay].clone() else { return };
        let is_touched = poll.snapshot.unwrap_or_default() & !poll.position != 0;
        if poll.owned && is_touched {
            let unlinked = self.unlink(poll.at);
            model.take(unlinked.err().unwrap_or(Branch::Unlinked));
            if unlinked.is_err() && model.own_rules.polls_fail_elsewhere {
                model.take(Branch::Failed);
                self.polls[relay] = None;
                return;
            }
        }
        self.poll(relay, |poll| poll.is_unlinked = true);
    }

    /// The keys of the slot that are here, by `GETKEYSINSLOT`, and UNLINK.
    fn empty_for(&mut self, model: &Slots, relay: usize) {
        let Some(poll) = self.polls[relay].clone() else { return };
        let is_due = poll.owned && !poll.found && model.own_rules.arrivals_are_emptied;
        if is_due && self.masters[poll.at].content.is_some() {
            if self.unlink(poll.at).is_err() {
                model.take(Branch::Failed);
                self.polls[relay] = None;
                return;
            }
            model.take(Branch::Emptied);
        }
        self.poll(relay, |poll| poll.is_emptied = true);
    }

    fn mark(&mut self, model: &Slots, relay: usize) {
        let Some(poll) = self.polls[relay].take() else { return };
        let master = &mut self.masters[poll.at];
        if master.lists != poll.found {
            model.take(Branch::Refused);
            return;
        }
        // MARK keeps a watermark that is as late, under the same certificate.
        if master.lists == poll.owned && poll.began & !master.watermark == 0 {
            return;
        }
        model.take(Branch::Marked);
        master.lists = poll.owned;
        master.position = poll.snapshot.unwrap_or_default();
        master.watermark = poll.began;
    }

    /// The values that a read of the key may get, each with the grant of its master.
    fn readable(&self) -> impl Iterator<Item = (Seen, Seen)> + '_ {
        self.masters.iter().zip(self.grants).filter_map(|(master, grant)| {
            let answers = matches!(master.view, View::Owner | View::Migrating);
            match master.content.filter(|_| answers)? {
                Content::Entry(seen) => Some((seen, grant?)),
                Content::Lease(_) => None,
            }
        })
    }

    /// The entry of a master that has the slot and lists it contains every change up to the master's position.
    pub(super) fn position_is_true(&self) -> bool {
        self.masters.iter().all(|master| match master.content {
            Some(Content::Entry(seen)) if master.lists && master.view == View::Owner => {
                master.position & !seen == 0
            }
            _ => true,
        })
    }

    pub(super) fn reads_reach_the_watermark(&self) -> bool {
        self.readable().all(|(seen, reach)| reach & !seen == 0)
    }

    pub(super) fn fresh_after_acknowledgement(&self) -> bool {
        self.readable().all(|(seen, _)| self.acknowledged & !seen == 0)
    }
}
