//! Whether a statement opens a transaction: a connection that is in one is cleaned before another user gets it, and what a load
//! reads in one is not kept.

/// The words that may open a transaction. On SQLite SAVEPOINT does where none is open; on PostgreSQL it is an error there.
const WORDS: [&str; 3] = ["BEGIN", "START", "SAVEPOINT"];

/// Whether one of the statements of `sql` begins with one of [`WORDS`], as far as that shows without parsing: a `;` or a comment may
/// make it say yes for a statement that opens nothing, which costs a ROLLBACK, and never no for one that does.
pub(super) fn opens_transaction(sql: &str) -> bool {
    sql.split(';').any(|statement| {
        let word = without_comments(statement);
        let end = word.find(|char: char| !char.is_ascii_alphabetic()).unwrap_or(word.len());
        let word = &word[..end];
        WORDS.iter().any(|opening| word.eq_ignore_ascii_case(opening))
    }) || is_unclear(sql)
}

/// What follows the white space and the comments that `statement` begins with.
fn without_comments(mut statement: &str) -> &str {
    loop {
        statement = statement.trim_start();
        let after = match statement.get(..2) {
            Some("--") => statement.split_once('\n').map(|(_, after)| after),
            Some("/*") => statement.split_once("*/").map(|(_, after)| after),
            _ => return statement,
        };
        statement = after.unwrap_or_default();
    }
}

/// A comment together with a word that could open a transaction: a `;` in it cuts it in two, and PostgreSQL's may be nested.
fn is_unclear(sql: &str) -> bool {
    let has_comment = sql.contains("--") || sql.contains("/*");
    has_comment && {
        let upper = sql.to_ascii_uppercase();
        WORDS.iter().any(|word| upper.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_a_transaction_is_recognized() {
        for sql in [
            "BEGIN",
            " begin immediate",
            "START TRANSACTION READ ONLY",
            "SELECT 1; BEGIN",
            "-- a note\n/* and one */ BEGIN",
            "/* a; b */ BEGIN",
            "SELECT 1 -- a; b\n; BEGIN",
            ";;BEGIN;",
            "SAVEPOINT a",
            "/* /* nested */ */ BEGIN",
        ] {
            assert!(opens_transaction(sql), "{sql}");
        }
        for sql in ["SELECT begin FROM t", "SELECT 1; SELECT 2", "SELECT 'BEGIN'", "BEGINNING", "", "--", "é"]
        {
            assert!(!opens_transaction(sql), "{sql}");
        }
    }
}
