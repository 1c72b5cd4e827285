//! `larder schema`: the JSON Schema of what a command prints with `--json`.

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::cli::checkup::Checkup;
use crate::cli::clear::ClassSwitch;
use crate::cli::explain::KeyExplanation;
use crate::cli::instance::output::print_json;
use crate::cli::top::frame::Frame;
use crate::cli::users::accounts::Deleted;
use crate::router;

// Where OpenAPI keeps schemas, and where JSON Schema does.
const COMPONENTS: &str = "#/components/schemas/";
const DEFINITIONS: &str = "#/$defs/";

/// The arguments of `larder schema`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Whose output is described
    command: Output,
}

/// A command that prints JSON.
#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Stats,
    /// Of `larder stats --since`
    History,
    Advise,
    /// Of `larder advise --undo`
    Undo,
    Explain,
    Clear,
    Warm,
    Switch,
    /// Of `larder doctor --instance`
    Doctor,
    /// Of `larder top --once`
    Top,
    UsersList,
    /// Of `larder users show`, `create`, `activate` and `deactivate`
    UsersShow,
    UsersDelete,
}

impl Output {
    /// The name of the schema in the OpenAPI document, or among the outputs that only the commands have.
    fn name(self) -> std::borrow::Cow<'static, str> {
        match self {
            Self::Stats => "CacheStats".into(),
            Self::History => "History".into(),
            Self::Advise => "Tuning".into(),
            Self::Undo => "TuningChange".into(),
            Self::Explain => KeyExplanation::name(),
            Self::Clear => "Dropped".into(),
            Self::Warm => "Warmed".into(),
            Self::Switch => ClassSwitch::name(),
            Self::Doctor => Checkup::name(),
            Self::Top => Frame::name(),
            Self::UsersList => "List_View".into(),
            Self::UsersShow => "View".into(),
            Self::UsersDelete => Deleted::name(),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    print_json(&schema(&arguments.command.name())?)
}

/// The schema of this name with all schemas that it uses. OpenAPI 3.1 has the schemas of JSON Schema 2020-12, so only
/// their place differs.
fn schema(name: &str) -> anyhow::Result<Value> {
    let document = serde_json::to_string(&router::document().components)?.replace(COMPONENTS, DEFINITIONS);
    let document: Value = serde_json::from_str(&document)?;
    let mut all = document["schemas"].as_object().cloned().unwrap_or_default();
    add::<KeyExplanation>(&mut all)?;
    add::<ClassSwitch>(&mut all)?;
    add::<Checkup>(&mut all)?;
    add::<Frame>(&mut all)?;
    add::<Deleted>(&mut all)?;
    let used = used(name, &all);
    all.retain(|name, _| used.contains(name));
    anyhow::ensure!(all.contains_key(name), "no schema is named {name}");
    Ok(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("{DEFINITIONS}{name}"),
        "$defs": all,
    }))
}

/// Adds the schema of an output, and those that it uses.
fn add<T: ToSchema>(all: &mut Map<String, Value>) -> anyhow::Result<()> {
    let mut schemas = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut schemas);
    for (name, schema) in schemas {
        let schema = serde_json::to_string(&schema)?.replace(COMPONENTS, DEFINITIONS);
        all.entry(name).or_insert(serde_json::from_str(&schema)?);
    }
    Ok(())
}

/// The names of the schemas that `root` uses, directly or in another schema, itself included.
fn used(root: &str, all: &Map<String, Value>) -> BTreeSet<String> {
    let mut used = BTreeSet::from([root.to_owned()]);
    let mut open: Vec<&Value> = all.get(root).into_iter().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => open.extend(fields.values()),
            Value::Array(entries) => open.extend(entries),
            Value::String(text) => {
                if let Some(name) = text.strip_prefix(DEFINITIONS)
                    && used.insert(name.to_owned())
                {
                    open.extend(all.get(name));
                }
            }
            _ => {}
        }
    }
    used
}
