//! The spellings of UUIDs in the outbox. A key of type `Uuid` is lower-case hexadecimal digits with hyphens. A column of
//! SQLite may have a UUID as a BLOB, whose digits the trigger writes, or as a text of another form.

/// The most parts of one touch of which this module tries both spellings. With more, the touch is that of the complete
/// class or group.
const VARIED_PARTS_MAX: usize = 4;

/// The words of a touch as the outbox has them, and once more for each combination of parts that are UUIDs of another
/// form than the key's. Which of them a key has is unknown here: a key of type `String` has the text of the row.
pub(super) fn spellings(words: Vec<Option<String>>) -> Vec<Vec<Option<String>>> {
    let canonical: Vec<_> = words
        .iter()
        .enumerate()
        .skip(2)
        .filter_map(|(nth, part)| Some((nth, canonical(part.as_deref()?)?)))
        .collect();
    if canonical.len() > VARIED_PARTS_MAX {
        let name = words.into_iter().nth(1).flatten();
        return vec![vec![Some("tag".to_owned()), name]];
    }
    let mut spellings = vec![words];
    for (nth, text) in canonical {
        let others = spellings.clone().into_iter().map(|mut words| {
            words[nth] = Some(text.clone());
            words
        });
        spellings.extend(others.collect::<Vec<_>>());
    }
    spellings
}

/// The UUID that `text` spells, as a key spells it; `None` if it is no UUID or is spelled so already.
fn canonical(text: &str) -> Option<String> {
    const PREFIX: &str = "urn:uuid:";
    // From 32 digits to a URN. Most texts are shorter or longer.
    if !(32..=45).contains(&text.len()) || !text.is_ascii() {
        return None;
    }
    let bare = match text.split_at(PREFIX.len()) {
        (prefix, rest) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text),
    };
    let digits: String = bare.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Some(groups.join("-")).filter(|canonical| canonical != text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";

    #[test]
    fn each_form_of_a_uuid_is_spelled_as_the_key() {
        let upper = ID.to_uppercase();
        for form in [
            upper.clone(),
            ID.replace('-', ""),
            upper.replace('-', ""),
            format!("{{{upper}}}"),
            format!("urn:uuid:{upper}"),
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11".to_owned(),
        ] {
            assert_eq!(canonical(&form).as_deref(), Some(ID), "{form}");
        }
        for other in [ID, "", "7", &ID[1..], &format!("{ID}0"), &ID.replace('a', "g"), &"ü".repeat(18)] {
            assert_eq!(canonical(other), None, "{other}");
        }
    }

    #[test]
    fn every_combination_of_spellings_is_touched() {
        let words = |parts: &[&str]| -> Vec<_> {
            ["entry", "c"].iter().chain(parts).map(|part| Some((*part).to_owned())).collect()
        };
        let upper = ID.to_uppercase();
        assert_eq!(spellings(words(&[ID, "x"])), [words(&[ID, "x"])]);
        assert_eq!(
            spellings(words(&[&upper, "x", &upper])),
            [
                words(&[&upper, "x", &upper]),
                words(&[ID, "x", &upper]),
                words(&[&upper, "x", ID]),
                words(&[ID, "x", ID])
            ]
        );
        let many = vec![upper.as_str(); VARIED_PARTS_MAX + 1];
        let tag: Vec<_> = ["tag", "c"].map(|word| Some(word.to_owned())).into();
        assert_eq!(spellings(words(&many)), [tag], "the complete class");
    }
}
