//! What a homeserver offers: the login types that it lists, in any shape, and which of them can be chosen.

use http::StatusCode;
use matrix_login::{
    Action, Choice, Error, IdentityProvider, LoginToken, LoginType, LoginTypes, MAX_BODY, Redirect, ResponseError,
    Step, endpoint::login_types,
};
use serde_json::{Map, Value, json};

use crate::support::scenario::{
    CALLBACK, GRANTED, HOMESERVER, LOGIN_URL, STATE, Scenario, invalid_field, not_matrix, password, served, sso, whole,
};

const TOKEN: &str = "m.login.token";
const PASSWORD: &str = "m.login.password";
const SSO: &str = "m.login.sso";
const APPLICATION_SERVICE: &str = "m.login.application_service";

fn read(body: &str) -> LoginTypes {
    login_types::response(&served(200, &[], body)).unwrap_or_else(|error| panic!("{body}: {error}"))
}

/// The login types of a response. Only the list of the response is given.
fn offered(flows: &str) -> LoginTypes {
    read(&format!(r#"{{"flows":{flows}}}"#))
}

fn names(login_types: &LoginTypes) -> Vec<&str> {
    login_types.iter().map(LoginType::name).collect()
}

fn for_a_person(login_types: &LoginTypes) -> Vec<&str> {
    login_types.for_a_person().map(LoginType::name).collect()
}

fn providers(login_types: &LoginTypes) -> &[IdentityProvider] {
    login_types.get(SSO).unwrap().identity_providers()
}

/// A flow at the question, for a homeserver that offers these login types.
fn at_the_question(flows: &str) -> Scenario {
    let mut story = Scenario::at(HOMESERVER);
    story.responds(200, format!(r#"{{"flows":{flows}}}"#));
    story
}

fn with_provider(id: &str) -> Choice {
    let redirect = Redirect::new("http://127.0.0.1:9/cb", STATE).unwrap();
    Choice::sso(redirect.with_identity_provider(id).unwrap())
}

/// The choice that was refused, and the offers. The question is still due.
fn not_offered(story: &mut Scenario, choice: Choice) -> (String, Vec<String>) {
    let before = whole(&story.flow);
    let error = story.flow.choose(choice).unwrap_err();
    assert_eq!(whole(&story.flow), before);
    match error {
        Error::NotOffered { choice, offered, .. } => (choice, offered),
        error => panic!("{error:?}"),
    }
}

// The login types that are listed.

#[test]
fn the_login_types_of_the_specification() {
    let login_types = offered(
        r#"[{"type":"m.login.password"},{"type":"m.login.token","get_login_token":true},
            {"type":"m.login.sso","identity_providers":[{"id":"oidc-x","name":"X","icon":"mxc://example.org/x",
            "brand":"github"}]},{"type":"m.login.application_service"}]"#,
    );
    assert_eq!(names(&login_types), [PASSWORD, TOKEN, SSO, APPLICATION_SERVICE]);
    for (name, get_login_token) in [(PASSWORD, false), (TOKEN, true), (SSO, false), (APPLICATION_SERVICE, false)] {
        let login_type = login_types.get(name).unwrap();
        assert_eq!((login_type.name(), login_type.get_login_token()), (name, get_login_token));
        assert_eq!(login_type.identity_providers().len(), usize::from(name == SSO), "{name}");
        assert!(!login_type.oauth_aware_preferred() && login_type.other().is_empty(), "{name}");
    }
    assert!(login_types.contains(SSO) && !login_types.contains("m.login"));
    let [provider] = providers(&login_types) else { panic!("{login_types:?}") };
    assert_eq!((provider.id(), provider.name()), ("oidc-x", "X"));
    assert_eq!((provider.icon(), provider.brand()), (Some("mxc://example.org/x"), Some("github")));
}

#[test]
fn unknown_types_are_kept_with_their_data() {
    let login_types = offered(
        r#"[{"type":"m.login.cas"},{"type":"org.matrix.login.jwt","issuers":["a",1,null]},
            {"type":"com.devture.shared_secret_auth","x":{"y":1.5}},{"type":"m.login.Password","odd":1e999,"z":0}]"#,
    );
    let data: Vec<_> = login_types.iter().map(|login_type| (login_type.name(), json!(login_type.other()))).collect();
    assert_eq!(
        data,
        [
            ("m.login.cas", json!({})),
            ("org.matrix.login.jwt", json!({"issuers": ["a", 1, null]})),
            ("com.devture.shared_secret_auth", json!({"x": {"y": 1.5}})),
            ("m.login.Password", json!({"z": 0})),
        ]
    );
}

#[test]
fn an_unknown_type_can_be_chosen() {
    let mut story = at_the_question(r#"[{"type":"org.matrix.login.jwt"}]"#);
    let fields: Map<_, _> = [("token".to_owned(), json!("a.jwt"))].into_iter().collect();
    story.choose(Choice::custom("org.matrix.login.jwt", fields).unwrap());
    story.posts(LOGIN_URL, json!({"type": "org.matrix.login.jwt", "token": "a.jwt", "refresh_token": true}));
    story.responds(200, GRANTED).session();
}

#[test]
fn a_type_that_is_listed_twice_counts_once() {
    let login_types = offered(
        r#"[{"type":"m.login.token"},{"type":"m.login.password"},{"type":"m.login.token","get_login_token":true},
            {"type":"org.example.badge","colour":"blue"},{"type":"org.example.badge","colour":"red"},
            {"type":"m.login.password"}]"#,
    );
    assert_eq!(names(&login_types), [TOKEN, PASSWORD, "org.example.badge"]);
    assert!(!login_types.get(TOKEN).unwrap().get_login_token());
    assert_eq!(login_types.get("org.example.badge").unwrap().other().get("colour").unwrap(), "blue");
}

#[test]
fn in_a_long_list_each_type_counts_once() {
    let entry = |number: &usize| format!(r#"{{"type":"org.example.{number}"}}"#);
    for length in 1..20 {
        let twice: Vec<String> = (0..length).chain(0..length).map(|number| entry(&number)).collect();
        let in_pairs: Vec<String> = (0..length).flat_map(|number| [entry(&number), entry(&number)]).collect();
        for entries in [twice, in_pairs] {
            let login_types = offered(&format!("[{}]", entries.join(",")));
            let expected: Vec<String> = (0..length).map(|number| format!("org.example.{number}")).collect();
            assert_eq!(names(&login_types), expected);
        }
    }
}

#[test]
fn a_loop_over_the_login_types_sees_each_of_them() {
    let mut seen = Vec::new();
    for login_type in &offered(r#"[{"type":"m.login.token"},{"type":"m.login.password"}]"#) {
        seen.push(login_type.name().to_owned());
    }
    assert_eq!(seen, [TOKEN, PASSWORD]);
}

#[test]
fn the_last_of_two_names_of_an_entry_counts() {
    let login_types = offered(r#"[{"type":"m.login.token","get_login_token":true,"type":"org.example.badge"}]"#);
    let badge = login_types.get("org.example.badge").unwrap();
    assert!(!badge.get_login_token());
    assert_eq!(badge.other().get("get_login_token"), Some(json!(true)));
}

#[test]
fn a_bad_entry_never_spoils_the_list() {
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    for entry in [
        r#"{"stages":["m.login.password"]}"#,
        "{}",
        r#"{"type":null}"#,
        r#"{"type":""}"#,
        r#"{"type":7}"#,
        r#"{"type":["m.login.sso"]}"#,
        r#"{"type":"\ud800"}"#,
        r#"["m.login.sso"]"#,
        r#""m.login.sso""#,
        "null",
        "1e999",
        &deep,
    ] {
        let login_types = offered(&format!(r#"[{entry},{{"type":"m.login.password"}},{entry}]"#));
        assert_eq!(names(&login_types), [PASSWORD], "{entry}");
    }
}

#[test]
fn a_type_with_odd_data_stays_in_the_list() {
    let login_types = offered(
        r#"[{"type":"m.login.token","get_login_token":"yes"},{"type":"m.login.password","x":1e999,"y":"\ud800"},
            {"type":"m.login.sso","oauth_aware_preferred":null,"identity_providers":7},
            {"type":"org.example.badge","x":1e999,"type":"org.example.badge"}]"#,
    );
    assert_eq!(names(&login_types), [TOKEN, PASSWORD, SSO, "org.example.badge"]);
    assert!(!login_types.get(TOKEN).unwrap().get_login_token());
}

#[test]
fn keys_beside_the_list_do_no_harm() {
    let login_types = read("\u{feff} {\"x\":1e999,\"flows\":7,\"flows\":[{\"type\":\"m.login.password\"}]} \n");
    assert_eq!(names(&login_types), [PASSWORD]);
}

// Identity providers.

#[test]
fn a_provider_without_a_name_is_shown_by_its_id() {
    for provider in [
        r#"{"id":"oidc-x"}"#,
        r#"{"id":"oidc-x","name":null}"#,
        r#"{"id":"oidc-x","name":""}"#,
        r#"{"id":"oidc-x","name":7}"#,
        r#"{"id":"oidc-x","name":"\ud800"}"#,
    ] {
        let login_types = offered(&format!(r#"[{{"type":"m.login.sso","identity_providers":[{provider}]}}]"#));
        assert_eq!(providers(&login_types)[0].name(), "oidc-x", "{provider}");
    }
}

#[test]
fn a_provider_without_an_id_is_dropped_and_the_others_stay() {
    let login_types = offered(
        r#"[{"type":"m.login.sso","identity_providers":[{"name":"X"},{"id":null,"name":"X"},{"id":"","name":"X"},
            {"id":7,"name":"X"},null,"oidc-x",[],{"id":"oidc-b","name":"B"},{"id":"oidc-a"}]}]"#,
    );
    let ids: Vec<_> = providers(&login_types).iter().map(IdentityProvider::id).collect();
    assert_eq!(ids, ["oidc-b", "oidc-a"]);
}

#[test]
fn icons_and_brands_are_shown_unchanged_or_not_at_all() {
    for (fields, icon, brand) in [
        (
            r#""icon":"https://example.org/x.png","brand":"org.example""#,
            Some("https://example.org/x.png"),
            Some("org.example"),
        ),
        (r#""icon":null,"brand":null"#, None, None),
        (r#""icon":"","brand":"""#, None, None),
        (r#""icon":7,"brand":{}"#, None, None),
        (r#""other":true"#, None, None),
    ] {
        let login_types =
            offered(&format!(r#"[{{"type":"m.login.sso","identity_providers":[{{"id":"oidc-x",{fields}}}]}}]"#));
        let provider = &providers(&login_types)[0];
        assert_eq!((provider.icon(), provider.brand()), (icon, brand), "{fields}");
    }
}

#[test]
fn single_sign_on_without_a_list_of_providers_is_still_offered() {
    for fields in [
        "",
        r#","identity_providers":null"#,
        r#","identity_providers":[]"#,
        r#","identity_providers":{}"#,
        r#","identity_providers":"oidc-x""#,
    ] {
        let flows = format!(r#"[{{"type":"m.login.sso"{fields}}}]"#);
        assert!(providers(&offered(&flows)).is_empty(), "{fields}");
        let mut story = at_the_question(&flows);
        assert!(story.choose(sso()).browses().path().ends_with("/login/sso/redirect"));
        // The homeserver can have providers all the same.
        let mut story = at_the_question(&flows);
        assert!(story.choose(with_provider("oidc-x")).browses().path().ends_with("/login/sso/redirect/oidc-x"));
    }
}

// What to offer a person.

#[test]
fn a_person_is_never_offered_what_needs_another_token() {
    let login_types = offered(
        r#"[{"type":"m.login.application_service"},{"type":"org.example.badge"},{"type":"m.login.sso"},
            {"type":"m.login.password"},{"type":"m.login.token"}]"#,
    );
    assert_eq!(for_a_person(&login_types), ["org.example.badge", SSO, PASSWORD]);
    // A server whose passwords are switched off.
    let login_types = offered(r#"[{"type":"m.login.application_service"}]"#);
    assert_eq!(for_a_person(&login_types), [""; 0]);
    assert_eq!(names(&login_types), [APPLICATION_SERVICE]);
}

#[test]
fn if_oauth_is_preferred_a_person_sees_only_single_sign_on() {
    const OLD: &str = "org.matrix.msc3824.delegated_oidc_compatibility";
    for (hint, preferred) in [
        (r#""oauth_aware_preferred":true"#.to_owned(), true),
        (format!(r#""{OLD}":true"#), true),
        (format!(r#""oauth_aware_preferred":true,"{OLD}":true"#), true),
        (format!(r#""oauth_aware_preferred":false,"{OLD}":true"#), true),
        (format!(r#""oauth_aware_preferred":true,"{OLD}":false"#), true),
        (format!(r#""oauth_aware_preferred":null,"{OLD}":true"#), true),
        (format!(r#""oauth_aware_preferred":false,"{OLD}":false"#), false),
        (r#""oauth_aware_preferred":null"#.to_owned(), false),
        (r#""oauth_aware_preferred":"true""#.to_owned(), false),
        (r#""oauth_aware_preferred":1"#.to_owned(), false),
        (r#""delegated_oidc_compatibility":true"#.to_owned(), false),
    ] {
        let login_types = offered(&format!(
            r#"[{{"type":"m.login.password"}},{{"type":"m.login.sso",{hint}}},{{"type":"m.login.token"}},
                {{"type":"org.example.badge"}},{{"type":"m.login.application_service"}}]"#
        ));
        assert_eq!(login_types.get(SSO).unwrap().oauth_aware_preferred(), preferred, "{hint}");
        let expected: &[&str] = if preferred { &[SSO] } else { &[PASSWORD, SSO, "org.example.badge"] };
        assert_eq!(for_a_person(&login_types), expected, "{hint}");
        // The hint is a preference for people: the list still has all login types.
        assert_eq!(names(&login_types), [PASSWORD, SSO, TOKEN, "org.example.badge", APPLICATION_SERVICE], "{hint}");
    }
}

/// The login types that matrix-authentication-service offers in the legacy API, as they were recorded.
pub fn of_an_oauth_server() -> String {
    let recorded = include_str!("../transcripts/recorded-oauth/mas-legacy-login-get-mas.json");
    let recorded: Value = serde_json::from_str(recorded).unwrap();
    recorded["response"]["body"].as_str().unwrap().to_owned()
}

#[test]
fn the_legacy_api_of_an_oauth_server_leads_to_the_right_page() {
    for (action, named) in [(Action::Login, "login"), (Action::Register, "register")] {
        let mut story = Scenario::at(HOMESERVER);
        story.responds(200, of_an_oauth_server());
        let Step::Choose { login_types, .. } = story.flow.step() else { panic!("{:?}", story.flow.step()) };
        assert_eq!(for_a_person(login_types), [SSO]);
        assert!(login_types.get(SSO).unwrap().other().is_empty(), "both spellings are read");
        let redirect = Redirect::new("http://127.0.0.1:9/cb", STATE).unwrap().with_action(action);
        let url = story.choose(Choice::sso(redirect)).browses();
        assert_eq!(url.path(), "/_matrix/client/v3/login/sso/redirect");
        let told: Vec<_> = url.query_pairs().filter(|(name, _)| name != "redirectUrl").collect();
        let told_in = |name: &'static str| (name.into(), named.into());
        assert_eq!(told, [told_in("action"), told_in("org.matrix.msc3824.action")]);
        story.callback(CALLBACK);
        story.posts(LOGIN_URL, json!({"type": TOKEN, "token": "t0k3n", "refresh_token": true}));
        story.responds(200, GRANTED).session();
    }
    // A caller can still insist on the password.
    let mut story = Scenario::at(HOMESERVER);
    story.responds(200, of_an_oauth_server()).choose(password()).responds(200, GRANTED).session();
}

#[test]
fn the_hint_on_another_type_does_not_count() {
    let login_types = offered(r#"[{"type":"m.login.password","oauth_aware_preferred":true},{"type":"m.login.token"}]"#);
    assert_eq!(for_a_person(&login_types), [PASSWORD]);
}

// The login types that can be chosen.

#[test]
fn a_caller_can_insist_on_a_type_that_is_not_listed() {
    let token = || Choice::token(LoginToken::new("jwt"));
    // Conduit lists only the password, and accepts login tokens all the same. And a list can be empty.
    for flows in [r#"[{"type":"m.login.password"}]"#, "[]"] {
        let mut story = at_the_question(flows);
        assert!(!token().is_unlisted());
        assert!(matches!(story.flow.choose(token()), Err(Error::NotOffered { .. })), "{flows}");
        assert!(token().unlisted().is_unlisted());
        story.choose(token().unlisted().with_field("org.example.x", 1).unwrap());
        let body = json!({"type": TOKEN, "token": "jwt", "refresh_token": true, "org.example.x": 1});
        story.posts(LOGIN_URL, body).responds(200, GRANTED).session();
    }
    // The same holds for single sign-on, and for an identity provider.
    assert!(at_the_question("[]").choose(sso().unlisted()).browses().path().ends_with("/login/sso/redirect"));
    let mut story = at_the_question(r#"[{"type":"m.login.sso","identity_providers":[{"id":"oidc-y","name":"Y"}]}]"#);
    let choice = with_provider("oidc-x");
    assert!(matches!(story.flow.choose(choice.clone()), Err(Error::NotOffered { .. })));
    assert!(story.choose(choice.unlisted()).browses().path().ends_with("/login/sso/redirect/oidc-x"));
}

#[test]
fn a_type_that_is_not_listed_is_not_offered() {
    let mut story = at_the_question(r#"[{"type":"m.login.token"},{"type":"org.example.badge"}]"#);
    let listed = || vec![TOKEN.to_owned(), "org.example.badge".to_owned()];
    assert_eq!(not_offered(&mut story, password()), (PASSWORD.to_owned(), listed()));
    assert_eq!(not_offered(&mut story, sso()), (SSO.to_owned(), listed()));
    assert_eq!(not_offered(&mut story, with_provider("oidc-x")), (SSO.to_owned(), listed()));
    let custom = Choice::custom("org.example.other", Map::new()).unwrap();
    assert_eq!(not_offered(&mut story, custom), ("org.example.other".to_owned(), listed()));
    story.choose(Choice::token(LoginToken::new("t"))).responds(200, GRANTED).session();
}

#[test]
fn a_homeserver_that_lists_nothing_offers_nothing() {
    let mut story = at_the_question("[]");
    story.asks(&[]);
    assert_eq!(not_offered(&mut story, password()), (PASSWORD.to_owned(), Vec::new()));
}

#[test]
fn an_identity_provider_that_is_not_listed_is_not_offered() {
    let flows = r#"[{"type":"m.login.sso","identity_providers":[{"id":"oidc-x","name":"X"},{"id":"oidc-y"}]}]"#;
    for id in ["oidc-z", "OIDC-X", "X"] {
        let (choice, listed) = not_offered(&mut at_the_question(flows), with_provider(id));
        assert!(choice.contains(id), "{choice}");
        assert_eq!(listed, ["oidc-x", "oidc-y"]);
    }
    at_the_question(flows).choose(with_provider("oidc-y")).browses();
    at_the_question(flows).choose(sso()).browses();
}

#[test]
fn the_token_login_of_single_sign_on_need_not_be_listed() {
    let mut story = at_the_question(r#"[{"type":"m.login.sso"}]"#);
    assert_eq!(not_offered(&mut story, Choice::token(LoginToken::new("t"))), (TOKEN.to_owned(), vec![SSO.to_owned()]));
    story.choose(sso()).callback(CALLBACK).responds(200, GRANTED).session();
}

// Responses that list nothing.

#[test]
fn a_response_without_a_list_is_invalid() {
    for body in [
        "{}",
        r#"{"flows":null}"#,
        r#"{"flows":{}}"#,
        r#"{"flows":{"0":{"type":"m.login.password"}}}"#,
        r#"{"flows":"m.login.password"}"#,
        r#"{"flows":true}"#,
        r#"{"flow":[{"type":"m.login.password"}]}"#,
        r#"{"flows":[{"type":"m.login.password"}],"flows":null}"#,
    ] {
        let mut story = Scenario::at(HOMESERVER);
        assert_eq!(invalid_field(&story.fails(200, body)), "`flows`", "{body}");
        story.gets(LOGIN_URL).responds(200, r#"{"flows":[{"type":"m.login.password"}]}"#).asks(&[PASSWORD]);
    }
}

#[test]
fn a_response_that_is_not_an_object_is_invalid() {
    for body in [
        r#"[[{"type":"m.login.password"}]]"#,
        r#"{"flows":[{"type":"m.login.password"}]"#,
        r#"{"flows":[{"type":"m.login.password"},]}"#,
        r#"{"flows":[]}{"flows":[]}"#,
        "null",
    ] {
        let mut story = Scenario::at(HOMESERVER);
        assert_eq!(invalid_field(&story.fails(200, body)), "the body", "{body}");
    }
    let too_long = Scenario::at(HOMESERVER).fails(200, format!(r#"{{"flows":[]}}{}"#, " ".repeat(MAX_BODY)));
    assert!(
        matches!(too_long, Error::Response(ResponseError::TooLarge { length, .. }) if length == MAX_BODY + 12),
        "{too_long}"
    );
}

#[test]
fn a_homeserver_without_the_request_has_no_legacy_login() {
    for (status, body) in [
        (404, r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#),
        (404, r#"{"errcode":"M_UNRECOGNIZED"}"#),
        // Older servers.
        (400, r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#),
        (405, r#"{"errcode":"M_UNRECOGNIZED"}"#),
    ] {
        let mut story = Scenario::at(HOMESERVER);
        let error = story.fails(status, body);
        assert!(matches!(error, Error::Response(ResponseError::LoginUnsupported)), "{status} {body}: {error:?}");
        story.gets(LOGIN_URL);
    }
}

#[test]
fn a_page_in_place_of_the_list_is_not_a_missing_login() {
    for (status, body) in
        [(404, "<html>404 Not Found</html>"), (404, ""), (404, "{}"), (200, "<!DOCTYPE html>"), (200, "")]
    {
        let error = Scenario::at(HOMESERVER).fails(status, body);
        assert_eq!(not_matrix(&error).as_u16(), status, "{body}");
        assert!(!error.may_retry());
    }
}

#[test]
fn any_other_error_is_shown_as_the_server_says_it() {
    for (status, errcode) in [(404, "M_NOT_FOUND"), (400, "M_UNKNOWN"), (403, "M_FORBIDDEN"), (500, "M_UNRECOGNIZED")] {
        match Scenario::at(HOMESERVER).fails(status, json!({"errcode": errcode}).to_string()) {
            Error::Response(ResponseError::Server(error)) => {
                assert_eq!(error.status, StatusCode::from_u16(status).ok());
                assert_eq!(error.errcode.as_deref(), Some(errcode));
            }
            error => panic!("{error:?}"),
        }
    }
}
