//! A TCP proxy in front of a server. Its links can be stalled, cut, delayed and redirected.
//!
//! Invariant: as in TCP, no byte of an open connection is lost, duplicated or reordered; a fault delays bytes or ends
//! the connection.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::ports::{boot_on, free_port};

/// A TCP proxy on 127.0.0.1. A drop ends its links.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The state of the links. One lock guards it, so that a change takes effect for all links at once.
struct State {
    target: u16,
    mode: Mode,
    /// The additional delay of each direction.
    delay: Duration,
    links: Vec<TcpStream>,
    ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Open,
    Stalled { requests: bool },
    Cut,
}

/// The direction of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Requests,
    Replies,
}

/// The instant at which bytes came, and the bytes; no bytes mean the end of the connection.
type Parcel = (Instant, Vec<u8>);

/// The most parcels that one direction buffers. While the buffer is full, the sender waits, as with TCP.
const ON_THEIR_WAY: usize = 64;

impl Mode {
    fn holds(self, way: Way) -> bool {
        match self {
            Mode::Open | Mode::Cut => false,
            Mode::Stalled { requests } => requests || way == Way::Replies,
        }
    }
}

impl Proxy {
    /// Listens on a free port and forwards to `target`, a port on 127.0.0.1 on which no server need listen yet.
    ///
    /// # Errors
    ///
    /// If no port is free.
    pub fn start(target: u16) -> Result<Self> {
        let listen = |port| Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?);
        let listener = boot_on(free_port, listen).context("opening a proxy's port")?;
        let port = listener.local_addr()?.port();
        let state =
            State { target, mode: Mode::Open, delay: Duration::ZERO, links: Vec::new(), ended: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let accepting = shared.clone();
        thread::spawn(move || accept(&listener, &accepting));
        Ok(Proxy { port, shared })
    }

    /// The port that the proxy listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops all bytes in both directions. Connections stay open, and the proxy accepts new ones. Bytes that are sent
    /// meanwhile pass after [`heal`](Self::heal).
    pub fn stall(&self) {
        self.set(Mode::Stalled { requests: true });
    }

    /// As [`stall`](Self::stall), but requests still reach the server: it executes them, and no reply reaches the
    /// client.
    pub fn stall_replies(&self) {
        self.set(Mode::Stalled { requests: false });
    }

    /// Ends every connection, and every new one, until [`heal`](Self::heal).
    pub fn cut(&self) {
        self.set(Mode::Cut);
        self.end_links();
    }

    /// Delays every byte by this time in each direction. Bytes in flight do not add to the delay of the bytes after
    /// them. The kernel's timers add about 0.1 ms.
    pub fn delay(&self, delay: Duration) {
        self.shared.lock().delay = delay;
        self.shared.changed.notify_all();
    }

    /// Ends all faults: everything passes again at once.
    pub fn heal(&self) {
        self.delay(Duration::ZERO);
        self.set(Mode::Open);
    }

    /// Ends every connection. The proxy forwards new ones to `target`.
    pub fn redirect(&self, target: u16) {
        self.shared.lock().target = target;
        self.end_links();
    }

    fn set(&self, mode: Mode) {
        self.shared.lock().mode = mode;
        self.shared.changed.notify_all();
    }

    fn end_links(&self) {
        for link in self.shared.lock().links.drain(..) {
            // An error means that the link has already ended.
            let _ = link.shutdown(Shutdown::Both);
        }
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.end_links();
        // Connect once, so that the accepting thread wakes, sees `ended` and returns.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until bytes that came at `came` may pass in this direction.
    fn wait(&self, way: Way, came: Instant) {
        let mut state = self.lock();
        while !state.ended {
            let early = (came + state.delay).saturating_duration_since(Instant::now());
            state = if state.mode.holds(way) {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else if early.is_zero() {
                return;
            } else {
                self.changed.wait_timeout(state, early).unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming().flatten() {
        if shared.lock().ended {
            return;
        }
        // If the server refuses the connection, the client's connection is dropped here.
        let _ = link(client, shared);
    }
}

/// Opens a connection to the server for a client's connection, and forwards the bytes of both.
fn link(client: TcpStream, shared: &Arc<Shared>) -> Result<()> {
    let (target, mode) = {
        let state = shared.lock();
        (state.target, state.mode)
    };
    if mode == Mode::Cut {
        return Ok(());
    }
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ends = [client.try_clone()?, server.try_clone()?];
    {
        let mut state = shared.lock();
        // Check again under the lock: the proxy may have been cut or redirected since the first check.
        if state.mode == Mode::Cut || state.target != target {
            return Ok(());
        }
        state.links.extend(ends);
    }
    let (back_from, back_to) = (server.try_clone()?, client.try_clone()?);
    for (way, from, to) in [(Way::Requests, client, server), (Way::Replies, back_from, back_to)] {
        let (shared, reading) = (shared.clone(), from.try_clone()?);
        let (sender, parcels) = sync_channel(ON_THEIR_WAY);
        thread::spawn(move || collect(reading, &sender));
        thread::spawn(move || deliver(&shared, way, &parcels, &from, to));
    }
    Ok(())
}

/// Reads new bytes while earlier bytes are still delayed.
fn collect(mut from: TcpStream, sender: &SyncSender<Parcel>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if sender.send((Instant::now(), buffer[..count].to_vec())).is_err() {
            return;
        }
    }
    // Send the end like bytes, so that a stalled link also delays it. An error means that the link has ended.
    let _ = sender.send((Instant::now(), Vec::new()));
}

fn deliver(shared: &Shared, way: Way, parcels: &Receiver<Parcel>, from: &TcpStream, mut to: TcpStream) {
    for (came, bytes) in parcels {
        shared.wait(way, came);
        if bytes.is_empty() || to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
}
