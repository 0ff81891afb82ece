//! Laws that hold for generated values: laws of the flow, of stored data, of addresses, and of the order of JSON keys.

use std::time::{Duration, UNIX_EPOCH};

use http::Response;
use matrix_login::{
    Error, Homeserver, LoginFlow, LoginSettings, Meaning, Redirect, Refresh, RequestId, ServerAddress, ServerName,
    Session, Suspended, Typed, UserId, UserIdentifier, Verdict, endpoint,
};
use proptest::{prelude::*, sample::Index};
use serde_json::{Map, Value, json};
use url::Url;

use crate::{
    refresh, rules,
    support::{
        replay,
        scenario::{self, Scenario, picture, request_id, whole},
    },
};

pub fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// Homeservers as users and servers write them.
fn base_url() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        "[a-z]{1,8}(\\.[a-z]{1,8}){0,2}",
        Just("127.0.0.1".to_owned()),
        Just("[2001:db8::1]".to_owned()),
        Just("bücher.example".to_owned()),
    ];
    let port = prop_oneof![Just(String::new()), (1..=u16::MAX).prop_map(|port| format!(":{port}"))];
    let user = prop_oneof![4 => Just(""), 1 => Just("user@"), 1 => Just("user:pass@")];
    let tail = prop_oneof![4 => Just(""), 1 => Just("?a=b"), 1 => Just("#c"), 1 => Just("?a/b#c/")];
    (
        prop_oneof![Just("https"), Just("http"), Just("HTTPS")],
        user,
        host,
        port,
        "(/[a-zA-Z0-9._~%é ?|^-]{0,6}){0,4}",
        tail,
    )
        .prop_map(|(scheme, user, host, port, path, tail)| format!("{scheme}://{user}{host}{port}{path}{tail}"))
}

/// What people type: pieces of addresses in any order, and any text.
fn typed() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "@", ":", "/", ".", "#", "!", "?", "+", "-", "(0)", "%40", "%3A", "%ff", "alice", "Älice", "example.org",
            "Bücher.EXAMPLE", "localhost", "[::1]", "::1", "1.2.3.4", ":8448", ":99999", "0", "00", "44", "7700",
            "900123", "https://", "http:", "ws://", "matrix:", "matrix.to", "matrix.to/#/", "u/", "user/", "r/",
            "?via=", "/_matrix", "/_matrix/client/v3/login", "/.well-known/matrix/client", " ", "\u{200b}",
        ]).prop_map(str::to_owned),
        1 => "\\PC{1,3}",
        1 => any::<char>().prop_map(String::from),
    ];
    prop_oneof![4 => prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat()), 1 => base_url()]
}

pub fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[ -~é]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn errcode() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "M_FORBIDDEN",
        "M_LIMIT_EXCEEDED",
        "M_UNKNOWN_TOKEN",
        "M_USER_LOCKED",
        "M_USER_DEACTIVATED",
        "M_UNRECOGNIZED",
    ])
}

/// Some of the keys that a response can have, with values that fit or do not fit, and some unknown keys.
fn response_object() -> impl Strategy<Value = Vec<(String, Value)>> {
    let known = prop_oneof![
        Just(("access_token", json!("t0k3n"))),
        Just(("user_id", json!("@alice:example.org"))),
        Just(("device_id", json!("D"))),
        Just(("refresh_token", json!("r"))),
        any::<u32>().prop_map(|lifetime| ("expires_in_ms", json!(lifetime))),
        Just(("well_known", json!({"m.homeserver": {"base_url": "https://other.example.org/"}}))),
        errcode().prop_map(|errcode| ("errcode", json!(errcode))),
        errcode().prop_map(|errcode| ("errcode", json!(errcode))),
        any::<bool>().prop_map(|soft_logout| ("soft_logout", json!(soft_logout))),
        Just(("error", json!("no"))),
        Just(("error", json!("invalid_grant"))),
        Just(("error_description", json!("no"))),
        Just(("issuer", json!("https://auth.example.org/"))),
        Just(("authorization_endpoint", json!(scenario::AUTHORIZATION_URL))),
        Just(("token_endpoint", json!(scenario::TOKEN_URL))),
        Just(("response_types_supported", json!(["code"]))),
        Just(("code_challenge_methods_supported", json!(["S256"]))),
        Just(("client_id", json!("c"))),
        Just(("token_type", json!("Bearer"))),
        Just(("token_type", json!("mac"))),
        any::<u32>().prop_map(|lifetime| ("expires_in", json!(lifetime))),
        any::<u16>().prop_map(|delay| ("retry_after_ms", json!(delay))),
        Just(("flows", json!([{"type": "m.login.password"}, {"type": "m.login.sso"}, {}]))),
        Just(("versions", json!(["v1.11"]))),
        Just(("m.homeserver", json!({"base_url": "https://hs.example.org"}))),
    ];
    let pair = prop_oneof![
        6 => known.prop_map(|(key, value)| (key.to_owned(), value)),
        1 => ("[a-z_]{1,6}", json_value()),
    ];
    prop::collection::btree_map("[0-9]{2}", pair, 0..9).prop_map(|pairs| {
        // Each key appears once, because the order decides which of two equal keys counts.
        pairs.into_values().collect::<std::collections::BTreeMap<_, _>>().into_iter().collect()
    })
}

/// Writes the object by hand, in the given order, because a `Map` would sort the keys.
fn write_object(pairs: &[(String, Value)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{}:{value}", json!(key))).collect();
    format!("{{{}}}", pairs.join(","))
}

/// The metadata of an OAuth 2.0 server, or of a homeserver that mixes two servers up.
fn metadata() -> impl Strategy<Value = String> {
    let origin = || {
        prop_oneof![
            6 => Just("https://auth.example.org"),
            1 => Just("https://auth.example.org:8443"),
            1 => Just("https://hs.example.org"),
            1 => Just("http://auth.example.org"),
        ]
    };
    let path = prop_oneof![4 => Just("/authorize"), 1 => Just("/authorize?tenant=a"), 1 => Just("/other")];
    let issuer = prop_oneof![6 => Just("https://auth.example.org/"), 1 => Just("https://auth.example.org")];
    (issuer, origin(), path, origin()).prop_map(|(issuer, authorization, path, token)| {
        let mut metadata: Value = serde_json::from_str(scenario::METADATA).unwrap();
        metadata["issuer"] = json!(issuer);
        metadata["authorization_endpoint"] = json!(format!("{authorization}{path}"));
        metadata["token_endpoint"] = json!(format!("{token}/token"));
        metadata.to_string()
    })
}

fn status() -> impl Strategy<Value = u16> {
    let others = prop::sample::select(vec![201, 401, 403, 404, 429, 500]);
    prop_oneof![1 => Just(200), 1 => others]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_step_is_pure_and_an_input_is_all_or_nothing(
        begin in any::<Index>(),
        inputs in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let story = begin.get(rules::states()).story();
        let (mut id, mut flow) = (story.last_request_id(), story.flow);
        for input in inputs {
            let (before, seen) = (whole(&flow), picture(&flow));
            prop_assert_eq!(&whole(&flow), &before);
            id = request_id(&flow).unwrap_or(id);
            match input.get(rules::inputs()).apply(&mut flow, id) {
                Ok(()) => prop_assert_ne!(picture(&flow), seen),
                Err(Error::MissingRefreshToken(_) | Error::WrongUser { .. }) => {}
                Err(_) => prop_assert_eq!(&whole(&flow), &before),
            }
        }
    }

    #[test]
    fn an_accepted_input_makes_all_earlier_ids_stale(
        begin in any::<Index>(),
        inputs in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let mut story = begin.get(rules::states()).story();
        let mut given: Vec<RequestId> = Vec::new();
        for input in inputs {
            let due = request_id(&story.flow);
            prop_assert_eq!(request_id(&story.flow), due);
            prop_assert_eq!(request_id(&story.flow.clone()), due);
            given.extend(due.filter(|due| given.last() != Some(due)));
            let input = input.get(rules::inputs());
            let name = input.name;
            // The property is about inputs that move the flow. A login that the flow refuses moves it too.
            let id = given.last().copied().unwrap_or_else(|| story.last_request_id());
            let outcome = input.apply(&mut story.flow, id);
            if !matches!(outcome, Ok(()) | Err(Error::MissingRefreshToken(_) | Error::WrongUser { .. })) {
                prop_assert_eq!(request_id(&story.flow), due, "{}", name);
                continue;
            }
            let before = whole(&story.flow);
            for id in &given {
                prop_assert_ne!(request_id(&story.flow), Some(*id), "{}", name);
                for (status, body) in [(200, scenario::GRANTED), (403, scenario::FORBIDDEN), (429, "")] {
                    story.late(*id, status, body);
                }
                let unreachable = story.flow.handle_unreachable(*id);
                prop_assert!(matches!(unreachable, Err(Error::StaleResponse)), "{name}: {unreachable:?}");
                prop_assert_eq!(&whole(&story.flow), &before);
            }
        }
    }

    #[test]
    fn a_code_goes_only_where_the_browser_went(begin in metadata(), resume in prop::option::of(metadata())) {
        let mut story = Scenario::with_metadata(scenario::with_registered_client(), begin);
        if story.flow.choose(scenario::code()).is_err() {
            return Ok(());
        }
        let sent_to = story.browses();
        if let Some(metadata) = resume {
            story.suspend().callback(scenario::CODE_CALLBACK);
            let _ = scenario::respond(&mut story.flow, &scenario::served(200, &[], metadata), scenario::noon());
        } else {
            story.callback(scenario::CODE_CALLBACK);
        }
        let line = replay::step_line(&story.flow.step(), UNIX_EPOCH);
        if line.to_string().contains("c0d3") {
            prop_assert_eq!(&line["form"]["code"], "c0d3");
            prop_assert_eq!(Url::parse(line["url"].as_str().unwrap()).unwrap().origin(), sent_to.origin());
        } else {
            prop_assert_eq!(&line["url"], scenario::AUTH_METADATA_URL);
        }
    }

    #[test]
    fn a_callback_counts_in_any_order_and_in_either_place(
        pairs in Just(vec![("state", scenario::STATE), ("code", "c0d3"), ("x", "y"), ("session_state", "z")])
            .prop_shuffle(),
        is_in_fragment in any::<bool>(),
        twice in prop::option::of(0..2_usize),
    ) {
        let mut pairs = pairs;
        pairs.extend(twice.map(|index| [("state", scenario::STATE), ("code", "c0d3")][index]));
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let callback: Url =
            format!("app:/cb{}{query}", if is_in_fragment { "#" } else { "?" }).parse().unwrap();
        let mut story = Scenario::in_the_browser_for_a_code();
        let before = whole(&story.flow);
        match story.flow.handle_callback(&callback) {
            Ok(()) => {
                prop_assert!(twice.is_none());
                story.posts_the_code();
            }
            Err(error) => {
                prop_assert!(twice.is_some() && matches!(error, Error::ForeignCallback(_)), "{error:?}");
                prop_assert_eq!(whole(&story.flow), before);
            }
        }
    }

    #[test]
    fn any_response_is_all_or_nothing(
        begin in any::<Index>(),
        status in status(),
        pairs in response_object(),
        received_at in any::<u64>(),
    ) {
        let received_at = UNIX_EPOCH.checked_add(Duration::from_millis(received_at)).unwrap_or(UNIX_EPOCH);
        let story = begin.get(rules::states()).story();
        let (id, mut flow) = (story.last_request_id(), story.flow);
        let (before, seen) = (whole(&flow), picture(&flow));
        match flow.handle_response(id, &scenario::served(status, &[], write_object(&pairs)), received_at) {
            Ok(()) => prop_assert_ne!(picture(&flow), seen),
            Err(Error::MissingRefreshToken(_) | Error::WrongUser { .. }) => prop_assert!(flow.session().is_none()),
            Err(_) => prop_assert_eq!(whole(&flow), before),
        }
    }

    #[test]
    fn the_order_of_json_keys_changes_nothing(
        status in status(),
        (pairs, shuffled) in response_object().prop_flat_map(|pairs| (Just(pairs.clone()), Just(pairs).prop_shuffle())),
    ) {
        for state in rules::telling_states() {
            let story = state.story();
            let after = |pairs: &[(String, Value)]| {
                let mut flow = story.flow.clone();
                let response: Response<Vec<u8>> = scenario::served(status, &[], write_object(pairs));
                let outcome = flow.handle_response(story.last_request_id(), &response, scenario::noon());
                (outcome.err().map(|error| format!("{error:?}")), whole(&flow))
            };
            prop_assert_eq!(after(&pairs), after(&shuffled));
        }
    }

    #[test]
    fn addresses_are_read_back(
        server in "[a-z0-9.-]{1,12}(:[0-9]{1,5})?",
        localpart in "[^:\0]{0,10}",
        url in base_url(),
    ) {
        if let Ok(server_name) = server.parse::<ServerName>() {
            prop_assert_eq!(server_name.to_string(), server.clone());
            let id = format!("@{localpart}:{server}");
            let user_id: UserId = id.parse().unwrap();
            prop_assert_eq!(user_id.to_string(), id);
            prop_assert_eq!(user_id.localpart(), localpart);
            prop_assert_eq!(user_id.server_name(), server_name);
        }
        if let Ok(homeserver) = url.parse::<Homeserver>() {
            prop_assert_eq!(homeserver.to_string().parse::<Homeserver>().unwrap(), homeserver);
        }
    }

    #[test]
    fn typed_text_and_each_of_its_meanings_are_read_back(text in typed()) {
        let Ok(typed) = text.parse::<Typed>() else { return Ok(()) };
        prop_assert_eq!(&typed.to_string().parse::<Typed>().unwrap(), &typed);
        prop_assert_eq!(typed.meanings().count(), typed.others().len() + 1);
        // An @ says that a name follows, whatever the name looks like.
        let is_name = |meaning: &Meaning| matches!(meaning, Meaning::Localpart(_)) && text.contains('@');
        for meaning in typed.meanings().filter(|meaning| !is_name(meaning)) {
            let again: Typed = meaning.to_string().parse().unwrap();
            prop_assert!(again.meanings().any(|again| again == meaning), "{meaning} is read as {again:?}");
        }
        // The host of a URL can be a single word. Without the URL, such a word is rather the name of a user.
        let is_word = matches!(typed.best(), Meaning::ServerName(name) if !name.host().contains(['.', '[']));
        if !is_word && !is_name(typed.best()) && !matches!(typed.best(), Meaning::NationalPhoneNumber(_)) {
            let again: Typed = typed.best().to_string().parse().unwrap();
            prop_assert_eq!(again.best(), typed.best());
        }
    }

    #[test]
    fn blanks_around_what_was_typed_change_nothing(
        before in "[ \t\n\u{a0}\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2060}\u{2066}-\u{2069}\u{3000}\u{feff}]{0,3}",
        text in typed(),
        after in "[ \t\n\u{a0}\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2060}\u{2066}-\u{2069}\u{3000}\u{feff}]{0,3}",
    ) {
        prop_assert_eq!(format!("{before}{text}{after}").parse::<Typed>(), text.parse::<Typed>());
    }

    #[test]
    fn typed_text_means_the_address_type_that_accepts_it(
        localpart in "[^:\0]{0,10}",
        server in "[a-z0-9.-]{1,12}(:[0-9]{1,5})?",
        url in base_url(),
    ) {
        let surely = |text: &str| text.parse::<Typed>().ok().filter(Typed::is_sure).map(|typed| typed.best().clone());
        if let Ok(user_id) = format!("@{localpart}:{server}").parse::<UserId>() {
            prop_assert_eq!(surely(user_id.as_str()), Some(Meaning::UserId(user_id)));
        }
        if let Ok(homeserver) = url.parse::<Homeserver>() {
            prop_assert_eq!(surely(&url), Some(Meaning::Homeserver(homeserver)));
        }
        // Digits are rather a phone number than a server name.
        let is_number = |name: &ServerName| !name.host().contains(|character: char| character.is_ascii_alphabetic());
        if let Some(server_name) = server.parse().ok().filter(|name| !is_number(name)) {
            let typed: Typed = server.parse().unwrap();
            prop_assert!(typed.meanings().any(|meaning| *meaning == Meaning::ServerName(server_name.clone())));
        }
    }

    #[test]
    fn each_meaning_is_a_user_or_a_server_or_lacks_a_country(text in typed()) {
        let Ok(typed) = text.parse::<Typed>() else { return Ok(()) };
        for meaning in typed.meanings() {
            let user = UserIdentifier::try_from(meaning).is_ok();
            let server = ServerAddress::try_from(meaning).is_ok();
            let lacks_a_country = matches!(meaning, Meaning::NationalPhoneNumber(_));
            prop_assert_eq!([user, server, lacks_a_country].into_iter().filter(|is| *is).count(), 1);
        }
        prop_assert_eq!(
            UserIdentifier::try_from(&typed).is_ok(),
            typed.meanings().any(|meaning| UserIdentifier::try_from(meaning).is_ok())
        );
    }

    #[test]
    fn a_url_joins_with_one_slash_and_stays_on_its_origin(text in base_url(), id in "\\PC{1,6}") {
        let Ok(homeserver) = text.parse::<Homeserver>() else { return Ok(()) };
        let given = Url::parse(&text).unwrap();
        let prefix = given.path().trim_end_matches('/');
        let check = |url: &str, path: &str| {
            let url = Url::parse(url).unwrap();
            prop_assert_eq!(url.origin(), given.origin());
            prop_assert_eq!((url.username(), url.password(), url.fragment()), ("", None, None));
            prop_assert_eq!(url.path(), format!("{prefix}{path}"));
            Ok(())
        };
        let versions = endpoint::versions::request(&homeserver).uri().to_string();
        prop_assert_eq!(&versions, &format!("{homeserver}/_matrix/client/versions"));
        check(&versions, "/_matrix/client/versions")?;
        check(&endpoint::login_types::request(&homeserver).uri().to_string(), "/_matrix/client/v3/login")?;

        let redirect = Redirect::new("app:/cb", scenario::STATE).unwrap();
        check(endpoint::sso::request(&homeserver, &redirect).as_str(), "/_matrix/client/v3/login/sso/redirect")?;
        if let Ok(redirect) = redirect.with_identity_provider(id.clone()) {
            let url = endpoint::sso::request(&homeserver, &redirect);
            let parent = format!("{prefix}/_matrix/client/v3/login/sso/redirect/");
            prop_assert_eq!(url.origin(), given.origin());
            let segment = url.path().strip_prefix(&parent).unwrap();
            prop_assert!(!segment.contains('/'));
            prop_assert_eq!(percent_decode(segment), id);
        }
    }

    #[test]
    fn a_session_is_read_back(
        pairs in prop::collection::vec(("[a-z_]{1,8}", json_value()), 0..4),
        valid_until in any::<Option<u64>>(),
        url in base_url(),
    ) {
        let mut stored: Map<String, Value> = pairs.into_iter().collect();
        stored.insert("access_token".to_owned(), json!("t"));
        stored.insert("user_id".to_owned(), json!("@alice:example.org"));
        stored.insert("device_id".to_owned(), json!("D"));
        if let Some(valid_until) = valid_until {
            stored.insert("access_token_valid_until".to_owned(), json!(valid_until));
        }
        stored.insert("base_client_url".to_owned(), json!(url));
        let session = Session::from_json(Value::Object(stored.clone()).to_string()).unwrap().unwrap();
        let written = serde_json::to_value(&session).unwrap();
        let again = Session::from_json(written.to_string()).unwrap().unwrap();
        prop_assert_eq!(serde_json::to_value(&again).unwrap(), written.clone());
        prop_assert_eq!(again.homeserver(), session.homeserver());
        for (key, value) in stored {
            // In the keys that the crate knows, null means that there is no value. The URL is always written in the
            // same way.
            let known = ["access_token_valid_until", "refresh_token", "well_known_from_login", "base_client_url"];
            if !known.contains(&key.as_str()) {
                prop_assert_eq!(&written[&key], &value);
            }
        }
    }

    #[test]
    fn a_refresh_is_all_or_nothing_and_only_the_server_ends_it(
        status in status(),
        pairs in response_object(),
        received_at in any::<u64>(),
    ) {
        let received_at = UNIX_EPOCH.checked_add(Duration::from_millis(received_at)).unwrap_or(UNIX_EPOCH);
        let mut session = refresh::session(refresh::stored());
        let before = serde_json::to_value(&session).unwrap();
        let errcode = pairs.iter().find(|(key, _)| key == "errcode").and_then(|(_, value)| value.as_str());
        match session.handle_refresh(&scenario::served(status, &[], write_object(&pairs)), received_at) {
            Refresh::Refreshed => {
                prop_assert!((200..300).contains(&status));
                prop_assert_eq!(session.access_token().expose(), "t0k3n");
                prop_assert!(session.refresh_token().is_some());
                let mut after = serde_json::to_value(&session).unwrap();
                for key in ["access_token", "access_token_valid_until", "refresh_token"] {
                    after[key] = before[key].clone();
                }
                prop_assert_eq!(after, before);
            }
            Refresh::Later { .. } => prop_assert_eq!(serde_json::to_value(&session).unwrap(), before),
            _ => {
                prop_assert!((400..500).contains(&status) && status != 429 && errcode.is_some());
                prop_assert_eq!(serde_json::to_value(&session).unwrap(), before);
            }
        }
    }

    #[test]
    fn a_session_is_judged_only_by_an_errcode(status in status(), pairs in response_object()) {
        let session = refresh::session(refresh::stored());
        let judge = |pairs: &[(String, Value)]| session.judge(&scenario::served(status, &[], write_object(pairs)));
        let ends = |verdict: Verdict| !matches!(verdict, Verdict::Unaffected | Verdict::NotMatrix);
        if ends(judge(&pairs)) {
            prop_assert!((400..500).contains(&status) && status != 429);
            let without: Vec<_> = pairs.iter().filter(|(key, _)| key != "errcode").cloned().collect();
            prop_assert!(!ends(judge(&without)));
        }
    }

    #[test]
    fn after_the_wait_it_is_time_to_refresh(
        valid_until in any::<Option<u64>>(),
        now in any::<u64>(),
        margin in any::<u64>(),
    ) {
        let mut stored = refresh::stored();
        stored["access_token_valid_until"] = json!(valid_until);
        let session = refresh::session(stored);
        let (now, margin) = (UNIX_EPOCH + Duration::from_nanos(now), Duration::from_nanos(margin));
        let left = session.refresh_in(now, margin);
        prop_assert_eq!(left.is_some(), valid_until.is_some());
        prop_assert_eq!(left.is_some_and(|left| left.is_zero()), session.is_expired(now, margin));
        if let Some(then) = left.and_then(|left| now.checked_add(left)) {
            prop_assert_eq!(session.refresh_in(then, margin), Some(Duration::ZERO));
        }
    }

    #[test]
    fn a_suspended_flow_is_read_back(begin in any::<Index>(), device_id in "\\PC{1,9}", flags in any::<[bool; 3]>()) {
        let settings = LoginSettings::default()
            .with_device_id(device_id)
            .unwrap()
            .with_refresh_tokens(flags[0])
            .with_require_refresh_token(flags[1])
            .with_follow_well_known(flags[2]);
        let mut configured = Scenario::at_the_question_with(settings);
        configured.choose(scenario::sso());
        let mut flows: Vec<&LoginFlow> = rules::states().iter().map(|state| &state.flow).collect();
        flows.push(&configured.flow);
        let Some(suspended) = begin.get(&flows).suspend() else { return Ok(()) };
        let text = serde_json::to_string(&suspended).unwrap();
        let restored: Suspended = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(serde_json::to_string(&restored).unwrap(), text.clone());
        let resumed = LoginFlow::resume(restored);
        // The two forms differ only in the request ID, which a resume makes stale.
        let without_id = |text: &str| {
            let mut suspended: Value = serde_json::from_str(text).unwrap();
            let id = suspended.as_object_mut().unwrap().remove("request_id");
            (id.and_then(|id| id.as_u64()).unwrap(), suspended)
        };
        let (id, suspended_before) = without_id(&text);
        let (id_after, suspended_after) = without_id(&serde_json::to_string(&resumed.suspend()).unwrap());
        prop_assert_eq!(suspended_after, suspended_before);
        prop_assert!(id_after > id);
        let again = LoginFlow::resume(suspended);
        prop_assert_eq!(
            replay::step_line(&resumed.step(), UNIX_EPOCH),
            replay::step_line(&again.step(), UNIX_EPOCH)
        );
    }
}

fn percent_decode(segment: &str) -> String {
    // The decoder of the query does the work. Plus signs are escaped first, because it would read them as blanks.
    let query = format!("x={}", segment.replace('+', "%2B"));
    url::form_urlencoded::parse(query.as_bytes()).next().unwrap().1.into_owned()
}
