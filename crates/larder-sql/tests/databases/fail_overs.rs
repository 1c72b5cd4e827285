//! Two servers in one URL that both accept writes: the former primary still answers after its standby was promoted.

use larder_sql::database::Database;
use larder_testbed::Postgres;

use crate::bed::eventually;

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
