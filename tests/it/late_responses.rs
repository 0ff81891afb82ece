//! Late responses: a response counts for the request that it belongs to, and only while that request is due.

use matrix_login::{Error, LoginFlow, LoginSettings};
use serde_json::json;

use crate::{
    refresh,
    support::scenario::{
        AUTH_METADATA_URL, CALLBACK, CODE_CALLBACK, FORBIDDEN, GRANTED, HOMESERVER, LOGIN_URL, METADATA, OFFERED,
        OFFERS, REFUSED_BY_OAUTH, REGISTERED, Scenario, TOKENS, VERSIONS, VERSIONS_URL, WELL_KNOWN, WHOAMI, code, noon,
        password, respond, served, sso, with_oauth,
    },
};

const OTHER: &str = "https://other.example.org";
const OTHER_LOGIN_URL: &str = "https://other.example.org/_matrix/client/v3/login";

/// What can come back late from POST login.
const RESPONSES: [(u16, &str); 3] =
    [(200, GRANTED), (403, FORBIDDEN), (429, r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":5}"#)];

#[test]
fn a_login_is_late_after_another_homeserver_was_given() {
    for (status, body) in RESPONSES {
        let mut story = Scenario::logging_in();
        let id = story.request_id();
        story.use_homeserver(OTHER).late(id, status, body).gets(OTHER_LOGIN_URL);
        story.responds(200, OFFERS).late(id, status, body).asks(&OFFERED);
        story.choose(password()).late(id, status, body).responds(200, GRANTED);
        assert_eq!(story.session().homeserver().unwrap().as_str(), OTHER);
        story.late(id, status, body);
    }
}

#[test]
fn a_login_is_late_after_the_user_has_gone_back() {
    for (status, body) in RESPONSES {
        let mut story = Scenario::logging_in();
        let id = story.request_id();
        story.back().late(id, status, body).asks(&OFFERED);
        // The same choice again is another request.
        story.choose(password()).late(id, status, body);
        story.posts(
            LOGIN_URL,
            json!({
                "type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"},
                "password": "wonderland", "refresh_token": true,
            }),
        );
        story.responds(200, GRANTED).session();
    }
}

#[test]
fn a_late_login_does_not_count_for_a_single_sign_on() {
    for (status, body) in RESPONSES {
        let mut story = Scenario::logging_in();
        let id = story.request_id();
        story.back().choose(sso()).late(id, status, body);
        story.callback(CALLBACK).late(id, status, body).responds(200, GRANTED).session();
    }
}

#[test]
fn a_request_that_a_rate_limit_delays_gets_another_id() {
    for (status, body) in RESPONSES {
        let mut story = Scenario::logging_in();
        let id = story.request_id();
        story.responds(429, "").late(id, status, body).waits(1_000, 1);
        story.timeout().late(id, status, body);
        story.responds(200, GRANTED).session();
    }
}

#[test]
fn a_late_well_known_file_does_not_move_the_flow_on() {
    let mut story = Scenario::discover("example.org");
    let id = story.request_id();
    story.use_homeserver(OTHER).gets(OTHER_LOGIN_URL);
    for (status, body) in [(200, WELL_KNOWN), (404, ""), (502, "<html>")] {
        story.late(id, status, body).gets(OTHER_LOGIN_URL);
    }
    let unreachable = story.flow.handle_unreachable(id);
    assert!(matches!(unreachable, Err(Error::StaleResponse)), "{unreachable:?}");
    story.gets(OTHER_LOGIN_URL).responds(200, OFFERS).asks(&OFFERED);
    assert!(story.flow.discovered().is_none());
}

#[test]
fn a_late_failure_does_not_stop_the_request_after_it() {
    let mut story = Scenario::discover("example.org");
    let id = story.request_id();
    story.responds(200, WELL_KNOWN).gets(VERSIONS_URL);
    let unreachable = story.flow.handle_unreachable(id);
    assert!(matches!(unreachable, Err(Error::StaleResponse)), "{unreachable:?}");
    story.late(id, 502, "<html>").gets(VERSIONS_URL).responds(200, VERSIONS).gets(LOGIN_URL);
}

#[test]
fn an_id_of_another_flow_is_stale_if_no_request_is_due() {
    // Every flow counts its requests from the same number, so this ID fits the flow at the question too.
    let id = Scenario::at_versions().request_id();
    let mut story = Scenario::at_the_question();
    let unreachable = story.flow.handle_unreachable(id);
    assert!(matches!(unreachable, Err(Error::StaleResponse)), "{unreachable:?}");
    story.late(id, 200, VERSIONS).asks(&OFFERED);
}

#[test]
fn of_two_responses_to_one_request_the_first_counts() {
    let mut story = Scenario::at(HOMESERVER);
    let id = story.request_id();
    story.responds(200, OFFERS).late(id, 200, r#"{"flows":[]}"#).asks(&OFFERED);

    let mut story = Scenario::logging_in();
    let id = story.request_id();
    story.responds(200, GRANTED).late(id, 200, GRANTED.replace("anopaquestring", "another"));
    assert_eq!(story.session().access_token().expose(), "anopaquestring");
    story.late(id, 403, FORBIDDEN).session();

    let mut story = Scenario::logging_in();
    let id = story.request_id();
    story.responds(403, FORBIDDEN).late(id, 200, GRANTED);
    assert_eq!(story.refused().errcode.as_deref(), Some("M_FORBIDDEN"));
}

#[test]
fn a_resumed_flow_refuses_the_ids_of_the_flow_before() {
    let mut waiting = Scenario::logging_in();
    waiting.responds(429, "").timeout();
    for mut story in [Scenario::discover("example.org"), Scenario::at(HOMESERVER), Scenario::logging_in(), waiting] {
        let id = story.request_id();
        story.suspend();
        assert_ne!(story.request_id(), id);
        for (status, body) in RESPONSES.into_iter().chain([(200, WELL_KNOWN), (200, OFFERS)]) {
            story.late(id, status, body);
        }
        let unreachable = story.flow.handle_unreachable(id);
        assert!(matches!(unreachable, Err(Error::StaleResponse)), "{unreachable:?}");
    }
}

#[test]
fn no_request_id_is_used_again_after_a_resume() {
    let mut story = Scenario::in_the_browser();
    let first = story.last_request_id();
    story.callback(CALLBACK);
    let second = story.request_id();
    story.suspend();
    let third = story.request_id();
    story.responds(200, OFFERS).choose(password());
    for id in [first, second, third] {
        story.late(id, 200, GRANTED);
    }
    story.responds(200, GRANTED).session();
}

#[test]
fn a_login_that_is_not_accepted_makes_its_id_stale() {
    let stored = refresh::session(refresh::stored());
    let mut again = Scenario::of(LoginFlow::again(&stored, LoginSettings::default()));
    again.responds(200, OFFERS).choose(password());
    let ends = GRANTED.replace('}', r#","expires_in_ms":1}"#);
    for (mut story, refused) in [(Scenario::logging_in(), ends), (again, GRANTED.replace("alice", "bob"))] {
        let id = story.request_id();
        let error = respond(&mut story.flow, &served(200, &[], refused.clone()), noon()).unwrap_err();
        assert!(matches!(error, Error::MissingRefreshToken(_) | Error::WrongUser { .. }), "{error:?}");
        story.late(id, 200, GRANTED).late(id, 200, refused).asks(&OFFERED);
        story.choose(password()).late(id, 200, GRANTED).responds(200, GRANTED).session();
    }
}

/// A resumed flow asks for the login types before it asks the question. So another request is due at once.
#[test]
fn after_a_resume_a_late_login_is_not_read_as_login_types() {
    let resumed = || {
        let mut story = Scenario::in_the_browser();
        story.suspend().callback(CALLBACK);
        story
    };
    let mut gone_back = resumed();
    let mut refused = resumed();
    let mut not_accepted = resumed();
    let id = gone_back.request_id();
    gone_back.back();
    refused.responds(403, FORBIDDEN);
    let ends = served(200, &[], GRANTED.replace('}', r#","expires_in_ms":1}"#));
    let error = respond(&mut not_accepted.flow, &ends, noon()).unwrap_err();
    assert!(matches!(error, Error::MissingRefreshToken(_)), "{error:?}");
    for mut story in [gone_back, refused, not_accepted] {
        story.gets(LOGIN_URL);
        for (status, body) in RESPONSES.into_iter().chain([(200, OFFERS)]) {
            story.late(id, status, body);
        }
        story.responds(200, OFFERS).choose(password()).responds(200, GRANTED).session();
    }
}

#[test]
fn a_response_that_is_an_error_leaves_the_id_valid() {
    for (status, body) in [(502, "<html>"), (500, r#"{"errcode":"M_UNKNOWN"}"#), (302, ""), (200, "{}")] {
        let mut story = Scenario::logging_in();
        let id = story.request_id();
        let error = story.fails(status, body);
        assert!(matches!(error, Error::Response(_)), "{error:?}");
        assert_eq!(story.request_id(), id);
        story.flow.handle_response(id, &served(200, &[], GRANTED), noon()).unwrap();
        story.session();
    }
}

// OAuth 2.0.

/// What can come back late from POST token.
const TOKEN_RESPONSES: [(u16, &str); 4] = [(200, TOKENS), (400, REFUSED_BY_OAUTH), (429, ""), (502, "<html>")];

/// After a token response was accepted, a second token request could end the session that the first one has made.
#[test]
fn after_tokens_were_granted_no_token_request_is_due_again() {
    let is_due = |story: &Scenario| {
        let line = crate::support::replay::step_line(&story.flow.step(), noon());
        line["form"]["grant_type"] == json!("authorization_code")
    };
    let asked = Scenario::with_a_code();
    assert!(is_due(&asked));
    let id = asked.request_id();
    // Any later inputs, in any order.
    let inputs = crate::rules::inputs();
    let mut granted = asked.clone();
    granted.responds(200, TOKENS);
    for first in inputs {
        for second in inputs {
            let mut story = granted.clone();
            for input in [first, second] {
                let due = story.last_request_id();
                let _ = input.apply(&mut story.flow, due);
                assert!(!is_due(&story), "{}, {}: after {}", first.name, second.name, input.name);
                let late = story.flow.handle_response(id, &served(200, &[], TOKENS), noon());
                assert!(matches!(late, Err(Error::StaleResponse)), "{}, {}: {late:?}", first.name, second.name);
            }
        }
    }
}

#[test]
fn a_late_token_response_counts_for_no_other_request() {
    let after: [fn(&mut Scenario) -> &mut Scenario; 7] = [
        |story| story.responds(200, TOKENS),
        |story| story.responds(200, TOKENS).responds(200, WHOAMI),
        |story| story.responds(200, TOKENS).back(),
        |story| story.responds(400, REFUSED_BY_OAUTH),
        |story| story.back().choose(password()),
        |story| story.back().choose(code()).responds(201, REGISTERED).callback(CODE_CALLBACK),
        |story| story.use_homeserver(OTHER),
    ];
    for tell in after {
        let mut story = Scenario::with_a_code();
        let id = story.request_id();
        tell(&mut story);
        for (status, body) in TOKEN_RESPONSES {
            story.late(id, status, body);
        }
    }
}

#[test]
fn a_late_response_of_one_login_is_not_for_the_next() {
    let mut story = Scenario::at_the_question_with_oauth();
    story.choose(code());
    let registration = story.request_id();
    story.back().choose(code()).late(registration, 201, r#"{"client_id":"other"}"#).responds(201, REGISTERED);
    story.callback(CODE_CALLBACK).posts_the_code().responds(200, TOKENS);
    let whoami = story.request_id();
    story.back();
    let revocation = story.request_id();
    story.late(whoami, 200, WHOAMI).back().choose(code()).late(revocation, 200, "").responds(201, REGISTERED);
    story.callback(CODE_CALLBACK).responds(200, TOKENS.replace("\"at\"", "\"second\""));
    // The first login can be the login of another user.
    story.late(whoami, 200, WHOAMI.replace("alice", "bob")).asks_whose("second").responds(200, WHOAMI);
    assert_eq!(story.session().user_id().as_str(), "@alice:example.org");
}

#[test]
fn late_metadata_do_not_count_for_another_homeserver() {
    let mut story = Scenario::of(LoginFlow::at(HOMESERVER.parse().unwrap(), with_oauth()));
    story.responds(200, OFFERS).gets(AUTH_METADATA_URL);
    let id = story.request_id();
    story.use_homeserver(OTHER).late(id, 200, METADATA).responds(200, OFFERS).late(id, 200, METADATA);
    story.gets("https://other.example.org/_matrix/client/v1/auth_metadata");
    let unreachable = story.flow.handle_unreachable(id);
    assert!(matches!(unreachable, Err(Error::StaleResponse)), "{unreachable:?}");
}

#[test]
fn a_resumed_code_grant_refuses_the_earlier_ids() {
    let mut story = Scenario::at_the_question_with_oauth();
    story.choose(code());
    let registration = story.request_id();
    story.responds(201, REGISTERED).suspend().callback(CODE_CALLBACK).late(registration, 200, METADATA);
    let metadata = story.request_id();
    story.responds(200, METADATA).late(metadata, 200, TOKENS).responds(200, TOKENS);
    let whoami = story.request_id();
    story.suspend().gets(LOGIN_URL);
    for id in [registration, metadata, whoami] {
        story.late(id, 200, OFFERS);
    }
}
