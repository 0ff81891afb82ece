//! Discovery: from a server name to its homeserver, past everything that real servers put in its way.

use http::StatusCode;
use matrix_login::{
    DiscoveryFailure, DiscoveryOutcome,
    DiscoveryOutcome::{FailError, FailPrompt, Ignore},
    Error, Homeserver, Location, LoginFlow, LoginSettings, MAX_BODY, ResponseError, ServerName, Step,
    endpoint::well_known,
};
use serde_json::json;

use crate::support::scenario::{
    GRANTED, LOGIN_URL, OFFERS, Scenario, VERSIONS, VERSIONS_URL, WELL_KNOWN, WELL_KNOWN_URL, invalid_field,
    not_matrix, password, served, whole,
};

const HTML: &str =
    "<!DOCTYPE html><html><head><title>example.org</title></head><body><div id=\"app\"></div></body></html>";

fn failure(story: &Scenario) -> &DiscoveryFailure {
    match story.flow.step() {
        Step::Locate { failure, .. } => failure,
        step => panic!("{step:?}"),
    }
}

/// The address in the failure, as a user would type it.
fn found(story: &Scenario) -> Option<&str> {
    failure(story).homeserver.as_ref().map(Homeserver::as_str)
}

/// What is known while the flow is underway: the address in use, and whether discovery has ended well.
fn known(story: &Scenario) -> (Option<&str>, bool) {
    (story.flow.homeserver().map(Homeserver::as_str), story.flow.discovered().is_some())
}

fn well_known_of(base_url: &str) -> String {
    json!({"m.homeserver": {"base_url": base_url}}).to_string()
}

// The way that leads to the homeserver.

#[test]
fn the_server_says_where_its_homeserver_is() {
    let mut story = Scenario::discover("example.org");
    story.gets(WELL_KNOWN_URL).responds(200, WELL_KNOWN);
    story.gets(VERSIONS_URL).responds(200, VERSIONS);
    story.gets(LOGIN_URL).responds(200, OFFERS);
    story.choose(password()).responds(200, GRANTED);
    assert_eq!(story.session().homeserver().unwrap().as_str(), "https://hs.example.org");
}

#[test]
fn the_port_of_the_server_name_is_for_the_federation() {
    for (server_name, url) in [
        ("example.org:8448", "https://example.org/.well-known/matrix/client"),
        ("example.org:443", "https://example.org/.well-known/matrix/client"),
        ("192.0.2.1:8448", "https://192.0.2.1/.well-known/matrix/client"),
        ("[2001:db8::1]:8448", "https://[2001:db8::1]/.well-known/matrix/client"),
        ("[2001:db8::1]", "https://[2001:db8::1]/.well-known/matrix/client"),
    ] {
        Scenario::discover(server_name).gets(url);
        let server_name: ServerName = server_name.parse().unwrap();
        assert_eq!(well_known::request(&server_name).uri().to_string(), url);
    }
}

#[test]
fn the_flow_knows_at_each_moment_what_it_has_found() {
    let mut story = Scenario::discover("example.org");
    assert_eq!(known(&story), (None, false));
    story.responds_with(served(301, &[("location", "/client.json")], ""));
    assert_eq!(known(&story), (None, false));
    story.responds(200, WELL_KNOWN);
    assert_eq!(known(&story), (Some("https://hs.example.org"), false));
    story.responds(429, "");
    assert_eq!(known(&story), (Some("https://hs.example.org"), false));
    story.timeout().responds(200, VERSIONS);
    assert_eq!(known(&story), (Some("https://hs.example.org"), true));
    story.responds(200, OFFERS).choose(password());
    assert_eq!(known(&story), (Some("https://hs.example.org"), true));
    story.responds(200, GRANTED);
    assert_eq!(known(&story), (Some("https://hs.example.org"), true));

    let mut story = Scenario::at_versions();
    story.unreachable();
    assert_eq!(known(&story), (None, false));
    story.use_homeserver("https://other.example.org");
    assert_eq!(known(&story), (Some("https://other.example.org"), false));
}

#[test]
fn another_homeserver_forgets_what_was_discovered() {
    let mut story = Scenario::at_versions();
    story.responds(200, VERSIONS).responds(200, OFFERS).use_homeserver("https://other.example.org");
    assert_eq!(known(&story), (Some("https://other.example.org"), false));
    story.gets("https://other.example.org/_matrix/client/v3/login");
}

#[test]
fn the_well_known_file_and_the_versions_are_kept_whole() {
    let mut story = Scenario::discover("example.org");
    story.responds(
        200,
        r#"{"m.homeserver":{"base_url":"https://hs.example.org/","x":1},
            "m.identity_server":{"base_url":"https://id.example.org"},"org.example.call":[{"type":"y"}]}"#,
    );
    story.responds(
        200,
        r#"{"versions":["r0.6.1",7,"v1.11",null],"org.example.key":{"z":true},
            "unstable_features":{"org.example.on":true,"org.example.off":false,"org.example.odd":"yes"}}"#,
    );
    let discovered = story.flow.discovered().unwrap();
    assert_eq!(
        serde_json::to_value(&discovered.well_known.file).unwrap(),
        json!({
            "m.homeserver": {"base_url": "https://hs.example.org/", "x": 1},
            "m.identity_server": {"base_url": "https://id.example.org"},
            "org.example.call": [{"type": "y"}],
        })
    );
    assert_eq!(discovered.well_known.base_url.as_str(), "https://hs.example.org");
    assert_eq!(discovered.versions.versions, ["r0.6.1", "v1.11"]);
    for (feature, is_on) in [("org.example.on", true), ("org.example.off", false), ("org.example.odd", false)] {
        assert_eq!(discovered.versions.has_unstable_feature(feature), is_on, "{feature}");
    }
    assert_eq!(discovered.versions.unstable_features.get("org.example.odd"), Some(json!("yes")));
    assert_eq!(json!(discovered.versions.other), json!({"org.example.key": {"z": true}}));
}

// The well-known file.

#[test]
fn a_server_without_the_file_says_nothing() {
    for body in ["", HTML, r#"{"errcode":"M_NOT_FOUND"}"#, r#"{"errcode":"M_UNRECOGNIZED","error":"x"}"#, WELL_KNOWN] {
        let mut story = Scenario::discover("example.org");
        story.responds(404, body).locates(Ignore);
        assert_eq!(not_matrix(&failure(&story).cause), StatusCode::NOT_FOUND, "{body}");
        assert_eq!(found(&story), None);
    }
    Scenario::discover("example.org").responds(404, " ".repeat(MAX_BODY + 1)).locates(Ignore);
}

#[test]
fn static_hosting_serves_the_file_under_any_type() {
    for content_type in ["application/octet-stream", "text/html", "text/plain; charset=utf-16", "image/png", "\u{e4}"] {
        for body in [WELL_KNOWN.to_owned(), format!("\u{feff}{WELL_KNOWN}"), format!("\r\n {WELL_KNOWN}\n\n")] {
            let mut story = Scenario::discover("example.org");
            story.responds_with(served(200, &[("content-type", content_type)], body)).gets(VERSIONS_URL);
        }
    }
}

#[test]
fn a_body_that_is_not_a_json_object_cannot_be_read() {
    for body in [
        // A trailing comma, two documents in one, a comment, a file that was cut off.
        r#"{"m.homeserver":{"base_url":"https://hs.example.org"},}"#.to_owned(),
        r#"{"m.homeserver":{"base_url":"https://hs.example.org",}}"#.to_owned(),
        format!("{WELL_KNOWN}{WELL_KNOWN}"),
        format!("{WELL_KNOWN}\n{}", r#"{"m.server":"hs.example.org:443"}"#),
        r#"{/* here */"m.homeserver":{"base_url":"https://hs.example.org"}}"#.to_owned(),
        WELL_KNOWN[..WELL_KNOWN.len() - 1].to_owned(),
        format!("[{WELL_KNOWN}]"),
        r#"[{"base_url":"https://hs.example.org"}]"#.to_owned(),
        r#""https://hs.example.org""#.to_owned(),
        "null".to_owned(),
    ] {
        let mut story = Scenario::discover("example.org");
        story.responds(200, body.clone()).locates(FailPrompt);
        assert_eq!(invalid_field(&failure(&story).cause), "the body", "{body}");
        assert_eq!(found(&story), None);
    }
}

#[test]
fn a_single_page_site_sends_its_page_for_everything() {
    let mut story = Scenario::discover("example.org");
    story.responds_with(served(200, &[("content-type", "text/html")], HTML)).locates(FailPrompt);
    assert_eq!(not_matrix(&failure(&story).cause), StatusCode::OK);
    let mut story = Scenario::at_versions();
    story.responds(200, HTML).locates(FailError);
    assert_eq!(not_matrix(&failure(&story).cause), StatusCode::OK);
    story.use_homeserver("https://example.org");
    let error = story.fails(200, HTML);
    assert_eq!(not_matrix(&error), StatusCode::OK);
}

#[test]
fn only_a_response_with_status_200_contains_the_file() {
    for status in [201, 202, 203, 204, 206, 299] {
        let mut story = Scenario::discover("example.org");
        story.responds(status, WELL_KNOWN).locates(FailPrompt);
        assert_eq!(not_matrix(&failure(&story).cause).as_u16(), status);
    }
}

#[test]
fn any_other_status_says_nothing_whatever_the_body_is() {
    for (status, may_retry) in [(400, false), (401, false), (403, false), (410, false), (500, true), (503, true)] {
        for body in ["", HTML, WELL_KNOWN, r#"{"errcode":"M_UNKNOWN"}"#] {
            let mut story = Scenario::discover("example.org");
            story.responds(status, body).locates(FailPrompt);
            assert_eq!(failure(&story).cause.may_retry(), may_retry, "{status} {body}");
        }
    }
}

#[test]
fn a_rate_limit_on_the_file_makes_no_wait() {
    let mut story = Scenario::discover("example.org");
    story.responds(429, r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":2987}"#).locates(FailPrompt);
    assert!(failure(&story).cause.may_retry());
}

#[test]
fn a_body_of_64_kib_is_read_and_one_more_byte_is_too_long() {
    let padded = |body: &str, length: usize| format!("{body}{}", " ".repeat(length - body.len()));
    let length = |story: &Scenario| match failure(story).cause {
        ResponseError::TooLarge { length, .. } => length,
        ref cause => panic!("{cause:?}"),
    };
    let mut story = Scenario::discover("example.org");
    story.responds(200, padded(WELL_KNOWN, 65_536)).gets(VERSIONS_URL).responds(200, padded(VERSIONS, 65_536));
    story.gets(LOGIN_URL);

    let mut story = Scenario::discover("example.org");
    story.responds(200, padded(WELL_KNOWN, 65_537)).locates(FailPrompt);
    assert_eq!((length(&story), found(&story)), (65_537, None));
    let mut story = Scenario::at_versions();
    story.responds(200, padded(VERSIONS, 65_537)).locates(FailError);
    assert_eq!((length(&story), found(&story)), (65_537, Some("https://hs.example.org")));
}

#[test]
fn back_begins_discovery_again() {
    // A single 502 does not end the login.
    let mut story = Scenario::discover("example.org");
    story.responds(502, "<html>").locates(FailPrompt);
    story.back().gets(WELL_KNOWN_URL).responds(200, WELL_KNOWN).gets(VERSIONS_URL);
    // A homeserver that restarts does not end it either.
    story.responds(503, "<html>").locates(FailError);
    story.back().gets(WELL_KNOWN_URL).responds(200, WELL_KNOWN).responds(200, VERSIONS).gets(LOGIN_URL);
    // The count of the redirects starts over.
    let mut story = Scenario::discover("example.org");
    story.responds_with(redirect(302, "/a")).responds(502, "").locates(FailPrompt);
    story.back().gets(WELL_KNOWN_URL).responds_with(redirect(302, "/a")).gets("https://example.org/a");
}

// What the file says.

#[test]
fn base_urls_are_read_as_servers_write_them() {
    for (base_url, versions_url) in [
        ("https://hs.example.org", "https://hs.example.org/_matrix/client/versions"),
        ("https://hs.example.org/", "https://hs.example.org/_matrix/client/versions"),
        ("https://hs.example.org//", "https://hs.example.org/_matrix/client/versions"),
        ("https://example.org/matrix", "https://example.org/matrix/_matrix/client/versions"),
        ("https://example.org/matrix/", "https://example.org/matrix/_matrix/client/versions"),
        ("https://alice:pw@hs.example.org/", "https://hs.example.org/_matrix/client/versions"),
        ("https://hs.example.org/?a=b#c", "https://hs.example.org/_matrix/client/versions"),
        ("  https://hs.example.org/ \n", "https://hs.example.org/_matrix/client/versions"),
        ("https://[2001:db8::1]:8448", "https://[2001:db8::1]:8448/_matrix/client/versions"),
        ("https://bücher.example.org", "https://xn--bcher-kva.example.org/_matrix/client/versions"),
        ("HTTPS://HS.example.org:443", "https://hs.example.org/_matrix/client/versions"),
    ] {
        Scenario::discover("example.org").responds(200, well_known_of(base_url)).gets(versions_url);
    }
}

#[test]
fn an_invalid_base_url_is_an_error() {
    for base_url in [
        "matrix.example:443",
        "hs.example.org",
        "",
        "/",
        "ws://hs.example.org",
        "https://",
        "https://:443",
        "https://a b",
    ] {
        let mut story = Scenario::discover("example.org");
        story.responds(200, well_known_of(base_url)).locates(FailError);
        assert_eq!(invalid_field(&failure(&story).cause), "`base_url` of `m.homeserver`", "{base_url}");
        assert_eq!(found(&story), None);
    }
}

#[test]
fn a_file_without_a_base_url_asks_for_it() {
    for body in [
        "{}",
        r#"{"m.server":"hs.example.org:443"}"#,
        r#"{"m.homeserver":null}"#,
        r#"{"m.homeserver":"https://hs.example.org"}"#,
        r#"{"m.homeserver":[{"base_url":"https://hs.example.org"}]}"#,
        r#"{"m.homeserver":["https://hs.example.org"]}"#,
        r#"{"m.homeserver":{}}"#,
        r#"{"m.homeserver":{"base_url":null}}"#,
        r#"{"m.homeserver":{"base_url":7}}"#,
        r#"{"m.homeserver":{"base_url":["https://hs.example.org"]}}"#,
        r#"{"m.homeserver":{"base_url":"\ud800"}}"#,
        r#"{"m.homeserver":{"base_url":"https://hs.example.org"},"m.homeserver":{}}"#,
    ] {
        let mut story = Scenario::discover("example.org");
        story.responds(200, body).locates(FailPrompt);
        assert_eq!(invalid_field(&failure(&story).cause), "`base_url` of `m.homeserver`", "{body}");
    }
}

#[test]
fn an_error_in_place_of_the_file_is_the_cause() {
    let mut story = Scenario::discover("example.org");
    story.responds(200, r#"{"errcode":"M_UNKNOWN","error":"Come back tomorrow"}"#).locates(FailPrompt);
    assert!(failure(&story).to_string().contains("(status 200, M_UNKNOWN): Come back tomorrow"), "{}", failure(&story));
}

#[test]
fn the_last_of_duplicate_keys_counts() {
    let mut story = Scenario::discover("example.org");
    story.responds(
        200,
        r#"{"m.homeserver":7,"m.homeserver":{"base_url":"https://a.example.org","base_url":"https://hs.example.org"}}"#,
    );
    story.gets(VERSIONS_URL);
}

#[test]
fn a_bad_identity_server_spoils_nothing_else() {
    for (identity_server, good) in [
        ("null", None),
        (r#"{"base_url":"https://id.example.org/"}"#, Some(Some("https://id.example.org"))),
        (r#"{"base_url":"https://id.example.org","x":1e999}"#, Some(Some("https://id.example.org"))),
        ("{}", Some(None)),
        (r#""https://id.example.org""#, Some(None)),
        (r#"{"base_url":"id.example.org:443"}"#, Some(None)),
        (r#"{"base_url":""}"#, Some(None)),
        (r#"{"base_url":null}"#, Some(None)),
        ("[]", Some(None)),
        ("false", Some(None)),
    ] {
        let mut story = Scenario::discover("example.org");
        story.responds(
            200,
            format!(
                r#"{{"m.homeserver":{{"base_url":"https://hs.example.org"}},"m.identity_server":{identity_server}}}"#
            ),
        );
        story.gets(VERSIONS_URL).responds(200, VERSIONS);
        let named = &story.flow.discovered().unwrap().well_known.identity_server;
        let shown = named.as_ref().map(|named| named.as_ref().ok().map(Homeserver::as_str));
        assert_eq!(shown, good, "{identity_server}");
        if let Some(Err(problem)) = named {
            assert_eq!(invalid_field(problem), "`base_url` of `m.identity_server`");
        }
    }
    let mut story = Scenario::at_versions();
    story.responds(200, VERSIONS);
    assert!(story.flow.discovered().unwrap().well_known.identity_server.is_none());
}

#[test]
fn odd_values_beside_the_homeserver_do_no_harm() {
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    for odd in ["1e999", r#""\ud800""#, &deep] {
        let mut story = Scenario::discover("example.org");
        let body = format!(r#"{{"x":{odd},"m.homeserver":{{"y":{odd},"base_url":"https://hs.example.org"}},"z":1}}"#);
        story.responds(200, body).gets(VERSIONS_URL).responds(200, VERSIONS);
        assert_eq!(story.flow.discovered().unwrap().well_known.file.get("z").unwrap(), 1);
    }
}

// Redirects of the well-known file.

fn redirect(status: u16, location: &str) -> http::Response<Vec<u8>> {
    served(status, &[("location", location)], "<html>Moved</html>")
}

#[test]
fn the_file_can_be_on_another_host() {
    let mut story = Scenario::discover("example.org");
    story.responds_with(redirect(301, "https://www.example.com/.well-known/matrix/client"));
    story.gets("https://www.example.com/.well-known/matrix/client").responds(200, WELL_KNOWN);
    story.gets(VERSIONS_URL);
}

#[test]
fn redirects_lead_where_a_browser_would_go() {
    for (location, url) in [
        ("https://www.example.org/client.json", "https://www.example.org/client.json"),
        ("https://www.example.org", "https://www.example.org/"),
        ("https://www.example.org:8443/", "https://www.example.org:8443/"),
        ("//www.example.org/client", "https://www.example.org/client"),
        ("/client.json", "https://example.org/client.json"),
        ("client.json", "https://example.org/.well-known/matrix/client.json"),
        ("../x", "https://example.org/.well-known/x"),
        ("?a=b", "https://example.org/.well-known/matrix/client?a=b"),
        ("/a b", "https://example.org/a%20b"),
        ("HTTPS://WWW.Example.ORG/A", "https://www.example.org/A"),
        // User information and fragment do not go to the other server.
        ("https://alice:pw@www.example.org/a?b#c", "https://www.example.org/a?b"),
        ("/a#b", "https://example.org/a"),
    ] {
        for status in [301, 302, 303, 307, 308] {
            Scenario::discover("example.org").responds_with(redirect(status, location)).gets(url);
        }
    }
}

#[test]
fn a_relative_redirect_starts_from_where_the_last_one_led() {
    let mut story = Scenario::discover("example.org");
    story.responds_with(redirect(302, "https://www.example.com/a/b/c")).responds_with(redirect(302, "../d"));
    story.gets("https://www.example.com/a/d").responds_with(redirect(307, "/e"));
    story.gets("https://www.example.com/e").responds_with(redirect(302, "https://third.example.net/f"));
    story.responds_with(redirect(302, "g")).gets("https://third.example.net/g");
    story.responds(200, WELL_KNOWN).gets(VERSIONS_URL);
}

#[test]
fn five_redirects_are_followed_and_the_sixth_is_not() {
    let mut story = Scenario::discover("example.org");
    for number in 1..=5 {
        story.responds_with(redirect(302, &format!("/{number}"))).gets(&format!("https://example.org/{number}"));
    }
    let mut good = Scenario::of(story.flow.clone());
    good.responds(200, WELL_KNOWN).gets(VERSIONS_URL);
    story.responds_with(redirect(302, "/6")).locates(FailPrompt);
    let cause = &failure(&story).cause;
    assert!(matches!(cause, ResponseError::Redirected { location: Some(at), .. } if at.as_str() == "/6"), "{cause:?}");
}

#[test]
fn some_redirects_are_not_followed() {
    for location in [
        "http://example.org/client.json",
        "http://example.org/.well-known/matrix/client",
        "HTTP://example.org/",
        "ftp://example.org/client.json",
        "file:///client.json",
        "mailto:alice@example.org",
        "javascript:alert(1)",
        "matrix:u/alice:example.org",
        "data:application/json,{}",
        "https://",
        "https://:443/",
        "https://a b/",
        // A circle: the URL that the flow has already asked for.
        WELL_KNOWN_URL,
        "",
        "#here",
        "client",
        "/.well-known/matrix/client",
        "https://alice@EXAMPLE.org:443/.well-known/./matrix/client#here",
    ] {
        for status in [301, 302, 303, 307, 308] {
            let mut story = Scenario::discover("example.org");
            story.responds_with(redirect(status, location)).locates(FailPrompt);
            let ResponseError::Redirected { location: told, .. } = &failure(&story).cause else { panic!("{location}") };
            assert_eq!(told.as_ref().map(Location::as_str), Some(location));
            assert_eq!(found(&story), None);
        }
    }
}

#[test]
fn the_same_rules_hold_for_a_later_redirect() {
    for location in
        ["http://www.example.com/b", "https://www.example.com/a", "a#b", WELL_KNOWN_URL, "mailto:alice@example.org"]
    {
        let mut story = Scenario::discover("example.org");
        story.responds_with(redirect(302, "https://www.example.com/a")).responds_with(redirect(302, location));
        assert!(matches!(failure(&story).cause, ResponseError::Redirected { .. }), "{location}");
    }
    // A circle of three.
    let mut story = Scenario::discover("example.org");
    story.responds_with(redirect(302, "/a")).responds_with(redirect(302, "/b")).gets("https://example.org/b");
    story.responds_with(redirect(302, "/a")).locates(FailPrompt);
}

#[test]
fn a_redirect_without_a_target_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let mut story = Scenario::discover("example.org");
        story.responds(status, WELL_KNOWN).locates(FailPrompt);
        assert!(matches!(failure(&story).cause, ResponseError::Redirected { location: None, .. }));
    }
}

#[test]
fn a_3xx_without_a_single_target_is_not_followed() {
    for status in [300, 304, 305, 306, 399] {
        let mut story = Scenario::discover("example.org");
        story.responds_with(redirect(status, "https://www.example.org/client.json")).locates(FailPrompt);
        assert!(matches!(failure(&story).cause, ResponseError::Redirected { .. }), "{status}");
    }
}

#[test]
fn a_redirect_that_leads_nowhere_says_nothing() {
    let mut story = Scenario::discover("example.org");
    story.responds_with(redirect(301, "https://www.example.org/client.json")).responds(404, HTML).locates(Ignore);
    let mut story = Scenario::discover("example.org");
    story.responds_with(redirect(301, "https://www.example.org/")).responds(200, HTML).locates(FailPrompt);
    let mut story = Scenario::discover("example.org");
    story.responds_with(redirect(301, "https://www.example.org/")).unreachable().locates(FailPrompt);
}

#[test]
fn the_versions_are_never_redirected() {
    for status in [300, 301, 302, 303, 304, 307, 308] {
        let mut story = Scenario::at_versions();
        story.responds_with(redirect(status, "https://hs.example.org/client/versions")).locates(FailError);
        assert!(matches!(failure(&story).cause, ResponseError::Redirected { .. }));
        assert_eq!(found(&story), Some("https://hs.example.org"));
    }
}

// The versions.

#[test]
fn an_outage_that_looks_like_a_rate_limit_is_waited_for() {
    let mut story = Scenario::at_versions();
    story.responds(429, r#"{"errcode":"M_UNKNOWN","error":"Unknown error"}"#).waits(1_000, 1);
    assert_eq!(story.wait().error().errcode.as_deref(), Some("M_UNKNOWN"));
    story.timeout().gets(VERSIONS_URL).responds(429, HTML).waits(2_000, 2);
    story.timeout().gets(VERSIONS_URL).responds(200, VERSIONS).gets(LOGIN_URL);
}

#[test]
fn a_homeserver_that_does_not_tell_its_versions_cannot_be_used() {
    for (status, body) in [
        (404, HTML),
        (404, r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#),
        (403, r#"{"errcode":"M_FORBIDDEN"}"#),
        (500, VERSIONS),
        (500, r#"{"errcode":"M_UNKNOWN","error":"Internal server error"}"#),
        (502, "<html>502 Bad Gateway</html>"),
        (200, ""),
        (200, HTML),
        (200, "{}"),
        (200, "[]"),
        (200, r#"{"versions":null}"#),
        (200, r#"{"versions":"v1.11"}"#),
        (200, r#"{"versions":{"0":"v1.11"}}"#),
        (200, r#"["v1.11"]"#),
        (200, r#"{"versions":["v1.11"]"#),
    ] {
        let mut story = Scenario::at_versions();
        story.responds(status, body).locates(FailError);
        assert_eq!(found(&story), Some("https://hs.example.org"), "{status} {body}");
        assert_eq!(failure(&story).cause.may_retry(), status >= 500, "{status} {body}");
    }
}

#[test]
fn odd_versions_are_accepted() {
    for body in [
        r#"{"versions":[]}"#,
        r#"{"versions":[null,{}]}"#,
        r#"{"versions":["v1.11"],"unstable_features":null}"#,
        r#"{"versions":["v1.11"],"unstable_features":[]}"#,
        r#"{"versions":["v1.11"],"unstable_features":{"org.example":{}},"server":1e999}"#,
    ] {
        Scenario::at_versions().responds(200, body).gets(LOGIN_URL);
    }
}

// When nothing is found.

#[test]
fn a_request_without_a_response_is_a_failure() {
    let mut story = Scenario::discover("example.org");
    story.unreachable().locates(FailPrompt);
    assert!(matches!(failure(&story).cause, ResponseError::Unreachable { .. }));
    assert!(failure(&story).cause.may_retry());
    assert_eq!(found(&story), None);

    let mut story = Scenario::at_versions();
    story.unreachable().locates(FailError);
    assert!(matches!(failure(&story).cause, ResponseError::Unreachable { .. }));
    assert!(failure(&story).cause.may_retry());
    assert_eq!(found(&story), Some("https://hs.example.org"));
}

#[test]
fn only_a_request_of_discovery_can_be_given_up() {
    let mut waiting = Scenario::at_versions();
    waiting.responds(429, "");
    let give_up = |story: &Scenario| {
        let mut flow = story.flow.clone();
        let error = flow.handle_unreachable(story.last_request_id()).unwrap_err();
        assert_eq!(whole(&flow), whole(&story.flow));
        error
    };
    for story in [Scenario::at("https://hs.example.org"), Scenario::logging_in()] {
        let error = give_up(&story);
        assert!(matches!(error, Error::OutOfStep { input: "handle_unreachable", due: "Send", .. }), "{error}");
    }
    for story in
        [waiting, Scenario::lost(), Scenario::at_the_question(), Scenario::in_the_browser(), Scenario::logged_in()]
    {
        let error = give_up(&story);
        assert!(matches!(error, Error::StaleResponse), "{error}");
    }
}

#[test]
fn a_user_can_insist_on_the_address_that_was_found() {
    let mut story = Scenario::at_versions();
    story.responds(404, HTML).locates(FailError);
    let homeserver = failure(&story).homeserver.clone().unwrap();
    story.flow.use_homeserver(homeserver).unwrap();
    story.gets(LOGIN_URL).responds(200, OFFERS).choose(password()).responds(200, GRANTED).session();
    assert!(story.flow.discovered().is_none());
}

#[test]
fn a_user_who_knows_the_address_can_skip_discovery() {
    let mut waiting = Scenario::at_versions();
    waiting.responds(429, "");
    for mut story in [Scenario::discover("example.org"), Scenario::at_versions(), waiting, Scenario::lost()] {
        story.use_homeserver("https://other.example.org").gets("https://other.example.org/_matrix/client/v3/login");
    }
}

#[test]
fn without_the_flow_the_outcomes_are_the_same() {
    let outcome = |status, body: &str| match well_known::response(&served(status, &[], body)) {
        Err(failure) => failure.outcome,
        other => panic!("{other:?}"),
    };
    let cases: [(u16, &str, DiscoveryOutcome); 6] = [
        (404, WELL_KNOWN, Ignore),
        (200, HTML, FailPrompt),
        (200, "{}", FailPrompt),
        (201, WELL_KNOWN, FailPrompt),
        (500, WELL_KNOWN, FailPrompt),
        (200, r#"{"m.homeserver":{"base_url":"matrix.example:443"}}"#, FailError),
    ];
    for (status, body, expected) in cases {
        assert_eq!(outcome(status, body), expected, "{status} {body}");
    }
    let moved = well_known::response(&redirect(301, "/client.json"));
    let Err(failure) = moved else { panic!("{moved:?}") };
    assert_eq!(failure.outcome, FailPrompt);
    let ResponseError::Redirected { location, .. } = failure.cause else { panic!("{failure}") };
    assert_eq!(location.as_ref().map(Location::as_str), Some("/client.json"));
}

#[test]
fn settings_survive_discovery() {
    let settings = LoginSettings::default().with_device_id("KITCHEN").unwrap().with_refresh_tokens(false);
    let mut story = Scenario::of(LoginFlow::discover("example.org".parse().unwrap(), settings));
    story.responds(200, WELL_KNOWN).responds(200, VERSIONS).responds(200, OFFERS).choose(password());
    story.posts(
        LOGIN_URL,
        json!({
            "type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"}, "password": "wonderland",
            "device_id": "KITCHEN",
        }),
    );
}
