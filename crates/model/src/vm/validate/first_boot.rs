// SPDX-License-Identifier: GPL-3.0-or-later
//! Rules for what a guest is told at its first boot.

use super::findings::{Findings, is_printable};
use crate::vm::{CloudInit, VmSpec};

/// How many bytes a `#cloud-config` document may have.
const MAX_USER_DATA: usize = 64 << 10;
/// How many SSH keys a user may have.
const MAX_KEYS: usize = 64;
/// How many characters a key with its comment may have.
const MAX_KEY: usize = 8_192;
/// What OpenSSH takes as the kind of a public key.
const KEY_KINDS: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

pub(super) fn check(spec: &VmSpec, findings: &mut Findings) {
    let Some(cloud_init) = &spec.cloud_init else {
        return;
    };
    if let Some(hostname) = &cloud_init.hostname
        && !is_hostname(hostname)
    {
        let allowed = "1 to 253 letters, digits, '-' and '.', as RFC 1123 has it";
        findings.add(
            "cloud_init.hostname",
            hostname,
            "is not a host name",
            allowed,
        );
    }
    if findings.at_most("cloud_init.ssh_keys", cloud_init.ssh_keys.len(), MAX_KEYS) {
        for (index, key) in cloud_init.ssh_keys.iter().enumerate() {
            ssh_key(format!("cloud_init.ssh_keys[{index}]"), key, findings);
        }
    }
    user_data(cloud_init, findings);
}

fn ssh_key(path: String, key: &str, findings: &mut Findings) {
    let allowed = "a public key in one line, such as ssh-ed25519 AAAA… name@host";
    if key.contains("PRIVATE KEY") {
        // Whoever sent it by mistake does not want to see it again in a log.
        findings.add_plain(path, "a private key", "is not allowed here", allowed);
        return;
    }
    let mut words = key.split(' ');
    let kind = words.next().filter(|kind| KEY_KINDS.contains(kind));
    let is_key = match (kind, words.next()) {
        (Some(kind), Some(blob)) => holds_kind(blob, kind),
        _ => false,
    };
    if !is_key || key.contains(['\n', '\t']) || !is_printable(key) || key.len() > MAX_KEY {
        findings.add(path, key, "is not a public SSH key", allowed);
    }
}

/// Whether a key's blob says that it is of this kind, as RFC 4253, section 6.6 has it: first comes
/// the kind's length in four bytes, then the kind.
fn holds_kind(blob: &str, kind: &str) -> bool {
    let Some(bytes) = decode(blob) else {
        return false;
    };
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return false;
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    rest.len() > length && rest.get(..length) == Some(kind.as_bytes())
}

/// Base64 with padding, as RFC 4648, section 4 has it.
fn decode(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut collected, mut bits) = (0_u32, 0_u32);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        collected = collected << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(collected >> bits & 0xff).ok()?);
            collected &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

fn is_hostname(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

fn user_data(cloud_init: &CloudInit, findings: &mut Findings) {
    let Some(document) = &cloud_init.user_data else {
        return;
    };
    let path = "cloud_init.user_data";
    if document.len() > MAX_USER_DATA {
        let what = format!("has {} bytes", document.len());
        findings.add_plain(path, "the document", what, "at most 65536 bytes");
    }
    if document.lines().next().map(str::trim_end) != Some("#cloud-config") {
        let first = document.lines().next().unwrap_or_default();
        findings.add(
            path,
            first,
            "is not the first line of a cloud-config document",
            "#cloud-config",
        );
    }
    if !is_printable(&document.replace("\r\n", "\n")) {
        let allowed = "printable characters, tabs and line breaks";
        findings.add_plain(path, "the document", "has a control character", allowed);
    }
    let others = [
        ("hostname", cloud_init.hostname.is_some()),
        ("user", cloud_init.user.is_some()),
        ("ssh_keys", !cloud_init.ssh_keys.is_empty()),
    ];
    for (field, is_given) in others {
        if is_given {
            let what = "is given beside a whole document";
            findings.add_plain(
                format!("cloud_init.{field}"),
                field,
                what,
                "one or the other",
            );
        }
    }
}
