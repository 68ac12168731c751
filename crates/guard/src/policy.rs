// SPDX-License-Identifier: GPL-3.0-or-later
//! The policy file, and who must own it.
//!
//! It is read by a process that may do anything with libvirt, so whoever can write it is root on
//! the host. It is taken only from a file that nobody but root, or the user that reads it, could
//! have written: that owner, no write permission for group or others, and the same for each folder
//! above it (a sticky one such as `/tmp` may be writable, since files there can't be replaced).
//! Symbolic links are followed first, as NixOS makes its `/etc` of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use hv_model::{
    device::{PciAddress, UsbId},
    name::{BridgeName, NetworkName, PoolName},
    size::Size,
    storage::PoolPurpose,
};
use serde::Deserialize;

use crate::trust::{self, Doubt};

/// How long a policy may be.
const LONGEST: u64 = 1 << 20;

/// What VMs on this host may have. What is not named is not allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostPolicy {
    /// Where disks and images live.
    pub pools: Vec<PoolRule>,
    /// The virtual networks that VMs may be plugged into.
    pub networks: BTreeSet<NetworkName>,
    /// The bridges of the host that VMs may be plugged into.
    pub bridges: BTreeSet<BridgeName>,
    /// How large a VM may be.
    pub limits: HostLimits,
    /// The devices of the host that VMs may be given.
    pub devices: Devices,
    /// What else VMs may use.
    pub features: BTreeSet<Feature>,
}

/// A folder where volumes live.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolRule {
    /// The pool's name.
    pub name: PoolName,
    /// The folder: an absolute path without `.` and `..`.
    pub path: PathBuf,
    /// What it is for; disks, if not given.
    #[serde(default)]
    pub purpose: PoolPurpose,
}

/// How large a VM may be; what is absent is limited by the host alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostLimits {
    /// CPUs of a VM, the maximum that it can be given included.
    pub vcpus: Option<u32>,
    /// Memory of a VM, the maximum that it can be given included.
    pub memory: Option<Size>,
    /// Size of a disk, and of an upload.
    pub disk: Option<Size>,
}

/// Devices of the host that VMs may be given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Devices {
    /// PCI devices, by address.
    pub pci: Vec<PciAddress>,
    /// USB devices, by vendor and product.
    pub usb: Vec<UsbId>,
}

/// Something that touches the host or its other guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// Memory taken from the host's reserve of huge pages.
    HugePages,
    /// CPUs and memory bound to the host's CPUs and NUMA nodes.
    Pinning,
    /// Memory shared with a program on the host.
    SharedMemory,
    /// Packets with a forged sender: no spoof filter on an interface.
    NoSpoofFilter,
    /// Memory encryption, which takes keys of the processor.
    Confidential,
    /// A screen that is served to the network, not only to this host.
    RemoteDisplay,
}

impl Feature {
    /// The name that the policy file uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HugePages => "huge-pages",
            Self::Pinning => "pinning",
            Self::SharedMemory => "shared-memory",
            Self::NoSpoofFilter => "no-spoof-filter",
            Self::Confidential => "confidential",
            Self::RemoteDisplay => "remote-display",
        }
    }
}

/// Why there is no policy, so that everything is refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It can't be read.
    #[error("the host's policy {} can't be read: {error}", .path.display())]
    Read {
        /// Where it was looked for.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Somebody else could have written it.
    #[error("the host's policy {} is not trusted: {}: {why}", .path.display(), .part.display())]
    Untrusted {
        /// Where it is.
        path: PathBuf,
        /// The file or folder that somebody else can change.
        part: PathBuf,
        /// Who can.
        why: String,
    },
    /// It says nothing that could be understood.
    #[error("the host's policy {} is wrong: {why}", .path.display())]
    Wrong {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl HostPolicy {
    /// Reads the policy, if it can be trusted.
    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        let unreadable = |error| PolicyError::Read {
            path: path.to_owned(),
            error,
        };
        let real = path.canonicalize().map_err(unreadable)?;
        let file = File::open(&real).map_err(unreadable)?;
        let status = file.metadata().map_err(unreadable)?;
        trust::expect_private(&real, &status).map_err(|doubt| match doubt {
            Doubt::Unknown(error) => unreadable(error),
            Doubt::Shared { part, why } => PolicyError::Untrusted {
                path: path.to_owned(),
                part,
                why,
            },
        })?;
        let mut text = String::new();
        file.take(LONGEST)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        Self::parse(&text).map_err(|why| PolicyError::Wrong {
            path: path.to_owned(),
            why,
        })
    }

    /// Reads a policy's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let policy: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut folders: BTreeMap<&Path, &PoolName> = BTreeMap::new();
        for pool in &policy.pools {
            let mut parts = pool.path.components();
            let is_plain = parts.next() == Some(Component::RootDir)
                && parts.clone().next().is_some()
                && parts.all(|part| matches!(part, Component::Normal(_)))
                && pool.path.to_str().is_some_and(|text| {
                    !text.ends_with('/')
                        && !text.contains("//")
                        && !text.contains("/./")
                        && !text.chars().any(char::is_control)
                });
            if !is_plain {
                return Err(format!(
                    "pool {}: {} is not an absolute path without '.', '..' and doubled slashes",
                    pool.name,
                    pool.path.display(),
                ));
            }
            if policy
                .pools
                .iter()
                .filter(|other| other.name == pool.name)
                .count()
                > 1
            {
                return Err(format!("pool {} is named twice", pool.name));
            }
            let inside =
                |other: &Path| other.starts_with(&pool.path) || pool.path.starts_with(other);
            if let Some((_, other)) = folders.iter().find(|(folder, _)| inside(folder)) {
                return Err(format!("pools {other} and {} share a folder", pool.name));
            }
            folders.insert(&pool.path, &pool.name);
        }
        Ok(policy)
    }

    /// The pool of this name.
    pub fn pool(&self, name: &PoolName) -> Option<&PoolRule> {
        self.pools.iter().find(|pool| pool.name == *name)
    }

    /// The pools for this purpose.
    pub fn pools_for(&self, purpose: PoolPurpose) -> impl Iterator<Item = &PoolRule> {
        self.pools
            .iter()
            .filter(move |pool| pool.purpose == purpose)
    }

    /// The pool and the volume's name, if `path` is a file directly in a pool's folder.
    pub fn volume_at<'a>(&self, path: &'a str) -> Option<(&PoolRule, &'a str)> {
        let (folder, name) = path.rsplit_once('/')?;
        name.parse::<hv_model::name::VolumeName>().ok()?;
        let pool = self
            .pools
            .iter()
            .find(|pool| pool.path.as_os_str() == folder)?;
        Some((pool, name))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, chown, symlink},
    };

    use super::*;

    const TEXT: &str = r#"
        networks = ["default"]
        features = ["huge-pages"]

        [[pools]]
        name = "disks"
        path = "/var/lib/hv/disks"
        purpose = "disks"

        [[pools]]
        name = "images"
        path = "/var/lib/hv/images"
        purpose = "images"

        [limits]
        vcpus = 8
        memory = "16 GiB"

        [devices]
        pci = ["0000:01:00.0"]
        usb = ["046d:c52b"]
    "#;

    fn stored(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host-policy.toml");
        fs::write(&path, TEXT).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_policy_says_what_it_says() {
        let policy = HostPolicy::parse(TEXT).unwrap();
        assert_eq!(policy.pools.len(), 2);
        assert_eq!(policy.limits.memory, Some(Size::from_gib(16)));
        assert_eq!(policy.limits.disk, None);
        assert!(policy.features.contains(&Feature::HugePages));
    }

    #[test]
    fn an_empty_policy_allows_nothing() {
        assert_eq!(HostPolicy::parse("").unwrap(), HostPolicy::default());
    }

    #[test]
    fn unknown_keys_and_paths_that_are_not_plain_are_refused() {
        let pool = |path: &str| format!("[[pools]]\nname='a'\npath='{path}'\npurpose='disks'\n");
        let nested = format!("{}{}", pool("/a"), pool("/a/b").replace("'a'\n", "'b'\n"));
        for (text, words) in [
            ("netwroks = []".to_owned(), "netwroks"),
            ("[limits]\nvcpu = 1".to_owned(), "vcpu"),
            ("features = ['root']".to_owned(), "root"),
            (pool("relative"), "absolute"),
            (pool("/"), "absolute"),
            (pool("/a/../b"), "absolute"),
            (pool("/a/./b"), "absolute"),
            (pool("/a/"), "absolute"),
            (format!("{}{}", pool("/a"), pool("/b")), "twice"),
            (nested, "share a folder"),
        ] {
            let why = HostPolicy::parse(&text).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
    }

    #[test]
    fn only_a_plain_file_directly_in_a_pool_is_a_volume() {
        let policy = HostPolicy::parse(TEXT).unwrap();
        let (pool, name) = policy.volume_at("/var/lib/hv/disks/web-vda.qcow2").unwrap();
        assert_eq!((pool.name.as_str(), name), ("disks", "web-vda.qcow2"));
        for bad in [
            "/etc/shadow",
            "/var/lib/hv/disks",
            "/var/lib/hv/disks/",
            "/var/lib/hv/disks/../x",
            "/var/lib/hv/disks/a/b",
            "/var/lib/hv/disks//a",
            "/var/lib/hv/disks/.hidden",
            "var/lib/hv/disks/a",
            "",
        ] {
            assert!(policy.volume_at(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_private_file_is_trusted_also_behind_a_link() {
        let (folder, path) = stored(0o644);
        assert_eq!(HostPolicy::load(&path).unwrap().pools.len(), 2);
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        HostPolicy::load(&link).unwrap();
    }

    #[test]
    fn a_file_or_folder_that_others_can_write_is_not_trusted() {
        for mode in [0o664, 0o646] {
            let (_folder, path) = stored(mode);
            let error = HostPolicy::load(&path).unwrap_err();
            assert!(matches!(error, PolicyError::Untrusted { .. }), "{error}");
        }
        let (folder, path) = stored(0o644);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = HostPolicy::load(&path).unwrap_err();
        assert!(matches!(error, PolicyError::Untrusted { .. }), "{error}");
    }

    #[test]
    fn somebody_elses_file_is_not_trusted() {
        let (_folder, path) = stored(0o644);
        // Only root can give files away; for others there is nothing to try.
        if chown(&path, Some(12_345), None).is_ok() {
            let error = HostPolicy::load(&path).unwrap_err();
            assert!(error.to_string().contains("user 12345"), "{error}");
        }
    }

    #[test]
    fn a_missing_policy_is_an_error() {
        let (folder, _path) = stored(0o644);
        let error = HostPolicy::load(&folder.path().join("none")).unwrap_err();
        assert!(matches!(error, PolicyError::Read { .. }), "{error}");
    }
}
