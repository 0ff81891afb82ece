//! Invariant: a callback counts only with the state that the login began with, and with that only once.
//!
//! The input is three lines: a redirect URL, a state, and the address that the browser comes back to.

#![no_main]

use libfuzzer_sys::fuzz_target;
use matrix_login::{
    Homeserver, Redirect,
    endpoint::{callback, sso},
};
use url::Url;

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let [redirect_url, state, address] = std::array::from_fn(|_| lines.next().unwrap_or_default());

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
    let (_, returned) = url.query_pairs().find(|(name, _)| name == "redirectUrl").expect("it is there");
    let mut returned = Url::parse(&returned).expect("it is a URL");
    assert_eq!(callback::state(&returned).as_deref(), Some(state), "it comes back as it went");
    assert!(sso::response(&returned, state).is_err(), "there is no token yet");
    returned.query_pairs_mut().append_pair("loginToken", address);
    assert_eq!(sso::response(&returned, state).is_ok(), !address.is_empty());
});
