//! `larder doctor`: examines the journal in the database; `cli/checkup.rs` examines a running instance.

use std::path::Path;

use anyhow::{Context, bail};
use clap::Args;
use larder::cache::Cache;
use larder_sql::database::Database;
use larder_sql::journal::{Defect, SqlJournal};

use crate::app;
use crate::cached::classes::Cached;
use crate::cached::journal::tables;
use crate::cli::database::{cannot_be_opened, line, set};
use crate::cli::instance::InstanceArguments;
use crate::cli::{Usage, checkup};
use crate::service::signing_keys::UNSEALED;
use crate::settings::Settings;
use crate::store::Store;

/// The arguments of `larder doctor`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Apply the remedies: needs a role that owns the tables. Each is a transaction that waits up to 50 ms for its locks
    #[arg(long)]
    mend: bool,
    /// Examine a running instance, over HTTP, instead of the database; --url implies it
    #[arg(long, conflicts_with = "mend", help_heading = "Instance")]
    instance: bool,
    #[command(flatten)]
    target: InstanceArguments,
    /// With --instance: the checks in JSON; `larder schema doctor` describes it
    #[arg(long, conflicts_with = "mend", help_heading = "Instance")]
    json: bool,
}

impl Arguments {
    /// Whether a running instance is examined. `LARDER_URL` alone does not say so: `larder doctor` then still examines the
    /// database.
    pub(crate) fn is_about_instance(&self) -> bool {
        self.instance || self.target.url.is_some()
    }

    pub(crate) async fn examine_instance(self, config: Option<&Path>) -> anyhow::Result<()> {
        if self.mend {
            return Err(Usage("--mend goes without --url: it mends the database".to_owned()).into());
        }
        checkup::run(&self.target, self.json, config).await
    }
}

pub(crate) async fn run(arguments: Arguments, settings: Settings) -> anyhow::Result<()> {
    if arguments.json {
        return Err(Usage("--json goes with --instance or --url".to_owned()).into());
    }
    let (name, url) = settings.database_for_schema();
    let database = Database::open(&settings.database.options(url).existing()).await;
    let database = database.with_context(|| cannot_be_opened(&settings, name))?;
    if database.schema_version().await?.is_none() {
        bail!("{}: the database has no schema of larder; `larder migrate` makes it", set(&settings, name));
    }
    say!("{}", line(&settings, name))?;
    let journal = SqlJournal::open_for_inspection(&database, tables())
        .await
        .context("the journal cannot be examined")?;
    let before = journal.defects();
    let after = if arguments.mend { journal.mend().await? } else { before.clone() };
    let mut wrong = find_declaration_errors(&database, &journal, &settings).await?;
    wrong.retain(|one| after.iter().all(|defect| defect.to_string() != *one));
    let guards = Store::looking_at(&database).lost_guards().await?;
    database.close().await;
    notes(&settings)?;
    for defect in before.iter().filter(|defect| !after.contains(defect)) {
        say!("mended: {defect}")?;
    }
    for defect in &after {
        show(defect)?;
    }
    for one in &wrong {
        say!("misdeclared: {one}")?;
    }
    for guard in &guards {
        say!("defect: {}", app::lost_guard(guard))?;
    }
    if !guards.is_empty() {
        bail!("the audit log is not protected");
    }
    match after.len() + wrong.len() {
        0 => say!("The journal is complete: every change of a cached row is recorded."),
        1 => bail!("the journal is incomplete: 1 defect"),
        count => bail!("the journal is incomplete: {count} defects"),
    }
}

/// The declaration errors: what the service's tables and classes declare and this database contradicts. Each of them
/// prevents the service's start.
async fn find_declaration_errors(
    database: &Database,
    journal: &SqlJournal,
    settings: &Settings,
) -> anyhow::Result<Vec<String>> {
    let cache = Cache::builder("doctor").build().await?;
    // The classes are only inspected: nothing is read through them.
    let _cached = Cached::open(&cache, &Store::looking_at(database), &settings.policies)?;
    Ok(journal.find_declaration_errors(&cache).await?)
}

/// Prints notes about what is no defect of the journal: files that other users can read, and a secret key that is not
/// set.
fn notes(settings: &Settings) -> anyhow::Result<()> {
    for exposed in settings.database.exposed(&settings.database_url) {
        say!("note: {exposed}")?;
    }
    if settings.security.secret_keys.current.is_none() {
        say!("note: {UNSEALED}")?;
    }
    Ok(())
}

fn show(defect: &Defect) -> anyhow::Result<()> {
    say!("defect: {defect}")?;
    match defect.remedy() {
        Some(remedy) => {
            say!("  remedy, as the owner of the tables (or `larder doctor --mend`):\n{}", indented(remedy))
        }
        None => say!("  remedy: undo the change, or declare it in a migration"),
    }
}

fn indented(sql: &str) -> String {
    sql.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
