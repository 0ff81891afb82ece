//! The proof that a code comes back to the program that asked for it (RFC 7636).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use matrix_login::CodeVerifier;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::properties::config;
use crate::support::scenario::{CHALLENGE, VERIFIER};

#[test]
fn the_example_of_the_rfc_gives_the_same_challenge() {
    let verifier = CodeVerifier::new(VERIFIER).unwrap();
    assert_eq!((verifier.expose(), verifier.challenge()), (VERIFIER, CHALLENGE));
    assert_eq!(format!("{verifier:?}"), "[redacted]");
}

#[test]
fn a_verifier_has_43_to_128_characters() {
    for (length, is_valid) in [(0, false), (32, false), (42, false), (43, true), (128, true), (129, false)] {
        let verifier = "a".repeat(length);
        assert_eq!(CodeVerifier::new(verifier.as_str()).is_ok(), is_valid, "{length}");
        assert_eq!(CodeVerifier::with_challenge(verifier, CHALLENGE).is_ok(), is_valid, "{length}");
    }
}

#[test]
fn a_verifier_has_unreserved_characters_only() {
    let good = |character: char| character.is_ascii_alphanumeric() || "-._~".contains(character);
    for character in ('\0'..='\u{ff}').chain(['\u{2028}', '\u{1f511}']) {
        for text in [format!("{character}{VERIFIER}"), format!("{VERIFIER}{character}")] {
            assert_eq!(CodeVerifier::new(text.as_str()).is_ok(), good(character), "{character:?}");
            assert_eq!(CodeVerifier::with_challenge(text, CHALLENGE).is_ok(), good(character), "{character:?}");
        }
    }
}

#[test]
fn a_challenge_that_the_caller_computed_is_kept_unchanged() {
    let verifier = CodeVerifier::with_challenge(VERIFIER, CHALLENGE).unwrap();
    assert_eq!((verifier.expose(), verifier.challenge()), (VERIFIER, CHALLENGE));
    // Only the server knows whether the challenge fits the verifier.
    let other = "a".repeat(43);
    assert_eq!(CodeVerifier::with_challenge(VERIFIER, other.as_str()).unwrap().challenge(), other);
}

#[test]
fn a_challenge_is_43_characters_of_base64url() {
    for challenge in [
        String::new(),
        CHALLENGE[1..].to_owned(),
        format!("{CHALLENGE}="),
        format!("{CHALLENGE}a"),
        CHALLENGE.replace('-', "+"),
        CHALLENGE.replace('-', "/"),
        CHALLENGE.replace('-', "."),
        CHALLENGE.replace('-', "~"),
        CHALLENGE.replace('-', " "),
        CHALLENGE.replace("-c", "\u{e4}"),
    ] {
        assert!(CodeVerifier::with_challenge(VERIFIER, challenge.as_str()).is_err(), "{challenge}");
    }
}

#[test]
fn the_messages_say_what_is_expected_and_quote_nothing() {
    assert_eq!(
        CodeVerifier::new("s3cr3t").unwrap_err().to_string(),
        "invalid code verifier: expected 43 to 128 random characters of A-Z, a-z, 0-9, -, ., _ and ~"
    );
    assert_eq!(
        CodeVerifier::with_challenge(VERIFIER, "s3cr3t").unwrap_err().to_string(),
        "invalid code challenge: expected the SHA-256 of the verifier in base64url without padding, \
         which is 43 characters"
    );
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_challenge_is_the_hash_of_the_verifier(verifier in "[A-Za-z0-9._~-]{43,128}") {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let with_challenge = CodeVerifier::with_challenge(verifier.as_str(), challenge).unwrap();
        let computed = CodeVerifier::new(verifier.as_str()).unwrap();
        prop_assert_eq!(computed.challenge(), with_challenge.challenge());
        prop_assert_eq!((computed.expose(), with_challenge.expose()), (&*verifier, &*verifier));
    }
}
