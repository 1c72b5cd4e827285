//! What a tier needs that is a master of a Redis Cluster.

use std::time::Instant;

use bytes::Bytes;
use redis::RedisResult;

use crate::protocol::slots::{SlotSet, slot_of};
use crate::remote::redis::RedisTier;
use crate::remote::redis::commands::minted;
use crate::remote::redis::connection::{Unlinked, sweep_slots, unlink_each};
use crate::remote::redis::link::Connection;
use crate::remote::redis::prefix::DatabaseIdentity;
use crate::remote::redis::topology::{self, Topology};
use crate::remote::redis::trouble;
use crate::remote::{Fault, Listener as _, Mint};

impl RedisTier {
    /// The names of `keys` in Redis, if they may be read there and written for reads.
    pub(super) fn names<'a>(&self, keys: impl IntoIterator<Item = &'a Bytes>) -> Result<Vec<Bytes>, Fault> {
        let names = self.prefixes.usable()?.add_to_all(keys);
        let Some(membership) = &self.membership else { return Ok(names) };
        let usable = membership.usable();
        match membership.is_in_use() && names.iter().all(|name| usable.contains(slot_of(name))) {
            true => Ok(names),
            false => Err(Fault::Refused),
        }
    }

    pub(super) fn name(&self, key: &Bytes) -> Result<Bytes, Fault> {
        self.names([key]).map(|mut names| names.remove(0))
    }

    /// Sets the tokens of `mint` whose tags have none; returns the present frame of each.
    pub(crate) async fn mint(&self, mint: &Mint) -> Result<Vec<Bytes>, Fault> {
        self.names(mint.tags.iter().map(|(tag, _)| tag.to_bytes()).collect::<Vec<_>>().iter())?;
        let frames = minted(&self.prefix(), &mint.tags);
        let none = async { Ok(Bytes::new()) };
        self.set_and_mint(none, (&frames, mint.ttl)).await.map(|reply| reply.minted)
    }

    /// Deletes those of `keys` that this master has.
    pub(crate) async fn unlink_each(&self, keys: &[Bytes]) -> Result<Unlinked, Fault> {
        let (names, mut connection) = (self.prefixes.usable()?.add_to_all(keys), self.connection()?);
        unlink_each(&mut connection, &names).await.map_err(trouble::fault)
    }

    /// Since when the database behind this Redis has been known, so that keys have their names; `None` if it is not.
    pub(crate) fn knows_database_since(&self) -> Option<Instant> {
        let prefix = self.prefixes.present();
        (prefix.identity != DatabaseIdentity::Unknown).then_some(prefix.since)
    }

    /// Takes over which database `other` knows. Its relay asks for itself all the same.
    pub(crate) fn learn_database_of(&self, other: &RedisTier) {
        if other.knows_database_since().is_some() {
            self.prefixes.set_identity(other.prefixes.present().identity.clone());
        }
    }

    /// Deletes the entries in `slots` at the node of `connection`: a node that owns no slot yet, and is importing these.
    pub(crate) async fn sweep_at(&self, connection: &mut Connection, slots: &SlotSet) -> RedisResult<u64> {
        sweep_slots(connection, &self.prefix(), slots).await
    }

    /// Removes from memory what this Redis guards.
    pub(crate) fn clear_guarded(&self) {
        self.prefixes.clear_guarded();
    }

    /// What this node of a Redis Cluster says of the cluster.
    pub(crate) async fn topology(&self) -> Result<Topology, Fault> {
        let ask = |mut connection: Connection| async move { topology::ask(&mut connection).await };
        self.untracked_pool.ask(ask).await
    }
}
