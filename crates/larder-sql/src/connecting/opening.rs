//! Detects statements that open a transaction: the pool has to roll that transaction back before it lends the
//! connection again, and a load that reads inside an open transaction is not stored.

/// The words that can open a transaction. If no transaction is open, SAVEPOINT opens one on SQLite and is an error on
/// PostgreSQL.
const WORDS: [&str; 3] = ["BEGIN", "START", "SAVEPOINT"];

/// Whether one of the statements of `sql` begins with one of [`WORDS`]. It does not parse SQL: if `sql` has a `;` or a
/// comment inside a string, the answer may be a wrong `true`. That costs one ROLLBACK; and if a loader runs a further
/// statement on the connection, its load is not stored. `false` is always right.
pub(super) fn opens_transaction(sql: &str) -> bool {
    sql.split(';').any(|statement| {
        let word = without_comments(statement);
        let end = word.find(|char: char| !char.is_ascii_alphabetic()).unwrap_or(word.len());
        let word = &word[..end];
        WORDS.iter().any(|opening| word.eq_ignore_ascii_case(opening))
    }) || is_unclear(sql)
}

/// Returns `statement` without the white space and the comments that it begins with.
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

/// Whether `sql` has a comment, and one of [`WORDS`] anywhere. For such SQL, [`opens_transaction`] cannot rely on its
/// split into statements: a comment may contain a `;`, and PostgreSQL's comments can be nested.
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
    fn statements_that_open_a_transaction_are_recognized() {
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
