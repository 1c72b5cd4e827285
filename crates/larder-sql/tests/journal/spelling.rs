//! A key and the triggers write the same text for each value, so a write finds the entries of every type of key.

use larder::journal::Touch;
use larder::{Cache, Key, Lookup, tag};
use larder_sql::CommitExt;
use larder_sql::dialect::Dialect;
use larder_sql::journal::{Table, triggers};
use sqlx::SqlitePool;
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

/// Creates the table and its triggers.
async fn declare(bed: Bed, create: &str, table: Table) -> Bed {
    bed.sql(create);
    bed.sql(&format!("\n{}", triggers(bed.database.dialect(), std::slice::from_ref(&table)).unwrap()));
    bed.declaring(vec![table]).await
}

const DOOR: Uuid = Uuid::from_u128(0xA0EE_BC99_9C0B_4EF8_BB6D_6BB9_BD38_0A11);

fn doors() -> Table {
    Table::new("doors")
        .entry("door", ["id"])
        .entry("door_raw", ["raw"])
        .tag_by("room", ["raw"])
        .unique(["id"])
}

/// sqlx binds a UUID as a BLOB of 16 bytes, also into a column of text.
#[tokio::test]
async fn a_uuid_that_sqlx_binds_on_sqlite_finds_its_entries() {
    let create = "CREATE TABLE doors (id TEXT NOT NULL PRIMARY KEY, raw BLOB, n INTEGER)";
    let bed = declare(Bed::sqlite().await, create, doors()).await;
    let cache = Cache::builder("spelling").journal(bed.journal.clone()).build().await.unwrap();
    let doors = cache.class::<Uuid, u8>("door").open().unwrap();
    let raws = cache.class::<Uuid, u8>("door_raw").open().unwrap();
    let rooms = cache.class::<Uuid, u8>("rooms").tagged_by(|id: &Uuid| tag("room", id)).open().unwrap();
    bed.journal.verify(&cache).await.unwrap();
    let load = async || Ok::<_, larder::Error>(1_u8);
    for class in [&doors, &raws, &rooms] {
        class.get_or_load(&DOOR, load).await.unwrap();
        class.get_or_load(&Uuid::nil(), load).await.unwrap();
    }

    let pool = SqlitePool::connect(&bed.url()).await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    let insert = sqlx::query("INSERT INTO doors VALUES ($1, $2, 1)").bind(DOOR).bind(DOOR);
    insert.execute(&mut *tx).await.unwrap();
    let receipt = cache.commit(tx).await.unwrap();
    assert_eq!((receipt.keys(), receipt.dropped().memory), (4, 2), "{receipt:?}");
    for class in [&doors, &raws, &rooms] {
        assert_eq!(class.get(&DOOR).await, Lookup::Miss);
        assert!(class.get(&Uuid::nil()).await.is_hit());
    }
    assert_eq!(bed.sql("SELECT typeof(id) || typeof(raw) FROM doors"), "blobblob");
    let touched = bed.touched_by("UPDATE doors SET raw = NULL").await;
    assert!(touched.contains(&Touch::entry("door_raw", [DOOR.to_string()])), "{touched:?}");
    let touched = bed.touched_by(&format!("UPDATE doors SET id = '{DOOR}'")).await;
    assert!(touched.contains(&Touch::entry("door", [DOOR.to_string()])), "{touched:?}");
}

/// Other programs write a UUID as a text in one of its forms. A key of type `Uuid` finds each; a key of text finds its own.
#[tokio::test]
async fn a_uuid_of_any_form_on_sqlite_finds_its_entries() {
    let create = "CREATE TABLE doors (id TEXT NOT NULL PRIMARY KEY, raw BLOB, n INTEGER)";
    let bed = declare(Bed::sqlite().await, create, doors()).await;
    let upper = DOOR.to_string().to_uppercase();
    for form in [upper.clone(), DOOR.simple().to_string(), DOOR.urn().to_string(), DOOR.braced().to_string()]
    {
        let touched = bed.touched_by(&format!("INSERT INTO doors (id) VALUES ('{form}')")).await;
        for text in [form.clone(), DOOR.to_string()] {
            assert!(touched.contains(&Touch::entry("door", [text])), "{form}: {touched:?}");
        }
        bed.sql("DELETE FROM doors");
    }
    let room = bed.touched_by(&format!("INSERT INTO doors (id, raw) VALUES ('7', '{upper}')")).await;
    assert!(room.contains(&Touch::from(tag("room", DOOR))), "{room:?}");
    assert!(room.contains(&Touch::from(tag("room", upper))), "{room:?}");
}

const ODD: &str = "CREATE TABLE odd (id BIGINT PRIMARY KEY, name VARCHAR(36), state BOOLEAN, guid GUID)";

fn odd(columns: &[&str]) -> Table {
    columns.iter().fold(Table::new("odd").unique(["id"]), |table, column| table.entry(column, [column]))
}

/// A column of text may spell a UUID in several ways, so a key of that type would miss changes.
#[tokio::test]
async fn on_postgres_a_key_of_uuids_needs_a_column_of_uuids() {
    let columns = ["id", "name", "state", "guid"];
    let bed = declare(Bed::postgres().await, &ODD.replace("GUID", "UUID"), odd(&columns)).await;
    let cache = Cache::builder("spelling").build().await.unwrap();
    for class in columns {
        cache.class::<Uuid, u8>(class).open().unwrap();
    }
    let wrong = bed.journal.find_declaration_errors(&cache).await.unwrap();
    assert_eq!(wrong.len(), 3, "{wrong:#?}");
    let of =
        |column: &str| wrong.iter().find(|one| one.contains(&format!("the key column {column:?}"))).unwrap();
    assert!(of("name").contains("make the column of type uuid, or the key a text"), "{}", of("name"));
    for column in ["id", "state"] {
        assert!(of(column).contains("use the column's own type as the key"), "{}", of(column));
    }
}

#[tokio::test]
async fn on_sqlite_a_column_of_blobs_is_for_keys_of_uuids_alone() {
    let columns = ["id", "name", "guid", "raw", "number"];
    let create = "CREATE TABLE odd (id INTEGER PRIMARY KEY, name TEXT, guid BLOB, raw BLOB, number BLOB)";
    let bed = declare(Bed::sqlite().await, create, odd(&columns)).await;
    let cache = Cache::builder("spelling").build().await.unwrap();
    for class in ["id", "name", "guid"] {
        cache.class::<Uuid, u8>(class).open().unwrap();
    }
    cache.class::<String, u8>("raw").open().unwrap();
    cache.class::<i64, u8>("number").open().unwrap();
    let wrong = bed.journal.find_declaration_errors(&cache).await.unwrap();
    assert_eq!(wrong.len(), 3, "{wrong:#?}");
    for (column, why) in [
        ("id", "keys that are UUIDs, which the column does not spell"),
        ("raw", "keys that are no UUIDs"),
        ("number", "keys that are no UUIDs"),
    ] {
        let column = format!("the key column {column:?}");
        assert!(wrong.iter().any(|one| one.contains(&column) && one.contains(why)), "{wrong:#?}");
    }
}
