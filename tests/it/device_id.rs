//! The device of an OAuth 2.0 login: its ID must be valid inside a scope.

use matrix_login::DeviceId;

#[test]
fn an_id_has_the_characters_of_a_scope() {
    // RFC 6749, section 3.3: %x21 / %x23-5B / %x5D-7E.
    for character in '\0'..='\u{ff}' {
        let is_valid = matches!(character, '\u{21}' | '\u{23}'..='\u{5b}' | '\u{5d}'..='\u{7e}');
        for text in [character.to_string(), format!("KITCHEN{character}TABLET")] {
            assert_eq!(DeviceId::new(text).is_ok(), is_valid, "{character:?}");
        }
    }
    assert!(DeviceId::new("").is_err());
    assert!(DeviceId::new("\u{1f4f1}").is_err());
}

#[test]
fn an_id_is_kept_unchanged() {
    // Only a new login needs ten characters: the ID of an existing device can be shorter.
    for text in ["D", "KITCHENTABLET", "a:*/?&=+%20#'~"] {
        let device_id = DeviceId::new(text).unwrap();
        assert_eq!((device_id.as_str(), format!("{device_id:?}")), (text, format!("{text:?}")));
        assert_eq!(device_id.clone(), device_id);
    }
}

#[test]
fn the_message_says_what_is_expected() {
    assert_eq!(
        DeviceId::new("KITCHEN TABLET").unwrap_err().to_string(),
        "invalid device ID: expected visible ASCII characters, without quotation marks and backslashes: \
         it is a part of the OAuth scope"
    );
}

#[test]
fn a_choice_of_the_legacy_api_has_no_device_id() {
    let password = crate::support::scenario::password();
    assert_eq!(password.device_id(), None);
    assert!(password.with_device_id("KITCHENTABLET").is_err());
}
