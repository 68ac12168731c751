// SPDX-License-Identifier: GPL-3.0-or-later
//! Settings as others write them: libvirt's files, systemd's units, sshd's configuration.

use std::collections::BTreeMap;

use super::{Root, Unreadable};

/// The folders that systemd reads units from, the first one wins.
const UNIT_FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// How deep sshd's configuration may include others.
const SSHD_DEPTH: usize = 16;

/// A file of libvirt's: `key = value` lines. What is in quotes is taken out of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct LibvirtSettings(BTreeMap<String, String>);

impl LibvirtSettings {
    /// Reads a file; one that does not exist sets nothing.
    pub(crate) fn read(root: &Root, path: &str) -> Result<Self, Unreadable> {
        let text = root.text_if_there(path)?.unwrap_or_default();
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#'));
        let pairs = lines.filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            let value = value.split(" #").next().unwrap_or_default().trim();
            Some((key.trim().to_owned(), value.trim_matches('"').to_owned()))
        });
        Ok(Self(pairs.collect()))
    }

    /// A key's value.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// A unit with its drop-ins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unit {
    /// Where it is.
    pub path: String,
    /// Keys and values in the order in which they are read; `Section.Key`.
    settings: Vec<(String, String)>,
}

impl Unit {
    /// The unit of this name, if there is one.
    pub(crate) fn read(root: &Root, name: &str) -> Result<Option<Self>, Unreadable> {
        let mut unit = Self::default();
        for folder in UNIT_FOLDERS {
            let path = format!("{folder}/{name}");
            if let Some(text) = root.text_if_there(&path)? {
                unit.path = path;
                unit.add(&text);
                break;
            }
        }
        if unit.path.is_empty() {
            return Ok(None);
        }
        for folder in UNIT_FOLDERS.iter().rev() {
            for path in root.paths(&format!("{folder}/{name}.d"), ".conf")? {
                unit.add(&root.text(&path)?);
            }
        }
        Ok(Some(unit))
    }

    fn add(&mut self, text: &str) {
        let mut section = "";
        let joined = text.replace("\\\n", " ");
        for line in joined.lines().map(str::trim) {
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                section = name;
            } else if let Some((key, value)) = line.split_once('=')
                && !line.starts_with(['#', ';'])
            {
                let key = format!("{section}.{}", key.trim());
                self.settings.push((key, value.trim().to_owned()));
            }
        }
    }

    /// Every value of a key since it was last emptied.
    pub(crate) fn values(&self, key: &str) -> Vec<&str> {
        let mut values = Vec::new();
        for (_, value) in self.settings.iter().filter(|(known, _)| known == key) {
            if value.is_empty() {
                values.clear();
            } else {
                values.push(value.as_str());
            }
        }
        values
    }

    /// The last value of a key.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.values(key).last().copied()
    }

    /// Whether a key that is on or off is on.
    pub(crate) fn is_on(&self, key: &str) -> bool {
        matches!(self.value(key), Some("yes" | "true" | "on" | "1"))
    }
}

/// The names of every unit that is installed.
pub(crate) fn unit_names(root: &Root) -> Result<Vec<String>, Unreadable> {
    let mut names = Vec::new();
    for folder in UNIT_FOLDERS {
        names.extend(root.names(folder)?);
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// sshd's settings: the first value of each key, outside of `Match`, in small letters.
#[derive(Debug, Clone, Default)]
pub(crate) struct SshSettings(BTreeMap<String, String>);

impl SshSettings {
    /// What sshd says of itself: the output of `sshd -T`.
    pub(crate) fn told(output: &str) -> Self {
        let mut settings = Self::default();
        for line in output.lines() {
            settings.add(line);
        }
        settings
    }

    /// What its files say. A key that they do not set has sshd's default.
    pub(crate) fn read(root: &Root, path: &str) -> Result<Self, Unreadable> {
        let mut settings = Self::default();
        settings.include(root, path, SSHD_DEPTH)?;
        for (key, value) in [
            ("passwordauthentication", "yes"),
            ("kbdinteractiveauthentication", "yes"),
            ("permitrootlogin", "prohibit-password"),
            ("permitemptypasswords", "no"),
            ("loglevel", "info"),
            ("maxauthtries", "6"),
            ("authenticationmethods", "any"),
        ] {
            settings.add(&format!("{key} {value}"));
        }
        Ok(settings)
    }

    fn include(&mut self, root: &Root, path: &str, depth: usize) -> Result<(), Unreadable> {
        let text = root.text(path)?;
        for line in text.lines().map(str::trim) {
            let word = line.split_whitespace().next().unwrap_or_default();
            if word.eq_ignore_ascii_case("match") {
                break;
            }
            if !word.eq_ignore_ascii_case("include") {
                self.add(line);
                continue;
            }
            if depth == 0 {
                return Err(Unreadable::other(path, "it includes too many others"));
            }
            for pattern in line.split_whitespace().skip(1) {
                let pattern = match pattern.strip_prefix('/') {
                    Some(_) => pattern.to_owned(),
                    None => format!("/etc/ssh/{pattern}"),
                };
                for included in matching(root, &pattern)? {
                    self.include(root, &included, depth - 1)?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        let (key, value) = line
            .split_once(|c: char| c.is_whitespace() || c == '=')
            .unwrap_or((line, ""));
        let value = value.trim_start_matches(['=', ' ', '\t']).trim_matches('"');
        self.0
            .entry(key.to_ascii_lowercase())
            .or_insert_with(|| value.to_ascii_lowercase());
    }

    /// A key's value.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// The files that `FOLDER/*ENDING` names; a path without `*` is itself.
fn matching(root: &Root, pattern: &str) -> Result<Vec<String>, Unreadable> {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    match name.split_once('*') {
        None => Ok(root
            .status_if_there(pattern)?
            .map(|_| pattern.to_owned())
            .into_iter()
            .collect()),
        Some((beginning, ending)) => {
            let names = root.names(folder)?.into_iter();
            Ok(names
                .filter(|name| name.starts_with(beginning) && name.ends_with(ending))
                .map(|name| format!("{folder}/{name}"))
                .collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::*;

    fn root(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = Root::laid_out(folder.path(), BTreeMap::new());
        (folder, root)
    }

    #[test]
    fn sshd_takes_the_first_value_and_what_is_included() {
        let (_folder, root) = root(&[
            (
                "etc/ssh/sshd_config",
                "Include /etc/ssh/sshd_config.d/*.conf\nPermitRootLogin yes\nLogLevel VERBOSE\nMatch User a\nLogLevel QUIET\nMaxAuthTries 1\n",
            ),
            ("etc/ssh/sshd_config.d/10-own.conf", "permitrootlogin=no\n"),
        ]);
        let settings = SshSettings::read(&root, "/etc/ssh/sshd_config").unwrap();
        assert_eq!(settings.get("permitrootlogin"), Some("no"));
        assert_eq!(settings.get("loglevel"), Some("verbose"));
        assert_eq!(settings.get("maxauthtries"), Some("6"));
    }

    #[test]
    fn a_configuration_that_includes_itself_is_an_error() {
        let (_folder, root) = root(&[("etc/ssh/sshd_config", "Include sshd_config\n")]);
        assert!(SshSettings::read(&root, "/etc/ssh/sshd_config").is_err());
    }

    #[test]
    fn a_units_drop_ins_come_after_it_and_can_empty_a_list() {
        let (_folder, root) = root(&[
            (
                "usr/lib/systemd/system/hvd.service",
                "[Service]\nUser=root\n# User=x\nEnvironment=A=1\nPrivateTmp=yes\n",
            ),
            (
                "etc/systemd/system/hvd.service.d/own.conf",
                "[Service]\nUser=hvd\nEnvironment=\nEnvironment=B=2 \\\n  C=3\n",
            ),
        ]);
        let unit = Unit::read(&root, "hvd.service").unwrap().unwrap();
        assert_eq!(unit.value("Service.User"), Some("hvd"));
        assert_eq!(unit.values("Service.Environment"), ["B=2    C=3"]);
        assert!(unit.is_on("Service.PrivateTmp") && !unit.is_on("Service.ProtectHome"));
    }

    #[test]
    fn libvirts_files_are_keys_and_values() {
        let (_folder, root) = root(&[(
            "q.conf",
            "#user = \"root\"\nuser = \"qemu\" # x\nseccomp_sandbox = 0\n",
        )]);
        let settings = LibvirtSettings::read(&root, "/q.conf").unwrap();
        assert_eq!(settings.get("user"), Some("qemu"));
        assert_eq!(settings.get("seccomp_sandbox"), Some("0"));
        assert!(
            LibvirtSettings::read(&root, "/none.conf")
                .unwrap()
                .get("user")
                .is_none()
        );
    }
}
