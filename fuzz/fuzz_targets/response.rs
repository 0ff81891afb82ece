//! Invariant: no bytes cause a panic, an accepted value is usable, a written value is read back, and a refused value is
//! not quoted.
//!
//! The input is a line and the rest. The line is the name of an endpoint, a status, and any number of headers, each
//! after a bar: `login 429 | retry-after: 3`. The rest is the body. `session`, `homeserver`, `server_name` and
//! `user_id` are not endpoints, but stand for other data from outside.

#![no_main]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderName, HeaderValue, Response};
use libfuzzer_sys::fuzz_target;
use matrix_login::{
    AccessToken, Error, Homeserver, HttpsUrl, LoginSettings, MAX_BODY, RefreshToken, ResponseError, ServerError,
    ServerName, Session, SessionError, UserId,
    endpoint::{
        get_token, login, login_types, logout, logout_all,
        oauth::{
            auth_metadata::{self, AuthMetadata},
            device_authorization, registration, revocation, token,
        },
        refresh, versions, well_known, whoami,
    },
};

fn response(line: &str, body: &[u8]) -> Option<Response<Vec<u8>>> {
    let mut parts = line.split(" | ");
    let status: u16 = parts.next()?.trim().parse().ok()?;
    let mut response = Response::builder().status(status).body(body.to_vec()).ok()?;
    for header in parts {
        let (name, value) = header.split_once(": ")?;
        response.headers_mut().append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    Some(response)
}

/// Every error can be shown, and the time that it names can be used in a calculation.
fn check_error(error: &Error) {
    assert_eq!(error.to_string().lines().count(), 1);
    let _ = format!("{error:?} {}", error.may_retry());
    let cause = match error {
        Error::Response(cause) => Some(cause),
        Error::Discovery(failure) => Some(&failure.cause),
        _ => None,
    };
    if let Some(ResponseError::Server(error)) = cause {
        let status = error.status.expect("it comes from a response");
        assert!(!status.is_redirection());
        if let Some(retry_after) = error.retry_after {
            assert_ne!(retry_after.delay(UNIX_EPOCH), Some(Duration::ZERO), "a wait of zero is not a hint");
        }
    }
}

fn is_client_error(error: &ServerError) -> bool {
    error.status.is_some_and(|status| status.is_client_error())
}

fn check_homeserver(homeserver: &Homeserver) {
    assert_eq!(&homeserver.to_string().parse::<Homeserver>().expect("it is read back"), homeserver);
    let request = versions::request(homeserver);
    assert_eq!(request.uri().to_string(), format!("{homeserver}/_matrix/client/versions"));
}

fn check_session(session: &Session, now: SystemTime) {
    let stored = serde_json::to_string(session).expect("it serialises");
    let again = Session::from_json(&stored).expect("it is read back").expect("a user is logged in");
    assert_eq!(serde_json::to_string(&again).expect("it serialises"), stored);
    let _ = session.is_expired(now, Duration::MAX);
    if let Some(homeserver) = session.homeserver() {
        check_homeserver(homeserver);
        let mut request = versions::request(homeserver);
        session.authorize(&mut request).expect("it goes to the homeserver");
    }
    check_access_token(session.access_token());
}

fn check_access_token(token: &AccessToken) {
    // A token of one character occurs in every text.
    let token = token.expose();
    assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
}

fn check_user_id(user_id: &UserId) {
    assert_eq!(&user_id.to_string().parse::<UserId>().expect("it is read back"), user_id);
    assert_eq!(format!("@{}:{}", user_id.localpart(), user_id.server_name()), user_id.to_string());
}

/// The tokens of a login or a refresh must fit the stored form of a session.
fn check_tokens(access_token: &AccessToken, refresh_token: Option<&RefreshToken>, expires_in: Option<Duration>) {
    check_access_token(access_token);
    assert!(refresh_token.is_none_or(|token| !token.expose().is_empty()));
    assert!(expires_in.is_none_or(|lifetime| u64::try_from(lifetime.as_nanos()).is_ok()));
}

/// A session needs a device. It needs nothing else that a response can lack.
fn check_login(granted: login::Response) {
    let device_id = granted.device_id.clone();
    assert!(device_id.as_ref().is_none_or(|device_id| !device_id.is_empty()));
    let homeserver = "https://hs.example.org".parse().expect("it is one");
    match Session::granted(homeserver, granted, &LoginSettings::default(), UNIX_EPOCH) {
        Ok(session) => {
            assert_eq!(Some(session.device_id()), device_id.as_deref());
            check_session(&session, UNIX_EPOCH);
        }
        Err(SessionError::NoDeviceId(_)) => assert!(device_id.is_none()),
        Err(error) => panic!("{error}"),
    }
}

/// A homeserver on loopback can name plain http, but only on loopback.
const LOOPBACK: &str = "http://127.0.0.1:8008";

/// Every address can be used, and a grant that is offered has its endpoints on one origin.
fn check_metadata(metadata: &AuthMetadata) {
    let homeserver: Homeserver = LOOPBACK.parse().expect("it is one");
    let endpoints = [
        &metadata.authorization_endpoint,
        &metadata.token_endpoint,
        &metadata.registration_endpoint,
        &metadata.revocation_endpoint,
        &metadata.device_authorization_endpoint,
        &metadata.account_management_uri,
    ];
    for endpoint in endpoints.into_iter().flatten() {
        assert_eq!(&HttpsUrl::named_by(&homeserver, endpoint.as_str()).expect("it is read back"), endpoint);
        let request = token::request(endpoint, "client", token::Grant::RefreshToken(&RefreshToken::new("r")));
        assert_eq!(request.uri().to_string(), endpoint.as_str());
        let url = endpoint.url();
        assert!(url.fragment().is_none() && url.username().is_empty() && url.password().is_none());
    }
    let origin = |endpoint: &Option<HttpsUrl>| endpoint.as_ref().map(|endpoint| endpoint.url().origin());
    let token_origin = origin(&metadata.token_endpoint);
    for (is_offered, endpoint) in [
        (metadata.offers_authorization_code(), &metadata.authorization_endpoint),
        (metadata.offers_device_authorization(), &metadata.device_authorization_endpoint),
    ] {
        assert!(!is_offered || (token_origin.is_some() && origin(endpoint) == token_origin));
    }
    assert!(!metadata.issuer.is_empty());
}

/// A session of the OAuth 2.0 API with these tokens.
fn check_granted(granted: token::Response) {
    let metadata = r#"{"issuer":"i","token_endpoint":"https://a.example.org/t"}"#;
    let homeserver: Homeserver = LOOPBACK.parse().expect("it is one");
    let metadata = auth_metadata::response(&homeserver, &Response::new(metadata)).ok().flatten().expect("metadata");
    let who = whoami::response(&Response::new(r#"{"user_id":"@a:b.c","device_id":"D"}"#)).expect("a user");
    let session = Session::granted_by_oauth(homeserver, "client", &metadata, granted, who, UNIX_EPOCH);
    check_session(&session.expect("it has a device"), UNIX_EPOCH);
}

/// A session has ended if the homeserver says so, or if it says that it does not know the session.
fn check_logout(response: &Response<Vec<u8>>, parsed: &logout::Response) {
    assert_eq!(response.status().is_success(), !parsed.already_logged_out);
    if parsed.already_logged_out {
        let Err(ResponseError::Server(error)) = whoami::response(response) else {
            panic!("the homeserver does not say so")
        };
        assert!(is_client_error(&error) && !error.is_rate_limit() && !error.soft_logout);
        assert_eq!(error.errcode.as_deref(), Some("M_UNKNOWN_TOKEN"));
    }
}

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, body) = data.split_at(end);
    let body = body.strip_prefix(b"\n").unwrap_or(body);
    let Ok(line) = std::str::from_utf8(line) else { return };
    let (name, line) = line.split_once(' ').unwrap_or((line, ""));
    let text = String::from_utf8_lossy(body);

    let failed = match name {
        "session" => match Session::from_json(body) {
            Ok(Some(session)) => {
                check_session(&session, UNIX_EPOCH);
                None
            }
            Ok(None) => None,
            Err(error) => Some(error.into()),
        },
        "homeserver" => match text.parse::<Homeserver>() {
            Ok(homeserver) => {
                check_homeserver(&homeserver);
                None
            }
            Err(error) => Some(error.into()),
        },
        "server_name" => match text.parse::<ServerName>() {
            Ok(server_name) => {
                assert_eq!(server_name.to_string(), text);
                let request = well_known::request(&server_name);
                assert_eq!(
                    request.uri().to_string(),
                    format!("https://{}/.well-known/matrix/client", server_name.host())
                );
                None
            }
            Err(error) => Some(error.into()),
        },
        "user_id" => match text.parse::<UserId>() {
            Ok(user_id) => {
                assert_eq!(user_id.to_string(), text);
                check_user_id(&user_id);
                None
            }
            Err(error) => Some(error.into()),
        },
        _ => {
            let Some(response) = response(line, body) else { return };
            match name {
                "well_known" => match well_known::response(&response) {
                    Ok(parsed) => {
                        check_homeserver(&parsed.base_url);
                        None
                    }
                    Err(failure) => {
                        let is_redirected = matches!(failure.cause, ResponseError::Redirected { .. });
                        assert_eq!(is_redirected, response.status().is_redirection());
                        Some(Error::Discovery(failure))
                    }
                },
                "versions" => versions::response(&response).err().map(Into::into),
                "login_types" => match login_types::response(&response) {
                    Ok(login_types) => {
                        assert!(login_types.iter().all(|offered| login_types.contains(offered.name())));
                        assert!(login_types.for_a_person().count() <= login_types.iter().count());
                        None
                    }
                    Err(error) => Some(error.into()),
                },
                "get_token" => get_token::response(&response).err().map(Into::into),
                "login" => match login::response(&response) {
                    Ok(parsed) => {
                        assert!(response.status().is_success() && response.body().len() <= MAX_BODY);
                        check_tokens(&parsed.access_token, parsed.refresh_token.as_ref(), parsed.expires_in);
                        check_user_id(&parsed.user_id);
                        check_login(parsed);
                        None
                    }
                    Err(error) => Some(error.into()),
                },
                "refresh" => match refresh::response(&response) {
                    Ok(parsed) => {
                        assert!(response.status().is_success() && response.body().len() <= MAX_BODY);
                        check_tokens(&parsed.access_token, parsed.refresh_token.as_ref(), parsed.expires_in);
                        None
                    }
                    Err(error) => Some(error.into()),
                },
                "logout" | "logout_all" => {
                    let parsed =
                        if name == "logout" { logout::response(&response) } else { logout_all::response(&response) };
                    match parsed {
                        Ok(parsed) => {
                            check_logout(&response, &parsed);
                            None
                        }
                        Err(error) => Some(error.into()),
                    }
                }
                "auth_metadata" => match auth_metadata::response(&LOOPBACK.parse().expect("it is one"), &response) {
                    Ok(Some(metadata)) => {
                        assert!(response.status().is_success() && response.body().len() <= MAX_BODY);
                        check_metadata(&metadata);
                        None
                    }
                    Ok(None) => {
                        assert!(!response.status().is_server_error() && !response.status().is_redirection());
                        None
                    }
                    Err(error) => Some(error.into()),
                },
                "registration" => match registration::response(&response) {
                    Ok(parsed) => {
                        assert!(response.status().is_success() && response.body().len() <= MAX_BODY);
                        assert!(!parsed.client_id.is_empty());
                        None
                    }
                    Err(error) => Some(error.into()),
                },
                "token" => match token::response(&response) {
                    Ok(parsed) => {
                        assert!(response.status().is_success() && response.body().len() <= MAX_BODY);
                        check_tokens(&parsed.access_token, parsed.refresh_token.as_ref(), parsed.expires_in);
                        assert!(parsed.expires || parsed.expires_in.is_none());
                        check_granted(parsed);
                        None
                    }
                    Err(error) => Some(error.into()),
                },
                "device_authorization" => {
                    match device_authorization::response(&LOOPBACK.parse().expect("it is one"), &response) {
                        Ok(parsed) => {
                            assert!(response.status().is_success() && response.body().len() <= MAX_BODY);
                            assert!(!parsed.user_code.is_empty() && parsed.interval >= Duration::from_secs(1));
                            assert!(matches!(parsed.verification_uri.scheme(), "http" | "https"));
                            None
                        }
                        Err(error) => Some(error.into()),
                    }
                }
                "revocation" => match revocation::response(&response) {
                    Ok(parsed) => {
                        assert!(response.status().is_success() || response.status().is_client_error());
                        assert!(parsed.already_revoked || response.status().is_success());
                        None
                    }
                    Err(error) => Some(error.into()),
                },
                "whoami" => match whoami::response(&response) {
                    Ok(parsed) => {
                        assert!(response.status().is_success() && response.body().len() <= MAX_BODY);
                        check_user_id(&parsed.user_id);
                        assert!(parsed.device_id.is_none_or(|device_id| !device_id.is_empty()));
                        None
                    }
                    Err(error) => Some(error.into()),
                },
                _ => return,
            }
        }
    };
    if let Some(error) = failed {
        check_error(&error);
    }
});
