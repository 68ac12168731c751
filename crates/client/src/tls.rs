// SPDX-License-Identifier: GPL-3.0-or-later
//! Which host is at the other end of TLS: one that an authority of the system vouches for, or one
//! whose certificate is known by its fingerprint.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use ring::digest::{SHA256, digest};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, ring::default_provider, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// How a host is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// An authority that the system trusts vouches for its certificate.
    System,
    /// Its certificate has this fingerprint.
    Fingerprint(Fingerprint),
}

/// The SHA-256 of a certificate, as `openssl x509 -fingerprint -sha256` writes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    fn of(certificate: &CertificateDer<'_>) -> Self {
        let mut bytes = [0; 32];
        let digest = digest(&SHA256, certificate);
        for (byte, of) in bytes.iter_mut().zip(digest.as_ref()) {
            *byte = *of;
        }
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let colon = if place == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A text that is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a fingerprint: allowed are 64 digits of base 16, with or without colons")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits: Vec<u8> = text
            .bytes()
            .filter(|byte| !matches!(byte, b':' | b' '))
            .collect();
        let mut bytes = [0; 32];
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(FingerprintError);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| FingerprintError)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| FingerprintError)?;
        }
        Ok(Self(bytes))
    }
}

/// The certificate that a host has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenCertificate {
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Whether an authority that the system trusts vouches for it.
    pub vouched_for: bool,
}

/// Looks at the certificate of whoever is at the other end, and remembers it.
#[derive(Debug)]
pub(crate) struct Verifier {
    trust: Option<Trust>,
    provider: Arc<CryptoProvider>,
    /// What the system's authorities say; nothing, where it has none.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    seen: Mutex<Option<SeenCertificate>>,
}

impl Verifier {
    /// One that lets those in whom this trust knows; without any, it lets everybody in, just to
    /// look at their certificate.
    pub(crate) fn new(trust: Option<Trust>) -> Self {
        let provider = Arc::new(default_provider());
        let pinned = matches!(trust, Some(Trust::Fingerprint(_)));
        // Reading them takes a while, and is not needed for who is known by their fingerprint.
        let authorities = if pinned { None } else { authorities(&provider) };
        Self {
            trust,
            provider,
            authorities,
            seen: Mutex::default(),
        }
    }

    /// The certificate that was seen last.
    pub(crate) fn seen(&self) -> Option<SeenCertificate> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What a connection is made with.
    pub(crate) fn config(self: &Arc<Self>) -> Result<ClientConfig, Error> {
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(self) as _);
        Ok(config.with_no_client_auth())
    }
}

fn authorities(provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    // One that can't be read vouches for nobody.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .ok()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let said = match &self.authorities {
            Some(authorities) => authorities.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        };
        let seen = SeenCertificate {
            fingerprint: Fingerprint::of(end_entity),
            vouched_for: said.is_ok(),
        };
        let fingerprint = seen.fingerprint;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        match &self.trust {
            None => Ok(ServerCertVerified::assertion()),
            Some(Trust::System) => said,
            Some(Trust::Fingerprint(known)) if *known == fingerprint => {
                Ok(ServerCertVerified::assertion())
            }
            Some(Trust::Fingerprint(_)) => Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            )),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_written() {
        let text = Fingerprint([0xab; 32]).to_string();
        assert!(text.starts_with("AB:AB:"));
        assert_eq!(text.parse(), Ok(Fingerprint([0xab; 32])));
        assert_eq!("ab".repeat(32).parse(), Ok(Fingerprint([0xab; 32])));
        for bad in [
            "",
            "AB",
            "xy",
            &"g".repeat(64),
            &"é".repeat(32),
            &"a".repeat(65),
        ] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(FingerprintError), "{bad}");
        }
    }
}
