//! A login by the authorization code grant of the OAuth 2.0 API, from the metadata to the session.

use matrix_login::{
    Action, Choice, CodeVerifier, Error, LoginFlow, LoginSettings, OAuthClient, Redirect, ResponseError, Session, Step,
};
use serde_json::{Value, json};

use crate::{
    refresh,
    support::scenario::{
        AUTH_METADATA_URL, AUTHORIZATION_URL, CHALLENGE, CLIENT_ID, CODE_CALLBACK, FORBIDDEN, GRANTED, HOMESERVER,
        LOGIN_URL, METADATA, OAUTH_DEVICE_ID, OFFERED, OFFERS, REFUSED_BY_OAUTH, REGISTERED, REGISTRATION_URL,
        REVOCATION_URL, STATE, Scenario, TOKEN_URL, TOKENS, TOKENS_THAT_END, UNRECOGNIZED, VERIFIER, WHOAMI, code,
        invalid_field, metadata_with, noon, not_matrix, password, respond, served, whole, with_oauth,
        with_registered_client,
    },
};

/// The parameters of the authorization URL, in the order of the URL.
fn parameters(story: &Scenario) -> Vec<(String, String)> {
    story.browses().query_pairs().into_owned().collect()
}

fn parameter(story: &Scenario, name: &str) -> Option<String> {
    let mut values = parameters(story).into_iter().filter(|(found, _)| found == name).map(|(_, value)| value);
    let value = values.next();
    assert_eq!(values.next(), None, "{name} appears twice");
    value
}

/// A choice that the flow refuses. The refusal changes nothing.
fn refuses(story: &mut Scenario, choice: Choice) -> Error {
    let before = whole(&story.flow);
    let error = story.flow.choose(choice).unwrap_err();
    assert_eq!(whole(&story.flow), before, "{error}");
    error
}

/// The session that an error owns. The flow is back at the question.
fn refused_session(story: &mut Scenario, body: &str) -> Session {
    let session = match respond(&mut story.flow, &served(200, &[], body), noon()).unwrap_err() {
        Error::MissingRefreshToken(session) | Error::WrongUser { session, .. } => *session,
        error => panic!("{error:?}"),
    };
    story.asks(&OFFERED);
    session
}

fn offers_oauth(story: &Scenario) -> bool {
    let Step::Choose { oauth, .. } = story.flow.step() else { panic!("{:?}", story.flow.step()) };
    oauth.is_some_and(matrix_login::endpoint::oauth::auth_metadata::AuthMetadata::offers_authorization_code)
}

// The whole login.

#[test]
fn the_login_goes_from_the_metadata_to_the_session() {
    let mut story = Scenario::of(LoginFlow::at(HOMESERVER.parse().unwrap(), with_oauth()));
    story.gets(LOGIN_URL).responds(200, OFFERS).gets(AUTH_METADATA_URL).responds(200, METADATA).asks(&OFFERED);
    assert!(offers_oauth(&story));
    story.choose(code());
    let line = crate::support::replay::step_line(&story.flow.step(), noon());
    assert_eq!((&line["method"], &line["url"]), (&json!("POST"), &json!(REGISTRATION_URL)));
    assert_eq!(
        line["body"],
        json!({
            "client_uri": "https://app.example.com/", "client_name": "Example", "application_type": "native",
            "redirect_uris": ["http://127.0.0.1/cb"], "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
            "token_endpoint_auth_method": "none",
        })
    );
    story.responds(201, REGISTERED);
    assert_eq!(story.browses().as_str().split_once('?').unwrap().0, AUTHORIZATION_URL);
    let expected = [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", "http://127.0.0.1:9/cb"),
        ("scope", "urn:matrix:client:api:* urn:matrix:client:device:KITCHENTABLET"),
        ("state", STATE),
        ("response_mode", "query"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    assert_eq!(parameters(&story), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    story.callback(CODE_CALLBACK).posts_the_code().responds(200, TOKENS).asks_whose("at").responds(200, WHOAMI);
    let expected = json!({
        "access_token": "at", "refresh_token": "rt", "access_token_valid_until": 1_795_435_500_000_000_000_u64,
        "user_id": "@alice:example.org", "device_id": OAUTH_DEVICE_ID,
        "base_client_url": "https://hs.example.org/_matrix/client/",
        "oauth": {
            "client_id": CLIENT_ID, "issuer": "https://auth.example.org/", "token_endpoint": TOKEN_URL,
            "revocation_endpoint": REVOCATION_URL,
        },
    });
    assert_eq!(json!(story.session()), expected);
    assert_eq!(json!(story.session().other()), json!({"scope": "granted"}));
}

#[test]
fn a_registered_client_does_not_register() {
    let mut story = Scenario::with_metadata(with_registered_client(), metadata_with("registration_endpoint", ()));
    story.choose(code());
    assert_eq!(parameter(&story, "client_id").as_deref(), Some(CLIENT_ID));
    story.callback(CODE_CALLBACK).posts_the_code().responds(200, TOKENS).responds(200, WHOAMI);
    assert_eq!(story.session().client_id(), Some(CLIENT_ID));
}

#[test]
fn the_lifetime_of_the_token_begins_with_its_response() {
    let mut story = Scenario::with_tokens();
    let later = noon() + std::time::Duration::from_secs(60);
    respond(&mut story.flow, &served(200, &[], WHOAMI), later).unwrap();
    assert_eq!(story.session().expires_at(), Some(noon() + std::time::Duration::from_secs(300)));
}

#[test]
fn the_user_and_the_device_come_from_whoami() {
    let mut story = Scenario::with_tokens();
    story.responds(200, r#"{"user_id":"@bob:example.org","device_id":"KITCHENT"}"#);
    assert_eq!((story.session().user_id().as_str(), story.session().device_id()), ("@bob:example.org", "KITCHENT"));
}

#[test]
fn the_login_stays_at_the_homeserver_that_was_asked() {
    let story = &mut Scenario::with_a_code();
    let tokens = r#"{"access_token":"at","well_known":{"m.homeserver":{"base_url":"https://other.example.org"}}}"#;
    story.responds(200, tokens).asks_whose("at").responds(200, WHOAMI);
    assert_eq!(story.session().homeserver().unwrap().as_str(), HOMESERVER);
}

// A login again, and grants that the flow refuses.

fn again(settings: LoginSettings) -> Scenario {
    let mut stored = refresh::stored();
    stored["device_id"] = OAUTH_DEVICE_ID.into();
    let mut story = Scenario::of(LoginFlow::again(&refresh::session(stored), settings));
    story.responds(200, OFFERS).responds(200, METADATA);
    story
}

#[test]
fn a_login_again_asks_for_the_device_of_the_session() {
    let mut story = again(with_oauth().with_device_id("ANOTHERDEVICE").unwrap());
    story.choose(code()).responds(201, REGISTERED);
    let scope = "urn:matrix:client:api:* urn:matrix:client:device:KITCHENTABLET";
    assert_eq!(parameter(&story, "scope").as_deref(), Some(scope));
    story.callback(CODE_CALLBACK).responds(200, TOKENS).responds(200, WHOAMI);
    assert_eq!(story.session().device_id(), OAUTH_DEVICE_ID);
}

#[test]
fn the_error_owns_the_session_of_another_user() {
    let mut story = again(with_oauth());
    story.choose(code()).responds(201, REGISTERED).callback(CODE_CALLBACK).responds(200, TOKENS);
    let session = refused_session(&mut story, r#"{"user_id":"@bob:example.org","device_id":"KITCHENTABLET"}"#);
    assert_eq!((session.user_id().as_str(), session.access_token().expose()), ("@bob:example.org", "at"));
    // The caller can log that session out: nothing that was granted is lost.
    assert_eq!(session.logout_request().unwrap().uri(), REVOCATION_URL);
}

#[test]
fn a_token_that_expires_for_good_is_refused() {
    // Every response has an `expires_in`, whether its value is usable or not.
    for expires_in in ["300", "0", "300.5", "-1", "\"300\"", "1e999", "18446744073709551616", "[]", "{}", "true"] {
        let tokens = format!(r#"{{"access_token":"at","expires_in":{expires_in}}}"#);
        let mut story = Scenario::with_a_code();
        story.responds(200, tokens.as_str()).asks_whose("at");
        let session = refused_session(&mut story, WHOAMI);
        assert_eq!((session.access_token().expose(), session.is_oauth()), ("at", true), "{expires_in}");

        let settings = with_oauth().with_require_refresh_token(false);
        let mut story = Scenario::with_metadata(settings, METADATA);
        story
            .choose(code())
            .responds(201, REGISTERED)
            .callback(CODE_CALLBACK)
            .responds(200, tokens)
            .responds(200, WHOAMI);
        assert_eq!(story.session().refresh_token().map(matrix_login::RefreshToken::expose), None);
    }
    for lasting in [r#"{"access_token":"at"}"#, r#"{"access_token":"at","expires_in":null}"#, TOKENS] {
        Scenario::with_a_code().responds(200, lasting).responds(200, WHOAMI).session();
    }
}

// Nothing that was granted is lost.

#[test]
fn the_tokens_are_kept_however_whoami_fails() {
    let unusable = [
        (502, "<html>502 Bad Gateway</html>"),
        (503, r#"{"errcode":"M_UNKNOWN","error":"Unable to introspect the access token"}"#),
        (408, ""),
        (200, "<html>"),
        (200, "{}"),
        (404, "<html>404</html>"),
        (403, FORBIDDEN),
        (401, r#"{"errcode":"M_UNKNOWN_TOKEN","soft_logout":false}"#),
        (200, FORBIDDEN),
        (302, ""),
        (200, r#"{"device_id":"KITCHENTABLET"}"#),
        (200, r#"{"user_id":"alice","device_id":"KITCHENTABLET"}"#),
    ];
    for (status, body) in unusable {
        let mut story = Scenario::with_tokens();
        let error = story.fails(status, body);
        assert!(matches!(error, Error::Response(_)), "{status} {body}: {error:?}");
        story.asks_whose("at").responds(200, WHOAMI);
        assert_eq!(story.session().refresh_token().map(matrix_login::RefreshToken::expose), Some("rt"));
    }
}

#[test]
fn the_tokens_are_kept_while_whoami_waits_or_is_unreachable() {
    let mut story = Scenario::with_tokens();
    story.responds(429, "").waits(1_000, 1).timeout().asks_whose("at").responds(429, "").waits(2_000, 2).timeout();
    let before = whole(&story.flow);
    let id = story.request_id();
    let error = story.flow.handle_unreachable(id).unwrap_err();
    assert!(matches!(error, Error::OutOfStep { .. }), "{error:?}");
    assert_eq!(whole(&story.flow), before);
    story.asks_whose("at").responds(200, WHOAMI);
    assert_eq!(story.session().access_token().expose(), "at");
}

#[test]
fn a_whoami_without_a_device_is_an_error() {
    for body in
        [json!({}), json!({"device_id": null}), json!({"device_id": ""}), json!({"device_id": 7})].map(|device| {
            let mut body = json!({"user_id": "@alice:example.org"});
            body.as_object_mut().unwrap().extend(device.as_object().unwrap().clone());
            body.to_string()
        })
    {
        let mut story = Scenario::with_tokens();
        assert_eq!(invalid_field(&story.fails(200, body)), "`device_id`");
        // The device of the settings does not count, because the token belongs to no device.
        story.asks_whose("at").responds(200, WHOAMI).session();
    }
}

#[test]
fn back_from_whoami_revokes_the_tokens_first() {
    let form = |token: &str, hint: &str| json!({"token": token, "token_type_hint": hint, "client_id": CLIENT_ID});
    let mut waiting = Scenario::with_tokens();
    waiting.responds(429, "");
    for mut story in [Scenario::with_tokens(), waiting] {
        story.back().posts_form(REVOCATION_URL, form("rt", "refresh_token")).responds(200, "").asks(&OFFERED);
        story.choose(code());
    }
    let mut story = Scenario::with_a_code();
    story.responds(200, TOKENS_THAT_END).back().posts_form(REVOCATION_URL, form("t", "access_token"));
}

#[test]
fn a_revocation_that_fails_can_be_tried_again_or_left_out() {
    let mut story = Scenario::with_tokens();
    story.back();
    for (status, body) in [(503, ""), (500, r#"{"error":"server_error"}"#), (404, "<html>"), (200, "<html>")] {
        let error = story.fails(status, body);
        assert!(matches!(error, Error::Response(_)), "{error:?}");
    }
    story.responds(429, "").waits(1_000, 1).timeout();
    let mut unreachable = story.clone();
    unreachable.unreachable().asks(&OFFERED);
    let mut refused = story.clone();
    refused.responds(401, r#"{"error":"invalid_client"}"#).asks(&OFFERED);
    story.back().asks(&OFFERED);

    let mut waiting = Scenario::with_tokens();
    waiting.back().responds(429, "").back().asks(&OFFERED);
}

#[test]
fn without_a_revocation_endpoint_back_is_the_question() {
    let mut story = Scenario::with_metadata(with_oauth(), metadata_with("revocation_endpoint", ()));
    story.choose(code()).responds(201, REGISTERED).callback(CODE_CALLBACK).responds(200, TOKENS).back().asks(&OFFERED);
}

#[test]
fn another_homeserver_is_refused_while_tokens_wait_for_whoami() {
    let mut waiting = Scenario::with_tokens();
    waiting.responds(429, "");
    for mut story in [Scenario::with_tokens(), waiting] {
        let before = whole(&story.flow);
        let error = story.flow.use_homeserver("https://other.example.org".parse().unwrap()).unwrap_err();
        assert!(matches!(error, Error::OutOfStep { .. }), "{error:?}");
        assert_eq!(whole(&story.flow), before);
        story.back().use_homeserver("https://other.example.org");
        story.gets("https://other.example.org/_matrix/client/v3/login");
    }
}

// What `choose` refuses.

#[test]
fn a_device_id_that_a_server_could_refuse_is_refused_first() {
    let client = || OAuthClient::new("https://app.example.com/".parse().unwrap(), "Example");
    let without = LoginSettings::default().with_oauth(client());
    let message = "invalid device ID: expected at least 10 characters of A-Z, a-z, 0-9, -, ., _ and ~ for an OAuth 2.0 \
                   login";
    let with = |device_id: &str| without.clone().with_device_id(device_id).unwrap();
    let unfit = ["SHORT6789", "KITCHEN TABLET", "KITCHEN\"TABLET", "KITCHEN/TABLET", "KÜCHENTABLET", "KITCHENDOOR\n"];
    for settings in unfit.map(with).into_iter().chain([without.clone()]) {
        let mut story = Scenario::with_metadata(settings, METADATA);
        assert_eq!(refuses(&mut story, code()).to_string(), message);
        // A login with a password does not need such a device ID.
        story.choose(password());
    }
    for fit in ["TEN4567890", "a.b_c~d-e0"] {
        Scenario::with_metadata(with(fit), METADATA).choose(code());
    }
}

#[test]
fn a_choice_can_have_a_device_id_of_its_own() {
    let mut legacy = Scenario::with_metadata(with_oauth().with_device_id("LEGACY").unwrap(), METADATA);
    refuses(&mut legacy, code());
    let choice = code().with_device_id("ANOTHERDEVICE").unwrap();
    assert_eq!(choice.device_id(), Some("ANOTHERDEVICE"));
    legacy.choose(choice).responds(201, REGISTERED);
    let scope = "urn:matrix:client:api:* urn:matrix:client:device:ANOTHERDEVICE";
    assert_eq!(parameter(&legacy, "scope").as_deref(), Some(scope));
    // That device ID counts only for that choice.
    assert_eq!(legacy.flow.settings().device_id(), Some("LEGACY"));

    let mut unfit = Scenario::at_the_question_with_oauth();
    refuses(&mut unfit, code().with_device_id("LEGACY").unwrap());
    let error = password().with_device_id("ANOTHERDEVICE").unwrap_err().to_string();
    assert_eq!(
        error,
        "invalid device ID: expected an OAuth 2.0 login: other logins take the device ID from the \
                       settings"
    );
}

#[test]
fn a_client_that_cannot_register_is_refused() {
    let mut story = Scenario::with_metadata(with_oauth(), metadata_with("registration_endpoint", ()));
    let message = "invalid OAuth client: expected the ID of a registered client, since this server registers no \
                   clients";
    assert_eq!(refuses(&mut story, code()).to_string(), message);
}

#[test]
fn a_redirect_that_the_server_cannot_serve_is_refused() {
    let choice = |redirect: Redirect| Choice::authorization_code(redirect, CodeVerifier::new(VERIFIER).unwrap());
    let native = || Redirect::new("http://127.0.0.1:9/cb", STATE).unwrap();
    let web = || Redirect::new("https://app.example.com/cb", STATE).unwrap();
    let modes = |modes: Value| Scenario::with_metadata(with_oauth(), metadata_with("response_modes_supported", modes));
    let lacks = |mut story: Scenario, redirect: Redirect, message: &str| {
        let error = refuses(&mut story, choice(redirect)).to_string();
        let message = format!("(`response_modes_supported` does not contain {message}, which the redirect URL needs)");
        assert!(error.contains(&message), "{error}");
    };
    let (query, fragment) = ("`query`", "`fragment`");
    lacks(modes(json!(["fragment", "form_post"])), native(), query);
    lacks(modes(json!(["fragment"])), web().in_query(), query);
    lacks(modes(json!(["query"])), web(), fragment);
    for (redirect, mode) in [(native(), "query"), (web().in_query(), "query"), (web(), "fragment")] {
        for listed in [json!([mode]), Value::Null, json!("all")] {
            let mut story = modes(listed);
            story.choose(choice(redirect.clone())).responds(201, REGISTERED);
            assert_eq!(parameter(&story, "response_mode").as_deref(), Some(mode));
        }
    }
}

#[test]
fn without_the_settings_there_is_no_oauth() {
    // GET auth_metadata is not sent, so the question comes at once.
    let mut story = Scenario::at_the_question();
    assert!(!offers_oauth(&story));
    for choice in [code(), code().unlisted()] {
        let error = refuses(&mut story, choice);
        let expected = "authorization_code (the settings do not ask for OAuth 2.0: use `LoginSettings::with_oauth`)";
        assert!(matches!(&error, Error::NotOffered { choice, .. } if choice == expected), "{error:?}");
    }
}

#[test]
fn a_grant_that_the_metadata_lack_is_refused() {
    for (member, value) in [
        ("authorization_endpoint", Value::Null),
        ("authorization_endpoint", json!("http://auth.example.org/authorize")),
        ("token_endpoint", Value::Null),
        ("response_types_supported", json!(["token"])),
        ("grant_types_supported", json!(["refresh_token"])),
        ("code_challenge_methods_supported", json!(["plain"])),
        ("response_modes_supported", json!(["form_post"])),
    ] {
        let mut story = Scenario::with_metadata(with_oauth(), metadata_with(member, value));
        assert!(!offers_oauth(&story), "{member}");
        for choice in [code(), code().unlisted()] {
            let error = refuses(&mut story, choice);
            let Error::NotOffered { choice, .. } = &error else { panic!("{member}: {error:?}") };
            assert!(choice.starts_with(&format!("authorization_code (`{member}` ")), "{choice}");
        }
    }
}

// What the URL contains.

#[test]
fn the_page_for_a_new_account_is_used_if_it_exists() {
    let redirect = Redirect::new("http://127.0.0.1:9/cb", STATE).unwrap().with_action(Action::Register);
    let choice = Choice::authorization_code(redirect, CodeVerifier::new(VERIFIER).unwrap());
    for (advertised, choice, prompt) in [
        (json!(["login", "create"]), choice.clone(), Some("create")),
        (json!(["login"]), choice.clone(), None),
        (Value::Null, choice, None),
        (json!(["create"]), code(), None),
    ] {
        let metadata = metadata_with("prompt_values_supported", advertised);
        let mut story = Scenario::with_metadata(with_oauth(), metadata);
        story.choose(choice).responds(201, REGISTERED);
        assert_eq!(parameter(&story, "prompt").as_deref(), prompt);
    }
}

#[test]
fn further_fields_are_parameters_of_the_url() {
    let choice = code().with_field("login_hint", "mxid:@alice:example.org").unwrap();
    let choice = choice.with_field("max_age", 7).unwrap().with_field("org.example", true).unwrap();
    let mut story = Scenario::at_the_question_with_oauth();
    story.choose(choice).responds(201, REGISTERED);
    assert_eq!(parameter(&story, "login_hint").as_deref(), Some("mxid:@alice:example.org"));
    assert_eq!(parameter(&story, "max_age").as_deref(), Some("7"));
    assert_eq!(parameter(&story, "org.example").as_deref(), Some("true"));
    story.callback(CODE_CALLBACK).posts_the_code();
}

#[test]
fn a_parameter_that_the_crate_writes_is_refused() {
    for own in [
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "response_mode",
        "code_challenge",
        "code_challenge_method",
        "prompt",
    ] {
        let expected =
            format!("invalid parameter `{own}`: expected a name that the authorization URL does not have already");
        assert_eq!(code().with_field(own, "x").unwrap_err().to_string(), expected);
    }
    for value in [json!([]), json!({}), Value::Null] {
        let error = code().with_field("login_hint", value).unwrap_err().to_string();
        assert_eq!(error, "invalid parameter `login_hint`: expected a string, a number or a flag");
    }
}

#[test]
fn the_query_of_the_endpoint_is_kept() {
    let endpoint = "https://auth.example.org/authorize?tenant=a+b";
    let mut story = Scenario::with_metadata(with_oauth(), metadata_with("authorization_endpoint", endpoint));
    story.choose(code()).responds(201, REGISTERED);
    assert!(story.browses().as_str().starts_with(&format!("{endpoint}&response_type=code&")), "{}", story.browses());
}

#[test]
fn an_endpoint_with_a_parameter_of_the_login_is_not_offered() {
    // The URL would contain the parameter twice, and a server can use either value. So the homeserver could choose the
    // redirect URI.
    for query in ["redirect_uri=https://evil.example.com/", "client_id=x", "tenant=a&%73tate=x", "prompt=none"] {
        let endpoint = format!("https://auth.example.org/authorize?{query}");
        let mut story = Scenario::with_metadata(with_oauth(), metadata_with("authorization_endpoint", endpoint));
        let error = refuses(&mut story, code()).to_string();
        assert!(error.contains("(`authorization_endpoint` has a parameter that the login adds)"), "{error}");
    }
}

#[test]
fn a_redirect_url_with_a_fragment_is_refused() {
    let mut story = Scenario::at_the_question_with_oauth();
    let redirect = Redirect::new("https://app.example.com/#/callback", STATE).unwrap();
    let choice = Choice::authorization_code(redirect, CodeVerifier::new(VERIFIER).unwrap());
    let message = "invalid redirect URL: expected a URL without a fragment for an OAuth 2.0 login";
    assert_eq!(refuses(&mut story, choice).to_string(), message);
}

#[test]
fn the_redirect_uri_goes_out_unchanged() {
    for (written, registered) in [
        ("https://app.example.com", "https://app.example.com"),
        ("com.example.app:/cb", "com.example.app:/cb"),
        ("http://[::1]:8765/a%20b", "http://[::1]/a%20b"),
    ] {
        let redirect = Redirect::new(written, STATE).unwrap();
        let mut story = Scenario::at_the_question_with_oauth();
        story.choose(Choice::authorization_code(redirect, CodeVerifier::new(VERIFIER).unwrap()));
        let line = crate::support::replay::step_line(&story.flow.step(), noon());
        assert_eq!(line["body"]["redirect_uris"], json!([registered]));
        story.responds(201, REGISTERED);
        assert_eq!(parameter(&story, "redirect_uri").as_deref(), Some(written));
        story.callback(&format!("app:/?state={STATE}&code=c0d3"));
        let line = crate::support::replay::step_line(&story.flow.step(), noon());
        assert_eq!(line["form"]["redirect_uri"], json!(written));
    }
}

// Refusals.

#[test]
fn a_refused_registration_shows_what_the_server_says() {
    let mut story = Scenario::at_the_question_with_oauth();
    let refusal = r#"{"error":"invalid_redirect_uri","error_description":"not under client_uri"}"#;
    story.choose(code()).responds(400, refusal);
    let refused = story.refused();
    assert_eq!(refused.errcode.as_deref(), Some("invalid_redirect_uri"));
    assert_eq!(refused.message.as_deref(), Some("not under client_uri"));
    assert!(offers_oauth(&story));
    story.choose(password());
}

#[test]
fn a_user_who_says_no_in_the_browser_is_asked_again() {
    let mut story = Scenario::in_the_browser_for_a_code();
    story.callback(&format!(
        "http://127.0.0.1:9/cb?error=access_denied&error_description=The+user+said+no&state={STATE}"
    ));
    let refused = story.refused();
    assert_eq!((refused.status, refused.errcode.as_deref()), (None, Some("access_denied")));
    assert_eq!(refused.message.as_deref(), Some("The user said no"));
    story.choose(code());
}

#[test]
fn a_refused_code_is_used_up() {
    let mut story = Scenario::with_a_code();
    story.responds(400, REFUSED_BY_OAUTH);
    assert_eq!(story.refused().errcode.as_deref(), Some("invalid_grant"));
    let error = story.flow.handle_callback(&CODE_CALLBACK.parse().unwrap()).unwrap_err();
    assert!(matches!(error, Error::OutOfStep { .. }), "{error:?}");
    // The login with a password is still offered.
    story.choose(password()).responds(200, GRANTED).session();
}

#[test]
fn a_token_of_another_type_is_unusable() {
    let mut story = Scenario::with_a_code();
    assert_eq!(invalid_field(&story.fails(200, r#"{"access_token":"at","token_type":"DPoP"}"#)), "`token_type`");
    story.posts_the_code().responds(200, r#"{"access_token":"at","token_type":"bEARER"}"#).asks_whose("at");
}

// Whether the homeserver has an OAuth 2.0 server.

#[test]
fn next_to_a_legacy_api_a_page_means_no_oauth() {
    for (status, body) in [(404, "<html>404</html>"), (404, UNRECOGNIZED), (403, FORBIDDEN), (405, ""), (401, "[]")] {
        let mut story = Scenario::of(LoginFlow::at(HOMESERVER.parse().unwrap(), with_oauth()));
        story.responds(200, OFFERS).responds(status, body).asks(&OFFERED);
        assert!(!offers_oauth(&story));
        story.choose(password()).responds(200, GRANTED).session();
    }
}

#[test]
fn only_the_driver_gives_oauth_up_after_a_failure() {
    for (status, body) in [(500, r#"{"errcode":"M_UNKNOWN"}"#), (502, "<html>"), (408, ""), (200, "<html>"), (302, "")]
    {
        let mut story = Scenario::of(LoginFlow::at(HOMESERVER.parse().unwrap(), with_oauth()));
        story.responds(200, OFFERS).fails(status, body);
        story.gets(AUTH_METADATA_URL);
        let mut recovered = story.clone();
        recovered.responds(200, METADATA);
        assert!(offers_oauth(&recovered));
        story.unreachable().asks(&OFFERED);
        assert!(!offers_oauth(&story));
    }
}

#[test]
fn a_homeserver_with_only_oauth_leads_to_the_question() {
    for status in [404, 400, 200] {
        let mut story = Scenario::of(LoginFlow::at(HOMESERVER.parse().unwrap(), with_oauth()));
        story.responds(status, UNRECOGNIZED).gets(AUTH_METADATA_URL).responds(200, METADATA).asks(&[]);
        story
            .choose(code())
            .responds(201, REGISTERED)
            .callback(CODE_CALLBACK)
            .responds(200, TOKENS)
            .responds(200, WHOAMI);
        assert!(story.session().is_oauth());
    }
}

#[test]
fn a_homeserver_with_neither_api_is_an_error() {
    let mut story = Scenario::of(LoginFlow::at(HOMESERVER.parse().unwrap(), with_oauth()));
    story.responds(404, UNRECOGNIZED);
    let error = story.fails(404, UNRECOGNIZED);
    assert!(matches!(error, Error::Response(ResponseError::LoginUnsupported)), "{error:?}");
    // A page does not come from the homeserver, so it does not say which APIs the homeserver has.
    assert_eq!(not_matrix(&story.fails(404, "<html>")), 404);
    let id = story.request_id();
    assert!(matches!(story.flow.handle_unreachable(id), Err(Error::OutOfStep { .. })));
    story.use_homeserver("https://other.example.org");
}
