//! The target of a redirect is shown without user information, query and fragment.

use matrix_login::{DiscoveryOutcome, ResponseError, Step, endpoint::whoami};

use crate::support::scenario::{Scenario, served};

#[test]
fn a_location_is_shown_without_secrets() {
    for (location, shown) in [
        ("https://www.example.org/login", "https://www.example.org/login"),
        ("https://alice:pw@www.example.org/login?token=s#t", "https://www.example.org/login"),
        ("https://alice@a@www.example.org", "https://www.example.org"),
        ("//alice:pw@www.example.org/x", "//www.example.org/x"),
        ("/login?token=s", "/login"),
        ("login#token", "login"),
        ("?token=s", ""),
        // Some parsers read this as user information.
        ("https:alice:pw@www.example.org/x", "https:www.example.org/x"),
        ("https:///alice:pw@www.example.org/x", "https:///www.example.org/x"),
        ("https:\\\\alice:pw@www.example.org\\x", "https:\\\\www.example.org\\x"),
        ("\\/alice:pw@www.example.org/x", "\\/www.example.org/x"),
        ("https://alice:p\\w@www.example.org/x", "https://www.example.org/x"),
        ("alice@www.example.org:8448/x", "www.example.org:8448/x"),
        ("alice:pw@www.example.org", "alice:www.example.org"),
        ("mailto:alice@example.org", "mailto:example.org"),
        // An at sign further on is a part of the path.
        ("https://www.example.org/@alice", "https://www.example.org/@alice"),
        ("/users/@alice:example.org", "/users/@alice:example.org"),
    ] {
        let Err(error) = whoami::response(&served(302, &[("location", location)], "")) else { panic!("{location}") };
        let ResponseError::Redirected { location: Some(kept), .. } = &error else { panic!("{error:?}") };
        assert_eq!(kept.as_str(), location);
        assert_eq!(kept.to_string(), shown, "{location}");
        assert_eq!(format!("{kept:?}"), format!("{shown:?}"), "{location}");
        let to = format!("is a redirect to {shown} that is not followed");
        assert!(error.to_string().contains(&to), "{error}");
    }
}

#[test]
fn a_tab_that_a_parser_drops_hides_no_user_information() {
    let response = served(302, &[("location", "/\t/alice:pw@www.example.org/x")], "");
    let error = whoami::response(&response).unwrap_err();
    assert!(error.to_string().contains("is a redirect to / /www.example.org/x that is not followed"), "{error}");
}

#[test]
fn debug_shows_no_query_of_a_redirect_that_is_followed() {
    let mut story = Scenario::discover("example.org");
    story.responds_with(served(302, &[("location", "https://www.example.org/client.json?token=s3cr3t")], ""));
    story.gets("https://www.example.org/client.json?token=s3cr3t");
    for shown in [format!("{:?}", story.flow), format!("{:?}", story.flow.step())] {
        assert!(shown.contains("https://www.example.org/client.json"), "{shown}");
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
    story.responds_with(served(302, &[("location", "http://alice:s3cr3t@www.example.org/?s3cr3t#s3cr3t")], ""));
    story.locates(DiscoveryOutcome::FailPrompt);
    let Step::Locate { failure, .. } = story.flow.step() else { panic!("{:?}", story.flow.step()) };
    for shown in [format!("{:?}", story.flow), format!("{:?}", story.flow.step()), failure.to_string()] {
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}
