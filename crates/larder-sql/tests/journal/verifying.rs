//! `SqlJournal::verify` refuses wrong declarations at a program's start, and lists all of them.

use larder::cache::Cache;
use larder::journal::Journal;
use larder::key::{Key, KeyParts};
use larder::tag;
use larder_sql::dialect::Dialect;
use larder_sql::error::ErrorKind;
use larder_sql::journal::{SqlJournal, Table, triggers};

use crate::bed::Bed;
use crate::on_both;

on_both!(
    a_good_declaration_passes,
    names_and_orders_that_no_key_has_are_listed_together,
    columns_called_otherwise_are_said_once_for_each_table,
    tags_by_key_without_a_group_are_not_guessed,
    groups_that_no_key_computes_are_listed,
    groups_of_keys_without_a_sample_are_not_guessed,
    classes_that_no_table_touches_are_listed,
    an_order_that_the_key_contradicts_is_refused,
    a_cache_without_the_journal_is_refused,
    a_missing_trigger_is_in_the_list,
);

/// A key of the application that does not describe its parts.
struct Opaque(u64);

impl Key for Opaque {
    fn parts(&self, parts: &mut KeyParts<'_>) {
        parts.push(&self.0);
    }

    fn with_key<R>(&self, f: impl FnOnce(&Self) -> R) -> R {
        f(self)
    }
}

/// A key of the application that names the columns of its parts.
#[derive(larder::Key)]
struct Seat {
    tenant: u64,
    number: u64,
}

const SEATS: &str = "CREATE TABLE seats (tenant BIGINT NOT NULL, number BIGINT NOT NULL, name TEXT, PRIMARY KEY (tenant, number))";

fn seats() -> Table {
    Table::new("seats").unique(&["tenant", "number"])
}

/// Creates the table and its triggers.
async fn declare(bed: Bed, create: &str, table: Table) -> Bed {
    bed.sql(create);
    bed.sql(&format!("\n{}", triggers(bed.database.dialect(), std::slice::from_ref(&table)).unwrap()));
    bed.declaring(vec![table]).await
}

async fn cache(bed: &Bed) -> Cache {
    Cache::builder("verifying").journal(bed.journal.clone()).build().await.unwrap()
}

/// A cache that does not refuse the key columns, because it knows no journal.
async fn cache_alone() -> Cache {
    Cache::builder("verifying").build().await.unwrap()
}

const WITHOUT: &str = "the cache was built without this journal";

/// The lines that `verify` lists.
async fn wrong(journal: &SqlJournal, cache: &Cache) -> Vec<String> {
    let error = journal.verify(cache).await.unwrap_err();
    let ErrorKind::Declaration(text) = error.kind() else { panic!("{error:?}") };
    let lines: Vec<_> = text.lines().skip(1).map(str::to_owned).collect();
    assert!(text.contains(&format!("for {} reason", lines.len())), "{text}");
    lines
}

#[track_caller]
fn check(wrong: &[String], expected: &[&str]) {
    for part in expected {
        let count = wrong.iter().filter(|line| line.contains(part)).count();
        assert_eq!(count, 1, "{part}: {wrong:#?}");
    }
    assert_eq!(wrong.len(), expected.len(), "{wrong:#?}");
}

async fn a_good_declaration_passes(bed: Bed) {
    let table = seats()
        .entry("seat", &["tenant", "number"])
        .entry("seat_pair", &["tenant", "number"])
        .entry("tenant", &["tenant"])
        .entry("seat_by_name", &["name"])
        .tag("seat_list")
        .tag("everything");
    let bed = declare(bed, SEATS, table).await;
    let cache = cache(&bed).await;
    cache.class::<Seat, u64>("seat").open().unwrap();
    cache.class::<(u64, u64), u64>("seat_pair").columns(&["tenant", "number"]).open().unwrap();
    cache.class::<Opaque, u64>("tenant").columns(&["tenant"]).open().unwrap();
    cache.class::<str, u64>("seat_by_name").open().unwrap();
    cache.class::<str, u64>("seat_list").tagged("everything").open().unwrap();
    bed.journal.verify(&cache).await.unwrap();
    assert_eq!(bed.journal.declaration_errors().await.unwrap(), Vec::<String>::new());
    Cache::builder("verifying").journal(bed.journal).build().await.unwrap();
}

async fn names_and_orders_that_no_key_has_are_listed_together(bed: Bed) {
    let table = seats()
        .entry("romo", &["number"])
        .entry("swapped", &["number", "tenant"])
        .entry("pair", &["tenant", "number"])
        .entry("opaque", &["tenant"])
        .entry("short", &["tenant", "number"])
        .entry("odd", &["tenant", "number"])
        .entry("by_text", &["number"])
        .entry("by_number", &["name"])
        .entry("by_flag", &["name"])
        .tag("seat_lst")
        .tag("pair");
    let bed = declare(bed, SEATS, table).await;
    let cache = cache(&bed).await;
    cache.class::<u64, u64>("room").open().unwrap();
    cache.class::<Seat, u64>("swapped").open().unwrap();
    cache.class::<(u64, u64), u64>("pair").open().unwrap();
    cache.class::<Opaque, u64>("opaque").open().unwrap();
    cache.class::<u64, u64>("short").open().unwrap();
    cache.class::<(u64, u64), u64>("odd").columns(&["tenant"]).open().unwrap();
    cache.class::<str, u64>("by_text").open().unwrap();
    cache.class::<u64, u64>("by_number").open().unwrap();
    cache.class::<bool, u64>("by_flag").open().unwrap();
    let wrong = wrong(&bed.journal, &cache).await;
    check(
        &wrong,
        &[
            "the class \"romo\" of an entry was not opened; opened are \"by_flag\"",
            "the entry \"swapped\" is declared by the columns (\"number\", \"tenant\"), and the parts of the class's keys are (\"tenant\", \"number\")",
            "class \"pair\": which columns the 2 parts of its keys are is unknown",
            "class \"opaque\": how many parts its keys have is unknown",
            "the entry \"short\" is declared by the columns \"tenant\", \"number\", and keys of the class have 1 parts",
            "class \"odd\": its keys have 2 parts, and it names the columns \"tenant\"",
            "the class \"by_text\" has keys of any text",
            "the class \"by_number\" has keys that are numbers",
            "the class \"by_flag\" has keys that are `true` or `false`",
            "the tag \"seat_lst\" is neither the name of an opened class nor a tag of one",
        ],
    );
}

async fn columns_called_otherwise_are_said_once_for_each_table(bed: Bed) {
    let table = seats().entry("seat", &["tenant", "number"]);
    let bed = declare(bed, SEATS, table).await;
    let other = Table::new("bookings").entry("seat", &["hotel", "seat"]).unique(&["hotel", "seat"]);
    let create =
        "CREATE TABLE bookings (hotel BIGINT NOT NULL, seat BIGINT NOT NULL, PRIMARY KEY (hotel, seat))";
    let bed = declare(bed, create, other).await;
    let cache = cache(&bed).await;
    cache.class::<(u64, u64), u64>("seat").columns(&["tenant", "number"]).open().unwrap();
    check(&wrong(&bed.journal, &cache).await, &["if the table calls the same parts otherwise, say .columns"]);
    let cache = self::cache(&bed).await;
    let seat = cache.class::<(u64, u64), u64>("seat").columns(&["tenant", "number"]);
    seat.columns(&["hotel", "seat"]).open().unwrap();
    bed.journal.verify(&cache).await.unwrap();
}

async fn tags_by_key_without_a_group_are_not_guessed(bed: Bed) {
    let bed = declare(bed, SEATS, seats().tag("team:7")).await;
    let cache = cache(&bed).await;
    cache.class::<u64, u64>("seat_list").open().unwrap();
    check(&wrong(&bed.journal, &cache).await, &["the tag \"team:7\""]);
    cache.class::<u64, u64>("team").tagged_by(|id| vec![format!("team:{id}")]).open().unwrap();
    bed.journal.verify(&cache).await.unwrap();
}

/// `verify` calls the closures with a sample of their keys, and compares the groups that they return.
async fn groups_that_no_key_computes_are_listed(bed: Bed) {
    let table = seats()
        .tag_by("tenant", &["tenant"])
        .tag_by("place", &["tenant", "number"])
        .tag_by("row", &["number"])
        .tag_by("opaque", &["number"])
        .tag("plain");
    let bed = declare(bed, SEATS, table).await;
    let cache = cache(&bed).await;
    let tenants = cache.class::<Seat, u64>("seats_of_tenant");
    tenants
        .tagged_by(|seat: &Seat| [tag("tenent", &seat.tenant), tag("place", &seat.number)])
        .open()
        .unwrap();
    cache.class::<str, u64>("seats_of_row").tagged_by(|row: &str| tag("row", row)).open().unwrap();
    let opaque = cache.class::<u64, u64>("opaque_seats");
    opaque.tagged_by(|number: &u64| tag("opaque", &Opaque(*number))).open().unwrap();
    check(
        &wrong(&bed.journal, &cache).await,
        &[
            "no opened class computes the tag \"tenant\" from its keys",
            "class \"seats_of_tenant\": no declared table has the group \"tenent\" of its tags",
            "the tag \"place\" is declared by the columns \"tenant\", \"number\", and a class computes it from keys of 1 parts",
            "the tag \"row\" has keys of any text",
            "the tags \"opaque\": how many parts the keys in them have is unknown",
            "the tag \"plain\" is neither the name of an opened class nor a tag of one",
        ],
    );
    let cache = self::cache(&bed).await;
    let tenants = cache.class::<Seat, u64>("seats_of_tenant");
    let tags = |seat: &Seat| {
        [tag("tenant", &seat.tenant), tag("place", &(seat.tenant, seat.number)), tag("opaque", &seat.number)]
    };
    tenants.tagged_by(tags).tagged("plain").open().unwrap();
    cache.class::<u64, u64>("seats_of_row").tagged_by(|row: &u64| tag("row", row)).open().unwrap();
    bed.journal.verify(&cache).await.unwrap();
}

async fn groups_of_keys_without_a_sample_are_not_guessed(bed: Bed) {
    let bed = declare(bed, SEATS, seats().tag_by("tenant", &["tenant"])).await;
    let cache = cache(&bed).await;
    cache
        .class::<Opaque, u64>("seats_of")
        .tagged_by(|tenant: &Opaque| tag("tenent", &tenant.0))
        .open()
        .unwrap();
    bed.journal.verify(&cache).await.unwrap();
    // A closure that panics for the sample says nothing either, and is no error: real keys are longer.
    let cache = self::cache(&bed).await;
    let by_prefix = |key: &str| tag("tenent", &key[..9]);
    cache.class::<str, u64>("seats_by_text").tagged_by(by_prefix).open().unwrap();
    bed.journal.verify(&cache).await.unwrap();
}

async fn classes_that_no_table_touches_are_listed(bed: Bed) {
    let bed = declare(
        bed,
        SEATS,
        seats().entry("seat", &["tenant", "number"]).tag_by("row", &["number"]).tag("prices"),
    )
    .await;
    let cache = cache(&bed).await;
    cache.class::<Seat, u64>("seat").open().unwrap();
    cache.class::<u64, u64>("rows").tagged_by(|row: &u64| tag("row", row)).open().unwrap();
    cache.class::<u64, u64>("unknown").tagged_by(|row: &u64| [format!("row:{row}")]).open().unwrap();
    cache.class::<u64, u64>("price").tagged("prices").open().unwrap();
    cache.class::<u64, u64>("weather").open().unwrap();
    bed.journal.verify(&cache).await.unwrap();
    assert_eq!(bed.journal.untouched_classes(&cache), ["weather"]);
}

/// The columns of a derived key are the order of its parts; another order would make every entry of the class unreachable.
async fn an_order_that_the_key_contradicts_is_refused(bed: Bed) {
    let bed = declare(bed, SEATS, seats().entry("seat", &["number", "tenant"])).await;
    let cache = cache(&bed).await;
    cache.class::<Seat, u64>("seat").columns(&["number", "tenant"]).open().unwrap();
    let wrong = wrong(&bed.journal, &cache).await;
    check(
        &wrong,
        &[
            "the columns of its keys are named in two orders, (\"number\", \"tenant\") and (\"tenant\", \"number\")",
        ],
    );
}

async fn a_cache_without_the_journal_is_refused(bed: Bed) {
    let bed = declare(bed, SEATS, seats().tag("seat_list")).await;
    let cache = cache_alone().await;
    cache.class::<u64, u64>("seat_list").open().unwrap();
    check(&wrong(&bed.journal, &cache).await, &[WITHOUT]);
    let other = Cache::builder("verifying").journal(Bed::sqlite().await.journal).build().await.unwrap();
    other.class::<u64, u64>("seat_list").open().unwrap();
    check(&wrong(&bed.journal, &other).await, &[WITHOUT]);
}

async fn a_missing_trigger_is_in_the_list(bed: Bed) {
    let bed =
        declare(bed, SEATS, seats().entry("seat", &["tenant", "number"]).entry("nobody", &["name"])).await;
    match bed.database.dialect() {
        Dialect::Postgres => bed.sql("DROP TRIGGER larder_journal ON seats"),
        _ => bed.sql("DROP TRIGGER larder_journal_seats_deleted"),
    };
    let cache = cache(&bed).await;
    cache.class::<Seat, u64>("seat").open().unwrap();
    check(
        &wrong(&bed.journal, &cache).await,
        &["the class \"nobody\" of an entry was not opened", "has no trigger larder_journal"],
    );
}

#[tokio::test]
async fn columns_of_postgres_that_find_a_row_by_several_texts_are_refused() {
    let create = "
        CREATE EXTENSION IF NOT EXISTS citext;
        CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE DOMAIN email AS citext;
        CREATE DOMAIN label AS text;
        CREATE TYPE state AS ENUM ('free', 'taken');
        CREATE TABLE odd (id BIGINT PRIMARY KEY, code CITEXT, mail EMAIL, price NUMERIC, seen TIMESTAMPTZ, day DATE, short CHAR(4),
            half FLOAT8, bag JSONB, raw BYTEA, many TEXT[], loose TEXT COLLATE loose, host INET,
            small INT2, name VARCHAR(9), word LABEL, guid UUID, flag BOOLEAN, state STATE)";
    let bad =
        ["code", "mail", "price", "seen", "day", "short", "half", "bag", "raw", "many", "loose", "host"];
    let good = ["small", "name", "word", "guid", "flag", "state"];
    let table = Table::new("odd").unique(&["id"]);
    let table = bad.into_iter().chain(good).fold(table, |table, column| table.entry(column, &[column]));
    let bed = declare(Bed::postgres().await, create, table).await;
    let expected = bad.map(|column| format!("the key column {column:?} is of type "));
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    check(&bed.journal.declaration_errors().await.unwrap(), &expected);
    let cache = cache_alone().await;
    for class in bad.into_iter().chain(["word"]) {
        cache.class::<str, u64>(class).open().unwrap();
    }
    for class in ["name", "state", "guid"] {
        cache.class::<String, u64>(class).open().unwrap();
    }
    cache.class::<i16, u64>("small").open().unwrap();
    cache.class::<bool, u64>("flag").open().unwrap();
    let by_text = ["the key column \"guid\" is of type uuid, and the class \"guid\" has keys of any text"];
    check(&wrong(&bed.journal, &cache).await, &[&expected[..], &by_text, &[WITHOUT]].concat());

    let error = Cache::builder("verifying").journal(bed.journal).build().await.err().unwrap().to_string();
    assert!(error.contains("citext: it finds a row by any case"), "{error}");
    assert_eq!(error.lines().count(), 1 + bad.len(), "{error}");
}

#[tokio::test]
async fn columns_of_sqlite_that_find_a_row_by_several_texts_are_refused() {
    let create = "CREATE TABLE odd (id INTEGER PRIMARY KEY, \"CODE\" TEXT COLLATE NOCASE, padded TEXT COLLATE RTRIM, half REAL, price NUMERIC,
        seen DATETIME, raw BLOB, bare, name VARCHAR(9), small SMALLINT)";
    // SQLite ignores the letter case of columns, so the declaration may have another one.
    let bad = ["code", "padded", "half", "price", "seen"];
    let table = Table::new("odd").unique(&["id"]);
    let table = bad
        .into_iter()
        .chain(["name", "small", "id", "raw", "bare"])
        .fold(table, |table, column| table.entry(column, &[column]));
    let bed = declare(Bed::sqlite().await, create, table).await;
    let expected = bad.map(|column| format!("the key column {column:?} is of type "));
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    check(&bed.journal.declaration_errors().await.unwrap(), &expected);
    let error = Cache::builder("verifying").journal(bed.journal).build().await.err().unwrap().to_string();
    assert!(error.contains("NOCASE"), "{error}");
}

/// A look-up in another letter case would find the row and create an entry that no change of the row invalidates.
/// `verify` refuses the declaration before the first look-up.
#[tokio::test]
async fn a_look_up_by_another_case_of_a_citext_column_never_begins() {
    let create =
        "CREATE EXTENSION IF NOT EXISTS citext; CREATE TABLE people (email CITEXT PRIMARY KEY, name TEXT)";
    let table = Table::new("people").entry("person", &["email"]).unique(&["email"]);
    let bed = declare(Bed::postgres().await, create, table).await;
    bed.sql("INSERT INTO people VALUES ('ada@example.com', 'Ada')");
    let found = bed.sql("SELECT name FROM people WHERE email = 'ADA@example.com'");
    assert_eq!(found, "Ada");
    // The trigger journals one spelling of the key, so the journal is incomplete.
    let poll = bed.journal.changes_since(None).await.err().unwrap().to_string();
    let build = Cache::builder("verifying").journal(bed.journal).build().await.err().unwrap().to_string();
    for error in [poll, build] {
        assert!(error.contains("table \"people\": the key column \"email\" is of type citext"), "{error}");
    }
}
