//! What people type as the user and as the homeserver, and how the login program reads it.

use serde_json::{Value, json};

use crate::support::{
    loopback::{self, Loopback, Received, Served},
    run::{Run, folder},
    scenario::OFFERS,
};

fn good(received: &Received) -> Served {
    loopback::good(OFFERS, received)
}

/// The identifier that the program sends, and what it says on standard error.
fn sent(arguments: &[&str]) -> (Value, String) {
    let homeserver = Loopback::start(good);
    let arguments = [&["-H", &homeserver.url], arguments].concat();
    let run = Run::with(folder(), &arguments, "wonderland\n");
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    (homeserver.received().pop().unwrap().body["identifier"].take(), run.stderr)
}

fn user(user: &str) -> Value {
    json!({"type": "m.id.user", "user": user})
}

fn third_party(medium: &str, address: &str) -> Value {
    json!({"type": "m.id.thirdparty", "medium": medium, "address": address})
}

#[test]
fn a_user_is_read_as_people_write_it() {
    for (typed, identifier) in [
        ("alice", user("alice")),
        ("  alice\u{a0}\u{200b}", user("alice")),
        ("@alice", user("alice")),
        ("@alice:example.org", user("@alice:example.org")),
        ("https://matrix.to/#/%40alice%3Aexample.org", user("@alice:example.org")),
        ("matrix:u/alice:example.org", user("@alice:example.org")),
        ("alice.b", user("alice.b")),
        ("+44 7700 900-123", third_party("msisdn", "447700900123")),
    ] {
        let (sent, said) = sent(&[typed]);
        assert_eq!(sent, identifier, "{typed}");
        assert!(!said.contains("taking"), "{typed}: {said}");
    }
}

#[test]
fn options_say_what_the_user_is() {
    let (sent_for_email, _) = sent(&["--email", " Alice@Example.ORG "]);
    assert_eq!(sent_for_email, third_party("email", "Alice@example.org"));
    let (sent_for_phone, _) = sent(&["--phone", "gb", "07700 900123"]);
    let phone = json!({"type": "m.id.phone", "country": "GB", "phone": "07700 900123", "number": "07700 900123"});
    assert_eq!(sent_for_phone, phone);

    let homeserver = Loopback::start(good);
    let fails = |arguments: &[&str], message: &str| {
        Run::with(folder(), &[&["-H", &homeserver.url], arguments].concat(), "").fails(message);
    };
    fails(&["--email", "alice"], "Error: --email: expected an address such as alice@example.org");
    fails(&["--phone", "GBR", "07700"], "Error: invalid country: expected its two letters, such as GB");
    assert_eq!(homeserver.received(), []);
    // The domain of an e-mail address does not name the homeserver of the user.
    let run = Run::with(folder(), &["--email", "alice@example.org"], "");
    assert_eq!(run.status, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("--homeserver-url"), "{}", run.stderr);
}

#[test]
fn without_a_terminal_the_guess_is_reported() {
    let (identifier, said) = sent(&["alice@Example.org"]);
    assert_eq!(identifier, third_party("email", "alice@example.org"));
    let guess = "reading alice@Example.org as an e-mail address; it can also be a user ID @alice:example.org";
    assert_eq!(said.lines().next(), Some(guess));
    let (identifier, said) = sent(&["alice:example.org"]);
    assert_eq!(identifier, user("@alice:example.org"));
    assert_eq!(said.lines().next(), Some("reading alice:example.org as @alice:example.org"));
    let (identifier, said) = sent(&["07700900123"]);
    assert_eq!(identifier, user("07700900123"));
    let guess = "reading 07700900123 as a user name; it can also be a phone number of a country 07700900123";
    assert_eq!(said.lines().next(), Some(guess));
}

#[test]
fn a_homeserver_is_read_as_people_write_it() {
    let homeserver = Loopback::start(good);
    for path in ["/", "/_matrix/client/v3/login", " ", "/_matrix"] {
        let url = format!(" {}{path}", homeserver.url);
        Run::with(folder(), &["-H", &url, "alice"], "wonderland\n")
            .says("logged in as @alice:example.org with device ID DEVICEID");
    }
    // A server name is discovered. Nothing listens on the default port of loopback.
    let run = Run::with(folder(), &["-H", "127.0.0.1:8448", "alice"], "");
    assert!(run.stderr.starts_with("GET https://127.0.0.1/.well-known/matrix/client"), "{}", run.stderr);
    assert_eq!(run.status, Some(1));
}

#[cfg(target_os = "linux")]
mod terminal {
    use super::*;
    use crate::support::{run::program, terminal::at_a_terminal};

    #[test]
    fn a_user_is_asked_what_an_address_is() {
        let question = "Is alice@example.org an e-mail address? [Y/n] ";
        let email = third_party("email", "alice@example.org");
        for (answers, password_for, identifier) in [
            (&["y\n"][..], "alice@example.org", email.clone()),
            (&["\n"], "alice@example.org", email),
            (&["perhaps\n", "n\n"], "@alice:example.org", user("@alice:example.org")),
        ] {
            let homeserver = Loopback::start(good);
            let asked = format!("Password for {password_for}: ");
            let mut typed: Vec<(&str, &str)> = answers.iter().map(|answer| (question, *answer)).collect();
            typed.push((&asked, "wonderland\n"));
            let arguments = format!("-H {} alice@example.org", homeserver.url);
            let shown = at_a_terminal(program(), &folder(), &arguments, &typed);
            assert!(shown.contains("status 0"), "{shown}");
            assert_eq!(homeserver.received().pop().unwrap().body["identifier"], identifier);
        }
    }

    #[test]
    fn a_phone_number_of_a_country_needs_the_country() {
        let homeserver = Loopback::start(good);
        let typed =
            [("Country of the phone number, such as GB: ", "gb\n"), ("Password for 07700900123: ", "wonderland\n")];
        let arguments = format!("-H {} '07700 900-123'", homeserver.url);
        let shown = at_a_terminal(program(), &folder(), &arguments, &typed);
        assert!(shown.contains("status 0"), "{shown}");
        let identifier = &homeserver.received().pop().unwrap().body["identifier"];
        assert_eq!((&identifier["country"], &identifier["number"]), (&json!("GB"), &json!("07700900123")));
    }
}
