//! The part of RESP2, the Redis protocol, that one command and its reply need.

use std::io::{BufRead, Write};

use anyhow::{Context, Result, bail};

/// The text of a missing value.
const NIL: &[u8] = b"(nil)";

/// Sends one command.
pub(crate) fn write_command(to: &mut impl Write, args: &[&[u8]]) -> Result<()> {
    let mut frame = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        write!(frame, "${}\r\n", arg.len())?;
        frame.extend_from_slice(arg);
        frame.extend_from_slice(b"\r\n");
    }
    // One write, so that a killed process does not leave half a command.
    to.write_all(&frame).context("sending a command")
}

/// A reply.
pub(crate) enum Reply {
    Nil,
    Status(String),
    Error(String),
    Int(i64),
    Text(Vec<u8>),
    Array(Vec<Reply>),
}

/// Reads one reply and returns it as text: an integer in decimal, a missing value as `(nil)`, an array as its elements,
/// each on its own line, those of nested arrays too. An error reply is an `Err` with the server's text.
pub(crate) fn read_reply(from: &mut impl BufRead) -> Result<Vec<u8>> {
    text_of(read_value(from)?)
}

fn text_of(reply: Reply) -> Result<Vec<u8>> {
    match reply {
        Reply::Nil => Ok(NIL.into()),
        Reply::Status(text) => Ok(text.into()),
        Reply::Error(text) => bail!("{text}"),
        Reply::Int(number) => Ok(number.to_string().into()),
        Reply::Text(value) => Ok(value),
        Reply::Array(replies) => {
            let elements = replies.into_iter().map(text_of).collect::<Result<Vec<_>>>()?;
            Ok(elements.join(&b"\n"[..]))
        }
    }
}

/// Reads one reply.
pub(crate) fn read_value(from: &mut impl BufRead) -> Result<Reply> {
    let line = read_line(from)?;
    let Some((kind, text)) = line.split_at_checked(1) else { bail!("an empty line for a reply") };
    match kind {
        "+" => Ok(Reply::Status(text.into())),
        ":" => Ok(Reply::Int(text.parse().with_context(|| format!("an integer, not {text}"))?)),
        "-" => Ok(Reply::Error(text.into())),
        "$" => match length(text)? {
            None => Ok(Reply::Nil),
            Some(length) => {
                let mut value = vec![0; length + 2];
                from.read_exact(&mut value).context("reading a value")?;
                value.truncate(length);
                Ok(Reply::Text(value))
            }
        },
        "*" => match length(text)? {
            None => Ok(Reply::Nil),
            Some(length) => (0..length).map(|_| read_value(from)).collect::<Result<_>>().map(Reply::Array),
        },
        _ => bail!("not RESP2: {line}"),
    }
}

fn read_line(from: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    from.read_line(&mut line).context("reading a reply")?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.into()),
        None => bail!("the connection closed in the middle of a reply"),
    }
}

/// `None` for the length -1, which means a missing value.
fn length(text: &str) -> Result<Option<usize>> {
    match text {
        "-1" => Ok(None),
        _ => Ok(Some(text.parse().with_context(|| format!("a length, not {text}"))?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(wire: &str) -> Result<String> {
        Ok(String::from_utf8(read_reply(&mut wire.as_bytes())?)?)
    }

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        let mut wire = Vec::new();
        write_command(&mut wire, &[b"SET", b"k", b"\r\n\0"]).unwrap();
        assert_eq!(wire, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n\r\n\0\r\n");
    }

    #[test]
    fn every_kind_of_reply_is_text() {
        for (wire, text) in [
            ("+OK\r\n", "OK"),
            (":-2\r\n", "-2"),
            ("$5\r\na\r\nbc\r\n", "a\r\nbc"),
            ("$0\r\n\r\n", ""),
            ("$-1\r\n", "(nil)"),
            ("*0\r\n", ""),
            ("*2\r\n:1\r\n*2\r\n+a\r\n$-1\r\n", "1\na\n(nil)"),
        ] {
            assert_eq!(reply(wire).unwrap(), text, "{wire:?}");
        }
    }

    #[test]
    fn an_error_reply_and_a_cut_one_are_errors() {
        assert_eq!(reply("-ERR unknown command\r\n").unwrap_err().to_string(), "ERR unknown command");
        for cut in ["", "$5\r\nab", ":1", "*2\r\n:1\r\n", "!?\r\n"] {
            assert!(reply(cut).is_err(), "{cut:?}");
        }
    }
}
