//! Sends the user to the browser. Where there is no browser, the user opens the URL elsewhere; the demo, whose
//! homeserver nobody else can reach, does what a browser would do.

use http::{Request, header::LOCATION};
use url::Url;

use crate::{callback::Callbacks, failure::Failure, transport::Transport};

pub struct Browser {
    open: bool,
    /// What the demo follows the link with.
    demo: Option<Transport>,
    /// Whether the user has been sent to the browser.
    visited: bool,
}

impl Browser {
    pub fn new(open: bool, demo: Option<Transport>) -> Self {
        Self { open, demo, visited: false }
    }

    /// Shows the URL, once, and opens it. Returns the address that the browser would be sent to if there was no need of
    /// one.
    pub fn visit(&mut self, url: &Url, callbacks: &Callbacks) -> Result<Option<Url>, Failure> {
        if std::mem::replace(&mut self.visited, true) {
            return Ok(None);
        }
        say!("log in at {url}");
        // Its error lists the programs that it has tried, and that helps nobody.
        let opened = self.open && open::that_detached(url.as_str()).is_ok();
        match &self.demo {
            Some(transport) if !opened => {
                say!("no browser is used: the demo opens the page and presses its button, as a user would");
                return follow(url, transport).map(Some);
            }
            Some(_) => {
                say!("press the button in the browser; if none opens, end this with Ctrl-C, and add --no-browser");
            }
            None => {
                if self.open && !opened {
                    say!("no browser opens by itself: open the URL with one");
                }
                say!("if the browser is on another machine, paste the address here that it ends on");
                callbacks.read_pasted();
            }
        }
        Ok(None)
    }
}

/// Opens the page of the demo, presses its button, and returns where that leads.
fn follow(url: &Url, transport: &Transport) -> Result<Url, Failure> {
    let unexpected = || Failure("the page of the demo is not as expected".to_owned());
    let page = transport.ask(Request::get(url.as_str()).body(Vec::new())?)?;
    let page = String::from_utf8_lossy(page.body()).into_owned();
    let action = page.split_once("action=\"").and_then(|(_, rest)| rest.split_once('"'));
    let (action, _) = action.ok_or_else(unexpected)?;
    let pressed = transport.ask(Request::post(url.join(action)?.as_str()).body(Vec::new())?)?;
    let location = pressed.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let address = url.join(location.ok_or_else(unexpected)?)?;
    say!("a browser would now open {} with a login token", address.as_str().split('?').next().unwrap_or_default());
    Ok(address)
}
