//! Suspend and resume: in every state, in another process, and with data that was tampered with.

use matrix_login::{Choice, LoginFlow, LoginSettings, Suspended};
use serde_json::{Value, json};

use crate::support::scenario::{
    CALLBACK, FORBIDDEN, GRANTED, HOMESERVER, LOGIN_URL, METADATA, OFFERED, OFFERS, PENDING, Scenario, TOKENS,
    VERSIONS, WELL_KNOWN, WELL_KNOWN_URL, noon, password, served, sso,
};

fn stored(story: &Scenario) -> Value {
    serde_json::to_value(story.flow.suspend().unwrap()).unwrap()
}

fn refusal(stored: Value) -> String {
    serde_json::from_value::<Suspended>(stored).unwrap_err().to_string()
}

#[test]
fn a_resume_during_discovery_starts_over_at_the_well_known() {
    let mut redirected = Scenario::discover("example.org");
    redirected.responds_with(served(302, &[("location", "https://www.example.org/client.json")], ""));
    let mut waiting = Scenario::at_versions();
    waiting.responds(429, "");
    for mut story in [Scenario::discover("example.org"), redirected, Scenario::at_versions(), waiting, Scenario::lost()]
    {
        story.suspend().gets(WELL_KNOWN_URL).responds(200, WELL_KNOWN).responds(200, VERSIONS).gets(LOGIN_URL);
    }
}

#[test]
fn a_resume_with_a_homeserver_asks_for_the_login_types() {
    let mut waiting_for_types = Scenario::at(HOMESERVER);
    waiting_for_types.responds(429, "");
    let mut refused = Scenario::logging_in();
    refused.responds(403, FORBIDDEN);
    let mut waiting = Scenario::logging_in();
    waiting.responds(429, "");
    let mut insisting = Scenario::lost();
    insisting.use_homeserver(HOMESERVER);
    for mut story in [
        Scenario::at(HOMESERVER),
        waiting_for_types,
        Scenario::at_the_question(),
        refused,
        Scenario::logging_in(),
        waiting,
        insisting,
    ] {
        story.suspend().gets(LOGIN_URL).responds(200, r#"{"flows":[{"type":"m.login.password"}]}"#);
        story.asks(&["m.login.password"]).choose(password()).responds(200, GRANTED).session();
    }
}

#[test]
fn a_resume_in_the_browser_keeps_the_url_and_the_callback() {
    let mut story = Scenario::in_the_browser();
    let url = story.browses();
    story.suspend();
    assert_eq!(story.browses(), url);
    story.callback(CALLBACK).responds(200, GRANTED).session();
}

#[test]
fn a_refused_token_is_shown_with_the_question_after_a_resume() {
    let mut story = Scenario::in_the_browser();
    story.suspend().callback(CALLBACK).responds(403, FORBIDDEN).gets(LOGIN_URL);
    story.responds(429, "").timeout();
    story.responds(200, OFFERS);
    assert_eq!(story.refused().errcode.as_deref(), Some("M_FORBIDDEN"));
}

#[test]
fn after_a_resume_back_asks_for_the_login_types_first() {
    let mut story = Scenario::in_the_browser();
    story.suspend().back().gets(LOGIN_URL).responds(200, OFFERS).choose(sso());
    story.browses();
}

#[test]
fn settings_and_the_fields_of_a_single_sign_on_survive() {
    let settings = LoginSettings::default()
        .with_device_id("D")
        .unwrap()
        .with_initial_device_display_name("n")
        .with_refresh_tokens(false)
        .with_require_refresh_token(false)
        .with_follow_well_known(false);
    let mut story = Scenario::at_the_question_with(settings);
    story.choose(sso().with_field("org.example", "x").unwrap()).suspend().callback(CALLBACK);
    story.posts(
        LOGIN_URL,
        json!({
            "type": "m.login.token", "token": "t0k3n", "device_id": "D", "initial_device_display_name": "n",
            "org.example": "x",
        }),
    );
    story.responds(
        200,
        r#"{"user_id":"@alice:example.org","device_id":"D","access_token":"t","expires_in_ms":1,
            "well_known":{"m.homeserver":{"base_url":"https://other.example.org"}}}"#,
    );
    assert_eq!(story.session().homeserver().unwrap().as_str(), HOMESERVER);
}

#[test]
fn the_stored_form_is_small_and_has_a_version() {
    assert_eq!(
        stored(&Scenario::discover("example.org:8448")),
        json!({
            "version": 1,
            "server_name": "example.org:8448",
            "settings": {},
            "request_id": 0,
        })
    );
    let story = Scenario::in_the_browser();
    assert_eq!(
        stored(&story),
        json!({
            "version": 1,
            "homeserver": HOMESERVER,
            "sso_url": story.browses().as_str(),
            "settings": {},
            "request_id": 2,
        })
    );
}

#[test]
fn no_text_of_a_server_is_stored() {
    let mut story = Scenario::at_versions();
    story.responds(200, VERSIONS).responds(200, OFFERS).choose(password()).responds(403, FORBIDDEN);
    let text = stored(&story).to_string();
    for said in ["v1.11", "badge", "oidc-x", "M_FORBIDDEN", "Invalid username"] {
        assert!(!text.contains(said), "{text}");
    }
}

#[test]
fn only_the_settings_of_a_device_grant_are_stored() {
    let form = |story: &Scenario| {
        let mut stored = stored(story);
        assert!(stored["request_id"].take().is_u64());
        stored
    };
    let question = form(&Scenario::at_the_question_with_oauth());
    let mut members: Vec<_> = question.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["homeserver", "request_id", "settings", "version"]);

    let mut registering = Scenario::at_the_question_with_oauth();
    registering.choose(Choice::device_authorization().with_device_id("ANOTHERDEVICE").unwrap());
    let mut waiting_for_a_code = Scenario::asking_for_a_code_to_show();
    waiting_for_a_code.responds(429, "");
    let mut pending = Scenario::polling();
    pending.responds(403, PENDING);
    let mut waiting_to_poll = Scenario::polling();
    waiting_to_poll.responds(429, "");
    let mut with_tokens = Scenario::polling();
    with_tokens.responds(200, TOKENS);
    for mut story in [
        registering,
        Scenario::asking_for_a_code_to_show(),
        waiting_for_a_code,
        Scenario::showing_a_code(),
        Scenario::polling(),
        pending,
        waiting_to_poll,
        with_tokens,
    ] {
        assert_eq!(form(&story), question);
        story.suspend().gets(LOGIN_URL);
        assert!(story.flow.shown_code().is_none());
        story.responds(200, OFFERS).responds(200, METADATA).asks(&OFFERED);
    }
}

#[test]
fn a_second_suspend_differs_only_in_the_request_id() {
    for mut story in [Scenario::discover("example.org"), Scenario::at_the_question(), Scenario::in_the_browser()] {
        let first = stored(&story);
        let mut second = stored(story.suspend());
        assert!(second["request_id"].as_u64() > first["request_id"].as_u64());
        second["request_id"] = first["request_id"].clone();
        assert_eq!(second, first);
    }
}

#[test]
fn a_flow_that_is_logged_in_stores_a_session_instead() {
    assert!(Scenario::logged_in().flow.suspend().is_none());
}

#[test]
fn other_versions_are_named() {
    for version in [0, 2, u64::MAX] {
        let mut changed = stored(&Scenario::in_the_browser());
        changed["version"] = version.into();
        changed["new_field"] = true.into();
        let expected = format!("suspended flow of version {version}: expected version 1; begin the login again");
        assert_eq!(refusal(changed), expected);
    }
    for other in [json!({}), json!([]), json!(null), json!("x"), json!({"version": "1"}), json!({"version": -1})] {
        assert_eq!(refusal(other), "not a suspended flow: expected an object with a version");
    }
}

#[test]
fn data_that_was_changed_is_refused() {
    let change = |path: &str, value: Value| {
        let mut changed = stored(&Scenario::in_the_browser());
        *changed.pointer_mut(path).unwrap() = value;
        refusal(changed)
    };
    let foreign = "invalid suspended flow: expected an SSO URL of its homeserver";
    let query = "redirectUrl=http%3A%2F%2Fa%2F%3Fstate%3D0123456789abcdef";
    for url in [
        format!("https://evil.example.com/_matrix/client/v3/login/sso/redirect?{query}"),
        format!("https://hs.example.org/elsewhere?{query}"),
        format!("https://hs.example.org/_matrix/client/v3/login/sso/redirected?{query}"),
        format!("https://alice@hs.example.org/_matrix/client/v3/login/sso/redirect?{query}"),
        format!("https://:pw@hs.example.org/_matrix/client/v3/login/sso/redirect?{query}"),
        format!("{HOMESERVER}/_matrix/client/v3/login/sso/redirect"),
        format!("{HOMESERVER}/_matrix/client/v3/login/sso/redirect?redirectUrl=http%3A%2F%2Fa%2F"),
        format!("{HOMESERVER}/_matrix/client/v3/login/sso/redirect?redirectUrl=http%3A%2F%2Fa%2F%3Fstate%3Dshort"),
        format!("{HOMESERVER}/_matrix/client/v3/login/sso/redirect?redirectUrl=nonsense"),
        "file:///etc/passwd".to_owned(),
    ] {
        assert_eq!(change("/sso_url", json!(url)), foreign, "{url}");
    }
    assert_eq!(change("/homeserver", json!("https://evil.example.com")), foreign);
    let unusable = "not a suspended flow: a field is missing, unknown or cannot be used";
    for (path, value) in [
        ("/homeserver", json!("example.org")),
        ("/sso_url", json!(7)),
        ("/sso_url", json!("nonsense")),
        ("/settings", json!({"device_id": ""})),
        ("/settings", json!({"unknown": true})),
        ("/settings", json!({"refresh_tokens": null})),
    ] {
        assert_eq!(change(path, value), unusable, "{path}");
    }

    let settings = json!({});
    let neither = "invalid suspended flow: expected a server name or a homeserver, and at most one login in a browser";
    assert_eq!(refusal(json!({"version": 1, "settings": settings})), neither);
    let both = json!({"version": 1, "settings": settings, "server_name": "a", "homeserver": HOMESERVER});
    assert_eq!(refusal(both), neither);
    for mut without_a_browser in [json!({"server_name": "a"}), json!({"homeserver": HOMESERVER})] {
        without_a_browser["version"] = 1.into();
        without_a_browser["fields"] = json!({"org.example": 1});
        assert_eq!(refusal(without_a_browser), neither);
    }
}

/// The stored form of a flow in the browser, with this value for a key.
fn planted(key: &str, value: Value) -> Value {
    let mut planted = stored(&Scenario::in_the_browser());
    planted[key] = value;
    planted
}

#[test]
fn an_unknown_key_is_refused() {
    let unusable = "not a suspended flow: a field is missing, unknown or cannot be used";
    for key in ["password", "access_token", "login_types", "state", "Version", "sso_url ", ""] {
        for value in [json!("x"), json!({}), Value::Null] {
            assert_eq!(refusal(planted(key, value)), unusable, "{key}");
        }
    }
    assert_eq!(refusal(planted("settings", json!({"device": "D"}))), unusable);
}

#[test]
fn a_url_of_another_origin_is_refused() {
    let foreign = "invalid suspended flow: expected an SSO URL of its homeserver";
    let url = Scenario::in_the_browser().browses();
    let changed = |change: fn(&mut url::Url)| {
        let mut changed = url.clone();
        change(&mut changed);
        assert_ne!(changed, url);
        planted("sso_url", json!(changed.as_str()))
    };
    // Only the scheme differs, or only the host, or only the port.
    let http_on_port_443 = changed(|url| {
        url.set_scheme("http").unwrap();
        url.set_port(Some(443)).unwrap();
    });
    assert_eq!(refusal(http_on_port_443), foreign);
    assert_eq!(refusal(changed(|url| url.set_host(Some("hs.example.com")).unwrap())), foreign);
    assert_eq!(refusal(changed(|url| url.set_host(Some("example.org")).unwrap())), foreign);
    assert_eq!(refusal(changed(|url| url.set_port(Some(8448)).unwrap())), foreign);
    assert_eq!(refusal(changed(|url| url.set_port(Some(80)).unwrap())), foreign);
    // The same origin, written in another way.
    let same = url.as_str().replace("https://hs.example.org/", "https://HS.example.org:443/");
    assert!(serde_json::from_value::<Suspended>(planted("sso_url", json!(same))).is_ok());
}

#[test]
fn the_fields_of_a_single_sign_on_are_stored_and_sent() {
    let mut story = Scenario::at_the_question();
    let fields = json!({"org.example.a": {"b": [1, null]}, "org.example.c": "d"});
    let choice = sso().with_field("org.example.a", json!({"b": [1, null]})).unwrap();
    story.choose(choice.with_field("org.example.c", "d").unwrap());
    assert_eq!(stored(&story)["fields"], fields);
    story.suspend().suspend();
    assert_eq!(stored(&story)["fields"], fields);
    story.callback(CALLBACK).posts(
        LOGIN_URL,
        json!({
            "type": "m.login.token", "token": "t0k3n", "refresh_token": true, "org.example.a": {"b": [1, null]},
            "org.example.c": "d",
        }),
    );
    // The fields belong only to that choice.
    assert!(stored(&story).get("fields").is_none());
    story.responds(403, FORBIDDEN).responds(200, OFFERS).choose(sso());
    assert!(stored(&story).get("fields").is_none());
}

#[test]
fn a_field_that_replaces_the_crates_own_is_refused() {
    for name in ["type", "identifier", "password", "token", "device_id", "initial_device_display_name", "refresh_token"]
    {
        let expected =
            format!("invalid further field `{name}`: expected a name that the login request does not have already");
        assert_eq!(refusal(planted("fields", json!({"org.example": 1, name: "x"}))), expected);
    }
    for fields in [json!("x"), json!(["x"]), Value::Null] {
        let unusable = "not a suspended flow: a field is missing, unknown or cannot be used";
        assert_eq!(refusal(planted("fields", fields)), unusable);
    }
}

#[test]
fn only_settings_that_differ_from_the_default_are_stored() {
    let settings = |settings: LoginSettings| stored(&Scenario::at_the_question_with(settings))["settings"].take();
    let default = LoginSettings::default;
    assert_eq!(settings(default()), json!({}));
    assert_eq!(settings(default().with_device_id("D").unwrap()), json!({"device_id": "D"}));
    let named = default().with_initial_device_display_name("n");
    assert_eq!(settings(named), json!({"initial_device_display_name": "n"}));
    assert_eq!(settings(default().with_refresh_tokens(false)), json!({"refresh_tokens": false}));
    assert_eq!(settings(default().with_require_refresh_token(false)), json!({"require_refresh_token": false}));
    assert_eq!(settings(default().with_follow_well_known(false)), json!({"follow_well_known": false}));
    // A setting that is not stored has its default. A default that is stored is read too.
    let all = json!({"refresh_tokens": true, "require_refresh_token": true, "follow_well_known": true});
    let mut without = stored(&Scenario::in_the_browser());
    without.as_object_mut().unwrap().remove("settings");
    for stored in [planted("settings", json!({})), planted("settings", all), without] {
        assert_eq!(serde_json::from_value::<Suspended>(stored).unwrap().settings(), &default());
    }
}

#[test]
fn any_request_id_that_is_a_number_is_read() {
    for id in [0, 1, u64::MAX - 1, u64::MAX] {
        let suspended = serde_json::from_value::<Suspended>(planted("request_id", json!(id))).unwrap();
        let mut story = Scenario::of(LoginFlow::resume(suspended));
        story.callback(CALLBACK).responds(200, GRANTED).session();
    }
    let mut without = stored(&Scenario::in_the_browser());
    without.as_object_mut().unwrap().remove("request_id");
    assert!(serde_json::from_value::<Suspended>(without).is_ok());
    for id in [json!(-1), json!(1.5), json!("1"), Value::Null] {
        let unusable = "not a suspended flow: a field is missing, unknown or cannot be used";
        assert_eq!(refusal(planted("request_id", id)), unusable);
    }
}

#[test]
fn truncated_data_is_refused_wherever_it_ends() {
    let text = stored(&Scenario::in_the_browser()).to_string();
    for end in 0..text.len() {
        assert!(serde_json::from_str::<Suspended>(&text[..end]).is_err(), "{}", &text[..end]);
    }
    let flow = LoginFlow::resume(serde_json::from_str(&text).unwrap());
    assert_eq!(crate::support::replay::step_line(&flow.step(), noon())["step"], "browse");
}

#[test]
fn a_stored_device_id_can_be_null() {
    let mut stored = stored(&Scenario::at_the_question());
    stored["settings"]["device_id"] = Value::Null;
    let suspended: Suspended = serde_json::from_value(stored).unwrap();
    assert_eq!(suspended.settings().device_id(), None);
}

#[test]
fn a_stored_device_id_that_is_not_text_is_an_error() {
    let mut stored = stored(&Scenario::at_the_question());
    stored["settings"]["device_id"] = json!(7);
    assert!(serde_json::from_value::<Suspended>(stored).is_err());
}
