//! Tags that read some columns: which writes touch them.

use larder::journal::Touch;
use larder_sql::dialect::Dialect;
use larder_sql::journal::{Table, triggers};

use crate::bed::{Bed, tag};
use crate::on_both;

on_both!(
    each_kind_of_write_touches_the_tags_that_read_its_columns,
    values_that_only_seem_the_same_have_changed,
    a_transaction_counts_each_of_its_changes,
    a_column_that_is_not_there_fails_the_migration,
);

/// What a statement does to the tag `board`, whose loaders read names and scores.
#[derive(Debug, PartialEq, Eq)]
enum Board {
    Touched,
    /// The statement changed other columns only.
    Kept,
    /// The statement wrote no row.
    Unwritten,
}
use Board::{Kept, Touched, Unwritten};

fn players() -> Table {
    Table::new("players")
        .entry("player", &["id"])
        .tag("everybody")
        .tag_reading("board", &["name", "score"])
        .unique(&["id"])
        .unique(&["email"])
}

/// Three players: Ann, Ben with an address, and a player whose other columns are NULL.
async fn declare(bed: &Bed) {
    bed.sql(
        "CREATE TABLE players (id TEXT PRIMARY KEY, email TEXT UNIQUE, name TEXT, score BIGINT, bio TEXT);
         INSERT INTO players VALUES ('a', NULL, 'Ann', 1, 'x'), ('b', 'ben', 'Ben', 2, 'y'), ('c', NULL, NULL, NULL, NULL)",
    );
    bed.sql(&triggers(bed.database.dialect(), &[players()]).unwrap());
}

async fn board(bed: &Bed, statement: &str) -> Board {
    let touched = bed.touched_by(statement).await;
    match (touched.contains(&tag("board")), touched.contains(&tag("everybody"))) {
        (true, true) => Touched,
        (false, true) => Kept,
        (false, false) => Unwritten,
        (true, false) => panic!("{statement}: {touched:?}"),
    }
}

/// Runs the cases in their order on one database.
async fn check(bed: &Bed, cases: &[(&str, Board)]) {
    for (statement, expected) in cases {
        assert_eq!(board(bed, statement).await, *expected, "{statement}");
    }
}

async fn each_kind_of_write_touches_the_tags_that_read_its_columns(bed: Bed) {
    declare(&bed).await;
    // On SQLite an INSERT that meets a row may be about to replace it.
    let met = |on_postgres| if bed.database.dialect() == Dialect::Sqlite { Touched } else { on_postgres };
    check(
        &bed,
        &[
            ("UPDATE players SET bio = 'z' WHERE id = 'a'", Kept),
            ("UPDATE players SET bio = NULL", Kept),
            ("UPDATE players SET email = 'ann' WHERE id = 'a'", Kept),
            ("UPDATE players SET bio = 'w', name = name, score = score", Kept),
            ("UPDATE players SET score = 3 WHERE id = 'none'", Unwritten),
            ("UPDATE players SET score = 3 WHERE id = 'a'", Touched),
            ("UPDATE players SET score = 2 WHERE id = 'a'", Touched),
            ("UPDATE players SET name = 'ann' WHERE id = 'a'", Touched),
            // One of many rows.
            ("UPDATE players SET bio = 'v', name = CASE id WHEN 'b' THEN 'Bob' ELSE name END", Touched),
            // The same names and scores as before, but of other rows.
            ("UPDATE players SET name = CASE id WHEN 'a' THEN 'Bob' ELSE 'ann' END WHERE id <> 'c'", Touched),
            ("UPDATE players SET id = 'd' WHERE id = 'a'", Touched),
            ("UPDATE players SET name = '' WHERE id = 'c'", Touched),
            ("UPDATE players SET name = NULL WHERE id = 'c'", Touched),
            ("UPDATE players SET name = NULL WHERE id = 'c'", Kept),
            ("INSERT INTO players (id) VALUES ('e')", Touched),
            ("INSERT INTO players (id) VALUES ('e') ON CONFLICT DO NOTHING", met(Unwritten)),
            ("INSERT INTO players (id) VALUES ('e') ON CONFLICT (id) DO UPDATE SET bio = 'u'", met(Kept)),
            ("INSERT INTO players (id) VALUES ('e') ON CONFLICT (id) DO UPDATE SET score = 7", Touched),
            ("INSERT INTO players (id) VALUES ('f') ON CONFLICT (id) DO UPDATE SET bio = 'u'", Touched),
            ("DELETE FROM players WHERE id = 'f'", Touched),
            ("DELETE FROM players WHERE id = 'f'", Unwritten),
        ],
    )
    .await;
}

async fn values_that_only_seem_the_same_have_changed(bed: Bed) {
    let set_up = match bed.database.dialect() {
        Dialect::Postgres => {
            "CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             CREATE TABLE things (id TEXT PRIMARY KEY, folded TEXT COLLATE folding, number NUMERIC, real FLOAT8, doc JSON);
             INSERT INTO things VALUES ('1', 'a', 1, 0.1, '{\"a\":1}')"
        }
        _ => {
            "CREATE TABLE things (id TEXT PRIMARY KEY, folded TEXT COLLATE NOCASE, number, real REAL, doc BLOB);
             INSERT INTO things VALUES ('1', 'a', 1, 0.1, 'text')"
        }
    };
    bed.sql(set_up);
    let columns = ["folded", "number", "real", "doc"];
    let things = Table::new("things").tag("everybody").tag_reading("board", &columns).unique(&["id"]);
    bed.sql(&triggers(bed.database.dialect(), &[things]).unwrap());
    let only_here: [(&str, Board); 3] = match bed.database.dialect() {
        Dialect::Postgres => [
            // With few digits, both have the text 0.1.
            ("SET extra_float_digits = -15; UPDATE things SET real = 0.1000000001", Touched),
            ("UPDATE things SET number = 1.00", Touched),
            ("UPDATE things SET doc = '{\"a\": 1}'", Touched),
        ],
        _ => [
            ("UPDATE things SET real = 0.1 + 1e-17", Touched),
            ("UPDATE things SET number = 1.0", Touched),
            ("UPDATE things SET doc = x'74657874'", Touched),
        ],
    };
    check(&bed, &only_here).await;
    check(
        &bed,
        &[
            ("UPDATE things SET folded = 'A'", Touched),
            ("UPDATE things SET folded = 'A', number = number, real = real, doc = doc", Kept),
        ],
    )
    .await;
}

async fn a_transaction_counts_each_of_its_changes(bed: Bed) {
    declare(&bed).await;
    check(
        &bed,
        &[
            // Only the transaction's own statements could read the intermediate value. The triggers journal it anyway.
            ("BEGIN; UPDATE players SET score = 9 WHERE id = 'a'; UPDATE players SET score = 1 WHERE id = 'a'; COMMIT", Touched),
            ("BEGIN; UPDATE players SET score = 9; ROLLBACK", Unwritten),
            (
                "BEGIN; UPDATE players SET bio = 'r'; SAVEPOINT s; UPDATE players SET score = 9; ROLLBACK TO s; COMMIT",
                Kept,
            ),
        ],
    )
    .await;
}

async fn a_column_that_is_not_there_fails_the_migration(bed: Bed) {
    declare(&bed).await;
    let wrong = [
        players().tag_reading("other", &["nickname"]),
        players().entry("other", &["nickname"]),
        players().unique(&["nickname"]),
        players().tag_reading("other", &["Name"]),
    ];
    for table in wrong {
        // SQLite ignores the letter case of columns, here and in the triggers.
        let is_found = bed.database.dialect() == Dialect::Sqlite && format!("{table:?}").contains("\"Name\"");
        let sql = triggers(bed.database.dialect(), &[table]).unwrap();
        match bed.try_sql(&sql) {
            Ok(_) => assert!(is_found, "{sql}"),
            Err(error) => assert!(error.contains("nickname") || !is_found, "{error}"),
        }
    }
    assert_eq!(board(&bed, "UPDATE players SET score = 5 WHERE id = 'a'").await, Touched);
}

#[tokio::test]
async fn writes_that_only_postgres_has_touch_the_tag() {
    let bed = Bed::postgres().await;
    declare(&bed).await;
    check(
        &bed,
        &[
            ("SET session_replication_role = replica; UPDATE players SET bio = 'r'", Kept),
            ("SET session_replication_role = replica; UPDATE players SET score = 8 WHERE id = 'a'", Touched),
            ("COPY players (id) FROM PROGRAM 'echo g'", Touched),
            (
                "MERGE INTO players USING (VALUES ('a')) AS new (id) ON players.id = new.id
                 WHEN MATCHED THEN UPDATE SET bio = 'm' WHEN NOT MATCHED THEN INSERT (id) VALUES ('h')",
                Kept,
            ),
            (
                "MERGE INTO players USING (VALUES ('h')) AS new (id) ON players.id = new.id
                 WHEN MATCHED THEN UPDATE SET bio = 'm' WHEN NOT MATCHED THEN INSERT (id) VALUES ('h')",
                Touched,
            ),
        ],
    )
    .await;
    bed.sql("TRUNCATE players");
    assert_eq!(bed.last_row(), ["board", "everybody", "player"].map(tag));
}

/// A row that moves to another partition is deleted and inserted.
#[tokio::test]
async fn a_row_that_moves_between_partitions_touches_it() {
    let bed = Bed::postgres().await;
    bed.sql(
        "CREATE TABLE players (id TEXT, team TEXT, score BIGINT, PRIMARY KEY (id, team)) PARTITION BY LIST (team);
         CREATE TABLE reds PARTITION OF players FOR VALUES IN ('red');
         CREATE TABLE blues PARTITION OF players DEFAULT;
         INSERT INTO players VALUES ('a', 'red', 1)",
    );
    let players = Table::new("players").tag("everybody").tag_reading("board", &["score"]).unique(&["id"]);
    bed.sql(&triggers(Dialect::Postgres, &[players]).unwrap());
    check(
        &bed,
        &[
            ("UPDATE players SET score = 1", Kept),
            ("UPDATE reds SET score = 2", Touched),
            ("UPDATE players SET team = 'blue'", Touched),
        ],
    )
    .await;
}

#[tokio::test]
async fn replace_touches_it() {
    let bed = Bed::sqlite().await;
    declare(&bed).await;
    check(
        &bed,
        &[
            ("REPLACE INTO players SELECT * FROM players WHERE id = 'a'", Touched),
            // Ben's row conflicts.
            ("UPDATE OR REPLACE players SET email = 'ben' WHERE id = 'a'", Touched),
            ("UPDATE OR REPLACE players SET email = 'ann' WHERE id = 'a'", Kept),
            ("UPDATE OR IGNORE players SET bio = 'i'", Kept),
        ],
    )
    .await;
    assert_eq!(bed.sql("SELECT COUNT(*) FROM players"), "2");
}

/// The tag reads only the key, and the table has no entries.
#[tokio::test]
async fn a_declaration_without_entries_works_on_both() {
    for bed in [Bed::sqlite().await, Bed::postgres().await] {
        bed.sql("CREATE TABLE flags (name TEXT PRIMARY KEY, is_on BOOLEAN, note TEXT)");
        let flags = Table::new("flags").tag_reading("board", &["is_on"]).unique(&["name"]);
        bed.sql(&triggers(bed.database.dialect(), &[flags]).unwrap());
        assert_eq!(bed.touched_by("INSERT INTO flags VALUES ('f', TRUE, '')").await, [tag("board")]);
        assert_eq!(bed.touched_by("UPDATE flags SET note = 'n'").await, Vec::<Touch>::new());
        assert_eq!(bed.touched_by("UPDATE flags SET name = 'g'").await, [tag("board")]);
    }
}
