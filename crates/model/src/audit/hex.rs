// SPDX-License-Identifier: GPL-3.0-or-later
//! Hashes, public keys and signatures: bytes that are written in lower-case hexadecimal.

use std::{fmt, str::FromStr};

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

/// Why a text is no such value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {length} hexadecimal digits in lower case")]
pub struct NotHex {
    what: &'static str,
    length: usize,
}

macro_rules! hex {
    ($($(#[$doc:meta])* $name:ident, $length:literal, $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String)]
        pub struct $name([u8; $length]);

        impl $name {
            /// The value of these bytes.
            pub const fn new(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub const fn bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl FromStr for $name {
            type Err = NotHex;
            fn from_str(text: &str) -> Result<Self, NotHex> {
                let fault = NotHex { what: $what, length: $length * 2 };
                let mut bytes = [0; $length];
                if text.len() != $length * 2 {
                    return Err(fault);
                }
                for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                    *byte = digits
                        .iter()
                        .try_fold(0, |value, digit| Some(value << 4 | value_of(*digit)?))
                        .ok_or_else(|| fault.clone())?;
                }
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotHex;
            fn try_from(text: String) -> Result<Self, NotHex> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}

hex! {
    /// A BLAKE3 hash.
    Digest, 32, "a hash";
    /// A public Ed25519 key.
    PublicKey, 32, "a public key";
    /// An Ed25519 signature.
    Signature, 64, "a signature";
}

/// A value has one form only, so upper case is none.
const fn value_of(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl Digest {
    /// What the first entry holds in place of the hash of one before it.
    pub const NONE: Self = Self([0; 32]);
}

impl PublicKey {
    /// Whether this signature of these bytes was made with the key's secret half.
    pub fn verifies(&self, bytes: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(bytes, &signature).is_ok())
    }
}
