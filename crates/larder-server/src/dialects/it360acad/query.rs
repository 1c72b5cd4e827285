//! The parameters of `/api/users/`, as Django REST framework and django-filter name and read them.

use std::num::IntErrorKind;

use serde::Deserialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::api::codes::Code;
use crate::api::problem::Problem;
use crate::domain::contact::{Email, Phone};
use crate::domain::identity::{ExternalId, Identifier, UserId, Username};
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::json::{integer, one_of_words, string, words};
use crate::domain::paging::ListParams;
use crate::domain::role::Role;
use crate::domain::search::SearchTerm;
use crate::domain::sort::{Sort, SortBy};
use crate::domain::user::User;
use crate::service::access::Caller;

/// Pages by number end here; see [`ListParams`].
pub(super) const PAGED: usize = 10_000;
const LARGEST_PAGE: usize = 100;
const DEFAULT_PAGE: usize = 25;

/// The parameters of a list, as in the URL.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DjangoParams {
    /// The number of the page, from 1; `last` is the last page. Without `page` and `page_size` the answer is an array.
    #[param(value_type = PageOrLast, inline, required = false)]
    page: Option<String>,
    /// How many users a page has, from 1; above 100, it has 100. Default: 25, also for any other text.
    #[param(value_type = SizeOrAny, inline, required = false)]
    page_size: Option<String>,
    /// The cursor in the `Link` of the previous array, or in the `next` of the previous page.
    cursor: Option<String>,
    /// Only users with this text in their name, user name or (if the caller may see it) e-mail address.
    #[param(max_length = 100)]
    search: Option<String>,
    /// `created_at`, `username`, `points` or `email`; a `-` before it reverses the order. `id` is the order of
    /// creation. Of a list of names with commas, the first of these counts. Default: `-created_at`.
    ordering: Option<String>,
    /// Only the user with this id.
    id: Option<String>,
    /// Only the user with this id in another system.
    external_id: Option<String>,
    /// Only the user with this address, if the caller may see it.
    email: Option<String>,
    /// Only the user with this user name.
    username: Option<String>,
    /// Only the user with this telephone number, if the caller may see it.
    phone: Option<String>,
    /// Only users of this role.
    #[param(value_type = Option<RoleName>, inline)]
    role: Option<String>,
    /// `true`: only active users. `false`: only inactive ones, which admins see.
    #[param(value_type = Option<bool>)]
    is_active: Option<String>,
    // The other columns of a user. They are named here so that a filter is never ignored by mistake.
    #[param(ignore)]
    full_name: Option<String>,
    #[param(ignore)]
    bio: Option<String>,
    #[param(ignore)]
    occupation: Option<String>,
    #[param(ignore)]
    location: Option<String>,
    #[param(ignore)]
    avatar_url: Option<String>,
    #[param(ignore)]
    skills: Option<String>,
    #[param(ignore)]
    experience: Option<String>,
    #[param(ignore)]
    points: Option<String>,
    #[param(ignore)]
    created_at: Option<String>,
    #[param(ignore)]
    updated_at: Option<String>,
    #[param(ignore)]
    version: Option<String>,
}

words! {
    /// A role, as a filter.
    RoleName, Role::ALL.map(Role::as_str)
}

/// A page that a request asks for.
#[derive(Clone, Copy)]
pub(super) struct PageNumber {
    /// `None`: the last page.
    pub(super) number: Option<usize>,
    pub(super) size: usize,
}

impl PageNumber {
    /// The page's number in a list of `count` users.
    pub(super) fn number(self, count: usize) -> usize {
        self.number.unwrap_or(count.div_ceil(self.size).max(1))
    }

    /// The index of its first user in a list of `count` users.
    pub(super) fn first(self, count: usize) -> Result<usize, Problem> {
        let first = (self.number(count) - 1).saturating_mul(self.size);
        // An empty list has one empty page.
        if first < count || first == 0 { Ok(first) } else { Err(Problem::new(Code::PageUnknown)) }
    }
}

/// What a request asks for.
pub(super) struct UserQuery {
    /// `None`: an array.
    pub(super) page: Option<PageNumber>,
    pub(super) cursor: Option<String>,
    /// The names that the user must have, if the request has such a filter. Empty: no user can have the name that was sent.
    pub(super) named: Option<Vec<Identifier>>,
    role: Option<Role>,
    is_active: Option<bool>,
    search: Option<(String, SearchTerm)>,
    sort: Sort,
}

impl DjangoParams {
    /// Parses the parameters.
    ///
    /// # Errors
    /// A filter has a value that its field cannot have, a filter is on a field without an index, or the page is no number.
    pub(super) fn parse(self) -> Result<UserQuery, Problem> {
        let mut errors = ValidationErrors::default();
        for (name, filter) in [
            ("full_name", &self.full_name),
            ("bio", &self.bio),
            ("occupation", &self.occupation),
            ("location", &self.location),
            ("avatar_url", &self.avatar_url),
            ("skills", &self.skills),
            ("experience", &self.experience),
            ("points", &self.points),
            ("created_at", &self.created_at),
            ("updated_at", &self.updated_at),
            ("version", &self.version),
        ] {
            if filter.is_some() {
                errors.add(
                    name,
                    Invalid::new(
                        "is no filter; id, external_id, email, username, phone, role and is_active are, and search finds names",
                    ),
                );
            }
        }
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let role = filled(&self.role).and_then(|raw| errors.keep("role", raw.parse()));
        let is_active = filled(&self.is_active).and_then(|raw| errors.keep("is_active", flag(&raw)));
        let search = filled(&self.search).and_then(|raw| {
            let term = errors.keep("search", SearchTerm::parse(&raw));
            term.map(|term| (raw, term))
        });
        let page = page_number(self.page.as_deref(), self.page_size.as_deref())?;
        if self.cursor.is_some() && self.page.is_some() {
            errors.add("cursor", Invalid::new("cannot go together with page"));
        }
        if !errors.is_empty() {
            return Err(errors.into());
        }
        let sort = self.ordering.as_deref().and_then(ordering).unwrap_or_default();
        let named = self.named();
        Ok(UserQuery { page, cursor: self.cursor, named, role, is_active, search, sort })
    }

    /// The identifiers of the filters. A text that is no identifier of its kind is one that no user has.
    fn named(&self) -> Option<Vec<Identifier>> {
        let filters = [
            self.id.as_deref().map(|raw| UserId::parse(raw).map(Identifier::Id)),
            self.external_id.as_deref().map(|raw| ExternalId::parse(raw).map(Identifier::External)),
            self.email.as_deref().map(|raw| Email::parse(raw).map(Identifier::Email)),
            self.username.as_deref().map(|raw| Username::parse(raw).map(Identifier::Username)),
            self.phone.as_deref().map(|raw| Phone::sought(raw).map(Identifier::Phone)),
        ];
        let filters: Vec<_> = filters.into_iter().flatten().collect();
        let names = filters.into_iter().collect::<Result<Vec<_>, _>>();
        match names {
            Ok(none) if none.is_empty() => None,
            Ok(names) => Some(names),
            Err(_) => Some(Vec::new()),
        }
    }
}

impl UserQuery {
    /// Whether canonical pages are the pages of this list: a search has no pages there, and a named user needs none.
    pub(super) fn is_listed_by_page(&self) -> bool {
        self.search.is_none() && self.named.is_none()
    }

    pub(super) fn size(&self) -> usize {
        self.page.map_or(DEFAULT_PAGE, |page| page.size)
    }

    /// The canonical parameters of this list.
    pub(super) fn list_params(&self) -> ListParams {
        ListParams {
            role: self.role.map(|role| role.as_str().to_owned()),
            status: self.is_active.map(|is_active| if is_active { "active" } else { "inactive" }.to_owned()),
            sort: self.search.is_none().then(|| self.sort.as_text()),
            search: self.search.as_ref().map(|(raw, _)| raw.clone()),
            cursor: self.cursor.clone(),
            ..ListParams::default()
        }
    }

    /// Sorts the users that a search found, which come newest first. If a sort by address is asked for, they stay newest
    /// first: that sort would disclose addresses that the caller does not see.
    pub(super) fn sort_found(&self, users: &mut [User]) {
        if self.search.is_none() || self.sort.by == SortBy::Email {
            return;
        }
        users.sort_by(|one, other| {
            let order = match self.sort.by {
                SortBy::Username => one.username.as_str().cmp(other.username.as_str()),
                SortBy::Points => one.points.cmp(&other.points),
                SortBy::CreatedAt | SortBy::Email => one.created_at.cmp(&other.created_at),
            };
            let order = order.then(one.id.cmp(&other.id));
            if self.sort.is_descending { order.reverse() } else { order }
        });
    }

    /// Whether a user fulfils every filter, as far as `caller` sees the user: a filter on what the caller does not see is
    /// not fulfilled.
    pub(super) fn holds_of(&self, user: &User, caller: Caller) -> bool {
        let sees_email = caller.may_see_all_of(user);
        let mut names = self.named.iter().flatten();
        let has_names = names.all(|name| user.has(name) && caller.may_match(user, name));
        let is_found = self.search.as_ref().is_none_or(|(_, term)| {
            user.full_name.as_ref().is_some_and(|name| term.is_in(name.as_str()))
                || term.is_in(user.username.as_str())
                || (sees_email && term.is_in(user.email.as_str()))
        });
        has_names
            && is_found
            && self.role.is_none_or(|role| role == user.role)
            && self.is_active.is_none_or(|is_active| is_active == user.is_active)
    }
}

/// Errors of the canonical parameters, with the names that they have here.
pub(super) fn renamed(errors: &ValidationErrors) -> ValidationErrors {
    let mut renamed = ValidationErrors::default();
    for (name, message) in errors.iter() {
        let name = match name {
            "sort" => "ordering",
            "status" => "is_active",
            "limit" => "page_size",
            name => name,
        };
        renamed.add(name, Invalid::new(message.to_owned()));
    }
    renamed
}

fn page_number(page: Option<&str>, size: Option<&str>) -> Result<Option<PageNumber>, Problem> {
    if page.is_none() && size.is_none() {
        return Ok(None);
    }
    // The framework ignores a size that is no number. Its integers have no greatest value.
    let size = match size.map(str::parse::<usize>) {
        Some(Ok(size)) if size > 0 => size.min(LARGEST_PAGE),
        Some(Err(error)) if *error.kind() == IntErrorKind::PosOverflow => LARGEST_PAGE,
        _ => DEFAULT_PAGE,
    };
    let number = match page {
        None => Some(1),
        Some("last") => None,
        Some(raw) => match raw.parse::<usize>() {
            Ok(number) if number > 0 => Some(number),
            _ => return Err(Problem::new(Code::PageUnknown)),
        },
    };
    Ok(Some(PageNumber { number, size }))
}

/// The schema of a page's number. A type, because utoipa leaves out the description of a parameter that a function describes.
enum PageOrLast {}

impl ToSchema for PageOrLast {}

impl PartialSchema for PageOrLast {
    fn schema() -> RefOr<Schema> {
        let number = integer(1, i64::try_from(PAGED).unwrap_or(i64::MAX));
        RefOr::T(OneOfBuilder::new().item(number).item(one_of_words(["last"])).build().into())
    }
}

/// The schema of a page's size. As in the framework, every text is accepted: one that is no size means the default.
enum SizeOrAny {}

impl ToSchema for SizeOrAny {}

impl PartialSchema for SizeOrAny {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Integer);
        RefOr::T(AnyOfBuilder::new().item(number).item(string()).build().into())
    }
}

fn ordering(raw: &str) -> Option<Sort> {
    raw.split(',').map(str::trim).find_map(|term| {
        let (is_descending, name) = term.strip_prefix('-').map_or((false, term), |name| (true, name));
        match name {
            // Ids sort by the time of creation.
            "id" => Some(Sort { by: SortBy::CreatedAt, is_descending }),
            _ => term.parse().ok(),
        }
    })
}

/// A flag as django-filter reads it.
fn flag(raw: &str) -> Result<bool, Invalid> {
    match raw.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Invalid::new("must be true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_name_of_an_ordering_counts() {
        for (raw, text) in [
            ("username", Some("username")),
            ("-created_at", Some("-created_at")),
            ("-id", Some("-created_at")),
            ("bio, -points,username", Some("-points")),
            ("", None),
            ("password", None),
        ] {
            assert_eq!(ordering(raw).map(Sort::as_text).as_deref(), text, "{raw}");
        }
    }

    #[test]
    fn pages_are_numbered_as_django_numbers_them() {
        let page =
            |page, size| page_number(page, size).ok().map(|page| page.map(|page| (page.number, page.size)));
        assert_eq!(page(None, None), Some(None));
        assert_eq!(page(Some("2"), None), Some(Some((Some(2), DEFAULT_PAGE))));
        assert_eq!(page(Some("last"), Some("7")), Some(Some((None, 7))));
        for ignored in ["0", "-1", "x", ""] {
            assert_eq!(page(None, Some(ignored)), Some(Some((Some(1), DEFAULT_PAGE))), "{ignored}");
        }
        assert_eq!(page(None, Some("100000000000000000")), Some(Some((Some(1), LARGEST_PAGE))));
        for unknown in ["0", "-1", "x", "", "1.5"] {
            assert_eq!(page(Some(unknown), None), None, "{unknown}");
        }
        let page = PageNumber { number: None, size: 10 };
        assert_eq!((page.number(0), page.number(10), page.number(11)), (1, 1, 2));
        let second = PageNumber { number: Some(2), size: 10 };
        assert!(second.first(10).is_err() && second.first(11).is_ok_and(|first| first == 10));
    }
}
