//! The auditor of a service checks what the cache answers, and shows what it finds.

use serde_json::{Value, json};

use crate::command_line::Operator;
use crate::support::app::{Stack, TestApp};
use crate::support::eventually;

fn auditor(app: &TestApp) -> Value {
    app.admin().get("/api/v1/cache/stats").expect(200).json()["auditor"].clone()
}

#[test]
fn a_service_that_is_well_has_checked_reads_and_none_beyond_the_bound() {
    let app = Stack::postgres_redis()
        .with_setting("LARDER_AUDITOR_RATE", "1")
        .with_setting("LARDER_AUDITOR_LOADS_PER_SECOND", "1000")
        .start();
    let ann = app.user("ann");
    let read = |round: u32| {
        ann.patch(&ann.path(), &json!({ "bio": format!("round {round}") })).expect(200);
        for path in [ann.path().as_str(), "/api/v1/leaderboard", "/api/v1/users/me"] {
            for _ in 0..3 {
                ann.get(path).expect(200);
            }
        }
    };
    let mut round = 0;
    eventually("many reads are checked", || {
        round += 1;
        read(round);
        auditor(&app)["checked"].as_u64().unwrap() > 200
    });
    let found = auditor(&app);
    for name in ["stale", "dismissed", "unproven"] {
        assert_eq!(found[name], 0, "{name}: {found}");
    }
    assert_eq!((&found["rate"], &found["hour"]["stale"]), (&json!(1.0), &json!(0)), "{found}");
    assert!(found["hour"]["nines"].as_f64().unwrap() >= 1.8, "{found}");
    let operator = Operator::of(&app);
    let shown = operator.run(&["stats"]).expect(0).stdout;
    assert!(shown.contains("auditor    last hour: ") && shown.contains("0 beyond the bound"), "{shown}");
    let top = operator.run(&["top", "--once"]).expect(0).stdout;
    assert!(top.contains("auditor   last hour: "), "{top}");
    assert!(operator.json(&["top", "--once"], "top", 0)["nines_of_hour"].is_number());
}

#[test]
fn a_service_without_the_setting_has_no_auditor() {
    let app = Stack::sqlite_memory().start();
    let ann = app.user("ann");
    (0..20).for_each(|_| drop(ann.get(&ann.path()).expect(200)));
    assert_eq!(auditor(&app), Value::Null);
    let operator = Operator::of(&app);
    assert!(!operator.run(&["stats"]).expect(0).stdout.contains("auditor"));
    assert!(!operator.run(&["top", "--once"]).expect(0).stdout.contains("auditor"));
    assert!(!app.admin().get("/metrics").expect(200).text().contains("auditor"));
}
