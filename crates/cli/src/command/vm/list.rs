// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv vm list`.

use std::io::IsTerminal;

use clap::{Args, builder::PossibleValuesParser};
use clap_complete::engine::ArgValueCompleter;
use hv_client::{EventFilter, Shelf, VmFilter};
use hv_model::{
    hypervisor::AgentLink,
    inventory::{Management, VmSummary},
    name::{Tag, UserName},
    vm::VmState,
};
use jiff::Timestamp;

use super::paint;
use crate::{
    complete,
    failure::Failure,
    output::{Column, Look, Paint, Table, moment, shown, table::Cell},
    session::{Form, Session},
};

const STATES: [VmState; 8] = [
    VmState::Off,
    VmState::Running,
    VmState::Paused,
    VmState::Sleeping,
    VmState::ShuttingDown,
    VmState::Saved,
    VmState::Crashed,
    VmState::Unknown,
];

/// Which VMs to list.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those in this state.
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(STATES.map(VmState::as_str)))]
    state: Option<String>,
    /// Only those with this tag.
    #[arg(long, value_name = "TAG", add = ArgValueCompleter::new(complete::tags))]
    tag: Option<Tag>,
    /// Only those of this owner.
    #[arg(long, value_name = "USER")]
    owner: Option<UserName>,
    /// Those in the trash instead.
    #[arg(long)]
    trash: bool,
    /// Go on showing them as they change, until Ctrl-C.
    #[arg(long, conflicts_with = "json")]
    watch: bool,
}

/// Lists VMs.
pub(crate) async fn run(session: &Session, list: List) -> Result<(), Failure> {
    let filter = VmFilter {
        state: list
            .state
            .and_then(|text| STATES.into_iter().find(|state| state.as_str() == text)),
        tag: list.tag,
        owner: list.owner,
        name: None,
        shelf: if list.trash {
            Shelf::Trash
        } else {
            Shelf::InUse
        },
    };
    if list.watch {
        return watch(session, &filter).await;
    }
    let vms = session.client.vms(&filter).await?;
    session.warn_if_stale();
    if session.form == Form::Text && vms.items.is_empty() {
        session.note(&none(&filter, session.error_look));
        return Ok(());
    }
    session.answer(&vms, |page| {
        table(&page.items, filter.shelf, session.now(), session.look)
    })
}

/// Shows the list anew whenever something happened; Ctrl-C ends the process.
async fn watch(session: &Session, filter: &VmFilter) -> Result<(), Failure> {
    // From before the first list, so that nothing that happens after it is missed.
    let mut events = session.client.events(None, &EventFilter::default());
    let start = if std::io::stdout().is_terminal() {
        "\x1b[H\x1b[2J"
    } else {
        "\n"
    };
    loop {
        let vms = session.client.vms(filter).await?;
        let page = table(&vms.items, filter.shelf, session.now(), session.look);
        session.print(&format!("{start}{page}"))?;
        session.warn_if_stale();
        while !events.next().await?.kind.as_str().starts_with("vm.") {}
    }
}

fn none(filter: &VmFilter, look: Look) -> String {
    let command = |command: &str| look.paint(Paint::Command, command);
    if filter.shelf == Shelf::Trash {
        return "The trash is empty.\n".into();
    }
    if *filter == VmFilter::default() {
        return format!(
            "There are no VMs. Make one: {}\n",
            command("hv vm create NAME --image IMAGE")
        );
    }
    format!("No VM fits. All there are: {}\n", command("hv vm list"))
}

fn table(vms: &[VmSummary], shelf: Shelf, now: Timestamp, look: Look) -> String {
    let mut table = Table::new([
        Column::shrinking("NAME"),
        Column::text("STATE"),
        Column::text(if shelf == Shelf::Trash {
            "PURGED IN"
        } else {
            "FOR"
        }),
        Column::number("CPUS"),
        Column::number("MEMORY"),
        Column::text("AGENT"),
        Column::yielding("OWNER"),
        Column::yielding("TAGS"),
        Column::shrinking("NOTE"),
    ]);
    for vm in vms {
        let time = match vm.purged_after {
            Some(end) => moment::left(moment::between(now, end)),
            None => moment::rough(moment::between(vm.since, now)),
        };
        table.row([
            shown(&vm.name).into(),
            Cell::painted(paint(vm.state), vm.state.as_str()),
            time.into(),
            vm.cpus.to_string().into(),
            vm.memory.rounded().into(),
            agent(vm.agent),
            vm.owner.as_ref().map_or("", |owner| owner.as_str()).into(),
            vm.tags
                .iter()
                .map(Tag::as_str)
                .collect::<Vec<_>>()
                .join(",")
                .into(),
            note(vm).into(),
        ]);
    }
    table.render(look)
}

fn agent(link: Option<AgentLink>) -> Cell<'static> {
    match link {
        Some(AgentLink::Connected) => "yes".into(),
        Some(AgentLink::Disconnected) => Cell::painted(Paint::Faint, "no"),
        None => "".into(),
    }
}

fn note(vm: &VmSummary) -> String {
    let mut notes = Vec::new();
    if vm.managed == Management::Foreign {
        notes.push("made elsewhere");
    }
    if vm.operation.is_some() {
        notes.push("being changed");
    }
    if vm.autostart {
        notes.push("autostart");
    }
    notes.join(", ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::output::{look::Colour, text::width};
    use hv_model::size::Size;

    pub(crate) fn now() -> Timestamp {
        Timestamp::from_second(1_780_000_000).unwrap()
    }

    /// A VM that has been in its state for some minutes.
    pub(crate) fn vm(name: &str, state: VmState, minutes: i64) -> VmSummary {
        VmSummary {
            id: "0198c1f0-aaaa-7222-8333-444455556666".parse().unwrap(),
            name: name.into(),
            managed: Management::Managed,
            state,
            reason: String::new(),
            since: Timestamp::from_second(1_780_000_000 - 60 * minutes).unwrap(),
            cpus: 2,
            memory: Size::from_gib(2),
            owner: Some("alice".parse().unwrap()),
            tags: ["prod".parse().unwrap(), "shop".parse().unwrap()].into(),
            agent: Some(AgentLink::Connected),
            autostart: false,
            generation: 1,
            operation: None,
            purged_after: None,
        }
    }

    fn several() -> Vec<VmSummary> {
        let mut foreign = vm("evil\x1b[31m\u{202e}name", VmState::Crashed, 7);
        (foreign.managed, foreign.owner, foreign.agent) = (Management::Foreign, None, None);
        foreign.tags.clear();
        let mut busy = vm(
            "a-database-with-a-rather-long-name",
            VmState::ShuttingDown,
            0,
        );
        busy.operation = Some("0198c1f0-1111-7222-8333-444455556666".parse().unwrap());
        (busy.agent, busy.autostart) = (Some(AgentLink::Disconnected), true);
        busy.memory = Size::from_bytes(20_937_965_568);
        vec![vm("web", VmState::Running, 60 * 24 * 3), busy, foreign]
    }

    #[test]
    fn vms_are_a_table_in_which_hostile_names_are_harmless() {
        insta::assert_snapshot!(table(&several(), Shelf::InUse, now(), Look::plain()));
    }

    #[test]
    fn a_narrow_terminal_still_shows_a_line_a_vm() {
        let look = Look {
            columns: Some(80),
            colour: Colour::Off,
        };
        let page = table(&several(), Shelf::InUse, now(), look);
        assert!(page.lines().all(|line| width(line) <= 80), "{page}");
        insta::assert_snapshot!(page);
    }

    #[test]
    fn the_trash_says_until_when_a_vm_can_be_brought_back() {
        let mut trashed = vm("old", VmState::Trashed, 60);
        trashed.purged_after = Some(Timestamp::from_second(1_780_000_000 + 6 * 86_400).unwrap());
        insta::assert_snapshot!(table(&[trashed], Shelf::Trash, now(), Look::plain()));
    }
}
