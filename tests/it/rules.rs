//! The four rules, in every state and for every input: an input moves the flow, or it is an error and nothing changes.
//!
//! The file `rules.txt` says what each input does in each state. It is for people to read, too.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use matrix_login::{Error, LoginFlow, LoginSettings, RequestId, Session, Step};

use crate::{
    refresh,
    support::{
        golden,
        scenario::{
            CALLBACK, CODE_CALLBACK, CODE_LIFETIME, CODE_TO_SHOW, FORBIDDEN, GRANTED, HOMESERVER, METADATA,
            OAUTH_DEVICE_ID, OFFERS, PENDING, REFUSED_BY_OAUTH, REGISTERED, STATE, Scenario, TOKENS, TOKENS_THAT_END,
            UNRECOGNIZED, VERSIONS, WELL_KNOWN, WHOAMI, answer, code, noon, password, picture, request_id, sso, whole,
            with_oauth,
        },
    },
};

/// The introduction of `rules.txt`.
const HEADER: &str = "\
# What every input does in every state of a login. The test `rules` compares this list with the library.
#
# A line without indentation names a state: the step that is due, and how the login came to this step. The indented
# lines below it say what inputs do in this state, as OUTCOME: INPUT, INPUT. An outcome is an error, or the step that is
# due after the input (`Wait 1` is the first wait in a row, `Locate` names the outcome of discovery). After an error
# nothing has changed, unless the outcome also names the step that is due then. `all about a request` stands for the
# responses and `unreachable`, with the ID of the last request. `all others` stands for the inputs that no other line of
# the state names.
#
# `UPDATE=1 cargo test` writes this file again. Read the difference before you commit it.

";

pub fn states() -> Vec<(&'static str, Scenario)> {
    let after = |mut story: Scenario, tell: fn(&mut Scenario) -> &mut Scenario| {
        tell(&mut story);
        story
    };
    let again = || Scenario::of(LoginFlow::again(&refresh::session(refresh::stored()), LoginSettings::default()));
    let session = r#"{"access_token":"t","user_id":"@alice:example.org","device_id":"D"}"#;
    let at_login = || Scenario::of(LoginFlow::at(HOMESERVER.parse().unwrap(), with_oauth()));
    let wanted = || after(at_login(), |story| story.answer(200, OFFERS));
    let registering = || after(Scenario::at_the_question_with_oauth(), |story| story.choose(code()));
    let resumed = || after(Scenario::in_the_browser_for_a_code(), |story| story.suspend().callback(CODE_CALLBACK));
    let again_with_tokens = || {
        let mut stored = refresh::stored();
        stored["device_id"] = OAUTH_DEVICE_ID.into();
        let again = Scenario::of(LoginFlow::again(&refresh::session(stored), with_oauth()));
        after(again, |story| {
            story.answer(200, OFFERS).answer(200, METADATA).choose(code()).answer(201, REGISTERED).suspend();
            story.callback(CODE_CALLBACK).answer(200, METADATA).answer(200, r#"{"access_token":"t"}"#)
        })
    };
    vec![
        ("GET well-known", Scenario::discover("example.org")),
        (
            "GET well-known, redirected",
            after(Scenario::discover("example.org"), |story| {
                story.answer_with(answer(301, &[("location", "/client.json")], ""))
            }),
        ),
        ("GET versions", Scenario::at_versions()),
        ("GET versions, waiting", after(Scenario::at_versions(), |story| story.answer(429, ""))),
        ("Locate", Scenario::lost()),
        ("GET login", Scenario::at(HOMESERVER)),
        ("GET login, waiting", after(Scenario::at(HOMESERVER), |story| story.answer(429, ""))),
        (
            "GET login, after a resume and a refusal",
            after(Scenario::in_the_browser(), |story| story.suspend().callback(CALLBACK).answer(403, FORBIDDEN)),
        ),
        ("Choose", Scenario::at_the_question()),
        ("Choose, refused", after(Scenario::logging_in(), |story| story.answer(403, FORBIDDEN))),
        ("POST login", Scenario::logging_in()),
        ("POST login, waiting", after(Scenario::logging_in(), |story| story.answer(429, ""))),
        ("POST login, after single sign-on", after(Scenario::in_the_browser(), |story| story.callback(CALLBACK))),
        ("POST login, again", after(again(), |story| story.answer(200, OFFERS).choose(password()))),
        ("Browse", Scenario::in_the_browser()),
        ("Browse, resumed", after(Scenario::in_the_browser(), Scenario::suspend)),
        (
            "POST login, again, after single sign-on and a resume",
            after(again(), |story| story.answer(200, OFFERS).choose(sso()).suspend().callback(CALLBACK)),
        ),
        ("GET auth_metadata", wanted()),
        ("GET auth_metadata, waiting", after(wanted(), |story| story.answer(429, ""))),
        ("GET auth_metadata, without login types", after(at_login(), |story| story.answer(404, UNRECOGNIZED))),
        (
            "GET auth_metadata, after a resume and a refusal",
            after(Scenario::in_the_browser_for_a_code(), |story| {
                story.suspend().callback(CODE_CALLBACK).answer(200, METADATA).answer(400, REFUSED_BY_OAUTH);
                story.answer(200, OFFERS)
            }),
        ),
        ("Choose, with OAuth", Scenario::at_the_question_with_oauth()),
        ("Choose, with OAuth alone", after(at_login(), |story| story.answer(404, UNRECOGNIZED).answer(200, METADATA))),
        ("POST register", registering()),
        ("POST register, waiting", after(registering(), |story| story.answer(429, ""))),
        ("Browse, for a code", Scenario::in_the_browser_for_a_code()),
        ("Browse, for a code, resumed", after(Scenario::in_the_browser_for_a_code(), Scenario::suspend)),
        ("GET auth_metadata, after a resume", resumed()),
        ("GET auth_metadata, after a resume, waiting", after(resumed(), |story| story.answer(429, ""))),
        ("POST token", Scenario::with_a_code()),
        ("POST token, waiting", after(Scenario::with_a_code(), |story| story.answer(429, ""))),
        ("POST token, after a resume", after(resumed(), |story| story.answer(200, METADATA))),
        ("POST device_authorization", Scenario::asking_for_a_code_to_show()),
        (
            "POST device_authorization, waiting",
            after(Scenario::asking_for_a_code_to_show(), |story| story.answer(429, "")),
        ),
        ("ShowCode", Scenario::showing_a_code()),
        ("ShowCode, after a poll", after(Scenario::polling(), |story| story.answer(400, PENDING))),
        ("POST token, a poll", Scenario::polling()),
        ("POST token, a poll, waiting", after(Scenario::polling(), |story| story.answer(429, ""))),
        ("GET whoami, after a poll", after(Scenario::polling(), |story| story.answer(200, TOKENS))),
        ("GET whoami", Scenario::with_tokens()),
        ("GET whoami, waiting", after(Scenario::with_tokens(), |story| story.answer(429, ""))),
        ("GET whoami, tokens that end", after(Scenario::with_a_code(), |story| story.answer(200, TOKENS_THAT_END))),
        ("GET whoami, again, after a resume", again_with_tokens()),
        ("POST revoke", after(Scenario::with_tokens(), Scenario::back)),
        ("POST revoke, waiting", after(Scenario::with_tokens(), |story| story.back().answer(429, ""))),
        ("POST revoke, after a resume", after(again_with_tokens(), Scenario::back)),
        ("Done, with OAuth", after(Scenario::with_tokens(), |story| story.answer(200, WHOAMI))),
        ("Done", Scenario::logged_in()),
        ("Done, restored", Scenario::of(LoginFlow::logged_in(Session::from_json(session).unwrap().unwrap()))),
    ]
}

/// An input. If it is about a request, the ID belongs to that request.
pub type Input = fn(&mut LoginFlow, RequestId) -> Result<(), Error>;

pub fn inputs() -> Vec<(&'static str, Input)> {
    fn respond(flow: &mut LoginFlow, id: RequestId, status: u16, body: &str) -> Result<(), Error> {
        flow.handle_response(id, &answer(status, &[], body), noon())
    }
    vec![
        ("well-known", |flow, id| respond(flow, id, 200, WELL_KNOWN)),
        ("versions", |flow, id| respond(flow, id, 200, VERSIONS)),
        ("login types", |flow, id| respond(flow, id, 200, OFFERS)),
        ("session", |flow, id| respond(flow, id, 200, GRANTED)),
        ("session that ends", |flow, id| {
            let ends = r#"{"user_id":"@alice:example.org","device_id":"D","access_token":"t","expires_in_ms":1}"#;
            respond(flow, id, 200, ends)
        }),
        ("session of another user", |flow, id| {
            respond(flow, id, 200, r#"{"user_id":"@bob:example.org","device_id":"D","access_token":"t"}"#)
        }),
        ("metadata", |flow, id| respond(flow, id, 200, METADATA)),
        ("registration", |flow, id| respond(flow, id, 201, REGISTERED)),
        ("code to show", |flow, id| respond(flow, id, 200, CODE_TO_SHOW)),
        ("pending", |flow, id| respond(flow, id, 400, PENDING)),
        ("slow down", |flow, id| respond(flow, id, 429, r#"{"error":"slow_down"}"#)),
        ("pending after the end", |flow, id| {
            flow.handle_response(id, &answer(403, &[], PENDING), noon() + CODE_LIFETIME)
        }),
        ("tokens", |flow, id| respond(flow, id, 200, TOKENS)),
        ("whoami", |flow, id| respond(flow, id, 200, WHOAMI)),
        ("whoami without a device", |flow, id| respond(flow, id, 200, r#"{"user_id":"@alice:example.org"}"#)),
        ("OAuth refusal", |flow, id| respond(flow, id, 400, REFUSED_BY_OAUTH)),
        ("unrecognized", |flow, id| respond(flow, id, 404, UNRECOGNIZED)),
        ("redirect", |flow, id| flow.handle_response(id, &answer(302, &[("location", "/other")], ""), noon())),
        ("403", |flow, id| respond(flow, id, 403, FORBIDDEN)),
        ("404", |flow, id| respond(flow, id, 404, "")),
        ("429", |flow, id| respond(flow, id, 429, "")),
        ("502", |flow, id| respond(flow, id, 502, "<html>")),
        ("timeout", |flow, _| flow.handle_timeout()),
        ("unreachable", LoginFlow::handle_unreachable),
        ("use_homeserver", |flow, _| flow.use_homeserver("https://other.example.org".parse()?)),
        ("choose password", |flow, _| flow.choose(password())),
        ("choose sso", |flow, _| flow.choose(sso())),
        ("choose code", |flow, _| flow.choose(code())),
        ("choose device", |flow, _| flow.choose(matrix_login::Choice::device_authorization())),
        ("choose what is not offered", |flow, _| {
            flow.choose(matrix_login::Choice::custom("org.example.unknown", serde_json::Map::new())?)
        }),
        ("callback", |flow, _| flow.handle_callback(&CALLBACK.parse().unwrap())),
        ("callback with a code", |flow, _| flow.handle_callback(&CODE_CALLBACK.parse().unwrap())),
        ("callback with an error", |flow, _| {
            let url = format!("http://127.0.0.1:9/cb?state={STATE}&error=access_denied");
            flow.handle_callback(&url.parse().unwrap())
        }),
        ("foreign callback", |flow, _| flow.handle_callback(&"http://127.0.0.1:9/cb".parse().unwrap())),
        ("back", |flow, _| flow.back()),
    ]
}

fn due(flow: &LoginFlow) -> String {
    match flow.step() {
        Step::Send { request, .. } if request.uri().path() == "/_matrix/client/v3/login" => {
            format!("{} login", request.method())
        }
        Step::Send { request, .. } if request.uri().path() == "/_matrix/client/versions" => "GET versions".to_owned(),
        Step::Send { request, .. } => {
            let name = match request.uri().path() {
                "/_matrix/client/v1/auth_metadata" => "auth_metadata",
                "/_matrix/client/v3/account/whoami" => "whoami",
                "/register" => "register",
                "/token" => "token",
                "/revoke" => "revoke",
                "/device" => "device_authorization",
                _ => return format!("{} {}", request.method(), request.uri()),
            };
            format!("{} {name}", request.method())
        }
        Step::Wait(wait) => format!("Wait {}", wait.attempt()),
        Step::Locate { failure, .. } => format!("Locate {:?}", failure.outcome),
        Step::Choose { refused: Some(_), .. } => "Choose, refused".to_owned(),
        Step::Choose { refused: None, .. } => "Choose".to_owned(),
        Step::Browse(_) => "Browse".to_owned(),
        Step::ShowCode(_) => "ShowCode".to_owned(),
        Step::Done(_) => "Done".to_owned(),
    }
}

fn kind(error: &Error) -> String {
    let debug = match error {
        Error::Response(error) => format!("{error:?}"),
        error => format!("{error:?}"),
    };
    debug.split([' ', '(', '{']).next().unwrap().to_owned()
}

/// The inputs that are about a request, in their order.
const ABOUT_A_REQUEST: [&str; 23] = [
    "well-known",
    "versions",
    "login types",
    "session",
    "session that ends",
    "session of another user",
    "metadata",
    "registration",
    "code to show",
    "pending",
    "slow down",
    "pending after the end",
    "tokens",
    "whoami",
    "whoami without a device",
    "OAuth refusal",
    "unrecognized",
    "redirect",
    "403",
    "404",
    "429",
    "502",
    "unreachable",
];

#[test]
fn an_input_moves_the_flow_or_is_an_error_without_a_change() {
    let mut table = HEADER.to_owned();
    for (name, story) in states() {
        let _ = writeln!(table, "{name}");
        let mut outcomes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (input, apply) in inputs() {
            let (id, before) = (story.last_request_id(), whole(&story.flow));
            let mut moved = story.flow.clone();
            let outcome = match apply(&mut moved, id) {
                Ok(()) => {
                    assert_ne!(
                        picture(&moved),
                        picture(&story.flow),
                        "{name}: {input} was accepted, but nothing moved"
                    );
                    due(&moved)
                }
                // The one exception: the error owns the session that was granted, and the question is due.
                Err(ref error @ (Error::MissingRefreshToken(ref session) | Error::WrongUser { ref session, .. })) => {
                    assert_eq!(session.access_token().expose(), "t");
                    format!("error {}, and {}", kind(error), due(&moved))
                }
                Err(error) => {
                    assert_eq!(whole(&moved), before, "{name}: {input} was an error, but something changed");
                    format!("error {}", kind(&error))
                }
            };
            outcomes.entry(outcome).or_default().push(input);
        }
        let [stale, out_of_step] = ["StaleResponse", "OutOfStep"].map(|kind| outcomes.remove(&format!("error {kind}")));
        for (outcome, inputs) in outcomes {
            let _ = writeln!(table, "    {outcome}: {}", inputs.join(", "));
        }
        if let Some(stale) = stale {
            assert_eq!(stale, ABOUT_A_REQUEST, "{name}");
            table.push_str("    error StaleResponse: all about a request\n");
        }
        // In most states, most inputs are out of step.
        if out_of_step.is_some() {
            table.push_str("    error OutOfStep: all others\n");
        }
    }
    golden::compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/rules.txt"), &table);
}

#[test]
fn a_step_is_a_view_of_the_state() {
    for (name, Scenario { flow, .. }) in states() {
        let first = whole(&flow);
        assert_eq!(whole(&flow), first, "{name}");
        assert_eq!(whole(&flow.clone()), first, "{name}");
    }
}

#[test]
fn if_no_request_is_due_every_response_is_stale() {
    // This holds also for the next ID of the flow, because another flow could have given out that ID already.
    let mut other = Scenario::at(HOMESERVER);
    let ids: Vec<_> = (0..12).map(|_| other.use_homeserver(HOMESERVER).request_id()).collect();
    for (name, story) in states() {
        if request_id(&story.flow).is_some() {
            continue;
        }
        for id in ids.iter().copied().chain([Scenario::at(HOMESERVER).request_id()]) {
            let mut moved = story.flow.clone();
            let response = moved.handle_response(id, &answer(200, &[], GRANTED), noon());
            assert!(matches!(response, Err(Error::StaleResponse)), "{name}: {response:?}");
            let unreachable = moved.handle_unreachable(id);
            assert!(matches!(unreachable, Err(Error::StaleResponse)), "{name}: {unreachable:?}");
            assert_eq!(whole(&moved), whole(&story.flow), "{name}");
        }
    }
}

#[test]
fn no_state_is_a_dead_end() {
    for (name, Scenario { flow, .. }) in states() {
        let mut other = flow.clone();
        match other.use_homeserver("https://other.example.org".parse().unwrap()) {
            Ok(()) => assert_eq!(due(&other), "GET login", "{name}"),
            // Tokens whose user is not confirmed yet must be revoked first, or left behind on purpose.
            Err(Error::OutOfStep { .. }) => {
                assert!(name.starts_with("GET whoami"), "{name}");
                other.back().unwrap();
                other.use_homeserver("https://other.example.org".parse().unwrap()).unwrap();
            }
            Err(error) => assert!(matches!(error, Error::AlreadyLoggedIn) && flow.session().is_some(), "{name}"),
        }
    }
}

#[test]
fn every_state_can_be_suspended_until_there_is_a_session() {
    for (name, Scenario { flow, .. }) in states() {
        assert_eq!(flow.suspend().is_none(), flow.session().is_some(), "{name}");
    }
}

#[test]
fn the_flow_gives_the_session_out_only_when_it_has_one() {
    for (name, Scenario { flow, .. }) in states() {
        let has_session = flow.session().is_some();
        let before = whole(&flow);
        match flow.into_session() {
            Ok(session) => assert!(has_session, "{name}: {session:?}"),
            Err(flow) => assert!(!has_session && whole(&flow) == before, "{name}"),
        }
    }
}

#[test]
fn out_of_step_says_what_was_called_and_what_is_due() {
    let error = Scenario::at_the_question().flow.handle_timeout().unwrap_err();
    assert_eq!(error.to_string(), "handle_timeout is out of step: Choose is due");
}

#[test]
fn the_types_can_be_sent_between_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<LoginFlow>();
    check::<LoginSettings>();
    check::<matrix_login::Choice>();
    check::<Session>();
    check::<matrix_login::Suspended>();
    check::<Error>();
    check::<Step<'static>>();
    check::<matrix_login::Discovered>();
}
