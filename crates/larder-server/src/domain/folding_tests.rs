//! Tests the folded forms, and that the tables in the migrations have the same forms.

use std::collections::BTreeMap;
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
        ("O\u{2019}Brien", "o'brien"),
        ("O\u{2bc}Brien", "O\u{2018}BRIEN"),
        ("Hawai\u{2bb}i", "hawai\u{ff07}i"),
        ("Jean\u{2011}Luc", "jean-luc"),
        ("Jean\u{2010}Luc", "Jean\u{2013}Luc"),
        ("\u{149}", "'n"),
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

/// The characters whose forms the databases look up. The migrations compute the forms of all others.
fn forms() -> BTreeMap<char, String> {
    let looked_up = ('\u{1}'..=char::MAX).filter(|c| !('가'..='힣').contains(c));
    let forms = looked_up.map(|c| (c, folded(&c.to_string())));
    let is_computed = |(c, form): &(char, String)| {
        *form == c.to_string() || (is_word(*c) && *form == format!("{WORD_BEGINS}{c}"))
    };
    forms.filter(|entry| !is_computed(entry)).collect()
}

/// The table of letters in a migration: the code of each character and its folded form, as JSON.
fn table(file: &str) -> BTreeMap<char, String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(file);
    let text = std::fs::read_to_string(&file).unwrap();
    let (_, rest) = text.split_once("'{\n").unwrap();
    let (entries, _) = rest.split_once("\n}'").unwrap();
    let entries: BTreeMap<u32, String> = serde_json::from_str(&format!("{{{entries}}}")).unwrap();
    entries.into_iter().map(|(code, form)| (char::from_u32(code).unwrap(), form)).collect()
}

/// A character that Unicode has added needs a migration of its own, which has the entries that this test prints, and folds
/// the stored texts again.
#[test]
fn the_tables_of_the_databases_are_this_folding() {
    let wanted = forms();
    let check = |database: &str, present: BTreeMap<char, String>| {
        let codes = |(c, form): (&char, &String)| (u32::from(*c), form.clone());
        let missing: BTreeMap<_, _> =
            wanted.iter().filter(|(c, form)| present.get(c) != Some(form)).map(codes).collect();
        let missing = serde_json::to_string(&missing).unwrap();
        assert_eq!(missing, "{}", "{database} has other forms");
        assert_eq!(present.len(), wanted.len(), "{database} has further entries");
    };
    let mut sqlite = table("sqlite/0018_search.sql");
    sqlite.extend(table("sqlite/0020_marks.sql"));
    check("SQLite", sqlite);
    // PostgreSQL replaces the marks in what its table gives.
    let mut postgres = table("postgres/0018_search.sql");
    let marks: BTreeMap<_, _> = MARKS.into_iter().collect();
    for form in postgres.values_mut() {
        *form =
            form.chars().map(|c| marks.get(&c).map_or(c.to_string(), |mark| (*mark).to_owned())).collect();
    }
    postgres.extend(MARKS.map(|(c, mark)| (c, mark.to_owned())));
    check("PostgreSQL", postgres);
}
