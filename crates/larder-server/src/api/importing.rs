//! `/api/v1/users/import` and `/api/v1/users/export`: many users in one request, streamed.

use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use larder::receipt::Receipt;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, Schema, SchemaFormat};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::JsonAnswer;
use crate::api::auth::acknowledged;
use crate::api::bodies::{BodyPace, is_too_slow};
use crate::api::client_address::ClientAddress;
use crate::api::codes::Code;
use crate::api::extract::{OptionalJson, Params};
use crate::api::openapi::answers::{Refused, RefusedBody, RefusedTooMany};
use crate::api::problem::Problem;
use crate::domain::body::ConfirmationBody;
use crate::domain::importing::{BulkFormat, ImportRow, ReadRow, RowReader, written, written_header};
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::json::{string, words};
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::confirming::Proof;
use crate::service::importing::later;
use crate::store::importing::{BatchLines, ROWS_PER_BATCH, RowOutcome};

/// The greatest number of errors that a report lists. The report counts all errors.
const LISTED_ERRORS: usize = 1_000;

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(import)).routes(routes!(export))
}

/// The body of an import, for the OpenAPI document alone. Its format is `binary`, because generated clients stream a
/// file of this format.
enum Rows {}

impl ToSchema for Rows {}

impl PartialSchema for Rows {
    fn schema() -> RefOr<Schema> {
        string().format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary))).into()
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportParams {
    /// `true`: everything is checked and counted, and nothing is written. Default: `false`.
    #[param(value_type = Option<bool>)]
    dry_run: Option<String>,
    /// Lines before this one are read and not imported. To continue an import that stopped, send the line after its
    /// `committed_lines`.
    #[param(value_type = Option<u64>, minimum = 1)]
    from_line: Option<String>,
}

/// A row that was refused.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImportError {
    /// The number of the line at which the row begins, from 1.
    line: u64,
    /// The field, or `line` if the error concerns the entire line.
    field: String,
    /// What is allowed.
    message: String,
}

/// A transaction of an import.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImportBatch {
    first_line: u64,
    last_line: u64,
    created: u64,
    updated: u64,
}

/// What an import did.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct ImportReport {
    /// Whether this was a dry run, which writes nothing.
    dry_run: bool,
    created: u64,
    updated: u64,
    /// Users that already were as their rows say.
    unchanged: u64,
    /// Rows of which nothing was written.
    refused: u64,
    /// The first errors, at most 1,000.
    errors: Vec<ImportError>,
    /// How many errors are not listed.
    errors_left_out: u64,
    /// The transactions, in their order.
    batches: Vec<ImportBatch>,
    /// Each row that begins at this line or before it is written or refused.
    committed_lines: u64,
    /// How long the import took.
    milliseconds: u64,
}

/// An import under way.
struct Import {
    service: Service,
    caller: Caller,
    from_line: u64,
    rows: Vec<(u64, ImportRow)>,
    report: ImportReport,
    receipt: Option<Receipt>,
}

impl Import {
    fn refuse(&mut self, line: u64, errors: &ValidationErrors) {
        self.report.refused += 1;
        for (field, message) in errors.iter() {
            if self.report.errors.len() < LISTED_ERRORS {
                let (field, message) = (field.to_owned(), message.to_owned());
                self.report.errors.push(ImportError { line, field, message });
            } else {
                self.report.errors_left_out += 1;
            }
        }
    }

    /// Takes the complete rows of the reader, and writes each full batch.
    async fn take(&mut self, reader: &mut RowReader) -> Result<(), Problem> {
        while let Some(ReadRow { line, row }) = reader.next_row() {
            match row {
                _ if line < self.from_line => {}
                Ok(row) => self.rows.push((line, row)),
                Err(errors) => self.refuse(line, &errors),
            }
            if self.rows.len() >= ROWS_PER_BATCH {
                self.write().await?;
            }
        }
        Ok(())
    }

    /// Writes the rows of a batch.
    async fn write(&mut self) -> Result<(), Problem> {
        let (lines, rows): (Vec<_>, Vec<_>) = std::mem::take(&mut self.rows).into_iter().unzip();
        let (Some(first), Some(last)) = (lines.first().copied(), lines.last().copied()) else {
            return Ok(());
        };
        let batch =
            self.service.import_batch(self.caller, rows, BatchLines { first, last }, self.report.dry_run);
        let (outcomes, receipt) = batch.await?;
        let (mut created, mut updated) = (0, 0);
        for (line, outcome) in lines.into_iter().zip(outcomes) {
            match outcome {
                RowOutcome::Created => created += 1,
                RowOutcome::Updated => updated += 1,
                RowOutcome::Unchanged => self.report.unchanged += 1,
                RowOutcome::Refused(errors) => self.refuse(line, &errors),
            }
        }
        self.report.created += created;
        self.report.updated += updated;
        self.report.committed_lines = last;
        self.report.batches.push(ImportBatch { first_line: first, last_line: last, created, updated });
        self.receipt = Some(later(self.receipt, receipt));
        Ok(())
    }

    /// Says in a problem how far the import came.
    fn stopped(&self, problem: Problem) -> Problem {
        let line = self.report.committed_lines;
        match self.report.dry_run {
            true => problem,
            false => problem
                .also(&format!("; lines up to {line} are imported, continue with from_line={}", line + 1)),
        }
    }
}

/// Imports users: creates those that do not exist, and changes those that exist. A row is a line of NDJSON or a record
/// of CSV. The row's user is the one with its `external_id`, or else the one with its `id`. A batch of rows is one
/// transaction, and a row that is refused does not affect the others.
#[utoipa::path(
    post,
    path = "/api/v1/users/import",
    operation_id = "import_users",
    tag = "users",
    params(ImportParams),
    security(("bearer" = []), ("api_key" = ["write"])),
    request_body(
        content(
            (Rows = "application/x-ndjson"),
            (Rows = "text/csv")
        ),
        description = "One `ImportedUser` a line, or a header and one record a user; at most 16 KiB each."
    ),
    responses(
        (status = 200, body = ImportReport, headers(("Cache-Invalidation" = String))),
        Refused,
        RefusedBody,
    )
)]
pub(crate) async fn import(
    State(service): State<Service>,
    caller: Caller,
    Params(params): Params<ImportParams>,
    headers: HeaderMap,
    pace: BodyPace,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    service.check_import(caller).await?;
    let began = Instant::now();
    let format = sent_format(&headers)?;
    let (dry_run, from_line) = parsed(&params)?;
    // A large body may take longer than the time-out of a body, so the time-out counts for each piece.
    pace.by_piece();
    let report = ImportReport { dry_run, committed_lines: from_line - 1, ..ImportReport::default() };
    let limit = service.body_limits().import_bytes;
    let mut import = Import { service, caller, from_line, rows: Vec::new(), report, receipt: None };
    let mut reader = RowReader::new(format);
    if let Err(problem) = read(&mut import, &mut reader, body, limit).await {
        return Err(import.stopped(problem));
    }
    import.report.milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    // Without a batch nothing was written, so nothing has to be invalidated.
    let acknowledgement = import.receipt.map(acknowledged);
    let unwritten = [(larder_http::headers::CACHE_INVALIDATION, HeaderValue::from_static("sent"))];
    Ok((acknowledgement.unwrap_or(unwritten), JsonAnswer(import.report)))
}

async fn read(
    import: &mut Import,
    reader: &mut RowReader,
    mut body: Body,
    limit: u64,
) -> Result<(), Problem> {
    let mut bytes = 0u64;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match is_too_slow(&error) {
            true => Problem::new(Code::BodyTooSlow),
            false => Problem::new(Code::BodyUnreadable),
        })?;
        let Ok(data) = frame.into_data() else { continue };
        // What is within the limit is imported, so that the answer does not depend on the sizes of the pieces.
        let allowed = usize::try_from(limit - bytes).unwrap_or(usize::MAX).min(data.len());
        bytes += allowed as u64;
        reader.push(&data[..allowed])?;
        import.take(reader).await?;
        if allowed < data.len() {
            let detail = format!("an import has at most {limit} bytes");
            return Err(Problem::new(Code::BodyTooLarge).with_detail(detail));
        }
    }
    reader.finish()?;
    import.take(reader).await?;
    import.write().await
}

fn sent_format(headers: &HeaderMap) -> Result<BulkFormat, Problem> {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/x-ndjson" | "application/jsonl" => Ok(BulkFormat::Ndjson),
        "text/csv" => Ok(BulkFormat::Csv),
        _ => Err(Problem::new(Code::BodyNotSentAsRows)),
    }
}

fn parsed(params: &ImportParams) -> Result<(bool, u64), ValidationErrors> {
    let mut errors = ValidationErrors::default();
    let dry_run = match params.dry_run.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Invalid::new("must be true or false")),
    };
    let from_line = match params.from_line.as_deref().map(str::parse) {
        None => Ok(1),
        Some(Ok(line)) if line >= 1 => Ok(line),
        Some(_) => Err(Invalid::new("must be an integer from 1")),
    };
    let dry_run = errors.keep("dry_run", dry_run);
    let from_line = errors.keep("from_line", from_line);
    dry_run.zip(from_line).ok_or(errors)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportParams {
    /// `ndjson` or `csv`. Default: `ndjson`.
    #[param(value_type = Option<BulkFormatWord>, inline)]
    format: Option<String>,
}

words! {
    /// The form of an export, as a parameter.
    BulkFormatWord, ["ndjson", "csv"]
}

/// Exports the users that the caller manages, in the order of their ids. Needs the caller's password, because the
/// answer has all their data. The answer has no password hashes. An import accepts this output.
#[utoipa::path(
    post,
    path = "/api/v1/users/export",
    operation_id = "export_users",
    tag = "users",
    params(ExportParams),
    security(("bearer" = [])),
    request_body(content = ConfirmationBody, description = "the caller's password, and a code of its second factor"),
    responses(
        (
            status = 200,
            description = "one user a line, or a header and one record a user",
            content((Rows = "application/x-ndjson"), (Rows = "text/csv; charset=utf-8"))
        ),
        Refused, RefusedTooMany, RefusedBody,
    )
)]
pub(crate) async fn export(
    State(service): State<Service>,
    caller: Caller,
    Params(params): Params<ExportParams>,
    ClientAddress(from): ClientAddress,
    OptionalJson(body): OptionalJson,
) -> Result<Response, Problem> {
    // The role is checked before the body is parsed, as for every operation of admins.
    caller.check_admin()?;
    let format = match params.format.as_deref() {
        None | Some("ndjson") => BulkFormat::Ndjson,
        Some("csv") => BulkFormat::Csv,
        Some(_) => return Err(ValidationErrors::one("format", Invalid::new("must be ndjson or csv")).into()),
    };
    let ConfirmationBody { confirmation } = ConfirmationBody::parse(body)?;
    let caller = service.begin_export(caller, &Proof { confirmation, from }, format).await?;
    // `None` before the first page, `Some(None)` after the last one.
    let pages = stream::unfold((service, None), move |(service, position)| async move {
        let (begins, after) = match position {
            None => (true, None),
            Some(None) => return None,
            Some(after) => (false, after),
        };
        let page = service.export_page(caller, after).await;
        let (users, last) = match page {
            Ok(page) => page,
            Err(error) => {
                // The error breaks the body off, so that the client knows that the export is not complete.
                tracing::warn!(%error, "an export ended early");
                return Some((Err(std::io::Error::other(error)), (service, Some(None))));
            }
        };
        let mut text = if begins { written_header(format) } else { Vec::new() };
        users.iter().for_each(|user| text.extend(written(format, user)));
        Some((Ok(Bytes::from(text)), (service, Some(last))))
    });
    // The layer that compresses polls a body again after its end, and `unfold` panics at such a poll.
    let pages = pages.fuse();
    let media_type = [(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()))];
    Ok((media_type, Body::from_stream(pages)).into_response())
}
