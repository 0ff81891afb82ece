//! Browsers: one of a few lines, which does what a person does at the OpenID provider's pages, and Chromium.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::{Agent, http::header};
use url::Url;

/// Where a browser ends.
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
    /// `application` is how the addresses begin that are the application's.
    pub fn new(application: &str) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).build();
        Self { agent: config.into(), cookies: BTreeMap::new(), application: application.to_owned() }
    }

    pub fn open(&mut self, url: &Url) -> End {
        self.follow(url.clone(), None)
    }

    /// Logs in at the provider and agrees to all it asks, from the URL that the flow gave. Returns where that leads.
    pub fn log_in(&mut self, url: &Url, user: &str) -> End {
        let login = self.open(url);
        let consent = self.submit(&login, &format!("prompt=login&login={user}&password=x"));
        self.submit(&consent, "prompt=consent")
    }

    fn submit(&mut self, page: &End, form: &str) -> End {
        let End::Page { url, body, .. } = page else { panic!("{page:?}") };
        let (_, action) = body.split_once("action=\"").unwrap_or_else(|| panic!("there is no form: {page:?}"));
        let action = url.join(&action[..action.find('"').unwrap()]).unwrap();
        self.follow(action, Some(form))
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
}

/// Chromium without a window, driven as its users press keys and buttons.
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

    pub fn type_into(&self, css: &str, text: &str) {
        command(&format!("{}/value", self.element(css)), &json!({ "text": text }));
    }

    pub fn click(&self, css: &str) {
        command(&format!("{}/click", self.element(css)), &json!({}));
    }

    /// What the page says, once it says this.
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

    /// An element, once it is there: the driver waits for pages, but not for what their redirects lead to.
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
