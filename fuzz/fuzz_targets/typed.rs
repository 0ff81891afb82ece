//! Invariant: no text causes a panic, blanks around a text change nothing, a meaning that is shown is read as the same
//! meaning, and a text that an address type accepts has that meaning.

#![no_main]

use libfuzzer_sys::fuzz_target;
use matrix_login::{Homeserver, Meaning, ServerAddress, ServerName, Typed, UserId, UserIdentifier};

fuzz_target!(|text: &str| {
    let read = text.parse::<Typed>();
    assert_eq!(format!(" \u{200b}{text}\u{feff}\n").parse(), read);
    let Ok(typed) = read else {
        assert!(text.parse::<UserId>().is_err());
        return;
    };
    assert_eq!(typed.to_string().parse().as_ref(), Ok(&typed));
    if let Ok(user_id) = typed.as_str().parse() {
        assert_eq!(typed.best(), &Meaning::UserId(user_id));
    }
    // The exceptions are links to a user, the addresses of endpoints, and a host that is called `http`.
    if typed.as_str().parse::<ServerName>().is_err()
        && let Ok(homeserver) = typed.as_str().parse::<Homeserver>()
        && !["matrix.to", "/_matrix", "/.well-known"].iter().any(|part| homeserver.as_str().contains(part))
    {
        assert_eq!(typed.best(), &Meaning::Homeserver(homeserver));
    }
    for meaning in typed.meanings() {
        let is_user = UserIdentifier::try_from(meaning).is_ok();
        let is_server = ServerAddress::try_from(meaning).is_ok();
        assert_eq!(is_user || is_server, !matches!(meaning, Meaning::NationalPhoneNumber(_)));
        assert!(!(is_user && is_server));
        // An @ says that a name follows, whatever the name looks like.
        if !(matches!(meaning, Meaning::Localpart(_)) && typed.as_str().starts_with('@')) {
            let again: Typed = meaning.to_string().parse().expect("what is shown can be read");
            assert!(again.meanings().any(|again| again == meaning), "{meaning} is read as {again:?}");
        }
    }
});
