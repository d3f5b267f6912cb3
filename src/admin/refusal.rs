//! Why the admin API did not do as asked, and the one place that says so in HTTP.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::events::StoreFailed;
use crate::metrics::{AdminResult, Metrics, StoreOp};
use crate::store::StoreError;

/// The word in an answer: what kind of no it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is explained by its status below
pub enum Code {
    Malformed,
    Unauthenticated,
    TooManyFailures,
    Forbidden,
    ForeignOrigin,
    ForeignHost,
    NotFound,
    WrongMethod,
    LengthRequired,
    TooLarge,
    NotJson,
    Conflict,
    Busy,
    TooLong,
    Failed,
}

impl Code {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthenticated => "unauthenticated",
            Self::TooManyFailures => "too_many_failures",
            Self::Forbidden => "forbidden",
            Self::ForeignOrigin => "foreign_origin",
            Self::ForeignHost => "foreign_host",
            Self::NotFound => "not_found",
            Self::WrongMethod => "wrong_method",
            Self::LengthRequired => "length_required",
            Self::TooLarge => "too_large",
            Self::NotJson => "not_json",
            Self::Conflict => "conflict",
            Self::Busy => "busy",
            Self::TooLong => "too_long",
            Self::Failed => "failed",
        }
    }

    /// The status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::TooManyFailures => StatusCode::TOO_MANY_REQUESTS,
            Self::Forbidden | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::LengthRequired => StatusCode::LENGTH_REQUIRED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Busy | Self::TooLong => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// How it is counted.
    pub fn result(self) -> AdminResult {
        match self {
            Self::Unauthenticated | Self::TooManyFailures => AdminResult::Unauthenticated,
            Self::Forbidden => AdminResult::Forbidden,
            Self::Busy | Self::TooLong | Self::Failed => AdminResult::Failed,
            _ => AdminResult::Refused,
        }
    }
}

/// A no: what it is about, and what to do. Never a client's text, never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind.
    pub code: Code,
    /// The cause.
    pub message: String,
    /// The remedy.
    pub remedy: &'static str,
    /// When to try again, in seconds.
    pub retry_after: Option<u64>,
    /// The methods that the route takes, for one that takes others.
    pub allow: Option<String>,
}

impl Refusal {
    /// One with these words.
    pub fn new(code: Code, message: impl Into<String>, remedy: &'static str) -> Self {
        Self {
            code,
            message: message.into(),
            remedy,
            retry_after: None,
            allow: None,
        }
    }

    /// The same words whatever is wrong with a credential, and whether or not there is such a route.
    pub fn unauthenticated() -> Self {
        Self::new(
            Code::Unauthenticated,
            "this needs a credential of the admin API that works",
            "send `Authorization: Bearer sga_…`, as `scopegate admin create` printed it",
        )
    }

    /// There is nothing of that name.
    pub fn no_such(what: &str, remedy: &'static str) -> Self {
        Self::new(Code::NotFound, format!("there is no {what} of that name"), remedy)
    }

    /// What the store said: the caller learns the kind, the log has the detail.
    pub fn of_store(error: &StoreError, metrics: &Metrics) -> Self {
        match error {
            StoreError::NotFound { what, .. } => Self::new(
                Code::NotFound,
                format!("there is no {what}, as named"),
                "list what there is",
            ),
            StoreError::Busy | StoreError::Interrupted => Self {
                retry_after: Some(1),
                ..Self::new(
                    Code::Busy,
                    "the store is busy",
                    "look whether it was done, then try again",
                )
            },
            error => {
                StoreFailed {
                    op: StoreOp::Read,
                    detail: error,
                }
                .emit(metrics);
                Self::new(
                    Code::Failed,
                    "the store could not be used",
                    "the gate's log says more; run `scopegate store check`",
                )
            }
        }
    }

    /// The answer. The connection ends with it unless the request was understood whole.
    pub fn response(&self, understood: bool) -> Response<Bytes> {
        let error = json!({
            "error": { "code": self.code.as_str(), "message": self.message, "remedy": self.remedy },
        });
        let mut response = Response::new(Bytes::from(format!("{error}\n")));
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        if self.code == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = self
            .allow
            .as_deref()
            .and_then(|text| HeaderValue::from_str(text).ok())
        {
            headers.insert(header::ALLOW, allow);
        }
        if !understood {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
