//! A user with every part of its profile, all read in one snapshot.

use serde::{Deserialize, Serialize};

use crate::domain::parts::accessibility::Accessibility;
use crate::domain::parts::interests::Interests;
use crate::domain::parts::languages::Languages;
use crate::domain::parts::preferences::Preferences;
use crate::domain::user::User;

/// Everything about a user, for the user itself and for callers that manage it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is named after its type, which is documented")]
pub struct FullProfile {
    pub user: User,
    pub preferences: Preferences,
    pub languages: Languages,
    pub accessibility: Accessibility,
    pub interests: Interests,
}
