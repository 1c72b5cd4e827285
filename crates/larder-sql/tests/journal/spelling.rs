//! A key and the triggers write the same text for each value, so a write finds the entries of every type of key.

use larder::{Cache, Key, Lookup};
use larder_sql::dialect::Dialect;
use larder_sql::journal::{Table, triggers};
use uuid::Uuid;

use crate::bed::Bed;
use crate::on_both;

on_both!(an_update_finds_the_entries_of_each_type_of_key);

/// A key of four columns; its fields are called as they are.
#[derive(Key)]
struct Place {
    tenant: Uuid,
    number: i64,
    name: String,
    floor: i16,
}

const NAME: &str = "Zürich: 50% *[x]\n~";

async fn an_update_finds_the_entries_of_each_type_of_key(bed: Bed) {
    let columns = ["tenant", "number", "name", "floor"];
    // SQLite has no type for UUIDs: a program writes the text that the key has.
    let uuid = if bed.database.dialect() == Dialect::Postgres { "UUID" } else { "TEXT" };
    let create = format!("tenant {uuid} NOT NULL, number BIGINT, name TEXT, floor SMALLINT, n SMALLINT");
    let classes: [(&str, &[&str]); 5] = [
        ("place", &columns),
        ("by_tenant", &["tenant"]),
        ("by_number", &["number"]),
        ("by_name", &["name"]),
        ("by_both", &["name", "number"]),
    ];
    let table = classes.iter().fold(Table::new("places"), |table, (class, of)| table.entry(class, *of));
    bed.sql(&format!("CREATE TABLE places ({create})"));
    bed.sql(&format!("\n{}", triggers(bed.database.dialect(), std::slice::from_ref(&table)).unwrap()));
    let tenant = Uuid::from_u128(0x00F1_E2D3_C4B5_4A96_8778_695A_4B3C_2D1E);
    let number = i64::MIN;
    bed.sql(&format!("INSERT INTO places VALUES ('{tenant}', {number}, '{NAME}', -3, 1)"));

    let bed = bed.declaring(vec![table]).await;
    let cache = Cache::builder("spelling").build().await.unwrap();
    let load = async || Ok::<_, larder::Error>(1_u8);
    let place = Place { tenant, number, name: NAME.to_owned(), floor: -3 };
    let places = cache.class::<Place, u8>("place").open().unwrap();
    let by_tenant = cache.class::<Uuid, u8>("by_tenant").open().unwrap();
    let by_number = cache.class::<i64, u8>("by_number").open().unwrap();
    let by_name = cache.class::<String, u8>("by_name").open().unwrap();
    let by_both = cache.class::<(String, i64), u8>("by_both").columns(&["name", "number"]).open().unwrap();
    places.get_or_load(&place, load).await.unwrap();
    by_tenant.get_or_load(&tenant, load).await.unwrap();
    by_number.get_or_load(&number, load).await.unwrap();
    by_name.get_or_load(NAME, load).await.unwrap();
    by_both.get_or_load(&(NAME, number), load).await.unwrap();

    let other = Place { tenant: Uuid::nil(), number: 7, name: "other".to_owned(), floor: 0 };
    places.get_or_load(&other, load).await.unwrap();
    by_name.get_or_load("other", load).await.unwrap();
    assert_eq!(bed.journal.find_declaration_errors(&cache).await.unwrap(), Vec::<String>::new());

    let mut write = bed.database.begin().await.unwrap();
    sqlx::query("UPDATE places SET n = 2").execute(write.statement()).await.unwrap();
    let touched = write.touched().await.unwrap();
    let changes = write.commit().await.unwrap();
    let receipt = cache.committed(&touched, &changes).send().await;
    assert_eq!((receipt.keys(), receipt.dropped().memory), (5, 5), "{touched:?}");
    assert_eq!(places.get(&place).await, Lookup::Miss);
    assert_eq!(by_tenant.get(&tenant).await, Lookup::Miss);
    assert_eq!(by_number.get(&number).await, Lookup::Miss);
    assert_eq!(by_name.get(NAME).await, Lookup::Miss);
    assert_eq!(by_both.get(&(NAME, number)).await, Lookup::Miss);
    assert!(places.get(&other).await.is_hit() && by_name.get("other").await.is_hit());
}
