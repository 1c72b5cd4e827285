//! Rules for every Rust file.

use super::Violation;
use super::code::Source;

/// Above this a file holds more than one idea.
const MAX_LINES: usize = 400;

/// Names for everything, that is for nothing.
const GRAB_BAGS: [&str; 6] = ["util", "utils", "common", "helper", "helpers", "misc"];

/// Words that stand in for work to be done.
const UNFINISHED: [&str; 3] = ["todo!(", "unimplemented!(", "dbg!("];

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
    Vec::from_iter((!introduced).then(|| source.violation_at(0, "must open with one `//!` sentence")))
}

/// No file, folder or module is named `util`, `common`, `helpers` and the like.
pub(super) fn named_for_its_content(source: &Source) -> Vec<Violation> {
    let complain = |name: &str, offset| {
        source.violation_at(offset, format!("`{name}` says nothing; name it after what it holds"))
    };
    let of_path = source.path.with_extension("");
    let of_path = of_path.iter().filter_map(|part| part.to_str()).filter(|part| GRAB_BAGS.contains(part));
    let of_modules = GRAB_BAGS.into_iter().flat_map(|name| {
        let offsets: Vec<_> = [format!("mod {name} {{"), format!("mod {name};")]
            .iter()
            .flat_map(|module| source.words(module).collect::<Vec<_>>())
            .collect();
        offsets.into_iter().map(move |offset| (name, offset))
    });
    of_path.map(|name| complain(name, 0)).chain(of_modules.map(|(name, at)| complain(name, at))).collect()
}

/// Nothing is left to be done.
pub(super) fn finished(source: &Source) -> Vec<Violation> {
    UNFINISHED
        .iter()
        .flat_map(|word| source.words(word).map(move |at| (word, at)))
        .map(|(word, at)| source.violation_at(at, format!("`{word}…)` is not finished work")))
        .collect()
}

/// `use crate::Name` goes through the crate root instead of the module that owns the name.
pub(super) fn imports_from_the_owner(source: &Source) -> Vec<Violation> {
    const IMPORT: &str = "use crate::";
    if source.path.ends_with("src/lib.rs") || source.path.ends_with("src/main.rs") {
        return Vec::new();
    }
    let names = source.words(IMPORT).flat_map(|at| {
        let tree = &source.code[at + IMPORT.len()..];
        let tree = &tree[..tree.find(';').unwrap_or(tree.len())];
        branches(tree).into_iter().map(move |branch| (at, branch))
    });
    names
        .filter(|(_, branch)| !branch.contains("::"))
        .filter(|(_, branch)| branch.starts_with(char::is_uppercase) || *branch == "*")
        .map(|(at, name)| {
            let message =
                format!("imports `{name}` through the crate root; import it from the module that owns it");
            source.violation_at(at, message)
        })
        .collect()
}

/// `{a::{B, C}, D}` has the branches `a::{B, C}` and `D`; `a::B` is its own only branch.
fn branches(tree: &str) -> Vec<&str> {
    let Some(group) = tree.trim().strip_prefix('{').and_then(|tree| tree.strip_suffix('}')) else {
        return vec![tree.trim()];
    };
    let mut depth = 0_usize;
    let outer_comma = |letter| {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && letter == ','
    };
    group.split(outer_comma).map(str::trim).filter(|branch| !branch.is_empty()).collect()
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
    fn an_import_through_the_crate_root_is_refused() {
        let rule = imports_from_the_owner;
        for text in [
            "use crate::Error;",
            "use crate::*;",
            "pub(crate) use crate::{key::Key, Error};",
            "use crate::{\n    a::{B, C},\n    D as E,\n};",
        ] {
            assert_eq!(lines(rule, "crates/a/src/b.rs", text), [1], "{text}");
        }
        for text in
            ["use crate::error::Error;", "use crate::{a::{B, C}, d};", "// use crate::Error;", "use a::B;"]
        {
            assert_eq!(lines(rule, "crates/a/src/b.rs", text), [0; 0], "{text}");
        }
        assert_eq!(lines(rule, "crates/a/src/lib.rs", "use crate::Error;"), [0; 0]);
    }
}
