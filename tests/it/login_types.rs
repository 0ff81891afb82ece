//! GET /login: what a homeserver offers, in the shapes that servers send, and what may be chosen of it.

use matrix_login::{Choice, Error, IdentityProvider, LoginType, LoginTypes, endpoint::sso};
use serde_json::Map;

use crate::scenario::{HOMESERVER, STATE, Scenario, answer, invalid_field, not_matrix};

fn read(flows: &str) -> LoginTypes {
    let response = answer(200, &[], format!(r#"{{"flows":{flows}}}"#));
    matrix_login::endpoint::login_types::response(&response).unwrap()
}

fn names(login_types: &LoginTypes) -> Vec<&str> {
    login_types.iter().map(LoginType::as_str).collect()
}

fn sso_of(login_types: &LoginTypes) -> (&[IdentityProvider], bool) {
    match login_types.get("m.login.sso") {
        Some(LoginType::Sso { identity_providers, oauth_aware_preferred }) => {
            (identity_providers, *oauth_aware_preferred)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_types_are_kept_in_the_servers_order() {
    let login_types = read(
        r#"[{"type":"m.login.cas"},{"type":"org.matrix.login.jwt","k":{"v":[1]}},{"type":"m.login.password"},
            {"type":"com.devture.shared_secret_auth"},{"type":"m.login.application_service"},
            {"type":"m.login.token","get_login_token":true}]"#,
    );
    assert_eq!(
        names(&login_types),
        [
            "m.login.cas",
            "org.matrix.login.jwt",
            "m.login.password",
            "com.devture.shared_secret_auth",
            "m.login.application_service",
            "m.login.token",
        ]
    );
    let Some(LoginType::Other { fields, .. }) = login_types.get("org.matrix.login.jwt") else { panic!() };
    assert_eq!((fields["k"]["v"][0].as_u64(), fields.len()), (Some(1), 1));
    assert!(matches!(login_types.get("m.login.token"), Some(LoginType::Token { get_login_token: true })));
    assert!(login_types.contains("m.login.password") && !login_types.contains("m.login.sso"));
}

#[test]
fn a_type_that_is_listed_twice_counts_once() {
    let login_types = read(
        r#"[{"type":"m.login.sso","identity_providers":[{"id":"x"}]},{"type":"m.login.password"},{"type":"m.login.sso"},
            {"type":"a","k":1},{"type":"a","k":2}]"#,
    );
    assert_eq!(names(&login_types), ["m.login.sso", "m.login.password", "a"]);
    assert_eq!(sso_of(&login_types).0.len(), 1);
}

#[test]
fn a_bad_entry_never_spoils_the_list() {
    let login_types = read(
        r#"[{"stages":["m.login.password"]},null,7,"m.login.password",[],{"type":7},{"type":null},{"type":""},
            {"type":"m.login.token","get_login_token":"yes"},{"type":"m.login.password","x":1e999,"y":"\ud800"}]"#,
    );
    assert_eq!(names(&login_types), ["m.login.token", "m.login.password"]);
    assert!(matches!(login_types.get("m.login.token"), Some(LoginType::Token { get_login_token: false })));
}

#[test]
fn identity_providers_as_servers_list_them() {
    let login_types = read(
        r#"[{"type":"m.login.sso","identity_providers":[
            {"id":"oidc-github","name":"GitHub","icon":"mxc://example.org/abc","brand":"github"},
            {"id":"saml","icon":"https://example.org/icon.png"},{"id":"x","name":"","icon":null,"brand":7},
            {"name":"no ID"},{"id":""},{"id":7},null,"y"]}]"#,
    );
    let shown: Vec<_> = sso_of(&login_types)
        .0
        .iter()
        .map(|provider| (&*provider.id, &*provider.name, provider.icon.as_deref(), provider.brand.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            ("oidc-github", "GitHub", Some("mxc://example.org/abc"), Some("github")),
            ("saml", "saml", Some("https://example.org/icon.png"), None),
            ("x", "x", None, None),
        ]
    );
    for list in ["null", "{}", "[]", "7"] {
        let login_types = read(&format!(r#"[{{"type":"m.login.sso","identity_providers":{list}}}]"#));
        assert!(sso_of(&login_types).0.is_empty());
    }
}

#[test]
fn the_oauth_aware_hint_in_either_spelling() {
    let stable = "oauth_aware_preferred";
    let unstable = "org.matrix.msc3824.delegated_oidc_compatibility";
    for (hint, preferred) in [
        (String::new(), false),
        (format!(r#","{stable}":true"#), true),
        (format!(r#","{unstable}":true"#), true),
        (format!(r#","{stable}":false,"{unstable}":true"#), true),
        (format!(r#","{stable}":true,"{unstable}":true"#), true),
        (format!(r#","{stable}":"true","{unstable}":1"#), false),
    ] {
        let login_types = read(&format!(
            r#"[{{"type":"m.login.password"}},{{"type":"m.login.sso"{hint}}},{{"type":"m.login.application_service"}}]"#
        ));
        assert_eq!(sso_of(&login_types).1, preferred, "{hint}");
        let offered: Vec<_> = login_types.for_a_person().map(LoginType::as_str).collect();
        let expected: &[&str] = if preferred { &["m.login.sso"] } else { &["m.login.password", "m.login.sso"] };
        assert_eq!(offered, expected, "{hint}");
    }
}

#[test]
fn a_server_with_passwords_off_offers_a_person_nothing() {
    let login_types = read(r#"[{"type":"m.login.application_service"}]"#);
    assert_eq!(login_types.for_a_person().count(), 0);
    assert_eq!((&login_types).into_iter().count(), 1);
}

#[test]
fn flows_that_are_no_list_are_an_invalid_response() {
    for body in ["{}", r#"{"flows":null}"#, r#"{"flows":{}}"#, r#"{"flows":"m.login.password"}"#] {
        let mut story = Scenario::at(HOMESERVER);
        assert_eq!(invalid_field(&story.fails(200, body)), "`flows`");
        story.answer(200, r#"{"flows":[]}"#).asks(&[]);
    }
}

#[test]
fn a_server_without_this_api_is_told_from_one_that_is_no_matrix_server() {
    for status in [404, 400] {
        let unrecognized = r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#;
        assert!(matches!(Scenario::at(HOMESERVER).fails(status, unrecognized), Error::LegacyLoginUnsupported));
    }
    assert_eq!(not_matrix(&Scenario::at(HOMESERVER).fails(404, "<html>404 Not Found</html>")).as_u16(), 404);
    let Error::Server(error) = Scenario::at(HOMESERVER).fails(403, r#"{"errcode":"M_FORBIDDEN"}"#) else { panic!() };
    assert_eq!(error.errcode.as_deref(), Some("M_FORBIDDEN"));
}

#[test]
fn only_what_is_offered_can_be_chosen() {
    let mut story = Scenario::at(HOMESERVER);
    story
        .answer(200, r#"{"flows":[{"type":"m.login.sso","identity_providers":[{"id":"x"},{"id":"y"}]},{"type":"z"}]}"#);
    let refusal = |story: &mut Scenario, choice| story.flow.choose(choice).unwrap_err().to_string();
    let refused = refusal(&mut story, crate::scenario::password());
    assert_eq!(refused, "the homeserver does not offer m.login.password, but m.login.sso, z");

    let with_provider = |id: &str| {
        let redirect = sso::Redirect::new("app:/cb".parse().unwrap(), STATE).unwrap();
        Choice::sso(redirect.identity_provider(id).unwrap())
    };
    let refused = refusal(&mut story, with_provider("w"));
    assert_eq!(refused, "the homeserver does not offer identity provider w, but x, y");
    story.choose(with_provider("y")).back().choose(Choice::custom("z", Map::new()).unwrap());
}

#[test]
fn a_server_that_lists_no_providers_may_have_some() {
    let mut story = Scenario::at(HOMESERVER);
    story.answer(200, r#"{"flows":[{"type":"m.login.sso"}]}"#);
    let redirect = sso::Redirect::new("app:/cb".parse().unwrap(), STATE).unwrap();
    story.choose(Choice::sso(redirect.identity_provider("x").unwrap()));
    assert!(story.browses().path().ends_with("/x"));
}
