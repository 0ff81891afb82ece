//! The OAuth 2.0 API: Synapse with an authorization server in front of its users.

use std::{thread, time::Duration};

use http::{Request, StatusCode};
use matrix_login::{Refresh, Session, SessionError, Step, Verdict, endpoint::logout};
use matrix_login_synapse::{Login, Story, ask, exchange, now, send, servers, url};
use serde_json::{Value, json};

use crate::browser::{Chromium, authorize, refuse};

const CALLBACK: &str = "http://127.0.0.1:9/callback";

pub fn settings(device_id: &str) -> Value {
    json!({
        "device_id": device_id,
        "oauth": { "client_uri": "https://example.org/", "client_name": "matrix-login" },
    })
}

/// The pair of RFC 7636, appendix B, is public. That does no harm, because these logins are at a server for tests.
fn code_grant() -> Value {
    json!({
        "oauth": "authorization_code", "redirect_url": CALLBACK, "state": "0123456789abcdef",
        "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    })
}

fn log_in(name: &'static str, user: &str, device_id: &str) -> Session {
    Story::at_with(name, "oauth", settings(device_id)).tell(|login| {
        login.with(code_grant());
        let callback = authorize(&login.browse_url(), user);
        login.callback(&callback).unwrap();
        login.run().session().clone()
    })
}

pub fn judge(name: &str, session: &Session) -> Verdict {
    let request = matrix_login::endpoint::whoami::request(session.homeserver().unwrap(), session.access_token());
    session.judge(&exchange(name, "whoami", request))
}

pub fn refresh(name: &str, session: &mut Session) -> Refresh {
    let response = exchange(name, "token", session.refresh_request().unwrap());
    session.handle_refresh(&response, now())
}

pub fn log_out(name: &str, session: &Session) -> logout::Response {
    let response = exchange(name, "revocation", session.logout_request().unwrap());
    session.handle_logout(&response).unwrap()
}

#[test]
fn a_browser_logs_in_and_the_token_works() {
    let session = Story::at_with("oauth", "oauth", settings("CODEDEVICE")).tell(|login| {
        login.run();
        let Step::Choose { login_types, oauth: Some(metadata), .. } = login.flow().step() else { panic!() };
        assert_eq!(login_types.iter().count(), 0, "there is no legacy API");
        assert_eq!(&*metadata.issuer, servers()["provider"].as_str().unwrap());
        assert!(metadata.offers_authorization_code() && metadata.offers_refresh_token());
        assert!(metadata.iss_in_callback);
        login.choose(code_grant()).run();
        let callback = authorize(&login.browse_url(), "alice");
        login.callback(&callback).unwrap();
        login.run().session().clone()
    });
    assert!(session.is_oauth() && session.client_id().is_some() && session.refresh_token().is_some());
    assert_eq!((session.user_id().as_str(), session.device_id()), ("@alice:example.test", "CODEDEVICE"));
    assert_eq!(session.other().get("scope").unwrap(), "urn:matrix:client:api:* urn:matrix:client:device:CODEDEVICE");
    assert_eq!(ask(&session, "/_matrix/client/v3/sync?timeout=0").0, 200);
    // It is stored, and read back.
    let restored = Session::from_json(session.to_json()).unwrap().unwrap();
    assert!(restored.is_oauth());
    assert_eq!(restored.to_json(), session.to_json());
}

#[test]
fn a_user_who_refuses_is_asked_again() {
    Story::at_with("oauth_refused", "oauth", settings("REFUSEDCODE")).tell(|login| {
        login.with(code_grant());
        let callback = refuse(&login.browse_url());
        login.callback(&callback).unwrap();
        assert_eq!(login.refused().errcode.as_deref(), Some("access_denied"));
        assert!(login.refused().status.is_none());
        // The user can still agree.
        login.choose(code_grant()).run();
        let callback = authorize(&login.browse_url(), "alice");
        login.callback(&callback).unwrap();
        login.run().session();
    });
}

#[test]
fn the_buttons_of_chromium_lead_to_a_session_and_to_a_refusal() {
    let chromium = Chromium::start();
    let visit = |login: &mut Login, press: &dyn Fn(&Chromium)| {
        chromium.open(&login.browse_url());
        press(&chromium);
        let callback = chromium.callback(CALLBACK);
        login.callback(&callback).unwrap();
    };
    Story::at_with("oauth_chromium", "oauth", settings("BUTTONSDEVICE")).tell(|login| {
        login.with(code_grant());
        visit(login, &Chromium::refuse);
        assert_eq!(login.refused().errcode.as_deref(), Some("access_denied"));
        login.choose(code_grant()).run();
        visit(login, &|chromium| chromium.log_in("bob"));
        assert_eq!(login.run().session().user_id().as_str(), "@bob:example.test");
    });
}

#[test]
fn another_process_finishes_a_login_in_the_browser() {
    Story::at_with("oauth_resumed", "oauth", settings("RESUMEDCODE")).tell(|login| {
        login.with(code_grant());
        let callback = authorize(&login.browse_url(), "alice");
        login.suspend().callback(&callback).unwrap();
        // The metadata are read again, before the code goes anywhere.
        let Step::Send { request, .. } = login.flow().step() else { panic!() };
        assert_eq!(request.uri().path(), "/_matrix/client/v1/auth_metadata");
        assert_eq!(login.run().session().device_id(), "RESUMEDCODE");
    });
}

#[test]
fn tokens_expire_and_are_refreshed_again_and_again() {
    let mut session = log_in("oauth_to_refresh", "alice", "REFRESHDEVICE");
    for (expired, refreshed, good) in [
        ("oauth_whoami_expired", "oauth_token_refreshed", "oauth_whoami_refreshed"),
        ("oauth_whoami_expired_again", "oauth_token_refreshed_again", "oauth_whoami_refreshed_again"),
    ] {
        // Synapse keeps what it knows about a token for as long as the token lives.
        thread::sleep(Duration::from_millis(6_500));
        // An expired token says nothing about a soft logout.
        assert_eq!(judge(expired, &session), Verdict::Refresh { delay: Duration::ZERO });
        let before = session.clone();
        assert!(matches!(refresh(refreshed, &mut session), Refresh::Refreshed));
        assert!(!session.has_token_of(&before));
        assert_eq!(judge(good, &session), Verdict::Unaffected);
    }
    // A refresh token that was used before ends the whole grant, because the provider treats it as stolen.
    let mut stolen = Session::from_json(session.to_json()).unwrap().unwrap();
    assert!(matches!(refresh("oauth_token_refreshed_once_more", &mut stolen), Refresh::Refreshed));
    let gone = refresh("oauth_token_refreshed_twice", &mut session);
    assert!(
        matches!(&gone, Refresh::TokenGone(error) if error.errcode.as_deref() == Some("invalid_grant")),
        "{gone:?}"
    );
    let gone = refresh("oauth_token_refreshed_after_that", &mut stolen);
    assert!(matches!(gone, Refresh::TokenGone(_)), "{gone:?}");
}

#[test]
fn revoking_the_refresh_token_ends_the_session() {
    let mut session = log_in("oauth_to_log_out", "bob", "REVOKEDDEVICE");
    // The legacy API does not know these tokens: its endpoint would leave the session alive.
    let legacy = logout::request(session.homeserver().unwrap(), session.access_token());
    assert!(logout::response(&send(legacy).unwrap()).is_err());
    assert_eq!(judge("oauth_whoami_before_logout", &session), Verdict::Unaffected);

    assert!(!log_out("oauth_revocation", &session).already_logged_out);
    assert!(matches!(judge("oauth_whoami_after_logout", &session), Verdict::Refresh { .. }));
    let gone = refresh("oauth_token_after_logout", &mut session);
    assert!(
        matches!(&gone, Refresh::TokenGone(error) if error.errcode.as_deref() == Some("invalid_grant")),
        "{gone:?}"
    );
    // A second revocation is a success too: the server does not say that no token was left.
    log_out("oauth_revocation_again", &session);
}

#[test]
fn the_same_device_logs_in_again() {
    let ended = log_in("oauth_first", "alice", "SAMEDEVICE");
    log_out("oauth_first_revoked", &ended);
    let oauth = json!({ "oauth": settings("")["oauth"] });
    let session = Story::again_with("oauth_again", &ended, oauth.clone()).tell(|login| {
        login.with(code_grant());
        let callback = authorize(&login.browse_url(), "alice");
        login.callback(&callback).unwrap();
        login.run().session().clone()
    });
    assert_eq!((session.user_id(), session.device_id()), (ended.user_id(), "SAMEDEVICE"));

    // Another user is refused, and the tokens are not lost.
    Story::again_with("oauth_again_wrong_user", &ended, oauth).tell(|login| {
        login.with(code_grant());
        let callback = authorize(&login.browse_url(), "bob");
        login.callback(&callback).unwrap();
        let error = loop {
            if let Err(error) = login.send() {
                break error;
            }
        };
        let matrix_login::Error::WrongUser { session, .. } = error else { panic!("{error:?}") };
        assert_eq!(session.user_id().as_str(), "@bob:example.test");
        let revoked = send(session.logout_request().unwrap()).unwrap();
        assert_eq!(revoked.status(), StatusCode::OK);
    });
}

#[test]
fn without_the_settings_the_flow_does_not_ask_for_oauth() {
    let error = Story::at("oauth_not_wanted", "oauth").tell(|login| login.send().unwrap_err());
    assert!(matches!(error, matrix_login::Error::Response(matrix_login::ResponseError::LoginUnsupported)), "{error:?}");
}

#[test]
fn without_oauth_the_legacy_api_is_used() {
    Story::at_with("oauth_not_there", "full", settings("LEGACYDEVICE")).tell(|login| {
        login.run();
        let Step::Choose { login_types, oauth: None, .. } = login.flow().step() else { panic!() };
        assert!(login_types.contains("m.login.password"));
        let session = login.choose(matrix_login_synapse::password_choice("alice")).run().session();
        assert!(!session.is_oauth());
    });
}

#[test]
fn metadata_that_move_are_taken_only_from_the_same_server() {
    let mut session = log_in("oauth_moved", "alice", "MOVINGDEVICE");
    let homeserver = url("oauth").parse().unwrap();
    let request = matrix_login::endpoint::oauth::auth_metadata::request(&homeserver);
    let response = send(request).unwrap();
    let read =
        |response| matrix_login::endpoint::oauth::auth_metadata::response(&homeserver, response).unwrap().unwrap();
    session.set_auth_metadata(&read(&response)).unwrap();
    assert!(matches!(refresh("oauth_token_after_move", &mut session), Refresh::Refreshed));

    let mut other: Value = serde_json::from_slice(response.body()).unwrap();
    other["issuer"] = "https://other.example.org/".into();
    let other = http::Response::new(other.to_string());
    let metadata = matrix_login::endpoint::oauth::auth_metadata::response(&homeserver, &other).unwrap().unwrap();
    assert!(matches!(session.set_auth_metadata(&metadata), Err(SessionError::OtherIssuer)));
}

#[test]
fn a_token_goes_to_no_other_origin() {
    let session = log_in("oauth_origin", "alice", "ORIGINDEVICE");
    let mut request = Request::get(format!("{}/userinfo", servers()["provider"].as_str().unwrap())).body(()).unwrap();
    assert!(matches!(session.authorize(&mut request), Err(SessionError::ForeignOrigin)));
}
