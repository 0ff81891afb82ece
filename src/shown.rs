//! Text and addresses from elsewhere, made safe to show.

/// Makes text safe for one line of a terminal: a space replaces each line break, each other control character and each
/// character that changes the direction of text.
///
/// A server chooses its messages, its names for identity providers and its user IDs. Such text can contain escape
/// sequences, so a program should not print it unchanged. The messages of this crate's errors are already safe.
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

/// An address, or a part of an address, without user information, query and fragment. An error or `Debug` may show the
/// result.
///
/// The address need not be a valid URL. So this removes everything that any URL parser could read as user information.
pub(crate) fn without_secrets(address: &str) -> String {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    // After the scheme come slashes. There can be more than two, and URL parsers read backslashes as slashes.
    let scheme = address.find(':').filter(|end| !address.get(..*end).unwrap_or_default().contains(['/', '\\', '@']));
    let rest = address.get(scheme.map_or(0, |end| end.saturating_add(1))..).unwrap_or_default();
    // Some parsers drop a tab.
    let rest = rest.trim_start_matches(['/', '\\', '\t']);
    let (start, authority) = address.split_at_checked(address.len().saturating_sub(rest.len())).unwrap_or_default();
    // For some parsers a backslash ends the authority. For others it can be a part of the user information.
    let end = authority.find('/').unwrap_or(authority.len());
    let (authority, path) = authority.split_at_checked(end).unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    [start, host, path].concat()
}
