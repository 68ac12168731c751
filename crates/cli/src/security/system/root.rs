// SPDX-License-Identifier: GPL-3.0-or-later
//! The host's files: everything that the audit reads comes through here.
//!
//! What is read is bounded, never waits (a pipe in a file's place is no file), and is never
//! followed into a device. Others may have written it: it is text to be shown with care.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rustix::fs::OFlags;

/// How much of a file is read at most. procfs and configuration stay far below.
const LONGEST: u64 = 4 << 20;
/// How many names of a folder are read at most.
const MOST_NAMES: usize = 20_000;

/// The host's files, below a prefix: `/`, or a folder that a test laid out.
#[derive(Debug)]
pub(crate) struct Root {
    prefix: PathBuf,
    owners: Owners,
}

/// Whose files are.
#[derive(Debug)]
enum Owners {
    /// Whose the system says.
    Real,
    /// In a folder laid out by somebody who cannot give files away: root's, but for these.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests lay out folders"))]
    Told(BTreeMap<String, (u32, u32)>),
}

/// Why something is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It does not exist.
    #[error("{0} is not there")]
    Missing(String),
    /// It is for others.
    #[error("{0} may not be read by the user who looks; run it as root")]
    Denied(String),
    /// The daemon does not say, or nobody who would know is there.
    #[error("{0}")]
    Unsaid(String),
    /// Something else is in the way.
    #[error("{what}: {why}")]
    Other {
        /// What was to be read.
        what: String,
        /// What the system said.
        why: String,
    },
}

/// What the system says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    /// Where it is.
    pub path: String,
    /// Its owner.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// Its permissions, setuid and sticky bits included.
    pub mode: u32,
    /// What it is.
    pub kind: Kind,
    /// When it was changed last.
    pub modified: Timestamp,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A socket.
    Socket,
    /// Something else.
    Other,
}

impl Unreadable {
    pub(crate) fn other(what: impl Into<String>, why: &(impl ToString + ?Sized)) -> Self {
        Self::Other {
            what: what.into(),
            why: why.to_string(),
        }
    }

    fn of(path: &str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing(path.into()),
            io::ErrorKind::PermissionDenied => Self::Denied(path.into()),
            _ => Self::other(path, error),
        }
    }
}

/// What there is, nothing if it does not exist.
pub(crate) fn if_there<T>(read: Result<T, Unreadable>) -> Result<Option<T>, Unreadable> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Unreadable::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Root {
    /// The files of the host that this process runs on.
    pub(crate) fn real() -> Self {
        Self {
            prefix: "/".into(),
            owners: Owners::Real,
        }
    }

    /// A folder that is laid out like a host. Its files are root's but for those named.
    #[cfg(test)]
    pub(crate) fn laid_out(prefix: &Path, owners: BTreeMap<String, (u32, u32)>) -> Self {
        Self {
            prefix: prefix.to_owned(),
            owners: Owners::Told(owners),
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.prefix.join(path.trim_start_matches('/'))
    }

    /// The beginning of a file's bytes.
    pub(crate) fn bytes(&self, path: &str, most: u64) -> Result<Vec<u8>, Unreadable> {
        let unreadable = |error: io::Error| Unreadable::of(path, &error);
        let file: File = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(self.at(path))
            .map_err(unreadable)?;
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(Unreadable::other(path, "it is no regular file"));
        }
        let mut bytes = Vec::new();
        file.take(most)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        Ok(bytes)
    }

    /// A file's text; what is no UTF-8 in it is replaced.
    pub(crate) fn text(&self, path: &str) -> Result<String, Unreadable> {
        let bytes = self.bytes(path, LONGEST + 1)?;
        if bytes.len() as u64 > LONGEST {
            return Err(Unreadable::other(
                path,
                "it is too long to be what it should be",
            ));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A file's text, nothing if there is no such file.
    pub(crate) fn text_if_there(&self, path: &str) -> Result<Option<String>, Unreadable> {
        if_there(self.text(path))
    }

    /// A file's text without the space around it.
    pub(crate) fn word(&self, path: &str) -> Result<String, Unreadable> {
        Ok(self.text(path)?.trim().to_owned())
    }

    /// What the system says of a file, or of what a link points to.
    pub(crate) fn status(&self, path: &str) -> Result<Status, Unreadable> {
        let found = fs::metadata(self.at(path));
        found
            .map(|found| self.status_of(path, &found))
            .map_err(|error| Unreadable::of(path, &error))
    }

    /// What the system says of a file; of a link, of the link itself.
    pub(crate) fn link_status(&self, path: &str) -> Result<Status, Unreadable> {
        let found = fs::symlink_metadata(self.at(path));
        found
            .map(|found| self.status_of(path, &found))
            .map_err(|error| Unreadable::of(path, &error))
    }

    /// What the system says of a file, nothing if there is no such file.
    pub(crate) fn status_if_there(&self, path: &str) -> Result<Option<Status>, Unreadable> {
        if_there(self.status(path))
    }

    fn status_of(&self, path: &str, found: &fs::Metadata) -> Status {
        let (user, group) = match &self.owners {
            Owners::Real => (found.uid(), found.gid()),
            Owners::Told(owners) => owners.get(path).copied().unwrap_or((0, 0)),
        };
        let kind = found.file_type();
        Status {
            path: path.to_owned(),
            user,
            group,
            mode: found.mode() & 0o7777,
            kind: match kind {
                _ if kind.is_dir() => Kind::Folder,
                _ if kind.is_file() => Kind::File,
                _ if kind.is_symlink() => Kind::Link,
                _ if kind.is_socket() => Kind::Socket,
                _ => Kind::Other,
            },
            modified: Timestamp::from_second(found.mtime()).unwrap_or_default(),
        }
    }

    /// The names in a folder, sorted; nothing if there is no such folder.
    pub(crate) fn names(&self, path: &str) -> Result<Vec<String>, Unreadable> {
        let unreadable = |error: io::Error| Unreadable::of(path, &error);
        let Some(entries) = if_there(fs::read_dir(self.at(path)).map_err(unreadable))? else {
            return Ok(Vec::new());
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(unreadable)?.file_name();
            names.push(name.to_string_lossy().into_owned());
            if names.len() > MOST_NAMES {
                return Err(Unreadable::other(path, "it has too many files to look at"));
            }
        }
        names.sort();
        Ok(names)
    }

    /// The paths in a folder whose names end like this, sorted.
    pub(crate) fn paths(&self, folder: &str, ending: &str) -> Result<Vec<String>, Unreadable> {
        let names = self.names(folder)?.into_iter();
        Ok(names
            .filter(|name| name.ends_with(ending))
            .map(|name| format!("{folder}/{name}"))
            .collect())
    }

    /// Where a link points.
    pub(crate) fn target(&self, path: &str) -> Result<String, Unreadable> {
        let target = fs::read_link(self.at(path));
        target
            .map(|target| target.to_string_lossy().into_owned())
            .map_err(|error| Unreadable::of(path, &error))
    }

    /// Where a path leads once every link on it is followed.
    pub(crate) fn resolved(&self, path: &str) -> Result<String, Unreadable> {
        let resolved = self.at(path).canonicalize();
        let resolved = resolved.map_err(|error| Unreadable::of(path, &error))?;
        let prefix = self.prefix.canonicalize();
        let prefix = prefix.map_err(|error| Unreadable::of(path, &error))?;
        let below = resolved.strip_prefix(&prefix).unwrap_or(&resolved);
        Ok(Path::new("/").join(below).to_string_lossy().into_owned())
    }
}

impl Status {
    /// Whether everybody may write it.
    pub(crate) const fn everybody_writes(&self) -> bool {
        self.mode & 0o002 != 0
    }

    /// Whether everybody may read it.
    pub(crate) const fn everybody_reads(&self) -> bool {
        self.mode & 0o004 != 0
    }

    /// Whether its mode lets anybody but its owner do anything with it.
    pub(crate) const fn others_reach(&self) -> bool {
        const OTHERS: u32 = 0o077;
        self.mode & OTHERS != 0
    }

    /// Whether only root may write it, or, with a sticky folder, put another file in the place of
    /// root's.
    pub(crate) fn only_root_writes(&self) -> bool {
        let sticky = self.kind == Kind::Folder && self.mode & 0o1000 != 0;
        self.user == 0
            && (self.mode & 0o002 == 0 || sticky)
            && (self.mode & 0o020 == 0 || self.group == 0 || sticky)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            path,
            user,
            group,
            mode,
            ..
        } = self;
        write!(f, "{path}: mode {mode:04o}, user {user}, group {group}")
    }
}
