//! Limits, pages and cursors: which are accepted and which are refused.

use super::*;

const HUGE: &str = "99999999999999999999999999";

fn params(limit: Option<&str>, page: Option<&str>, cursor: Option<&str>) -> ListParams {
    let own = |text: Option<&str>| text.map(str::to_owned);
    ListParams { limit: own(limit), page: own(page), cursor: own(cursor), ..ListParams::default() }
}

#[test]
fn limits_are_1_to_100() {
    assert_eq!((Limit::parse("1").unwrap().get(), Limit::parse("100").unwrap().get()), (1, 100));
    for bad in ["", "0", "101", "-1", "1000000000", HUGE, "1.5", "x", " 1", "1 "] {
        assert!(Limit::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn pages_end_at_ten_thousand_rows() {
    let limit = Limit::parse("100").unwrap();
    assert_eq!(Page::parse("100", limit).unwrap().get(), 100);
    for deep in ["101", "4294967296", HUGE] {
        assert!(Page::parse(deep, limit).unwrap_err().message().contains("next_cursor"), "{deep}");
    }
    for bad in ["", "0", "-1", "x", "1e3"] {
        assert!(Page::parse(bad, limit).unwrap_err().message().contains("from 1"), "{bad}");
    }
}

#[test]
fn a_list_query_names_every_wrong_parameter() {
    for role in [Role::User, Role::Admin, Role::Superadmin] {
        assert_eq!(ListQuery::parse(&ListParams::default(), role).unwrap(), ListQuery::first(role));
    }
    let mut bad = params(Some("0"), Some("-1"), None);
    bad.role = Some("king".into());
    bad.status = Some("gone".into());
    bad.sort = Some("phone".into());
    bad.search = Some("\0".into());
    let errors = ListQuery::parse(&bad, Role::Admin).unwrap_err();
    let names: Vec<_> = errors.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["limit", "page", "role", "search", "sort", "status"]);
    let both = ListQuery::parse(&params(None, Some("1"), Some("x")), Role::User).unwrap_err();
    assert!(both.get("cursor").is_some());
    let ok = ListQuery::parse(&params(Some("7"), Some("3"), None), Role::User).unwrap();
    assert_eq!(ok.position, Position::Page(Page::parse("3", ok.limit).unwrap()));
}

#[test]
fn a_list_query_is_limited_to_what_its_readers_may_see() {
    let parse = |role: Option<&str>, status: Option<&str>, sort: Option<&str>, audience| {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let params =
            ListParams { role: own(role), status: own(status), sort: own(sort), ..ListParams::default() };
        ListQuery::parse(&params, audience)
    };
    assert_eq!(parse(None, None, None, Role::User).unwrap().filter.is_active, Some(true));
    assert_eq!(parse(None, None, None, Role::Admin).unwrap().filter.is_active, None);
    assert!(parse(None, Some("inactive"), None, Role::User).unwrap_err().get("status").is_some());
    assert!(parse(None, Some("inactive"), None, Role::Admin).is_ok());
    for (role, audience, is_allowed) in [
        (Some("user"), Role::User, false),
        (None, Role::Admin, false),
        (Some("superadmin"), Role::Admin, false),
        (Some("admin"), Role::Admin, true),
        (Some("user"), Role::Admin, true),
        (None, Role::Superadmin, true),
    ] {
        for sort in ["email", "-email"] {
            let parsed = parse(role, None, Some(sort), audience);
            assert_eq!(parsed.is_ok(), is_allowed, "{role:?} {audience:?}");
        }
    }
}

#[test]
fn a_search_has_one_order_and_only_its_first_page_by_number() {
    let search = |page: Option<&str>, sort: Option<&str>| {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let params = ListParams {
            page: own(page),
            sort: own(sort),
            search: Some("ann".into()),
            ..ListParams::default()
        };
        ListQuery::parse(&params, Role::Superadmin)
    };
    assert!(search(None, None).is_ok() && search(None, Some("-created_at")).is_ok());
    assert!(search(None, Some("username")).unwrap_err().get("sort").is_some());
    assert!(search(Some("1"), None).is_ok());
    assert!(search(Some("2"), None).unwrap_err().get("page").is_some());
}
