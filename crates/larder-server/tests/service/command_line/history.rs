//! `/api/v1/cache/history` and `larder stats --since`: what all instances did, across restarts.

use rustix::process::Signal;
use serde_json::Value;

use crate::command_line::Operator;
use crate::support::app::{TestApp, on_every_stack};
use crate::support::eventually;

fn instance(history: &Value, app: &TestApp) -> Value {
    let port = format!(":{}", app.address.port());
    let all = history["instances"].as_array().unwrap();
    all.iter().find(|one| one["name"].as_str().unwrap().ends_with(&port)).cloned().unwrap_or_default()
}

fn lookups(history: &Value) -> u64 {
    history["classes"]["user_details"]["lookups"]["total_lookups"].as_u64().unwrap_or_default()
}

fn the_figures_of_an_instance_survive_its_end(app: &TestApp) {
    let (operator, ann) = (Operator::of(app), app.user("ann"));
    let mut second = app.second_instance();
    let there = second.here(&ann);
    for _ in 0..50 {
        there.get(&ann.path()).expect(200);
    }
    // It writes its last row before it ends.
    assert!(second.larder.stop(Signal::TERM).success());
    let history = operator.json(&["stats", "--since", "1h"], "history", 0);
    let gone = instance(&history, &second);
    assert_eq!((&gone["has_ended"], &gone["is_running"]), (&true.into(), &false.into()), "{gone}");
    assert!(lookups(&history) >= 50, "{history}");
    let of_it = ["stats", "--since", "1h", "--class", "user_details"];
    let shown = operator.run(&of_it).expect(0).stdout;
    assert!(shown.contains("user_details") && !shown.contains("auth_state"), "{shown}");
    assert!(shown.contains(gone["name"].as_str().unwrap()) && shown.contains("stopped"), "{shown}");

    let admin = app.admin();
    eventually("this instance writes each 10 s", || {
        let history = admin.get("/api/v1/cache/history?since=3600&step=600").expect(200).json();
        let both = instance(&history, app)["is_running"] == true;
        if both {
            let steps = history["steps"].as_array().unwrap();
            let summed: u64 = steps.iter().map(lookups).sum();
            assert!(summed >= 50 && summed == lookups(&history), "{history}");
            let staleness = &history["staleness"];
            assert!(staleness["samples"].as_u64().unwrap() > 0, "each stack has a guard: {history}");
            assert!(staleness["max_ms"].as_f64().unwrap() <= 2_000.0, "{history}");
        }
        both
    });
    let path = format!("/api/v1/cache/history?instance={}", gone["name"].as_str().unwrap());
    let history = admin.get(&path).expect(200).json();
    assert_eq!(history["instances"].as_array().unwrap().len(), 1, "the other one is left out: {history}");
}

fn the_history_is_for_admins_and_says_what_is_wrong(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    ann.get("/api/v1/cache/history").expect(403);
    app.anonymous().get("/api/v1/cache/history").expect(401);
    admin.get("/api/v1/cache/history").expect(200);
    admin.get("/api/v1/cache/history?since=5&step=x").complains_about(422, &["since", "step"]);
    admin.get("/api/v1/cache/history?since=86400&step=60").complains_about(422, &["step"]);
    admin.get("/api/v1/cache/history?instance=").complains_about(422, &["instance"]);
    let operator = Operator::of(app);
    for span in ["5s", "2d", "x"] {
        let refused = operator.run(&["stats", "--since", span]).expect(2);
        assert!(refused.stderr.contains("must be from 1m to 24h"), "{refused:?}");
    }
    let unknown = operator.run(&["stats", "--since", "1h", "--class", "romos"]).expect(1);
    assert!(unknown.stderr.contains("no class romos"), "{unknown:?}");
}

on_every_stack!(the_figures_of_an_instance_survive_its_end, the_history_is_for_admins_and_says_what_is_wrong);
