//! `larder top`: a live view of an instance.

pub(crate) mod frame;
mod lines;
mod screen;

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use tokio::sync::mpsc;
use tokio::time::{Instant as Tick, MissedTickBehavior, interval_at, sleep};

use crate::cli::Usage;
use crate::cli::instance::output::print_json;
use crate::cli::instance::{Ask, Instance, InstanceArguments};
use crate::cli::top::frame::{Frame, Sample, SortBy};
use crate::cli::top::lines::View;
use crate::cli::top::screen::{Input, Screen};

/// The width of a frame that is printed and not drawn on a terminal.
const PRINTED_COLUMNS: usize = 120;
/// Longer than an instance waits for a Redis that hangs, so that such an instance does not count as away.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The arguments of `larder top`.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: InstanceArguments,
    /// The order of the classes
    #[arg(long, value_enum, default_value = "reads")]
    sort: SortBy,
    /// Seconds between two frames, 0.1 to 60
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// Print one frame, which needs no terminal: the rates of one interval
    #[arg(long)]
    once: bool,
    /// With --once: the frame in JSON; `larder schema top` describes it
    #[arg(long, requires = "once")]
    json: bool,
}

fn seconds(raw: &str) -> Result<Duration, String> {
    match raw.parse() {
        Ok(seconds @ 0.1..=60.0) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("must be a number from 0.1 to 60".to_owned()),
    }
}

/// A sample and when its answers were complete, or why there is none.
type Sampled = Result<(Instant, Sample)>;

pub(crate) async fn run(arguments: Arguments, config: Option<&Path>) -> Result<()> {
    let mut instance = arguments.target.open(config)?;
    instance.timeout = TIMEOUT;
    if arguments.once {
        let (began, before) = sample(&instance).await?;
        // The rates need two samples: this is the time over which they are measured.
        sleep(arguments.interval).await;
        let (ended, now) = sample(&instance).await?;
        let frame = Frame::between(instance.address(), &before, &now, ended - began);
        if arguments.json {
            return print_json(&frame);
        }
        let view = View { sort: arguments.sort, columns: PRINTED_COLUMNS, lines: None, trouble: None };
        for (_, line) in frame.lines(&view) {
            say!("{}", line.trim_end())?;
        }
        return Ok(());
    }
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Usage("larder top needs a terminal; --once prints one frame without".to_owned()).into());
    }
    // The first sample is taken before the screen changes, so that a wrong key or address is an ordinary error.
    let first = sample(&instance).await?;
    watch(Arc::new(instance), first, &arguments).await
}

async fn sample(instance: &Instance) -> Sampled {
    let stats = instance.success(Ask::get(["api", "v1", "cache", "stats"])).await?.json()?;
    let health = instance.success(Ask::get(["api", "v1", "cache", "health"])).await?.json()?;
    Ok((Instant::now(), Sample { stats, health }))
}

/// The samples that the view compares, and what went wrong since.
struct Watched {
    before: (Instant, Sample),
    now: (Instant, Sample),
    trouble: Option<String>,
}

impl Watched {
    fn note(&mut self, sampled: Sampled) {
        match sampled {
            Ok(sampled) => {
                self.before = std::mem::replace(&mut self.now, sampled);
                self.trouble = None;
            }
            Err(error) => self.trouble = Some(format!("{error:#}")),
        }
    }
}

/// Draws a frame at each sample, key and resize, until a key or a signal ends it.
async fn watch(instance: Arc<Instance>, first: (Instant, Sample), arguments: &Arguments) -> Result<()> {
    let mut ended = screen::end_signals()?;
    let mut screen = Screen::open().context("the terminal cannot be used")?;
    let mut input = screen.input();
    let (send, mut samples) = mpsc::channel(1);
    // A task of its own, so that keys work while an instance does not answer. It ends with the process.
    let (sampler, every) = (instance.clone(), arguments.interval);
    tokio::spawn(async move {
        let mut tick = interval_at(Tick::now() + every, every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if send.send(sample(&sampler).await).await.is_err() {
                break;
            }
        }
    });
    let mut sort = arguments.sort;
    let mut watched = Watched { before: first.clone(), now: first, trouble: None };
    loop {
        let (columns, lines) = screen.size()?;
        let (before, now) = (&watched.before, &watched.now);
        let frame = Frame::between(instance.address(), &before.1, &now.1, now.0 - before.0);
        let view = View { sort, columns, lines: Some(lines), trouble: watched.trouble.as_deref() };
        screen.draw(&frame.lines(&view))?;
        tokio::select! {
            Some(sampled) = samples.recv() => watched.note(sampled),
            key = input.recv() => match key {
                // `None`: the terminal is gone.
                None | Some(Input::Quit) => return Ok(()),
                Some(Input::Key(key)) => sort = SortBy::of_key(key).unwrap_or(sort),
                Some(Input::Resize) => {}
            },
            () = &mut ended => return Ok(()),
        }
    }
}
