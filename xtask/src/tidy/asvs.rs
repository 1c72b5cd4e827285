//! docs/asvs.md: the counts at its top are those of its rows, no requirement is named twice, and each test that a row names
//! exists.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::Violation;

const PAGE: &str = "docs/asvs.md";

/// The folder of each file that a row names without a folder.
const FOLDER: &str = "crates/larder-server/tests/service";

/// What a row says if it has no test.
const WITHOUT: &str = "no test";

/// What the page says of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Held,
    NotHeld,
    DoesNotApply,
}

const VERDICTS: [Verdict; 3] = [Verdict::Held, Verdict::NotHeld, Verdict::DoesNotApply];

/// Compares the page with itself and with the tests of the workspace.
pub(super) fn agrees(root: &Path) -> Vec<Violation> {
    let Ok(page) = fs::read_to_string(root.join(PAGE)) else {
        return vec![violation(1, "must exist".to_owned())];
    };
    disagreements(&page, |file| fs::read_to_string(root.join(file)).ok())
}

/// The rows that are wrong. `read` gives the text of a file.
fn disagreements(page: &str, read: impl Fn(&str) -> Option<String>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut verdicts = BTreeMap::new();
    let mut add = |line, cell: &str, verdict, violations: &mut Vec<Violation>| {
        for (number, level) in requirements(cell) {
            if verdicts.insert(number.to_owned(), (level, verdict)).is_some() {
                violations.push(violation(line, format!("{number} is named twice")));
            }
        }
    };
    let mut counts = Vec::new();
    for (line, text) in (1..).zip(page.lines()) {
        let cells: Vec<_> = text.trim_matches('|').split(" | ").map(str::trim).collect();
        match cells.as_slice() {
            [of, numbers @ ..]
                if of.contains("level")
                    && numbers.len() == VERDICTS.len()
                    && numbers.iter().all(|cell| is_number(cell)) =>
            {
                counts.push((
                    line,
                    numbers.iter().filter_map(|cell| cell.parse::<usize>().ok()).collect::<Vec<_>>(),
                ));
            }
            [numbers, .., held, tests] if !requirements(numbers).is_empty() => {
                let verdict = match (held.starts_with("held"), held.starts_with("**not held**")) {
                    (true, _) => Verdict::Held,
                    (_, true) => Verdict::NotHeld,
                    _ => {
                        violations.push(violation(line, "says neither `held` nor `**not held**`".to_owned()));
                        continue;
                    }
                };
                add(line, numbers, verdict, &mut violations);
                violations.extend(missing(tests, &read).into_iter().map(|what| violation(line, what)));
            }
            [_] if text.contains("Do not apply") => add(line, text, Verdict::DoesNotApply, &mut violations),
            _ => {}
        }
    }
    let count =
        |level: u8, verdict| verdicts.values().filter(|(of, is)| *of <= level && *is == verdict).count();
    for ((line, stated), level) in counts.iter().zip([2, 1]) {
        let counted = VERDICTS.map(|verdict| count(level, verdict));
        if *stated != counted {
            violations.push(violation(*line, format!("the rows count to {counted:?}, up to level {level}")));
        }
    }
    if counts.len() != 2 {
        violations.push(violation(1, "must have two rows of counts: levels 1 and 2, and level 1".to_owned()));
    }
    violations
}

fn is_number(cell: &str) -> bool {
    !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit())
}

/// The requirements of a text, such as `1.2.3 L2`, with their levels.
fn requirements(text: &str) -> Vec<(&str, u8)> {
    let words: Vec<_> = text.split([' ', ',', ';', '(', ')']).filter(|word| !word.is_empty()).collect();
    let pairs = words.windows(2).filter_map(|pair| {
        let parts: Vec<_> = pair[0].split('.').collect();
        let level = match pair[1] {
            "L1" => 1,
            "L2" => 2,
            _ => return None,
        };
        (parts.len() == 3 && parts.into_iter().all(is_number)).then_some((pair[0], level))
    });
    pairs.collect()
}

/// What is wrong with the cell of a row that names its tests. The cell names a file and then functions in that file,
/// and may go on with further files.
fn missing(tests: &str, read: &impl Fn(&str) -> Option<String>) -> Vec<String> {
    if tests == WITHOUT {
        return Vec::new();
    }
    let mut found = Vec::new();
    let (mut file, mut text) = ("", None);
    for name in tests.split('`').skip(1).step_by(2) {
        if name.ends_with(".rs") {
            let path = if name.contains('/') { name.to_owned() } else { format!("{FOLDER}/{name}") };
            (file, text) = (name, read(&path));
            if text.is_none() {
                found.push(format!("{name} does not exist"));
            }
            continue;
        }
        let is_there = text.as_deref().is_some_and(|text| defines(text, name));
        if !is_there {
            found.push(format!(
                "`{name}` is no function of {}",
                if file.is_empty() { "a file" } else { file }
            ));
        }
    }
    if file.is_empty() {
        found.push(format!("names no test, and does not say `{WITHOUT}`"));
    }
    found
}

/// Whether a file defines this function.
fn defines(text: &str, name: &str) -> bool {
    let start = format!("fn {name}");
    text.lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with("//"))
        .any(|line| line.split_once(&start).is_some_and(|(_, rest)| rest.starts_with(['(', '<'])))
}

fn violation(line: usize, message: String) -> Violation {
    Violation { path: PAGE.into(), line, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "| of 5 | held | not held | do not apply |\n|---|---|---|---|\n";
    const COUNTS: &str = "| levels 1 and 2 | 2 | 1 | 2 |\n| of these, level 1 | 1 | 0 | 1 |\n";
    const ROWS: &str = "| 1.1.1 L1, 1.1.2 L2 | wanted | held: so | `a.rs` `kept`, `x/b.rs` `also` |\n\
                        | 1.1.3 L2 | wanted | **not held**: why | no test |\n\
                        Do not apply: 2.1.1 L1, 2.1.2 L2 (none).\n";

    fn read(path: &str) -> Option<String> {
        match path {
            "crates/larder-server/tests/service/a.rs" => {
                Some("#[test]\nfn kept() {}\n// fn gone() {}\n".to_owned())
            }
            "x/b.rs" => Some("    async fn also<T>(of: T) {}\n".to_owned()),
            _ => None,
        }
    }

    fn lines(page: &str) -> Vec<usize> {
        disagreements(page, read).iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn counts_and_tests_agree_with_the_rows() {
        let page = format!("{HEAD}{COUNTS}{ROWS}");
        assert_eq!(disagreements(&page, read), []);
        assert_eq!(lines(&page.replace("| 2 | 1 | 2 |", "| 3 | 1 | 2 |")), [3]);
        assert_eq!(lines(&page.replace("| 1 | 0 | 1 |", "| 1 | 0 | 2 |")), [4]);
        assert_eq!(lines(&page.replace("of these, level 1", "others")), [1]);
        for (from, to) in [
            ("`kept`", "`gone`"),
            ("`kept`", "`kep`"),
            ("`a.rs`", "`absent.rs`"),
            ("`a.rs` `kept`, `x/b.rs` `also`", "tested by hand"),
            ("`a.rs` `kept`", "`kept`"),
        ] {
            assert_eq!(lines(&page.replace(from, to)).first(), Some(&5), "{from} {to}");
        }
        assert_eq!(lines(&page.replace("**not held**", "partly")).first(), Some(&6));
        assert_eq!(lines(&page.replace("2.1.2", "1.1.2")).first(), Some(&7), "twice");
    }
}
