// SPDX-License-Identifier: GPL-3.0-or-later
//! The users that the product's processes run as: real ones to the kernel, known to no file of
//! this machine.
//!
//! Their numbers are of a range that systemd leaves to nobody. Inside a private host they have
//! names, too; so do the people there.

use std::{ffi::OsStr, fs, os::unix::fs::MetadataExt, path::Path, process::Command};

/// A user with the groups that it is in besides its own, which has its number.
#[derive(Debug, Clone, Copy)]
pub struct User {
    /// Its name on a private host.
    pub name: &'static str,
    /// Its number, and that of its own group.
    pub id: u32,
    groups: &'static [u32],
}

/// Whose members may open hvd's socket.
pub const USERS_GROUP: &str = "hv-users";
const USERS: u32 = 60_920;

/// What hvd runs as.
pub const HVD: User = User {
    name: "hvd",
    id: 60_901,
    groups: &[USERS],
};

/// What hv-broker runs as; its socket is for the group of hvd.
pub const BROKER: User = User {
    name: "hv-broker",
    id: 60_902,
    groups: &[HVD.id],
};

/// Somebody who runs VMs.
pub const ADA: User = User {
    name: "ada",
    id: 60_910,
    groups: &[USERS],
};

/// Somebody else who runs VMs.
pub const BOB: User = User {
    name: "bob",
    id: 60_911,
    groups: &[USERS],
};

const ALL: [User; 4] = [HVD, BROKER, ADA, BOB];

impl User {
    /// The words before a command that let it run as this user: no right of root's is left, none
    /// can be got back, and it ends with the process that started it.
    pub fn prefix(self) -> Vec<String> {
        let kvm = (self.id == BROKER.id).then(kvm_group).flatten();
        let groups = self.groups.iter().copied().chain(kvm);
        let groups: Vec<_> = groups.map(|group| group.to_string()).collect();
        let groups = match groups.as_slice() {
            [] => "--clear-groups".to_owned(),
            groups => format!("--groups={}", groups.join(",")),
        };
        let (user, group) = (
            format!("--reuid={}", self.id),
            format!("--regid={}", self.id),
        );
        [
            "setpriv",
            "--pdeathsig=KILL",
            "--no-new-privs",
            "--inh-caps=-all",
            "--bounding-set=-all",
            &user,
            &group,
            &groups,
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// A command of this user's.
    pub fn command(self, program: impl AsRef<OsStr>) -> Command {
        let prefix = self.prefix();
        let mut words = prefix.iter();
        let mut command = Command::new(words.next().expect("setpriv"));
        command.args(words).arg(program);
        command
    }
}

/// The group that may use KVM, where there is one.
fn kvm_group() -> Option<u32> {
    let device = fs::metadata("/dev/kvm").ok()?;
    (device.mode() & 0o060 == 0o060).then(|| device.gid())
}

/// Whether this process may become other users.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Lines for the `passwd` of a private host.
pub(crate) fn passwd() -> String {
    let line = |user: User| passwd_line(user.name, user.id);
    let own: String = ALL.into_iter().map(line).collect();
    own + &attackers()
        .map(|(name, id)| passwd_line(&name, id))
        .collect::<String>()
}

/// The users that the attack suite's actors are.
fn attackers() -> impl Iterator<Item = (String, u32)> {
    hv_attack::Actor::users()
}

fn passwd_line(name: &str, id: u32) -> String {
    format!("{name}:x:{id}:{id}::/nonexistent:/bin/sh\n")
}

/// Lines for its `group`.
pub(crate) fn group() -> String {
    let members = |id: u32| {
        let members = ALL.iter().filter(|user| user.groups.contains(&id));
        members.map(|user| user.name).collect::<Vec<_>>().join(",")
    };
    let line = |user: User| format!("{}:x:{}:{}\n", user.name, user.id, members(user.id));
    let own: String = ALL.into_iter().map(line).collect();
    let line_of_attacker = |(name, id): (String, u32)| format!("{name}:x:{id}:\n");
    let actors: String = attackers().map(line_of_attacker).collect();
    format!("{own}{actors}{USERS_GROUP}:x:{USERS}:{}\n", members(USERS))
}

/// A program where every user can run it: where it is, or else a copy in this folder.
pub(crate) fn reachable(program: &Path, folder: &Path) -> std::path::PathBuf {
    let mut folders = program.ancestors().skip(1);
    if folders.all(|folder| fs::metadata(folder).is_ok_and(|status| status.mode() & 1 != 0)) {
        return program.to_owned();
    }
    let copy = folder.join(program.file_name().expect("a program has a name"));
    if !copy.exists() {
        fs::copy(program, &copy).expect("our own folder");
    }
    copy
}
