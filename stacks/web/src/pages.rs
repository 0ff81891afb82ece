//! The pages. The macro escapes everything that is put into them.

use matrix_login::{Homeserver, Session, one_line};
use maud::{DOCTYPE, Markup, html};
use url::Url;

fn page(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
            }
            body {
                main {
                    h1 { (title) }
                    (content)
                }
            }
        }
    }
}

pub fn log_in() -> Markup {
    let content = html! {
        form method="post" action="/login" {
            p {
                label for="homeserver" { "Your homeserver" }
                " "
                input #homeserver name="homeserver" required autocomplete="url" autocapitalize="none"
                    spellcheck="false" aria-describedby="example";
            }
            p #example { "For example matrix.org. It is the part of your user ID after the colon." }
            p { button { "Log in" } }
        }
    };
    page("Log in to Matrix", &content)
}

pub fn logged_in(session: &Session) -> Markup {
    let content = html! {
        p { "You are logged in as " strong { (one_line(session.user_id().as_str())) } "." }
        @if let Some(homeserver) = session.homeserver() {
            p { "Your homeserver is " (homeserver.as_str()) "." }
        }
        form method="post" action="/logout" {
            button { "Log out" }
        }
    };
    page("Logged in", &content)
}

/// Only the person can see whether the two belong together: a homeserver can name the page of another homeserver.
pub fn ask(homeserver: &Homeserver, url: &Url) -> Markup {
    let content = html! {
        dl {
            dt { "Your homeserver" }
            dd { (homeserver.as_str()) }
            dt { "The page where you log in" }
            dd { strong { (url.host_str().unwrap_or_default()) } }
        }
        p { "Go on only if you know that this page belongs to your homeserver." }
        p { a href=(url) rel="noreferrer" { "Log in at " (url.host_str().unwrap_or_default()) } }
        p { a href="/" { "Choose another homeserver" } }
    };
    page("Do these belong together?", &content)
}

pub fn logged_out(is_confirmed: bool, session: &Session) -> Markup {
    let content = html! {
        @if is_confirmed {
            p { "You are logged out." }
        } @else {
            p role="alert" {
                "You are logged out here, but your homeserver has not confirmed it. "
                "Remove the device " strong { (one_line(session.device_id())) } " from the list of your devices."
            }
        }
        p { a href="/" { "Log in again" } }
    };
    page("Logged out", &content)
}

pub fn failure(reason: &str) -> Markup {
    let content = html! {
        p role="alert" { (sentence(&one_line(reason))) }
        p { a href="/" { "Back to the start" } }
    };
    page("That did not work", &content)
}

/// Reasons come in the form of error messages: in lower case, without a full stop.
fn sentence(reason: &str) -> String {
    let mut rest = reason.chars();
    let first = rest.next().into_iter().flat_map(char::to_uppercase);
    first.chain(rest.as_str().chars()).chain(['.']).collect()
}
