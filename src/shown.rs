//! What may be shown of text and addresses that come from elsewhere.

use url::Url;

/// Makes text safe for one line of a terminal: a space replaces each line break, each other control character and each
/// character that changes the direction of text.
///
/// A server chooses its messages, its names for identity providers and its user IDs. Such text can contain escape
/// sequences, so a program should not print it as it is. The messages of this crate's errors are safe already.
///
/// ```
/// assert_eq!(matrix_login::one_line("wrong\npassword\u{1b}[2J"), "wrong password [2J");
/// ```
pub fn one_line(text: &str) -> String {
    text.replace(moves_the_text, " ")
}

/// Control characters, Unicode's bidirectional controls, and the separators of lines and paragraphs.
pub(crate) fn moves_the_text(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// A URL as `Debug` may show it: without user information, query and fragment.
pub(crate) fn without_secrets(url: &Url) -> Url {
    let mut url = url.clone();
    // These fail only for URLs that have no user information.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url
}
