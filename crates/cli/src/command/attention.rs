// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv` alone: what needs attention now, and the next sensible command.

use std::time::Duration;

use hv_client::{OperationFilter, VmFilter};
use hv_model::{
    health::{Check, CheckStatus, Health},
    inventory::VmSummary,
    operation::{Operation, OperationState},
    vm::VmState,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    command::operation::short_id,
    failure::Failure,
    follow::title,
    output::{
        Look, Paint, moment, shown,
        text::{counted, quoted, wrapped},
    },
    session::Session,
};

/// How many operations are looked at.
const OPERATIONS: u32 = 200;
/// For how long a failed operation needs attention.
const RECENT: Duration = Duration::from_secs(24 * 3600);
/// How many things of one kind are told.
const AT_MOST: usize = 5;
/// How far texts stand from the edge.
const MARGIN: usize = 9;

/// What is known of what needs attention.
#[derive(Debug, Serialize)]
struct Attention {
    health: Health,
    crashed_vms: Vec<VmSummary>,
    failed_operations: Vec<Operation>,
    vms: usize,
    running: usize,
}

/// Says what needs attention.
pub(crate) async fn run(session: &Session) -> Result<(), Failure> {
    let client = &session.client;
    let filter = OperationFilter {
        limit: Some(OPERATIONS),
        ..OperationFilter::default()
    };
    let every_vm = VmFilter::default();
    let (health, vms, operations) = tokio::join!(
        client.health(),
        client.vms(&every_vm),
        client.operations(&filter)
    );
    let now = session.now();
    let attention = weigh(health?, vms?.items, operations?.items, now);
    session.answer(&attention, |attention| page(attention, now, session.look))
}

/// Picks out what needs attention.
fn weigh(
    mut health: Health,
    vms: Vec<VmSummary>,
    operations: Vec<Operation>,
    now: Timestamp,
) -> Attention {
    health
        .checks
        .sort_by_key(|check| std::cmp::Reverse(check.status));
    let running = vms.iter().filter(|vm| vm.state == VmState::Running).count();
    let all = vms.len();
    let crashed_vms = vms
        .into_iter()
        .filter(|vm| vm.state == VmState::Crashed)
        .collect();
    let mut failed: Vec<Operation> = Vec::new();
    // The newest come first: what was done again since, one way or the other, is settled.
    let mut settled: Vec<(&'static str, String)> = Vec::new();
    for operation in operations {
        let what = (operation.kind.as_str(), operation.target.id.clone());
        if settled.contains(&what) {
            continue;
        }
        settled.push(what);
        let is_failed = matches!(
            operation.state,
            OperationState::Failed | OperationState::Interrupted
        );
        let ended = operation.ended.unwrap_or(operation.created);
        if is_failed && moment::between(ended, now) < RECENT {
            failed.push(operation);
        }
    }
    Attention {
        health,
        crashed_vms,
        failed_operations: failed,
        vms: all,
        running,
    }
}

fn page(attention: &Attention, now: Timestamp, look: Look) -> String {
    let mut page = String::new();
    let bad: Vec<&Check> = attention
        .health
        .checks
        .iter()
        .filter(|check| check.status > CheckStatus::Pass)
        .collect();
    for check in &bad {
        page.push_str(&check_lines(check, look));
    }
    for vm in attention.crashed_vms.iter().take(AT_MOST) {
        page.push_str(&crashed_lines(vm, now, look));
    }
    page.push_str(&more(
        attention.crashed_vms.len(),
        "crashed VM",
        "hv vm list --state crashed",
        look,
    ));
    for operation in attention.failed_operations.iter().take(AT_MOST) {
        page.push_str(&failed_lines(operation, now, look));
    }
    page.push_str(&more(
        attention.failed_operations.len(),
        "failed operation",
        "hv op list --state failed",
        look,
    ));
    let counts = format!(
        "{}, {} running",
        counted(attention.vms, "VM"),
        attention.running
    );
    if page.is_empty() {
        let well = look.paint(Paint::Good, "All is well:");
        page = format!("{well} {counts}.");
        if attention.vms == 0 {
            let command = look.paint(Paint::Command, "hv vm create NAME --image IMAGE");
            page.extend([" Make one: ", &command]);
        }
        page.push('\n');
        return page;
    }
    page.extend([&counts, ".\n"]);
    page
}

/// A word at the edge and a text beside it.
fn item(paint: Paint, word: &str, text: &str, look: Look) -> String {
    let lines = wrapped(text, look.prose().saturating_sub(MARGIN));
    let mut page = String::new();
    for (number, line) in lines.iter().enumerate() {
        let (word, width) = if number == 0 {
            (look.paint(paint, word), word.len())
        } else {
            (String::new(), 0)
        };
        page.push_str(&word);
        page.extend(std::iter::repeat_n(' ', MARGIN.saturating_sub(width)));
        page.push_str(line);
        page.push('\n');
    }
    page
}

fn command(command: &str, look: Look) -> String {
    format!(
        "{}{}\n",
        " ".repeat(MARGIN),
        look.paint(Paint::Command, command)
    )
}

fn check_lines(check: &Check, look: Look) -> String {
    let (paint, word) = match check.status {
        CheckStatus::Fail => (Paint::Bad, "broken"),
        CheckStatus::Warn => (Paint::Warning, "warning"),
        CheckStatus::Unknown => (Paint::Warning, "unknown"),
        CheckStatus::Pass => (Paint::Good, "well"),
    };
    let mut page = item(paint, word, &shown(&check.observed), look);
    if !check.why.is_empty() {
        page.push_str(&item(Paint::Plain, "", &shown(&check.why), look));
    }
    for fix in &check.fixes {
        page.push_str(&command(&shown(fix), look));
    }
    page
}

fn crashed_lines(vm: &VmSummary, now: Timestamp, look: Look) -> String {
    let name = shown(&vm.name);
    let ago = moment::ago(vm.since, now);
    let mut page = item(Paint::Bad, "crashed", &format!("{name}, {ago}"), look);
    page.push_str(&command(
        &format!("hv vm events {} --since 1d", quoted(&name)),
        look,
    ));
    page.push_str(&command(&format!("hv vm start {}", quoted(&name)), look));
    page
}

fn failed_lines(operation: &Operation, now: Timestamp, look: Look) -> String {
    let ago = moment::ago(operation.ended.unwrap_or(operation.created), now);
    let why = operation
        .problem
        .as_ref()
        .map_or(operation.state.as_str(), |problem| problem.detail.as_str());
    let text = format!("{}, {ago}: {}", title(operation), shown(why));
    let mut page = item(Paint::Bad, "failed", &text, look);
    page.push_str(&command(
        &format!("hv op show {}", short_id(operation.id)),
        look,
    ));
    page
}

fn more(count: usize, noun: &str, all: &str, look: Look) -> String {
    match count.checked_sub(AT_MOST) {
        Some(rest @ 1..) => item(
            Paint::Plain,
            "",
            &format!(
                "and {} more: {}",
                counted(rest, noun),
                look.paint(Paint::Command, all)
            ),
            look,
        ),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::vm::list::tests::{now, vm};
    use hv_model::{
        access::Principal,
        health::Freshness,
        operation::{OperationKind, Target},
        problem::{Problem, ProblemKind},
    };

    fn health(checks: Vec<Check>) -> Health {
        let status = checks
            .iter()
            .map(|check| check.status)
            .max()
            .unwrap_or(CheckStatus::Pass);
        Health {
            status,
            checks,
            freshness: Freshness {
                live: true,
                seen: Some(now()),
                why: None,
            },
        }
    }

    fn check(status: CheckStatus, observed: &str) -> Check {
        Check {
            id: "host.acceleration".into(),
            status,
            observed: observed.into(),
            why: "VMs are emulated, which is 10 to 50 times slower.".into(),
            fixes: vec!["modprobe kvm_amd".into()],
        }
    }

    fn operation(name: &str, state: OperationState, minutes_ago: i64) -> Operation {
        let time = Timestamp::from_second(1_780_000_000 - 60 * minutes_ago).unwrap();
        Operation {
            id: "0198c1f0-1111-7222-8333-444455556666".parse().unwrap(),
            kind: OperationKind::VmStart,
            target: Target {
                kind: "vm".into(),
                id: name.into(),
                name: name.into(),
            },
            parameters: serde_json::Value::Null,
            actor: Principal::System,
            idempotency_key: None,
            state,
            steps: Vec::new(),
            progress: None,
            result: serde_json::Value::Null,
            problem: (state == OperationState::Failed).then(|| {
                Problem::new(
                    ProblemKind::NotEnoughMemory,
                    "web needs 64 GiB, and 12 GiB are available",
                )
            }),
            created: time,
            started: Some(time),
            ended: Some(time),
        }
    }

    #[test]
    fn when_all_is_well_one_line_says_so() {
        let vms = vec![vm("web", VmState::Running, 5), vm("db", VmState::Off, 5)];
        let well = weigh(health(vec![]), vms, vec![], now());
        let empty = weigh(health(vec![]), vec![], vec![], now());
        let pages = [well, empty].map(|attention| page(&attention, now(), Look::plain()));
        insta::assert_snapshot!(pages.concat());
    }

    #[test]
    fn the_worst_comes_first_with_the_next_command() {
        let checks = vec![
            check(CheckStatus::Pass, "2 pools are active"),
            check(
                CheckStatus::Warn,
                "KVM does not work: QEMU could not run a VM with it",
            ),
            check(CheckStatus::Fail, "libvirt cannot be reached since 40 s"),
        ];
        let vms = vec![
            vm("web", VmState::Crashed, 5),
            vm("db", VmState::Running, 5),
        ];
        let operations = vec![operation("web", OperationState::Failed, 3)];
        let attention = weigh(health(checks), vms, operations, now());
        insta::assert_snapshot!(page(&attention, now(), Look::plain()));
    }

    #[test]
    fn what_was_done_again_or_is_long_ago_needs_no_attention() {
        let operations = vec![
            operation("web", OperationState::Succeeded, 1),
            operation("web", OperationState::Failed, 3),
            operation("db", OperationState::Failed, 60 * 25),
        ];
        let attention = weigh(health(vec![]), vec![], operations, now());
        assert!(attention.failed_operations.is_empty());
    }

    #[test]
    fn many_of_a_kind_are_counted() {
        let vms = (0..9)
            .map(|number| vm(&format!("web-{number}"), VmState::Crashed, 5))
            .collect();
        let attention = weigh(health(vec![]), vms, vec![], now());
        assert!(page(&attention, now(), Look::plain()).contains("and 4 crashed VMs more"));
    }
}
