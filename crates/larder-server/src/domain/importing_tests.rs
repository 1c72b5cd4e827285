//! Rows of users are read from NDJSON and CSV, and what is written is read again.

use super::*;
use crate::domain::contact::{Email, Phone};
use crate::domain::identity::{ExternalId, Username};
use crate::domain::text::{Bio, FullName};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::NewUser;

fn read(format: BulkFormat, text: &[u8], piece: usize) -> Vec<ReadRow> {
    let mut reader = RowReader::new(format);
    for bytes in text.chunks(piece) {
        reader.push(bytes).unwrap();
    }
    reader.finish().unwrap();
    std::iter::from_fn(|| reader.next_row()).collect()
}

fn refused(row: &ReadRow) -> (u64, String) {
    (row.line, row.row.as_ref().err().map(ToString::to_string).unwrap_or_default())
}

#[test]
fn what_is_written_is_read_again_whatever_the_pieces_are() {
    let mut new = NewUser::new(Email::parse("ann@example.com").unwrap(), Username::parse("ann").unwrap());
    new.external_id = Some(ExternalId::parse("staff-7").unwrap());
    new.phone = Some(Phone::parse("+12425550123").unwrap());
    new.full_name = Some(FullName::parse("'=Ann, \"the\" first").unwrap());
    new.bio = Some(Bio::parse("=HYPERLINK(\"x\")\nsecond line").unwrap());
    new.skills = crate::domain::profile::Skills::parse(["Rust", "C, C++"]).unwrap();
    let user = new.created(UserId::generate(), Timestamp::now());
    for format in [BulkFormat::Ndjson, BulkFormat::Csv] {
        let text = [written_header(format), written(format, &user), written(format, &user)].concat();
        for piece in [1, 2, 7, 10_000] {
            let rows = read(format, &text, piece);
            assert_eq!(rows.len(), 2);
            for row in rows {
                let row = row.row.unwrap_or_else(|errors| panic!("{errors}"));
                assert_eq!(row.id, Some(user.id));
                assert_eq!(row.email_verified, Some(false));
                assert_eq!(row.patch.applied(&user), user);
                assert_eq!(row.patch.new_user().unwrap().created(user.id, user.created_at), user);
            }
        }
        if format == BulkFormat::Csv {
            let text = String::from_utf8(text).unwrap();
            assert!(text.contains(",'+12425550123,") && text.contains("\"'=HYPERLINK("), "{text}");
        }
    }
}

#[test]
fn the_columns_are_the_fields_of_a_user() {
    let new = NewUser::new(Email::parse("ann@example.com").unwrap(), Username::parse("ann").unwrap());
    let user = serde_json::to_value(new.created(UserId::generate(), Timestamp::now())).unwrap();
    let fields: std::collections::BTreeSet<_> =
        user.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(std::collections::BTreeSet::from(COLUMNS), fields);
}

#[test]
fn apostrophes_of_the_text_itself_stay() {
    for text in ["=1", "'=1", "''=1", "'a", "a=1", "'", "+1", "@x", "-", "'-"] {
        assert_eq!(disarmed(&armed(text)), text);
        assert!(!armed(text).starts_with(['=', '+', '-', '@']), "{text}");
    }
}

#[test]
fn a_line_that_is_wrong_is_named_and_the_next_one_is_read() {
    let long = format!("{{\"bio\": \"{}\"}}", "x".repeat(LINE_BYTES));
    let good = r#"{"external_id": "a-1", "email": "a@x.example", "username": "ann"}"#;
    let text = format!("\u{feff}{good}\r\n\n[1]\n{long}\n{{\"email\": \"b@x.example\"}}\n{good}");
    for piece in [1, 1000, 1 << 20] {
        let rows = read(BulkFormat::Ndjson, text.as_bytes(), piece);
        let refused: Vec<_> = rows.iter().map(refused).collect();
        assert_eq!((refused.len(), rows[0].row.is_ok(), rows[4].row.is_ok()), (5, true, true));
        assert_eq!(refused[1], (3, "line: must be a JSON object in UTF-8".to_owned()));
        assert!(refused[2].0 == 4 && refused[2].1.contains("16384 bytes"), "{refused:?}");
        assert!(refused[3].0 == 5 && refused[3].1.starts_with("external_id: is required"), "{refused:?}");
        assert_eq!(refused[4].0, 6);
    }
}

#[test]
fn a_header_with_unknown_columns_is_refused_and_cells_are_counted() {
    for (header, field, says) in [
        ("external_id,colour", "colour", "allowed are id, external_id"),
        ("external_id,email,email", "email", "twice"),
        ("email,username", "external_id", "as a column"),
    ] {
        let mut reader = RowReader::new(BulkFormat::Csv);
        let errors = reader.push(format!("{header}\n").as_bytes()).unwrap_err();
        assert!(errors.get(field).unwrap().contains(says), "{errors}");
    }
    let text = "external_id,email,username,bio,is_active\r\n\
                a-1,a@x.example,ann,\"two\r\nlines\",\r\n\
                a-2,b@x.example,ben\r\n\
                a-3,c@x.example,cyd,,perhaps\r\n\
                a-4,d@x.example,dan,,FALSE\r\n";
    let rows = read(BulkFormat::Csv, text.as_bytes(), 5);
    let lines: Vec<_> = rows.iter().map(refused).collect();
    assert_eq!(lines.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4, 5, 6]);
    assert_eq!(lines[1].1, "line: must have 5 cells, as the header does, and has 3");
    assert_eq!(lines[2].1, "is_active: must be true or false");
    assert_eq!(rows[3].row.as_ref().map(|row| row.patch.is_active).ok(), Some(Some(false)));
}
