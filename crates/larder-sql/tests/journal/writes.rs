//! What the triggers journal for each kind of write, on both databases.

use std::collections::HashSet;

use larder::journal::{Change, Changes, ChangesSince, Journal, Touch};
use larder_sql::dialect::Dialect;
use larder_sql::journal::{Table, drop_triggers, triggers};
use sqlx::AssertSqlSafe;

use crate::bed::{Bed, all, guest, notes, sorted, tables};
use crate::on_both;

on_both!(
    dropped_triggers_journal_nothing_and_can_come_back,
    inserts_updates_and_deletes_are_journalled,
    a_new_email_journals_the_old_and_the_new,
    a_bulk_update_journals_every_row,
    rollbacks_leave_nothing,
    any_text_comes_back_as_it_was,
    touched_is_what_since_reports,
    a_commit_returns_no_ids_unless_touched_was_the_last_statement,
    no_two_changes_share_a_name,
    a_transaction_that_changes_nothing_touches_nothing,
    appended_touches_are_reported,
    the_journal_is_not_counted,
    quoted_names_and_keys_of_two_columns_work,
    a_new_declaration_replaces_triggers,
    tables_with_the_longest_names_are_journalled,
);

async fn inserts_updates_and_deletes_are_journalled(bed: Bed) {
    let insert = "INSERT INTO guests VALUES ('1', 'a', NULL, 0)";
    assert_eq!(bed.touched_by(insert).await, all([guest("1", "a", None)]));
    let update = "UPDATE guests SET n = 1";
    assert_eq!(bed.touched_by(update).await, all([guest("1", "a", None)]));
    let phone = "UPDATE guests SET phone = '7'";
    assert_eq!(bed.touched_by(phone).await, all([guest("1", "a", Some("7"))]));
    let no_phone = "UPDATE guests SET phone = NULL";
    assert_eq!(bed.touched_by(no_phone).await, all([guest("1", "a", Some("7"))]));
    assert_eq!(bed.touched_by("DELETE FROM guests").await, all([guest("1", "a", None)]));
    assert_eq!(bed.touched_by("DELETE FROM guests").await, []);
}

async fn a_new_email_journals_the_old_and_the_new(bed: Bed) {
    bed.sql("INSERT INTO guests VALUES ('1', 'a', '7', 0)");
    let touched = bed.touched_by("UPDATE guests SET email = 'b', phone = '8'").await;
    assert_eq!(touched, all([guest("1", "a", Some("7")), guest("1", "b", Some("8"))]));
}

async fn a_bulk_update_journals_every_row(bed: Bed) {
    bed.sql("INSERT INTO guests VALUES ('1', 'a', NULL, 0), ('2', 'b', NULL, 0), ('3', 'c', NULL, 0)");
    let touched = bed.touched_by("UPDATE guests SET n = n + 1").await;
    assert_eq!(touched, all([guest("1", "a", None), guest("2", "b", None), guest("3", "c", None)]));
}

async fn rollbacks_leave_nothing(bed: Bed) {
    let rolled_back = "BEGIN; INSERT INTO guests VALUES ('1', 'a', NULL, 0); ROLLBACK";
    assert_eq!(bed.touched_by(rolled_back).await, []);
    let savepoint = "BEGIN; INSERT INTO guests VALUES ('2', 'b', NULL, 0); SAVEPOINT s;
        INSERT INTO guests VALUES ('3', 'c', NULL, 0); ROLLBACK TO s; COMMIT";
    assert_eq!(bed.touched_by(savepoint).await, all([guest("2", "b", None)]));
    let released = "BEGIN; SAVEPOINT s; INSERT INTO guests VALUES ('4', 'd', NULL, 0); RELEASE s; COMMIT";
    assert_eq!(bed.touched_by(released).await, all([guest("4", "d", None)]));
}

async fn any_text_comes_back_as_it_was(bed: Bed) {
    let nasty = "\"q\" \\ back \u{1} \t \n ü 🦀 ',' [\"tag\"] %:*";
    let mut from = bed.now().await;
    let mut write = bed.database.begin().await.unwrap();
    let insert = sqlx::query("INSERT INTO guests (id, email) VALUES ('1', $1)").bind(nasty);
    insert.execute(write.statement()).await.unwrap();
    assert_eq!(write.touched().await.unwrap(), all([guest("1", nasty, None)]));
    write.commit().await.unwrap();
    assert_eq!(bed.since(&mut from).await, all([guest("1", nasty, None)]));
}

async fn touched_is_what_since_reports(bed: Bed) {
    bed.sql("INSERT INTO guests VALUES ('1', 'a', NULL, 0), ('2', 'b', '7', 0)");
    let mut from = bed.now().await;
    for round in 0..3 {
        let mut write = bed.database.begin().await.unwrap();
        let update = format!("UPDATE guests SET email = '{round}' WHERE id = '1'");
        for sql in [update, "DELETE FROM guests WHERE id = '2'".to_owned()] {
            sqlx::query(AssertSqlSafe(sql)).execute(write.statement()).await.unwrap();
        }
        let before = bed.database.statements();
        let touched = write.touched().await.unwrap();
        assert_eq!(bed.database.statements(), before + 1);
        let changes = write.commit().await.unwrap();
        assert!(touched.contains(&Touch::entry("guest_email", [round.to_string()])), "{touched:?}");
        let ChangesSince { position, changes: reported, .. } =
            bed.journal.changes_since(Some(&from)).await.unwrap();
        from = position;
        let Changes::Known(reported) = reported else { panic!("unknown") };
        let names =
            |changes: &[Change]| -> Vec<_> { changes.iter().map(|change| change.id.clone()).collect() };
        assert_eq!(changes, names(&reported), "the commit and the poll have the same ids");
        assert_eq!(touched, sorted(reported));
    }
}

async fn a_commit_returns_no_ids_unless_touched_was_the_last_statement(bed: Bed) {
    let insert = |id: u32| sqlx::query("INSERT INTO guests (id, email) VALUES ($1, $1)").bind(id.to_string());
    let mut write = bed.database.begin().await.unwrap();
    insert(1).execute(write.statement()).await.unwrap();
    assert!(!write.touched().await.unwrap().is_empty());
    insert(2).execute(write.statement()).await.unwrap();
    assert_eq!(write.commit().await.unwrap(), [], "there was a statement after `touched`");
    let mut write = bed.database.begin().await.unwrap();
    insert(3).execute(write.statement()).await.unwrap();
    assert_eq!(write.commit().await.unwrap(), [], "`touched` was not called");
}

async fn no_two_changes_share_a_name(bed: Bed) {
    let (mut from, mut written) = (bed.now().await, 0);
    let mut names = HashSet::new();
    for id in 0..4 {
        bed.sql(&format!("INSERT INTO guests VALUES ('{id}', '{id}', NULL, 0)"));
        let ChangesSince { position, changes, .. } = bed.journal.changes_since(Some(&from)).await.unwrap();
        from = position;
        let Changes::Known(changes) = changes else { panic!("unknown") };
        written += changes.len();
        if bed.database.dialect() == Dialect::Postgres {
            // A transaction's number is unique within one system and one timeline.
            let (system, timeline) = bed.place().await;
            let here = format!("{system}/{timeline}/");
            assert!(changes.iter().all(|change| change.id.as_str().starts_with(&here)), "{changes:?}");
        }
        names.extend(changes.into_iter().map(|change| change.id));
    }
    assert!(written >= 4 && names.len() == written, "{names:?}");
}

async fn a_transaction_that_changes_nothing_touches_nothing(bed: Bed) {
    bed.sql("INSERT INTO guests VALUES ('1', 'a', NULL, 0)");
    let mut write = bed.database.begin().await.unwrap();
    assert_eq!(write.touched().await.unwrap(), []);
    write.commit().await.unwrap();
}

async fn appended_touches_are_reported(bed: Bed) {
    let mut from = bed.now().await;
    let touches =
        vec![Touch::Everything, Touch::Matching("guest*".to_owned()), Touch::Tag("guest_list".to_owned())];
    bed.journal.append(&touches).await.unwrap();
    assert_eq!(bed.since(&mut from).await, all([touches]));
    bed.journal.append(&[]).await.unwrap();
    assert_eq!(bed.since(&mut from).await, []);
}

async fn the_journal_is_not_counted(bed: Bed) {
    let mut from = bed.now().await;
    bed.journal.append(&[Touch::Everything]).await.unwrap();
    bed.since(&mut from).await;
    bed.journal.prune().await.unwrap();
    bed.journal.database().await.unwrap();
    assert_eq!(bed.database.statements(), 0);
}

async fn quoted_names_and_keys_of_two_columns_work(bed: Bed) {
    use larder_sql::journal::{Table, triggers};
    bed.sql(
        r#"CREATE TABLE "Odd table" ("select" TEXT, "The Day" BIGINT, PRIMARY KEY ("select", "The Day"))"#,
    );
    let odd = Table::new("Odd table").entry("a class", &["select", "The Day"]).unique(&["select", "The Day"]);
    bed.sql(&triggers(bed.database.dialect(), &[odd]).unwrap());
    let entry = |day: &str| Touch::entry("a class", ["x", day]);
    assert_eq!(bed.touched_by(r#"INSERT INTO "Odd table" VALUES ('x', 1)"#).await, [entry("1")]);
    let update = r#"UPDATE "Odd table" SET "The Day" = 2"#;
    assert_eq!(bed.touched_by(update).await, [entry("1"), entry("2")]);
}

async fn a_new_declaration_replaces_triggers(bed: Bed) {
    use larder_sql::journal::{Table, triggers};
    let notes_by_id = Table::new("notes").entry("note", &["id"]).unique(&["id"]);
    bed.sql(&triggers(bed.database.dialect(), std::slice::from_ref(&notes_by_id)).unwrap());
    bed.sql("INSERT INTO guests VALUES ('g', 'a', NULL, 0)");
    let mut declared = tables();
    declared[1] = notes_by_id;
    let bed = bed.declaring(declared).await;
    let insert = "INSERT INTO notes VALUES ('1', 'g')";
    assert_eq!(bed.touched_by(insert).await, [Touch::entry("note", ["1"])]);
    assert_ne!(notes("g"), [Touch::entry("note", ["1"])]);
}

async fn dropped_triggers_journal_nothing_and_can_come_back(bed: Bed) {
    let dialect = bed.database.dialect();
    bed.sql(&format!("\n{}", drop_triggers(dialect, &tables()).unwrap()));
    bed.sql(&format!("\n{}", drop_triggers(dialect, &tables()).unwrap()));
    let rows = || bed.sql("SELECT count(*) FROM larder_outbox");
    let before = rows();
    bed.sql("INSERT INTO guests VALUES ('1', 'a', NULL, 0)");
    assert_eq!(rows(), before);
    bed.sql(&format!("\n{}", triggers(dialect, &tables()).unwrap()));
    let bed = bed.declaring(tables()).await;
    assert_eq!(bed.touched_by("DELETE FROM guests").await, all([guest("1", "a", None)]));
}

/// The name of the function in PostgreSQL has a prefix, so it would be too long.
async fn tables_with_the_longest_names_are_journalled(bed: Bed) {
    let names = ['a', 'b'].map(|last| format!("{}{last}", "ü".repeat(31)));
    let tables =
        names.clone().map(|name| Table::new(&name).entry(&format!("of_{name}"), ["id"]).unique(["id"]));
    for name in &names {
        assert_eq!(name.len(), 63);
        bed.sql(&format!("CREATE TABLE \"{name}\" (id BIGINT PRIMARY KEY)"));
    }
    bed.sql(&format!("\n{}", triggers(bed.database.dialect(), &tables).unwrap()));
    let bed = bed.declaring(tables.into()).await;
    assert!(bed.journal.inspect().await.unwrap().is_empty());
    for name in names {
        let touched = bed.touched_by(&format!("INSERT INTO \"{name}\" VALUES (7)")).await;
        assert_eq!(touched, [Touch::entry(format!("of_{name}"), ["7"])]);
    }
}
