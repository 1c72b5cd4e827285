//! The status of a Redis, read in one round trip: its clock, its replication history, and its keys of larder's protocol
//! (certificate, watermark, position, claim).

use bytes::Bytes;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use crate::health::Trouble;
use crate::journal::Position;
use crate::protocol::certificate::RedisTime;
use crate::remote::redis::prefix::Prefix;
use crate::remote::redis::redis_id::RedisId;

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
    /// The position.
    pub(crate) position: Option<Position>,
    /// The claim of the namespace; see `claim`.
    pub(crate) claim: Option<String>,
}

/// Reads the status. `process` is the identity that was read when the connection was opened: a connection stays with
/// one server process.
pub(crate) async fn fetch_status(
    connection: &mut MultiplexedConnection,
    prefix: &Prefix,
    process: &RedisId,
) -> RedisResult<RedisStatus> {
    let mut pipe = redis::pipe();
    // TIME comes first, and Redis keeps the order: so everything that is read is at least as new as the clock says.
    // MGET returns nil for a value of another type, which MARK then replaces.
    pipe.cmd("TIME").cmd("MGET");
    let claim = prefix.claim_key();
    for key in [prefix.certificate_key(), prefix.watermark_key(), prefix.position_key(), claim] {
        pipe.arg(&key[..]);
    }
    pipe.cmd("INFO").arg("replication");
    let (now, [certificate, watermark, position, claim], replication): (
        (u64, u64),
        [Option<Bytes>; 4],
        String,
    ) = pipe.query_async(connection).await?;
    let text = |bytes: Option<Bytes>| String::from_utf8(bytes?.to_vec()).ok();
    Ok(RedisStatus {
        now: RedisTime(now.0.saturating_mul(1_000_000).saturating_add(now.1)),
        redis_id: process.now(&replication),
        certificate,
        watermark: text(watermark).and_then(|text| text.parse().ok()).map(RedisTime),
        position: text(position).map(Position::new),
        claim: claim.map(|claim| String::from_utf8_lossy(&claim).into_owned()),
    })
}

/// Reads the identity of the Redis at the other end of a new connection.
pub(crate) async fn identify(
    connection: &mut MultiplexedConnection,
) -> RedisResult<Result<RedisId, Trouble>> {
    let mut pipe = redis::pipe();
    pipe.cmd("INFO").arg("server").cmd("INFO").arg("replication");
    let (server, replication): (String, String) = pipe.query_async(connection).await?;
    Ok(RedisId::parse(&server, &replication))
}
