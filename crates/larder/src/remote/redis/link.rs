//! A connection to Redis, whatever carries the commands: the protocol of Redis clients, or HTTP.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisFuture, Value};

#[cfg(feature = "upstash")]
use crate::remote::redis::rest::RestConnection;

#[derive(Clone)]
pub(crate) enum Connection {
    Resp(MultiplexedConnection),
    /// To a master of a Redis Cluster. It refuses a command on keys of several slots.
    Member(MultiplexedConnection),
    #[cfg(feature = "upstash")]
    Rest(RestConnection),
}

impl Connection {
    /// Whether the commands go over HTTP. Then there is no connection to one server process: each command may reach another
    /// one, only a script surely reaches the leader, and no server names itself. See `leader`.
    pub(crate) fn is_rest(&self) -> bool {
        match self {
            Connection::Resp(_) | Connection::Member(_) => false,
            #[cfg(feature = "upstash")]
            Connection::Rest(_) => true,
        }
    }

    pub(crate) fn is_in_cluster(&self) -> bool {
        matches!(self, Connection::Member(_))
    }

    /// The most keys of one command, of `most` that larder wants.
    pub(crate) fn keys_at_once(&self, most: usize) -> usize {
        if self.is_in_cluster() { 1 } else { most }
    }

    /// The most bytes that Redis stores for a value of `bytes` bytes.
    pub(crate) fn stored_bytes(&self, bytes: u64) -> u64 {
        // Over HTTP, half of the bytes take two.
        if self.is_rest() { bytes.saturating_mul(2) } else { bytes }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Connection::Resp(connection) | Connection::Member(connection) => {
                connection.req_packed_command(command)
            }
            #[cfg(feature = "upstash")]
            Connection::Rest(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Connection::Resp(connection) | Connection::Member(connection) => {
                connection.req_packed_commands(pipeline, offset, count)
            }
            #[cfg(feature = "upstash")]
            Connection::Rest(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Connection::Resp(connection) | Connection::Member(connection) => connection.get_db(),
            #[cfg(feature = "upstash")]
            Connection::Rest(connection) => connection.get_db(),
        }
    }
}
