//! The links between pages: the URL of the request with another page. They are absolute, because clients of Django REST
//! framework request them as they are.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::http::{Uri, header};

use crate::api::codes::Code;
use crate::api::problem::Problem;
use crate::service::Service;

/// The URL of a request: its origin and path as the client sees them, and its query.
pub(crate) struct Links {
    origin: String,
    path: String,
    /// The parameters as they were sent, without the page and the cursor.
    kept: String,
}

impl FromRequestParts<Service> for Links {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Problem> {
        let sent = OriginalUri::from_request_parts(parts, service).await;
        let OriginalUri(uri) = sent.map_err(|_| Problem::new(Code::Failed))?;
        let origin = origin(parts, service);
        let kept: Vec<_> = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| {
                !pair.is_empty() && !["page", "cursor"].contains(&pair.split('=').next().unwrap_or_default())
            })
            .collect();
        Ok(Self { origin, path: uri.path().to_owned(), kept: kept.join("&") })
    }
}

/// `LARDER_ISSUER` is the service's address if it is set. Otherwise the address is the one that the client named; a trusted
/// proxy may say that the client uses https.
fn origin(parts: &Parts, service: &Service) -> String {
    let issuer = service.issuer().and_then(|issuer| issuer.parse::<Uri>().ok());
    if let Some((scheme, authority)) = issuer.as_ref().and_then(|uri| uri.scheme_str().zip(uri.authority())) {
        return format!("{scheme}://{authority}");
    }
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let is_behind_proxy =
        peer.is_some_and(|ConnectInfo(peer)| service.proxies().trusts(peer.ip().to_canonical()));
    let is_https = is_behind_proxy
        && text("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    // HTTP/2 has the authority in place of the header.
    let host =
        parts.uri.authority().map(|authority| authority.as_str()).or_else(|| text(header::HOST.as_str()));
    format!("{}://{}", if is_https { "https" } else { "http" }, host.unwrap_or("localhost"))
}

impl Links {
    /// The URL of the page with this number.
    pub(super) fn page(&self, number: usize) -> String {
        format!("{}{}", self.origin, self.with(&format!("page={number}")))
    }

    /// The URL of the page before the page with this number.
    pub(super) fn before(&self, number: usize) -> Option<String> {
        match number {
            0 | 1 => None,
            // The first page is the list without a number. That is a page only if the size says so.
            2 if self.has_size() => Some(format!("{}{}", self.origin, self.with(""))),
            _ => Some(self.page(number - 1)),
        }
    }

    /// The URL of the page behind this cursor.
    pub(super) fn after(&self, cursor: &str) -> String {
        let size = if self.has_size() { "" } else { "&page_size=25" };
        format!("{}{}", self.origin, self.with(&format!("cursor={cursor}{size}")))
    }

    /// The path and query of the array behind this cursor, for a header, which the router completes.
    pub(super) fn path_after(&self, cursor: &str) -> String {
        let path = "/api/users/";
        if self.kept.is_empty() {
            format!("{path}?cursor={cursor}")
        } else {
            format!("{path}?{}&cursor={cursor}", self.kept)
        }
    }

    fn has_size(&self) -> bool {
        self.kept.split('&').any(|pair| pair.starts_with("page_size="))
    }

    fn with(&self, added: &str) -> String {
        let parts: Vec<_> = [self.kept.as_str(), added].into_iter().filter(|part| !part.is_empty()).collect();
        if parts.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, parts.join("&")) }
    }
}
