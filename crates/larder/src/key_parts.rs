//! How the parts of a key are spelled: encoded, and joined by `:`. The grammar is in `key`.

use std::fmt::{self, Write};

use smallvec::SmallVec;

/// The buffer of a key; 128 bytes keep most keys on the stack.
pub(crate) type KeyBuf = SmallVec<[u8; 128]>;

/// Collects the parts of one key; see [`Key`](crate::key::Key).
#[derive(Debug)]
pub struct KeyParts<'a> {
    buf: &'a mut KeyBuf,
    is_first: bool,
}

impl<'a> KeyParts<'a> {
    /// Appends the parts to `buf`.
    pub(crate) fn new(buf: &'a mut KeyBuf) -> Self {
        KeyParts { buf, is_first: true }
    }
    /// Adds one part as its text, encoded.
    pub fn push(&mut self, part: &(impl fmt::Display + ?Sized)) {
        if !std::mem::take(&mut self.is_first) {
            self.buf.push(b':');
        }
        // Writing to a growing buffer cannot fail. If a `Display` returns an error, the part is the text that it wrote
        // before.
        let _ = write!(Encoded(self.buf), "{part}");
    }

    /// Adds a part that can be missing. A missing part differs from every text.
    pub fn push_option(&mut self, part: Option<&(impl fmt::Display + ?Sized)>) {
        match part {
            Some(part) => self.push(part),
            None => {
                self.push("");
                // `Encoded` writes `~` as `%7E`, so a bare `~` always means a missing part.
                self.buf.push(b'~');
            }
        }
    }
}

/// Whether a character is written as it is inside a part.
pub(crate) fn is_plain(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.' | '@' | '+' | '=' | ',')
}

/// Percent-encodes the text that is written through it.
struct Encoded<'a>(&'a mut KeyBuf);

impl fmt::Write for Encoded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        for &byte in text.as_bytes() {
            if is_plain(char::from(byte)) {
                self.0.push(byte);
            } else {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                self.0.extend_from_slice(&[b'%', high, low]);
            }
        }
        Ok(())
    }
}

/// The text of the parts that `push` adds.
pub(crate) fn text_of(push: impl FnOnce(&mut KeyParts<'_>)) -> String {
    let mut buf = KeyBuf::new();
    push(&mut KeyParts::new(&mut buf));
    // Nothing is lost: encoded parts are ASCII.
    String::from_utf8_lossy(&buf).into_owned()
}
