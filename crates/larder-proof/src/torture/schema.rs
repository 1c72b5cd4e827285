//! The tables under torture. Every write of an item increments its version, and the version of its team's list.
//!
//! The list of a team is the sum over its items, and `team.version` always equals that sum. The trigger locks the
//! team's row, so that a writer knows which version of the list it has written.
//!
//! A version of the history is the version in the table plus [`TIMELINE`] for each timeline before that of the server
//! which answers. So every version names its timeline: a standby that was promoted without the last writes has no
//! version of the former primary, and each of its versions is above those.

use anyhow::Result;
use larder_sql::database::Database;
use larder_sql::dialect::Dialect;
use larder_sql::journal::{Table, migration};
use larder_sql::write::WriteTransaction;

use crate::history::{Key, Seen, Version};
use crate::torture::keys::{ITEMS, TEAM_ITEMS, TEAMS, TIMELINE, list_of, team_of};

const TABLES: &str = "
    CREATE TABLE team (id BIGINT PRIMARY KEY, version BIGINT NOT NULL);
    CREATE TABLE item (id BIGINT PRIMARY KEY, team BIGINT, touched BIGINT NOT NULL, version BIGINT NOT NULL);";

/// What to add to a version of a table, by the timeline of the server that answers. A view, which no fail-over changes
/// and the journal does not see: a cache has to notice a fail-over by itself.
fn timeline(dialect: Dialect) -> String {
    let base = match dialect {
        Dialect::Postgres => format!(
            "(CAST(CAST('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS BIT(32)) AS BIGINT) - 1) * {TIMELINE}"
        ),
        _ => "0".to_owned(),
    };
    format!("CREATE VIEW timeline AS SELECT {base} AS base;")
}

const POSTGRES_TRIGGER: &str = "
    CREATE FUNCTION next_version() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        NEW.version := OLD.version + 1;
        UPDATE team SET version = version + 1 WHERE id = NEW.team;
        RETURN NEW;
    END $$;
    CREATE TRIGGER item_version BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION next_version();";

const SQLITE_TRIGGER: &str = "
    CREATE TRIGGER item_version AFTER UPDATE OF touched ON item BEGIN
        UPDATE item SET version = OLD.version + 1 WHERE id = NEW.id;
        UPDATE team SET version = version + 1 WHERE id = NEW.team;
    END;";

/// A tag that all lists have, in addition to the tag with the name of their class.
pub(super) const TEAM_TAG: &str = "teams";

/// The declarations for the journal: a change of an item touches its entry in each class of items, and a change of a
/// team touches all lists.
pub fn journalled() -> [Table; 2] {
    let item = Table::new("item").entry("items", &["id"]).entry("aging", &["id"]).entry("faltering", &["id"]);
    let item = item.unique(&["id"]);
    [item, Table::new("team").tag(TEAM_TAG).unique(&["id"])]
}

/// The statements that create the tables. Each item has the version `first`.
pub(super) fn tables(dialect: Dialect, first: Version) -> Result<String> {
    let trigger = match dialect {
        Dialect::Postgres => POSTGRES_TRIGGER,
        _ => SQLITE_TRIGGER,
    };
    let teams = (0..TEAMS)
        .map(|team| format!("INSERT INTO team VALUES ({team}, {});", Version::from(TEAM_ITEMS) * first));
    let items = (0..ITEMS).map(|item| {
        let team = team_of(item).map_or("NULL".to_owned(), |team| team.to_string());
        format!("INSERT INTO item VALUES ({item}, {team}, 0, {first});")
    });
    let journal = migration(dialect, &journalled())?;
    Ok([TABLES.to_owned(), timeline(dialect), trigger.to_owned(), journal]
        .into_iter()
        .chain(teams)
        .chain(items)
        .collect())
}

/// The statements that replace the table of items by a copy with the trigger of versions and without those of the
/// journal. On SQLite the triggers are dropped with the old table.
pub(super) fn swap(dialect: Dialect) -> String {
    const COPY: &str = "CREATE TABLE item_copy (id BIGINT PRIMARY KEY, team BIGINT, touched BIGINT NOT NULL, version BIGINT NOT NULL);
        INSERT INTO item_copy SELECT id, team, touched, version FROM item; DROP TABLE item;
        ALTER TABLE item_copy RENAME TO item;";
    match dialect {
        Dialect::Postgres => format!(
            "BEGIN; LOCK TABLE item; {COPY} ALTER INDEX item_copy_pkey RENAME TO item_pkey;
             CREATE TRIGGER item_version BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION next_version();
             GRANT SELECT, INSERT, UPDATE, DELETE ON item TO PUBLIC; COMMIT"
        ),
        _ => format!("BEGIN IMMEDIATE; {COPY} {SQLITE_TRIGGER} COMMIT"),
    }
}

/// The number of writes of each item, without its timeline.
pub(super) const WRITES: &str = "SELECT version FROM item ORDER BY id";

/// The statement with which a program that does not use the cache writes an item.
pub(super) fn foreign_write(key: Key) -> String {
    format!("UPDATE item SET touched = touched + 1 WHERE id = {key}")
}

/// The versions that one write has written.
pub(super) struct Written {
    item: (Key, Version),
    list: Option<(Key, Version)>,
}

impl Written {
    /// The item, and its list if it has one.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Key, Seen)> {
        [Some(self.item), self.list].into_iter().flatten().map(|(key, version)| (key, Seen::Version(version)))
    }
}

/// Writes an item in a transaction.
pub(super) async fn write(transaction: &mut WriteTransaction, key: Key) -> Result<Written> {
    let id = i64::from(key);
    sqlx::query("UPDATE item SET touched = touched + 1 WHERE id = $1")
        .bind(id)
        .execute(transaction.statement())
        .await?;
    let version: i64 = sqlx::query_scalar("SELECT version + base FROM item, timeline WHERE id = $1")
        .bind(id)
        .fetch_one(transaction.statement())
        .await?;
    let list = match team_of(key) {
        None => None,
        Some(team) => {
            let version: i64 = sqlx::query_scalar("SELECT version + base FROM team, timeline WHERE id = $1")
                .bind(i64::from(team))
                .fetch_one(transaction.statement())
                .await?;
            Some((list_of(team), Version::try_from(version)?))
        }
    };
    Ok(Written { item: (key, Version::try_from(version)?), list })
}

/// The current version of every item and list.
pub(super) async fn versions(database: &Database) -> Result<Vec<(Key, Version)>> {
    // One statement, so that items and lists come from one snapshot.
    const ALL: &str = "SELECT 1, id, version + base FROM item, timeline
        UNION ALL SELECT 2, id, version + base FROM team, timeline";
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(ALL).fetch_all(database.read()).await?;
    let versions = rows.into_iter().map(|(kind, id, version)| {
        let id = Key::try_from(id)?;
        let key = if kind == 1 { id } else { list_of(id) };
        Ok((key, Version::try_from(version)?))
    });
    versions.collect()
}
