//! Sends the user to the browser. Where there is no browser, the user opens the URL elsewhere.

use url::Url;

use crate::callback::Callbacks;

pub struct Browser {
    open: bool,
    /// Whether the user has been sent to the browser.
    visited: bool,
}

impl Browser {
    pub fn new(open: bool) -> Self {
        Self { open, visited: false }
    }

    /// Shows the URL, once, and opens it.
    pub fn visit(&mut self, url: &Url, callbacks: &Callbacks) {
        if std::mem::replace(&mut self.visited, true) {
            return;
        }
        say!("log in at {url}");
        // Its error lists the programs that it has tried, and that helps nobody.
        if self.open && open::that_detached(url.as_str()).is_err() {
            say!("no browser opens by itself: open the URL with one");
        }
        say!("if the browser is on another machine, paste the address here that it ends on");
        callbacks.read_pasted();
    }
}
