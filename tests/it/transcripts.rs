//! Transcripts: each transcript in `tests/transcripts`, made up or recorded, replays to the lines in the file beside
//! it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::OnceLock,
};

use serde_json::{Value, json};

use crate::support::{
    golden, is_archive,
    programs::{build, command, run},
    replay::replay,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

fn lines(transcript: &str) -> Vec<Value> {
    replay(transcript).unwrap()
}

fn no_transcript(transcript: &str) -> String {
    replay(transcript).unwrap_err().to_string()
}

/// The program, as its users run it.
fn program(arguments: &[&str], input: &str) -> Output {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| build("replay"));
    run(command(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")), input)
}

fn transcripts() -> Vec<PathBuf> {
    let mut transcripts = Vec::new();
    let mut paths = vec![folder()];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            transcripts.push(path);
        }
    }
    let least = if is_archive() { 80 } else { 300 };
    assert!(transcripts.len() > least, "{} transcripts", transcripts.len());
    transcripts
}

/// What the program prints for a transcript.
fn printed(transcript: &str) -> String {
    lines(transcript).iter().map(|line| line.to_string() + "\n").collect()
}

#[test]
fn every_transcript_replays_to_the_lines_beside_it() {
    for path in transcripts() {
        golden::compare(&path.with_extension("expected"), &printed(&fs::read_to_string(path).unwrap()));
    }
}

/// The status and the body of every response in a value.
fn responses(value: &Value) -> Vec<(Value, Value)> {
    match value {
        Value::Object(members) => {
            let own = members.get("response").map(|response| (response["status"].clone(), response["body"].clone()));
            own.into_iter().chain(members.values().flat_map(responses)).collect()
        }
        Value::Array(values) => values.iter().flat_map(responses).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn logins_of_recorded_responses_have_the_recorded_bytes() {
    if is_archive() {
        // The archive does not contain the recordings.
        return;
    }
    let folder = folder().join("recorded-oauth");
    let (logins, recordings): (Vec<_>, Vec<_>) = transcripts()
        .into_iter()
        .filter(|path| path.starts_with(&folder))
        .map(|path| {
            let transcript: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            (path, transcript)
        })
        .partition(|(_, transcript)| transcript.get("inputs").is_some());
    let recorded: Vec<_> = recordings.iter().flat_map(|(_, transcript)| responses(transcript)).collect();
    assert!(logins.len() >= 8 && recorded.len() > 50, "{} logins, {} recordings", logins.len(), recorded.len());
    for (path, login) in logins {
        let responses = responses(&login);
        // For the homeserver of oidc-provider, no GET login was recorded.
        let made_up = usize::from(login["about"].as_str().unwrap().contains("GET login is made up"));
        assert!(responses.len() >= 5, "{}", path.display());
        for response in &responses[made_up..] {
            assert!(recorded.contains(response), "{}: {response:?}", path.display());
        }
    }
}

#[test]
fn every_transcript_says_what_it_is_about() {
    for path in transcripts() {
        let transcript: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let about = transcript["about"].as_str().unwrap_or_default();
        assert!(!about.trim().is_empty(), "{} says nothing in `about`", path.display());
    }
}

#[test]
fn the_program_replays_files_and_standard_input_in_turn() {
    let file = folder().join("password.json");
    let input = fs::read_to_string(folder().join("endpoint_login.json")).unwrap();
    let output = program(&[file.to_str().unwrap(), "-"], &input);
    // Another test might be writing the expected files at the same time.
    let expected = printed(&fs::read_to_string(file).unwrap()) + &printed(&input);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn the_program_exits_with_2_for_an_invalid_transcript() {
    let missing = "no such file.json";
    for (arguments, input) in [(&["-"][..], "{"), (&["-"], "{\"start\":\n[\"x\n"), (&[missing], "")] {
        let output = program(arguments, input);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_program_says_how_it_is_used() {
    let usage = "Usage: cargo run -q --example replay -- <FILE>...\n";
    for option in ["--help", "-h"] {
        let output = program(&[option], "");
        assert!(String::from_utf8(output.stdout).unwrap().contains(usage));
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    }
    for arguments in [&[][..], &["--halp"]] {
        let output = program(arguments, "");
        assert!(String::from_utf8(output.stderr).unwrap().contains(usage));
        assert_eq!((output.status.code(), output.stdout), (Some(2), Vec::new()));
    }
}

#[cfg(unix)]
#[test]
fn the_program_exits_with_1_if_its_output_is_closed() {
    use crate::support::programs::closed;

    for argument in ["password.json", "--help"] {
        let mut program = command(build("replay"));
        let child = program.arg(argument).current_dir(folder()).stdout(closed());
        let output = child.stderr(Stdio::piped()).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(argument == "--help" || message.starts_with("standard output cannot be written: "), "{message}");
    }
}

#[test]
fn an_invalid_transcript_is_refused() {
    for text in [
        "",
        "[]",
        "{}",
        r#"{"start":{}}"#,
        r#"{"start":{"server":"example.org"}}"#,
        r#"{"start":{"server_name":"a","homeserver":"https://a"}}"#,
        r#"{"start":{"server_name":"a"},"settings":{"device":"D"}}"#,
        r#"{"start":{"server_name":"a"},"inputs":[{"unknown":true}]}"#,
        r#"{"start":{"server_name":"a"},"inputs":[{"timeout":false}]}"#,
        r#"{"start":{"server_name":"a"},"inputs":[{"response":{}}]}"#,
        r#"{"start":{"server_name":"a"},"inputs":[{"response":{"status":99}}]}"#,
        r#"{"start":{"server_name":"a"},"inputs":[{"response":{"status":200,"body":"","body_base64":""}}]}"#,
        r#"{"start":{"server_name":"a"},"inputs":[{"response":{"status":200,"body_base64":"*"}}]}"#,
        r#"{"start":{"server_name":"a"},"inputs":[{"response":{"status":200,"received_at":"noon"}}]}"#,
        r#"{"start":{"server_name":"a"},"inputs":[{"response":{"status":200,"headers":[["a b","c"]]}}]}"#,
        r#"{"start":{"server_name":"a"},"inputs":[{"response":{"status":200,"headers":{"a":1}}}]}"#,
        r#"{"start":{"server_name":"a"},"inputs":[{"choose":{"type":"m.login.password"}}]}"#,
        r#"{"start":{"server_name":"a"},"inputs":[{"choose":{}}]}"#,
        r#"{"endpoint":"unknown","response":{"status":200}}"#,
        r#"{"endpoint":"login"}"#,
        r#"{"endpoint":"login","response":{"status":200},"request":{}}"#,
        r#"{"endpoint":"sso","response":{"status":200}}"#,
    ] {
        assert!(!no_transcript(text).is_empty(), "{text}");
    }
}

#[test]
fn a_value_that_the_crate_refuses_makes_a_line_and_no_step() {
    for transcript in [
        json!({"start": {"server_name": "ex ample"}}),
        json!({"start": {"user_id": "alice"}}),
        json!({"start": {"homeserver": "example.org"}}),
        json!({"start": {"session": {"access_token": 1}}}),
        json!({"start": {"server_name": "example.org"}, "settings": {"device_id": ""}, "inputs": [{"back": true}]}),
        json!({"endpoint": "versions", "request": {"homeserver": "example.org"}}),
        json!({"endpoint": "sso", "request": {"homeserver": "http://a", "redirect_url": "x", "state": "y"}}),
        json!({
            "endpoint": "registration",
            "request": {"registration_endpoint": "https://a/r", "client": {"client_id": "c"}},
        }),
    ] {
        let lines = lines(&transcript.to_string());
        assert_eq!(lines.len(), 1, "{transcript}");
        assert_eq!(lines[0]["error"]["kind"], "invalid_input", "{transcript}");
    }
}

#[test]
fn a_response_without_a_time_arrives_at_the_epoch() {
    let granted = r#"{"user_id":"@a:b","device_id":"D","access_token":"t","refresh_token":"r","expires_in_ms":1}"#;
    let transcript = json!({
        "start": {"homeserver": "https://example.org"},
        "inputs": [
            {"response": {"status": 200, "headers": {"x": "y"}, "body": r#"{"flows":[{"type":"m.login.token"}]}"#}},
            {"choose": {"type": "m.login.token", "token": "t"}},
            {"response": {"status": 200, "body": granted}},
        ],
    });
    let last = lines(&transcript.to_string()).pop().unwrap();
    assert_eq!(last["session"]["access_token_valid_until"], 1_000_000);
}
