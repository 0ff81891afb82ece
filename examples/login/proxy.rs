//! Chooses the proxy for a request, from the environment variables, by the rules of curl. Requests to this machine
//! never go through a proxy.

use std::{env, fmt};

use http::Uri;
use url::Host;

/// A proxy, and the variable that names it.
pub struct Proxy {
    pub proxy: ureq::Proxy,
    variable: &'static str,
}

/// Shows the URL without the user name and the password, which are secret.
impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = (self.proxy.uri().scheme_str(), self.proxy.host(), self.proxy.port());
        write!(formatter, "the proxy {}://{host}:{port} of {}", scheme.unwrap_or("http"), self.variable)
    }
}

impl Proxy {
    /// The proxy for a request. `None` if the request goes directly to its server.
    ///
    /// # Errors
    ///
    /// Which variable cannot be read as the URL of a proxy.
    pub fn of(uri: &Uri) -> Result<Option<Self>, String> {
        let host = uri.host().unwrap_or_default();
        if is_loopback(host) || is_exempt(host) {
            return Ok(None);
        }
        let variables = match uri.scheme_str() {
            Some("https") => ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
            _ => ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
        };
        let Some((variable, url)) = variables.iter().find_map(|&name| Some((name, value(name)?))) else {
            return Ok(None);
        };
        match ureq::Proxy::new(&url) {
            Ok(proxy) => Ok(Some(Self { proxy, variable })),
            Err(_) => Err(format!("the variable {variable} is not the URL of a proxy")),
        }
    }
}

fn value(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

fn is_loopback(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        Err(_) => false,
    }
}

/// Whether `no_proxy` contains the host, or a domain of the host.
fn is_exempt(host: &str) -> bool {
    let list = value("no_proxy").or_else(|| value("NO_PROXY")).unwrap_or_default().to_ascii_lowercase();
    let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    list.split([',', ' ']).any(|entry| {
        let name = entry.trim_start_matches('*').trim_start_matches('.').trim_matches(['[', ']']);
        entry == "*" || host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
    })
}
