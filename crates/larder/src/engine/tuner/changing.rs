//! What the tuner may change, and how a change is made, reported and undone.

use crate::clock::Tick;
use crate::engine::registry::ClassState;
use crate::engine::tuner::{Classes, State, Tuner};
use crate::events::Event;
use crate::local::admissions::Admission;
use crate::local::samples::CLASS_OTHER;
use crate::tuning::changes::{Tuned, TuningChange};

impl Tuner {
    /// Whether memory may admit another share of the class's values. With Redis a class without it is left alone: its misses
    /// are loads, and those of the other classes are mostly reads of Redis, so they cannot be weighed by their number.
    pub(super) fn may_admit_less(&self, state: &State, name: &str, class: &ClassState) -> bool {
        let is_alike = !self.has_redis || !class.declaration.shown.is_memory_only;
        is_alike && may_tune(state, name, class, "admission")
    }

    /// Doubles the TTLs that end entries in use, within what their classes allow.
    pub(super) fn raise_ttls(&self, state: &mut State, classes: &Classes, now: Tick) {
        for (name, class) in classes {
            let Some(ttl_max) = class.declaration.limits.ttl_max else { continue };
            let (nth, before) = (usize::from(class.number), class.present_ttl());
            let after = before.saturating_mul(2).min(ttl_max);
            let counts = state.counts[nth];
            // The entries of the former TTL have to end before the present one can be judged.
            let is_judged = now.since(counts.ttl_since) >= before;
            if after <= before || !is_judged || !may_tune(state, name, class, "ttl") {
                continue;
            }
            let Some(share) = self.evidence_of(state, name, class).expired_share() else { continue };
            // A TTL that the application has set is not replaced.
            if class.set_ttl_after(counts.ttl_set, after) {
                (state.counts[nth].ttl_since, state.counts[nth].ttl_set) = (now, Some(after));
                state.sims.forget_expired(class.number);
                let reason = format!("{:.1} % of the class's loads had no cause but the TTL", 100.0 * share);
                self.note(state, name, Tuned::Ttl { before, after }, reason);
            }
        }
    }

    /// Records, logs and reports a change.
    pub(super) fn note(&self, state: &mut State, class: &str, tuned: Tuned, reason: String) {
        let (class, at_unix_millis) = (class.to_owned(), self.clock.unix_millis());
        let change = TuningChange { id: 0, class, tuned, reason, at_unix_millis, is_undone: false };
        let change = state.changes.add(change);
        tracing::info!(id = change.id, class = change.class, change = %tuned, reason = change.reason, "tuned");
        self.report(&change.class, tuned, change.reason);
    }

    fn report(&self, class: &str, tuned: Tuned, reason: String) {
        self.events.send(|_| Event::Tuned { class: class.to_owned(), change: tuned.to_string(), reason });
    }

    /// Undoes a change. Its setting is not tuned again.
    pub(crate) fn undo(&self, id: u64) -> Result<TuningChange, String> {
        let mut state = self.lock();
        let state = &mut *state;
        let change = state.changes.last_of_its_setting(id)?;
        let classes = self.classes.all();
        if let Some((_, class)) = classes.iter().find(|(name, _)| *name == change.class) {
            match change.tuned {
                Tuned::Admission { before, .. } => {
                    self.local.admissions.set(class.number, Admission::at_least_one_in(before));
                }
                Tuned::Ttl { before, after } if !class.set_ttl_after(Some(after), before) => {
                    return Err(format!(
                        "the TTL of {} was set to {:?} after change {id}, which stays as it is",
                        change.class,
                        class.present_ttl()
                    ));
                }
                Tuned::Ttl { before, .. } => {
                    state.counts[usize::from(class.number)].ttl_set = Some(before);
                }
            }
        }
        let change = state.changes.undo(change);
        self.begin_round(state, &classes);
        let undo = change.tuned.reversed();
        tracing::info!(id, class = change.class, change = %undo, "tuning undone");
        self.report(&change.class, undo, format!("change {id} is undone"));
        Ok(change)
    }
}

/// Whether a setting of a class may be changed. The refreshes of a class whose entries age would count as misses, and what
/// ends their TTL is no loss; what its class says is fixed, and what was undone, stays.
fn may_tune(state: &State, name: &str, class: &ClassState, setting: &'static str) -> bool {
    let is_fixed = class.declaration.limits.is_fixed || class.is_aging();
    class.number != CLASS_OTHER && !is_fixed && !state.changes.is_held(name, setting)
}
