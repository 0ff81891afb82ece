//! The bodies that the comparison in `benches` reads. Each body gives exactly these values.

use std::time::Duration;

use http::StatusCode;
use matrix_login::{
    LoginType, ResponseError, RetryAfter, ServerError,
    endpoint::{login, login_types},
};

use crate::support::scenario::served;

const LOGIN_TYPES: &str = include_str!("../bodies/login_types.json");
const LOGIN: &str = include_str!("../bodies/login.json");
const FORBIDDEN: &str = include_str!("../bodies/forbidden.json");
const LIMIT_EXCEEDED: &str = include_str!("../bodies/limit_exceeded.json");

fn error(status: u16, body: &str) -> ServerError {
    match login::response(&served(status, &[], body)) {
        Err(ResponseError::Server(error)) => *error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_sizes_match_the_published_figures() {
    assert_eq!([LOGIN_TYPES, LOGIN, FORBIDDEN, LIMIT_EXCEEDED].map(str::len), [415, 354, 64, 80]);
}

#[test]
fn the_login_types_are_read() {
    let login_types = login_types::response(&served(200, &[], LOGIN_TYPES)).unwrap();
    let names: Vec<_> = login_types.iter().map(LoginType::name).collect();
    assert_eq!(names, ["m.login.password", "m.login.sso", "m.login.token"]);
    let get_login_token: Vec<_> = login_types.iter().map(LoginType::get_login_token).collect();
    assert_eq!(get_login_token, [false, false, true]);
    assert!(login_types.iter().all(|login_type| login_type.other().is_empty()));
    assert!(!login_types.iter().any(LoginType::oauth_aware_preferred));
    let providers: Vec<_> = login_types
        .iter()
        .flat_map(LoginType::identity_providers)
        .map(|provider| (provider.id(), provider.name(), provider.icon(), provider.brand()))
        .collect();
    let icon = |id| Some(["mxc://matrix.example.org/", id].concat());
    let [github, google] = ["VXhPqYbKjWdTcRfMsLnZaEgU", "kLmNzQwErTyUiOpAsDfGhJkL"].map(icon);
    assert_eq!(
        providers,
        [
            ("oidc-github", "GitHub", github.as_deref(), Some("github")),
            ("oidc-google", "Google", google.as_deref(), Some("google")),
            ("saml-university", "University of Example", None, None),
        ]
    );
}

#[test]
fn the_response_to_a_login_is_read() {
    let response = login::response(&served(200, &[], LOGIN)).unwrap();
    assert_eq!(response.user_id.as_str(), "@alice:matrix.example.org");
    assert_eq!(response.access_token.expose(), "syt_YWxpY2U_JKqfBcsyGmNwLXdVtRhZ_LmPqWnBtVcXs1a2b3c");
    assert_eq!(response.device_id.as_deref(), Some("KCZFUCGSLZ"));
    assert_eq!(response.home_server.as_deref(), Some("matrix.example.org"));
    assert_eq!(response.expires_in, Some(Duration::from_secs(300)));
    let refresh_token = "syr_YWxpY2U_TvZqXwLkJhGfDsApOiUyTrEwQmNbVcXzLkJhGfDs_RtYhGfNbJkLu4d5e6f";
    assert_eq!(response.refresh_token.as_ref().unwrap().expose(), refresh_token);
    assert_eq!(response.well_known_base_url().unwrap().as_str(), "https://matrix.example.org");
    assert!(response.other.is_empty());
}

#[test]
fn the_errors_are_read() {
    let forbidden = error(403, FORBIDDEN);
    assert_eq!(forbidden.status, Some(StatusCode::FORBIDDEN));
    assert_eq!(forbidden.errcode.as_deref(), Some("M_FORBIDDEN"));
    assert_eq!(forbidden.message.as_deref(), Some("Invalid username or password"));
    assert_eq!(forbidden.retry_after, None);

    let limit_exceeded = error(429, LIMIT_EXCEEDED);
    assert_eq!(limit_exceeded.status, Some(StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(limit_exceeded.errcode.as_deref(), Some("M_LIMIT_EXCEEDED"));
    assert_eq!(limit_exceeded.message.as_deref(), Some("Too many requests"));
    assert_eq!(limit_exceeded.retry_after, Some(RetryAfter::Delay(Duration::from_secs(2))));

    for error in [forbidden, limit_exceeded] {
        assert!(!error.soft_logout && error.other.is_empty());
    }
}
