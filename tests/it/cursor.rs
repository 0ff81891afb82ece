//! The crate's own JSON syntax: it accepts what `serde_json` accepts, and each value has the same text.

use matrix_login::{
    Homeserver, ResponseError,
    endpoint::{
        get_token, login, login_types,
        oauth::{auth_metadata, device_authorization, registration, token},
        refresh, versions, well_known, whoami,
    },
};
use proptest::prelude::*;
use serde_json::json;

use crate::support::{
    json::check,
    scenario::{
        CODE_TO_SHOW, FORBIDDEN, GRANTED, HOMESERVER, METADATA, OFFERS, REFUSED_BY_OAUTH, REGISTERED, TOKENS, VERSIONS,
        WELL_KNOWN, WHOAMI, served,
    },
};

#[test]
fn odd_texts_are_read_as_serde_json_reads_them() {
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    let long = format!(r#"{{"{}":"{}"}}"#, "k".repeat(5_000), "v".repeat(5_001));
    for text in [
        "",
        " ",
        "{",
        "}",
        "{}",
        " { } ",
        "{} x",
        "{}{}",
        "[]",
        "null",
        "1",
        "\"a\"",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        r#"{"a":1 "b":2}"#,
        r#"{"a":1,,"b":2}"#,
        r#"{"a":1;"b":2}"#,
        r"{a:1}",
        r#"{xa":1}"#,
        r"{'a':1}",
        r"{1:2}",
        r#"{"a":tru}"#,
        r#"{"a":truex}"#,
        r#"{"a":true x}"#,
        r#"{"a":nullnull}"#,
        r#"{"a":01}"#,
        r#"{"a":-}"#,
        r#"{"a":1.}"#,
        r#"{"a":1e999}"#,
        r#"{"a":-0.0,"b":1E+2}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"\ud800":1,"b":2}"#,
        r#"{"\u0061":1,"a":2}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"a":"\q"}"#,
        r#"{"\q":1}"#,
        r#"{"a":"\u12"}"#,
        "{\"a\":\"\t\"}",
        "{\"a\tb\":1}",
        "{\"a\":\"\u{7f}\"}",
        "{\"é\":\"ü\"}",
        r#"{"a":1,"a":[2],"a":{"b":3}}"#,
        r#"{"a":[1,2,{"b":"]"}],"c":"}"}"#,
        "{\n\t\"a\"\r\n:\u{20}1\n}",
        "{\u{a0}}",
        "\u{feff}{}",
        r#"{"":0,"":1}"#,
        r#"{"a":[}"#,
        r#"{"a":]}"#,
        r#"{"a":"b}"#,
        r#"{"a":"\"}"#,
        r#"{"a":"\\"}"#,
        r#"{"eight123":"x"}"#,
        r#"{"seven12":"eight\"23"}"#,
        &deep,
        &long,
    ] {
        check(text);
        for end in (0..text.len().min(60)).filter(|end| text.is_char_boundary(*end)) {
            check(&text[..end]);
        }
    }
}

/// Pieces of JSON in random order. Some of the results are valid JSON.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"", "\\", " ", "\n", "true", "false", "null", "1", "-0.5e3", "1e999", "\"a\"",
        "\"b\":", "\"\":", "\\u0061", "\\ud800", "\\n", "é", "\u{1}", "abcdefgh", "{}", "[]", "\"a\":1,", "{\"a\":",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(super::properties::config())]

    #[test]
    fn any_text_is_read_as_serde_json_reads_it(text in "\\PC{0,40}", pieces in pieces()) {
        check(&text);
        check(&pieces);
        check(&format!("{{\"a\":{pieces}}}"));
    }

    #[test]
    fn any_object_is_read_as_serde_json_reads_it(
        members in prop::collection::vec(("[a-c\\\\\"é\n]{0,12}", super::properties::json_value()), 0..9),
        space in "[ \t\n\r]{0,3}",
    ) {
        let members: Vec<String> = members
            .iter()
            .map(|(key, value)| format!("{space}{}{space}:{space}{value}{space}", serde_json::json!(key)))
            .collect();
        check(&format!("{space}{{{}}}{space}", members.join(",")));
    }
}

/// What an endpoint makes of a body.
type Read = fn(&str) -> Result<(), ResponseError>;

#[test]
fn a_body_that_is_cut_off_is_an_error_at_every_endpoint() {
    fn homeserver() -> Homeserver {
        HOMESERVER.parse().unwrap()
    }
    // The other members that the endpoints know.
    let more = json!({
        "expires_in_ms": 1, "home_server": "example.org", "well_known": {"m.homeserver": {"base_url": HOMESERVER}},
        "refresh_token": "r", "login_token": "t", "is_guest": false, "scope": "s", "soft_logout": true,
        "unstable_features": {"x": true}, "retry_after_ms": 1, "m.identity_server": {"base_url": HOMESERVER},
        "account_management_uri": "https://auth.example.org/account", "prompt_values_supported": ["create"],
        "authorization_response_iss_parameter_supported": true, "errcode": "M_UNKNOWN", "error": "e",
        "error_description": "d",
    });
    let flags = r#"{"flows":[{"type":"m.login.token","get_login_token":true},{"type":"m.login.sso",
        "oauth_aware_preferred":true,"org.matrix.msc3824.delegated_oidc_compatibility":true}]}"#;
    let endpoints: [(Read, &str); 15] = [
        (|body| well_known::response(&served(200, &[], body)).map(drop).map_err(|failure| failure.cause), WELL_KNOWN),
        (|body| versions::response(&served(200, &[], body)).map(drop), VERSIONS),
        (|body| login_types::response(&served(200, &[], body)).map(drop), OFFERS),
        (|body| login_types::response(&served(200, &[], body)).map(drop), flags),
        (|body| login::response(&served(200, &[], body)).map(drop), GRANTED),
        (|body| refresh::response(&served(200, &[], body)).map(drop), GRANTED),
        (|body| whoami::response(&served(200, &[], body)).map(drop), WHOAMI),
        (|body| auth_metadata::response(&homeserver(), &served(200, &[], body)).map(drop), METADATA),
        (|body| registration::response(&served(201, &[], body)).map(drop), REGISTERED),
        (|body| token::response(&served(200, &[], body)).map(drop), TOKENS),
        (|body| device_authorization::response(&homeserver(), &served(200, &[], body)).map(drop), CODE_TO_SHOW),
        (|body| get_token::response(&served(200, &[], body)).map(drop), r#"{"login_token":"t","expires_in_ms":1}"#),
        (
            |body| get_token::response(&served(401, &[], body)).map(drop),
            r#"{"flows":[{"stages":["a"]}],"session":"s"}"#,
        ),
        (|body| login_types::response(&served(403, &[], body)).map(drop), FORBIDDEN),
        (|body| token::response(&served(400, &[], body)).map(drop), REFUSED_BY_OAUTH),
    ];
    for (read, good) in endpoints {
        let body = format!("{},{}", &good[..good.len() - 1], &more.to_string()[1..]);
        for length in 0..body.len() {
            let error = read(&body[..length]).unwrap_err();
            let is_unread = matches!(error, ResponseError::InvalidResponse { .. } | ResponseError::NotMatrix { .. });
            assert!(is_unread, "{}: {error:?}", &body[..length]);
        }
    }
}
