//! Proxies that the environment names. Requests to this machine never use a proxy. All other requests use one, unless
//! `no_proxy` says otherwise. An error names the proxy, without its secrets.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::support::{
    loopback::{self, Loopback},
    programs,
    run::{Run, folder, program},
    scenario::OFFERS,
};

/// Nothing listens at this address.
const CLOSED: &str = "http://127.0.0.1:9";

/// The login program, with these variables.
fn run(variables: &[(&str, &str)], arguments: &[&str]) -> Run {
    let mut command = programs::command(program());
    command.args(arguments).envs(variables.iter().copied());
    Run::of(folder(), command, "wonderland\n")
}

/// A proxy that leads every name to one address, and remembers its requests.
struct Proxy {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, target) = (Arc::clone(&asked), target.trim_start_matches("http://").to_owned());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (log, target) = (Arc::clone(&log), target.clone());
                thread::spawn(move || tunnel(client, &target, &log));
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn tunnel(mut client: TcpStream, target: &str, log: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head)?;
    }
    let authorization = head.lines().filter(|line| line.starts_with("Proxy-Authorization"));
    let asked: Vec<&str> = head.lines().take(1).chain(authorization).collect();
    log.lock().unwrap().push(asked.join("; "));
    let mut server = TcpStream::connect(target)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let mut to_server = server.try_clone()?;
    thread::spawn(move || io::copy(&mut reader, &mut to_server));
    io::copy(&mut server, &mut client).map(drop)
}

fn good() -> Loopback {
    Loopback::start(|received| loopback::good(OFFERS, received))
}

#[test]
fn requests_to_this_machine_never_use_a_proxy() {
    let homeserver = good();
    let port = homeserver.url.rsplit(':').next().unwrap();
    for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        for host in ["127.0.0.1", "localhost", "127.1"] {
            let run = run(&[(variable, CLOSED)], &["-H", &format!("http://{host}:{port}"), "alice"]);
            run.says("logged in as @alice:example.org with device ID DEVICEID");
        }
        for closed in ["http://[::1]:9", "https://[::1]:9", "https://127.0.0.2:9", "http://[::ffff:127.0.0.1]:9"] {
            let run = run(&[(variable, CLOSED)], &["-H", closed, "alice"]);
            assert_eq!(run.status, Some(1));
            assert!(!run.stderr.contains("proxy"), "{}", run.stderr);
        }
    }
}

#[test]
fn requests_to_another_host_use_the_proxy_of_its_scheme() {
    let homeserver = good();
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        let proxy = Proxy::start(&homeserver.url);
        let url = proxy.url.replace("http://", "http://user:s3cr3t@");
        let run = run(&[(variable, &url), ("https_proxy", CLOSED)], &["-H", "http://hs.invalid", "alice"]);
        run.says("logged in as @alice:example.org with device ID DEVICEID");
        assert!(!run.stderr.contains("s3cr3t"), "{}", run.stderr);
        assert_eq!(proxy.asked()[0], "CONNECT hs.invalid:80 HTTP/1.1; Proxy-Authorization: Basic dXNlcjpzM2NyM3Q=");
    }
    for variable in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        // The proxy cannot connect, and closes the connection. The homeserver has no certificate anyway.
        let proxy = Proxy::start(CLOSED);
        let run = run(&[(variable, &proxy.url), ("http_proxy", CLOSED)], &["@alice:hs.invalid"]);
        assert_eq!(run.status, Some(1));
        assert_eq!(proxy.asked()[0], "CONNECT hs.invalid:443 HTTP/1.1");
    }
}

#[test]
fn an_error_names_the_proxy_without_its_secrets() {
    for (variable, proxy, reason) in [
        (
            "https_proxy",
            "http://user:s3cr3t@127.0.0.1:9",
            "connection refused by the proxy http://127.0.0.1:9 of https_proxy",
        ),
        ("ALL_PROXY", "user:s3cr3t@127.0.0.1:9", "connection refused by the proxy http://127.0.0.1:9 of ALL_PROXY"),
        (
            "all_proxy",
            "socks5h://user:s3cr3t@127.0.0.1:9",
            "connection refused by the proxy socks5h://127.0.0.1:9 of all_proxy",
        ),
        (
            "HTTPS_PROXY",
            "http://user:s3cr3t@a..b",
            "the name a..b does not resolve (the proxy http://a..b:80 of HTTPS_PROXY is used)",
        ),
        ("https_proxy", "user:s3cr3t@", "the variable https_proxy is not the URL of a proxy"),
    ] {
        let run = run(&[(variable, proxy)], &["-H", "https://hs.invalid", "alice"]);
        run.fails(&format!("Error: No Matrix server found: {reason}; check the URL and the network"));
        assert!(!run.stderr.contains("user") && !run.stderr.contains("s3cr3t"), "{}", run.stderr);
    }
}

#[test]
fn a_proxy_that_refuses_or_is_silent_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = thread::spawn(move || {
        let mut clients = listener.incoming().map(Result::unwrap);
        let mut refused = clients.next().unwrap();
        refused.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").unwrap();
        // The second connection stays open, without a response, until the program gives up.
        let silent = clients.next().unwrap();
        let _ = BufReader::new(silent).lines().map_while(Result::ok).count();
    });
    let arguments = ["-H", "http://hs.invalid", "--timeout", "1", "alice"];
    let proxy_url = format!("http://{address}");
    run(&[("http_proxy", &proxy_url)], &arguments).fails(&format!(
        "Error: No Matrix server found: the proxy {proxy_url} of http_proxy does not connect to hs.invalid:80: \
         proxy server responded 403/403; check the URL and the network"
    ));
    run(&[("http_proxy", &proxy_url)], &arguments).fails(&format!(
        "Error: No Matrix server found: no response from hs.invalid:80 through the proxy {proxy_url} of http_proxy \
         within 1 s; check the URL and the network"
    ));
    proxy.join().unwrap();
}

#[test]
fn hosts_that_need_no_proxy_are_asked_directly() {
    for (variable, list, is_direct) in [
        ("no_proxy", "hs.invalid", true),
        ("NO_PROXY", "example.org, HS.invalid", true),
        ("no_proxy", "invalid", true),
        ("no_proxy", ".invalid", true),
        ("no_proxy", "*.invalid", true),
        ("no_proxy", "*", true),
        ("no_proxy", "", false),
        ("no_proxy", ",", false),
        ("no_proxy", "s.invalid", false),
        ("no_proxy", "www.hs.invalid", false),
    ] {
        let run = run(&[("http_proxy", CLOSED), (variable, list)], &["-H", "http://hs.invalid", "alice"]);
        assert_eq!(run.status, Some(1));
        assert_eq!(!run.stderr.contains("proxy"), is_direct, "{list}: {}", run.stderr);
    }
}
