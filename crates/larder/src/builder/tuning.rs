//! The setting of tuning.

use std::sync::Arc;

use crate::builder::Builder;
use crate::clock::Clock;
use crate::engine::AbortOnDrop;
use crate::engine::registry::Registry;
use crate::engine::tuner::Tuner;
use crate::event_sender::EventSender;
use crate::local::LocalTier;
use crate::tuning::{Tuning, TuningMode};

impl Builder {
    /// Watches a sample of the keys, at most one in 16, and finds out what other settings would save:
    /// [`Cache::advice`](crate::Cache::advice). With [`Tuning::apply`] the cache also changes by itself which share of a
    /// class's values its memory admits, and the TTLs of classes that
    /// [allow it](crate::class::ClassBuilder::tune_ttl_up_to); each change is logged and can be
    /// [undone](crate::Cache::undo_tuning). It takes a hundredth of the [budget](Builder::memory_bytes) beside it, at least
    /// 256 KiB. Default: [`Tuning::off`].
    pub fn tuning(self, tuning: Tuning) -> Self {
        Builder { tuning, ..self }
    }

    /// Starts the tuner, if tuning is on.
    pub(super) fn tuner(
        &self,
        local: &Arc<LocalTier>,
        classes: &Arc<Registry>,
        (clock, events): (&Clock, &Arc<EventSender>),
        tasks: &mut Vec<AbortOnDrop>,
    ) -> Option<Arc<Tuner>> {
        if self.tuning.mode() == TuningMode::Off {
            return None;
        }
        let (memory, classes) = ((local.clone(), self.memory_bytes), (classes.clone(), self.has_redis()));
        let (tuner, task) = Tuner::start(self.tuning, memory, classes, (clock.clone(), events.clone()));
        tasks.push(task);
        Some(tuner)
    }
}
