// SPDX-License-Identifier: GPL-3.0-or-later
//! What the rules of the table mean for one domain.

use std::net::IpAddr;

use hv_model::{name::BridgeName, storage::PoolPurpose};
use roxmltree::Node;

use super::allows;
use crate::{
    allowed::{self, Rules, child},
    policy::{Feature, HostPolicy},
    refusal::names,
};

/// Where libvirt keeps the variables of firmware.
pub(crate) const NVRAM_FOLDER: &str = "/var/lib/libvirt/qemu/nvram";

/// Where distributions put firmware. Debian, Fedora and others; NixOS, which links to its store.
pub(crate) const FIRMWARE_FOLDERS: [&str; 3] =
    ["/usr/share", "/nix/store", "/run/libvirt/nix-ovmf"];

/// Filters of libvirt that let no packet with a forged sender pass.
const SPOOF_FILTERS: [&str; 2] = ["clean-traffic", "clean-traffic-gateway"];

/// Where libvirt puts the sockets of channels, in a folder for each domain that runs.
const CHANNEL_FOLDERS: [&str; 2] = [
    "/var/lib/libvirt/qemu/channel/target",
    "/run/libvirt/qemu/channel",
];

/// Where libvirt puts the sockets of screens, in a folder for each domain that runs.
const SOCKET_FOLDERS: [&str; 2] = ["/var/lib/libvirt/qemu", "/run/libvirt/qemu"];

/// How many characters of its name libvirt puts into the names of a domain's folders.
const SHORT: usize = 20;

pub(super) struct DomainRules<'a> {
    policy: &'a HostPolicy,
    /// What libvirt calls the domain's folders, while it runs.
    folder: Option<String>,
}

impl<'a> DomainRules<'a> {
    pub(super) fn new(policy: &'a HostPolicy, root: Node<'_, '_>) -> Self {
        let name = child(root, "name").and_then(|name| name.text());
        let folder = root.attribute("id").zip(name).map(|(number, name)| {
            let short: String = name.chars().take(SHORT).collect();
            format!("{number}-{short}")
        });
        Self { policy, folder }
    }

    /// Whether this is a socket in the domain's own folder below one of these.
    fn is_own_socket(&self, folders: &[&str], path: &str) -> bool {
        let Some((folder, socket)) = path.rsplit_once('/') else {
            return false;
        };
        let own = self.folder.as_deref().zip(folder.rsplit_once('/'));
        let is_own = own.is_some_and(|(own, (above, last))| {
            folders.contains(&above) && (last == own || last.strip_prefix("domain-") == Some(own))
        });
        is_own && is_word(socket)
    }
}

impl Rules for DomainRules<'_> {
    fn fits(&self, rule: &str, value: &str) -> Result<(), String> {
        let blank = value.trim().is_empty();
        let (fits, allowed) = match rule {
            "@word" => (is_word(value), "a plain word".to_owned()),
            "@name" => (
                is_name(value),
                "a name without '/' and control characters".to_owned(),
            ),
            "@integer" => (value.parse::<i64>().is_ok(), "a number".to_owned()),
            "@unit" => (
                matches!(
                    value,
                    "b" | "bytes"
                        | "KB"
                        | "k"
                        | "KiB"
                        | "MB"
                        | "M"
                        | "MiB"
                        | "GB"
                        | "G"
                        | "GiB"
                        | "TB"
                        | "T"
                        | "TiB"
                ),
                "KiB and the like".to_owned(),
            ),
            "@zone" => (
                value.split('/').all(is_word),
                "the name of a time zone".to_owned(),
            ),
            "@pinned" if !allows(self.policy, Feature::Pinning) => {
                (false, "none; this needs feature pinning".to_owned())
            }
            "@pinned" => return allowed::fits(self.policy, "@set", value),
            "@plugged" | "@interface" => (
                value.parse::<BridgeName>().is_ok(),
                "the name of an interface".to_owned(),
            ),
            "@filter" => (
                SPOOF_FILTERS.contains(&value) || allows(self.policy, Feature::NoSpoofFilter),
                names(SPOOF_FILTERS),
            ),
            "@system" => (
                blank || in_folders(value, &FIRMWARE_FOLDERS),
                format!("a file in {}", names(FIRMWARE_FOLDERS)),
            ),
            "@nvram" => (
                blank
                    || value
                        .rsplit_once('/')
                        .is_some_and(|(folder, name)| folder == NVRAM_FOLDER && is_name(name)),
                format!("a file directly in {NVRAM_FOLDER}"),
            ),
            "@boot" => {
                let pool = self.policy.volume_at(value);
                let pools = self.policy.pools_for(PoolPurpose::Images);
                (
                    pool.is_some_and(|(pool, _)| pool.purpose == PoolPurpose::Images),
                    format!("a file in {}", names(pools.map(|pool| pool.path.display()))),
                )
            }
            "@emulator" => (
                value.starts_with('/'),
                "the QEMU of the distribution, by its absolute path".to_owned(),
            ),
            "@pty" => (
                value
                    .strip_prefix("/dev/pts/")
                    .is_some_and(|number| number.parse::<u32>().is_ok()),
                "a terminal that libvirt made".to_owned(),
            ),
            "@channel" => (
                self.is_own_socket(&CHANNEL_FOLDERS, value),
                "the socket that libvirt makes, which is not named".to_owned(),
            ),
            "@own-socket" => (
                self.is_own_socket(&SOCKET_FOLDERS, value),
                "the socket that libvirt makes, which is not named".to_owned(),
            ),
            "@listen" => (
                is_loopback(value) || allows(self.policy, Feature::RemoteDisplay),
                "127.0.0.1, ::1; others need feature remote-display".to_owned(),
            ),
            "@random" => (
                blank || matches!(value.trim(), "/dev/urandom" | "/dev/random"),
                "/dev/urandom, /dev/random".to_owned(),
            ),
            _ => return allowed::fits(self.policy, rule, value),
        };
        if fits { Ok(()) } else { Err(allowed) }
    }
}

/// Letters, digits and signs that mean nothing to anybody.
fn is_word(value: &str) -> bool {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | ':' | ',');
    !value.is_empty() && value.len() <= 128 && value.chars().all(plain) && !value.starts_with("..")
}

/// What can be one part of a path, and one line of a message.
fn is_name(value: &str) -> bool {
    let strange = |c: char| c == '/' || c.is_control();
    !value.is_empty() && !matches!(value, "." | "..") && !value.contains(strange)
}

fn in_folders(path: &str, folders: &[&str]) -> bool {
    let plain = path.split('/').skip(1).all(is_name);
    let below = |folder: &&str| {
        path.strip_prefix(*folder)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    plain && folders.iter().any(below)
}

fn is_loopback(address: &str) -> bool {
    address == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
