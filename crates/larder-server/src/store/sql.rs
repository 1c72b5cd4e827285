//! A statement that is built from parts: its text and the values of its parameters.

use sqlx::AssertSqlSafe;

use crate::domain::cursor::Place;
use crate::store::row::Query;

/// The statement grows at its end. Values are bound as parameters and are never part of the text.
#[derive(Default)]
pub(super) struct Sql {
    pub(super) text: String,
    bound: Vec<Place>,
}

impl Sql {
    /// Adds text.
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Binds a value and returns its parameter, which several places of the text may use.
    pub(super) fn bind(&mut self, value: Place) -> String {
        self.bound.push(value);
        format!("${}", self.bound.len())
    }

    /// Binds a number, as [`Sql::bind`] does.
    pub(super) fn bind_number(&mut self, value: impl Into<i64>) -> String {
        self.bind(Place::Number(value.into()))
    }

    /// Binds a text, as [`Sql::bind`] does.
    pub(super) fn bind_text(&mut self, value: impl Into<String>) -> String {
        self.bind(Place::Text(value.into()))
    }

    /// The statement, ready to run.
    pub(super) fn query(self) -> Query<'static> {
        let query = sqlx::query(AssertSqlSafe(self.text));
        self.bound.into_iter().fold(query, |query, value| match value {
            Place::Number(number) => query.bind(number),
            Place::Text(text) => query.bind(text),
        })
    }
}
