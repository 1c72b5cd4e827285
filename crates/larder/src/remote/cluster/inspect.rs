//! Inspection of a cluster: of each key at its master, and of all masters one after another.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;

use crate::remote::cluster::ClusterTier;
use crate::remote::{Fault, Inspect, InspectedFrame};

#[async_trait]
impl Inspect for ClusterTier {
    /// Of the first master that answers.
    async fn about(&self) -> Result<(String, Duration), Fault> {
        for member in &self.supervisor.map().members {
            if let Ok(about) = member.tier.about().await {
                return Ok(about);
            }
        }
        Err(Fault::Away)
    }

    /// A cursor is that of one master, times the number of masters, plus the index of that master. If a master comes or goes
    /// during a search, the search may miss keys, as it may of a Redis that is replaced.
    async fn scan(&self, pattern: &str, cursor: u64, count: usize) -> Result<(u64, Vec<Bytes>), Fault> {
        let map = self.supervisor.map();
        let masters = map.members.len() as u64;
        let index = cursor.checked_rem(masters).ok_or(Fault::Away)?;
        let member =
            usize::try_from(index).ok().and_then(|index| map.members.get(index)).ok_or(Fault::Away)?;
        let (next, keys) = member.tier.scan(pattern, cursor / masters, count).await?;
        let next = match next {
            0 if index + 1 == masters => 0,
            0 => index + 1,
            next => {
                next.checked_mul(masters).and_then(|next| next.checked_add(index)).ok_or(Fault::Refused)?
            }
        };
        Ok((next, keys))
    }

    async fn exist(&self, keys: &[Bytes]) -> Result<Vec<bool>, Fault> {
        let map = self.supervisor.map();
        let (parts, ownerless) = map.split(keys);
        if !ownerless.is_empty() {
            return Err(Fault::Away);
        }
        let answers = try_join_all(parts.iter().map(|part| part.member.tier.exist(&part.keys)));
        let mut found = vec![false; keys.len()];
        for (part, answers) in parts.iter().zip(answers.await?) {
            part.places.iter().zip(answers).for_each(|(place, answer)| found[*place] = answer);
        }
        Ok(found)
    }

    async fn look(&self, keys: &[Bytes]) -> Result<Vec<Option<InspectedFrame>>, Fault> {
        let map = self.supervisor.map();
        let (parts, ownerless) = map.split(keys);
        if !ownerless.is_empty() {
            return Err(Fault::Away);
        }
        let answers = try_join_all(parts.iter().map(|part| part.member.tier.look(&part.keys)));
        let mut found: Vec<Option<InspectedFrame>> = keys.iter().map(|_| None).collect();
        for (part, answers) in parts.iter().zip(answers.await?) {
            part.places.iter().zip(answers).for_each(|(place, answer)| found[*place] = answer);
        }
        Ok(found)
    }
}
