//! The pages of this program, by address.

use axum::{
    Form, Router,
    extract::{DefaultBodyLimit, FromRef, OriginalUri, Request, State, rejection::FormRejection},
    http::{HeaderValue, Method, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use axum_extra::extract::{PrivateCookieJar, cookie::Key};
use maud::Markup;
use serde::Deserialize;

use crate::{
    cookies::Cookies,
    failure::Failure,
    login::Logins,
    pages,
    random::random,
    sessions::{self, Sessions},
};

/// The path that a browser comes back to, at the public address.
pub const CALLBACK: &str = "/callback";

const LARGEST_FORM: usize = 16 * 1024;

/// A page has no script, no picture and no frame. Its address can contain a token, which must not go to the server that
/// the browser asks next.
const HEADERS: [(header::HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

#[derive(Clone)]
pub struct Site {
    pub key: Key,
    pub cookies: Cookies,
    pub logins: Logins,
    pub sessions: Sessions,
}

impl FromRef<Site> for Key {
    fn from_ref(site: &Site) -> Self {
        site.key.clone()
    }
}

pub fn router(site: Site) -> Router {
    Router::new()
        .route("/", get(start))
        .route("/login", post(log_in))
        .route(CALLBACK, get(come_back))
        .route("/logout", post(log_out))
        .fallback(async || Failure::not_found())
        .method_not_allowed_fallback(async || Failure::not_found())
        .layer(DefaultBodyLimit::max(LARGEST_FORM))
        .layer(from_fn(guard))
        .with_state(site)
}

/// Refuses a form that another site has sent: the form would replace a login that waits.
async fn guard(request: Request, next: Next) -> Response {
    let site = request.headers().get("sec-fetch-site");
    let is_foreign = site.is_some_and(|site| site != "same-origin" && site != "none");
    let mut response = if request.method() == Method::POST && is_foreign {
        Failure::of_browser("this form is from another site").into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn start(State(site): State<Site>, jar: PrivateCookieJar) -> Result<Markup, Failure> {
    let session = match site.cookies.session(&jar) {
        Some(id) => site.sessions.get(&id).await?,
        None => None,
    };
    Ok(session.map_or_else(pages::log_in, |session| pages::logged_in(&session)))
}

#[derive(Deserialize)]
struct Wanted {
    homeserver: String,
}

async fn log_in(
    State(site): State<Site>,
    jar: PrivateCookieJar,
    wanted: Result<Form<Wanted>, FormRejection>,
) -> Result<(PrivateCookieJar, Markup), Failure> {
    let Form(wanted) = wanted.map_err(|_| Failure::of_browser("the form has no homeserver, or it is too long"))?;
    let browser = match site.cookies.browser(&jar) {
        Some(browser) => browser,
        None => random::<32>()?,
    };
    let (homeserver, url) = site.logins.begin(&wanted.homeserver, &browser).await?;
    let jar = site.cookies.with_browser(jar, browser, site.logins.time_to_live);
    Ok((jar, pages::ask(&homeserver, &url)))
}

/// Redirects, so that the token in the address does not stay in the history of the browser.
async fn come_back(
    State(site): State<Site>,
    jar: PrivateCookieJar,
    OriginalUri(uri): OriginalUri,
) -> Result<(PrivateCookieJar, Redirect), Failure> {
    let mut callback = site.logins.callback.clone();
    callback.set_query(uri.query());
    let session = site.logins.end(&callback, site.cookies.browser(&jar).as_deref()).await?;
    let id = site.sessions.add(&session).await?;
    if let Some(earlier) = site.cookies.session(&jar) {
        // After this, no page could log the earlier session out. If its logout fails, the new session is stored all the
        // same.
        let _ = site.sessions.end(&earlier).await;
    }
    Ok((site.cookies.with_session(jar, id, sessions::TIME_TO_LIVE), Redirect::to("/")))
}

async fn log_out(State(site): State<Site>, jar: PrivateCookieJar) -> Result<Response, Failure> {
    let ended = match site.cookies.session(&jar) {
        Some(id) => site.sessions.end(&id).await?,
        None => None,
    };
    let jar = site.cookies.without_session(jar);
    Ok(match ended {
        Some((session, is_confirmed)) => (jar, pages::logged_out(is_confirmed, &session)).into_response(),
        None => (jar, Redirect::to("/")).into_response(),
    })
}
