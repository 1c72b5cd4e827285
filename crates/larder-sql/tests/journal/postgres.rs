//! The journal under what only PostgreSQL has: commits out of order, TRUNCATE, replication roles, other schemas and
//! roles.

use std::time::Duration;

use larder::journal::{Changes, Journal, Touch};
use larder_sql::database::Database;
use larder_sql::dialect::Dialect;
use larder_sql::error::ErrorKind;
use larder_sql::journal::{SqlJournal, Table, migration, triggers};
use larder_testbed::Postgres;

use crate::bed::{Bed, TABLES, all, guest, notes, sorted, tables, tag};

#[tokio::test]
async fn commits_out_of_order_are_not_lost() {
    let bed = Bed::postgres().await;
    let mut from = bed.now().await;
    let mut first = bed.database.begin().await.unwrap();
    sqlx::query("INSERT INTO guests VALUES ('1', 'a')").execute(first.statement()).await.unwrap();
    bed.sql("INSERT INTO guests VALUES ('2', 'b')");
    assert_eq!(bed.since(&mut from).await, all([guest("2", "b", None)]));
    bed.sql("INSERT INTO guests VALUES ('3', 'c')");
    assert_eq!(bed.since(&mut from).await, all([guest("3", "c", None)]));
    first.commit().await.unwrap();
    assert_eq!(bed.since(&mut from).await, all([guest("1", "a", None)]));
    assert_eq!(bed.since(&mut from).await, []);
}

/// Transaction numbers are compared as numbers. As texts, "999" would stay the greatest after 1000.
#[tokio::test]
async fn positions_go_on_past_a_power_of_ten() {
    let server = Postgres::start().unwrap();
    let bed = Bed::on(&server.url()).await;
    let number = || bed.sql("SELECT pg_current_xact_id()").trim().parse::<u64>().unwrap();
    let power = 10_u64.pow(number().ilog10() + 1);
    let mut from = bed.now().await;
    let marking = SqlJournal::open(&bed.database, tables()).await.unwrap().keep(Duration::ZERO);
    for round in 0..4 {
        bed.sql(&format!("INSERT INTO guests VALUES ('{round}', '{round}')"));
        assert_eq!(bed.since(&mut from).await, all([guest(&round.to_string(), &round.to_string(), None)]));
        if round % 2 == 1 {
            marking.prune().await.unwrap();
        }
        if round == 1 {
            bed.sql(&format!(
                "DO $$ BEGIN WHILE pg_current_xact_id() < '{}' LOOP COMMIT; END LOOP; END $$",
                power - 1
            ));
        }
    }
    assert!(number() > power);
    assert_eq!(bed.since(&mut from).await, []);
    // Of two floors the higher one counts, because rows below it may have been pruned.
    bed.sql("INSERT INTO guests VALUES ('pruned', 'pruned')");
    let floors = format!("(0, '{}', TRUE), (1, pg_current_xact_id(), TRUE)", power - 1);
    bed.sql(&format!("INSERT INTO larder_outbox_marks VALUES {floors}"));
    assert_eq!(bed.try_since(&mut from).await, None);
}

/// A deferred trigger would run at the commit, after `touched`. So `touched` runs it, and triggers that it defers itself.
#[tokio::test]
async fn changes_of_deferred_triggers_are_touched() {
    let bed = Bed::postgres().await;
    bed.sql(
        "INSERT INTO guests VALUES ('1', 'a', NULL, 0), ('2', 'b', NULL, 0);
         CREATE FUNCTION late() RETURNS TRIGGER LANGUAGE plpgsql AS
             $$ BEGIN UPDATE guests SET n = n + 1 WHERE id = '2'; RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER late AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW WHEN (NEW.id = 'n') EXECUTE FUNCTION late();
         CREATE FUNCTION later() RETURNS TRIGGER LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO notes VALUES ('m', '3'); INSERT INTO guests VALUES ('3', 'c'); RETURN NULL; END $$;
         -- A trigger may rely on a deferred foreign key: it inserts the child before the parent.
         ALTER TABLE notes ALTER CONSTRAINT notes_guest_id_fkey DEFERRABLE INITIALLY DEFERRED;
         CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON guests DEFERRABLE INITIALLY IMMEDIATE
             FOR EACH ROW EXECUTE FUNCTION later()",
    );
    let from = bed.now().await;
    let mut write = bed.database.begin().await.unwrap();
    sqlx::query("SET CONSTRAINTS later DEFERRED").execute(write.statement()).await.unwrap();
    sqlx::query("INSERT INTO notes VALUES ('n', '1')").execute(write.statement()).await.unwrap();
    let expected = all([guest("2", "b", None), notes("1"), notes("3"), guest("3", "c", None)]);
    assert_eq!(write.touched().await.unwrap(), expected);
    let ids = write.commit().await.unwrap();
    let Changes::Known(changes) = bed.journal.changes_since(Some(&from)).await.unwrap().changes else {
        panic!("unknown")
    };
    assert_eq!(changes.iter().map(|change| change.id.clone()).collect::<Vec<_>>(), ids);
    assert_eq!(sorted(changes), expected);
}

/// Two applications in two schemas of one database, and a transaction that writes into both.
#[tokio::test]
async fn the_parts_of_a_transaction_in_two_outboxes_have_two_names() {
    let bed = Bed::postgres().await;
    let journal = migration(Dialect::Postgres, &tables()).unwrap();
    bed.sql(&format!("CREATE SCHEMA other; SET search_path TO other; {TABLES} {journal}"));
    let other = Database::connect(&format!("{}?options=-csearch_path%3Dother", bed.url())).await.unwrap();
    let theirs = SqlJournal::open(&other, tables()).await.unwrap();
    let (from, from_theirs) = (bed.now().await, theirs.changes_since(None).await.unwrap().position);
    let mut write = bed.database.begin().await.unwrap();
    for insert in ["INSERT INTO guests VALUES ('1', 'a')", "INSERT INTO other.guests VALUES ('2', 'b')"] {
        sqlx::query(insert).execute(write.statement()).await.unwrap();
    }
    assert_eq!(write.touched().await.unwrap(), all([guest("1", "a", None)]));
    let ids = write.commit().await.unwrap();
    for (journal, from, is_own) in [(&bed.journal, from, true), (&theirs, from_theirs, false)] {
        let Changes::Known(changes) = journal.changes_since(Some(&from)).await.unwrap().changes else {
            panic!("unknown")
        };
        assert_eq!(changes.len(), 1);
        assert_eq!(ids.contains(&changes[0].id), is_own, "{changes:?}");
    }
}

#[tokio::test]
async fn truncate_journals_tags_and_classes() {
    let bed = Bed::postgres().await;
    let mut from = bed.now().await;
    bed.sql("TRUNCATE guests CASCADE");
    let of_notes = bed.sql("SELECT touched FROM larder_outbox WHERE touched LIKE '%guest_notes%'");
    assert_eq!(of_notes, r#"[["tag", "guest_notes"]]"#.replace(' ', ""));
    assert!(bed.sql("SELECT string_agg(touched, '') FROM larder_outbox").contains("guest_phone"));
    assert_eq!(bed.try_since(&mut from).await, None, "the storage is another");
    bed.sql("SET session_replication_role = replica; TRUNCATE notes");
    assert_eq!(bed.last_row(), [tag("guest_notes")]);
}

#[tokio::test]
async fn a_replica_session_is_journalled() {
    let bed = Bed::postgres().await;
    let replica = "SET session_replication_role = replica; INSERT INTO guests VALUES ('1', 'a');
        UPDATE guests SET email = 'b'; DELETE FROM guests";
    assert_eq!(bed.touched_by(replica).await, all([guest("1", "a", None), guest("1", "b", None)]));
}

#[tokio::test]
async fn another_search_path_and_a_role_without_rights_are_journalled() {
    let bed = Bed::postgres().await;
    let role = format!("guest_writer_{}", bed.url().rsplit('_').next().unwrap());
    bed.sql(&format!("CREATE ROLE {role}; GRANT INSERT, SELECT ON guests TO {role}"));
    let foreign = format!(
        "SET ROLE {role}; SET search_path TO pg_catalog; INSERT INTO public.guests VALUES ('1', 'a')"
    );
    assert_eq!(bed.touched_by(&foreign).await, all([guest("1", "a", None)]));
    // A temporary table with the outbox's name does not keep rows out of the outbox.
    let shadow = format!(
        "SET ROLE {role}; CREATE TEMP TABLE larder_outbox (xid XID8, touched TEXT);
         INSERT INTO public.guests VALUES ('2', 'b')"
    );
    assert_eq!(bed.touched_by(&shadow).await, all([guest("2", "b", None)]));
    bed.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

/// Invariant `names_are_qualified`: an unqualified name in a trigger would let a caller run code with the rights of the
/// outbox's owner.
#[tokio::test]
async fn names_are_qualified() {
    let bed = Bed::postgres().await;
    bed.sql(
        "CREATE SCHEMA evil;
         CREATE FUNCTION evil.fail() RETURNS TEXT LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil ran'; END $$;
         CREATE FUNCTION evil.same(TEXT, TEXT) RETURNS BOOLEAN LANGUAGE sql AS 'SELECT evil.fail() IS NULL';
         CREATE FUNCTION evil.both(TEXT, TEXT) RETURNS TEXT LANGUAGE sql AS 'SELECT evil.fail()';
         CREATE FUNCTION evil.to_json(TEXT) RETURNS JSON LANGUAGE sql AS 'SELECT evil.fail()::JSON';
         CREATE FUNCTION evil.concat(TEXT, TEXT, TEXT) RETURNS TEXT LANGUAGE sql AS 'SELECT evil.fail()';
         CREATE FUNCTION evil.concat_ws(TEXT, TEXT, TEXT, TEXT, TEXT) RETURNS TEXT LANGUAGE sql
             AS 'SELECT evil.fail()';
         CREATE OPERATOR evil.= (FUNCTION = evil.same, LEFTARG = TEXT, RIGHTARG = TEXT);
         CREATE OPERATOR evil.|| (FUNCTION = evil.both, LEFTARG = TEXT, RIGHTARG = TEXT);
         CREATE FUNCTION evil.differs(RECORD, RECORD) RETURNS BOOLEAN LANGUAGE plpgsql
             AS $$ BEGIN RAISE 'evil ran'; END $$;
         CREATE OPERATOR evil.*<> (FUNCTION = evil.differs, LEFTARG = RECORD, RIGHTARG = RECORD);
         CREATE TABLE evil.larder_outbox (touched TEXT)",
    );
    let shown =
        Table::new("notes").entry("guest_notes", &["guest_id"]).tag_reading("shown", &["id"]).unique(&["id"]);
    bed.sql(&triggers(Dialect::Postgres, &[shown]).unwrap());
    let foreign = "SET search_path TO evil, pg_catalog; INSERT INTO public.guests VALUES ('1', 'a');
        UPDATE public.guests SET n = 1; UPDATE public.guests SET email = CASE WHEN n > 0 THEN 'b' END;
        INSERT INTO public.notes VALUES ('1', '1'); UPDATE public.notes SET id = '2';
        DELETE FROM public.guests";
    let touched = bed.touched_by(foreign).await;
    let of_notes = [notes("1"), vec![tag("shown")]].concat();
    assert_eq!(touched, all([guest("1", "a", None), guest("1", "b", None), of_notes]));
    // The branches for bulk changes and for TRUNCATE, and the guards of the outbox.
    bed.sql(
        "SET search_path TO evil, pg_catalog;
         INSERT INTO public.guests SELECT n::TEXT, n::TEXT FROM generate_series(1, 2002) AS n;
         TRUNCATE public.notes; DELETE FROM public.larder_outbox; UPDATE public.larder_outbox SET touched = touched",
    );
    // Without qualified names the caller's code does run:
    let named = "SET search_path TO evil, pg_catalog; DO $$ BEGIN PERFORM 'a'::TEXT = 'b'::TEXT;
        EXCEPTION WHEN raise_exception THEN RETURN; END $$; SELECT 1";
    assert_eq!(bed.sql(named), "1");
}

/// A role that writes through a view may have no USAGE right on the table's schema.
#[tokio::test]
async fn writes_through_a_view_are_journalled() {
    let bed = Bed::postgres().await;
    let role = format!("view_writer_{}", bed.url().rsplit('_').next().unwrap());
    bed.sql(&format!(
        "CREATE ROLE {role}; CREATE SCHEMA api; CREATE VIEW api.guests AS SELECT id, email FROM guests;
         REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA api TO {role};
         GRANT INSERT ON api.guests TO {role}"
    ));
    let touched = bed.touched_by(&format!("SET ROLE {role}; INSERT INTO api.guests VALUES ('1', 'a')")).await;
    assert_eq!(touched, all([guest("1", "a", None)]));
    bed.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[tokio::test]
async fn copy_and_cascades_are_journalled() {
    let bed = Bed::postgres().await;
    let copy = "COPY guests (id, email) FROM PROGRAM 'printf ''1\\ta\\n2\\tb\\n'''";
    assert_eq!(bed.touched_by(copy).await, all([guest("1", "a", None), guest("2", "b", None)]));
    bed.sql("INSERT INTO notes VALUES ('n', '1')");
    let delete = "DELETE FROM guests WHERE id = '1'";
    assert_eq!(bed.touched_by(delete).await, all([guest("1", "a", None), notes("1")]));
}

#[tokio::test]
async fn texts_that_a_collation_calls_equal_are_two_keys() {
    let bed = Bed::postgres().await;
    bed.sql(
        "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         ALTER TABLE guests ALTER COLUMN email TYPE TEXT COLLATE blind;
         INSERT INTO guests VALUES ('1', 'a')",
    );
    let touched = bed.touched_by("UPDATE guests SET email = 'A'").await;
    assert_eq!(touched, all([guest("1", "a", None), guest("1", "A", None)]));
}

#[tokio::test]
async fn concurrent_commits_are_each_reported_once() {
    let bed = Bed::postgres().await;
    let mut from = bed.now().await;
    let writer = async |name: usize| {
        for n in 0..25 {
            let mut write = bed.database.begin().await.unwrap();
            let insert = sqlx::query("INSERT INTO guests VALUES ($1, $1)").bind(format!("{name} {n}"));
            insert.execute(write.statement()).await.unwrap();
            if n % 5 == 0 {
                write.rollback().await.unwrap();
            } else {
                write.commit().await.unwrap();
            }
        }
    };
    let reader = async {
        let mut seen = Vec::new();
        for _ in 0..40 {
            seen.extend(bed.since(&mut from).await);
            tokio::task::yield_now().await;
        }
        seen
    };
    let (mut seen, ..) =
        tokio::join!(reader, writer(0), writer(1), writer(2), writer(3), writer(4), writer(5));
    seen.extend(bed.since(&mut from).await);
    let mut ids: Vec<_> =
        seen.iter().filter(|t| matches!(t, Touch::Entry { class, .. } if class == "guest")).collect();
    ids.sort();
    let count = ids.len();
    ids.dedup();
    assert_eq!((ids.len(), count), (6 * 20, 6 * 20), "each commit once, no rollback");
}

#[tokio::test]
async fn an_unprivileged_role_can_read_the_journal() {
    let bed = Bed::postgres().await;
    let name = bed.url().rsplit('_').next().unwrap().to_owned();
    let role = format!("guest_reader_{name}");
    bed.sql(&format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT, INSERT, DELETE ON larder_outbox TO {role};
         GRANT SELECT, INSERT ON larder_outbox_life TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON larder_outbox_marks TO {role}"
    ));
    let url = bed.url().replace("postgres@", &format!("{role}@"));
    let database = Database::connect(&url).await.unwrap();

    let journal = SqlJournal::open(&database, tables()).await.unwrap().keep(Duration::ZERO);
    journal.append(&[Touch::Everything]).await.unwrap();
    journal.prune().await.unwrap();
    assert_eq!(journal.database().await.unwrap(), bed.journal.database().await.unwrap());
    database.close().await;
    bed.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[tokio::test]
async fn without_an_outbox_the_error_says_so() {
    let server = larder_testbed::Database::fresh(&Postgres::shared().unwrap()).unwrap();
    let database = Database::connect(&server.url()).await.unwrap();
    let error = SqlJournal::open(&database, tables()).await.err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::NoJournal(text) if text.contains("migration")), "{error}");
    let mut write = database.begin().await.unwrap();
    let error = write.touched().await.err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::NoJournal(_)), "{error}");
}

#[tokio::test]
async fn prepared_transactions_are_not_lost() {
    let bed = Bed::postgres().await;
    if bed.sql("SHOW max_prepared_transactions") == "0" {
        return;
    }
    let mut from = bed.now().await;
    let name = bed.url().rsplit('_').next().unwrap().to_owned();
    bed.sql(&format!("BEGIN; INSERT INTO guests VALUES ('1', 'a'); PREPARE TRANSACTION '{name}'"));
    bed.sql("INSERT INTO guests VALUES ('2', 'b')");
    assert_eq!(bed.since(&mut from).await, all([guest("2", "b", None)]));
    bed.sql(&format!("COMMIT PREPARED '{name}'"));
    assert_eq!(bed.since(&mut from).await, all([guest("1", "a", None)]));
}

#[tokio::test]
async fn rows_of_another_servers_dump_are_not_waited_for() {
    let bed = Bed::postgres().await;
    let mut from = bed.now().await;
    bed.sql("INSERT INTO larder_outbox VALUES ('9000000000', '[[\"everything\"]]')");
    bed.sql("INSERT INTO larder_outbox_marks VALUES (0, '9000000000', TRUE)");
    bed.sql("INSERT INTO guests VALUES ('1', 'a')");
    assert_eq!(bed.since(&mut from).await, all([guest("1", "a", None)]));
    assert_eq!(bed.since(&mut from).await, []);
    let eager = SqlJournal::open(&bed.database, tables()).await.unwrap().keep(Duration::ZERO);
    eager.prune().await.unwrap();
    assert_eq!(bed.sql("SELECT count(*) FROM larder_outbox WHERE xid = '9000000000'"), "0");
    assert_eq!(bed.sql("SELECT count(*) FROM larder_outbox_marks WHERE floor = '9000000000'"), "0");
    assert_ne!(bed.sql("SELECT count(*) FROM larder_outbox"), "0", "what is this server's own stays");
}

#[tokio::test]
async fn a_position_covers_no_transaction_that_a_crash_could_undo() {
    let bed = Bed::postgres().await;
    bed.sql("INSERT INTO guests VALUES ('1', 'a')");
    let last: u64 = bed.sql("SELECT max(xid::TEXT::BIGINT) FROM larder_outbox").parse().unwrap();
    for _ in 0..3 {
        bed.sql("BEGIN; INSERT INTO guests VALUES ('2', 'b'); ROLLBACK");
    }
    let position = bed.now().await;
    let snapshot = position.as_str().rsplit('/').next().unwrap();
    let xmax: u64 = snapshot.split(':').nth(1).unwrap().parse().unwrap();
    assert_eq!(
        xmax,
        last + 1,
        "the server may assign the numbers of rolled-back transactions again: {snapshot}"
    );
}
