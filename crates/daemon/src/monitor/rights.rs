// SPDX-License-Identifier: GPL-3.0-or-later
//! The rights of hvd and of the broker: what they lack, and what they have too much of.
//!
//! Each looks at its own once, when it starts; told in the log and by health. A wrong right does not
//! keep hvd from starting, unless it can't do its work at all.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use hv_model::health::{Check, CheckStatus};
use hv_port::rights::{self, Finding, FindingKind, Process, Reach};

use super::health::{Facts, bad, pass};
use crate::config::Config;

/// Files of root's by which the broker judges.
const OF_THE_BROKER: [&str; 2] = [
    "/etc/hyper-nixos/host-policy.toml",
    "/etc/hyper-nixos/broker.toml",
];

/// What the rights of this process and of its files should not be.
pub fn examine(process: &Process, config: &Config) -> Vec<Finding> {
    let mut findings = process.excess("hvd", |group| {
        let group = uzers::get_group_by_gid(group)?;
        Some(group.name().to_string_lossy().into_owned())
    });
    findings.extend(state_folder(&config.state_dir, process));
    let folder = config.socket.parent().unwrap_or(Path::new("/"));
    findings.extend(socket_folder(folder));
    findings.extend(rights::replaceable(folder, process.user));
    findings.extend(socket_group(config.socket_group.as_deref(), process));
    findings.extend(broker_socket(&config.broker_socket));
    // To root everything is open, and that has been said.
    if process.user != 0 {
        findings.extend(ways_around(rights::libvirt_sockets()));
        findings.extend(writable(&OF_THE_BROKER));
    }
    findings
}

/// What health says of them: of the broker's nothing, as long as it was not asked.
pub(super) fn all(facts: &Facts) -> impl Iterator<Item = Check> {
    let excess = "hvd reads what the world sends. Whoever takes it over must not get at the host.";
    let own = check("daemon.rights", "hvd", &facts.rights, excess);
    let excess = "The broker reaches libvirt, which is root on this host. Neither it nor anybody else \
                  must be able to more than its work takes.";
    let told = facts.snapshot.broker_rights.as_ref();
    let of_the_broker = told.map(|told| check("broker.rights", "hv-broker", told, excess));
    std::iter::once(own).chain(of_the_broker)
}

fn check(id: &'static str, whose: &str, findings: &[Finding], excess: &str) -> Check {
    let Some(first) = findings.first() else {
        return pass(
            id,
            format!("{whose} has the rights that it needs, and no others."),
        );
    };
    let why = match first.kind {
        FindingKind::Missing => {
            format!("Without that right a part of {whose}'s work can't be done.")
        }
        FindingKind::Excess => excess.to_owned(),
    };
    let said: Vec<_> = findings
        .iter()
        .map(|finding| finding.what.as_str())
        .collect();
    let fixes = findings.iter().map(|finding| finding.fix.clone());
    let restart = std::iter::once(format!("systemctl restart {whose}"));
    bad(
        id,
        CheckStatus::Fail,
        said.join(" "),
        &why,
        fixes.chain(restart),
    )
}

/// What VMs are told at their first boot lies there, and may be secret.
fn state_folder(folder: &Path, process: &Process) -> Option<Finding> {
    let status = fs::metadata(folder).ok()?;
    let (path, ownership) = (folder.display(), rights::ownership(folder));
    if status.uid() != process.user {
        return Some(Finding::missing(
            format!("hvd's state folder {path} is not its own ({ownership})."),
            format!("chown -R {} {path}", process.user),
        ));
    }
    (status.mode() & 0o077 != 0).then(|| {
        Finding::excess(
            format!("Others can look into hvd's state folder {path} ({ownership})."),
            format!("chmod 700 {path}"),
        )
    })
}

fn socket_folder(folder: &Path) -> Option<Finding> {
    let path = folder.display();
    let missing = |what: String| {
        let fix = format!("mkdir -p {path} && chown hvd {path}; in its unit: RuntimeDirectory=.");
        Some(Finding::missing(what, fix))
    };
    match rights::reach(folder) {
        Reach::Open => None,
        Reach::Absent => missing(format!("The folder of hvd's socket, {path}, is not there.")),
        Reach::Closed => {
            let ownership = rights::ownership(folder);
            missing(format!(
                "hvd can't make its socket in {path} ({ownership})."
            ))
        }
    }
}

/// Only root can give a socket to a group that it is not in.
fn socket_group(group: Option<&str>, process: &Process) -> Option<Finding> {
    let known = uzers::get_group_by_name(group?)?;
    let is_in = process.user == 0 || process.groups.contains(&known.gid());
    let group = known.name().to_string_lossy();
    (!is_in).then(|| {
        Finding::missing(
            format!("hvd is not in the group {group}, so it can't give its socket to it."),
            format!("In its unit: SupplementaryGroups={group}."),
        )
    })
}

fn broker_socket(socket: &Path) -> Option<Finding> {
    (rights::reach(socket) == Reach::Closed).then(|| {
        let (path, ownership) = (socket.display(), rights::ownership(socket));
        Finding::missing(
            format!("hvd may not open the broker's socket {path} ({ownership})."),
            "In the broker's configuration: allow_users = [\"hvd\"] and socket_group = \"hvd\".",
        )
    })
}

/// Whoever reaches libvirt itself is root on the host, and needs no broker.
fn ways_around(sockets: impl Iterator<Item = PathBuf>) -> Option<Finding> {
    let open: Vec<_> = sockets
        .filter(|socket| rights::reach(socket) == Reach::Open)
        .map(|socket| socket.display().to_string())
        .collect();
    (!open.is_empty()).then(|| {
        Finding::excess(
            format!("hvd can open libvirt's own socket, past the broker: {}.", open.join(", ")),
            "Give libvirt's sockets to the group hv-broker alone, mode 0660: packaging/libvirt says \
             how.",
        )
    })
}

fn writable(paths: &[&str]) -> Option<Finding> {
    let is_open = |path: &&&str| rights::reach(Path::new(path)) == Reach::Open;
    let open: Vec<_> = paths.iter().filter(is_open).copied().collect();
    (!open.is_empty()).then(|| {
        let open = open.join(" ");
        Finding::excess(
            format!("hvd can write what the broker judges by: {open}."),
            format!("chown root {open} && chmod go-w {open}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::monitor::health::tests::facts;

    fn own() -> Process {
        Process {
            user: rustix::process::geteuid().as_raw(),
            ..Process::default()
        }
    }

    fn told(finding: Option<Finding>) -> String {
        finding
            .map(|finding| finding.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn a_state_folder_of_another_or_open_to_others_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let set = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode));
        set(0o700).unwrap();
        assert_eq!(state_folder(folder.path(), &own()), None);
        set(0o750).unwrap();
        assert!(told(state_folder(folder.path(), &own())).contains("chmod 700"));
        let other = Process {
            user: 4242,
            ..Process::default()
        };
        assert!(told(state_folder(folder.path(), &other)).contains("not its own"));
    }

    #[test]
    fn a_socket_that_has_no_place_or_no_group_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(socket_folder(folder.path()), None);
        assert!(told(socket_folder(&folder.path().join("x"))).contains("not there"));
        let service = Process {
            user: 60_901,
            groups: [60_901].into(),
            ..Process::default()
        };
        assert!(told(socket_group(Some("root"), &service)).contains("not in the group root"));
        assert_eq!(socket_group(None, &service), None);
    }

    #[test]
    fn a_way_around_the_broker_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("libvirt-sock");
        assert_eq!(ways_around([socket.clone()].into_iter()), None);
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(told(ways_around([socket].into_iter())).contains("past the broker"));
        let policy = folder.path().join("policy.toml");
        fs::write(&policy, "").unwrap();
        let said = told(writable(&[policy.to_str().unwrap()]));
        assert!(said.contains("judges by"), "{said}");
    }

    #[test]
    fn health_tells_every_wrong_right_with_what_mends_it() {
        let mut facts = facts(|_| {});
        let told: Vec<_> = all(&facts).map(|check| (check.id, check.status)).collect();
        assert_eq!(told, [("daemon.rights".to_owned(), CheckStatus::Pass)]);
        facts.rights = [
            Finding::excess("hvd runs as root.", "User=hvd"),
            Finding::missing("It can't make its socket.", "chown"),
        ]
        .into();
        let told = all(&facts).next().unwrap();
        assert_eq!(told.status, CheckStatus::Fail);
        assert_eq!(told.observed, "hvd runs as root. It can't make its socket.");
        assert_eq!(told.fixes, ["User=hvd", "chown", "systemctl restart hvd"]);
    }
}
