//! Users as lines of NDJSON or records of CSV: read in pieces as they arrive, written one at a time.
//!
//! A record of CSV becomes the JSON object that a line of NDJSON would be, so both have the same rules.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use crate::domain::fields::body;
use crate::domain::identity::UserId;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::json::{from_json, string, text_of};
use crate::domain::patch::UserPatch;
use crate::domain::strict::{self, Read};
use crate::domain::user::User;
use crate::domain::user_body::Patched;

/// The greatest length of a line or record. This limits the memory of a reader.
pub const LINE_BYTES: usize = 16 << 10;

/// The columns of an export, in their order. An import accepts the same columns.
pub const COLUMNS: [&str; 19] = [
    "id",
    "external_id",
    "email",
    "email_verified",
    "username",
    "phone",
    "full_name",
    "bio",
    "occupation",
    "location",
    "avatar_url",
    "skills",
    "experience",
    "points",
    "role",
    "is_active",
    "created_at",
    "updated_at",
    "version",
];

/// The column that only an import has.
const PASSWORD_HASH: &str = "password_hash";
/// The columns that an export has and an import ignores, because the database sets them.
const IGNORED: [&str; 4] = ["points", "created_at", "updated_at", "version"];
/// An empty cell of one of these columns counts as missing, because no user is without it.
const NEVER_NULL: [&str; 6] = ["id", "email", "email_verified", "username", "role", "is_active"];

/// The form of an import or an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkFormat {
    /// One JSON object a line.
    Ndjson,
    /// RFC 4180, with a header.
    Csv,
}

impl BulkFormat {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

body! {
    /// A user of an import.
    #[schema(ImportedUser, {"external_id": "staff-8", "email": "grace@example.com", "username": "grace"})]
    pub struct ImportRow {
        /// The user's id, which finds the user if `external_id` does not.
        pub id: Option<UserId>,
        /// The fields; a missing field of a user that exists stays, and `null` clears one.
        pub patch: UserPatch as Patched,
        /// Whether the address is confirmed.
        pub email_verified: Option<bool>,
        /// The hash of the password of a user that has none yet.
        pub password_hash: Option<String> as Option<PasswordHash>,
    }
}

/// A hash that the service can compare a password with.
pub(crate) enum PasswordHash {}

from_json!(PasswordHash => String, text_of, password_hash, string().max_length(Some(512)));

fn password_hash(raw: &str) -> Result<String, Invalid> {
    match raw.len() <= 512 && larder_identity::hashing::Passwords::is_known(raw) {
        true => Ok(raw.to_owned()),
        false => {
            Err(Invalid::new("is no hash of Argon2, bcrypt or PBKDF2 that can be compared with a password"))
        }
    }
}

/// A line, or a record of CSV, and its user.
pub struct ReadRow {
    /// The number of the line at which the row begins, from 1.
    pub line: u64,
    /// The user, or what is wrong.
    pub row: Result<ImportRow, ValidationErrors>,
}

/// Reads rows from bytes that arrive in pieces.
pub struct RowReader {
    format: BulkFormat,
    /// The bytes of the present line or record, at most `LINE_BYTES`.
    held: Vec<u8>,
    /// Whether the present line or record is too long. If so, its bytes are dropped up to its end.
    is_too_long: bool,
    /// Whether the next byte is in a quoted cell, where a line end ends no record.
    is_quoted: bool,
    line: u64,
    begun_at: u64,
    header: Option<Vec<String>>,
    ready: VecDeque<ReadRow>,
}

impl RowReader {
    /// A reader at the beginning of a file.
    pub fn new(format: BulkFormat) -> Self {
        Self {
            format,
            held: Vec::new(),
            is_too_long: false,
            is_quoted: false,
            line: 1,
            begun_at: 1,
            header: None,
            ready: VecDeque::new(),
        }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// The header of a CSV file cannot be used.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ValidationErrors> {
        for &byte in bytes {
            let is_end = byte == b'\n' && !self.is_quoted;
            if self.format == BulkFormat::Csv && byte == b'"' {
                self.is_quoted = !self.is_quoted;
            }
            if byte == b'\n' {
                self.line += 1;
            }
            if is_end {
                self.end_row()?;
            } else if self.held.len() < LINE_BYTES {
                self.held.push(byte);
            } else {
                self.is_too_long = true;
            }
        }
        Ok(())
    }

    /// Adds the end of the file: its last line may lack its line end.
    ///
    /// # Errors
    /// The header of a CSV file cannot be used.
    pub fn finish(&mut self) -> Result<(), ValidationErrors> {
        if self.held.is_empty() && !self.is_too_long { Ok(()) } else { self.end_row() }
    }

    /// The next complete row.
    pub fn next_row(&mut self) -> Option<ReadRow> {
        self.ready.pop_front()
    }

    fn end_row(&mut self) -> Result<(), ValidationErrors> {
        let held = std::mem::take(&mut self.held);
        let (line, is_too_long) = (self.begun_at, std::mem::take(&mut self.is_too_long));
        self.begun_at = self.line;
        let bytes = held.strip_suffix(b"\r").unwrap_or(&held);
        let bytes = if line == 1 { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes) } else { bytes };
        if is_too_long {
            let invalid = Invalid::new(format!("must be at most {LINE_BYTES} bytes long"));
            self.ready.push_back(ReadRow { line, row: Err(ValidationErrors::one("line", invalid)) });
            return Ok(());
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let row = match self.format {
            BulkFormat::Ndjson => object(bytes),
            BulkFormat::Csv => {
                let cells = cells(bytes);
                match (&self.header, cells) {
                    (None, cells) => {
                        self.header = Some(header(cells?)?);
                        return Ok(());
                    }
                    (Some(header), Ok(cells)) => of_cells(header, cells),
                    (Some(_), Err(errors)) => Err(errors),
                }
            }
        };
        self.ready.push_back(ReadRow { line, row: row.and_then(parsed) });
        Ok(())
    }
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, ValidationErrors> {
    match strict::read(bytes) {
        Ok(Read { value: Value::Object(object), twice }) if twice.is_empty() => Ok(object),
        Ok(Read { value: Value::Object(_), twice }) => Err(twice),
        // serde_json's own message is not repeated, because it may quote the line.
        _ => Err(ValidationErrors::one("line", Invalid::new("must be a JSON object in UTF-8"))),
    }
}

fn parsed(mut object: Map<String, Value>) -> Result<ImportRow, ValidationErrors> {
    for name in IGNORED {
        object.remove(name);
    }
    let row = ImportRow::parse(Value::Object(object))?;
    match row.id.is_some() || row.external_id().is_some() {
        true => Ok(row),
        false => {
            let invalid = Invalid::new("is required, or id: an import finds users by them");
            Err(ValidationErrors::one("external_id", invalid))
        }
    }
}

impl ImportRow {
    /// The external id that the row sets.
    pub(crate) fn external_id(&self) -> Option<&crate::domain::identity::ExternalId> {
        match &self.patch.external_id {
            crate::domain::patch::Patch::Set(external) => Some(external),
            _ => None,
        }
    }
}

/// The cells of one record.
fn cells(record: &[u8]) -> Result<Vec<String>, ValidationErrors> {
    let broken = || ValidationErrors::one("line", Invalid::new("must be a record of CSV in UTF-8"));
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(record);
    let mut cells = csv::StringRecord::new();
    match reader.read_record(&mut cells) {
        Ok(true) => Ok(cells.iter().map(str::to_owned).collect()),
        _ => Err(broken()),
    }
}

fn header(cells: Vec<String>) -> Result<Vec<String>, ValidationErrors> {
    let mut errors = ValidationErrors::default();
    for (index, name) in cells.iter().enumerate() {
        if !COLUMNS.contains(&name.as_str()) && name != PASSWORD_HASH {
            let allowed = format!("is no column; allowed are {}, {PASSWORD_HASH}", COLUMNS.join(", "));
            errors.add(name, Invalid::new(allowed));
        } else if cells[..index].contains(name) {
            errors.add(name, Invalid::new("must not occur twice"));
        }
    }
    if !cells.iter().any(|name| name == "external_id" || name == "id") {
        errors.add(
            "external_id",
            Invalid::new("is required as a column, or id: an import finds users by them"),
        );
    }
    if errors.is_empty() { Ok(cells) } else { Err(errors) }
}

fn of_cells(header: &[String], cells: Vec<String>) -> Result<Map<String, Value>, ValidationErrors> {
    if header.len() != cells.len() {
        let invalid =
            format!("must have {} cells, as the header does, and has {}", header.len(), cells.len());
        return Err(ValidationErrors::one("line", Invalid::new(invalid)));
    }
    let mut object = Map::new();
    let mut errors = ValidationErrors::default();
    for (name, cell) in header.iter().zip(cells) {
        if cell.is_empty() && NEVER_NULL.contains(&name.as_str()) {
            continue;
        }
        let value = match name.as_str() {
            _ if cell.is_empty() => Value::Null,
            "is_active" | "email_verified" => match cell.to_ascii_lowercase().as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => {
                    errors.add(name, Invalid::new("must be true or false"));
                    continue;
                }
            },
            "skills" => match serde_json::from_str(&cell) {
                Ok(list @ Value::Array(_)) => list,
                _ => {
                    errors.add(name, Invalid::new("must be a JSON list of texts, such as [\"Rust\"]"));
                    continue;
                }
            },
            _ => Value::String(disarmed(&cell).to_owned()),
        };
        object.insert(name.clone(), value);
    }
    if errors.is_empty() { Ok(object) } else { Err(errors) }
}

/// Whether a spreadsheet could run the cell as a formula, if the apostrophes before it are ignored.
fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// The cell, with an apostrophe before it if a spreadsheet could run it as a formula. [`disarmed`] is the inverse.
fn armed(cell: &str) -> String {
    if is_formula(cell) { format!("'{cell}") } else { cell.to_owned() }
}

/// The text of a cell: without the apostrophe that [`armed`] added.
fn disarmed(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| is_formula(rest)).unwrap_or(cell)
}

/// The beginning of a file: the header of CSV; nothing for NDJSON.
pub fn written_header(format: BulkFormat) -> Vec<u8> {
    match format {
        BulkFormat::Ndjson => Vec::new(),
        BulkFormat::Csv => record(COLUMNS.iter().map(|name| (*name).to_owned())),
    }
}

/// A user as a line of NDJSON or a record of CSV.
pub fn written(format: BulkFormat, user: &User) -> Vec<u8> {
    // A user is a plain structure, which always has a JSON form.
    let value = serde_json::to_value(user).unwrap_or_default();
    match format {
        BulkFormat::Ndjson => format!("{value}\n").into_bytes(),
        BulkFormat::Csv => record(COLUMNS.iter().map(|name| match &value[*name] {
            Value::Null => String::new(),
            Value::String(text) => armed(text),
            other => other.to_string(),
        })),
    }
}

fn record(cells: impl Iterator<Item = String>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    // Writing into memory cannot fail.
    let _ = writer.write_record(cells.map(String::into_bytes));
    writer.into_inner().unwrap_or_default()
}

#[cfg(test)]
#[path = "importing_tests.rs"]
mod tests;
