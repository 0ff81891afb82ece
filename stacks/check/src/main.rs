//! Sends the same request twice with an HTTP client that has its defaults, except for one switch:
//! `check CLIENT SWITCH METHOD URL`. Prints both results. The tests use this program to see what a switch does.

use std::{env, io::Read, time::Duration};

use anyhow::{anyhow, bail};
use http::Request;
use isahc::config::{Configurable, RedirectPolicy};

/// Long enough for a response on loopback.
const TIMEOUT: Duration = Duration::from_secs(2);

type Sent = anyhow::Result<(u16, Vec<u8>)>;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [client, switch, method, url] = &arguments[..] else { bail!("usage: CLIENT SWITCH METHOD URL") };
    let send: Box<dyn Fn(Request<Vec<u8>>) -> Sent> = match client.as_str() {
        "isahc" => Box::new(isahc(switch)?),
        "reqwest-blocking" => Box::new(reqwest(switch)?),
        "ureq" => Box::new(ureq(switch)?),
        client => bail!("{client} is not a client with switches"),
    };
    for _ in 0..2 {
        let request = Request::builder().method(method.as_str()).uri(url).body(Vec::new())?;
        match send(request) {
            Ok((status, body)) => println!("{status} {}", String::from_utf8_lossy(&body)),
            Err(error) => println!("error: {error:#}"),
        }
    }
    Ok(())
}

fn isahc(switch: &str) -> anyhow::Result<impl Fn(Request<Vec<u8>>) -> Sent> {
    let builder = isahc::HttpClient::builder();
    let client = match switch {
        "none" => builder,
        "redirects" => builder.redirect_policy(RedirectPolicy::None),
        "compression" => builder.automatic_decompression(false),
        "proxy" => builder.proxy(None),
        "time" => builder.timeout(TIMEOUT),
        _ => bail!("isahc has no switch {switch}"),
    };
    let client = client.build()?;
    Ok(move |request| {
        let mut response = client.send(request)?;
        let mut bytes = Vec::new();
        response.body_mut().read_to_end(&mut bytes)?;
        Ok((response.status().as_u16(), bytes))
    })
}

fn reqwest(switch: &str) -> anyhow::Result<impl Fn(Request<Vec<u8>>) -> Sent> {
    let builder = reqwest::blocking::Client::builder();
    let client = match switch {
        "none" => builder,
        "redirects" => builder.redirect(reqwest::redirect::Policy::none()),
        "compression" => builder.no_gzip(),
        "proxy" => builder.no_proxy(),
        "time" => builder.timeout(TIMEOUT),
        _ => bail!("reqwest has no switch {switch}"),
    };
    let client = client.build()?;
    Ok(move |request: Request<Vec<u8>>| {
        let response = client.execute(request.try_into()?)?;
        Ok((response.status().as_u16(), response.bytes()?.into()))
    })
}

fn ureq(switch: &str) -> anyhow::Result<impl Fn(Request<Vec<u8>>) -> Sent> {
    let builder = ureq::Agent::config_builder();
    let config = match switch {
        "none" => builder,
        "statuses" => builder.http_status_as_error(false),
        "redirects" => builder.max_redirects(0),
        "proxy" => builder.proxy(None),
        "time" => builder.timeout_global(Some(TIMEOUT)),
        _ => bail!("ureq has no switch {switch}"),
    };
    let agent = ureq::Agent::from(config.build());
    Ok(move |request| {
        let mut response = agent.run(request).map_err(|error| anyhow!(error))?;
        Ok((response.status().as_u16(), response.body_mut().read_to_vec()?))
    })
}
