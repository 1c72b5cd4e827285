//! The types of the domain that are keys of entries, and the texts that they write into a key.

use larder::key::{Key, KeyParts, PartKind};

use crate::domain::api_key::ApiKeyId;
use crate::domain::contact::{Email, Phone};
use crate::domain::identity::{ExternalId, UserId, Username};
use crate::domain::leaderboard::LeaderboardQuery;
use crate::domain::paging::{Limit, ListQuery, Position};
use crate::domain::statistics::Day;

/// Implements [`Key`] for types of the domain.
/// `keys! { Email [Canonical] => |email, parts| parts.push(email.as_str()); }` expands to
///
/// ```text
/// impl Key for Email {
///     fn parts(&self, parts: &mut KeyParts<'_>) {
///         let email = self;
///         parts.push(email.as_str())
///     }
///     fn with_key<R>(&self, f: impl FnOnce(&Self) -> R) -> R {
///         f(self)
///     }
///     fn kinds() -> Option<Vec<PartKind>> {
///         Some(vec![PartKind::Canonical])
///     }
/// }
/// ```
///
/// If a type has no kinds (`[]`), the journal cannot name a single entry of a class with this key type. The row of such
/// a class has to declare a touch of all its entries, by the class's tag.
macro_rules! keys {
    (@kinds) => { None };
    (@kinds $($kind:ident),+) => { Some(vec![$(PartKind::$kind),+]) };
    ($($type:ty [$($kind:ident),*] => |$key:ident, $parts:ident| $push:expr;)+) => {$(
        impl Key for $type {
            fn parts(&self, $parts: &mut KeyParts<'_>) {
                let $key = self;
                $push
            }

            fn with_key<R>(&self, f: impl FnOnce(&Self) -> R) -> R {
                f(self)
            }

            fn kinds() -> Option<Vec<PartKind>> {
                keys!(@kinds $($kind),*)
            }
        }
    )+};
}

keys! {
    UserId [Canonical] => |id, parts| parts.push(id);
    Email [Canonical] => |email, parts| parts.push(email.as_str());
    Username [Canonical] => |username, parts| parts.push(username.as_str());
    Phone [Canonical] => |phone, parts| parts.push(phone.as_str());
    ExternalId [Canonical] => |external, parts| parts.push(external.as_str());
    ApiKeyId [Canonical] => |id, parts| parts.push(id);
    Limit [] => |limit, parts| parts.push(&limit.get());
    Day [] => |day, parts| parts.push(&day.number());
    LeaderboardQuery [] => |query, parts| {
        parts.push(&query.limit.get());
        parts.push(&query.offset);
    };
    ListQuery [] => |query, parts| {
        parts.push(&query.audience.as_str());
        parts.push(&query.limit.get());
        match &query.position {
            Position::Page(page) => parts.push(&format_args!("page={}", page.get())),
            Position::Cursor(cursor) => parts.push(&format_args!("cursor={}", cursor.encode())),
        }
        parts.push_option(query.filter.role.map(|role| role.as_str()));
        parts.push_option(query.filter.is_active.as_ref());
        parts.push(&query.sort.as_text());
        parts.push_option(query.search.as_ref().map(|term| term.as_str()));
    };
}
