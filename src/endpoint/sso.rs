//! `GET /_matrix/client/v3/login/sso/redirect` and `GET /_matrix/client/v3/login/sso/redirect/{idpId}`
//! <https://spec.matrix.org/latest/client-server-api/#client-login-via-sso>
//!
//! `request` makes a URL for a browser, not an HTTP request. The browser comes back to the caller's redirect URL with a
//! login token. In the specification, nothing binds this callback to a login. In this crate, the callback must contain
//! the right `state` (as in RFC 6749, section 10.12). So an attacker cannot give the user a login token of another
//! account.
//!
//! # In a web backend
//!
//! A request begins the login, and a callback ends it. Between them, the flow waits in a store, under its state. The
//! state does not prove which browser sends it. An attacker can begin a login and make another person's browser open
//! the callback. Then this person is logged in as the attacker. So a cookie binds the login to the browser that began
//! it. The order of the steps matters:
//!
//! 1. Get the login by its state. The store has no login that is older than ten minutes.
//! 2. Compare the cookie. A callback from another browser changes nothing, so the right browser can still log in.
//! 3. Delete the login. If it no longer exists, another request has taken it, and this callback does not count.
//!
//! ```
//! use std::{
//!     collections::BTreeMap,
//!     time::{Duration, Instant},
//! };
//!
//! use matrix_login::{
//!     Choice, Error, LoginFlow, Redirect, Step, Suspended, endpoint::callback,
//! };
//! use url::Url;
//!
//! /// How long a user can take in the browser.
//! const TIME_TO_LIVE: Duration = Duration::from_secs(600);
//!
//! /// Logins that wait for their callback, by state. A database works too, if it deletes
//! /// an entry atomically. Give each entry a time to live, and limit their number.
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
//!     /// Begins a login, and returns the URL for the browser. `state` and `cookie` are 16
//!     /// random bytes or more each. Set the cookie with `HttpOnly`, `Secure` and
//!     /// `SameSite=Lax`.
//!     fn begin(
//!         &mut self,
//!         mut flow: LoginFlow,
//!         callback: Url,
//!         state: &str,
//!         cookie: &str,
//!     ) -> Result<Url, Error> {
//!         flow.choose(Choice::sso(Redirect::new(callback, state)?))?;
//!         let Step::Browse(url) = flow.step() else {
//!             unreachable!("single sign-on was chosen")
//!         };
//!         let url = url.clone();
//!         let now = Instant::now();
//!         self.0.retain(|_, entry| now < entry.ends_at);
//!         if let Some(suspended) = flow.suspend() {
//!             let (cookie, ends_at) = (cookie.to_owned(), now + TIME_TO_LIVE);
//!             self.0.insert(state.to_owned(), Entry { cookie, ends_at, suspended });
//!         }
//!         Ok(url)
//!     }
//!
//!     /// Returns the flow that the callback belongs to. Drive it to the end of the login.
//!     /// `None` if the callback comes from another browser, belongs to another login, comes
//!     /// too late, or comes a second time.
//!     fn end(&mut self, callback: &Url, cookie: &str, now: Instant) -> Option<LoginFlow> {
//!         let state = callback::state(callback)?;
//!         let entry = self.0.get(&state)?;
//!         if now >= entry.ends_at || entry.cookie != cookie {
//!             return None;
//!         }
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
//! let callback = "https://app.example.com/callback".parse()?;
//! let url = waiting.begin(flow, callback, state, cookie)?;
//! assert_eq!(url.host_str(), Some("example.org"));
//!
//! let callback =
//!     "https://app.example.com/callback?state=0011223344556677&loginToken=t".parse()?;
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

/// The endpoint, as errors name it. The ID of an identity provider can follow the path.
pub const ENDPOINT: Endpoint = Endpoint::new(Method::GET, "/_matrix/client/v3/login/sso/redirect");

/// The query parameter with the URL to which the homeserver sends the browser after the login.
const REDIRECT_URL: &str = "redirectUrl";

/// The query parameters that tell a homeserver with the OAuth 2.0 API which page to open (MSC3824). A server reads one
/// of the two.
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

/// Reads the callback of a login that began with this state, and returns its login token.
///
/// The query is compared after decoding, since homeservers encode it again. The callback can contain a fragment.
///
/// # Errors
///
/// [`ForeignCallback`] unless the callback contains exactly one `state`, equal to the given one, and a `loginToken`
/// that is not empty. Of several `loginToken`s the last one counts, since the homeserver adds it.
pub fn response(callback: &Url, state: &str) -> Result<LoginToken, ForeignCallback> {
    // If the caller has lost the state and passes an empty one, it must not match an empty state in the callback.
    //
    // The comparison need not take the same time for every state. To learn the state from the time, an attacker must
    // send many callbacks to one login, from the network or through the user's browser. Each callback takes far more
    // time than the comparison of a byte, and the state is new for every login. A backend finds the login by its state
    // anyway, and no store does that in constant time.
    if state.is_empty() || callback::state_in_query(callback).as_deref() != Some(state) {
        return Err(foreign());
    }
    let (_, token) = callback.query_pairs().filter(|(name, _)| name == LOGIN_TOKEN).last().ok_or_else(foreign)?;
    if token.is_empty() { Err(foreign()) } else { Ok(LoginToken::new(token)) }
}

fn foreign() -> ForeignCallback {
    ForeignCallback::new("expected exactly one `state`, the state of this login, and a `loginToken`")
}

/// The state of a login that began with this URL. `None` if [`request`] does not make such a URL for this homeserver.
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

/// One segment of a path. Everything except the unreserved characters of RFC 3986 is encoded, also slashes and percent
/// signs.
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
