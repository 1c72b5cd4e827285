//! A Rust file as the rules see it: its text, its tokens, its comments and its syntax tree.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};

use super::Violation;

/// One Rust file.
pub(super) struct Source {
    /// Relative to the workspace.
    pub(super) path: PathBuf,
    /// The text as it is written.
    pub(super) text: String,
    /// Comments of all kinds, each with its slashes.
    pub(super) comments: Vec<Passage>,
    /// The syntax tree, or why the file has none.
    pub(super) syntax: syn::Result<syn::File>,
    tokens: Vec<Token>,
}

/// A part of a text, and the line where it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passage {
    pub(super) line: usize,
    pub(super) text: String,
}

/// A word or a sign of the code. Literals and comments are no tokens here.
struct Token {
    line: usize,
    text: String,
}

impl Source {
    pub(super) fn read(root: &Path, path: PathBuf) -> Result<Self> {
        let text =
            fs::read_to_string(root.join(&path)).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self::new(path, text))
    }

    pub(super) fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let mut pieces = Pieces::of(&text);
        let (syntax, end) = match text.parse::<TokenStream>() {
            Ok(stream) => {
                pieces.add_all(stream.clone());
                (syn::parse2(stream), text.len())
            }
            Err(error) => (Err(error.into()), 0),
        };
        pieces.add_comments_until(end);
        let Pieces { tokens, comments, .. } = pieces;
        Self { path, syntax, tokens, comments, text }
    }

    pub(super) fn violation(&self, line: usize, message: impl Into<String>) -> Violation {
        Violation { path: self.path.clone(), line, message: message.into() }
    }

    /// The lines on which the tokens of `code` begin, in this order and adjacent: `my_redis::` does not contain
    /// `redis::`.
    pub(super) fn lines_with(&self, code: &str) -> Vec<usize> {
        let mut pieces = Pieces::of(code);
        pieces.add_all(code.parse().unwrap_or_default());
        let wanted = pieces.tokens;
        if wanted.is_empty() {
            return Vec::new();
        }
        let starts = self
            .tokens
            .windows(wanted.len())
            .filter(|window| window.iter().zip(&wanted).all(|(token, of)| token.text == of.text));
        starts.map(|window| window[0].line).collect()
    }
}

/// Splits a text into tokens and comments, from its start to its end.
struct Pieces<'a> {
    source: &'a str,
    /// The byte up to which the text has been split.
    end: usize,
    tokens: Vec<Token>,
    comments: Vec<Passage>,
}

impl<'a> Pieces<'a> {
    fn of(source: &'a str) -> Self {
        Self { source, end: 0, tokens: Vec::new(), comments: Vec::new() }
    }

    fn add_all(&mut self, stream: TokenStream) {
        for tree in stream {
            match tree {
                TokenTree::Group(group) => {
                    let (opening, closing) = match group.delimiter() {
                        Delimiter::Parenthesis => ("(", ")"),
                        Delimiter::Brace => ("{", "}"),
                        Delimiter::Bracket => ("[", "]"),
                        Delimiter::None => ("", ""),
                    };
                    self.add(group.span_open(), opening.to_owned());
                    self.add_all(group.stream());
                    self.add(group.span_close(), closing.to_owned());
                }
                TokenTree::Ident(word) => self.add(word.span(), word.to_string()),
                TokenTree::Punct(sign) => self.add(sign.span(), sign.to_string()),
                TokenTree::Literal(literal) => {
                    self.advance(&literal.span().byte_range());
                }
            }
        }
    }

    fn add(&mut self, span: Span, text: String) {
        if self.advance(&span.byte_range()) {
            self.tokens.push(Token { line: span.start().line, text });
        }
    }

    /// Moves to the end of a token. Returns false if the token belongs to a doc comment: the parser turns a doc comment
    /// into an attribute, whose tokens all have the comment's span.
    fn advance(&mut self, range: &Range<usize>) -> bool {
        self.add_comments_until(range.start);
        let written = &self.source[range.clone()];
        let is_comment = written.starts_with("//") || written.starts_with("/*");
        if is_comment && range.end > self.end {
            self.add_comment(range.clone());
        }
        self.end = self.end.max(range.end);
        !is_comment
    }

    /// Adds the comments between the previous token and `start`. Between two tokens there are only white space and
    /// plain comments, so each `/` here begins a comment.
    fn add_comments_until(&mut self, start: usize) {
        while let Some(gap) = self.source.get(self.end..start) {
            let Some(offset) = gap.find('/') else { return };
            let comment = &gap[offset..];
            let length = if comment.starts_with("//") {
                comment.find('\n').unwrap_or(comment.len())
            } else {
                block_length(comment)
            };
            let begin = self.end + offset;
            self.add_comment(begin..begin + length);
            self.end = begin + length;
        }
    }

    fn add_comment(&mut self, range: Range<usize>) {
        let line = 1 + self.source[..range.start].matches('\n').count();
        self.comments.push(Passage { line, text: self.source[range].to_owned() });
    }
}

/// The length of the block comment at the start of `comment`. Block comments can be nested.
fn block_length(comment: &str) -> usize {
    let mut depth = 0_usize;
    for (at, pair) in comment.as_bytes().windows(2).enumerate() {
        match pair {
            b"/*" => depth += 1,
            b"*/" if depth > 1 => depth -= 1,
            b"*/" => return at + 2,
            _ => {}
        }
    }
    comment.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(passages: &[Passage]) -> Vec<(usize, &str)> {
        passages.iter().map(|passage| (passage.line, passage.text.as_str())).collect()
    }

    #[test]
    fn comments_of_every_kind_are_found_with_their_lines() {
        let text = "//! What it is.\n\n// why\nfn f() {\n    /* a /* b */\n c */ g(); // end\n}\n/// é and \"x\"\nfn g() {} // last";
        let source = Source::new("x.rs", text);
        assert!(source.syntax.is_ok());
        let expected = [
            (1, "//! What it is."),
            (3, "// why"),
            (5, "/* a /* b */\n c */"),
            (6, "// end"),
            (8, "/// é and \"x\""),
            (9, "// last"),
        ];
        assert_eq!(shown(&source.comments), expected);
    }

    #[test]
    fn a_comment_in_a_string_is_none() {
        let text = "const A: &str = \"// a\";\nconst B: &str = r#\"b \" c\"#;\nconst C: u8 = b'x';";
        let source = Source::new("x.rs", text);
        assert_eq!(shown(&source.comments), []);
    }

    #[test]
    fn tokens_are_whole_and_code_alone() {
        let source = Source::new("x.rs", "redis::a; my_redis::b;\n// tokio\ntokio_x; \"tokio\"; tokio;");
        assert_eq!(source.lines_with("redis::"), [1]);
        assert_eq!(source.lines_with("tokio"), [3]);
    }

    #[test]
    fn a_file_that_is_not_rust_says_so() {
        assert!(Source::new("x.rs", "fn f( {").syntax.is_err());
        assert!(Source::new("x.rs", "fn f() { let; }").syntax.is_err());
    }
}
