// SPDX-License-Identifier: GPL-3.0-or-later
//! Verifying the audit log line by line.
//!
//! What is found: an entry that was changed, dropped, inserted, repeated or moved; a signature that
//! is not of a trusted key; a beginning that no checkpoint vouches for; an end that lacks what was
//! signed. What cannot be found: entries behind the last signature that were all replaced, and
//! anything done by whoever has the key, unless its signatures are also known from elsewhere.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AuditEntry, AuditEvent, Cut, Digest, PublicKey, line};
use crate::id::HostId;

/// How many entries that tell of a fault a summary names.
const NOTICED: usize = 100;

/// What is known from elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// The keys whose signatures count. If there is none, the first one that is met is trusted.
    pub keys: Vec<PublicKey>,
    /// Signed entries that were seen elsewhere, as in the system's log: each must be in this one.
    pub heads: Vec<AuditEntry>,
}

/// How a log must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With a signed entry, as an export does.
    Signed,
    /// Anywhere, as the log of a daemon does that goes on writing.
    Open,
}

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AuditSummary)]
pub struct Summary {
    /// How many entries there are.
    pub entries: u64,
    /// The first of them.
    pub first: LogPlace,
    /// The last of them.
    pub last: LogPlace,
    /// The last one that is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<LogPlace>,
    /// How many come after it.
    pub unsigned: u64,
    /// The keys that signed it.
    pub keys: Vec<PublicKey>,
    /// The host that it is of, if its beginning is still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// The checkpoint that vouches for what was before the first entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    /// Entries in which the daemon tells that the log was not what it should be, the first 100.
    pub noticed: Vec<u64>,
}

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LogPlace {
    /// Which entry.
    pub sequence: u64,
    /// Its hash.
    pub hash: Digest,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
}

/// What verifying a log came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditVerification {
    /// The host's public key.
    pub key: PublicKey,
    /// What was verified; absent where something does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// The first entry that does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FirstFault>,
}

/// The first entry that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FirstFault {
    /// Which entry, by its place in the log.
    pub sequence: u64,
    /// When it was written, as far as it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub time: Option<Timestamp>,
    /// What does not fit.
    pub misfit: Misfit,
}

/// What does not fit about an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", content = "value", rename_all = "kebab-case")]
pub enum Misfit {
    /// It is no entry, and this is why.
    Unreadable(String),
    /// It has this format, which this version does not know.
    Format(u32),
    /// It was changed: its content does not have its hash.
    Content,
    /// The entries from this one up to it are missing.
    Missing(u64),
    /// It stands where this one should stand: it is there twice, or not in its order.
    Misplaced(u64),
    /// It does not hold the hash of the one before it.
    Link,
    /// It must be signed, and is not.
    Unsigned,
    /// Its signature is not of its key.
    Signature,
    /// It is signed with this key, which is not trusted.
    Key(PublicKey),
    /// Another log begins with it.
    Beginning,
    /// The log begins with it, and no checkpoint vouches for what was before.
    Start,
    /// It is not the one that was signed there.
    Replaced,
    /// It is missing, together with all that came after: the log ends too early.
    End,
    /// There is no entry at all.
    Empty,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "it is no entry: {why}"),
            Self::Format(format) => {
                write!(f, "it has the format {format}, which a later version reads")
            }
            Self::Content => f.write_str("it was changed: its content does not have its hash"),
            Self::Missing(first) => {
                write!(f, "what should come before it, from {first} on, is missing")
            }
            Self::Misplaced(expected) => write!(
                f,
                "it stands where {expected} should: it is there twice, or out of its order"
            ),
            Self::Link => f.write_str("it does not hold the hash of the one before it"),
            Self::Unsigned => f.write_str("it must be signed and is not"),
            Self::Signature => f.write_str("its signature is wrong"),
            Self::Key(key) => write!(f, "it is signed with a key that is not trusted: {key}"),
            Self::Beginning => f.write_str("another log begins here"),
            Self::Start => f.write_str(
                "the log begins with it, and nothing that is signed vouches for what was before",
            ),
            Self::Replaced => f.write_str("it is not the one that was signed there"),
            Self::End => f.write_str("it is missing: the log ends too early"),
            Self::Empty => f.write_str("the log is empty"),
        }
    }
}

impl fmt::Display for FirstFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}", self.sequence)?;
        if let Some(time) = self.time {
            write!(f, " of {time}")?;
        }
        write!(f, ": {}", self.misfit)
    }
}

impl std::error::Error for FirstFault {}

/// Verifies a log line by line, in little memory however long it is.
#[derive(Debug, Clone)]
pub struct Verifier {
    keys: Vec<PublicKey>,
    /// Whether the first key that is met is to be trusted.
    trusts_first: bool,
    heads: BTreeMap<u64, (Digest, Timestamp)>,
    used: Vec<PublicKey>,
    first: Option<(LogPlace, Digest)>,
    last: Option<LogPlace>,
    signed: Option<LogPlace>,
    host: Option<HostId>,
    cut: Option<Cut>,
    noticed: Vec<u64>,
}

impl Verifier {
    /// One that has seen nothing yet.
    pub fn new(trust: Trust) -> Self {
        let heads = trust.heads.iter();
        Self {
            trusts_first: trust.keys.is_empty(),
            heads: heads
                .map(|head| (head.sequence, (head.hash, head.time)))
                .collect(),
            keys: trust.keys,
            used: Vec::new(),
            first: None,
            last: None,
            signed: None,
            host: None,
            cut: None,
            noticed: Vec::new(),
        }
    }

    /// The place that the next entry must have; 1 before there was one, though a log that was cut
    /// begins later.
    pub fn next_sequence(&self) -> u64 {
        self.last.map_or(1, |last| last.sequence.saturating_add(1))
    }

    /// Checks the next line.
    pub fn check(&mut self, text: &str) -> Result<AuditEntry, FirstFault> {
        let entry = line::check(text).map_err(|misfit| {
            // What it says of itself may be what was changed; where it stands is known.
            let told = line::read(text).ok();
            let stands = self.last.map(|_| self.next_sequence());
            FirstFault {
                sequence: stands
                    .or(told.as_ref().map(|entry| entry.sequence))
                    .unwrap_or(1),
                time: told.map(|entry| entry.time),
                misfit,
            }
        })?;
        match self.fit(&entry) {
            Ok(()) => Ok(entry),
            Err(misfit) => Err(FirstFault {
                sequence: entry.sequence,
                time: Some(entry.time),
                misfit,
            }),
        }
    }

    fn fit(&mut self, entry: &AuditEntry) -> Result<(), Misfit> {
        if let Some(last) = self.last {
            let expected = last.sequence.saturating_add(1);
            if entry.sequence > expected {
                return Err(Misfit::Missing(expected));
            }
            if entry.sequence < expected {
                return Err(Misfit::Misplaced(expected));
            }
            if entry.previous != last.hash {
                return Err(Misfit::Link);
            }
        }
        let begins = matches!(entry.event, AuditEvent::Began { .. });
        if begins != (entry.sequence == 1) || begins != (entry.previous == Digest::NONE) {
            return Err(Misfit::Beginning);
        }
        if let Some((hash, _)) = self.heads.get(&entry.sequence)
            && *hash != entry.hash
        {
            return Err(Misfit::Replaced);
        }
        if let Some(key) = entry.event.signer() {
            self.accept(key)?;
        }
        self.take(entry);
        Ok(())
    }

    fn accept(&mut self, key: &PublicKey) -> Result<(), Misfit> {
        if self.trusts_first {
            self.trusts_first = false;
            self.keys.push(*key);
        }
        if !self.keys.contains(key) {
            return Err(Misfit::Key(*key));
        }
        if !self.used.contains(key) {
            self.used.push(*key);
        }
        Ok(())
    }

    fn take(&mut self, entry: &AuditEntry) {
        let place = LogPlace {
            sequence: entry.sequence,
            hash: entry.hash,
            time: entry.time,
        };
        let (start, previous) = *self.first.get_or_insert((place, entry.previous));
        self.last = Some(place);
        if entry.signature.is_some() {
            self.signed = Some(place);
        }
        match &entry.event {
            AuditEvent::Began { host, .. } => self.host = Some(*host),
            AuditEvent::Cut(cut)
                if cut.sequence.checked_add(1) == Some(start.sequence) && cut.hash == previous =>
            {
                self.cut = Some(cut.clone());
            }
            AuditEvent::Noticed { .. } if self.noticed.len() < NOTICED => {
                self.noticed.push(entry.sequence);
            }
            _ => {}
        }
    }

    /// Checks that the log may end here, and says what was verified. More can be checked after it.
    pub fn finish(&self, end: End) -> Result<Summary, FirstFault> {
        let (Some((first, _)), Some(last)) = (self.first, self.last) else {
            return Err(FirstFault {
                sequence: 1,
                time: None,
                misfit: Misfit::Empty,
            });
        };
        if first.sequence > 1 && self.cut.is_none() {
            return Err(FirstFault {
                sequence: first.sequence,
                time: Some(first.time),
                misfit: Misfit::Start,
            });
        }
        let ends_at = |sequence, time| FirstFault {
            sequence,
            time,
            misfit: Misfit::End,
        };
        if let Some((sequence, (_, time))) = self.heads.last_key_value()
            && *sequence > last.sequence
        {
            return Err(ends_at(*sequence, Some(*time)));
        }
        let signed = self.signed.map_or(0, |signed| signed.sequence);
        let unsigned = match self.signed {
            Some(signed) => last.sequence.saturating_sub(signed.sequence),
            None => last
                .sequence
                .saturating_sub(first.sequence)
                .saturating_add(1),
        };
        if end == End::Signed && signed != last.sequence {
            return Err(ends_at(last.sequence.saturating_add(1), None));
        }
        Ok(Summary {
            entries: last
                .sequence
                .saturating_sub(first.sequence)
                .saturating_add(1),
            first,
            last,
            signed: self.signed,
            unsigned,
            keys: self.used.clone(),
            host: self.host,
            cut: self.cut.clone(),
            noticed: self.noticed.clone(),
        })
    }
}

/// Verifies a log as a whole.
pub fn verify<L: AsRef<str>>(
    lines: impl IntoIterator<Item = L>,
    trust: Trust,
    end: End,
) -> Result<Summary, FirstFault> {
    let mut verifier = Verifier::new(trust);
    for line in lines {
        verifier.check(line.as_ref())?;
    }
    verifier.finish(end)
}
