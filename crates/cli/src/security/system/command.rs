// SPDX-License-Identifier: GPL-3.0-or-later
//! The few programs that are asked, where no file says the same.
//!
//! They are looked for in the system's folders alone, never in `PATH`, since the audit runs as
//! root; they get no environment and no input, and little time.

use std::{
    collections::BTreeMap,
    io::Read,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::{Root, Unreadable, root::Kind};

/// Where programs are looked for.
const FOLDERS: [&str; 6] = [
    "/run/current-system/sw/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/lib/systemd",
];
/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much of an answer is read.
const LONGEST: u64 = 8 << 20;

/// The programs that can be asked.
#[derive(Debug)]
pub(crate) enum Programs {
    /// Those of this host.
    Real,
    /// What they would say, by their command lines.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests tell what is said"))]
    Told(BTreeMap<String, String>),
}

impl Programs {
    /// What a program prints; nothing if it is not installed.
    pub(crate) fn ask(
        &self,
        root: &Root,
        name: &str,
        arguments: &[&str],
    ) -> Result<Option<String>, Unreadable> {
        match self {
            Self::Told(told) => {
                let line = [&[name], arguments].concat().join(" ");
                Ok(told.get(&line).cloned())
            }
            Self::Real => match find(root, name)? {
                Some(path) => run(&path, arguments).map(Some),
                None => Ok(None),
            },
        }
    }
}

fn find(root: &Root, name: &str) -> Result<Option<String>, Unreadable> {
    for folder in FOLDERS {
        let path = format!("{folder}/{name}");
        let Some(status) = root.status_if_there(&path)? else {
            continue;
        };
        if status.kind == Kind::File && status.only_root_writes() {
            return Ok(Some(path));
        }
        return Err(Unreadable::other(
            path,
            "others than root can change it, so it is not run",
        ));
    }
    Ok(None)
}

fn run(path: &str, arguments: &[&str]) -> Result<String, Unreadable> {
    let what = [&[path], arguments].concat().join(" ");
    let failed = |why: String| Unreadable::other(what.clone(), &why);
    let mut child = Command::new(path)
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let (tell, told) = mpsc::channel();
    let streams = (child.stdout.take(), child.stderr.take());
    // Its end closes the streams. A thread whose program is killed ends, too.
    thread::spawn(move || {
        let mut output = Vec::new();
        let mut errors = Vec::new();
        let read = streams
            .0
            .map_or(Ok(0), |out| out.take(LONGEST).read_to_end(&mut output));
        let also = streams
            .1
            .map_or(Ok(0), |err| err.take(4096).read_to_end(&mut errors));
        // Nobody waits any more if this took too long.
        tell.send(read.and(also).map(|_| (output, errors)))
            .unwrap_or_default();
    });
    let answer = told.recv_timeout(PATIENCE);
    if answer.is_err() {
        // It may have ended by itself just now.
        child.kill().unwrap_or_default();
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    let Ok(answer) = answer else {
        return Err(failed(format!(
            "it gave no answer within {} s",
            PATIENCE.as_secs()
        )));
    };
    let (output, errors) = answer.map_err(|error| failed(error.to_string()))?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&output).into_owned());
    }
    let errors = String::from_utf8_lossy(&errors);
    let first = errors.lines().find(|line| !line.trim().is_empty());
    Err(failed(first.map_or_else(
        || status.to_string(),
        |line| line.trim().to_owned(),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_asked_and_one_that_is_not_there_says_nothing() {
        let root = Root::real();
        let said = Programs::Real.ask(&root, "printf", &["%s", "it is"]);
        assert_eq!(said.unwrap().as_deref(), Some("it is"));
        let none = Programs::Real.ask(&root, "no-such-program-here", &[]);
        assert_eq!(none, Ok(None));
    }

    #[test]
    fn a_program_that_fails_is_told_with_what_it_says() {
        let failed = Programs::Real.ask(&Root::real(), "ls", &["/no/such/folder"]);
        let why = failed.unwrap_err().to_string();
        assert!(
            why.contains("ls /no/such/folder") && why.contains("No such file"),
            "{why}"
        );
    }
}
