//! The two cookies. Both are encrypted, and their values are random.

use std::time::Duration;

use axum_extra::extract::{
    PrivateCookieJar,
    cookie::{Cookie, SameSite},
};

/// The cookie that names the browser while one of its logins waits. A browser with two tabs has two logins and one such
/// cookie.
const BROWSER: &str = "browser";

/// The cookie that names the session in the store.
const SESSION: &str = "session";

#[derive(Clone)]
pub struct Cookies {
    /// Whether the public address is https.
    pub secure: bool,
}

impl Cookies {
    pub fn browser(&self, jar: &PrivateCookieJar) -> Option<String> {
        self.value(jar, BROWSER)
    }

    pub fn session(&self, jar: &PrivateCookieJar) -> Option<String> {
        self.value(jar, SESSION)
    }

    pub fn with_browser(&self, jar: PrivateCookieJar, value: String, max_age: Duration) -> PrivateCookieJar {
        jar.add(self.cookie(BROWSER, value, max_age))
    }

    pub fn with_session(&self, jar: PrivateCookieJar, value: String, max_age: Duration) -> PrivateCookieJar {
        jar.add(self.cookie(SESSION, value, max_age))
    }

    pub fn without_session(&self, jar: PrivateCookieJar) -> PrivateCookieJar {
        jar.remove(self.cookie(SESSION, String::new(), Duration::ZERO))
    }

    fn value(&self, jar: &PrivateCookieJar, name: &str) -> Option<String> {
        jar.get(&self.name(name)).map(|cookie| cookie.value().to_owned())
    }

    /// `Lax`, because the browser comes back from another site.
    fn cookie(&self, name: &str, value: String, max_age: Duration) -> Cookie<'static> {
        Cookie::build((self.name(name), value))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.secure)
            .max_age(max_age.try_into().unwrap_or_default())
            .build()
    }

    /// The prefix keeps other hosts of the domain from setting the cookie. Browsers accept the prefix only with https.
    fn name(&self, name: &str) -> String {
        let prefix = if self.secure { "__Host-" } else { "" };
        format!("{prefix}{name}")
    }
}
