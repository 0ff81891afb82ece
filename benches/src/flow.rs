//! Whole logins of this crate, from the caller's text to the session.

use std::time::UNIX_EPOCH;

use matrix_login::{
    Choice, CodeVerifier, LoginFlow, OAuthClient, Password, Redirect, Session, Step, Suspended, UserIdentifier,
};

use crate::contender::ours;
use crate::inputs::{
    AUTH_METADATA, AUTHORIZATION_PENDING, Body, DEVICE_CODE, HOMESERVER, LOGIN, LOGIN_TYPES, PASSWORD, REGISTERED,
    TOKEN, USER, WHOAMI,
};

const REDIRECT_URL: &str = "https://chat.example.com/callback";
const STATE: &str = "0123456789abcdef0123456789abcdef";
const CALLBACK: &str =
    "https://chat.example.com/callback?state=0123456789abcdef0123456789abcdef&loginToken=jqKfBcsyGmNwLXdVtRhZ";

const CODE_CALLBACK: &str = "https://chat.example.com/callback?state=0123456789abcdef0123456789abcdef\
                             &code=jqKfBcsyGmNwLXdVtRhZ&iss=https%3A%2F%2Faccount.example.org%2F";
/// RFC 7636, appendix B.
const CODE_VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CODE_CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A login by password.
pub fn password() -> Session {
    let mut flow = at_the_question();
    flow.choose(Choice::password(UserIdentifier::user(USER), Password::new(PASSWORD))).expect("an offer");
    answer(&mut flow, &LOGIN);
    flow.into_session().expect("a session")
}

/// A login by single sign-on. Another process goes on after the browser.
pub fn single_sign_on() -> Session {
    let stored = serde_json::to_string(&suspended(&in_the_browser())).expect("JSON");
    let mut flow = LoginFlow::resume(serde_json::from_str(&stored).expect("a suspended flow"));
    flow.handle_callback(&CALLBACK.parse().expect("a URL")).expect("its callback");
    answer(&mut flow, &LOGIN);
    flow.into_session().expect("a session")
}

/// A login by the authorization code grant of a registered client. Another process goes on after the browser.
pub fn code_grant() -> Session {
    let stored = serde_json::to_string(&suspended(&in_the_browser_for_a_code())).expect("JSON");
    let mut flow = LoginFlow::resume(serde_json::from_str(&stored).expect("a suspended flow"));
    flow.handle_callback(&CODE_CALLBACK.parse().expect("a URL")).expect("its callback");
    answer(&mut flow, &AUTH_METADATA);
    answer(&mut flow, &TOKEN);
    answer(&mut flow, &WHOAMI);
    flow.into_session().expect("a session")
}

/// A login by the device authorization grant of a client that registers first. The user decides between two polls.
pub fn device_grant() -> Session {
    let client = OAuthClient::new("https://chat.example.com/".parse().expect("a URL"), "Example client");
    let mut flow = LoginFlow::at(HOMESERVER.parse().expect("a homeserver"), ours::settings().with_oauth(client));
    for body in [&LOGIN_TYPES, &AUTH_METADATA] {
        answer(&mut flow, body);
    }
    flow.choose(Choice::device_authorization()).expect("an offer");
    for body in [&REGISTERED, &DEVICE_CODE] {
        answer(&mut flow, body);
    }
    for body in [&AUTHORIZATION_PENDING, &TOKEN] {
        let Step::ShowCode(code) = flow.step() else { panic!("{:?}", flow.step()) };
        std::hint::black_box(code);
        flow.handle_timeout().expect("a code is shown");
        answer(&mut flow, body);
    }
    answer(&mut flow, &WHOAMI);
    flow.into_session().expect("a session")
}

/// The user is in the browser, for a code.
pub fn in_the_browser_for_a_code() -> LoginFlow {
    let client = OAuthClient::registered("01KEXAMPLECLIENT").expect("an ID");
    let settings = ours::settings().with_oauth(client);
    let mut flow = LoginFlow::at(HOMESERVER.parse().expect("a homeserver"), settings);
    answer(&mut flow, &LOGIN_TYPES);
    answer(&mut flow, &AUTH_METADATA);
    let redirect = Redirect::new(REDIRECT_URL, STATE).expect("a redirect").in_query();
    let verifier = CodeVerifier::with_challenge(CODE_VERIFIER, CODE_CHALLENGE).expect("a verifier");
    flow.choose(Choice::authorization_code(redirect, verifier)).expect("an offer");
    let Step::Browse(url) = flow.step() else { panic!("{:?}", flow.step()) };
    std::hint::black_box(url);
    flow
}

/// The user is in the browser.
pub fn in_the_browser() -> LoginFlow {
    let mut flow = at_the_question();
    let redirect = Redirect::new(REDIRECT_URL, STATE).expect("a redirect");
    flow.choose(Choice::sso(redirect.with_identity_provider("oidc-github").expect("a provider"))).expect("an offer");
    let Step::Browse(url) = flow.step() else { panic!("{:?}", flow.step()) };
    std::hint::black_box(url);
    flow
}

pub fn suspended(flow: &LoginFlow) -> Suspended {
    flow.suspend().expect("a login that is not done")
}

fn at_the_question() -> LoginFlow {
    let mut flow = LoginFlow::at(HOMESERVER.parse().expect("a homeserver"), ours::settings());
    answer(&mut flow, &LOGIN_TYPES);
    let Step::Choose { login_types, .. } = flow.step() else { panic!("{:?}", flow.step()) };
    std::hint::black_box(login_types);
    flow
}

/// Hands over the response to the request that is due.
fn answer(flow: &mut LoginFlow, body: &Body) {
    let Step::Send { id, request } = flow.step() else { panic!("{:?}", flow.step()) };
    std::hint::black_box(request);
    flow.handle_response(id, &body.response(), UNIX_EPOCH).expect("a good response");
}
