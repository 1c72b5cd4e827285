//! A test database with a journal and two declared tables, and a writer that does not use larder.

use larder::journal::{Change, Changes, Journal, Position, Touch, touches_of};
use larder_sql::database::Database;
use larder_sql::dialect::Dialect;
use larder_sql::journal::{SqlJournal, Table, migration};
use larder_testbed::{Postgres, PostgresUrl, Sqlite};

/// The declared tables. A guest's entries are found by id, e-mail address and telephone (which may be NULL); a note
/// touches the entry of its guest.
pub fn tables() -> Vec<Table> {
    let guests = Table::new("guests")
        .entry("guest", &["id"])
        .entry("guest_email", &["email"])
        .entry("guest_phone", &["phone"])
        .tag("guest_list")
        .unique(&["id"])
        .unique(&["email"]);
    let notes = Table::new("notes").entry("guest_notes", &["guest_id"]).unique(&["id"]);
    vec![guests, notes]
}

pub const TABLES: &str = "
    CREATE TABLE guests (id TEXT NOT NULL PRIMARY KEY, email TEXT NOT NULL UNIQUE, phone TEXT, n BIGINT);
    CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, guest_id TEXT REFERENCES guests (id) ON DELETE CASCADE);
";

enum Server {
    Postgres(larder_testbed::Database),
    Sqlite(Sqlite),
}

pub struct Bed {
    server: Server,
    pub database: Database,
    pub journal: SqlJournal,
}

impl Bed {
    pub async fn postgres() -> Self {
        Self::on(&Postgres::shared().unwrap()).await
    }

    pub async fn on(server: &PostgresUrl) -> Self {
        let server = larder_testbed::Database::fresh(server).unwrap();
        server.sql(TABLES).unwrap();
        server.sql(&migration(Dialect::Postgres, &tables()).unwrap()).unwrap();
        let database = Database::connect(&server.url()).await.unwrap();
        Self {
            server: Server::Postgres(server),
            journal: SqlJournal::open(&database, tables()).await.unwrap(),
            database,
        }
    }

    pub async fn sqlite() -> Self {
        let server = Sqlite::fresh().unwrap();
        server.sql(TABLES).unwrap();
        server.sql(&format!("\n{}", migration(Dialect::Sqlite, &tables()).unwrap())).unwrap();
        let database = Database::connect(&server.url()).await.unwrap();
        Self {
            server: Server::Sqlite(server),
            journal: SqlJournal::open(&database, tables()).await.unwrap(),
            database,
        }
    }

    /// The same database with its journal opened again for other declarations.
    pub async fn declaring(self, tables: Vec<Table>) -> Self {
        Self { journal: SqlJournal::open(&self.database, tables).await.unwrap(), ..self }
    }

    /// The touches of the last row of the outbox. After TRUNCATE a poll is unknown, because TRUNCATE changes the
    /// table's storage; the writer still gets the touches of the row.
    pub fn last_row(&self) -> Vec<Touch> {
        let row = self.sql("SELECT touched FROM larder_outbox ORDER BY xid DESC LIMIT 1");
        let mut touches: Vec<Touch> = serde_json::from_str(&row).unwrap();
        touches.sort();
        touches
    }

    /// Runs SQL in psql or in the sqlite3 shell, as a program that does not use larder.
    pub fn sql(&self, statement: &str) -> String {
        self.try_sql(statement).unwrap()
    }

    /// As [`Bed::sql`]; returns the database's error text if the statement fails.
    pub fn try_sql(&self, statement: &str) -> Result<String, String> {
        let output = match &self.server {
            Server::Postgres(server) => server.sql(statement),
            // The shell would read a statement that begins with `--` as an option.
            Server::Sqlite(server) if statement.starts_with('-') => server.sql(&format!("\n{statement}")),
            Server::Sqlite(server) => server.sql(statement),
        };
        output.map_err(|error| error.to_string())
    }

    pub fn url(&self) -> String {
        match &self.server {
            Server::Postgres(server) => server.url(),
            Server::Sqlite(server) => server.url(),
        }
    }

    /// The position of a consumer that has seen every change.
    pub async fn now(&self) -> Position {
        self.journal.changes_since(None).await.unwrap().position
    }

    /// The system and the timeline of the database in positions and changes. They do not contain the parts that
    /// distinguish a copy, because positions stay valid after a restart of the server.
    pub async fn place(&self) -> (String, u64) {
        let position = self.now().await;
        let mut parts = position.as_str().rsplitn(3, '/').skip(1);
        let timeline = parts.next().unwrap().parse().unwrap();
        let system = parts.next().unwrap().to_owned();
        assert!(self.journal.database().await.unwrap().system.starts_with(&format!("{system}:")));
        (system, timeline)
    }

    /// The touches that were committed since `from`. Sets `from` to the new position.
    pub async fn since(&self, from: &mut Position) -> Vec<Touch> {
        match self.try_since(from).await {
            Some(touches) => touches,
            None => panic!("unknown since {from:?}"),
        }
    }

    /// As [`Bed::since`]; `None` if the changes are unknown.
    pub async fn try_since(&self, from: &mut Position) -> Option<Vec<Touch>> {
        let since = self.journal.changes_since(Some(from)).await.unwrap();
        *from = since.position;
        match since.changes {
            Changes::Known(changes) => Some(sorted(changes)),
            _ => None,
        }
    }

    /// Runs `statement` and returns what it touched.
    pub async fn touched_by(&self, statement: &str) -> Vec<Touch> {
        let mut from = self.now().await;
        self.sql(statement);
        self.since(&mut from).await
    }
}

/// The touches of these changes, sorted.
pub fn sorted(changes: Vec<Change>) -> Vec<Touch> {
    let mut touches = touches_of(changes);
    touches.sort();
    touches
}

/// What a change of a guest touches.
pub fn guest(id: &str, email: &str, phone: Option<&str>) -> Vec<Touch> {
    let mut touches =
        vec![Touch::entry("guest", [id]), Touch::entry("guest_email", [email]), tag("guest_list")];
    touches.extend(phone.map(|phone| Touch::entry("guest_phone", [phone])));
    touches
}

pub fn notes(guest_id: &str) -> Vec<Touch> {
    vec![Touch::entry("guest_notes", [guest_id])]
}

pub fn tag(name: &str) -> Touch {
    Touch::Tag(name.to_owned())
}

/// All of these touches, sorted and without duplicates.
pub fn all<const N: usize>(lists: [Vec<Touch>; N]) -> Vec<Touch> {
    let mut touches = lists.concat();
    touches.sort();
    touches.dedup();
    touches
}

/// Expands each `async fn name(bed)` into a test for SQLite and one for PostgreSQL.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::bed::Bed::sqlite().await).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::bed::Bed::postgres().await).await;
            })+
        }
    };
}
