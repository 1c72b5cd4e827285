//! The phase of a connection: it decides which time-out applies and how the connection is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

/// A phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No byte was read yet.
    New,
    /// A request has begun, and its head is not complete.
    Head,
    /// A handler is working on a request, and its answer is not ready.
    Request,
    /// The answer is ready, and no byte of it is written.
    Answered,
    /// Every request that was read is answered.
    Idle,
    /// The service has closed its half of the connection.
    Closing,
}

const PHASES: [Phase; 6] =
    [Phase::New, Phase::Head, Phase::Request, Phase::Answered, Phase::Idle, Phase::Closing];

/// The phase of one connection. `Relaxed` suffices, because only the polls of the connection's task read and set it.
/// The fields are atomics because that task may move between threads.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<Parts>);

#[derive(Default)]
struct Parts {
    phase: AtomicU8,
    /// Incremented whenever the time-out of a phase starts.
    beginning: AtomicU32,
    /// The client may still be sending a body that is not read.
    leaves_unread: AtomicBool,
}

impl Progress {
    pub(super) fn get(&self) -> Phase {
        PHASES[usize::from(self.0.phase.load(Ordering::Relaxed))]
    }

    pub(super) fn set(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Sets the phase and starts its time-out.
    fn begin(&self, phase: Phase) {
        self.set(phase);
        self.0.beginning.fetch_add(1, Ordering::Relaxed);
    }

    /// A number that changes whenever the time-out of a phase starts.
    pub(super) fn beginning(&self) -> u32 {
        self.0.beginning.load(Ordering::Relaxed)
    }

    /// Reports that bytes were read.
    pub(super) fn bytes_read(&self) {
        match self.get() {
            // The time-out of the first head started when the connection was opened, so it does not start again.
            Phase::New => self.set(Phase::Head),
            Phase::Idle => self.begin(Phase::Head),
            Phase::Head | Phase::Request | Phase::Answered | Phase::Closing => {}
        }
    }

    /// Reports that bytes are written. If the answer is not ready, they are `100 Continue`, and the phase stays as it
    /// is.
    pub(super) fn bytes_written(&self) {
        if matches!(self.get(), Phase::Answered | Phase::Idle) {
            self.begin(Phase::Idle);
        }
    }

    /// Reports that a body is left unread: the connection must not be reused, and has to be closed in stages.
    pub(super) fn leave_unread(&self) {
        self.0.leaves_unread.store(true, Ordering::Relaxed);
    }

    /// Whether the client may still be sending: a body that is left unread, or the rest of a head that was refused.
    pub(super) fn has_unread(&self) -> bool {
        self.get() == Phase::Head || self.0.leaves_unread.load(Ordering::Relaxed)
    }
}
