//! The HTTP client of this binary: HTTP/1.1, with TLS for https URLs. It follows no redirect.

use axum::body::Bytes;
use axum::http::Request;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::TokioExecutor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;

/// The client that the scheme of the URL needs: only an https URL needs the certificates of the system.
pub(crate) enum HttpClient {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl HttpClient {
    /// Prepares a client for URLs of this scheme; it connects with the first request.
    ///
    /// # Errors
    /// The scheme is `https`, and the system's certificates cannot be read.
    pub(crate) fn open(scheme: &str) -> std::io::Result<Self> {
        let builder = Client::builder(TokioExecutor::new());
        Ok(match scheme {
            "https" => {
                // Named, so that rustls does not panic if a library has compiled in another provider too.
                let connector =
                    HttpsConnectorBuilder::new().with_provider_and_native_roots(default_provider())?;
                Self::Tls(builder.build(connector.https_only().enable_http1().build()))
            }
            _ => Self::Plain(builder.build_http()),
        })
    }

    /// Sends the request.
    pub(crate) fn request(&self, request: Request<Full<Bytes>>) -> ResponseFuture {
        match self {
            Self::Plain(client) => client.request(request),
            Self::Tls(client) => client.request(request),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If none is named, rustls makes the one that is compiled in the default of the process, and panics if there are several.
    #[test]
    fn the_client_asks_for_no_default_provider() {
        HttpClient::open("https").unwrap();
        assert!(tokio_rustls::rustls::crypto::CryptoProvider::get_default().is_none());
    }
}
