//! A mixed load of many concurrent clients, first without the cache and then with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use larder::stats::Stats;
use larder_server::service::Service;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::task::JoinSet;

use crate::figures::call::Call;
use crate::figures::crowd::Crowd;
use crate::figures::mix::{self, Ask};
use crate::figures::stage::Stage;
use crate::quantiles::{Quantiles, Times};
use crate::site::PASSWORD;
use crate::site::client::{Answer, Client};
use crate::terminal::progress;

/// The number of concurrent clients, each a different user.
pub(super) const CLIENTS: usize = 16;
/// The first client's seed; each client has another one.
const SEED: u64 = 1_000;

/// The measurements of one run of the load.
pub(super) struct Drive {
    elapsed: Duration,
    statements: u64,
    /// The service's statistics of all look-ups.
    pub(super) stats: Stats,
    tally: Tally,
}

/// What the clients measured.
struct Tally {
    times: Times,
    /// For each kind of request, the number of answers and of hits among them.
    answers: BTreeMap<Ask, (u64, u64)>,
}

/// A client that sends requests, and an administrator's connection for those that need one.
struct Player {
    own: Client,
    admin: Client,
}

impl Player {
    async fn send(&mut self, ask: Ask, call: &Call) -> Result<Answer> {
        call.send(if ask.is_for_admins() { &mut self.admin } else { &mut self.own }).await
    }

    async fn play(mut self, crowd: Arc<Crowd>, seed: u64, end: Instant) -> Result<Tally> {
        let mut luck = StdRng::seed_from_u64(seed);
        let mut tally = Tally::new()?;
        while Instant::now() < end {
            let ask = Ask::draw(&mut luck);
            let call = ask.call(crowd.someone(&mut luck), &mut luck);
            let answer = self.send(ask, &call).await?;
            tally.times.record(answer.took);
            tally.count(ask, 1, answer.is_hit.into());
        }
        Ok(tally)
    }
}

impl Tally {
    fn new() -> Result<Self> {
        Ok(Tally { times: Times::new()?, answers: BTreeMap::new() })
    }

    fn count(&mut self, ask: Ask, answers: u64, hits: u64) {
        let counted = self.answers.entry(ask).or_default();
        *counted = (counted.0 + answers, counted.1 + hits);
    }
}

/// Runs the same load without the cache and with it.
pub(super) async fn measure(stage: &Stage, span: Duration) -> Result<(Drive, Drive)> {
    let service = &stage.whole.service;
    let (admin, mut callers) = (stage.whole.admin().await?, Vec::new());
    for email in &stage.callers {
        callers.push(Client::login(stage.whole.address, email, PASSWORD).await?);
    }
    let drive = async |seed| drive(service, players(&callers, &admin).await?, &stage.crowd, seed, span).await;
    service.cache().set_enabled(false);
    let off = drive(SEED).await?;
    progress(&format!("cache off: {:.0} requests/s", off.per_second()));

    service.cache().set_enabled(true);
    // Warm up with another seed, so that the measured requests are not repetitions.
    let rate = drive(2 * SEED).await?.per_second();
    let held = mix::held(&stage.crowd, &stage.settings.policies, rate, &mut StdRng::seed_from_u64(0));
    progress(&format!(
        "cache on, to warm up: {rate:.0} requests/s; after a long time at this rate the cache holds {} entries of people",
        held.len()
    ));
    bring(players(&callers, &admin).await?, held).await?;
    let on = drive(SEED).await?;
    progress(&format!("cache on: {:.0} requests/s", on.per_second()));
    for (ask, (answers, hits)) in &on.tally.answers {
        progress(&format!("{:20} {answers:>7} requests, {hits:>7} hits", format!("{ask:?}")));
    }
    Ok((off, on))
}

/// Opens new connections, because the service closes a connection that is idle for 15 s.
async fn players(callers: &[Client], admin: &Client) -> Result<Vec<Player>> {
    let mut players = Vec::new();
    for caller in callers {
        players.push(Player { own: caller.another().await?, admin: admin.another().await? });
    }
    Ok(players)
}

async fn drive(
    service: &Service,
    players: Vec<Player>,
    crowd: &Arc<Crowd>,
    seed: u64,
    span: Duration,
) -> Result<Drive> {
    let cache = service.cache();
    let (statements, stats) = (service.store().statements(), cache.stats());
    let start = Instant::now();
    let mut playing = JoinSet::new();
    for (player, seed) in players.into_iter().zip(seed..) {
        playing.spawn(player.play(crowd.clone(), seed, start + span));
    }
    let mut tally = Tally::new()?;
    while let Some(played) = playing.join_next().await {
        let played = played??;
        tally.times.add(&played.times)?;
        for (ask, (answers, hits)) in played.answers {
            tally.count(ask, answers, hits);
        }
    }
    Ok(Drive {
        elapsed: start.elapsed(),
        statements: service.store().statements() - statements,
        stats: cache.stats().since(&stats),
        tally,
    })
}

/// Sends each of these requests once, so that the cache holds their entries. The players take the requests in turn.
async fn bring(players: Vec<Player>, calls: Vec<(Ask, Call)>) -> Result<()> {
    let calls = Arc::new(calls);
    let (mut playing, count) = (JoinSet::new(), players.len());
    for (mut player, number) in players.into_iter().zip(0..) {
        let calls = calls.clone();
        playing.spawn(async move {
            for (ask, call) in calls.iter().skip(number).step_by(count) {
                player.send(*ask, call).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(played) = playing.join_next().await {
        played??;
    }
    Ok(())
}

impl Drive {
    pub(super) fn requests(&self) -> u64 {
        self.tally.times.count()
    }

    pub(super) fn per_second(&self) -> f64 {
        self.requests() as f64 / self.elapsed.as_secs_f64()
    }

    pub(super) fn quantiles(&self) -> Quantiles {
        self.tally.times.quantiles()
    }

    /// Database statements a request.
    pub(super) fn statements(&self) -> f64 {
        self.statements as f64 / self.requests() as f64
    }

    /// The percentage of hits among the answers to these requests, by their headers; NaN if there are none.
    pub(super) fn hit_percent(&self, asks: &[Ask]) -> f64 {
        let counted = asks.iter().filter_map(|ask| self.tally.answers.get(ask));
        let (answers, hits) = counted.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        100.0 * hits as f64 / answers as f64
    }
}
