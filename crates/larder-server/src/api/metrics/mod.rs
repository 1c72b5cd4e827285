//! `/metrics`: everything that is counted, in the text format of Prometheus.

mod process;
pub(crate) mod requests;

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::metrics::requests::Requests;
use crate::api::openapi::answers::Refused;
use crate::api::problem::Problem;
use crate::mail::mailer::Mailer;
use crate::service::Service;
use crate::service::access::Caller;
use crate::store::Store;

/// Every route of this file; `requests` holds the counts of the service's requests.
pub(crate) fn routes(requests: Requests) -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(scrape)).layer(Extension(requests))
}

/// Everything that this instance counts, and Redis's own figures, in the format of Prometheus. For admins.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    tag = "health",
    security(("bearer" = []), ("api_key" = ["metrics"])),
    responses((status = 200, body = String, content_type = "text/plain; version=0.0.4"), Refused)
)]
pub(crate) async fn scrape(
    State(service): State<Service>,
    Extension(requests): Extension<Requests>,
    caller: Caller,
) -> Result<impl IntoResponse, Problem> {
    service.present_admin(caller).await?;
    let cache = larder_prometheus::text_with_redis(service.cache()).await;
    let mails = service.mailer().map(of_the_mailer).unwrap_or_default();
    let text = of_the_service(service.store()) + &mails + &process::text() + &cache + &requests.text();
    Ok(([(CONTENT_TYPE, larder_prometheus::CONTENT_TYPE)], text))
}

/// Two metrics of the service itself: its version, and how many statements it sent to its database.
fn of_the_service(store: &Store) -> String {
    let (version, statements) = (env!("CARGO_PKG_VERSION"), store.statements());
    format!(
        "# HELP larder_build_info Always 1; its label is the version that runs.\n\
         # TYPE larder_build_info gauge\n\
         larder_build_info{{version=\"{version}\"}} 1\n\
         # HELP larder_database_statements_total Statements that requests and loads ran, without BEGIN and COMMIT.\n\
         # TYPE larder_database_statements_total counter\n\
         larder_database_statements_total {statements}\n"
    )
}

/// The mails with tokens; absent if the service sends none.
fn of_the_mailer(mailer: &Mailer) -> String {
    let counts = mailer.counts();
    let (sent, failed, dropped) = (counts.sent, counts.failed, counts.dropped);
    let (retried, waiting) = (counts.retried, counts.waiting);
    format!(
        "# HELP larder_mails_total Mails that were sent, given up, or dropped because too many were under way.\n\
         # TYPE larder_mails_total counter\n\
         larder_mails_total{{outcome=\"sent\"}} {sent}\n\
         larder_mails_total{{outcome=\"failed\"}} {failed}\n\
         larder_mails_total{{outcome=\"dropped\"}} {dropped}\n\
         # HELP larder_mail_retries_total Attempts to send a mail that followed a failed one.\n\
         # TYPE larder_mail_retries_total counter\n\
         larder_mail_retries_total {retried}\n\
         # HELP larder_mails_waiting Mails that are under way, those that wait for a retry included.\n\
         # TYPE larder_mails_waiting gauge\n\
         larder_mails_waiting {waiting}\n"
    )
}
