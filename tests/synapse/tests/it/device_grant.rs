//! The device authorization grant: a code is shown, Chromium confirms or refuses it on the pages of the provider, and
//! the flow polls in the meantime.

use std::{
    thread,
    time::{Duration, Instant},
};

use matrix_login::{DriveError, Error, Refresh, Session, ShownCode, Step, Verdict};
use matrix_login_synapse::{Cut, Login, Story, ask, now, send, servers};
use serde_json::{Value, json};

use crate::{
    browser::Chromium,
    oauth::{judge, log_out, refresh, settings},
    sessions::listed,
};

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

/// The interval of the provider.
const INTERVAL: Duration = Duration::from_secs(1);

fn device_grant() -> Value {
    json!({ "oauth": "device_authorization" })
}

/// Settings of a client that registers with a field that only the provider of these tests knows.
fn settings_with(device_id: &str, name: &str, value: Value) -> Value {
    let mut settings = settings(device_id);
    settings["oauth"]["fields"][name] = value;
    settings
}

/// Settings of a client whose codes live this long.
fn settings_with_life(device_id: &str, seconds: u64) -> Value {
    settings_with(device_id, "example.device_code_life", seconds.into())
}

/// Asks for a code.
fn shows_a_code(login: &mut Login) -> ShownCode {
    login.with(device_grant()).code()
}

/// A user goes to the page that the device names, and enters the code.
fn enter(chromium: &Chromium, code: &ShownCode) {
    chromium.open(code.verification_uri());
    chromium.enter(code.user_code());
}

/// A user confirms the code while the device polls.
fn confirms_meanwhile(login: &mut Login, code: &ShownCode, user: &str) -> Session {
    thread::scope(|scope| {
        scope.spawn(|| {
            let chromium = Chromium::start();
            enter(&chromium, code);
            chromium.confirm(user);
        });
        login.run();
    });
    login.session().clone()
}

/// The pauses between the polls.
fn pauses(polls: &[Instant]) -> Vec<Duration> {
    polls.windows(2).map(|polls| polls[1] - polls[0]).collect()
}

#[test]
fn a_code_is_confirmed_in_chromium_while_the_device_polls() {
    let mut session = Story::at_with("oauth_device", "oauth", settings("SHOWNDEVICE")).tell(|login| {
        login.run();
        let Step::Choose { oauth: Some(metadata), .. } = login.flow().step() else { panic!() };
        assert!(metadata.offers_device_authorization() && metadata.offers_refresh_token());
        let asked_at = Instant::now();
        let code = login.choose(device_grant()).run().code();
        assert!(code.is_new());
        assert_eq!(code.verification_uri().as_str(), format!("{}/device", servers()["provider"].as_str().unwrap()));
        assert_eq!((code.expires_in(), code.interval()), (Some(Duration::from_secs(60)), INTERVAL));

        // The user has not confirmed the code yet.
        login.poll();
        assert!(!login.code().is_new());
        assert_eq!(login.code().user_code(), code.user_code());
        let session = confirms_meanwhile(login, &code, "alice");
        assert!(login.errors().iter().all(|error| error == "authorization_pending"), "{:?}", login.errors());
        let polls = login.polls();
        assert_eq!(polls.len(), login.errors().len() + 1);
        assert!(polls[0] - asked_at >= INTERVAL, "the first poll was early");
        assert!(pauses(&polls).iter().all(|pause| *pause >= INTERVAL), "{:?}", pauses(&polls));
        session
    });
    assert!(session.is_oauth() && session.client_id().is_some() && session.refresh_token().is_some());
    assert_eq!((session.user_id().as_str(), session.device_id()), ("@alice:example.test", "SHOWNDEVICE"));
    assert_eq!(session.other().get("scope").unwrap(), "urn:matrix:client:api:* urn:matrix:client:device:SHOWNDEVICE");
    assert_eq!(judge("oauth_device_whoami", &session), Verdict::Unaffected);
    assert_eq!(ask(&session, "/_matrix/client/v3/sync?timeout=0").0, 200);
    assert_eq!(listed(&session, "SHOWNDEVICE"), 1);

    let before = session.clone();
    assert!(matches!(refresh("oauth_device_token_refreshed", &mut session), Refresh::Refreshed));
    assert!(!session.has_token_of(&before));
    assert_eq!(ask(&session, "/_matrix/client/v3/sync?timeout=0").0, 200);

    assert!(!log_out("oauth_device_revocation", &session).already_logged_out);
    assert!(matches!(judge("oauth_device_whoami_after_logout", &session), Verdict::Refresh { .. }));
    let gone = refresh("oauth_device_token_after_logout", &mut session);
    assert!(matches!(gone, Refresh::TokenGone(_)), "{gone:?}");
}

#[test]
fn the_complete_address_leads_to_the_page_with_the_code_in_it() {
    Story::at_with("oauth_device_complete", "oauth", settings("SCANNEDDEVICE")).tell(|login| {
        let code = shows_a_code(login);
        let complete = code.verification_uri_complete().unwrap();
        assert_ne!(complete, code.verification_uri());
        let chromium = Chromium::start();
        chromium.open(complete);
        chromium.compare(code.user_code());
        chromium.confirm("bob");
        let session = login.run().session();
        assert_eq!((session.user_id().as_str(), session.device_id()), ("@bob:example.test", "SCANNEDDEVICE"));
    });
}

#[test]
fn a_user_who_refuses_in_chromium_is_asked_again() {
    let chromium = Chromium::start();
    Story::at_with("oauth_device_refused", "oauth", settings("UNWANTEDDEVICE")).tell(|login| {
        let first = shows_a_code(login);
        enter(&chromium, &first);
        chromium.abort();
        login.run();
        assert_eq!(login.refused().errcode.as_deref(), Some("access_denied"));

        // The user refuses another code, at the page that asks who the user is.
        let second = shows_a_code(login);
        assert_ne!(second.user_code(), first.user_code());
        enter(&chromium, &second);
        chromium.go_on();
        chromium.refuse();
        chromium.sees("The Sign-in request was interrupted");
        login.run();
        assert_eq!(login.refused().errcode.as_deref(), Some("access_denied"));
        assert_eq!(login.errors(), ["access_denied"; 2]);

        // The user can still agree.
        let third = shows_a_code(login);
        enter(&chromium, &third);
        chromium.confirm("alice");
        assert_eq!(login.run().session().device_id(), "UNWANTEDDEVICE");
        assert_eq!(login.polls().len(), 3);
    });
}

// The end of a code.

#[test]
fn the_provider_says_that_a_code_has_expired() {
    Story::at_with("oauth_device_expired", "oauth", settings_with_life("TOOLATEDEVICE", 2)).tell(|login| {
        let code = shows_a_code(login);
        assert_eq!(code.expires_in(), Some(Duration::from_secs(2)));
        login.run();
        let refused = login.refused();
        assert_eq!(refused.errcode.as_deref(), Some("expired_token"));
        assert_eq!(refused.message.as_deref(), Some("device code is expired"));
        assert!(code.expires_at().unwrap() <= now() + INTERVAL);

        // The page says it too.
        let chromium = Chromium::start();
        chromium.open(code.verification_uri());
        chromium.type_into("input[name=user_code]", code.user_code());
        chromium.click("button[form='op.deviceInputForm']");
        chromium.sees("The code you entered is incorrect. Try again");
    });
}

#[test]
fn a_pending_response_after_the_end_is_an_expired_code() {
    Story::at_with("oauth_device_expired_late", "oauth", settings_with_life("SLOWDEVICE", 5)).tell(|login| {
        let code = shows_a_code(login);
        thread::sleep(code.remaining(now()));
        login.make_poll_due();
        // The provider says in time that the code is still valid, but the network is slow.
        let mut late = login.send_and_hold();
        let pending: Value = serde_json::from_slice(late.response.body()).unwrap();
        assert_eq!(pending["error"], "authorization_pending");
        thread::sleep(code.expires_at().unwrap().duration_since(now()).unwrap_or_default());
        late.received_at = now();
        login.hand_over(&late).unwrap();
        assert_eq!(login.refused().errcode.as_deref(), Some("expired_token"));
        // This refusal contains no words of a server.
        assert_eq!(login.refused().message, None);
    });
}

#[test]
fn a_code_that_the_provider_has_forgotten_is_refused() {
    Story::at_with("oauth_device_forgotten", "oauth", settings_with_life("SLEEPINGDEVICE", 1)).tell(|login| {
        shows_a_code(login);
        // The device sleeps. This provider knows a code for five seconds after its end.
        thread::sleep(Duration::from_millis(6_500));
        login.poll();
        assert_eq!(login.refused().errcode.as_deref(), Some("invalid_grant"));
        assert_eq!(login.polls().len(), 1);
        let Step::Choose { .. } = login.flow().step() else { panic!() };
    });
}

// The rate.

#[test]
fn a_device_that_polls_too_fast_is_slowed_down_and_logs_in() {
    Story::at_with("oauth_device_slowed_down", "oauth", settings("HASTYDEVICE")).tell(|login| {
        let code = shows_a_code(login);
        login.poll().poll_at_once();
        assert_eq!(login.errors(), ["authorization_pending", "slow_down"]);
        assert_eq!(login.code().interval(), INTERVAL + Duration::from_secs(5));
        // From now on the loop keeps the interval, and the provider measures it.
        let chromium = Chromium::start();
        enter(&chromium, &code);
        login.poll();
        chromium.confirm("alice");
        login.run().session();
        assert_eq!(login.errors(), ["authorization_pending", "slow_down", "authorization_pending"]);
        let pauses = pauses(&login.polls());
        assert!(pauses[0] < INTERVAL, "{pauses:?}");
        assert!(pauses[1..].iter().all(|pause| *pause >= Duration::from_secs(6)), "{pauses:?}");
    });
}

#[test]
fn without_an_interval_polls_are_sent_every_five_seconds() {
    let settings = settings_with("PATIENTDEVICE", "example.interval_untold", true.into());
    Story::at_with("oauth_device_interval_untold", "oauth", settings).tell(|login| {
        let asked_at = Instant::now();
        let code = shows_a_code(login);
        assert_eq!(code.interval(), Duration::from_secs(5));
        let chromium = Chromium::start();
        chromium.open(code.verification_uri_complete().unwrap());
        chromium.confirm("bob");
        login.run().session();
        assert!(login.polls()[0] - asked_at >= code.interval());
        assert_eq!(login.polls().len(), 1);
    });
}

// The network.

fn loses_a_response(login: &mut Login, cut: Cut) {
    let lost = login.cut(cut).try_to_run();
    assert!(matches!(lost, Err(DriveError::Transport(_))), "{lost:?}");
}

#[test]
fn a_code_that_is_lost_on_the_way_is_never_shown() {
    Story::at_with("oauth_device_code_lost", "oauth", settings("UNREADDEVICE")).tell(|login| {
        login.run().choose(device_grant()).send().unwrap();
        let Step::Send { request, .. } = login.flow().step() else { panic!("{:?}", login.flow().step()) };
        assert_eq!(request.uri().path(), "/device/auth");
        loses_a_response(login, Cut::Response);
        // The provider gives another code.
        let code = login.run().code();
        assert!(code.is_new());
        let chromium = Chromium::start();
        enter(&chromium, &code);
        chromium.confirm("bob");
        assert_eq!(login.run().session().device_id(), "UNREADDEVICE");
    });
}

#[test]
fn a_poll_that_is_lost_is_sent_again() {
    Story::at_with("oauth_device_poll_lost", "oauth", settings("OFFLINEDEVICE")).tell(|login| {
        let code = shows_a_code(login);
        login.poll();
        loses_a_response(login, Cut::Request);
        // The same code is still shown.
        assert_eq!(login.flow().shown_code().unwrap().user_code(), code.user_code());
        // The provider has read this poll, so it would notice that the next poll comes too early.
        loses_a_response(login, Cut::Response);
        let session = confirms_meanwhile(login, &code, "alice");
        assert_eq!(session.device_id(), "OFFLINEDEVICE");
        assert!(!login.errors().contains(&"slow_down".to_owned()), "{:?}", login.errors());
        let polls = login.polls();
        assert!(pauses(&polls).iter().all(|pause| *pause >= INTERVAL), "{:?}", pauses(&polls));
    });
}

#[test]
fn a_device_whose_tokens_are_lost_logs_in_with_another_code() {
    let chromium = Chromium::start();
    let session = Story::at_with("oauth_device_tokens_lost", "oauth", settings("UNLUCKYDEVICE")).tell(|login| {
        let code = shows_a_code(login);
        enter(&chromium, &code);
        chromium.confirm("bob");
        // The provider grants tokens, which do not arrive.
        loses_a_response(login, Cut::Response);
        assert_eq!(login.polls().len(), 1);
        // The provider treats the next poll as a use of a stolen code, and ends the whole grant.
        login.run();
        assert_eq!(login.errors(), ["invalid_grant"]);
        assert_eq!(login.refused().errcode.as_deref(), Some("invalid_grant"));
        assert_eq!(login.polls().len(), 2);

        let code = shows_a_code(login);
        enter(&chromium, &code);
        // The browser knows its user by now.
        chromium.agree();
        login.run().session().clone()
    });
    // The lost tokens were for the same device.
    assert_eq!((session.device_id(), listed(&session, "UNLUCKYDEVICE")), ("UNLUCKYDEVICE", 1));
}

#[test]
fn after_tokens_no_poll_is_sent_even_if_whoami_is_lost() {
    Story::at_with("oauth_device_whoami_lost", "oauth", settings("GRANTEDDEVICE")).tell(|login| {
        let code = shows_a_code(login);
        let chromium = Chromium::start();
        enter(&chromium, &code);
        chromium.confirm("alice");
        login.poll();
        assert!(login.flow().shown_code().is_none());
        loses_a_response(login, Cut::WayBack);
        login.run().session();
        login.run();
        assert_eq!((login.polls().len(), login.paths_since_the_last_poll()), (1, vec![WHOAMI; 2]));
    });
}

// A login again.

#[test]
fn the_same_device_logs_in_again_with_a_code() {
    let chromium = Chromium::start();
    let ended = Story::at_with("oauth_device_first", "oauth", settings("KITCHENDEVICE")).tell(|login| {
        let code = shows_a_code(login);
        enter(&chromium, &code);
        chromium.confirm("alice");
        login.run().session().clone()
    });
    log_out("oauth_device_first_revoked", &ended);

    let oauth = json!({ "oauth": settings("")["oauth"] });
    let session = Story::again_with("oauth_device_again", &ended, oauth.clone()).tell(|login| {
        let code = shows_a_code(login);
        confirms_meanwhile(login, &code, "alice")
    });
    assert_eq!((session.user_id(), session.device_id()), (ended.user_id(), "KITCHENDEVICE"));
    assert!(!session.has_token_of(&ended));

    // Another user is refused, and the tokens are not lost.
    Story::again_with("oauth_device_again_wrong_user", &ended, oauth).tell(|login| {
        let code = shows_a_code(login);
        let stranger = Chromium::start();
        enter(&stranger, &code);
        stranger.confirm("bob");
        let error = login.try_to_run().unwrap_err();
        let DriveError::Flow(Error::WrongUser { session, .. }) = error else { panic!("{error:?}") };
        assert_eq!(session.user_id().as_str(), "@bob:example.test");
        assert_eq!(send(session.logout_request().unwrap()).unwrap().status(), 200);
        let Step::Choose { .. } = login.flow().step() else { panic!() };
    });
}
