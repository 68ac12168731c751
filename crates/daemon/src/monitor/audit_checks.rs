// SPDX-License-Identifier: GPL-3.0-or-later
//! Checks of the audit log: whether it is whole, and whether others have its signatures.

use hv_model::health::{Check, CheckStatus};
use jiff::SignedDuration;

use super::health::{Facts, ago, bad, pass};
use crate::audit::{Copying, Noticed};

/// For how long a fault that was noticed is told. It stays in the log itself.
const TOLD: SignedDuration = SignedDuration::from_hours(7 * 24);

pub(super) fn all(facts: &Facts) -> Vec<Check> {
    vec![chain(facts), copies(facts)]
}

fn chain(facts: &Facts) -> Check {
    let id = "audit.chain";
    let broken = |observed: String, why: &str, fix: &str| {
        bad(id, CheckStatus::Fail, observed, why, [fix.to_owned()])
    };
    let audit = &facts.audit;
    if let Some(fault) = &audit.fault {
        return broken(
            format!("The audit log was cut or changed: {fault}."),
            "Somebody wrote to the database beside hvd, or the disk is at fault. What comes before \
             that entry is as it was written.",
            "hv audit verify",
        );
    }
    if let Some(noticed) = recent(facts) {
        return broken(
            format!(
                "The audit log was cut or changed: {} ago {}. {}.",
                ago(facts, noticed.time),
                noticed.fault.words(),
                sentence(&noticed.detail)
            ),
            "Entries may be missing. Where the database was lost or put back on purpose, this is \
             told for a week. Signed entries in the system's log show what there was.",
            &format!("hv audit show {}", noticed.sequence),
        );
    }
    if let Some(path) = &audit.exposed {
        return broken(
            format!("Others may read the audit log's key, {}.", path.display()),
            "Whoever has it can write another log and sign it.",
            &format!("chmod 600 {}", path.display()),
        );
    }
    if let Some(why) = &audit.unsigned {
        return broken(
            format!("The audit log could not be signed: {why}."),
            "What comes behind the last signature could be changed without a trace.",
            "df -h",
        );
    }
    let signed = audit.signed.map_or_else(String::new, |signed| {
        format!(", signed {} ago", ago(facts, signed.time))
    });
    match audit.verified {
        Some(_) => pass(id, format!("The audit log is whole{signed}.")),
        None => pass(id, format!("The audit log is being verified{signed}.")),
    }
}

fn recent(facts: &Facts) -> Option<&Noticed> {
    let noticed = facts.audit.noticed.as_ref()?;
    (facts.now.duration_since(noticed.time) < TOLD).then_some(noticed)
}

fn sentence(text: &str) -> String {
    let mut characters = text.trim_end_matches('.').chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

fn copies(facts: &Facts) -> Check {
    let id = "audit.copies";
    match &facts.audit.copying {
        Copying::Off => pass(id, "The audit log's signatures are not sent elsewhere."),
        Copying::Done => pass(id, "The system's log has the audit log's signatures."),
        Copying::Failed(why) => bad(
            id,
            CheckStatus::Warn,
            format!("The audit log's signatures do not get to the system's log: {why}."),
            "They show what there was, should hvd's state as a whole be put back or replaced.",
            [
                "systemctl status systemd-journald".to_owned(),
                "Where there is none, say so in hvd's configuration: audit.syslog = \"none\"."
                    .to_owned(),
            ],
        ),
    }
}

#[cfg(test)]
mod tests {
    use hv_model::audit::{FirstFault, Misfit, NoticedFault};

    use super::*;
    use crate::{audit::AuditState, monitor::health::tests::facts};

    fn checked(state: AuditState) -> Vec<String> {
        let mut facts = facts(|_| {});
        facts.audit = state;
        let checks = all(&facts).into_iter();
        checks
            .map(|check| format!("{:?} {}: {}", check.status, check.id, check.observed))
            .collect()
    }

    fn noticed(time: &str) -> AuditState {
        AuditState {
            verified: Some(time.parse().unwrap()),
            noticed: Some(Noticed {
                time: time.parse().unwrap(),
                sequence: 7,
                fault: NoticedFault::Cut,
                detail: "entry 6 was signed and is not in the log".to_owned(),
            }),
            copying: Copying::Failed("/dev/log: nobody listens".to_owned()),
            ..AuditState::default()
        }
    }

    #[test]
    fn each_state_of_the_log_is_told() {
        let fault = AuditState {
            fault: Some(FirstFault {
                sequence: 3,
                time: None,
                misfit: Misfit::Content,
            }),
            ..AuditState::default()
        };
        let exposed = AuditState {
            exposed: Some("/var/lib/hvd/audit-key".into()),
            ..AuditState::default()
        };
        let unsigned = AuditState {
            unsigned: Some("the disk under the database is full".to_owned()),
            ..AuditState::default()
        };
        let states = [
            AuditState::default(),
            fault,
            noticed("2026-01-01T03:04:05Z"),
            noticed("2025-12-01T03:04:05Z"),
            exposed,
            unsigned,
        ];
        insta::assert_snapshot!(states.map(checked).concat().join("\n"));
    }
}
