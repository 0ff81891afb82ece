//! Everything that a caller sets can be read again, under its plain name.

use matrix_login::{
    AccessToken, Action, Choice, Credentials, Fields, HttpsUrl, LoginFlow, LoginSettings, LoginToken, OAuthClient,
    Password, Redirect, Session, Suspended, UserIdentifier,
    endpoint::{
        get_token, login, login_fallback, login_types, logout, logout_all,
        oauth::{auth_metadata, device_authorization, registration, revocation, token},
        refresh as refresh_endpoint, sso, versions, well_known, whoami,
    },
};
use serde_json::{Map, Value, json};

use crate::{
    refresh,
    support::scenario::{self, CALLBACK, GRANTED, HOMESERVER, OFFERS, STATE, Scenario, VERSIONS, WELL_KNOWN, password},
};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

// Settings.

/// All settings, in the order of their declaration.
fn read(settings: &LoginSettings) -> (Option<&str>, Option<&str>, bool, bool, bool) {
    (
        settings.device_id(),
        settings.initial_device_display_name(),
        settings.refresh_tokens(),
        settings.require_refresh_token(),
        settings.follow_well_known(),
    )
}

#[test]
fn each_setting_is_read_back_and_changes_no_other() {
    let default = LoginSettings::default;
    assert_eq!(read(&default()), (None, None, true, true, true));
    assert_eq!(read(&default().with_device_id("D").unwrap()), (Some("D"), None, true, true, true));
    assert_eq!(read(&default().with_initial_device_display_name("n")), (None, Some("n"), true, true, true));
    assert_eq!(read(&default().with_refresh_tokens(false)), (None, None, false, true, true));
    assert_eq!(read(&default().with_require_refresh_token(false)), (None, None, true, false, true));
    assert_eq!(read(&default().with_follow_well_known(false)), (None, None, true, true, false));
    let off = default().with_refresh_tokens(false).with_require_refresh_token(false).with_follow_well_known(false);
    assert_eq!(read(&off.with_refresh_tokens(true)), (None, None, true, false, false));
}

#[test]
fn the_client_of_the_settings_is_read_back_and_changes_no_other() {
    assert_eq!(LoginSettings::default().oauth(), None);
    let client = OAuthClient::registered("client").unwrap();
    let settings = LoginSettings::default().with_device_id("D").unwrap().with_oauth(client.clone());
    assert_eq!(settings.oauth(), Some(&client));
    assert_eq!(read(&settings), (Some("D"), None, true, true, true));
}

// Redirects.

#[test]
fn a_redirect_is_read_back() {
    let redirect = Redirect::new("http://127.0.0.1:9/cb?a=b#c", STATE).unwrap();
    assert_eq!(redirect.url().as_str(), "http://127.0.0.1:9/cb?a=b#c", "without the state");
    assert_eq!(redirect.state(), STATE);
    assert_eq!((redirect.identity_provider(), redirect.action()), (None, Action::Login));
    let redirect = redirect.with_identity_provider("oidc-x").unwrap();
    assert_eq!((redirect.identity_provider(), redirect.action()), (Some("oidc-x"), Action::Login));
    for action in [Action::Login, Action::Register] {
        let redirect = redirect.clone().with_action(action);
        assert_eq!((redirect.identity_provider(), redirect.action()), (Some("oidc-x"), action));
        assert_eq!(redirect.state(), STATE);
    }
}

#[test]
fn a_redirect_can_ask_for_a_callback_in_the_query() {
    for (url, by_default) in
        [("https://app.example.com/cb", false), ("https://127.0.0.1/cb", true), ("com.example.app:/cb", true)]
    {
        let redirect = Redirect::new(url, STATE).unwrap();
        assert_eq!((redirect.is_in_query(), redirect.in_query().is_in_query()), (by_default, true), "{url}");
    }
}

#[test]
fn a_redirect_has_no_parameter_that_a_server_adds() {
    for name in ["state", "loginToken", "code", "error", "error_description", "iss"] {
        for url in [format!("http://127.0.0.1/cb?{name}=x"), format!("com.example.app:/cb?a=b&{name}")] {
            assert_eq!(
                Redirect::new(&url, STATE).unwrap_err().to_string(),
                "invalid redirect URL: expected a query without `state`, `loginToken`, `code`, `error`, \
                 `error_description` and `iss`"
            );
        }
    }
}

// Choices.

fn credentials() -> [Credentials; 4] {
    [
        Credentials::password(UserIdentifier::user("alice"), Password::new("wonderland")),
        Credentials::token(LoginToken::new("t")),
        Credentials::application_service(UserIdentifier::user("bot"), AccessToken::new("t").unwrap()),
        Credentials::custom("org.example.badge", object(json!({"number": 7}))).unwrap(),
    ]
}

const CREDENTIAL_TYPES: [&str; 4] =
    ["m.login.password", "m.login.token", "m.login.application_service", "org.example.badge"];

#[test]
fn credentials_are_read_back_and_so_is_a_choice_of_them() {
    for (credentials, login_type) in credentials().into_iter().zip(CREDENTIAL_TYPES) {
        assert_eq!(credentials.login_type(), login_type);
        assert!(credentials.fields().is_empty(), "{login_type}: the fields of the type itself are not added fields");
        let credentials = credentials.with_field("org.example.x", json!([1])).unwrap();
        assert_eq!(json!(credentials.fields()), json!({"org.example.x": [1]}));

        let choice = Choice::from(credentials);
        assert_eq!(choice.login_type(), login_type);
        assert_eq!(json!(choice.fields()), json!({"org.example.x": [1]}));
        assert!(choice.redirect().is_none());
        let choice = choice.with_field("org.example.y", 2).unwrap();
        assert_eq!(json!(choice.fields()), json!({"org.example.x": [1], "org.example.y": 2}));
        let credentials = choice.credentials().unwrap();
        assert_eq!(credentials.login_type(), login_type);
        assert_eq!(json!(credentials.fields()), json!(choice.fields()));
    }
}

#[test]
fn a_choice_of_single_sign_on_has_a_redirect_and_no_credentials() {
    let choice = scenario::sso();
    assert_eq!(choice.login_type(), "m.login.sso");
    assert!(choice.credentials().is_none());
    assert!(choice.fields().is_empty());
    let choice = choice.with_field("org.example.x", true).unwrap();
    assert_eq!(json!(choice.fields()), json!({"org.example.x": true}));
    assert_eq!(choice.redirect().unwrap().state(), STATE);
    assert_eq!(choice.redirect().unwrap().url().as_str(), "http://127.0.0.1:9/cb");
}

#[test]
fn a_choice_of_the_code_grant_is_read_back() {
    let choice = scenario::code();
    assert_eq!(choice.login_type(), "authorization_code");
    assert!(choice.credentials().is_none() && choice.fields().is_empty() && choice.device_id().is_none());
    assert_eq!(choice.redirect().unwrap().state(), STATE);
    let choice = choice.with_device_id("KITCHENTABLET").unwrap();
    assert_eq!(choice.device_id(), Some("KITCHENTABLET"));
    let choice = choice.with_field("login_hint", "alice").and_then(|choice| choice.with_field("max_age", 7)).unwrap();
    assert_eq!(json!(choice.fields()), json!({"login_hint": "alice", "max_age": 7}));
    assert_eq!(choice.device_id(), Some("KITCHENTABLET"));
}

#[test]
fn a_choice_of_the_device_grant_is_read_back() {
    let choice = Choice::device_authorization();
    assert_eq!(choice.login_type(), "urn:ietf:params:oauth:grant-type:device_code");
    assert!(choice.credentials().is_none() && choice.redirect().is_none() && choice.fields().is_empty());
    assert_eq!((choice.device_id(), choice.is_unlisted()), (None, false));
    let choice = choice.with_device_id("KITCHENTABLET").unwrap().unlisted();
    assert_eq!((choice.device_id(), choice.is_unlisted()), (Some("KITCHENTABLET"), true));
}

#[test]
fn a_code_to_show_is_read_back() {
    let story = Scenario::showing_a_code();
    let code = story.code();
    assert_eq!(code.user_code(), "WDJB-MJHT");
    assert_eq!(code.verification_uri().as_str(), "https://auth.example.org/link");
    let complete = code.verification_uri_complete().map(url::Url::as_str);
    assert_eq!(complete, Some("https://auth.example.org/link?code=WDJB-MJHT"));
    assert_eq!(code.expires_in(), Some(scenario::CODE_LIFETIME));
    assert_eq!(code.expires_at(), Some(scenario::noon() + scenario::CODE_LIFETIME));
    let seven = std::time::Duration::from_secs(7);
    assert_eq!((code.interval(), code.delay(), code.remaining(scenario::noon())), (seven, seven, seven));
    assert!(code.is_new());

    let mut story = Scenario::asking_for_a_code_to_show();
    let least = r#"{"device_code":"d","user_code":"u","verification_uri":"https://auth.example.org/#link"}"#;
    let code = story.responds(200, least).code();
    assert_eq!(code.verification_uri().as_str(), "https://auth.example.org/#link");
    assert!(code.verification_uri_complete().is_none() && code.expires_in().is_none() && code.expires_at().is_none());
}

#[test]
fn a_code_is_known_as_long_as_the_flow_polls() {
    let code = |story: &Scenario| story.flow.shown_code().map(|code| code.user_code().to_owned());
    let mut story = Scenario::asking_for_a_code_to_show();
    assert_eq!(code(&story), None);
    story.responds(200, scenario::CODE_TO_SHOW);
    assert_eq!(code(&story).as_deref(), Some("WDJB-MJHT"));
    story.timeout();
    assert_eq!(code(&story).as_deref(), Some("WDJB-MJHT"));
    story.responds(429, "");
    assert_eq!(code(&story).as_deref(), Some("WDJB-MJHT"));
    story.timeout().responds(403, scenario::PENDING);
    assert_eq!(code(&story).as_deref(), Some("WDJB-MJHT"));
    story.timeout().responds(200, scenario::TOKENS);
    assert_eq!(code(&story), None);
}

#[test]
fn only_an_oauth_choice_has_a_device_of_its_own() {
    for choice in [password(), scenario::sso()] {
        assert_eq!(
            choice.with_device_id("KITCHENTABLET").unwrap_err().to_string(),
            "invalid device ID: expected an OAuth 2.0 login: other logins take the device ID from the settings"
        );
    }
}

#[test]
fn credentials_alone_make_the_request_that_a_choice_makes() {
    let homeserver = HOMESERVER.parse().unwrap();
    for credentials in credentials() {
        let request = login::request(&homeserver, &credentials, &LoginSettings::default());
        let mut story = Scenario::at_the_question();
        story.choose(credentials.into());
        let line = crate::support::replay::step_line(&story.flow.step(), scenario::noon());
        assert_eq!(line["body"], serde_json::from_slice::<Value>(request.body()).unwrap());
    }
}

// Flows.

fn kitchen() -> LoginSettings {
    LoginSettings::default().with_device_id("KITCHEN").unwrap().with_refresh_tokens(false)
}

/// Settings, server name, homeserver and expected user of a flow.
fn known(flow: &LoginFlow) -> [Option<String>; 4] {
    [
        flow.settings().device_id().map(str::to_owned),
        flow.server_name().map(ToString::to_string),
        flow.homeserver().map(ToString::to_string),
        flow.expected_user().map(ToString::to_string),
    ]
}

/// The same values, read from the suspended form of the flow. The form goes through JSON first.
fn known_when_suspended(flow: &LoginFlow) -> [Option<String>; 4] {
    let stored = serde_json::to_string(&flow.suspend().unwrap()).unwrap();
    let suspended: Suspended = serde_json::from_str(&stored).unwrap();
    assert_eq!(suspended.settings(), flow.settings());
    [
        suspended.settings().device_id().map(str::to_owned),
        suspended.server_name().map(ToString::to_string),
        suspended.homeserver().map(ToString::to_string),
        suspended.expected_user().map(ToString::to_string),
    ]
}

fn some<const N: usize>(known: [&str; N]) -> [Option<String>; N] {
    known.map(|known| (!known.is_empty()).then(|| known.to_owned()))
}

#[test]
fn a_flow_that_discovers_knows_its_server_name_to_the_end() {
    let mut story = Scenario::of(LoginFlow::discover("example.org:8448".parse().unwrap(), kitchen()));
    let looking = some(["KITCHEN", "example.org:8448", "", ""]);
    assert_eq!((known(&story.flow), known_when_suspended(&story.flow)), (looking.clone(), looking.clone()));
    // The flow knows the address. The suspended form leaves it out, because a resumed discovery starts over.
    story.responds(200, WELL_KNOWN);
    let found = some(["KITCHEN", "example.org:8448", HOMESERVER, ""]);
    assert_eq!((known(&story.flow), known_when_suspended(&story.flow)), (found.clone(), looking.clone()));
    story.responds(429, "");
    assert_eq!((known(&story.flow), known_when_suspended(&story.flow)), (found.clone(), looking));
    let suspended = some(["KITCHEN", "", HOMESERVER, ""]);
    story.timeout().responds(200, VERSIONS);
    assert_eq!((known(&story.flow), known_when_suspended(&story.flow)), (found.clone(), suspended.clone()));
    story.responds(200, OFFERS);
    assert_eq!((known(&story.flow), known_when_suspended(&story.flow)), (found.clone(), suspended.clone()));
    story.choose(password());
    assert_eq!((known(&story.flow), known_when_suspended(&story.flow)), (found.clone(), suspended));
    story.responds(200, GRANTED);
    assert_eq!(known(&story.flow), found);
}

#[test]
fn a_flow_that_found_nothing_knows_only_its_server_name() {
    let mut story = Scenario::lost();
    let looking = some(["", "example.org", "", ""]);
    assert_eq!((known(&story.flow), known_when_suspended(&story.flow)), (looking.clone(), looking));
    story.use_homeserver(HOMESERVER);
    assert_eq!(known(&story.flow), some(["", "example.org", HOMESERVER, ""]));
    story.suspend();
    assert_eq!(known(&story.flow), some(["", "", HOMESERVER, ""]));
}

#[test]
fn a_flow_in_the_browser_keeps_its_homeserver_when_suspended() {
    let mut story = Scenario::at_the_question_with(kitchen());
    story.choose(scenario::sso());
    let browsing = some(["KITCHEN", "", HOMESERVER, ""]);
    assert_eq!((known(&story.flow), known_when_suspended(&story.flow)), (browsing.clone(), browsing.clone()));
    story.suspend();
    assert_eq!(known(&story.flow), browsing);
    story.callback(CALLBACK);
    assert_eq!(known(&story.flow), browsing);
}

#[test]
fn a_flow_that_logs_in_again_knows_the_user_and_the_device() {
    let session = refresh::session(refresh::stored());
    let mut story = Scenario::of(LoginFlow::again(&session, kitchen()));
    let again = some(["DEVICEID", "", HOMESERVER, "@alice:example.org"]);
    assert_eq!((known(&story.flow), known_when_suspended(&story.flow)), (again.clone(), again.clone()));
    assert!(!story.flow.settings().refresh_tokens());
    story.suspend();
    assert_eq!(known(&story.flow), again);
    story.responds(200, OFFERS).choose(password()).responds(200, GRANTED);
    assert_eq!(known(&story.flow), again);
}

#[test]
fn a_flow_that_discovers_for_a_session_knows_the_server() {
    let session = Session::from_json(GRANTED).unwrap().unwrap();
    let looking = some(["DEVICEID", "example.org", "", "@alice:example.org"]);
    let mut story = Scenario::of(LoginFlow::again(&session, LoginSettings::default()));
    assert_eq!((known(&story.flow), known_when_suspended(&story.flow)), (looking.clone(), looking.clone()));
    story.suspend();
    assert_eq!(known(&story.flow), looking);
}

#[test]
fn a_flow_that_begins_logged_in_knows_what_its_session_knows() {
    let flow = LoginFlow::logged_in(refresh::session(refresh::stored()));
    assert_eq!(known(&flow), some(["", "", HOMESERVER, ""]));
    assert_eq!(flow.settings(), &LoginSettings::default());
}

// Login types.

#[test]
fn the_keys_of_a_login_type_that_are_not_read_are_kept() {
    let body = json!({"flows": [
        {"type": "m.login.password", "x": 1},
        {"type": "m.login.token", "get_login_token": true, "x": 2},
        {
            "type": "m.login.sso", "identity_providers": [{"id": "oidc-x"}], "oauth_aware_preferred": true,
            "org.matrix.msc3824.delegated_oidc_compatibility": true, "x": 3,
        },
        {"type": "org.example.badge", "get_login_token": true, "identity_providers": [], "x": 4},
    ]});
    let login_types = login_types::response(&scenario::served(200, &[], body.to_string())).unwrap();
    let other = |name| json!(login_types.get(name).unwrap().other());
    assert_eq!(other("m.login.password"), json!({"x": 1}));
    assert_eq!(other("m.login.token"), json!({"x": 2}));
    assert_eq!(other("m.login.sso"), json!({"x": 3}));
    assert_eq!(other("org.example.badge"), json!({"get_login_token": true, "identity_providers": [], "x": 4}));
    let badge = login_types.get("org.example.badge").unwrap();
    assert!(!badge.get_login_token() && badge.identity_providers().is_empty() && !badge.oauth_aware_preferred());
}

#[test]
fn added_fields_can_be_taken_apart() {
    let fields = Fields::from(object(json!({"x": 1})));
    assert_eq!((fields.get("x"), fields.get("y"), fields.is_empty()), (Some(json!(1)), None, false));
    assert_eq!(Map::from(&fields), object(json!({"x": 1})));

    // A key that is not valid text is not equal to a key with the replacement character.
    let fields: Fields = r#"{"\ud800": 1, "\ufffd": 2, "\udc00": 3}"#.parse().unwrap();
    assert_eq!(fields.get("\u{fffd}"), Some(json!(2)));
    assert_eq!(Map::from(&fields), object(json!({"\u{fffd}": 2})));

    // The last of duplicate keys counts, also if no `Value` can hold its number.
    let fields: Fields = r#"{"x": 1, "y": 2, "x": 1e999}"#.parse().unwrap();
    assert_eq!((fields.get("x"), fields.text_of("x")), (None, Some("1e999")));
    assert_eq!(Map::from(&fields), object(json!({"y": 2})));
}

// Endpoints.

#[test]
fn each_endpoint_has_its_method_and_path() {
    for (endpoint, method, path) in [
        (get_token::ENDPOINT, "POST", "/_matrix/client/v1/login/get_token"),
        (login::ENDPOINT, "POST", "/_matrix/client/v3/login"),
        (login_fallback::ENDPOINT, "GET", "/_matrix/static/client/login/"),
        (login_types::ENDPOINT, "GET", "/_matrix/client/v3/login"),
        (logout::ENDPOINT, "POST", "/_matrix/client/v3/logout"),
        (logout_all::ENDPOINT, "POST", "/_matrix/client/v3/logout/all"),
        (refresh_endpoint::ENDPOINT, "POST", "/_matrix/client/v3/refresh"),
        (sso::ENDPOINT, "GET", "/_matrix/client/v3/login/sso/redirect"),
        (versions::ENDPOINT, "GET", "/_matrix/client/versions"),
        (well_known::ENDPOINT, "GET", "/.well-known/matrix/client"),
        (whoami::ENDPOINT, "GET", "/_matrix/client/v3/account/whoami"),
        (auth_metadata::ENDPOINT, "GET", "/_matrix/client/v1/auth_metadata"),
        // The addresses of these endpoints are in the metadata.
        (registration::ENDPOINT, "POST", "registration_endpoint"),
        (token::ENDPOINT, "POST", "token_endpoint"),
        (revocation::ENDPOINT, "POST", "revocation_endpoint"),
    ] {
        assert_eq!((endpoint.method().as_str(), endpoint.path()), (method, path));
        assert_eq!(endpoint.to_string(), format!("{method} {path}"));
    }
}

#[test]
fn a_request_goes_where_its_endpoint_says() {
    let homeserver = "https://hs.example.org/prefix".parse().unwrap();
    let token = AccessToken::new("t").unwrap();
    let refresh_token = matrix_login::RefreshToken::new("r");
    let [password, ..] = credentials();
    for (endpoint, request) in [
        (get_token::ENDPOINT, get_token::request(&homeserver, &token, None)),
        (login::ENDPOINT, login::request(&homeserver, &password, &LoginSettings::default())),
        (login_types::ENDPOINT, login_types::request(&homeserver)),
        (logout::ENDPOINT, logout::request(&homeserver, &token)),
        (logout_all::ENDPOINT, logout_all::request(&homeserver, &token)),
        (refresh_endpoint::ENDPOINT, refresh_endpoint::request(&homeserver, &refresh_token)),
        (versions::ENDPOINT, versions::request(&homeserver)),
        (whoami::ENDPOINT, whoami::request(&homeserver, &token)),
        (auth_metadata::ENDPOINT, auth_metadata::request(&homeserver)),
    ] {
        assert_eq!(request.method(), endpoint.method());
        assert_eq!(request.uri().path(), format!("/prefix{}", endpoint.path()));
    }
    let redirect = Redirect::new("http://127.0.0.1:9/cb", STATE).unwrap();
    let well_known = well_known::request(&"example.org".parse().unwrap());
    for (endpoint, path) in [
        (sso::ENDPOINT, sso::request(&homeserver, &redirect).path().to_owned()),
        (login_fallback::ENDPOINT, login_fallback::request(&homeserver, &LoginSettings::default()).path().to_owned()),
    ] {
        assert_eq!(path, format!("/prefix{}", endpoint.path()));
    }
    assert_eq!(well_known.uri().path(), well_known::ENDPOINT.path());
}

#[test]
fn a_request_to_an_oauth_server_goes_where_its_metadata_say() {
    let endpoint: HttpsUrl = "https://auth.example.org/x?y=z".parse().unwrap();
    let client = OAuthClient::new("https://app.example.com/".parse().unwrap(), "Example");
    let (access_token, refresh_token) = (AccessToken::new("t").unwrap(), matrix_login::RefreshToken::new("r"));
    let device_id = matrix_login::DeviceId::new("KITCHENTABLET").unwrap();
    for (named, request) in [
        (registration::ENDPOINT, registration::request(&endpoint, &client, &[]).unwrap()),
        (device_authorization::ENDPOINT, device_authorization::request(&endpoint, "client", &device_id)),
        (token::ENDPOINT, token::request(&endpoint, "client", token::Grant::RefreshToken(&refresh_token))),
        (revocation::ENDPOINT, revocation::request(&endpoint, "client", revocation::Token::Access(&access_token))),
    ] {
        assert_eq!((request.method(), request.uri().to_string().as_str()), (named.method(), endpoint.as_str()));
    }
}
