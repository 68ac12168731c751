// SPDX-License-Identifier: GPL-3.0-or-later
//! Secrets that nobody can guess, how they are written, and what is kept of them.

use hv_model::{
    problem::{Problem, ProblemKind},
    secret::Secret,
};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// How many bytes of chance a secret has.
const BYTES: usize = 32;
/// The letters and digits of base 32 (RFC 4648, section 6).
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What is kept of a secret of 256 bits: its BLAKE3. Nobody can try that many secrets, so the hash
/// need not be slow. Two are compared in constant time.
pub(crate) type Digest = blake3::Hash;

/// So many bytes of chance.
pub(super) fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, Problem> {
    let mut bytes = Zeroizing::new([0; N]);
    SystemRandom::new().fill(bytes.as_mut()).map_err(|_| {
        let detail = "The system gives no random numbers, without which there are no secrets.";
        Problem::new(ProblemKind::Internal, detail)
    })?;
    Ok(bytes)
}

/// A new secret of 256 bits, behind what says which kind it is: `hvs_…`.
pub(super) fn secret(kind: &str) -> Result<Secret, Problem> {
    let mut text = kind.to_owned();
    text.push_str(&lower(&*bytes::<BYTES>()?));
    Ok(Secret::from(text))
}

/// What is kept of a secret.
pub(super) fn digest(secret: &str) -> Digest {
    blake3::hash(secret.as_bytes())
}

/// Bytes in base 32, without padding.
pub(super) fn base32(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 8 / 5 + 1));
    let (mut kept, mut bits) = (0_u32, 0);
    let mut push = |index: u32| {
        let letter = usize::try_from(index & 31).ok();
        let letter = letter.and_then(|index| ALPHABET.get(index));
        text.extend(letter.copied().map(char::from));
    };
    for byte in bytes {
        kept = (kept << 8 | u32::from(*byte)) & 0xfff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            push(kept >> bits);
        }
    }
    if bits > 0 {
        push(kept << (5 - bits));
    }
    text
}

/// The same in lower case, which is easier to read and to type.
pub(super) fn lower(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = base32(bytes);
    text.make_ascii_lowercase();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_32_is_that_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(*base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn no_two_secrets_are_the_same() {
        let (one, other) = (secret("hvs_").unwrap(), secret("hvs_").unwrap());
        assert_ne!(one.expose(), other.expose());
        assert_eq!(one.expose().len(), "hvs_".len() + 52);
        assert_ne!(digest(one.expose()), digest(other.expose()));
    }
}
