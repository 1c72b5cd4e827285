//! Which part of the list of users: a page or what follows a cursor, and of which users.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::domain::cursor::{Cursor, Scope};
pub use crate::domain::filter::Filter;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::role::Role;
use crate::domain::search::SearchTerm;
use crate::domain::sort::{Sort, SortBy};

const MAX_LIMIT: u32 = 100;
const DEFAULT_LIMIT: u32 = 25;
/// Deeper pages cost the database a walk over everything before them; a cursor does not.
const MAX_PAGED_ROWS: u64 = 10_000;

/// How many users one answer holds: 1 to 100, by default 25.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Limit(u32);

impl Limit {
    /// Reads a number.
    ///
    /// # Errors
    /// Not a whole number of 1 to 100.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        match raw.parse() {
            Ok(limit @ 1..=MAX_LIMIT) => Ok(Self(limit)),
            _ => Err(Invalid::new("must be a whole number of 1 to 100")),
        }
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT_LIMIT)
    }
}

/// The number of a page, from 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct Page(u32);

impl Page {
    /// Reads a number.
    ///
    /// # Errors
    /// Not a whole number from 1, or a page that lies beyond the first 10,000 users.
    pub fn parse(raw: &str, limit: Limit) -> Result<Self, Invalid> {
        let deep = || {
            Invalid::new("lies too deep: page times limit may be at most 10000; follow next_cursor instead")
        };
        let digits = !raw.is_empty() && raw.bytes().all(|byte| byte.is_ascii_digit());
        match raw.parse::<u32>() {
            Ok(page) if page > 0 && u64::from(page) * u64::from(limit.0) <= MAX_PAGED_ROWS => Ok(Self(page)),
            Ok(page) if page > 0 => Err(deep()),
            Err(_) if digits => Err(deep()),
            _ => Err(Invalid::new("must be a whole number from 1")),
        }
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Page {
    fn default() -> Self {
        Self(1)
    }
}

/// Where a part of the list begins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Position {
    /// On a page.
    Page(Page),
    /// After a cursor.
    Cursor(Cursor),
}

/// A part of a list of users.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ListQuery {
    /// For readers of this role: what they may not see neither appears, nor counts, nor is searched.
    pub audience: Role,
    /// How many at most.
    pub limit: Limit,
    /// From where.
    pub position: Position,
    /// Of which users.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// Only users who are found by this, newest first.
    pub search: Option<SearchTerm>,
}

/// The parameters of a list as they stand in the URL.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// How many users at most, from 1 to 100. Default: 25.
    #[param(pattern = "^[0-9]+$")]
    pub limit: Option<String>,
    /// The number of a page, from 1, with page times limit at most 10,000; not together with `cursor`. Default: 1.
    #[param(pattern = "^[0-9]+$")]
    pub page: Option<String>,
    /// `next_cursor` of the part before, with the same role, status, sort and search.
    pub cursor: Option<String>,
    /// Only users of this role.
    #[param(pattern = "^(user|admin|superadmin)$")]
    pub role: Option<String>,
    /// Only `active` or only `inactive` users; inactive ones are shown to admins.
    #[param(pattern = "^(active|inactive)$")]
    pub status: Option<String>,
    /// `created_at`, `username`, `points` or `email`, with a `-` before it to turn it round. Default: `-created_at`. By e-mail
    /// address only where the caller sees that of everybody listed.
    #[param(pattern = "^-?(created_at|username|points|email)$")]
    pub sort: Option<String>,
    /// Only users with this anywhere in their name, user name or (where the caller sees it) e-mail address; with fewer than
    /// three characters, only those whose user name or e-mail address begins with it. Newest first, and without a total.
    #[param(max_length = 100)]
    pub search: Option<String>,
}

impl ListQuery {
    /// The first page of everybody, newest first, for readers of a role.
    pub fn first(audience: Role) -> Self {
        let filter = Filter { role: None, is_active: (audience == Role::User).then_some(true) };
        let (limit, position) = (Limit::default(), Position::default());
        Self { audience, limit, position, filter, sort: Sort::default(), search: None }
    }

    /// Parses the parameters of a list for readers of a role.
    ///
    /// # Errors
    /// Every parameter that is wrong, or asks for what these readers may not see.
    pub fn parse(params: &ListParams, audience: Role) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let limit = params.limit.as_deref().and_then(|raw| errors.keep("limit", Limit::parse(raw)));
        let limit = limit.unwrap_or_default();
        let role = params.role.as_deref().and_then(|raw| errors.keep("role", raw.parse()));
        let is_active = params.status.as_deref().and_then(|raw| errors.keep("status", status(raw, audience)));
        let is_active = if audience == Role::User { Some(true) } else { is_active };
        let filter = Filter { role, is_active };
        let search = params.search.as_deref().and_then(|raw| errors.keep("search", SearchTerm::parse(raw)));
        let sort = params.sort.as_deref().and_then(|raw| errors.keep("sort", sort(raw, filter, audience)));
        if search.is_some() && sort.is_some_and(|sort| sort != Sort::default()) {
            errors
                .add("sort", Invalid::new("cannot go together with search, whose results come newest first"));
        }
        let sort = sort.unwrap_or_default();
        let scope = Scope::new(filter, sort, search.as_ref());
        let position = match (params.page.as_deref(), params.cursor.as_deref()) {
            (Some(_), Some(_)) => {
                errors.add("cursor", Invalid::new("cannot go together with page"));
                None
            }
            (Some(raw), None) if search.is_some() && raw != "1" => {
                errors
                    .add("page", Invalid::new("cannot go together with search; follow next_cursor instead"));
                None
            }
            // Of a list that is refused anyway, nobody knows where its cursor belongs.
            (_, Some(_)) if !errors.is_empty() => None,
            (_, Some(raw)) => errors.keep("cursor", Cursor::parse(raw, scope)).map(Position::Cursor),
            (Some(raw), _) => errors.keep("page", Page::parse(raw, limit)).map(Position::Page),
            (None, None) => None,
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self { audience, limit, position: position.unwrap_or_default(), filter, sort, search })
    }

    /// What its cursors are good for.
    pub fn scope(&self) -> Scope {
        Scope::new(self.filter, self.sort, self.search.as_ref())
    }
}

impl Default for Position {
    fn default() -> Self {
        Self::Page(Page::default())
    }
}

fn status(raw: &str, audience: Role) -> Result<bool, Invalid> {
    match raw {
        "active" => Ok(true),
        "inactive" if audience == Role::User => {
            Err(Invalid::new("inactive is for admins; active is allowed"))
        }
        "inactive" => Ok(false),
        _ => Err(Invalid::new("is not a status; active and inactive are allowed")),
    }
}

/// An order by addresses tells of them, and its cursors hold one.
fn sort(raw: &str, filter: Filter, audience: Role) -> Result<Sort, Invalid> {
    let sort: Sort = raw.parse()?;
    let is_shown = match audience {
        Role::User => false,
        Role::Admin => filter.role.is_some_and(|role| role < Role::Superadmin),
        Role::Superadmin => true,
    };
    match sort.by {
        SortBy::Email if !is_shown && audience == Role::User => {
            Err(Invalid::new("by email is for admins; created_at, username and points are allowed"))
        }
        SortBy::Email if !is_shown => Err(Invalid::new(
            "by email needs role=user or role=admin, because the addresses of superadmins are hidden",
        )),
        _ => Ok(sort),
    }
}

#[cfg(test)]
#[path = "paging_tests.rs"]
mod tests;
