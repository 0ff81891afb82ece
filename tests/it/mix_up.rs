//! Mix-up (RFC 9700, section 4.4): a homeserver that lies about an honest server must not get a code, nor its verifier.

use matrix_login::{Error, LoginFlow, Step, endpoint::oauth::auth_metadata};
use serde_json::json;

use crate::support::scenario::{
    AUTH_METADATA_URL, CODE_CALLBACK, HOMESERVER, LOGIN_URL, METADATA, OFFERED, OFFERS, REGISTERED, Scenario,
    UNRECOGNIZED, code, invalid_field, metadata_with, noon, served, whole, with_oauth, with_registered_client,
};

/// The issuer and the pages belong to the honest server, but the code would go to the homeserver.
fn lies() -> [String; 4] {
    [
        "https://hs.example.org/token",
        "https://auth.example.org:8443/token",
        "https://token.auth.example.org/token",
        "https://auth.example.org.evil.example.com/token",
    ]
    .map(|token_endpoint| metadata_with("token_endpoint", token_endpoint))
}

/// The same metadata with a promise of `iss`. The honest server keeps that promise, but the login is not safer for it.
fn promising(metadata: &str) -> String {
    let mut metadata: serde_json::Value = serde_json::from_str(metadata).unwrap();
    metadata["authorization_response_iss_parameter_supported"] = true.into();
    metadata.to_string()
}

fn is_not_offered(story: &mut Scenario) {
    let Step::Choose { oauth: Some(metadata), .. } = story.flow.step() else { panic!("{:?}", story.flow.step()) };
    assert!(!metadata.offers_authorization_code());
    let before = whole(&story.flow);
    for choice in [code(), code().unlisted()] {
        let error = story.flow.choose(choice).unwrap_err();
        assert!(matches!(error, Error::NotOffered { .. }), "{error:?}");
        assert_eq!(whole(&story.flow), before);
    }
}

#[test]
fn a_token_endpoint_on_another_origin_is_never_offered() {
    for metadata in lies().into_iter().flat_map(|metadata| [promising(&metadata), metadata]) {
        for settings in [with_oauth(), with_registered_client()] {
            is_not_offered(&mut Scenario::with_metadata(settings.clone(), metadata.as_str()));
            // It is not offered either if the homeserver offers nothing else.
            let mut story = Scenario::of(LoginFlow::at(HOMESERVER.parse().unwrap(), settings));
            story.responds(404, UNRECOGNIZED).responds(200, metadata.as_str());
            is_not_offered(&mut story);
        }
    }
}

#[test]
fn a_device_code_on_another_origin_is_never_offered() {
    let mut metadata: serde_json::Value = serde_json::from_str(METADATA).unwrap();
    metadata["device_authorization_endpoint"] = json!("https://auth.example.org/device");
    metadata["grant_types_supported"] = json!(["urn:ietf:params:oauth:grant-type:device_code"]);
    let offers = |metadata: &serde_json::Value| {
        let response = served(200, &[], metadata.to_string());
        let read = auth_metadata::response(&HOMESERVER.parse().unwrap(), &response).unwrap().unwrap();
        read.offers_device_authorization()
    };
    assert!(offers(&metadata));
    metadata["token_endpoint"] = json!("https://hs.example.org/token");
    assert!(!offers(&metadata));
}

#[test]
fn after_a_resume_no_code_goes_to_another_origin() {
    for metadata in lies().into_iter().flat_map(|metadata| [promising(&metadata), metadata]) {
        let mut story = Scenario::in_the_browser_for_a_code();
        story.suspend().callback(CODE_CALLBACK).gets(AUTH_METADATA_URL);
        assert_eq!(invalid_field(&story.fails(200, metadata.as_str())), "`token_endpoint`");
        let line = crate::support::replay::step_line(&story.flow.step(), noon()).to_string();
        assert!(!line.contains("c0d3"), "{line}");
        story.back().gets(LOGIN_URL).responds(200, OFFERS).responds(200, metadata);
        is_not_offered(&mut story);
    }
}

/// The homeserver names one server as the issuer, and sends the browser to another server. That server names itself.
#[test]
fn the_issuer_is_compared_wherever_it_is_named() {
    let honest = "iss=https%3A%2F%2Fhonest.example.org%2F";
    for metadata in [METADATA.to_owned(), promising(METADATA)] {
        let mut story = Scenario::with_metadata(with_oauth(), metadata);
        story.choose(code()).responds(201, REGISTERED);
        let mut other_process = story.clone();
        other_process.suspend();
        for story in [&mut story, &mut other_process] {
            let before = whole(&story.flow);
            for end in ["code=c0d3", "error=access_denied"] {
                let callback = CODE_CALLBACK.replace("code=c0d3", &format!("{end}&{honest}"));
                let error = story.flow.handle_callback(&callback.parse().unwrap()).unwrap_err();
                assert!(matches!(error, Error::ForeignCallback(_)), "{error:?}");
                assert_eq!(whole(&story.flow), before);
            }
            story.callback(&format!("{CODE_CALLBACK}&iss=https%3A%2F%2Fauth.example.org%2F"));
        }
    }
}

/// A code from the login at one homeserver does not go to the next homeserver.
#[test]
fn a_code_does_not_follow_to_another_homeserver() {
    let mut story = Scenario::in_the_browser_for_a_code();
    story.use_homeserver("https://evil.example.com").responds(200, OFFERS).responds(200, METADATA).asks(&OFFERED);
    let error = story.flow.handle_callback(&CODE_CALLBACK.parse().unwrap()).unwrap_err();
    assert!(matches!(error, Error::OutOfStep { .. }), "{error:?}");
}
