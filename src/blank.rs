//! Blanks: what a keyboard or a copied text adds at the ends of what a person means.

use crate::shown::moves_the_text;

/// Whether a character is white space, or cannot be seen at the end of a text: a control character, a mark that changes
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

/// The same of a text that is owned, which is copied only if there are blanks.
pub(crate) fn trimmed(text: String) -> String {
    match trim(&text) {
        rest if rest.len() == text.len() => text,
        rest => rest.to_owned(),
    }
}
