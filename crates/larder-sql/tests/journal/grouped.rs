//! Tags by columns: which rows touch them, and that the application computes the same tags.

use std::sync::Arc;

use larder::{Cache, Class, Key, Touch, tag};
use larder_sql::journal::{SqlJournal, Table, triggers};

use crate::bed::Bed;
use crate::on_both;

on_both!(
    a_row_touches_the_tag_of_its_columns_before_and_after_the_change,
    a_tag_of_two_columns_is_spelled_alike,
    a_bulk_change_touches_the_group,
    a_move_between_groups_drops_the_pages_of_both,
    a_group_that_no_class_computes_is_found,
    triggers_of_another_declaration_are_incomplete,
);

const PRODUCTS: &str =
    "CREATE TABLE products (id BIGINT PRIMARY KEY, category_id BIGINT, shelf TEXT, name TEXT)";

fn products() -> Table {
    Table::new("products").entry("product", ["id"]).tag_by("category", ["category_id"]).unique(["id"])
}

async fn declare(bed: Bed, table: Table) -> Bed {
    bed.sql(PRODUCTS);
    bed.sql(&triggers(bed.database.dialect(), std::slice::from_ref(&table)).unwrap());
    bed.declaring(vec![table]).await
}

/// The touches of these products and categories, sorted.
fn touches(products: &[i64], categories: &[i64]) -> Vec<Touch> {
    let products = products.iter().map(|id| Touch::entry("product", [id.to_string()]));
    products.chain(categories.iter().map(|id| tag("category", id).into())).collect()
}

async fn a_row_touches_the_tag_of_its_columns_before_and_after_the_change(bed: Bed) {
    let bed = declare(bed, products()).await;
    for (statement, of_products, categories) in [
        ("INSERT INTO products VALUES (1, 7, 'a', 'tea')", &[1][..], &[7][..]),
        ("UPDATE products SET name = 'green tea'", &[1], &[7]),
        ("UPDATE products SET category_id = 8", &[1], &[7, 8]),
        ("UPDATE products SET category_id = NULL", &[1], &[8]),
        ("UPDATE products SET name = 'tea'", &[1], &[]),
        ("UPDATE products SET id = 2, category_id = 9", &[1, 2], &[9]),
        ("DELETE FROM products", &[2], &[9]),
    ] {
        assert_eq!(bed.touched_by(statement).await, touches(of_products, categories), "{statement}");
    }
}

async fn a_tag_of_two_columns_is_spelled_alike(bed: Bed) {
    let table = Table::new("products").tag_by("place", ["category_id", "shelf"]);
    let bed = declare(bed, table).await;
    for shelf in ["a", "", "Größe: x", "a\"b\\c", "tab\there", "%3A"] {
        let insert = format!("INSERT INTO products VALUES (1, -7, '{shelf}', NULL)");
        assert_eq!(
            bed.touched_by(&insert).await,
            [tag("place", &(-7_i64, shelf.to_owned())).into()],
            "{shelf}"
        );
        bed.sql("DELETE FROM products");
    }
}

/// On PostgreSQL one row of the outbox covers the table; on SQLite each row is journalled.
async fn a_bulk_change_touches_the_group(bed: Bed) {
    let bed = declare(bed, products()).await;
    let touched = bed
        .touched_by(
            "INSERT INTO products SELECT n, n, NULL, NULL
             FROM (WITH RECURSIVE of (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM of WHERE n < 5000) SELECT n FROM of) AS all_of",
        )
        .await;
    if touched.len() < 10_000 {
        assert!(touched.contains(&Touch::Tag("category".to_owned())), "{touched:?}");
        assert!(touched.contains(&Touch::Tag("product".to_owned())));
    }
}

#[derive(Key)]
struct Page {
    category: i64,
    number: u32,
}

/// Returns the number of the pages' entries that are cached.
async fn cached(pages: &Class<Page, u64>) -> Vec<i64> {
    let mut cached = Vec::new();
    for category in [1, 2, 3] {
        let page = Page { category, number: 1 };
        if pages.get(&page).await.is_hit() {
            cached.push(category);
        }
        pages.get_or_load(&page, || async { Ok::<_, larder::Error>(0) }).await.unwrap();
    }
    cached
}

async fn shop(bed: &Bed) -> (Cache, Class<Page, u64>) {
    let journal = Arc::new(SqlJournal::open(&bed.database, vec![products()]).await.unwrap());
    let cache = Cache::builder("shop").journal(journal.clone()).build().await.unwrap();
    let _products: Class<i64, u64> = cache.class("product").open().unwrap();
    let pages = cache.class("page").tagged_by(|page: &Page| tag("category", &page.category)).open().unwrap();
    journal.verify(&cache).await.unwrap();
    (cache, pages)
}

async fn a_move_between_groups_drops_the_pages_of_both(bed: Bed) {
    let bed = declare(bed, products()).await;
    bed.sql("INSERT INTO products VALUES (1, 1, NULL, NULL)");
    let (cache, pages) = shop(&bed).await;
    for (statement, expected) in [
        ("UPDATE products SET category_id = 2", vec![3]),
        ("UPDATE products SET name = 'tea'", vec![1, 3]),
        ("UPDATE products SET category_id = 3", vec![1]),
    ] {
        cached(&pages).await;
        assert_eq!(cached(&pages).await, [1, 2, 3]);
        let mut write = bed.database.begin().await.unwrap();
        sqlx::query(statement).execute(write.statement()).await.unwrap();
        let touched = write.touched().await.unwrap();
        let changes = write.commit().await.unwrap();
        let _ = cache.committed(&touched, &changes).send().await;
        assert_eq!(cached(&pages).await, expected, "{statement}");
    }
    // A change of everything touches the group.
    let _ = cache.committed(&[Touch::Tag("category".to_owned())], &[]).send().await;
    assert_eq!(cached(&pages).await, [0; 0]);
}

async fn a_group_that_no_class_computes_is_found(bed: Bed) {
    let bed = declare(bed, products()).await;
    let cache = Cache::builder("shop").build().await.unwrap();
    let _products: Class<i64, u64> = cache.class("product").open().unwrap();
    let error = bed.journal.verify(&cache).await.unwrap_err().to_string();
    assert!(error.contains(r#"no opened class computes the tag "category""#), "{error}");
}

/// A release that reads another column, deployed without its migration: nothing would invalidate what it caches.
async fn triggers_of_another_declaration_are_incomplete(bed: Bed) {
    let bed = declare(bed, products().tag_reading("prices", ["shelf"])).await;
    assert!(bed.journal.inspect().await.unwrap().is_empty());
    let base = || Table::new("products").unique(["id"]);
    for declared in [
        base().entry("product", ["category_id"]),
        base().tag_by("category", ["shelf"]),
        base().tag_by("product", ["id"]),
        base().tag_reading("prices", ["name"]),
        base().tag_reading("prices", ["shelf", "name"]),
        base().tag("prices"),
    ] {
        let journal = SqlJournal::open(&bed.database, vec![declared.clone()]).await.unwrap();
        let defects = journal.inspect().await.unwrap();
        assert!(!defects.is_empty(), "{declared:?}");
        assert!(
            defects.iter().all(|defect| defect.to_string().contains("another declaration")),
            "{}",
            defects[0]
        );
        assert!(larder::Journal::changes_since(&journal, None).await.is_err());
    }
    // Less than what the triggers journal is complete.
    let journal = SqlJournal::open(&bed.database, vec![products()]).await.unwrap();
    assert!(journal.inspect().await.unwrap().is_empty());
}
