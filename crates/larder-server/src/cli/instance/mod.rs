//! A running instance, as the commands reach it: its address, the caller's key, and requests over HTTP.

pub(crate) mod answers;
pub(crate) mod output;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::body::Bytes;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use clap::Args;
use http_body_util::{BodyExt as _, Full, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use crate::cli::instance::output::plain;
use crate::cli::{Usage, settings};
use crate::http_client::HttpClient;

/// Longer than the service takes for its longest answer about the cache, a count of all entries.
const TIMEOUT: Duration = Duration::from_secs(30);
/// More than the longest answer: 1,000 keys of a page.
const ANSWER_BYTES: usize = 64 << 20;

const URL: &str = "LARDER_URL";
const KEY: &str = "LARDER_API_KEY";
const KEY_FILE: &str = "LARDER_API_KEY_FILE";

/// Which instance to ask, and as which caller.
#[derive(Args)]
pub(crate) struct InstanceArguments {
    /// The address of the instance, with its base path [default: LARDER_URL, else LARDER_LISTEN on this machine]
    #[arg(long, value_name = "URL", help_heading = "Instance")]
    pub(crate) url: Option<String>,
    /// An API key or an access token; the list of processes shows it, so rather use a file or the environment
    #[arg(long, value_name = "KEY", conflicts_with = "key_file", help_heading = "Instance")]
    key: Option<String>,
    /// A file with the API key or access token [default: LARDER_API_KEY, else the file of LARDER_API_KEY_FILE]
    #[arg(long, value_name = "PATH", help_heading = "Instance")]
    key_file: Option<PathBuf>,
}

/// Parses the address of an instance.
pub(crate) fn address(raw: &str) -> Result<Url, String> {
    let url: Url = raw.parse().map_err(|error| format!("must be a URL: {error}"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => {}
        _ => return Err("must begin with http:// or https://".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must have no user and password; the key goes in --key-file".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must have no query and no fragment".to_owned());
    }
    Ok(url)
}

/// Parses an argument that becomes a segment of a path. A URL has no empty segment, `.` or `..`: the request would reach
/// another route.
pub(crate) fn segment(raw: &str) -> Result<String, String> {
    match raw {
        "" | "." | ".." => Err("must not be empty, . or ..".to_owned()),
        // A URL leaves some of them out, and then names another thing.
        _ if raw.chars().any(char::is_control) => Err("must have no control characters".to_owned()),
        _ => Ok(raw.to_owned()),
    }
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

impl InstanceArguments {
    /// Prepares requests to the instance; it connects with the first one. `config` is the file of settings, which is
    /// read only if neither the arguments nor the environment name the instance.
    ///
    /// # Errors
    /// [`Usage`] if the address or the key is missing, unreadable or malformed.
    pub(crate) fn open(&self, config: Option<&Path>) -> anyhow::Result<Instance> {
        let base = match (&self.url, variable(URL)) {
            // Not parsed by clap, whose error shows the value: it may have a password.
            (Some(raw), _) => address(raw).map_err(|error| Usage(format!("--url {error}")))?,
            (None, Some(raw)) => {
                let parsed = address(&raw.to_string_lossy());
                parsed.map_err(|error| Usage(format!("{URL} {error}")))?
            }
            (None, None) => {
                let url = settings::of_this_machine(config)?;
                url.parse().with_context(|| format!("{url} is no URL"))?
            }
        };
        let key = self.key()?.map(|key| {
            let value = HeaderValue::from_str(&format!("Bearer {}", key.trim()));
            // The key is not shown, because it is a secret.
            let mut value = value.map_err(|_| Usage("the key has a character that no key has".to_owned()))?;
            value.set_sensitive(true);
            Ok::<_, Usage>(value)
        });
        let client = HttpClient::open(base.scheme()).context("the system's certificates cannot be read")?;
        Ok(Instance { base, key: key.transpose()?, client, timeout: TIMEOUT })
    }

    fn key(&self) -> Result<Option<String>, Usage> {
        let file = match (&self.key, &self.key_file, variable(KEY), variable(KEY_FILE)) {
            (Some(key), ..) => return Ok(Some(key.clone())),
            (None, Some(file), ..) => file.clone(),
            (None, None, Some(_), Some(_)) => return Err(Usage(format!("{KEY} goes without {KEY_FILE}"))),
            (None, None, Some(key), None) => return Ok(Some(key.to_string_lossy().into_owned())),
            (None, None, None, Some(file)) => PathBuf::from(file),
            (None, None, None, None) => return Ok(None),
        };
        let read = std::fs::read_to_string(&file);
        read.map(Some)
            .map_err(|error| Usage(format!("the key's file {} cannot be read: {error}", file.display())))
    }
}

/// A running instance.
pub(crate) struct Instance {
    base: Url,
    key: Option<HeaderValue>,
    client: HttpClient,
    /// How long each answer is awaited; 30 s unless the command sets another time.
    pub(crate) timeout: Duration,
}

/// A request to an instance.
pub(crate) struct Ask<'a> {
    method: Method,
    path: Vec<&'a str>,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl<'a> Ask<'a> {
    /// A GET of this path, whose segments are encoded one by one.
    pub(crate) fn get(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self { method: Method::GET, path: path.into_iter().collect(), query: Vec::new(), body: None }
    }

    /// A request with this method and body.
    pub(crate) fn send(method: Method, path: impl IntoIterator<Item = &'a str>, body: Option<Value>) -> Self {
        Self { method, body, ..Self::get(path) }
    }

    /// Adds a parameter, if it has a value.
    pub(crate) fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }
}

/// The answer of an instance: its status and its body.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
    url: Url,
}

/// The instance has refused a request.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct RefusedRequest {
    pub(crate) status: StatusCode,
    text: String,
}

/// The members of problem+json that are shown.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    title: String,
    detail: String,
    errors: Value,
}

impl Instance {
    /// The address, for texts.
    pub(crate) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Sends the request and reads its complete answer, whatever its status.
    ///
    /// # Errors
    /// There is no complete answer within `timeout`.
    pub(crate) async fn ask(&self, ask: Ask<'_>) -> anyhow::Result<Answer> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(ask.path);
        }
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(ask.query);
        }
        let mut request = Request::builder().method(ask.method).uri(url.as_str());
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, key);
        }
        if ask.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = ask.body.map(|body| body.to_string()).unwrap_or_default();
        let request = request
            .header(header::USER_AGENT, concat!("larder/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::from(body)))?;
        let answered = async {
            let answer = self.client.request(request).await.context("it cannot be reached")?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("the answer is cut off: {error}"))?;
            anyhow::Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
        };
        // Time-out: a half-open connection would block here for hours.
        let answered = timeout(self.timeout, answered).await;
        let answered = answered
            .with_context(|| format!("{} did not answer within {:?}", self.address(), self.timeout))?;
        let (status, body) = answered.with_context(|| self.address().to_owned())?;
        Ok(Answer { status, body, url })
    }

    /// Sends the request, and returns the answer if it is a success.
    ///
    /// # Errors
    /// Those of [`Instance::ask`], and an answer that is no success.
    pub(crate) async fn success(&self, ask: Ask<'_>) -> anyhow::Result<Answer> {
        let answer = self.ask(ask).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(RefusedRequest { status: answer.status, text: answer.refusal(self.key.is_some()) }.into())
    }
}

impl Answer {
    /// The body as a `T`.
    ///
    /// # Errors
    /// The body does not parse as a `T`: the instance has another version, or another program answers.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_str(&self.body).with_context(|| {
            format!("the answer of {} is not that of larder {}", self.url, env!("CARGO_PKG_VERSION"))
        })
    }

    /// Checks that the answer is that of a route which has done something and has no body.
    ///
    /// # Errors
    /// It does not: another program answers.
    pub(crate) fn done(&self) -> anyhow::Result<()> {
        match self.status {
            StatusCode::NO_CONTENT => Ok(()),
            status => bail!("{} answers {}, and not 204 as larder does", self.url, status.as_u16()),
        }
    }

    /// Why the request was refused, in one line.
    pub(crate) fn refusal(&self, has_key: bool) -> String {
        let problem: Problem = serde_json::from_str(&self.body).unwrap_or_default();
        let mut text = format!("{} answers {}", self.url, self.status.as_u16());
        let about = if problem.detail.is_empty() { &problem.title } else { &problem.detail };
        for (between, part) in [(" ", &problem.code), (": ", about)] {
            if !part.is_empty() {
                text += between;
                text += part;
            }
        }
        if let Some(errors) = problem.errors.as_object() {
            let errors: Vec<_> =
                errors.iter().map(|(field, wrong)| format!("{field} {}", words(wrong))).collect();
            text += &format!(": {}", errors.join("; "));
        }
        if self.status == StatusCode::UNAUTHORIZED && !has_key {
            text += &format!("; give a key by --key-file, {KEY} or {KEY_FILE}");
        }
        plain(&text)
    }
}

/// The messages about one field: a text or a list of texts.
fn words(wrong: &Value) -> String {
    match wrong {
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
