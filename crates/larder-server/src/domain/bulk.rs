//! Requests about many users at once, and the outcome for each user.

use serde::Serialize;
use serde_json::Value;

use crate::domain::fields::Fields;
use crate::domain::identity::{ExternalId, UserId};
use crate::domain::invalid::{Invalid, ValidationErrors};

const USERS: usize = 1000;

/// A user in a list, by id or by external id. `me` is not allowed in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListedId {
    /// By the id of this service.
    Id(UserId),
    /// By the id of another system.
    External(ExternalId),
}

impl ListedId {
    /// Parses either kind of id.
    ///
    /// # Errors
    /// The text is neither a UUID of version 7 nor an external id.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        UserId::parse(raw)
            .map(Self::Id)
            .or_else(|_| ExternalId::parse(raw).map(Self::External))
            .map_err(|_| Invalid::new("is not an id; expected a UUID of version 7 or an external id"))
    }

    /// The id as it was sent; a UUID in lower case.
    pub fn shown(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::External(external) => external.as_str().to_owned(),
        }
    }
}

/// `POST users/bulk/…`: 1 to 1,000 ids; an id may occur twice.
#[derive(Debug)]
pub struct BulkBody(pub Vec<ListedId>);

/// The ids, as the OpenAPI document describes the body of a request.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "describes bodies in the OpenAPI document only")]
pub struct BulkIds {
    /// UUIDs of version 7 and external ids.
    #[schema(min_items = 1, max_items = 1000, example = json!(["staff-7", "staff-8"]))]
    ids: Vec<String>,
}

impl BulkBody {
    /// Parses a body.
    ///
    /// # Errors
    /// `ids` is no list, is empty or too long, or has a wrong entry; the first wrong entry is named.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let ids = fields.list("ids", |entries| {
            if !(1..=USERS).contains(&entries.len()) {
                return Err(Invalid::new("must hold 1 to 1000 ids"));
            }
            let parse = |(index, entry): (usize, &Value)| {
                let id =
                    entry.as_str().ok_or_else(|| Invalid::new("must be a string")).and_then(ListedId::parse);
                id.map_err(|invalid| Invalid::new(format!("entry {} {}", index + 1, invalid.message())))
            };
            entries.iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>().map(Self)
        });
        fields.finish(ids)
    }
}

/// The outcome for one of many users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The user was changed to the requested status.
    Changed,
    /// The user had the requested status already.
    Already,
    /// There is no such user.
    NotFound,
    /// The caller may not change the user.
    Forbidden,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_of_both_kinds_are_accepted_and_others_are_named_by_their_place() {
        let ours = UserId::generate().to_string().to_uppercase();
        let BulkBody(ids) = BulkBody::parse(json!({ "ids": [ours, "5779356081", "123"] })).unwrap();
        assert_eq!(ids[0].shown(), ours.to_lowercase());
        assert_eq!(ids[1], ListedId::External(ExternalId::parse("5779356081").unwrap()));
        for (bad, says) in [
            (json!([]), "1 to 1000"),
            (json!(vec!["1"; 1001]), "1 to 1000"),
            (json!(["1", "me"]), "entry 2 is not an id"),
            (json!(["1", 2]), "entry 2 must be a string"),
            (json!("1"), "must be a list"),
        ] {
            let errors = BulkBody::parse(json!({ "ids": bad })).unwrap_err();
            assert!(errors.get("ids").unwrap().contains(says), "{errors}");
        }
    }
}
