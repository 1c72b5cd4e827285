//! Permissions: a permission is a name that allows a user to do something for which it would otherwise need to be an
//! admin.

use serde::{Deserialize, Serialize};

use crate::domain::invalid::Invalid;
use crate::domain::text::text_type;
use crate::domain::timestamp::Timestamp;

text_type! {
    /// A permission: 1 to 64 of `a-z 0-9 . _ -`. Any name may be granted; the service itself checks those of [`Right`].
    Permission
}

impl Permission {
    /// Checks the text.
    ///
    /// # Errors
    /// The text has other characters, or its length is out of bounds.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        slug(raw).map(Self)
    }
}

/// Checks that the text has 1 to 64 lower-case letters, digits, dots, underscores and dashes.
pub(crate) fn slug(raw: &str) -> Result<String, Invalid> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    match (1..=64).contains(&raw.len()) && raw.bytes().all(allowed) {
        true => Ok(raw.to_owned()),
        false => Err(Invalid::new("must be 1 to 64 lower-case letters, digits, dots, underscores or dashes")),
    }
}

/// A right for which the service itself checks a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// `points.write`: the user may book points for all other users.
    WritePoints,
    /// `achievements.award`: the user may award achievements to all other users.
    AwardAchievements,
    /// `statistics.read`: the user may read the statistics over all users.
    ReadStatistics,
    /// `audit.read`: the user may read the audit log.
    ReadAudit,
}

impl Right {
    /// All rights.
    pub const ALL: [Self; 4] =
        [Self::WritePoints, Self::AwardAchievements, Self::ReadStatistics, Self::ReadAudit];

    /// The permission that gives the right.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WritePoints => "points.write",
            Self::AwardAchievements => "achievements.award",
            Self::ReadStatistics => "statistics.read",
            Self::ReadAudit => "audit.read",
        }
    }
}

/// The rights that a user's permissions give.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights([bool; Right::ALL.len()]);

impl Rights {
    /// The rights that these permissions give; permissions of other applications give none.
    pub fn of(permissions: &[Permission]) -> Self {
        Self(
            Right::ALL
                .map(|right| permissions.iter().any(|permission| permission.as_str() == right.as_str())),
        )
    }

    /// Whether `right` is one of these rights.
    pub fn hold(self, right: Right) -> bool {
        Right::ALL.iter().zip(self.0).any(|(each, held)| held && *each == right)
    }
}

/// A permission that a user has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Grant {
    /// The permission.
    pub permission: Permission,
    /// The id of the user who granted the permission; `null` if another program did.
    pub granted_by: Option<String>,
    /// When the permission was granted.
    pub granted_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_slugs_and_some_are_rights() {
        let all = Right::ALL.map(|right| Permission::parse(right.as_str()).unwrap());
        for (nth, right) in Right::ALL.into_iter().enumerate() {
            let one = Rights::of(&all[nth..=nth]);
            let held = Right::ALL.into_iter().filter(|each| one.hold(*each)).collect::<Vec<_>>();
            assert_eq!(held, [right]);
        }
        assert!(!Rights::of(&[Permission::parse("points.writer").unwrap()]).hold(Right::WritePoints));
        for bad in ["", "Points.write", "a b", "a:b", "a*", "a/b", "é", "a\0", &"x".repeat(65)] {
            assert!(Permission::parse(bad).is_err(), "{bad:?}");
        }
    }
}
