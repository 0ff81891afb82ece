//! The page of `stacks/browser` in Chromium: a password, two logins that leave the page and come back, and homeservers
//! that misbehave.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use matrix_login_synapse::{password, servers, url};

use crate::browser::Chromium;

/// Opens the page in a new browser, and enters this homeserver. `None` if the page could not be built, which run.py has
/// reported.
fn open(homeserver: &str) -> Option<Chromium> {
    let page = servers()["page"].as_str()?;
    let chromium = Chromium::start();
    find(&chromium, page, homeserver);
    Some(chromium)
}

fn find(chromium: &Chromium, page: &str, homeserver: &str) {
    chromium.open(&page.parse().unwrap());
    chromium.type_into("#find:not([hidden]) input", homeserver);
    chromium.click("#find button");
}

fn enter(chromium: &Chromium, user: &str, password: &str) {
    chromium.type_into("#password:not([hidden]) input[name=user]", user);
    chromium.type_into("input[name=password]", password);
    chromium.click("#password button");
}

/// Logs in this many times, one right after the other.
pub fn logs_in(server: &str, times: usize) {
    let Some(chromium) = open(url(server)) else { return };
    for _ in 1..times {
        enter(&chromium, "alice", password("alice"));
        chromium.sees("logged in as @alice:example.test");
        find(&chromium, servers()["page"].as_str().unwrap(), url(server));
    }
    enter(&chromium, "alice", password("alice"));
    chromium.sees("logged in as @alice:example.test");
}

#[test]
fn the_right_password_logs_in_after_a_wrong_one() {
    let Some(chromium) = open(url("full")) else { return };
    enter(&chromium, "alice", "not the password");
    chromium.sees("Invalid username or password");
    // The user name is still there.
    enter(&chromium, "", password("alice"));
    chromium.sees("logged in as @alice:example.test");
}

/// The browser is on the page again, and no login token and no code stays in the address.
fn comes_back_logged_in(chromium: &Chromium) {
    chromium.sees("logged in as @alice:example.test");
    let page = servers()["page"].as_str().unwrap();
    assert_eq!(chromium.callback(page).as_str(), page);
}

#[test]
fn single_sign_on_leaves_the_page_and_comes_back() {
    let Some(chromium) = open(url("sso")) else { return };
    chromium.click("#page:not([hidden]) button");
    // The page of Synapse asks which provider.
    chromium.click("a[href*='idp=oidc-op&']");
    chromium.log_in("alice");
    comes_back_logged_in(&chromium);
}

#[test]
fn a_login_with_a_code_leaves_the_page_and_comes_back() {
    let Some(chromium) = open(url("oauth")) else { return };
    chromium.sees("Log in at 127.0.0.1");
    chromium.click("#page:not([hidden]) button");
    chromium.log_in("alice");
    comes_back_logged_in(&chromium);
}

#[test]
fn if_there_is_no_homeserver_the_page_asks_again() {
    let Some(chromium) = open("nobody.invalid") else { return };
    chromium.sees("no response to GET /.well-known/matrix/client");
}

/// A homeserver that sends this head to every client, and then the filling without end.
fn misbehaving(head: &str, filling: &'static [u8]) -> String {
    let head = head.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, head) = (connection.unwrap(), head.clone());
            thread::spawn(move || {
                let asked = BufReader::new(&connection).lines().map_while(Result::ok).any(|line| line.is_empty());
                if asked && connection.write_all(head.as_bytes()).is_ok() {
                    while !filling.is_empty() && connection.write_all(filling).is_ok() {}
                }
            });
        }
    });
    url
}

#[test]
fn a_redirect_of_a_homeserver_is_not_followed() {
    let elsewhere = format!("{}/_matrix/client/v3/login", url("full"));
    let head = format!("HTTP/1.1 302 Found\r\nAccess-Control-Allow-Origin: *\r\nLocation: {elsewhere}\r\n\r\n");
    let Some(chromium) = open(&misbehaving(&head, b"")) else { return };
    chromium.sees("no response: TypeError: Failed to fetch");
}

#[test]
fn a_body_without_end_is_not_read_to_its_end() {
    let head = "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Type: application/json\r\n\r\n";
    let Some(chromium) = open(&misbehaving(head, &[b' '; 10_000])) else { return };
    chromium.sees("the body is longer than");
}

#[test]
fn a_rate_limit_whose_header_the_browser_hides_is_waited_out() {
    let head = "HTTP/1.1 429 Too Many Requests\r\nAccess-Control-Allow-Origin: *\r\nRetry-After: 3600\r\n\r\n\
        {\"errcode\": \"M_LIMIT_EXCEEDED\"}";
    let Some(chromium) = open(&misbehaving(head, b"")) else { return };
    // Without a hint, the flow waits 1, 2, 4 and 8 s. The page does not wait for the fourth time.
    thread::sleep(Duration::from_secs(7));
    chromium.sees("try again in 8 s");
}
