// SPDX-License-Identifier: GPL-3.0-or-later
//! The actors as users of the system: libvirt, for one, serves nobody without a name.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use super::Stage;
use crate::{Actor, Trouble};

/// Where the names of those stand that the suite made, so that they are also removed after a run
/// that was cut short.
const MADE: &str = "users";

impl Stage {
    /// Makes those of the actors' users that are not there.
    pub(super) fn make_users(&self) -> Result<(), Trouble> {
        let file = self.folder.join(MADE);
        for (name, number) in Actor::users() {
            match uzers::get_user_by_uid(number) {
                Some(user) if user.name() == name.as_str() => continue,
                Some(user) => {
                    let other = user.name().to_string_lossy();
                    return Err(Trouble(format!(
                        "user {number} is to be {name}, and is {other} here"
                    )));
                }
                None => {}
            }
            let mut made = made(&file);
            made.extend([name.as_str(), "\n"]);
            fs::write(&file, made).map_err(Trouble::at(&file))?;
            let number = number.to_string();
            let how = ["--system", "--user-group", "--no-create-home", "--uid"];
            let rest = [
                &number,
                "--home-dir",
                "/nonexistent",
                "--shell",
                NOBODYS,
                &name,
            ];
            run("useradd", &[&how[..], &rest[..]].concat())?;
        }
        Ok(())
    }

    /// Removes those that the suite made.
    pub(super) fn remove_users(&self) -> Result<(), Trouble> {
        let file = self.folder.join(MADE);
        for name in made(&file).lines() {
            if uzers::get_user_by_name(name).is_some() {
                run("userdel", &[name])?;
            }
        }
        super::remove(&file)
    }
}

/// A shell for who must not log in.
const NOBODYS: &str = "/usr/sbin/nologin";

fn made(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

fn run(program: &str, arguments: &[&str]) -> Result<(), Trouble> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Trouble(format!("{program}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Trouble(format!("{program} failed: {}", said.trim())))
}
