//! Tests with a small workspace of real sources in a throw-away folder: each inserted fault is found, and the workspace
//! without faults is clean.

use std::fs;

use tempfile::TempDir;

use super::{check, violations};

const ARCHITECTURE: &str = "# Architecture\n\n## Layers\n\n| crate | layer | modules |\n|---|---|---|\n\
    | larder-server | dialects | `dialects` |\n| larder-server | API | `api` |\n\
    | larder | verbs | `cache` |\n| larder | engine | `engine` `flight` |\n";

/// Used as a file's text: the file does not exist.
const GONE: &str = "";

const GLOSSARY: &str = "# Glossary\n\n| term | meaning | field's word | code name |\n|---|---|---|---|\n\
    | cache | what applications use | cache | `Cache`, `Cache::read` |\n| flight | a load | single flight | `Flight` |\n\n\
    | word | we write |\n|---|---|\n| told, what is said | publish |\n";

/// What is in the workspace; a later file replaces an earlier one of the same path.
const FILES: [(&str, &str); 13] = [
    ("README.md", "# larder\n"),
    ("ARCHITECTURE.md", ARCHITECTURE),
    ("CHANGELOG.md", "## Unreleased\nWhat was told.\n"),
    ("docs/glossary.md", GLOSSARY),
    ("docs/asvs.md", "| levels 1 and 2 | 0 | 0 | 0 |\n| of these, level 1 | 0 | 0 | 0 |\n"),
    (
        "crates/larder/src/lib.rs",
        "//! A cache.\n\npub mod cache;\nmod engine;\nmod flight;\n\npub use crate::flight::Flight;\n",
    ),
    (
        "crates/larder/src/cache.rs",
        "//! The verbs.\nuse crate::engine::Engine;\n\n/// Reads.\npub struct Cache(Engine);\n\nimpl Cache {\n    \
         pub fn read(&self) {\n        tracing::warn!(\"nothing is read\");\n    }\n}\n\n\
         #[cfg(test)]\nmod tests {\n    use super::*;\n}\n",
    ),
    (
        "crates/larder/src/engine/mod.rs",
        "//! Reads `told`.\nmod load;\nmod read;\n\npub(crate) use load::Loader;\nuse crate::flight::Flight;\n\n\
         pub(crate) struct Engine(Flight, Loader);\n",
    ),
    (
        "crates/larder/src/engine/load.rs",
        "//! Loads.\nuse super::Engine;\n\npub(crate) struct Loader(Box<Engine>);\n",
    ),
    ("crates/larder/src/engine/read.rs", "//! Reads.\nfn read(_: &super::Loader) {}\n"),
    (
        "crates/larder/src/flight.rs",
        "//! A flight.\n\npub struct Flight;\n\n#[cfg(test)]\nmod tests {\n    use crate::engine::Engine;\n}\n",
    ),
    ("crates/larder-server/src/lib.rs", "//! A service.\nmod api;\nmod dialects;\n"),
    (
        "crates/larder-server/src/dialects.rs",
        "//! Old paths.\nuse crate::api::Route;\n\nstruct Old(Route);\n",
    ),
];

const API: (&str, &str) = (
    "crates/larder-server/src/api.rs",
    "//! Routes.\nuse larder::cache::Cache;\n\npub(crate) struct Route(Cache);\n",
);

/// The violations in the workspace after these files were added to it, or replaced its own.
fn found(inserted: &[(&str, &str)]) -> Vec<String> {
    let root = TempDir::new().unwrap();
    for (path, text) in FILES.iter().chain([&API]).chain(inserted) {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if *text == GONE {
            fs::remove_file(&path).unwrap();
        }
    }
    let found: Vec<_> = violations(root.path()).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        check(root.path()).is_err(),
        !found.is_empty(),
        "it fails if, and only if, something is found"
    );
    found
}

/// Asserts that there is exactly one violation, and that it begins with `start` and contains `part`.
fn caught(inserted: &[(&str, &str)], start: &str, part: &str) {
    let found = found(inserted);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with(start) && found[0].contains(part), "{found:#?}");
}

/// The text of the workspace's file `path`, with `other` instead of `part`, which the text must contain.
fn with(path: &str, part: &str, other: &str) -> String {
    let (_, text) = FILES.iter().chain([&API]).find(|(of, _)| *of == path).unwrap();
    assert!(text.contains(part), "{path} has {part:?}");
    text.replace(part, other)
}

#[test]
fn a_clean_workspace_passes() {
    assert_eq!(found(&[]), [""; 0]);
}

#[test]
fn an_import_cycle_is_caught_with_its_edges() {
    let flight = "//! A flight.\npub struct Flight;\n\nfn land() {\n    crate::engine::start();\n}\n";
    let found = found(&[("crates/larder/src/flight.rs", flight)]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("import cycle in larder: `engine`, `flight`"), "{found:#?}");
    for edge in [
        "engine -> flight: crates/larder/src/engine/mod.rs:6 `crate::flight::Flight`",
        "flight -> engine: crates/larder/src/flight.rs:5 `crate::engine::start`",
    ] {
        assert!(found[0].contains(edge), "{edge} in {found:#?}");
    }
}

#[test]
fn an_import_cycle_through_a_reexport_is_caught() {
    let load = "//! Loads.\nuse super::read::Reader;\n\npub(crate) struct Loader(Reader);\n";
    let path = "crates/larder/src/engine/load.rs";
    caught(&[(path, load)], path, "import cycle in larder::engine: `load`, `read`");
}

#[test]
fn an_import_cycle_of_three_through_macros_types_and_attributes_is_caught() {
    let path = "crates/larder/src/engine/read.rs";
    let read = "//! Reads.\nfn read(_: &super::Loader) {\n    println!(\"{}\", super::wait::FOREVER);\n}\n";
    let engine = with("crates/larder/src/engine/mod.rs", "mod read;", "mod read;\nmod wait;");
    let files = [
        (path, read),
        ("crates/larder/src/engine/mod.rs", engine.as_str()),
        (
            "crates/larder/src/engine/wait.rs",
            "//! Waits.\npub(super) const FOREVER: super::load::Time = 1;\n",
        ),
        (
            "crates/larder/src/engine/load.rs",
            "//! Loads.\n#[serde(with = \"super::read::form\")]\npub(crate) struct Loader;\npub(crate) type Time = u8;\n",
        ),
    ];
    caught(&files, "crates/larder/src/engine/", "`load`, `read`, `wait`");
}

#[test]
fn an_upward_import_is_caught() {
    let api = "//! Routes.\n\npub(crate) struct Route;\n\nfn f() -> crate::dialects::View {}\n";
    let found = found(&[("crates/larder-server/src/api.rs", api)]);
    let upward = "crates/larder-server/src/api.rs:5: upward import in larder-server: `api` (layer API) names \
                  `crate::dialects::View` of `dialects` (layer dialects)";
    assert!(found.contains(&upward.to_owned()), "{found:#?}");
}

#[test]
fn an_upward_import_without_a_cycle_is_caught() {
    let path = "crates/larder/src/engine/read.rs";
    let read = "//! Reads.\nuse crate::cache::Verb;\n";
    let cache = "//! The verbs.\npub struct Cache;\n\nimpl Cache {\n    pub fn read(&self) {}\n}\n";
    caught(
        &[(path, read), ("crates/larder/src/cache.rs", cache)],
        &format!("{path}:2: "),
        "upward import in larder: ",
    );
}

#[test]
fn an_import_from_a_higher_crate_is_caught() {
    let path = "crates/larder/src/flight.rs";
    let flight = "//! A flight.\npub struct Flight;\n\nfn f() -> larder_server::api::Route {}\n";
    caught(&[(path, flight)], &format!("{path}:4: "), "crate larder names `larder_server::api::Route`");
}

#[test]
fn an_import_of_the_lowest_crate_from_any_other_is_caught() {
    let row = "| larder | engine | `engine` `flight` |\n";
    let page = with("ARCHITECTURE.md", row, &format!("{row}| larder-identity | values | `password` |\n"));
    let (lib, path) = ("crates/larder-identity/src/lib.rs", "crates/larder-identity/src/password.rs");
    let inserted = [("ARCHITECTURE.md", page.as_str()), (lib, "//! Identity.\npub mod password;\n")];
    let with_password = |text| [inserted[0], inserted[1], (path, text)];
    assert_eq!(found(&with_password("//! Passwords.\npub struct Password;\n")), [""; 0]);
    for (text, other) in [
        ("//! Passwords.\npub struct Password(larder::cache::Cache);\n", "larder::cache::Cache"),
        ("//! Passwords.\nuse larder_server::api::Route;\n", "larder_server::api::Route"),
    ] {
        let names = format!("crate larder-identity names `{other}`");
        caught(&with_password(text), &format!("{path}:2: "), &names);
    }
}

#[test]
fn a_module_without_a_layer_and_a_layer_without_its_module_are_caught() {
    let without = with("ARCHITECTURE.md", " `flight`", "");
    caught(&[("ARCHITECTURE.md", &without)], "ARCHITECTURE.md:10: ", "module `flight` of larder");
    let twice = with("ARCHITECTURE.md", "`flight`", "`flight` `flight`");
    caught(&[("ARCHITECTURE.md", &twice)], "ARCHITECTURE.md:10: ", "`flight` is not a module of larder, or");
    caught(&[("ARCHITECTURE.md", "# Architecture\n")], "ARCHITECTURE.md:1: ", "must have a table");
    let lost = with("ARCHITECTURE.md", "larder-server", "larder-service");
    let found = found(&[("ARCHITECTURE.md", &lost)]);
    assert!(found.iter().any(|one| one.contains("there is no crate `larder-service`")), "{found:#?}");
    assert!(found.iter().any(|one| one.contains("crate `larder-server` has no layers")), "{found:#?}");
}

#[test]
fn a_module_without_its_file_is_caught() {
    let lib = with("crates/larder-server/src/lib.rs", "mod dialects;", "mod dialects;\nmod gone;");
    let path = "crates/larder-server/src/lib.rs";
    caught(&[(path, &lib)], &format!("{path}:4: "), "the file of module `gone` is not there");
}

#[test]
fn an_undefined_term_is_caught() {
    let path = "crates/larder/src/cache.rs";
    let cache = with(path, "/// Reads.", "pub enum Lease {}\n");
    caught(&[(path, &cache)], &format!("{path}:4: "), "undefined term: `Lease`");
    let cache = with(path, "/// Reads.", "macro_rules! m { () => { pub enum Lease {} } }\n");
    caught(&[(path, &cache)], &format!("{path}:4: "), "undefined term: `Lease`");
    let path = "crates/larder/src/flight.rs";
    let flight = with(
        path,
        "pub struct Flight;",
        "pub struct Flight;\npub trait Hidden {}\n#[doc(hidden)]\npub struct A;",
    );
    assert_eq!(found(&[(path, &flight)]), [""; 0], "a private module shows only what is handed on");
    let glossary = with("docs/glossary.md", "`Flight`", "–");
    caught(&[("docs/glossary.md", &glossary)], &format!("{path}:3: "), "undefined term: `Flight`");
}

#[test]
fn a_code_name_without_code_is_caught() {
    for gone in ["Gone", "Cache::gone", "flight::Cache"] {
        let glossary = with("docs/glossary.md", "`Cache::read`", &format!("`{gone}`"));
        caught(
            &[("docs/glossary.md", &glossary)],
            "docs/glossary.md:5: ",
            &format!("the sources define no `{gone}`"),
        );
    }
    for there in ["flight::Flight", "larder::cache", "Cache::read()", "nothing is read"] {
        let glossary = with("docs/glossary.md", "`Cache::read`", &format!("`{there}`"));
        assert_eq!(found(&[("docs/glossary.md", &glossary)]), [""; 0], "{there}");
    }
}

#[test]
fn a_word_that_we_do_not_use_is_caught() {
    let path = "crates/larder/src/cache.rs";
    for (part, other, line) in [
        ("//! The verbs.", "//! What is told.", 1),
        ("/// Reads.", "/// Reads what is\n/// said.", 4),
        ("        tracing", "        // told\n        tracing", 9),
        ("nothing is read", "nothing is told", 9),
        ("mod tests {", "mod tests {\n    // told", 15),
    ] {
        let cache = with(path, part, other);
        caught(&[(path, &cache)], &format!("{path}:{line}: "), ": we write publish");
    }
    let tests = ("crates/larder/tests/a.rs", "//! Told.\n");
    caught(&[tests], "crates/larder/tests/a.rs:1: ", "\"told\"");
    caught(&[("README.md", "# larder\n\nRedis is told.\n")], "README.md:3: ", "\"told\"");
    caught(&[("docs/a.md", "# A\n\n[told](glossary.md)\n")], "docs/a.md:3: ", "\"told\"");
}

#[test]
fn a_workspace_without_a_glossary_is_caught() {
    caught(&[("docs/glossary.md", GONE)], "docs/glossary.md:1: ", "must exist");
    assert_eq!(found(&[("docs/glossary.md", "# Glossary\n")]).len(), 4, "two tables and two types");
}

#[test]
fn a_violation_is_found_in_its_file_and_shown_with_its_line() {
    let path = "crates/larder/src/engine/read.rs";
    caught(&[(path, "//! Reads.\nuse crate::Engine;\n")], &format!("{path}:2: imports `Engine`"), "");
    caught(&[(path, "//! Reads.\nfn f() {\n    let;\n}\n")], &format!("{path}:3: is no Rust"), "");
    caught(&[("docs/a.md", "# A\n[more](absent.md)\n")], "docs/a.md:2: ", "absent.md");
}

#[test]
fn an_example_in_a_page_that_no_test_compiles_is_caught() {
    let page = "# A\n\n```rust\nlet a = 1;\n```\n\n```text\nrust\n```\n";
    caught(&[("docs/a.md", page)], "docs/a.md:3: ", "no test compiles this example: name the page");
    let named = with(
        "crates/larder/src/lib.rs",
        "//! A cache.\n",
        "//! A cache.\n#![doc = include_str!(\"../../../docs/a.md\")]\n",
    );
    let lib = ("crates/larder/src/lib.rs", named.as_str());
    assert_eq!(found(&[("docs/a.md", page), lib]), [""; 0]);
    let ignored = page.replace("```rust", "```rust,ignore");
    caught(&[("docs/a.md", &ignored), lib], "docs/a.md:3: ", "must not be marked `ignore`");
}
