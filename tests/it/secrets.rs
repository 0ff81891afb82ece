//! Secrets are planted in every input. The tests search every output for them, except the request that must contain
//! them.

use std::{error::Error as StdError, time::SystemTime};

use http::{Request, Response};
use matrix_login::{
    AccessToken, BodyCollector, Choice, CodeVerifier, Credentials, DriveError, Error, LoginFlow, LoginSettings,
    LoginToken, OAuthClient, Password, Pause, Redirect, RefreshToken, Session, SessionError, Step, Suspended, Typed,
    UserIdentifier, blocking,
    endpoint::{
        login, login_types, logout,
        oauth::{
            auth_metadata,
            authorization::{self, AuthorizationCode},
            device_authorization, registration, revocation,
            token::{self, DeviceCode, Grant},
        },
        refresh, versions, well_known, whoami,
    },
};
use serde_json::{Map, Value, json};

use crate::{
    auth_metadata::{document, read},
    support::scenario::{HOMESERVER, OFFERS, Scenario, noon, respond, served},
};

/// The text in every planted secret.
const SECRET: &str = "s3cr3t";
/// A planted secret that a server sends as a number.
const SECRET_NUMBER: u64 = 5_317_008_853;

fn clean(what: &str, text: &str) {
    let leaks = text.contains(SECRET) || text.contains(&SECRET_NUMBER.to_string());
    assert!(!leaks, "{what} shows a secret: {text}");
}

fn clean_debug(what: &str, value: &impl std::fmt::Debug) {
    clean(what, &format!("{value:?}"));
    clean(what, &format!("{value:#?}"));
}

fn clean_error(what: &str, error: &(impl StdError + 'static)) {
    clean_debug(what, error);
    let mut source: Option<&dyn StdError> = Some(error);
    while let Some(error) = source {
        clean(what, &error.to_string());
        source = error.source();
    }
}

/// Checks everything that a flow shows, except the request and the session, which the caller must be able to use.
fn clean_flow(what: &str, flow: &LoginFlow) {
    clean_debug(what, flow);
    clean_debug(what, &flow.step());
    if let Some(suspended) = flow.suspend() {
        clean_debug(what, &suspended);
        clean(what, &serde_json::to_string(&suspended).unwrap());
    }
}

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn choices() -> Vec<Choice> {
    let custom_identifier =
        UserIdentifier::custom("org.example.badge", fields(json!({"pin": "s3cr3t", "number": SECRET_NUMBER}))).unwrap();
    let user = || UserIdentifier::user("alice");
    let choices = vec![
        Choice::password(user(), Password::new("s3cr3t")),
        Choice::password(custom_identifier, Password::new("s3cr3t")),
        Choice::token(LoginToken::new("s3cr3t")),
        Choice::application_service(user(), AccessToken::new("s3cr3t").unwrap()),
        Choice::custom("org.example.badge", fields(json!({"token": "s3cr3t", "n": SECRET_NUMBER}))).unwrap(),
        Choice::sso(Redirect::new("http://127.0.0.1:9/cb", "0123456789-s3cr3t").unwrap()),
    ];
    choices.into_iter().map(|choice| choice.with_field("org.example.x", json!({"deep": ["s3cr3t"]})).unwrap()).collect()
}

/// Responses to POST /login that contain tokens: whole responses, and responses with every kind of error.
fn login_responses() -> Vec<Response<Vec<u8>>> {
    let bodies = [
        r#"{"user_id":"@a:b","device_id":"D","access_token":"s3cr3t","refresh_token":"s3cr3t","expires_in_ms":9,
            "other":"s3cr3t","well_known":{"x":"s3cr3t"}}"#,
        r#"{"user_id":"@a:b","device_id":"D","access_token":"s3cr3t","expires_in_ms":9}"#,
        r#"{"user_id":"@a:b","device_id":"D","access_token":"s3cr3t","refresh_token":["s3cr3t"],
            "well_known":"s3cr3t"}"#,
        r#"{"user_id":"@a:b","device_id":"D","access_token":["s3cr3t"]}"#,
        r#"{"user_id":"@a:b","device_id":"D","access_token":{"s3cr3t":1}}"#,
        r#"{"user_id":"@a:b","device_id":"D","access_token":5317008853}"#,
        r#"{"user_id":"@a:b","device_id":"D","access_token":"s3cr3t\n"}"#,
        r#"{"user_id":"s3cr3t","device_id":"D","access_token":"s3cr3t"}"#,
        r#"{"user_id":"@a:b","device_id":["s3cr3t"],"access_token":"s3cr3t"}"#,
        r#"{"user_id":"@a:b","device_id":"D","access_token":"s3cr3t"#,
        r#"["s3cr3t"]"#,
        r#""s3cr3t""#,
        "s3cr3t",
        "<html>s3cr3t</html>",
    ];
    let statuses = [200, 202, 301, 401, 403, 429, 500, 502];
    let mut responses: Vec<_> =
        statuses.iter().flat_map(|status| bodies.map(|body| served(*status, &[], body))).collect();
    responses.push(served(200, &[("x-secret", "s3cr3t")], format!("{}s3cr3t", " ".repeat(matrix_login::MAX_BODY))));
    let fields = r#"{"errcode":"M_FORBIDDEN","x":"s3cr3t","retry_after_ms":"s3cr3t","soft_logout":"s3cr3t"}"#;
    responses.extend([served(403, &[], fields), served(429, &[("retry-after", "s3cr3t")], fields)]);
    responses
}

#[test]
fn the_planted_secrets_exist() {
    for choice in choices() {
        let mut story = Scenario::at_the_question();
        story.choose(choice);
        let step = crate::support::replay::step_line(&story.flow.step(), noon()).to_string();
        assert!(step.contains(SECRET), "{step}");
    }
}

#[test]
fn choices_and_secrets_hide_themselves() {
    for choice in choices() {
        clean_debug("choice", &choice);
    }
    clean_debug("password", &Password::new("s3cr3t"));
    clean_debug("login token", &LoginToken::new("s3cr3t"));
    clean_debug("access token", &AccessToken::new("s3cr3t"));
    clean_debug("refresh token", &RefreshToken::new("s3cr3t"));
    assert_eq!(format!("{:?}", Password::new("s3cr3t")), "[redacted]");
    clean_error("access token", &AccessToken::new("s3cr3t\n").unwrap_err());
    clean_error("custom", &Choice::custom("x", fields(json!({"device_id": "s3cr3t"}))).unwrap_err());
    clean_error("field", &choices().remove(0).with_field("password", "s3cr3t").unwrap_err());
    clean_error("msisdn", &UserIdentifier::msisdn("s3cr3t").unwrap_err());
    clean_error("country", &UserIdentifier::phone("s3cr3t", "1").unwrap_err());
    clean_error("state", &Redirect::new("http://a/", "s3cr3t").unwrap_err());
    clean_error("device ID", &LoginSettings::default().with_device_id("").unwrap_err());
}

#[test]
fn a_password_in_the_field_for_the_user_is_not_quoted() {
    for text in ["s3cr3t", "s3cr3t@example.org", "s3cr3t:example.org", "https://s3cr3t@example.org/", "s3cr3t word!"] {
        let typed: Typed = text.parse().unwrap();
        clean_debug("typed", &typed);
        typed.meanings().for_each(|meaning| clean_debug("meaning", meaning));
    }
    for text in ["@s3cr3t:", "s3cr3t@", "#s3cr3t", "s3cr3t:", "https://s3cr3t:s3cr3t", "matrix:r/s3cr3t"] {
        clean_error("typed", &text.parse::<Typed>().unwrap_err());
    }
}

#[test]
fn a_flow_hides_its_inputs_and_the_responses() {
    for choice in choices() {
        let mut asked = Scenario::at_the_question().flow;
        asked.choose(choice).unwrap();
        // The state is a part of the suspended form, and of nothing else.
        clean_debug("flow", &asked);
        clean_debug("step", &asked.step());
        clean_debug("suspended", &asked.suspend());
        if matches!(asked.step(), Step::Browse(_)) {
            asked
                .handle_callback(&"http://127.0.0.1:9/cb?state=0123456789-s3cr3t&loginToken=s3cr3t".parse().unwrap())
                .unwrap();
        }
        clean_flow("flow", &asked);
        for response in login_responses() {
            let mut flow = asked.clone();
            if let Err(error) = respond(&mut flow, &response, noon()) {
                clean_error("login response", &error);
            }
            clean_flow("flow after the response", &flow);
        }
    }
}

#[test]
fn foreign_callbacks_are_not_quoted() {
    let flow = &mut Scenario::in_the_browser().flow;
    let error = flow.handle_callback(&"http://127.0.0.1:9/cb?loginToken=s3cr3t".parse().unwrap()).unwrap_err();
    clean_error("callback", &error);
    clean_flow("flow", flow);
}

#[test]
fn pure_functions_hide_what_they_read() {
    for response in login_responses() {
        fn clean_result<T: std::fmt::Debug, E: StdError + 'static>(what: &str, result: &Result<T, E>) {
            clean_debug(what, result);
            if let Err(error) = result {
                clean_error(what, error);
            }
        }
        clean_result("login", &login::response(&response));
        clean_result("login types", &login_types::response(&response));
        clean_result("versions", &versions::response(&response));
        clean_result("well-known", &well_known::response(&response));
        clean_result("refresh", &refresh::response(&response));
        clean_result("logout", &logout::response(&response));
        clean_result("whoami", &whoami::response(&response));
    }
}

#[test]
fn a_session_hides_its_tokens_however_a_refresh_ends() {
    let stored = json!({
        "access_token": "s3cr3t", "refresh_token": "s3cr3t", "user_id": "@a:b", "device_id": "D",
        "base_client_url": "https://hs.example.org/_matrix/client/",
    });
    let session = Session::from_json(stored.to_string()).unwrap().unwrap();
    let id = Scenario::at("https://hs.example.org").request_id();
    let step = Step::Send { id, request: session.refresh_request().unwrap() };
    assert!(crate::support::replay::step_line(&step, noon()).to_string().contains(SECRET));
    clean_debug("refresh request", &step);
    for response in login_responses() {
        let mut session = session.clone();
        clean_debug("refresh", &session.handle_refresh(&response, noon()));
        clean_debug("verdict", &session.judge(&response));
        clean_debug("session", &session);
    }
}

#[test]
fn the_session_of_another_user_is_not_quoted() {
    let stored = json!({"access_token": "s3cr3t", "user_id": "@nobody:b", "device_id": "D"});
    let session = Session::from_json(stored.to_string()).unwrap().unwrap();
    let mut story = Scenario::of(LoginFlow::again(&session, LoginSettings::default()));
    story.use_homeserver("https://hs.example.org").responds(200, r#"{"flows":[{"type":"m.login.password"}]}"#);
    clean_flow("flow", &story.flow);
    story.choose(choices().remove(0));
    let granted = login_responses().into_iter().find(|response| login::response(response).is_ok()).unwrap();
    let error = respond(&mut story.flow, &granted, noon()).unwrap_err();
    assert!(matches!(error, Error::WrongUser { .. }));
    clean_error("wrong user", &error);
    clean_flow("flow", &story.flow);
}

#[test]
fn stored_sessions_hide_their_tokens_and_are_not_quoted() {
    let good = json!({
        "access_token": "s3cr3t", "refresh_token": "s3cr3t", "user_id": "@a:b", "device_id": "D",
        "well_known_from_login": {"x": "s3cr3t"}, "other": "s3cr3t", "base_client_url": 5_317_008_853_u64,
    });
    clean_debug("session", &Session::from_json(good.to_string()).unwrap());
    for (key, value) in [
        ("access_token", json!(["s3cr3t"])),
        ("access_token", json!(SECRET_NUMBER)),
        ("access_token", json!("s3cr3t s3cr3t")),
        ("user_id", json!("s3cr3t")),
        ("device_id", json!(["s3cr3t"])),
    ] {
        let mut broken = good.clone();
        broken[key] = value;
        clean_error("stored session", &Session::from_json(broken.to_string()).unwrap_err());
        let error = serde_json::from_value::<Session>(broken).unwrap_err();
        clean("stored session", &format!("{error} {error:?}"));
    }
    for text in [r#""s3cr3t""#, r#"{"access_token":"s3cr3t"#, "5317008853", "s3cr3t", r#"["s3cr3t"]"#] {
        clean_error("stored session", &Session::from_json(text).unwrap_err());
        let error = serde_json::from_str::<Session>(text).unwrap_err();
        clean("stored session", &format!("{error} {error:?}"));
    }
}

#[test]
fn credentials_hide_themselves() {
    for choice in choices() {
        if let Some(credentials) = choice.credentials() {
            clean_debug("credentials", credentials);
            clean_error("credentials", &credentials.clone().with_field("token", SECRET).unwrap_err());
        }
    }
    let error = Credentials::custom("", fields(json!({"x": "s3cr3t"}))).unwrap_err();
    clean_error("credentials", &error);
    let error = Credentials::custom("x", fields(json!({"refresh_token": "s3cr3t"}))).unwrap_err();
    clean_error("credentials", &error);
}

#[test]
fn a_login_without_a_device_is_not_quoted() {
    let body = r#"{"user_id":"@a:b","access_token":"s3cr3t","refresh_token":"s3cr3t","well_known":{"x":"s3cr3t"},
        "x":"s3cr3t","y":5317008853}"#;
    let response = login::response(&served(200, &[], body)).unwrap();
    let homeserver = "https://hs.example.org".parse().unwrap();
    let error = Session::granted(homeserver, response, &LoginSettings::default(), noon()).unwrap_err();
    let SessionError::NoDeviceId(response) = &error else { panic!("{error:?}") };
    assert_eq!(response.access_token.expose(), SECRET);
    clean_error("login without a device", &error);
    clean_error("login without a device", &Error::from(error.clone()));
    clean_error(
        "login without a device",
        &respond(&mut Scenario::logging_in().flow, &served(200, &[], body), noon()).unwrap_err(),
    );
}

#[test]
fn a_body_hides_itself_while_it_is_collected() {
    let mut body = BodyCollector::default();
    for chunk in [r#"{"access_token":"s3cr3t""#, "s3cr3t"] {
        body.push(chunk);
        clean_debug("body", &body);
    }
    body.push(" ".repeat(matrix_login::MAX_BODY));
    clean_debug("full body", &body);
    let (head, ()) = Response::new(()).into_parts();
    assert!(String::from_utf8_lossy(body.into_response(head).body()).contains(SECRET));
}

/// Sends one response, and gives no response to any other request.
struct Once(Option<Response<Vec<u8>>>);

#[derive(Debug)]
struct Silence;

impl std::fmt::Display for Silence {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("no response")
    }
}

impl StdError for Silence {}

impl blocking::Transport for Once {
    type Body = Vec<u8>;
    type Error = Silence;

    fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Silence> {
        assert!(String::from_utf8_lossy(request.body()).contains(SECRET) || request.method() == "GET");
        self.0.take().ok_or(Silence)
    }

    fn pause(&mut self, pause: Pause<'_>) -> Result<(), Silence> {
        clean_debug("pause", &pause);
        Err(Silence)
    }

    fn now(&self) -> SystemTime {
        noon()
    }
}

#[test]
fn a_driver_that_stops_shows_no_secret() {
    let mut asked = Scenario::at_the_question();
    asked.choose(choices().remove(0));
    let (mut stopped_by_the_flow, mut stopped_by_the_transport) = (0, 0);
    for response in login_responses() {
        let mut flow = asked.flow.clone();
        if let Err(error) = blocking::drive(&mut flow, &mut Once(Some(response))) {
            clean_error("driver", &error);
            match error {
                DriveError::Flow(_) => stopped_by_the_flow += 1,
                DriveError::Transport(_) => stopped_by_the_transport += 1,
            }
        }
        clean_flow("flow after the driver", &flow);
    }
    assert!(stopped_by_the_flow > 0 && stopped_by_the_transport > 0);
}

#[test]
fn a_suspended_flow_hides_the_fields_of_its_choice() {
    let mut story = Scenario::at_the_question();
    story.choose(choices().pop().unwrap());
    let stored = serde_json::to_value(story.flow.suspend().unwrap()).unwrap();
    assert!(stored["fields"].to_string().contains(SECRET));
    let suspended: Suspended = serde_json::from_value(stored.clone()).unwrap();
    clean_debug("suspended", &suspended);
    clean_debug("resumed", &LoginFlow::resume(suspended));
    for (key, value) in [
        ("fields", json!({"password": "s3cr3t"})),
        ("fields", json!("s3cr3t")),
        ("fields", json!([SECRET_NUMBER])),
        ("homeserver", json!("https://s3cr3t.example.org")),
        ("request_id", json!("s3cr3t")),
        ("s3cr3t", json!(1)),
    ] {
        let mut broken = stored.clone();
        broken[key] = value;
        let error = serde_json::from_value::<Suspended>(broken).unwrap_err();
        clean("suspended flow", &format!("{error} {error:?}"));
    }
}

#[test]
fn a_suspended_flow_has_no_room_for_a_secret() {
    let mut stored = serde_json::to_value(Scenario::in_the_browser().flow.suspend()).unwrap();
    stored["settings"]["password"] = "s3cr3t".into();
    let mut odd = stored.clone();
    odd["sso_url"] = "no URL, state=s3cr3t".into();
    let mut numeric = stored.clone();
    numeric["sso_url"] = SECRET_NUMBER.into();
    for stored in [stored, odd, numeric] {
        let error = serde_json::from_value::<Suspended>(stored).unwrap_err();
        clean("suspended flow", &format!("{error} {error:?}"));
    }
}

#[test]
fn a_redirect_url_shows_neither_its_user_nor_its_query() {
    let url = "https://alice:s3cr3t@example.org/cb?key=s3cr3t#s3cr3t";
    clean_debug("redirect", &Redirect::new(url, "0123456789-s3cr3t").unwrap());
}

// The OAuth 2.0 API.

/// A code verifier with the secret in it.
fn verifier() -> CodeVerifier {
    CodeVerifier::new(format!("s3cr3t{}", "v".repeat(40))).unwrap()
}

/// A client with the secret in its fields.
fn oauth_client() -> OAuthClient {
    let client = OAuthClient::new("https://app.example.com/".parse().unwrap(), "Example");
    client
        .with_field("software_statement", "s3cr3t")
        .and_then(|client| client.with_field("org.example.x", json!({"deep": ["s3cr3t", SECRET_NUMBER]})))
        .unwrap()
}

fn oauth_choice() -> Choice {
    let redirect = Redirect::new("http://127.0.0.1:9/cb?key=s3cr3t", "0123456789-s3cr3t").unwrap();
    Choice::authorization_code(redirect, verifier()).with_field("login_hint", "s3cr3t").unwrap()
}

const REGISTERED: &str = r#"{"client_id":"client","client_secret":"s3cr3t","registration_access_token":"s3cr3t"}"#;
const TOKENS: &str = r#"{"access_token":"s3cr3t","token_type":"Bearer","expires_in":9,"refresh_token":"s3cr3t",
    "scope":"a scope","id_token":"s3cr3t","x":{"y":["s3cr3t",5317008853]}}"#;
/// The code that the user enters is not a secret.
const CODE_TO_SHOW: &str = r#"{"device_code":"s3cr3t","user_code":"WDJB-MJHT","expires_in":1800,
    "x":["s3cr3t",5317008853],"verification_uri":"https://auth.example.org/link"}"#;
const OAUTH_CALLBACK: &str = "http://127.0.0.1:9/cb?key=s3cr3t&state=0123456789-s3cr3t&code=s3cr3t";

/// Flows at each step of a whole code grant: the question, the registration, the browser, the browser and the metadata
/// after a resume, the token, whoami, the revocation, a wait, and the end.
fn oauth_steps() -> Vec<LoginFlow> {
    let settings = LoginSettings::default().with_device_id("KITCHENTABLET").unwrap().with_oauth(oauth_client());
    let mut story = Scenario::of(LoginFlow::at(HOMESERVER.parse().unwrap(), settings));
    let mut flows = Vec::new();
    let mut metadata = document();
    metadata["org.example.x"] = json!({"deep": ["s3cr3t", SECRET_NUMBER]});
    story.responds(200, OFFERS).responds(200, metadata.to_string());
    flows.push(story.flow.clone());
    story.choose(oauth_choice());
    flows.push(story.flow.clone());
    story.responds(201, REGISTERED);
    flows.push(story.flow.clone());
    let mut resumed = story.clone();
    resumed.suspend();
    flows.push(resumed.flow.clone());
    resumed.callback(OAUTH_CALLBACK);
    flows.push(resumed.flow.clone());
    story.callback(OAUTH_CALLBACK);
    flows.push(story.flow.clone());
    story.responds(200, TOKENS);
    flows.push(story.flow.clone());
    let mut back = story.clone();
    back.back();
    flows.push(back.flow.clone());
    story.responds(429, "");
    flows.push(story.flow.clone());
    story.timeout().responds(200, r#"{"user_id":"@a:b.c","device_id":"KITCHENTABLET"}"#);
    flows.push(story.flow.clone());
    flows
}

/// The same for a whole device grant: the request for a code, the code, the poll, a wait, the code again, whoami, the
/// revocation, and the end.
fn device_steps() -> Vec<LoginFlow> {
    let settings = LoginSettings::default().with_device_id("KITCHENTABLET").unwrap().with_oauth(oauth_client());
    let mut metadata = document();
    metadata["org.example.x"] = json!({"deep": ["s3cr3t", SECRET_NUMBER]});
    let mut story = Scenario::with_metadata(settings, metadata.to_string());
    story.choose(Choice::device_authorization()).responds(201, REGISTERED);
    let mut flows = vec![story.flow.clone()];
    story.responds(200, CODE_TO_SHOW);
    flows.push(story.flow.clone());
    story.timeout();
    flows.push(story.flow.clone());
    let mut waiting = story.clone();
    waiting.responds(429, "");
    flows.push(waiting.flow.clone());
    story.responds(403, r#"{"error":"authorization_pending","x":"s3cr3t"}"#);
    flows.push(story.flow.clone());
    story.timeout().responds(200, TOKENS);
    flows.push(story.flow.clone());
    let mut back = story.clone();
    back.back();
    flows.push(back.flow.clone());
    story.responds(200, r#"{"user_id":"@a:b.c","device_id":"KITCHENTABLET"}"#);
    flows.push(story.flow.clone());
    flows
}

/// Responses of an OAuth 2.0 server with secrets in them, whole and broken.
fn oauth_responses() -> Vec<Response<Vec<u8>>> {
    let bodies = [
        TOKENS,
        REGISTERED,
        r#"{"access_token":"s3cr3t","token_type":"s3cr3t"}"#,
        r#"{"access_token":["s3cr3t"],"refresh_token":"s3cr3t"}"#,
        r#"{"access_token":"s3cr3t s3cr3t","expires_in":"s3cr3t"}"#,
        r#"{"client_id":["s3cr3t"],"client_secret":"s3cr3t"}"#,
        CODE_TO_SHOW,
        r#"{"device_code":["s3cr3t"],"user_code":"WDJB-MJHT","verification_uri":"https://auth.example.org/link"}"#,
        r#"{"device_code":"s3cr3t","user_code":["s3cr3t"],"verification_uri":"https://auth.example.org/link"}"#,
        r#"{"device_code":"s3cr3t","user_code":"WDJB-MJHT","verification_uri":"http://s3cr3t.example.org/link"}"#,
        r#"{"device_code":"s3cr3t","user_code":"WDJB-MJHT","interval":"s3cr3t","expires_in":["s3cr3t"],
            "verification_uri":"https://auth.example.org/link","verification_uri_complete":"s3cr3t"}"#,
        r#"{"device_code":"s3cr3t"#,
        r#"{"error":"authorization_pending","x":"s3cr3t","error_uri":"https://x/?s3cr3t","retry_after_ms":"s3cr3t"}"#,
        r#"{"error":"slow_down","device_code":"s3cr3t"}"#,
        r#"{"issuer":["s3cr3t"],"token_endpoint":"https://s3cr3t@auth.example.org/"}"#,
        r#"{"error":["s3cr3t"],"error_description":["s3cr3t"]}"#,
        r#"{"error":"invalid_grant","x":"s3cr3t","error_uri":"https://x/?s3cr3t","retry_after_ms":"s3cr3t"}"#,
        r#"{"access_token":"s3cr3t"#,
        "access_token=s3cr3t&token_type=Bearer",
    ];
    [200, 201, 302, 400, 401, 403, 429, 500]
        .iter()
        .flat_map(|status| bodies.map(|body| served(*status, &[], body)))
        .collect()
}

#[test]
fn oauth_values_hide_themselves() {
    let (code, device_code, verifier) = (AuthorizationCode::new("s3cr3t"), DeviceCode::new("s3cr3t"), verifier());
    clean_debug("code", &code);
    clean_debug("device code", &device_code);
    clean_debug("code verifier", &verifier);
    clean_debug("client", &oauth_client());
    clean_debug("settings", &LoginSettings::default().with_oauth(oauth_client()));
    clean_debug("choice", &oauth_choice());
    let (access_token, refresh_token) = (AccessToken::new("s3cr3t").unwrap(), RefreshToken::new("s3cr3t"));
    for grant in [
        Grant::authorization_code(&code, "http://127.0.0.1:9/cb", &verifier),
        Grant::DeviceCode(&device_code),
        Grant::RefreshToken(&refresh_token),
    ] {
        clean_debug("grant", &grant);
    }
    clean_debug("token", &revocation::Token::Access(&access_token));
    clean_debug("token", &revocation::Token::Refresh(&refresh_token));

    clean_error("code verifier", &CodeVerifier::new("s3cr3t").unwrap_err());
    clean_error("code challenge", &CodeVerifier::with_challenge(verifier.expose(), "s3cr3t").unwrap_err());
    clean_error("device ID", &matrix_login::DeviceId::new("s3cr3t s3cr3t").unwrap_err());
    clean_error("client URI", &"http://s3cr3t/".parse::<matrix_login::HttpsUrl>().unwrap_err());
    clean_error("field", &oauth_client().with_field("redirect_uris", "s3cr3t").unwrap_err());
    clean_error("parameter", &oauth_choice().with_field("state", "s3cr3t").unwrap_err());
    clean_error("parameter", &oauth_choice().with_field("x", json!(["s3cr3t"])).unwrap_err());
    let error = serde_json::from_value::<OAuthClient>(json!({"client_uri": "s3cr3t"})).unwrap_err();
    clean("client", &format!("{error} {error:?}"));
}

#[test]
fn an_oauth_login_hides_its_inputs_and_the_responses() {
    let (mut sent, mut shown) = (0, 0);
    for flow in oauth_steps() {
        let step = crate::support::replay::step_line(&flow.step(), noon()).to_string();
        sent += usize::from(step.contains(SECRET));
        // The suspended form has the verifier and the state, and its `Debug` has neither.
        shown += usize::from(flow.suspend().is_some_and(|form| serde_json::to_string(&form).unwrap().contains(SECRET)));
        clean_debug("flow", &flow);
        clean_debug("step", &flow.step());
        clean_debug("suspended", &flow.suspend());
        clean_debug("session", &flow.session());
        for response in login_responses().into_iter().chain(oauth_responses()) {
            let mut flow = flow.clone();
            let Some(id) = crate::support::scenario::request_id(&flow) else { continue };
            if let Err(error) = flow.handle_response(id, &response, noon()) {
                clean_error("response", &error);
            }
            clean_debug("flow after the response", &flow);
            clean_debug("step after the response", &flow.step());
            clean_debug("suspended after the response", &flow.suspend());
        }
    }
    // The planted secrets exist: in all steps except a wait and the request for the metadata, and in all stored forms.
    assert_eq!((sent, shown), (8, 9));
}

#[test]
fn a_device_grant_hides_its_code_and_stores_nothing() {
    let (mut sent, mut shown) = (0, 0);
    for flow in device_steps() {
        sent += usize::from(crate::support::replay::step_line(&flow.step(), noon()).to_string().contains(SECRET));
        shown += usize::from(flow.shown_code().is_some());
        let hides = |what: &str, flow: &LoginFlow| {
            clean_debug(what, flow);
            clean_debug(what, &flow.step());
            clean_debug(what, &flow.shown_code());
            clean_debug(what, &flow.session());
            clean_debug(what, &flow.suspend());
            // The stored form contains the client's own fields, and no other secret.
            let mut stored = serde_json::to_value(flow.suspend()).unwrap();
            if let Some(settings) = stored.get_mut("settings") {
                assert!(settings["oauth"]["fields"].take().is_object());
            }
            clean(what, &stored.to_string());
            assert!(!stored.to_string().contains("WDJB-MJHT"), "{stored}");
        };
        hides("flow", &flow);
        for response in login_responses().into_iter().chain(oauth_responses()) {
            for time in [noon(), noon() + crate::support::scenario::CODE_LIFETIME] {
                let mut flow = flow.clone();
                let Some(id) = crate::support::scenario::request_id(&flow) else { continue };
                if let Err(error) = flow.handle_response(id, &response, time) {
                    clean_error("response", &error);
                }
                hides("flow after the response", &flow);
            }
        }
    }
    // The device code goes out in a poll, and the tokens in whoami, in the revocation and at the end.
    assert_eq!((sent, shown), (4, 4));
}

#[test]
fn oauth_functions_hide_what_they_read() {
    fn clean_result<T: std::fmt::Debug, E: StdError + 'static>(what: &str, result: &Result<T, E>) {
        clean_debug(what, result);
        if let Err(error) = result {
            clean_error(what, error);
        }
    }
    for response in login_responses().into_iter().chain(oauth_responses()) {
        clean_result("metadata", &auth_metadata::response(&HOMESERVER.parse().unwrap(), &response));
        clean_result("registration", &registration::response(&response));
        clean_result("code", &device_authorization::response(&HOMESERVER.parse().unwrap(), &response));
        clean_result("token", &token::response(&response));
        clean_result("revocation", &revocation::response(&response));
        for stored in [json!({}), json!({"refresh_token": "s3cr3t"})] {
            let mut session = oauth_session(&stored);
            clean_debug("refresh", &session.handle_refresh(&response, noon()));
            clean_debug("verdict", &session.judge(&response));
            clean_result("logout", &session.handle_logout(&response));
            clean_debug("session", &session);
        }
    }
}

/// A session with the secret in its tokens, and with more in its stored form.
fn oauth_session(more: &Value) -> Session {
    let mut stored = json!({
        "access_token": "s3cr3t", "user_id": "@a:b.c", "device_id": "D",
        "oauth": {"client_id": "client", "token_endpoint": "https://auth.example.org/token"},
    });
    stored.as_object_mut().unwrap().extend(fields(more.clone()));
    Session::from_json(stored.to_string()).unwrap().unwrap()
}

#[test]
fn oauth_callbacks_are_not_quoted() {
    for callback in [
        "http://127.0.0.1:9/cb?code=s3cr3t",
        "http://127.0.0.1:9/cb?code=s3cr3t&state=s3cr3t",
        "http://127.0.0.1:9/s3cr3t?code=s3cr3t&code=s3cr3t&state=0123456789-s3cr3t#s3cr3t",
        "http://127.0.0.1:9/cb?code=s3cr3t&state=0123456789-s3cr3t&iss=s3cr3t",
        "http://127.0.0.1:9/cb?code=s3cr3t&error=s3cr3t&state=0123456789-s3cr3t",
    ] {
        let callback = callback.parse().unwrap();
        clean_error("callback", &authorization::response(&callback, "0123456789-s3cr3t", Some("i"), true).unwrap_err());
        let mut flow = oauth_steps().remove(2);
        clean_error("callback", &flow.handle_callback(&callback).unwrap_err());
    }
    let callback = OAUTH_CALLBACK.parse().unwrap();
    clean_debug("callback", &authorization::response(&callback, "0123456789-s3cr3t", None, false));
}

#[test]
fn tokens_that_belong_to_no_device_are_not_quoted() {
    let tokens = || token::response(&served(200, &[], TOKENS)).unwrap();
    let who = |body: &str| whoami::response(&served(200, &[], body)).unwrap();
    let metadata = read(HOMESERVER, &document());
    let grant =
        |who| Session::granted_by_oauth(HOMESERVER.parse().unwrap(), "client", &metadata, tokens(), who, noon());
    let error = grant(who(r#"{"user_id":"@a:b.c"}"#)).unwrap_err();
    let SessionError::NoDevice(granted) = &error else { panic!("{error:?}") };
    assert_eq!(granted.access_token.expose(), SECRET);
    clean_error("login without a device", &error);
    clean_error("login without a device", &Error::from(error.clone()));
    clean_debug("session", &grant(who(r#"{"user_id":"@a:b.c","device_id":"D"}"#)).unwrap());
}

#[test]
fn a_stored_origin_is_not_quoted() {
    for oauth in [
        json!("s3cr3t"),
        json!({"client_id": "s3cr3t"}),
        json!({"client_id": "client", "token_endpoint": "https://s3cr3t@auth.example.org/"}),
        json!({"client_id": "client", "token_endpoint": ["s3cr3t"], "client_secret": "s3cr3t"}),
    ] {
        let stored = json!({"access_token": "s3cr3t", "user_id": "@a:b.c", "device_id": "D", "oauth": oauth});
        clean_error("stored session", &Session::from_json(stored.to_string()).unwrap_err());
        let error = serde_json::from_value::<Session>(stored).unwrap_err();
        clean("stored session", &format!("{error} {error:?}"));
    }
}

#[test]
fn a_suspended_oauth_login_is_not_quoted() {
    let stored = serde_json::to_value(oauth_steps().remove(2).suspend().unwrap()).unwrap();
    assert!(serde_json::from_value::<Suspended>(stored.clone()).is_ok());
    for (key, value) in [
        ("code_verifier", json!("s3cr3t")),
        ("code_verifier", json!(format!("s3cr3t{}", "w".repeat(40)))),
        ("code_verifier", json!(SECRET_NUMBER)),
        ("authorization_url", json!("https://auth.example.org/?state=s3cr3t")),
        ("authorization_url", json!("no URL, state=s3cr3t")),
        ("issuer", json!(["s3cr3t"])),
        ("client_secret", json!("s3cr3t")),
    ] {
        let mut broken = stored.clone();
        broken["code_grant"][key] = value;
        let error = serde_json::from_value::<Suspended>(broken).unwrap_err();
        clean("suspended flow", &format!("{error} {error:?}"));
    }
}

#[test]
fn debug_shows_what_is_not_secret() {
    let redirect = Redirect::new("http://127.0.0.1:9/cb", "0123456789-s3cr3t").unwrap();
    let flows = oauth_steps();
    let [browse, with_a_code] = [&flows[2], &flows[5]];
    let mut sso = Scenario::at_the_question();
    sso.choose(Choice::sso(redirect.clone()));
    let offers = r#"{"flows":[{"type":"m.login.sso","identity_providers":[{"id":"google","name":"Google"}]}]}"#;
    let login_types = login_types::response(&served(200, &[], offers)).unwrap();
    let provider = &login_types.get("m.login.sso").unwrap().identity_providers()[0];
    let code = device_authorization::response(&HOMESERVER.parse().unwrap(), &served(200, &[], CODE_TO_SHOW)).unwrap();
    let metadata = read(HOMESERVER, &document());
    for (shown, expected) in [
        (format!("{redirect:?}"), "http://127.0.0.1:9/cb"),
        (format!("{:?}", oauth_client()), "https://app.example.com/"),
        (format!("{:?}", oauth_choice().fields()), "1 fields"),
        (format!("{provider:?}"), "Google"),
        (format!("{metadata:?}"), "https://auth.example.org/authorize"),
        (format!("{code:?}"), "WDJB-MJHT"),
        (format!("{browse:?}"), "Browse(https://auth.example.org/authorize"),
        (format!("{with_a_code:?}"), "CodeGrant(https://auth.example.org/authorize"),
        (format!("{:?}", sso.flow), "/_matrix/client/v3/login/sso/redirect"),
    ] {
        assert!(shown.contains(expected), "{expected} is missing: {shown}");
        clean("debug", &shown);
    }
}
