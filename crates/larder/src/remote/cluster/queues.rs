//! The invalidations that could not be sent: each waits at the master that has its key, or for one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::remote::Remote as _;
use crate::remote::cluster::map::{Map, Member};
use crate::remote::cluster::supervisor::Supervisor;
use crate::remote::validity::UnsentInvalidations;

/// What is still to be sent.
pub(super) enum Unconfirmed {
    Nothing,
    /// This master has something to get, or to confirm.
    Member(Arc<Member>),
    /// Only keys whose slot has no master at present, or is being moved.
    Elsewhere,
}

impl Supervisor {
    /// Queues at the masters of `map` what `member` has not been sent. Sending it twice does no harm.
    pub(super) fn pass_on(&self, member: &Member, map: &Map) {
        match member.validity.unsent() {
            UnsentInvalidations::Nothing => {}
            UnsentInvalidations::Keys(keys) => self.queue_at(map, &keys),
            UnsentInvalidations::Everything => self.queue_everything_at(map),
        }
        member.membership.hand_over(|_| true, |keys| self.queue_at(map, keys));
    }

    /// Queues the invalidation of `keys`, and of everything, at the present masters.
    pub(super) fn queue(&self, keys: &[Bytes], everything: bool) {
        let _changing = self.changing();
        let map = self.map();
        self.queue_at(&map, keys);
        if everything {
            self.queue_everything_at(&map);
        }
        if everything || self.ownerless().count() > 0 {
            self.moved.notify_one();
        }
    }

    /// Queues it at the present masters, and at those that come soon: a slot may have another master that is not known yet.
    pub(super) fn queue_everything_at(&self, map: &Map) {
        self.clear_new_masters();
        map.members.iter().for_each(|member| member.tier.queue(&[], true));
    }

    /// From here on, each master that comes into the map gets an invalidation of everything first; until the nodes have been
    /// asked after this, and each slot has a master.
    pub(super) fn clear_new_masters(&self) {
        // The round that runs now may have begun before, and the next one begins after this.
        self.clears_until.store(*self.asked.borrow() + 2, Ordering::Relaxed);
    }

    pub(super) fn queue_at(&self, map: &Map, keys: &[Bytes]) {
        let (parts, ownerless) = map.split(keys);
        let mut is_everything = false;
        for part in parts {
            is_everything |= part.member.validity.queue(&part.keys);
            part.member.tier.revoke_and_check();
        }
        self.ownerless().add(ownerless.into_iter().cloned());
        if is_everything {
            self.queue_everything_at(map);
        }
    }

    /// What is still to be sent, or to be confirmed by a grant.
    pub(super) fn unconfirmed(&self) -> Unconfirmed {
        let _changing = self.changing();
        let map = self.map();
        let strays = || map.members.iter().map(|member| member.membership.stray_count()).sum::<usize>();
        // A keeper may put a key from its queue aside meanwhile, or take one back: so the strays are counted before and after.
        let before = strays() + self.ownerless().count();
        match map.members.iter().find(|member| member.validity.has_unconfirmed()) {
            Some(member) => Unconfirmed::Member(member.clone()),
            None if before + strays() == 0 => Unconfirmed::Nothing,
            None => Unconfirmed::Elsewhere,
        }
    }

    /// Waits until the nodes have been asked again, at most `limit`.
    pub(super) async fn wait_for_topology(&self, limit: Duration) {
        let mut asked = self.asked.subscribe();
        asked.mark_unchanged();
        let _ = timeout(limit, asked.changed()).await;
    }
}
