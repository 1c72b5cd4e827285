//! The glossary, docs/glossary.md: which terms are ours, what the code calls them, and which words we do not use.
//!
//! A table with the columns `term` and `code name` defines terms; there may be several. A table whose last column is
//! `we write` lists words in its first column, divided by commas, and what to write instead of them.

use std::collections::HashSet;
use std::path::PathBuf;

use super::Violation;
use super::table::{names, tables};

pub(super) const PAGE: &str = "docs/glossary.md";

/// The contents of the page.
#[derive(Debug, Default)]
pub(super) struct Glossary {
    /// The code names, each with its line.
    pub(super) code_names: Vec<(usize, String)>,
    pub(super) replaced: Vec<Replaced>,
    /// The lines of the table of words that we do not use. These lines may contain the words.
    pub(super) lines_of_words: HashSet<usize>,
}

/// A word or a phrase that we do not use.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Replaced {
    /// The words in lower case.
    pub(super) words: Vec<String>,
    pub(super) instead: String,
}

impl Glossary {
    /// Reads the page. Also returns what is wrong with it.
    pub(super) fn read(page: &str) -> (Self, Vec<Violation>) {
        let mut glossary = Self::default();
        let mut violations = Vec::new();
        for table in tables(page) {
            if let (Some(term), Some(name)) = (table.column("term"), table.column("code name")) {
                for (line, cells) in &table.rows {
                    let term = cells.get(term).map_or("", String::as_str);
                    let cell = cells.get(name).map_or("", String::as_str);
                    glossary.code_names.extend(names(cell).map(|name| (*line, name.to_owned())));
                    if term.is_empty() {
                        violations.push(violation(*line, "a row without a term"));
                    }
                    if !cell.contains('`') && cell.chars().any(char::is_alphabetic) {
                        violations.push(violation(
                            *line,
                            "put code names in backticks; write a dash if there is none",
                        ));
                    }
                }
            } else if let Some(instead) = table.column("we write") {
                for (line, cells) in &table.rows {
                    let instead = cells.get(instead).map_or("", String::as_str);
                    glossary.lines_of_words.insert(*line);
                    glossary
                        .replaced
                        .extend(cells[0].split(',').filter_map(|words| replaced(words, instead)));
                }
            }
        }
        if glossary.code_names.is_empty() {
            violations.push(violation(1, "must have a table with the columns `term` and `code name`"));
        }
        if glossary.replaced.is_empty() {
            violations.push(violation(1, "must have a table of words, its last column `we write`"));
        }
        (glossary, violations)
    }
}

/// Reads one word or phrase of the table: `*told* (as a verb)` gives `told`.
fn replaced(cell: &str, instead: &str) -> Option<Replaced> {
    let cell = cell.split('(').next().unwrap_or(cell).to_lowercase();
    let words = cell.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<_> = words.map(str::to_owned).collect();
    (!words.is_empty()).then(|| Replaced { words, instead: instead.to_owned() })
}

pub(super) fn violation(line: usize, message: impl Into<String>) -> Violation {
    Violation { path: PathBuf::from(PAGE), line, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Glossary\n\n| term | meaning | field's word | code name |\n|---|---|---|---|\n\
        | lease | a right to fill | lease | `Lease`, `protocol::lease` |\n| epoch | a count | epoch | – |\n\n\
        | word | we write |\n|---|---|\n| *told*, `what is told` (of a change) | publish |\n";

    #[test]
    fn terms_and_words_are_read() {
        let (glossary, violations) = Glossary::read(PAGE);
        assert_eq!(violations, []);
        assert_eq!(glossary.code_names, [(5, "Lease".to_owned()), (5, "protocol::lease".to_owned())]);
        let words: Vec<_> = glossary.replaced.iter().map(|word| word.words.join(" ")).collect();
        assert_eq!(words, ["told", "what is told"]);
        assert!(glossary.lines_of_words.contains(&10));
    }

    #[test]
    fn a_page_without_its_tables_is_refused() {
        assert_eq!(Glossary::read("# Glossary\n").1.len(), 2);
        let plain = PAGE.replace("`Lease`, `protocol::lease`", "Lease");
        assert_eq!(
            Glossary::read(&plain).1.iter().map(|violation| violation.line).collect::<Vec<_>>(),
            [5, 1]
        );
    }
}
