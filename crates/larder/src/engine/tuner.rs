//! Takes the samples of memory ten times a second, runs the simulations, and changes settings if it may.
//!
//! Invariants:
//! - With [`TuningMode::Off`] there is no tuner, no key is sampled, and every value is admitted.
//! - A setting leaves neither the limits of the cache nor those of its class, and what the application has set itself is
//!   never replaced; see `changing`.
//! - The tuner takes at most a hundredth of the memory budget, but at least [`MEMORY_MIN`] and at most [`MEMORY_MAX`].

mod changing;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use crate::clock::{Clock, Tick};
use crate::engine::registry::{ClassState, Registry};
use crate::engine::{AbortOnDrop, ClassCore, Engine};
use crate::event_sender::EventSender;
use crate::local::LocalTier;
use crate::local::admissions::Admission;
use crate::local::samples::{CLASS_OTHER, CLASSES_MAX, SAMPLES_MAX, Sample, SampleKind};
use crate::tuning::MissRatioCurve;
use crate::tuning::advice::Advice;
use crate::tuning::advising::{AdmissionAdvice, ClassEvidence, Evidence};
use crate::tuning::changes::{Changes, Tuned, TuningChange};
use crate::tuning::curve::{self, Counted};
use crate::tuning::limits::{Tuning, TuningMode};
use crate::tuning::sims::{Alternative, Shares, Sims};
use crate::tuning::window::FADE;

/// The largest share of the keys that is sampled: one in 16. A sampled hit takes some 30 ns more, so a hit takes 2 ns more
/// on average.
const THRESHOLD_MAX: u32 = 1 << 28;
/// The interval of the samples. With [`SAMPLES_MAX`] it bounds the work: about ten thousand samples a second.
const INTERVAL: Duration = Duration::from_millis(100);
/// The tuner takes a hundredth of the budget, and may take so much of a small one: 256 KiB.
const MEMORY_MIN: u64 = 256 << 10;
/// It takes no more than so much of a large one: to halve the sample, which copies the simulations, holds the tuner's lock.
const MEMORY_MAX: u64 = 4 << 20;
/// A round ends after so many sampled reads, if they show enough misses; at the latest after sixteen times as many.
const ROUND_READS: u64 = 1_024;
const ROUND_MISSES: u64 = 256;
/// The hysteresis: a change has to save so large a share of the loads.
const SAVING_MIN: f64 = 0.04;
/// For so many classes, those that take most memory, other settings are simulated.
const CLASSES_SIMULATED: usize = 4;

pub(crate) struct Tuner {
    settings: Tuning,
    budget: u64,
    local: Arc<LocalTier>,
    classes: Arc<Registry>,
    has_redis: bool,
    clock: Clock,
    events: Arc<EventSender>,
    /// Held while samples are applied, for a millisecond or two. No read takes it.
    state: Mutex<State>,
}

struct State {
    sims: Sims,
    changes: Changes,
    spare: Vec<Sample>,
    samples: u64,
    began: Tick,
    /// By the number of the class.
    counts: Vec<ClassCounts>,
    /// The class of which the last round's simulations would have admitted another share.
    suspected: Option<u16>,
    /// What the last round advised.
    admission: Option<AdmissionAdvice>,
}

/// What a class's counters have shown.
#[derive(Clone, Copy)]
struct ClassCounts {
    /// The counters when they were read last.
    hits_before: u64,
    offers_before: u64,
    /// Sums that fade as those of the simulations.
    hits: f64,
    offers: f64,
    /// When the TTL was changed last, or the tuner began.
    ttl_since: Tick,
    /// The TTL that the tuner has set last.
    ttl_set: Option<Duration>,
}

type Classes = Vec<(String, Arc<ClassState>)>;

impl Tuner {
    /// Begins to sample.
    pub(super) fn new(
        settings: Tuning,
        (local, budget): (Arc<LocalTier>, u64),
        (classes, has_redis): (Arc<Registry>, bool),
        (clock, events): (Clock, Arc<EventSender>),
    ) -> Tuner {
        let began = clock.now();
        let none = ClassCounts {
            hits_before: 0,
            offers_before: 0,
            hits: 0.0,
            offers: 0.0,
            ttl_since: began,
            ttl_set: None,
        };
        let state = State {
            sims: Sims::new(budget, THRESHOLD_MAX, [Admission::ALL; CLASSES_MAX]),
            changes: Changes::of_this_process(),
            spare: Vec::with_capacity(SAMPLES_MAX),
            samples: 0,
            began,
            counts: vec![none; CLASSES_MAX],
            suspected: None,
            admission: None,
        };
        local.samples.set_threshold(THRESHOLD_MAX);
        let state = Mutex::new(state);
        Tuner { settings, budget, local, classes, has_redis, clock, events, state }
    }

    /// Begins to sample, and starts the task that takes the samples.
    pub(crate) fn start(
        settings: Tuning,
        memory: (Arc<LocalTier>, u64),
        classes: (Arc<Registry>, bool),
        reporting: (Clock, Arc<EventSender>),
    ) -> (Arc<Tuner>, AbortOnDrop) {
        let tuner = Arc::new(Tuner::new(settings, memory, classes, reporting));
        let ticking = tuner.clone();
        let task = AbortOnDrop::start(async move {
            let mut ticks = interval(INTERVAL);
            // A late tick is not made up for: the samples of the time between were dropped.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                ticking.tick();
            }
        });
        (tuner, task)
    }

    pub(crate) fn mode(&self) -> TuningMode {
        self.settings.mode()
    }

    /// Applies the samples that were taken since the last tick.
    pub(crate) fn tick(&self) {
        let mut state = self.lock();
        let state = &mut *state;
        let mut taken = self.local.samples.take(std::mem::take(&mut state.spare));
        let (now, classes) = (self.clock.now(), self.classes.all());
        let offers = self.count_reads(state, &classes);
        let seen = taken.samples.len() as u64 + taken.dropped;
        // Those of the classes whose offers are counted.
        let is_fill =
            |sample: &&Sample| matches!(sample.kind, SampleKind::Filled(_)) && sample.class != CLASS_OTHER;
        let fills = taken.samples.iter().filter(is_fill).count();
        state.sims.note_real(
            offers,
            fills,
            if seen == 0 { 1.0 } else { taken.samples.len() as f64 / seen as f64 },
        );
        if taken.was_cleared {
            state.sims.clear();
        }
        let before = state.sims.round_reads();
        taken.samples.iter().for_each(|sample| state.sims.apply(sample, now));
        state.samples += state.sims.round_reads() - before;
        taken.samples.clear();
        state.spare = taken.samples;
        if bytes(&state.sims) > (self.budget / 100).clamp(MEMORY_MIN, MEMORY_MAX) {
            state.sims.halve();
            self.local.samples.set_threshold(state.sims.threshold());
        }
        let (reads, misses) = (state.sims.round_reads(), state.sims.round_misses());
        if reads >= ROUND_READS && (misses >= ROUND_MISSES || reads >= 16 * ROUND_READS) {
            self.end_round(state, &classes, now);
        }
    }

    /// Adds what each class has read since the last tick. Returns how many values memory was offered.
    fn count_reads(&self, state: &mut State, classes: &Classes) -> u64 {
        let mut all = 0;
        for (_, class) in classes.iter().filter(|(_, class)| class.number != CLASS_OTHER) {
            let counts = &mut state.counts[usize::from(class.number)];
            let hits = class.counters.snapshot().memory_hits;
            let offers = self.local.admissions.offered(class.number);
            counts.hits += (hits - counts.hits_before) as f64;
            counts.offers += (offers - counts.offers_before) as f64;
            all += offers - counts.offers_before;
            (counts.hits_before, counts.offers_before) = (hits, offers);
        }
        all
    }

    fn end_round(&self, state: &mut State, classes: &Classes, now: Tick) {
        state.admission = None;
        let misses = state.sims.round_misses() as f64;
        let best = state.sims.alternatives().min_by_key(|other| other.misses);
        let saved_misses = best.map_or(0.0, |best| misses - best.misses as f64);
        // The second limit is the noise of a count.
        let best =
            best.filter(|_| saved_misses > 0.0 && saved_misses >= (SAVING_MIN * misses).max(misses.sqrt()));
        let suspected = std::mem::replace(&mut state.suspected, best.map(|best| best.class));
        // To begin to refuse values of a class takes two rounds: what looks useless may only be new.
        let is_certain = |best: &Alternative| {
            self.local.admissions.get(best.class) != Admission::ALL || suspected == Some(best.class)
        };
        if let Some(best) = best.filter(is_certain)
            && let Some((name, class)) = classes.iter().find(|(_, class)| class.number == best.class)
            && self.may_admit_less(state, name, class)
        {
            let before = self.local.admissions.get(best.class).one_in();
            let (after, saved) = (best.admission.one_in(), saved_misses / misses);
            state.admission = Some(AdmissionAdvice { class: name.clone(), before, after, saved });
            if self.mode() == TuningMode::Apply {
                self.local.admissions.set(best.class, best.admission);
                let reason = format!(
                    "{:.1} % fewer loads in a simulation of {} reads",
                    100.0 * saved,
                    state.sims.round_reads()
                );
                self.note(state, name, Tuned::Admission { before, after }, reason);
                state.admission = None;
            }
        }
        if self.mode() == TuningMode::Apply {
            self.raise_ttls(state, classes, now);
        }
        self.begin_round(state, classes);
    }

    /// Begins a round with the present settings and those beside them.
    fn begin_round(&self, state: &mut State, classes: &Classes) {
        let shares: Shares = std::array::from_fn(|nth| self.local.admissions.get(nth as u16));
        let weights = state.sims.class_bytes();
        let mut tuned: Vec<&ClassState> = classes
            .iter()
            .filter(|(name, class)| self.may_admit_less(state, name, class))
            .map(|(_, class)| &**class)
            .collect();
        // A class of which memory admits little weighs little, and must be able to come back.
        tuned.sort_by_key(|class| {
            let nth = usize::from(class.number);
            (shares[nth] == Admission::ALL, std::cmp::Reverse(weights[nth]), class.number)
        });
        tuned.truncate(CLASSES_SIMULATED);
        tuned.sort_by_key(|class| class.number);
        let beside = |class: &ClassState| {
            let share = shares[usize::from(class.number)];
            let others = share.more().into_iter().chain(share.fewer(self.settings.least()));
            others.map(|other| (class.number, other)).collect::<Vec<_>>()
        };
        let alternatives: Vec<_> = tuned.into_iter().flat_map(beside).collect();
        state.sims.set_shares(shares, &alternatives);
        state.sims.end_round();
        for counts in &mut state.counts {
            (counts.hits, counts.offers) = (counts.hits * FADE, counts.offers * FADE);
        }
    }

    pub(crate) fn changes(&self) -> Vec<TuningChange> {
        self.lock().changes.all()
    }

    pub(crate) fn advice(&self) -> Vec<Advice> {
        let state = self.lock();
        let classes = self.classes.all();
        let known = classes.iter().filter(|(_, class)| class.number != CLASS_OTHER);
        let evidence = Evidence {
            budget: self.budget,
            samples: state.samples,
            keys: state.sims.keys(),
            watched: self.clock.now().since(state.began),
            classes: known.map(|(name, class)| self.evidence_of(&state, name, class)).collect(),
            admission: state.admission.clone(),
        };
        evidence.advice()
    }

    fn evidence_of(&self, state: &State, name: &str, class: &ClassState) -> ClassEvidence {
        let nth = usize::from(class.number);
        let ClassCounts { hits, offers, .. } = state.counts[nth];
        ClassEvidence {
            name: name.to_owned(),
            window: state.sims.windows()[nth],
            ttl: class.present_ttl(),
            is_aging: class.is_aging(),
            hits,
            offers,
            mean_load: class.load_times.snapshot().mean,
            mean_store: class.store_times.mean(),
            is_local: !self.has_redis,
        }
    }

    /// The curve of all classes, and then that of each.
    pub(crate) fn curves(&self) -> Vec<MissRatioCurve> {
        let state = self.lock();
        let of_class = |(name, class): (String, Arc<ClassState>)| {
            let nth = usize::from(class.number);
            let (ClassCounts { hits, offers, .. }, window) = (state.counts[nth], &state.sims.windows()[nth]);
            let counted = Counted::new(window, (hits, offers)).filter(|_| class.number != CLASS_OTHER)?;
            Some((name, counted))
        };
        curve::of_all(self.classes.all().into_iter().filter_map(of_class).collect(), self.budget)
    }

    #[cfg(test)]
    pub(super) fn threshold(&self) -> u32 {
        self.lock().sims.threshold()
    }

    /// What the tuner takes in memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        bytes(&self.lock().sims)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic leaves figures that may be off by one sample.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Runs `store`, which encodes and checks a value of the class. If there is a tuner, notes how long that takes.
    pub(super) fn timed<T>(&self, class: &ClassCore, store: impl FnOnce() -> T) -> T {
        let began = self.tuner.as_ref().map(|_| Instant::now());
        let stored = store();
        if let Some(began) = began {
            class.common.store_times.record(began.elapsed());
        }
        stored
    }
}

/// What the simulations and both buffers of samples take.
fn bytes(sims: &Sims) -> u64 {
    sims.bytes() + (2 * SAMPLES_MAX * size_of::<Sample>()) as u64
}
