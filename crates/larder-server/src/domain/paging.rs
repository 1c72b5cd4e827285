//! The query of a list of users: filter, sort, search, and a page by number or after a cursor.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::domain::cursor::{Cursor, CursorScope};
pub use crate::domain::filter::Filter;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::json::words;
use crate::domain::role::Role;
use crate::domain::search::SearchTerm;
use crate::domain::sort::{Sort, SortBy};

const MAX_LIMIT: u32 = 100;
const DEFAULT_LIMIT: u32 = 25;
/// The number of the last row that a page by number can show. It has a limit because the database reads all rows before
/// the page. A page after a cursor needs no such read.
const MAX_PAGED_ROWS: u64 = 10_000;

/// How many items one answer has at most: 1 to 100, by default 25.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Limit(u32);

impl Limit {
    /// Parses a number.
    ///
    /// # Errors
    /// The text is not an integer from 1 to 100.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        match raw.parse() {
            Ok(limit @ 1..=MAX_LIMIT) => Ok(Self(limit)),
            _ => Err(Invalid::new("must be an integer from 1 to 100")),
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
    /// Parses a number.
    ///
    /// # Errors
    /// The text is not an integer from 1, or the page is beyond the first 10,000 users.
    pub fn parse(raw: &str, limit: Limit) -> Result<Self, Invalid> {
        let deep = || {
            Invalid::new("is too large: page times limit may be at most 10000; follow next_cursor instead")
        };
        let digits = !raw.is_empty() && raw.bytes().all(|byte| byte.is_ascii_digit());
        match raw.parse::<u32>() {
            Ok(page) if page > 0 && u64::from(page) * u64::from(limit.0) <= MAX_PAGED_ROWS => Ok(Self(page)),
            Ok(page) if page > 0 => Err(deep()),
            Err(_) if digits => Err(deep()),
            _ => Err(Invalid::new("must be an integer from 1")),
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

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Position {
    /// The page has this number.
    Page(Page),
    /// The page begins after this cursor.
    Cursor(Cursor),
}

/// One page of a list of users.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ListQuery {
    /// The role of the readers. Only users and fields that this role may see are listed, counted and searched.
    pub audience: Role,
    /// How many users at most.
    pub limit: Limit,
    /// Where the page begins.
    pub position: Position,
    /// Which users the list contains.
    pub filter: Filter,
    /// The order of the users.
    pub sort: Sort,
    /// Only users that this term finds, newest first.
    pub search: Option<SearchTerm>,
}

/// The parameters of a list, as in the URL.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// How many users at most, from 1 to 100. Default: 25.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    pub limit: Option<String>,
    /// The number of the page, from 1, with page times limit at most 10,000; not together with `cursor`. Default: 1.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 10_000)]
    pub page: Option<String>,
    /// The `next_cursor` of the previous page, with the same role, status, sort and search.
    pub cursor: Option<String>,
    /// Only users of this role.
    #[param(value_type = Option<RoleWord>, inline)]
    pub role: Option<String>,
    /// Only `active` or only `inactive` users; only admins see inactive ones.
    #[param(value_type = Option<StatusWord>, inline)]
    pub status: Option<String>,
    /// `created_at`, `username`, `points` or `email`; a `-` before it reverses the order. Default: `-created_at`.
    /// `email` is allowed only if the caller may see the address of every listed user.
    #[param(value_type = Option<SortWord>, inline)]
    pub sort: Option<String>,
    /// Only users with this text anywhere in their name, user name or (if the caller may see it) e-mail address,
    /// whatever its case and accents. With fewer than three letters: only users that have a word there that begins with
    /// it. Newest first, and without a total.
    #[param(max_length = 100)]
    pub search: Option<String>,
}

words! {
    /// A role, as a parameter.
    RoleWord, Role::ALL.map(Role::as_str)
}

words! {
    /// A status, as a parameter.
    StatusWord, ["active", "inactive"]
}

words! {
    /// An order, as a parameter.
    SortWord, Sort::WORDS
}

impl ListQuery {
    /// The first page of all users, newest first, for readers of a role.
    pub fn first(audience: Role) -> Self {
        let filter = Filter { role: None, is_active: (audience == Role::User).then_some(true) };
        let (limit, position) = (Limit::default(), Position::default());
        Self { audience, limit, position, filter, sort: Sort::default(), search: None }
    }

    /// Parses the parameters of a list for readers of a role.
    ///
    /// # Errors
    /// Every parameter that is invalid, or that asks for data that these readers may not see.
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
        let scope = CursorScope::new(filter, sort, search.as_ref());
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
            // If another parameter is wrong, the list's scope is unknown, so the cursor cannot be checked.
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

    /// The scope of this list's cursors: they are valid for lists with the same scope.
    pub fn scope(&self) -> CursorScope {
        CursorScope::new(self.filter, self.sort, self.search.as_ref())
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

/// The order by e-mail address discloses addresses, and its cursors hold one. So this order is allowed only if the
/// readers may see the address of every listed user.
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
