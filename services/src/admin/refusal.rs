//! What the API answers in place of what was asked: one sentence, and what to do about it.

use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use mailqueue::{FilterError, InvalidMessageId, OperateError, ReadError, RecordError, RuleError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why the server did not do it. As JSON it is `{"error": "…", "remedy": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{error}; {remedy}")]
pub struct Refusal {
    /// The status of the answer: below 500 where the question was at fault.
    #[serde(skip)]
    pub status: StatusCode,
    /// What is wrong.
    pub error: String,
    /// What to do about it.
    pub remedy: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status, error: error.into(), remedy: remedy.into() }
    }

    pub(super) fn question(error: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, remedy)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(&self)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// An answer in JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(octets) => ([(header::CONTENT_TYPE, "application/json")], octets).into_response(),
            // None of the shapes has what JSON cannot say.
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}

impl From<FilterError> for Refusal {
    fn from(error: FilterError) -> Self {
        Self::question(
            format!("the filter is not understood: {error}"),
            "write words such as domain=example.com older=4h text=\"greylisted\", or all",
        )
    }
}

impl From<InvalidMessageId> for Refusal {
    fn from(error: InvalidMessageId) -> Self {
        Self::question(error.to_string(), "take the id from a listing")
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::question(rejection.body_text(), "filter, after and limit can be given, percent-encoded")
    }
}

impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text(), "send a smaller body: JSON with a few fields")
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        let (status, remedy) = match error {
            ReadError::Unknown => (StatusCode::NOT_FOUND, "list the queue; it may have been delivered meanwhile"),
            ReadError::Damaged | ReadError::Failed(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "look at the disk and at the server's log")
            }
            ReadError::Closed => (StatusCode::SERVICE_UNAVAILABLE, "ask again when the server has started anew"),
        };
        Self::new(status, error.to_string(), remedy)
    }
}

impl From<RecordError> for Refusal {
    fn from(error: RecordError) -> Self {
        let (status, remedy) = match error {
            RecordError::Unknown => (StatusCode::NOT_FOUND, "list the queue; it may have been delivered meanwhile"),
            RecordError::Full => (StatusCode::INSUFFICIENT_STORAGE, "make room on the disk, and ask again"),
            RecordError::Failed(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "look at the disk and at the server's log, and ask again")
            }
            RecordError::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ask again when the server has started anew"),
        };
        Self::new(status, error.to_string(), remedy)
    }
}

impl From<OperateError> for Refusal {
    fn from(error: OperateError) -> Self {
        let told = error.to_string();
        let Self { status, remedy, .. } = match error {
            OperateError::Read(cause) => cause.into(),
            OperateError::Record(cause) => cause.into(),
        };
        Self::new(status, told, format!("what was done before stays done; {remedy}"))
    }
}

impl From<RuleError> for Refusal {
    fn from(error: RuleError) -> Self {
        let told = error.to_string();
        match error {
            RuleError::Empty => Self::question(told, "name one of them; source=* stops all mail"),
            RuleError::NotForRules(_) => Self::question(
                told,
                "rules go by domain, site, source and sender, since they hold for mail to come too",
            ),
            RuleError::TooMany => Self::new(StatusCode::CONFLICT, told, "take back rules that are not needed any more"),
            RuleError::Unknown => Self::new(StatusCode::NOT_FOUND, told, "list the rules; it may have ended by itself"),
            RuleError::Spool(cause) => {
                let Self { status, remedy, .. } = cause.into();
                Self::new(status, told, remedy)
            }
        }
    }
}
