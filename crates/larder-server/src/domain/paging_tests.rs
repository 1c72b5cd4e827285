//! Limits, pages and cursors: what is taken and what is refused.

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
fn a_cursor_comes_back_as_it_went() {
    let cursor = Cursor { created_at: Timestamp::from_micros(1_700_000_000_123_456), id: UserId::generate() };
    let text = cursor.encode();
    assert_eq!(Cursor::parse(&text).unwrap(), cursor);
    let mut bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
    bytes[0] = 2;
    let other_version = URL_SAFE_NO_PAD.encode(&bytes);
    let far_time = URL_SAFE_NO_PAD.encode([&[1][..], &[0x7f; 8], &bytes[9..]].concat());
    let other_uuid = URL_SAFE_NO_PAD.encode([&bytes[..9], &[0; 16]].concat());
    let long = "A".repeat(1_000_000);
    for bad in [
        "",
        "x",
        "====",
        "a\0",
        &text[1..],
        &format!("{text}A"),
        &other_version,
        &far_time,
        &other_uuid,
        &long,
    ] {
        assert!(Cursor::parse(bad).is_err(), "{}", &bad[..bad.len().min(60)]);
    }
}

#[test]
fn a_list_query_names_everything_wrong() {
    let query = ListQuery::parse(&ListParams::default()).unwrap();
    assert_eq!(query, ListQuery::default());
    assert_eq!(query.limit.get(), 25);
    let mut bad = params(Some("0"), Some("-1"), None);
    bad.role = Some("king".into());
    bad.status = Some("gone".into());
    let errors = ListQuery::parse(&bad).unwrap_err();
    let names: Vec<_> = errors.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["limit", "page", "role", "status"]);
    assert!(ListQuery::parse(&params(None, Some("1"), Some("x"))).unwrap_err().get("cursor").is_some());
    let ok = ListQuery::parse(&params(Some("7"), Some("3"), None)).unwrap();
    assert_eq!(ok.position, Position::Page(Page::parse("3", ok.limit).unwrap()));
}
