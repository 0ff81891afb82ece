//! Blanks: characters that a keyboard or a copied text adds at the ends of a text.

use crate::shown::moves_the_text;

/// Whether a character is white space, or is invisible at the end of a text: a control character, a mark that changes
/// the direction of text, a zero-width space or joiner, or a byte order mark.
pub(crate) fn is_blank(character: char) -> bool {
    character.is_whitespace()
        || moves_the_text(character)
        || matches!(character, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

/// The text without blanks at its ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// The same for an owned text. It is not copied.
pub(crate) fn trimmed(mut text: String) -> String {
    text.truncate(text.trim_end_matches(is_blank).len());
    let blanks = text.len().saturating_sub(text.trim_start_matches(is_blank).len());
    text.drain(..blanks);
    text
}
