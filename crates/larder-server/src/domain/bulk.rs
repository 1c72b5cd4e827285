//! Requests about many users at once, and the outcome for each user.

use serde::Serialize;

use crate::domain::body::{Confirmation, Confirming};
use crate::domain::fields::body;
use crate::domain::identity::{ExternalId, UserId, id_of_user};
use crate::domain::invalid::Invalid;
use crate::domain::json::{List, from_json, text_of};

/// A user in a list, by id or by external id. `me` is not allowed in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListedId {
    /// The user's id in this service.
    Id(UserId),
    /// The user's id in another system.
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

    /// The id as the client sent it; a UUID is in lower case.
    pub fn shown(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::External(external) => external.as_str().to_owned(),
        }
    }
}

from_json!(ListedId, text_of, Self::parse, id_of_user());

body! {
    /// The users to change.
    #[schema(BulkIds, {"ids": ["staff-7", "staff-8"]})]
    #[derive(Debug)]
    pub struct BulkBody {
        /// UUIDs of version 7 and external ids; an id may occur twice.
        pub ids: Vec<ListedId> as List<ListedId, 1, 1000>,
        /// Needed to activate users with a role above `user`. Without it, these users stay as they are.
        pub confirmation: Confirmation as Confirming,
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
        let BulkBody { ids, .. } = BulkBody::parse(json!({ "ids": [ours, "5779356081", "123"] })).unwrap();
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
