// SPDX-License-Identifier: GPL-3.0-or-later
//! The key that seals what the database holds and must be read again: secrets of second factors.

use std::{
    fs, io,
    io::{Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use hv_model::problem::{Problem, ProblemKind};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::random::{self, Digest};
use crate::store::StoreError;

/// The name of the key's file in the state folder.
const FILE: &str = "secret.key";
/// The name of the systemd credential that is used in its place.
const CREDENTIAL: &str = "hvd.secret-key";
const BYTES: usize = 32;

/// The key. It never leaves the daemon's memory, and is not in the database.
pub(super) struct SealingKey {
    seal: LessSafeKey,
    digest: Zeroizing<[u8; BYTES]>,
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey")
    }
}

impl SealingKey {
    /// The key of a systemd credential, if there is one; else that of the state folder, which is
    /// made if it is not there.
    pub(super) fn load(folder: &Path) -> Result<Self, StoreError> {
        let credential = std::env::var_os("CREDENTIALS_DIRECTORY")
            .map(|folder| PathBuf::from(folder).join(CREDENTIAL))
            .filter(|path| path.exists());
        let path = credential.unwrap_or_else(|| folder.join(FILE));
        let broken = |source| StoreError::File {
            path: path.clone(),
            source,
        };
        let key = match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(&path).map_err(broken)?,
            read => read.map_err(broken)?,
        };
        Self::of(&key).map_err(|problem| broken(io::Error::other(problem.detail)))
    }

    fn of(key: &[u8; BYTES]) -> Result<Self, Problem> {
        // A key has one use: both are drawn from the one that is kept.
        let derived = |purpose: &str| Zeroizing::new(blake3::derive_key(purpose, key));
        let seal = derived("hyper-nixos 2026 seal secrets of second factors");
        let seal = UnboundKey::new(&CHACHA20_POLY1305, &*seal).map_err(|_| unusable())?;
        Ok(Self {
            seal: LessSafeKey::new(seal),
            digest: derived("hyper-nixos 2026 digest recovery codes"),
        })
    }

    /// A secret that only this key opens, and only for whom it was sealed.
    pub(super) fn seal(&self, of: &str, secret: &[u8]) -> Result<Vec<u8>, Problem> {
        let nonce = random::bytes::<NONCE_LEN>()?;
        let mut sealed = secret.to_vec();
        let place = Nonce::assume_unique_for_key(*nonce);
        self.seal
            .seal_in_place_append_tag(place, Aad::from(of.as_bytes()), &mut sealed)
            .map_err(|_| unusable())?;
        sealed.splice(0..0, nonce.iter().copied());
        Ok(sealed)
    }

    /// What was sealed for somebody.
    pub(super) fn open(&self, of: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or_else(unusable)?;
        let mut secret = Zeroizing::new(sealed.to_vec());
        let place = Nonce::assume_unique_for_key(*nonce);
        let length = self
            .seal
            .open_in_place(place, Aad::from(of.as_bytes()), &mut secret)
            .map_err(|_| unusable())?
            .len();
        secret.truncate(length);
        Ok(secret)
    }

    /// What is kept of something that has too little chance in it for a plain hash.
    pub(super) fn digest(&self, purpose: &str, text: &[u8]) -> Digest {
        let mut hasher = blake3::Hasher::new_keyed(&self.digest);
        hasher.update(purpose.as_bytes()).update(&[0]).update(text);
        hasher.finalize()
    }

    #[cfg(test)]
    pub(super) fn for_test() -> Self {
        Self::of(&[7; BYTES]).unwrap()
    }
}

/// The key is another one than that which sealed it, or what was sealed is damaged.
fn unusable() -> Problem {
    let detail = "A second factor cannot be checked, since its secret does not open with the \
                  daemon's key.";
    let mut problem = Problem::new(ProblemKind::Internal, detail);
    "Ask an administrator to remove the second factor: hv access account totp NAME --remove."
        .clone_into(&mut problem.hint);
    problem
}

fn read(path: &Path) -> io::Result<Zeroizing<[u8; BYTES]>> {
    let mut file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        return Err(io::Error::other(
            "others may read it: chmod 600 it, or remove it if it was seen, which resets every \
             second factor",
        ));
    }
    let mut key = Zeroizing::new([0; BYTES]);
    file.read_exact(key.as_mut())
        .map_err(|_| io::Error::other(format!("it does not hold {BYTES} bytes")))?;
    Ok(key)
}

/// Makes a key. It only gets its name once it is whole.
fn make(path: &Path) -> io::Result<Zeroizing<[u8; BYTES]>> {
    let key = random::bytes::<BYTES>().map_err(|problem| io::Error::other(problem.detail))?;
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(&*key)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_sealed_opens_for_whom_it_was_sealed_and_with_the_same_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = SealingKey::load(folder.path())
            .unwrap()
            .seal("ada", b"planted")
            .unwrap();
        assert!(!sealed.windows(7).any(|part| part == b"planted"));
        let again = SealingKey::load(folder.path()).unwrap();
        assert_eq!(&**again.open("ada", &sealed).unwrap(), b"planted");
        assert!(again.open("eve", &sealed).is_err());
        assert!(SealingKey::for_test().open("ada", &sealed).is_err());
        for place in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[place] ^= 1;
            assert!(again.open("ada", &broken).is_err(), "{place}");
        }
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_cut_short_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        SealingKey::load(folder.path()).unwrap();
        let path = folder.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(SealingKey::load(folder.path()).is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"short").unwrap();
        assert!(SealingKey::load(folder.path()).is_err());
    }
}
