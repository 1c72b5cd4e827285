//! The status of a Redis, read in one round trip: its clock, its replication history, and its keys of larder's protocol
//! (certificate, watermark, position, claim).

use bytes::Bytes;
use redis::RedisResult;

use crate::clock::Tick;
use crate::health::Trouble;
use crate::journal::Position;
use crate::protocol::certificate::RedisTime;
use crate::protocol::slots::SlotSet;
use crate::remote::redis::evidence::{Granted, Marks};
use crate::remote::redis::leader::{self, PollChain};
use crate::remote::redis::link::Connection;
use crate::remote::redis::prefix::Prefix;
use crate::remote::redis::redis_id::RedisId;
use crate::remote::redis::topology::Topology;

/// The status of a Redis.
#[derive(Debug)]
pub(crate) struct RedisStatus {
    /// Redis's clock.
    pub(crate) now: RedisTime,
    /// The replication history and the role; `None` if Redis's INFO does not contain them.
    pub(crate) redis_id: Option<RedisId>,
    /// The certificate in this Redis.
    pub(crate) certificate: Option<Bytes>,
    /// The watermark.
    pub(crate) watermark: Option<RedisTime>,
    /// Over REST: the watermark of instances without REST over the same database.
    pub(crate) resp_watermark: Option<RedisTime>,
    /// The position.
    pub(crate) position: Option<Position>,
    /// The claim of the namespace; see `claim`.
    pub(crate) claim: Option<String>,
    /// The slots of this master of a Redis Cluster; `None` for a Redis by itself.
    pub(crate) owned: Option<SlotSet>,
    /// The slots that are being moved to it.
    pub(crate) importing: SlotSet,
}

/// Reads the status. `process` is the identity that was read when the connection was opened: a connection stays with
/// one server process.
pub(crate) async fn fetch_status(
    connection: &mut Connection,
    prefix: &Prefix,
    process: &RedisId,
) -> RedisResult<RedisStatus> {
    if connection.is_rest() {
        return fetch_leader_status(connection, prefix, None).await;
    }
    let mut pipe = redis::pipe();
    // TIME comes first, and Redis keeps the order: so everything that is read is at least as new as the clock says.
    // MGET returns nil for a value of another type, which MARK then replaces.
    pipe.cmd("TIME").cmd("MGET");
    let claim = prefix.claim_key();
    for key in [prefix.certificate_key(), prefix.watermark_key(), prefix.position_key(), claim] {
        pipe.arg(&key[..]);
    }
    pipe.cmd("INFO").arg("replication");
    if prefix.is_in_cluster() {
        pipe.cmd("CLUSTER").arg("NODES");
    }
    type Marks = [Option<Bytes>; 4];
    let (now, [certificate, watermark, position, claim], replication, nodes) = match prefix.is_in_cluster() {
        true => pipe.query_async::<((u64, u64), Marks, String, String)>(connection).await?,
        false => {
            let (now, marks, replication) =
                pipe.query_async::<((u64, u64), Marks, String)>(connection).await?;
            (now, marks, replication, String::new())
        }
    };
    // An answer that cannot be read names no slots, so none is used.
    let nodes = Topology::parse(&nodes);
    let slots = |of: fn(&Topology) -> SlotSet| nodes.as_ref().map_or_else(SlotSet::empty, of);
    Ok(RedisStatus {
        now: instant(now),
        redis_id: process.now(&replication),
        certificate,
        watermark: leader::time(watermark),
        resp_watermark: None,
        position: position_of(position),
        claim: claim.map(|claim| String::from_utf8_lossy(&claim).into_owned()),
        owned: prefix.is_in_cluster().then(|| slots(Topology::own_slots)),
        importing: slots(|nodes| nodes.importing.clone()),
    })
}

/// Reads the status over REST in one step, in which `chain` begins.
pub(super) async fn fetch_leader_status(
    connection: &mut Connection,
    prefix: &Prefix,
    chain: Option<&PollChain>,
) -> RedisResult<RedisStatus> {
    let keys = [
        prefix.certificate_key(),
        prefix.watermark_key(),
        prefix.resp_watermark_key(),
        prefix.position_key(),
        prefix.claim_key(),
    ];
    let (now, [certificate, watermark, resp_watermark, position, claim]): ((u64, u64), [Option<Bytes>; 5]) =
        leader::begin(connection, &keys, chain).await?;
    Ok(RedisStatus {
        now: instant(now),
        redis_id: Some(RedisId::behind_rest()),
        certificate,
        watermark: leader::time(watermark),
        resp_watermark: leader::time(resp_watermark),
        position: position_of(position),
        claim: claim.map(|claim| String::from_utf8_lossy(&claim).into_owned()),
        owned: None,
        importing: SlotSet::empty(),
    })
}

impl RedisStatus {
    /// What a grant up to `until` rests on.
    pub(super) fn granted(&self, is_rest: bool, until: Tick) -> Granted {
        match (&self.certificate, self.watermark, &self.redis_id) {
            (Some(certificate), Some(watermark), _) if is_rest => {
                Granted::Marks { certificate: certificate.clone(), watermark, until }
            }
            (_, _, Some(redis_id)) if !is_rest => Granted::History(redis_id.replid.clone()),
            _ => Granted::Nothing,
        }
    }

    /// The marks that a read over REST has to find.
    pub(super) fn marks(&self) -> Marks {
        Marks {
            certificate: self.certificate.clone(),
            watermark: self.watermark,
            resp_watermark: self.resp_watermark,
        }
    }
}

fn instant((seconds, micros): (u64, u64)) -> RedisTime {
    RedisTime(seconds.saturating_mul(1_000_000).saturating_add(micros))
}

fn position_of(bytes: Option<Bytes>) -> Option<Position> {
    String::from_utf8(bytes?.to_vec()).ok().map(Position::new)
}

/// Reads the identity of the Redis at the other end of a new connection.
pub(crate) async fn identify(connection: &mut Connection) -> RedisResult<Result<RedisId, Trouble>> {
    if connection.is_rest() {
        return Ok(Ok(RedisId::behind_rest()));
    }
    let mut pipe = redis::pipe();
    pipe.cmd("INFO").arg("server").cmd("INFO").arg("replication");
    let (server, replication): (String, String) = pipe.query_async(connection).await?;
    Ok(RedisId::parse(&server, &replication, connection.is_in_cluster()))
}
