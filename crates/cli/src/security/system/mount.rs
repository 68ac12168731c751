// SPDX-License-Identifier: GPL-3.0-or-later
//! File systems, as the kernel lists them.

use super::{Root, Unreadable};

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// What it lies on: `/dev/mapper/root`, `tmpfs`.
    pub source: String,
    /// Where it is.
    pub path: String,
    /// Its kind.
    pub kind: String,
    /// How it is mounted.
    pub options: Vec<String>,
}

/// Every file system that this process sees.
pub(crate) fn all(root: &Root) -> Result<Vec<Mount>, Unreadable> {
    let text = root.text("/proc/self/mounts")?;
    Ok(text.lines().filter_map(mount).collect())
}

/// The file system that a path is on.
pub(crate) fn holding<'a>(mounts: &'a [Mount], path: &str) -> Option<&'a Mount> {
    let holds = |mount: &&Mount| std::path::Path::new(path).starts_with(&mount.path);
    // The last one mounted at a place hides those before it.
    mounts
        .iter()
        .filter(holds)
        .max_by_key(|mount| mount.path.len())
}

fn mount(line: &str) -> Option<Mount> {
    let mut words = line.split(' ');
    Some(Mount {
        source: plain(words.next()?),
        path: plain(words.next()?),
        kind: words.next()?.to_owned(),
        options: words.next()?.split(',').map(String::from).collect(),
    })
}

/// A word in which `\040` stands for a space, and the like.
fn plain(word: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(word.to_owned(), |word, (code, meant)| {
        word.replace(code, meant)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_on_the_innermost_file_system() {
        let lines = "/dev/vda1 / ext4 rw 0 0\n/dev/mapper/x /var/lib ext4 rw,nodev 0 0\ntmpfs /a\\040b tmpfs rw 0 0";
        let mounts: Vec<Mount> = lines.lines().filter_map(mount).collect();
        let on = |path| holding(&mounts, path).map(|mount| mount.source.as_str());
        assert_eq!(on("/var/lib/hvd"), Some("/dev/mapper/x"));
        assert_eq!(on("/var/library"), Some("/dev/vda1"));
        assert_eq!(on("/a b/c"), Some("tmpfs"));
    }
}
