//! `GET /_matrix/client/v3/login/sso/redirect` and `GET /_matrix/client/v3/login/sso/redirect/{idpId}`
//! <https://spec.matrix.org/latest/client-server-api/#client-login-via-sso>
//!
//! A browser opens this URL: `request` makes a URL, not an HTTP request. The browser comes back to the caller's
//! redirect URL with a login token. In the specification, nothing binds that callback to a login. In this crate it must
//! have the right `state` (as in RFC 6749, section 10.12). So an attacker cannot give the user a login token of another
//! account.
//!
//! # In a web backend
//!
//! Between the request that begins a login and the callback that ends it, the flow waits in a store, under its state.
//! The state alone does not say who sends it. An attacker can begin a login, and have somebody else's browser open the
//! callback: that person is then logged in as the attacker. So a cookie binds the login to the browser that began it.
//! The order matters:
//!
//! 1. Get the login by its state. A login that is older than ten minutes is not there any more.
//! 2. Compare the cookie. A callback from another browser changes nothing: the right browser still gets in afterwards.
//! 3. Delete the login. If it was gone already, another request has taken it, and this callback does not count.
//!
//! ```
//! use std::{
//!     collections::BTreeMap,
//!     time::{Duration, Instant},
//! };
//!
//! use matrix_login::{Choice, Error, LoginFlow, Redirect, Step, Suspended, endpoint::callback};
//! use url::Url;
//!
//! /// How long a user may take in the browser.
//! const TIME_TO_LIVE: Duration = Duration::from_secs(600);
//!
//! /// Logins that wait for their callback, by state. A database does as well, if deleting an entry is atomic there.
//! /// Give each entry a time to live, and limit how many there can be.
//! #[derive(Default)]
//! struct Waiting(BTreeMap<String, Entry>);
//!
//! struct Entry {
//!     cookie: String,
//!     ends_at: Instant,
//!     suspended: Suspended,
//! }
//!
//! impl Waiting {
//!     /// Begins: where to send the browser. `state` and `cookie` are random, of 16 bytes or more each, and the cookie
//!     /// is set with `HttpOnly`, `Secure` and `SameSite=Lax`.
//!     fn begin(&mut self, mut flow: LoginFlow, callback: Url, state: &str, cookie: &str) -> Result<Url, Error> {
//!         flow.choose(Choice::sso(Redirect::new(callback, state)?))?;
//!         let Step::Browse(url) = flow.step() else { unreachable!("single sign-on was chosen") };
//!         let url = url.clone();
//!         let now = Instant::now();
//!         self.0.retain(|_, entry| now < entry.ends_at);
//!         if let Some(suspended) = flow.suspend() {
//!             let entry = Entry { cookie: cookie.to_owned(), ends_at: now + TIME_TO_LIVE, suspended };
//!             self.0.insert(state.to_owned(), entry);
//!         }
//!         Ok(url)
//!     }
//!
//!     /// Ends: the flow that the callback belongs to, with the login due. `None` is for a callback of another
//!     /// browser, of another login, of one that has taken too long, or one that has been here before.
//!     fn end(&mut self, callback: &Url, cookie: &str, now: Instant) -> Option<LoginFlow> {
//!         let state = callback::state(callback)?;
//!         let entry = self.0.get(&state).filter(|entry| now < entry.ends_at && entry.cookie == cookie)?;
//!         let mut flow = LoginFlow::resume(entry.suspended.clone());
//!         flow.handle_callback(callback).ok()?;
//!         self.0.remove(&state).map(|_| flow)
//!     }
//! }
//! # let mut flow = LoginFlow::at("https://example.org".parse()?, Default::default());
//! # let offers = http::Response::new(r#"{"flows":[{"type":"m.login.sso"}]}"#);
//! # let Step::Send { id, .. } = flow.step() else { unreachable!("GET login is due") };
//! # flow.handle_response(id, &offers, std::time::UNIX_EPOCH)?;
//!
//! let (state, cookie) = ("0011223344556677", "8899aabbccddeeff");
//! let mut waiting = Waiting::default();
//! let url = waiting.begin(flow, "https://app.example.com/callback".parse()?, state, cookie)?;
//! assert_eq!(url.host_str(), Some("example.org"));
//!
//! let callback = "https://app.example.com/callback?state=0011223344556677&loginToken=t".parse()?;
//! let now = Instant::now();
//! assert!(waiting.end(&callback, cookie, now + TIME_TO_LIVE).is_none());
//! assert!(waiting.end(&callback, "the cookie of another browser", now).is_none());
//! let refused = "https://app.example.com/callback?state=0011223344556677".parse()?;
//! assert!(waiting.end(&refused, cookie, now).is_none());
//! assert!(waiting.end(&callback, cookie, now).is_some());
//! assert!(waiting.end(&callback, cookie, now).is_none(), "it counts once");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt::Write as _;

use http::Method;
use url::Url;

use crate::address::homeserver::Homeserver;
use crate::credentials::redirect::{Action, LOGIN_TOKEN, Redirect, RedirectState};
use crate::credentials::secret::LoginToken;
use crate::endpoint::Endpoint;
use crate::endpoint::callback::{self, ForeignCallback};

/// The endpoint. The ID of an identity provider may follow the path.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::GET, "/_matrix/client/v3/login/sso/redirect");

/// The query parameter that says where the homeserver sends the browser in the end.
const REDIRECT_URL: &str = "redirectUrl";

/// The query parameters that tell a homeserver with the OAuth 2.0 API which page to open (MSC3824). Servers read the
/// one or the other.
const ACTION: [&str; 2] = ["action", "org.matrix.msc3824.action"];

/// The URL to open in a browser.
pub fn request(homeserver: &Homeserver, redirect: &Redirect) -> Url {
    let mut url = match redirect.identity_provider() {
        Some(id) => homeserver.join(&format!("{}/{}", ENDPOINT.path(), percent_encode(id))),
        None => homeserver.join(ENDPOINT.path()),
    };
    url.query_pairs_mut().append_pair(REDIRECT_URL, redirect.url_with_state().as_str());
    let action = match redirect.action() {
        Action::Login => "login",
        Action::Register => "register",
    };
    for name in ACTION {
        url.query_pairs_mut().append_pair(name, action);
    }
    url
}

/// The login token in the URL that the browser came back to, given the state that the login began with.
///
/// The query is compared after decoding, since homeservers write it anew. A fragment may follow.
///
/// # Errors
///
/// [`ForeignCallback`] unless there is exactly one `state`, which is the given one, and a `loginToken` that is
/// not empty (of several the last, which is the homeserver's).
pub fn response(callback: &Url, state: &str) -> Result<LoginToken, ForeignCallback> {
    // A state that was lost on the caller's side must not match one that is empty.
    //
    // The comparison need not take the same time for every state. To learn the state from the time, an attacker would
    // have to send many callbacks to one login, from the network or through the user's browser. Each of them costs far
    // more time than a byte of this comparison, and the state is new for every login. A backend finds the login by its
    // state anyway, and no store does that in constant time.
    if state.is_empty() || callback::state_in_query(callback).as_deref() != Some(state) {
        return Err(foreign());
    }
    let (_, token) = callback.query_pairs().filter(|(name, _)| name == LOGIN_TOKEN).last().ok_or_else(foreign)?;
    if token.is_empty() { Err(foreign()) } else { Ok(LoginToken::new(token)) }
}

fn foreign() -> ForeignCallback {
    ForeignCallback::new("expected its `state`, once, and a `loginToken`")
}

/// The state of a login that has begun with this URL, if the URL is one that [`request`] makes for this homeserver.
pub(crate) fn begun(homeserver: &Homeserver, url: &Url) -> Option<RedirectState> {
    let redirect = homeserver.join(ENDPOINT.path());
    let below = url.path().strip_prefix(redirect.path())?;
    let is_ours = homeserver.has_origin_of(url)
        && (below.is_empty() || below.starts_with('/'))
        && url.username().is_empty()
        && url.password().is_none();
    let (_, callback) = url.query_pairs().find(|(name, _)| is_ours && name == REDIRECT_URL)?;
    RedirectState::new(callback::state_in_query(&Url::parse(&callback).ok()?)?).ok()
}

/// One segment of a path: all but RFC 3986's unreserved characters is encoded, slashes and percent signs too.
fn percent_encode(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}
