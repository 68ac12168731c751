// SPDX-License-Identifier: GPL-3.0-or-later
//! Who listens on TCP, as the kernel's tables say.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::{Process, Root, Unreadable};

/// A socket that waits for connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// Where.
    pub address: SocketAddr,
    /// Whose.
    pub user: u32,
    /// The process's name.
    pub program: Program,
}

/// Whose process a socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Program {
    /// That of a process with this name.
    Named(String),
    /// It is not seen, and there are processes into which the user who looks cannot see.
    Hidden,
    /// No process holds it: it is the kernel's, or that of another container.
    None,
}

/// The state in which a socket waits for connections.
const LISTENS: &str = "0A";

/// Every socket of this network namespace that waits for connections.
pub(crate) fn all(root: &Root, processes: &[Process]) -> Result<Vec<Listener>, Unreadable> {
    let mut found = read(&root.text("/proc/net/tcp")?);
    // A kernel without IPv6 has no such table.
    found.extend(read(
        &root.text_if_there("/proc/net/tcp6")?.unwrap_or_default(),
    ));
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let (programs, rest) = programs(root, processes);
    let named = found.into_iter().map(|(inode, mut listener)| {
        let named = programs.get(&inode).cloned().map(Program::Named);
        listener.program = named.unwrap_or_else(|| rest.clone());
        listener
    });
    Ok(named.collect())
}

/// The names of programs by the sockets that they hold, and what the others' are.
fn programs(root: &Root, processes: &[Process]) -> (BTreeMap<u64, String>, Program) {
    let mut programs = BTreeMap::new();
    let mut rest = Program::None;
    for process in processes {
        let targets = targets(root, process.id);
        if targets.is_err() {
            rest = Program::Hidden;
        }
        for target in targets.unwrap_or_default() {
            let inode = target
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'));
            if let Some(inode) = inode.and_then(|inode| inode.parse().ok()) {
                programs.insert(inode, process.name.clone());
            }
        }
    }
    (programs, rest)
}

/// What a process's open files are.
pub(crate) fn targets(root: &Root, process: u32) -> Result<Vec<String>, Unreadable> {
    let folder = format!("/proc/{process}/fd");
    let names = root.names(&folder)?.into_iter();
    // One that was closed meanwhile is none.
    Ok(names
        .filter_map(|name| root.target(&format!("{folder}/{name}")).ok())
        .collect())
}

fn read(table: &str) -> Vec<(u64, Listener)> {
    table.lines().skip(1).filter_map(row).collect()
}

fn row(line: &str) -> Option<(u64, Listener)> {
    let mut words = line.split_whitespace();
    let address = socket_address(words.nth(1)?)?;
    if words.nth(1)? != LISTENS {
        return None;
    }
    let user = words.nth(3)?.parse().ok()?;
    let inode = words.nth(1)?.parse().ok()?;
    let listener = Listener {
        address,
        user,
        program: Program::None,
    };
    Some((inode, listener))
}

/// `0100007F:1F90` is 127.0.0.1:8080: words of 32 bits, each in the byte order of the machine.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Option<Vec<[u8; 4]>> = (0..address.len())
        .step_by(8)
        .map(|at| {
            let word = u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?;
            Some(word.to_ne_bytes())
        })
        .collect();
    let words = words?;
    let address = match words.as_slice() {
        [word] => IpAddr::V4(Ipv4Addr::from(*word)),
        [_, _, _, _] => {
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            let address = Ipv6Addr::from(bytes);
            address
                .to_ipv4_mapped()
                .map_or(IpAddr::V6(address), IpAddr::V4)
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

impl Listener {
    /// Whether it is that of a process with this name.
    pub(crate) fn is_of(&self, name: &str) -> bool {
        matches!(&self.program, Program::Named(program) if program == name)
    }

    /// Whether other machines may reach it, but for a firewall.
    pub(crate) const fn is_open(&self) -> bool {
        !self.address.ip().is_loopback()
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, user, .. } = self;
        match &self.program {
            Program::Named(program) => write!(f, "{address} ({program}, user {user})"),
            Program::Hidden | Program::None => write!(f, "{address} (user {user})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000   990        0 4711 1\n   \
                     1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1\n   \
                     2: 0100007F:9999 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 4713 1\n";
        let found = read(table);
        let shown: Vec<String> = found.iter().map(|(_, one)| one.to_string()).collect();
        assert_eq!(shown, ["127.0.0.1:8080 (user 990)", "0.0.0.0:22 (user 0)"]);
        assert!(!found[0].1.is_open() && found[1].1.is_open());
    }

    #[test]
    fn loopback_is_known_in_every_spelling() {
        for (text, loopback) in [
            ("00000000000000000000000001000000:0050", true),
            ("0000000000000000FFFF00000100007F:0050", true),
            ("00000000000000000000000000000000:0050", false),
        ] {
            assert_eq!(
                socket_address(text).unwrap().ip().is_loopback(),
                loopback,
                "{text}"
            );
        }
        assert_eq!(socket_address("0100:1"), None);
    }
}
