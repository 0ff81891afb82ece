//! The token endpoint: a code, a device code or a refresh token becomes an access token.

use std::time::Duration;

use http::Request;
use matrix_login::{
    CodeVerifier, HttpsUrl, MAX_BODY, RefreshToken, ResponseError,
    endpoint::oauth::{
        authorization::AuthorizationCode,
        token::{self, DeviceCode, Grant, Response},
    },
};
use serde_json::{Value, json};

use crate::support::scenario::{VERIFIER, invalid_field, noon, not_matrix, served};

// What is sent.

fn request(client_id: &str, grant: Grant<'_>) -> Request<Vec<u8>> {
    let endpoint: HttpsUrl = "https://auth.example.org/token?tenant=1".parse().unwrap();
    let request = token::request(&endpoint, client_id, grant);
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), "https://auth.example.org/token?tenant=1", "the query of the endpoint is kept");
    // MAS and others refuse a request with an `Authorization` header.
    assert_eq!(request.headers().len(), 2);
    assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request.headers()["accept"], "application/json");
    request
}

fn form(client_id: &str, grant: Grant<'_>) -> String {
    String::from_utf8(request(client_id, grant).into_body()).unwrap()
}

#[test]
fn a_code_is_sent_with_its_redirect_uri_and_its_verifier() {
    let (code, verifier) = (AuthorizationCode::new("c0de"), CodeVerifier::new(VERIFIER).unwrap());
    assert_eq!(
        form("client", Grant::authorization_code(&code, "http://127.0.0.1:8765/cb", &verifier)),
        "grant_type=authorization_code&code=c0de&redirect_uri=http%3A%2F%2F127.0.0.1%3A8765%2Fcb&client_id=client\
         &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    // The redirect URI is exactly the text that went out with the browser.
    let form = form("client", Grant::authorization_code(&code, "https://app.example.com", &verifier));
    assert!(form.contains("&redirect_uri=https%3A%2F%2Fapp.example.com&"), "{form}");
}

#[test]
fn a_device_code_is_sent_alone() {
    let code = DeviceCode::new("d3vice");
    assert_eq!(
        form("client", Grant::DeviceCode(&code)),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=d3vice&client_id=client"
    );
}

#[test]
fn a_refresh_token_is_sent_alone_and_without_a_scope() {
    let token = RefreshToken::new("r3fresh");
    assert_eq!(
        form("client", Grant::RefreshToken(&token)),
        "grant_type=refresh_token&refresh_token=r3fresh&client_id=client"
    );
}

#[test]
fn all_values_are_encoded_as_a_form() {
    let odd = "a+b/c== &%\u{e4}";
    let (code, device_code, token) = (AuthorizationCode::new(odd), DeviceCode::new(odd), RefreshToken::new(odd));
    let verifier = CodeVerifier::new("~".repeat(43)).unwrap();
    let encoded = "a%2Bb%2Fc%3D%3D+%26%25%C3%A4";
    for (grant, times) in [
        (Grant::authorization_code(&code, odd, &verifier), 3),
        (Grant::DeviceCode(&device_code), 2),
        (Grant::RefreshToken(&token), 2),
    ] {
        assert_eq!(form(odd, grant).matches(encoded).count(), times);
    }
}

// What comes back.

fn respond(status: u16, body: impl Into<Vec<u8>>) -> Result<Response, ResponseError> {
    token::response(&served(status, &[], body))
}

/// A response with another member.
fn with(member: &str, value: Value) -> Result<Response, ResponseError> {
    let mut body = json!({"access_token": "t0k3n", "token_type": "Bearer"});
    body[member] = value;
    respond(200, body.to_string())
}

#[test]
fn everything_that_is_granted_is_read() {
    let body = json!({
        "access_token": "t0k3n", "token_type": "Bearer", "expires_in": 300, "refresh_token": "r3fresh",
        "scope": "urn:matrix:client:device:D urn:matrix:client:api:* openid", "id_token": "x", "org.example.y": [1],
    });
    for status in [200, 201] {
        let granted = respond(status, body.to_string()).unwrap();
        assert_eq!(granted.access_token.expose(), "t0k3n");
        assert_eq!(granted.refresh_token.as_ref().map(RefreshToken::expose), Some("r3fresh"));
        assert_eq!((granted.expires_in, granted.expires), (Some(Duration::from_secs(300)), true));
        assert_eq!(granted.scope.as_deref(), body["scope"].as_str(), "in the server's order");
        assert_eq!(json!(granted.other), json!({"id_token": "x", "org.example.y": [1]}));
    }
    let granted = respond(200, r#"{"access_token":"t0k3n"}"#).unwrap();
    assert!(granted.refresh_token.is_none() && granted.scope.is_none() && granted.other.is_empty());
    assert_eq!((granted.expires_in, granted.expires), (None, false));
}

#[test]
fn only_a_bearer_token_is_accepted() {
    for (token_type, is_usable) in [
        (json!("Bearer"), true),
        (json!("bearer"), true),
        (json!("BEARER"), true),
        // `token_type` is required, but a token without it is accepted, because nothing contradicts its use.
        (json!(null), true),
        (json!("DPoP"), false),
        (json!("mac"), false),
        (json!("Bearer "), false),
        (json!(""), false),
        (json!(7), false),
        (json!(["Bearer"]), false),
    ] {
        let granted = with("token_type", token_type.clone());
        assert_eq!(granted.is_ok(), is_usable, "{token_type}: {granted:?}");
        if let Err(error) = granted {
            assert_eq!(invalid_field(&error), "`token_type`");
        }
    }
    // A token that this crate refuses is not a refusal of the server.
    let error = with("token_type", json!("DPoP")).unwrap_err();
    assert!(!error.may_retry());
}

#[test]
fn a_lifetime_is_in_whole_seconds() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for (expires_in, lifetime, expires) in [
        (json!(300), seconds(300), true),
        (json!(604_800), seconds(604_800), true),
        (json!(0), seconds(0), true),
        (json!(300.0), seconds(300), true),
        (json!(18_446_744_073_u64), seconds(18_446_744_073), true),
        (json!(18_446_744_074_u64), None, true),
        (json!(u64::MAX), None, true),
        (json!(-1), None, true),
        (json!(0.5), None, true),
        (json!("300"), None, true),
        (json!([300]), None, true),
        (json!({}), None, true),
        (json!(false), None, true),
        (json!(null), None, false),
    ] {
        let granted = with("expires_in", expires_in.clone()).unwrap();
        assert_eq!((granted.expires_in, granted.expires), (lifetime, expires), "{expires_in}");
    }
    // The milliseconds of the legacy API mean nothing here.
    let granted = with("expires_in_ms", json!(300)).unwrap();
    assert_eq!((granted.expires_in, granted.expires), (None, false));
    assert_eq!(granted.other.get("expires_in_ms"), Some(json!(300)));
}

#[test]
fn an_odd_optional_member_does_not_lose_the_token() {
    for odd in [json!(null), json!(""), json!(7), json!([]), json!(["x"]), json!({"x": 1}), json!(true), json!(1e300)] {
        for member in ["refresh_token", "expires_in", "scope", "id_token", "error_description", "error_uri"] {
            let granted = with(member, odd.clone()).unwrap();
            assert_eq!(granted.access_token.expose(), "t0k3n", "{member}: {odd}");
            assert!(granted.refresh_token.is_none(), "{member}: {odd}");
            let scope = if member == "scope" { odd.as_str() } else { None };
            assert_eq!(granted.scope.as_deref(), scope, "{member}: {odd}");
        }
    }
    for body in [
        "\u{feff}{\"access_token\":\"t0k3n\"}",
        "\r\n {\"access_token\":\"t0k3n\"} \n",
        r#"{"access_token":"t0k3n","x":1e999,"y":"\ud800"}"#,
    ] {
        assert_eq!(respond(200, body).unwrap().access_token.expose(), "t0k3n", "{body}");
    }
}

#[test]
fn without_a_usable_access_token_nothing_is_granted() {
    for value in
        [json!(null), json!(""), json!(7), json!(["t0k3n"]), json!("t0 k3n"), json!("t0k3n\n"), json!("\u{e4}")]
    {
        let error = with("access_token", value.clone()).unwrap_err();
        assert_eq!(invalid_field(&error), "`access_token`", "{value}");
    }
    assert_eq!(invalid_field(&respond(200, "{}").unwrap_err()), "`access_token`");
}

#[test]
fn a_body_of_64_kib_is_read_and_a_longer_one_is_not() {
    let body = |length: usize| {
        let body = r#"{"access_token":"t0k3n"}"#;
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    assert!(respond(200, body(MAX_BODY)).is_ok());
    assert!(matches!(respond(200, body(MAX_BODY + 1)), Err(ResponseError::TooLarge { .. })));
}

#[test]
fn an_error_comes_from_the_server_under_any_status() {
    for (status, body, errcode, message, may_retry) in [
        (400, r#"{"error":"invalid_grant","error_description":"no"}"#, "invalid_grant", Some("no"), false),
        (400, r#"{"error":"invalid_grant","error_uri":"https://x/"}"#, "invalid_grant", None, false),
        (401, r#"{"error":"invalid_client"}"#, "invalid_client", None, false),
        (401, r#"{"error":"unauthorized_client"}"#, "unauthorized_client", None, false),
        // MAS sends these errors under 403.
        (403, r#"{"error":"authorization_pending"}"#, "authorization_pending", None, false),
        (
            400,
            r#"{"error":"invalid_scope","error_description":"A device with the supplied ID already exists"}"#,
            "invalid_scope",
            Some("A device with the supplied ID already exists"),
            false,
        ),
        // A mistake of the client can look like a failure of the server.
        (
            500,
            r#"{"error":"server_error","error_description":"duplicate field"}"#,
            "server_error",
            Some("duplicate field"),
            true,
        ),
        (429, r#"{"error":"slow_down"}"#, "slow_down", None, true),
        (200, r#"{"error":"invalid_grant","error_description":"no"}"#, "invalid_grant", Some("no"), false),
        (403, r#"{"errcode":"M_FORBIDDEN","error":"no"}"#, "M_FORBIDDEN", Some("no"), false),
        // With an `errcode`, `error` is a message, whatever else the body contains.
        (403, r#"{"error":"no","errcode":"M_FORBIDDEN","error_description":"x"}"#, "M_FORBIDDEN", Some("no"), false),
    ] {
        let error = respond(status, body).unwrap_err();
        let ResponseError::Server(server) = &error else { panic!("{body}: {error:?}") };
        assert_eq!(server.status.map(|status| status.as_u16()), Some(status));
        assert_eq!((server.errcode.as_deref(), server.message.as_deref()), (Some(errcode), message), "{body}");
        assert_eq!(error.may_retry(), may_retry, "{status} {body}");
    }
}

#[test]
fn a_page_or_a_text_is_not_from_the_server() {
    for (status, body) in [
        (200, "<!DOCTYPE html><title>Welcome to the airport</title>"),
        (200, ""),
        (200, "access_token=t0k3n&token_type=bearer"),
        (400, "<html>"),
        (401, ""),
        (422, "Failed to deserialize form body: missing field `client_id`"),
        (502, "<html>"),
        (400, r#"{"error_description":"no"}"#),
        (400, r#"{"error":7}"#),
        (400, "{}"),
    ] {
        let error = respond(status, body).unwrap_err();
        assert_eq!(not_matrix(&error).as_u16(), status, "{body}");
        assert!(error.to_string().contains("POST token_endpoint is not from an OAuth 2.0 server"), "{error}");
        assert_eq!(error.may_retry(), status == 502);
    }
}

#[test]
fn a_redirect_is_not_followed() {
    for status in [301, 302, 307, 308] {
        let response = served(status, &[("location", "https://evil.example.net/")], r#"{"access_token":"t0k3n"}"#);
        assert!(matches!(token::response(&response), Err(ResponseError::Redirected { .. })), "{status}");
    }
}

#[test]
fn a_rate_limit_says_how_long_to_wait() {
    let response = served(429, &[("retry-after", "7")], "");
    let error = token::response(&response).unwrap_err();
    assert!(error.may_retry());
    assert_eq!(error.retry_after().unwrap().delay(noon()), Some(Duration::from_secs(7)));
}
