//! `SqlJournal::verify` refuses a class with a tag that no change of a row touches: its entries would be stale until
//! their TTL ends.

use larder::cache::Cache;
use larder::journal::{Changes, Journal, Touch};
use larder::{Tag, tag};
use larder_sql::database::Database;
use larder_sql::error::ErrorKind;
use larder_sql::journal::{SqlJournal, Table, migration, triggers};

use crate::bed::{Bed, sorted};
use crate::on_both;

on_both!(
    a_tag_that_rows_touch_only_as_an_entry_is_refused,
    a_tag_that_rows_touch_only_by_columns_is_refused,
    a_tag_that_one_of_its_tables_misses_is_refused,
    a_tag_of_no_table_is_refused,
    a_group_of_no_table_is_refused,
    a_group_beside_a_text_is_refused,
    a_class_that_only_changes_of_all_rows_touch_is_refused,
    a_declared_column_that_does_not_exist_is_named,
    a_tag_by_hand_needs_no_table,
);

fn orders() -> Table {
    Table::new("orders").unique(["id"])
}

/// Creates the tables, with the triggers of `table`.
async fn declare(bed: Bed, table: Table) -> Bed {
    bed.sql("CREATE TABLE orders (id BIGINT PRIMARY KEY, customer_id BIGINT, status TEXT)");
    bed.sql("CREATE TABLE lines (id BIGINT PRIMARY KEY, order_id BIGINT)");
    bed.sql("INSERT INTO orders VALUES (71, 7, 'new')");
    bed.sql(&triggers(bed.database.dialect(), std::slice::from_ref(&table)).unwrap());
    bed.declaring(vec![table]).await
}

/// Gives the table `lines` triggers too.
async fn with_lines(bed: Bed, orders: Table, lines: Table) -> Bed {
    let bed = declare(bed, orders.clone()).await;
    bed.sql(&triggers(bed.database.dialect(), std::slice::from_ref(&lines)).unwrap());
    bed.declaring(vec![orders, lines]).await
}

async fn cache(bed: &Bed) -> Cache {
    Cache::builder("missed").journal(bed.journal.clone()).build().await.unwrap()
}

/// Checks that `verify` lists one line for each of `expected`, which contains it.
async fn check(journal: &SqlJournal, cache: &Cache, expected: &[&str]) {
    let error = journal.verify(cache).await.expect_err("accepted");
    let ErrorKind::Declaration(text) = error.kind() else { panic!("{error:?}") };
    let lines: Vec<_> = text.lines().skip(1).collect();
    for part in expected {
        assert_eq!(lines.iter().filter(|line| line.contains(part)).count(), 1, "{part}: {lines:#?}");
    }
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
}

const CHANGE: &str = "UPDATE orders SET status = 'paid' WHERE id = 71";

async fn a_tag_that_rows_touch_only_as_an_entry_is_refused(bed: Bed) {
    let bed = declare(bed, orders().entry("order", ["id"])).await;
    let opened = cache(&bed).await;
    opened.class::<i64, u64>("order").open().unwrap();
    opened.class::<str, u64>("status").tagged("order").open().unwrap();
    // The entries of `status` would stay: the change touches another entry.
    assert_eq!(bed.touched_by(CHANGE).await, [Touch::entry("order", ["71"])]);
    let expected = r#"class "status": a row of the table "orders" touches one entry of "order" by .entry("order", …), and not the tag"#;
    check(&bed.journal, &opened, &[expected]).await;

    let bed = declare(Bed::sqlite().await, orders().entry("order", ["id"]).tag("order")).await;
    let opened = cache(&bed).await;
    opened.class::<i64, u64>("order").open().unwrap();
    opened.class::<str, u64>("status").tagged("order").open().unwrap();
    bed.journal.verify(&opened).await.unwrap();
}

async fn a_tag_that_rows_touch_only_by_columns_is_refused(bed: Bed) {
    let bed = declare(bed, orders().tag_by("customer_orders", ["customer_id"])).await;
    let opened = cache(&bed).await;
    opened.class::<i64, u64>("orders_of").tagged("customer_orders").open().unwrap();
    let by_key = |customer: &i64| tag("customer_orders", customer);
    opened.class::<i64, u64>("by_customer").tagged_by(by_key).open().unwrap();
    assert_eq!(bed.touched_by(CHANGE).await, [Touch::from(tag("customer_orders", &7))]);
    let expected = r#"class "orders_of": a row of the table "orders" touches the tag "customer_orders" of its own columns"#;
    check(&bed.journal, &opened, &[expected]).await;
}

/// The entries that a class's tag names may be read from each table that has the name, so each has to touch it.
async fn a_tag_that_one_of_its_tables_misses_is_refused(bed: Bed) {
    let orders = orders().tag_reading("order", ["status"]);
    let lines = Table::new("lines").entry("order", ["order_id"]).unique(["id"]);
    let bed = with_lines(bed, orders, lines).await;
    let opened = cache(&bed).await;
    opened.class::<i64, u64>("order").open().unwrap();
    opened.class::<str, u64>("status").tagged("order").open().unwrap();
    check(&bed.journal, &opened, &[r#"class "status": a row of the table "lines" touches one entry"#]).await;
}

async fn a_tag_of_no_table_is_refused(bed: Bed) {
    let bed = declare(bed, orders().entry("order", ["id"]).tag("order_list")).await;
    let opened = cache(&bed).await;
    opened.class::<i64, u64>("order").open().unwrap();
    opened.class::<u32, u64>("page").tagged("order_list").tagged("order_lst").open().unwrap();
    check(&bed.journal, &opened, &[r#"class "page": no declared table touches its tag "order_lst""#]).await;
}

async fn a_group_of_no_table_is_refused(bed: Bed) {
    let orders = orders().tag_by("customer_orders", ["customer_id"]).entry("order", ["id"]);
    let lines = Table::new("lines").tag_by("order_lines", ["order_id"]).tag("line_list").unique(["id"]);
    let bed = with_lines(bed, orders, lines).await;
    let opened = cache(&bed).await;
    opened.class::<i64, u64>("order").tagged_by(|id: &i64| tag("line_list", id)).open().unwrap();
    let tags = |key: &(i64, i64)| vec![tag("customer_orders", &key.0), tag("order_lins", &key.1)];
    opened.class::<(i64, i64), u64>("page").tagged_by(tags).open().unwrap();
    let right = |key: &i64| tag("order_lines", key);
    opened.class::<i64, u64>("lines").tagged_by(right).open().unwrap();
    check(&bed.journal, &opened, &[r#"class "page": no declared table has the group "order_lins""#]).await;
}

/// A tag without a group hides the other tags of the same closure no longer.
async fn a_group_beside_a_text_is_refused(bed: Bed) {
    let bed = declare(bed, orders().entry("order", ["id"])).await;
    let opened = cache(&bed).await;
    let tags = |id: &i64| [tag("order_lins", id), Tag::from(format!("team:{id}"))];
    opened.class::<i64, u64>("order").tagged_by(tags).open().unwrap();
    check(&bed.journal, &opened, &[r#"class "order": no declared table has the group "order_lins""#]).await;
}

async fn a_class_that_only_changes_of_all_rows_touch_is_refused(bed: Bed) {
    let bed = declare(bed, orders().tag_by("customer_orders", ["customer_id"])).await;
    let opened = cache(&bed).await;
    opened.class::<i64, u64>("customer_orders").open().unwrap();
    let by_key = |customer: &i64| tag("customer_orders", customer);
    opened.class::<i64, u64>("by_customer").tagged_by(by_key).open().unwrap();
    check(
        &bed.journal,
        &opened,
        &[r#"class "customer_orders": a row of the table "orders" touches the tag"#],
    )
    .await;
}

/// The triggers are those of another, right declaration.
async fn a_declared_column_that_does_not_exist_is_named(bed: Bed) {
    let bed = declare(bed, orders().entry("order", ["id"]).unique(["customer_id"])).await;
    let bed = bed.declaring(vec![orders().entry("order", ["idd"]).unique(["custmer_id"])]).await;
    let opened = cache(&bed).await;
    opened.class::<i64, u64>("order").open().unwrap();
    let error = bed.journal.verify(&opened).await.expect_err("accepted").to_string();
    for column in ["idd", "custmer_id"] {
        let named = format!("table \"orders\" has no column {column:?}, which is declared");
        assert_eq!(error.matches(&named).count(), 1, "{error}");
    }
    assert!(error.contains(r#"it has "customer_id", "id", "status""#), "{error}");
}

async fn a_tag_by_hand_needs_no_table(bed: Bed) {
    let bed = declare(bed, orders().entry("order", ["id"])).await;
    let opened = cache(&bed).await;
    opened.class::<i64, u64>("order").tagged("flags").by_hand(["flags"]).open().unwrap();
    let team = opened.class::<i64, u64>("team").tagged_by(|team: &i64| tag("team", team));
    team.by_hand(["team"]).open().unwrap();
    opened.class::<i64, u64>("weather").by_hand(["weather"]).open().unwrap();
    opened.class::<i64, u64>("rates").open().unwrap();
    bed.journal.verify(&opened).await.unwrap();
    assert_eq!(bed.journal.untouched_classes(&opened), ["rates"]);
}

/// The name of a table that was created without quotes.
#[tokio::test]
async fn a_table_in_another_letter_case_is_named() {
    let bed = Bed::postgres().await;
    bed.sql("CREATE TABLE SalesOrder (id BIGINT PRIMARY KEY)");
    let table = |name| Table::new(name).entry("order", ["id"]).unique(["id"]);
    let sql = triggers(bed.database.dialect(), &[table("salesorder")]).unwrap();
    bed.sql(&sql);
    let bed = bed.declaring(vec![table("SalesOrder")]).await;
    let opened = cache(&bed).await;
    opened.class::<i64, u64>("order").open().unwrap();
    check(
        &bed.journal,
        &opened,
        &[r#"the table "SalesOrder" is not there: allowed is a name as the database stores it"#],
    )
    .await;
    let bed = bed.declaring(vec![table("salesorder")]).await;
    let opened = cache(&bed).await;
    opened.class::<i64, u64>("order").open().unwrap();
    bed.journal.verify(&opened).await.unwrap();
}

/// The journal's connections and the migration find each table of the search path.
#[tokio::test]
async fn tables_of_two_schemas_are_found_by_the_search_path() {
    let bed = Bed::postgres().await;
    bed.sql("CREATE SCHEMA sales; CREATE TABLE sales.orders (id BIGINT PRIMARY KEY)");
    bed.sql("CREATE SCHEMA people; CREATE TABLE people.staff (id BIGINT PRIMARY KEY)");
    let tables = || {
        let order = Table::new("orders").entry("order", ["id"]).unique(["id"]);
        vec![order, Table::new("staff").entry("person", ["id"]).unique(["id"])]
    };
    let sql = migration(bed.database.dialect(), &tables()).unwrap();
    bed.sql(&format!("SET search_path = sales, people; {sql}"));
    let separator = if bed.url().contains('?') { '&' } else { '?' };
    let url = format!("{}{separator}options=-csearch_path%3Dsales,people", bed.url());
    let database = Database::connect(&url).await.unwrap();
    let journal = SqlJournal::open(&database, tables()).await.unwrap();
    let opened = Cache::builder("missed").journal(journal.clone()).build().await.unwrap();
    opened.class::<i64, u64>("order").open().unwrap();
    opened.class::<i64, u64>("person").open().unwrap();
    journal.verify(&opened).await.unwrap();
    // A writer that has another search path.
    let from = journal.changes_since(None).await.unwrap().position;
    bed.sql("INSERT INTO people.staff VALUES (7); INSERT INTO sales.orders VALUES (71)");
    let since = journal.changes_since(Some(&from)).await.unwrap().changes;
    let Changes::Known(changes) = since else { panic!("{since:?}") };
    assert_eq!(sorted(changes), [Touch::entry("order", ["71"]), Touch::entry("person", ["7"])]);
}
