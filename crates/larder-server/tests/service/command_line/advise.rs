//! `/api/v1/cache/tuning` and `larder advise`.

use serde_json::json;

use crate::command_line::Operator;
use crate::support::app::Stack;
use crate::support::eventually;

#[test]
fn without_tuning_there_is_no_advice_and_the_command_says_so() {
    let app = Stack::sqlite_memory().start();
    let operator = Operator::of(&app);
    let refused = operator.run(&["advise"]).expect(1);
    assert!(refused.stderr.contains("LARDER_TUNING=advise"), "{refused:?}");
    let tuning = operator.json(&["advise"], "advise", 0);
    assert_eq!((&tuning["mode"], &tuning["curves"]), (&json!("off"), &json!([])));
}

#[test]
fn an_instance_that_watches_has_curves_and_undoes_only_what_it_changed() {
    let app = Stack::sqlite_redis().with_setting("LARDER_TUNING", "advise").start();
    let (operator, admin, ann) = (Operator::of(&app), app.admin(), app.user("ann"));
    // Each is a list of its own, which enters memory with the second read. One key in 16 is sampled.
    for limit in 1..=100 {
        for order in ["created_at", "email", "username"] {
            let list = format!("/api/v1/users?limit={limit}&sort={order}");
            (0..2).for_each(|_| drop(admin.get(&list).expect(200)));
        }
    }
    eventually("the samples are counted", || {
        let tuning = operator.json(&["advise"], "advise", 0);
        assert_eq!(tuning["mode"], "advise");
        let curves = tuning["curves"].as_array().unwrap();
        curves
            .first()
            .is_some_and(|all| all["class"].is_null() && all["points"].as_array().unwrap().len() == 10)
    });
    let shown = operator.run(&["advise"]).expect(0).stdout;
    assert!(shown.contains("no advice"), "{shown}");

    let refused = operator.run(&["advise", "--undo", "7"]).expect(1);
    assert!(refused.stderr.contains("there is no change 7 in this process"), "{refused:?}");
    operator.run(&["advise", "--undo", "x"]).expect(2);
    admin.post("/api/v1/cache/tuning/x/undo", &json!(null)).complains_about(422, &["change"]);
    let undo = "/api/v1/cache/tuning/1/undo";
    ann.post(undo, &json!(null)).expect(403);
    app.anonymous().post(undo, &json!(null)).expect(401);
    ann.get("/api/v1/cache/tuning").expect(403);
    app.anonymous().get("/api/v1/cache/tuning").expect(401);
}
