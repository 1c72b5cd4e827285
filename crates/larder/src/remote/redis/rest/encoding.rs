//! Commands as JSON, and replies from JSON.
//!
//! A text in JSON is UTF-8, and the arguments of larder's commands are bytes: a lease, an entry, the names of some keys.
//! The interface takes bytes in one place only, the body of a single command's last argument, which neither a script nor a
//! pipeline can use. So each byte is sent as the character of this number: a byte below 128 as itself, any other one in two
//! bytes. The map is one to one, and keeps order, concatenation and beginnings: the spelling of a beginning is the beginning
//! of the spelling. So prefixes, patterns and the comparisons of the scripts mean what they mean to other clients.
//!
//! Redis has the spelling, so a client that does not spell would not recognise a value. That is why keys over REST have a
//! prefix of their own; see `prefix`.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redis::{Arg, Cmd, Pipeline, RedisResult, Value};
use serde::Deserialize;
use serde_json::Value as Json;

/// One reply. A command has a result, which may be null, or an error.
#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    result: Json,
    error: Option<String>,
}

pub(super) fn encode(command: &Cmd) -> String {
    let mut text = String::new();
    push_command(&mut text, command);
    text
}

pub(super) fn encode_all(pipeline: &Pipeline) -> String {
    let mut text = String::from("[");
    for (nth, command) in pipeline.cmd_iter().enumerate() {
        if nth > 0 {
            text.push(',');
        }
        push_command(&mut text, command);
    }
    text.push(']');
    text
}

fn push_command(text: &mut String, command: &Cmd) {
    text.push('[');
    for (nth, argument) in command.args_iter().enumerate() {
        if nth > 0 {
            text.push(',');
        }
        match argument {
            Arg::Simple(bytes) => push_text(text, bytes),
            // The cursor of a scan that redis-rs continues by itself. larder's scans have theirs as an argument.
            _ => text.push_str("\"0\""),
        }
    }
    text.push(']');
}

/// Writes `bytes` as a text of JSON: the characters with their numbers.
fn push_text(text: &mut String, bytes: &[u8]) {
    text.reserve(bytes.len() + 2);
    text.push('"');
    for byte in bytes {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            0..0x20 => {
                text.push_str("\\u00");
                for digit in [byte >> 4, byte & 15] {
                    text.extend(char::from_digit(u32::from(digit), 16));
                }
            }
            _ => text.push(char::from(*byte)),
        }
    }
    text.push('"');
}

pub(super) fn decode(body: &[u8]) -> RedisResult<Value> {
    value_of(serde_json::from_slice(body).map_err(io::Error::other)?)
}

pub(super) fn decode_all(body: &[u8]) -> RedisResult<Vec<Value>> {
    let replies: Vec<Reply> = serde_json::from_slice(body).map_err(io::Error::other)?;
    replies.into_iter().map(value_of).collect()
}

/// The words of the error in `body`, if it is one.
pub(super) fn error_of(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<Reply>(body).ok()?.error
}

fn value_of(reply: Reply) -> RedisResult<Value> {
    match reply.error {
        Some(words) => server_error(&words),
        None => result_of(reply.result),
    }
}

/// The error of Redis that has these words, as redis-rs reads it from Redis.
pub(super) fn server_error(words: &str) -> RedisResult<Value> {
    let line: String = words.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    redis::parse_redis_value(format!("-{line}\r\n").as_bytes())
}

fn result_of(result: Json) -> RedisResult<Value> {
    Ok(match result {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Int(i64::from(value)),
        Json::Number(number) => {
            Value::Int(number.as_i64().ok_or_else(|| io::Error::other("a number is no integer"))?)
        }
        // The only text that is not in base64. It would be no base64 either: that has a multiple of four characters.
        Json::String(text) if text == "OK" => Value::Okay,
        Json::String(text) => Value::BulkString(bytes_of(STANDARD.decode(text).map_err(io::Error::other)?)),
        Json::Array(values) => Value::Array(values.into_iter().map(result_of).collect::<RedisResult<_>>()?),
        Json::Object(_) => return Err(io::Error::other("a result is an object").into()),
    })
}

/// The bytes that are spelled so. A text that spells no bytes is returned as it is: another program wrote it, so it is no
/// frame of larder's.
fn bytes_of(spelled: Vec<u8>) -> Vec<u8> {
    if spelled.is_ascii() {
        return spelled;
    }
    let bytes: Option<Vec<u8>> = std::str::from_utf8(&spelled)
        .ok()
        .and_then(|text| text.chars().map(|char| u8::try_from(u32::from(char)).ok()).collect());
    bytes.unwrap_or(spelled)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What Redis stores for `bytes`: a JSON parser reads the text that is sent.
    fn stored(bytes: &[u8]) -> Vec<u8> {
        let mut text = String::new();
        push_text(&mut text, bytes);
        serde_json::from_str::<String>(&text).unwrap().into_bytes()
    }

    proptest! {
        #[test]
        fn bytes_come_back_and_keep_concatenation_and_order(
            left in prop::collection::vec(any::<u8>(), 0..40),
            right in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            prop_assert_eq!(bytes_of(stored(&left)), left.clone());
            prop_assert_eq!(stored(&[&left[..], &right].concat()), [stored(&left), stored(&right)].concat());
            prop_assert_eq!(stored(&left).cmp(&stored(&right)), left.cmp(&right));
            prop_assert_eq!(stored(&left).starts_with(&stored(&right)), left.starts_with(&right));
        }
    }

    #[test]
    fn every_byte_is_sent_as_the_character_of_its_number() {
        let all: Vec<u8> = (0..=255).collect();
        let text: String = all.iter().map(|byte| char::from(*byte)).collect();
        assert_eq!(stored(&all), text.into_bytes());
        let mut command = redis::cmd("SET");
        command.arg("a\"\\\n").arg(&[0_u8, 200][..]).arg(7);
        assert_eq!(encode(&command), r#"["SET","a\"\\\u000a","\u0000È","7"]"#);
        let mut pipe = redis::pipe();
        pipe.cmd("PING").cmd("GET").arg("k");
        assert_eq!(encode_all(&pipe), r#"[["PING"],["GET","k"]]"#);
    }

    #[test]
    fn each_kind_of_reply_is_read_and_an_error_has_its_code() {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        for (body, value) in [
            (r#"{"result":null}"#, Value::Nil),
            (r#"{"result":-7}"#, Value::Int(-7)),
            (r#"{"result":"OK"}"#, Value::Okay),
            (r#"{"result":""}"#, bulk("")),
            (r#"{"result":"YmFy"}"#, bulk("bar")),
            (r#"{"result":["YmFy",null,[1]]}"#, {
                Value::Array(vec![bulk("bar"), Value::Nil, Value::Array(vec![Value::Int(1)])])
            }),
            // U+00C8 is the byte 200; two bytes that are no UTF-8 stay what they are.
            (r#"{"result":"w4g="}"#, Value::BulkString(vec![200])),
            (r#"{"result":"yMg="}"#, Value::BulkString(vec![200, 200])),
        ] {
            assert_eq!(decode(body.as_bytes()).unwrap(), value, "{body}");
        }
        let error =
            decode(br#"{"error":"NOSCRIPT No matching\r\nscript"}"#).unwrap().extract_error().unwrap_err();
        assert_eq!(error.kind(), redis::ErrorKind::Server(redis::ServerErrorKind::NoScript), "{error:?}");
        let error = decode(br#"{"error":"WRONGTYPE Operation"}"#).unwrap().extract_error().unwrap_err();
        assert_eq!(error.code(), Some("WRONGTYPE"));
        for body in ["", "{", "[]", r#"{"result":1.5}"#, r#"{"result":"?"}"#, r#"{"result":{}}"#] {
            assert!(decode(body.as_bytes()).is_err(), "{body}");
        }
        assert_eq!(decode_all(br#"[{"result":1},{"error":"ERR no"}]"#).unwrap().len(), 2);
    }
}
