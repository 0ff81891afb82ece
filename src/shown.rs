//! What may be shown of text and addresses that come from elsewhere.

use url::Url;

/// A server's text without line breaks, escape sequences and changes of direction: it may end up on a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let moves_the_text = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace(moves_the_text, " ")
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
