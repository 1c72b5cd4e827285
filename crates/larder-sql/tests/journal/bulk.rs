//! Changes of thousands of rows in one transaction, on PostgreSQL.

use larder::journal::Touch;

use crate::bed::{Bed, tag};

/// After 4,000 rows, one outbox row touches the complete table. A consumer that reads it invalidates every entry of the
/// table anyway.
#[tokio::test]
async fn a_bulk_change_touches_the_complete_table() {
    let bed = Bed::postgres().await;
    bed.sql("INSERT INTO guests SELECT n::TEXT, n::TEXT, NULL, 0 FROM generate_series(1, 2000) AS n");
    let whole = ["guest", "guest_email", "guest_list", "guest_phone"].map(tag);
    let rows = || bed.sql("SELECT count(*) FROM larder_outbox").parse::<u32>().unwrap();
    let before = rows();
    let touched = bed
        .touched_by("INSERT INTO guests SELECT n::TEXT, n::TEXT FROM generate_series(2001, 5000) AS n")
        .await;
    assert!(whole.iter().all(|tag| touched.contains(tag)), "{:?}", touched.len());
    assert_eq!(rows(), before + 2001);

    // Many statements in one transaction, which also changes another table: the trigger's own count begins after 2,000
    // rows.
    let before = rows();
    let touched = bed
        .touched_by(
            "DO $$ BEGIN FOR k IN 1..4500 LOOP
                 UPDATE guests SET n = 2 WHERE id = k::TEXT; INSERT INTO notes VALUES (k::TEXT, '1');
             END LOOP; END $$",
        )
        .await;
    assert!(whole.iter().chain(&[tag("guest_notes")]).all(|tag| touched.contains(tag)));
    assert_eq!(rows(), before + 2 * 4001);

    // If the counters are off, every row is journalled.
    let before = rows();
    bed.sql("SET track_counts = off; UPDATE guests SET n = 3");
    assert_eq!(rows(), before + 5000);
}

/// A rollback to a savepoint removes the outbox row that covers the table, so the triggers journal rows again.
#[tokio::test]
async fn a_rolled_back_row_does_not_cover_a_bulk_change() {
    let bed = Bed::postgres().await;
    bed.sql("INSERT INTO guests SELECT n::TEXT, n::TEXT, NULL, 0 FROM generate_series(1, 6000) AS n");
    let touched = bed
        .touched_by(
            "BEGIN; SAVEPOINT a; UPDATE guests SET n = 1 WHERE id::INT <= 3000; ROLLBACK TO a;
             UPDATE guests SET n = 2 WHERE id = '7'; UPDATE guests SET n = 3 WHERE id::INT > 3001; COMMIT",
        )
        .await;
    assert!(touched.contains(&Touch::entry("guest", ["7"])), "{}", touched.len());
    assert!(touched.contains(&tag("guest")));
    // A setting that a session forges does not cover the change either.
    let table = bed.sql("SELECT 'guests'::REGCLASS::OID");
    let forged = format!(
        "BEGIN; UPDATE guests SET n = 4 WHERE id::INT > 3001;
         SELECT set_config('larder.bulk_{table}', concat_ws(' ', pg_current_xact_id()::TEXT, 1, '(0,1)'), TRUE);
         UPDATE guests SET n = 5 WHERE id = '8'; COMMIT"
    );
    assert!(bed.touched_by(&forged).await.contains(&Touch::entry("guest", ["8"])));
}

/// A session's counters may still include earlier transactions, which must not count as a bulk change.
#[tokio::test]
async fn many_small_transactions_of_one_session_are_no_bulk_change() {
    let bed = Bed::postgres().await;
    bed.sql("INSERT INTO guests SELECT n::TEXT, n::TEXT, NULL, 0 FROM generate_series(1, 2500) AS n");
    let mut from = bed.now().await;
    bed.sql("DO $$ BEGIN FOR k IN 1..2500 LOOP UPDATE guests SET n = 2 WHERE id = k::TEXT; COMMIT; END LOOP; END $$");
    assert!(!bed.since(&mut from).await.contains(&tag("guest")));
}
