//! The declaration from which a trigger was made, as a comment in the trigger's text. An inspection compares it with
//! the declaration of this program, and so finds a trigger that does not journal everything that this program relies
//! on.

use crate::dialect::Dialect;
use crate::journal::table::{Kind, Table};

const MARK: &str = "-- declares ";
const READING: &str = "tag_reading";

/// One item: its kind, its name and its columns.
type Item = (String, String, Vec<String>);

/// Returns the comment with a line end. Names have no quotes and no control characters, so the comment is one line.
pub(super) fn comment(table: &Table, dialect: Dialect) -> String {
    format!("{MARK}{}\n", serde_json::json!(items(table, dialect)))
}

/// Describes each item that `table` declares and the trigger with the text `trigger` does not journal. A trigger
/// without the comment, which an older release made, counts as one that journals nothing.
pub(super) fn missing(table: &Table, dialect: Dialect, trigger: &str) -> Vec<String> {
    let comment = trigger.lines().find_map(|line| line.strip_prefix(MARK));
    let found: Vec<Item> = comment.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    let is_missing = |item: &Item| !found.iter().any(|found| covers(found, item));
    let say = |(kind, name, columns): Item| format!("{kind} {name:?} {columns:?}");
    items(table, dialect).into_iter().filter(is_missing).map(say).collect()
}

/// Whether a trigger that journals `found` also journals `item`. The trigger may touch a tag at more changes than
/// `item` declares: it then invalidates too much and never too little.
fn covers(found: &Item, item: &Item) -> bool {
    let is_wider = match (found.0.as_str(), item.0.as_str()) {
        ("tag", READING) => true,
        (READING, READING) => item.2.iter().all(|column| found.2.contains(column)),
        _ => false,
    };
    found == item || is_wider && found.1 == item.1
}

fn items(table: &Table, dialect: Dialect) -> Vec<Item> {
    let by_columns = table.by_columns.iter().map(|one| {
        let kind = if one.kind == Kind::Entry { "entry" } else { "tag_by" };
        (kind.to_owned(), one.name.clone(), one.columns.clone())
    });
    let tags = table.tags.iter().map(|tag| match table.columns_of(tag) {
        None => ("tag".to_owned(), tag.name.clone(), Vec::new()),
        Some(columns) => (READING.to_owned(), tag.name.clone(), columns.into_iter().cloned().collect()),
    });
    // Only on SQLite is a unique key an item of its own. PostgreSQL's triggers use a unique key only for a tag that
    // reads some columns, and the item of that tag already lists the key's columns.
    let keys = table.unique.iter().filter(|_| dialect == Dialect::Sqlite);
    let keys = keys.map(|columns| ("unique".to_owned(), String::new(), columns.clone()));
    // The triggers of earlier releases spell a UUID in a BLOB of SQLite otherwise, so they do not journal these keys.
    let spells = dialect == Dialect::Sqlite && !table.by_columns.is_empty();
    let spelling = spells.then(|| ("spelling".to_owned(), "uuid".to_owned(), Vec::new()));
    by_columns.chain(tags).chain(keys).chain(spelling).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing_of(made_of: &Table, declared: &Table) -> Vec<String> {
        missing(
            declared,
            Dialect::Postgres,
            &format!("\n-- larder 1\n{}BEGIN", comment(made_of, Dialect::Postgres)),
        )
    }

    #[test]
    fn another_column_is_missing_and_a_wider_tag_is_not() {
        let base = || Table::new("t").unique(["id"]);
        let entry = base().entry("a", ["x"]);
        assert_eq!(missing_of(&entry, &entry), [""; 0]);
        assert_eq!(missing_of(&entry, &base().entry("a", ["y"])), [r#"entry "a" ["y"]"#]);
        assert_eq!(missing_of(&entry, &base().tag_by("a", ["x"])), [r#"tag_by "a" ["x"]"#]);
        let reading = |columns: &[&str]| base().tag_reading("board", columns);
        assert_eq!(missing_of(&reading(&["n", "m"]), &reading(&["n"])), [""; 0]);
        assert_eq!(
            missing_of(&reading(&["n"]), &reading(&["n", "m"])),
            [r#"tag_reading "board" ["id", "m", "n"]"#]
        );
        assert_eq!(missing_of(&base().tag("board"), &reading(&["n"])), [""; 0]);
        assert_eq!(missing_of(&reading(&["n"]), &base().tag("board")), [r#"tag "board" []"#]);
    }

    #[test]
    fn a_text_without_the_comment_journals_nothing_for_sure() {
        let table = Table::new("t").tag("a");
        assert_eq!(missing(&table, Dialect::Postgres, r#"BEGIN '["tag","a"]' END"#), [r#"tag "a" []"#]);
    }
}
