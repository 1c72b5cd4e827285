//! Where a write's processor time goes, part by part, with more and more of the journal switched on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use larder::cache::Cache;
use larder_server::cached::journal::tables;
use larder_server::store::Store;
use larder_testbed::{Database, Redis};

use crate::cost::processor::{PARTS, Processes};
use crate::cost::prune;
use crate::cost::writers::{THREADS, Writers};
use crate::terminal::progress;

/// How much of the journal is on. `empty` and `constant` have substitutes for the journal's triggers; from `triggers`
/// on, each variant adds one part to the variant before it.
const VARIANTS: [&str; 6] = ["none", "empty", "constant", "triggers", "+ relay", "+ pruning"];
const EMPTY: usize = 1;
const CONSTANT: usize = 2;
const TRIGGERS: usize = 3;
const RELAY: usize = 4;
const PRUNING: usize = 5;
/// The retention of rows in the variant with pruning. It is so short that, after the warm-up, rows are pruned as fast
/// as they are written.
const KEEP: Duration = Duration::from_secs(1);
const PRUNING_WARM_UP: Duration = Duration::from_millis(2500);
const WARM_UP: Duration = Duration::from_millis(300);
/// Short, so that one round measures every variant in a few seconds: the machine's speed drifts within minutes.
const TURN: Duration = Duration::from_secs(1);
/// Two substitutes for the journal's triggers: one does nothing; the other inserts a constant row, the least that a
/// trigger must do to journal.
const SUBSTITUTES: &str = "
    CREATE FUNCTION cost_empty() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RETURN NULL; END $$;
    CREATE TRIGGER cost_empty AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION cost_empty();
    ALTER TABLE users DISABLE TRIGGER cost_empty;
    CREATE FUNCTION cost_constant() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN INSERT INTO public.larder_outbox (touched) VALUES ('[]'); RETURN NULL; END $$;
    CREATE TRIGGER cost_constant AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION cost_constant();
    ALTER TABLE users DISABLE TRIGGER cost_constant";

/// For each variant and each round: the processor time of a write in µs, by part.
pub(super) struct Profile {
    rounds: [Vec<[f64; PARTS.len()]>; VARIANTS.len()],
}

/// In each round, lets the writers write for [`TURN`] under each of [`VARIANTS`]. Returns the processor time of a write, by
/// part.
pub(super) async fn measure(
    database: &Database,
    store: &Store,
    redis: &Redis,
    writers: &Writers,
    rounds: u16,
) -> Result<Profile> {
    database.sql(SUBSTITUTES)?;
    let processes = Processes {
        writers: writers.backends().await?,
        redis: redis.pid(),
        database: database.name().to_owned(),
        threads: THREADS,
    };
    let mut spent: [Vec<[f64; PARTS.len()]>; VARIANTS.len()] = Default::default();
    for round in 0..rounds {
        for (variant, spent) in spent.iter_mut().enumerate() {
            let trigger = |name: &str, is_on: bool| {
                let state = if is_on { "ENABLE ALWAYS" } else { "DISABLE" };
                database.sql(&format!("ALTER TABLE users {state} TRIGGER {name}"))
            };
            trigger("cost_empty", variant == EMPTY)?;
            trigger("cost_constant", variant == CONSTANT)?;
            trigger("larder_journal", variant >= TRIGGERS)?;
            // Remove the rows that the previous variant has left, so that they cost this variant nothing.
            database.sql("VACUUM users")?;
            database.sql("TRUNCATE larder_outbox, larder_outbox_marks")?;
            let relaying = if variant >= RELAY {
                let cache = Cache::builder("cost").redis(redis.url()).journal(store.journal(tables()).await?);
                Some(cache.build().await?)
            } else {
                None
            };
            let pruning = if variant >= PRUNING {
                Some(tokio::spawn(prune(Arc::new(store.journal(tables()).await?.keep(KEEP)))))
            } else {
                None
            };
            writers.write_for(if variant >= PRUNING { PRUNING_WARM_UP } else { WARM_UP }).await?;
            let before = processes.read()?;
            let (count, _) = writers.count_for(TURN).await?;
            let used = processes.read()?.since(&before);
            pruning.inspect(tokio::task::JoinHandle::abort);
            drop(relaying);
            spent.push(used.map(|used| micros(used, count)));
            let all: f64 = used.iter().map(|used| micros(*used, count)).sum();
            let name = VARIANTS[variant];
            progress(&format!("profile, round {}, {name}: {all:.0} µs a write, {count} writes", round + 1));
        }
    }
    // Drop the empty and constant trigger functions that replaced the journal's, so that the later measurements have the
    // journal's triggers alone.
    database.sql("DROP FUNCTION cost_empty() CASCADE; DROP FUNCTION cost_constant() CASCADE")?;
    Ok(Profile { rounds: spent })
}

fn micros(spent: Duration, writes: u64) -> f64 {
    spent.as_secs_f64() * 1e6 / writes.max(1) as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds = self.rounds[0].len();
        let title = format!("processor time of a write in µs, medians of {rounds} rounds of {TURN:?}:");
        let row = |f: &mut fmt::Formatter<'_>, name: &str, of: &dyn Fn(usize) -> String| {
            write!(f, "\n  {name:<37}")?;
            (0..VARIANTS.len()).try_for_each(|variant| write!(f, " {:>11}", of(variant)))
        };
        write!(f, "{title}")?;
        row(f, "", &|variant| VARIANTS[variant].to_owned())?;
        for (part, name) in PARTS.iter().enumerate() {
            row(f, name, &|variant| {
                format!("{:.1}", median(self.rounds[variant].iter().map(|spent| spent[part])))
            })?;
        }
        let totals =
            |variant: usize| self.rounds[variant].iter().map(|spent: &[f64; PARTS.len()]| spent.iter().sum());
        row(f, "in all", &|variant| format!("{:.1}", median(totals(variant))))?;
        // The throughput that is possible if only the processor limits it, as a ratio to that of the variant `none` in
        // the same round.
        let ratios =
            |variant: usize| totals(0).zip(totals(variant)).map(|(none, all): (f64, f64)| none / all);
        row(f, "of \"none\" / in all", &|variant| format!("{:.2}", median(ratios(variant))))?;
        row(f, "  from, to", &|variant| {
            let least = ratios(variant).fold(f64::INFINITY, f64::min);
            let most = ratios(variant).fold(0.0, f64::max);
            format!("{least:.2}, {most:.2}")
        })
    }
}
