//! Two servers in one URL that both accept writes: the former primary still answers after its standby was promoted.

use larder::journal::{Changes, Journal as _, Touch, touches_of};
use larder_sql::database::Database;
use larder_sql::dialect::Dialect;
use larder_sql::journal::SqlJournal;
use larder_testbed::Postgres;

use crate::bed::{ROOMS, eventually, schema, tables};

/// A primary and a standby that has its rows, and a database of larder that lists both.
struct Pair {
    primary: Postgres,
    standby: Postgres,
    bed: larder_testbed::Database,
    database: Database,
}

impl Pair {
    async fn start() -> Self {
        let primary = Postgres::start().unwrap();
        let bed = larder_testbed::Database::fresh(&primary.url()).unwrap();
        bed.sql("CREATE TABLE owner (name text); INSERT INTO owner VALUES ('the old primary')").unwrap();
        let standby = primary.standby().unwrap();
        let there = standby.url().database(bed.name());
        eventually("the standby has the row", async || {
            larder_testbed::sql(&there, "SELECT name FROM owner").is_ok_and(|name| name == "the old primary")
        })
        .await;
        let hosts = format!("127.0.0.1:{},127.0.0.1:{}", primary.port(), standby.port());
        let url = format!("postgres://postgres@{hosts}/{}?target_session_attrs=read-write", bed.name());
        Self { primary, standby, bed, database: Database::connect(&url).await.unwrap() }
    }

    /// Promotes the standby, whose row then differs.
    fn promote(&self) {
        self.standby.promote().unwrap();
        let there = self.standby.url().database(self.bed.name());
        larder_testbed::sql(&there, "SET synchronous_commit = on; UPDATE owner SET name = 'the successor'")
            .unwrap();
    }

    /// Whether the old primary accepts new connections. It keeps those that it has.
    fn old_accepts(&self, accepts: bool) {
        let sql = format!("ALTER DATABASE {} ALLOW_CONNECTIONS {accepts}", self.bed.name());
        larder_testbed::sql(&self.primary.url().database("postgres"), &sql).unwrap();
    }
}

const NAME: &str = "SELECT name FROM owner";

async fn name(database: &Database) -> Result<String, sqlx::Error> {
    sqlx::query_scalar(NAME).fetch_one(database.read()).await
}

#[tokio::test]
async fn no_statement_runs_on_the_old_primary_once_a_connection_leads_to_the_successor() {
    let pair = Pair::start().await;
    pair.promote();
    assert_eq!(
        name(&pair.database).await.unwrap(),
        "the old primary",
        "it still answers, and nothing shows more"
    );
    pair.old_accepts(false);
    // The first loan has the open connection, so the second opens another.
    let first = pair.database.read_connection().await.unwrap();
    assert_eq!(name(&pair.database).await.unwrap(), "the successor");
    // The pool lends the connection first that was returned last.
    drop(first);
    for _ in 0..10 {
        assert_eq!(name(&pair.database).await.unwrap(), "the successor");
    }
}

#[tokio::test]
async fn a_former_primary_that_comes_back_is_refused_by_name() {
    let mut pair = Pair::start().await;
    pair.promote();
    pair.primary.crash().unwrap();
    eventually("the successor answers", async || {
        name(&pair.database).await.is_ok_and(|name| name == "the successor")
    })
    .await;
    pair.primary.restart().unwrap();
    pair.standby.crash().unwrap();
    let error = eventually_err(&pair.database).await;
    let former = format!("127.0.0.1:{} is a former primary", pair.primary.port());
    assert!(error.contains(&former), "{error}");
    pair.standby.restart().unwrap();
    eventually("the successor answers again", async || name(&pair.database).await.is_ok()).await;
    assert_eq!(name(&pair.database).await.unwrap(), "the successor");
}

#[tokio::test]
async fn the_journal_leaves_the_old_primary_once_a_connection_leads_to_the_successor() {
    let pair = Pair::start().await;
    pair.bed.sql(&schema(Dialect::Postgres, "one")).unwrap();
    let there = pair.standby.url().database(pair.bed.name());
    eventually("the standby has the rooms", async || {
        larder_testbed::sql(&there, "SELECT count(*) FROM rooms")
            .is_ok_and(|count| count == ROOMS.to_string())
    })
    .await;
    let journal = SqlJournal::open(&pair.database, tables()).await.unwrap();
    // From here on the journal has a connection of its own, to the old primary.
    let position = journal.changes_since(None).await.unwrap().position;
    pair.promote();
    let since = journal.changes_since(Some(&position)).await.unwrap();
    assert_eq!(
        since.changes,
        Changes::Known(Vec::new()),
        "the old primary still answers, and nothing shows more"
    );
    pair.old_accepts(false);
    let first = pair.database.read_connection().await.unwrap();
    assert_eq!(name(&pair.database).await.unwrap(), "the successor");
    drop(first);
    // It accepts connections again, and its own are still open.
    pair.old_accepts(true);
    let since = journal.changes_since(Some(&since.position)).await.unwrap();
    assert_eq!(since.changes, Changes::Unknown, "the successor has an outbox of its own");
    for round in 0..5 {
        let position = journal.changes_since(None).await.unwrap().position;
        larder_testbed::sql(&there, &format!("UPDATE rooms SET n = n + 1 WHERE id = {round}")).unwrap();
        larder_testbed::sql(
            &pair.primary.url().database(pair.bed.name()),
            "UPDATE rooms SET n = 9 WHERE id = 39",
        )
        .unwrap();
        let changes = journal.changes_since(Some(&position)).await.unwrap().changes;
        let Changes::Known(changes) = changes else { panic!("{changes:?}") };
        assert_eq!(
            touches_of(changes),
            [Touch::entry("room", [round.to_string()])],
            "of the successor alone"
        );
    }
}

/// The error of the first statement that finds the connections broken, or of the one after it.
async fn eventually_err(database: &Database) -> String {
    let mut said = String::new();
    for _ in 0..3 {
        said = match name(database).await {
            Err(error) => error.to_string(),
            Ok(name) => panic!("{name} answers"),
        };
    }
    said
}
