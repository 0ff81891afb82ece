//! A client registers itself: what is sent, and which parts of the response count.

use http::Request;
use matrix_login::{HttpsUrl, MAX_BODY, OAuthClient, ResponseError, endpoint::oauth::registration};
use serde_json::{Value, json};

use crate::support::scenario::{invalid_field, not_matrix, served};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn client() -> OAuthClient {
    OAuthClient::new("https://app.example.com/".parse().unwrap(), "Example")
}

fn request(client: &OAuthClient, redirect_uris: &[&str]) -> Request<Vec<u8>> {
    let endpoint: HttpsUrl = "https://auth.example.org/register?tenant=1".parse().unwrap();
    registration::request(&endpoint, client, redirect_uris).unwrap()
}

fn body(client: &OAuthClient, redirect_uris: &[&str]) -> Value {
    serde_json::from_slice(request(client, redirect_uris).body()).unwrap()
}

#[test]
fn the_request_is_json_to_the_endpoint_without_a_token() {
    let request = request(&client(), &["https://app.example.com/cb"]);
    assert_eq!(
        (request.method().as_str(), request.uri().to_string().as_str()),
        ("POST", "https://auth.example.org/register?tenant=1")
    );
    assert_eq!(request.headers().len(), 2);
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(request.headers()["accept"], "application/json");
}

#[test]
fn the_body_asks_for_all_grants_and_for_no_secret() {
    let expected = |application_type: &str, redirect_uri: &str| {
        json!({
            "client_uri": "https://app.example.com/",
            "client_name": "Example",
            "application_type": application_type,
            "redirect_uris": [redirect_uri],
            "grant_types": ["authorization_code", "refresh_token", DEVICE_CODE],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        })
    };
    assert_eq!(body(&client(), &["http://127.0.0.1:8765/callback"]), expected("native", "http://127.0.0.1/callback"));
    assert_eq!(body(&client(), &["https://app.example.com"]), expected("web", "https://app.example.com"));
    // Some servers refuse a client without a redirect URI, even one that shows codes.
    assert_eq!(body(&client(), &[]), expected("native", "http://127.0.0.1/"));
}

#[test]
fn a_name_that_is_empty_is_left_out() {
    let client = OAuthClient::new("https://app.example.com/".parse().unwrap(), "");
    assert!(body(&client, &[]).get("client_name").is_none());
}

#[test]
fn only_the_port_of_a_loopback_address_is_cut_out() {
    for (redirect_uri, registered) in [
        ("http://127.0.0.1:8765/callback", "http://127.0.0.1/callback"),
        ("http://127.0.0.1:80/callback", "http://127.0.0.1/callback"),
        ("http://127.0.0.2:8765/callback", "http://127.0.0.2/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1/callback"),
        ("http://127.0.0.1:8765", "http://127.0.0.1"),
        ("http://127.0.0.1:8765/", "http://127.0.0.1/"),
        ("http://127.0.0.1:8765?a=b:1", "http://127.0.0.1?a=b:1"),
        (
            "http://127.0.0.1:8765/a:1/b%20c?d=%20e&f=http://127.0.0.1:9/",
            "http://127.0.0.1/a:1/b%20c?d=%20e&f=http://127.0.0.1:9/",
        ),
        ("http://127.0.0.1/a:1", "http://127.0.0.1/a:1"),
        ("http://[::1]:8765/callback", "http://[::1]/callback"),
        ("http://[::1]/callback", "http://[::1]/callback"),
        ("http://[0:0:0:0:0:0:0:1]:8765/callback", "http://[0:0:0:0:0:0:0:1]/callback"),
        ("http://[::1]", "http://[::1]"),
        ("http://localhost:8765/callback", "http://localhost/callback"),
        ("HTTP://LocalHost:8765/Call%2fBack?X=y", "HTTP://LocalHost/Call%2fBack?X=y"),
        // A browser finds the same host here. The slashes in the path are not the slashes before the host.
        ("http:127.0.0.1/a//b:1", "http:127.0.0.1/a//b:1"),
        // A port is a part of all other redirect URIs.
        ("http://app.example.com:8765/callback", "http://app.example.com:8765/callback"),
        ("https://127.0.0.1:8765/callback", "https://127.0.0.1:8765/callback"),
        ("https://app.example.com:8443/callback", "https://app.example.com:8443/callback"),
        ("https://app.example.com", "https://app.example.com"),
        ("https://APP.example.com/%7Ea?b", "https://APP.example.com/%7Ea?b"),
        ("com.example.app:/callback", "com.example.app:/callback"),
        ("com.example.app://127.0.0.1:8765/callback", "com.example.app://127.0.0.1:8765/callback"),
    ] {
        assert_eq!(body(&client(), &[redirect_uri])["redirect_uris"], json!([registered]));
    }
}

#[test]
fn the_type_of_the_application_follows_from_where_it_runs() {
    for (redirect_uris, application_type) in [
        (&["http://127.0.0.1:1/cb"][..], "native"),
        (&["http://[::1]/cb", "http://localhost/cb"], "native"),
        (&["com.example.app:/cb"], "native"),
        (&["https://app.example.com/cb"], "web"),
        (&["http://app.example.com/cb"], "web"),
        (&["com.example.app:/cb", "https://app.example.com/cb"], "web"),
    ] {
        assert_eq!(body(&client(), redirect_uris)["application_type"], application_type, "{redirect_uris:?}");
    }
    let client = client().with_field("application_type", "native").unwrap();
    assert_eq!(body(&client, &["https://app.example.com/cb"])["application_type"], "native");
}

#[test]
fn fields_are_sent_and_redirect_uris_are_added() {
    let client = client()
        .with_field("logo_uri", "https://app.example.com/logo.png")
        .and_then(|client| client.with_field("client_name#fr", "Exemple"))
        .and_then(|client| client.with_field("contacts", json!(["admin@example.com"])))
        .and_then(|client| client.with_field("redirect_uris", json!(["http://[::1]:9/cb", "com.example.app:/cb"])))
        .unwrap();
    let body = body(&client, &["http://127.0.0.1:8765/cb"]);
    assert_eq!(body["logo_uri"], "https://app.example.com/logo.png");
    assert_eq!(body["client_name#fr"], "Exemple");
    assert_eq!(body["contacts"], json!(["admin@example.com"]));
    assert_eq!(body["redirect_uris"], json!(["http://127.0.0.1/cb", "http://[::1]/cb", "com.example.app:/cb"]));
    assert_eq!(body["application_type"], "native");
    assert_eq!(body.as_object().unwrap().len(), 10);
}

#[test]
fn a_client_that_is_registered_is_not_registered_again() {
    let endpoint: HttpsUrl = "https://auth.example.org/register".parse().unwrap();
    let client = OAuthClient::registered("client").unwrap();
    assert!(registration::request(&endpoint, &client, &["http://127.0.0.1/cb"]).is_none());
}

#[test]
fn any_2xx_with_a_client_id_is_a_success() {
    for status in [200, 201, 202, 299] {
        // An ID can be any text: continuwuity uses base64.
        for client_id in ["01M87HWDCKP1X6SPTYR2JB5E3S", "a+b/c==", "ID with spaces & \u{e4}"] {
            let body = json!({ "client_id": client_id, "grant_types": [], "redirect_uris": 7 }).to_string();
            let response = registration::response(&served(status, &[], body)).unwrap();
            assert_eq!(response.client_id, client_id, "{status}");
        }
    }
}

#[test]
fn a_client_secret_that_was_not_requested_is_never_shown() {
    let body = json!({
        "client_id": "client", "client_secret": "s3cr3t", "client_secret_expires_at": 0,
        "registration_access_token": "s3cr3t", "token_endpoint_auth_method": "client_secret_basic",
    });
    let response = registration::response(&served(201, &[], body.to_string())).unwrap();
    assert_eq!(response.client_id, "client");
    assert!(!format!("{response:?}").contains("s3cr3t"));
}

#[test]
fn a_response_without_a_client_id_is_invalid() {
    for body in [
        json!({}),
        json!({"client_id": ""}),
        json!({"client_id": null}),
        json!({"client_id": 7}),
        json!({"client_id": ["client"], "client_secret": "s3cr3t"}),
    ] {
        let error = registration::response(&served(201, &[], body.to_string())).unwrap_err();
        assert_eq!(invalid_field(&error), "`client_id`", "{body}");
    }
    for (body, is_page) in [("[]", false), ("{\"client_id\":\"c\"", false), ("<html>", true), ("", true)] {
        let error = registration::response(&served(201, &[], body)).unwrap_err();
        assert_eq!(matches!(error, ResponseError::NotMatrix { .. }), is_page, "{body}: {error:?}");
    }
    let long = format!("{}{}", json!({"client_id": "client"}), " ".repeat(MAX_BODY));
    assert!(matches!(registration::response(&served(201, &[], long)), Err(ResponseError::TooLarge { .. })));
}

#[test]
fn a_refusal_says_what_is_wrong_with_the_client() {
    for (status, body, errcode, message, may_retry) in [
        (
            400,
            r#"{"error":"invalid_client_metadata","error_description":"invalid client_uri; missing tos_uri"}"#,
            "invalid_client_metadata",
            Some("invalid client_uri; missing tos_uri"),
            false,
        ),
        (400, r#"{"error":"invalid_redirect_uri"}"#, "invalid_redirect_uri", None, false),
        (400, r#"{"error":"invalid_request","error_description":7}"#, "invalid_request", None, false),
        // A 2xx with an error is the server's error.
        (200, r#"{"error":"invalid_request","error_description":"no"}"#, "invalid_request", Some("no"), false),
        // Some servers have errors of the Matrix API here.
        (403, r#"{"errcode":"M_FORBIDDEN","error":"wants a token"}"#, "M_FORBIDDEN", Some("wants a token"), false),
        (413, r#"{"errcode":"M_TOO_LARGE","error":"too large"}"#, "M_TOO_LARGE", Some("too large"), false),
        (429, r#"{"errcode":"M_LIMIT_EXCEEDED","error":"slow"}"#, "M_LIMIT_EXCEEDED", Some("slow"), true),
        (500, r#"{"error":"server_error"}"#, "server_error", None, true),
    ] {
        let error = registration::response(&served(status, &[], body)).unwrap_err();
        let ResponseError::Server(server) = &error else { panic!("{error:?}") };
        assert_eq!((server.errcode.as_deref(), server.message.as_deref()), (Some(errcode), message), "{body}");
        assert_eq!(error.may_retry(), may_retry, "{body}");
        assert!(message.is_none_or(|message| error.to_string().contains(message)), "{error}");
    }
}

#[test]
fn a_text_or_a_page_is_not_a_refusal() {
    for (status, body) in [
        (422, "Failed to deserialize the JSON body into the target type"),
        (400, "<html>"),
        (404, ""),
        (400, r#"{"error_description":"no"}"#),
        (503, "<html>"),
    ] {
        let error = registration::response(&served(status, &[("content-type", "text/plain")], body)).unwrap_err();
        assert_eq!(not_matrix(&error).as_u16(), status, "{body}");
        assert!(error.to_string().contains("POST registration_endpoint is not from an OAuth 2.0 server"), "{error}");
    }
}
