//! The address of a request's client.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};

use crate::api::problem::Problem;
use crate::service::Service;

/// The address of every client if a program serves the routes without `ConnectInfo`. All clients then share the budgets
/// of one client.
const UNKNOWN_PEER: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The client's address: the peer's, or, if the peer is a trusted proxy, the address that its header names.
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl ClientAddress {
    /// The address of the client that sent a request with these extensions and headers.
    pub(crate) fn of(extensions: &Extensions, headers: &HeaderMap, service: &Service) -> Self {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(UNKNOWN_PEER, |ConnectInfo(peer)| peer.ip());
        let proxies = service.proxies();
        let values = headers.get_all(proxies.header.name()).iter();
        let values: Vec<_> = values.map(|value| value.to_str().unwrap_or_default()).collect();
        Self(proxies.client(peer, values.into_iter()))
    }
}

impl FromRequestParts<Service> for ClientAddress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Problem> {
        Ok(Self::of(&parts.extensions, &parts.headers, service))
    }
}
