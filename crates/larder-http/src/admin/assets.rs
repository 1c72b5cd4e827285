//! The files of the page, embedded in the program.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

/// The page loads nothing from another host and runs no script of its text; no site may frame it. uPlot sets styles of
/// elements by script, which `style-src` does not concern.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// A file of the page.
pub(super) struct Asset {
    /// Its path below the page; empty for the page itself.
    pub(super) path: &'static str,
    kind: &'static str,
    text: &'static str,
}

/// Names each file once.
macro_rules! assets {
    ($($path:literal, $kind:literal, $file:literal;)*) => {
        pub(super) const ASSETS: &[Asset] =
            &[$(Asset { path: $path, kind: $kind, text: include_str!(concat!("assets/", $file)) },)*];
    };
}

assets! {
    "", "text/html; charset=utf-8", "page.html";
    "page.css", "text/css; charset=utf-8", "page.css";
    "page.js", "text/javascript; charset=utf-8", "page.js";
    "connection.js", "text/javascript; charset=utf-8", "connection.js";
    "controls.js", "text/javascript; charset=utf-8", "controls.js";
    "figures.js", "text/javascript; charset=utf-8", "figures.js";
    "history.js", "text/javascript; charset=utf-8", "history.js";
    "log.js", "text/javascript; charset=utf-8", "log.js";
    "plots.js", "text/javascript; charset=utf-8", "plots.js";
    "polling.js", "text/javascript; charset=utf-8", "polling.js";
    "tuning.js", "text/javascript; charset=utf-8", "tuning.js";
    "uplot.js", "text/javascript; charset=utf-8", "uplot/uplot.js";
    "uplot.css", "text/css; charset=utf-8", "uplot/uplot.css";
    "uplot-license.txt", "text/plain; charset=utf-8", "uplot/LICENSE";
}

impl Asset {
    /// The tag of the file's content (FNV-1a, 64 bits): it is another one if a release changes the file.
    pub(super) fn tag(&self) -> HeaderValue {
        let digest = self.text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        HeaderValue::from_str(&format!("\"{digest:016x}\"")).unwrap_or(HeaderValue::from_static("\"\""))
    }

    /// Answers a GET: 304 if the browser has the file already.
    pub(super) fn answer(&self, tag: &HeaderValue, request: &HeaderMap) -> Response {
        let known = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|sent| sent.to_str().ok());
        let is_known = known.flat_map(|sent| sent.split(',')).any(|sent| {
            let sent = sent.trim();
            sent.strip_prefix("W/").unwrap_or(sent).as_bytes() == tag.as_bytes()
        });
        let mut response = Response::new(if is_known { Body::empty() } else { Body::from(self.text) });
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(header::ETAG, tag.clone());
        // The browser asks before each use, so a page never runs with the scripts of another release.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_of_the_page_names_another_host_or_runs_text() {
        for asset in ASSETS.iter().filter(|asset| !asset.path.starts_with("uplot")) {
            // A namespace of SVG is a name and no address.
            let text = asset.text.replace("http://www.w3.org/2000/svg", "");
            for forbidden in ["http://", "https://", "//cdn", "innerHTML", "eval(", " style=", "onclick"] {
                assert!(!text.contains(forbidden), "{} has {forbidden}", asset.path);
            }
        }
    }

    #[test]
    fn a_file_that_the_browser_has_is_not_sent_again() {
        for asset in ASSETS {
            let tag = asset.tag();
            let sent = |value: &str| {
                let mut headers = HeaderMap::new();
                headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(value).unwrap());
                asset.answer(&tag, &headers).status()
            };
            let text = tag.to_str().unwrap();
            assert_eq!(sent(text), StatusCode::NOT_MODIFIED);
            assert_eq!(sent(&format!("\"other\", W/{text}")), StatusCode::NOT_MODIFIED);
            assert_eq!(sent("\"other\""), StatusCode::OK);
        }
    }
}
