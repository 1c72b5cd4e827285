//! Positions from which a consumer can continue, and positions since which the changes are unknown.

use larder::journal::{Changes, Journal, Position, Touch};

use crate::bed::{Bed, all, guest, sorted, tables, tag};
use crate::on_both;

on_both!(
    without_a_position_everything_counts_as_touched,
    garbage_is_unknown_and_no_error,
    another_database_is_unknown,
    the_future_is_unknown,
    many_rows_are_reported_by_class,
    many_rows_of_many_tags_are_unknown,
    a_row_that_cannot_be_read_is_unknown_once,
    the_identity_stays,
    a_closed_database_has_no_journal,
);

async fn changes(bed: &Bed, position: &str) -> Changes {
    bed.journal.changes_since(Some(&Position::new(position))).await.unwrap().changes
}

async fn without_a_position_everything_counts_as_touched(bed: Bed) {
    for _ in 0..2 {
        assert_eq!(bed.journal.changes_since(None).await.unwrap().changes, Changes::Unknown);
    }
}

async fn garbage_is_unknown_and_no_error(bed: Bed) {
    let (system, timeline) = bed.place().await;
    let tails =
        ["", "x", "1:2", "5:3:", "3:5:9", "0:0:", "1:x", "18446744073709551616:18446744073709551617:"];
    for tail in tails {
        assert_eq!(changes(&bed, &format!("{system}/{timeline}/{tail}")).await, Changes::Unknown, "{tail}");
    }
    for text in ["", "/", "//", "'; DROP TABLE larder_outbox; --", "\0"] {
        assert_eq!(changes(&bed, text).await, Changes::Unknown, "{text}");
    }
}

async fn another_database_is_unknown(bed: Bed) {
    let position = bed.now().await;
    let (system, timeline) = bed.place().await;
    let own = format!("{system}/{timeline}/");
    let at = position.as_str().strip_prefix(&own).unwrap();
    assert_eq!(changes(&bed, &format!("{own}{at}")).await, Changes::Known(vec![]));
    assert_eq!(changes(&bed, &format!("{system}0/{timeline}/{at}")).await, Changes::Unknown);
    assert_eq!(changes(&bed, &format!("{system}/{}/{at}", timeline + 1)).await, Changes::Unknown);
}

async fn the_future_is_unknown(bed: Bed) {
    let (system, timeline) = bed.place().await;
    for at in ["9223372036854775806:9223372036854775807:", "9223372036854775806:1", "3:9223372036854775807:3"]
    {
        assert_eq!(changes(&bed, &format!("{system}/{timeline}/{at}")).await, Changes::Unknown, "{at}");
    }
}

/// Up to the limit each touch is reported; up to ten times as many rows, the classes and tags; of more nothing is known.
async fn many_rows_are_reported_by_class(bed: Bed) {
    let limited = larder_sql::journal::SqlJournal::open(&bed.database, tables()).await.unwrap().limit(3);
    bed.sql("INSERT INTO guests (id, email) VALUES ('0', 'a')");
    let by_class = vec![tag("guest"), tag("guest_email"), tag("guest_list")];
    for (rows, touches) in [
        (1, Some(all([guest("0", "a", None)]))),
        (4, Some(by_class.clone())),
        (30, Some(by_class)),
        (31, None),
    ] {
        let from = limited.changes_since(None).await.unwrap().position;
        for n in 0..rows {
            bed.sql(&format!("UPDATE guests SET n = {n}"));
        }
        let since = limited.changes_since(Some(&from)).await.unwrap();
        let known = match since.changes {
            Changes::Known(changes) => Some(sorted(changes)),
            _ => None,
        };
        assert_eq!(known, touches, "{rows} rows");
        assert_eq!(
            limited.changes_since(Some(&since.position)).await.unwrap().changes,
            Changes::Known(vec![])
        );
    }
}

/// A summary is as small as the limit allows: more tags than that, and everything counts as touched.
async fn many_rows_of_many_tags_are_unknown(bed: Bed) {
    let limited = larder_sql::journal::SqlJournal::open(&bed.database, tables()).await.unwrap().limit(3);
    for (tags, is_known) in [(3, true), (4, false)] {
        let from = limited.changes_since(None).await.unwrap().position;
        for n in 0..12 {
            bed.journal.append(&[Touch::Tag((n % tags).to_string())]).await.unwrap();
        }
        let changes = limited.changes_since(Some(&from)).await.unwrap().changes;
        assert_eq!(matches!(changes, Changes::Known(_)), is_known, "{tags} tags");
    }
}

async fn a_row_that_cannot_be_read_is_unknown_once(bed: Bed) {
    for garbage in ["nonsense", "{}", r#"[["all"]]"#, ""] {
        let mut from = bed.now().await;
        bed.sql(&format!("INSERT INTO larder_outbox (touched) VALUES ('{garbage}')"));
        assert_eq!(bed.try_since(&mut from).await, None, "{garbage}");
        bed.sql(&format!("INSERT INTO guests (id, email) VALUES ('{}', 'a')", garbage.len()));
        let id = garbage.len().to_string();
        assert_eq!(bed.since(&mut from).await, all([guest(&id, "a", None)]));
        bed.sql("DELETE FROM guests");
    }
}

async fn the_identity_stays(bed: Bed) {
    let identity = bed.journal.database().await.unwrap();
    assert!(!identity.system.is_empty() && !identity.system.contains(char::is_whitespace));
    let again = larder_sql::journal::SqlJournal::open(&bed.database, tables()).await.unwrap();
    assert_eq!(again.database().await.unwrap(), identity);
    let since = again.changes_since(None).await.unwrap();
    assert_eq!(since.database, identity);
}

async fn a_closed_database_has_no_journal(bed: Bed) {
    bed.database.close().await;
    assert!(bed.journal.changes_since(None).await.is_err());
}
