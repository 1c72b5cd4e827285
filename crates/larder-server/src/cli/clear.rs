//! `larder clear`, `larder warm` and `larder switch`: the cache of a running instance, changed by hand.

use std::path::Path;

use axum::http::Method;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::cli::instance::answers::{Dropped, Warmed};
use crate::cli::instance::output::{plain, print_json};
use crate::cli::instance::{Ask, InstanceArguments, segment};

/// The arguments of `larder clear`.
#[derive(Args)]
pub(crate) struct Clear {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    target: InstanceArguments,
    /// The receipt in JSON; `larder schema clear` describes it
    #[arg(long)]
    json: bool,
}

/// What is dropped; it has to be named, so that no slip of the finger drops everything.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
    /// All entries of one user, by its id or external id; the user need not exist
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// One class with all its entries
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Every entry whose text class:part:part matches; * matches any text
    #[arg(long, value_name = "PATTERN")]
    pattern: Option<String>,
    /// All entries
    #[arg(long)]
    all: bool,
}

impl Clear {
    pub(crate) async fn run(self, config: Option<&Path>) -> anyhow::Result<()> {
        let What { user, class, pattern, all } = self.what;
        let body = match (user, class, pattern) {
            (Some(id), ..) => json!({ "user": id }),
            (_, Some(class), _) => json!({ "class": class }),
            (.., Some(pattern)) => json!({ "pattern": pattern }),
            _ => json!({ "all": all }),
        };
        let ask = Ask::send(Method::POST, ["api", "v1", "cache", "invalidate"], Some(body));
        let answer = self.target.open(config)?.success(ask).await?;
        let dropped: Dropped = answer.json()?;
        if self.json {
            return say!("{}", answer.body);
        }
        let Dropped { keys, tags, patterns, .. } = dropped;
        let delivery = match dropped.delivery.as_str() {
            "sent" => "every tier has dropped it",
            _ => "this instance has dropped it, and Redis drops it before it is used again",
        };
        let journal = if dropped.journalled { "the journal has it" } else { "the journal does not have it" };
        say!(
            "Cleared {}: {keys} keys, {tags} tags, {patterns} patterns; {delivery}; {journal}.",
            plain(&dropped.what)
        )
    }
}

/// The arguments of `larder warm`.
#[derive(Args)]
pub(crate) struct Warm {
    #[command(flatten)]
    target: InstanceArguments,
    /// The warmed classes in JSON; `larder schema warm` describes it
    #[arg(long)]
    json: bool,
}

impl Warm {
    pub(crate) async fn run(self, config: Option<&Path>) -> anyhow::Result<()> {
        let ask = Ask::send(Method::POST, ["api", "v1", "cache", "warm"], Some(Value::Null));
        let answer = self.target.open(config)?.success(ask).await?;
        let Warmed { warmed } = answer.json()?;
        if self.json {
            return say!("{}", answer.body);
        }
        say!("Warmed: {}.", plain(&warmed.join(", ")))
    }
}

/// The arguments of `larder switch`.
#[derive(Args)]
pub(crate) struct Switch {
    /// The class
    #[arg(value_parser = segment)]
    class: String,
    /// Whether it caches
    state: State,
    #[command(flatten)]
    target: InstanceArguments,
    /// The class and its switch in JSON; `larder schema switch` describes it
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    On,
    Off,
}

/// A class and its switch on the instance that was asked.
#[derive(Serialize, ToSchema)]
#[schema(as = ClassSwitch)]
pub(crate) struct ClassSwitch {
    class: String,
    enabled: bool,
}

impl Switch {
    pub(crate) async fn run(self, config: Option<&Path>) -> anyhow::Result<()> {
        let (class, enabled) = (self.class, self.state == State::On);
        let path = ["api", "v1", "cache", "classes", &class];
        let ask = Ask::send(Method::PUT, path, Some(json!({ "enabled": enabled })));
        self.target.open(config)?.success(ask).await?.done()?;
        match (self.json, enabled) {
            (true, _) => print_json(&ClassSwitch { class, enabled }),
            (_, true) => say!("{} caches on this instance.", plain(&class)),
            (_, false) => say!("{} is off on this instance: its reads go to the database.", plain(&class)),
        }
    }
}
