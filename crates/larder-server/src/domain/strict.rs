//! Reads JSON in which no object has a key twice. Programs disagree about which of the two values counts, so a body that
//! one program has checked could mean something else to another.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Deserializer, Map, Number, Value};

use crate::domain::invalid::{Invalid, NAME_CHARS, ValidationErrors};

/// What was read from a text of JSON.
pub(crate) struct Read {
    /// The value. Of a key that an object has twice, the last value.
    pub(crate) value: Value,
    /// Each key that an object has twice, by its path: `data.list[2].name`.
    pub(crate) twice: ValidationErrors,
}

/// Reads a text of JSON.
///
/// # Errors
/// The text is not JSON in UTF-8, or it is nested too deeply.
pub(crate) fn read(text: &[u8]) -> Result<Read, serde_json::Error> {
    let twice = RefCell::default();
    let mut deserializer = Deserializer::from_slice(text);
    let value = Node { path: &Path::Root, twice: &twice }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Read { value, twice: twice.into_inner() })
}

/// The place of a value in the text. It is spelled out only for an error.
enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Entry(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Entry(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl Path<'_> {
    /// The first characters of the path. Only as much of it is spelled out.
    fn begin(&self, chars: usize) -> String {
        let mut begin = Begin { text: String::new(), left: chars };
        // The error is that nothing is left: the rest of the path is not wanted.
        let _ = write!(begin, "{self}");
        begin.text
    }
}

/// A text that takes so many characters more. Then its writer gets an error and stops.
struct Begin {
    text: String,
    left: usize,
}

impl fmt::Write for Begin {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for c in part.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(c);
        }
        Ok(())
    }
}

/// Reads one value, and notes the keys that its objects have twice.
struct Node<'a> {
    path: &'a Path<'a>,
    twice: &'a RefCell<ValidationErrors>,
}

impl Node<'_> {
    /// A body may have a key 100,000 times, and a path of its own length: so what is noted once costs as much as the
    /// answer shows of it, and what the answer does not list costs nothing.
    fn note_twice(&self, path: &Path<'_>) {
        let mut twice = self.twice.borrow_mut();
        if twice.has_room() {
            twice.add(
                &path.begin(NAME_CHARS),
                Invalid::new("is in its object twice; each key is allowed once"),
            );
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        loop {
            let path = Path::Entry(self.path, entries.len());
            match list.next_element_seed(Node { path: &path, twice: self.twice })? {
                Some(entry) => entries.push(entry),
                None => return Ok(Value::Array(entries)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let path = Path::Field(self.path, &name);
            if fields.contains_key(&name) {
                self.note_twice(&path);
            }
            let value = object.next_value_seed(Node { path: &path, twice: self.twice })?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

/// The text of JSON without the white space between its parts; numbers and strings stay as they are written.
pub(crate) fn compact(json: &str) -> String {
    let (mut is_string, mut is_escaped) = (false, false);
    let mut stays = |c: &char| {
        let stays = is_string || !c.is_ascii_whitespace();
        is_string ^= *c == '"' && !is_escaped;
        is_escaped = is_string && *c == '\\' && !is_escaped;
        stays
    };
    json.chars().filter(|c| stays(c)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::invalid::LISTED_FIELDS;

    #[test]
    fn a_key_twice_is_named_at_any_depth() {
        let text =
            br#"{"a": 1, "a": 2, "b": {"c": [0, {"d": {}, "d": null, "e": 1, "\u0065": 2}]}, "f": {"a": 1}}"#;
        let read = read(text).unwrap();
        let names: Vec<_> = read.twice.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b.c[1].d", "b.c[1].e"]);
        assert_eq!(read.value["b"], json!({ "c": [0, { "d": null, "e": 2 }] }));
    }

    #[test]
    fn keys_that_occur_many_times_cost_no_more_than_their_text() {
        let long = "x".repeat(500_000);
        let pairs = |name: &str| format!("\"{name}\":1,").repeat(80_000) + "\"end\":1";
        let wide: String = (0..20_000).map(|n| format!("\"{n}\":1,\"{n}\":1,")).collect();
        let deep = ("{\"a\":".repeat(100) + "{" + &pairs("b") + "}") + &"}".repeat(100);
        for (text, named, first) in [
            (format!("{{\"{long}\":{{{}}}}}", pairs("a")), 1, &long[..64]),
            (format!("{{\"{long}\":[0,{{{wide}\"end\":1}}]}}"), 1, &long[..64]),
            (format!("{{{wide}\"end\":1}}"), LISTED_FIELDS, "0"),
            (deep, 1, &"a.".repeat(32)),
        ] {
            let begun = std::time::Instant::now();
            let read = read(text.as_bytes()).unwrap();
            let took = begun.elapsed();
            let names: Vec<_> = read.twice.iter().map(|(name, _)| name).collect();
            assert_eq!((names.len(), names[0]), (named, first));
            assert!(took < std::time::Duration::from_secs(2), "{took:?} for {} bytes", text.len());
        }
    }

    #[test]
    fn other_texts_are_read_as_serde_json_reads_them() {
        for text in [
            r#"{"a": [1, -2, 18446744073709551615, 1.5, 1e2, true, null, "\ud83e\udd80"], "b": {}}"#,
            "[]",
            " 7 ",
            r#""text""#,
        ] {
            let read = read(text.as_bytes()).unwrap();
            assert!(read.twice.is_empty());
            assert_eq!(read.value, serde_json::from_str::<Value>(text).unwrap());
        }
        let deep = "[".repeat(200);
        for bad in ["", "{", "{} {}", "[1,]", "01", "nan", "\"\\ud800\"", &deep] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn compacting_keeps_numbers_and_strings() {
        let text = "{ \"a\" : [ 1.0 , 1e2,\n12345678901234567890123 ],\t\"b \\\" c\\\\\" : \" x \" }";
        assert_eq!(compact(text), r#"{"a":[1.0,1e2,12345678901234567890123],"b \" c\\":" x "}"#);
    }
}
