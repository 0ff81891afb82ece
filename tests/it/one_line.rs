//! Text for a terminal: a character that could move the cursor or turn the text becomes a space. Nothing else changes.

use matrix_login::one_line;

/// Unicode's bidirectional controls (the property `Bidi_Control`).
const BIDIRECTIONAL: [char; 12] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}',
    '\u{2067}', '\u{2068}', '\u{2069}',
];

/// Separators of lines and of paragraphs.
const SEPARATORS: [char; 2] = ['\u{2028}', '\u{2029}'];

#[test]
fn every_bidirectional_control_becomes_a_space() {
    for character in BIDIRECTIONAL {
        assert_eq!(one_line(&format!("a{character}b")), "a b", "{character:?}");
    }
}

#[test]
fn every_character_is_kept_or_becomes_a_space() {
    for character in '\0'..=char::MAX {
        let moves = character.is_control() || BIDIRECTIONAL.contains(&character) || SEPARATORS.contains(&character);
        let expected = if moves { ' ' } else { character };
        assert_eq!(one_line(&character.to_string()), expected.to_string(), "{character:?}");
    }
}

#[test]
fn each_of_several_controls_becomes_its_own_space() {
    assert_eq!(one_line("a\r\n\u{1b}[2Jb\u{202e}\u{61c}c"), "a   [2Jb  c");
    assert_eq!(one_line("\n"), " ");
    assert_eq!(one_line(""), "");
}
