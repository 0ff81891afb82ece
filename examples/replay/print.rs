//! The output: steps, requests and errors.

use std::{
    fmt::Display,
    time::{Duration, SystemTime},
};

use http::{HeaderName, HeaderValue, Request, header};
use matrix_login::{
    DiscoveryFailure, DiscoveryOutcome, Error, Location, LoginType, LoginTypes, ResponseError, RetryAfter, ServerError,
    Step,
};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::oauth::metadata_value;

/// The output for a step. `now` is the time when the last response arrived.
pub fn step_line(step: &Step<'_>, now: SystemTime) -> Value {
    match step {
        Step::Send { request, .. } => {
            let mut line = request_value(request);
            line["step"] = "send".into();
            line
        }
        Step::Wait(wait) => {
            json!({ "step": "wait", "ms": milliseconds(wait.remaining(now)), "attempt": wait.attempt() })
        }
        Step::Locate { failure, .. } => {
            json!({ "step": "locate", "outcome": outcome(failure), "reason": failure.to_string() })
        }
        Step::Choose { login_types, oauth, refused, .. } => {
            let mut line = json!({
                "step": "choose",
                "login_types": login_types_value(login_types),
                "refused": refused.map(|error| server_error_value(error, now)),
            });
            if let Some(metadata) = oauth {
                line["oauth"] = metadata_value(metadata);
            }
            line
        }
        Step::Browse(url) => json!({ "step": "browse", "url": url }),
        Step::ShowCode(code) => json!({
            "step": "show_code",
            "user_code": code.user_code(),
            "verification_uri": code.verification_uri(),
            "verification_uri_complete": code.verification_uri_complete(),
            "ms": milliseconds(code.remaining(now)),
            "expires_in_ms": code.expires_in().map(milliseconds),
        }),
        Step::Done(session) => json!({ "step": "done", "session": session }),
    }
}

pub fn request_value(request: &Request<Vec<u8>>) -> Value {
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), Value::from(String::from_utf8_lossy(value.as_bytes())))
    };
    let (name, body) =
        if is_form(request) { ("form", form_value(request.body())) } else { ("body", body_value(request.body())) };
    json!({
        "method": request.method().as_str(),
        "url": request.uri().to_string(),
        "headers": request.headers().iter().map(header).collect::<Map<_, _>>(),
        name: body,
    })
}

fn body_value(body: &[u8]) -> Value {
    match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(_) if body.is_empty() => Value::Null,
        Err(_) => String::from_utf8_lossy(body).into(),
    }
}

fn is_form(request: &Request<Vec<u8>>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|content_type| content_type == "application/x-www-form-urlencoded")
}

/// The parameters of a form. A parameter that appears twice becomes a list.
fn form_value(body: &[u8]) -> Value {
    let mut form: Map<String, Value> = Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        let value = Value::from(value);
        let values = match form.remove(&*name) {
            None => value,
            Some(Value::Array(mut values)) => {
                values.push(value);
                values.into()
            }
            Some(first) => json!([first, value]),
        };
        form.insert(name.into_owned(), values);
    }
    form.into()
}

pub fn login_types_value(login_types: &LoginTypes) -> Value {
    login_types.iter().map(login_type_value).collect()
}

fn login_type_value(login_type: &LoginType) -> Value {
    let mut value = match login_type.name() {
        "m.login.token" => json!({ "get_login_token": login_type.get_login_token() }),
        "m.login.sso" => {
            let identity_providers = login_type.identity_providers().iter().map(|provider| {
                json!({
                    "id": provider.id(), "name": provider.name(),
                    "icon": provider.icon(), "brand": provider.brand(),
                })
            });
            json!({
                "identity_providers": identity_providers.collect::<Value>(),
                "oauth_aware_preferred": login_type.oauth_aware_preferred(),
            })
        }
        "m.login.password" | "m.login.application_service" => json!({}),
        _ => json!(login_type.other()),
    };
    value["type"] = login_type.name().into();
    value
}

fn outcome(failure: &DiscoveryFailure) -> &'static str {
    match failure.outcome {
        DiscoveryOutcome::Ignore => "ignore",
        DiscoveryOutcome::FailPrompt => "fail_prompt",
        DiscoveryOutcome::FailError => "fail_error",
        _ => "unknown",
    }
}

pub fn error_line(error: &Error, received_at: SystemTime) -> Value {
    json!({ "error": error_value(error, received_at) })
}

fn error_value(error: &Error, received_at: SystemTime) -> Value {
    let (kind, details) = match error {
        Error::Response(error) => return response_error_value(error, received_at),
        Error::InvalidInput(_) => ("invalid_input", json!({})),
        Error::StaleResponse => ("stale_response", json!({})),
        Error::OutOfStep { .. } => ("out_of_step", json!({})),
        Error::AlreadyLoggedIn => ("already_logged_in", json!({})),
        Error::NotOffered { .. } => ("not_offered", json!({})),
        Error::ForeignCallback(_) => ("foreign_callback", json!({})),
        // A redirect is not an outcome, since the flow follows it.
        Error::Discovery(failure) if matches!(failure.cause, ResponseError::Redirected { .. }) => {
            return response_error_value(&failure.cause, received_at);
        }
        Error::Discovery(failure) => ("discovery", json!({ "outcome": outcome(failure) })),
        Error::MissingRefreshToken(session) => ("missing_refresh_token", json!({ "session": session })),
        Error::WrongUser { session, .. } => ("wrong_user", json!({ "session": session })),
        _ => ("unknown", json!({})),
    };
    described(details, kind, error)
}

fn response_error_value(error: &ResponseError, received_at: SystemTime) -> Value {
    let (kind, details) = match error {
        ResponseError::Server(error) => return server_error_value(error, received_at),
        ResponseError::LoginUnsupported => ("login_unsupported", json!({})),
        ResponseError::InvalidResponse { .. } => ("invalid_response", json!({})),
        ResponseError::TooLarge { .. } => ("too_large", json!({})),
        ResponseError::NotMatrix { status, .. } => ("not_matrix", json!({ "status": status.as_u16() })),
        ResponseError::Encoded { encoding, .. } => ("encoded", json!({ "encoding": encoding })),
        ResponseError::Redirected { location, .. } => {
            ("redirected", json!({ "location": location.as_ref().map(Location::as_str) }))
        }
        _ => ("unknown", json!({})),
    };
    described(details, kind, error)
}

fn described(mut details: Value, kind: &str, error: &impl Display) -> Value {
    details["kind"] = kind.into();
    details["message"] = error.to_string().into();
    details
}

fn server_error_value(error: &ServerError, received_at: SystemTime) -> Value {
    let delay = |retry_after: RetryAfter| retry_after.delay(received_at).map(milliseconds);
    json!({
        "kind": "server",
        "status": error.status.map(|status| status.as_u16()),
        "errcode": error.errcode,
        "message": error.message,
        "soft_logout": error.soft_logout,
        "retry_after_ms": error.retry_after.and_then(delay),
        "other": error.other,
    })
}

/// Whole milliseconds, rounded up, so that a wait does not end too early.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
