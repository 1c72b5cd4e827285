//! How far a connection is: what its time-outs and its end depend on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

/// A phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No byte was read yet.
    New,
    /// A request has begun, and its head is not complete.
    Head,
    /// A request is being answered, and no answer is there yet.
    Request,
    /// The answer is there, and no byte of it is written.
    Answered,
    /// Every request that was read is answered.
    Idle,
    /// Our half is closed.
    Closing,
}

const PHASES: [Phase; 6] =
    [Phase::New, Phase::Head, Phase::Request, Phase::Answered, Phase::Idle, Phase::Closing];

/// The phase of one connection. It is read and set only within the polls of the connection's task, so that `Relaxed` suffices:
/// atomics are used because the task may move between threads.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<Parts>);

#[derive(Default)]
struct Parts {
    phase: AtomicU8,
    /// Raised whenever the time of a phase begins.
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

    /// Sets the phase and begins its time.
    fn begin(&self, phase: Phase) {
        self.set(phase);
        self.0.beginning.fetch_add(1, Ordering::Relaxed);
    }

    /// Differs from an earlier value if the time of a phase has begun since.
    pub(super) fn beginning(&self) -> u32 {
        self.0.beginning.load(Ordering::Relaxed)
    }

    /// Bytes were read.
    pub(super) fn bytes_read(&self) {
        match self.get() {
            // The time of the first head runs since the connection was opened.
            Phase::New => self.set(Phase::Head),
            Phase::Idle => self.begin(Phase::Head),
            Phase::Head | Phase::Request | Phase::Answered | Phase::Closing => {}
        }
    }

    /// Bytes are written. Before the answer is there, they call the client to send its body.
    pub(super) fn bytes_written(&self) {
        if matches!(self.get(), Phase::Answered | Phase::Idle) {
            self.begin(Phase::Idle);
        }
    }

    /// A body is left unread: the connection must not be reused, and has to be closed in stages.
    pub(super) fn leave_unread(&self) {
        self.0.leaves_unread.store(true, Ordering::Relaxed);
    }

    /// Whether a close now could meet bytes that were not read: of a body, or of a head that was refused.
    pub(super) fn has_unread(&self) -> bool {
        self.get() == Phase::Head || self.0.leaves_unread.load(Ordering::Relaxed)
    }
}
