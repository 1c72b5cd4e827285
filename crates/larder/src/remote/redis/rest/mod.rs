//! Commands to Redis over HTTP, as Upstash's REST interface takes them: one command as a JSON array to `/`, a pipeline as
//! an array of such arrays to `/pipeline`, which runs in order and is not atomic.
//!
//! Each request is a request of its own: it has the time-out of an operation, and a connection of the client's pool that
//! may be kept alive. There is no order between requests under way, and no server reports changes.

mod encoding;

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, Value};

use tokio_rustls::rustls::Error as TlsError;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;

use crate::error::Error;
use crate::remote::redis::replies::ReplyLimit;
use crate::remote::redis::rest::encoding::{decode, decode_all, encode, encode_all, error_of};

/// How long an unused connection is kept. The keeper sends a heartbeat every 200 ms, so one connection is always in use.
const IDLE: Duration = Duration::from_secs(30);

/// The most unused connections that are kept. Reads go together, so a burst of them needs few.
const IDLE_MAX: usize = 32;

/// The most bytes of a reply beside its values: names, numbers, errors, INFO.
const BODY_BYTES_MIN: usize = 1 << 20;

/// The most values of one reply for which there is room up to the longest. Most are far shorter.
const LONG_VALUES: usize = 64;

/// A database behind REST: where it is, and the token that opens it.
#[derive(Clone)]
pub(crate) struct RestAddress {
    /// The URL for single commands.
    command: Uri,
    /// The URL for pipelines.
    pipeline: Uri,
    authorization: HeaderValue,
}

impl RestAddress {
    /// Parses the URL and the token. An error contains neither.
    pub(crate) fn parse(url: &str, token: &str) -> Result<Self, Error> {
        let allowed = "the URL of a REST interface looks like https://host[:port]; http:// is allowed on a loopback address";
        let base = url.trim().trim_end_matches('/');
        let parse = |url: String| url.parse::<Uri>().map_err(|_| Error::config(allowed.to_owned()));
        let (command, pipeline) = (parse(format!("{base}/"))?, parse(format!("{base}/pipeline"))?);
        let host = command.host().unwrap_or_default();
        let is_plain = command.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        let is_safe = match command.scheme_str() {
            Some("https") => true,
            Some("http") => is_loopback(host),
            _ => false,
        };
        if host.is_empty() || !is_plain || !is_safe || command.query().is_some() {
            return Err(Error::config(allowed.to_owned()));
        }
        let token = token.trim();
        let bearer =
            || Error::config("the token of a REST interface is one line of visible characters".to_owned());
        let mut authorization = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| bearer())?;
        if token.is_empty() || token.contains(char::is_whitespace) {
            return Err(bearer());
        }
        authorization.set_sensitive(true);
        Ok(RestAddress { command, pipeline, authorization })
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The client that the scheme of the URL needs: only an https URL needs the certificates of the system.
enum HttpClient {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl HttpClient {
    fn new(address: &RestAddress, timeout: Duration) -> io::Result<Self> {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_idle_timeout(IDLE).pool_max_idle_per_host(IDLE_MAX).pool_timer(TokioTimer::new());
        let mut connector = HttpConnector::new();
        // Requests are small, and a task waits for each of them.
        connector.set_nodelay(true);
        // A half-open attempt would block one for minutes.
        connector.set_connect_timeout(Some(timeout));
        if address.command.scheme_str() != Some("https") {
            return Ok(HttpClient::Plain(builder.build(connector)));
        }
        connector.enforce_http(false);
        // Certificates other than those of the system would be given to the builder here. The provider is named, because the
        // application may have compiled in another one too: without a name, rustls then panics.
        let tls = HttpsConnectorBuilder::new().with_provider_and_native_roots(default_provider())?;
        let tls = tls.https_only().enable_http1();
        Ok(HttpClient::Tls(builder.build(tls.wrap_connector(connector))))
    }
}

/// Opens connections to one database behind REST. They share the pool of one HTTP client.
#[derive(Clone)]
pub(crate) struct RestDialler(RestConnection);

impl RestDialler {
    pub(crate) fn new(address: RestAddress, timeout: Duration) -> Result<Self, Error> {
        let client = HttpClient::new(&address, timeout.max(Duration::from_secs(1)))
            .map_err(|error| Error::config_because("the certificates of the system".to_owned(), error))?;
        let inner = Inner { client, address, timeout, reply_limit: Arc::new(ReplyLimit::new()) };
        Ok(RestDialler(RestConnection(Arc::new(inner))))
    }

    pub(crate) fn reply_limit(&self) -> Arc<ReplyLimit> {
        self.0.0.reply_limit.clone()
    }

    /// A connection that was not tried.
    pub(crate) fn connection(&self) -> RestConnection {
        self.0.clone()
    }

    /// Asks the database for a sign of life within `limit`, so that the operations that follow find an open connection.
    pub(crate) async fn dial(&self, limit: Duration) -> RedisResult<RestConnection> {
        let ping = redis::cmd("PING");
        self.0.0.send(false, encode(&ping), 1, limit).await.and_then(|body| decode(&body))?;
        Ok(self.0.clone())
    }
}

/// A connection to a database behind REST. A clone is the same one.
#[derive(Clone)]
pub(crate) struct RestConnection(Arc<Inner>);

struct Inner {
    client: HttpClient,
    address: RestAddress,
    /// The time-out of one request, with the connection that it may have to open.
    timeout: Duration,
    reply_limit: Arc<ReplyLimit>,
}

impl Inner {
    /// Sends a request with the body `request`, whose reply has at most `values` values, and returns the body of the reply.
    async fn send(
        &self,
        is_pipeline: bool,
        request: String,
        values: usize,
        limit: Duration,
    ) -> RedisResult<Bytes> {
        let sending = self.exchange(is_pipeline, request, values);
        tokio::time::timeout(limit, sending)
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    async fn exchange(&self, is_pipeline: bool, request: String, values: usize) -> RedisResult<Bytes> {
        let url = if is_pipeline { &self.address.pipeline } else { &self.address.command };
        let request = Request::post(url)
            .header(AUTHORIZATION, &self.address.authorization)
            .header(CONTENT_TYPE, "application/json")
            // Values are bytes, and JSON has none: so Redis's texts come in base64.
            .header("upstash-encoding", "base64")
            .body(Full::new(Bytes::from(request)))
            .map_err(io::Error::other)?;
        let reply = match &self.client {
            HttpClient::Plain(client) => client.request(request).await,
            HttpClient::Tls(client) => client.request(request).await,
        };
        let reply = reply.map_err(|error| causes(&error))?;
        self.reply_limit.note_arrival();
        let status = reply.status();
        // Base64 adds a third, and the transport's own spelling up to as much as the value; see `encoding`.
        let most = values.min(LONG_VALUES) * self.reply_limit.bytes() / 3 * 8 + BODY_BYTES_MIN;
        let body = Limited::new(reply.into_body(), most).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                self.reply_limit.note_cut(most as u64);
            }
            io::Error::other(error)
        })?;
        accepted(status, body.to_bytes())
    }
}

/// The error of a request that got no reply, with all of its causes. The client's own text names none: `client error
/// (Connect)`. An error of TLS is returned as it is, so that `trouble` knows it.
fn causes(error: &(dyn StdError + 'static)) -> io::Error {
    let (mut texts, mut next) = (Vec::<String>::new(), Some(error));
    while let Some(cause) = next {
        if let Some(tls) = cause.downcast_ref::<TlsError>() {
            return io::Error::other(tls.clone());
        }
        let text = cause.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
        next = match cause.downcast_ref::<io::Error>() {
            // `source` would leave this error out.
            Some(io) => io.get_ref().map(|inner| -> &(dyn StdError + 'static) { inner }),
            None => cause.source(),
        };
    }
    // Of one kind for all causes, as hyper's own error has it: the text says which it is.
    io::Error::other(texts.join(": "))
}

/// The body of an accepted request, or the error that the status and the body of another one mean.
fn accepted(status: StatusCode, body: Bytes) -> RedisResult<Bytes> {
    if status.is_success() {
        return Ok(body);
    }
    let words = error_of(&body);
    match (status, words) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, words) => {
            let words = words.unwrap_or_else(|| status.to_string());
            Err(RedisError::from((ErrorKind::AuthenticationFailed, "the token was refused", words)))
        }
        // Redis refuses the command.
        (status, Some(words)) if status.is_client_error() => Err(words_to_error(&words)),
        (status, _) => Err(io::Error::other(format!("the REST interface answered {status}")).into()),
    }
}

fn words_to_error(words: &str) -> RedisError {
    match encoding::server_error(words).and_then(Value::extract_error) {
        Err(error) => error,
        Ok(_) => io::Error::other("the REST interface answered no error").into(),
    }
}

impl ConnectionLike for RestConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        async move {
            let body = self.0.send(false, encode(command), command.args_iter().len(), self.0.timeout).await?;
            decode(&body)?.extract_error()
        }
        .boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        async move {
            let values = pipeline.cmd_iter().map(|command| command.args_iter().len()).sum();
            let body = self.0.send(true, encode_all(pipeline), values, self.0.timeout).await?;
            let replies = decode_all(&body)?;
            // Fewer replies than commands would be given to the wrong commands.
            if replies.len() != offset + count {
                return Err(io::Error::other("the REST interface answered another number of commands").into());
            }
            Ok(replies.into_iter().skip(offset).collect())
        }
        .boxed()
    }

    fn get_db(&self) -> i64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// rustls takes the provider that is compiled in, if none is named, and panics if there are several. Then it also becomes the
    /// default of the process.
    #[test]
    fn the_client_asks_for_no_default_provider() {
        let address = RestAddress::parse("https://127.0.0.1:1", "token").unwrap();
        HttpClient::new(&address, Duration::from_secs(1)).unwrap();
        assert!(tokio_rustls::rustls::crypto::CryptoProvider::get_default().is_none());
    }

    #[test]
    fn an_error_names_each_of_its_causes_once() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = io::Error::new(io::ErrorKind::NotConnected, io::Error::other(refused));
        let error = causes(&error);
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::Other, "connection refused"));
        let tls = io::Error::other(io::Error::other(TlsError::DecryptError));
        assert!(causes(&tls).get_ref().is_some_and(|inner| inner.is::<TlsError>()));
    }

    #[test]
    fn an_address_is_https_or_on_this_machine_and_no_error_shows_a_secret() {
        for url in [
            "https://eu1-fit-1.upstash.io",
            "https://eu1-fit-1.upstash.io/",
            "https://host:8443/redis/",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "http://localhost:8080",
        ] {
            let address = RestAddress::parse(url, "token").unwrap();
            assert!(address.command.path().ends_with('/'), "{url}");
            assert!(address.pipeline.path().ends_with("/pipeline"), "{url}");
        }
        for (url, token) in [
            ("http://eu1-fit-1.upstash.io", "zqx"),
            ("http://10.0.0.1", "zqx"),
            ("redis://host", "zqx"),
            ("https://user:zqx@host", "zqx"),
            ("https://host/?_token=zqx", "zqx"),
            ("zqx", "zqx"),
            ("", "zqx"),
            ("https://host", ""),
            ("https://host", "zqx\nzqx"),
            ("https://host", "zqx zqx"),
        ] {
            let error = RestAddress::parse(url, token).err().expect(url);
            assert!(!format!("{error} {error:?}").contains("zqx"), "{error:?}");
        }
    }
}
