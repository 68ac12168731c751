// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv vm show`.

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use hv_model::{
    host::Acceleration,
    hypervisor::{AgentLink, PlacedDisk},
    inventory::{Management, VmSummary, VmView},
    name::{Tag, UserName},
    problem::{Problem, ProblemKind},
    vm::{Firmware, OnCrash, VmSpec, VmState},
};
use jiff::{Timestamp, tz::TimeZone};

use super::{paint, plan};
use crate::{
    complete,
    failure::Failure,
    output::{
        Facts, Look, Paint, moment, shown,
        text::{quoted, wrapped},
    },
    session::Session,
    spec::yaml,
};

/// How wide a reason is set beside its word.
const REASON: usize = 76;

/// A VM to show.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Which one.
    #[arg(value_name = "VM", add = ArgValueCompleter::new(complete::any_vms))]
    vm: String,
    /// Print its spec only, as a file that hv vm create --file takes.
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "yaml")]
    spec: Option<SpecFormat>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SpecFormat {
    Yaml,
    Json,
}

/// Shows a VM.
pub(super) async fn run(session: &Session, show: Show) -> Result<(), Failure> {
    let view = session
        .client
        .vm(&show.vm)
        .await
        .map_err(|error| Failure::from(error).about(&show.vm))?;
    session.warn_if_stale();
    match show.spec {
        Some(format) => spec(session, &view, format),
        None => session.answer(&view, |view| {
            page(view, session.now(), &session.zone(), session.look)
        }),
    }
}

fn spec(session: &Session, view: &VmView, format: SpecFormat) -> Result<(), Failure> {
    let Some(spec) = &view.spec else {
        let what = format!(
            "{} was made with another tool and has no spec",
            shown(&view.summary.name)
        );
        let problem = Problem::new(ProblemKind::ForeignVm, what);
        return Err(Failure::from(problem).about(&view.summary.name));
    };
    match format {
        SpecFormat::Json => session.print_json(spec),
        SpecFormat::Yaml => {
            let text = yaml::write(spec).map_err(std::io::Error::from);
            session.print(&text.map_err(Failure::local("cannot write the spec"))?)
        }
    }
}

fn page(view: &VmView, now: Timestamp, zone: &TimeZone, look: Look) -> String {
    let mut facts = Facts::default();
    let vm = &view.summary;
    identity(vm, view, now, zone, &mut facts);
    if let Some(spec) = &view.spec {
        intended(vm, spec, &view.disks, &mut facts);
    } else {
        facts.add("CPUs", vm.cpus.to_string());
        facts.add("memory", vm.memory.rounded());
        disks(&[], &view.disks, &mut facts);
    }
    guest(view, &mut facts);
    let mut page = facts.render(look);
    if !view.pending.is_empty() {
        let heading = look.paint(Paint::Heading, "Waits for the next boot");
        page.extend(["\n", &heading, "\n"]);
        page.push_str(&plan::table(&view.pending, look));
    }
    page.push_str(&adoption(view, look));
    page
}

fn identity(vm: &VmSummary, view: &VmView, now: Timestamp, zone: &TimeZone, facts: &mut Facts) {
    facts.add("name", shown(&vm.name));
    facts.add("id", vm.id.to_string());
    let reason = match vm.reason.as_str() {
        "" => String::new(),
        reason => format!(" ({})", shown(reason)),
    };
    let time = moment::rough(moment::between(vm.since, now));
    facts.add_painted(
        "state",
        paint(vm.state),
        format!("{}{reason}, for {time}", vm.state.as_str()),
    );
    if let Some(end) = vm.purged_after {
        facts.add_painted(
            "purged",
            Paint::Warning,
            format!("after {}", moment::on_clock(end, zone)),
        );
    }
    facts.add_known(
        "operation",
        vm.operation.map(|id| format!("{id} is changing it")),
    );
    if vm.managed == Management::Foreign {
        facts.add_painted("made", Paint::Warning, "with another tool");
    }
    facts.add_known(
        "created",
        view.created.map(|time| moment::on_clock(time, zone)),
    );
    facts.add_known("owner", vm.owner.as_ref().map(UserName::as_str));
    let tags: Vec<&str> = vm.tags.iter().map(Tag::as_str).collect();
    facts.add_known("tags", Some(tags.join(", ")));
    match &view.acceleration {
        Some(Acceleration::Kvm) => {}
        Some(Acceleration::Tcg { why }) => {
            facts.add_painted(
                "runs",
                Paint::Warning,
                "emulated (TCG), 10 to 50 times slower",
            );
            let why = format!("since {}", shown(why));
            facts.add("runs", wrapped(&why, REASON).join("\n"));
        }
        None => {
            let unknown = "it is not known yet how: the host was not looked at";
            facts.add_painted("runs", Paint::Warning, unknown);
        }
    }
}

/// What the spec says.
fn intended(vm: &VmSummary, spec: &VmSpec, placed: &[PlacedDisk], facts: &mut Facts) {
    facts.add_known("about", Some(shown(&spec.description)));
    let max = spec.cpus.max.filter(|max| *max != spec.cpus.count);
    facts.add(
        "CPUs",
        match max {
            Some(max) => format!("{}, up to {max}", vm.cpus),
            None => vm.cpus.to_string(),
        },
    );
    let max = spec.memory.max.filter(|max| *max != spec.memory.size);
    facts.add(
        "memory",
        match max {
            Some(max) => format!("{}, up to {}", vm.memory.rounded(), max.rounded()),
            None => vm.memory.rounded(),
        },
    );
    let firmware = match spec.firmware {
        Firmware::Bios => "BIOS",
        Firmware::Uefi => "UEFI",
        Firmware::SecureBoot => "UEFI with Secure Boot",
    };
    let tpm = if spec.tpm.is_some() { ", TPM 2.0" } else { "" };
    facts.add(
        "machine",
        format!(
            "{} ({}), {firmware}{tpm}",
            spec.machine_type(),
            spec.arch.as_str()
        ),
    );
    disks(&disk_details(spec), placed, facts);
    networks(vm, spec, facts);
    if let Some(percent) = spec.limits.cpu_percent {
        facts.add("limits", format!("CPU time {percent} % of one host CPU"));
    }
    if let Some(weight) = spec.limits.cpu_weight {
        facts.add("limits", format!("CPU weight {weight}"));
    }
    if let Some(autostart) = &spec.autostart {
        let group = autostart
            .group
            .as_ref()
            .map(|group| format!(", group {group}"))
            .unwrap_or_default();
        let (priority, delay) = (autostart.priority, autostart.delay_seconds);
        facts.add(
            "autostart",
            format!("priority {priority}, then {delay} s of delay{group}"),
        );
    }
    facts.add(
        "on crash",
        match spec.on_crash {
            OnCrash::Restart => "start it again",
            OnCrash::Stop => "leave it off",
        },
    );
}

fn disk_details(spec: &VmSpec) -> Vec<String> {
    let names = spec.disk_names();
    let details = spec.disks.iter().zip(names).map(|(disk, name)| {
        let mut words = vec![name.to_string()];
        words.extend(disk.size.map(hv_model::size::Size::rounded));
        words.extend(disk.image.as_ref().map(|image| format!("from {image}")));
        words.join(" ")
    });
    details.collect()
}

/// A line a disk: what is intended, and where it is.
fn disks(details: &[String], placed: &[PlacedDisk], facts: &mut Facts) {
    for number in 0..details.len().max(placed.len()) {
        let place = placed
            .get(number)
            .map(|disk| format!("{} ({})", disk.volume, disk.format.as_str()));
        let line = match (details.get(number), place) {
            (Some(detail), Some(place)) => format!("{detail}, in {place}"),
            (Some(detail), None) => detail.clone(),
            (None, place) => place.unwrap_or_default(),
        };
        facts.add("disks", line);
    }
}

fn networks(vm: &VmSummary, spec: &VmSpec, facts: &mut Facts) {
    let names = spec.nic_names();
    let addresses = spec.mac_addresses(vm.id);
    for ((nic, name), mac) in spec.nics.iter().zip(names).zip(addresses) {
        let plug = match (&nic.network, &nic.bridge) {
            (Some(network), _) => format!("network {network}"),
            (None, Some(bridge)) => format!("bridge {bridge}"),
            (None, None) => "nothing".into(),
        };
        facts.add("networks", format!("{name} {mac} on {plug}"));
    }
}

/// What the guest says of itself: not to be trusted, so it says who says it.
fn guest(view: &VmView, facts: &mut Facts) {
    match view.summary.agent {
        Some(AgentLink::Connected) => facts.add_painted("agent", Paint::Good, "connected"),
        Some(AgentLink::Disconnected) => facts.add("agent", "not connected"),
        None => facts,
    };
    let Some(guest) = &view.guest else { return };
    for (what, word) in [
        (&guest.os, "guest says"),
        (&guest.kernel, "guest says"),
        (&guest.hostname, "guest says"),
    ] {
        facts.add_known(word, what.as_deref().map(shown));
    }
    let addresses: Vec<_> = guest
        .addresses
        .iter()
        .map(|address| shown(address))
        .collect();
    facts.add_known("guest says", Some(addresses.join(", ")));
}

fn adoption(view: &VmView, look: Look) -> String {
    if view.summary.managed == Management::Managed || view.summary.state == VmState::Trashed {
        return String::new();
    }
    let name = shown(&view.summary.name);
    if view.obstacles.is_empty() {
        let command = look.paint(Paint::Command, &format!("hv vm adopt {}", quoted(&name)));
        return format!("\nIt can be adopted: {command}\n");
    }
    let mut page = format!(
        "\n{}\n",
        look.paint(Paint::Heading, "What stands in the way of adopting it")
    );
    for obstacle in &view.obstacles {
        page.extend(["  ", &shown(obstacle), "\n"]);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::{
        super::list::tests::{now, vm},
        *,
    };
    use hv_model::{
        device::{Disk, Nic},
        hypervisor::Guest,
        plan::{Change, Impact},
        size::Size,
        vm::Autostart,
    };

    fn view() -> VmView {
        let mut spec = VmSpec::new("web".parse().unwrap());
        spec.description = "The shop's front".into();
        spec.memory.max = Some(Size::from_gib(8));
        spec.disks = vec![
            Disk {
                image: Some("debian".parse().unwrap()),
                size: Some(Size::from_gib(20)),
                ..Disk::default()
            },
            Disk {
                size: Some(Size::from_gib(100)),
                ..Disk::default()
            },
        ];
        spec.nics = vec![Nic {
            network: Some("default".parse().unwrap()),
            ..Nic::default()
        }];
        spec.autostart = Some(Autostart {
            priority: 50,
            delay_seconds: 10,
            group: None,
        });
        spec.limits.cpu_percent = Some(150);
        let disk = |name: &str| PlacedDisk {
            name: name.parse().unwrap(),
            volume: hv_model::storage::VolumeRef {
                pool: "hyper-disks".parse().unwrap(),
                name: format!("web-{name}.qcow2").parse().unwrap(),
            },
            format: hv_model::storage::VolumeFormat::Qcow2,
        };
        VmView {
            summary: vm("web", VmState::Running, 200),
            spec: Some(spec),
            disks: vec![disk("vda"), disk("vdb")],
            pending: vec![Change {
                field: "cpus.max".into(),
                from: "2".into(),
                to: "8".into(),
                impact: Impact::NextBoot,
            }],
            obstacles: Vec::new(),
            acceleration: Some(Acceleration::Tcg {
                why: "/dev/kvm does not work".into(),
            }),
            guest: Some(Guest {
                os: Some("Debian\x1b]0;x\x07 13".into()),
                kernel: Some("6.12.1".into()),
                hostname: Some("web".into()),
                addresses: vec!["192.168.122.17".into(), "fe80::1".into()],
            }),
            created: Some(now()),
        }
    }

    #[test]
    fn a_vm_shows_what_is_intended_what_is_and_what_its_guest_says() {
        insta::assert_snapshot!(page(&view(), now(), &TimeZone::UTC, Look::plain()));
    }

    #[test]
    fn a_vm_made_elsewhere_says_whether_it_can_be_adopted() {
        let mut foreign = view();
        (foreign.spec, foreign.guest, foreign.created) = (None, None, None);
        foreign.summary.managed = Management::Foreign;
        foreign.pending.clear();
        foreign.obstacles = vec!["its disk /root/x.img is outside the managed pools".into()];
        insta::assert_snapshot!(page(&foreign, now(), &TimeZone::UTC, Look::plain()));
    }
}
