//! Addresses are parsed once, when they enter the crate: which ones are accepted, how they are shown and compared, and
//! which ones are refused.

use std::collections::BTreeSet;

use matrix_login::{Homeserver, ServerName, UserId};

#[test]
fn server_names_are_read() {
    for (name, host, port) in [
        ("example.org", "example.org", None),
        ("example.org:8448", "example.org", Some(8448)),
        ("Matrix.Example.ORG", "Matrix.Example.ORG", None),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
        ("localhost:8008", "localhost", Some(8008)),
        ("1.2.3.4", "1.2.3.4", None),
        ("1.2.3.4:0", "1.2.3.4", Some(0)),
        ("[2001:db8::1]", "[2001:db8::1]", None),
        ("[::1]:8448", "[::1]", Some(8448)),
        // It follows the grammar. That the address does not exist shows only when a client connects.
        ("1.2.3.999", "1.2.3.999", None),
    ] {
        let server_name: ServerName = name.parse().unwrap();
        assert_eq!((server_name.host(), server_name.port()), (host, port), "{name}");
        assert_eq!(server_name.to_string(), name);
    }
}

#[test]
fn invalid_server_names_are_refused() {
    let long = format!("{}.org", "a".repeat(252));
    for name in [
        "",
        ":8448",
        "example.org:",
        "example.org:x",
        "example.org:+1",
        "example.org:65536",
        "example.org:000001",
        "example.org:1:2",
        "exa mple.org",
        "exa_mple.org",
        "bücher.example",
        "https://example.org",
        "example.org/path",
        "@alice:example.org",
        "2001:db8::1",
        "[2001:db8::1",
        "[2001:db8::1]x",
        "[example.org]",
        "[]",
        &long,
    ] {
        let error = name.parse::<ServerName>().unwrap_err();
        assert_eq!(error.field, "server name", "{name}: {error}");
    }
    assert!("a".repeat(255).parse::<ServerName>().is_ok());
}

#[test]
fn user_ids_are_read() {
    for (id, localpart, server_name) in [
        ("@alice:example.org", "alice", "example.org"),
        ("@alice:example.org:8448", "alice", "example.org:8448"),
        ("@alice:[::1]:8448", "alice", "[::1]:8448"),
        // Historical user IDs, which clients must accept.
        ("@Alice:example.org", "Alice", "example.org"),
        ("@älice b/c=_.-+:example.org", "älice b/c=_.-+", "example.org"),
        ("@@alice:example.org", "@alice", "example.org"),
        ("@:example.org", "", "example.org"),
        ("@\n:example.org", "\n", "example.org"),
    ] {
        let user_id: UserId = id.parse().unwrap();
        assert_eq!((user_id.localpart(), user_id.server_name().as_str()), (localpart, server_name), "{id}");
        assert_eq!(user_id.to_string(), id);
    }
}

#[test]
fn invalid_user_ids_are_refused() {
    for id in
        ["", "@", "alice", "@alice", "alice:example.org", "@alice:", "@alice:exa mple", "@a\0:example.org", "#a:b"]
    {
        assert_eq!(id.parse::<UserId>().unwrap_err().field, "user ID", "{id}");
    }
}

#[test]
fn homeservers_are_read() {
    for (given, base) in [
        ("https://matrix.example.org", "https://matrix.example.org"),
        ("https://matrix.example.org/", "https://matrix.example.org"),
        ("https://matrix.example.org//", "https://matrix.example.org"),
        ("http://localhost:8008", "http://localhost:8008"),
        ("https://example.org:443/", "https://example.org"),
        ("https://example.org/prefix/", "https://example.org/prefix"),
        ("https://example.org/a/b//", "https://example.org/a/b"),
        ("https://example.org//a", "https://example.org//a"),
        ("https://example.org/a%20b", "https://example.org/a%20b"),
        ("https://user:password@example.org/", "https://example.org"),
        ("https://example.org/?query#fragment", "https://example.org"),
        (" https://example.org/ \n", "https://example.org"),
        ("HTTPS://Example.ORG", "https://example.org"),
        ("https://[2001:db8::1]:8448", "https://[2001:db8::1]:8448"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ] {
        let homeserver: Homeserver = given.parse().unwrap();
        assert_eq!(homeserver.as_str(), base, "{given}");
        assert_eq!(homeserver.to_string().parse::<Homeserver>().unwrap(), homeserver);
        assert_eq!(homeserver.url().as_str().trim_end_matches('/'), base);
    }
}

#[test]
fn invalid_homeservers_are_refused() {
    let long = format!("https://example.org/{}", "a".repeat(65_500));
    for url in [
        "",
        "example.org",
        "matrix.example:443",
        "localhost:8008",
        "//example.org",
        "/path",
        "https://",
        "https://:8448",
        "ws://example.org",
        "ftp://example.org",
        "mailto:alice@example.org",
        "https://exa mple.org",
        "https://example.org:99999",
        &long,
    ] {
        let error = url.parse::<Homeserver>().unwrap_err();
        let shown = &url[..url.len().min(40)];
        assert_eq!(error.field, "homeserver", "{shown}: {error}");
    }
}

#[test]
fn addresses_are_compared_as_they_are_used() {
    let homeserver = |url: &str| url.parse::<Homeserver>().unwrap();
    assert_eq!(homeserver("https://Example.org:443/"), homeserver("https://example.org"));
    assert_ne!(homeserver("http://example.org"), homeserver("https://example.org"));
    let sorted: BTreeSet<UserId> = ["@b:a", "@a:b", "@a:a"].map(|id| id.parse().unwrap()).into();
    assert_eq!(sorted.iter().map(UserId::as_str).collect::<Vec<_>>(), ["@a:a", "@a:b", "@b:a"]);
}

#[test]
fn addresses_are_text_in_json_and_in_debug() {
    let homeserver: Homeserver = serde_json::from_str(r#""https://example.org/""#).unwrap();
    assert_eq!(serde_json::to_string(&homeserver).unwrap(), r#""https://example.org""#);
    let user_id: UserId = serde_json::from_str(r#""@alice:example.org""#).unwrap();
    assert_eq!(serde_json::to_string(&user_id).unwrap(), r#""@alice:example.org""#);
    assert_eq!(format!("{user_id:?}"), r#""@alice:example.org""#);
    assert!(serde_json::from_str::<ServerName>(r#""exa mple""#).is_err());
    assert!(serde_json::from_str::<UserId>("7").is_err());
}
