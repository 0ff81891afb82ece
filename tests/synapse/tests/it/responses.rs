//! How Synapse responds to a login, depending on its configuration.

use std::time::{Duration, SystemTime};

use matrix_login::Error;
use matrix_login_synapse::{Story, ask, password_choice, url};
use serde_json::json;

#[test]
fn with_refresh_tokens_the_session_expires_and_can_go_on() {
    let session = Story::at("answer_refresh_token", "full").logs_in(password_choice("alice"));
    assert!(session.refresh_token().is_some());
    let left = session.expires_at().unwrap().duration_since(SystemTime::now()).unwrap();
    assert!((290..=300).contains(&left.as_secs()), "{left:?}");
    assert!(!session.is_expired(SystemTime::now(), Duration::from_secs(60)));
    assert!(session.is_expired(SystemTime::now(), Duration::from_secs(600)));
}

#[test]
fn if_no_refresh_token_is_wanted_the_session_has_no_end() {
    let story = Story::at_with("answer_no_refresh_token", "full", json!({ "refresh_tokens": false }));
    let session = story.logs_in(password_choice("alice"));
    assert!(session.refresh_token().is_none());
    assert_eq!(session.expires_at(), None);
}

#[test]
fn a_token_that_expires_for_good_is_refused_and_not_lost() {
    Story::at("answer_expires_for_good", "bare").tell(|login| {
        login.run().choose(password_choice("alice"));
        let Err(Error::MissingRefreshToken(session)) = login.send() else { panic!("{:?}", login.flow()) };
        assert_eq!(ask(&session, "/_matrix/client/v3/account/whoami").0, 200);
        assert!(login.login_types().contains(&"m.login.password"), "the question is due");
    });
}

#[test]
fn the_settings_can_accept_a_token_that_expires_for_good() {
    let story = Story::at_with("answer_expires_accepted", "bare", json!({ "require_refresh_token": false }));
    let session = story.logs_in(password_choice("alice"));
    let left = session.expires_at().unwrap().duration_since(SystemTime::now()).unwrap_or_default();
    assert!(left <= Duration::from_secs(3), "{left:?}");
    // The session expires at the time that it names.
    std::thread::sleep(left + Duration::from_millis(500));
    assert!(session.is_expired(SystemTime::now(), Duration::ZERO));
    let (status, error) = ask(&session, "/_matrix/client/v3/account/whoami");
    assert_eq!((status, &error["errcode"], &error["soft_logout"]), (401, &json!("M_UNKNOWN_TOKEN"), &json!(true)));
}

#[test]
fn a_well_known_is_kept_and_adopted() {
    let session = Story::at("answer_well_known", "full").logs_in(password_choice("alice"));
    assert_eq!(session.well_known().unwrap().get("m.homeserver").unwrap()["base_url"], format!("{}/", url("full")));
    assert_eq!(session.homeserver().unwrap().as_str(), url("full"));
    assert_eq!(session.other().get("home_server").unwrap(), "example.test");
}

#[test]
fn a_well_known_is_not_adopted_if_the_settings_say_so() {
    // The same homeserver under another name, which its well-known does not contain.
    let story = Story::at_with("answer_well_known_not_followed", "full", json!({ "follow_well_known": false }));
    let session = story.tell(|login| {
        login.use_homeserver(&url("full").replace("127.0.0.1", "localhost"));
        login.with(password_choice("alice")).session().clone()
    });
    assert!(session.homeserver().unwrap().as_str().starts_with("http://localhost:"));
    assert!(session.well_known().is_some());
}

#[test]
fn a_well_known_leads_from_http_to_the_named_address() {
    let session = Story::at("answer_well_known_elsewhere", "full").tell(|login| {
        login.use_homeserver(&url("full").replace("127.0.0.1", "localhost"));
        login.with(password_choice("alice")).session().clone()
    });
    assert_eq!(session.homeserver().unwrap().as_str(), url("full"));
    assert_eq!(ask(&session, "/_matrix/client/v3/account/whoami").0, 200);
}

#[test]
fn without_a_public_base_url_there_is_no_well_known() {
    let story = Story::at_with("answer_no_well_known", "bare", json!({ "require_refresh_token": false }));
    let session = story.logs_in(password_choice("alice"));
    assert!(session.well_known().is_none());
    assert_eq!(session.homeserver().unwrap().as_str(), url("bare"));
}
