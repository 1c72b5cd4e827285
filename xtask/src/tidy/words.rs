//! Words that the glossary replaces: in comments, in pages, and in texts that are logged or sent to clients.

use std::path::Path;

use super::Violation;
use super::glossary::{Glossary, PAGE, Replaced};
use super::modules::Tree;
use super::references::strings;
use super::source::{Passage, Source};

/// A line, and a word on it in lower case. An empty word marks the end of a sentence or inline code: no phrase of the
/// table matches across it.
type Word = (usize, String);

/// Parts of SQL and of Redis scripts: a text that has one is not a message.
const COMMANDS: [&str; 12] = [
    "SELECT ",
    "INSERT ",
    "UPDATE ",
    "DELETE ",
    "CREATE ",
    "ALTER ",
    " FROM ",
    "WHERE ",
    "BEGIN",
    "redis.call",
    "RETURN",
    "local ",
];

/// Finds, in the comments of a file, words that the glossary replaces. Comments of test code are included.
pub(super) fn find_in_comments(source: &Source, glossary: &Glossary) -> Vec<Violation> {
    let mut blocks: Vec<Vec<(usize, &str)>> = Vec::new();
    for comment in &source.comments {
        let lines =
            comment.text.lines().enumerate().map(|(offset, line)| (comment.line + offset, uncommented(line)));
        match blocks.last_mut() {
            Some(block) if block.last().is_some_and(|(last, _)| last + 1 == comment.line) => {
                block.extend(lines)
            }
            _ => blocks.push(lines.collect()),
        }
    }
    let words = blocks.iter().flat_map(|block| words_of(block)).collect::<Vec<_>>();
    find(&source.path, &words, glossary)
}

/// Finds, in the messages of a crate, words that the glossary replaces. Test code is left out.
pub(super) fn find_in_messages(tree: &Tree, glossary: &Glossary) -> Vec<Violation> {
    let of_module = tree.modules.iter().flat_map(|module| {
        let words: Vec<_> = strings(module.items).iter().filter(is_message).flat_map(message).collect();
        find(&module.source.path, &words, glossary)
    });
    of_module.collect()
}

/// Finds, in a page, words that the glossary replaces. The glossary's own table of these words is left out.
pub(super) fn find_in_page(path: &Path, text: &str, glossary: &Glossary) -> Vec<Violation> {
    let is_own = |line| path == Path::new(PAGE) && glossary.lines_of_words.contains(&line);
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line));
    let lines: Vec<_> = lines.map(|(line, text)| (line, if is_own(line) { "" } else { text })).collect();
    find(path, &words_of(&lines), glossary)
}

/// Finds the words in order. If several entries of the table begin at a word, the longest counts: `told apart` is not
/// also `told`.
fn find(path: &Path, words: &[Word], glossary: &Glossary) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut rest = words;
    while let [(line, _), after @ ..] = rest {
        let starts_here = |replaced: &&Replaced| {
            rest.iter().map(|(_, word)| word).take(replaced.words.len()).eq(&replaced.words)
        };
        let longest =
            glossary.replaced.iter().filter(starts_here).max_by_key(|replaced| replaced.words.len());
        rest = longest.map_or(after, |replaced| &rest[replaced.words.len()..]);
        if let Some(replaced) = longest {
            let phrase = replaced.words.join(" ");
            let message = format!("\"{phrase}\": we write {}", replaced.instead);
            violations.push(Violation { path: path.to_owned(), line: *line, message });
        }
    }
    violations.dedup();
    violations
}

/// A line of a comment without `//`, `///`, `//!`, `/*`, `*` and `*/`.
fn uncommented(line: &str) -> &str {
    line.trim().trim_start_matches(['/', '!', '*']).trim_end_matches("*/")
}

/// The words of a text in Markdown, without code blocks, inline code, and the targets of links.
fn words_of(lines: &[(usize, &str)]) -> Vec<Word> {
    let mut words = Vec::new();
    let (mut is_fenced, mut is_code) = (false, false);
    for (number, line) in lines {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
            continue;
        }
        if is_fenced {
            continue;
        }
        if line.trim().is_empty() {
            // Inline code ends with its paragraph, so that a single backtick hides no more than the rest of its
            // paragraph.
            is_code = false;
            words.push((*number, String::new()));
        }
        let mut parts = line.split('`').peekable();
        while let Some(part) = parts.next() {
            if is_code {
                words.push((*number, String::new()));
            } else {
                add_words(*number, part, &mut words);
            }
            is_code ^= parts.peek().is_some();
        }
    }
    words
}

/// The words of a message, without its placeholders `{…}`.
fn message(passage: &Passage) -> Vec<Word> {
    let mut words = Vec::new();
    for (offset, line) in passage.text.lines().enumerate() {
        for part in line.split('{') {
            let text = part.split_once('}').map_or(part, |(_, text)| text);
            add_words(passage.line + offset, text, &mut words);
        }
    }
    words
}

fn is_message(passage: &&Passage) -> bool {
    passage.text.contains(' ') && !COMMANDS.iter().any(|command| passage.text.contains(command))
}

fn add_words(line: usize, text: &str, words: &mut Vec<Word>) {
    let mut targets = text.split("](");
    let first = targets.next().unwrap_or_default();
    let texts = targets.map(|rest| rest.split_once(')').map_or("", |(_, text)| text));
    for text in std::iter::once(first).chain(texts) {
        let mut word = String::new();
        for sign in text.chars().chain([' ']) {
            if sign.is_alphanumeric() || sign == '_' {
                word.extend(sign.to_lowercase());
                continue;
            }
            if !word.is_empty() {
                words.push((line, std::mem::take(&mut word)));
            }
            if ".;:!?|".contains(sign) {
                words.push((line, String::new()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glossary() -> Glossary {
        let replaced = |words: &str| Replaced {
            words: words.split(' ').map(str::to_owned).collect(),
            instead: "publish".to_owned(),
        };
        Glossary {
            replaced: vec![replaced("told"), replaced("what is said"), replaced("told apart")],
            ..Glossary::default()
        }
    }

    fn in_text(text: &str) -> Vec<usize> {
        let found = find_in_page(Path::new("docs/a.md"), text, &glossary());
        found.iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn a_word_is_refused_in_a_page_with_what_to_write() {
        let found = find_in_page(Path::new("docs/a.md"), "# A\nRedis is told.\n", &glossary());
        assert_eq!(found[0].to_string(), "docs/a.md:2: \"told\": we write publish");
        assert_eq!(in_text("Told, told"), [1], "once a line");
        assert_eq!(in_text("what\nis said"), [1], "across lines");
        assert_eq!(in_text("[told](a.md)"), [1]);
        assert_eq!(in_text("told what is\nsaid"), [1, 1], "one after the other");
    }

    #[test]
    fn the_longest_entry_of_the_table_counts() {
        let found = find_in_page(Path::new("a.md"), "told apart", &glossary());
        assert_eq!(found.len(), 1);
        assert!(found[0].message.starts_with("\"told apart\""), "{found:?}");
    }

    #[test]
    fn code_names_and_other_words_are_let_be() {
        for text in [
            "`told` and `what is said`",
            "```\ntold\n```",
            "untold, told_of",
            "[a](told.md) is what.\nIs said",
            "`a told\nb`",
        ] {
            assert_eq!(in_text(text), [0; 0], "{text}");
        }
        assert_eq!(in_text("a lonely ` hides told\n\ntold"), [3]);
    }

    #[test]
    fn a_word_is_refused_in_comments_of_every_kind() {
        let source = Source::new(
            "a.rs",
            "//! Told.\n/// What is\n/// said.\nfn told() { /* told */ } // told\n// `told`\nconst A: &str = \"told\";",
        );
        let lines: Vec<_> = find_in_comments(&source, &glossary()).iter().map(|found| found.line).collect();
        assert_eq!(lines, [1, 2, 4]);
    }

    #[test]
    fn a_message_is_what_people_read() {
        let words = |text: &str| {
            let passage = Passage { line: 1, text: text.to_owned() };
            let is_message = is_message(&&passage);
            (is_message, find(Path::new("a.rs"), &message(&passage), &glossary()).len())
        };
        assert_eq!(words("Redis is told"), (true, 1));
        assert_eq!(words("x {told} y"), (true, 0));
        assert!(!words("told").0, "a key, not a message");
        assert!(!words("SELECT told FROM a").0);
    }
}
