//! Parses the fields of a JSON object one by one and collects every error, so that one answer names them all.

use serde_json::{Map, Value};

use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::patch::Patch;
use crate::domain::profile::Skills;

/// The fields of a request's body that have not been taken yet, and the errors of the others.
pub(crate) struct Fields {
    rest: Map<String, Value>,
    known: Vec<&'static str>,
    errors: ValidationErrors,
}

type Parse<T> = fn(&str) -> Result<T, Invalid>;

impl Fields {
    /// Begins to parse a body.
    pub(crate) fn of(body: Value) -> Result<Self, ValidationErrors> {
        match body {
            Value::Object(rest) => Ok(Self { rest, known: Vec::new(), errors: ValidationErrors::default() }),
            _ => Err(ValidationErrors::one("body", Invalid::new("must be a JSON object"))),
        }
    }

    /// A required text.
    pub(crate) fn required<T>(&mut self, name: &'static str, parse: Parse<T>) -> Option<T> {
        match self.take(name) {
            None => self.refuse(name, "is required"),
            Some(value) => self.text(name, &value, parse),
        }
    }

    /// An optional text; null counts as missing.
    pub(crate) fn optional<T>(&mut self, name: &'static str, parse: Parse<T>) -> Option<T> {
        match self.take(name) {
            None | Some(Value::Null) => None,
            Some(value) => self.text(name, &value, parse),
        }
    }

    /// A text that may be missing but not null.
    pub(crate) fn replacing<T>(&mut self, name: &'static str, parse: Parse<T>) -> Option<T> {
        let value = self.take(name)?;
        self.text(name, &value, parse)
    }

    /// A text that may be missing (keep), null (clear) or present (set).
    pub(crate) fn patch<T>(&mut self, name: &'static str, parse: Parse<T>) -> Patch<T> {
        match self.take(name) {
            None => Patch::Keep,
            Some(Value::Null) => Patch::Clear,
            Some(value) => self.text(name, &value, parse).map_or(Patch::Keep, Patch::Set),
        }
    }

    /// `true` or `false`; may be missing.
    pub(crate) fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(flag) => Some(flag),
            _ => self.refuse(name, "must be true or false"),
        }
    }

    /// An integer; may be missing but not null.
    pub(crate) fn replacing_number<T>(
        &mut self,
        name: &'static str,
        parse: fn(i64) -> Result<T, Invalid>,
    ) -> Option<T> {
        let value = self.take(name)?;
        self.integer(name, &value, parse)
    }

    /// A required list.
    pub(crate) fn list<T>(
        &mut self,
        name: &'static str,
        parse: fn(Vec<Value>) -> Result<T, Invalid>,
    ) -> Option<T> {
        match self.take(name) {
            None => self.refuse(name, "is required"),
            Some(Value::Array(entries)) => self.errors.keep(name, parse(entries)),
            Some(Value::Null) => self.refuse(name, "must not be null"),
            Some(_) => self.refuse(name, "must be a list"),
        }
    }

    /// A list of skills; may be missing, and null means the empty list.
    pub(crate) fn skills(&mut self, name: &'static str) -> Option<Skills> {
        match self.take(name)? {
            Value::Null => Some(Skills::default()),
            Value::Array(entries) => {
                let Some(texts) = entries.iter().map(Value::as_str).collect::<Option<Vec<_>>>() else {
                    return self.refuse(name, "must hold strings only");
                };
                let parsed = Skills::parse(texts);
                self.errors.keep(name, parsed)
            }
            _ => self.refuse(name, "must be a list of strings"),
        }
    }

    /// A required list of 1 to `max` texts, each of which may be null.
    pub(crate) fn parts(&mut self, name: &'static str, max: usize) -> Option<Vec<Option<String>>> {
        let Some(Value::Array(entries)) = self.take(name) else {
            return self.refuse(name, "must be a list of strings and nulls");
        };
        if !(1..=max).contains(&entries.len()) {
            return self.refuse(name, "has too many entries or none");
        }
        let part = |entry| match entry {
            Value::Null => Some(None),
            Value::String(text) => Some(Some(text)),
            _ => None,
        };
        let parts = entries.into_iter().map(part).collect::<Option<_>>();
        parts.or_else(|| self.refuse(name, "must hold strings and nulls only"))
    }

    /// The one of several fields that is present.
    pub(crate) fn exactly_one<T>(
        &mut self,
        found: impl IntoIterator<Item = Option<T>>,
        needed: &'static str,
    ) -> Option<T> {
        let mut found = found.into_iter().flatten();
        match (found.next(), found.next()) {
            (Some(one), None) => Some(one),
            // If a field was refused, its error is enough: an error about the number of fields could be wrong.
            _ if self.is_refused() => None,
            _ => self.refuse("body", needed),
        }
    }

    /// A required integer.
    pub(crate) fn number<T>(
        &mut self,
        name: &'static str,
        parse: fn(i64) -> Result<T, Invalid>,
    ) -> Option<T> {
        match self.take(name) {
            None => self.refuse(name, "is required"),
            Some(value) => self.integer(name, &value, parse),
        }
    }

    /// An optional integer; null counts as missing.
    pub(crate) fn optional_number<T>(
        &mut self,
        name: &'static str,
        parse: fn(i64) -> Result<T, Invalid>,
    ) -> Option<T> {
        match self.take(name) {
            None | Some(Value::Null) => None,
            Some(value) => self.integer(name, &value, parse),
        }
    }

    /// An optional JSON value; null counts as missing.
    pub(crate) fn value<T>(
        &mut self,
        name: &'static str,
        parse: fn(&Value) -> Result<T, Invalid>,
    ) -> Option<T> {
        match self.take(name) {
            None | Some(Value::Null) => None,
            Some(value) => self.errors.keep(name, parse(&value)),
        }
    }

    /// Adds the error of a parse.
    pub(crate) fn refuse_as<T>(&mut self, name: &str, invalid: Invalid) -> Option<T> {
        self.errors.add(name, invalid);
        None
    }

    /// A list of texts; may be missing.
    pub(crate) fn texts<T>(&mut self, name: &'static str, parse: Parse<T>) -> Option<Vec<T>> {
        let Value::Array(entries) = self.take(name)? else {
            return self.refuse(name, "must be a list of strings");
        };
        let Some(texts) = entries.iter().map(Value::as_str).collect::<Option<Vec<_>>>() else {
            return self.refuse(name, "must hold strings only");
        };
        let parsed = texts.into_iter().map(parse).collect();
        self.errors.keep(name, parsed)
    }

    /// Adds an error.
    pub(crate) fn refuse<T>(&mut self, name: &str, message: &'static str) -> Option<T> {
        self.errors.add(name, Invalid::new(message));
        None
    }

    /// Whether there is an error so far.
    pub(crate) fn is_refused(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The value that was built from the fields, unless there was an error or a field is unknown.
    pub(crate) fn finish<T>(mut self, built: Option<T>) -> Result<T, ValidationErrors> {
        for name in self.rest.keys() {
            let known = self.known.join(", ");
            self.errors.add(name, Invalid::new(format!("is unknown here; allowed are {known}")));
        }
        match built {
            Some(built) if self.errors.is_empty() => Ok(built),
            _ => Err(self.errors),
        }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.rest.remove(name)
    }

    fn integer<T>(&mut self, name: &str, value: &Value, parse: fn(i64) -> Result<T, Invalid>) -> Option<T> {
        match value.as_i64() {
            Some(number) => self.errors.keep(name, parse(number)),
            None => self.refuse(name, "must be an integer of at most 64 bits"),
        }
    }

    fn text<T>(&mut self, name: &str, value: &Value, parse: Parse<T>) -> Option<T> {
        match value {
            Value::String(text) => self.errors.keep(name, parse(text)),
            Value::Null => self.refuse(name, "must not be null"),
            _ => self.refuse(name, "must be a string"),
        }
    }
}
