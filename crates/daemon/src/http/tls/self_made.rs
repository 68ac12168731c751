// SPDX-License-Identifier: GPL-3.0-or-later
//! A certificate that the daemon makes for itself: nobody vouches for it, so whoever logs in for
//! the first time compares its fingerprint with what the host says.
//!
//! It is X.509 (RFC 5280) in DER, with an ECDSA key on P-256, signed by itself. Writing the few
//! fields that it has takes less than a library that reads certificates, too.

use std::{
    fs, io,
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use jiff::{SignedDuration, Timestamp};
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

use super::{TlsError, must_be_private};

/// The folder of both files in the state folder.
const FOLDER: &str = "tls";
const CERTIFICATE: &str = "certificate.der";
const KEY: &str = "key.der";
/// How long it is good: ten years. Whoever compared it once need not do so again soon.
const GOOD: SignedDuration = SignedDuration::from_hours(24 * 3_652);
/// How much behind a clock may be that looks at a new one.
const BEHIND: SignedDuration = SignedDuration::from_hours(24);

/// The certificate of the state folder, which is made if it is not there.
pub(super) fn load(
    state: &Path,
    names: &[String],
    address: IpAddr,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let folder = state.join(FOLDER);
    let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
    let broken = |path: &Path, error: &dyn std::fmt::Display| TlsError::File {
        path: path.to_owned(),
        why: error.to_string(),
    };
    let is_there = certificate.exists() && key.exists();
    if !is_there {
        let made = make(names, address, Timestamp::now())?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .and_then(|()| write(&key, &made.key, 0o600))
            .and_then(|()| write(&certificate, &made.certificate, 0o644))
            .map_err(|error| broken(&folder, &error))?;
    }
    must_be_private(&key).map_err(|error| broken(&key, &error))?;
    let read = |path: &Path| fs::read(path).map_err(|error| broken(path, &error));
    let chain = vec![CertificateDer::from(read(&certificate)?)];
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(read(&key)?));
    CertifiedKey::from_der(chain, private, provider).map_err(|error| broken(&certificate, &error))
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

/// A certificate and its private key.
struct Made {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

fn make(names: &[String], address: IpAddr, now: Timestamp) -> Result<Made, TlsError> {
    let unusable = |what: &str| TlsError::Unusable(format!("a certificate cannot be made: {what}"));
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)
        .map_err(|_| unusable("there is no key"))?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random)
        .map_err(|_| unusable("its key is unusable"))?;
    let mut serial = [0; 16];
    random
        .fill(&mut serial)
        .map_err(|_| unusable("there are no random numbers"))?;
    // A serial number is positive and does not begin with a byte of zeros.
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    let body = body(&serial, names, address, now, pair.public_key().as_ref())
        .ok_or_else(|| unusable("the time is out of range"))?;
    let signature = pair
        .sign(&random, &body)
        .map_err(|_| unusable("it cannot be signed"))?;
    let certificate = sequence(&[&body, &ECDSA_WITH_SHA256, &bit_string(signature.as_ref())]);
    Ok(Made {
        certificate,
        key: Zeroizing::new(key.as_ref().to_vec()),
    })
}

/// What is signed (RFC 5280, section 4.1).
fn body(
    serial: &[u8],
    names: &[String],
    address: IpAddr,
    now: Timestamp,
    public_key: &[u8],
) -> Option<Vec<u8>> {
    let name = sequence(&[&tlv(
        SET,
        &sequence(&[&COMMON_NAME, &tlv(UTF8_STRING, b"Hyper-NixOS")]),
    )]);
    let from = now.checked_sub(BEHIND).ok()?;
    let until = now.checked_add(GOOD).ok()?;
    let key = sequence(&[&EC_P256, &bit_string(public_key)]);
    let extensions = tlv(
        EXTENSIONS,
        &sequence(&[
            &extension(&BASIC_CONSTRAINTS, Criticality::Critical, &sequence(&[])),
            &extension(&KEY_USAGE, Criticality::Critical, &DIGITAL_SIGNATURE),
            &extension(
                &EXTENDED_KEY_USAGE,
                Criticality::Not,
                &sequence(&[&SERVER_AUTH]),
            ),
            &extension(
                &SUBJECT_ALT_NAME,
                Criticality::Not,
                &alternative_names(names, address),
            ),
        ]),
    );
    Some(sequence(&[
        &VERSION_3,
        &tlv(INTEGER, serial),
        &ECDSA_WITH_SHA256,
        &name,
        &sequence(&[&time(from)?, &time(until)?]),
        &name,
        &key,
        &extensions,
    ]))
}

/// A time to the second: `20260102030405Z`.
fn time(time: Timestamp) -> Option<Vec<u8>> {
    let second = Timestamp::from_second(time.as_second()).ok()?;
    let mut text = second.to_string();
    text.retain(|letter| letter.is_ascii_digit() || letter == 'Z');
    Some(tlv(GENERALIZED_TIME, text.as_bytes()))
}

fn alternative_names(names: &[String], address: IpAddr) -> Vec<u8> {
    let hosts = names.iter().map(String::as_str).chain(["localhost"]);
    let hosts = hosts.map(|name| tlv(DNS_NAME, name.as_bytes()));
    let loopback = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    let own = Some(address).filter(|own| !own.is_unspecified() && !loopback.contains(own));
    let addresses = loopback
        .into_iter()
        .chain(own)
        .map(|address| match address {
            IpAddr::V4(address) => tlv(IP_ADDRESS, &address.octets()),
            IpAddr::V6(address) => tlv(IP_ADDRESS, &address.octets()),
        });
    tlv(
        SEQUENCE,
        &hosts.chain(addresses).collect::<Vec<_>>().concat(),
    )
}

/// Whether who does not know an extension must refuse the certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Criticality {
    Critical,
    Not,
}

fn extension(id: &[u8], criticality: Criticality, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if criticality == Criticality::Critical {
        &TRUE
    } else {
        &[]
    };
    sequence(&[id, critical, &tlv(OCTET_STRING, value)])
}

// Tags of DER (X.690), and whole values that are always the same.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0c;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
const EXTENSIONS: u8 = 0xa3;
const TRUE: [u8; 3] = [0x01, 0x01, 0xff];
const VERSION_3: [u8; 5] = [0xa0, 0x03, 0x02, 0x01, 0x02];
/// A bit string with its first bit set.
const DIGITAL_SIGNATURE: [u8; 4] = [0x03, 0x02, 0x07, 0x80];
/// ecdsa-with-SHA256, 1.2.840.10045.4.3.2, as an algorithm.
const ECDSA_WITH_SHA256: [u8; 12] = [
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
];
/// ecPublicKey, 1.2.840.10045.2.1, on P-256, 1.2.840.10045.3.1.7, as an algorithm.
const EC_P256: [u8; 21] = [
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x03, 0x01, 0x07,
];
/// commonName, 2.5.4.3.
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
/// keyUsage, 2.5.29.15.
const KEY_USAGE: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x0f];
/// subjectAltName, 2.5.29.17.
const SUBJECT_ALT_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x11];
/// basicConstraints, 2.5.29.19.
const BASIC_CONSTRAINTS: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x13];
/// extKeyUsage, 2.5.29.37.
const EXTENDED_KEY_USAGE: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x25];
/// id-kp-serverAuth, 1.3.6.1.5.5.7.3.1.
const SERVER_AUTH: [u8; 10] = [0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

/// A value with its tag and its length.
fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut written = vec![tag];
    let length = value.len();
    if let Ok(short @ ..0x80) = u8::try_from(length) {
        written.push(short);
    } else {
        let bytes = length.to_be_bytes();
        let bytes: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
        // A length has at most eight bytes.
        written.push(0x80 | u8::try_from(bytes.len()).unwrap_or(0));
        written.extend(bytes);
    }
    written.extend_from_slice(value);
    written
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

/// Whole bytes as a string of bits.
fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tlv(BIT_STRING, &[&[0], bytes].concat())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier},
        crypto::ring::default_provider,
        pki_types::{ServerName, UnixTime},
    };

    use super::*;

    fn verifies(certificate: &[u8], name: &str, seconds: u64) -> bool {
        let certificate = CertificateDer::from(certificate.to_vec());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::new(default_provider()),
        )
        .build()
        .unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier
            .verify_server_cert(&certificate, &[], &name, &[], now)
            .is_ok()
    }

    #[test]
    fn it_is_good_for_its_names_and_addresses_and_for_ten_years() {
        let second = 1_800_000_000;
        let now = Timestamp::from_second(second).unwrap();
        let names = ["host.example.org".to_owned()];
        let made = make(&names, "192.0.2.7".parse().unwrap(), now).unwrap();
        let second = u64::try_from(second).unwrap();
        for name in [
            "host.example.org",
            "localhost",
            "192.0.2.7",
            "127.0.0.1",
            "::1",
        ] {
            assert!(verifies(&made.certificate, name, second), "{name}");
        }
        for name in ["evil.example", "192.0.2.8"] {
            assert!(!verifies(&made.certificate, name, second), "{name}");
        }
        let year = 365 * 24 * 60 * 60;
        assert!(verifies(&made.certificate, "localhost", second + 9 * year));
        assert!(!verifies(
            &made.certificate,
            "localhost",
            second + 11 * year
        ));
    }

    #[test]
    fn it_is_made_once_and_its_key_is_its_owners_alone() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};

        let folder = tempfile::tempdir().unwrap();
        let load = || {
            load(
                folder.path(),
                &[],
                "127.0.0.1".parse().unwrap(),
                &default_provider(),
            )
        };
        let first = load().unwrap();
        assert_eq!(load().unwrap().cert, first.cert);
        let key = folder.path().join(FOLDER).join(KEY);
        assert_eq!(fs::metadata(&key).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o604)).unwrap();
        assert!(load().is_err());
    }

    #[test]
    fn lengths_of_any_size_are_written() {
        for (length, head) in [
            (0, vec![4, 0]),
            (127, vec![4, 127]),
            (128, vec![4, 0x81, 128]),
            (65_536, vec![4, 0x83, 1, 0, 0]),
        ] {
            assert!(tlv(OCTET_STRING, &vec![7; length]).starts_with(&head));
        }
    }
}
