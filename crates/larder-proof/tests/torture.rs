//! Short torture runs: under each nemesis every promise is kept, and each mutant is caught.
//!
//! A violation is a proof, so a run that finds an unexpected one is never flaky. A run looks for a mutant
//! until it finds it; the limit is many times the usual time.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

use std::path::Path;

use larder_proof::torture::deployment::Deployment;
use larder_proof::torture::mutant::Mutant;
use larder_proof::torture::nemesis::{ALL, Choice};
use larder_proof::torture::options::{Finder, Options};
use larder_proof::torture::report::Report;
use larder_proof::torture::run;
use larder_proof::torture::setup::{Kind, Setup, Switch};

/// A short staleness bound makes runs short, because nemeses last longer than the bound.
fn setup(seconds: u64) -> Setup {
    Setup {
        seconds,
        instances: 2,
        database: Kind::Postgres,
        redis: Switch::On,
        second_database: Switch::Off,
        deployment: Deployment::Plain,
        mutant: None,
        bound_ms: 1_000,
        releases: 1,
    }
}

fn torture(options: &Options) -> Report {
    run(options, Path::new(env!("CARGO_BIN_EXE_larder-torture"))).unwrap()
}

/// Asserts that there is no violation. A short run need not take every branch.
fn keeps_its_promises(options: &Options) {
    let report = torture(options);
    assert_eq!(report.unkept(), [""; 0], "{report}");
    let reads = report.tally().bounded.reads.min(20 * report.tally().fresh.reads);
    assert!(reads > 1_000, "too few to prove anything: {report}");
}

fn is_caught(name: &str, finder: Finder) {
    let mutant: Mutant = name.parse().unwrap();
    let nemesis = mutant.nemesis().parse().unwrap();
    let second_database = if name == "shared-keys" { Switch::On } else { Switch::Off };
    let report = torture(&Options {
        setup: Setup { mutant: Some(mutant), second_database, ..setup(90) },
        nemesis,
        finder,
    });
    assert!(report.is_success(), "{report}");
}

macro_rules! nemeses {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            let nemesis: Choice = $name.parse().unwrap();
            let on = |deployment| Setup { deployment, ..setup(3) };
            let suiting = [Deployment::Plain, Deployment::Sentinel, Deployment::Cluster].map(on);
            let setup = suiting.into_iter().find(|setup| !nemesis.nemeses(setup).is_empty()).unwrap();
            keeps_its_promises(&Options { setup, nemesis, finder: Finder::Judge });
        })*

        #[test]
        fn every_nemesis_has_a_test() {
            assert_eq!(ALL.iter().map(|nemesis| nemesis.name).collect::<Vec<_>>(), [$($name),*]);
        }
    };
}

nemeses! {
    a_killed_redis_causes_no_stale_read: "kill-redis",
    a_stopped_redis_causes_no_stale_read: "stop-redis",
    a_flushed_redis_causes_no_stale_read: "flush-redis",
    cut_clients_cause_no_stale_read: "cut-clients",
    a_restored_redis_causes_no_stale_read: "restore-redis",
    a_promoted_replica_causes_no_stale_read: "promote-replica",
    a_fail_over_by_sentinels_causes_no_stale_read: "fail-over",
    moved_slots_cause_no_stale_read: "move-slots",
    a_master_that_was_cut_off_causes_no_stale_read: "cut-off-master",
    a_lost_majority_causes_no_stale_read: "lose-majority",
    a_master_that_was_reset_causes_no_stale_read: "reset-master",
    a_stalled_link_causes_no_stale_read: "stall-link",
    a_cut_link_causes_no_stale_read: "cut-link",
    a_slow_link_causes_no_stale_read: "slow-link",
    a_stopped_instance_causes_no_stale_read: "stop-instance",
    a_killed_writer_causes_no_stale_read: "kill-writer",
    a_stopped_relay_causes_no_stale_read: "stop-relay",
    foreign_writes_cause_no_stale_read: "foreign-only",
    a_crashed_database_causes_no_stale_read: "crash-postgres",
    a_promoted_standby_causes_no_stale_read: "promote-standby",
    a_lagging_standby_causes_no_stale_read: "lagging-standby",
    a_former_primary_causes_no_stale_read: "old-primary",
    refused_memory_causes_no_stale_read: "refuse-memory",
    evicted_memory_causes_no_stale_read: "evict-memory",
    a_small_tracking_table_causes_no_stale_read: "small-tracking",
    silent_triggers_cause_no_stale_read: "silence-triggers",
    a_hidden_outbox_causes_no_stale_read: "hide-outbox",
    a_cleaned_outbox_causes_no_stale_read: "clean-outbox",
    a_swapped_table_causes_no_stale_read: "swap-table",
}

macro_rules! mutants {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            is_caught($name, Finder::Judge);
        })*

        #[test]
        fn every_inserted_fault_has_a_test() {
            assert_eq!(Mutant::all().map(|mutant| mutant.to_string()).collect::<Vec<_>>(), [$($name),*]);
        }
    };
}

mutants! {
    plain_set_is_caught: "plain-set",
    blind_join_is_caught: "blind-join",
    old_snapshot_is_caught: "old-snapshot",
    insert_on_fill_is_caught: "insert-on-fill",
    untracked_insert_is_caught: "untracked-insert",
    late_insert_is_caught: "late-insert",
    no_certificate_is_caught: "no-certificate",
    no_replay_is_caught: "no-replay",
    blind_skip_is_caught: "blind-skip",
    blind_put_is_caught: "blind-put",
    stale_grace_is_caught: "stale-grace",
    any_shape_is_caught: "any-shape",
    shared_keys_are_caught: "shared-keys",
    trust_silence_is_caught: "trust-silence",
    a_naive_cache_is_caught: "naive",
}

macro_rules! heard {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            is_caught($name, Finder::Auditor);
        })*
    };
}

// The other mutants leave no entry that an instance serves for longer than the bound: see docs/auditor.md.
heard! {
    an_auditor_hears_plain_set: "plain-set",
    an_auditor_hears_old_snapshot: "old-snapshot",
    an_auditor_hears_insert_on_fill: "insert-on-fill",
    an_auditor_hears_untracked_insert: "untracked-insert",
    an_auditor_hears_late_insert: "late-insert",
    an_auditor_hears_no_replay: "no-replay",
    an_auditor_hears_blind_skip: "blind-skip",
    an_auditor_hears_any_shape: "any-shape",
    an_auditor_hears_trust_silence: "trust-silence",
    an_auditor_hears_a_naive_cache: "naive",
}

#[test]
fn without_faults_every_promise_is_kept_and_every_branch_is_taken() {
    let report = torture(&Options { setup: setup(5), nemesis: Choice::None, finder: Finder::Judge });
    assert!(report.is_success(), "{report}");
}

#[test]
fn two_releases_side_by_side_take_no_entry_of_each_other() {
    keeps_its_promises(&Options {
        setup: Setup { releases: 2, instances: 3, ..setup(5) },
        nemesis: Choice::None,
        finder: Finder::Judge,
    });
}

#[test]
fn two_databases_in_one_namespace_stay_apart() {
    let nemeses =
        ["none", "flush-redis", "promote-replica", "crash-postgres"].map(|name| (Kind::Postgres, name));
    for (database, nemesis) in nemeses.into_iter().chain([(Kind::Sqlite, "none")]) {
        let nemesis = nemesis.parse().unwrap();
        let setup = Setup { database, second_database: Switch::On, ..setup(3) };
        keeps_its_promises(&Options { setup, nemesis, finder: Finder::Judge });
    }
}

#[test]
fn tls_a_unix_socket_and_rest_cause_no_stale_read() {
    for deployment in [Deployment::Tls, Deployment::Unix, Deployment::Rest] {
        for nemesis in ["cut-clients", "promote-replica"] {
            let setup = Setup { deployment, ..setup(3) };
            keeps_its_promises(&Options { setup, nemesis: nemesis.parse().unwrap(), finder: Finder::Judge });
        }
    }
}

#[test]
fn instances_on_one_sqlite_file_keep_their_promises() {
    keeps_its_promises(&Options {
        setup: Setup { database: Kind::Sqlite, ..setup(3) },
        nemesis: Choice::None,
        finder: Finder::Judge,
    });
}

#[test]
fn a_silent_journal_without_redis_causes_no_stale_read() {
    let of_sqlite = ["silence-triggers", "clean-outbox", "swap-table"].map(|nemesis| (Kind::Sqlite, nemesis));
    for (database, nemesis) in [(Kind::Postgres, "silence-triggers")].into_iter().chain(of_sqlite) {
        let nemesis = nemesis.parse().unwrap();
        keeps_its_promises(&Options {
            setup: Setup { database, redis: Switch::Off, ..setup(2) },
            nemesis,
            finder: Finder::Judge,
        });
    }
}

#[test]
fn instances_that_share_only_a_database_keep_their_promises() {
    for database in [Kind::Postgres, Kind::Sqlite] {
        let nemesis = "stop-instance".parse().unwrap();
        keeps_its_promises(&Options {
            setup: Setup { database, redis: Switch::Off, ..setup(3) },
            nemesis,
            finder: Finder::Judge,
        });
    }
}
