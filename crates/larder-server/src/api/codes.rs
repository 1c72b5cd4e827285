//! The codes of all problems: a client distinguishes two problems with the same HTTP status by their codes, which never
//! change. `docs/problems.md` lists them, and the OpenAPI document names them in the schema `Problem`.

use axum::http::StatusCode;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use crate::service::refusal::{Refusal, RefusalKind};

/// Each row defines one problem: variant, status, code, text. The refusals of the service are defined in `refusals!` of
/// `service/refusal.rs`.
macro_rules! codes {
    ($($variant:ident: $status:ident, $name:literal, $text:literal;)+) => {
        /// Which problem an answer reports.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code {
            Refused(Refusal),
            $($variant,)+
        }

        impl Code {
            const OTHERS: &[Code] = &[$(Code::$variant),+];

            pub(crate) fn status(self) -> StatusCode {
                match self {
                    Code::Refused(refusal) => match refusal.kind() {
                        RefusalKind::Unauthenticated => StatusCode::UNAUTHORIZED,
                        RefusalKind::Forbidden => StatusCode::FORBIDDEN,
                        RefusalKind::Conflict => StatusCode::CONFLICT,
                    },
                    $(Code::$variant => StatusCode::$status,)+
                }
            }

            /// The member `code` of the answer. A code is never renamed, because clients compare it.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    Code::Refused(refusal) => refusal.code(),
                    $(Code::$variant => $name,)+
                }
            }

            /// The member `detail` of the answer, unless `Problem::with_detail` sets another one.
            pub(crate) fn text(self) -> &'static str {
                match self {
                    Code::Refused(refusal) => refusal.text(),
                    $(Code::$variant => $text,)+
                }
            }
        }
    };
}

codes! {
    BodyNotJson: BAD_REQUEST, "body_not_json", "the body is not JSON";
    BodyUnreadable: BAD_REQUEST, "body_unreadable", "the body could not be read";
    RequestUnparsable: BAD_REQUEST, "request_unparsable", "this is not HTTP, or its head cannot be parsed";
    FormUnreadable: BAD_REQUEST, "form_unreadable",
        "the form cannot be read; each field may occur once, percent-encoded in UTF-8";
    PathUnreadable: BAD_REQUEST, "path_unreadable", "the path is not UTF-8";
    QueryUnreadable: BAD_REQUEST, "query_unreadable",
        "the query string cannot be read; each parameter may occur once, percent-encoded in UTF-8";
    SecondFactorNeeded: UNAUTHORIZED, "second_factor_needed", "the password is right; a code is needed too";
    NotFound: NOT_FOUND, "not_found", "there is no such user";
    PageUnknown: NOT_FOUND, "page_unknown", "Invalid page.";
    IssuerUnset: NOT_FOUND, "issuer_unset", "the service does not know its public address: LARDER_ISSUER is not set";
    MailUnset: NOT_FOUND, "mail_unset",
        "this service sends no mail: neither LARDER_MAIL_URL nor LARDER_MAIL_WEBHOOK_URL is set";
    PathUnknown: NOT_FOUND, "path_unknown", "there is nothing under this path";
    MethodUnknown: METHOD_NOT_ALLOWED, "method_unknown",
        "this path does not know this method; see the Allow header";
    ValueTaken: CONFLICT, "value_taken", "another user has this value; errors names the field";
    VersionMismatch: PRECONDITION_FAILED, "version_conflict",
        "If-Match names another version of the user than the present one";
    PartMismatch: PRECONDITION_FAILED, "part_conflict",
        "this part of the profile is another by now; read it again before you change it";
    BodyTooSlow: REQUEST_TIMEOUT, "body_too_slow", "the body did not arrive in time";
    BodyTooLarge: PAYLOAD_TOO_LARGE, "body_too_large", "the body is larger than this path takes; detail says how large it may be";
    BodiesFull: SERVICE_UNAVAILABLE, "bodies_full",
        "larger bodies than the service holds in memory are being sent at once; try again, in smaller parts if you can";
    UriTooLong: URI_TOO_LONG, "uri_too_long", "the path and the query are longer than 65534 bytes";
    HeadTooLarge: REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large",
        "the request has more than 100 headers, or a head of more than 32 KiB";
    BodyEncodingUnknown: UNSUPPORTED_MEDIA_TYPE, "body_encoding_unknown",
        "the body may be sent as it is, or with Content-Encoding: gzip";
    BodyNotSentAsJson: UNSUPPORTED_MEDIA_TYPE, "body_not_sent_as_json",
        "the body must be JSON, with Content-Type: application/json";
    BodyNotSentAsForm: UNSUPPORTED_MEDIA_TYPE, "body_not_sent_as_form",
        "the body must be a form, with Content-Type: application/x-www-form-urlencoded";
    BodyNotSentAsRows: UNSUPPORTED_MEDIA_TYPE, "body_not_sent_as_rows",
        "the body must be rows of users, with Content-Type: application/x-ndjson or text/csv";
    FieldsInvalid: UNPROCESSABLE_ENTITY, "fields_invalid", "some fields are not allowed as they are; see errors";
    TooManyFailures: TOO_MANY_REQUESTS, "too_many_failures", "too many failed attempts, try again later";
    ValueUnreadable: INTERNAL_SERVER_ERROR, "value_unreadable",
        "what another program wrote into the database cannot be read; errors names the field, a new value mends it";
    Failed: INTERNAL_SERVER_ERROR, "failed", "the service failed";
    DatabaseUnavailable: SERVICE_UNAVAILABLE, "database_unavailable", "the database does not answer, try again";
    HashingBusy: SERVICE_UNAVAILABLE, "hashing_busy", "too many passwords are being compared; try again";
    ConnectionsFull: SERVICE_UNAVAILABLE, "connections_full", "there are too many connections; try again";
    Starting: SERVICE_UNAVAILABLE, "starting", "the service is starting and not ready yet, try again";
    Stopping: SERVICE_UNAVAILABLE, "stopping", "the service is being stopped";
}

impl Code {
    /// All codes, sorted by status.
    fn all() -> Vec<Code> {
        let refusals = Refusal::ALL.iter().map(|refusal| Code::Refused(*refusal));
        let mut all: Vec<Code> = refusals.chain(Code::OTHERS.iter().copied()).collect();
        all.sort_by_key(|code| code.status());
        all
    }

    /// The member `type` of RFC 9457. The value is a URN and not a URL, because the service has no public page to which
    /// a URL could lead.
    pub(crate) fn type_uri(self) -> String {
        format!("urn:problem-type:larder:{}", self.name().replace('_', "-"))
    }
}

/// The schema of the member `code`: a string that is one of the codes.
pub(crate) fn schema() -> Schema {
    let names = Code::all().into_iter().map(Code::name);
    Schema::Object(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;

    #[test]
    fn no_two_problems_have_one_code() {
        let all = Code::all();
        let names: HashSet<_> = all.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), all.len());
        for name in names {
            assert!(name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'), "{name}");
        }
    }

    /// With `LARDER_WRITE_PROBLEMS=1` this test writes the table instead of comparing it.
    #[test]
    fn the_page_of_problems_lists_every_code() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/problems.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let mut table = "| status | `code` | meaning |\n|---|---|---|\n".to_owned();
        for code in Code::all() {
            let text = code.text().replace('<', "\\<");
            writeln!(table, "| {} | `{}` | {} |", code.status().as_u16(), code.name(), text).unwrap();
        }
        let (before, rest) = page.split_once("| status |").unwrap();
        let (_, after) = rest.split_once("\n\n").unwrap();
        let expected = format!("{before}{table}\n{after}");
        if std::env::var_os("LARDER_WRITE_PROBLEMS").is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }
}
