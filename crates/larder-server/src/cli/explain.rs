//! `larder explain`: what each tier holds under a key, and how a read would be answered.

use std::path::Path;

use axum::http::Method;
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::cli::instance::answers::{ClassStats, Copy, Explained};
use crate::cli::instance::output::{bytes, plain, print_json, relative};
use crate::cli::instance::{Ask, InstanceArguments};

/// The arguments of `larder explain`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The key: CLASS:PART:PART, as `larder explain --help` shows it; or the class alone, and its parts after it
    #[arg(value_name = "KEY")]
    entry: String,
    /// The parts of the key, if KEY is the class alone; needed for a part that has a colon
    #[arg(value_name = "PART")]
    parts: Vec<String>,
    #[command(flatten)]
    target: InstanceArguments,
    /// The explanation in JSON; `larder schema explain` describes it
    #[arg(long)]
    json: bool,
}

/// How a bounded read of the key would be answered now.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ServedFrom {
    /// From the copy in the instance's memory.
    Memory,
    /// From the entry in Redis.
    Redis,
    /// By the load that runs already.
    RunningLoad,
    /// By a load of its own from the database.
    Load,
    /// By its loader, past all tiers: the class is off.
    Bypass,
}

/// The explanation of a key.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyExplanation)]
pub(crate) struct KeyExplanation {
    served_from: ServedFrom,
    /// Why, in words.
    why: String,
    /// Whether the class caches on this instance.
    class_enabled: bool,
    /// The answer of `POST /api/v1/cache/explain`.
    #[schema(value_type = crate::api::cache::explained::Explained)]
    entry: Value,
}

pub(crate) async fn run(arguments: Arguments, config: Option<&Path>) -> anyhow::Result<()> {
    let instance = arguments.target.open(config)?;
    let (class, parts) = named(&arguments.entry, &arguments.parts);
    let body = json!({ "class": class, "key": parts });
    let ask = Ask::send(Method::POST, ["api", "v1", "cache", "explain"], Some(body));
    let answer = instance.success(ask).await?;
    let explained: Explained = answer.json()?;
    let classes = instance.success(Ask::get(["api", "v1", "cache", "classes"])).await?;
    let classes: Vec<ClassStats> = classes.json()?;
    let class_enabled = classes.iter().all(|one| one.name != class || one.enabled);
    let (served_from, why) = verdict(&explained, class_enabled);
    if arguments.json {
        let entry = answer.json()?;
        return print_json(&KeyExplanation { served_from, why, class_enabled, entry });
    }
    say!("{}", plain(&explained.text))?;
    say!("  memory             {}", explained.memory.as_ref().map_or("nothing".to_owned(), copy))?;
    let redis = match (&explained.redis, &explained.leased_until) {
        (Some(entry), _) => copy(entry),
        (None, Some(until)) => format!("leased by a load, the lease ends {}", relative(until)),
        (None, None) => plain(&explained.redis_state),
    };
    say!("  Redis              {redis}")?;
    say!("  loading here       {}", if explained.loading { "yes" } else { "no" })?;
    let last = explained.last_invalidation.as_ref().map_or("none that is remembered".to_owned(), |last| {
        format!("{}, {}, named {}", relative(&last.at), plain(&last.cause), plain(&last.named))
    });
    say!("  last invalidation  {last}")?;
    say!("A bounded read {why}.")
}

/// The class and the parts that the arguments name; `~` is a missing part.
fn named(key: &str, parts: &[String]) -> (String, Vec<Option<String>>) {
    let part = |text: &str| if text == "~" { None } else { Some(text.to_owned()) };
    match key.split_once(':') {
        Some((class, rest)) if parts.is_empty() => (class.to_owned(), rest.split(':').map(part).collect()),
        _ => (key.to_owned(), parts.iter().map(|text| part(text)).collect()),
    }
}

fn copy(copy: &Copy) -> String {
    let what = if copy.absent { "\"no such value\"".to_owned() } else { bytes(copy.payload_bytes) };
    let tags: Vec<_> = copy
        .tags
        .iter()
        .map(|tag| format!("{}{}", plain(&tag.name), if tag.stands { "" } else { " (invalidated)" }))
        .collect();
    let tags = if tags.is_empty() { String::new() } else { format!("; tags {}", tags.join(", ")) };
    let served = if copy.served { "served" } else { "not served" };
    format!("{what}, loaded {}, ends {}, {served}{tags}", relative(&copy.since), relative(&copy.until))
}

fn verdict(explained: &Explained, is_on: bool) -> (ServedFrom, String) {
    let is_served = |copy: &Option<Copy>| copy.as_ref().is_some_and(|copy| copy.served);
    if !is_on {
        return (ServedFrom::Bypass, "runs its loader, because the class is off on this instance".to_owned());
    }
    if is_served(&explained.memory) {
        return (ServedFrom::Memory, "is answered from memory".to_owned());
    }
    let not = explained
        .memory
        .as_ref()
        .map_or_else(|| "memory has no copy".to_owned(), |copy| refused(copy, "the copy in memory"));
    if is_served(&explained.redis) {
        return (ServedFrom::Redis, format!("is answered from Redis, because {not}"));
    }
    let not_redis = match (explained.redis_state.as_str(), &explained.redis) {
        (_, Some(entry)) => refused(entry, "the entry in Redis"),
        ("not configured", _) => "there is no Redis".to_owned(),
        ("away", _) => "Redis is not usable".to_owned(),
        ("anchor", _) => "Redis holds only the anchor of a memory-only class".to_owned(),
        ("leased", _) => "Redis holds the lease of a load".to_owned(),
        (state, _) => format!("Redis holds {}", plain(state)),
    };
    let why = format!("because {not}, and {not_redis}");
    match explained.loading || explained.leased_until.is_some() {
        true => (ServedFrom::RunningLoad, format!("waits for the load that runs, {why}")),
        false => (ServedFrom::Load, format!("runs its loader, {why}")),
    }
}

/// Why `copy` is not served; `name` says which copy it is.
fn refused(copy: &Copy, name: &str) -> String {
    match copy.tags.iter().find(|tag| !tag.stands) {
        Some(tag) => format!("the tag {} of {name} was invalidated", plain(&tag.name)),
        None => format!("{name} has ended or is not certified"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_split_at_its_colons_unless_its_parts_are_arguments() {
        let some = |texts: &[&str]| texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>();
        assert_eq!(named("user_details:7", &[]), ("user_details".to_owned(), some(&["7"])));
        assert_eq!(named("pages:~:", &[]), ("pages".to_owned(), vec![None, Some(String::new())]));
        let parts = ["f:4f9a:ann".to_owned()];
        assert_eq!(named("user_external", &parts), ("user_external".to_owned(), some(&["f:4f9a:ann"])));
    }
}
