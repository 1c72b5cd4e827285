//! Where a write's processor time goes, part by part, with more and more of the journal switched on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use larder::cache::Cache;
use larder_server::store::Store;
use larder_testbed::{Database, Redis};

use crate::cost::processor::{PARTS, Processes, Spent};
use crate::cost::prune;
use crate::cost::writers::{THREADS, Writers};
use crate::terminal::progress;

/// How much of the journal is on; each has all that the one before it has, but the constant row.
const VARIANTS: [&str; 5] = ["none", "constant", "triggers", "+ relay", "+ pruning"];
/// The shortest time for which rows are pruned at the rate at which they are written once the warm-up is over.
const KEEP: Duration = Duration::from_secs(1);
const WARM_UP: Duration = Duration::from_millis(2500);
const TURN: Duration = Duration::from_secs(4);
/// As expensive as a trigger that journals can be cheap: the row's text is a constant, as short as any.
const CONSTANT: &str = "
    CREATE FUNCTION cost_constant() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN INSERT INTO public.larder_outbox (touched) VALUES ('[]'); RETURN NULL; END $$;
    CREATE TRIGGER cost_constant AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION cost_constant();
    ALTER TABLE users DISABLE TRIGGER cost_constant";

/// Of each variant, what its writes have used, and how many there were.
pub(super) struct Profile {
    spent: [(Spent, u64); VARIANTS.len()],
    rounds: u16,
}

/// Writes for a few seconds under each variant, as many rounds as are asked for.
pub(super) async fn measure(
    database: &Database,
    store: &Store,
    redis: &Redis,
    writers: &Writers,
    rounds: u16,
) -> Result<Profile> {
    database.sql(CONSTANT)?;
    let processes = Processes {
        writers: writers.backends().await?,
        redis: redis.pid(),
        database: database.name().to_owned(),
        threads: THREADS,
    };
    let mut spent: [(Spent, u64); VARIANTS.len()] = Default::default();
    for round in 0..rounds {
        for (variant, (total, writes)) in spent.iter_mut().enumerate() {
            let trigger = |name: &str, is_on: bool| {
                let state = if is_on { "ENABLE ALWAYS" } else { "DISABLE" };
                database.sql(&format!("ALTER TABLE users {state} TRIGGER {name}"))
            };
            trigger("cost_constant", variant == 1)?;
            trigger("larder_journal", variant >= 2)?;
            // What the variant before has left is no cost of this one.
            database.sql("VACUUM users")?;
            database.sql("TRUNCATE larder_outbox, larder_outbox_marks")?;
            let relaying = if variant >= 3 {
                let cache = Cache::builder("cost").redis(redis.url()).journal(store.journal().await?);
                Some(cache.build().await?)
            } else {
                None
            };
            let pruning = if variant >= 4 {
                Some(tokio::spawn(prune(Arc::new(store.journal().await?.keep(KEEP)))))
            } else {
                None
            };
            writers.write_for(WARM_UP).await?;
            let before = processes.read()?;
            let (count, _) = writers.count_for(TURN).await?;
            let used = processes.read()?.since(&before);
            pruning.inspect(tokio::task::JoinHandle::abort);
            drop(relaying);
            *writes += count;
            total.iter_mut().zip(used).for_each(|(total, used)| *total += used);
            let all: Duration = used.iter().sum();
            progress(&format!(
                "profile, round {}, {}: {:.0} µs a write, {count} writes",
                round + 1,
                VARIANTS[variant],
                micros(all, count)
            ));
        }
    }
    // The relay of what comes after attests its triggers alone.
    database.sql("DROP TRIGGER cost_constant ON users; DROP FUNCTION cost_constant()")?;
    Ok(Profile { spent, rounds })
}

fn micros(spent: Duration, writes: u64) -> f64 {
    spent.as_secs_f64() * 1e6 / writes.max(1) as f64
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "processor time of a write in µs, {} rounds of {TURN:?}:\n  {:<37}", self.rounds, "")?;
        VARIANTS.iter().try_for_each(|variant| write!(f, " {variant:>10}"))?;
        for (part, name) in PARTS.iter().enumerate() {
            write!(f, "\n  {name:<37}")?;
            for (spent, writes) in &self.spent {
                write!(f, " {:>10.1}", micros(spent[part], *writes))?;
            }
        }
        let totals = self.spent.map(|(spent, writes)| micros(spent.iter().sum(), writes));
        write!(f, "\n  {:<37}", "in all")?;
        totals.iter().try_for_each(|total| write!(f, " {total:>10.1}"))?;
        // What throughput can be at most where the processor alone limits it.
        write!(f, "\n  {:<37}", "of \"none\" / in all")?;
        totals.iter().try_for_each(|total| write!(f, " {:>10.2}", totals[0] / total))
    }
}
