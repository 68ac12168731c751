// SPDX-License-Identifier: GPL-3.0-or-later
//! What is done for the log when the daemon starts, and each day.

use std::{sync::Arc, time::Duration};

use hv_model::audit::{
    AuditEntry, FirstFault, Misfit, NoticedFault, SignReason, Summary, Verifier, line,
};
use jiff::SignedDuration;

use super::{Auditor, KeyFound, Noticed, Severity};
use crate::store::{Result, StoreError};

/// How often the log is signed.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How often the whole log is verified, and not only what is new.
const DAYS_BETWEEN_WHOLE: u32 = 7;
/// How many entries are removed in one transaction.
const CUT_AT_ONCE: u32 = 5_000;

/// Keeps the log until the daemon ends.
pub(super) async fn run(auditor: Auditor) {
    // It only fails once the store has ended.
    keep(&auditor).await.unwrap_or_default();
}

async fn keep(auditor: &Auditor) -> Result<()> {
    let clock = &auditor.0.clock;
    let mut due = clock.after(DAY);
    survive(begin(auditor).await)?;
    let mut days = 0_u32;
    let mut told = None;
    let mut verifier = survive(verify(auditor, None, &mut told).await)?.flatten();
    loop {
        clock.sleep_until(due).await;
        due = clock.after(DAY);
        if auditor.0.store.has_ended() {
            return Ok(());
        }
        // A full disk passes: what could not be done today is done tomorrow.
        survive(auditor.sign(SignReason::Daily).await)?;
        let was_cut = survive(cut(auditor).await)?.unwrap_or(false);
        days = days.saturating_add(1);
        if was_cut || days.is_multiple_of(DAYS_BETWEEN_WHOLE) {
            verifier = None;
        }
        verifier = survive(verify(auditor, verifier, &mut told).await)?.flatten();
    }
}

fn survive<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::Ended) => Err(StoreError::Ended),
        Err(error) => {
            tracing::error!(%error, "the audit log could not be looked after today");
            Ok(None)
        }
    }
}

/// Looks whether the log is the one that was left, and signs it.
async fn begin(auditor: &Auditor) -> Result<()> {
    if auditor.0.found == KeyFound::Made {
        let (key, host) = (auditor.key(), auditor.0.store.host());
        tracing::info!(%key, "a key for the audit log was made");
        let text = format!("the audit log of host {host} is signed with the new key {key}");
        auditor.tell(Severity::Notice, text).await;
    }
    if let Some((fault, detail)) = compare(auditor).await? {
        survive(auditor.notice(fault, detail).await)?;
    }
    survive(auditor.sign(SignReason::Start).await)?;
    Ok(())
}

/// What is wrong with the log, by what was signed last.
async fn compare(auditor: &Auditor) -> Result<Option<(NoticedFault, String)>> {
    let lost = |detail: String| Ok(Some((NoticedFault::HeadLost, detail)));
    let store = &auditor.0.store;
    let head = match auditor.0.head.read() {
        Ok(Some(head)) => head,
        Ok(None) => {
            let was_signed = store.read(|tx| Ok(tx.last_signed_audit_line()?.is_some()));
            if was_signed.await? {
                return lost("the file audit-head beside the database is gone".to_owned());
            }
            return Ok(None);
        }
        Err(error) => {
            return lost(format!("the file audit-head beside the database: {error}"));
        }
    };
    let entry = match line::check(&head) {
        Ok(entry) => entry,
        Err(misfit) => {
            return lost(format!("of the entry in the file audit-head: {misfit}"));
        }
    };
    match entry.event.signer() {
        Some(signer) if auditor.trusted().contains(signer) => {}
        Some(signer) => {
            let detail = format!(
                "entry {} of {} was signed with the key {signer}, and this host's key is {}",
                entry.sequence,
                entry.time,
                auditor.key()
            );
            return Ok(Some((NoticedFault::KeyReplaced, detail)));
        }
        None => return lost("the entry in the file audit-head is not signed".to_owned()),
    }
    let sequence = entry.sequence;
    let read = store.read(move |tx| {
        let stored = tx.audit_line(sequence)?;
        Ok((stored, tx.audit_range()?))
    });
    let (stored, (begin, end)) = read.await?;
    // What is that old was removed behind a checkpoint, which verifying looks for.
    if begin > sequence || stored.as_deref() == Some(head.as_str()) {
        return Ok(None);
    }
    let time = entry.time;
    Ok(Some((
        NoticedFault::Cut,
        format!(
            "entry {sequence} was signed at {time} and is not in the log, which ends with entry {end}"
        ),
    )))
}

/// Verifies what is new, or everything. Returns what can go on from there. A fault that was told
/// already is not told again.
async fn verify(
    auditor: &Auditor,
    verifier: Option<Verifier>,
    told: &mut Option<FirstFault>,
) -> Result<Option<Verifier>> {
    let _turn = auditor.0.verifying.lock().await;
    let verifier = verifier.unwrap_or_else(|| auditor.fresh_verifier());
    let (verifier, outcome) = auditor.scan(verifier).await?;
    match outcome {
        Ok(summary) => {
            remember(auditor, &summary).await?;
            Ok(Some(verifier))
        }
        Err(fault) => {
            if told.as_ref() != Some(&fault) {
                notice_fault(auditor, &fault).await?;
                *told = Some(fault);
            }
            Ok(None)
        }
    }
}

async fn notice_fault(auditor: &Auditor, fault: &FirstFault) -> Result<()> {
    let is_of_key = matches!(fault.misfit, Misfit::Key(_));
    let noticed = auditor.state().noticed.map(|noticed| noticed.fault);
    if is_of_key && noticed == Some(NoticedFault::KeyReplaced) {
        // It was seen when the daemon started.
        return Ok(());
    }
    auditor
        .notice(NoticedFault::Changed, fault.to_string())
        .await
}

/// Looks up the last entry that tells of a fault, be it of an earlier run.
async fn remember(auditor: &Auditor, summary: &Summary) -> Result<()> {
    let Some(sequence) = summary.noticed.last().copied() else {
        return Ok(());
    };
    let read = auditor.0.store.read(move |tx| tx.audit_entry(sequence));
    let found: Option<AuditEntry> = read.await?;
    let noticed = found.as_ref().and_then(Noticed::of);
    auditor.note(|state| state.noticed = noticed);
    Ok(())
}

/// Removes what is too old. Returns whether anything was.
async fn cut(auditor: &Auditor) -> Result<bool> {
    let days = i64::from(auditor.0.config.keep_days);
    let keep = SignedDuration::from_hours(days.saturating_mul(24));
    let now = auditor.0.clock.now();
    let before = now.saturating_sub(keep).unwrap_or(jiff::Timestamp::MIN);
    // Who reads the whole log now goes first; tomorrow is another day.
    let Ok(_alone) = auditor.0.reading.try_write() else {
        return Ok(false);
    };
    let mut was_cut = false;
    loop {
        let key = Arc::clone(&auditor.0.key);
        let pen = auditor.0.pen.lock().await;
        let cutting = auditor.0.store.write("audit.cut", move |tx| {
            tx.cut_audit(&key, before, CUT_AT_ONCE)
        });
        match cutting.await? {
            Ok(Some(line)) => {
                auditor.hand_on(line).await;
                was_cut = true;
            }
            Ok(None) => return Ok(was_cut),
            Err(fault) => {
                tracing::error!(%fault, "the audit log is not cut, since it does not fit");
                auditor.note(|state| state.fault = Some(fault));
                return Ok(was_cut);
            }
        }
        drop(pen);
    }
}
