//! The answers that many routes give, each described once.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::api::codes;

/// An error, as RFC 9457 defines it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// The code as a URN, `urn:problem-type:larder:` and the code with hyphens.
    #[schema(format = "uri", example = "urn:problem-type:larder:not-found")]
    r#type: String,
    /// Which problem it is; never renamed.
    #[schema(schema_with = codes::schema)]
    code: String,
    /// The HTTP status, repeated.
    status: u16,
    /// The status in words.
    title: String,
    /// What was wrong with this request.
    detail: String,
    /// The id of the request, as in `X-Request-Id` and in the log.
    #[schema(required = false)]
    request_id: String,
    /// The fields that were refused, each with what is allowed.
    #[schema(required = false)]
    errors: BTreeMap<String, String>,
}

/// Headers that an answer has beside its body, each with its description.
type Headers = &'static [(&'static str, &'static str)];

const CHALLENGE: Headers = &[(
    "WWW-Authenticate",
    "`Bearer`, with `error=\"invalid_token\"` if the request had a token; or `Basic`",
)];
const SCOPE: Headers =
    &[("WWW-Authenticate", "`Bearer error=\"insufficient_scope\"` if an API key lacks a scope")];
const PAUSE: Headers = &[("Retry-After", "in seconds")];

/// Defines types for the `responses(…)` of annotations. Each type means one or more answers, all of them problems. A
/// row is one answer: its status, its description and its headers.
macro_rules! answers {
    ($($(#[$doc:meta])+ $name:ident { $($status:literal, $description:expr $(, $headers:ident)?;)+ })+) => {$(
        $(#[$doc])+
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$(problem($status, $description, &[$($headers)?])),+].into()
            }
        }
    )+};
}

fn problem(status: u16, description: &str, headers: &[Headers]) -> (String, RefOr<Response>) {
    let body = Content::new(Some(Ref::from_schema_name(ProblemBody::name())));
    let answer = ResponseBuilder::new().description(description).content("application/problem+json", body);
    (status.to_string(), RefOr::T(with_headers(answer, headers.concat()).build()))
}

fn with_headers(answer: ResponseBuilder, headers: Vec<(&str, &str)>) -> ResponseBuilder {
    headers.into_iter().fold(answer, |answer, (name, about)| {
        let description = Some(about).filter(|about| !about.is_empty());
        answer.header(name, HeaderBuilder::new().description(description).build())
    })
}

const UNREADABLE: &str = "The path, the query or the body cannot be read.";
const INVALID: &str = "A parameter or a field has a value that is not allowed.";
const BROKEN: &str = "What another program wrote into the database cannot be read, and `errors` names the field; or the service failed.";
const UNAVAILABLE: &str =
    "The database does not answer, too many passwords are being compared, or the service is being stopped.";

answers! {
    /// How a route refuses a body.
    RefusedBody {
        408, "The body did not arrive in time.";
        413, "The body is larger than this path takes; `detail` says how large it may be.";
        415, "The body is not sent as JSON, or is encoded otherwise than with gzip.";
    }
    /// How a route that needs no token may refuse and fail.
    Failed {
        400, UNREADABLE;
        422, INVALID;
        500, BROKEN;
        503, UNAVAILABLE, PAUSE;
    }
    /// The request's credentials identify no user.
    Unauthenticated {
        401, "the credentials or the token are missing, wrong, expired or ended", CHALLENGE;
    }
    /// How a route refuses a form.
    RefusedForm {
        400, "The form cannot be read.";
        408, "The form did not arrive in time.";
        413, "The form is larger than this path takes; `detail` says how large it may be.";
        415, "The body is not sent as a form, or is encoded otherwise than with gzip.";
    }
    /// How a route whose credentials can be guessed refuses a client that fails too often.
    RefusedTooMany {
        429, "Too many recent failures.", PAUSE;
    }
    /// How a route that needs a token may refuse and fail.
    Refused {
        400, UNREADABLE;
        401, "No access token, or one that is malformed, forged, expired or ended.", CHALLENGE;
        403, "The caller may not do this.", SCOPE;
        422, INVALID;
        500, BROKEN;
        503, UNAVAILABLE, PAUSE;
    }
    /// The service does not know its public address.
    NoIssuer {
        404, "`LARDER_ISSUER` is not set.";
    }
    /// The service sends no mail.
    NoMail {
        404, "Neither `LARDER_MAIL_URL` nor `LARDER_MAIL_WEBHOOK_URL` is set.";
    }
    /// The token of a mail is not valid.
    MailTokenRefused {
        403, "The token is unknown, expired, used, or was sent before a change of the user.";
    }
    /// The address is confirmed.
    Confirmed {
        409, "the e-mail address is confirmed already";
    }
    /// Nothing of that name exists.
    NotFound {
        404, "there is no such user, or nothing of that name that the caller may see";
    }
    /// Another user has a value that has to be unique.
    Taken {
        409, "another user has this value already, or this is the last active superadmin";
    }
    /// The write would leave no active superadmin.
    LastSuperadmin {
        409, "this is the last active superadmin";
    }
    /// The request expects another state than the present one.
    Outdated {
        412, "`If-Match` names another state than the present one, or `If-None-Match` of a write names the present one";
    }
}

/// 304: the caller has the present state already.
pub(crate) struct NotModified;

impl IntoResponses for NotModified {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let answer = ResponseBuilder::new().description("the caller has this state already");
        let answer = with_headers(answer, vec![("ETag", ""), ("Cache-Status", "")]);
        BTreeMap::from([("304".to_owned(), RefOr::T(answer.build()))])
    }
}
