//! What went wrong, as HTTP says it.

use axum::http::StatusCode;
use serde::Serialize;
use stent::model::{Error, Status};

#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: StatusCode,
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl Refusal {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), hint: None }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As the API says it.
    pub fn view(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct View {
            error: Inner,
        }
        #[derive(Serialize)]
        struct Inner {
            status: u16,
            message: String,
            hint: Option<String>,
        }
        let Self { status, message, hint } = self.clone();
        View { error: Inner { status: status.as_u16(), message, hint } }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match error.status() {
            Status::Invalid => StatusCode::BAD_REQUEST,
            Status::NotFound => StatusCode::NOT_FOUND,
            Status::Conflict => StatusCode::CONFLICT,
            Status::Unsupported => StatusCode::NOT_IMPLEMENTED,
            Status::Backend | Status::Timeout | Status::Closed => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.message())
    }
}

pub type Answer<T> = Result<T, Refusal>;
