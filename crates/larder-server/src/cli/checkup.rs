//! `larder doctor --instance`: examines a running instance.

use std::path::Path;

use anyhow::{Result, bail};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::cli::instance::answers::{ClassStats, DetailedHealth, Health, Reason, Staleness, Stats};
use crate::cli::instance::output::{plain, print_json, relative, seconds};
use crate::cli::instance::{Ask, Instance, InstanceArguments, RefusedRequest};
use crate::domain::timestamp::Timestamp;

/// Reads of a class from which on its hit ratio says something.
const READS_MIN: u64 = 1_000;
/// A hit ratio below this costs more round trips than it saves loads, in percent.
const HIT_RATE_MIN: f64 = 50.0;
/// Failed loads above this share of all loads are worth a look.
const FAILED_LOADS_MAX: f64 = 0.01;
/// Clocks that differ by more confuse who compares logs, in microseconds.
const CLOCK_WARN_MICROS: i64 = 1_000_000;
/// Clocks that differ by more refuse codes of second factors, in microseconds.
const CLOCK_FAIL_MICROS: i64 = 30_000_000;

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One check of an instance.
#[derive(Serialize, ToSchema)]
pub(crate) struct Check {
    /// What is checked: `reachable`, `ready`, `key`, `redis`, `journal`, `triggers`, `staleness`, `round_trip`, `classes`,
    /// `hit_ratio`, `clock`. A check with several findings has several entries.
    name: &'static str,
    verdict: Verdict,
    /// What was found.
    text: String,
    /// What to do; `null` if there is nothing to do.
    advice: Option<String>,
}

/// The examination of an instance.
#[derive(Serialize, ToSchema)]
pub(crate) struct Checkup {
    /// The address of the instance.
    instance: String,
    /// The worst of the checks.
    verdict: Verdict,
    checks: Vec<Check>,
}

fn ok(name: &'static str, text: impl Into<String>) -> Check {
    Check { name, verdict: Verdict::Ok, text: text.into(), advice: None }
}

fn warn(name: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Check {
    Check { name, verdict: Verdict::Warn, text: text.into(), advice: Some(advice.into()) }
}

fn fail(name: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Check {
    Check { name, verdict: Verdict::Fail, text: text.into(), advice: Some(advice.into()) }
}

pub(crate) async fn run(target: &InstanceArguments, is_json: bool, config: Option<&Path>) -> Result<()> {
    let instance = target.open(config)?;
    let checks = examine(&instance).await;
    let verdict = checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok);
    let failed = checks.iter().filter(|check| check.verdict == Verdict::Fail).count();
    let checkup = Checkup { instance: instance.address().to_owned(), verdict, checks };
    if is_json {
        print_json(&checkup)?;
    } else {
        checkup.show()?;
    }
    match failed {
        0 => Ok(()),
        1 => bail!("1 check failed"),
        count => bail!("{count} checks failed"),
    }
}

impl Checkup {
    fn show(&self) -> Result<()> {
        say!("{}", plain(&self.instance))?;
        for Check { name, verdict, text, advice } in &self.checks {
            let verdict = match verdict {
                Verdict::Ok => "ok",
                Verdict::Warn => "warn",
                Verdict::Fail => "FAIL",
            };
            say!("{verdict:4}  {name:10}  {}", plain(text))?;
            if let Some(advice) = advice {
                say!("                  -> {}", plain(advice))?;
            }
        }
        Ok(())
    }
}

/// Every check, in the order in which a cause comes before what follows from it.
async fn examine(instance: &Instance) -> Vec<Check> {
    let ready = match instance.ask(Ask::get(["readyz"])).await {
        Err(error) => {
            return vec![fail(
                "reachable",
                format!("{error:#}"),
                "check the address, and whether the service runs",
            )];
        }
        Ok(answer) if answer.status.is_success() => ok("ready", "the database answers and can be written"),
        Ok(answer) => {
            fail("ready", answer.refusal(true), "look at the log of the instance and at its database")
        }
    };
    let mut checks = vec![ready];
    if let Err(error) = examine_as_admin(instance, &mut checks).await {
        let status = error.downcast_ref::<RefusedRequest>().map(|refused| refused.status);
        let (name, advice) = match status {
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                ("key", "give the API key of an admin with the scope read")
            }
            _ => ("answers", "look at the log of the instance"),
        };
        checks.push(fail(name, format!("{error:#}"), advice));
    }
    checks
}

async fn examine_as_admin(instance: &Instance, checks: &mut Vec<Check>) -> Result<()> {
    let cache = |what| Ask::get(["api", "v1", "cache", what]);
    let stats: Stats = instance.success(cache("stats")).await?.json()?;
    let asked = Timestamp::now();
    let health = instance.success(Ask::get(["api", "v1", "cache", "health", "detailed"])).await?;
    let clock = health
        .json()
        .map(|health: DetailedHealth| check_clock(asked, &health.timestamp, Timestamp::now()))?;
    let DetailedHealth { health, .. } = health.json()?;
    checks.extend(check_tiers(&health));
    checks.extend(check_staleness(stats.staleness));
    checks.push(check_round_trip(&instance.success(cache("test")).await?.json()?));
    checks.extend(check_classes(&stats.classes));
    checks.push(clock);
    Ok(())
}

/// Redis, the journal and its triggers: the reasons for which the cache is degraded, each at the part that it is about.
fn check_tiers(health: &Health) -> Vec<Check> {
    let mut checks: Vec<_> = health.reasons.iter().map(of_reason).collect();
    let has = |name| checks.iter().any(|check| check.name == name);
    let redis = match (health.status.as_str(), health.latency_ms) {
        _ if has("redis") => None,
        ("memory-only", _) => Some(ok("redis", "none is configured: memory alone answers")),
        (_, Some(latency)) if health.connected => {
            Some(ok("redis", format!("answers within {latency:.1} ms and is used")))
        }
        _ => Some(warn(
            "redis",
            "did not answer this check",
            "look whether it hangs, is overloaded or is cut off",
        )),
    };
    let journal = (!has("journal")).then(|| ok("journal", "answers each poll"));
    let triggers = (!has("triggers")).then(|| ok("triggers", "every change of a cached row is recorded"));
    checks.extend([redis, journal, triggers].into_iter().flatten());
    checks
}

/// A reason of the service: its text says what is wrong, and after a semicolon what to do.
fn of_reason(reason: &Reason) -> Check {
    let (name, verdict) = match reason.cause.as_str() {
        "incomplete-journal" => ("triggers", Verdict::Fail),
        "imprecise-journal" => ("journal", Verdict::Warn),
        "silent-journal" | "untold" => ("journal", Verdict::Fail),
        // They end by themselves.
        "starting" | "asking" | "loading" => ("redis", Verdict::Warn),
        _ => ("redis", Verdict::Fail),
    };
    let (wrong, advice) =
        reason.text.split_once("; ").unwrap_or((&reason.text, "docs/relay.md lists the causes"));
    let detail = reason.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    let text = format!("{wrong}{detail} ({}, began {})", reason.cause, relative(&reason.since));
    Check { name, verdict, text, advice: Some(advice.to_owned()) }
}

fn check_staleness(staleness: Staleness) -> Vec<Check> {
    let Staleness { bound_ms, certified_for_ms, unsent_invalidations } = staleness;
    let bound = seconds(bound_ms);
    let certified = match certified_for_ms {
        None => warn(
            "staleness",
            "nothing certifies what memory holds, so writes by other programs are seen when entries end",
            "give the cache a journal",
        ),
        Some(0.0) => fail(
            "staleness",
            format!(
                "nothing is certified now: reads run their loaders, and memory keeps what they load for {bound} at most"
            ),
            "mend what is wrong with Redis or the journal",
        ),
        Some(left) => {
            let age = seconds(bound_ms - left);
            let text = format!("no answer is further behind than {bound}; last certified {age} ago");
            match left < bound_ms / 4.0 {
                true => {
                    warn("staleness", text, "look at the load of the instance, of the database and of Redis")
                }
                false => ok("staleness", text),
            }
        }
    };
    let unsent = unsent_invalidations.filter(|unsent| *unsent > 0).map(|unsent| {
        let text =
            format!("{unsent} invalidations have not reached Redis, which is not used before they have");
        warn("redis", text, "mend what keeps Redis from being reached")
    });
    std::iter::once(certified).chain(unsent).collect()
}

/// The self-test: an entry that was put, read and dropped.
fn check_round_trip(tested: &Value) -> Check {
    let steps = tested.as_object().into_iter().flatten();
    let failed: Vec<_> =
        steps.filter(|(_, done)| **done != Value::Bool(true)).map(|(step, _)| step.as_str()).collect();
    match failed.as_slice() {
        [] => ok("round_trip", "an entry was put, read and dropped"),
        failed => fail("round_trip", format!("failed: {}", failed.join(", ")), "mend the checks above first"),
    }
}

fn check_classes(classes: &[ClassStats]) -> Vec<Check> {
    let off = classes.iter().filter(|class| !class.enabled).map(|class| {
        let name = &class.name;
        let text = format!("{name} is off on this instance, so its reads go to the database");
        warn("classes", text, format!("larder switch {name} on"))
    });
    let mut checks: Vec<_> = off.collect();
    if checks.is_empty() {
        checks.push(ok("classes", format!("all {} classes cache", classes.len())));
    }
    let read: Vec<_> = classes.iter().filter(|class| class.lookups.total_lookups >= READS_MIN).collect();
    let before = checks.len();
    checks.extend(read.iter().filter_map(|class| check_hit_ratio(class)));
    if checks.len() == before {
        let text = format!("no class hits too rarely, of {} with {READS_MIN} reads or more", read.len());
        checks.push(ok("hit_ratio", text));
    }
    checks
}

fn check_hit_ratio(class: &ClassStats) -> Option<Check> {
    let (name, rate, loads) = (&class.name, class.lookups.hit_rate_percent, class.count("loads"));
    let failed = class.count("load_failures");
    if failed as f64 > loads as f64 * FAILED_LOADS_MAX {
        let text = format!("{failed} of {loads} loads of {name} failed");
        return Some(warn("hit_ratio", text, "look at the log of the instance for the errors of its loads"));
    }
    (class.enabled && rate < HIT_RATE_MIN).then(|| {
        let text = format!(
            "{name} hits {rate:.1} % of its reads, and {loads} loads took {:.2} ms each",
            class.loads.mean_ms
        );
        warn(
            "hit_ratio",
            text,
            "if its keys are rarely read twice, switch it off; else look what invalidates it",
        )
    })
}

/// Compares the clock of the instance with that of this machine: the answer was written between these two instants.
fn check_clock(asked: Timestamp, answered: &str, received: Timestamp) -> Check {
    let Ok(there) = Timestamp::parse(answered) else {
        return warn("clock", "the instance does not say its time", "look whether another program answers");
    };
    let ahead = there.as_micros() - received.as_micros();
    let behind = asked.as_micros() - there.as_micros();
    let apart = ahead.max(behind).max(0);
    let text = match apart {
        0 => "the clocks of the instance and of this machine agree".to_owned(),
        _ => {
            let apart = seconds(apart as f64 / 1_000.0);
            format!("the clocks of the instance and of this machine are at least {apart} apart")
        }
    };
    match apart {
        CLOCK_FAIL_MICROS.. => {
            fail("clock", text, "synchronise both clocks: codes of second factors are refused")
        }
        CLOCK_WARN_MICROS.. => warn("clock", text, "synchronise both clocks"),
        _ => ok("clock", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(cause: &str, text: &str) -> Reason {
        let since = Timestamp::now().to_string();
        Reason { cause: cause.to_owned(), text: text.to_owned(), since, detail: None }
    }

    #[test]
    fn a_reason_of_the_service_is_shown_with_its_own_advice() {
        for trouble in larder::health::Trouble::ALL {
            let check = of_reason(&reason(trouble.as_str(), trouble.text()));
            let advice = check.advice.unwrap();
            assert!(
                !advice.contains("docs/relay.md lists the causes"),
                "{trouble:?} has no advice: {advice}"
            );
            assert_ne!(check.verdict, Verdict::Ok);
        }
        assert_eq!(of_reason(&reason("incomplete-journal", "a; b")).name, "triggers");
    }

    #[test]
    fn clocks_that_differ_are_noticed_in_both_directions() {
        let at = |seconds: i64| Timestamp::from_micros(1_800_000_000_000_000 + seconds * 1_000_000);
        let judged = |there| check_clock(at(10), &at(there).to_string(), at(12)).verdict;
        assert_eq!([10, 11, 12].map(judged), [Verdict::Ok; 3]);
        assert_eq!([8, 14].map(judged), [Verdict::Warn; 2]);
        assert_eq!([-25, 47].map(judged), [Verdict::Fail; 2]);
    }

    #[test]
    fn a_certificate_that_has_ended_fails_and_an_old_one_warns() {
        let judged = |left| {
            let staleness =
                Staleness { bound_ms: 2_000.0, certified_for_ms: left, unsent_invalidations: Some(0) };
            check_staleness(staleness)[0].verdict
        };
        assert_eq!(
            [Some(0.0), Some(400.0), Some(1_800.0), None].map(judged),
            [Verdict::Fail, Verdict::Warn, Verdict::Ok, Verdict::Warn]
        );
    }
}
