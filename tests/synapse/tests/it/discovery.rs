//! Discovery from a user ID, with nginx in front and what it does to requests.

use matrix_login::{DiscoveryOutcome, Error, Step};
use matrix_login_synapse::{Login, password_choice_as, url};
use serde_json::{Value, json};

fn alice() -> Value {
    password_choice_as("alice", json!({ "type": "m.id.user", "user": "@alice:example.test" }))
}

#[test]
fn from_a_user_id_to_a_session() {
    let mut login = Login::discover("discovery", "example.test");
    login.with(alice());
    assert_eq!(login.session().homeserver().unwrap().as_str(), url("full"));
    let discovered = login.flow().discovered().unwrap();
    assert!(discovered.versions.versions.iter().any(|version| version == "v1.11"));
}

#[test]
fn a_well_known_that_has_moved() {
    let mut login = Login::discover("discovery_moved", "moved.test");
    login.send().unwrap();
    let Step::Send(request) = login.flow().step() else { panic!() };
    assert_eq!(request.uri(), "https://www.moved.test/.well-known/matrix/client");
    login.with(alice()).session();
}

#[test]
fn a_well_known_that_is_zipped_on_the_way() {
    Login::discover("discovery_zipped", "zipped.test").with(alice()).session();
}

#[test]
fn web_servers_without_a_well_known() {
    for (name, server_name, outcome) in [
        ("discovery_absent", "absent.test", DiscoveryOutcome::Ignore),
        ("discovery_down", "down.test", DiscoveryOutcome::FailPrompt),
        ("discovery_site", "site.test", DiscoveryOutcome::FailPrompt),
        ("discovery_limited", "limited.test", DiscoveryOutcome::FailPrompt),
    ] {
        let mut login = Login::discover(name, server_name);
        login.run();
        assert_eq!(login.outcome(), outcome, "{server_name}");
        // Whoever knows better goes on.
        login.use_homeserver(url("full")).with(alice()).session();
    }
}

#[test]
fn a_proxy_whose_homeserver_is_down_is_not_matrix_and_may_come_back() {
    let mut login = Login::discover("proxy_down", "absent.test");
    login.run().use_homeserver("https://down.test");
    let error = login.send().unwrap_err();
    assert!(matches!(&error, Error::NotMatrix { status, .. } if *status == 502), "{error:?}");
    assert!(error.may_retry());
}

#[test]
fn a_proxy_that_finds_the_request_too_large() {
    let mut login = Login::discover("proxy_413", "absent.test");
    login.run().use_homeserver("https://small.test").run().choose(alice());
    let error = login.send().unwrap_err();
    assert!(matches!(&error, Error::NotMatrix { status, .. } if *status == 413), "{error:?}");
}

#[test]
fn a_proxy_that_redirects_the_api() {
    let mut login = Login::discover("proxy_301", "absent.test");
    login.run().use_homeserver("https://moved.test");
    let Err(Error::Redirected { location, .. }) = login.send() else { panic!("{:?}", login.flow()) };
    assert_eq!(location.as_deref(), Some("https://www.moved.test/_matrix/client/v3/login"));
}

#[test]
fn a_proxy_that_limits_the_rate_by_itself_is_waited_for() {
    let mut login = Login::discover("proxy_429", "absent.test");
    login.run().use_homeserver("https://limited.test");
    login.send().unwrap();
    let Step::Wait(wait) = login.flow().step() else { panic!("{:?}", login.flow()) };
    assert_eq!((wait.attempt(), wait.error().errcode.as_deref()), (1, None));
}
