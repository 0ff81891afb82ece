//! What the README and the manual show is tested here: the program, the loops and the diagram.

use std::{cell::Cell, error::Error, fs, path::Path};

use http::Response;
use matrix_login::{Choice, CodeVerifier, LoginFlow, LoginSettings, Redirect, Session};

use crate::{
    best_way::best_way,
    driver::log_in,
    support::{
        is_archive,
        scenario::{
            self, CALLBACK, CODE_CALLBACK, CODE_TO_SHOW, FORBIDDEN, GRANTED, HOMESERVER, METADATA, OAUTH_DEVICE_ID,
            OFFERS, PENDING, REGISTERED, Scenario, TOKENS, VERSIONS, WELL_KNOWN, WHOAMI,
        },
    },
};

const README: &str = include_str!("../../README.md");
const MANUAL: &str = include_str!("../../src/lib.rs");
const FLOW: &str = include_str!("../../src/flow.rs");

/// The text of doc comments, without their marks.
fn doc_text(source: &str) -> String {
    let line = |line: &str| {
        let line = line.trim_start();
        let text = line.strip_prefix("//!").or_else(|| line.strip_prefix("///")).unwrap_or("");
        text.strip_prefix(' ').unwrap_or(text).to_owned() + "\n"
    };
    source.lines().map(line).collect()
}

/// The rows of a table in doc comments, below the header that begins like this.
pub fn table(source: &str, header: &str) -> Vec<Vec<String>> {
    let text = doc_text(source);
    let rows = text.lines().skip_while(|line| !line.starts_with(header)).skip(2);
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// What a file shows below its first line, as a reader writes it.
fn shown(file: &str) -> String {
    file.split_once("\n\n").unwrap().1.replace("pub ", "")
}

#[test]
fn the_manual_shows_the_loop_that_is_tested() {
    assert!(doc_text(MANUAL).contains(&shown(include_str!("driver.rs"))), "lib.rs shows another loop");
}

#[test]
fn the_manual_shows_the_refresh_that_is_tested() {
    assert!(doc_text(MANUAL).contains(&shown(include_str!("recipe.rs"))), "lib.rs shows another function");
}

#[test]
fn the_manual_shows_the_choice_that_is_tested() {
    assert!(doc_text(MANUAL).contains(&shown(include_str!("best_way.rs"))), "lib.rs shows another choice");
}

#[test]
fn the_best_way_is_the_first_one_that_is_offered() {
    let offers = |flows: &str| {
        let mut story = Scenario::at(HOMESERVER);
        story.responds(200, flows);
        story
    };
    let no_grants = scenario::metadata_with("grant_types_supported", Vec::<String>::new());
    for (story, best) in [
        (Scenario::at_the_question_with_oauth(), Some(scenario::code())),
        (Scenario::with_metadata(scenario::with_oauth(), no_grants), Some(scenario::sso())),
        (Scenario::at_the_question(), Some(scenario::sso())),
        (offers(r#"{"flows":[{"type":"m.login.token"},{"type":"m.login.password"}]}"#), Some(scenario::password())),
        (offers(r#"{"flows":[{"type":"m.login.token"}]}"#), None),
        (Scenario::at(HOMESERVER), None),
    ] {
        let redirect = Redirect::new("http://127.0.0.1:9/cb", "0123456789abcdef").unwrap();
        let verifier = CodeVerifier::new("0".repeat(43)).unwrap();
        let choice = best_way(&story.flow.step(), redirect, verifier, scenario::password);
        assert_eq!(choice.as_ref().map(Choice::login_type), best.as_ref().map(Choice::login_type));
    }
}

#[test]
fn the_readme_fits_on_a_page() {
    let lines = README.lines().count();
    assert!(lines <= 120, "README.md has {lines} lines, and should have at most 120");
}

#[test]
fn the_readme_links_to_files_that_exist() {
    let sources = "https://docs.rs/crate/matrix-login/latest/source/";
    let links: Vec<&str> = README.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)).collect();
    for link in &links {
        assert!(link.starts_with("https://"), "{link} works in the repository only");
        if let Some(file) = link.strip_prefix(sources) {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            assert!(path.exists(), "the README links to {file}, which does not exist");
        }
    }
    assert!(links.iter().any(|link| link.starts_with(sources)));
}

#[test]
fn the_figures_of_the_readme_are_those_of_the_benchmarks() {
    if is_archive() {
        return;
    }
    let costs = file("benches/README.md");
    let row = |page: &str, name: &str| {
        let row = page.lines().find(|line| line.starts_with(&format!("| {name}"))).unwrap().to_owned();
        row.split('|').skip(2).map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    let logins = row(&costs, "**one login**");
    for name in ["`matrix-login`", "`ruma-client-api` 0.25.2", "`matrix-sdk` 0.18.0"] {
        let [login, program @ ..] = &row(README, name)[..] else { unreachable!() };
        assert_eq!(program[..2], row(&costs, &format!("{name} |"))[..2], "{name}");
        assert!(login == "not measured" || logins.contains(&format!("**{login}**")), "{name}: {login}");
    }
}

/// The lines of the code samples in doc comments that are wider than a page. A reader does not see hidden lines.
fn wide_lines(source: &str) -> Vec<String> {
    let text = doc_text(source);
    let samples = text.split("```").skip(1).step_by(2).filter(|sample| !sample.starts_with("text"));
    let is_wide = |line: &&str| !line.starts_with("# ") && line.chars().count() > 90;
    samples.flat_map(|sample| sample.lines().filter(is_wide).map(str::to_owned)).collect()
}

#[test]
fn samples_in_the_documentation_have_at_most_90_columns() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let wide = wide_lines(&fs::read_to_string(&path).unwrap());
            assert!(wide.is_empty(), "{}: {wide:#?}", path.display());
        }
    }
}

#[test]
fn the_program_of_the_readme_is_one_that_is_compiled() {
    if is_archive() {
        // These programs are packages of their own, so the archive of this package does not contain them.
        return;
    }
    let program = program("ureq");
    let (_, code) = program.split_once("\n\n").unwrap();
    assert!(README.contains(&format!("```rust,ignore\n{code}```\n")), "the README shows another program");
}

#[test]
fn the_manual_shows_a_method_that_is_compiled() {
    if is_archive() {
        return;
    }
    let program = program("reqwest");
    let method = &program[program.find("    async fn send").unwrap()..program.find("\n\n    async fn pause").unwrap()];
    let method: String = method.lines().map(|line| line.strip_prefix("    ").unwrap().to_owned() + "\n").collect();
    assert!(doc_text(MANUAL).contains(&format!("```ignore\n{method}```\n")), "lib.rs shows another method");
}

#[test]
fn the_manual_shows_the_check_of_addresses_that_is_tested() {
    if is_archive() {
        return;
    }
    let source = file("stacks/web/src/public.rs");
    let function = &source[source.find("/// Whether an address is public.").unwrap()..];
    let (function, _) = function.split_once("\n#[cfg(test)]").unwrap();
    assert!(doc_text(MANUAL).contains(function), "lib.rs shows another function");
}

/// A program of `stacks`.
fn program(client: &str) -> String {
    file(&format!("stacks/{client}/src/main.rs"))
}

/// A file that the archive of the package does not contain.
fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_diagram_is_the_same_everywhere() {
    let diagram = README.split_once("```text\n").unwrap().1.split_once("```").unwrap().0;
    assert!(diagram.contains("Browse"));
    assert!(doc_text(FLOW).contains(diagram), "flow.rs shows another diagram");
}

/// The result of a login with that driver, the number of its requests, and the number of its waits.
fn drive(
    flow: LoginFlow,
    respond: impl Fn(&str, u32) -> Option<Response<Vec<u8>>>,
) -> (Result<Session, Box<dyn Error>>, u32, u32) {
    drive_with(scenario::password(), flow, respond)
}

fn drive_with(
    choice: Choice,
    flow: LoginFlow,
    respond: impl Fn(&str, u32) -> Option<Response<Vec<u8>>>,
) -> (Result<Session, Box<dyn Error>>, u32, u32) {
    let (sent, waits, codes) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let session = log_in(
        flow,
        choice,
        |request| {
            sent.set(sent.get() + 1);
            assert!(sent.get() < 100, "the driver never ends");
            let target = format!("{} {}", request.method(), request.uri().path());
            respond(&target, sent.get()).ok_or_else(|| "connection reset".into())
        },
        |_| waits.set(waits.get() + 1),
        |url| Ok(if url.path() == "/authorize" { CODE_CALLBACK } else { CALLBACK }.parse()?),
        |code| {
            assert_eq!(code.user_code(), "WDJB-MJHT");
            codes.set(codes.get() + 1);
        },
    );
    assert!(codes.get() <= 1, "a code is shown once");
    (session, sent.get(), waits.get())
}

fn flows() -> [LoginFlow; 2] {
    let settings = LoginSettings::default;
    [
        LoginFlow::discover("example.org".parse().unwrap(), settings()),
        LoginFlow::at(HOMESERVER.parse().unwrap(), settings()),
    ]
}

fn good(target: &str) -> Response<Vec<u8>> {
    scenario::served(
        200,
        &[],
        match target {
            "GET /.well-known/matrix/client" => WELL_KNOWN,
            "GET /_matrix/client/versions" => VERSIONS,
            "GET /_matrix/client/v3/login" => OFFERS,
            "POST /_matrix/client/v3/login" => GRANTED,
            "GET /_matrix/client/v1/auth_metadata" => METADATA,
            "POST /register" => REGISTERED,
            "POST /device" => CODE_TO_SHOW,
            "POST /token" => TOKENS,
            "GET /_matrix/client/v3/account/whoami" => WHOAMI,
            target => panic!("{target}"),
        },
    )
}

#[test]
fn the_driver_logs_in() {
    let [discover, at] = flows();
    let (session, sent, _) = drive(discover, |target, _| Some(good(target)));
    assert_eq!((session.unwrap().device_id(), sent), ("DEVICEID", 4));
    let (session, sent, _) = drive(at, |target, _| Some(good(target)));
    assert_eq!((session.unwrap().device_id(), sent), ("DEVICEID", 2));
}

#[test]
fn the_same_driver_serves_every_way_to_log_in() {
    for (choice, requests) in [(scenario::sso(), 5), (scenario::code(), 7), (Choice::device_authorization(), 8)] {
        let flow = LoginFlow::discover("example.org".parse().unwrap(), scenario::with_oauth());
        let is_legacy = choice.login_type() == "m.login.sso";
        let (session, sent, waits) = drive_with(choice, flow, |target, _| Some(good(target)));
        let session = session.unwrap();
        assert_eq!((session.device_id(), sent), (if is_legacy { "DEVICEID" } else { OAUTH_DEVICE_ID }, requests));
        assert_eq!(waits, u32::from(requests == 8), "before the first poll");
    }
}

#[test]
fn the_driver_sends_a_poll_that_has_failed_again() {
    let flow = || LoginFlow::at(HOMESERVER.parse().unwrap(), scenario::with_oauth());
    let (session, sent, waits) = drive_with(Choice::device_authorization(), flow(), |target, sent| match sent {
        5 => None,
        6 => Some(scenario::served(502, &[], "<html>")),
        7 => Some(scenario::served(400, &[], PENDING)),
        _ => Some(good(target)),
    });
    assert_eq!((session.unwrap().device_id(), sent, waits), (OAUTH_DEVICE_ID, 9, 4));
    // The driver gives up if the end of the code is unknown.
    let endless = CODE_TO_SHOW.replace("expires_in", "x");
    let (session, sent, _) = drive_with(Choice::device_authorization(), flow(), |target, _| match target {
        "POST /device" => Some(scenario::served(200, &[], endless.as_str())),
        "POST /token" => None,
        _ => Some(good(target)),
    });
    assert_eq!((session.unwrap_err().to_string(), sent), ("connection reset".to_owned(), 5));
}

#[test]
fn the_driver_waits_out_a_rate_limit() {
    let [flow, _] = flows();
    let (session, sent, waits) = drive(flow, |target, sent| {
        Some(if matches!(sent, 2 | 4 | 5) { scenario::served(429, &[], "") } else { good(target) })
    });
    assert_eq!((session.unwrap().device_id(), sent, waits), ("DEVICEID", 7, 3));
}

#[test]
fn a_server_that_always_refuses_gets_few_requests() {
    for flow in flows() {
        let (session, sent, _) = drive(flow, |_, _| Some(scenario::served(403, &[], FORBIDDEN)));
        assert!(session.is_err() && sent == 1);
    }
    for flow in flows() {
        let (session, sent, _) = drive(flow, |target, _| {
            Some(if target.starts_with("POST") { scenario::served(403, &[], FORBIDDEN) } else { good(target) })
        });
        let message = session.unwrap_err().to_string();
        assert_eq!(message, "the server refused (status 403, M_FORBIDDEN): Invalid username or password");
        assert!(sent <= 4);
    }
}

#[test]
fn a_server_that_always_limits_the_rate_gets_few_requests() {
    for flow in flows() {
        let (session, sent, waits) = drive(flow, |_, _| Some(scenario::served(429, &[], "")));
        assert!(session.is_err() && sent <= 4 && waits <= 3, "{sent} {waits}");
    }
    // The driver waits three times in all, whichever requests are limited.
    for flow in flows() {
        let (session, sent, waits) = drive(flow, |target, _| {
            Some(if target.starts_with("POST") { scenario::served(429, &[], "") } else { good(target) })
        });
        assert!(session.is_err() && sent <= 7 && waits == 3, "{sent} {waits}");
    }
}

#[test]
fn a_server_that_never_responds_gets_one_request() {
    for flow in flows() {
        let (session, sent, _) = drive(flow, |_, _| None);
        assert_eq!((session.unwrap_err().to_string().as_str(), sent), ("connection reset", 1));
    }
}

#[test]
fn a_server_that_sends_nonsense_gets_few_requests() {
    for flow in flows() {
        for (status, body) in [(200, "{}"), (200, "<html>"), (302, ""), (500, ""), (204, ""), (404, "")] {
            let (session, sent, _) = drive(flow.clone(), |_, _| Some(scenario::served(status, &[], body)));
            assert!(session.is_err() && sent == 1, "{status} {body}");
        }
    }
}

#[test]
fn each_method_of_a_login_and_a_session_has_an_example() {
    for file in [
        include_str!("../../src/flow.rs"),
        include_str!("../../src/flow/choice.rs"),
        include_str!("../../src/flow/suspended.rs"),
        include_str!("../../src/session.rs"),
        include_str!("../../src/session/logout.rs"),
        include_str!("../../src/session/oauth.rs"),
        include_str!("../../src/session/refresh.rs"),
        include_str!("../../src/session/stored.rs"),
        include_str!("../../src/session/verdict.rs"),
    ] {
        for item in syn::parse_file(file).unwrap().items {
            let syn::Item::Impl(block) = item else { continue };
            for item in block.items {
                let syn::ImplItem::Fn(method) = item else { continue };
                if matches!(method.vis, syn::Visibility::Public(_)) {
                    let has_example = |attribute: &syn::Attribute| match &attribute.meta {
                        syn::Meta::NameValue(syn::MetaNameValue {
                            value: syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(line), .. }),
                            ..
                        }) => line.value().contains("```"),
                        _ => false,
                    };
                    assert!(method.attrs.iter().any(has_example), "{} has no example", method.sig.ident);
                }
            }
        }
    }
}
