// SPDX-License-Identifier: GPL-3.0-or-later
//! For which host a request is meant, and which web page it comes from.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, Uri, header, uri::Authority};

use super::Transport;

/// The host that a request is meant for, with its port if one is said.
pub(super) fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    text(headers, &header::HOST).or_else(|| uri.authority().map(Authority::as_str))
}

/// Where the page is from that a request comes from; nothing, if the request does not say it.
pub(super) fn origin(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::ORIGIN)
        .map(|origin| origin.to_str().unwrap_or_default())
}

/// Whether a request says that it comes from a page of the very host that it is meant for.
pub(super) fn is_same(headers: &HeaderMap, uri: &Uri, transport: Transport) -> bool {
    let Some((scheme, page)) = origin(headers).and_then(|origin| origin.split_once("://")) else {
        return false;
    };
    let fits = match transport {
        Transport::Tls => scheme == "https",
        Transport::Tcp | Transport::Unix => scheme == "http" || scheme == "https",
    };
    fits && host(headers, uri).is_some_and(|host| host.eq_ignore_ascii_case(page))
}

/// Whether a host, with or without a port, is this one: by a name of this machine to itself, by one
/// of these names, or by the address at which the connection arrived. No name that somebody else
/// points here is.
pub(super) fn is_ours(host: &str, names: &[String], arrived: Option<SocketAddr>) -> bool {
    let name = without_port(host);
    let is_address = || {
        let literal = name.trim_start_matches('[').trim_end_matches(']');
        let literal: Option<IpAddr> = literal.parse().ok();
        literal.is_some_and(|literal| {
            arrived.is_some_and(|arrived| literal.to_canonical() == arrived.ip().to_canonical())
        })
    };
    is_loopback(host) || names.iter().any(|known| name.eq_ignore_ascii_case(known)) || is_address()
}

/// Whether a host, with or without a port, is this machine to itself.
pub(super) fn is_loopback(host: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|known| without_port(host).eq_ignore_ascii_case(known))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:8006",
            "[::1]",
            "[::1]:8006",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io:80",
            "10.0.0.1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_host_is_ours_by_its_names_and_by_the_address_that_was_reached() {
        let names = ["host.example.org".to_owned()];
        let arrived = Some("[2001:db8::7]:443".parse().unwrap());
        for host in [
            "host.example.org:443",
            "HOST.example.org",
            "[2001:db8::7]:443",
            "localhost",
        ] {
            assert!(is_ours(host, &names, arrived), "{host}");
        }
        for host in [
            "evil.example",
            "host.example.org.evil.example",
            "[2001:db8::8]",
            "",
            ":443",
        ] {
            assert!(!is_ours(host, &names, arrived), "{host}");
        }
        let mapped = Some("[::ffff:192.0.2.7]:443".parse().unwrap());
        assert!(is_ours("192.0.2.7", &[], mapped));
    }

    #[test]
    fn a_page_is_the_same_by_scheme_name_and_port() {
        let same = |origin: &str, transport| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "host.example.org:8443".parse().unwrap());
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            is_same(&headers, &Uri::from_static("/"), transport)
        };
        assert!(same("https://host.example.org:8443", Transport::Tls));
        for other in [
            "http://host.example.org:8443",
            "https://host.example.org",
            "https://evil.example",
            "null",
            "",
        ] {
            assert!(!same(other, Transport::Tls), "{other}");
        }
        assert!(!is_same(
            &HeaderMap::new(),
            &Uri::from_static("/"),
            Transport::Tls
        ));
    }
}
