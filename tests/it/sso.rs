//! Single sign-on: the URL that the browser opens, the callback that ends the login, and callbacks that do not end it.

use matrix_login::{
    Action, Choice, Error, ForeignCallback, Homeserver, LoginToken, Redirect,
    endpoint::{callback, sso},
};
use serde_json::json;
use url::Url;

use crate::support::scenario::{CALLBACK, FORBIDDEN, GRANTED, HOMESERVER, LOGIN_URL, STATE, Scenario, whole};

fn redirect(redirect_url: &str) -> Redirect {
    Redirect::new(redirect_url, STATE).unwrap()
}

fn url(homeserver: &str, redirect: &Redirect) -> Url {
    sso::request(&homeserver.parse::<Homeserver>().unwrap(), redirect)
}

/// The address to which the homeserver sends the browser in the end.
fn redirect_url(redirect: &Redirect) -> String {
    let url = url(HOMESERVER, redirect);
    let (_, value) = url.query_pairs().find(|(name, _)| name == "redirectUrl").unwrap();
    value.into_owned()
}

#[test]
fn the_browser_comes_back_and_the_token_is_spent() {
    let mut story = Scenario::at_the_question();
    story.choose(Choice::sso(redirect("http://127.0.0.1:9/cb")));
    assert_eq!(
        story.browses().as_str(),
        "https://hs.example.org/_matrix/client/v3/login/sso/redirect\
         ?redirectUrl=http%3A%2F%2F127.0.0.1%3A9%2Fcb%3Fstate%3D0123456789abcdef\
         &action=login&org.matrix.msc3824.action=login"
    );
    story.callback(CALLBACK);
    story.posts(LOGIN_URL, json!({"type": "m.login.token", "token": "t0k3n", "refresh_token": true}));
    story.responds(200, GRANTED).session();
}

#[test]
fn a_provider_and_an_action_are_named_in_the_url() {
    let redirect = redirect("http://127.0.0.1:9/cb").with_identity_provider("oidc-x").unwrap();
    let login = url(HOMESERVER, &redirect.clone().with_action(Action::Login));
    assert_eq!(login.path(), "/_matrix/client/v3/login/sso/redirect/oidc-x");
    assert!(login.query().unwrap().ends_with("&action=login&org.matrix.msc3824.action=login"));
    assert_eq!(url(HOMESERVER, &redirect), login, "that is the default");
    let register = url("https://hs.example.org/prefix", &redirect.with_action(Action::Register));
    assert_eq!(register.path(), "/prefix/_matrix/client/v3/login/sso/redirect/oidc-x");
    assert!(register.query().unwrap().ends_with("&action=register&org.matrix.msc3824.action=register"));
}

#[test]
fn a_providers_id_is_one_segment_of_the_path() {
    for (id, segment) in [
        ("a/b", "a%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("%2e%2e", "%252e%252e"),
        ("a b\t\n", "a%20b%09%0A"),
        ("über", "%C3%BCber"),
        ("...", "..."),
        ("A-z_0.~", "A-z_0.~"),
    ] {
        let redirect = redirect("http://127.0.0.1:9/cb").with_identity_provider(id).unwrap();
        let path = format!("/_matrix/client/v3/login/sso/redirect/{segment}");
        assert_eq!(url(HOMESERVER, &redirect).path(), path);
    }
    for id in ["", ".", ".."] {
        let error = redirect("http://127.0.0.1:9/cb").with_identity_provider(id).unwrap_err();
        assert_eq!(error.field, "identity provider");
    }
}

#[test]
fn the_redirect_url_keeps_its_own_query_and_fragment() {
    for (given, sent) in [
        ("http://127.0.0.1:9/cb", "http://127.0.0.1:9/cb?state=0123456789abcdef"),
        ("http://127.0.0.1:9/cb?a=b%20c&flag", "http://127.0.0.1:9/cb?a=b%20c&flag&state=0123456789abcdef"),
        ("http://127.0.0.1:9/cb#here", "http://127.0.0.1:9/cb?state=0123456789abcdef#here"),
        ("org.example.app:/cb", "org.example.app:/cb?state=0123456789abcdef"),
        ("org.example.app:cb", "org.example.app:cb?state=0123456789abcdef"),
        ("org.example.app://login", "org.example.app://login?state=0123456789abcdef"),
    ] {
        assert_eq!(redirect_url(&redirect(given)), sent);
    }
}

#[test]
fn a_redirect_url_with_a_state_or_a_token_is_refused() {
    for given in [
        "http://127.0.0.1:9/cb?state=mine",
        "http://127.0.0.1:9/cb?a=b&loginToken=x",
        "http://127.0.0.1:9/cb?login%54oken",
        "org.example.app:cb?state",
    ] {
        let error = Redirect::new(given, STATE).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid redirect URL: expected a query without `state`, `loginToken`, `code`, `error`, \
                 `error_description` and `iss`"
        );
    }
}

#[test]
fn a_state_that_could_be_guessed_is_refused() {
    let url: Url = "http://127.0.0.1:9/cb".parse().unwrap();
    assert!(Redirect::new(url.clone(), "0123456789abcde").is_err());
    assert!(Redirect::new(url.clone(), "ööööööööööööööö").is_err());
    assert!(Redirect::new(url, "0123456789abcdef").is_ok());
}

#[test]
fn a_state_of_any_characters_comes_back_unchanged() {
    let state = "a+b c%20&=#?/ö\u{1f511}0123456789";
    let redirect = Redirect::new("http://127.0.0.1:9/cb", state).unwrap();
    let mut callback: Url = redirect_url(&redirect).parse().unwrap();
    callback.query_pairs_mut().append_pair("loginToken", "t");
    assert_eq!(callback::state(&callback).as_deref(), Some(state));
    assert_eq!(sso::response(&callback, state).unwrap().expose(), "t");
}

#[test]
fn callbacks_of_this_login_are_accepted() {
    for (callback, token) in [
        ("http://127.0.0.1:9/cb?state=0123456789abcdef&loginToken=t", "t"),
        ("http://127.0.0.1:9/cb?loginToken=t&state=0123456789abcdef", "t"),
        // Homeservers rewrite the query: a=b%20c becomes a=b+c, flag becomes flag=.
        ("http://127.0.0.1:9/cb?a=b+c&flag=&state=0123456789abcde%66&loginToken=a%2Bb", "a+b"),
        ("http://127.0.0.1:9/cb?state=0123456789abcdef&loginToken=t#fragment", "t"),
        // If there are several tokens, the last one comes from the homeserver.
        ("http://127.0.0.1:9/cb?loginToken=old&state=0123456789abcdef&loginToken=new", "new"),
        ("org.example.app:cb?state=0123456789abcdef&loginToken=t", "t"),
    ] {
        let url: Url = callback.parse().unwrap();
        assert_eq!(sso::response(&url, STATE).unwrap().expose(), token, "{callback}");
        let mut story = Scenario::in_the_browser();
        story.callback(callback);
        story.posts(LOGIN_URL, json!({"type": "m.login.token", "token": token, "refresh_token": true}));
    }
}

#[test]
fn foreign_callbacks_change_nothing() {
    for callback in [
        "http://127.0.0.1:9/cb",
        "http://127.0.0.1:9/favicon.ico",
        "http://127.0.0.1:9/cb?loginToken=t",
        "http://127.0.0.1:9/cb?state=0123456789abcdef",
        "http://127.0.0.1:9/cb?state=0123456789abcdef&loginToken=",
        "http://127.0.0.1:9/cb?state=0123456789abcdef&loginToken=t&loginToken=",
        "http://127.0.0.1:9/cb?state=fedcba9876543210&loginToken=t",
        "http://127.0.0.1:9/cb?state=0123456789ABCDEF&loginToken=t",
        "http://127.0.0.1:9/cb?state=&loginToken=t",
        "http://127.0.0.1:9/cb?state=0123456789abcdef&state=0123456789abcdef&loginToken=t",
        "http://127.0.0.1:9/cb?state=0123456789abcdef&state=x&loginToken=t",
        "http://127.0.0.1:9/cb?State=0123456789abcdef&loginToken=t",
        "http://127.0.0.1:9/cb#state=0123456789abcdef&loginToken=t",
    ] {
        let mut story = Scenario::in_the_browser();
        let before = whole(&story.flow);
        let error = story.flow.handle_callback(&callback.parse().unwrap()).unwrap_err();
        assert!(matches!(error, Error::ForeignCallback(_)), "{callback}");
        assert_eq!(whole(&story.flow), before, "{callback}");
        story.callback(CALLBACK).responds(200, GRANTED).session();
    }
}

#[test]
fn a_callback_that_comes_twice_is_out_of_step() {
    let mut story = Scenario::in_the_browser();
    story.callback(CALLBACK);
    let again = story.flow.handle_callback(&CALLBACK.parse().unwrap());
    assert!(matches!(again, Err(Error::OutOfStep { input: "handle_callback", due: "Send", .. })));
    story.responds(200, GRANTED).session();
}

#[test]
fn a_token_that_is_used_or_expired_leads_back_to_the_question() {
    let mut story = Scenario::in_the_browser();
    story.callback(CALLBACK).responds(403, FORBIDDEN);
    assert_eq!(story.refused().errcode.as_deref(), Some("M_FORBIDDEN"));
}

#[test]
fn the_token_login_need_not_be_offered() {
    let mut story = Scenario::at(HOMESERVER);
    story.responds(200, r#"{"flows":[{"type":"m.login.sso"}]}"#);
    let choice = Choice::token(LoginToken::new("t"));
    assert!(matches!(story.flow.choose(choice), Err(Error::NotOffered { .. })));
    story.choose(Choice::sso(redirect("http://127.0.0.1:9/cb"))).callback(CALLBACK).responds(200, GRANTED).session();
}

#[test]
fn the_fields_of_the_choice_go_into_the_token_login() {
    let mut story = Scenario::at_the_question();
    story
        .choose(Choice::sso(redirect("http://127.0.0.1:9/cb")).with_field("org.example", 1).unwrap())
        .callback(CALLBACK);
    story.posts(LOGIN_URL, json!({"type": "m.login.token", "token": "t0k3n", "refresh_token": true, "org.example": 1}));
}

#[test]
fn a_user_who_gives_up_goes_back_to_the_question() {
    let mut story = Scenario::in_the_browser();
    story.back();
    assert!(story.flow.handle_callback(&CALLBACK.parse().unwrap()).is_err());
    story.choose(Choice::sso(redirect("http://127.0.0.1:9/other")));
    assert!(story.browses().as_str().contains("other"));
}

#[test]
fn a_backend_finds_the_state_of_a_callback() {
    let state = |url: &str| callback::state(&url.parse().unwrap());
    assert_eq!(state(CALLBACK).as_deref(), Some(STATE));
    assert_eq!(state("http://127.0.0.1:9/cb?loginToken=t"), None);
    assert_eq!(state("http://127.0.0.1:9/cb?state=a&state=a"), None);
    // A state that the backend has lost matches nothing.
    let empty = "http://127.0.0.1:9/cb?state=&loginToken=t".parse().unwrap();
    let ForeignCallback { .. } = sso::response(&empty, "").unwrap_err();
}
