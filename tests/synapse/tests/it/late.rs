//! Responses that arrive after the user has gone on. A login that was granted too late is ended, so that no device is
//! left behind.

use matrix_login::{
    Error, Homeserver, Session, Step,
    endpoint::{login, logout},
};
use matrix_login_synapse::{Held, Login, Story, ask, password_choice, send, url};
use serde_json::json;

use crate::sessions::{is_good, listed};

/// Chooses and sends the login. Returns the homeserver of the login, and its response, which is on its way while the
/// user goes on.
fn sends(login: &mut Login, user: &str) -> (Homeserver, Held) {
    login.run().choose(password_choice(user));
    let homeserver = login.flow().homeserver().unwrap().clone();
    (homeserver, login.send_and_hold())
}

/// The response arrives. The flow refuses it, and does not change.
fn is_stale(login: &mut Login, late: &Held) {
    let before = format!("{:?}", login.flow());
    let refused = login.hand_over(late);
    assert!(matches!(refused, Err(Error::StaleResponse)), "{refused:?}");
    assert_eq!(format!("{:?}", login.flow()), before);
}

/// Ends the login that was granted too late, with what the driver has kept of the request.
fn end(login: &Login, homeserver: Homeserver, late: &Held) -> Session {
    let granted = login::response(&late.response).unwrap();
    let session = Session::granted(homeserver, granted, login.flow().settings(), late.received_at).unwrap();
    assert!(is_good(&session), "nothing was granted");
    let request = logout::request(session.homeserver().unwrap(), session.access_token());
    assert!(!logout::response(&send(request).unwrap()).unwrap().already_logged_out);
    let (status, error) = ask(&session, "/_matrix/client/v3/account/whoami");
    assert_eq!((status, &error["errcode"], &error["soft_logout"]), (401, &json!("M_UNKNOWN_TOKEN"), &json!(false)));
    session
}

#[test]
fn a_login_that_is_granted_after_the_user_went_back_is_ended() {
    Story::at("late_after_back", "full").tell(|login| {
        let (homeserver, late) = sends(login, "alice");
        login.back();
        is_stale(login, &late);
        assert!(login.login_types().contains(&"m.login.password"), "the question is due");
        let ended = end(login, homeserver, &late);
        assert_eq!(ended.user_id().as_str(), "@alice:example.test");

        let session = login.with(password_choice("alice")).session();
        assert!(is_good(session));
        assert_ne!(session.device_id(), ended.device_id());
        assert_eq!((listed(session, session.device_id()), listed(session, ended.device_id())), (1, 0));
    });
}

#[test]
fn a_login_that_is_granted_late_does_not_count_for_the_next() {
    Story::at("late_before_the_next", "full").tell(|login| {
        let (homeserver, late) = sends(login, "alice");
        // The same request as before, except for the user.
        login.back().choose(password_choice("bob"));
        is_stale(login, &late);
        end(login, homeserver, &late);

        login.send().unwrap();
        assert_eq!(login.session().user_id().as_str(), "@bob:example.test");
        assert!(is_good(login.session()));
    });
}

#[test]
fn a_late_login_is_ended_at_the_homeserver_that_granted_it() {
    Story::at("late_after_another_homeserver", "full").tell(|login| {
        let (homeserver, late) = sends(login, "alice");
        login.use_homeserver(url("sso"));
        is_stale(login, &late);
        let Step::Send { request, .. } = login.flow().step() else { panic!("{:?}", login.flow()) };
        assert_eq!(request.uri().to_string(), format!("{}/_matrix/client/v3/login", url("sso")));
        let ended = end(login, homeserver, &late);
        assert_eq!(ended.homeserver().unwrap().as_str(), url("full"));

        let session = login.with(password_choice("alice")).session();
        assert_eq!(session.homeserver().unwrap().as_str(), url("sso"));
        assert!(is_good(session));
        let witness = Story::unrecorded("full", json!({})).logs_in(password_choice("alice"));
        assert_eq!((listed(&witness, witness.device_id()), listed(&witness, ended.device_id())), (1, 0));
    });
}
