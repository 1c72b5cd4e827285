//! What is written into the keys of entries.

use larder::key::{Key, KeyParts, PartKind};

use crate::domain::api_key::ApiKeyId;
use crate::domain::contact::{Email, Phone};
use crate::domain::identity::{ExternalId, UserId, Username};
use crate::domain::leaderboard::LeaderboardQuery;
use crate::domain::paging::{Limit, ListQuery, Position};
use crate::domain::statistics::Day;

/// Keys of one part that has one text for each value. `canonical! { Email => |email| email.as_str(); }` is
///
/// ```text
/// impl Key for Email {
///     fn parts(&self, parts: &mut KeyParts<'_>) {
///         let email = self;
///         parts.push(email.as_str());
///     }
///     fn kinds() -> Option<Vec<PartKind>> {
///         Some(vec![PartKind::Canonical])
///     }
/// }
/// ```
macro_rules! canonical {
    ($($type:ty => |$key:ident| $part:expr;)+) => {$(
        impl Key for $type {
            fn parts(&self, parts: &mut KeyParts<'_>) {
                let $key = self;
                parts.push($part);
            }

            fn kinds() -> Option<Vec<PartKind>> {
                Some(vec![PartKind::Canonical])
            }
        }
    )+};
}

canonical! {
    UserId => |id| id;
    Email => |email| email.as_str();
    Username => |username| username.as_str();
    Phone => |phone| phone.as_str();
    ExternalId => |external| external.as_str();
    ApiKeyId => |id| id;
}

impl Key for Limit {
    fn parts(&self, parts: &mut KeyParts<'_>) {
        parts.push(&self.get());
    }
}

impl Key for Day {
    fn parts(&self, parts: &mut KeyParts<'_>) {
        parts.push(&self.number());
    }
}

impl Key for LeaderboardQuery {
    fn parts(&self, parts: &mut KeyParts<'_>) {
        parts.push(&self.limit.get());
        parts.push(&self.offset);
    }
}

impl Key for ListQuery {
    fn parts(&self, parts: &mut KeyParts<'_>) {
        parts.push(&self.audience.as_str());
        parts.push(&self.limit.get());
        match &self.position {
            Position::Page(page) => parts.push(&format_args!("page={}", page.get())),
            Position::Cursor(cursor) => parts.push(&format_args!("cursor={}", cursor.encode())),
        }
        parts.push_option(self.filter.role.map(|role| role.as_str()));
        parts.push_option(self.filter.is_active.as_ref());
        parts.push(&self.sort.as_text());
        parts.push_option(self.search.as_ref().map(|term| term.as_str()));
    }
}
