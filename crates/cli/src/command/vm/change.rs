// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv vm set`: change a VM, and say what is done at once and what waits for the next boot.

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use hv_client::ChangeOptions;
use hv_model::{
    device::{DiskLimits, NicLimits},
    inventory::{ChangeAutostart, ChangeVm, VmView},
    name::{DeviceName, GroupName, Tag, UserName},
    plan::{Impact, Plan},
    size::Size,
    vm::{Autostart, Limits, OnCrash},
};

use super::plan;
use crate::{
    complete,
    failure::Failure,
    follow::{self, Manner},
    output::{moment, shown},
    session::{Form, Session},
};

/// What to change of a VM.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Which VM.
    #[arg(value_name = "VM", add = ArgValueCompleter::new(complete::vms))]
    vm: String,
    /// How many CPUs it has.
    #[arg(long, value_name = "N")]
    cpus: Option<u32>,
    /// Up to how many CPUs it can be given while it runs.
    #[arg(long, value_name = "N")]
    max_cpus: Option<u32>,
    /// How much memory it has.
    #[arg(long, value_name = "SIZE")]
    memory: Option<Size>,
    /// Up to how much memory it can be given while it runs.
    #[arg(long, value_name = "SIZE")]
    max_memory: Option<Size>,
    /// How much CPU time it may use, in percent of one host CPU, or none for no limit.
    #[arg(long, value_name = "PERCENT|none", value_parser = bound)]
    limit_cpu: Option<Bound>,
    /// Its weight against other VMs when CPU time is short (2 to 10000), or none.
    #[arg(long, value_name = "WEIGHT|none", value_parser = bound)]
    cpu_weight: Option<Bound>,
    /// How fast a disk may be, in place of what was: vda:bandwidth=100MiB,iops=500 or vda:none.
    #[arg(long, value_name = "DISK:LIMITS", value_parser = disk_limits)]
    limit_disk: Option<(DeviceName, DiskLimits)>,
    /// How fast an interface may be, in place of what was: net0:inbound=10MiB,outbound=10MiB or
    /// net0:none.
    #[arg(long, value_name = "INTERFACE:LIMITS", value_parser = nic_limits)]
    limit_network: Option<(DeviceName, NicLimits)>,
    /// Give it this tag. Can be given again.
    #[arg(long = "add-tag", value_name = "TAG", add = ArgValueCompleter::new(complete::tags))]
    add_tags: Vec<Tag>,
    /// Take this tag away. Can be given again.
    #[arg(long = "remove-tag", value_name = "TAG", add = ArgValueCompleter::new(complete::tags))]
    remove_tags: Vec<Tag>,
    /// What it is for, in a sentence.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Who is responsible for it.
    #[arg(long, value_name = "USER")]
    owner: Option<UserName>,
    /// Start it with the host: those of higher priority (0 to 100) first, and after each this
    /// delay before the next.
    #[arg(long, value_name = "PRIORITY[,DELAY]", value_parser = autostart)]
    autostart: Option<Autostart>,
    /// VMs of one group start together, once the group before it is done.
    #[arg(long, value_name = "GROUP", requires = "autostart")]
    autostart_group: Option<GroupName>,
    /// Do not start it with the host.
    #[arg(long, conflicts_with = "autostart")]
    no_autostart: bool,
    /// What to do when it crashes.
    #[arg(long, value_name = "WHAT")]
    on_crash: Option<Crash>,
    /// Only say what it would do.
    #[arg(long)]
    dry_run: bool,
    /// How it is followed.
    #[command(flatten)]
    manner: Manner,
}

/// A limit, or that there is to be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    None,
    At(u32),
}

impl Bound {
    const fn limit(self) -> Option<u32> {
        match self {
            Self::None => None,
            Self::At(limit) => Some(limit),
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Crash {
    /// Start it again, later each time.
    Restart,
    /// Leave it off.
    Stop,
}

/// Changes a VM.
pub(super) async fn run(session: &Session, set: Set) -> Result<(), Failure> {
    let refused = |error: hv_client::ClientError| Failure::from(error).about(&set.vm);
    let mut options = ChangeOptions::default();
    let mut change = set.change();
    let changes_limits = set.limit_cpu.is_some() || set.cpu_weight.is_some();
    if change == ChangeVm::default() && !changes_limits {
        let what = format!("it is not said what to change of {}", shown(&set.vm));
        return Err(Failure::usage(
            what,
            "hv vm set --help lists what can be changed.",
        ));
    }
    if changes_limits {
        // Limits are changed as a whole: those that are not named stay as they are now.
        let view = session.client.vm(&set.vm).await.map_err(refused)?;
        change.limits = Some(set.limits(&view));
        options = options.if_generation(view.summary.generation);
    }
    let plan = session
        .client
        .plan_change_vm(&set.vm, &change)
        .await
        .map_err(refused)?;
    if set.dry_run || plan.changes.is_empty() {
        return session.answer(&plan, |plan| without_change(&set.vm, plan, session));
    }
    session.say(&plan::table(&plan.changes, session.look))?;
    let operation = session
        .client
        .change_vm(&set.vm, &change, &options)
        .await
        .map_err(refused)?;
    follow::one(session, set.manner, operation).await?;
    if session.form == Form::Text
        && plan
            .changes
            .iter()
            .any(|change| change.impact == Impact::NextBoot)
    {
        session
            .print("Nothing was restarted. What waits takes effect once the VM has been off.\n")?;
    }
    Ok(())
}

fn without_change(vm: &str, plan: &Plan, session: &Session) -> String {
    if plan.changes.is_empty() {
        return format!("{} is like that already.\n", shown(vm));
    }
    let table = plan::table(&plan.changes, session.look);
    format!("{table}Nothing was changed: this was a dry run.\n")
}

impl Set {
    fn change(&self) -> ChangeVm {
        ChangeVm {
            description: self.description.clone(),
            owner: self.owner.clone(),
            add_tags: self.add_tags.iter().cloned().collect(),
            remove_tags: self.remove_tags.iter().cloned().collect(),
            cpus: self.cpus,
            max_cpus: self.max_cpus,
            memory: self.memory,
            max_memory: self.max_memory,
            limits: None,
            disk_limits: self.limit_disk.clone(),
            nic_limits: self.limit_network.clone(),
            autostart: self.autostart(),
            on_crash: self.on_crash.map(|crash| match crash {
                Crash::Restart => OnCrash::Restart,
                Crash::Stop => OnCrash::Stop,
            }),
        }
    }

    fn autostart(&self) -> Option<ChangeAutostart> {
        if self.no_autostart {
            return Some(ChangeAutostart::Off);
        }
        let autostart = self.autostart.clone()?;
        Some(ChangeAutostart::On(Autostart {
            group: self.autostart_group.clone(),
            ..autostart
        }))
    }

    fn limits(&self, view: &VmView) -> Limits {
        let now = view
            .spec
            .as_ref()
            .map(|spec| spec.limits.clone())
            .unwrap_or_default();
        Limits {
            cpu_percent: self.limit_cpu.map_or(now.cpu_percent, Bound::limit),
            cpu_weight: self.cpu_weight.map_or(now.cpu_weight, Bound::limit),
        }
    }
}

fn bound(text: &str) -> Result<Bound, String> {
    if text == "none" {
        return Ok(Bound::None);
    }
    let number = text.strip_suffix('%').unwrap_or(text).parse();
    number
        .map(Bound::At)
        .map_err(|_| format!("{text:?} is neither a whole number nor none"))
}

fn autostart(text: &str) -> Result<Autostart, String> {
    let (priority, delay) = match text.split_once(',') {
        Some((priority, delay)) => (priority, moment::parse(delay.trim())?),
        None => (text, std::time::Duration::ZERO),
    };
    let fault = || format!("{priority:?} is not a priority: allowed are 0 to 100");
    let priority = priority
        .trim()
        .parse()
        .ok()
        .filter(|number| *number <= 100)
        .ok_or_else(fault)?;
    let delay_seconds = u32::try_from(delay.as_secs())
        .ok()
        .filter(|seconds| *seconds <= 3600);
    let delay_seconds = delay_seconds.ok_or("the delay is too long: allowed are 0s to 1h")?;
    Ok(Autostart {
        priority,
        delay_seconds,
        group: None,
    })
}

fn disk_limits(text: &str) -> Result<(DeviceName, DiskLimits), String> {
    let mut limits = DiskLimits::default();
    let name = device_limits(text, |word, value| {
        match word {
            "bandwidth" => limits.bandwidth = Some(size(value)?),
            "iops" => {
                let number = value
                    .parse()
                    .map_err(|_| format!("{value:?} is not a whole number"))?;
                limits.iops = Some(number);
            }
            other => {
                return Err(format!(
                    "{other:?} is no limit of a disk: there are bandwidth and iops"
                ));
            }
        }
        Ok(())
    })?;
    Ok((name, limits))
}

fn nic_limits(text: &str) -> Result<(DeviceName, NicLimits), String> {
    let mut limits = NicLimits::default();
    let name = device_limits(text, |word, value| {
        match word {
            "inbound" => limits.inbound = Some(size(value)?),
            "outbound" => limits.outbound = Some(size(value)?),
            other => {
                return Err(format!(
                    "{other:?} is no limit of an interface: there are inbound and outbound"
                ));
            }
        }
        Ok(())
    })?;
    Ok((name, limits))
}

/// Reads `NAME:none` or `NAME:word=value,word=value`.
fn device_limits(
    text: &str,
    mut set: impl FnMut(&str, &str) -> Result<(), String>,
) -> Result<DeviceName, String> {
    let (name, limits) = text
        .split_once(':')
        .ok_or("write a device's name, a colon, and its limits")?;
    let name: DeviceName = name
        .parse()
        .map_err(|error: hv_model::name::NameError| error.to_string())?;
    if limits != "none" {
        for limit in limits.split(',') {
            let fault = || format!("{limit:?} is not a limit: write a word, =, and a value");
            let (word, value) = limit.split_once('=').ok_or_else(fault)?;
            set(word.trim(), value.trim())?;
        }
    }
    Ok(name)
}

fn size(text: &str) -> Result<Size, String> {
    text.parse()
        .map_err(|error: hv_model::size::SizeError| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_devices_are_read_or_refused() {
        let (name, limits) = disk_limits("vda:bandwidth=100MiB,iops=500").unwrap();
        assert_eq!((name.as_str(), limits.iops), ("vda", Some(500)));
        assert_eq!(limits.bandwidth, Some(Size::from_mib(100)));
        assert_eq!(nic_limits("net0:none").unwrap().1, NicLimits::default());
        for bad in [
            "vda",
            "vda:",
            "vda:speed=1",
            "vda:iops=fast",
            "../x:none",
            "vda:bandwidth=1XB",
        ] {
            assert!(disk_limits(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn autostart_is_a_priority_and_perhaps_a_delay() {
        let on = |priority, delay_seconds| Autostart {
            priority,
            delay_seconds,
            group: None,
        };
        assert_eq!(autostart("50"), Ok(on(50, 0)));
        assert_eq!(autostart("100,2m"), Ok(on(100, 120)));
        for bad in ["", "101", "-1", "50,2h", "50,x"] {
            assert!(autostart(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bound_is_a_number_or_none() {
        assert_eq!(bound("150%"), Ok(Bound::At(150)));
        assert_eq!(bound("none"), Ok(Bound::None));
        assert!(bound("much").is_err());
    }
}
