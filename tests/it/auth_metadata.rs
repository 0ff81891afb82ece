//! The metadata of an OAuth 2.0 server: which addresses count, and what the server offers.

use http::Response;
use matrix_login::{
    Homeserver, HttpsUrl, MAX_BODY, ResponseError,
    endpoint::oauth::auth_metadata::{self, AuthMetadata},
};
use serde_json::{Value, json};

use crate::support::scenario::{HOMESERVER, invalid_field, not_matrix, served};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Metadata that offer everything.
pub fn document() -> Value {
    json!({
        "issuer": "https://auth.example.org/",
        "authorization_endpoint": "https://auth.example.org/authorize",
        "token_endpoint": "https://auth.example.org/token",
        "registration_endpoint": "https://auth.example.org/register",
        "revocation_endpoint": "https://auth.example.org/revoke",
        "device_authorization_endpoint": "https://auth.example.org/device",
        "account_management_uri": "https://account.example.org/",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment"],
        "grant_types_supported": ["authorization_code", "refresh_token", DEVICE_CODE],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["create"],
    })
}

/// The document with another value of a member, or without the member.
fn document_with(member: &str, value: Option<Value>) -> Value {
    let mut document = document();
    match value {
        Some(value) => document[member] = value,
        None => drop(document.as_object_mut().unwrap().remove(member)),
    }
    document
}

/// What the response of a homeserver means.
fn respond(homeserver: &str, response: &Response<Vec<u8>>) -> Result<Option<AuthMetadata>, ResponseError> {
    auth_metadata::response(&homeserver.parse().unwrap(), response)
}

/// The metadata that a homeserver sends.
pub fn read(homeserver: &str, document: &Value) -> AuthMetadata {
    respond(homeserver, &served(200, &[], document.to_string())).unwrap().unwrap()
}

fn with(member: &str, value: impl Into<Value>) -> AuthMetadata {
    read(HOMESERVER, &document_with(member, Some(value.into())))
}

const ADDRESSES: [&str; 6] = [
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
    "device_authorization_endpoint",
    "account_management_uri",
];

/// The addresses, in the order of the list above.
fn addresses(metadata: &AuthMetadata) -> [Option<&str>; 6] {
    [
        &metadata.authorization_endpoint,
        &metadata.token_endpoint,
        &metadata.registration_endpoint,
        &metadata.revocation_endpoint,
        &metadata.device_authorization_endpoint,
        &metadata.account_management_uri,
    ]
    .map(|address| address.as_ref().map(HttpsUrl::as_str))
}

/// Whether the server offers the code grant, the device grant, a refresh, and the registration of users.
fn offers(metadata: &AuthMetadata) -> [bool; 4] {
    [
        metadata.offers_authorization_code(),
        metadata.offers_device_authorization(),
        metadata.offers_refresh_token(),
        metadata.offers_registration_of_users(),
    ]
}

#[test]
fn the_request_has_neither_a_token_nor_a_body() {
    let request = auth_metadata::request(&"https://hs.example.org/prefix".parse::<Homeserver>().unwrap());
    assert_eq!(request.method(), "GET");
    assert_eq!(request.uri(), "https://hs.example.org/prefix/_matrix/client/v1/auth_metadata");
    assert!(request.headers().is_empty() && request.body().is_empty());
}

#[test]
fn known_members_are_read_and_the_rest_is_kept() {
    let mut document = document();
    document["jwks_uri"] = json!("https://auth.example.org/keys");
    document["account_management_actions_supported"] = json!(["org.matrix.profile"]);
    document["authorization_response_iss_parameter_supported"] = json!(true);
    let metadata = read(HOMESERVER, &document);
    assert_eq!(&*metadata.issuer, "https://auth.example.org/");
    assert_eq!(addresses(&metadata), ADDRESSES.map(|member| document[member].as_str()));
    assert_eq!(offers(&metadata), [true; 4]);
    assert!(metadata.iss_in_callback);
    assert_eq!(
        json!(metadata.other),
        json!({
            "jwks_uri": "https://auth.example.org/keys",
            "account_management_actions_supported": ["org.matrix.profile"],
        })
    );
}

#[test]
fn an_address_is_kept_with_its_query() {
    for url in [
        "https://auth.example.org/",
        "https://auth.example.org/a%20b?c=d%2Fe&f&c=+",
        "https://elsewhere.example.net:8443/oauth2/x",
        "https://[2001:db8::1]/x",
    ] {
        for (index, member) in ADDRESSES.into_iter().enumerate() {
            assert_eq!(addresses(&with(member, url))[index], Some(url), "{member}");
        }
    }
}

#[test]
fn an_unusable_address_spoils_no_other_member() {
    let before = read(HOMESERVER, &document());
    for value in [
        json!("/authorize"),
        json!("//auth.example.org/authorize"),
        json!("authorize"),
        json!("https://"),
        json!("http://auth.example.org/authorize"),
        json!("http://127.0.0.1/authorize"),
        json!("ftp://auth.example.org/authorize"),
        json!("javascript:alert(1)"),
        json!("https://user@auth.example.org/authorize"),
        json!("https://user:password@auth.example.org/authorize"),
        json!("https://:password@auth.example.org/authorize"),
        json!("https://auth.example.org/authorize#fragment"),
        json!("https://auth.example.org/authorize#"),
        json!("https://auth.example.org:99999/"),
        json!(""),
        json!(null),
        json!(7),
        json!(["https://auth.example.org/authorize"]),
        json!({"url": "https://auth.example.org/authorize"}),
    ] {
        for (index, member) in ADDRESSES.into_iter().enumerate() {
            let metadata = with(member, value.clone());
            let mut expected = addresses(&before);
            expected[index] = None;
            assert_eq!(addresses(&metadata), expected, "{member}: {value}");
            assert_eq!(metadata.issuer, before.issuer);
            assert!(metadata.offers_refresh_token() && metadata.offers_registration_of_users());
        }
    }
}

#[test]
fn plain_http_needs_the_origin_of_the_homeserver_or_loopback() {
    for (homeserver, url, is_allowed) in [
        ("http://127.0.0.1:8008", "http://127.0.0.1:8090/token", true),
        ("http://127.0.0.1:8008", "http://localhost/token", true),
        ("http://localhost:8008", "http://[::1]:1/token?a=b", true),
        ("http://127.0.0.1:8008", "https://auth.example.org/token", true),
        ("http://127.0.0.1:8008", "http://auth.example.org/token", false),
        ("http://hs.example.org:8008", "http://hs.example.org:8008/token", true),
        ("http://hs.example.org:8008", "http://hs.example.org/token", false),
        ("http://hs.example.org:8008", "http://127.0.0.1/token", false),
        ("https://hs.example.org", "http://hs.example.org/token", false),
        ("https://127.0.0.1", "http://127.0.0.1/token", true),
    ] {
        let metadata = read(homeserver, &document_with("token_endpoint", Some(json!(url))));
        assert_eq!(addresses(&metadata)[1], is_allowed.then_some(url), "{homeserver}");
    }
}

#[test]
fn the_issuer_is_kept_as_it_was_sent() {
    for issuer in [
        "https://auth.example.org",
        "https://auth.example.org/",
        "HTTPS://Auth.Example.org:443/a/../b?c#d",
        "http://auth.example.org",
        " auth.example.org ",
        "\u{e4}",
    ] {
        assert_eq!(&*with("issuer", issuer).issuer, issuer);
    }
}

#[test]
fn metadata_without_an_issuer_are_refused() {
    for value in [None, Some(json!("")), Some(json!(null)), Some(json!(7)), Some(json!(["https://auth.example.org/"]))]
    {
        let body = document_with("issuer", value.clone()).to_string();
        let error = respond(HOMESERVER, &served(200, &[], body)).unwrap_err();
        assert_eq!(invalid_field(&error), "`issuer`", "{value:?}");
        assert!(!error.may_retry());
    }
}

#[test]
fn each_list_decides_what_is_offered() {
    /// Each row is tested without the list, with values that are not a list, and with a list that does not contain the
    /// value that counts.
    #[rustfmt::skip]
    const ROWS: [(&str, &str, [bool; 4], [bool; 4]); 7] = [
        // The list, the value that counts, the offers without the list, and the offers without the value in the list.
        ("response_types_supported", "code", [false, true, true, true], [false, true, true, true]),
        ("code_challenge_methods_supported", "S256", [false, true, true, true], [false, true, true, true]),
        ("grant_types_supported", "authorization_code", [true, false, true, true], [false, true, true, true]),
        ("grant_types_supported", "refresh_token", [true, false, true, true], [true, true, false, true]),
        ("grant_types_supported", DEVICE_CODE, [true, false, true, true], [true, false, true, true]),
        ("prompt_values_supported", "create", [true, true, true, false], [true, true, true, false]),
        // One of the two modes is enough.
        ("response_modes_supported", "query", [true; 4], [true; 4]),
    ];
    for (list, value, without_a_list, without_the_value) in ROWS {
        assert_eq!(offers(&read(HOMESERVER, &document_with(list, None))), without_a_list, "no {list}");
        for odd in [json!(null), json!(value), json!({ value: true }), json!(1), json!(true)] {
            assert_eq!(offers(&with(list, odd.clone())), without_a_list, "{list}: {odd}");
        }
        let mut values = document()[list].as_array().unwrap().clone();
        values.retain(|listed| listed != value);
        assert_eq!(offers(&with(list, values.clone())), without_the_value, "{list} without {value}");
        // Only the exact value counts.
        values.extend([
            json!(value.to_uppercase() + "x"),
            json!([value]),
            json!({ value: value }),
            json!(7),
            json!(""),
        ]);
        assert_eq!(offers(&with(list, values.clone())), without_the_value, "{list} without {value}");
        values.push(json!(value));
        assert_eq!(offers(&with(list, values)), [true; 4], "{list} with {value} at the end");
    }
}

#[test]
fn the_code_grant_needs_a_response_mode_that_is_read() {
    for (modes, is_offered) in [
        (json!(["query"]), true),
        (json!(["fragment"]), true),
        (json!(["form_post", "fragment"]), true),
        (json!(["form_post"]), false),
        (json!(["form_post", "web_message", "jwt", "query.jwt"]), false),
        (json!([]), false),
        (json!([7]), false),
        (json!(null), true),
        (json!("form_post"), true),
    ] {
        let expected = [is_offered, true, true, true];
        assert_eq!(offers(&with("response_modes_supported", modes.clone())), expected, "{modes}");
    }
}

#[test]
fn the_challenge_method_plain_alone_is_not_enough() {
    for (methods, is_offered) in
        [(json!(["plain"]), false), (json!(["plain", "S256"]), true), (json!(["s256"]), false), (json!([]), false)]
    {
        let metadata = with("code_challenge_methods_supported", methods.clone());
        assert_eq!(metadata.offers_authorization_code(), is_offered, "{methods}");
    }
}

#[test]
fn a_grant_needs_its_endpoints_and_no_other() {
    for (member, expected) in [
        ("authorization_endpoint", [false, true, true, true]),
        ("token_endpoint", [false, false, true, true]),
        ("registration_endpoint", [true; 4]),
        ("revocation_endpoint", [true; 4]),
        ("device_authorization_endpoint", [true, false, true, true]),
        ("account_management_uri", [true; 4]),
    ] {
        assert_eq!(offers(&read(HOMESERVER, &document_with(member, None))), expected, "no {member}");
        assert_eq!(offers(&with(member, "/relative")), expected, "{member} is relative");
    }
}

#[test]
fn tokens_come_from_the_origin_that_the_user_sees() {
    for (token_endpoint, is_same) in [
        ("https://auth.example.org/oauth2/token", true),
        ("https://AUTH.example.org:443/token?a=b", true),
        ("https://evil.example.net/token", false),
        ("https://auth.example.org.evil.example.net/token", false),
        ("https://auth.example.org:8443/token", false),
        ("https://sub.auth.example.org/token", false),
    ] {
        let expected = [is_same, is_same, true, true];
        assert_eq!(offers(&with("token_endpoint", token_endpoint)), expected, "{token_endpoint}");
    }
    // The scheme is a part of the origin.
    let homeserver = "http://127.0.0.1:8008";
    let mut document = document();
    document["authorization_endpoint"] = json!("http://127.0.0.1/authorize");
    document["token_endpoint"] = json!("https://127.0.0.1/token");
    assert!(!read(homeserver, &document).offers_authorization_code());
    document["token_endpoint"] = json!("http://127.0.0.1:80/token");
    assert!(read(homeserver, &document).offers_authorization_code());
}

#[test]
fn only_true_promises_an_iss() {
    const MEMBER: &str = "authorization_response_iss_parameter_supported";
    assert!(!read(HOMESERVER, &document()).iss_in_callback);
    for (value, is_promised) in
        [(json!(true), true), (json!(false), false), (json!("true"), false), (json!(1), false), (json!(null), false)]
    {
        assert_eq!(with(MEMBER, value.clone()).iss_in_callback, is_promised, "{value}");
    }
}

#[test]
fn unrecognized_means_that_there_is_no_oauth() {
    let unrecognized = r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#;
    for status in [404, 400, 405] {
        assert!(respond(HOMESERVER, &served(status, &[], unrecognized)).unwrap().is_none(), "{status}");
    }
}

#[test]
fn nothing_else_means_that_there_is_no_oauth() {
    for (status, body, may_retry) in [
        (404, r#"{"errcode":"M_NOT_FOUND","error":"no"}"#, false),
        (403, r#"{"errcode":"M_FORBIDDEN","error":"no"}"#, false),
        (404, r#"{"error":"M_UNRECOGNIZED"}"#, false),
        (429, r#"{"errcode":"M_UNRECOGNIZED"}"#, true),
        (429, "", true),
        (408, r#"{"errcode":"M_UNRECOGNIZED"}"#, true),
        // Synapse, while its authentication service is down.
        (500, r#"{"errcode":"M_UNKNOWN","error":"Failed to fetch metadata"}"#, true),
        (502, r#"{"errcode":"M_UNRECOGNIZED"}"#, true),
    ] {
        let error = respond(HOMESERVER, &served(status, &[], body)).unwrap_err();
        assert!(matches!(error, ResponseError::Server(_)), "{status} {body}: {error:?}");
        assert_eq!(error.may_retry(), may_retry, "{status} {body}");
    }
    for (status, body) in [(404, "<html>"), (404, ""), (404, "{}"), (503, "<html>"), (200, "<html>"), (200, "")] {
        let error = respond(HOMESERVER, &served(status, &[], body)).unwrap_err();
        assert_eq!(not_matrix(&error).as_u16(), status, "{body}");
    }
    for body in ["[]", "{\"issuer\":", "null", "\"https://auth.example.org/\""] {
        let error = respond(HOMESERVER, &served(200, &[], body)).unwrap_err();
        assert!(matches!(error, ResponseError::InvalidResponse { .. } | ResponseError::NotMatrix { .. }), "{error:?}");
    }
    let redirect = served(307, &[("location", "https://auth.example.org/")], "");
    assert!(matches!(respond(HOMESERVER, &redirect), Err(ResponseError::Redirected { .. })));
    let long = format!("{}{}", document(), " ".repeat(MAX_BODY));
    assert!(matches!(respond(HOMESERVER, &served(200, &[], long)), Err(ResponseError::TooLarge { .. })));
}
