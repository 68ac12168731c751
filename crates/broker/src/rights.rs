// SPDX-License-Identifier: GPL-3.0-or-later
//! The broker's own rights: what it lacks, and what it or others have too much of.
//!
//! Looked at once, when it starts, and told in the log. Nothing here keeps it from starting.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use hv_guard::HostPolicy;
use hv_port::rights::{self, Finding, Process, Reach};
use uzers::os::unix::GroupExt;

use crate::{account::Access, config::Config};

const NAME: &str = "hv-broker";

/// What the rights of this process and of its files should not be.
pub fn examine(
    process: &Process,
    config: &Config,
    config_file: &Path,
    access: &Access,
) -> Vec<Finding> {
    let mut findings = process.excess(NAME, group_name);
    findings.extend(policy(&config.policy));
    findings.extend(own_file(config_file, process));
    let folder = config.socket.parent().unwrap_or(Path::new("/"));
    findings.extend(rights::replaceable(folder, process.user));
    findings.extend(callers(process, access));
    findings.extend(socket_group(process, access));
    findings.extend(network());
    findings.extend(kvm());
    if let Some(socket) = libvirt_socket(&config.libvirt_uri) {
        findings.extend(libvirt(&socket, process));
    }
    findings
}

fn group_name(group: u32) -> Option<String> {
    let group = uzers::get_group_by_gid(group)?;
    Some(group.name().to_string_lossy().into_owned())
}

fn policy(path: &Path) -> Option<Finding> {
    let error = HostPolicy::load(path).err()?;
    Some(Finding::missing(
        format!("Without the host's policy nothing is made or started: {error}."),
        format!(
            "Make {} a file that root owns and only root can write.",
            path.display()
        ),
    ))
}

/// The configuration says where the policy is and whom the broker acts for.
fn own_file(path: &Path, process: &Process) -> Option<Finding> {
    let status = fs::metadata(path).ok()?;
    let is_roots = status.uid() == 0 || process.user == status.uid();
    (!is_roots || status.mode() & 0o022 != 0).then(|| {
        let (path, ownership) = (path.display(), rights::ownership(path));
        Finding::excess(
            format!("Others can change the broker's configuration {path} ({ownership})."),
            format!("chown root {path} && chmod go-w {path}"),
        )
    })
}

fn callers(process: &Process, access: &Access) -> Option<Finding> {
    let others = access
        .users
        .iter()
        .any(|user| ![0, process.user].contains(user));
    (!others && process.user != 0).then(|| {
        Finding::missing(
            "No user but root and the broker's own may use the port, so hvd can't.",
            "In the broker's configuration: allow_users = [\"hvd\"].",
        )
    })
}

/// Only root can give a socket to a user, or to a group that it is not in.
fn socket_group(process: &Process, access: &Access) -> Option<Finding> {
    if process.user == 0 {
        return None;
    }
    let missing = |what: String, fix: &str| Some(Finding::missing(what, fix));
    match (access.group, access.owner) {
        (Some(group), _) if !process.groups.contains(&group) => missing(
            format!("The broker is not in group {group}, so it can't give its socket to it."),
            "In its unit: SupplementaryGroups= with that group.",
        ),
        (None, Some(owner)) => missing(
            format!("The broker can't give its socket to user {owner}: that takes root."),
            "In its configuration: socket_group, with a group of that user's; in its unit: \
             SupplementaryGroups= with the same group.",
        ),
        _ => None,
    }
}

/// Devices of the network that this process sees.
fn network() -> Option<Finding> {
    let devices = fs::read_to_string("/proc/self/net/dev").ok()?;
    let names = devices.lines().filter_map(|line| line.split_once(':'));
    let names: Vec<_> = names
        .map(|(name, _)| name.trim())
        .filter(|name| *name != "lo")
        .collect();
    (!names.is_empty()).then(|| {
        Finding::excess(
            format!(
                "The broker has a network, which it has no use for: {}.",
                names.join(", ")
            ),
            "In its unit: PrivateNetwork=yes.",
        )
    })
}

fn kvm() -> Option<Finding> {
    let device = Path::new("/dev/kvm");
    (rights::reach(device) == Reach::Closed).then(|| {
        Finding::missing(
            format!(
                "The broker may not open /dev/kvm ({}), so it can't tell whether KVM works, and VMs \
                 are emulated.",
                rights::ownership(device)
            ),
            "In its unit: SupplementaryGroups=kvm and DeviceAllow=/dev/kvm rw.",
        )
    })
}

/// Where libvirt listens, if it is a daemon of this host.
fn libvirt_socket(uri: &str) -> Option<PathBuf> {
    let rest = uri
        .strip_prefix("qemu")
        .filter(|rest| rest.contains("///system"))?;
    let named = rest
        .split_once("?socket=")
        .map(|(_, path)| PathBuf::from(path));
    // The daemon of QEMU alone comes first: libvirt's library looks for it first, too.
    let usual = || {
        let sockets =
            ["virtqemud-sock", "libvirt-sock"].map(|name| Path::new("/run/libvirt").join(name));
        let found = sockets.iter().find(|path| path.exists()).or(sockets.last());
        found.cloned()
    };
    named.or_else(usual)
}

fn libvirt(socket: &Path, process: &Process) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (path, ownership) = (socket.display(), rights::ownership(socket));
    match rights::reach(socket) {
        Reach::Open => {}
        Reach::Closed => findings.push(Finding::missing(
            format!("The broker may not open libvirt's socket {path} ({ownership})."),
            "Give the socket to the group hv-broker: packaging/libvirt says how.",
        )),
        Reach::Absent => findings.push(Finding::missing(
            format!("libvirt's socket {path} is not there."),
            "systemctl start libvirtd.socket",
        )),
    }
    let read_only = PathBuf::from(format!("{path}-ro"));
    for socket in [socket, &read_only] {
        findings.extend(reached_by_others(socket, process));
    }
    findings
}

/// Whoever reaches libvirt's socket is root on the host, and past every policy of ours.
fn reached_by_others(socket: &Path, process: &Process) -> Option<Finding> {
    let status = fs::metadata(socket).ok()?;
    let (path, ownership) = (socket.display(), rights::ownership(socket));
    if status.mode() & 0o006 != 0 {
        return Some(Finding::excess(
            format!("Everybody on this host can open libvirt's socket {path} ({ownership})."),
            "SocketMode=0660 and SocketGroup=hv-broker in a drop-in of its socket unit, or \
             unix_sock_rw_perms, unix_sock_ro_perms and unix_sock_group in libvirtd.conf.",
        ));
    }
    if process.user == 0 || status.mode() & 0o060 == 0 {
        return None;
    }
    let group = uzers::get_group_by_gid(status.gid())?;
    let own = uzers::get_user_by_uid(process.user);
    let own = own.map(|user| user.name().to_owned());
    let members: BTreeSet<_> = group
        .members()
        .iter()
        .filter(|name| Some(*name) != own.as_ref())
        .collect();
    (!members.is_empty()).then(|| {
        let group = group.name().to_string_lossy();
        let members: Vec<_> = members.iter().map(|name| name.to_string_lossy()).collect();
        let members = members.join(", ");
        Finding::excess(
            format!("{members} can open libvirt's socket {path} by the group {group}, and so become root."),
            format!("Take them out of it: gpasswd --delete NAME {group}, or give the socket to another group."),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn service() -> Process {
        Process {
            user: 60_902,
            groups: [60_902].into(),
            ..Process::default()
        }
    }

    fn access(users: &[u32], owner: Option<u32>, group: Option<u32>) -> Access {
        Access {
            users: users.iter().copied().collect(),
            owner,
            group,
        }
    }

    fn told(finding: Option<Finding>) -> String {
        finding
            .map(|finding| finding.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn a_policy_that_is_missing_or_that_others_can_write_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        assert!(told(policy(&path)).contains("can't be read"));
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(told(policy(&path)).contains("not trusted"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(policy(&path), None);
    }

    #[test]
    fn a_configuration_that_others_can_write_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let own = Process {
            user: rustix::process::geteuid().as_raw(),
            ..Process::default()
        };
        assert_eq!(own_file(file.path(), &own), None);
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o664)).unwrap();
        assert!(
            told(own_file(file.path(), &own)).contains("can change the broker's configuration")
        );
    }

    #[test]
    fn a_socket_that_hvd_could_not_open_is_told() {
        assert!(
            told(callers(&service(), &access(&[0, 60_902], None, None))).contains("allow_users")
        );
        assert_eq!(callers(&service(), &access(&[0, 60_901], None, None)), None);
        let group = access(&[60_901], None, Some(60_901));
        assert!(told(socket_group(&service(), &group)).contains("not in group 60901"));
        let owner = access(&[60_901], Some(60_901), None);
        assert!(told(socket_group(&service(), &owner)).contains("that takes root"));
        let own = access(&[60_901], None, Some(60_902));
        assert_eq!(socket_group(&service(), &own), None);
    }

    #[test]
    fn the_socket_of_libvirt_is_found_from_its_address() {
        for (uri, socket) in [
            ("qemu:///system?socket=/x/sock", Some("/x/sock")),
            ("qemu+unix:///system?socket=/x/sock", Some("/x/sock")),
            ("test:///default", None),
            ("qemu:///session", None),
        ] {
            assert_eq!(libvirt_socket(uri), socket.map(PathBuf::from), "{uri}");
        }
        let usual = libvirt_socket("qemu:///system").unwrap();
        assert!(usual.starts_with("/run/libvirt"));
    }

    #[test]
    fn a_libvirt_that_is_not_there_or_that_everybody_can_open_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("libvirt-sock");
        let said = libvirt(&socket, &service());
        assert!(said[0].what.contains("is not there"), "{said:?}");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).unwrap();
        let said = libvirt(&socket, &service());
        assert!(
            said.len() == 1 && said[0].what.contains("Everybody"),
            "{said:?}"
        );
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(libvirt(&socket, &service()), []);
    }
}
