//! Explores the models: kept rules hold over the whole bounded space, and every broken one is found out.

use std::time::Instant;

use larder::protocol::rules::{Rule, Rules};
use larder_proof::model::coherence::{Branch, Coherence, scenarios};
use larder_proof::model::coverage::{Explored, explore};
use larder_proof::model::{failover, timed};

type Scenarios = Vec<(&'static str, Coherence)>;

/// Explores them all and shows that they hold; returns how often each branch was taken.
fn hold(scenarios: Scenarios) -> Vec<u64> {
    let mut taken = vec![0; Branch::ALL.len()];
    for (name, model) in scenarios {
        let coverage = model.coverage.clone();
        let explored = timed(name, || explore(model));
        assert_eq!(explored.breach, None, "{name}");
        for branch in Branch::ALL {
            taken[branch as usize] += coverage.taken(branch as usize);
        }
    }
    taken
}

fn timed(name: &str, explore: impl FnOnce() -> Explored) -> Explored {
    let began = Instant::now();
    let explored = explore();
    println!("{:>9} states, depth {:>2}, {:>5.1} s: {name}", explored.states, explored.depth, began.elapsed().as_secs_f64());
    explored
}

fn untaken(taken: &[u64], but: &[Branch]) -> Vec<Branch> {
    Branch::ALL.into_iter().filter(|branch| taken[*branch as usize] == 0 && !but.contains(branch)).collect()
}

#[test]
fn the_read_path_holds() {
    let taken = hold(scenarios::read_path(Rules::default()));
    let tags = [Branch::Replaced, Branch::Minted, Branch::MintedByAnother, Branch::MintedLocally, Branch::TagGone];
    assert_eq!(untaken(&taken, &tags), []);
}

#[test]
fn token_tags_hold() {
    let taken = hold(scenarios::tags(Rules::default()));
    assert_eq!(untaken(&taken, &[]), []);
}

/// The first scenario in which the mutant is caught.
fn caught(rule: Rule) {
    let rules = Rules::without(rule);
    for (name, model) in scenarios::read_path(rules).into_iter().chain(scenarios::tags(rules)) {
        if let Some((property, steps)) = explore(model).breach {
            println!("{}: {property} breaks in \"{name}\":\n  {}", rule.mutant(), steps.join(" > "));
            return;
        }
    }
    panic!("nobody catches {}", rule.mutant());
}

macro_rules! mutants {
    ($($name:ident: $rule:expr;)*) => { $(#[test] fn $name() { caught($rule); })* };
}

mutants! {
    plain_set_is_caught: Rule::FillComparesLease;
    blind_join_is_caught: Rule::JoinsNoPast;
    old_snapshot_is_caught: Rule::LoadsThePresent;
    insert_on_fill_is_caught: Rule::FillerInsertsNothing;
    untracked_insert_is_caught: Rule::InsertsOnlyTracked;
    late_insert_is_caught: Rule::InsertsNothingLate;
}

#[test]
fn failover_holds() {
    let mut taken = vec![0; failover::Branch::ALL.len()];
    for (name, model) in failover::scenarios::all(Rules::default(), failover::Care::default()) {
        let coverage = model.coverage.clone();
        let explored = timed(name, || explore(model));
        if let Some((p, s)) = &explored.breach { println!("{p}: {}", s.join(" > ")); }
        for branch in failover::Branch::ALL {
            taken[branch as usize] += coverage.taken(branch as usize);
        }
    }
    for branch in failover::Branch::ALL { println!("{branch:?} {}", taken[branch as usize]); }
}

#[test]
fn timed_holds() {
    let mut taken = vec![0; timed::Branch::ALL.len()];
    for (name, model) in timed::scenarios::all(Rules::default(), timed::Care::default()) {
        let coverage = model.coverage.clone();
        let explored = self::timed(name, || explore(model));
        if let Some((p, s)) = &explored.breach { println!("{p}: {}", s.join(" > ")); }
        for branch in timed::Branch::ALL {
            taken[branch as usize] += coverage.taken(branch as usize);
        }
    }
    for branch in timed::Branch::ALL { println!("{branch:?} {}", taken[branch as usize]); }
}
