// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv` alone: what needs attention now, and the next sensible command.

use hv_client::VmFilter;
use hv_model::{
    health::{Check, CheckStatus, Health},
    vm::VmState,
};

use crate::{
    failure::Failure,
    output::{
        Look, Paint, shown,
        text::{counted, wrapped},
    },
    session::Session,
};

/// How far texts stand from the edge.
const MARGIN: usize = 9;

/// How many VMs there are, and how many of them run.
#[derive(Debug, Clone, Copy)]
struct Counts {
    vms: usize,
    running: usize,
}

/// Says what needs attention.
pub(crate) async fn run(session: &Session) -> Result<(), Failure> {
    let every_vm = VmFilter::default();
    let (health, vms) = tokio::join!(session.client.health(), session.client.vms(&every_vm));
    let vms = vms?.items;
    let running = vms.iter().filter(|vm| vm.state == VmState::Running).count();
    let counts = Counts {
        vms: vms.len(),
        running,
    };
    session.answer(&health?, |health| page(health, counts, session.look))
}

fn page(health: &Health, counts: Counts, look: Look) -> String {
    let mut bad: Vec<&Check> = health
        .checks
        .iter()
        .filter(|check| check.status > CheckStatus::Pass)
        .collect();
    bad.sort_by_key(|check| std::cmp::Reverse(check.status));
    let all = format!("{}, {} running", counted(counts.vms, "VM"), counts.running);
    let next = match counts.vms {
        0 => {
            let command = look.paint(Paint::Command, "hv vm create NAME --image IMAGE");
            format!(" Make one: {command}")
        }
        _ => String::new(),
    };
    if bad.is_empty() {
        let well = look.paint(Paint::Good, "All is well:");
        return format!("{well} {all}.{next}\n");
    }
    let mut page: String = bad.iter().map(|check| lines(check, look)).collect();
    page.extend([&all, ".", &next, "\n"]);
    page
}

/// A check: how it came out, what was seen, why it matters, and what mends it.
fn lines(check: &Check, look: Look) -> String {
    let (paint, word) = match check.status {
        CheckStatus::Fail => (Paint::Bad, "broken"),
        CheckStatus::Warn => (Paint::Warning, "warning"),
        CheckStatus::Unknown => (Paint::Warning, "unknown"),
        CheckStatus::Pass => (Paint::Good, "well"),
    };
    let columns = look.prose().saturating_sub(MARGIN);
    let mut texts = wrapped(&shown(&check.observed), columns);
    if !check.why.is_empty() {
        texts.extend(wrapped(&shown(&check.why), columns));
    }
    let commands = check
        .fixes
        .iter()
        .map(|fix| look.paint(Paint::Command, &shown(fix)));
    texts.extend(commands);
    let mut page = look.paint(paint, word);
    page.extend(std::iter::repeat_n(' ', MARGIN.saturating_sub(word.len())));
    page.push_str(&texts.join(&format!("\n{}", " ".repeat(MARGIN))));
    page.push('\n');
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use hv_model::health::Freshness;

    fn health(checks: Vec<Check>) -> Health {
        let status = checks.iter().map(|check| check.status).max();
        Health {
            status: status.unwrap_or(CheckStatus::Pass),
            checks,
            freshness: Freshness {
                live: true,
                seen: None,
                why: None,
            },
        }
    }

    fn check(status: CheckStatus, observed: &str, fixes: &[&str]) -> Check {
        Check {
            id: "host.acceleration".into(),
            status,
            observed: observed.into(),
            why: "Why it matters is told here, in a sentence or two that may be rather long."
                .into(),
            fixes: fixes.iter().map(ToString::to_string).collect(),
        }
    }

    const SEVERAL: Counts = Counts { vms: 2, running: 1 };

    #[test]
    fn when_all_is_well_one_line_says_so() {
        let well = health(vec![check(CheckStatus::Pass, "2 pools are active", &[])]);
        let none = Counts { vms: 0, running: 0 };
        let pages = [SEVERAL, none].map(|counts| page(&well, counts, Look::plain()));
        insta::assert_snapshot!(pages.concat(), @r"
        All is well: 2 VMs, 1 running.
        All is well: 0 VMs, 0 running. Make one: hv vm create NAME --image IMAGE
        ");
    }

    #[test]
    fn the_worst_comes_first_with_the_next_commands() {
        let health = health(vec![
            check(CheckStatus::Pass, "2 pools are active", &[]),
            check(
                CheckStatus::Warn,
                "web\x1b[2J crashed.",
                &["hv vm show web", "hv vm start web"],
            ),
            check(
                CheckStatus::Fail,
                "libvirt cannot be reached",
                &["systemctl status libvirtd"],
            ),
        ]);
        insta::assert_snapshot!(page(&health, SEVERAL, Look::plain()));
    }
}
