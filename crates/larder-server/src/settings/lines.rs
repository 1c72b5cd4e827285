//! On which line of the file a setting is. Only for messages: the parser of TOML reports no line of a value.

use std::collections::BTreeMap;

/// The line of each name in the file, by the name of its variable. A name within a text of several lines, or in an inline
/// table, is not found or found wrongly.
pub(super) fn of_names(text: &str) -> BTreeMap<String, usize> {
    let mut table = String::new();
    let mut lines = BTreeMap::new();
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            table = format!("{}_", spelled(name));
        } else if let Some((name, _)) = line.split_once('=')
            && !line.starts_with('#')
        {
            lines.entry(format!("{table}{}", spelled(name))).or_insert(number);
        }
    }
    lines
}

fn spelled(name: &str) -> String {
    let kept = name.chars().filter(|char| !char.is_whitespace() && !"\"'".contains(*char));
    kept.map(|char| if char == '.' { '_' } else { char.to_ascii_uppercase() }).collect()
}

/// The line that the parser's message names. The rest of the message may quote a secret.
pub(super) fn of_error(message: &str) -> Option<usize> {
    let (_, after) = message.split_once("at line ")?;
    after.split(|char: char| !char.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_the_line_on_which_it_is() {
        let text = "# a = 1\nuser_list_ttl = 60\n\n[redis]\n \"host\" = 'a=b'\nsentinel.master = 'm'\n";
        let lines = of_names(text);
        let of = |name: &str| lines.get(name).copied();
        assert_eq!((of("USER_LIST_TTL"), of("REDIS_HOST")), (Some(2), Some(5)));
        assert_eq!((of("REDIS_SENTINEL_MASTER"), of("A"), lines.len()), (Some(6), None, 3));
        assert_eq!(of_error("TOML parse error at line 12, column 5\n"), Some(12));
        assert_eq!(of_error("no such thing"), None);
    }
}
