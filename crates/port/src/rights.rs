// SPDX-License-Identifier: GPL-3.0-or-later
//! What a process may do, and what neither half of the boundary must be able to.
//!
//! The port is a boundary only as long as hvd can't go around it and the broker can do nothing
//! besides. Both look at their own rights when they start, and say what is missing and what is too
//! much. They start all the same: VMs must not stay down because a folder has a wrong mode.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

pub use hv_model::rights::{Finding, FindingKind};
use rustix::fs::Access;

/// Groups whose members are root, or nearly: by libvirt, by the disks, by a container engine, by
/// the passwords, by sudo.
const GROUPS_OF_ROOT: [&str; 12] = [
    "root",
    "libvirt",
    "libvirt-qemu",
    "qemu",
    "disk",
    "docker",
    "lxd",
    "incus-admin",
    "shadow",
    "sudo",
    "wheel",
    "admin",
];

/// The one capability that a broker may need, for the isolation of zones.
const CAP_NET_ADMIN: u32 = 12;

/// What the kernel says that this process may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// Its effective user.
    pub user: u32,
    /// Its groups, all of them.
    pub groups: BTreeSet<u32>,
    /// The numbers of the capabilities that it holds, or can take up at any time.
    pub capabilities: BTreeSet<u32>,
    /// Whether it could gain rights by running a setuid program.
    pub can_gain: bool,
}

impl Process {
    /// This process.
    pub fn this() -> io::Result<Self> {
        const PATH: &str = "/proc/self/status";
        let status = fs::read_to_string(PATH)?;
        let nonsense = || io::Error::new(io::ErrorKind::InvalidData, format!("{PATH} is unclear"));
        Self::read(&status).ok_or_else(nonsense)
    }

    /// From the text of `/proc/PID/status`.
    fn read(status: &str) -> Option<Self> {
        let values = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.strip_prefix(':')?.split_whitespace())
        };
        let numbers = |key| {
            values(key)?
                .map(|text| text.parse().ok())
                .collect::<Option<Vec<u32>>>()
        };
        let held = u64::from_str_radix(values("CapPrm")?.next()?, 16).ok()?;
        let mut groups: BTreeSet<_> = numbers("Groups")?.into_iter().collect();
        groups.insert(*numbers("Gid")?.get(1)?);
        Some(Self {
            user: *numbers("Uid")?.get(1)?,
            groups,
            capabilities: (0..64).filter(|number| held >> number & 1 == 1).collect(),
            can_gain: numbers("NoNewPrivs")?.first() == Some(&0),
        })
    }

    /// Rights that a half of the boundary of this name must not have, whatever it works on.
    /// `group_name` tells the names of groups.
    pub fn excess(&self, name: &str, group_name: impl Fn(u32) -> Option<String>) -> Vec<Finding> {
        if self.user == 0 {
            return vec![Finding::excess(
                format!("{name} runs as root, so whoever takes it over has the host."),
                format!("Give it a user of its own: User={name} in its unit."),
            )];
        }
        let mut findings = Vec::new();
        let allowed = if name == "hv-broker" {
            Some(CAP_NET_ADMIN)
        } else {
            None
        };
        let held: Vec<_> = self
            .capabilities
            .iter()
            .filter(|held| Some(**held) != allowed)
            .collect();
        if !held.is_empty() {
            let held = held
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            findings.push(Finding::excess(
                format!("{name} holds capabilities that it has no use for: {held}."),
                "In its unit: CapabilityBoundingSet= and AmbientCapabilities=.",
            ));
        }
        if self.can_gain {
            findings.push(Finding::excess(
                format!("{name} could gain rights by running a setuid program."),
                "In its unit: NoNewPrivileges=yes.",
            ));
        }
        let names = self.groups.iter().filter_map(|group| group_name(*group));
        for group in names.filter(|group| GROUPS_OF_ROOT.contains(&group.as_str())) {
            findings.push(Finding::excess(
                format!("{name} is in the group {group}, whose members can become root."),
                format!("gpasswd --delete {name} {group}"),
            ));
        }
        findings
    }
}

/// Whether a file is in this process's reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It can be read and written; a socket, connected to.
    Open,
    /// It is there and can't be.
    Closed,
    /// There is none, as far as can be seen.
    Absent,
}

/// Whether this process can read and write that file.
pub fn reach(path: &Path) -> Reach {
    match rustix::fs::access(path, Access::READ_OK | Access::WRITE_OK) {
        Ok(()) => Reach::Open,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Reach::Absent,
        Err(_) => Reach::Closed,
    }
}

/// A file's owner, group and mode in words, or why they can't be seen.
pub fn ownership(path: &Path) -> String {
    match fs::metadata(path) {
        Ok(status) => format!(
            "user {}, group {}, mode {:04o}",
            status.uid(),
            status.gid(),
            status.mode() & 0o7777
        ),
        Err(error) => error.to_string(),
    }
}

/// A folder in which somebody else could put a socket in the place of ours.
pub fn replaceable(folder: &Path, own: u32) -> Option<Finding> {
    const STICKY: u32 = 0o1000;
    let status = fs::metadata(folder).ok()?;
    let is_shared = status.mode() & 0o022 != 0 && status.mode() & STICKY == 0;
    let is_others = ![0, own].contains(&status.uid());
    (is_shared || is_others).then(|| {
        let path = folder.display();
        Finding::excess(
            format!(
                "Others can replace what is in {path} ({}), a socket too.",
                ownership(folder)
            ),
            format!("chown {own} {path} && chmod go-w {path}"),
        )
    })
}

/// Where libvirt's daemons listen.
pub fn libvirt_sockets() -> impl Iterator<Item = PathBuf> {
    let names = [
        "libvirt",
        "virtqemud",
        "virtstoraged",
        "virtnetworkd",
        "virtproxyd",
    ];
    let folder = Path::new("/run/libvirt");
    names.into_iter().flat_map(move |name| {
        ["-sock", "-sock-ro", "-admin-sock"].map(|end| folder.join(format!("{name}{end}")))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const STATUS: &str = "Name:\thvd\nUid:\t990\t991\t990\t990\nGid:\t980\t981\t980\t980\n\
        Groups:\t4 981 \nCapPrm:\t0000000000001000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n";

    fn names(group: u32) -> Option<String> {
        [(4, "disk"), (981, "hvd")]
            .iter()
            .find_map(|(id, name)| (*id == group).then(|| (*name).to_owned()))
    }

    fn told(process: &Process, name: &str) -> Vec<String> {
        let findings = process.excess(name, names);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_kernels_account_of_a_process_is_read() {
        let process = Process::read(STATUS).unwrap();
        assert_eq!((process.user, process.can_gain), (991, false));
        assert_eq!(process.groups, [4, 981].into());
        assert_eq!(process.capabilities, [CAP_NET_ADMIN].into());
        assert_eq!(Process::read("Name:\tx\n"), None);
        Process::this().unwrap();
    }

    #[test]
    fn a_service_user_with_nothing_more_is_as_it_should_be() {
        let process = Process {
            user: 990,
            groups: [981].into(),
            ..Process::default()
        };
        assert_eq!(told(&process, "hvd"), Vec::<String>::new());
    }

    #[test]
    fn root_capabilities_setuid_and_groups_of_root_are_too_much() {
        let mut process = Process::read(STATUS).unwrap();
        process.can_gain = true;
        let said = told(&process, "hvd");
        assert_eq!(said.len(), 3, "{said:?}");
        for (said, words) in said.iter().zip([": 12.", "setuid", "group disk"]) {
            assert!(said.contains(words), "{said}");
        }
        process.user = 0;
        let said = told(&process, "hvd");
        assert!(said.len() == 1 && said[0].contains("as root"), "{said:?}");
    }

    #[test]
    fn the_broker_alone_may_have_the_capability_that_zones_need() {
        let process = Process {
            groups: [981].into(),
            ..Process::read(STATUS).unwrap()
        };
        assert_eq!(told(&process, "hv-broker"), Vec::<String>::new());
        assert_eq!(told(&process, "hvd").len(), 1);
    }

    #[test]
    fn a_folder_that_others_can_change_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let own = rustix::process::geteuid().as_raw();
        let set = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode));
        for (mode, is_told) in [
            (0o755, false),
            (0o700, false),
            (0o1777, false),
            (0o775, true),
        ] {
            set(mode).unwrap();
            assert_eq!(
                replaceable(folder.path(), own).is_some(),
                is_told,
                "{mode:o}"
            );
        }
        set(0o755).unwrap();
        if own == 0 {
            std::os::unix::fs::chown(folder.path(), Some(4242), None).unwrap();
            assert!(replaceable(folder.path(), own).is_some());
        }
    }

    #[test]
    fn what_is_not_there_is_absent_and_ones_own_file_is_open() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(reach(&folder.path().join("nothing")), Reach::Absent);
        assert_eq!(reach(folder.path()), Reach::Open);
    }
}
