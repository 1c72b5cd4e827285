//! `larder advise`.

use std::path::Path;

use anyhow::bail;
use axum::http::Method;
use clap::Args;

use crate::cli::instance::answers::{Advice, Tuning, TuningChange};
use crate::cli::instance::output::{plain, relative, table};
use crate::cli::instance::{Ask, Instance, InstanceArguments};

const PATH: [&str; 4] = ["api", "v1", "cache", "tuning"];

/// The arguments of `larder advise`.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: InstanceArguments,
    /// Undo the change of this number, and leave that setting alone until a restart
    #[arg(long, value_name = "NUMBER")]
    undo: Option<u64>,
    /// The complete answer in JSON; `larder schema advise` describes it, `larder schema undo` that of --undo
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments, config: Option<&Path>) -> anyhow::Result<()> {
    let instance = arguments.target.open(config)?;
    if let Some(id) = arguments.undo {
        return undo(&instance, id, arguments.json).await;
    }
    let answer = instance.success(Ask::get(PATH)).await?;
    // Parsed first: another program's answer is no success.
    let tuning: Tuning = answer.json()?;
    if arguments.json {
        return say!("{}", answer.body);
    }
    if tuning.mode == "off" {
        bail!("tuning is off on this instance: LARDER_TUNING=advise lets it watch and give advice");
    }
    match tuning.advice.as_slice() {
        [] => say!("no advice: nothing would save much, or too little was seen yet")?,
        all => {
            let row = |advice: &Advice| vec![advice.kind.clone(), advice.text.clone()];
            say!("{}", table(&["advice", ""], all.iter().map(row), 2))?;
        }
    }
    if !tuning.changes.is_empty() {
        let header = ["change", "class", "what", "why", "when", ""];
        say!("\n{}", table(&header, tuning.changes.iter().map(change_row), header.len()))?;
    }
    Ok(())
}

fn change_row(change: &TuningChange) -> Vec<String> {
    let undone = if change.is_undone { "undone" } else { "" };
    let (text, reason, at) = (change.text.clone(), change.reason.clone(), relative(&change.at));
    vec![change.id.to_string(), change.class.clone(), text, reason, at, undone.to_owned()]
}

async fn undo(instance: &Instance, id: u64, json: bool) -> anyhow::Result<()> {
    let id = id.to_string();
    let path = PATH.into_iter().chain([id.as_str(), "undo"]);
    let answer = instance.success(Ask::send(Method::POST, path, None)).await?;
    let TuningChange { class, text, .. } = answer.json()?;
    if json {
        return say!("{}", answer.body);
    }
    say!("Undone on this instance: {}: {}.", plain(&class), plain(&text))
}
