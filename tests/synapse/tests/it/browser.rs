//! Two browsers: a few lines of HTTP that do what a person does at the pages of the OpenID provider, and Chromium.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::{Agent, http::header};
use url::Url;

/// Logs in and agrees, from an authorization URL on. Returns the callback.
pub fn authorize(url: &Url, user: &str) -> Url {
    Browser::new(&redirect_uri(url)).log_in(url, user).callback()
}

/// Refuses at an authorization URL. Returns the callback.
pub fn refuse(url: &Url) -> Url {
    Browser::new(&redirect_uri(url)).refuse(url).callback()
}

/// The beginning of every callback of this authorization. The provider changes the query and the fragment.
fn redirect_uri(authorization: &Url) -> String {
    let (_, uri) = authorization.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap();
    let mut uri = Url::parse(&uri).unwrap();
    uri.set_query(None);
    uri.set_fragment(None);
    uri.into()
}

/// The place where a browser stops.
#[derive(Debug)]
pub enum End {
    Page {
        url: Url,
        status: u16,
        body: String,
    },
    /// A redirect that leads to the application.
    Callback(Url),
}

/// Keeps cookies and follows redirects, until one leads to the application.
pub struct Browser {
    agent: Agent,
    cookies: BTreeMap<String, String>,
    application: String,
}

impl Browser {
    /// `application` is the beginning of all addresses that belong to the application.
    pub fn new(application: &str) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).build();
        Self { agent: config.into(), cookies: BTreeMap::new(), application: application.to_owned() }
    }

    pub fn open(&mut self, url: &Url) -> End {
        self.follow(url.clone(), None)
    }

    /// Opens the URL that the flow gave, logs in at the provider, and agrees to everything. Returns where that leads.
    pub fn log_in(&mut self, url: &Url, user: &str) -> End {
        let login = self.open(url);
        let consent = self.submit(&login, &format!("prompt=login&login={user}&password=x"));
        self.submit(&consent, "prompt=consent")
    }

    /// Opens the URL that the flow gave, and refuses. Returns where that leads.
    pub fn refuse(&mut self, url: &Url) -> End {
        let login = self.open(url);
        self.follow(login.target("href"), None)
    }

    fn submit(&mut self, page: &End, form: &str) -> End {
        self.follow(page.target("action"), Some(form))
    }

    fn follow(&mut self, mut url: Url, mut form: Option<&str>) -> End {
        for _ in 0..20 {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let cookies = cookies.join("; ");
            let response = match form.take() {
                Some(form) => {
                    let request = self.agent.post(url.as_str()).header(header::COOKIE, &cookies);
                    request.content_type("application/x-www-form-urlencoded").send(form)
                }
                None => self.agent.get(url.as_str()).header(header::COOKIE, &cookies).call(),
            };
            let mut response = response.unwrap();
            for cookie in response.headers().get_all(header::SET_COOKIE) {
                let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
            let Some(location) = response.headers().get(header::LOCATION) else {
                let (status, body) = (response.status().as_u16(), response.body_mut().read_to_string().unwrap());
                return End::Page { url, status, body };
            };
            url = url.join(location.to_str().unwrap()).unwrap();
            if url.as_str().starts_with(&self.application) {
                return End::Callback(url);
            }
        }
        panic!("the redirects never end: {url}");
    }
}

impl End {
    pub fn callback(self) -> Url {
        match self {
            Self::Callback(url) => url,
            page @ Self::Page { .. } => panic!("{page:?}"),
        }
    }

    /// The target of the first element with this attribute. The pages of the provider have one form and one link.
    fn target(&self, attribute: &str) -> Url {
        let Self::Page { url, body, .. } = self else { panic!("{self:?}") };
        let (_, value) =
            body.split_once(&format!("{attribute}=\"")).unwrap_or_else(|| panic!("no {attribute}: {self:?}"));
        url.join(&value[..value.find('"').unwrap()]).unwrap()
    }
}

/// Chromium without a window. The tests press keys and buttons as users do.
pub struct Chromium {
    driver: Child,
    session: String,
    _profile: TempDir,
}

impl Chromium {
    pub fn start() -> Self {
        let mut driver = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next().expect("chromedriver says its port").unwrap();
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let capabilities = json!({
            "capabilities": { "alwaysMatch": { "goog:chromeOptions": { "args": arguments } } }
        });
        let answer = command(&format!("http://127.0.0.1:{port}/session"), &capabilities);
        let session = format!("http://127.0.0.1:{port}/session/{}", answer["sessionId"].as_str().unwrap());
        Self { driver, session, _profile: profile }
    }

    pub fn open(&self, url: &Url) {
        command(&format!("{}/url", self.session), &json!({ "url": url }));
    }

    /// Logs in at the provider's pages, and agrees.
    pub fn log_in(&self, user: &str) {
        self.type_into("input[name=login]", user);
        self.type_into("input[name=password]", "x");
        self.click("button[type=submit]");
        self.sees("Authorize");
        self.click("button[type=submit]");
    }

    /// Refuses at one of the provider's pages.
    pub fn refuse(&self) {
        self.click("a[href$='/abort']");
    }

    /// Enters a user code at the page of the provider, which then shows the code for a comparison.
    pub fn enter(&self, user_code: &str) {
        self.type_into("input[name=user_code]", user_code);
        self.click("button[form='op.deviceInputForm']");
        self.compare(user_code);
    }

    /// Waits for the page on which the user compares this code with the code of the device. The page also names the
    /// client.
    pub fn compare(&self, user_code: &str) {
        self.sees("Confirm Device");
        self.sees("matrix-login");
        self.sees(user_code);
    }

    /// Confirms the code that the page shows, logs in, and agrees.
    pub fn confirm(&self, user: &str) {
        self.go_on();
        self.log_in(user);
        self.sees("Sign-in Success");
    }

    /// The same as `confirm`, in a browser that knows its user.
    pub fn agree(&self) {
        self.go_on();
        self.sees("Authorize");
        self.click("button[type=submit]");
        self.sees("Sign-in Success");
    }

    /// Confirms the code that the page shows.
    pub fn go_on(&self) {
        self.click("button[form='op.deviceConfirmForm'][autofocus]");
    }

    /// Refuses the code that the page shows.
    pub fn abort(&self) {
        self.click("button[name=abort]");
        self.sees("The Sign-in request was interrupted");
    }

    /// Waits for an address of the application, also if no server listens there.
    pub fn callback(&self, application: &str) -> Url {
        for _ in 0..1_000 {
            let mut response = ureq::get(format!("{}/url", self.session)).call().unwrap();
            let answer: Value = serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap();
            let url = answer["value"].as_str().unwrap();
            if url.starts_with(application) {
                return url.parse().unwrap();
            }
        }
        panic!("the browser never comes to {application}");
    }

    pub fn type_into(&self, css: &str, text: &str) {
        command(&format!("{}/value", self.element(css)), &json!({ "text": text }));
    }

    pub fn click(&self, css: &str) {
        command(&format!("{}/click", self.element(css)), &json!({}));
    }

    /// Waits until the page contains this text. Returns the whole text of the page.
    pub fn sees(&self, text: &str) {
        let script = json!({ "script": "return document.body ? document.body.innerText : ''", "args": [] });
        for _ in 0..1_000 {
            let page = command(&format!("{}/execute/sync", self.session), &script);
            if page.as_str().is_some_and(|page| page.contains(text)) {
                return;
            }
        }
        panic!("the page never says {text}");
    }

    /// Waits for an element. The driver waits for pages, but not for the pages that redirects lead to.
    fn element(&self, css: &str) -> String {
        command(&format!("{}/timeouts", self.session), &json!({ "implicit": 10_000 }));
        let element = command(&format!("{}/element", self.session), &json!({ "using": "css selector", "value": css }));
        let id = element.as_object().unwrap().values().next().unwrap().as_str().unwrap();
        format!("{}/element/{id}", self.session)
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // This ends the browser; the driver is ended by its process ID.
        let _ = ureq::delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A command of the WebDriver protocol, and its value.
fn command(url: &str, body: &Value) -> Value {
    let agent: Agent = Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = agent.post(url).content_type("application/json").send(body.to_string()).unwrap();
    let answer: Value = serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap();
    assert!(response.status().is_success(), "{url} {body}: {answer}");
    answer["value"].clone()
}
