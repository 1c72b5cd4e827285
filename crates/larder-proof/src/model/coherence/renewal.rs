//! The renewal of a lease while its load runs: `Engine::renew_or_check` in `engine::load`.

use larder::protocol::rules::ProtocolRule;

use crate::model::coherence::phase::{Phase, Replacement};
use crate::model::coherence::state::{State, key, place, refresh_key};
use crate::model::coherence::{Branch, Coherence};

impl State {
    /// Models `Engine::renew_or_check`. If the lease is gone, the flight leaves its shard, so that no read joins it any
    /// more. Reads that wait for its end decide again.
    pub(super) fn renew(&mut self, model: &Coherence, nth: usize) {
        let (id, lease_key, lease, tags, entry) = match self.readers[nth].phase.clone() {
            Phase::Held { id, lease, tags } | Phase::Loaded { id, lease, tags, .. } => {
                (id, key(), lease, tags, None)
            }
            // RENEW also compares the aged entry: once that is gone, the load can replace nothing, so its lease is
            // useless.
            Phase::Replacing(id, right) | Phase::Replaced(id, right, _) => {
                let Replacement { existing, tags, lease } = right;
                (id, refresh_key(), lease, tags, Some((key(), existing)))
            }
            _ => return,
        };
        self.left.renewals -= 1;
        if !model.rules.keeps(ProtocolRule::RenewsOnlyItsLease) {
            self.redis.set(&lease_key, lease.lease_frame());
        } else if self.redis.renew(&lease_key, lease, &tags, entry.as_ref()) {
            model.take(Branch::Renewed);
        } else {
            model.take(Branch::RenewalRefused);
            let instance = self.readers[nth].instance;
            self.instances[instance].shards[place(&key())].end_flight(&key(), id);
            for read in self.readers.iter_mut().filter(|read| read.instance == instance) {
                if matches!(read.phase, Phase::After(of) if of == id) {
                    read.phase = Phase::Arrived;
                }
            }
        }
    }
}
