//! Nemeses that keep writes of other programs out of the journal, in ways in which operators, migrations and clean-up
//! jobs may do it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use larder_sql::dialect::Dialect;
use larder_sql::journal::triggers;

use crate::torture::keys::ITEMS;
use crate::torture::schema::journalled;
use crate::torture::schema::{self, foreign_write};
use crate::torture::stage::Stage;

/// Switches the triggers off, sometimes for less than the time between two polls.
pub(super) fn triggers_off(stage: &mut Stage) -> Result<()> {
    for off in off(stage.base.dialect()) {
        stage.base.sql(&off)?;
    }
    write_unseen(stage)?;
    if stage.base.dialect() == Dialect::Postgres && rand::random_bool(0.5) {
        // pg_restore ends with this statement. It enables the triggers without ALWAYS. The instances cannot set ALWAYS
        // again, because they do not own the tables.
        for table in journalled() {
            stage.base.sql(&format!("ALTER TABLE {} ENABLE TRIGGER ALL", table.name()))?;
        }
        write_unseen(stage)?;
    }
    heal(stage)
}

fn off(dialect: Dialect) -> Vec<String> {
    let names = journalled().map(|table| table.name().to_owned()).into_iter();
    match dialect {
        Dialect::Postgres => {
            names.map(|name| format!("ALTER TABLE {name} DISABLE TRIGGER larder_journal")).collect()
        }
        Dialect::Sqlite => names.map(|name| format!("DROP TRIGGER larder_journal_{name}_updated")).collect(),
    }
}

/// Row security hides the outbox from the instances, but not from the owner, who makes the foreign writes.
pub(super) fn hide_outbox(stage: &mut Stage) -> Result<()> {
    stage.base.sql("ALTER TABLE larder_outbox ENABLE ROW LEVEL SECURITY")?;
    write_unseen(stage)?;
    stage.base.sql("ALTER TABLE larder_outbox DISABLE ROW LEVEL SECURITY").map(drop)
}

/// Deletes rows of the outbox before an instance has read them.
pub(super) fn clean_outbox(stage: &mut Stage) -> Result<()> {
    for _ in 0..20 {
        let write = foreign_write(rand::random_range(0..ITEMS));
        let clean = match stage.base.dialect() {
            Dialect::Postgres if rand::random_bool(0.3) => "TRUNCATE larder_outbox",
            _ => "DELETE FROM larder_outbox",
        };
        stage.base.sql(&format!("{write}; {clean}"))?;
        thread::sleep(Duration::from_millis(rand::random_range(0..100)));
    }
    Ok(())
}

/// Replaces a table by a copy without the journal's triggers.
pub(super) fn swap_table(stage: &mut Stage) -> Result<()> {
    stage.base.sql(&schema::swap(stage.base.dialect()))?;
    write_unseen(stage)?;
    heal(stage)
}

/// Another program writes, for a moment or for up to 1.5 times the bound.
fn write_unseen(stage: &Stage) -> Result<()> {
    let longest = if rand::random_bool(0.5) { Duration::from_millis(100) } else { stage.bound.mul_f64(1.5) };
    let end = Instant::now() + longest.mul_f64(rand::random());
    loop {
        stage.base.sql(&foreign_write(rand::random_range(0..ITEMS)))?;
        if Instant::now() >= end {
            return Ok(());
        }
    }
}

fn heal(stage: &Stage) -> Result<()> {
    stage.base.sql(&format!("\n{}", triggers(stage.base.dialect(), &journalled())?)).map(drop)
}
