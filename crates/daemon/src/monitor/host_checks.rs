// SPDX-License-Identifier: GPL-3.0-or-later
//! Checks of the host, and of the daemon's own work on it.

use hv_model::{
    health::{Check, CheckStatus},
    host::Acceleration,
    name::VmName,
    refusal::GuardEffect,
};

use super::health::{Facts, ago, bad, count, listed, pass};

pub(super) fn all(facts: &Facts) -> Vec<Check> {
    vec![
        reachable(facts),
        acceleration(facts),
        missed_facts(facts),
        operations(facts),
        policies(facts),
        refusals(facts),
    ]
}

fn reachable(facts: &Facts) -> Check {
    let id = "host.reachable";
    let freshness = &facts.snapshot.freshness;
    let seen = freshness.seen.map(|seen| ago(facts, seen));
    if freshness.live {
        let seen = seen.map_or_else(|| "now".to_owned(), |seen| format!("{seen} ago"));
        return pass(id, format!("The host answered {seen}."));
    }
    let why = freshness.why.as_deref().unwrap_or_default();
    let observed = match seen {
        Some(seen) => format!("The host has not answered for {seen}. {why}"),
        None => format!("The host has not answered yet. {why}"),
    };
    bad(
        id,
        CheckStatus::Fail,
        observed.trim_end(),
        "VMs go on running, but they can be neither watched nor changed, and what is shown of them \
         is as old as that.",
        ["systemctl status libvirtd hv-broker".to_owned()],
    )
}

fn policies(facts: &Facts) -> Check {
    let id = "access.policies";
    match &facts.policy_fault {
        None => pass(id, "The policies that should be in force are."),
        Some(fault) => bad(
            id,
            CheckStatus::Fail,
            format!("A policy is at fault: {fault}."),
            "What was in force before stays; after a start of the daemon, nobody but root may do \
             anything until it is mended.",
            ["hv access reload".to_owned()],
        ),
    }
}

fn acceleration(facts: &Facts) -> Check {
    let id = "host.acceleration";
    match facts.snapshot.host.as_ref().map(|host| &host.acceleration) {
        Some(Acceleration::Kvm) => pass(id, "VMs run on the CPU itself (KVM)."),
        Some(Acceleration::Tcg { why }) => bad(
            id,
            CheckStatus::Warn,
            format!("VMs are emulated (TCG): {}.", why.trim_end_matches('.')),
            "Emulation is 10 to 50 times slower than running on the CPU itself.",
            [
                "Turn on virtualization (VT-x or AMD-V) in the machine's firmware.".to_owned(),
                "On a virtual machine, turn on nested virtualization on its own host.".to_owned(),
                "ls -l /dev/kvm".to_owned(),
            ],
        ),
        None => bad(
            id,
            CheckStatus::Unknown,
            if facts.snapshot.freshness.live {
                "It is being tried whether VMs run on the CPU itself (KVM)."
            } else {
                "The host was never reached, so it is not known how VMs would run."
            },
            "Without KVM they run 10 to 50 times slower.",
            ["hv host show".to_owned()],
        ),
    }
}

fn missed_facts(facts: &Facts) -> Check {
    let id = "host.resync";
    match facts.snapshot.missed_facts {
        0 => pass(id, "Nothing was missed since hvd started."),
        missed => bad(
            id,
            CheckStatus::Warn,
            format!("{missed} changes were noticed late since hvd started, by looking again."),
            "libvirt or the broker did not tell of them, so they were shown up to a minute late.",
            ["journalctl -u libvirtd -u hv-broker".to_owned()],
        ),
    }
}

fn operations(facts: &Facts) -> Check {
    let id = "operation.failed";
    let wrong = &facts.went_wrong;
    if wrong.is_empty() {
        return pass(id, "No operation failed within the last day.");
    }
    let names: Vec<String> = wrong
        .iter()
        .map(|operation| format!("{} {}", operation.kind.words(), operation.target.name))
        .collect();
    let listed = listed(names.iter().map(String::as_str));
    let fixes = wrong
        .iter()
        .take(3)
        .map(|operation| format!("hv op show {}", operation.id));
    bad(
        id,
        CheckStatus::Warn,
        format!(
            "{} failed within the last day: {listed}.",
            count(wrong.len(), "operation")
        ),
        "What was asked for was not done. What had been begun was undone.",
        fixes,
    )
}

fn refusals(facts: &Facts) -> Check {
    let id = "guard.refused";
    let Some(last) = facts.refused.last() else {
        return pass(id, "The host's policy stopped no VM within the last day.");
    };
    let mut names: Vec<&str> = facts
        .refused
        .iter()
        .map(|each| each.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    let what = match last.effect {
        GuardEffect::Refused => "was stopped",
        GuardEffect::Reported => "was found running",
    };
    let reason = last.reasons.first().map_or("", String::as_str);
    // Only a name that means nothing to a shell goes into a command.
    let look = last.name.parse::<VmName>().ok();
    let look = look.map(|name| format!("virsh dumpxml {name} | hv-guard --check -"));
    bad(
        id,
        CheckStatus::Warn,
        format!(
            "The host's policy does not allow VMs that were to run within the last day: {}. {} {what} \
             {} ago: {reason}",
            listed(names.iter().copied()),
            last.name,
            ago(facts, last.time),
        ),
        "Somebody with rights on libvirt wanted a VM that could reach the host, or the policy lacks \
         what an honest VM needs.",
        look.into_iter().chain([
            "If the VM is honest, let root add what it needs to the host's policy.".to_owned(),
        ]),
    )
}

#[cfg(test)]
mod tests {
    use hv_model::refusal::GuardRefusal;

    use super::*;
    use crate::monitor::health::tests::facts;

    #[test]
    fn a_lost_host_is_told_with_its_age_and_its_reason() {
        let check = reachable(&facts(|snapshot| {
            snapshot.freshness.live = false;
            snapshot.freshness.seen = Some("2026-01-02T03:00:05Z".parse().unwrap());
            snapshot.freshness.why = Some("libvirtd is gone.".to_owned());
        }));
        assert_eq!(check.status, CheckStatus::Fail);
        assert_eq!(
            check.observed,
            "The host has not answered for 4 min. libvirtd is gone."
        );
    }

    #[test]
    fn changes_that_nobody_told_of_are_worth_a_warning() {
        let check = missed_facts(&facts(|snapshot| snapshot.missed_facts = 2));
        assert_eq!(check.status, CheckStatus::Warn);
        assert_eq!(missed_facts(&facts(|_| {})).status, CheckStatus::Pass);
    }

    #[test]
    fn what_the_guard_stopped_is_worth_a_warning() {
        let mut facts = facts(|_| {});
        assert_eq!(refusals(&facts).status, CheckStatus::Pass);
        facts.refused.push(GuardRefusal {
            time: "2026-01-02T03:00:05Z".parse().unwrap(),
            name: "hole".to_owned(),
            id: None,
            operation: "prepare".to_owned(),
            effect: GuardEffect::Refused,
            reasons: vec!["domain/os/kernel: \"/boot/x\"".to_owned()],
        });
        let check = refusals(&facts);
        assert_eq!(check.status, CheckStatus::Warn);
        assert!(
            check
                .observed
                .ends_with("hole was stopped 4 min ago: domain/os/kernel: \"/boot/x\""),
            "{}",
            check.observed
        );
    }

    #[test]
    fn how_vms_run_is_unknown_not_well_until_it_was_tried() {
        let tried = acceleration(&facts(|_| {}));
        assert_eq!(tried.status, CheckStatus::Unknown);
        assert!(tried.observed.contains("being tried"), "{tried:?}");
        let never = acceleration(&facts(|snapshot| snapshot.freshness.live = false));
        assert_eq!(never.status, CheckStatus::Unknown);
        assert!(never.observed.contains("never reached"), "{never:?}");
    }
}
