//! Every row of docs/requirements.md names tests, and the last complete run reported each of them as passed.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::Violation;

const PAGE: &str = "docs/requirements.md";

/// The reports that the nextest profiles of `cargo xtask test` write.
const REPORTS: [&str; 2] = ["target/nextest/whole/junit.xml", "target/nextest/proofs/junit.xml"];

/// What a row says instead of a test if a later issue has to add the test.
const LATER: &str = "later:";

/// Whether a test passed, by its suite and its name.
type Report = HashMap<(String, String), bool>;

/// Compares the page with the reports of the last complete run.
pub(super) fn driven(root: &Path) -> Vec<Violation> {
    let Ok(page) = fs::read_to_string(root.join(PAGE)) else {
        return vec![violation(1, "must exist".to_owned())];
    };
    let mut report = Report::new();
    for path in REPORTS {
        let Ok(text) = fs::read_to_string(root.join(path)) else {
            return vec![violation(1, format!("{path} is missing; run `cargo xtask test`, which writes it"))];
        };
        match read_report(&text) {
            Ok(part) => report.extend(part),
            Err(error) => return vec![violation(1, format!("{path} is not a report of nextest: {error}"))],
        }
    }
    undriven(&page, &report)
}

/// The rows that name no test, and the tests that were not reported as passed.
fn undriven(page: &str, report: &Report) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut rows = 0;
    for (number, line) in page.lines().enumerate() {
        let Some(tests) = tests_of_row(line) else { continue };
        rows += 1;
        let names: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        if names.is_empty() && !tests.contains(LATER) {
            let message = format!("this row names no test, and does not say `{LATER}`");
            violations.push(violation(number + 1, message));
        }
        let broken = names.iter().filter_map(|name| Some((name, complaint(name, report)?)));
        violations.extend(broken.map(|(name, why)| violation(number + 1, format!("`{name}` {why}"))));
    }
    if rows == 0 {
        violations.push(violation(1, "has no table".to_owned()));
    }
    violations
}

/// The last cell of a row; `None` for a heading, for the line of dashes below it, and for other text.
fn tests_of_row(line: &str) -> Option<&str> {
    let cells = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let (_, last) = cells.rsplit_once('|')?;
    let last = last.trim();
    let is_rule = !last.is_empty() && last.chars().all(|letter| "-: ".contains(letter));
    (!is_rule && last != "driven by").then_some(last)
}

/// Why `suite path::to::*::test` proves nothing; `None` if it is a proof. A `*` matches one step of the path.
fn complaint(named: &str, report: &Report) -> Option<&'static str> {
    let Some((suite, name)) = named.split_once(' ') else {
        return Some("is no test; a suite and a name are expected, such as `larder::tags trace_9`");
    };
    let mut meant = report.iter().filter(|((of, test), _)| of == suite && means(name, test)).peekable();
    if meant.peek().is_none() {
        return Some("was not in the last run");
    }
    meant.any(|(_, passed)| !passed).then_some("failed in the last run")
}

fn means(name: &str, test: &str) -> bool {
    let (name, test): (Vec<_>, Vec<_>) = (name.split("::").collect(), test.split("::").collect());
    name.len() == test.len() && name.iter().zip(&test).all(|(step, of)| *step == "*" || step == of)
}

fn read_report(text: &str) -> Result<Report, roxmltree::Error> {
    let document = roxmltree::Document::parse(text)?;
    let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
    Ok(cases
        .map(|case| {
            let of = |name| case.attribute(name).unwrap_or_default().to_owned();
            let spoilt = ["failure", "error", "skipped"];
            let passed = !case.children().any(|child| spoilt.iter().any(|tag| child.has_tag_name(*tag)));
            ((of("classname"), of("name")), passed)
        })
        .collect())
}

fn violation(line: usize, message: String) -> Violation {
    Violation { path: PAGE.into(), line, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORTED: &str = r#"<testsuites><testsuite name="larder::tags">
        <testcase name="trace_9" classname="larder::tags"/>
        <testcase name="lists::sqlite::pages" classname="larder::tags"/>
        <testcase name="lists::postgres::pages" classname="larder::tags"/>
        <testcase name="broken" classname="larder::tags"><failure message="no"/></testcase>
        <testcase name="idle" classname="larder::tags"><skipped/></testcase>
    </testsuite></testsuites>"#;

    fn refused(page: &str) -> Vec<usize> {
        undriven(page, &read_report(REPORTED).unwrap()).iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn a_row_is_driven_by_tests_that_passed() {
        let head = "# Rows\n| row | driven by |\n|---|---|\n";
        let good = "| a | `larder::tags trace_9`, `larder::tags lists::*::pages` |\n| b | later: issue 5 |";
        assert_eq!(refused(&format!("{head}{good}")), [0; 0]);
        for bad in [
            "| a | |",
            "| a | by hand |",
            "| a | `trace_9` |",
            "| a | `larder::tags absent` |",
            "| a | `larder::tags broken` |",
            "| a | `larder::tags idle` |",
            "| a | `larder::flights trace_9` |",
            "| a | `larder::tags *` and `larder::tags lists::*` |",
        ] {
            assert_eq!(refused(&format!("{head}{bad}")).first(), Some(&4), "{bad}");
        }
        assert_eq!(refused("# Rows"), [1], "a page without a table");
    }

    #[test]
    fn without_page_or_report_nothing_is_driven() {
        assert_eq!(driven(Path::new("/nowhere")).len(), 1);
        assert!(read_report("no report").is_err());
    }
}
