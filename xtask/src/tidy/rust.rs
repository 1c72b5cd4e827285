//! Rules for every Rust file.

use super::Violation;
use super::references::all_imports;
use super::source::Source;

/// A longer file has more than one subject.
const MAX_LINES: usize = 400;

/// Names that say nothing about the content.
const GRAB_BAGS: [&str; 6] = ["util", "utils", "common", "helper", "helpers", "misc"];

/// Macros that mark unfinished work.
const UNFINISHED: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];

/// A file has at most 400 lines.
pub(super) fn short(source: &Source) -> Vec<Violation> {
    let lines = source.text.lines().count();
    let message = format!("{lines} lines; {MAX_LINES} at most, so split it by what it is about");
    let too_long = lines > MAX_LINES;
    Vec::from_iter(too_long.then(|| Violation { path: source.path.clone(), line: lines, message }))
}

/// A file opens with a sentence that says what it is.
pub(super) fn introduced(source: &Source) -> Vec<Violation> {
    let introduced = source.text.strip_prefix("//! ").is_some_and(|text| !text.trim_start().is_empty());
    Vec::from_iter((!introduced).then(|| source.violation(1, "must open with one `//!` sentence")))
}

/// No file, folder or module is named `util`, `common`, `helpers` and the like.
pub(super) fn named_for_its_content(source: &Source) -> Vec<Violation> {
    let complain = |name: &str, line| {
        source.violation(line, format!("`{name}` says nothing; name it after what it holds"))
    };
    let of_path = source.path.with_extension("");
    let of_path = of_path.iter().filter_map(|part| part.to_str()).filter(|part| GRAB_BAGS.contains(part));
    let of_modules = GRAB_BAGS
        .into_iter()
        .flat_map(|name| source.lines_with(&format!("mod {name}")).into_iter().map(move |line| (name, line)));
    of_path.map(|name| complain(name, 1)).chain(of_modules.map(|(name, line)| complain(name, line))).collect()
}

/// No file contains a macro for unfinished work.
pub(super) fn finished(source: &Source) -> Vec<Violation> {
    UNFINISHED
        .iter()
        .flat_map(|word| source.lines_with(word).into_iter().map(move |line| (word, line)))
        .map(|(word, line)| source.violation(line, format!("`{word}(…)` is not finished work")))
        .collect()
}

/// The file is valid Rust, so that the rules which need its syntax tree can read it.
pub(super) fn parses(source: &Source) -> Vec<Violation> {
    let complain =
        |error: &syn::Error| source.violation(error.span().start().line, format!("is no Rust: {error}"));
    Vec::from_iter(source.syntax.as_ref().err().map(complain))
}

/// Finds `use crate::Name`, which goes through the crate root and not through the module that owns the name.
pub(super) fn imports_from_the_owner(source: &Source) -> Vec<Violation> {
    if source.path.ends_with("src/lib.rs") || source.path.ends_with("src/main.rs") {
        return Vec::new();
    }
    let Ok(syntax) = &source.syntax else { return Vec::new() };
    let mut violations = Vec::new();
    for branch in all_imports(syntax) {
        let name = match (branch.segments.as_slice(), &branch.name) {
            ([root], None) if root == "crate" => "*",
            ([root, name], _) if root == "crate" && name.starts_with(char::is_uppercase) => name,
            _ => continue,
        };
        let message =
            format!("imports `{name}` through the crate root; import it from the module that owns it");
        violations.push(source.violation(branch.line, message));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rule: fn(&Source) -> Vec<Violation>, path: &str, text: &str) -> Vec<usize> {
        rule(&Source::new(path, text)).iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn a_long_file_is_refused() {
        assert_eq!(lines(short, "a.rs", &"x\n".repeat(400)), [0; 0]);
        assert_eq!(lines(short, "a.rs", &"x\n".repeat(401)), [401]);
    }

    #[test]
    fn a_file_without_an_opening_sentence_is_refused() {
        assert_eq!(lines(introduced, "a.rs", "//! What it is.\n"), [0; 0]);
        for text in ["", "use a;\n", "// What it is.\n", "//!\n", "//! \n", "\n//! What it is.\n"] {
            assert_eq!(lines(introduced, "a.rs", text), [1], "{text:?}");
        }
    }

    #[test]
    fn a_grab_bag_is_refused() {
        for path in ["crates/a/src/util.rs", "crates/a/tests/common/mod.rs", "crates/helpers/src/lib.rs"] {
            assert_eq!(lines(named_for_its_content, path, ""), [1], "{path}");
        }
        assert_eq!(lines(named_for_its_content, "a.rs", "\nmod utils {}\npub mod misc;\n"), [2, 3]);
        assert_eq!(
            lines(named_for_its_content, "a.rs", "mod utility {}\n// mod util {}\nmod commons;"),
            [0; 0]
        );
    }

    #[test]
    fn unfinished_work_is_refused() {
        assert_eq!(lines(finished, "a.rs", "fn f() {\n    todo!()\n}\nfn g() { dbg!(1); }"), [2, 4]);
        assert_eq!(lines(finished, "a.rs", "// todo!()\nlet a = \"dbg!(\"; my_todo!()"), [0; 0]);
    }

    #[test]
    fn a_file_that_is_not_rust_is_refused() {
        assert_eq!(lines(parses, "a.rs", "fn f() {}"), [0; 0]);
        assert_eq!(lines(parses, "a.rs", "\nfn f() { let; }"), [2]);
        assert_eq!(lines(parses, "a.rs", "fn f() {\n}}"), [2]);
    }

    #[test]
    fn an_import_through_the_crate_root_is_refused() {
        let rule = imports_from_the_owner;
        for text in [
            "use crate::Error;",
            "use crate::*;",
            "pub(crate) use crate::{key::Key, Error};",
            "mod tests { use crate::Error; }",
            "fn f() { use crate::{a, *}; }",
        ] {
            assert_eq!(lines(rule, "crates/a/src/b.rs", text), [1], "{text}");
        }
        let grouped = "use crate::{\n    a::{B, C},\n    D as E,\n};";
        assert_eq!(lines(rule, "crates/a/src/b.rs", grouped), [3]);
        for text in
            ["use crate::error::Error;", "use crate::{a::{B, C}, d};", "// use crate::Error;", "use a::B;"]
        {
            assert_eq!(lines(rule, "crates/a/src/b.rs", text), [0; 0], "{text}");
        }
        assert_eq!(lines(rule, "crates/a/src/lib.rs", "use crate::Error;"), [0; 0]);
    }
}
