//! Single sign-on: Synapse with a certified OpenID provider, from the button to the session.

use http::StatusCode;
use matrix_login::{Error, Step, endpoint::sso};
use matrix_login_synapse::{Login, Story, ask};
use serde_json::{Value, json};

use crate::browser::{Browser, End};

const STATE: &str = "0123456789abcdef";
const CALLBACK: &str = "http://127.0.0.1:9/callback";

fn choice(redirect_url: &str, provider: &str) -> Value {
    json!({
        "type": "m.login.sso", "redirect_url": redirect_url, "state": STATE, "identity_provider": provider,
        "action": "login",
    })
}

/// Tells what happens once the user is in the browser.
fn in_the_browser<T>(name: &'static str, story: impl FnOnce(&mut Login) -> T) -> T {
    Story::at(name, "sso").tell(|login| {
        login.run().choose(choice(CALLBACK, "oidc-op"));
        story(login)
    })
}

#[test]
fn single_sign_on_leads_from_the_button_to_the_session() {
    Story::at("sso", "sso").tell(|login| {
        login.run();
        let Step::Choose { login_types, .. } = login.flow().step() else { panic!() };
        let offered = login_types.get("m.login.sso").unwrap_or_else(|| panic!("{login_types:?}"));
        assert!(!offered.oauth_aware_preferred());
        let shown: Vec<_> = offered
            .identity_providers()
            .iter()
            .map(|provider| (provider.id(), provider.name(), provider.icon(), provider.brand()))
            .collect();
        let icon = Some("mxc://example.test/icon");
        assert_eq!(
            shown,
            [("oidc-op", "Example", icon, Some("example")), ("oidc-down", "Nobody", icon, Some("example"))]
        );

        login.choose(choice(CALLBACK, "oidc-op"));
        let callback = Browser::new(CALLBACK).log_in(&login.browse_url(), "alice").callback();
        login.callback(&callback).unwrap();
        login.run();
        assert_eq!(login.session().user_id().as_str(), "@alice:example.test");
        assert_eq!(ask(login.session(), "/_matrix/client/v3/account/whoami").0, 200);
    });
}

#[test]
fn a_redirect_url_keeps_its_query_and_its_fragment() {
    Story::at("sso_redirect_url", "sso").tell(|login| {
        login.run().choose(choice("http://127.0.0.1:9/callback?a=b%20c&flag#here", "oidc-op"));
        let callback = Browser::new(CALLBACK).log_in(&login.browse_url(), "alice").callback();
        // Synapse rewrites the query, and puts its token before the fragment.
        let query = callback.query().unwrap();
        assert!(query.starts_with("a=b+c&flag=&state=0123456789abcdef&loginToken="), "{callback}");
        assert_eq!(callback.fragment(), Some("here"));
        login.callback(&callback).unwrap();
        login.run().session();
    });
}

#[test]
fn an_application_can_have_its_own_scheme() {
    Story::at("sso_private_scheme", "sso").tell(|login| {
        login.run().choose(choice("org.example.app:/callback", "oidc-op"));
        let callback = Browser::new("org.example.app:").log_in(&login.browse_url(), "alice").callback();
        login.callback(&callback).unwrap();
        login.run().session();
    });
}

#[test]
fn callbacks_that_were_changed_do_not_count() {
    in_the_browser("sso_foreign_callbacks", |login| {
        let callback = Browser::new(CALLBACK).log_in(&login.browse_url(), "alice").callback();
        let token = sso::response(&callback, STATE).unwrap();
        for query in [
            format!("loginToken={}", token.expose()),
            format!("state=fedcba9876543210&loginToken={}", token.expose()),
            format!("state={STATE}&state={STATE}&loginToken={}", token.expose()),
            format!("state={STATE}"),
            format!("state={STATE}&loginToken="),
        ] {
            let mut changed = callback.clone();
            changed.set_query(Some(&query));
            assert!(matches!(login.callback(&changed), Err(Error::ForeignCallback(_))), "{changed}");
        }
        login.callback(&callback).unwrap();
        login.run().session();
    });
}

#[test]
fn another_process_finishes_the_login() {
    in_the_browser("sso_suspended", |login| {
        let url = login.browse_url();
        login.suspend();
        assert_eq!(login.browse_url(), url);
        let callback = Browser::new(CALLBACK).log_in(&url, "alice").callback();
        login.callback(&callback).unwrap();
        login.run().session();
    });
}

#[test]
fn a_login_token_is_spent_once() {
    let callback = in_the_browser("sso_token_first", |login| {
        let callback = Browser::new(CALLBACK).log_in(&login.browse_url(), "alice").callback();
        login.callback(&callback).unwrap();
        login.run().session();
        callback
    });
    // The same state again, as in a login that was suspended and resumed twice.
    in_the_browser("sso_token_used", |login| {
        login.suspend().callback(&callback).unwrap();
        let refused = login.run().refused();
        assert_eq!((refused.status, refused.errcode.as_deref()), (Some(StatusCode::FORBIDDEN), Some("M_FORBIDDEN")));
    });
}

#[test]
fn a_user_who_is_locked_is_told_so() {
    in_the_browser("sso_locked", |login| {
        let callback = Browser::new(CALLBACK).log_in(&login.browse_url(), "locked").callback();
        login.callback(&callback).unwrap();
        let refused = login.run().refused();
        assert_eq!(
            (refused.status, refused.errcode.as_deref()),
            (Some(StatusCode::UNAUTHORIZED), Some("M_USER_LOCKED"))
        );
    });
}

#[test]
fn a_provider_that_is_down_leaves_the_user_on_a_page() {
    Story::at("sso_provider_down", "sso").tell(|login| {
        login.run().choose(choice(CALLBACK, "oidc-down"));
        let End::Page { status, .. } = Browser::new(CALLBACK).open(&login.browse_url()) else { panic!("no page") };
        assert!(status >= 400, "{status}");
        // The browser does not come back, so the user goes back.
        login.back();
        assert!(login.login_types().contains(&"m.login.sso"));
    });
}

#[test]
fn without_a_provider_synapse_asks_for_one() {
    Story::at("sso_picker", "sso").tell(|login| {
        login.run().choose(json!({ "type": "m.login.sso", "redirect_url": CALLBACK, "state": STATE }));
        let End::Page { status, body, .. } = Browser::new(CALLBACK).open(&login.browse_url()) else {
            panic!("no page")
        };
        assert_eq!(status, 200);
        assert!(body.contains("Example") && body.contains("Nobody"), "{body}");
    });
}
