//! A session of the OAuth 2.0 API: what is stored, how it goes on, and how it ends. Its tokens go to the server that
//! has granted them, and to the homeserver.

use std::{
    sync::{
        Barrier, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use http::Request;
use matrix_login::{
    HttpsUrl, Refresh, RefreshToken, ResponseError, Session, SessionError, Verdict,
    endpoint::{
        oauth::token::{self, Response as Granted},
        whoami,
    },
};
use serde_json::{Map, Value, json};

use crate::{
    auth_metadata::{document, read},
    recipe,
    refresh::{oauth_session, session, stored},
    support::{
        replay::request_value,
        scenario::{HOMESERVER, noon, served},
    },
};

/// The member `oauth` of the stored form of [`oauth_session`].
fn origin() -> Value {
    json!({
        "client_id": "client", "issuer": "https://auth.example.org/",
        "token_endpoint": "https://auth.example.org/token",
        "revocation_endpoint": "https://auth.example.org/revoke",
    })
}

fn stored_with(oauth: Value) -> Value {
    let mut stored = stored();
    stored["oauth"] = oauth;
    stored
}

/// An OAuth session without one of its keys.
fn without(key: &str) -> Session {
    let mut stored = stored_with(origin());
    stored.as_object_mut().unwrap().remove(key);
    session(stored)
}

fn as_stored(session: &Session) -> Value {
    serde_json::from_str(&session.to_json()).unwrap()
}

fn form(request: &Request<Vec<u8>>) -> String {
    String::from_utf8(request.body().clone()).unwrap()
}

// What is stored.

#[test]
fn the_origin_of_the_tokens_is_stored_and_read_back() {
    let session = oauth_session();
    assert!(session.is_oauth());
    assert_eq!(session.client_id(), Some("client"));
    assert_eq!(as_stored(&session), stored_with(origin()));
    assert_eq!(serde_json::to_value(&session).unwrap(), stored_with(origin()));
    assert_eq!(as_stored(&serde_json::from_value::<Session>(stored_with(origin())).unwrap()), stored_with(origin()));

    let legacy = crate::refresh::session(stored());
    assert!(!legacy.is_oauth());
    assert_eq!((legacy.client_id(), as_stored(&legacy).get("oauth")), (None, None));
}

#[test]
fn the_issuer_and_the_revocation_endpoint_can_be_missing() {
    for key in ["issuer", "revocation_endpoint"] {
        for value in [None, Some(Value::Null)] {
            let mut oauth = origin();
            oauth.as_object_mut().unwrap().remove(key);
            let written = stored_with(oauth.clone());
            if let Some(value) = value {
                oauth[key] = value;
            }
            assert_eq!(as_stored(&session(stored_with(oauth))), written, "{key}");
        }
    }
}

#[test]
fn an_endpoint_is_kept_as_it_was_at_the_grant() {
    // The grant has already decided whether the endpoint can use plain http.
    for endpoint in ["http://127.0.0.1:8090/token?a=b", "https://auth.example.org/token"] {
        let mut oauth = origin();
        oauth["token_endpoint"] = json!(endpoint);
        let session = session(stored_with(oauth.clone()));
        assert_eq!(session.refresh_request().unwrap().uri(), endpoint);
        assert_eq!(as_stored(&session)["oauth"], oauth);
    }
}

#[test]
fn an_origin_that_cannot_be_used_is_not_a_legacy_session() {
    let broken = |key: &str, value: Value| {
        let mut oauth = origin();
        oauth[key] = value;
        oauth
    };
    let without = |key: &str| {
        let mut oauth = origin();
        oauth.as_object_mut().unwrap().remove(key);
        oauth
    };
    let member = |key: &str| format!("`{key}` in `oauth`");
    let broken = |key: &str, value: Value| (broken(key, value), member(key));
    let without = |key: &str| (without(key), member(key));
    let no_object = |value: Value| (value, "`oauth`".to_owned());
    for (oauth, field) in [
        (json!({}), member("client_id")),
        no_object(json!([])),
        no_object(json!("client")),
        no_object(json!(true)),
        no_object(json!(7)),
        without("client_id"),
        without("token_endpoint"),
        broken("client_id", json!("")),
        broken("client_id", json!(7)),
        broken("client_id", json!(null)),
        broken("token_endpoint", json!(null)),
        broken("token_endpoint", json!("")),
        broken("token_endpoint", json!("/token")),
        broken("token_endpoint", json!("ftp://auth.example.org/token")),
        broken("token_endpoint", json!("https://user@auth.example.org/token")),
        broken("token_endpoint", json!("https://auth.example.org/token#x")),
        broken("token_endpoint", json!(["https://auth.example.org/token"])),
        // Without this endpoint, a logout would have no effect.
        broken("revocation_endpoint", json!("revoke")),
        broken("revocation_endpoint", json!("")),
        broken("revocation_endpoint", json!(false)),
        broken("issuer", json!("")),
        broken("issuer", json!(["https://auth.example.org/"])),
    ] {
        let error = Session::from_json(stored_with(oauth.clone()).to_string()).unwrap_err();
        assert_eq!(error.field, format!("{field} of the stored session"), "{oauth}");
        assert!(serde_json::from_value::<Session>(stored_with(oauth)).is_err());
    }
    // A number that no Rust type can hold is refused too.
    let odd = stored().to_string().replacen('{', r#"{"oauth":1e999,"#, 1);
    assert!(Session::from_json(odd).is_err());
    // Without an access token no user is logged in, so nothing is refused.
    assert!(Session::from_json(r#"{"oauth":7}"#).unwrap().is_none());
}

#[test]
fn null_means_that_it_is_a_legacy_session() {
    let session = session(stored_with(Value::Null));
    assert!(!session.is_oauth());
    assert_eq!(as_stored(&session), stored());
}

#[test]
fn a_stored_legacy_session_removes_the_origin_of_another() {
    let mut object: Map<String, Value> = stored_with(origin()).as_object().unwrap().clone();
    object.insert("x".to_owned(), json!(1));
    session(stored()).store_in(&mut object);
    assert!(!object.contains_key("oauth"), "{object:?}");
    assert_eq!(object["x"], 1);
    oauth_session().store_in(&mut object);
    assert_eq!(object["oauth"], origin());
}

// How a session begins.

fn granted(body: &Value) -> Granted {
    token::response(&served(200, &[], body.to_string())).unwrap()
}

fn whoami(body: &Value) -> whoami::Response {
    whoami::response(&served(200, &[], body.to_string())).unwrap()
}

fn tokens() -> Value {
    json!({
        "access_token": "t0k3n", "token_type": "Bearer", "expires_in": 300, "refresh_token": "r3fresh",
        "scope": "urn:matrix:client:api:*", "id_token": "x",
    })
}

fn alice() -> Value {
    json!({"user_id": "@alice:example.org", "device_id": "KITCHENTABLET", "is_guest": false})
}

fn grant(metadata: &Value, tokens: &Value, who: &Value) -> Result<Session, SessionError> {
    let metadata = read(HOMESERVER, metadata);
    let homeserver = HOMESERVER.parse().unwrap();
    Session::granted_by_oauth(homeserver, "client", &metadata, granted(tokens), whoami(who), noon())
}

#[test]
fn the_token_endpoint_and_whoami_make_a_session() {
    let session = grant(&document(), &tokens(), &alice()).unwrap();
    let mut expected = stored_with(origin());
    expected.as_object_mut().unwrap().remove("next_batch");
    expected["access_token"] = json!("t0k3n");
    expected["refresh_token"] = json!("r3fresh");
    expected["device_id"] = json!("KITCHENTABLET");
    expected["access_token_valid_until"] = json!(1_795_435_500_000_000_000_u64);
    assert_eq!(as_stored(&session), expected);
    assert_eq!(json!(session.other()), json!({"id_token": "x", "scope": "urn:matrix:client:api:*"}));
    assert_eq!(session.expires_at(), Some(noon() + Duration::from_secs(300)));
    assert!(session.well_known().is_none());

    let session = grant(&document(), &json!({"access_token": "t0k3n"}), &alice()).unwrap();
    assert!(session.refresh_token().is_none() && session.expires_at().is_none() && session.other().is_empty());
}

#[test]
fn without_a_device_the_error_owns_the_tokens() {
    for device_id in [json!(null), json!(""), json!(7)] {
        let mut who = alice();
        who["device_id"] = device_id;
        let Err(SessionError::NoDevice(granted)) = grant(&document(), &tokens(), &who) else { panic!() };
        assert_eq!(granted.access_token.expose(), "t0k3n");
        assert_eq!(granted.refresh_token.as_ref().map(RefreshToken::expose), Some("r3fresh"));
        assert_eq!(granted.scope.as_deref(), Some("urn:matrix:client:api:*"));
    }
}

#[test]
fn a_session_needs_a_token_endpoint() {
    let mut metadata = document();
    metadata["token_endpoint"] = json!("http://auth.example.org/token");
    assert!(matches!(grant(&metadata, &tokens(), &alice()), Err(SessionError::NoTokenEndpoint)));
    // A session can be used without a revocation endpoint.
    let mut metadata = document();
    metadata["revocation_endpoint"] = json!(null);
    let session = grant(&metadata, &tokens(), &alice()).unwrap();
    assert!(as_stored(&session)["oauth"].get("revocation_endpoint").is_none());
}

// How a session goes on.

#[test]
fn it_is_refreshed_at_its_token_endpoint() {
    for session in [oauth_session(), without("base_client_url")] {
        let request = session.refresh_request().unwrap();
        assert_eq!(
            (request.method().as_str(), request.uri().to_string().as_str()),
            ("POST", "https://auth.example.org/token")
        );
        assert_eq!(form(&request), "grant_type=refresh_token&refresh_token=old-refresh&client_id=client");
        assert!(request.headers().get("authorization").is_none());
    }
    assert!(matches!(without("refresh_token").refresh_request(), Err(SessionError::NoRefreshToken)));
}

#[test]
fn new_tokens_replace_the_old_and_the_origin_stays() {
    let mut session = oauth_session();
    let body = r#"{"access_token":"new","token_type":"bearer","expires_in":60,"refresh_token":"newer","scope":"x"}"#;
    assert!(matches!(session.handle_refresh(&served(200, &[], body), noon()), Refresh::Refreshed));
    let mut expected = stored_with(origin());
    expected["access_token"] = json!("new");
    expected["refresh_token"] = json!("newer");
    expected["access_token_valid_until"] = json!(1_795_435_260_000_000_000_u64);
    assert_eq!(as_stored(&session), expected);

    // Without a new refresh token the old one stays. The lifetime of the legacy API means nothing here.
    let body = r#"{"access_token":"newest","expires_in_ms":1}"#;
    assert!(matches!(session.handle_refresh(&served(200, &[], body), noon()), Refresh::Refreshed));
    assert_eq!(session.refresh_token().map(RefreshToken::expose), Some("newer"));
    assert_eq!(session.expires_at(), None);
}

#[test]
fn a_busy_server_says_when_to_refresh_again() {
    let mut session = oauth_session();
    for (response, seconds) in [
        (served(503, &[("retry-after", "7")], ""), 7),
        (served(429, &[("retry-after", "9")], r#"{"error":"slow_down"}"#), 9),
        (served(400, &[], r#"{"error":"invalid_request"}"#), 4),
        (served(401, &[], r#"{"errcode":"M_UNKNOWN_TOKEN","soft_logout":true}"#), 8),
    ] {
        let Refresh::Later { delay, .. } = session.handle_refresh(&response, noon()) else { panic!() };
        assert_eq!(delay, Duration::from_secs(seconds));
    }
    assert_eq!(as_stored(&session), stored_with(origin()));
}

#[test]
fn a_refused_token_is_refreshed_whatever_soft_logout_says() {
    let unknown = |more: &str| served(401, &[], format!(r#"{{"errcode":"M_UNKNOWN_TOKEN","error":"no"{more}}}"#));
    for more in ["", r#","soft_logout":false"#, r#","soft_logout":true"#] {
        assert_eq!(oauth_session().judge(&unknown(more)), Verdict::Refresh { delay: Duration::ZERO }, "{more}");
    }
    assert_eq!(without("refresh_token").judge(&unknown("")), Verdict::LoggedOut);
    assert_eq!(without("refresh_token").judge(&unknown(r#","soft_logout":true"#)), Verdict::SoftLogout);
    // The scope of the token is too small, but the token is still valid.
    let scope = served(
        403,
        &[("www-authenticate", r#"Bearer error="insufficient_scope""#)],
        r#"{"errcode":"M_FORBIDDEN","error":"no"}"#,
    );
    assert_eq!(oauth_session().judge(&scope), Verdict::Unaffected);
    // Synapse cannot reach its authentication service.
    let away = served(503, &[], r#"{"errcode":"M_UNKNOWN","error":"Unable to introspect the access token"}"#);
    assert_eq!(oauth_session().judge(&away), Verdict::Unaffected);
}

#[test]
fn a_locked_user_does_not_make_a_loop() {
    // MAS refreshes a locked user, and Synapse refuses the new token with `soft_logout: false`.
    let mut session = oauth_session();
    let unknown =
        served(401, &[], r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Token is not active","soft_logout":false}"#);
    let granted = served(200, &[], r#"{"access_token":"new","token_type":"Bearer","refresh_token":"newer"}"#);
    let mut waited = Duration::ZERO;
    for seconds in [0, 1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(session.judge(&unknown), Verdict::Refresh { delay: Duration::from_secs(seconds) });
        waited += Duration::from_secs(seconds);
        assert!(matches!(session.handle_refresh(&granted, noon() + waited), Refresh::Refreshed));
    }
    // The account is unlocked.
    assert_eq!(session.judge(&served(200, &[], "{}")), Verdict::Unaffected);
    assert_eq!(session.judge(&unknown), Verdict::Refresh { delay: Duration::ZERO });
}

// How a session ends.

#[test]
fn a_logout_revokes_the_refresh_token_or_else_the_access_token() {
    for (session, expected) in [
        (oauth_session(), "token=old-refresh&token_type_hint=refresh_token&client_id=client"),
        (without("base_client_url"), "token=old-refresh&token_type_hint=refresh_token&client_id=client"),
        (without("refresh_token"), "token=old-access&token_type_hint=access_token&client_id=client"),
    ] {
        let request = session.logout_request().unwrap();
        assert_eq!(
            (request.method().as_str(), request.uri().to_string().as_str()),
            ("POST", "https://auth.example.org/revoke")
        );
        assert_eq!(form(&request), expected);
        assert!(request.headers().get("authorization").is_none());
    }
    let mut oauth = origin();
    oauth.as_object_mut().unwrap().remove("revocation_endpoint");
    let error = session(stored_with(oauth)).logout_request().unwrap_err();
    assert!(matches!(error, SessionError::NoRevocationEndpoint), "{error:?}");
}

#[test]
fn a_legacy_session_is_logged_out_at_its_homeserver() {
    let request = session(stored()).logout_request().unwrap();
    assert_eq!(request.uri(), "https://hs.example.org/_matrix/client/v3/logout");
    assert_eq!(request.headers()["authorization"], "Bearer old-access");
    assert!(request.body().is_empty());
    let mut stored = stored();
    stored.as_object_mut().unwrap().remove("base_client_url");
    assert!(matches!(session(stored).logout_request(), Err(SessionError::UnknownHomeserver)));
}

#[test]
fn the_response_to_a_logout_is_read_for_the_right_api() {
    // The response, and whether the session was logged out before: for a session of the OAuth 2.0 API, and for a legacy
    // session.
    for (status, body, oauth, legacy) in [
        (200, "", Some(false), Some(false)),
        (200, "{}", Some(false), Some(false)),
        (200, "<html>", None, None),
        (400, r#"{"error":"invalid_grant"}"#, Some(true), None),
        // This error of the Matrix API does not say that the tokens were revoked.
        (401, r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Invalid access token"}"#, None, Some(true)),
        (401, r#"{"error":"invalid_client"}"#, None, None),
        (404, r#"{"errcode":"M_UNRECOGNIZED"}"#, None, None),
        (429, "", None, None),
        (503, "", None, None),
    ] {
        let response = served(status, &[], body);
        let ended = |session: &Session| session.handle_logout(&response).ok().map(|ended| ended.already_logged_out);
        assert_eq!((ended(&oauth_session()), ended(&session(stored()))), (oauth, legacy), "{status} {body}");
    }
    let error = oauth_session().handle_logout(&served(401, &[], r#"{"error":"invalid_client"}"#)).unwrap_err();
    assert!(matches!(error, ResponseError::Server(_)));
}

// Endpoints that have moved.

#[test]
fn endpoints_that_have_moved_are_taken_from_the_same_issuer() {
    let mut session = oauth_session();
    let mut moved = document();
    moved["token_endpoint"] = json!("https://auth.example.org/v2/token");
    moved["revocation_endpoint"] = json!("https://other.example.org/v2/revoke");
    session.set_auth_metadata(&read(HOMESERVER, &moved)).unwrap();
    assert_eq!(session.refresh_request().unwrap().uri(), "https://auth.example.org/v2/token");
    assert_eq!(session.logout_request().unwrap().uri(), "https://other.example.org/v2/revoke");
    assert_eq!(session.client_id(), Some("client"));

    moved["revocation_endpoint"] = json!(null);
    session.set_auth_metadata(&read(HOMESERVER, &moved)).unwrap();
    assert!(matches!(session.logout_request(), Err(SessionError::NoRevocationEndpoint)));
}

#[test]
fn metadata_of_another_server_do_not_count() {
    let mut session = oauth_session();
    for issuer in ["https://auth.example.org", "https://evil.example.net/", "https://AUTH.example.org/"] {
        let mut other = document();
        other["issuer"] = json!(issuer);
        other["token_endpoint"] = json!("https://evil.example.net/token");
        let error = session.set_auth_metadata(&read(HOMESERVER, &other)).unwrap_err();
        assert!(matches!(error, SessionError::OtherIssuer), "{issuer}: {error:?}");
    }
    let mut unusable = document();
    unusable["token_endpoint"] = json!(null);
    unusable["revocation_endpoint"] = json!("https://auth.example.org/v2/revoke");
    let error = session.set_auth_metadata(&read(HOMESERVER, &unusable)).unwrap_err();
    assert!(matches!(error, SessionError::NoTokenEndpoint), "{error:?}");
    assert_eq!(as_stored(&session), stored_with(origin()), "the session stays unchanged");

    let mut legacy = crate::refresh::session(stored());
    let error = legacy.set_auth_metadata(&read(HOMESERVER, &document())).unwrap_err();
    assert!(matches!(error, SessionError::OtherIssuer), "{error:?}");
    assert_eq!(as_stored(&legacy), stored());
}

#[test]
fn a_session_that_does_not_know_its_issuer_learns_it() {
    let mut oauth = origin();
    oauth.as_object_mut().unwrap().remove("issuer");
    let mut session = session(stored_with(oauth));
    session.set_auth_metadata(&read(HOMESERVER, &document())).unwrap();
    assert_eq!(as_stored(&session)["oauth"], origin());
}

// The two APIs do not mix.

/// Every request that a session can build by itself.
fn requests(session: &Session) -> Vec<Request<Vec<u8>>> {
    let mut any = Request::new(Vec::new());
    *any.uri_mut() = format!("{HOMESERVER}/_matrix/client/v3/sync").parse().unwrap();
    session.authorize(&mut any).unwrap();
    vec![session.refresh_request().unwrap(), session.logout_request().unwrap(), any]
}

#[test]
fn a_session_sends_only_to_the_endpoints_of_its_own_api() {
    let lines = |session: &Session| -> Vec<Value> {
        let line = |request| {
            let value = request_value(request);
            json!([value["url"], value["headers"]["authorization"], value["form"], value["body"]])
        };
        requests(session).iter().map(line).collect()
    };
    assert_eq!(
        lines(&oauth_session()),
        [
            json!([
                "https://auth.example.org/token",
                null,
                {"grant_type": "refresh_token", "refresh_token": "old-refresh", "client_id": "client"},
                null
            ]),
            json!([
                "https://auth.example.org/revoke",
                null,
                {"token": "old-refresh", "token_type_hint": "refresh_token", "client_id": "client"},
                null
            ]),
            json!([format!("{HOMESERVER}/_matrix/client/v3/sync"), "Bearer old-access", null, null]),
        ]
    );
    assert_eq!(
        lines(&session(stored())),
        [
            json!([format!("{HOMESERVER}/_matrix/client/v3/refresh"), null, null, {"refresh_token": "old-refresh"}]),
            json!([format!("{HOMESERVER}/_matrix/client/v3/logout"), "Bearer old-access", null, null]),
            json!([format!("{HOMESERVER}/_matrix/client/v3/sync"), "Bearer old-access", null, null]),
        ]
    );
    // The OAuth 2.0 server is not the homeserver: requests to it get no access token.
    for url in ["https://auth.example.org/token", "https://auth.example.org/"] {
        let url: HttpsUrl = url.parse().unwrap();
        let mut request = Request::new(());
        *request.uri_mut() = url.as_str().parse().unwrap();
        assert!(matches!(oauth_session().authorize(&mut request), Err(SessionError::ForeignOrigin)));
        assert!(request.headers().is_empty());
    }
}

#[test]
fn a_session_reads_only_the_errors_of_its_own_api() {
    let oauth_end = served(400, &[], r#"{"error":"invalid_grant"}"#);
    let legacy_end = served(401, &[], r#"{"errcode":"M_UNKNOWN_TOKEN","error":"no"}"#);
    let mut legacy = session(stored());
    assert!(matches!(oauth_session().handle_refresh(&oauth_end, noon()), Refresh::TokenGone(_)));
    assert!(matches!(oauth_session().handle_refresh(&legacy_end, noon()), Refresh::Later { .. }));
    assert!(matches!(legacy.handle_refresh(&oauth_end, noon()), Refresh::Later { .. }));
    assert!(matches!(legacy.handle_refresh(&legacy_end, noon()), Refresh::TokenGone(_)));
}

// Several threads.

#[test]
fn one_of_many_threads_refreshes_and_all_go_on() {
    const THREADS: usize = 8;
    let shared = Mutex::new(oauth_session());
    let refreshes = AtomicU32::new(0);
    for round in 1..=3 {
        let begin = Barrier::new(THREADS);
        let used = shared.lock().unwrap().clone();
        let spent = used.refresh_token().unwrap().expose();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    // By now every thread has seen the refusal of the same token.
                    begin.wait();
                    let send = |request: Request<Vec<u8>>| {
                        assert_eq!(request.uri(), "https://auth.example.org/token");
                        // Some servers end the grant at once if a refresh token is used twice.
                        let expected = format!("grant_type=refresh_token&refresh_token={spent}&client_id=client");
                        assert_eq!(form(&request), expected);
                        let number = refreshes.fetch_add(1, Ordering::SeqCst) + 1;
                        let pair = json!({
                            "access_token": format!("access-{number}"), "token_type": "Bearer",
                            "refresh_token": format!("refresh-{number}"), "expires_in": 60,
                        });
                        Ok(served(200, &[], pair.to_string()))
                    };
                    let store = |session: &Session| {
                        assert_eq!(as_stored(session)["oauth"], origin());
                        Ok(())
                    };
                    let outcome = recipe::refresh(&shared, &used, send, store).unwrap();
                    assert!(matches!(outcome, None | Some(Refresh::Refreshed)), "{outcome:?}");
                    assert_eq!(shared.lock().unwrap().access_token().expose(), format!("access-{round}"));
                });
            }
        });
        assert_eq!(refreshes.load(Ordering::SeqCst), round);
    }
}

#[test]
fn a_grant_that_has_ended_is_asked_once() {
    for error in ["invalid_grant", "invalid_client", "unauthorized_client"] {
        let shared = Mutex::new(oauth_session());
        let used = oauth_session();
        let body = json!({ "error": error }).to_string();
        let outcome =
            recipe::refresh(&shared, &used, |_| Ok(served(400, &[], body.clone())), |_| panic!("nothing to store"));
        assert!(matches!(outcome.unwrap(), Some(Refresh::TokenGone(_))), "{error}");
        let late = recipe::refresh(&shared, &used, |_| panic!("nothing to send"), |_| panic!("nothing to store"));
        assert!(late.unwrap().is_none());
        // A logout then revokes the access token, because it is the only token left.
        let request = shared.lock().unwrap().logout_request().unwrap();
        assert_eq!(form(&request), "token=old-access&token_type_hint=access_token&client_id=client");
    }
}
