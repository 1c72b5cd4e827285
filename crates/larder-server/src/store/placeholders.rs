//! The `$n` of statements with a variable number of parameters.

use std::fmt::Write as _;

/// `($1, $2), ($3, $4)` for two rows of two columns.
pub(super) fn rows(rows: usize, columns: usize) -> String {
    let mut sql = String::new();
    for number in 0..rows * columns {
        let before = match number {
            0 => "(",
            _ if number % columns == 0 => "), (",
            _ => ", ",
        };
        // Writing to a String cannot fail.
        let _ = write!(sql, "{before}${}", number + 1);
    }
    sql.push(')');
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_consecutively() {
        assert_eq!(rows(2, 3), "($1, $2, $3), ($4, $5, $6)");
        assert_eq!(rows(1, 3), "($1, $2, $3)");
        assert_eq!(rows(1, 1), "($1)");
    }
}
