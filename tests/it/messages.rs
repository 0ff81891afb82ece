//! What a user reads when something goes wrong: every error is one complete line, and says whether to try again.

use std::error::Error as StdError;

use matrix_login::{
    AccessToken, Choice, DiscoveryFailure, DiscoveryOutcome, Error, Homeserver, InvalidInput, LoginFlow, LoginSettings,
    MAX_BODY, Redirect, ResponseError, ServerAddress, ServerError, ServerName, Session, SessionError, Step, Typed,
    UserId, UserIdentifier,
    endpoint::{
        login, login_types,
        oauth::{auth_metadata, authorization, device_authorization, registration, revocation, token},
        versions, well_known, whoami,
    },
};
use serde_json::{Map, json};

use crate::{
    auth_metadata::{document, read},
    refresh,
    support::scenario::{
        CODE_LIFETIME, GRANTED, HOMESERVER, METADATA, PENDING, STATE, Scenario, VERSIONS, WELL_KNOWN, metadata_with,
        noon, password, request_id, respond, served, with_oauth,
    },
};

/// The error has this message in one line, and no source below it. `may_retry` says whether another try can help.
fn says(error: impl Into<Error>, message: &str, may_retry: bool) {
    let error = error.into();
    assert_eq!(error.to_string(), message);
    assert!(!message.contains(char::is_control), "{message:?}");
    // A program that prints the chain of sources must not print the same text twice.
    assert!(error.source().is_none(), "{message}: {:?}", error.source());
    assert_eq!(error.may_retry(), may_retry, "{message}");
}

/// The error that this response to POST login gives.
fn refusal(status: u16, body: &str) -> ResponseError {
    login::response(&served(status, &[], body)).unwrap_err()
}

fn failure(story: &Scenario) -> &DiscoveryFailure {
    match story.flow.step() {
        Step::Locate { failure, .. } => failure,
        step => panic!("{step:?}"),
    }
}

/// The failure says the same on its own, in a step, and in an error.
fn fails_to_find(story: &Scenario, outcome: DiscoveryOutcome, message: &str, may_retry: bool) {
    let failure = failure(story);
    assert_eq!(failure.outcome, outcome, "{message}");
    assert_eq!(failure.to_string(), message);
    assert!(failure.source().is_none());
    says(failure.clone(), message, may_retry);
}

// Errors of the caller.

#[test]
fn invalid_input_names_the_value_and_what_it_should_be() {
    let custom = |fields: serde_json::Value| Choice::custom("org.example", fields.as_object().unwrap().clone());
    let redirect = |url: &str, state: &str| Redirect::new(url, state);
    let cases: [(InvalidInput, &str); 20] = [
        (
            "https://example.org".parse::<ServerName>().unwrap_err(),
            "invalid server name: expected a host name or address with or without a port, such as example.org",
        ),
        (
            "alice".parse::<UserId>().unwrap_err(),
            "invalid user ID: expected an @, a name, a colon and a server name, such as @alice:example.org",
        ),
        (
            "example.org".parse::<Homeserver>().unwrap_err(),
            "invalid homeserver: expected an http or https URL with a host, such as https://matrix.example.org \
             (a server name needs discovery)",
        ),
        (
            UserIdentifier::msisdn("alice").unwrap_err(),
            "invalid phone number: expected country code and digits, such as +44 7700 900123",
        ),
        (
            UserIdentifier::phone("GBR", "07700 900123").unwrap_err(),
            "invalid country: expected its two letters, such as GB",
        ),
        (
            UserIdentifier::phone("GB", "").unwrap_err(),
            "invalid phone number: expected a number as it is dialled in the country",
        ),
        (
            UserIdentifier::third_party("", "alice").unwrap_err(),
            "invalid medium: expected the kind of address, such as email",
        ),
        (
            UserIdentifier::custom("", Map::new()).unwrap_err(),
            "invalid identifier type: expected a name, such as org.example.badge",
        ),
        (
            UserIdentifier::custom("x", json!({"type": "y"}).as_object().unwrap().clone()).unwrap_err(),
            "invalid identifier field `type`: expected to be left out, since it is the type itself",
        ),
        (
            AccessToken::new("a b").unwrap_err(),
            "invalid access token: expected visible ASCII characters, without blanks or line breaks",
        ),
        (
            LoginSettings::default().with_device_id("").unwrap_err(),
            "invalid device ID: expected at least one character; leave it out for a new device",
        ),
        (
            Choice::custom("", Map::new()).unwrap_err(),
            "invalid login type: expected a name, such as org.matrix.login.jwt",
        ),
        (
            custom(json!({"device_id": "D"})).unwrap_err(),
            "invalid further field `device_id`: expected a name that the login request does not have already",
        ),
        (
            password().with_field("password", "x").unwrap_err(),
            "invalid further field `password`: expected a name that the login request does not have already",
        ),
        (
            custom(json!({"k": 1})).unwrap().with_field("k", 2).unwrap_err(),
            "invalid further field `k`: expected a name that the login request does not have already",
        ),
        (
            redirect("http://127.0.0.1:9/", "short").unwrap_err(),
            "invalid state: expected at least 16 characters from a source of randomness",
        ),
        (Session::from_json("[]").unwrap_err(), "invalid stored session: expected a JSON object"),
        (
            Session::from_json(r#"{"access_token":""}"#).unwrap_err(),
            "invalid `access_token` of the stored session: expected a string of visible ASCII characters",
        ),
        (
            Session::from_json(r#"{"access_token":"t"}"#).unwrap_err(),
            "invalid `user_id` of the stored session: expected a user ID, such as @alice:example.org",
        ),
        (
            Session::from_json(r#"{"access_token":"t","user_id":"@alice:example.org"}"#).unwrap_err(),
            "invalid `device_id` of the stored session: expected a string that is not empty",
        ),
    ];
    for (error, message) in cases {
        says(error, message, false);
    }
}

#[test]
fn a_refusal_of_typed_text_says_what_to_type() {
    let cases: [(InvalidInput, &str); 7] = [
        (
            "".parse::<Typed>().unwrap_err(),
            "invalid user or server: expected a user ID such as @alice:example.org, or a server such as example.org",
        ),
        (
            "matrix:r/room:example.org".parse::<Typed>().unwrap_err(),
            "invalid link: expected a link to a user, such as https://matrix.to/#/@alice:example.org",
        ),
        (
            "alice@".parse::<Typed>().unwrap_err(),
            "invalid e-mail address: expected an address such as alice@example.org, or a user ID such as \
             @alice:example.org",
        ),
        (
            "https://".parse::<Typed>().unwrap_err(),
            "invalid homeserver: expected an http or https URL with a host, such as https://matrix.example.org \
             (a server name needs discovery)",
        ),
        (
            ServerAddress::try_from(&"@alice:example.org".parse::<Typed>().unwrap()).unwrap_err(),
            "invalid homeserver: expected a URL such as https://matrix.example.org, or a server name such as \
             example.org",
        ),
        (
            UserIdentifier::try_from(&"https://example.org".parse::<Typed>().unwrap()).unwrap_err(),
            "invalid user: expected a name, an e-mail address or a user ID such as @alice:example.org",
        ),
        (
            UserIdentifier::try_from(&"07700 900123".parse::<Typed>().unwrap()).unwrap_err(),
            "invalid phone number: expected country code and digits, such as +44 7700 900123",
        ),
    ];
    for (error, message) in cases {
        says(error, message, false);
    }
}

// Errors of a session.

fn foreign_request(session: &Session) -> SessionError {
    session.authorize(&mut http::Request::get("https://other.example.org/").body(()).unwrap()).unwrap_err()
}

#[test]
fn a_session_says_what_it_lacks_or_where_a_request_goes() {
    let at_a_homeserver = Scenario::logged_in().session().clone();
    let elsewhere = Session::from_json(GRANTED).unwrap().unwrap();
    let unknown = "the session does not know its homeserver: discover the server of its user ID, then set the \
                   homeserver";
    let response = login::response(&served(200, &[], GRANTED.replace("device_id", "x"))).unwrap();
    let granted = Session::granted(HOMESERVER.parse().unwrap(), response, &LoginSettings::default(), noon());
    for (error, message) in [
        (
            foreign_request(&at_a_homeserver),
            "the request does not go to the session's homeserver: send the access token only there",
        ),
        (foreign_request(&elsewhere), unknown),
        (elsewhere.refresh_request().unwrap_err(), unknown),
        (
            at_a_homeserver.refresh_request().unwrap_err(),
            "the session has no refresh token: log in again when its access token expires",
        ),
        (
            granted.unwrap_err(),
            "the homeserver did not say which device is logged in: set the device ID in the \
                                settings",
        ),
    ] {
        says(error, message, false);
    }
}

#[test]
fn an_oauth_session_says_why_it_cannot_begin_or_end() {
    let metadata = |member: &str, value: &str| {
        let mut document = document();
        document[member] = json!(value);
        read(HOMESERVER, &document)
    };
    let granted = |metadata: &auth_metadata::AuthMetadata, who: &str| {
        let tokens = token::response(&served(200, &[], r#"{"access_token":"t"}"#)).unwrap();
        let who = whoami::response(&served(200, &[], who)).unwrap();
        Session::granted_by_oauth(HOMESERVER.parse().unwrap(), "client", metadata, tokens, who, noon()).unwrap_err()
    };
    let alice = r#"{"user_id":"@alice:example.org","device_id":"D"}"#;
    let without_a_device = r#"{"user_id":"@alice:example.org"}"#;
    let other_issuer = metadata("issuer", "https://auth.example.net/");
    let no_revocation = metadata("revocation_endpoint", "/revoke");
    let mut session = refresh::oauth_session();
    session.set_auth_metadata(&no_revocation).unwrap();
    for (error, message) in [
        (
            granted(&read(HOMESERVER, &document()), without_a_device),
            "the access token does not belong to a device: revoke it, and log in with a scope that contains a device",
        ),
        (
            granted(&metadata("token_endpoint", "/token"), alice),
            "the OAuth 2.0 server has no usable token endpoint: ask for its metadata again later",
        ),
        (
            session.set_auth_metadata(&other_issuer).unwrap_err(),
            "the metadata belong to another OAuth 2.0 server than the one that granted the session",
        ),
        (
            session.logout_request().unwrap_err(),
            "the OAuth 2.0 server cannot revoke tokens: end the session on the account page of the homeserver",
        ),
    ] {
        says(error, message, false);
    }
}

#[test]
fn an_oauth_servers_error_is_its_code_and_its_description() {
    let refused = |status, body: &str| token::response(&served(status, &[], body)).unwrap_err();
    for (error, message, may_retry) in [
        (
            refused(400, r#"{"error":"invalid_grant","error_description":"The code was used before"}"#),
            "the server refused (status 400, invalid_grant): The code was used before",
            false,
        ),
        (refused(401, r#"{"error":"invalid_client"}"#), "the server refused (status 401, invalid_client)", false),
        (refused(429, r#"{"error":"slow_down"}"#), "the server refused (status 429, slow_down)", true),
        (
            refused(500, r#"{"error":"server_error","error_description":"x\ny"}"#),
            "the server failed (status 500, server_error): x y",
            true,
        ),
    ] {
        says(error, message, may_retry);
    }
}

#[test]
fn a_refusal_in_the_browser_has_no_status() {
    let refused = |query: &str| {
        let callback = format!("http://127.0.0.1:9/cb?state={STATE}&{query}").parse().unwrap();
        match authorization::response(&callback, STATE, None, false).unwrap() {
            authorization::Response::Refused(error) => *error,
            response => panic!("{response:?}"),
        }
    };
    for (query, message) in [
        ("error=access_denied", "the server refused (access_denied)"),
        ("error=a%0Ab&error_description=The+user%1Bsaid+no", "the server refused (a b): The user said no"),
    ] {
        let error = refused(query);
        assert_eq!(error.to_string(), message);
        says(error, message, false);
    }
}

#[test]
fn an_invalid_oauth_response_names_its_endpoint() {
    let page = served(404, &[], "<html>");
    for (error, endpoint) in [
        (registration::response(&page).unwrap_err(), "registration_endpoint"),
        (
            device_authorization::response(&HOMESERVER.parse().unwrap(), &page).unwrap_err(),
            "device_authorization_endpoint",
        ),
        (token::response(&page).unwrap_err(), "token_endpoint"),
        (revocation::response(&page).unwrap_err(), "revocation_endpoint"),
    ] {
        let message =
            format!("the response to POST {endpoint} is not from an OAuth 2.0 server (status 404): check the address");
        says(error, &message, false);
    }
    for (error, message) in [
        (
            registration::response(&served(201, &[], "{}")).unwrap_err(),
            "invalid response to POST registration_endpoint: expected `client_id` to be a string that is not empty; \
             the server is at fault",
        ),
        (
            device_authorization::response(
                &HOMESERVER.parse().unwrap(),
                &served(200, &[], r#"{"device_code":"d","user_code":"u","verification_uri":"http://a.example/"}"#),
            )
            .unwrap_err(),
            "invalid response to POST device_authorization_endpoint: expected `verification_uri` to be an https URL \
             without user information; the server is at fault",
        ),
        (
            token::response(&served(200, &[], r#"{"access_token":"t","token_type":"mac"}"#)).unwrap_err(),
            "invalid response to POST token_endpoint: expected `token_type` to be `Bearer` (the server might still \
             have granted a login); the server is at fault",
        ),
        (
            auth_metadata::response(&HOMESERVER.parse().unwrap(), &served(200, &[], "{}")).unwrap_err(),
            "invalid response to GET /_matrix/client/v1/auth_metadata: expected `issuer` to be a string that is not \
             empty; the server is at fault",
        ),
    ] {
        says(error, message, false);
    }
}

#[test]
fn a_foreign_oauth_callback_says_what_was_expected() {
    for (query, problem) in [
        ("code=c", "expected exactly one `state`, the state of this login"),
        ("state=0123456789abcdef", "expected a `code` or an `error`"),
        ("state=0123456789abcdef&code=c&error=e", "expected `code` or `error`, not both"),
        ("state=0123456789abcdef&code=c&code=c", "expected only one `code`"),
        ("state=0123456789abcdef&code=c&iss=i", "expected `iss` to be the issuer of the metadata"),
        ("state=0123456789abcdef#code=c", "expected all parameters in the query, or all of them in the fragment"),
    ] {
        let callback = format!("http://127.0.0.1:9/cb?{query}").parse().unwrap();
        let error = authorization::response(&callback, STATE, Some("issuer"), false).unwrap_err();
        says(
            error,
            &format!("the callback does not belong to this login: {problem}; keep waiting for the right callback"),
            false,
        );
    }
}

#[test]
fn out_of_step_names_the_input_and_what_is_due() {
    let call = |story: Scenario, input: fn(&mut LoginFlow) -> Result<(), Error>| {
        let mut flow = story.flow;
        input(&mut flow).unwrap_err()
    };
    let mut waiting = Scenario::logging_in();
    waiting.responds(429, "");
    let unreachable = |flow: &mut LoginFlow| flow.handle_unreachable(request_id(flow).unwrap());
    for (error, message) in [
        (
            call(Scenario::logging_in(), LoginFlow::handle_timeout),
            "handle_timeout is not allowed now: the current step \
                                                                   is Send",
        ),
        (call(Scenario::logging_in(), unreachable), "handle_unreachable is not allowed now: the current step is Send"),
        (call(waiting, |flow| flow.choose(password())), "choose is not allowed now: the current step is Wait"),
        (
            call(Scenario::lost(), |flow| flow.choose(password())),
            "choose is not allowed now: the current step is \
                                                                  Locate",
        ),
        (call(Scenario::logged_in(), LoginFlow::back), "back is not allowed now: the current step is Done"),
        (
            call(Scenario::in_the_browser(), LoginFlow::handle_timeout),
            "handle_timeout is not allowed now: the current \
                                                                       step is Browse",
        ),
        (
            call(Scenario::showing_a_code(), |flow| flow.choose(password())),
            "choose is not allowed now: the current \
                                                                            step is ShowCode",
        ),
        (
            call(Scenario::polling(), LoginFlow::handle_timeout),
            "handle_timeout is not allowed now: the current step is \
                                                                Send",
        ),
        (call(Scenario::polling(), unreachable), "handle_unreachable is not allowed now: the current step is Send"),
        (
            call(Scenario::at_the_question(), |flow| flow.handle_callback(&"http://127.0.0.1:9/cb".parse().unwrap())),
            "handle_callback is not allowed now: the current step is Choose",
        ),
    ] {
        says(error, message, false);
    }
}

#[test]
fn a_stale_response_says_that_it_belongs_to_another_request() {
    let message = "the flow does not wait for this response: it is too late, or belongs to another request; ignore it";
    says(Scenario::at_the_question().fails(200, GRANTED), message, false);
    let mut story = Scenario::lost();
    let id = story.last_request_id();
    says(story.flow.handle_unreachable(id).unwrap_err(), message, false);
}

#[test]
fn already_logged_in_says_what_to_do() {
    let mut flow = Scenario::logged_in().flow;
    let message = "already logged in: log out first, or begin another login";
    says(flow.choose(password()).unwrap_err(), message, false);
    says(flow.use_homeserver(HOMESERVER.parse().unwrap()).unwrap_err(), message, false);
}

fn not_offered(flows: &str, choice: Choice) -> Error {
    let mut story = Scenario::at(HOMESERVER);
    story.responds(200, format!(r#"{{"flows":{flows}}}"#));
    story.flow.choose(choice).unwrap_err()
}

fn with_provider(id: &str) -> Choice {
    let redirect = Redirect::new("http://127.0.0.1:9/cb", STATE).unwrap();
    Choice::sso(redirect.with_identity_provider(id).unwrap())
}

#[test]
fn not_offered_names_the_offers() {
    for (flows, choice, message) in [
        (
            r#"[{"type":"m.login.sso"},{"type":"org.example.badge"}]"#,
            password(),
            "the homeserver does not offer m.login.password; it offers m.login.sso, org.example.badge",
        ),
        ("[]", password(), "the homeserver does not offer m.login.password"),
        (
            r#"[{"type":"m.login.sso","identity_providers":[{"id":"oidc-x","name":"X"},{"id":"oidc-y","name":"Y"}]}]"#,
            with_provider("oidc-z"),
            "the homeserver does not offer identity provider oidc-z; it offers oidc-x, oidc-y",
        ),
    ] {
        says(not_offered(flows, choice), message, false);
    }
}

#[test]
fn a_device_grant_that_is_not_offered_says_what_is_missing() {
    let choose = |settings: LoginSettings, metadata: &str| {
        let mut story = Scenario::with_metadata(settings, metadata);
        story.flow.choose(Choice::device_authorization()).unwrap_err()
    };
    for (member, value, problem) in [
        ("device_authorization_endpoint", json!(null), "`device_authorization_endpoint` is not an https URL"),
        (
            "token_endpoint",
            json!("https://auth.example.org:444/"),
            "`token_endpoint` is not on the origin of \
            `device_authorization_endpoint`",
        ),
        ("grant_types_supported", json!([]), "`grant_types_supported` does not contain the grant type of RFC 8628"),
    ] {
        let message = format!(
            "the homeserver does not offer urn:ietf:params:oauth:grant-type:device_code ({problem}); it offers \
             m.login.password, m.login.sso, m.login.token, m.login.application_service, org.example.badge"
        );
        says(choose(with_oauth(), &metadata_with(member, value)), &message, false);
    }
    let without_device = LoginSettings::default().with_oauth(with_oauth().oauth().unwrap().clone());
    let message = "invalid device ID: expected at least 10 characters of A-Z, a-z, 0-9, -, ., _ and ~ for an OAuth 2.0 \
                   login";
    says(choose(without_device, METADATA), message, false);
}

#[test]
fn a_code_that_was_not_entered_says_why() {
    let refused = |time, status, body: &str| {
        let mut story = Scenario::polling();
        story.responds_at(time, status, body);
        story.refused().clone()
    };
    let pending = r#"{"error":"authorization_pending","error_description":"Wait for the user."}"#;
    for (error, message) in [
        (refused(noon() + CODE_LIFETIME, 400, pending), "the server refused (status 400, expired_token)"),
        (refused(noon() + CODE_LIFETIME, 403, PENDING), "the server refused (status 403, expired_token)"),
        (
            refused(noon(), 403, r#"{"error":"expired_token","error_description":"The code\nhas ended."}"#),
            "the server refused (status 403, expired_token): The code has ended.",
        ),
        (
            refused(noon(), 403, r#"{"error":"access_denied","error_description":"The user said no."}"#),
            "the server refused (status 403, access_denied): The user said no.",
        ),
    ] {
        assert_eq!(error.to_string(), message);
        says(error, message, false);
    }
}

#[test]
fn a_foreign_callback_says_what_was_expected() {
    let mut flow = Scenario::in_the_browser().flow;
    let error = flow.handle_callback(&"http://127.0.0.1:9/cb?loginToken=t".parse().unwrap()).unwrap_err();
    let message = "the callback does not belong to this login: expected exactly one `state`, the state of this login, \
                   and a `loginToken`; keep waiting for the right callback";
    says(error, message, false);
}

// Errors of the server.

#[test]
fn a_servers_error_is_its_status_its_errcode_and_its_words() {
    for (status, body, message, may_retry) in [
        (
            403,
            r#"{"errcode":"M_FORBIDDEN","error":"Invalid username or password"}"#,
            "the server refused (status 403, M_FORBIDDEN): Invalid username or password",
            false,
        ),
        (403, r#"{"errcode":"M_FORBIDDEN"}"#, "the server refused (status 403, M_FORBIDDEN)", false),
        (403, r#"{"error":"go away"}"#, "the server refused (status 403): go away", false),
        (
            400,
            r#"{"errcode":"M_UNKNOWN","error":"Missing JSON keys."}"#,
            "the server refused (status 400, M_UNKNOWN): Missing JSON keys.",
            false,
        ),
        // A rate limit.
        (
            429,
            r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too Many Requests","retry_after_ms":2987}"#,
            "the server refused (status 429, M_LIMIT_EXCEEDED): Too Many Requests",
            true,
        ),
        (429, "<html>", "the server refused (status 429)", true),
        (
            403,
            r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":5}"#,
            "the server refused (status 403, M_LIMIT_EXCEEDED)",
            true,
        ),
        (403, r#"{"errcode":"M_LIMIT_EXCEEDED"}"#, "the server refused (status 403, M_LIMIT_EXCEEDED)", false),
        (403, r#"{"errcode":"M_FORBIDDEN","retry_after_ms":5}"#, "the server refused (status 403, M_FORBIDDEN)", false),
        // The server's own failure.
        (
            500,
            r#"{"errcode":"M_UNKNOWN","error":"Internal server error"}"#,
            "the server failed (status 500, M_UNKNOWN): Internal server error",
            true,
        ),
        (503, r#"{"errcode":"M_FORBIDDEN"}"#, "the server failed (status 503, M_FORBIDDEN)", true),
        (408, r#"{"errcode":"M_UNKNOWN"}"#, "the server failed (status 408, M_UNKNOWN)", true),
        // Under a status of success, but without a login.
        (200, r#"{"errcode":"M_FORBIDDEN","error":"no"}"#, "the server refused (status 200, M_FORBIDDEN): no", false),
    ] {
        let error = refusal(status, body);
        says(error.clone(), message, may_retry);
        let ResponseError::Server(error) = error else { panic!("{error:?}") };
        assert_eq!(error.to_string(), message);
        assert!(error.source().is_none());
    }
}

#[test]
fn a_refusal_and_a_wait_say_what_the_server_said() {
    let mut story = Scenario::logging_in();
    story.responds(403, r#"{"errcode":"M_FORBIDDEN","error":"Invalid username or password"}"#);
    let message = "the server refused (status 403, M_FORBIDDEN): Invalid username or password";
    assert_eq!(story.refused().to_string(), message);
    says(ResponseError::Server(story.refused().clone().into()), message, false);
    let mut story = Scenario::logging_in();
    story.responds(429, r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too Many Requests"}"#);
    let message = "the server refused (status 429, M_LIMIT_EXCEEDED): Too Many Requests";
    assert_eq!(story.wait().error().to_string(), message);
    says(ResponseError::Server(story.wait().error().clone().into()), message, true);
}

#[test]
fn legacy_login_unsupported_says_what_could_exist_instead() {
    let error = Scenario::at(HOMESERVER).fails(404, r#"{"errcode":"M_UNRECOGNIZED"}"#);
    says(
        error,
        "there is no login API at this address that the settings allow: check the address; if the homeserver supports \
         OAuth 2.0, allow that in the settings",
        false,
    );
}

#[test]
fn an_invalid_response_says_where_and_what_was_expected() {
    let logging_in = |body: &str| Scenario::logging_in().fails(200, body);
    for (error, message) in [
        (
            logging_in("{}"),
            "invalid response to POST /_matrix/client/v3/login: expected `access_token` to be a string of visible \
             ASCII characters; the server is at fault",
        ),
        (
            logging_in(r#"{"access_token":"t"}"#),
            "invalid response to POST /_matrix/client/v3/login: expected `user_id` to be a valid user ID; the server \
             is at fault",
        ),
        (
            logging_in(r#"{"access_token":"t","user_id":"@alice:example.org"}"#),
            "invalid response to POST /_matrix/client/v3/login: expected `device_id` to be a string that is not empty; \
             the server is at fault",
        ),
        (
            logging_in("[]"),
            "invalid response to POST /_matrix/client/v3/login: expected the body to be a JSON object; the server is \
             at fault",
        ),
        (
            Scenario::at(HOMESERVER).fails(200, "{}"),
            "invalid response to GET /_matrix/client/v3/login: expected `flows` to be a list; the server is at fault",
        ),
        (
            versions::response(&served(200, &[], "{}")).unwrap_err().into(),
            "invalid response to GET /_matrix/client/versions: expected `versions` to be a list of strings; the \
             server is at fault",
        ),
    ] {
        says(error, message, false);
    }
}

#[test]
fn too_large_says_how_large() {
    let error = Scenario::logging_in().fails(200, " ".repeat(MAX_BODY + 1));
    let message = "invalid response to POST /_matrix/client/v3/login: the body is longer than 65536 \
                   bytes; the server, or a proxy in front of it, is at fault";
    says(error, message, false);
}

// Errors of the network.

#[test]
fn not_matrix_says_whether_to_wait_or_to_look_at_the_address() {
    for (status, body, advice, may_retry) in [
        (200, "<!DOCTYPE html>", "check the address", false),
        (404, "<html>404 Not Found</html>", "check the address", false),
        (403, "", "check the address", false),
        (600, "", "check the address", false),
        (500, "", "try again later", true),
        (502, "<html>502 Bad Gateway</html>", "try again later", true),
        (503, VERSIONS, "try again later", true),
        (504, "", "try again later", true),
        (408, "<html>408 Request Time-out</html>", "try again later", true),
        (425, "", "try again later", true),
    ] {
        let error = login_types::response(&served(status, &[], body)).unwrap_err();
        let message = format!(
            "the response to GET /_matrix/client/v3/login is not from a Matrix server (status {status}): {advice}"
        );
        says(error, &message, may_retry);
    }
}

#[test]
fn redirected_says_where_to() {
    let location = [("location", "https://www.example.org/login")];
    let error = Scenario::logging_in().fails_with(served(301, &location, "<html>"));
    let message = "the response to POST /_matrix/client/v3/login is a redirect to https://www.example.org/login that \
                   is not followed: use the right address";
    says(error, message, false);
    let error = Scenario::at(HOMESERVER).fails(304, "");
    let message =
        "the response to GET /_matrix/client/v3/login is a redirect that is not followed: use the right address";
    says(error, message, false);
}

#[test]
fn unreachable_says_to_look_at_the_network_and_the_address() {
    let mut story = Scenario::discover("example.org");
    story.unreachable();
    let message = "no response to GET /.well-known/matrix/client: check the network and the address";
    says(failure(&story).cause.clone(), message, true);
    let mut story = Scenario::at_versions();
    story.unreachable();
    let message = "no response to GET /_matrix/client/versions: check the network and the address";
    says(failure(&story).cause.clone(), message, true);
}

// Errors of discovery.

#[test]
fn ignore_says_that_the_server_says_nothing() {
    fails_to_find(
        &Scenario::lost(),
        DiscoveryOutcome::Ignore,
        "the server does not say where its homeserver is; if you know the URL of the homeserver, give that",
        false,
    );
}

#[test]
fn fail_prompt_says_what_cannot_be_read() {
    let told = |status, headers: &[(&str, &str)], body: &str| {
        let mut story = Scenario::discover("example.org");
        story.responds_with(served(status, headers, body));
        story
    };
    for (story, cause, may_retry) in [
        (
            told(200, &[], "<html>"),
            "the response to GET /.well-known/matrix/client is not from a Matrix server (status 200): check the \
             address",
            false,
        ),
        (
            told(502, &[], "<html>"),
            "the response to GET /.well-known/matrix/client is not from a Matrix server (status 502): try again later",
            true,
        ),
        (
            told(200, &[], "{}"),
            "invalid response to GET /.well-known/matrix/client: expected `base_url` of `m.homeserver` to be a string; \
             the server is at fault",
            false,
        ),
        (
            told(302, &[("location", "http://www.example.org/")], ""),
            "the response to GET /.well-known/matrix/client is a redirect to http://www.example.org/ that is not \
             followed: use the right address",
            false,
        ),
        (told(429, &[], ""), "the server refused (status 429)", true),
    ] {
        let message = format!(
            "the server does not say clearly where its homeserver is: {cause}; if you know the URL of the homeserver, \
             give that"
        );
        fails_to_find(&story, DiscoveryOutcome::FailPrompt, &message, may_retry);
    }
}

#[test]
fn fail_error_says_which_address_does_not_work() {
    let mut story = Scenario::at_versions();
    story.responds(404, "<html>");
    fails_to_find(
        &story,
        DiscoveryOutcome::FailError,
        "the homeserver https://hs.example.org cannot be used: the response to GET /_matrix/client/versions is not \
         from a Matrix server (status 404): check the address; if you know the URL of the homeserver, give that",
        false,
    );
    let mut story = Scenario::at_versions();
    story.unreachable();
    fails_to_find(
        &story,
        DiscoveryOutcome::FailError,
        "the homeserver https://hs.example.org cannot be used: no response to GET /_matrix/client/versions: check the \
         network and the address; if you know the URL of the homeserver, give that",
        true,
    );
    let mut story = Scenario::discover("example.org");
    story.responds(200, WELL_KNOWN.replace("https://", ""));
    fails_to_find(
        &story,
        DiscoveryOutcome::FailError,
        "the server does not say clearly where its homeserver is: invalid response to GET /.well-known/matrix/client: \
         expected `base_url` of `m.homeserver` to be an http or https URL; the server is at fault; if you know the URL \
         of the homeserver, give that",
        false,
    );
}

#[test]
fn without_the_flow_discovery_says_the_same() {
    let error = well_known::response(&served(404, &[], "")).unwrap_err();
    says(
        *error,
        "the server does not say where its homeserver is; if you know the URL of the homeserver, give that",
        false,
    );
}

// The error for a session that was granted.

#[test]
fn a_missing_refresh_token_says_what_can_be_done() {
    let body = GRANTED.replace('}', r#","expires_in_ms":1}"#);
    let error = respond(&mut Scenario::logging_in().flow, &served(200, &[], body), noon()).unwrap_err();
    let message = "logged in, but the access token expires and there is no refresh token: log this session out, or \
                   turn off the setting `require_refresh_token` before the login";
    says(error, message, false);
}

// Texts in one line.

/// Line breaks, escape sequences, and characters that turn the direction of a text, between an `a` and a `b`.
const ODD: [&str; 22] = [
    "a\nb",
    "a\rb",
    "a\tb",
    "a\0b",
    "a\u{7f}b",
    "a\u{1b}b",
    "a\u{85}b",
    "a\u{9b}b",
    "a\u{2028}b",
    "a\u{2029}b",
    "a\u{202e}b",
    "a\u{202a}b",
    "a\u{2066}b",
    "a\u{2069}b",
    "a\u{61c}b",
    "a\u{200e}b",
    "a\u{200f}b",
    "a\u{202b}b",
    "a\u{202c}b",
    "a\u{202d}b",
    "a\u{2067}b",
    "a\u{2068}b",
];

#[test]
fn a_servers_words_are_shown_in_one_line_and_kept_unchanged() {
    for odd in ODD {
        let body = json!({"errcode": odd, "error": odd}).to_string();
        let error = refusal(403, &body);
        says(error.clone(), "the server refused (status 403, a b): a b", false);
        let ResponseError::Server(error) = error else { panic!("{error:?}") };
        let ServerError { errcode, message, .. } = *error;
        assert_eq!((errcode.as_deref(), message.as_deref()), (Some(odd), Some(odd)));

        let mut story = Scenario::discover("example.org");
        story.responds(403, body);
        let cause = "the server refused (status 403, a b): a b";
        let message = format!(
            "the server does not say clearly where its homeserver is: {cause}; if you know the URL of the homeserver, \
             give that"
        );
        fails_to_find(&story, DiscoveryOutcome::FailPrompt, &message, false);
    }
    let error = refusal(403, r#"{"error":"\u001b[31mred\u001b[0m\r\n\r\nInvalid"}"#);
    says(error, "the server refused (status 403):  [31mred [0m    Invalid", false);
}

#[test]
fn a_location_is_shown_in_one_line() {
    for (location, shown) in [("/a\tb", "/a b"), ("/a\u{202e}b", "/a b"), ("/a\u{9b}b", "/a b"), ("/ä", "/ä")] {
        let error = Scenario::at(HOMESERVER).fails_with(served(302, &[("location", location)], ""));
        let message = format!(
            "the response to GET /_matrix/client/v3/login is a redirect to {shown} that is not followed: use the right \
             address"
        );
        says(error, &message, false);
    }
}

#[test]
fn the_offers_are_shown_in_one_line() {
    for odd in ODD {
        let flows = json!([{"type": odd}, {"type": "m.login.sso", "identity_providers": [{"id": odd}]}]).to_string();
        let message = "the homeserver does not offer m.login.password; it offers a b, m.login.sso";
        says(not_offered(&flows, password()), message, false);
        let message = "the homeserver does not offer identity provider oidc-x; it offers a b";
        says(not_offered(&flows, with_provider("oidc-x")), message, false);
    }
}

#[test]
fn the_choice_is_shown_in_one_line() {
    for odd in ODD {
        let flows = r#"[{"type":"m.login.sso","identity_providers":[{"id":"oidc-x"}]}]"#;
        // The choice can come from the list of another homeserver.
        let custom = Choice::custom(odd, Map::new()).unwrap();
        says(not_offered(flows, custom), "the homeserver does not offer a b; it offers m.login.sso", false);
        let message = "the homeserver does not offer identity provider a b; it offers oidc-x";
        says(not_offered(flows, with_provider(odd)), message, false);
    }
}

#[test]
fn a_server_error_without_status_and_code_has_a_message() {
    let mut story = Scenario::logging_in();
    let mut error = story.responds(403, r#"{"errcode":"M_FORBIDDEN"}"#).refused().clone();
    (error.status, error.errcode) = (None, None);
    assert_eq!(error.to_string(), "the server refused");
    error.message = Some("No.".to_owned());
    assert_eq!(error.to_string(), "the server refused: No.");
}
