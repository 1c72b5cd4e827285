//! `larder stats`, `explain`, `clear`, `warm` and `switch`.

use serde_json::json;

use crate::command_line::Operator;
use crate::support::app::{TestApp, on_both_databases};
use crate::support::eventually;

fn stats_show_each_class_that_was_read(app: &TestApp) {
    let (operator, ann) = (Operator::of(app), app.user("ann"));
    for _ in 0..3 {
        ann.get(&ann.path()).expect(200);
    }
    let shown = operator.run(&["stats"]).expect(0).stdout;
    for text in ["class", "hit %", "user_details", "memory     ", "staleness  ", "the bound is 2.00 s"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(!shown.contains("leaderboard"), "no read of it: {shown}");
    assert!(operator.run(&["stats", "--all"]).expect(0).stdout.contains("leaderboard"));
    let one = operator.run(&["stats", "--class", "user_details"]).expect(0).stdout;
    assert!(one.contains("user_details") && !one.contains("auth_state"), "{one}");
    let unknown = operator.run(&["stats", "--class", "romos"]).expect(1);
    assert!(unknown.stderr.contains("no class romos"), "{unknown:?}");

    let json = operator.json(&["stats"], "stats", 0);
    assert!(json["application"]["total_lookups"].as_u64().unwrap() > 0, "{json}");
    assert_eq!(json["staleness"]["bound_ms"], 2000.0, "{json}");
    let certified = json["staleness"]["certified_for_ms"].as_f64().unwrap();
    assert!((0.0..=2000.0).contains(&certified), "{json}");
    assert_eq!(json["staleness"]["unsent_invalidations"].is_null(), !app.has_redis(), "{json}");
}

fn explain_says_how_a_read_would_be_answered(app: &TestApp) {
    let (operator, ann) = (Operator::of(app), app.user("ann"));
    let key = format!("user_details:{}", ann.id);
    let served_from = || operator.json(&["explain", &key], "explain", 0)["served_from"].clone();
    eventually("it is served from a tier", || {
        ann.get(&ann.path()).expect(200);
        ann.get(&ann.path()).expect(200);
        [json!("memory"), json!("redis")].contains(&served_from())
    });
    eventually("it is served from memory, in words too", || {
        ann.get(&ann.path()).expect(200);
        ann.get(&ann.path()).expect(200);
        let shown = operator.run(&["explain", &key]).expect(0).stdout;
        assert!(shown.starts_with(&key), "{shown}");
        shown.contains("A bounded read is answered from memory.") && shown.contains("tags user_details")
    });

    operator.run(&["clear", "--class", "user_details"]).expect(0);
    eventually("it is not served", || {
        let shown = operator.run(&["explain", "user_details", &ann.id]).expect(0).stdout;
        shown.contains("A bounded read runs its loader, because")
            && shown.contains("by hand, named tag user_details")
    });
    operator.run(&["switch", "user_details", "off"]).expect(0);
    let off = operator.json(&["explain", &key], "explain", 0);
    assert_eq!((&off["served_from"], &off["class_enabled"]), (&json!("bypass"), &json!(false)));

    let nothing = operator.run(&["explain", "user_details", "staff-9"]).expect(0).stdout;
    assert!(
        nothing.contains("user_details:staff-9") && nothing.contains("memory             nothing"),
        "{nothing}"
    );
    let secret = operator.run(&["explain", "romos:7"]).expect(1);
    assert!(secret.stderr.contains("403 keys_of_class"), "{secret:?}");
}

fn clear_names_what_it_drops(app: &TestApp) {
    let (operator, ann) = (Operator::of(app), app.user("ann"));
    let clears: [(&[&str], &str); 4] = [
        (&["--user", &ann.id], "user"),
        (&["--class", "user_list"], "class"),
        (&["--pattern", "user_det*"], "pattern"),
        (&["--all"], "everything"),
    ];
    for (what, name) in clears {
        let arguments = [&["clear"], what].concat();
        let shown = operator.run(&arguments).expect(0).stdout;
        assert!(shown.starts_with(&format!("Cleared {name}: ")), "{shown}");
        assert!(shown.contains("every tier has dropped it; the journal has it."), "{shown}");
        assert_eq!(operator.json(&arguments, "clear", 0)["what"], name);
    }
    let wrong: [&[&str]; 3] = [&["clear"], &["clear", "--all", "--class", "x"], &["clear", "--pattern"]];
    for arguments in wrong {
        operator.run(arguments).expect(2);
    }
    let refused = operator.run(&["clear", "--class", "romos"]).expect(1);
    assert!(refused.stderr.contains("422") && refused.stderr.contains("is no class"), "{refused:?}");
}

fn warm_loads_and_switch_switches(app: &TestApp) {
    let operator = Operator::of(app);
    let warmed = operator.run(&["warm"]).expect(0).stdout;
    assert!(warmed.starts_with("Warmed: ") && warmed.contains("user_list"), "{warmed}");
    let warmed = operator.json(&["warm"], "warm", 0);
    assert!(warmed["warmed"].as_array().unwrap().contains(&json!("user_list")), "{warmed}");

    for (state, is_on) in [("off", false), ("on", true)] {
        let switched = operator.json(&["switch", "user_list", state], "switch", 0);
        assert_eq!(switched, json!({ "class": "user_list", "enabled": is_on }));
        let classes = operator.json(&["stats"], "stats", 0)["classes"].clone();
        let list =
            classes.as_array().unwrap().iter().find(|class| class["name"] == "user_list").unwrap().clone();
        assert_eq!(list["enabled"], is_on);
    }
    operator.run(&["switch", "romos", "on"]).expect(1);
    operator.run(&["switch", "user_list", "perhaps"]).expect(2);
}

on_both_databases!(
    stats_show_each_class_that_was_read,
    explain_says_how_a_read_would_be_answered,
    clear_names_what_it_drops,
    warm_loads_and_switch_switches,
);
