//! Tests the folded forms, and that the tables in the migrations have the same forms.

use std::fmt::Write as _;
use std::path::Path;

use super::*;

#[test]
fn texts_that_people_take_for_the_same_have_one_form() {
    for (one, other) in [
        ("İstanbul", "istanbul"),
        ("Diyarbakır", "DIYARBAKIR"),
        ("STRASSE", "straße"),
        ("STRAẞE", "strasse"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσεύς"),
        ("Zoe\u{308}", "ZOË"),
        ("Đorđe Łódź", "dorde lodz"),
        ("Ægir Þór", "aegir thor"),
        ("ﬁne ½", "fine 1⁄2"),
        ("ＡＢＣ\u{3000}１２", "abc 12"),
        ("김민", "\u{1100}\u{1175}\u{11b7}\u{1106}\u{1175}\u{11ab}"),
        ("가족", "\u{ac00}\u{1109}\u{1169}\u{11a8}".replace("\u{1109}\u{1169}\u{11a8}", "족").as_str()),
        ("ｶﾞ", "ガ"),
        ("\u{f900}", "豈"),
        ("soft\u{ad}\u{200b}ly\u{202e}", "softly"),
        ("שָׁלוֹם", "שלום"),
        ("مُحَمَّد", "محمد"),
        ("a\tb\u{a0}c", "a b c"),
        ("Ǿ", "o"),
        ("Nguyễn", "nguyen"),
    ] {
        assert_eq!(folded(one), folded(other), "{one} {other}");
    }
    for (one, other) in [("कि", "कु"), ("ක", "කා"), ("か", "が"), ("a", "b"), ("김", "간")]
    {
        assert_ne!(folded(one), folded(other), "{one} {other}");
    }
    assert_eq!(folded("王芳"), "  王  芳");
    assert_eq!(folded("Ann O'Neil"), "ann  o'neil");
}

#[test]
fn folding_again_changes_nothing_but_the_beginnings_of_words() {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_assigned =
        |c: &char| !matches!(c.general_category(), GeneralCategory::Unassigned | GeneralCategory::PrivateUse);
    for c in ('\0'..=char::MAX).filter(is_assigned) {
        let once = folded(&c.to_string());
        assert_eq!(words(&folded(&once)), words(&once), "{c:?} {once:?}");
        let composed: String = c.nfc().collect();
        let decomposed: String = c.nfd().collect();
        assert_eq!(folded(&composed), once, "{c:?}");
        assert_eq!(folded(&decomposed), once, "{c:?}");
    }
}

/// The characters that the databases look up, as JSON: the code of the character and its folded form. The migrations
/// compute the forms of all other characters.
fn table() -> String {
    let mut entries = Vec::new();
    for c in ('\u{1}'..=char::MAX).filter(|c| !('가'..='힣').contains(c)) {
        let form = folded(&c.to_string());
        let is_computed = form == c.to_string() || (is_word(c) && form == format!("{WORD_BEGINS}{c}"));
        if !is_computed {
            let mut entry = format!("\"{}\":\"", u32::from(c));
            for unit in form.encode_utf16() {
                // Writing to a String cannot fail.
                let _ = match unit {
                    0x20..0x7f if unit != 0x22 && unit != 0x27 && unit != 0x5c => {
                        write!(entry, "{}", char::from(unit as u8))
                    }
                    _ => write!(entry, "\\u{unit:04x}"),
                };
            }
            entries.push(entry + "\"");
        }
    }
    let mut lines = vec![String::new()];
    for entry in entries {
        if lines.last().is_some_and(|line| line.len() + entry.len() > 118) {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(&entry);
            line.push(',');
        }
    }
    lines.join("\n").trim_end_matches(',').to_owned()
}

/// With `LARDER_WRITE_MIGRATIONS=1` the test first writes the table into the migration `0018_search.sql` of each
/// database. Use this only while no release has the migration. Afterwards, a character that Unicode has added needs a
/// migration of its own, which replaces the table and folds the stored texts again.
#[test]
fn the_tables_of_the_databases_are_this_folding() {
    let table = table();
    for folder in ["postgres", "sqlite"] {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder).join("0018_search.sql");
        let text = std::fs::read_to_string(&file).unwrap();
        let (before, rest) = text.split_once("'{\n").unwrap();
        let (present, after) = rest.split_once("\n}'").unwrap();
        if std::env::var_os("LARDER_WRITE_MIGRATIONS").is_some() {
            std::fs::write(&file, format!("{before}'{{\n{table}\n}}'{after}")).unwrap();
        } else {
            assert!(present == table, "{} is out of date", file.display());
        }
    }
}
