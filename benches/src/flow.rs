//! Whole logins of this crate, from the caller's text to the session.

use std::time::UNIX_EPOCH;

use matrix_login::{Choice, LoginFlow, Password, Redirect, Session, Step, Suspended, UserIdentifier};

use crate::contender::ours;
use crate::inputs::{Body, HOMESERVER, LOGIN, LOGIN_TYPES, PASSWORD, USER};

const REDIRECT_URL: &str = "https://chat.example.com/callback";
const STATE: &str = "0123456789abcdef0123456789abcdef";
const CALLBACK: &str =
    "https://chat.example.com/callback?state=0123456789abcdef0123456789abcdef&loginToken=jqKfBcsyGmNwLXdVtRhZ";

/// By password.
pub fn password() -> Session {
    let mut flow = at_the_question();
    flow.choose(Choice::password(UserIdentifier::user(USER), Password::new(PASSWORD))).expect("an offer");
    answer(&mut flow, &LOGIN);
    flow.into_session().expect("a session")
}

/// By single sign-on, where another process goes on after the browser.
pub fn single_sign_on() -> Session {
    let stored = serde_json::to_string(&suspended(&in_the_browser())).expect("JSON");
    let mut flow = LoginFlow::resume(serde_json::from_str(&stored).expect("a suspended flow"));
    flow.handle_callback(&CALLBACK.parse().expect("a URL")).expect("its callback");
    answer(&mut flow, &LOGIN);
    flow.into_session().expect("a session")
}

/// The user is in the browser.
pub fn in_the_browser() -> LoginFlow {
    let mut flow = at_the_question();
    let redirect = Redirect::new(REDIRECT_URL.parse().expect("a URL"), STATE).expect("a redirect");
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

/// The response to the request that is due.
fn answer(flow: &mut LoginFlow, body: &Body) {
    let Step::Send { id, request } = flow.step() else { panic!("{:?}", flow.step()) };
    std::hint::black_box(request);
    flow.handle_response(id, &body.response(), UNIX_EPOCH).expect("a good response");
}
