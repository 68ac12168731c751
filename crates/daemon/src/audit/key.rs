// SPDX-License-Identifier: GPL-3.0-or-later
//! The host's key, with which the audit log is signed.
//!
//! It is 32 random bytes, the seed of an Ed25519 key: in the state folder, readable for nobody
//! else, or given by systemd as a credential, which then need not lie on the disk in the clear.

use std::{
    env, fmt, fs,
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use ed25519_dalek::{Signer, SigningKey};
use hv_model::audit::{PublicKey, Signature};
use zeroize::Zeroizing;

use crate::store::{Result, StoreError};

/// The name of the key's file in the state folder.
pub(super) const FILE: &str = "audit-key";

const LENGTH: usize = 32;

/// The host's key. Its secret half is wiped from memory when it is dropped.
pub struct HostKey {
    secret: SigningKey,
    public: PublicKey,
}

/// Where the key came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyFound {
    /// It was there.
    There {
        /// The path of its file, if others may read that.
        exposed: Option<PathBuf>,
    },
    /// It was made.
    Made,
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl HostKey {
    /// The key of this seed.
    pub fn of_seed(seed: &[u8; LENGTH]) -> Self {
        let secret = SigningKey::from_bytes(seed);
        let public = PublicKey::new(secret.verifying_key().to_bytes());
        Self { secret, public }
    }

    /// Its public half.
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs these bytes.
    pub fn sign(&self, bytes: &[u8]) -> Signature {
        Signature::new(self.secret.sign(bytes).to_bytes())
    }

    /// Reads the key from the credential of this name, if one is named, else from the state folder,
    /// where it is made if it is not there.
    pub(crate) fn load(folder: &Path, credential: Option<&str>) -> Result<(Self, KeyFound)> {
        if let Some(name) = credential {
            let folder = env::var_os("CREDENTIALS_DIRECTORY").unwrap_or_default();
            let path = PathBuf::from(folder).join(name);
            let key = read(&path).map_err(broken(&path))?;
            return Ok((key, KeyFound::There { exposed: None }));
        }
        let path = folder.join(FILE);
        match read(&path) {
            Ok(key) => {
                let about = fs::metadata(&path).map_err(broken(&path))?;
                let exposed = (about.mode() & 0o077 != 0).then_some(path);
                Ok((key, KeyFound::There { exposed }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = make(folder, &path).map_err(broken(&path))?;
                Ok((key, KeyFound::Made))
            }
            Err(error) => Err(broken(&path)(error)),
        }
    }
}

fn broken(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::File { path, source }
}

fn read(path: &Path) -> io::Result<HostKey> {
    let bytes = Zeroizing::new(fs::read(path)?);
    let seed: &[u8; LENGTH] = bytes.as_slice().try_into().map_err(|_| {
        let what = format!(
            "the key of the audit log has {LENGTH} bytes, not {}; if it is lost, move the file \
             away, and another key is made",
            bytes.len()
        );
        io::Error::new(io::ErrorKind::InvalidData, what)
    })?;
    Ok(HostKey::of_seed(seed))
}

fn make(folder: &Path, path: &Path) -> io::Result<HostKey> {
    let mut seed = Zeroizing::new([0; LENGTH]);
    getrandom::fill(seed.as_mut()).map_err(|error| io::Error::other(error.to_string()))?;
    let draft = folder.join("audit-key.new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(seed.as_ref())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    fs::File::open(folder)?.sync_all()?;
    Ok(HostKey::of_seed(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (made, how) = HostKey::load(folder.path(), None).unwrap();
        assert_eq!(how, KeyFound::Made);
        let path = folder.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let (again, how) = HostKey::load(folder.path(), None).unwrap();
        assert_eq!(how, KeyFound::There { exposed: None });
        assert_eq!(again.public(), made.public());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let (_, how) = HostKey::load(folder.path(), None).unwrap();
        assert_eq!(
            how,
            KeyFound::There {
                exposed: Some(path)
            }
        );
    }

    #[test]
    fn a_key_that_is_cut_is_refused_and_its_bytes_are_not_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "sesame").unwrap();
        let error = HostKey::load(folder.path(), None).unwrap_err().to_string();
        assert!(
            error.contains("audit-key") && error.contains("not 6") && !error.contains("sesame"),
            "{error}"
        );
    }

    #[test]
    fn what_is_shown_of_a_key_is_its_public_half() {
        let seed = [42; 32];
        let shown = format!("{:?}", HostKey::of_seed(&seed));
        assert!(
            !shown.contains("42") || !shown.contains("2a2a2a"),
            "{shown}"
        );
        assert!(shown.contains(&HostKey::of_seed(&seed).public().to_string()));
    }
}
