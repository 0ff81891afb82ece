//! Identifiers: what each kind of user becomes in the login request, and what is refused before it is sent.

use matrix_login::{
    Credentials, Homeserver, InvalidInput, LoginSettings, Password, UserId, UserIdentifier, endpoint::login,
};
use serde_json::{Map, Value, json};

use crate::support::scenario::HOMESERVER;

fn sent(identifier: UserIdentifier) -> Value {
    let homeserver: Homeserver = HOMESERVER.parse().unwrap();
    let credentials = Credentials::password(identifier, Password::new("p"));
    let request = login::request(&homeserver, &credentials, &LoginSettings::default());
    serde_json::from_slice::<Value>(request.body()).unwrap()["identifier"].take()
}

fn refused<T: std::fmt::Debug>(result: Result<T, InvalidInput>) -> String {
    result.unwrap_err().field.into_owned()
}

#[test]
fn users_are_sent_unchanged() {
    for user in ["alice", "@alice:example.org", "Alice", "@ALICE:example.org", "a b", "Alice@Example.org", ""] {
        assert_eq!(sent(UserIdentifier::user(user)), json!({"type": "m.id.user", "user": user}));
    }
    let user_id: UserId = "@alice:example.org".parse().unwrap();
    assert_eq!(sent(UserIdentifier::from(&user_id)), json!({"type": "m.id.user", "user": "@alice:example.org"}));
}

#[test]
fn blanks_at_the_ends_of_a_user_or_an_e_mail_are_not_sent() {
    // Characters that keyboards add and that copied text contains: spaces, zero-width spaces, and marks of direction.
    for blank in [
        " ",
        "\t",
        "\n",
        "\r\n",
        "\0",
        "\u{7f}",
        "\u{85}",
        "\u{a0}",
        "\u{61c}",
        "\u{2003}",
        "\u{200b}",
        "\u{200c}",
        "\u{200d}",
        "\u{200e}",
        "\u{200f}",
        "\u{2028}",
        "\u{202a}",
        "\u{202e}",
        "\u{202f}",
        "\u{2060}",
        "\u{2066}",
        "\u{2069}",
        "\u{3000}",
        "\u{feff}",
        " \u{200e}\u{a0}",
    ] {
        for (before, after) in [(blank, ""), ("", blank), (blank, blank)] {
            let user = sent(UserIdentifier::user(format!("{before}al{blank}ice{after}")));
            assert_eq!(user["user"], format!("al{blank}ice"), "{blank:?}");
            let email = format!("{before}alice@example.org{after}");
            assert_eq!(sent(UserIdentifier::email(&email))["address"], "alice@example.org", "{blank:?}");
            let email = UserIdentifier::third_party("email", email).unwrap();
            assert_eq!(sent(email)["address"], "alice@example.org", "{blank:?}");
        }
    }
    assert_eq!(sent(UserIdentifier::user(" \u{200b}"))["user"], "");
}

#[test]
fn an_e_mail_address_is_sent_with_its_domain_in_lower_case() {
    for (address, expected) in [
        ("Alice@EXAMPLE.org", "Alice@example.org"),
        ("Alice@Example.Org", "Alice@example.org"),
        ("\"A@B\"@EXAMPLE.org", "\"A@B\"@example.org"),
        ("Alice@BÜCHER.example", "Alice@bücher.example"),
        ("Alice@", "Alice@"),
        ("@EXAMPLE", "@example"),
        ("Alice", "Alice"),
        ("", ""),
    ] {
        let expected = json!({"type": "m.id.thirdparty", "medium": "email", "address": expected});
        assert_eq!(sent(UserIdentifier::email(address)), expected);
        assert_eq!(sent(UserIdentifier::third_party("email", address).unwrap()), expected);
    }
}

#[test]
fn a_phone_number_keeps_only_its_digits() {
    let expected = json!({"type": "m.id.thirdparty", "medium": "msisdn", "address": "447700900123"});
    for number in [
        "447700900123",
        "+447700900123",
        "+44 7700 900123",
        "+44-7700-900-123",
        "44\u{2011}7700\u{2013}900123",
        "\t+44\u{a0}7700\u{202f}900123\n",
        "\u{202a}+44 7700\u{200b}900123\u{202c}",
    ] {
        assert_eq!(sent(UserIdentifier::msisdn(number).unwrap()), expected, "{number}");
        assert_eq!(sent(UserIdentifier::third_party("msisdn", number).unwrap()), expected, "{number}");
    }
    for number in ["", "+", " - ", "+44 (0)7700 900123", "0x44", "447700.900123", "٤٤٧٧", "alice"] {
        assert_eq!(refused(UserIdentifier::msisdn(number)), "phone number", "{number}");
        assert_eq!(refused(UserIdentifier::third_party("msisdn", number)), "phone number", "{number}");
    }
}

#[test]
fn a_phone_number_of_a_country_is_sent_under_both_names() {
    for country in ["GB", "gb", "Gb"] {
        assert_eq!(
            sent(UserIdentifier::phone(country, "07700 900-123").unwrap()),
            json!({"type": "m.id.phone", "country": "GB", "phone": "07700 900-123", "number": "07700 900-123"}),
        );
    }
    for country in ["", "G", "GBR", "44", "ÄÖ", "+4", "ß"] {
        assert_eq!(refused(UserIdentifier::phone(country, "07700")), "country", "{country}");
    }
    assert_eq!(refused(UserIdentifier::phone("GB", "")), "phone number");
}

#[test]
fn other_media_are_sent_unchanged() {
    assert_eq!(
        sent(UserIdentifier::third_party("org.example.badge", "+7 7").unwrap()),
        json!({"type": "m.id.thirdparty", "medium": "org.example.badge", "address": "+7 7"}),
    );
    assert_eq!(refused(UserIdentifier::third_party("", "7")), "medium");
}

#[test]
fn other_types_contain_their_own_fields() {
    let fields = |value: Value| value.as_object().unwrap().clone();
    assert_eq!(
        sent(UserIdentifier::custom("org.example.badge", fields(json!({"number": 7, "o": {"x": null}}))).unwrap()),
        json!({"type": "org.example.badge", "number": 7, "o": {"x": null}}),
    );
    assert_eq!(
        sent(UserIdentifier::custom("m.id.user", fields(json!({"user": "alice"}))).unwrap()),
        json!({"type": "m.id.user", "user": "alice"}),
    );
    assert_eq!(refused(UserIdentifier::custom("", Map::new())), "identifier type");
    for own_type in [json!("y"), Value::Null] {
        let fields = fields(json!({"type": own_type}));
        assert_eq!(refused(UserIdentifier::custom("x", fields)), "identifier field `type`");
    }
}

#[test]
fn the_type_can_be_read_and_the_address_stays_hidden() {
    for (identifier, identifier_type) in [
        (UserIdentifier::user("alice"), "m.id.user"),
        (UserIdentifier::email("alice@example.org"), "m.id.thirdparty"),
        (UserIdentifier::phone("GB", "07700").unwrap(), "m.id.phone"),
        (UserIdentifier::custom("org.example.badge", Map::new()).unwrap(), "org.example.badge"),
    ] {
        assert_eq!(identifier.identifier_type(), identifier_type);
        assert_eq!(format!("{identifier:?}"), format!("UserIdentifier({identifier_type:?})"));
    }
}
