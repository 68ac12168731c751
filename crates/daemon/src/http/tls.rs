// SPDX-License-Identifier: GPL-3.0-or-later
//! TLS: with a certificate that is given, or one that the daemon makes for itself.
//!
//! A given certificate is read again when its file has changed, so that a renewed one is served
//! within a minute, and one that can't be used leaves the old one in place.

mod self_made;

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use ring::digest::{SHA256, digest};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring::default_provider},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;

use crate::config::{Config, Listen, Security};

/// What those may who are neither a file's owner nor in its group.
const OTHERS: u32 = 0o007;
/// How often it is looked whether a certificate's file has changed.
const LOOK: Duration = Duration::from_secs(60);

/// Why TLS can't be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A certificate cannot be made or used.
    #[error("{0}")]
    Unusable(String),
}

/// What serves TLS.
#[derive(Debug)]
pub(super) struct TlsServer {
    certificate: Arc<Certificate>,
    config: Arc<ServerConfig>,
    files: Option<Files>,
}

/// A given certificate's files.
#[derive(Debug, Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// The certificate that is served now.
#[derive(Debug)]
struct Certificate(RwLock<Arc<CertifiedKey>>);

impl Certificate {
    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl TlsServer {
    /// What serves TLS at this address, if it is to be served so.
    pub(super) fn of(config: &Config, listen: &Listen) -> Result<Option<Self>, TlsError> {
        let provider = Arc::new(default_provider());
        let (key, files) = match listen.security() {
            Security::Plain => return Ok(None),
            Security::SelfMade => {
                let names = names(Some(listen));
                let key =
                    self_made::load(&config.state_dir, &names, listen.address.ip(), &provider)?;
                (key, None)
            }
            Security::Given { certificate, key } => {
                let files = Files {
                    certificate: certificate.to_owned(),
                    key: key.to_owned(),
                };
                (files.load(&provider)?, Some(files))
            }
        };
        let certificate = Arc::new(Certificate(RwLock::new(Arc::new(key))));
        // TLS 1.2 and 1.3 are what rustls has.
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Unusable(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self {
            certificate,
            config: Arc::new(config),
            files,
        }))
    }

    /// What shakes hands.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// The fingerprint of the certificate, as `openssl x509 -fingerprint -sha256` writes it.
    pub(super) fn fingerprint(&self) -> String {
        let current = self.certificate.current();
        current
            .cert
            .first()
            .map(|der| fingerprint(der))
            .unwrap_or_default()
    }

    /// Reads a given certificate again whenever its files have changed, for ever.
    pub(super) async fn keep_current(&self) {
        let Some(files) = &self.files else {
            return std::future::pending().await;
        };
        let mut seen = files.changed();
        loop {
            tokio::time::sleep(LOOK).await;
            let changed = files.changed();
            if changed != seen {
                seen = changed;
                self.reload(files);
            }
        }
    }

    fn reload(&self, files: &Files) {
        match files.load(self.config.crypto_provider()) {
            Ok(key) => {
                let mut current = self
                    .certificate
                    .0
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(key);
                drop(current);
                let fingerprint = self.fingerprint();
                tracing::info!(fingerprint, "the certificate is a new one: {fingerprint}");
            }
            Err(error) => tracing::error!(%error, "a new certificate cannot be used"),
        }
    }
}

impl Files {
    fn load(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let broken = |path: &Path, why: String| TlsError::File {
            path: path.to_owned(),
            why,
        };
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| broken(&self.certificate, error.to_string()))?;
        if chain.is_empty() {
            let why = "it holds no certificate as PEM";
            return Err(broken(&self.certificate, why.to_owned()));
        }
        must_be_private(&self.key).map_err(|error| broken(&self.key, error.to_string()))?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| broken(&self.key, error.to_string()))?;
        CertifiedKey::from_der(chain, key, provider)
            .map_err(|error| broken(&self.certificate, error.to_string()))
    }

    /// When each of them was changed, and which file it is.
    fn changed(&self) -> [Option<(SystemTime, u64)>; 2] {
        [&self.certificate, &self.key].map(|path| {
            let file = fs::metadata(path).ok()?;
            Some((file.modified().ok()?, file.ino()))
        })
    }
}

/// Refuses a private key that everybody may read.
fn must_be_private(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.mode() & OTHERS == 0 {
        return Ok(());
    }
    Err(io::Error::other(
        "everybody may read this private key: chmod 600 it",
    ))
}

/// The SHA-256 of a certificate, in pairs of digits.
fn fingerprint(certificate: &[u8]) -> String {
    let digest = digest(&SHA256, certificate);
    let pairs: Vec<String> = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    pairs.join(":")
}

/// The names by which others reach this host: those that are configured, or its own.
pub(super) fn names(listen: Option<&Listen>) -> Vec<String> {
    match listen {
        None => Vec::new(),
        Some(listen) if !listen.names.is_empty() => listen.names.clone(),
        Some(_) => fs::read_to_string("/proc/sys/kernel/hostname")
            .map(|name| vec![name.trim().to_owned()])
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_fingerprint_is_written_as_openssl_writes_it() {
        assert!(fingerprint(b"abc").starts_with("BA:78:16:BF:"));
        assert_eq!(fingerprint(b"").len(), 32 * 3 - 1);
    }

    /// Bytes as PEM.
    fn pem(label: &str, bytes: &[u8]) -> String {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let letters = bytes.chunks(3).flat_map(|three| {
            let mut whole = [0; 3];
            whole[..three.len()].copy_from_slice(three);
            let number = u32::from_be_bytes([0, whole[0], whole[1], whole[2]]);
            let letters = [18, 12, 6, 0].map(|shift| ALPHABET[(number >> shift & 63) as usize]);
            let kept = three.len() + 1;
            (0..4).map(move |place| if place < kept { letters[place] } else { b'=' })
        });
        let text = String::from_utf8(letters.collect()).unwrap();
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    }

    /// Puts a new certificate into these files.
    fn renew(files: &Files) {
        let state = tempfile::tempdir().unwrap();
        let address = "127.0.0.1".parse().unwrap();
        self_made::load(state.path(), &[], address, &default_provider()).unwrap();
        let read = |name: &str| fs::read(state.path().join("tls").join(name)).unwrap();
        fs::write(
            &files.certificate,
            pem("CERTIFICATE", &read("certificate.der")),
        )
        .unwrap();
        fs::write(&files.key, pem("PRIVATE KEY", &read("key.der"))).unwrap();
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn a_renewed_certificate_is_served_and_a_broken_one_leaves_the_old_one_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files {
            certificate: folder.path().join("certificate.pem"),
            key: folder.path().join("key.pem"),
        };
        renew(&files);
        let listen = Listen {
            certificate: Some(files.certificate.clone()),
            key: Some(files.key.clone()),
            ..Listen::at("127.0.0.1:0".parse().unwrap())
        };
        let server = TlsServer::of(&Config::default(), &listen).unwrap().unwrap();
        let (first, seen) = (server.fingerprint(), files.changed());
        renew(&files);
        assert_ne!(files.changed(), seen);
        server.reload(&files);
        let second = server.fingerprint();
        assert_ne!(second, first);
        fs::write(&files.certificate, "nothing of use").unwrap();
        server.reload(&files);
        assert_eq!(server.fingerprint(), second);
    }

    #[test]
    fn a_key_that_everybody_may_read_or_that_is_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files {
            certificate: folder.path().join("certificate.pem"),
            key: folder.path().join("key.pem"),
        };
        renew(&files);
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(files.load(&default_provider()).is_err());
        let other = Files {
            key: folder.path().join("other.pem"),
            ..files.clone()
        };
        renew(&other);
        renew(&files);
        assert!(other.load(&default_provider()).is_err());
    }
}
