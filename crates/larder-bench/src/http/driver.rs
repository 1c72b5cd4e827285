//! Sends requests on many connections: as fast as the server answers, or at a rate (an open loop).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, Zipf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, yield_now};

use crate::quantiles::Times;

/// How the requests of a kind are distributed: a few are frequent.
const EXPONENT: f64 = 0.99;

/// Connections to one server, and the requests that they send.
pub(super) struct Load {
    requests: Arc<[Vec<u8>]>,
    connections: Vec<Connection>,
}

/// What was measured in one span.
pub(super) struct Drive {
    elapsed: Duration,
    times: Times,
}

struct Connection {
    stream: TcpStream,
    luck: StdRng,
    received: Vec<u8>,
}

/// When the requests of an open loop are due: one after the other, at equal distances.
struct Schedule {
    begun: Instant,
    distance: Duration,
    next: AtomicU64,
}

impl Load {
    pub(super) async fn connect(
        address: SocketAddr,
        requests: Vec<Vec<u8>>,
        connections: u16,
    ) -> Result<Self> {
        let mut opened = Vec::new();
        for number in 0..connections {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let luck = StdRng::seed_from_u64(number.into());
            opened.push(Connection { stream, luck, received: vec![0; 64 * 1024] });
        }
        Ok(Self { requests: requests.into(), connections: opened })
    }

    /// Sends requests for `span`. Without a rate, each connection sends its next request when it has its answer.
    /// With one, in requests a second, a request is due at its time, and its time counts from then on.
    pub(super) async fn drive(&mut self, span: Duration, rate: Option<f64>) -> Result<Drive> {
        let begun = Instant::now();
        let schedule = rate.map(|rate| {
            Arc::new(Schedule {
                begun,
                distance: Duration::from_secs_f64(1.0 / rate),
                next: AtomicU64::new(0),
            })
        });
        let popular = Zipf::new(self.requests.len() as f64, EXPONENT)?;
        let mut running = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let (requests, schedule) = (self.requests.clone(), schedule.clone());
            running.spawn(async move {
                let mut times = Times::new()?;
                while begun.elapsed() < span {
                    let due = match &schedule {
                        Some(schedule) => schedule.wait().await,
                        None => Instant::now(),
                    };
                    let picked = popular.sample(&mut connection.luck) as usize - 1;
                    connection.exchange(&requests[picked]).await?;
                    times.record(due.elapsed());
                }
                anyhow::Ok((connection, times))
            });
        }
        let mut times = Times::new()?;
        while let Some(ended) = running.join_next().await {
            let (connection, own) = ended??;
            self.connections.push(connection);
            times.add(&own)?;
        }
        Ok(Drive { elapsed: begun.elapsed(), times })
    }
}

impl Drive {
    pub(super) fn per_second(&self) -> f64 {
        self.times.count() as f64 / self.elapsed.as_secs_f64()
    }

    pub(super) fn p99_ms(&self) -> f64 {
        self.times.quantiles().p99
    }
}

impl Schedule {
    /// Waits for the next request's time, and returns it.
    async fn wait(&self) -> Instant {
        // Relaxed: the number only has to be given once.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = self.begun + self.distance.mul_f64(number as f64);
        // A timer of tokio is exact to a millisecond, which is too coarse; this process has its core to itself.
        while Instant::now() < due {
            yield_now().await;
        }
        due
    }
}

impl Connection {
    /// Sends a request and reads its answer, which must be a 200 with a `Content-Length`.
    async fn exchange(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).await?;
        let (mut length, mut wanted) = (0, None);
        while wanted.is_none_or(|wanted| length < wanted) {
            ensure!(length < self.received.len(), "an answer is larger than 64 KiB");
            let read = self.stream.read(&mut self.received[length..]).await?;
            ensure!(read > 0, "the server closed the connection");
            length += read;
            if wanted.is_none() {
                wanted = answer_bytes(&self.received[..length])?;
            }
        }
        ensure!(wanted == Some(length), "the server sent more than one answer");
        Ok(())
    }
}

/// The size of the answer that begins with these bytes; `None` if its head is not complete.
fn answer_bytes(received: &[u8]) -> Result<Option<usize>> {
    const LENGTH: &[u8] = b"content-length: ";
    let Some(head) = received.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = &received[..head];
    ensure!(
        text.starts_with(b"HTTP/1.1 200 "),
        "an answer is {}",
        String::from_utf8_lossy(&text[..text.len().min(30)])
    );
    let mut lines = text.split(|byte| *byte == b'\n');
    let value = lines.find_map(|line| {
        let (name, value) = line.split_at_checked(LENGTH.len())?;
        name.eq_ignore_ascii_case(LENGTH).then_some(value)
    });
    let value = std::str::from_utf8(value.context("an answer without `Content-Length`")?)?;
    Ok(Some(head + 4 + value.trim().parse::<usize>()?))
}
