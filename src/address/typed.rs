//! What a person typed when a login asked for a user or a homeserver.

use std::fmt;
use std::iter;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use url::{Host, Url, form_urlencoded};

use crate::address::homeserver::Homeserver;
use crate::address::server_name::ServerName;
use crate::address::third_party;
use crate::address::user_id::UserId;
use crate::blank::trim;
use crate::invalid_input::InvalidInput;

/// How many digits a phone number has. The maximum is the limit of E.164 for an international number.
const PHONE_NUMBER_DIGITS: RangeInclusive<usize> = 7..=15;

/// A text that a person typed or pasted to say who logs in, or on which server.
///
/// People add spaces, leave out the `@`, or paste a link to their profile or the address of an endpoint. `Typed`
/// accepts all these texts and says what a text [most likely means](Self::best). If a text can mean more than one
/// thing, `Typed` also says the [other meanings](Self::others). A program then asks the person, or takes the meaning
/// that fits the field: `UserIdentifier::try_from(&typed)` for a user, `ServerAddress::try_from(&typed)` for a
/// homeserver.
///
/// | text | meaning | other meanings |
/// | --- | --- | --- |
/// | `@alice:example.org` | user ID | |
/// | `https://matrix.to/#/@alice:example.org` | user ID | |
/// | `matrix:u/alice:example.org` | user ID | |
/// | `alice:example.org`, `@alice@example.org` | user ID `@alice:example.org`, but it is not sure | |
/// | `alice@example.org` | e-mail address | user ID `@alice:example.org` |
/// | `+44 7700 900-123` | phone number | |
/// | `07700 900123` | phone number of a country | |
/// | `07700900123` | user name | phone number of a country |
/// | `alice` | user name | server name |
/// | `alice_b`, `@alice` | user name | |
/// | `example.org` | server name | user name |
/// | `example.org:8448`, `[::1]` | server name | |
/// | `https://matrix.example.org/` | homeserver | |
/// | `matrix.example.org/_matrix/client/versions` | homeserver `https://matrix.example.org` | |
/// | `matrix.example.org/` | homeserver `https://matrix.example.org` | server name |
/// | `https://example.org/.well-known/matrix/client` | server name `example.org` | homeserver |
///
/// White space at the ends is removed. Invisible characters at the ends are removed too: zero-width characters, and
/// marks of the direction of text. The address types ([`UserId`], [`ServerName`], [`Homeserver`]) accept only what the
/// specification allows. The configuration of a program should use the address types.
///
/// ```
/// use matrix_login::{Meaning, ServerAddress, Typed, UserIdentifier};
///
/// let typed: Typed = " alice@example.org\n".parse()?;
/// assert_eq!(typed.best(), &Meaning::Email("alice@example.org".to_owned()));
/// assert_eq!(typed.others(), [Meaning::UserId("@alice:example.org".parse()?)]);
/// assert!(!typed.is_sure());
/// assert_eq!(UserIdentifier::try_from(&typed)?.identifier_type(), "m.id.thirdparty");
///
/// let typed: Typed = "https://matrix.example.org/_matrix/client/v3/login".parse()?;
/// assert!(typed.is_sure());
/// let expected = ServerAddress::Homeserver("https://matrix.example.org".parse()?);
/// assert_eq!(ServerAddress::try_from(&typed)?, expected);
/// # Ok::<(), matrix_login::InvalidInput>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Typed {
    text: Box<str>,
    reading: Reading,
}

/// What a [`Typed`] text can mean. `Display` shows the address itself, for a question to the person.
///
/// `Debug` shows only the [kind](Self::kind): some people type their password into the wrong field.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Meaning {
    /// A user ID.
    UserId(UserId),
    /// The name of a user without the server. The specification calls it a localpart.
    Localpart(String),
    /// An e-mail address, with its domain in lower case.
    Email(String),
    /// An international phone number: only the digits, starting with the country code.
    PhoneNumber(String),
    /// A phone number as people dial it inside a country: only the digits. A login also needs the country
    /// (`UserIdentifier::phone`), so ask for it.
    NationalPhoneNumber(String),
    /// A server name. Discovery finds its homeserver.
    ServerName(ServerName),
    /// The base URL of a homeserver.
    Homeserver(Homeserver),
}

/// The server to log in to: the URL of a homeserver, or a server name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// The URL of the homeserver.
    Homeserver(Homeserver),
    /// A server name. Discovery finds its homeserver.
    ServerName(ServerName),
}

impl Typed {
    /// What the text most likely means.
    pub fn best(&self) -> &Meaning {
        &self.reading.best
    }

    /// What else the text can mean, the most likely first.
    pub fn others(&self) -> &[Meaning] {
        &self.reading.others
    }

    /// All meanings, the most likely first.
    pub fn meanings(&self) -> impl Iterator<Item = &Meaning> {
        iter::once(self.best()).chain(self.others())
    }

    /// Whether the text can only mean [`best`](Self::best). If not, the text has [other meanings](Self::others), or
    /// parsing added or changed something in it. Then a program should ask the person, or show the meaning that it
    /// uses.
    pub fn is_sure(&self) -> bool {
        self.reading.is_sure && self.others().is_empty()
    }

    /// The text, without the blanks at its ends.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Typed {
    type Err = InvalidInput;

    /// # Errors
    ///
    /// [`InvalidInput`] if the text is empty, if it has no meaning that this type knows, or if it is a link to a room
    /// or an event.
    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let text = trim(text);
        Ok(Self { text: text.into(), reading: read(text)? })
    }
}

impl fmt::Display for Typed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for Typed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<_> = self.meanings().map(Meaning::kind).collect();
        formatter.debug_tuple("Typed").field(&kinds).finish()
    }
}

impl Meaning {
    /// The kind of meaning, for a question to the person: `user ID`, `user name`, `e-mail address`, `phone number`,
    /// `phone number of a country`, `server name` or `homeserver`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::UserId(_) => "user ID",
            Self::Localpart(_) => "user name",
            Self::Email(_) => "e-mail address",
            Self::PhoneNumber(_) => "phone number",
            Self::NationalPhoneNumber(_) => "phone number of a country",
            Self::ServerName(_) => "server name",
            Self::Homeserver(_) => "homeserver",
        }
    }
}

impl fmt::Display for Meaning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserId(user_id) => user_id.fmt(formatter),
            Self::Localpart(text) | Self::Email(text) | Self::NationalPhoneNumber(text) => formatter.write_str(text),
            Self::PhoneNumber(digits) => write!(formatter, "+{digits}"),
            Self::ServerName(server_name) => server_name.fmt(formatter),
            Self::Homeserver(homeserver) => homeserver.fmt(formatter),
        }
    }
}

impl fmt::Debug for Meaning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Meaning").field(&self.kind()).finish()
    }
}

impl TryFrom<&Meaning> for ServerAddress {
    type Error = InvalidInput;

    /// # Errors
    ///
    /// [`InvalidInput`] if the meaning is neither a homeserver nor a server name.
    fn try_from(meaning: &Meaning) -> Result<Self, InvalidInput> {
        match meaning {
            Meaning::Homeserver(homeserver) => Ok(Self::Homeserver(homeserver.clone())),
            Meaning::ServerName(server_name) => Ok(Self::ServerName(server_name.clone())),
            _ => Err(InvalidInput::new(
                "homeserver",
                "a URL such as https://matrix.example.org, or a server name such as example.org",
            )),
        }
    }
}

impl TryFrom<&Typed> for ServerAddress {
    type Error = InvalidInput;

    /// The most likely meaning that is a homeserver or a server name.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the text cannot mean a homeserver or a server name.
    fn try_from(typed: &Typed) -> Result<Self, InvalidInput> {
        let address = typed.meanings().find_map(|meaning| Self::try_from(meaning).ok());
        address.map_or_else(|| Self::try_from(typed.best()), Ok)
    }
}

/// What a text means.
#[derive(Clone, PartialEq, Eq)]
struct Reading {
    best: Meaning,
    others: Vec<Meaning>,
    /// Whether the text has the usual form of its meaning.
    is_sure: bool,
}

impl Reading {
    fn sure(best: Meaning) -> Self {
        Self { best, others: Vec::new(), is_sure: true }
    }

    fn unsure(best: Meaning) -> Self {
        Self { is_sure: false, ..Self::sure(best) }
    }

    fn or(mut self, other: Option<Meaning>) -> Self {
        self.others.extend(other);
        self
    }
}

/// Looks for the clear signs first: a scheme, or an `@` at the start. The later ones leave a doubt.
fn read(text: &str) -> Result<Reading, InvalidInput> {
    match text.parse::<Homeserver>() {
        // A host can have the name `http`, and digits after its colon are a port. A URL parser reads such a text as a
        // URL.
        _ if text.parse::<ServerName>().is_ok() => {}
        Ok(homeserver) => return read_url(text, homeserver),
        Err(invalid) if after_scheme(text, "https").or_else(|| after_scheme(text, "http")).is_some() => {
            return Err(invalid);
        }
        Err(_) => {}
    }
    if let Some(rest) = after_scheme(text, "matrix").filter(|rest| rest.contains('/')) {
        return read_matrix_uri(rest);
    }
    if let Some(name) = text.strip_prefix('@') {
        return read_user(text, name);
    }
    // A room, an event, or a scheme that is not the scheme of a homeserver.
    if text.is_empty() || text.starts_with(['#', '!', '$']) || text.contains("://") || text.contains('\0') {
        return Err(unknown());
    }
    if let Some(server_name) = ip_address(text) {
        return Ok(Reading::sure(Meaning::ServerName(server_name)));
    }
    if let Some(reading) = read_url_without_scheme(text) {
        return reading;
    }
    if let Some((localpart, domain)) = text.rsplit_once('@') {
        return read_email(text, localpart, domain);
    }
    if let Some((localpart, server_name)) = text.split_once(':') {
        return read_with_colon(text, localpart, server_name);
    }
    Ok(read_phone_number(text).unwrap_or_else(|| read_name(text)))
}

/// `https://...`, which can also be a link to a user.
fn read_url(text: &str, homeserver: Homeserver) -> Result<Reading, InvalidInput> {
    if homeserver.url().host_str() == Some("matrix.to") {
        let url = Url::parse(text).ok();
        let fragment = url.as_ref().and_then(Url::fragment).unwrap_or_default();
        let id = before(fragment, &['?']).trim_matches('/');
        return linked_user(percent_decoded(id));
    }
    let (base, is_well_known) = homeserver.without_api_path();
    let server_name = base.url().host_str().filter(|_| is_well_known).and_then(server_name);
    let homeserver = Meaning::Homeserver(base);
    // The well-known file is on the host of the server name. The homeserver can be on another host: the file says
    // which.
    Ok(match server_name {
        Some(server_name) => Reading::sure(Meaning::ServerName(server_name)).or(Some(homeserver)),
        None => Reading::sure(homeserver),
    })
}

/// `matrix:u/alice:example.org` (specification, appendix "Matrix URI scheme"), from after the first colon.
fn read_matrix_uri(rest: &str) -> Result<Reading, InvalidInput> {
    let path = match rest.strip_prefix("//") {
        Some(authority_and_path) => authority_and_path.split_once('/').map_or("", |(_, path)| path),
        None => rest,
    };
    let path = before(path, &['?', '#']);
    // Drafts of the specification had `user`.
    let id = path.strip_prefix("u/").or_else(|| path.strip_prefix("user/"));
    linked_user(id.and_then(percent_decoded).map(|id| format!("@{id}")))
}

fn linked_user(id: Option<String>) -> Result<Reading, InvalidInput> {
    match id.and_then(|id| id.parse().ok()) {
        Some(user_id) => Ok(Reading::sure(Meaning::UserId(user_id))),
        None => Err(InvalidInput::new("link", "a link to a user, such as https://matrix.to/#/@alice:example.org")),
    }
}

/// `@alice:example.org`, and what people write instead.
fn read_user(text: &str, name: &str) -> Result<Reading, InvalidInput> {
    let invalid = match text.parse() {
        Ok(user_id) => return Ok(Reading::sure(Meaning::UserId(user_id))),
        Err(invalid) => invalid,
    };
    match name.split_once('@') {
        // Other networks write user IDs in this form.
        Some((localpart, server_name)) => user_id(localpart, server_name).map(Reading::unsure).ok_or(invalid),
        None if name.is_empty() || name.contains([':', '\0']) => Err(invalid),
        None => Ok(Reading::sure(Meaning::Localpart(name.to_owned()))),
    }
}

/// `example.org/path`. Without a dot, a port or an API path, the text is more likely a user name with a slash.
fn read_url_without_scheme(text: &str) -> Option<Result<Reading, InvalidInput>> {
    let (host, rest) = text.split_at_checked(text.find(['/', '?', '#'])?)?;
    let name = server_name(host)?;
    let with_scheme = format!("https://{text}");
    let homeserver: Homeserver = with_scheme.parse().ok()?;
    if host.contains(['.', ':']) || host == "localhost" || homeserver.clone().without_api_path().0 != homeserver {
        let reading = read_url(&with_scheme, homeserver);
        let is_bare = rest.trim_end_matches('/').is_empty();
        return Some(reading.map(|reading| reading.or(is_bare.then_some(Meaning::ServerName(name)))));
    }
    is_plain_localpart(text)
        .then(|| Ok(Reading::sure(Meaning::Localpart(text.to_owned())).or(Some(Meaning::Homeserver(homeserver)))))
}

/// `alice@example.org`, which can also be a user ID in another form.
fn read_email(text: &str, localpart: &str, domain: &str) -> Result<Reading, InvalidInput> {
    let domain_in_lower_case = domain.to_lowercase();
    // The text does not begin with an `@`, so the localpart is not empty.
    let is_email = !localpart.contains(|character: char| character.is_whitespace() || character == ':')
        && !domain.contains(':')
        && server_name(domain).is_some();
    let user_id = user_id(localpart, &domain_in_lower_case);
    if is_email {
        return Ok(Reading::sure(Meaning::Email(third_party::email(text))).or(user_id));
    }
    let expected = "an address such as alice@example.org, or a user ID such as @alice:example.org";
    user_id.map(Reading::unsure).ok_or_else(|| InvalidInput::new("e-mail address", expected))
}

/// `example.org:8448`, or a user ID without its `@`.
fn read_with_colon(text: &str, localpart: &str, server: &str) -> Result<Reading, InvalidInput> {
    if let Some(server_name) = server_name(text) {
        return Ok(Reading::sure(Meaning::ServerName(server_name)));
    }
    user_id(localpart, server).map(Reading::unsure).ok_or_else(unknown)
}

/// Digits, and what people write between them. Without a `+`, the digits can also be a user name.
fn read_phone_number(text: &str) -> Option<Reading> {
    let digits = phone_number(text)?;
    if text.starts_with('+') {
        // People dial the `(0)` only inside the country. In a few countries the zero is a part of the international
        // number too.
        let reading = phone_number(&text.replace("(0)", "")).map(|digits| Reading::sure(Meaning::PhoneNumber(digits)));
        return reading.map(|reading| reading.or(text.contains("(0)").then_some(Meaning::PhoneNumber(digits))));
    }
    let international = match digits.strip_prefix('0') {
        // In most countries, two zeros mean the plus.
        Some(rest) => rest.strip_prefix('0').and_then(phone_number),
        None => Some(digits.clone()),
    };
    let international = international.map(Meaning::PhoneNumber);
    let national = Meaning::NationalPhoneNumber(digits);
    if is_plain_localpart(text) {
        return Some(Reading::sure(Meaning::Localpart(text.to_owned())).or(Some(national)).or(international));
    }
    Some(Reading::sure(national).or(international))
}

fn phone_number(text: &str) -> Option<String> {
    let digits = third_party::digits(&text.replace(['(', ')', '.'], ""));
    digits.filter(|digits| PHONE_NUMBER_DIGITS.contains(&digits.len()))
}

/// A bare word. A dot is more often in a server name than in a user name.
fn read_name(text: &str) -> Reading {
    let localpart = Meaning::Localpart(text.to_owned());
    match server_name(text).map(Meaning::ServerName) {
        Some(server_name) if text.contains('.') || text == "localhost" => {
            Reading::sure(server_name).or(Some(localpart))
        }
        Some(server_name) => Reading::sure(localpart).or(Some(server_name)),
        None if is_plain_localpart(text) => Reading::sure(localpart),
        None => Reading::unsure(localpart),
    }
}

/// The text after a scheme. Capitals in the scheme do not matter.
fn after_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = text.split_once(':')?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn before<'a>(text: &'a str, ends: &[char]) -> &'a str {
    text.split(ends).next().unwrap_or(text)
}

/// A user ID that was written in another form. This is a guess, so the localpart must have only usual characters.
fn user_id(localpart: &str, server: &str) -> Option<Meaning> {
    let server_name = server_name(server).filter(|_| is_plain_localpart(localpart))?;
    format!("@{localpart}:{server_name}").parse().ok().map(Meaning::UserId)
}

/// Whether a text has only the characters of the specification's grammar, or capitals, which older user IDs contain.
fn is_plain_localpart(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'=' | b'-' | b'/' | b'+');
    !text.is_empty() && text.bytes().all(is_plain)
}

/// A server name. Its host may be written in any script. Digits alone are a server name only if they are an IP address:
/// no domain ends in digits, but phone numbers and dates do.
fn server_name(text: &str) -> Option<ServerName> {
    let server_name: ServerName = if text.is_ascii() { text.parse().ok()? } else { international(text)? };
    let has_letter = server_name.host().bytes().any(|byte| byte.is_ascii_alphabetic());
    (has_letter || is_ip_address(&server_name)).then_some(server_name)
}

fn international(text: &str) -> Option<ServerName> {
    let (host, port) = text.split_at_checked(text.find(':').unwrap_or(text.len()))?;
    match Host::parse(host) {
        Ok(Host::Domain(domain)) => format!("{domain}{port}").parse().ok(),
        _ => None,
    }
}

/// A server name that is an IP address. An IPv6 address may come without its brackets.
fn ip_address(text: &str) -> Option<ServerName> {
    let bracketed = text.parse::<Ipv6Addr>().is_ok().then(|| format!("[{text}]"));
    server_name(bracketed.as_deref().unwrap_or(text)).filter(is_ip_address)
}

fn is_ip_address(server_name: &ServerName) -> bool {
    server_name.host().starts_with('[') || server_name.host().parse::<Ipv4Addr>().is_ok()
}

/// `None` if the decoded text is not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    // The decoder of forms does this, after `+` and `&`, which have a meaning in a form, are escaped.
    let form = format!("={}", text.replace('+', "%2B").replace('&', "%26"));
    let (_, decoded) = form_urlencoded::parse(form.as_bytes()).next()?;
    (!decoded.contains('\u{fffd}')).then(|| decoded.into_owned())
}

fn unknown() -> InvalidInput {
    InvalidInput::new("user or server", "a user ID such as @alice:example.org, or a server such as example.org")
}
