//! A Rust file as the rules see it: the text as written, and its code without comments and literals.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Violation;

/// One Rust file.
pub(super) struct Source {
    /// Relative to the workspace.
    pub(super) path: PathBuf,
    /// As written.
    pub(super) text: String,
    /// `text` with spaces for comments, strings and characters: what it *does*. Lines stay where they are.
    pub(super) code: String,
}

impl Source {
    pub(super) fn read(root: &Path, path: PathBuf) -> Result<Self> {
        let text =
            fs::read_to_string(root.join(&path)).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self::new(path, text))
    }

    pub(super) fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { path: path.into(), code: without_comments_and_literals(&text), text }
    }

    /// A violation at a byte of `code`.
    pub(super) fn violation_at(&self, offset: usize, message: impl Into<String>) -> Violation {
        let line = 1 + self.code[..offset].matches('\n').count();
        Violation { path: self.path.clone(), line, message: message.into() }
    }

    /// The bytes of `code` where `needle` stands as a word of its own: `redis::` is not in `my_redis::`.
    pub(super) fn words<'a>(&'a self, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
        let whole = |offset: &usize| {
            let (before, after) = (&self.code[..*offset], &self.code[offset + needle.len()..]);
            !(before.ends_with(is_word) || needle.ends_with(is_word) && after.starts_with(is_word))
        };
        self.code.match_indices(needle).map(|(offset, _)| offset).filter(whole)
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Replaces what is no code by spaces, byte for byte, and keeps the line ends.
fn without_comments_and_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let in_word = code.ends_with(is_word);
        match span_of_no_code(rest, in_word) {
            0 => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
            }
            span => {
                let blank = rest[..span].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' });
                code.extend(blank);
                rest = &rest[span..];
            }
        }
    }
    code
}

/// The length of the comment or literal `rest` starts with, 0 when it starts with code.
fn span_of_no_code(rest: &str, in_word: bool) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    // r"…", r#"…"#, br"…", but not the end of a name.
    let raw = rest.strip_prefix('b').unwrap_or(rest).strip_prefix('r');
    match raw {
        Some(after) if !in_word => {
            let hashes = after.len() - after.trim_start_matches('#').len();
            if !after[hashes..].starts_with('"') {
                return 0;
            }
            let opening = rest.len() - after.len() + hashes + 1;
            let closing = format!("\"{}", "#".repeat(hashes));
            rest[opening..].find(&closing).map_or(rest.len(), |end| opening + end + closing.len())
        }
        _ => 0,
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let bytes = &rest.as_bytes()[at..];
        if bytes.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (offset, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return offset + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character, not a lifetime: `'a'` and `'\n'`, but not `'a` in `&'a str`.
fn character(rest: &str) -> usize {
    let mut letters = rest.char_indices().skip(1);
    match (letters.next(), letters.next()) {
        (Some((_, '\\')), _) => quoted(rest, '\''),
        (_, Some((offset, '\''))) => offset + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Source::new("x.rs", text).code
    }

    #[test]
    fn comments_and_literals_are_blank_and_lines_stay() {
        assert_eq!(code("a // b\nc"), "a     \nc");
        assert_eq!(code("a /* b /* c */\n*/ d"), "a             \n   d");
        assert_eq!(code(r#"f("a\"b", 'c', '\'')"#), format!("f({}, {}, {})", " ".repeat(6), "   ", "    "));
        assert_eq!(code("x(r#\"a \" b\"#);").trim_end(), "x(          );");
        assert_eq!(code("fn f<'a>(x: &'a str)"), "fn f<'a>(x: &'a str)");
        assert_eq!(code("bar\"s\"; 'x'..='z'"), "bar   ;    ..=   ");
        assert_eq!(code("\"é\"\nx"), "    \nx");
    }

    #[test]
    fn words_are_whole() {
        let source = Source::new("x.rs", "redis::a; my_redis::b; tokio_x; tokio;");
        assert_eq!(source.words("redis::").collect::<Vec<_>>(), [0]);
        assert_eq!(source.words("tokio").collect::<Vec<_>>(), [32]);
    }

    #[test]
    fn a_violation_knows_its_line() {
        assert_eq!(Source::new("x.rs", "a\n\nb").violation_at(3, "m").line, 3);
    }
}
