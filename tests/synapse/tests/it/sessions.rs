//! How a session goes on at Synapse, and how it ends.

use std::{thread, time::Duration};

use http::Request;
use matrix_login::{
    AccessToken, Error, Refresh, RefreshToken, Session, Verdict,
    endpoint::{logout, logout_all, refresh, whoami},
};
use matrix_login_synapse::{
    Story, application_service_token, ask, change_user, exchange, now, password_choice, password_choice_as, send, url,
};
use serde_json::{Value, json};

const MARGIN: Duration = Duration::from_secs(1);

/// A session of a user, at a homeserver of `run.py`.
fn session_of(server: &str, user: &str, settings: Value) -> Session {
    Story::unrecorded(server, settings).logs_in(password_choice(user))
}

/// Refreshes a session. The name is the name of the transcript.
fn refresh(name: &str, session: &mut Session) -> Refresh {
    let response = exchange(name, "refresh", session.refresh_request().unwrap());
    session.handle_refresh(&response, now())
}

fn refreshes(name: &str, session: &mut Session) {
    let refresh = refresh(name, session);
    assert!(matches!(refresh, Refresh::Refreshed), "{refresh:?}");
}

/// Asks whose session it is, and returns what the response means for the session.
fn judge(name: &str, session: &Session) -> Verdict {
    let request = whoami::request(session.homeserver().unwrap(), session.access_token());
    session.judge(&exchange(name, "whoami", request))
}

pub fn is_good(session: &Session) -> bool {
    ask(session, "/_matrix/client/v3/account/whoami").0 == 200
}

fn wait_until_it_has_expired(session: &Session) {
    thread::sleep(session.refresh_in(now(), Duration::ZERO).unwrap() + Duration::from_millis(200));
    assert!(session.is_expired(now(), Duration::ZERO));
}

/// How often a device is in the list that a session sees.
pub fn listed(session: &Session, device_id: &str) -> usize {
    let (status, body) = ask(session, "/_matrix/client/v3/devices");
    assert_eq!(status, 200, "{body}");
    body["devices"].as_array().unwrap().iter().filter(|device| device["device_id"] == device_id).count()
}

fn log_out(name: &str, session: &Session) -> bool {
    let request = logout::request(session.homeserver().unwrap(), session.access_token());
    logout::response(&exchange(name, "logout", request)).unwrap().already_logged_out
}

// How a session goes on.

#[test]
fn a_session_survives_its_access_token_again_and_again() {
    let mut session = session_of("short", "alice", json!({}));
    let left = session.refresh_in(now(), MARGIN).unwrap();
    assert!(left > Duration::ZERO && left <= Duration::from_secs(2), "{left:?}");
    for (expired, refreshed, good) in [
        ("whoami_expired", "refresh_after_expiry", "whoami_refreshed"),
        ("whoami_expired_again", "refresh_again", "whoami_refreshed_again"),
    ] {
        wait_until_it_has_expired(&session);
        assert_eq!(judge(expired, &session), Verdict::Refresh { delay: Duration::ZERO });
        refreshes(refreshed, &mut session);
        assert_eq!(judge(good, &session), Verdict::Unaffected);
        // A user ends the program and starts it again.
        session = Session::from_json(serde_json::to_string(&session).unwrap()).unwrap().unwrap();
    }
}

#[test]
fn a_refresh_token_is_valid_until_its_successor_is_used() {
    let mut first = session_of("full", "alice", json!({}));
    let before = first.clone();
    refreshes("refresh_first", &mut first);
    // The first response could have been lost. Until the new token is used, the old access token is valid.
    assert!(is_good(&before));
    let mut second = before.clone();
    refreshes("refresh_second", &mut second);
    // The first pair is no longer valid, so it looks as if the session were over. No client has used its access token
    // before, so that token could be one that never works.
    assert_eq!(judge("whoami_first_pair", &first), Verdict::Refresh { delay: Duration::from_secs(1) });
    let gone = refresh("refresh_with_the_first_pair", &mut first);
    assert!(
        matches!(&gone, Refresh::TokenGone(error) if error.errcode.as_deref() == Some("M_UNKNOWN_TOKEN")),
        "{gone:?}"
    );
    // The session is not over: the second pair is valid. With its first use, the earlier refresh token is spent.
    assert!(is_good(&second));
    let mut spent = before.clone();
    let gone = refresh("refresh_spent", &mut spent);
    assert!(matches!(&gone, Refresh::TokenGone(error) if error.errcode.as_deref() == Some("M_FORBIDDEN")), "{gone:?}");
    assert_eq!(spent.refresh_token().unwrap().expose(), before.refresh_token().unwrap().expose());
    refreshes("refresh_third", &mut second);
    assert!(is_good(&second));
}

#[test]
fn refresh_tokens_that_have_expired_or_are_unknown_are_gone() {
    let mut session = session_of("short", "bob", json!({}));
    let mut stored = serde_json::to_value(&session).unwrap();
    stored["refresh_token"] = json!("made-up-refresh-token");
    let mut unknown = Session::from_json(stored.to_string()).unwrap().unwrap();
    let gone = refresh("refresh_unknown", &mut unknown);
    assert!(
        matches!(&gone, Refresh::TokenGone(error) if error.errcode.as_deref() == Some("M_UNKNOWN_TOKEN")),
        "{gone:?}"
    );
    // Its access token stays valid until it expires.
    assert!(is_good(&unknown));

    thread::sleep(Duration::from_millis(8500));
    let gone = refresh("refresh_expired", &mut session);
    assert!(matches!(&gone, Refresh::TokenGone(error) if error.errcode.as_deref() == Some("M_FORBIDDEN")), "{gone:?}");
}

#[test]
fn a_refresh_that_is_switched_off_is_unsupported() {
    let homeserver = url("bare").parse().unwrap();
    let request = refresh::request(&homeserver, &RefreshToken::new("made-up-refresh-token"));
    let stored = json!({"access_token": "t", "user_id": "@alice:example.test", "device_id": "D", "refresh_token": "t"});
    let mut session = Session::from_json(stored.to_string()).unwrap().unwrap();
    let unsupported = session.handle_refresh(&exchange("refresh_switched_off", "refresh", request), now());
    assert!(matches!(unsupported, Refresh::Unsupported(_)), "{unsupported:?}");
}

#[test]
fn a_proxy_without_synapse_behind_it_leaves_the_session() {
    let mut session = session_of("full", "alice", json!({}));
    let before = serde_json::to_value(&session).unwrap();
    for host in ["down.test", "site.test", "limited.test", "small.test"] {
        session.set_homeserver(format!("http://{host}").parse().unwrap());
        let response = send(session.refresh_request().unwrap()).unwrap();
        let later = session.handle_refresh(&response, now());
        assert!(matches!(later, Refresh::Later { .. }), "{host}: {later:?}");
        let mut request = Request::get(format!("http://{host}/_matrix/client/v3/sync")).body(Vec::new()).unwrap();
        session.authorize(&mut request).unwrap();
        let verdict = session.judge(&send(request).unwrap());
        assert!(matches!(verdict, Verdict::NotMatrix | Verdict::Unaffected), "{host}: {verdict:?}");
    }
    session.set_homeserver(url("full").parse().unwrap());
    assert_eq!(serde_json::to_value(&session).unwrap(), before);
    refreshes("refresh_after_the_proxy", &mut session);
}

#[test]
fn a_user_who_is_locked_goes_on_when_unlocked() {
    let mut session = session_of("full", "erin", json!({}));
    change_user("full", "erin", &json!({"locked": true}));
    assert_eq!(judge("whoami_locked", &session), Verdict::Locked);
    // Synapse refreshes the session all the same.
    let refresh = refresh("refresh_locked", &mut session);
    assert!(matches!(refresh, Refresh::Refreshed | Refresh::Locked(_)), "{refresh:?}");
    assert_eq!(judge("whoami_locked_and_refreshed", &session), Verdict::Locked);
    change_user("full", "erin", &json!({"locked": false}));
    assert_eq!(judge("whoami_unlocked", &session), Verdict::Unaffected);
    refreshes("refresh_unlocked", &mut session);
    assert!(is_good(&session));
}

// How a session ends.

#[test]
fn a_second_logout_is_a_success_that_is_recognized() {
    let mut session = session_of("full", "alice", json!({}));
    assert!(!log_out("logout", &session));
    assert!(log_out("logout_twice", &session));
    assert_eq!(judge("whoami_logged_out", &session), Verdict::Refresh { delay: Duration::ZERO });
    let gone = refresh("refresh_logged_out", &mut session);
    assert!(matches!(gone, Refresh::TokenGone(_)), "{gone:?}");
}

#[test]
fn a_token_that_has_expired_can_log_out_too() {
    let session = session_of("short", "alice", json!({}));
    let mut other = session_of("short", "alice", json!({}));
    assert_eq!(listed(&other, session.device_id()), 1);
    wait_until_it_has_expired(&session);
    assert!(!log_out("logout_expired", &session));
    assert!(log_out("logout_expired_twice", &session));
    refreshes("refresh_of_who_sees_it", &mut other);
    assert_eq!(listed(&other, session.device_id()), 0);
}

#[test]
fn all_sessions_of_a_user_end_at_once() {
    let one = session_of("full", "dave", json!({}));
    let other = session_of("full", "dave", json!({}));
    let request = || logout_all::request(one.homeserver().unwrap(), one.access_token());
    let answer = logout_all::response(&exchange("logout_all", "logout_all", request())).unwrap();
    assert!(!answer.already_logged_out);
    assert!(!is_good(&one) && !is_good(&other));
    let answer = logout_all::response(&exchange("logout_all_twice", "logout_all", request())).unwrap();
    assert!(answer.already_logged_out);
}

// Whose session it is.

fn who(name: &str, access_token: &str) -> whoami::Response {
    let request = whoami::request(&url("full").parse().unwrap(), &AccessToken::new(access_token).unwrap());
    whoami::response(&exchange(name, "whoami", request)).unwrap()
}

#[test]
fn users_application_services_and_guests_are_recognized() {
    let session = session_of("full", "alice", json!({}));
    let alice = who("whoami", session.access_token().expose());
    assert_eq!((&alice.user_id, alice.device_id.as_deref()), (session.user_id(), Some(session.device_id())));
    assert!(!alice.is_guest);

    let bridge = who("whoami_application_service", application_service_token());
    assert_eq!((bridge.user_id.as_str(), bridge.device_id), ("@bridge:example.test", None));

    let register = Request::post(format!("{}/_matrix/client/v3/register?kind=guest", url("full"))).body(b"{}".into());
    let registered: Value = serde_json::from_slice(send(register.unwrap()).unwrap().body()).unwrap();
    let guest = who("whoami_guest", registered["access_token"].as_str().unwrap());
    assert_eq!(guest.user_id.as_str(), registered["user_id"]);
    assert!(guest.is_guest && guest.device_id.is_some());
}

// A login again.

#[test]
fn after_a_soft_logout_the_device_goes_on() {
    let settings = json!({"require_refresh_token": false});
    let session = session_of("bare", "alice", settings.clone());
    thread::sleep(Duration::from_millis(3500));
    assert_eq!(judge("whoami_soft_logout", &session), Verdict::SoftLogout);

    let again = Story::again_with("again", &session, settings).logs_in(password_choice("alice"));
    assert_eq!((again.user_id(), again.device_id()), (session.user_id(), session.device_id()));
    assert_ne!(again.access_token().expose(), session.access_token().expose());
    assert_eq!(listed(&again, session.device_id()), 1);
}

#[test]
fn after_a_refresh_token_is_gone_the_device_goes_on_too() {
    let mut session = session_of("full", "carol", json!({}));
    let before = session.clone();
    refreshes("refresh_before_it_is_gone", &mut session);
    assert!(is_good(&session));
    let mut session = before;
    let gone = refresh("refresh_gone", &mut session);
    assert!(matches!(gone, Refresh::TokenGone(_)), "{gone:?}");
    session.forget_refresh_token();
    // Its access token stays valid.
    assert_eq!(judge("whoami_after_gone", &session), Verdict::Unaffected);
    let choice = password_choice_as("carol", json!({"type": "m.id.user", "user": "@carol:example.test"}));
    let again = Story::again("again_after_gone", &session).logs_in(choice);
    assert_eq!(again.device_id(), session.device_id());
    assert_eq!(listed(&again, session.device_id()), 1);
}

#[test]
fn the_login_of_another_user_is_noticed_and_can_be_ended() {
    let session = session_of("full", "alice", json!({}));
    Story::again("again_wrong_user", &session).tell(|login| {
        login.run().choose(password_choice("bob"));
        let Err(Error::WrongUser { session: bobs, .. }) = login.send() else { panic!("{:?}", login.flow()) };
        assert_eq!(bobs.user_id().as_str(), "@bob:example.test");
        assert!(is_good(&bobs) && is_good(&session));
        assert!(!log_out("logout_wrong_user", &bobs));
        login.choose(password_choice("alice")).run();
        assert_eq!(login.session().device_id(), session.device_id());
    });
}
