// SPDX-License-Identifier: GPL-3.0-or-later
//! The line that an entry is: what is stored, exported, hashed and signed.
//!
//! ```text
//!  {"format":1,"sequence":…,"previous":…,"id":…,"time":…,"event":{…},"signature":"…","hash":"…"}
//!  └───────────────────────── signed ──────────────────────────────┘
//!  └────────────────────────────────── hashed ────────────────────────────────────┘
//! ```
//!
//! It is JSON, whose last member is the hash of all bytes before that member. An entry that is
//! signed has its signature, of all bytes before it, as the last member but one. `docs/audit.md`
//! describes the format for those who write a verifier of their own.

use jiff::Timestamp;
use serde::Serialize;

use super::{AuditEntry, AuditEvent, Digest, FORMAT, Misfit, Signature};
use crate::id::AuditId;

/// How long a line may be. Ours are far shorter.
pub const MAX_BYTES: usize = 16 << 10;
/// What the hash of a line is derived with, so that it is the hash of nothing else.
pub const HASH_CONTEXT: &str = "Hyper-NixOS audit log v1: entry";
/// What stands before the bytes that are signed, so that the signature is of nothing else.
pub const SIGNATURE_CONTEXT: &str = "Hyper-NixOS audit log v1: signature\n";

const HASH_MEMBER: &str = ",\"hash\":\"";
const SIGNATURE_MEMBER: &str = ",\"signature\":\"";
const END: &str = "\"}";

/// An entry that is not in the log yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its place.
    pub sequence: u64,
    /// The hash of the one before it.
    pub previous: Digest,
    /// Its id.
    pub id: AuditId,
    /// When.
    pub time: Timestamp,
    /// What happened.
    pub event: AuditEvent,
}

/// An entry and the line that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The entry.
    pub entry: AuditEntry,
    /// Its line, without a line break.
    pub text: String,
}

/// Why an entry cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("an audit entry cannot be written: {0}")]
pub struct Unwritable(String);

/// What is written before signature and hash.
#[derive(Serialize)]
struct Body<'a> {
    format: u32,
    sequence: u64,
    previous: &'a Digest,
    id: AuditId,
    time: Timestamp,
    event: &'a AuditEvent,
}

impl Draft {
    /// The line of an entry that needs no signature.
    pub fn seal(self) -> Result<Line, Unwritable> {
        let body = self.body()?;
        self.finish(body, None)
    }

    /// The line of an entry that is signed; `sign` gets the bytes to be signed.
    pub fn seal_signed(self, sign: impl FnOnce(&[u8]) -> Signature) -> Result<Line, Unwritable> {
        let mut body = self.body()?;
        let signature = sign(&signed_bytes(&body));
        body.push_str(SIGNATURE_MEMBER);
        body.push_str(&signature.to_string());
        body.push('"');
        self.finish(body, Some(signature))
    }

    /// The line so far, left open at its end.
    fn body(&self) -> Result<String, Unwritable> {
        let body = Body {
            format: FORMAT,
            sequence: self.sequence,
            previous: &self.previous,
            id: self.id,
            time: self.time,
            event: &self.event,
        };
        let mut text =
            serde_json::to_string(&body).map_err(|error| Unwritable(error.to_string()))?;
        text.pop();
        Ok(text)
    }

    fn finish(self, mut text: String, signature: Option<Signature>) -> Result<Line, Unwritable> {
        let hash = hash(text.as_bytes());
        text.push_str(HASH_MEMBER);
        text.push_str(&hash.to_string());
        text.push_str(END);
        if text.len() > MAX_BYTES {
            return Err(Unwritable(format!("it has {} bytes", text.len())));
        }
        let entry = AuditEntry {
            format: FORMAT,
            sequence: self.sequence,
            previous: self.previous,
            id: self.id,
            time: self.time,
            event: self.event,
            signature,
            hash,
        };
        Ok(Line { entry, text })
    }
}

/// The hash of what stands before the hash in a line.
fn hash(before: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(HASH_CONTEXT);
    hasher.update(before);
    Digest::new(*hasher.finalize().as_bytes())
}

/// What is signed of what stands before the signature in a line.
fn signed_bytes(before: &str) -> Vec<u8> {
    [SIGNATURE_CONTEXT.as_bytes(), before.as_bytes()].concat()
}

/// Reads a line as the log has it, without a look at whether it fits.
pub fn read(text: &str) -> Result<AuditEntry, serde_json::Error> {
    serde_json::from_str(text)
}

/// Reads a line, and checks everything that can be checked without the one before it: its form,
/// its hash, its signature.
pub fn check(text: &str) -> Result<AuditEntry, Misfit> {
    if text.len() > MAX_BYTES {
        return Err(Misfit::Unreadable(format!(
            "it has {} bytes; an entry has at most {MAX_BYTES}",
            text.len()
        )));
    }
    let entry = read(text).map_err(|error| Misfit::Unreadable(error.to_string()))?;
    if entry.format != FORMAT {
        return Err(Misfit::Format(entry.format));
    }
    let member = format!("{HASH_MEMBER}{}{END}", entry.hash);
    let before = text.strip_suffix(&member).ok_or_else(out_of_form)?;
    if hash(before.as_bytes()) != entry.hash {
        return Err(Misfit::Content);
    }
    match (entry.event.signer(), &entry.signature) {
        (None, None) => {}
        (Some(_), None) => return Err(Misfit::Unsigned),
        (None, Some(_)) => return Err(out_of_form()),
        (Some(key), Some(signature)) => {
            let member = format!("{SIGNATURE_MEMBER}{signature}\"");
            let before = before.strip_suffix(&member).ok_or_else(out_of_form)?;
            if !key.verifies(&signed_bytes(before), signature) {
                return Err(Misfit::Signature);
            }
        }
    }
    Ok(entry)
}

fn out_of_form() -> Misfit {
    Misfit::Unreadable("its members are not in the order that the format gives them".to_owned())
}
