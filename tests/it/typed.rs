//! What a person types: what each text means, when the meaning is not sure, and which texts are refused.

use matrix_login::{
    Credentials, Homeserver, LoginSettings, Meaning, Password, ServerAddress, Typed, UserIdentifier, endpoint::login,
};
use serde_json::{Value, json};

use crate::support::scenario::HOMESERVER;

fn typed(text: &str) -> Typed {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// Everything that a text can mean, in one line. A question mark says that a single meaning is not sure.
fn read(text: &str) -> String {
    let typed = typed(text);
    let meanings: Vec<_> = typed.meanings().map(|meaning| format!("{} {meaning}", meaning.kind())).collect();
    assert!(!typed.is_sure() || meanings.len() == 1, "{text:?}");
    let doubt = if typed.is_sure() || meanings.len() > 1 { "" } else { "?" };
    meanings.join(", or ") + doubt
}

#[track_caller]
fn are_read(table: &[(&str, &str)]) {
    for (text, meanings) in table {
        assert_eq!(read(text), *meanings, "{text:?}");
    }
}

#[track_caller]
fn are_refused(field: &str, texts: &[&str]) {
    for text in texts {
        let error = text.parse::<Typed>().expect_err(text);
        assert_eq!(error.field, field, "{text:?}: {error}");
    }
}

#[test]
fn user_ids_are_recognized() {
    are_read(&[
        ("@alice:example.org", "user ID @alice:example.org"),
        (" @alice:example.org\n", "user ID @alice:example.org"),
        ("@alice:example.org:8448", "user ID @alice:example.org:8448"),
        ("@alice:[::1]:8448", "user ID @alice:[::1]:8448"),
        ("@alice:localhost", "user ID @alice:localhost"),
        ("@Alice:Example.org", "user ID @Alice:Example.org"),
        ("@älice b/c:example.org", "user ID @älice b/c:example.org"),
        ("@alice@example.org:8448", "user ID @alice@example.org:8448"),
    ]);
    are_refused(
        "user ID",
        &["@", "@alice:", "@alice: example.org", "@alice:exa mple.org", "@a\0b", "@a b@example.org", "@alice@"],
    );
}

#[test]
fn user_ids_that_are_written_in_another_way_are_not_sure() {
    are_read(&[
        ("alice:example.org", "user ID @alice:example.org?"),
        ("Alice_B:example.org:8448", "user ID @Alice_B:example.org:8448?"),
        ("alice@example.org:8448", "user ID @alice:example.org:8448?"),
        ("@alice@example.org", "user ID @alice:example.org?"),
        ("matrix:example.org", "user ID @matrix:example.org?"),
    ]);
}

#[test]
fn user_names_are_recognized() {
    are_read(&[
        ("alice", "user name alice, or server name alice"),
        ("Alice-2", "user name Alice-2, or server name Alice-2"),
        ("alice_b", "user name alice_b"),
        ("@alice", "user name alice"),
        ("@alice.b", "user name alice.b"),
        ("alice/b", "user name alice/b, or homeserver https://alice/b"),
        ("+1", "user name +1"),
        ("12345", "user name 12345"),
        ("älice", "user name älice, or server name xn--lice-koa"),
        // No server allows these names for new users, but older users can have such names.
        ("alice b", "user name alice b?"),
        ("alice#1234", "user name alice#1234?"),
    ]);
}

#[test]
fn e_mail_addresses_are_recognized() {
    are_read(&[
        ("alice@example.org", "e-mail address alice@example.org, or user ID @alice:example.org"),
        ("Alice@EXAMPLE.org", "e-mail address Alice@example.org, or user ID @Alice:example.org"),
        ("alice+matrix@example.org", "e-mail address alice+matrix@example.org, or user ID @alice+matrix:example.org"),
        ("o'neil@example.org", "e-mail address o'neil@example.org"),
        ("alice@bücher.example", "e-mail address alice@bücher.example, or user ID @alice:xn--bcher-kva.example"),
        ("a@b@Example.org", "e-mail address a@b@example.org"),
    ]);
    are_refused("e-mail address", &["alice@", "alice@exa mple.org", "al ice@example.org", "a@b:c@d", "a@b@c:8448"]);
}

#[test]
fn phone_numbers_are_recognized() {
    are_read(&[
        ("+44 7700 900-123", "phone number +447700900123"),
        ("+447700900123", "phone number +447700900123"),
        ("\u{202a}+44\u{a0}7700\u{2011}900\u{200b}123\u{202c}", "phone number +447700900123"),
        ("+1 (555) 123-4567", "phone number +15551234567"),
        ("+1.555.123.4567", "phone number +15551234567"),
        ("+44 (0)7700 900123", "phone number +447700900123, or phone number +4407700900123"),
        ("0044 7700 900123", "phone number of a country 00447700900123, or phone number +447700900123"),
        ("07700 900123", "phone number of a country 07700900123"),
        ("07700900123", "user name 07700900123, or phone number of a country 07700900123"),
        ("(555) 123-4567", "phone number of a country 5551234567, or phone number +5551234567"),
        (
            "447700900123",
            "user name 447700900123, or phone number of a country 447700900123, or phone number +447700900123",
        ),
        ("1234567", "user name 1234567, or phone number of a country 1234567, or phone number +1234567"),
        ("001234567", "user name 001234567, or phone number of a country 001234567, or phone number +1234567"),
        ("00123456", "user name 00123456, or phone number of a country 00123456"),
        ("1234567890123456", "user name 1234567890123456"),
    ]);
}

#[test]
fn server_names_are_recognized() {
    are_read(&[
        ("example.org", "server name example.org, or user name example.org"),
        ("Matrix.Example.org", "server name Matrix.Example.org, or user name Matrix.Example.org"),
        ("example.org:8448", "server name example.org:8448"),
        ("localhost", "server name localhost, or user name localhost"),
        ("localhost:8008", "server name localhost:8008"),
        ("alice:8448", "server name alice:8448"),
        ("matrix:8448", "server name matrix:8448"),
        ("http:8448", "server name http:8448"),
        ("1.2.3.4", "server name 1.2.3.4"),
        ("192.168.100.200", "server name 192.168.100.200"),
        ("1.2.3.4:8448", "server name 1.2.3.4:8448"),
        ("[2001:db8::1]", "server name [2001:db8::1]"),
        ("[::1]:8448", "server name [::1]:8448"),
        ("::1", "server name [::1]"),
        ("2001:db8::1", "server name [2001:db8::1]"),
        ("bücher.example", "server name xn--bcher-kva.example, or user name bücher.example"),
        ("bücher.example:8448", "server name xn--bcher-kva.example:8448"),
    ]);
}

#[test]
fn homeservers_with_a_scheme_are_recognized() {
    are_read(&[
        ("https://matrix.example.org", "homeserver https://matrix.example.org"),
        (" HTTPS://Matrix.Example.org/ ", "homeserver https://matrix.example.org"),
        ("https://matrix.example.org/\u{200b}", "homeserver https://matrix.example.org"),
        ("http://localhost:8008", "homeserver http://localhost:8008"),
        ("https://[::1]:8448/prefix/", "homeserver https://[::1]:8448/prefix"),
        ("https://alice:secret@example.org/?a=b#c", "homeserver https://example.org"),
        ("https://example.org/a:b@c", "homeserver https://example.org/a:b@c"),
    ]);
    are_refused("homeserver", &["https://", "https://exa mple.org", "HTTPS://:8448", "http://example.org:99999"]);
}

#[test]
fn homeservers_without_a_scheme_are_recognized() {
    are_read(&[
        ("matrix.example.org/prefix", "homeserver https://matrix.example.org/prefix"),
        ("matrix.example.org/_matrix/client/versions", "homeserver https://matrix.example.org"),
        ("matrix.example.org:8448/_matrix", "homeserver https://matrix.example.org:8448"),
        ("localhost/prefix", "homeserver https://localhost/prefix"),
        ("synapse/_matrix/client", "homeserver https://synapse"),
        ("[::1]/a", "homeserver https://[::1]/a"),
        ("bücher.example/a", "homeserver https://xn--bcher-kva.example/a"),
        ("example.org?a", "homeserver https://example.org"),
        ("example.org/", "homeserver https://example.org, or server name example.org"),
        ("example.org:8448//", "homeserver https://example.org:8448, or server name example.org:8448"),
    ]);
}

#[test]
fn the_address_of_an_endpoint_leads_to_its_homeserver() {
    for (base, prefix) in [("https://matrix.example.org", ""), ("http://[::1]:8008", "/prefix")] {
        for path in [
            "/_matrix/client/v3/login",
            "/_matrix/client/v3/login?redirectUrl=x",
            "/_matrix/client/versions",
            "/_matrix/client/",
            "/_matrix/",
            "/_matrix",
            "/_matrix/client/_matrix/x",
            "//_matrix/client",
        ] {
            assert_eq!(read(&format!("{base}{prefix}{path}")), format!("homeserver {base}{prefix}"), "{path}");
        }
    }
    are_read(&[
        ("https://example.org/.well-known/matrix/client", "server name example.org, or homeserver https://example.org"),
        ("example.org/.well-known/matrix/client", "server name example.org, or homeserver https://example.org"),
        (
            "https://example.org/.well-known/matrix/client/_matrix",
            "server name example.org, or homeserver https://example.org",
        ),
        ("https://example.org/.well-known/matrix/server", "homeserver https://example.org/.well-known/matrix/server"),
        ("https://example.org/_matrixes", "homeserver https://example.org/_matrixes"),
        ("https://example.org/_matrix_old", "homeserver https://example.org/_matrix_old"),
        ("https://example.org/a_matrix", "homeserver https://example.org/a_matrix"),
        ("https://example.org/_matrixes/_matrix", "homeserver https://example.org/_matrixes"),
        ("https://_matrix/_matrix", "homeserver https://_matrix"),
    ]);
}

#[test]
fn links_to_a_user_are_recognized() {
    for link in [
        "https://matrix.to/#/@alice:example.org",
        "https://matrix.to/#/%40alice%3Aexample.org",
        "https://matrix.to/#/%40alice%3aexample.org?via=example.org&via=example.com",
        "https://matrix.to/#/@alice:example.org/",
        "https://matrix.to#/@alice:example.org",
        "http://Matrix.To/#/@alice:example.org",
        "matrix.to/#/@alice:example.org",
        "matrix:u/alice:example.org",
        "matrix:u/alice%3Aexample.org",
        "matrix:u/%61lice:example.org?action=chat",
        "MATRIX:u/alice:example.org#fragment",
        "matrix:user/alice:example.org",
        "matrix://example.com/u/alice:example.org",
    ] {
        assert_eq!(read(link), "user ID @alice:example.org", "{link}");
    }
    are_read(&[
        ("https://matrix.to/#/@a+b%26c%2Fd=e:example.org", "user ID @a+b&c/d=e:example.org"),
        ("https://matrix.to/#/@a&b/c:example.org", "user ID @a&b/c:example.org"),
        ("https://matrix.to/#/@%C3%A4lice%20b:example.org:8448", "user ID @älice b:example.org:8448"),
        ("matrix:u/a+b%26c%2fd=e:[::1]:8448", "user ID @a+b&c/d=e:[::1]:8448"),
    ]);
}

#[test]
fn other_links_are_refused() {
    are_refused(
        "link",
        &[
            "https://matrix.to",
            "https://matrix.to/#/",
            "https://matrix.to/@alice:example.org",
            "https://matrix.to/#/alice",
            "https://matrix.to/#/#room:example.org",
            "https://matrix.to/#/%23room%3Aexample.org",
            "https://matrix.to/#/!room:example.org?via=example.org",
            "https://matrix.to/#/!room:example.org/$event:example.org",
            "https://matrix.to/#/$event",
            "https://matrix.to/#/%40%ff:example.org",
            "matrix.to/#/#room:example.org",
            "matrix:r/room:example.org",
            "matrix:roomid/room:example.org/e/event",
            "matrix:u/alice",
            "matrix:u/",
            "matrix:/",
            "matrix://",
            "matrix://example.org",
        ],
    );
}

#[test]
fn text_without_a_meaning_is_refused() {
    are_refused(
        "user or server",
        &[
            "",
            " \t\u{a0}\u{200b}\u{feff}\u{200e}\n",
            "#room:example.org",
            "!room:example.org",
            "$event",
            "ws://example.org",
            "ftp://alice@example.org",
            "example.org:99999",
            "example.org:8448:1",
            ":8448",
            ":example.org",
            "12:30",
            ":",
            "al ice:example.org",
            "alice:exa mple.org",
            "a\0b",
        ],
    );
}

// Text in a field for a user, and in a field for a homeserver.

fn sent(text: &str) -> Result<Value, String> {
    let identifier = UserIdentifier::try_from(&typed(text)).map_err(|error| error.field.into_owned())?;
    let homeserver: Homeserver = HOMESERVER.parse().unwrap();
    let credentials = Credentials::password(identifier, Password::new("p"));
    let request = login::request(&homeserver, &credentials, &LoginSettings::default());
    Ok(serde_json::from_slice::<Value>(request.body()).unwrap()["identifier"].take())
}

#[test]
fn a_typed_user_becomes_the_identifier_that_is_sent() {
    let user = |user: &str| json!({"type": "m.id.user", "user": user});
    let third_party = |medium, address| json!({"type": "m.id.thirdparty", "medium": medium, "address": address});
    for (text, identifier) in [
        (" @alice:example.org ", user("@alice:example.org")),
        ("https://matrix.to/#/@alice:example.org", user("@alice:example.org")),
        ("alice:example.org", user("@alice:example.org")),
        (" alice ", user("alice")),
        ("@alice", user("alice")),
        ("example.org", user("example.org")),
        ("07700900123", user("07700900123")),
        ("Alice@EXAMPLE.org", third_party("email", "Alice@example.org")),
        ("+44 7700 900-123", third_party("msisdn", "447700900123")),
        ("0044 7700 900123", third_party("msisdn", "447700900123")),
    ] {
        assert_eq!(sent(text), Ok(identifier), "{text}");
    }
    for (text, field) in [
        ("https://example.org", "user"),
        ("example.org:8448", "user"),
        ("1.2.3.4", "user"),
        ("07700 900123", "phone number"),
    ] {
        assert_eq!(sent(text), Err(field.to_owned()), "{text}");
    }
}

#[test]
fn a_person_can_choose_another_meaning() {
    let typed = typed("alice@example.org");
    let [user_id] = typed.others() else { panic!("{:?}", typed.others()) };
    assert_eq!(UserIdentifier::try_from(typed.best()).unwrap().identifier_type(), "m.id.thirdparty");
    assert_eq!(UserIdentifier::try_from(user_id).unwrap().identifier_type(), "m.id.user");
    assert_eq!(ServerAddress::try_from(user_id).unwrap_err().field, "homeserver");
}

#[test]
fn a_typed_server_is_a_homeserver_or_a_server_name() {
    let address = |text: &str| ServerAddress::try_from(&typed(text)).map_err(|error| error.field.into_owned());
    for text in ["https://matrix.example.org/", "https://matrix.example.org/_matrix/client/versions"] {
        let homeserver = "https://matrix.example.org".parse().unwrap();
        assert_eq!(address(text), Ok(ServerAddress::Homeserver(homeserver)), "{text}");
    }
    for name in ["example.org", "example.org:8448", "localhost", "synapse", "[::1]:8448"] {
        let expected = ServerAddress::ServerName(name.parse().unwrap());
        assert_eq!(address(&format!(" {name}\n")), Ok(expected), "{name}");
    }
    for text in ["@alice:example.org", "alice@example.org", "alice_b", "12345", "+44 7700 900123"] {
        assert_eq!(address(text), Err("homeserver".to_owned()), "{text}");
    }
}

#[test]
fn a_phone_number_of_a_country_needs_the_country() {
    let typed = typed("07700 900123");
    let Meaning::NationalPhoneNumber(number) = typed.best() else { panic!("{typed:?}") };
    assert_eq!(UserIdentifier::phone("GB", number).unwrap().identifier_type(), "m.id.phone");
}

#[test]
fn debug_shows_kinds_and_no_text() {
    let typed = typed("alice@example.org");
    assert_eq!(format!("{typed:?}"), r#"Typed(["e-mail address", "user ID"])"#);
    assert_eq!(format!("{:?}", typed.best()), r#"Meaning("e-mail address")"#);
    assert_eq!((typed.as_str(), typed.to_string().as_str()), ("alice@example.org", "alice@example.org"));
}
