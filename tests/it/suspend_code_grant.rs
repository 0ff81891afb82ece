//! Another process finishes a login by the authorization code grant. These tests show also which stored data it
//! refuses.

use matrix_login::{Error, OAuthClient, Suspended};
use serde_json::{Value, json};
use url::Url;

use crate::support::scenario::{
    AUTH_METADATA_URL, CHALLENGE, CLIENT_ID, CODE_CALLBACK, FORBIDDEN, HOMESERVER, LOGIN_URL, METADATA, OFFERED,
    OFFERS, REFUSED_BY_OAUTH, REGISTERED, STATE, Scenario, TOKENS, UNRECOGNIZED, VERIFIER, WHOAMI, code, invalid_field,
    metadata_with, noon, not_matrix, respond, served, with_oauth, with_registered_client,
};

fn stored(story: &Scenario) -> Value {
    serde_json::to_value(story.flow.suspend().unwrap()).unwrap()
}

fn in_the_browser() -> Value {
    stored(&Scenario::in_the_browser_for_a_code())
}

fn refusal(stored: Value) -> String {
    serde_json::from_value::<Suspended>(stored).unwrap_err().to_string()
}

/// Another process has the callback, and asks for the metadata.
fn resumed() -> Scenario {
    let mut story = Scenario::in_the_browser_for_a_code();
    story.suspend().callback(CODE_CALLBACK).gets(AUTH_METADATA_URL);
    story
}

// What is stored.

#[test]
fn everything_but_the_verifier_and_the_issuer_is_in_the_url() {
    let story = Scenario::in_the_browser_for_a_code();
    assert_eq!(
        stored(&story),
        json!({
            "version": 1,
            "homeserver": HOMESERVER,
            "code_grant": {
                "authorization_url": story.browses().as_str(), "code_verifier": VERIFIER,
                "issuer": "https://auth.example.org/",
            },
            "settings": {
                "device_id": "KITCHENTABLET",
                "oauth": {"client_uri": "https://app.example.com/", "client_name": "Example"},
            },
            "request_id": 4,
        })
    );
}

#[test]
fn another_process_finishes_the_login() {
    let mut story = Scenario::in_the_browser_for_a_code();
    let url = story.browses();
    story.suspend().suspend();
    assert_eq!(story.browses(), url);
    story.callback(CODE_CALLBACK).gets(AUTH_METADATA_URL).responds(200, METADATA).posts_the_code();
    story.responds(200, TOKENS).asks_whose("at").responds(200, WHOAMI);
    assert_eq!((story.session().client_id(), story.session().is_oauth()), (Some(CLIENT_ID), true));
}

#[test]
fn a_registered_client_goes_on_with_its_own_id() {
    let mut story = Scenario::with_metadata(with_registered_client(), METADATA);
    story.choose(code()).suspend().callback(CODE_CALLBACK).responds(200, METADATA).posts_the_code();
}

#[test]
fn a_refusal_in_the_browser_is_shown_after_a_resume() {
    let mut story = Scenario::in_the_browser_for_a_code();
    story.suspend().callback(&format!("http://127.0.0.1:9/cb?state={STATE}&error=access_denied"));
    story.gets(LOGIN_URL).responds(200, OFFERS).responds(200, METADATA);
    assert_eq!(story.refused().errcode.as_deref(), Some("access_denied"));

    let mut story = resumed();
    story.responds(200, METADATA).responds(400, REFUSED_BY_OAUTH).gets(LOGIN_URL).responds(200, OFFERS);
    story.responds(404, UNRECOGNIZED);
    assert_eq!(story.refused().errcode.as_deref(), Some("invalid_grant"));
}

#[test]
fn a_promise_of_the_issuer_survives() {
    let promising = metadata_with("authorization_response_iss_parameter_supported", true);
    let mut story = Scenario::with_metadata(with_oauth(), promising);
    story.choose(code()).responds(201, REGISTERED).suspend();
    assert_eq!(stored(&story)["code_grant"]["iss_in_callback"], true);
    for foreign in [CODE_CALLBACK.to_owned(), format!("{CODE_CALLBACK}&iss=https%3A%2F%2Fauth.example.org")] {
        let error = story.flow.handle_callback(&foreign.parse().unwrap()).unwrap_err();
        assert!(matches!(error, Error::ForeignCallback(_)), "{foreign}: {error:?}");
    }
    story.callback(&format!("{CODE_CALLBACK}&iss=https%3A%2F%2Fauth.example.org%2F")).gets(AUTH_METADATA_URL);
}

// The servers to which a resumed flow does not send the code.

#[test]
fn a_server_that_has_changed_does_not_get_the_code() {
    let elsewhere = |member: &str, url: &str| (metadata_with(member, url), format!("`{member}`"));
    let lacks = |member: &str, value: Value| (metadata_with(member, value), format!("`{member}`"));
    for (metadata, field) in [
        elsewhere("issuer", "https://auth.example.org"),
        elsewhere("issuer", "https://AUTH.example.org/"),
        elsewhere("authorization_endpoint", "https://auth.example.org/authorize/"),
        elsewhere("authorization_endpoint", "https://auth.example.com/authorize"),
        elsewhere("authorization_endpoint", "https://auth.example.org:8443/authorize"),
        elsewhere("authorization_endpoint", "https://auth.example.org/authorize?tenant=a"),
        elsewhere("authorization_endpoint", "http://auth.example.org/authorize"),
        elsewhere("token_endpoint", "https://other.example.org/token"),
        elsewhere("token_endpoint", "https://auth.example.org:8443/token"),
        elsewhere("token_endpoint", "http://auth.example.org/token"),
        lacks("token_endpoint", Value::Null),
        lacks("code_challenge_methods_supported", json!(["plain"])),
        lacks("response_types_supported", json!([])),
    ] {
        let mut story = resumed();
        let error = story.fails(200, metadata.as_str());
        assert_eq!(invalid_field(&error), field, "{metadata}");
        assert!(error.to_string().contains("go back, and log in again") && !error.may_retry(), "{error}");
        // The server can recover later.
        story.clone().responds(200, METADATA).posts_the_code();
        story.back().gets(LOGIN_URL).responds(200, OFFERS).responds(200, metadata).asks(&OFFERED);
    }
}

#[test]
fn a_server_whose_endpoint_has_a_query_gets_the_code() {
    let metadata = metadata_with("authorization_endpoint", "https://auth.example.org/authorize?tenant=a");
    let mut story = Scenario::with_metadata(with_oauth(), metadata.as_str());
    story.choose(code()).responds(201, REGISTERED).suspend().callback(CODE_CALLBACK);
    let mut same = story.clone();
    same.responds(200, metadata).posts_the_code();
    let other = metadata_with("authorization_endpoint", "https://auth.example.org/authorize?tenant=b");
    assert_eq!(invalid_field(&story.fails(200, other)), "`authorization_endpoint`");
    // The server without that query is refused too, because the code belongs to another tenant.
    assert_eq!(invalid_field(&story.fails(200, METADATA)), "`authorization_endpoint`");
}

#[test]
fn without_the_metadata_the_code_is_kept_until_back() {
    let mut story = resumed();
    assert_eq!(not_matrix(&story.fails(404, "<html>")), 404);
    assert_eq!(not_matrix(&story.fails(502, "<html>")), 502);
    story.fails(403, FORBIDDEN);
    story.fails(404, UNRECOGNIZED);
    story.responds(429, "").timeout();
    let id = story.request_id();
    assert!(matches!(story.flow.handle_unreachable(id), Err(Error::OutOfStep { .. })));
    story.clone().responds(200, METADATA).posts_the_code();
    story.back().gets(LOGIN_URL);
}

// Codes and tokens, which would be of use to a thief, are not stored.

#[test]
fn neither_a_code_nor_a_token_is_stored() {
    let mut waiting_with_a_code = Scenario::with_a_code();
    waiting_with_a_code.responds(429, "");
    let mut waiting_with_tokens = Scenario::with_tokens();
    waiting_with_tokens.responds(429, "");
    let mut revoking = Scenario::with_tokens();
    revoking.back();
    for mut story in [
        resumed(),
        Scenario::with_a_code(),
        waiting_with_a_code,
        Scenario::with_tokens(),
        waiting_with_tokens,
        revoking,
    ] {
        let stored = stored(&story);
        let text = stored.to_string();
        for secret in ["c0d3", "\"at\"", "\"rt\"", VERIFIER, CHALLENGE, STATE, CLIENT_ID] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(stored.get("code_grant").is_none());
        story.suspend().gets(LOGIN_URL).responds(200, OFFERS).responds(200, METADATA).asks(&OFFERED);
    }
    let mut registering = Scenario::at_the_question_with_oauth();
    registering.choose(code());
    assert!(!stored(&registering).to_string().contains(VERIFIER));
    registering.suspend().gets(LOGIN_URL);
}

#[test]
fn nothing_shows_the_secrets_of_a_code_grant() {
    let metadata = METADATA.replace('}', r#","x":"s3cr3t"}"#);
    let verifier = format!("{VERIFIER}-s3cr3t");
    let redirect = matrix_login::Redirect::new("http://127.0.0.1:9/cb?x=s3cr3t", "0123456789-s3cr3t").unwrap();
    let choice =
        matrix_login::Choice::authorization_code(redirect, matrix_login::CodeVerifier::new(verifier.as_str()).unwrap());
    let choice = choice.with_field("login_hint", "s3cr3t").unwrap();
    assert!(!format!("{choice:?} {choice:#?}").contains("s3cr3t"), "{choice:?}");
    let clean = |story: &Scenario| {
        let flow = &story.flow;
        for text in [format!("{flow:?} {flow:#?}"), format!("{:?}", flow.step()), format!("{:?}", flow.suspend())] {
            assert!(!text.contains("s3cr3t"), "{text}");
        }
    };
    let mut story = Scenario::with_metadata(with_oauth(), metadata.as_str());
    clean(&story);
    story.choose(choice);
    clean(&story);
    story.responds(201, r#"{"client_id":"c","client_secret":"s3cr3t"}"#);
    clean(&story);
    let mut other_process = story.clone();
    other_process.suspend();
    clean(&other_process);
    let callback = "http://127.0.0.1:9/cb?x=s3cr3t&state=0123456789-s3cr3t&code=s3cr3t";
    let error = story.flow.handle_callback(&callback.replace("state=", "state=x").parse().unwrap()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
    other_process.callback(callback);
    clean(&other_process);
    other_process.responds(200, metadata);
    story.callback(callback);
    for mut story in [story, other_process] {
        clean(&story);
        for (status, body) in [
            (200, r#"{"access_token":["s3cr3t"]}"#),
            (200, r#"{"access_token":"s3cr3t","token_type":"s3cr3t"}"#),
            (200, r#"{"access_token":"s3cr3t"#),
            (500, "s3cr3t"),
        ] {
            let error = story.fails(status, body);
            assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
        }
        story.responds(200, r#"{"access_token":"s3cr3t","refresh_token":"s3cr3t","id_token":"s3cr3t"}"#);
        clean(&story);
        assert!(!stored(&story).to_string().contains("s3cr3t"));
        let mut revoking = story.clone();
        revoking.back();
        clean(&revoking);
        assert!(!stored(&revoking).to_string().contains("s3cr3t"));
        let error = respond(&mut story.flow, &served(200, &[], r#"{"user_id":"@a:b","x":"s3cr3t"}"#), noon());
        let error = error.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
        story.responds(200, r#"{"user_id":"@a:b","device_id":"D"}"#);
        clean(&story);
    }
}

// Data that contradicts itself.

const FOREIGN: &str = "invalid suspended flow: expected an authorization URL of its OAuth 2.0 client, and an issuer";
const UNUSABLE: &str = "not a suspended flow: a field is missing, unknown or cannot be used";
const VERIFIERS: &str = "invalid code verifier: expected 43 to 128 random characters of A-Z, a-z, 0-9, -, ., _ and ~";

/// The stored form with another value of a parameter of its URL, without it, or with it twice.
fn with_parameter(name: &str, values: &[&str]) -> Value {
    let mut changed = in_the_browser();
    let mut url: Url = changed["code_grant"]["authorization_url"].as_str().unwrap().parse().unwrap();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    assert!(pairs.iter().any(|(found, _)| found == name), "{name}");
    let others = pairs.iter().filter(|(found, _)| found != name).map(|(name, value)| (&**name, &**value));
    let values = values.iter().map(|value| (name, *value));
    url.query_pairs_mut().clear().extend_pairs(others.chain(values));
    changed["code_grant"]["authorization_url"] = json!(url.as_str());
    changed
}

fn with(path: &str, value: impl Into<Value>) -> Value {
    let mut changed = in_the_browser();
    *changed.pointer_mut(path).unwrap() = value.into();
    changed
}

#[test]
fn a_parameter_that_no_login_has_is_refused() {
    // Another order of the parameters is not a contradiction.
    assert!(serde_json::from_value::<Suspended>(with_parameter("state", &[STATE])).is_ok());
    let api = "urn:matrix:client:api:*";
    let scope = format!("{api} urn:matrix:client:device:KITCHENTABLET");
    let two_devices = format!("{scope} urn:matrix:client:device:ANOTHERDEVICE");
    for (name, values) in [
        ("response_type", &["token"][..]),
        ("response_type", &[]),
        ("code_challenge_method", &["plain"]),
        ("code_challenge_method", &[]),
        ("client_id", &[]),
        ("client_id", &[""]),
        ("client_id", &[CLIENT_ID, CLIENT_ID]),
        ("redirect_uri", &[]),
        ("redirect_uri", &["/cb"]),
        ("redirect_uri", &["http://127.0.0.1:9/cb?state=x"]),
        ("redirect_uri", &["http://127.0.0.1:9/cb", "http://127.0.0.1:9/cb"]),
        ("state", &[]),
        ("state", &["short"]),
        ("state", &[STATE, STATE]),
        ("scope", &[]),
        ("scope", &[api]),
        ("scope", &[&scope, &scope]),
        ("scope", &[&two_devices]),
        ("scope", &["openid"]),
        ("response_mode", &[]),
        ("response_mode", &["form_post"]),
        ("response_mode", &["query", "fragment"]),
        ("code_challenge", &[]),
        ("code_challenge", &[CHALLENGE, CHALLENGE]),
    ] {
        assert_eq!(refusal(with_parameter(name, values)), FOREIGN, "{name} {values:?}");
    }
}

#[test]
fn a_verifier_and_a_challenge_that_do_not_fit_are_refused() {
    let message = "invalid code challenge: expected the challenge of the verifier";
    assert_eq!(refusal(with_parameter("code_challenge", &[&CHALLENGE.replace('E', "F")])), message);
    assert_eq!(refusal(with("/code_grant/code_verifier", VERIFIER.replace('d', "e"))), message);
    for unfit in ["", "short", &VERIFIER[1..], &"a".repeat(129), &VERIFIER.replace('d', " ")] {
        assert_eq!(refusal(with("/code_grant/code_verifier", unfit)), VERIFIERS, "{unfit}");
    }
    let message = "invalid code challenge: expected the SHA-256 of the verifier in base64url without padding, \
                   which is 43 characters";
    assert_eq!(refusal(with_parameter("code_challenge", &[&format!("{CHALLENGE}=")])), message);
}

#[test]
fn an_address_that_the_homeserver_must_not_name_is_refused() {
    let url = Scenario::in_the_browser_for_a_code().browses();
    for other in [
        url.as_str().replace("https:", "http:"),
        url.as_str().replace("https://auth.example.org", "http://127.0.0.1:8008"),
        url.as_str().replace("https://", "https://alice@"),
        format!("{url}#fragment"),
        url.as_str().replace("https://auth.example.org", "app:"),
    ] {
        assert_eq!(refusal(with("/code_grant/authorization_url", other.as_str())), FOREIGN, "{other}");
    }
    // A homeserver on loopback may name an address on loopback.
    let mut loopback = with("/homeserver", "http://127.0.0.1:8008");
    loopback["code_grant"]["authorization_url"] =
        json!(url.as_str().replace("https://auth.example.org", "http://127.0.0.1:8080"));
    assert!(serde_json::from_value::<Suspended>(loopback).is_ok());
}

#[test]
fn a_code_grant_without_an_issuer_is_refused() {
    // No metadata can have such an issuer, so the code could never be used.
    assert_eq!(refusal(with("/code_grant/issuer", "")), FOREIGN);
}

#[test]
fn a_code_grant_of_another_client_is_refused() {
    let mut without = in_the_browser();
    without["settings"].as_object_mut().unwrap().remove("oauth");
    assert_eq!(refusal(without), FOREIGN);
    assert_eq!(refusal(with("/settings/oauth", json!({"client_id": "other"}))), FOREIGN);
    let same = serde_json::from_value::<Suspended>(with("/settings/oauth", json!({"client_id": CLIENT_ID}))).unwrap();
    assert_eq!(same.settings().oauth().and_then(OAuthClient::client_id), Some(CLIENT_ID));
}

#[test]
fn two_logins_at_once_are_refused() {
    let one = "invalid suspended flow: expected a server name or a homeserver, and at most one login in a browser";
    let sso = stored(&Scenario::in_the_browser());
    let planted = |key: &str, value: Value| {
        let mut planted = in_the_browser();
        planted[key] = value;
        refusal(planted)
    };
    assert_eq!(planted("sso_url", sso["sso_url"].clone()), one);
    assert_eq!(planted("fields", json!({"org.example": 1})), one);
    assert_eq!(planted("server_name", json!("example.org")), one);
    let mut nowhere = in_the_browser();
    nowhere.as_object_mut().unwrap().remove("homeserver");
    assert_eq!(refusal(nowhere.clone()), one);
    nowhere["server_name"] = json!("example.org");
    assert_eq!(refusal(nowhere), one);
}

#[test]
fn a_code_grant_with_other_members_is_refused() {
    for key in ["authorization_url", "code_verifier", "issuer"] {
        let mut without = in_the_browser();
        without["code_grant"].as_object_mut().unwrap().remove(key);
        assert_eq!(refusal(without), UNUSABLE, "{key}");
        for value in [Value::Null, json!(7), json!([])] {
            assert_eq!(refusal(with(&format!("/code_grant/{key}"), value)), UNUSABLE, "{key}");
        }
    }
    for key in ["token_endpoint", "code", "state", "client_id", "metadata"] {
        let mut planted = in_the_browser();
        planted["code_grant"][key] = json!("x");
        assert_eq!(refusal(planted), UNUSABLE, "{key}");
    }
    for value in [json!("x"), json!([]), json!(7), json!({})] {
        assert_eq!(refusal(with("/code_grant", value)), UNUSABLE);
    }
}

#[test]
fn no_message_about_stored_data_quotes_a_secret() {
    for changed in [
        with("/code_grant/code_verifier", "s3cr3t"),
        with("/code_grant/code_verifier", json!(["s3cr3t"])),
        with("/code_grant/authorization_url", "no URL, s3cr3t"),
        with_parameter("state", &["s3cr3t"]),
        with_parameter("code_challenge", &["s3cr3t"]),
        with("/settings/oauth", json!({"client_uri": "s3cr3t", "client_name": "s3cr3t"})),
    ] {
        let message = refusal(changed);
        assert!(!message.contains("s3cr3t"), "{message}");
    }
}
