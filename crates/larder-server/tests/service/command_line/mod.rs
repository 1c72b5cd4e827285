//! The commands that ask a running instance: the real binary asks the real binary over HTTP, and its output, its JSON and
//! its exit code are what a script gets.

mod accounts;
mod advise;
mod auditor;
mod cache;
mod examining;
mod history;
mod keys;
mod pages;
mod terminal;
mod top;

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::app::TestApp;

/// The end of a command.
#[derive(Debug)]
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    /// Runs the binary with these arguments and this environment only.
    fn of(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.args(arguments).env_clear().envs(environment.iter().copied()).stdin(Stdio::null());
        let ended = command.current_dir(std::env::temp_dir()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: ended.status.code().unwrap(), stdout: text(ended.stdout), stderr: text(ended.stderr) }
    }

    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// How commands reach an instance, and as which caller.
struct Operator {
    url: String,
    key: String,
}

impl Operator {
    /// The superadmin, by an API key that may read and write.
    fn of(app: &TestApp) -> Self {
        let made = app.admin().make_key(&json!({ "name": "operator", "scopes": ["read", "write"] }));
        Self { url: format!("http://{}", app.address), key: made.expect(201).field("key") }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(arguments, &[("LARDER_URL", &self.url), ("LARDER_API_KEY", &self.key)])
    }

    /// Runs a command with `--json`, and compares its output with the schema that `larder schema` prints for it.
    #[track_caller]
    fn json(&self, arguments: &[&str], schema: &str, code: i32) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat()).expect(code).json();
        let schema = Ran::of(&["schema", schema], &[]).expect(0).json();
        conforms(&schema, &output);
        output
    }
}

/// Fails the test if the schema does not describe the output, or if it would describe anything.
#[track_caller]
fn conforms(schema: &Value, output: &Value) {
    let validator = jsonschema::draft202012::new(schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(output).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?} in {output:#}");
    for wrong in [json!({}), json!([]), json!(null)] {
        assert!(!validator.is_valid(&wrong), "the schema describes {wrong} too");
    }
    for (name, value) in output.as_object().unwrap() {
        let mut wrong = output.clone();
        // No output has a field that may be of any type.
        wrong[name] = if value.is_object() { json!(7) } else { json!({ "not": "of this type" }) };
        assert!(!validator.is_valid(&wrong), "the schema does not describe {name}");
    }
}
