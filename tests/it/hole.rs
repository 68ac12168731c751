// SPDX-License-Identifier: GPL-3.0-or-later
//! Three routes from libvirt's socket to a file that only root may read, and who can go them.
//!
//! A pool on the file's folder, from which it is downloaded; a disk that is the file; and a label
//! under which QEMU is root. Where libvirt is set up as distributions do, each member of the group
//! `libvirt` goes all three. Here nobody but root reaches the socket, and root's own VMs go past
//! the hook.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use hv_e2e::{PrivateHost, policy};

use crate::guard::place::{Place, disk, domain};

/// A user without rights.
const STRANGER: &str = "nobody";

/// Who tries.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    /// A user in no special group.
    Stranger,
    /// A user in the group `libvirt`.
    Member,
    /// Root.
    Root,
}

impl Place {
    /// Runs virsh as somebody: what it printed, or complained.
    fn virsh_as(&self, who: Who, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new("setpriv");
        match who {
            Who::Stranger => {
                command.args(["--reuid", STRANGER, "--regid", "nogroup", "--clear-groups"])
            }
            Who::Member => command.args([
                "--reuid", STRANGER, "--regid", "nogroup", "--groups", "libvirt",
            ]),
            Who::Root => &mut command,
        };
        let output = command
            .args(["virsh", "-q", "-c", self.host.libvirt_uri()])
            .args(arguments)
            .current_dir("/")
            .env("HOME", "/nonexistent")
            .output()
            .expect("setpriv and virsh are installed");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// A file that anybody may read: what is asked of libvirt.
    fn wish(&self, text: &str) -> String {
        let path = self.host.folder().join("wish.xml");
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A pool on a folder that only root may enter, and what lies in it.
    fn by_pool(&self, who: Who) -> Result<bool, String> {
        fs::write(self.cellar().join("secret"), "the canary sings").unwrap();
        let pool = format!(
            "<pool type='dir'><name>hole</name><target><path>{}</path></target></pool>",
            self.cellar().display()
        );
        self.virsh_as(who, &["pool-create", &self.wish(&pool)])?;
        let taken = self.host.folder().join("taken");
        fs::write(&taken, "").unwrap();
        fs::set_permissions(&taken, fs::Permissions::from_mode(0o666)).unwrap();
        let download = [
            "vol-download",
            "--pool",
            "hole",
            "secret",
            &taken.display().to_string(),
        ];
        let done = self.virsh_as(who, &download);
        self.virsh_as(who, &["pool-destroy", "hole"])?;
        done?;
        Ok(fs::read_to_string(taken)
            .unwrap()
            .contains("the canary sings"))
    }

    /// A disk that is a file which only root may read.
    fn by_disk(&self, who: Who) -> Result<bool, String> {
        self.make_canary();
        let xml = disk("hole", &self.canary().display().to_string(), "raw");
        self.virsh_as(who, &["create", &self.wish(&xml)])?;
        let reached = !self.canary_is_safe();
        self.virsh_as(who, &["destroy", "hole"])?;
        Ok(reached)
    }

    /// A label under which QEMU is root.
    fn by_label(&self, who: Who) -> Result<bool, String> {
        let label = "<seclabel type='static' model='dac' relabel='no'><label>+0:+0</label></seclabel></domain>";
        let xml = domain("hole", "", "").replace("</domain>", label);
        self.virsh_as(who, &["create", &self.wish(&xml)])?;
        let reached = self.runs_as_root("hole");
        self.virsh_as(who, &["destroy", "hole"])?;
        Ok(reached)
    }

    fn routes(&self, who: Who) -> [Result<bool, String>; 3] {
        [self.by_pool(who), self.by_disk(who), self.by_label(who)]
    }
}

#[test]
fn as_distributions_set_libvirt_up_each_member_of_its_group_is_root() {
    let place = Place::on(PrivateHost::start_as_distributed());
    for reached in place.routes(Who::Member) {
        assert_eq!(reached, Ok(true));
    }
}

#[test]
fn with_our_settings_the_three_routes_to_root_are_closed_to_all_but_root() {
    // As packaging does: the group of libvirt's socket is the broker's own, also for reading. Here
    // a group that nobody is in stands for it.
    let settings = "unix_sock_group = \"daemon\"\nunix_sock_ro_perms = \"0770\"\n";
    let place = Place::on(PrivateHost::start_with_conf(settings));
    place.host.set_policy(&policy(&place.host.pools()));
    for who in [Who::Stranger, Who::Member] {
        for reached in place.routes(who) {
            let complaint = reached.unwrap_err();
            assert!(complaint.contains("Permission denied"), "{complaint}");
        }
        // Nor by the socket for looking.
        let uri = place
            .host
            .libvirt_uri()
            .replace("libvirt-sock", "libvirt-sock-ro");
        let looked = place.virsh_as(who, &["-r", "-c", &uri, "list"]);
        assert!(looked.unwrap_err().contains("Permission denied"));
    }
    // Root may make pools. What it starts goes past the hook.
    let [pool, disk, label] = place.routes(Who::Root);
    assert_eq!(pool, Ok(true));
    for refused in [disk, label] {
        let complaint = refused.unwrap_err();
        assert!(complaint.contains("hv-guard"), "{complaint}");
    }
}
