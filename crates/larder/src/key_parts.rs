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
    #[inline]
    pub(crate) fn new(buf: &'a mut KeyBuf) -> Self {
        KeyParts { buf, is_first: true }
    }

    /// Adds one part as its text, encoded.
    pub fn push(&mut self, part: &(impl fmt::Display + ?Sized)) {
        self.separate();
        // Writing to a growing buffer cannot fail. If a `Display` returns an error, the part is the text that it wrote
        // before.
        let _ = write!(Encoded(self.buf), "{part}");
    }

    /// As [`KeyParts::push`], for a text: without the detour through `Display`, which takes longer than the encoding.
    #[inline]
    pub(crate) fn push_text(&mut self, part: &str) {
        self.separate();
        encode(self.buf, part);
    }

    /// As [`KeyParts::push_text`], for a text of plain characters only, such as a number.
    #[inline]
    pub(crate) fn push_plain(&mut self, part: &str) {
        debug_assert!(part.chars().all(is_plain), "{part}");
        self.separate();
        self.buf.extend_from_slice(part.as_bytes());
    }

    /// Ends the part before the next one.
    #[inline]
    fn separate(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.buf.push(b':');
        }
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
pub(crate) const fn is_plain(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.' | '@' | '+' | '=' | ',')
}

/// [`is_plain`] of each byte: one look-up for each byte of a key.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        plain[byte] = is_plain(byte as u8 as char);
        byte += 1;
    }
    plain
};

/// Appends `text`, percent-encoded.
#[inline]
fn encode(buf: &mut KeyBuf, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = text.as_bytes();
    loop {
        // Plain bytes are most of a key, so they are copied together.
        let plain = rest.iter().position(|&byte| !PLAIN[usize::from(byte)]).unwrap_or(rest.len());
        buf.extend_from_slice(&rest[..plain]);
        let [byte, after @ ..] = &rest[plain..] else { return };
        let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
        buf.extend_from_slice(&[b'%', high, low]);
        rest = after;
    }
}

/// Percent-encodes the text that is written through it.
struct Encoded<'a>(&'a mut KeyBuf);

impl fmt::Write for Encoded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        encode(self.0, text);
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
