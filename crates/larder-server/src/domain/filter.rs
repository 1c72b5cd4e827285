//! The filter of a list of users.

use serde::{Deserialize, Serialize};

use crate::domain::role::Role;

/// Which users a list contains; the default is all users.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Filter {
    /// Only users of this role; `None`: users of all roles.
    pub role: Option<Role>,
    /// `true`: only active users; `false`: only inactive users; `None`: both.
    pub is_active: Option<bool>,
}
