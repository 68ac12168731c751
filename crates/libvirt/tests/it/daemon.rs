// SPDX-License-Identifier: GPL-3.0-or-later
//! A libvirtd of a test's own: unprivileged, in a temporary folder, gone with the test.
//!
//! The test makes the listening socket and hands it over as a service manager would, so that the
//! first connection waits for the daemon by itself.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hv_libvirt::{Connection, Domain, Keepalive, OpenOptions, StartFlags};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

/// The user of the daemon when the test runs as root, under whom it would be the system's.
const NOBODY: u32 = 65_534;

/// A boot sector that writes `R` to the serial port and then all that it reads from there:
/// ```text
///       mov al, 'R'
/// send: mov dx, 0x3f8
///       out dx, al
///       mov dx, 0x3fd
/// wait: in al, dx
///       test al, 1
///       jz wait
///       mov dx, 0x3f8
///       in al, dx
///       jmp send
/// ```
pub(crate) const ECHO: &[u8] = &[
    0xb0, b'R', 0xba, 0xf8, 0x03, 0xee, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb, 0xba, 0xf8,
    0x03, 0xec, 0xeb, 0xee,
];

/// A boot sector that writes `A` to the serial port for ever.
pub(crate) const FLOOD: &[u8] = &[0xb0, b'A', 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xfd];

pub(crate) struct Daemon {
    child: Child,
    folder: TempDir,
    uri: String,
}

impl Daemon {
    /// Starts one. libvirtd and QEMU must be installed: a test does not pass by not running.
    pub(crate) fn start() -> Self {
        let libvirtd = installed("libvirtd").expect("libvirtd is installed");
        installed("qemu-system-x86_64").expect("qemu-system-x86_64 is installed");
        let folder = tempfile::tempdir().unwrap();
        let inside = |name: &str| folder.path().join(name);
        for name in ["run/libvirt", "config/libvirt", "cache", "data", "images"] {
            fs::create_dir_all(inside(name)).unwrap();
        }
        fs::write(
            inside("config/libvirt/qemu.conf"),
            "stdio_handler = \"file\"\n",
        )
        .unwrap();
        let socket = inside("run/libvirt/libvirt-sock");
        let listener = UnixListener::bind(&socket).unwrap();
        hand_over(folder.path());
        let script = "exec 3<&0 0</dev/null; \
                      LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=libvirtd.socket exec \"$0\"";
        let mut command = if geteuid().is_root() {
            let mut command = Command::new("setpriv");
            let user = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
            command.args(user).args(["--clear-groups", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        let child = command
            .args(["-c", script])
            .arg(libvirtd)
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .env("XDG_RUNTIME_DIR", inside("run"))
            .env("XDG_CONFIG_HOME", inside("config"))
            .env("XDG_CACHE_HOME", inside("cache"))
            .env("XDG_DATA_HOME", inside("data"))
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stderr(fs::File::create(inside("libvirtd.log")).unwrap())
            .spawn()
            .unwrap();
        let uri = format!("qemu+unix:///session?socket={}", socket.display());
        Self { child, folder, uri }
    }

    /// A connection with quick keepalives; waits until the daemon is up.
    pub(crate) fn connect(&self) -> Connection {
        let options = OpenOptions {
            keepalive: Some(Keepalive {
                interval_seconds: 1,
                count: 1,
            }),
            timeout: Duration::from_secs(120),
            ..OpenOptions::default()
        };
        let opened = Connection::open(&self.uri, options);
        opened.unwrap_or_else(|error| {
            let log = fs::read_to_string(self.folder.path().join("libvirtd.log"));
            panic!("{error}\n{}", log.unwrap_or_default())
        })
    }

    /// The folder for disks and pools.
    pub(crate) fn images(&self) -> PathBuf {
        self.folder.path().join("images")
    }

    /// Starts a VM from a boot sector.
    pub(crate) fn boot(&self, host: &Connection, name: &str, code: &[u8]) -> Domain {
        let mut disk = vec![0; 1 << 20];
        disk[..code.len()].copy_from_slice(code);
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        let path = self.images().join(format!("{name}.raw"));
        fs::write(&path, disk).unwrap();
        hand_over(&path);
        let xml = format!(
            "<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory>\
             <os><type arch='x86_64' machine='pc'>hvm</type></os><devices>\
             <disk type='file' device='disk'><driver name='qemu' type='raw'/>\
             <source file='{}'/><target dev='hda' bus='ide'/></disk>\
             <serial type='pty'/></devices></domain>",
            path.display()
        );
        let domain = host.define_domain(&xml).unwrap();
        domain.create(StartFlags::NONE).unwrap();
        domain
    }

    /// Sends the daemon a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(self.child.id()), signal).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
        // A QEMU outlives its libvirtd.
        let run = self.folder.path().join("run/libvirt/qemu/run");
        for file in fs::read_dir(run).into_iter().flatten().flatten() {
            let name = file.file_name();
            if Path::new(&name)
                .extension()
                .is_none_or(|extension| extension != "pid")
            {
                continue;
            }
            let number = fs::read_to_string(file.path()).unwrap_or_default();
            if let Ok(number) = number.trim().parse() {
                let _gone = kill_process(pid(number), Signal::KILL);
            }
        }
    }
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Gives a file, or a folder and all in it, to the daemon's user.
fn hand_over(path: &Path) {
    if !geteuid().is_root() {
        return;
    }
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        for entry in fs::read_dir(path).unwrap() {
            hand_over(&entry.unwrap().path());
        }
    }
}
