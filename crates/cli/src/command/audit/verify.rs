// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv audit verify`: whether the log is whole, asked of hvd and checked here, or of a file alone.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};
use hv_model::audit::{
    AuditEntry, AuditVerification, End, FirstFault, PublicKey, Summary, Trust, Verifier, line,
};
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::{
    failure::Failure,
    output::{Facts, Look, Paint, moment},
    session::{Form, Session},
};

/// What to verify, and by what.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// An export, which is verified without hvd; - is standard input. Without it, the log of hvd.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// The host's public key, as you noted it. Can be given again for keys that the host had before.
    #[arg(long = "key", value_name = "PUBLIC")]
    keys: Vec<PublicKey>,
    /// Signed entries from the system's log, each of which must be in this one:
    /// journalctl -t hvd-audit -o cat.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    heads: Option<PathBuf>,
    /// An entry that tells of a fault that you know of. Can be given again.
    #[arg(long = "accept", value_name = "NUMBER")]
    accepted: Vec<u64>,
}

/// What verifying came to, for a program.
#[derive(Serialize)]
struct Verdict {
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<FirstFault>,
    /// What hvd itself finds, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    hvd: Option<AuditVerification>,
}

/// Verifies a log.
pub(super) async fn run(session: &Session, verify: &Verify) -> Result<(), Failure> {
    let heads = match &verify.heads {
        Some(path) => read_heads(path)?,
        None => Vec::new(),
    };
    let mut trust = Trust {
        keys: verify.keys.clone(),
        heads,
    };
    if trust.keys.is_empty() {
        // Who gives what another log kept also trusts the key that it was signed with.
        let signers = trust.heads.iter().filter_map(|head| head.event.signer());
        trust.keys = signers.copied().collect();
    }
    let (outcome, hvd) = match &verify.file {
        Some(path) => (verify_file(path, trust)?, None),
        None => verify_hvd(session, trust).await?,
    };
    let fault_of_hvd = hvd.as_ref().and_then(|hvd| hvd.fault.clone());
    let found = match outcome {
        Ok(summary) => fault_of_hvd.map_or(Ok(summary), Err),
        Err(fault) => Err(fault),
    };
    if session.form == Form::Json {
        session.print_json(&Verdict {
            summary: found.as_ref().ok().cloned(),
            fault: found.as_ref().err().cloned(),
            hvd,
        })?;
    }
    let summary = found.map_err(|fault| finding(&fault))?;
    session.say(&page(&summary, &session.zone(), session.look))?;
    let told = summary.noticed.iter();
    match told.copied().find(|entry| !verify.accepted.contains(entry)) {
        None => Ok(()),
        Some(entry) => Err(Failure::Finding {
            what: format!("the log fits, and its entry {entry} tells that it was cut or changed"),
            fix: format!(
                "Look at it: hv audit show {entry}. If you know why, say so: --accept {entry}."
            ),
        }),
    }
}

type Outcome = Result<Summary, FirstFault>;

/// The log that hvd gives, verified here, and what hvd itself finds.
async fn verify_hvd(
    session: &Session,
    mut trust: Trust,
) -> Result<(Outcome, Option<AuditVerification>), Failure> {
    let hvd = session.client.audit_verification().await?;
    if trust.keys.is_empty() {
        trust.keys.push(hvd.key);
    }
    let mut verifier = Verifier::new(trust);
    let mut lines = session.client.audit_export().await?;
    while let Some(line) = lines.next_line().await? {
        if let Err(fault) = verifier.check(&line) {
            return Ok((Err(fault), Some(hvd)));
        }
    }
    Ok((verifier.finish(End::Signed), Some(hvd)))
}

fn verify_file(path: &Path, trust: Trust) -> Result<Outcome, Failure> {
    let mut reader = open(path)?;
    let mut verifier = Verifier::new(trust);
    while let Some(line) = next_line(&mut reader).map_err(Failure::local(unreadable(path)))? {
        if let Err(fault) = verifier.check(&line) {
            return Ok(Err(fault));
        }
    }
    Ok(verifier.finish(End::Signed))
}

fn unreadable(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

fn open(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(Failure::local(unreadable(path)))?;
    Ok(Box::new(BufReader::new(file)))
}

/// The next line. One that is longer than any entry is cut, and then does not fit.
fn next_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let most = line::MAX_BYTES as u64 + 2;
    if reader.take(most).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The signed entries in what the system's log kept, whatever stands before them in their lines.
fn read_heads(path: &Path) -> Result<Vec<AuditEntry>, Failure> {
    let mut reader = open(path)?;
    let mut heads = Vec::new();
    while let Some(text) = next_line(&mut reader).map_err(Failure::local(unreadable(path)))? {
        let Some(start) = text.find("{\"format\":") else {
            continue;
        };
        let entry = line::check(text.get(start..).unwrap_or_default().trim_end());
        match entry {
            Ok(entry) if entry.signature.is_some() => heads.push(entry),
            Ok(_) => {}
            Err(misfit) => {
                let what = format!(
                    "an entry in {} cannot be compared: {misfit}",
                    path.display()
                );
                return Err(Failure::usage(
                    what,
                    "Take it from the system's log as it stands there.",
                ));
            }
        }
    }
    if heads.is_empty() {
        let what = format!("{} has no signed entry", path.display());
        return Err(Failure::usage(
            what,
            "Take them from the system's log: journalctl -t hvd-audit -o cat > FILE.",
        ));
    }
    Ok(heads)
}

/// The failure that names the first entry that does not fit.
pub(super) fn finding(fault: &FirstFault) -> Failure {
    Failure::Finding {
        what: format!("the audit log is not whole: {fault}"),
        fix: "What comes before that entry is as it was written. Compare with earlier exports and \
              with the system's log, and find out who can write to hvd's state."
            .into(),
    }
}

/// What was verified, in words.
pub(super) fn page(summary: &Summary, zone: &TimeZone, look: Look) -> String {
    let (first, last) = (&summary.first, &summary.last);
    let clock = |time| moment::on_clock(time, zone);
    let mut facts = Facts::default();
    facts.add_painted(
        "audit log",
        Paint::Good,
        format!(
            "whole: entries {} to {}, {} to {}",
            first.sequence,
            last.sequence,
            clock(first.time),
            clock(last.time)
        ),
    );
    match &summary.signed {
        Some(signed) => {
            let behind = match summary.unsigned {
                0 => String::new(),
                behind => format!("; {behind} behind it are not yet"),
            };
            let (entry, time) = (signed.sequence, clock(signed.time));
            facts.add("signed", format!("up to entry {entry}, {time}{behind}"));
        }
        None => {
            facts.add_painted("signed", Paint::Warning, "never");
        }
    }
    for key in &summary.keys {
        facts.add("key", key.to_string());
    }
    facts.add_known("host", summary.host.map(|host| host.to_string()));
    if let Some(cut) = &summary.cut {
        let (from, to) = (clock(cut.first), clock(cut.last));
        facts.add(
            "removed",
            format!("what was older, last {from} to {to}, behind a signed checkpoint"),
        );
    }
    for entry in &summary.noticed {
        let told = format!("entry {entry} tells that the log was cut or changed");
        facts.add_painted("noticed", Paint::Bad, told);
    }
    facts.render(look)
}

#[cfg(test)]
mod tests {
    use hv_model::audit::{Cut, Digest, LogPlace};

    use super::*;

    #[test]
    fn what_was_verified_is_told() {
        let place = |sequence: u64| LogPlace {
            sequence,
            hash: Digest::NONE,
            time: jiff::Timestamp::from_second(1_780_000_000 + sequence.cast_signed()).unwrap(),
        };
        let key = PublicKey::new([0xab; 32]);
        let mut summary = Summary {
            entries: 90,
            first: place(11),
            last: place(100),
            signed: Some(place(97)),
            unsigned: 3,
            keys: vec![key],
            host: None,
            cut: Some(Cut {
                key,
                sequence: 10,
                hash: Digest::NONE,
                removed: 10,
                first: place(1).time,
                last: place(10).time,
            }),
            noticed: vec![42],
        };
        let mut pages = vec![page(&summary, &TimeZone::UTC, Look::plain())];
        summary.signed = None;
        summary.cut = None;
        summary.host = Some("0198c1f0-2222-7222-8333-444455556666".parse().unwrap());
        pages.push(page(&summary, &TimeZone::UTC, Look::plain()));
        insta::assert_snapshot!(pages.join("\n"));
    }

    #[test]
    fn a_line_without_an_end_is_cut_where_no_entry_is_that_long() {
        let mut reader = io::Cursor::new(vec![b'x'; line::MAX_BYTES * 3]);
        let first = next_line(&mut reader).unwrap().unwrap();
        assert!(first.len() > line::MAX_BYTES && first.len() < line::MAX_BYTES * 2);
        assert!(line::check(&first).is_err());
    }
}
