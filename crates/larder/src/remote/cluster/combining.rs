//! Combines the validity of the masters into that of the cluster.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::health::Trouble;
use crate::remote::cluster::map::Map;
use crate::remote::cluster::supervisor::Supervisor;
use crate::remote::redis::trouble::{self, DialError};

/// How often the validity is combined if no master reports a change. A grant that ends by itself reports none.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

impl Supervisor {
    /// Combines the validity of the masters, until the task is aborted.
    pub(super) async fn watch_validity(self: Arc<Self>) {
        loop {
            while !self.combine() {}
            let _ = timeout(WATCH_INTERVAL, self.changed.notified()).await;
        }
    }

    /// Grants the cluster up to the instant up to which all masters are granted that are valid now. Returns `false` if a
    /// master was lost: then its copies have left memory, and this has to be repeated.
    fn combine(&self) -> bool {
        // The epoch is read first: a master that is lost from here on, or retired, ends it, and nothing is granted.
        let epoch = self.whole.epoch();
        let (map, now) = (self.map(), self.clock.now());
        let mut valid = Vec::new();
        for member in &map.members {
            let until = member.validity.until();
            if now < until {
                valid.push((member, until));
            } else if member.membership.set_in_use(false) {
                self.whole.revoke();
                member.tier.clear_guarded();
                return false;
            }
        }
        // A reply that was asked for before a master came into use may count until later than that master allows: so its coming
        // ends the epoch.
        let mut has_joined = false;
        for (member, _) in &valid {
            has_joined |= member.membership.join();
        }
        if has_joined {
            self.whole.revoke();
            return false;
        }
        // Reported before the grant, so that a task that waits for the grant then sees the matching health.
        self.report(&map);
        let Some(until) = valid.iter().map(|(_, until)| *until).min() else { return true };
        // Granted first: a read of a master that comes into use finds that the cluster's validity depends on it.
        if self.whole.grant(epoch, until) {
            for (member, _) in &valid {
                member.membership.set_in_use(true);
            }
            let is_all = valid.len() == map.members.len() && map.missing.is_empty();
            self.has_all.send_if_modified(|has_all| std::mem::replace(has_all, is_all) != is_all);
        }
        true
    }

    /// Reports the trouble of the first master that has one.
    fn report(&self, map: &Map) {
        if map.members.is_empty() {
            return;
        }
        let condition = &self.settings.condition;
        let present = map.members.iter().find_map(|member| Some((member, member.condition.present()?)));
        let missing = &map.missing;
        match present {
            Some((member, reason)) => {
                let detail = reason.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
                condition.note(reason.trouble, Some(format!("{}{detail}", member.master.host)));
            }
            None if !missing.is_empty() => {
                condition.note(Trouble::ClusterDown, Some(format!("the slots {missing} have no master")));
            }
            None => condition.note_recovery(),
        }
    }

    /// Reports that no node says which masters there are. The masters that are known stay in use while they are granted.
    pub(super) fn note_unreachable(&self, error: &DialError) {
        if self.map().members.is_empty() {
            let (trouble, detail) = match error {
                DialError::Redis(error) => (trouble::of(error), trouble::words(error)),
                DialError::Unusable(trouble, detail) => (*trouble, detail.clone()),
            };
            self.settings.condition.note(trouble, Some(detail));
        }
    }
}
