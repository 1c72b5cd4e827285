//! Whether a request to act comes from the page: protection against forgery by other sites (CSRF).
//!
//! A page of another site can send a header of its own only after a preflight, which no application answers that does
//! not allow `X-Larder-Page` to other origins. The browser's word on where the request comes from is checked as well,
//! in case an application allows every header to every origin.

use axum::http::{HeaderMap, HeaderName, Uri, header};

/// The header that the page sends with every request to act.
pub(super) const PAGE: HeaderName = HeaderName::from_static("x-larder-page");

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the request has the page's header and names no other site as its origin.
pub(super) fn is_of_page(uri: &Uri, headers: &HeaderMap) -> bool {
    if !headers.contains_key(PAGE) {
        return false;
    }
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    // Browsers send this header to HTTPS and to localhost, and no script can set it.
    if let Some(site) = text(FETCH_SITE) {
        return site == "same-origin";
    }
    // Over HTTP/2 the host is a part of the URI.
    let host = uri.authority().map(|authority| authority.as_str()).or_else(|| text(header::HOST));
    match text(header::ORIGIN) {
        Some(origin) => origin.split_once("://").map(|(_, host)| host) == host,
        // No browser sends a request to act without an origin, so this client is a program.
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_of_page(headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| {
            (HeaderName::from_static(name), axum::http::HeaderValue::from_static(value))
        });
        super::is_of_page(&Uri::from_static("/admin/cache/clear"), &headers.collect())
    }

    #[test]
    fn a_request_of_another_site_is_not_of_the_page() {
        let page = ("x-larder-page", "1");
        let host = ("host", "a.example:8080");
        for (headers, is) in [
            (vec![], false),
            (vec![host, ("origin", "https://a.example:8080")], false),
            (vec![page], true),
            (vec![page, host, ("origin", "https://a.example:8080")], true),
            (vec![page, host, ("origin", "https://a.example")], false),
            (vec![page, host, ("origin", "https://b.example:8080")], false),
            (vec![page, host, ("origin", "null")], false),
            (vec![page, ("sec-fetch-site", "same-origin")], true),
            (vec![page, ("sec-fetch-site", "same-site")], false),
            (vec![page, ("sec-fetch-site", "cross-site")], false),
            (vec![page, ("sec-fetch-site", "none")], false),
        ] {
            assert_eq!(is_of_page(&headers), is, "{headers:?}");
        }
    }
}
