//! The times of single requests, one after the other: without the cache, from Redis and from memory.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use larder::cache::Cache;
use larder::stats::Stats;

use crate::figures::Options;
use crate::figures::call::Call;
use crate::figures::crowd::Crowd;
use crate::figures::stage::Stage;
use crate::figures::verdict::TimeClaim;
use crate::quantiles::{Quantiles, Times};
use crate::site::Site;
use crate::site::client::Client;
use crate::terminal::{load_average, progress};

/// A row of the table.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) claim: TimeClaim,
    /// The client sends these calls in turn.
    calls: Vec<Call>,
}

/// The times of an operation.
pub(super) struct Measured {
    pub(super) off: Quantiles,
    pub(super) redis: Quantiles,
    pub(super) memory: Quantiles,
}

/// The place from which answers come.
#[derive(Clone, Copy, Debug)]
enum State {
    Off,
    Redis,
    Memory,
}

/// The number of users that the requests are about, in turn.
const PEOPLE: usize = 50;
/// How long [`block`] repeats its requests while the answers come from another place than the state says.
const TIMEOUT: Duration = Duration::from_secs(30);

const fn claim(printed: &'static str, after_ms: Option<f64>, reduction_percent: f64) -> TimeClaim {
    TimeClaim { printed, after_ms, reduction_percent }
}

/// Every operation for which a document gives a time or a reduction, in the order of the requirements.
pub(super) fn all(crowd: &Crowd) -> Vec<Operation> {
    let people = || crowd.people.iter().take(PEOPLE);
    let each = |call: fn(&str) -> Call| people().map(|person| call(&person.id)).collect();
    let badges = [Call::achievements, Call::achievement_summary, Call::achievement_stats];
    let operation = |name, claim, calls| Operation { name, claim, calls };
    vec![
        operation(
            "G user statistics",
            claim("200 → 20 ms, 80–90 %", Some(20.0), 80.0),
            vec![Call::statistics()],
        ),
        operation(
            "G user list, a page",
            claim("150 → 30 ms, 70–80 %", Some(30.0), 70.0),
            (1..=4).map(Call::list).collect(),
        ),
        operation("G user details", claim("100 → 30 ms, 60–70 %", Some(30.0), 60.0), each(Call::details)),
        operation("G dashboard", claim("500 → 25 ms, 85–95 %", Some(25.0), 85.0), vec![Call::dashboard()]),
        operation(
            "B token validation",
            claim("10 → under 1 ms, 90 %", Some(1.0), 90.0),
            vec![Call::validate()],
        ),
        operation(
            "B profile by user name",
            claim("10 → under 1 ms, 90 %", Some(1.0), 90.0),
            people().map(|person| Call::lookup("username", &person.username)).collect(),
        ),
        operation("K user profile", claim("70 %", None, 70.0), each(Call::full_profile)),
        operation(
            "K achievements",
            claim("60 %", None, 60.0),
            people().zip(badges.iter().cycle()).map(|(person, call)| call(&person.id)).collect(),
        ),
        operation(
            "K leaderboard",
            claim("80 %", None, 80.0),
            [0, 10, 20].map(|offset| Call::leaderboard(10, offset)).into(),
        ),
    ]
}

/// Measures one operation with the cache off, with Redis alone and with memory. The three take turns within each round, so that
/// other load on the machine affects all of them.
pub(super) async fn measure(stage: &Stage, operation: &Operation, options: &Options) -> Result<Measured> {
    let mut states = [(State::Off, Vec::new()), (State::Redis, Vec::new()), (State::Memory, Vec::new())];
    let (whole, redis_alone) = (stage.whole.admin().await?, stage.redis_alone.admin().await?);
    for round in 0..=options.rounds {
        for (state, rounds) in &mut states {
            let (site, admin) = match state {
                State::Redis => (&stage.redis_alone, &redis_alone),
                State::Off | State::Memory => (&stage.whole, &whole),
            };
            site.service.cache().set_enabled(!matches!(state, State::Off));
            let quantiles = block(*state, site, admin, operation, options.samples).await?;
            // The first round is for warming up.
            if round > 0 {
                rounds.push(quantiles);
            }
        }
    }
    let [off, redis, memory] = states.map(|(_, rounds)| Quantiles::median(&rounds));
    progress(&format!(
        "{:24} {off} off | {redis} Redis | {memory} memory (load average {})",
        operation.name,
        load_average()
    ));
    Ok(Measured { off, redis, memory })
}

/// Sends an operation's requests in turn. Repeats them all if the answers did not come from the place that `state`
/// says: at first the tiers are empty, entries expire, and a busy machine may lose its connection to Redis.
async fn block(
    state: State,
    site: &Site,
    admin: &Client,
    operation: &Operation,
    samples: u16,
) -> Result<Quantiles> {
    // A new connection: the service closes one that is idle for 15 s, and the measurements of the other states, which ran
    // before, may have taken longer.
    let mut client = admin.another().await?;
    let cache = site.service.cache();
    let calls = || operation.calls.iter().take(samples.into());
    let began = Instant::now();
    loop {
        for call in calls() {
            call.send(&mut client).await?;
        }
        let before = state.counts(cache);
        let mut times = Times::new()?;
        for (_, call) in (0..samples).zip(calls().cycle()) {
            times.record(call.send(&mut client).await?.took);
        }
        let counted = state.counts(cache).since(&before);
        if state.is_shown_by(&counted) {
            return Ok(times.quantiles());
        }
        let name = operation.name;
        ensure!(began.elapsed() < TIMEOUT, "{name}: answers do not come from {state:?}: {counted:?}");
    }
}

impl State {
    /// The counts of the cache. For [`State::Redis`], memory-only classes are left out, because their answers never
    /// come from Redis.
    fn counts(self, cache: &Cache) -> Stats {
        let declared = cache.declared_classes();
        let is_counted = |name: &str| {
            let is_memory_only = declared.iter().any(|class| class.name == name && class.is_memory_only);
            !(matches!(self, State::Redis) && is_memory_only)
        };
        let classes = cache.classes().into_iter().filter(|class| is_counted(&class.name));
        classes.fold(Stats::default(), |sum, class| sum.plus(&class.stats))
    }

    /// Whether at least 49 of 50 look-ups were answered from this place.
    fn is_shown_by(self, counted: &Stats) -> bool {
        let from_there = match self {
            State::Off => counted.bypasses,
            State::Redis => counted.redis_hits,
            State::Memory => counted.memory_hits,
        };
        // The validation of a token looks up memory-only classes alone, so for Redis there may be no counted look-up.
        let may_be_none = matches!(self, State::Redis);
        (from_there > 0 || may_be_none) && from_there * 50 >= counted.lookups() * 49
    }
}
