//! Explores the models: with all rules the properties hold in the complete bounded space, and every mutant breaks one.

#![expect(clippy::print_stdout, reason = "the figures and the traces are what one runs it for")]

mod aging;
mod attestation;
mod renewals;
mod slots;
mod successions;

use std::fmt::Debug;
use std::hash::Hash;
use std::time::Instant;

use larder::protocol::rules::{ProtocolRule, ProtocolRules};
use larder_proof::model::coherence::{self, Coherence};
use larder_proof::model::coverage::{Coverage, explore};
use larder_proof::model::failover::{self, Failover};
use larder_proof::model::journal;
use larder_proof::model::memory::{self, Memory};
use larder_proof::model::timed::{self, Timed};
use stateright::Model;

/// The scenarios of one model: a name, the model, and its branch counters.
type Scenarios<M> = Vec<(&'static str, M, Coverage)>;

fn read_path(rules: ProtocolRules) -> Scenarios<Coherence> {
    counted(coherence::scenarios::read_path(rules), |it| it.coverage.clone())
}

fn tags(rules: ProtocolRules) -> Scenarios<Coherence> {
    counted(coherence::scenarios::tags(rules), |it| it.coverage.clone())
}

fn permits(rules: ProtocolRules) -> Scenarios<Coherence> {
    counted(coherence::scenarios::permits(rules), |it| it.coverage.clone())
}

fn anchors(rules: ProtocolRules) -> Scenarios<Coherence> {
    counted(coherence::scenarios::anchors(rules), |it| it.coverage.clone())
}

fn failovers(rules: ProtocolRules, own_rules: failover::ModelRules) -> Scenarios<Failover> {
    counted(failover::scenarios::all(rules, own_rules), |it| it.coverage.clone())
}

fn memories(rules: ProtocolRules, own_rules: memory::ModelRules) -> Scenarios<Memory> {
    counted(Memory::all(rules, own_rules), |it| it.coverage.clone())
}

fn times(rules: ProtocolRules, own_rules: timed::ModelRules) -> Scenarios<Timed> {
    counted(timed::scenarios::all(rules, own_rules), |it| it.coverage.clone())
}

fn silent_failovers(rules: ProtocolRules, journal: journal::ModelRules) -> Scenarios<Failover> {
    let own_rules = failover::ModelRules { journal, ..Default::default() };
    counted(failover::scenarios::silences(rules, own_rules), |it| it.coverage.clone())
}

fn silent_memories(rules: ProtocolRules, journal: journal::ModelRules) -> Scenarios<Memory> {
    let own_rules = memory::ModelRules { journal, ..Default::default() };
    counted(Memory::silences(rules, own_rules), |it| it.coverage.clone())
}

fn silent_times(rules: ProtocolRules, journal: journal::ModelRules) -> Scenarios<Timed> {
    let own_rules = timed::ModelRules { journal, ..Default::default() };
    counted(timed::scenarios::silences(rules, own_rules), |it| it.coverage.clone())
}

fn counted<M>(scenarios: Vec<(&'static str, M)>, coverage: fn(&M) -> Coverage) -> Scenarios<M> {
    let counted = |(name, it)| {
        let coverage = coverage(&it);
        (name, it, coverage)
    };
    scenarios.into_iter().map(counted).collect()
}

/// Explores every scenario completely, asserts that its properties hold, and returns those of `branches` that were
/// never taken.
fn hold<M, B>(scenarios: Scenarios<M>, branches: &[B]) -> Vec<B>
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + PartialEq + Hash + Send + Sync + Debug + 'static,
    M::Action: Clone + PartialEq + Debug,
    B: Copy,
{
    let mut taken = vec![0; branches.len()];
    for (name, model, coverage) in scenarios {
        let began = Instant::now();
        let explored = explore(model, None);
        let seconds = began.elapsed().as_secs_f64();
        println!("{:>9} states, depth {:>2}, {seconds:>5.1} s: {name}", explored.states, explored.depth);
        assert_eq!(explored.breach, None, "{name}");
        taken.iter_mut().enumerate().for_each(|(nth, taken)| *taken += coverage.taken(nth));
    }
    branches.iter().zip(taken).filter(|(_, taken)| *taken == 0).map(|(branch, _)| *branch).collect()
}

/// Asserts that in some scenario `mutant` breaks the property `by`, and prints the steps.
fn catch<M>(mutant: &str, scenarios: Scenarios<M>, by: &'static str)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + PartialEq + Hash + Send + Sync + Debug + 'static,
    M::Action: Clone + PartialEq + Debug,
{
    for (name, model, _) in scenarios {
        if let Some((property, steps)) = explore(model, Some(by)).breach {
            println!("{mutant} breaks {property} in \"{name}\":\n  {}", steps.join(", "));
            return;
        }
    }
    panic!("no scenario shows that {mutant} breaks {by}");
}

mod kept {
    use super::*;

    #[test]
    fn read_path_holds() {
        use coherence::Branch::*;
        assert_eq!(
            untaken(read_path(ProtocolRules::default())),
            [Replaced, Minted, MintedByAnother, MintedLocally, TagGone],
            "what only tags need"
        );
    }

    #[test]
    fn token_tags_hold() {
        assert_eq!(untaken(tags(ProtocolRules::default())), []);
    }

    /// The branches that were never taken, without those of permits, renewals, aging and memory-only classes.
    fn untaken(scenarios: Scenarios<Coherence>) -> Vec<coherence::Branch> {
        use coherence::Branch;
        let mut untaken = hold(scenarios, &Branch::ALL);
        let elsewhere = [&Branch::PERMITS[..], &Branch::RENEWALS, &Branch::ANCHORED, &Branch::AGED].concat();
        untaken.retain(|branch| !elsewhere.contains(branch));
        untaken
    }

    #[test]
    fn permits_hold() {
        use coherence::Branch;
        let untaken = hold(permits(ProtocolRules::default()), &Branch::ALL);
        assert!(!untaken.iter().any(|branch| Branch::PERMITS.contains(branch)), "{untaken:?}");
    }

    #[test]
    fn anchors_hold() {
        use coherence::Branch;
        let untaken = hold(anchors(ProtocolRules::default()), &Branch::ALL);
        assert!(!untaken.iter().any(|branch| Branch::ANCHORED.contains(branch)), "{untaken:?}");
        assert!(untaken.contains(&Branch::RedisHit), "no value in Redis is an answer");
    }

    #[test]
    fn failover_holds() {
        let scenarios = failovers(ProtocolRules::default(), failover::ModelRules::default());
        assert_eq!(hold(scenarios, &failover::Branch::ALL), failover::Branch::SUCCESSIONS);
    }

    #[test]
    fn memory_holds() {
        assert_eq!(
            hold(memories(ProtocolRules::default(), memory::ModelRules::default()), &memory::Branch::ALL),
            []
        );
    }

    #[test]
    fn timed_holds() {
        assert_eq!(
            hold(times(ProtocolRules::default(), timed::ModelRules::default()), &timed::Branch::ALL),
            []
        );
    }
}

/// The mutants of the protocol's rules.
mod rule {
    use super::*;

    fn catch_reader(rule: ProtocolRule, by: &'static str) {
        catch(rule.mutant(), read_path(ProtocolRules::without(rule)), by);
    }

    #[test]
    fn plain_set_is_caught() {
        catch_reader(ProtocolRule::FillComparesLease, "redis_is_not_behind");
    }

    #[test]
    fn blind_join_is_caught() {
        catch_reader(ProtocolRule::JoinsNoPast, "own_writes_are_read");
    }

    #[test]
    fn blind_join_by_tag_is_caught() {
        catch("blind-join", tags(ProtocolRules::without(ProtocolRule::JoinsNoPast)), "own_writes_are_read");
    }

    #[test]
    fn old_snapshot_is_caught() {
        catch_reader(ProtocolRule::LoadsThePresent, "redis_is_not_behind");
    }

    #[test]
    fn insert_on_fill_is_caught() {
        catch_reader(ProtocolRule::FillerInsertsNothing, "memory_is_not_behind");
    }

    #[test]
    fn untracked_insert_is_caught() {
        catch_reader(ProtocolRule::InsertsOnlyTracked, "memory_is_not_behind");
    }

    #[test]
    fn late_insert_is_caught() {
        catch_reader(ProtocolRule::InsertsNothingLate, "memory_is_not_behind");
    }

    #[test]
    fn no_certificate_is_caught() {
        let rules = ProtocolRules::without(ProtocolRule::UsesOnlyCertified);
        catch(
            "no-certificate",
            failovers(rules, failover::ModelRules::default()),
            "fresh_after_acknowledgement",
        );
        catch("no-certificate", times(rules, timed::ModelRules::default()), "reads_keep_the_bound");
    }

    #[test]
    fn no_replay_is_caught() {
        let rules = ProtocolRules::without(ProtocolRule::CertifiesAfterReplay);
        catch("no-replay", failovers(rules, failover::ModelRules::default()), "position_is_true");
        catch("no-replay", times(rules, timed::ModelRules::default()), "watermark_is_true");
    }

    #[test]
    fn blind_skip_is_caught() {
        let rules = ProtocolRules::without(ProtocolRule::SkipsOnlyPropagated);
        catch("blind-skip", failovers(rules, failover::ModelRules::default()), "position_is_true");
        catch("blind-skip", failovers(rules, failover::ModelRules::default()), "watermark_is_true");
        catch("blind-skip", tags(rules), "redis_is_not_behind");
        catch("blind-skip", times(rules, timed::ModelRules::default()), "watermark_is_true");
        let certified = "memory_applied_what_its_guard_certifies";
        catch("blind-skip", memories(rules, memory::ModelRules::default()), certified);
    }

    #[test]
    fn blind_put_is_caught() {
        let rules = ProtocolRules::without(ProtocolRule::PutsUnderPermit);
        catch("blind-put", permits(rules), "redis_is_not_behind");
        catch("blind-put", permits(rules), "own_writes_are_read");
        catch("blind-put", permits(rules), "fresh_after_acknowledgement");
    }

    #[test]
    fn unwatched_copy_is_caught() {
        let rules = ProtocolRules::without(ProtocolRule::KeepsUnderAnchor);
        catch("unwatched-copy", anchors(rules), "memory_is_not_behind");
        catch("unwatched-copy", anchors(rules), "own_writes_are_read");
    }

    #[test]
    fn trust_silence_is_caught() {
        let rules = ProtocolRules::without(ProtocolRule::AttestsSilence);
        let own_rules = journal::ModelRules::default();
        catch("trust-silence", silent_failovers(rules, own_rules), "position_is_true");
        catch("trust-silence", silent_failovers(rules, own_rules), "watermark_is_true");
        catch("trust-silence", silent_times(rules, own_rules), "reads_keep_the_bound");
        let certified = "memory_applied_what_its_guard_certifies";
        catch("trust-silence", silent_memories(rules, own_rules), certified);
    }
}

/// Mutants of the models' own rules.
mod own_rules {
    use super::*;

    fn catch_failover(mutant: &str, own_rules: failover::ModelRules, by: &'static str) {
        catch(mutant, failovers(ProtocolRules::default(), own_rules), by);
    }

    fn catch_timed(mutant: &str, own_rules: timed::ModelRules, by: &'static str) {
        catch(mutant, times(ProtocolRules::default(), own_rules), by);
    }

    #[test]
    fn mark_without_history_is_caught() {
        let own_rules = failover::ModelRules { mark_asks_history: false, ..Default::default() };
        catch_failover("mark-without-history", own_rules, "position_is_true");
    }

    #[test]
    fn position_by_id_is_caught() {
        let own_rules = failover::ModelRules { position_is_snapshot: false, ..Default::default() };
        catch_failover("position-by-id", own_rules, "position_is_true");
    }

    #[test]
    fn mark_before_unlink_is_caught() {
        let own_rules = failover::ModelRules { mark_comes_last: false, ..Default::default() };
        catch_failover("mark-before-unlink", own_rules, "position_is_true");
    }

    #[test]
    fn position_kept_by_the_relay_is_caught() {
        let own_rules = failover::ModelRules { position_is_in_redis: false, ..Default::default() };
        catch_failover("position-kept-by-the-relay", own_rules, "position_is_true");
    }

    #[test]
    fn null_push_that_only_clears_is_caught() {
        let own_rules = failover::ModelRules { null_push_revokes: false, ..Default::default() };
        catch_failover("null-push-only-clears", own_rules, "reads_reach_the_watermark");
        // A fresh read asks for the history itself, so it misses nothing.
        let own_rules = failover::ModelRules { reads_ask_history: false, ..own_rules };
        catch_failover("null-push-only-clears", own_rules, "fresh_after_acknowledgement");
    }

    #[test]
    fn fresh_read_from_a_demoted_master_is_caught() {
        let own_rules = failover::ModelRules { reads_ask_role: false, ..Default::default() };
        catch_failover("reads-ask-no-role", own_rules, "fresh_after_acknowledgement");
    }

    #[test]
    fn read_from_a_master_of_another_history_is_caught() {
        let own_rules = failover::ModelRules { reads_ask_history: false, ..Default::default() };
        catch_failover("reads-ask-no-history", own_rules, "fresh_after_acknowledgement");
    }

    #[test]
    fn name_set_after_its_unlink_is_caught() {
        let own_rules = failover::ModelRules { ids_come_with_unlinking: false, ..Default::default() };
        catch_failover("id-after-unlinking", own_rules, "position_is_true");
    }

    #[test]
    fn name_that_comes_before_its_commit_is_caught() {
        let own_rules = failover::ModelRules { ids_come_after_commit: false, ..Default::default() };
        catch_failover("id-before-commit", own_rules, "position_is_true");
        catch_failover("id-before-commit", own_rules, "watermark_is_true");
    }

    #[test]
    fn names_kept_by_the_process_are_caught() {
        let own_rules = failover::ModelRules { ids_are_in_redis: false, ..Default::default() };
        catch_failover("ids-kept-by-the-process", own_rules, "position_is_true");
    }

    #[test]
    fn names_read_from_another_node_are_caught() {
        let own_rules = failover::ModelRules { ids_are_read_where_propagated: false, ..Default::default() };
        catch_failover("ids-read-elsewhere", own_rules, "position_is_true");
    }

    #[test]
    fn names_read_by_an_earlier_pass_are_caught() {
        let own_rules = failover::ModelRules { ids_are_read_by_poll: false, ..Default::default() };
        catch_failover("ids-read-earlier", own_rules, "position_is_true");
    }

    #[test]
    fn name_that_memory_gets_too_early_is_caught() {
        let certified = "memory_applied_what_its_guard_certifies";
        let own_rules = memory::ModelRules { ids_come_after_dropping: false, ..Default::default() };
        catch("id-before-dropping", memories(ProtocolRules::default(), own_rules), certified);
        let own_rules = memory::ModelRules { ids_come_after_commit: false, ..Default::default() };
        catch("id-before-commit", memories(ProtocolRules::default(), own_rules), certified);
    }

    #[test]
    fn heartbeat_counted_from_its_reply_is_caught() {
        let own_rules = timed::ModelRules { beat_counts_from_sending: false, ..Default::default() };
        catch_timed("beat-counts-from-reply", own_rules, "reads_keep_the_bound");
    }

    #[test]
    fn clock_read_after_the_snapshot_is_caught() {
        let own_rules = timed::ModelRules { clock_comes_first: false, ..Default::default() };
        catch_timed("clock-comes-last", own_rules, "watermark_is_true");
    }

    #[test]
    fn flight_that_forgets_its_watermark_is_caught() {
        let own_rules = timed::ModelRules { flight_counts_its_watermark: false, ..Default::default() };
        catch_timed("flight-forgets-watermark", own_rules, "joins_keep_the_bound");
    }

    #[test]
    fn copy_counted_from_the_end_of_its_load_is_caught() {
        let own_rules = timed::ModelRules { copy_counts_from_start: false, ..Default::default() };
        catch_timed("copy-counts-from-end", own_rules, "reads_keep_the_bound");
    }
}
