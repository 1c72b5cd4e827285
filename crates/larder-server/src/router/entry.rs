//! The steps of a request before the router looks up its route: ids, the prefix of paths, cross-origin requests, and
//! the slash at the end of a path.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{OriginalUri, Request};
use axum::http::{Method, header};
use axum::response::{IntoResponse as _, Response};
use tower::util::service_fn;
use tower::{Layer as _, Service};
use tower_http::cors::CorsLayer;

use crate::api::admin::CachePage;
use crate::api::codes::Code;
use crate::api::correlation;
use crate::api::health::Stage;
use crate::api::metrics::requests::Requests;
use crate::api::problem::Problem;
use crate::api::tokens::DISCOVERY;
use crate::router::around::with_common_headers;
use crate::router::cors::{self, RefusalCors};
use crate::router::paths::{self, Templates};
use crate::settings::http::Http;

/// The paths that supervisors and monitoring ask for.
const PROBES: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// All routes of a service, as one service of [`tower`]; cheap to clone.
///
/// `Router::from` makes a router of it, for a program that serves it itself or adds routes of its own.
#[derive(Clone)]
pub struct Routes(Arc<Entry>);

#[derive(Clone)]
struct Entry {
    router: Router,
    cors: Option<CorsLayer>,
    of_refusals: Arc<RefusalCors>,
    /// The prefix of all paths; empty if there is none.
    base: String,
    /// The path of the discovery document outside of the prefix; `None` if the issuer has no path.
    discovery: Option<String>,
    templates: Templates,
    stage: Option<Stage>,
    requests: Requests,
    /// The admin page, whose streams stay open until it is stopped. `None` before the service is open.
    page: Option<CachePage>,
}

impl Routes {
    /// The routes of `router`, with the prefix of paths and the CORS origins of `http`.
    pub(super) fn new(
        router: Router,
        http: &Http,
        templates: Templates,
        discovery: Option<String>,
        requests: Requests,
    ) -> Self {
        Self(Arc::new(Entry {
            // `with_state` turns the fallbacks and their layers into services once. Without this call, each request
            // would do that again.
            router: router.with_state(()),
            cors: cors::layer(&http.cors_origins),
            of_refusals: Arc::new(RefusalCors::new(&http.cors_origins)),
            base: http.base_path.clone(),
            discovery,
            templates,
            stage: None,
            requests,
            page: None,
        }))
    }

    /// The routes of the start, which answer before the service is open. No scrape shows what they count.
    pub(crate) fn of_start(router: Router, http: &Http) -> Self {
        Self::new(router, http, Templates::default(), None, Requests::new())
    }

    /// The same routes, with the stages of the process's stop.
    pub(crate) fn with_stage(mut self, stage: Stage) -> Self {
        Arc::make_mut(&mut self.0).stage = Some(stage);
        self
    }

    /// The same routes, with the admin page that is among them.
    pub(super) fn with_page(mut self, page: CachePage) -> Self {
        Arc::make_mut(&mut self.0).page = Some(page);
        self
    }

    /// Ends the streams of the admin page, which are answers without an end: a graceful shutdown would wait for them. A
    /// program that serves these routes itself calls it when it begins to stop.
    pub fn end_streams(&self) {
        if let Some(page) = &self.0.page {
            page.stop();
        }
    }

    /// Whether a stop has begun. The service may still accept connections.
    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stage.as_ref().is_some_and(Stage::is_stopping)
    }

    /// The counts of the service's requests.
    pub(crate) fn requests(&self) -> &Requests {
        &self.0.requests
    }

    /// Whether a request is one that supervisors and monitoring send: for a probe, or for the metrics. A connection beyond
    /// the bounds is answered these alone.
    pub(crate) fn is_probe<B>(&self, request: &axum::http::Request<B>) -> bool {
        let inner = request.uri().path().strip_prefix(self.0.base.as_str());
        let is_read = [Method::GET, Method::HEAD].contains(request.method());
        is_read && inner.is_some_and(|inner| PROBES.contains(&inner))
    }

    /// What lets pages of other origins read an answer that no route gives.
    pub(crate) fn of_refusals(&self) -> Arc<RefusalCors> {
        self.0.of_refusals.clone()
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        let is_head = request.method() == Method::HEAD;
        let answer = correlation::correlate(request, |request| self.0.answer(request)).await;
        if is_head { without_body(answer) } else { answer }
    }
}

/// The answer to a HEAD: the headers of this answer, without its body. Over HTTP/1.1, hyper itself leaves the body out.
/// Over HTTP/2, hyper would send the body, and a client would reset the stream.
pub(crate) fn without_body(mut answer: Response) -> Response {
    let length = answer.body().size_hint().exact().filter(|length| *length > 0);
    if let Some(length) = length {
        answer.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
    answer.map(|_| Body::empty())
}

impl Entry {
    /// Answers a request that has its ids: answers preflights, and adds the headers of CORS to all other answers.
    async fn answer(&self, mut request: Request) -> Response {
        if request.extensions().get::<OriginalUri>().is_none() {
            // The links in answers need the path that the client sent. The router would set `OriginalUri` too, but only
            // after the prefix is removed.
            let sent = OriginalUri(request.uri().clone());
            request.extensions_mut().insert(sent);
        }
        let Some(cors) = &self.cors else { return self.answer_path(request).await };
        let answer = |request| async { Ok::<_, Infallible>(self.answer_path(request).await) };
        let Ok(answer) = cors.layer(service_fn(answer)).call(request).await;
        answer
    }

    /// Takes the prefix off the path.
    async fn answer_path(&self, mut request: Request) -> Response {
        let path = request.uri().path();
        let inner = match &self.discovery {
            Some(outside) if outside == path => Some(DISCOVERY),
            _ if self.base.is_empty() => return self.answer_form(request).await,
            _ => path.strip_prefix(self.base.as_str()).filter(|inner| inner.starts_with('/')),
        };
        let Some(uri) = inner.and_then(|inner| paths::with_path(request.uri(), inner)) else {
            return with_common_headers(Problem::new(Code::PathUnknown).into_response());
        };
        *request.uri_mut() = uri;
        paths::rebased(self.answer_form(request).await, &self.base)
    }

    /// Answers a path in the form that the router knows.
    ///
    /// If the router knows a path only without the slash at its end, it serves that path. If it knows a path only with
    /// a slash, it redirects, as Django's `APPEND_SLASH` does: only the paths of it360acad, which used Django, end with
    /// a slash.
    async fn answer_form(&self, mut request: Request) -> Response {
        match self.templates.known_form(request.uri()) {
            None => {}
            Some(known) if known.path().ends_with('/') => {
                return with_common_headers(paths::redirected(request.method(), &known));
            }
            Some(known) => *request.uri_mut() = known,
        }
        if let Some(stage) = &self.stage {
            request.extensions_mut().insert(stage.clone());
        }
        let Ok(answer) = self.router.clone().call(request).await;
        answer
    }
}

impl Service<Request> for Routes {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let routes = self.clone();
        Box::pin(async move { Ok(routes.answer(request).await) })
    }
}

impl From<Routes> for Router {
    fn from(routes: Routes) -> Self {
        Self::new().fallback_service(routes)
    }
}
