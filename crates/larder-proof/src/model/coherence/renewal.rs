//! The renewal of a lease while its load runs: `Engine::can_store` in `engine::load`.

use larder::protocol::rules::ProtocolRule;

use crate::model::coherence::state::{Phase, State, key, place};
use crate::model::coherence::{Branch, Coherence};

impl State {
    /// Models `Engine::can_store`. A flight whose lease is gone leaves the table: reads that wait for it decide again.
    pub(super) fn renew(&mut self, model: &Coherence, nth: usize) {
        let (Phase::Held { id, lease, tags } | Phase::Loaded { id, lease, tags, .. }) =
            self.readers[nth].phase.clone()
        else {
            return;
        };
        self.left.renewals -= 1;
        if !model.rules.keeps(ProtocolRule::RenewsOnlyItsLease) {
            self.redis.set(&key(), lease.lease_frame());
        } else if self.redis.renew(&key(), lease, &tags) {
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
