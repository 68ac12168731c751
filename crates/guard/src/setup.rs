// SPDX-License-Identifier: GPL-3.0-or-later
//! Putting the hook where libvirt looks for it, and telling whether it does its work.
//!
//! libvirt runs `hooks/qemu` and then, since 6.5, each program in `hooks/qemu.d`; one that fails
//! refuses. So nothing that others put there can pass what this hook refuses, unless somebody with
//! root's rights removes it.

use std::{
    fmt, fs, io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    policy::HostPolicy,
    spool,
    trust::{self, Doubt},
};

/// Where libvirt looks for hooks, where distributions did not move it.
pub const HOOKS: &str = "/etc/libvirt/hooks";

/// The hook's name in `qemu.d`.
const NAME: &str = "hyper-nixos";

/// What tells our hook from others'.
const MARK: &str = "# The hook of hv-guard: refuses what the host's policy does not allow.";

/// A file that is touched whenever the hook is called.
const CALLED: &str = "called";

/// What libvirt writes when it starts: the number of its process.
const PIDS: [&str; 2] = ["/run/libvirtd.pid", "/run/virtqemud.pid"];

/// Something about the hook that is well or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `policy`, `pool`, `hook` or `libvirt`.
    pub about: &'static str,
    /// Whether it is as it should be.
    pub well: bool,
    /// What was found, and how to mend it.
    pub observed: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.well { "ok  " } else { "FAIL" };
        write!(f, "{sign}  {:<8} {}", self.about, self.observed)
    }
}

/// Installs the hook for this program under this policy.
pub fn install(hooks: &Path, program: &Path, policy: &Path) -> io::Result<PathBuf> {
    let program = program.canonicalize()?;
    expect_private(&program)?;
    let plain = |path: &Path| {
        let text = path
            .to_str()
            .filter(|text| !text.contains(|c: char| c == '\'' || c.is_control()));
        let fault =
            || io::Error::other(format!("{} can't be written into a script", path.display()));
        text.map(str::to_owned).ok_or_else(fault)
    };
    let script = format!(
        "#!/bin/sh\n{MARK}\nexec '{}' --policy '{}' --hook \"$@\"\n",
        plain(&program)?,
        plain(policy)?
    );
    let folder = hooks.join("qemu.d");
    fs::create_dir_all(&folder)?;
    let hook = folder.join(NAME);
    expect_ours(&hook)?;
    let partial = folder.join(format!(".{NAME}.partial"));
    if partial.symlink_metadata().is_ok() {
        fs::remove_file(&partial)?;
    }
    let mut file = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(&partial)?;
    io::Write::write_all(&mut file, script.as_bytes())?;
    file.sync_all()?;
    fs::rename(&partial, &hook)?;
    Ok(hook)
}

/// Removes the hook; whether there was one.
pub fn remove(hooks: &Path) -> io::Result<bool> {
    let hook = hooks.join("qemu.d").join(NAME);
    expect_ours(&hook)?;
    match fs::remove_file(&hook) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Notes that libvirt called the hook.
pub fn note_called(folder: &Path) -> io::Result<()> {
    spool::make(folder)?;
    let file = fs::File::options()
        .create(true)
        .append(true)
        .mode(0o640)
        .open(folder.join(CALLED))?;
    file.set_modified(SystemTime::now())
}

/// Whether the hook does its work.
pub fn status(hooks: &Path, policy: &Path, spool: &Path) -> Vec<Finding> {
    let mut findings = policy_findings(policy);
    let hook = hooks.join("qemu.d").join(NAME);
    findings.push(hook_finding(&hook));
    findings.push(libvirt_finding(&hook, spool));
    findings
}

fn policy_findings(path: &Path) -> Vec<Finding> {
    let about = "policy";
    let policy = match HostPolicy::load(path) {
        Ok(policy) => policy,
        Err(error) => {
            let observed = format!("{error}; everything is refused");
            return vec![Finding {
                about,
                well: false,
                observed,
            }];
        }
    };
    let observed = format!(
        "{} is trusted: {} pools, {} networks, {} bridges",
        path.display(),
        policy.pools.len(),
        policy.networks.len(),
        policy.bridges.len()
    );
    let mut findings = vec![Finding {
        about,
        well: true,
        observed,
    }];
    findings.extend(policy.pools.iter().map(|pool| {
        let fault = pool_fault(&pool.path);
        let path = pool.path.display();
        let observed = match &fault {
            None => format!("{}: nobody but root can put files into {path}", pool.name),
            Some(fault) => format!("{}: {fault}", pool.name),
        };
        Finding {
            about: "pool",
            well: fault.is_none(),
            observed,
        }
    }));
    findings
}

/// What makes a pool's folder unsafe. One that is not there yet will be made by libvirt, as root.
fn pool_fault(path: &Path) -> Option<String> {
    let looked = path.canonicalize().and_then(|real| {
        let status = real.symlink_metadata()?;
        Ok((real, status))
    });
    match looked {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(format!("{}: {error}", path.display())),
        Ok((real, status)) => {
            let judged =
                trust::expect_part(&real, &status).and_then(|()| trust::expect_folders(&real));
            judged.err().map(|doubt| told(&real, doubt).to_string())
        }
    }
}

fn hook_finding(hook: &Path) -> Finding {
    let about = "hook";
    let shown = hook.display();
    let bad = |why: String| Finding {
        about,
        well: false,
        observed: why,
    };
    let Ok(real) = hook.canonicalize() else {
        return bad(format!("{shown} is not there: hv-guard --install"));
    };
    if let Err(error) = expect_private(&real) {
        return bad(format!("{shown} is not safe from others: {error}"));
    }
    match real.metadata() {
        Ok(status) if status.permissions().mode() & 0o111 != 0 => {}
        _ => return bad(format!("{shown} can't be run: chmod 755 {shown}")),
    }
    let observed = format!("{shown} is in its place");
    Finding {
        about,
        well: true,
        observed,
    }
}

/// libvirt looks for hooks once, when it starts.
fn libvirt_finding(hook: &Path, spool: &Path) -> Finding {
    let about = "libvirt";
    let placed = hook.symlink_metadata().and_then(|status| status.modified());
    let called = fs::metadata(spool.join(CALLED)).and_then(|status| status.modified());
    let started = PIDS
        .iter()
        .find_map(|path| fs::metadata(path).ok()?.modified().ok());
    let (well, observed) = match (placed, called, started) {
        (Err(_), _, _) => (false, "it has no hook to call".to_owned()),
        (Ok(placed), Ok(called), _) if called >= placed => {
            (true, "it has called the hook".to_owned())
        }
        (Ok(placed), _, Some(started)) if started >= placed => (
            true,
            "it started when the hook was there, and has had no VM to ask for".to_owned(),
        ),
        (Ok(_), _, Some(_)) => (
            false,
            "it started before the hook was there: systemctl restart libvirtd".to_owned(),
        ),
        (Ok(_), _, None) => (
            true,
            "it does not run, and looks for hooks when it starts".to_owned(),
        ),
    };
    Finding {
        about,
        well,
        observed,
    }
}

/// That what is there, if anything, was put there by us.
fn expect_ours(hook: &Path) -> io::Result<()> {
    match fs::read_to_string(hook) {
        Ok(text) if text.contains(MARK) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => Err(io::Error::other(format!(
            "{} is not hv-guard's",
            hook.display()
        ))),
        Err(error) => Err(error),
    }
}

fn expect_private(real: &Path) -> io::Result<()> {
    let status = real.symlink_metadata()?;
    trust::expect_private(real, &status).map_err(|doubt| told(real, doubt))
}

fn told(path: &Path, doubt: Doubt) -> io::Error {
    match doubt {
        Doubt::Shared { part, why } => io::Error::other(format!("{}: {why}", part.display())),
        Doubt::Unknown(error) => io::Error::other(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            fs::write(place.at("hv-guard"), "#!/bin/sh\necho \"$@\"\n").unwrap();
            fs::set_permissions(place.at("hv-guard"), fs::Permissions::from_mode(0o755)).unwrap();
            fs::write(place.at("policy.toml"), "").unwrap();
            fs::set_permissions(place.at("policy.toml"), fs::Permissions::from_mode(0o644))
                .unwrap();
            place
        }

        fn at(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn install(&self) -> io::Result<PathBuf> {
            install(
                &self.at("hooks"),
                &self.at("hv-guard"),
                &self.at("policy.toml"),
            )
        }

        fn faults(&self) -> Vec<&'static str> {
            let findings = status(&self.at("hooks"), &self.at("policy.toml"), self.0.path());
            let bad = findings.iter().filter(|finding| !finding.well);
            bad.map(|finding| finding.about).collect()
        }
    }

    #[test]
    fn what_is_installed_passes_on_what_libvirt_says_and_is_removed_again() {
        let place = Place::new();
        assert_eq!(place.faults(), ["hook", "libvirt"]);
        let hook = place.install().unwrap();
        place.install().unwrap();
        let output = Command::new(&hook)
            .args(["a b", "prepare", "begin", "-"])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let policy = place.at("policy.toml");
        assert_eq!(
            said,
            format!("--policy {} --hook a b prepare begin -\n", policy.display())
        );
        note_called(place.0.path()).unwrap();
        assert!(place.faults().is_empty());
        assert!(remove(&place.at("hooks")).unwrap());
        assert!(!remove(&place.at("hooks")).unwrap());
    }

    #[test]
    fn what_others_put_there_is_left_alone_and_told_of() {
        let place = Place::new();
        let hook = place.install().unwrap();
        fs::write(&hook, "#!/bin/sh\nexit 0\n").unwrap();
        place.install().unwrap_err();
        remove(&place.at("hooks")).unwrap_err();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(place.faults().contains(&"hook"));
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(place.faults().contains(&"hook"));
    }

    #[test]
    fn a_program_that_others_can_change_is_not_installed() {
        let place = Place::new();
        fs::set_permissions(place.at("hv-guard"), fs::Permissions::from_mode(0o777)).unwrap();
        place.install().unwrap_err();
        assert!(!place.at("hooks").exists());
    }

    #[test]
    fn a_policy_that_is_not_trusted_and_a_pool_that_is_not_safe_are_told_of() {
        let place = Place::new();
        fs::write(
            place.at("policy.toml"),
            format!(
                "[[pools]]\nname = 'a'\npath = '{}'\n",
                place.at("pool").display()
            ),
        )
        .unwrap();
        assert_eq!(place.faults(), ["hook", "libvirt"]);
        fs::create_dir(place.at("pool")).unwrap();
        fs::set_permissions(place.at("pool"), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(place.faults(), ["pool", "hook", "libvirt"]);
        fs::set_permissions(place.at("policy.toml"), fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(place.faults(), ["policy", "hook", "libvirt"]);
    }
}
