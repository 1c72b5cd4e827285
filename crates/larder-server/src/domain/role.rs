//! The three roles of users.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::invalid::Invalid;
use crate::domain::json::{component, from_json, text_of};

/// A role. Roles are ordered: a higher one may do everything that a lower one may.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads and changes only its own account.
    #[default]
    User,
    /// Manages all users but superadmins.
    Admin,
    /// Manages all users.
    Superadmin,
}

impl Role {
    /// All roles, in ascending order.
    pub const ALL: [Self; 3] = [Self::User, Self::Admin, Self::Superadmin];

    /// The name of the role in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
            Self::Superadmin => "superadmin",
        }
    }
}

impl FromStr for Role {
    type Err = Invalid;

    fn from_str(raw: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == raw)
            .ok_or_else(|| Invalid::new("is not a role; user, admin and superadmin are allowed"))
    }
}

from_json!(Role, text_of, str::parse, component::<Self>());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered_words() {
        assert!(Role::User < Role::Admin && Role::Admin < Role::Superadmin);
        for role in [Role::User, Role::Admin, Role::Superadmin] {
            assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert!("Admin".parse::<Role>().is_err());
    }
}
