//! The addresses to which everyone on the internet may connect, and names that lead only to such addresses.

use std::net::IpAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

#[derive(Debug, thiserror::Error)]
#[error("the address is not public")]
pub struct NotPublic;

/// Resolves names for the client, which connects to these addresses and to no others. If it resolved a name again, the
/// name could lead somewhere else.
pub struct PublicNames;

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if !addresses.iter().all(|address| is_public(address.ip())) {
                return Err(NotPublic.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Whether a request may go to this URL, as far as the URL shows. A client does not resolve an address, so
/// `PublicNames` does not see it. The parser of URLs reads `2130706433` and `0x7f.1` as addresses too.
pub fn may_be_public(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_public(address.into()),
        Some(Host::Ipv6(address)) => is_public(address.into()),
        Some(Host::Domain(_)) => true,
        None => false,
    }
}

/// Whether an address is public. The registries of IANA list the special addresses.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || first == 0 // this network
                || first >= 224 // multicast, reserved, broadcast
                || (first == 100 && (64..128).contains(&second)) // carrier-grade NAT
                || (first == 192 && second == 0) // protocol assignments
                || (first == 198 && (18..20).contains(&second))) // benchmarks
        }
        // Global unicast, without special blocks and without 6to4, which contains IPv4.
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            let is_special = first == 0x2001 && (second < 0x200 || second == 0xdb8);
            let is_unicast = (first & 0xe000) == 0x2000;
            is_unicast && !is_special && first != 0x2002 && first != 0x3fff
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_refused_however_they_are_written() {
        for host in [
            "0.0.0.0",
            "0x7f.1",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.0.0.1.",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.168.0.1",
            "198.18.0.1",
            "2130706433",
            "224.0.0.1",
            "255.255.255.255",
            "[2001::1]",
            "[2001:db8::1]",
            "[2002:7f00:1::]",
            "[3fff::1]",
            "[64:ff9b::7f00:1]",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a00:1]",
            "[fc00::1]",
            "[fe80::1]",
            "[ff02::1]",
        ] {
            let url = Url::parse(&format!("https://{host}:8448/")).unwrap();
            assert!(!may_be_public(&url), "{host}");
        }
    }

    #[test]
    fn public_addresses_and_names_are_allowed() {
        for host in ["1.1.1.1", "[2606:4700:4700::1111]", "[::ffff:1.1.1.1]", "example.org"] {
            let url = Url::parse(&format!("https://{host}/")).unwrap();
            assert!(may_be_public(&url), "{host}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_refused() {
        let resolved = PublicNames.resolve("localhost".parse().unwrap()).await;
        assert!(resolved.is_err_and(|error| error.is::<NotPublic>()));
    }
}
