// SPDX-License-Identifier: GPL-3.0-or-later
//! The address of a daemon on another host.

use std::{fmt, net::IpAddr, str::FromStr};

/// The address of a daemon that is reached over TLS: `https://host.example.org:8443`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteAddress {
    host: String,
    port: u16,
}

/// Where HTTP over TLS is by itself.
const PORT: u16 = 443;

/// A text that is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address of a host: allowed are https://HOST and https://HOST:PORT")]
pub struct RemoteAddressError(String);

impl RemoteAddress {
    /// The host: a name, or an address of IP without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What the `Host` header says: the host in brackets if they are needed, with its port.
    pub fn authority(&self) -> String {
        let host = &self.host;
        match (host.contains(':'), self.port) {
            (true, PORT) => format!("[{host}]"),
            (true, port) => format!("[{host}]:{port}"),
            (false, PORT) => host.clone(),
            (false, port) => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}

impl FromStr for RemoteAddress {
    type Err = RemoteAddressError;

    fn from_str(text: &str) -> Result<Self, RemoteAddressError> {
        let wrong = || RemoteAddressError(text.chars().take(80).collect());
        let rest = text.strip_prefix("https://").ok_or_else(wrong)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = if let Some(rest) = rest.strip_prefix('[') {
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            let is_address = matches!(host.parse(), Ok(IpAddr::V6(_)));
            (Some(host).filter(|_| is_address), port)
        } else {
            let end = rest.find(':').unwrap_or(rest.len());
            let (host, port) = rest.split_at(end);
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
            (Some(host).filter(|host| host.bytes().all(is_plain)), port)
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => PORT,
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(wrong)?,
            None => return Err(wrong()),
        };
        let host = host.filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for (text, authority) in [
            ("https://host.example.org:8443", "host.example.org:8443"),
            ("https://HOST/", "host"),
            ("https://192.0.2.7:443", "192.0.2.7"),
            ("https://[2001:db8::7]:8443", "[2001:db8::7]:8443"),
        ] {
            let address: RemoteAddress = text.parse().unwrap();
            assert_eq!(address.authority(), authority);
            assert_eq!(address.to_string().parse(), Ok(address));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "host",
            "http://host",
            "https://",
            "https://:8443",
            "https://host:0",
            "https://host:99999",
            "https://host:",
            "https://user@host",
            "https://host/path",
            "https://[host]:1",
            "https://[::1",
            "https://a b",
        ] {
            assert!(text.parse::<RemoteAddress>().is_err(), "{text}");
        }
    }
}
