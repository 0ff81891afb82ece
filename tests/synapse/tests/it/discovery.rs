//! Discovery from a user ID, behind an nginx that changes requests and responses.

use matrix_login::{DiscoveryOutcome, Error, Location, ResponseError, Step};
use matrix_login_synapse::{Story, password_choice_as, url};
use serde_json::{Value, json};

fn alice() -> Value {
    password_choice_as("alice", json!({ "type": "m.id.user", "user": "@alice:example.test" }))
}

#[test]
fn a_user_id_leads_to_a_session() {
    Story::discover("discovery", "example.test").tell(|login| {
        login.with(alice());
        // The response to the login names an address without TLS, so the session stays at its homeserver.
        assert_eq!(login.session().homeserver().unwrap().as_str(), "https://example.test");
        let discovered = login.flow().discovered().unwrap();
        assert!(discovered.versions.versions.iter().any(|version| version == "v1.11"));
    });
}

#[test]
fn a_well_known_that_names_plain_http_is_an_error() {
    Story::discover("discovery_plain_http", "plain.test").tell(|login| {
        assert_eq!(login.run().outcome(), DiscoveryOutcome::FailError);
        let Step::Locate { failure, .. } = login.flow().step() else { panic!("{:?}", login.flow()) };
        let named = failure.homeserver.clone().unwrap();
        assert_eq!(named.as_str(), url("full"));
        // A user can insist on that address.
        login.use_homeserver(named.as_str()).with(alice()).session();
    });
}

#[test]
fn a_well_known_that_has_moved_is_followed() {
    Story::discover("discovery_moved", "moved.test").tell(|login| {
        login.send().unwrap();
        let Step::Send { request, .. } = login.flow().step() else { panic!() };
        assert_eq!(request.uri(), "https://www.moved.test/.well-known/matrix/client");
        login.with(alice()).session();
    });
}

#[test]
fn a_well_known_that_is_zipped_on_the_way_is_read() {
    Story::discover("discovery_zipped", "zipped.test").logs_in(alice());
}

#[test]
fn without_a_well_known_the_user_names_the_homeserver() {
    for (name, server_name, outcome) in [
        ("discovery_absent", "absent.test", DiscoveryOutcome::Ignore),
        ("discovery_down", "down.test", DiscoveryOutcome::FailPrompt),
        ("discovery_site", "site.test", DiscoveryOutcome::FailPrompt),
        ("discovery_limited", "limited.test", DiscoveryOutcome::FailPrompt),
    ] {
        Story::discover(name, server_name).tell(|login| {
            assert_eq!(login.run().outcome(), outcome, "{server_name}");
            // A user who knows the homeserver goes on.
            login.use_homeserver(url("full")).with(alice()).session();
        });
    }
}

#[test]
fn a_proxy_whose_homeserver_is_down_can_be_retried() {
    let error = Story::discover("proxy_down", "absent.test").tell(|login| {
        login.run().use_homeserver("https://down.test");
        login.send().unwrap_err()
    });
    assert!(matches!(&error, Error::Response(ResponseError::NotMatrix { status, .. }) if *status == 502), "{error:?}");
    assert!(error.may_retry());
}

#[test]
fn a_proxy_that_finds_the_request_too_large_is_not_matrix() {
    let error = Story::discover("proxy_413", "absent.test").tell(|login| {
        login.run().use_homeserver("https://small.test").run().choose(alice());
        login.send().unwrap_err()
    });
    assert!(matches!(&error, Error::Response(ResponseError::NotMatrix { status, .. }) if *status == 413), "{error:?}");
}

#[test]
fn a_proxy_that_redirects_the_api_is_not_followed() {
    let error = Story::discover("proxy_301", "absent.test").tell(|login| {
        login.run().use_homeserver("https://moved.test");
        login.send().unwrap_err()
    });
    let Error::Response(ResponseError::Redirected { location, .. }) = error else { panic!("{error:?}") };
    assert_eq!(location.as_ref().map(Location::as_str), Some("https://www.moved.test/_matrix/client/v3/login"));
}

#[test]
fn a_proxy_that_limits_the_rate_by_itself_is_waited_for() {
    Story::discover("proxy_429", "absent.test").tell(|login| {
        login.run().use_homeserver("https://limited.test");
        login.send().unwrap();
        let Step::Wait(wait) = login.flow().step() else { panic!("{:?}", login.flow()) };
        assert_eq!((wait.attempt(), wait.error().errcode.as_deref()), (1, None));
    });
}
