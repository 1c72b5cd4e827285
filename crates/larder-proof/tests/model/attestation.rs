//! Mutants of the attestation, whose rules three models share.

use super::*;

const VOUCHED: &str = "memory_applied_what_its_guard_certifies";

fn catch_failover(mutant: &str, journal: journal::ModelRules, by: &'static str) {
    catch(mutant, silent_failovers(ProtocolRules::default(), journal), by);
}

fn catch_memory(mutant: &str, journal: journal::ModelRules, by: &'static str) {
    catch(mutant, silent_memories(ProtocolRules::default(), journal), by);
}

#[test]
fn attestation_kept_by_the_process_is_caught() {
    let own_rules = journal::ModelRules { attestation_is_in_position: false, ..Default::default() };
    catch_failover("attestation-kept-by-the-process", own_rules, "position_is_true");
}

#[test]
fn attestation_of_the_present_alone_is_caught() {
    let own_rules = journal::ModelRules { attestation_counts_changes: false, ..Default::default() };
    catch_failover("attestation-of-the-present", own_rules, "position_is_true");
    catch_memory("attestation-of-the-present", own_rules, VOUCHED);
    catch(
        "attestation-of-the-present",
        silent_times(ProtocolRules::default(), own_rules),
        "reads_keep_the_bound",
    );
}

#[test]
fn defect_that_does_not_fail_its_pass_is_caught() {
    let own_rules = journal::ModelRules { defect_fails_its_poll: false, ..Default::default() };
    catch_failover("defect-fails-no-poll", own_rules, "position_is_true");
    catch_memory("defect-fails-no-poll", own_rules, VOUCHED);
}

#[test]
fn hidden_outbox_that_is_shown_to_the_inspection_is_caught() {
    let own_rules = journal::ModelRules { hidden_fails_its_poll: false, ..Default::default() };
    catch_failover("hidden-fails-no-poll", own_rules, "position_is_true");
    catch_memory("hidden-fails-no-poll", own_rules, VOUCHED);
}

#[test]
fn statement_prepared_under_row_security_is_caught() {
    let own_rules = journal::ModelRules { defect_ends_connection: false, ..Default::default() };
    catch_failover("defect-ends-no-connection", own_rules, "position_is_true");
    catch_memory("defect-ends-no-connection", own_rules, VOUCHED);
}

#[test]
fn write_that_does_not_notice_silence_is_caught() {
    let own_rules = journal::ModelRules { write_notices_silence: false, ..Default::default() };
    catch_failover("write-notices-no-silence", own_rules, "fresh_after_acknowledgement");
    catch_memory("write-notices-no-silence", own_rules, "own_writes_are_read");
}

#[test]
fn write_that_knows_a_defect_and_touches_its_rows_alone_is_caught() {
    let own_rules = journal::ModelRules { defect_touches_everything: false, ..Default::default() };
    catch_failover("defect-touches-nothing", own_rules, "fresh_after_acknowledgement");
    catch_memory("defect-touches-nothing", own_rules, "own_writes_are_read");
}

#[test]
fn write_acknowledged_as_sent_over_a_defect_is_caught() {
    let own_rules = journal::ModelRules { defect_queues: false, ..Default::default() };
    catch_failover("defect-does-not-queue", own_rules, "fresh_after_acknowledgement");
}
