//! Invariant: a callback counts only with the state that the login began with, and with that only once.
//!
//! The input is three lines: a redirect URL, a state, and the address that the browser comes back to. It is read as the
//! callback of a single sign-on, and as the callback of an OAuth 2.0 login.

#![no_main]

use libfuzzer_sys::fuzz_target;
use matrix_login::{
    CodeVerifier, DeviceId, Fields, Homeserver, HttpsUrl, Redirect,
    endpoint::{callback, oauth::authorization, sso},
};
use url::{Url, form_urlencoded};

const ISSUER: &str = "https://auth.example.org/";

/// The values of a name in a callback, in the query and in the fragment. An empty value is treated as absent.
fn values(callback: &Url, name: &str) -> Vec<String> {
    let fragment = form_urlencoded::parse(callback.fragment().unwrap_or_default().as_bytes());
    let pairs = callback.query_pairs().chain(fragment);
    pairs.filter(|(found, value)| found == name && !value.is_empty()).map(|(_, value)| value.into_owned()).collect()
}

fn check_oauth_callback(callback: &Url, state: &str) {
    let granted = |issuer, iss_in_callback| authorization::response(callback, state, issuer, iss_in_callback);
    let any = granted(None, false);
    for (issuer, is_promised) in [(Some(ISSUER), false), (Some(ISSUER), true), (None, true)] {
        let Ok(response) = granted(issuer, is_promised) else { continue };
        assert_eq!(format!("Ok({response:?})"), format!("{any:?}"), "the issuer only makes the check stricter");
        let iss = values(callback, "iss");
        assert!(issuer.is_none() || iss.iter().all(|iss| iss == ISSUER));
        assert!(!is_promised || iss.len() == 1);
    }
    let Ok(response) = any else { return };
    assert!(!state.is_empty());
    assert_eq!(values(callback, "state"), [state]);
    assert_eq!(callback::state(callback).as_deref(), Some(state), "a backend finds the state");
    let (codes, errors) = (values(callback, "code"), values(callback, "error"));
    match response {
        authorization::Response::Granted(code) => {
            assert_eq!(codes, [code.expose()]);
            assert!(errors.is_empty());
        }
        authorization::Response::Refused(error) => {
            assert_eq!(errors.first(), error.errcode.as_ref());
            assert!(codes.is_empty() && errors.len() == 1 && error.status.is_none());
            assert_eq!(error.to_string().lines().count(), 1);
        }
        _ => panic!("an unknown response"),
    }
}

/// The URL of an OAuth 2.0 login contains the redirect URI unchanged. The redirect URI with parameters is a callback.
fn check_oauth_url(redirect_uri: &str, state: &str, value: &str) {
    let Ok(redirect) = Redirect::new(redirect_uri, state) else { return };
    let endpoint: HttpsUrl = "https://auth.example.org/authorize?tenant=1".parse().expect("it is one");
    let device_id = DeviceId::new("KITCHENTABLET").expect("it is one");
    let verifier = CodeVerifier::with_challenge("v".repeat(43), "c".repeat(43)).expect("it is one");
    let url = authorization::request(&endpoint, value, &device_id, &redirect, &verifier, &Fields::default());
    let only = |name: &str| {
        let mut found = url.query_pairs().filter(|(found, _)| found == name);
        let (_, value) = found.next().expect("the parameter exists");
        assert!(found.next().is_none(), "{name} appears twice");
        value.into_owned()
    };
    assert!(url.as_str().starts_with("https://auth.example.org/authorize?tenant=1&response_type=code&"));
    assert_eq!((only("redirect_uri").as_str(), only("client_id").as_str()), (redirect_uri, value));
    assert_eq!(only("state"), state);

    let mut callback = redirect.url().clone();
    let added =
        form_urlencoded::Serializer::new(String::new()).append_pair("code", value).append_pair("state", state).finish();
    if only("response_mode") == "fragment" {
        callback.set_fragment(Some(&added));
    } else {
        // The fragment of the redirect URI itself could contain parameters too.
        callback.set_fragment(None);
        let own = callback.query().map(|own| format!("{own}&")).unwrap_or_default();
        callback.set_query(Some(&format!("{own}{added}")));
    }
    // The query of the redirect URI itself can contain a description of an error, which no server adds to a code.
    let is_granted = matches!(
        authorization::response(&callback, state, None, false),
        Ok(authorization::Response::Granted(code)) if code.expose() == value
    );
    let has_others = callback.query_pairs().any(|(name, value)| name == "error_description" && !value.is_empty());
    assert!(is_granted || value.is_empty() || has_others, "{callback}");
}

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let [redirect_url, state, address] = std::array::from_fn(|_| lines.next().unwrap_or_default());

    if let Ok(callback) = Url::parse(address) {
        check_oauth_callback(&callback, state);
    }
    check_oauth_url(redirect_url, state, address);

    if let Ok(address) = Url::parse(address)
        && let Ok(token) = sso::response(&address, state)
    {
        assert!(!state.is_empty() && !token.expose().is_empty());
        assert_eq!(callback::state(&address).as_deref(), Some(state));
        assert_eq!(address.query_pairs().filter(|(name, _)| name == "state").count(), 1);
    }

    let Ok(redirect_url) = Url::parse(redirect_url) else { return };
    let Ok(redirect) = Redirect::new(redirect_url, state) else { return };
    let homeserver: Homeserver = "https://hs.example.org/prefix".parse().expect("it is one");
    let url = sso::request(&homeserver, &redirect);
    assert!(
        url.as_str().starts_with("https://hs.example.org/prefix/_matrix/client/v3/login/sso/redirect?redirectUrl=")
    );
    let (_, returned) = url.query_pairs().find(|(name, _)| name == "redirectUrl").expect("the parameter exists");
    let mut returned = Url::parse(&returned).expect("it is a URL");
    assert_eq!(callback::state(&returned).as_deref(), Some(state), "the state comes back unchanged");
    assert!(sso::response(&returned, state).is_err(), "the callback has no token yet");
    returned.query_pairs_mut().append_pair("loginToken", address);
    assert_eq!(sso::response(&returned, state).is_ok(), !address.is_empty());
});
