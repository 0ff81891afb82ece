//! Plain http: only the caller can choose it, never a server.

use matrix_login::{DiscoveryOutcome, Homeserver, LoginFlow, LoginSettings, ServerName, Step};
use serde_json::json;

use crate::support::scenario::{GRANTED, OFFERS, Scenario, VERSIONS, password, served};

/// Whether a server at one address may name the other.
const CASES: [(&str, &str, bool); 24] = [
    ("https://hs.example", "https://other.example", true),
    ("http://hs.example", "https://other.example", true),
    ("http://127.0.0.1:8008", "https://hs.example", true),
    // A public server cannot make a client send a POST to the client's own machine.
    ("https://hs.example", "http://127.0.0.1:8008", false),
    ("https://hs.example", "http://localhost", false),
    ("http://hs.example", "http://localhost", false),
    // The origin in use is allowed: scheme, host and port.
    ("http://hs.example:8008", "http://hs.example:8008/prefix", true),
    ("http://hs.example:8008", "http://hs.example:8009", false),
    ("http://hs.example", "http://hs.example:80", true),
    ("http://hs.example", "http://other.example", false),
    ("https://hs.example", "http://hs.example", false),
    ("https://hs.example:80", "http://hs.example:80", false),
    // A server on loopback may name an address on loopback.
    ("http://localhost:8008", "http://127.0.0.1:9", true),
    ("http://127.0.0.1", "http://[::1]:8008", true),
    ("http://[::1]", "http://localhost", true),
    ("https://127.8.9.10", "http://LOCALHOST", true),
    ("http://0x7f.1", "http://2130706433", true),
    // Hosts that look like loopback, and are other hosts.
    ("http://localhost", "http://localhost.example", false),
    ("http://localhost", "http://128.0.0.1", false),
    ("http://[::2]", "http://[::1]", false),
    ("http://[::1]", "http://[fd00::1]", false),
    ("http://127.0.0.1", "http://10.0.0.1", false),
    ("http://127.0.0.1", "http://0.0.0.0", false),
    ("http://localhost:8008", "http://public.example", false),
];

#[test]
fn a_server_may_name_only_these_addresses() {
    for (own, other, allowed) in CASES {
        let (own, other): (Homeserver, Homeserver) = (own.parse().unwrap(), other.parse().unwrap());
        assert_eq!(own.may_name(&other), allowed, "{own} {other}");
    }
}

#[test]
fn the_session_follows_the_response_only_if_it_may() {
    for (own, other, allowed) in CASES {
        let mut story = Scenario::of(LoginFlow::at(own.parse().unwrap(), LoginSettings::default()));
        let mut granted: serde_json::Value = serde_json::from_str(GRANTED).unwrap();
        granted["well_known"] = json!({"m.homeserver": {"base_url": other}});
        story.responds(200, OFFERS).choose(password()).responds(200, granted.to_string());
        let adopted: Homeserver = (if allowed { other } else { own }).parse().unwrap();
        assert_eq!(story.session().homeserver(), Some(&adopted), "{own} {other}");
    }
}

#[test]
fn a_well_known_file_may_name_what_its_server_may_name() {
    for (server_name, base_url, allowed) in [
        ("example.org", "https://hs.example", true),
        ("example.org", "http://hs.example:8008", false),
        ("example.org", "http://example.org", false),
        ("example.org:80", "http://example.org:80", false),
        ("example.org", "http://127.0.0.1:8008", false),
        ("127.0.0.1:8448", "http://127.0.0.1:8008", true),
        ("localhost", "http://[::1]:8008", true),
        ("[::1]:8448", "http://localhost", true),
        ("localhost", "http://hs.example", false),
        // A server name that cannot be the host of a URL.
        ("1.2.3.4.5", "http://1.2.3.4", false),
    ] {
        let name: ServerName = server_name.parse().unwrap();
        let homeserver: Homeserver = base_url.parse().unwrap();
        assert_eq!(name.may_name(&homeserver), allowed, "{server_name} {base_url}");

        let mut story = Scenario::discover(server_name);
        story.responds(200, json!({"m.homeserver": {"base_url": base_url}}).to_string());
        if allowed {
            story.gets(&format!("{homeserver}/_matrix/client/versions"));
        } else {
            story.locates(DiscoveryOutcome::FailError);
        }
    }
}

#[test]
fn a_user_can_insist_on_the_address() {
    let mut story = Scenario::discover("example.org");
    story.responds(200, json!({"m.homeserver": {"base_url": "http://hs.example:8008"}}).to_string());
    let Step::Locate { failure, .. } = story.flow.step() else { panic!("{:?}", story.flow.step()) };
    assert_eq!(
        failure.to_string(),
        "the homeserver http://hs.example:8008 cannot be used: invalid response to GET /.well-known/matrix/client: \
         expected `base_url` of `m.homeserver` to be an https URL, since others on the network can read a password \
         over plain http; the server is at fault; if you know the URL of the homeserver, give that"
    );
    let named = failure.homeserver.clone().unwrap();
    story.use_homeserver(named.as_str()).gets("http://hs.example:8008/_matrix/client/v3/login");
    story.responds(200, OFFERS).choose(password()).responds(200, GRANTED);
    assert_eq!(story.session().homeserver(), Some(&named));
}

#[test]
fn a_redirect_does_not_change_who_names_the_address() {
    let mut story = Scenario::discover("example.org");
    story.responds_with(served(302, &[("location", "https://localhost/client.json")], ""));
    story.responds(200, json!({"m.homeserver": {"base_url": "http://localhost:8008"}}).to_string());
    story.locates(DiscoveryOutcome::FailError);

    let mut story = Scenario::discover("localhost");
    story.responds_with(served(302, &[("location", "https://example.org/client.json")], ""));
    story.responds(200, json!({"m.homeserver": {"base_url": "http://localhost:8008"}}).to_string());
    story.gets("http://localhost:8008/_matrix/client/versions").responds(200, VERSIONS);
}
