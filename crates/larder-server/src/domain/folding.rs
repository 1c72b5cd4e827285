//! Folds a text for the search: texts that people take for the same have one folded form. Terms are folded here, and
//! columns by the functions and triggers of the migration `0018_search.sql`, so that the texts of other software are
//! folded too.
//!
//! Invariant `letter_by_letter`: the folded form of a text is that of its characters, one after the other. So a
//! database needs only a table of characters, and no Unicode library. A part of a text folds to a part of the folded
//! text.

use unicase::UniCase;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::canonical_combining_class;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// The text before each word of a folded text. It has two characters: together with the first letter of a word, these
/// are the three characters that the index needs to find the word by one letter.
pub const WORD_BEGINS: &str = "  ";

/// Letters that Unicode does not decompose, each with its folded form: letters with a stroke, the dotless i, and
/// letters that are written as two where a keyboard lacks them.
const PLAIN: [(char, &str); 11] = [
    ('đ', "d"),
    ('ð', "d"),
    ('ħ', "h"),
    ('ı', "i"),
    ('ł', "l"),
    ('ø', "o"),
    ('ŧ', "t"),
    ('þ', "th"),
    ('æ', "ae"),
    ('œ', "oe"),
    ('ǿ', "o"),
];

/// The folded form: NFKC and full case folding, without accents and invisible characters. White space begins a word,
/// and so does each letter of a script that does not separate words. Letters of Korean are decomposed.
pub fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len() + WORD_BEGINS.len());
    for c in text.chars() {
        if c.is_ascii_graphic() {
            folded.push(c.to_ascii_lowercase());
        } else {
            push(c, &mut folded);
        }
    }
    folded
}

fn push(c: char, folded: &mut String) {
    if c.is_whitespace() {
        folded.push_str(WORD_BEGINS);
        return;
    }
    let lower = UniCase::unicode(c.nfkd().collect::<String>()).to_folded_case();
    // Folding the case may give a character that can be decomposed, and decomposing may give a character whose case can
    // be folded. So both steps are repeated.
    let lower = UniCase::unicode(lower.nfkd().collect::<String>()).to_folded_case();
    for c in lower.nfkd().filter(|c| !is_dropped(*c)) {
        match PLAIN.iter().find(|(letter, _)| *letter == c) {
            Some((_, plain)) => folded.push_str(plain),
            None if c.is_whitespace() => folded.push_str(WORD_BEGINS),
            None if is_word(c) => folded.extend([WORD_BEGINS, c.encode_utf8(&mut [0; 4])]),
            None => folded.push(c),
        }
    }
}

/// Whether the character is an accent or invisible. Signs of vowels, and signs that turn a letter into another one, are
/// kept: without them, different words of the scripts of India would be the same. These signs have other combining
/// classes than accents.
fn is_dropped(c: char) -> bool {
    let is_accent = matches!(canonical_combining_class(c), 1 | 10..=36 | 107 | 200..=240);
    is_accent || is_invisible(c)
}

/// Whether a character is invisible and does not change how its neighbours look: control and format characters,
/// selectors of a variant and fillers.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c.general_category(), GeneralCategory::Control | GeneralCategory::Format)
        || matches!(
            c,
            '\u{34f}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{ffa0}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Whether the letter begins a word wherever it is: the first letter of a Korean syllable, and the letters of
/// Chinese and Japanese. The migration has the same ranges.
fn is_word(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{1159}' | '\u{3041}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
#[path = "folding_tests.rs"]
mod tests;
