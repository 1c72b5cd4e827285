//! What a Redis says of itself, in one round trip: its clock, its history, and what it carries for the protocol.

use bytes::Bytes;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use crate::health::Trouble;
use crate::journal::Position;
use crate::protocol::certificate::RedisTime;
use crate::remote::redis::prefix::Prefix;
use crate::remote::redis::redis_id::RedisId;

/// The answer.
#[derive(Debug)]
pub(crate) struct RedisStatus {
    /// Redis's clock.
    pub(crate) now: RedisTime,
    /// The history and the role, as Redis names them; `None` when its answer cannot be read.
    pub(crate) redis_id: Option<RedisId>,
    /// The certificate that it carries.
    pub(crate) live: Option<Bytes>,
    /// The watermark.
    pub(crate) watermark: Option<RedisTime>,
    /// The position.
    pub(crate) position: Option<Position>,
    /// Who uses the namespace; see `claim`.
    pub(crate) claim: Option<String>,
}

/// Asks. `process` is who it was when the connection was made: a connection leads to one process only.
pub(crate) async fn fetch_status(
    connection: &mut MultiplexedConnection,
    prefix: &Prefix,
    process: &RedisId,
) -> RedisResult<RedisStatus> {
    let mut pipe = redis::pipe();
    // The clock first: what else is read is then no older than it says.
    // MGET takes a value of another type for none, which MARK then replaces.
    pipe.cmd("TIME").cmd("MGET");
    let claim = prefix.claim_key();
    for key in [prefix.certificate_key(), prefix.watermark_key(), prefix.position_key(), claim] {
        pipe.arg(&key[..]);
    }
    pipe.cmd("INFO").arg("replication");
    let (now, [live, watermark, position, claim], replication): ((u64, u64), [Option<Bytes>; 4], String) =
        pipe.query_async(connection).await?;
    let text = |bytes: Option<Bytes>| String::from_utf8(bytes?.to_vec()).ok();
    Ok(RedisStatus {
        now: RedisTime(now.0.saturating_mul(1_000_000).saturating_add(now.1)),
        redis_id: process.now(&replication),
        live,
        watermark: text(watermark).and_then(|text| text.parse().ok()).map(RedisTime),
        position: text(position).map(Position::new),
        claim: claim.map(|claim| String::from_utf8_lossy(&claim).into_owned()),
    })
}

/// Asks a new connection who is at its other end.
pub(crate) async fn identify(
    connection: &mut MultiplexedConnection,
) -> RedisResult<Result<RedisId, Trouble>> {
    let mut pipe = redis::pipe();
    pipe.cmd("INFO").arg("server").cmd("INFO").arg("replication");
    // Every read asks for it: where an ACL forbids it, that had better be known now.
    pipe.cmd("ROLE").ignore();
    let (server, replication): (String, String) = pipe.query_async(connection).await?;
    Ok(RedisId::parse(&server, &replication))
}
