//! The tables of a Markdown page.

/// A table: its heading, and its rows, each with its line in the page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) heading: Vec<String>,
    pub(super) rows: Vec<(usize, Vec<String>)>,
}

impl Table {
    /// The index of the column with that name, in any letter case.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.heading.iter().position(|cell| cell.eq_ignore_ascii_case(name))
    }
}

/// All tables of a page, from its top.
pub(super) fn tables(page: &str) -> Vec<Table> {
    let mut found: Vec<Table> = Vec::new();
    let mut is_open = false;
    for (number, line) in page.lines().enumerate() {
        let Some(cells) = cells(line) else {
            is_open = false;
            continue;
        };
        let is_rule =
            cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|sign| "-:".contains(sign)));
        match found.last_mut().filter(|_| is_open) {
            None => found.push(Table { heading: cells, rows: Vec::new() }),
            Some(_) if is_rule => {}
            Some(table) => table.rows.push((number + 1, cells)),
        }
        is_open = true;
    }
    found
}

/// The cells of a row. An escaped `|` is a part of a cell.
fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let escaped = inner.replace("\\|", "\u{0}");
    Some(escaped.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect())
}

/// The parts of a cell that are in backticks.
pub(super) fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_with_their_lines() {
        let page =
            "# A\n\n| a | Code name |\n|---|:--|\n| `x`, `y::Z` | b \\| c |\n\ntext\n| d |\n|---|\n| e |\n";
        let found = tables(page);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].column("code name"), Some(1));
        assert_eq!(found[0].rows, [(5, vec!["`x`, `y::Z`".to_owned(), "b | c".to_owned()])]);
        assert_eq!(found[1].rows, [(10, vec!["e".to_owned()])]);
        assert_eq!(names(&found[0].rows[0].1[0]).collect::<Vec<_>>(), ["x", "y::Z"]);
    }
}
