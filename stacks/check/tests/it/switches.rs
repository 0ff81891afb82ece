//! The defaults of each client, and what its switch does. The tables in the manual say the same.

use std::{
    process::Command,
    sync::{Mutex, atomic::Ordering},
};

use crate::servers::{Homeserver, compressed, json, proxy_to, server};

/// The results of two requests in a row.
fn send(client: &str, switch: &str, method: &str, url: &str, environment: &[(&str, &str)]) -> [String; 2] {
    let mut command = Command::new(env!("CARGO_BIN_EXE_check"));
    for variable in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(variable).env_remove(variable.to_uppercase());
    }
    let output = command.args([client, switch, method, url]).envs(environment.iter().copied()).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{client} {switch}: {}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<String> = shown.lines().map(str::to_owned).collect();
    lines.try_into().unwrap_or_else(|lines| panic!("{client} {switch}: {lines:?}"))
}

const CLIENTS: [&str; 3] = ["isahc", "reqwest-blocking", "ureq"];

#[test]
fn only_ureq_makes_an_error_of_a_4xx() {
    let homeserver = Homeserver::start(|_, _| json(403, "no"));
    for client in CLIENTS {
        let [first, _] = send(client, "none", "GET", &homeserver.url, &[]);
        assert_eq!(first.starts_with("error"), client == "ureq", "{client}: {first}");
    }
    assert_eq!(send("ureq", "statuses", "GET", &homeserver.url, &[])[0], "403 no");
}

#[test]
fn redirects_are_followed_unless_a_switch_says_otherwise() {
    for (client, follows) in [("isahc", false), ("reqwest-blocking", true), ("ureq", true)] {
        for (method, status) in [("GET", 302), ("POST", 307), ("POST", 302)] {
            let homeserver = Homeserver::start(move |target, _| match target.split_once(' ').unwrap().1 {
                "/" => (status, vec![("Location", "/elsewhere".to_owned())], Vec::new()),
                _ => json(200, "elsewhere"),
            });
            let asked_elsewhere = || homeserver.targets().iter().any(|target| target.ends_with("/elsewhere"));
            send(client, "redirects", method, &homeserver.url, &[]);
            assert!(!asked_elsewhere(), "{client} {method} {status}");
            send(client, "none", method, &homeserver.url, &[]);
            // ureq does not send a body a second time.
            let follows = follows && !(client == "ureq" && status == 307);
            assert_eq!(asked_elsewhere(), follows, "{client} {method} {status}");
        }
    }
}

#[test]
fn gzip_is_asked_for_and_decoded() {
    for client in CLIENTS {
        for switch in ["none", "compression"] {
            if (client, switch) == ("ureq", "compression") {
                // This client has a feature of its crate for that, and no switch.
                continue;
            }
            let homeserver = Homeserver::start(move |_, request| {
                let accepts = request.headers().iter().find(|header| header.field.equiv("Accept-Encoding"));
                let accepts = accepts.is_some_and(|header| header.value.as_str().contains("gzip"));
                if accepts { compressed(json(200, "decoded")) } else { json(200, "never asked") }
            });
            let [first, _] = send(client, switch, "GET", &homeserver.url, &[]);
            assert_eq!(first, if switch == "none" { "200 decoded" } else { "200 never asked" }, "{client} {switch}");
        }
    }
}

#[test]
fn no_client_keeps_cookies() {
    for client in CLIENTS {
        let homeserver = Homeserver::start(|_, request| {
            let has_cookie = request.headers().iter().any(|header| header.field.equiv("Cookie"));
            (200, vec![("Set-Cookie", "a=b".to_owned())], has_cookie.to_string().into())
        });
        assert_eq!(send(client, "none", "GET", &homeserver.url, &[]), ["200 false", "200 false"], "{client}");
    }
}

#[test]
fn a_proxy_is_used_unless_a_switch_says_otherwise() {
    for client in CLIENTS {
        for (switch, uses_proxy) in [("none", true), ("proxy", false)] {
            let homeserver = Homeserver::start(|_, _| json(200, "here"));
            let (proxy, connections) = proxy_to(&homeserver);
            let [first, _] = send(client, switch, "GET", &homeserver.url, &[("http_proxy", &proxy)]);
            assert_eq!(first, "200 here", "{client} {switch}");
            assert_eq!(connections.load(Ordering::SeqCst) > 0, uses_proxy, "{client} {switch}");
        }
    }
}

#[test]
fn a_time_limit_ends_a_request() {
    for client in CLIENTS {
        let kept = Mutex::new(Vec::new());
        let url = server(move |connection| kept.lock().unwrap().push(connection));
        let [first, _] = send(client, "time", "GET", &url, &[]);
        assert!(first.starts_with("error"), "{client}: {first}");
    }
}
