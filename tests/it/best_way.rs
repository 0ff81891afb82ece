//! The choice of a way to log in that the manual shows.

use matrix_login::{Choice, CodeVerifier, Redirect, Step};

/// The best way to log in that the homeserver offers.
pub fn best_way(
    step: &Step<'_>,
    redirect: Redirect,
    verifier: CodeVerifier,
    password: impl FnOnce() -> Choice,
) -> Option<Choice> {
    let Step::Choose { login_types, oauth, .. } = step else { return None };
    let offers = |name| login_types.for_a_person().any(|offered| offered.name() == name);
    if matches!(oauth, Some(server) if server.offers_authorization_code()) {
        // First show the user where the browser goes: see "OAuth 2.0" below.
        Some(Choice::authorization_code(redirect, verifier))
    } else if offers("m.login.sso") {
        Some(Choice::sso(redirect))
    } else if offers("m.login.password") {
        Some(password())
    } else {
        None
    }
}
