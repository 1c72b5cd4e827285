//! A mixed load from many clients at once, driven without the cache and then with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use larder::stats::Stats;
use larder_server::cached::policies::ClassRow;
use larder_server::service::Service;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::task::JoinSet;

use crate::figures::call::Call;
use crate::figures::crowd::Crowd;
use crate::figures::mix::{self, Ask};
use crate::figures::stage::Stage;
use crate::quantiles::Times;
use crate::site::PASSWORD;
use crate::site::client::Client;
use crate::terminal::progress;

/// Requests in flight, each from somebody else.
pub(super) const CLIENTS: usize = 16;

/// What one drive measured.
pub(super) struct Drive {
    elapsed: Duration,
    pub(super) times: Times,
    statements: u64,
    classes: BTreeMap<String, Stats>,
}

/// Somebody who sends requests, and the administrator on whose behalf some are sent.
struct Player {
    own: Client,
    admin: Client,
}

impl Player {
    async fn send(&mut self, ask: Ask, call: &Call) -> Result<Duration> {
        call.send(if ask.is_for_admins() { &mut self.admin } else { &mut self.own }).await
    }

    async fn play(mut self, crowd: Arc<Crowd>, seed: u64, end: Instant) -> Result<Times> {
        let mut luck = StdRng::seed_from_u64(seed);
        let mut times = Times::new()?;
        while Instant::now() < end {
            let ask = Ask::draw(&mut luck);
            let call = ask.call(crowd.someone(&mut luck), &mut luck);
            times.record(self.send(ask, &call).await?);
        }
        Ok(times)
    }
}

/// Drives the same load without the cache and with it.
pub(super) async fn measure(stage: &Stage, span: Duration) -> Result<(Drive, Drive)> {
    let service = &stage.whole.service;
    let (admin, mut callers) = (stage.whole.admin().await?, Vec::new());
    for email in &stage.callers {
        callers.push(Client::login(stage.whole.address, email, PASSWORD).await?);
    }
    let crowd = &stage.crowd;
    service.users().cache().set_enabled(false);
    let off = drive(service, players(&callers, &admin).await?, crowd, span).await?;
    progress(&format!("cache off: {:.0} requests/s", off.per_second()));

    service.users().cache().set_enabled(true);
    let held = mix::held(crowd, &stage.settings.policies, off.per_second(), &mut StdRng::seed_from_u64(0));
    progress(&format!("bringing {} entries that a service holds which is asked so often", held.len()));
    bring(players(&callers, &admin).await?, held).await?;
    let on = drive(service, players(&callers, &admin).await?, crowd, span).await?;
    progress(&format!("cache on: {:.0} requests/s", on.per_second()));
    for (name, stats) in on.classes.iter().filter(|(_, stats)| stats.lookups() > 0) {
        progress(&format!(
            "{name:24} {:>7} look-ups, {:.1} % hits",
            stats.lookups(),
            stats.hit_rate_percent()
        ));
    }
    Ok((off, on))
}

/// Connects anew: the service hangs up on who says nothing for 15 s.
async fn players(callers: &[Client], admin: &Client) -> Result<Vec<Player>> {
    let mut players = Vec::new();
    for caller in callers {
        players.push(Player { own: caller.another().await?, admin: admin.another().await? });
    }
    Ok(players)
}

async fn drive(service: &Service, players: Vec<Player>, crowd: &Arc<Crowd>, span: Duration) -> Result<Drive> {
    let (statements, before) = (service.store().database().statements(), counted(service));
    let start = Instant::now();
    let mut playing = JoinSet::new();
    for (player, seed) in players.into_iter().zip(0..) {
        playing.spawn(player.play(crowd.clone(), seed, start + span));
    }
    let mut times = Times::new()?;
    while let Some(played) = playing.join_next().await {
        times.add(&played??)?;
    }
    let mut classes = counted(service);
    for (name, stats) in &mut classes {
        *stats = stats.since(&before.get(name).copied().unwrap_or_default());
    }
    let statements = service.store().database().statements() - statements;
    Ok(Drive { elapsed: start.elapsed(), times, statements, classes })
}

/// Sends these requests, all players at once.
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

fn counted(service: &Service) -> BTreeMap<String, Stats> {
    service.users().cache().classes().into_iter().map(|class| (class.name, class.stats)).collect()
}

impl Drive {
    pub(super) fn per_second(&self) -> f64 {
        self.times.count() as f64 / self.elapsed.as_secs_f64()
    }

    /// Database statements a request.
    pub(super) fn statements(&self) -> f64 {
        self.statements as f64 / self.times.count() as f64
    }

    /// What all classes counted.
    pub(super) fn all(&self) -> Stats {
        self.classes.values().fold(Stats::default(), |sum, stats| sum.plus(stats))
    }

    /// What these classes counted.
    pub(super) fn of(&self, classes: &[ClassRow]) -> Stats {
        let stats = classes.iter().filter_map(|class| self.classes.get(class.name));
        stats.fold(Stats::default(), |sum, stats| sum.plus(stats))
    }
}
