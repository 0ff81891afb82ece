//! The homeserver of the demos: it checks requests as the specification says, and its tokens rotate and expire.

#[path = "../../examples/login/demo/homeserver.rs"]
mod homeserver;
#[path = "../../examples/login/demo/oauth.rs"]
mod oauth;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use self::homeserver::{Homeserver, PASSWORD, Reply, Request};

const URL: &str = "http://127.0.0.1:8008";
const LOGIN: &str = "/_matrix/client/v3/login";
const REFRESH: &str = "/_matrix/client/v3/refresh";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const LOGOUT: &str = "/_matrix/client/v3/logout";
const SSO: &str = "/_matrix/client/v3/login/sso/redirect";

/// The homeserver, and the time on its clock.
struct Story {
    homeserver: Homeserver,
    now: Instant,
}

impl Story {
    fn new() -> Self {
        Self { homeserver: Homeserver::new(URL), now: Instant::now() }
    }

    fn send(&mut self, request: &Request<'_>) -> Reply {
        self.homeserver.respond(request, self.now)
    }

    /// Status and body.
    fn post(&mut self, target: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let content_type = Some("application/json");
        read(&self.send(&Request { method: "POST", target, authorization: None, content_type, body: body.as_bytes() }))
    }

    fn with_token(&mut self, method: &str, target: &str, token: &str) -> (u16, Value) {
        let authorization = format!("Bearer {token}");
        let authorization = Some(authorization.as_str());
        read(&self.send(&Request { method, target, authorization, content_type: None, body: b"" }))
    }

    fn get(&mut self, target: &str) -> Reply {
        self.send(&Request { method: "GET", target, authorization: None, content_type: None, body: b"" })
    }

    fn post_form(&mut self, target: &str, form: &[(&str, &str)]) -> Reply {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let content_type = Some("application/x-www-form-urlencoded");
        self.send(&Request { method: "POST", target, authorization: None, content_type, body: body.as_bytes() })
    }

    /// A code that no user has entered yet.
    fn code(&mut self, client_name: &str) -> HandedOut {
        let client = json!({ "client_uri": "https://example.org/", "client_name": client_name });
        let (status, registered) = self.post(oauth::REGISTER, &client);
        assert_eq!(status, 201, "{registered}");
        let client_id = registered["client_id"].as_str().unwrap().to_owned();
        let scope = "urn:matrix:client:api:* urn:matrix:client:device:DEVICE<1>";
        let (status, code) = read(&self.post_form(oauth::DEVICE, &[("client_id", &client_id), ("scope", scope)]));
        assert_eq!((status, &code["interval"], &code["expires_in"]), (200, &json!(1), &json!(300)), "{code}");
        let text = |name: &str| code[name].as_str().unwrap().to_owned();
        assert_eq!(text("verification_uri"), format!("{URL}{}", oauth::LINK));
        assert_eq!(text("verification_uri_complete"), format!("{URL}{}?code={}", oauth::LINK, text("user_code")));
        HandedOut { client_id, device_code: text("device_code"), user_code: text("user_code") }
    }

    /// The error of a poll, or the tokens.
    fn poll(&mut self, code: &HandedOut, seconds: u64) -> Result<Session, String> {
        self.now += Duration::from_secs(seconds);
        let form =
            [("grant_type", oauth::DEVICE_CODE), ("device_code", &code.device_code), ("client_id", &code.client_id)];
        match read(&self.post_form(oauth::TOKEN, &form)) {
            (200, granted) => {
                assert_eq!((&granted["token_type"], &granted["expires_in"]), (&json!("Bearer"), &json!(300)));
                Ok(Session::of(&granted))
            }
            (400, error) => Err(error["error"].as_str().unwrap().to_owned()),
            (status, body) => panic!("{status} {body}"),
        }
    }

    /// Enters a code, and presses a button. Returns the page that has the button.
    fn decide(&mut self, code: &HandedOut, decision: &str) -> String {
        let entered = self.post_form(oauth::LINK, &[("code", &code.user_code)]);
        assert_eq!(entered.status, 200, "{}", entered.body);
        let button = entered.body.split_once("action=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
        assert_eq!(self.post_form(&button, &[("decision", decision)]).status, 200);
        assert_eq!(self.post_form(&button, &[("decision", "allow")]).status, 404, "a code is decided once");
        entered.body
    }

    fn refresh_by_oauth(&mut self, token: &str, client_id: &str) -> (u16, Value) {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", client_id)];
        read(&self.post_form(oauth::TOKEN, &form))
    }

    fn log_in(&mut self, more: &Value) -> Session {
        let mut body = password("alice", PASSWORD);
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, granted) = self.post(LOGIN, &body);
        assert_eq!(status, 200, "{granted}");
        Session::of(&granted)
    }

    fn refresh(&mut self, token: &str) -> Session {
        let (status, granted) = self.post(REFRESH, &json!({ "refresh_token": token }));
        assert_eq!((status, &granted["expires_in_ms"]), (200, &json!(300_000)), "{granted}");
        Session::of(&granted)
    }

    fn is_refused(&mut self, refresh_token: &str) {
        let (status, error) = self.post(REFRESH, &json!({ "refresh_token": refresh_token }));
        assert_eq!((status, &error["errcode"]), (401, &json!("M_UNKNOWN_TOKEN")));
    }

    fn is_valid(&mut self, access_token: &str) {
        let (status, who) = self.with_token("GET", WHOAMI, access_token);
        assert_eq!((status, &who["user_id"]), (200, &json!("@alice:127.0.0.1:8008")));
    }

    fn has_ended(&mut self, access_token: &str, soft_logout: bool) {
        let (status, error) = self.with_token("GET", WHOAMI, access_token);
        assert_eq!(
            (status, &error["errcode"], &error["soft_logout"]),
            (401, &json!("M_UNKNOWN_TOKEN"), &json!(soft_logout))
        );
    }

    /// Presses the button of a single sign-on, and returns the address to which the button leads.
    fn sign_on(&mut self) -> Url {
        let page = self.get(&format!("{SSO}?redirectUrl=http%3A%2F%2F127.0.0.1%3A9%2Fcallback%3Fstate%3D1"));
        assert_eq!(page.status, 200);
        let button = page.body.split_once("action=\"").unwrap().1.split_once('"').unwrap().0;
        let press = Request { method: "POST", target: button, authorization: None, content_type: None, body: b"" };
        let pressed = self.send(&press);
        assert_eq!((pressed.status, pressed.headers[0].0), (303, "Location"));
        assert_eq!(self.send(&press).status, 404, "a button can be pressed once");
        pressed.headers[0].1.parse().unwrap()
    }
}

struct Session {
    access: String,
    refresh: String,
}

impl Session {
    fn of(granted: &Value) -> Self {
        let token = |name: &str| granted[name].as_str().unwrap_or_default().to_owned();
        Self { access: token("access_token"), refresh: token("refresh_token") }
    }
}

struct HandedOut {
    client_id: String,
    device_code: String,
    user_code: String,
}

fn read(reply: &Reply) -> (u16, Value) {
    (reply.status, serde_json::from_str(&reply.body).unwrap())
}

fn password(user: &str, password: &str) -> Value {
    json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": user }, "password": password })
}

fn token(token: &str) -> Value {
    json!({ "type": "m.login.token", "token": token })
}

#[test]
fn a_wrong_password_is_refused_and_the_next_login_is_limited() {
    for user in ["alice", "@alice:127.0.0.1:8008"] {
        for (wrong_user, wrong) in [(user, "guess"), ("bob", PASSWORD), ("@alice:example.org", PASSWORD)] {
            let mut story = Story::new();
            let statuses = [
                story.post(LOGIN, &password(wrong_user, wrong)).0,
                story.post(LOGIN, &password(user, PASSWORD)).0,
                story.post(LOGIN, &password(user, PASSWORD)).0,
            ];
            assert_eq!(statuses, [403, 429, 200], "{wrong_user}");
        }
    }
}

#[test]
fn requests_that_are_not_as_specified_are_refused() {
    let mut story = Story::new();
    let right = password("alice", PASSWORD);
    let without = |name: &str| {
        let mut body = right.clone();
        body.as_object_mut().unwrap().remove(name);
        body
    };
    let with = |name: &str, value: Value| {
        let mut body = right.clone();
        body[name] = value;
        body
    };
    for (target, body, errcode) in [
        (LOGIN, json!([]), "M_BAD_JSON"),
        (LOGIN, without("type"), "M_MISSING_PARAM"),
        (LOGIN, with("type", json!("m.login.dummy")), "M_UNKNOWN"),
        (LOGIN, without("identifier"), "M_MISSING_PARAM"),
        (LOGIN, with("identifier", json!({ "type": "m.id.phone" })), "M_UNKNOWN"),
        (LOGIN, with("identifier", json!({ "type": "m.id.user" })), "M_MISSING_PARAM"),
        (LOGIN, without("password"), "M_MISSING_PARAM"),
        (LOGIN, with("password", json!(1)), "M_BAD_JSON"),
        (LOGIN, with("device_id", json!("")), "M_INVALID_PARAM"),
        (LOGIN, with("refresh_token", json!("yes")), "M_BAD_JSON"),
        (LOGIN, json!({ "type": "m.login.token" }), "M_MISSING_PARAM"),
        (REFRESH, json!({}), "M_MISSING_PARAM"),
    ] {
        let (status, error) = story.post(target, &body);
        assert_eq!((status, &error["errcode"]), (400, &json!(errcode)), "{body}");
    }
    for (content_type, body) in [(None, right.to_string()), (Some("application/json; charset=utf-8"), "{".to_owned())] {
        let body = body.as_bytes();
        let reply = story.send(&Request { method: "POST", target: LOGIN, authorization: None, content_type, body });
        assert_eq!((reply.status, &read(&reply).1["errcode"]), (400, &json!("M_NOT_JSON")));
    }
    for (target, status, errcode) in [
        (REFRESH, 405, "M_UNRECOGNIZED"),
        (LOGOUT, 405, "M_UNRECOGNIZED"),
        ("/_matrix/client/v3/sync", 404, "M_UNRECOGNIZED"),
        (SSO, 400, "M_MISSING_PARAM"),
        (&format!("{SSO}?redirectUrl=callback"), 400, "M_INVALID_PARAM"),
        (WHOAMI, 401, "M_MISSING_TOKEN"),
    ] {
        let reply = story.get(target);
        assert_eq!((reply.status, &read(&reply).1["errcode"]), (status, &json!(errcode)), "{target}");
    }
}

#[test]
fn a_refresh_replaces_the_tokens() {
    let mut story = Story::new();
    let first = story.log_in(&json!({ "refresh_token": true }));
    story.is_valid(&first.access);
    let second = story.refresh(&first.refresh);
    story.has_ended(&first.access, false);
    story.is_valid(&second.access);
    story.is_refused(&first.refresh);
    let third = story.refresh(&second.refresh);
    assert!(third.access != second.access && third.refresh != second.refresh);
}

#[test]
fn a_refresh_whose_response_is_lost_can_be_repeated() {
    let mut story = Story::new();
    let first = story.log_in(&json!({ "refresh_token": true }));
    let lost = story.refresh(&first.refresh);
    let second = story.refresh(&first.refresh);
    story.has_ended(&lost.access, false);
    story.is_refused(&lost.refresh);
    // A use of the new refresh token shows that the response has arrived, just as a use of the new access token does.
    story.refresh(&second.refresh);
    story.is_refused(&first.refresh);
}

#[test]
fn an_access_token_expires_and_its_refresh_token_does_not() {
    let mut story = Story::new();
    let session = story.log_in(&json!({ "refresh_token": true }));
    story.now += Duration::from_millis(299_999);
    story.is_valid(&session.access);
    story.now += Duration::from_millis(1);
    story.has_ended(&session.access, true);
    let refreshed = story.refresh(&session.refresh);
    story.is_valid(&refreshed.access);
}

#[test]
fn a_session_without_a_refresh_token_does_not_expire() {
    let mut story = Story::new();
    let session = story.log_in(&json!({}));
    assert_eq!(session.refresh, "");
    story.now += Duration::from_secs(1_000_000);
    story.is_valid(&session.access);
}

#[test]
fn after_a_logout_no_token_of_the_device_is_valid() {
    let mut story = Story::new();
    let kept = story.log_in(&json!({ "device_id": "KEPT" }));
    let ended = story.log_in(&json!({ "device_id": "ENDED", "refresh_token": true }));
    assert_eq!(story.with_token("POST", LOGOUT, &ended.access), (200, json!({})));
    story.has_ended(&ended.access, false);
    story.is_refused(&ended.refresh);
    story.is_valid(&kept.access);
}

#[test]
fn a_login_again_ends_the_tokens_that_its_device_had() {
    let mut story = Story::new();
    let before = story.log_in(&json!({ "device_id": "DEVICE", "refresh_token": true }));
    let after = story.log_in(&json!({ "device_id": "DEVICE" }));
    story.has_ended(&before.access, false);
    story.is_refused(&before.refresh);
    assert_eq!(story.with_token("GET", WHOAMI, &after.access).1["device_id"], "DEVICE");
}

#[test]
fn a_login_token_is_valid_once_and_for_two_minutes() {
    let mut story = Story::new();
    let address = story.sign_on();
    let pairs: Vec<(String, String)> = address.query_pairs().into_owned().collect();
    assert_eq!((&pairs[0], pairs[1].0.as_str()), (&("state".to_owned(), "1".to_owned()), "loginToken"));
    let login_token = &pairs[1].1;
    assert_eq!(story.post(LOGIN, &token("guess")).0, 403);
    assert_eq!(story.post(LOGIN, &token(login_token)).0, 200);
    assert_eq!(story.post(LOGIN, &token(login_token)).0, 403);

    let address = story.sign_on();
    story.now += Duration::from_secs(120);
    assert_eq!(story.post(LOGIN, &token(&address.query_pairs().nth(1).unwrap().1)).0, 403);
}

// OAuth 2.0.

#[test]
fn a_code_that_is_allowed_gets_tokens_once() {
    let mut story = Story::new();
    let code = story.code("A program");
    assert_eq!(story.poll(&code, 1).err().as_deref(), Some("authorization_pending"));
    // A poll that comes too early makes the interval longer for every later poll.
    assert_eq!(story.poll(&code, 0).err().as_deref(), Some("slow_down"));
    assert_eq!(story.poll(&code, 5).err().as_deref(), Some("slow_down"));
    assert_eq!(story.poll(&code, 10).err().as_deref(), Some("slow_down"));
    assert_eq!(story.poll(&code, 16).err().as_deref(), Some("authorization_pending"));
    story.decide(&code, "allow");
    let session = story.poll(&code, 16).ok().unwrap();
    let (_, who) = story.with_token("GET", WHOAMI, &session.access);
    assert_eq!(who["device_id"], "DEVICE<1>");
    assert_eq!(story.poll(&code, 11).err().as_deref(), Some("invalid_grant"));
}

#[test]
fn a_code_that_is_denied_or_has_ended_gets_no_tokens() {
    let mut story = Story::new();
    let (denied, late, other) = (story.code("A"), story.code("B"), story.code("C"));
    story.decide(&denied, "deny");
    assert_eq!(story.poll(&denied, 1).err().as_deref(), Some("access_denied"));
    let foreign = HandedOut { client_id: other.client_id, ..story.code("D") };
    assert_eq!(story.poll(&foreign, 0).err().as_deref(), Some("invalid_grant"));
    story.decide(&late, "allow");
    assert_eq!(story.poll(&late, 299).err().as_deref(), Some("expired_token"));
    assert_eq!(story.post_form(oauth::LINK, &[("code", &other.user_code)]).status, 400);
}

#[test]
fn the_page_of_a_code_shows_and_escapes_the_client_name() {
    let mut story = Story::new();
    let code = story.code("<b>\"Mine\"</b> & 'yours'");
    let page = story.decide(&code, "allow");
    assert!(page.contains("&lt;b&gt;&quot;Mine&quot;&lt;/b&gt; &amp; &#39;yours&#39;"), "{page}");
    assert!(page.contains("DEVICE&lt;1&gt;") && page.contains(&code.user_code), "{page}");
    let typed = format!(" {}", code.user_code.to_lowercase().replace('-', ""));
    assert_eq!(story.post_form(oauth::LINK, &[("code", &typed)]).status, 200, "people can type a code in another form");
    let wrong = story.post_form(oauth::LINK, &[("code", "\"><script>")]);
    assert_eq!(wrong.status, 400);
    assert!(wrong.body.contains("value=\"&quot;&gt;&lt;script&gt;\""), "{}", wrong.body);
    let filled = story.get(&format!("{}?code=%22%3E", oauth::LINK));
    assert!(filled.status == 200 && filled.body.contains("value=\"&quot;&gt;\""), "{}", filled.body);
}

#[test]
fn each_api_refreshes_and_ends_only_what_it_has_granted() {
    let mut story = Story::new();
    let legacy = story.log_in(&json!({ "refresh_token": true }));
    let code = story.code("A program");
    story.decide(&code, "allow");
    let session = story.poll(&code, 1).ok().unwrap();
    story.is_refused(&session.refresh);
    assert_eq!(story.refresh_by_oauth(&legacy.refresh, &code.client_id).1["error"], "invalid_grant");
    assert_eq!(story.refresh_by_oauth(&session.refresh, "another").1["error"], "invalid_grant");
    let (status, granted) = story.refresh_by_oauth(&session.refresh, &code.client_id);
    assert_eq!(status, 200, "{granted}");
    let session = Session::of(&granted);
    story.is_valid(&session.access);
    for (token, client_id) in [(&session.refresh, "another"), (&legacy.refresh, &code.client_id)] {
        assert_eq!(story.post_form(oauth::REVOKE, &[("token", token), ("client_id", client_id)]).status, 200);
    }
    story.is_valid(&session.access);
    story.is_valid(&legacy.access);
    let form = [("token", session.refresh.as_str()), ("client_id", code.client_id.as_str())];
    assert_eq!(story.post_form(oauth::REVOKE, &form).status, 200);
    story.has_ended(&session.access, false);
}

#[test]
fn oauth_requests_that_are_not_as_specified_are_refused() {
    let mut story = Story::new();
    let HandedOut { client_id, .. } = story.code("A program");
    assert_eq!(story.post(oauth::REGISTER, &json!({ "client_name": "A" })).1["error"], "invalid_client_metadata");
    for (target, form, code) in [
        (oauth::DEVICE, vec![("client_id", "another"), ("scope", "")], "invalid_client"),
        (oauth::DEVICE, vec![("client_id", &*client_id), ("scope", "openid")], "invalid_scope"),
        (oauth::DEVICE, vec![("client_id", &*client_id)], "invalid_request"),
        (oauth::TOKEN, vec![("grant_type", "password")], "unsupported_grant_type"),
        (oauth::TOKEN, vec![], "invalid_request"),
        (oauth::REVOKE, vec![("client_id", &*client_id)], "invalid_request"),
    ] {
        let (status, error) = read(&story.post_form(target, &form));
        assert_eq!((status, &error["error"]), (400, &json!(code)), "{target}");
    }
    assert_eq!(story.post(oauth::TOKEN, &json!({})).1["error"], "invalid_request");
}
