//! Why a page cannot be shown, in words for the person in front of it.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use matrix_login::ServerError;

use crate::{pages, store::StoreError};

pub struct Failure {
    status: StatusCode,
    reason: String,
}

impl Failure {
    /// The browser must send something else.
    pub fn of_browser(reason: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, reason: reason.into() }
    }

    pub fn not_found() -> Self {
        Self { status: StatusCode::NOT_FOUND, reason: "this page does not exist".into() }
    }

    /// The homeserver, its OAuth 2.0 server, or the person on its page has said no.
    pub fn refused(refusal: &ServerError) -> Self {
        Self { status: StatusCode::FORBIDDEN, reason: format!("nobody is logged in: {refusal}; begin again") }
    }

    /// The homeserver, or its OAuth 2.0 server, does not do what it should.
    pub fn of_homeserver(reason: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_GATEWAY, reason: reason.into() }
    }

    /// This program does not do what it should. The reason is for its log, and must not contain a secret.
    pub fn of_program(reason: &str) -> Self {
        eprintln!("{reason}");
        Self { status: StatusCode::SERVICE_UNAVAILABLE, reason: "this page does not work now; try again later".into() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::of_program(&error.to_string())
    }
}

impl From<getrandom::Error> for Failure {
    fn from(error: getrandom::Error) -> Self {
        Self::of_program(&error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, pages::failure(&self.reason)).into_response()
    }
}
