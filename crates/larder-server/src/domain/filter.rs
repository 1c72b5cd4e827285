//! Which users a list is about.

use serde::{Deserialize, Serialize};

use crate::domain::role::Role;

/// Of which users a list is; the default is all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Filter {
    /// Only users of this role.
    pub role: Option<Role>,
    /// Only active or only inactive users.
    pub is_active: Option<bool>,
}
