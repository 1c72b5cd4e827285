//! Pruning of the outbox: which rows are deleted and which are kept, and that no consumer misses a deleted row.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use larder::journal::{Changes, Journal, Touch, touches_of};
use larder_sql::journal::SqlJournal;
use larder_sql::write::WriteTransaction;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::bed::{Bed, tables};
use crate::on_both;

on_both!(
    rows_stay_as_long_as_they_are_kept,
    pruned_positions_are_unknown_and_new_ones_are_not,
    an_idle_consumers_position_stays_known_while_rows_are_pruned,
    marks_stay_few,
    pruning_at_once_loses_nothing,
);

fn count(bed: &Bed, table: &str) -> usize {
    bed.sql(&format!("SELECT COUNT(*) FROM {table}")).parse().unwrap()
}

async fn append(bed: &Bed, rows: usize) {
    for n in 0..rows {
        bed.journal.append(&[Touch::Tag(n.to_string())]).await.unwrap();
    }
}

async fn eager(bed: &Bed) -> SqlJournal {
    SqlJournal::open(&bed.database, tables()).await.unwrap().keep(Duration::ZERO)
}

/// Prunes until one row is left. It retries: on PostgreSQL the transactions of other tests keep newer rows for a while.
async fn prune_down(bed: &Bed) {
    let eager = eager(bed).await;
    for _ in 0..1000 {
        eager.prune().await.unwrap();
        if count(bed, "larder_outbox") == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("more than one row stays");
}

async fn rows_stay_as_long_as_they_are_kept(bed: Bed) {
    append(&bed, 5).await;
    let kept = SqlJournal::open(&bed.database, tables()).await.unwrap().keep(Duration::from_millis(300));
    let began = Instant::now();
    let pruned = kept.prune().await.unwrap();
    assert!(pruned == 0 || began.elapsed() > Duration::from_millis(300));
    append(&bed, 5).await;
    tokio::time::sleep(Duration::from_millis(350)).await;
    kept.prune().await.unwrap();
    kept.prune().await.unwrap();
    // The row that was last at the first mark is kept, and all rows after it.
    assert!(count(&bed, "larder_outbox") >= 6);
    assert_eq!(bed.journal.prune().await.unwrap(), 0, "an hour is not over");
}

async fn pruned_positions_are_unknown_and_new_ones_are_not(bed: Bed) {
    append(&bed, 1).await;
    let old = bed.now().await;
    append(&bed, 3).await;
    prune_down(&bed).await;
    assert_eq!(bed.journal.changes_since(Some(&old)).await.unwrap().changes, Changes::Unknown);
    let mut new = bed.now().await;
    prune_down(&bed).await;
    assert_eq!(bed.since(&mut new).await, []);
    append(&bed, 1).await;
    assert_eq!(bed.since(&mut new).await, [Touch::Tag("0".to_owned())]);
}

async fn an_idle_consumers_position_stays_known_while_rows_are_pruned(bed: Bed) {
    append(&bed, 2).await;
    let keep = Duration::from_millis(300);
    let journal = SqlJournal::open(&bed.database, tables()).await.unwrap().keep(keep);
    for _ in 0..6 {
        let taken = Instant::now();
        let from = journal.changes_since(None).await.unwrap().position;
        // It uses a transaction number on PostgreSQL and touches nothing.
        bed.sql("BEGIN; INSERT INTO guests (id, email) VALUES ('gone', 'gone'); ROLLBACK");
        journal.prune().await.unwrap();
        let changes = journal.changes_since(Some(&from)).await.unwrap().changes;
        // If the machine was stopped for longer than `keep`, the row was pruned rightly.
        assert!(changes == Changes::Known(vec![]) || taken.elapsed() > keep, "{changes:?}");
        tokio::time::sleep(keep / 4).await;
    }
}

async fn marks_stay_few(bed: Bed) {
    for _ in 0..20 {
        append(&bed, 1).await;
        bed.journal.prune().await.unwrap();
    }
    assert_eq!(
        count(&bed, "larder_outbox_marks"),
        1,
        "one for each sixty-fourth of the time that rows are kept"
    );
    let eager = eager(&bed).await;
    for n in 0..20 {
        append(&bed, n % 2).await;
        eager.prune().await.unwrap();
    }
    assert!(count(&bed, "larder_outbox_marks") <= 2);
}

async fn pruning_at_once_loses_nothing(bed: Bed) {
    append(&bed, 2500).await;
    let (a, b, c) = (eager(&bed).await, eager(&bed).await, eager(&bed).await);
    let (a, b, c) = tokio::join!(a.prune(), b.prune(), c.prune());
    let pruned = a.unwrap() + b.unwrap() + c.unwrap();
    let left = u64::try_from(count(&bed, "larder_outbox")).unwrap();
    assert!((2500..=2501).contains(&(pruned + left)), "each row is pruned once: {pruned} and {left}");
    prune_down(&bed).await;
}

/// An open transaction and what it has touched.
struct Open {
    write: WriteTransaction,
    touched: Vec<Touch>,
}

/// Random interleavings of writes, commits, rollbacks, prunes and polls. Each poll of a consumer returns every commit
/// since its previous poll, or is unknown.
async fn every_commit_is_reported(bed: &Bed, seed: u64, most_open: usize, steps: usize) {
    let mut random = SmallRng::seed_from_u64(seed);
    let journal = SqlJournal::open(&bed.database, tables()).await.unwrap().keep(Duration::ZERO).limit(50);
    let mut open: Vec<Open> = Vec::new();
    let mut consumers = Vec::new();
    for _ in 0..3 {
        consumers.push((bed.now().await, BTreeSet::new()));
    }
    let (mut known, mut unknown) = (0, 0);
    for step in 0..steps {
        match random.random_range(0..20) {
            0..3 if open.len() < most_open => {
                open.push(Open { write: bed.database.begin().await.unwrap(), touched: Vec::new() });
            }
            3..10 if !open.is_empty() => {
                let at = random.random_range(0..open.len());
                let touch = Touch::Tag(format!("{seed} {step}"));
                let insert = sqlx::query("INSERT INTO larder_outbox (touched) VALUES ($1)");
                let insert = insert.bind(serde_json::to_string(&[&touch]).unwrap());
                insert.execute(open[at].write.statement()).await.unwrap();
                open[at].touched.push(touch);
            }
            10..13 if !open.is_empty() => {
                let Open { write, touched } = open.swap_remove(random.random_range(0..open.len()));
                if random.random_bool(0.3) {
                    write.rollback().await.unwrap();
                } else {
                    write.commit().await.unwrap();
                    consumers.iter_mut().for_each(|(_, missed)| missed.extend(touched.iter().cloned()));
                }
            }
            // On SQLite a prune would wait for an open write transaction.
            13 if most_open > 1 || open.is_empty() => drop(journal.prune().await.unwrap()),
            14..18 => {
                let (position, missed) = &mut consumers[random.random_range(0..3)];
                let since = journal.changes_since(Some(position)).await.unwrap();
                match since.changes {
                    Changes::Known(changes) => {
                        known += 1;
                        let reported: BTreeSet<_> = touches_of(changes).into_iter().collect();
                        assert!(
                            reported.is_superset(missed),
                            "seed {seed} step {step}: {missed:?} {reported:?}"
                        );
                    }
                    _ => unknown += 1,
                }
                (*position, *missed) = (since.position, BTreeSet::new());
            }
            _ => {}
        }
    }
    // On PostgreSQL the transactions of other tests keep the floor low, so it may be that no poll is unknown.
    assert!(known > 0 && (unknown > 0 || most_open > 1), "{known} known, {unknown} unknown");
}

#[tokio::test]
async fn every_commit_is_reported_on_postgres() {
    let bed = Bed::postgres().await;
    for seed in 0..4 {
        every_commit_is_reported(&bed, seed, 5, 600).await;
    }
}

#[tokio::test]
async fn every_commit_is_reported_on_sqlite() {
    let bed = Bed::sqlite().await;
    for seed in 0..4 {
        every_commit_is_reported(&bed, seed, 1, 600).await;
    }
}

/// PostgreSQL refuses to delete from a published table without a replica identity. An unlogged table is in no
/// publication.
#[tokio::test]
async fn a_publication_of_all_tables_does_not_keep_rows_from_being_pruned() {
    let bed = Bed::postgres().await;
    bed.sql("CREATE PUBLICATION everything FOR ALL TABLES");
    append(&bed, 3).await;
    prune_down(&bed).await;
}
