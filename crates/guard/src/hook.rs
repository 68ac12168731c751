// SPDX-License-Identifier: GPL-3.0-or-later
//! libvirt's hook for QEMU: what is asked, when, and what is answered.
//!
//! ```text
//!   migrate, restore ─▶ prepare ─▶ start ─▶ started ─▶ … ─▶ stopped ─▶ release
//!   └──── before anything of the host is touched ──┘    └─ QEMU has opened its files
//!                                reconnect: libvirt was restarted while the VM ran
//! ```
//! Whatever is about to run is judged each time, and does not run if it is refused. Once it runs,
//! what QEMU really has open is compared with what was judged, and it is stopped if anything was
//! put in another's place. A VM that libvirt finds running after its own restart is judged, too,
//! but goes on: a refusal would kill it.

use std::{io::Read, path::Path};

use hv_model::{
    id::VmId,
    refusal::{GuardEffect, GuardRefusal},
};
use jiff::Timestamp;

use crate::{
    domain::{self, LONGEST},
    files, open_files,
    policy::HostPolicy,
    refusal::Refusals,
};

/// What libvirt asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call<'a> {
    /// What it calls the VM.
    pub name: &'a str,
    /// What it is about to do, such as `prepare`.
    pub operation: &'a str,
    /// `begin` or `end`.
    pub step: &'a str,
}

/// How much a call has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The VM is about to run.
    Before,
    /// It began to run.
    Begun,
    /// It was found running.
    Found,
    /// It has ended.
    Over,
}

impl<'a> Call<'a> {
    /// The call in the arguments that libvirt gives its hook: four, of which the first can be any
    /// text, even one that looks like an option.
    pub fn of(arguments: &[&'a str]) -> Option<Self> {
        match *arguments {
            [name, operation, step @ ("begin" | "end"), _] => Some(Self {
                name,
                operation,
                step,
            }),
            _ => None,
        }
    }

    fn moment(&self) -> Moment {
        match (self.operation, self.step) {
            ("stopped" | "release", "end") => Moment::Over,
            ("started", _) => Moment::Begun,
            ("reconnect", _) => Moment::Found,
            // Whatever else libvirt learns to do.
            _ => Moment::Before,
        }
    }
}

/// Answers a call: nothing, if there is nothing to be said against the VM.
///
/// Without a policy, or without XML that can be read, everything is refused.
pub fn answer(policy: &Path, call: &Call<'_>, xml: impl Read) -> Option<GuardRefusal> {
    let moment = call.moment();
    if moment == Moment::Over {
        return None;
    }
    let mut id = None;
    let refusals = look(policy, call, moment, xml, &mut id).err()?;
    let refusal = GuardRefusal {
        time: Timestamp::now(),
        name: call.name.to_owned(),
        id,
        operation: call.operation.to_owned(),
        effect: match moment {
            Moment::Found => GuardEffect::Reported,
            _ => GuardEffect::Refused,
        },
        reasons: refusals.iter().map(ToString::to_string).collect(),
    };
    Some(refusal.shortened())
}

/// Whether a domain in this XML may run here: what `hv-guard --check` tells.
pub fn check(policy: &Path, xml: impl Read) -> Result<Option<VmId>, Refusals> {
    let policy = load(policy)?;
    let judged = domain::judge_domain(&policy, None, &read(xml)?)?;
    files::examine(&policy, &judged.files)?;
    Ok(judged.id)
}

fn look(
    policy: &Path,
    call: &Call<'_>,
    moment: Moment,
    xml: impl Read,
    id: &mut Option<VmId>,
) -> Result<(), Refusals> {
    let xml = read(xml)?;
    *id = domain::id_in(&xml);
    let policy = load(policy)?;
    let judged = domain::judge_domain(&policy, Some(call.name), &xml)?;
    let files = files::examine(&policy, &judged.files)?;
    if matches!(moment, Moment::Begun | Moment::Found) {
        open_files::compare(call.name, &files, judged.host_devices)?;
    }
    Ok(())
}

fn load(policy: &Path) -> Result<HostPolicy, Refusals> {
    HostPolicy::load(policy)
        .map_err(|error| Refusals::one("policy", format!("{error}; without it nothing may run")))
}

fn read(xml: impl Read) -> Result<String, Refusals> {
    let mut bytes = Vec::new();
    let most = LONGEST as u64 + 1;
    let read = xml.take(most).read_to_end(&mut bytes);
    read.map_err(|error| Refusals::one("XML", format!("it can't be read: {error}")))?;
    String::from_utf8(bytes).map_err(|_| Refusals::one("XML", "it is no text"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

    use super::*;

    const OPERATIONS: [&str; 8] = [
        "prepare",
        "start",
        "started",
        "restore",
        "migrate",
        "attach",
        "reconnect",
        "tomorrow",
    ];

    fn call(operation: &'static str) -> Call<'static> {
        Call {
            name: "web",
            operation,
            step: "begin",
        }
    }

    fn empty_policy(folder: &Path) -> PathBuf {
        let path = folder.join("policy.toml");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    #[test]
    fn a_vm_whose_name_looks_like_an_option_is_still_a_vm() {
        let call = Call::of(&["--help", "prepare", "begin", "-"]).unwrap();
        assert_eq!((call.name, call.operation), ("--help", "prepare"));
        assert_eq!(Call::of(&["--policy", "x", "--check", "y"]), None);
        assert_eq!(Call::of(&["--check", "x"]), None);
    }

    #[test]
    fn without_a_policy_nothing_runs_and_what_runs_is_told_of_and_goes_on() {
        for operation in OPERATIONS {
            let refusal = answer(
                Path::new("/nonexistent"),
                &call(operation),
                "<domain/>".as_bytes(),
            );
            let refusal = refusal.unwrap();
            assert!(
                refusal.reasons[0].contains("nothing may run"),
                "{refusal:?}"
            );
            let goes_on = refusal.effect == GuardEffect::Reported;
            assert_eq!(goes_on, operation == "reconnect", "{operation}");
        }
    }

    #[test]
    fn what_is_no_domain_is_refused_at_every_step_but_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let policy = empty_policy(folder.path());
        let long = vec![b' '; LONGEST + 5];
        let xml: [&[u8]; 4] = [b"", b"<network/>", b"\xff\xfe", &long];
        for xml in xml {
            for operation in OPERATIONS {
                assert!(
                    answer(&policy, &call(operation), xml).is_some(),
                    "{operation}"
                );
            }
            let over = Call {
                step: "end",
                ..call("release")
            };
            assert_eq!(answer(&policy, &over, xml), None);
            assert!(check(&policy, xml).is_err());
        }
    }

    #[test]
    fn what_is_told_names_the_vm_and_every_reason() {
        let folder = tempfile::tempdir().unwrap();
        let policy = empty_policy(folder.path());
        let xml = include_str!("domain/golden/virt-install-start.xml").replace("inst<", "web<");
        let refusal = answer(&policy, &call("start"), xml.as_bytes()).unwrap();
        assert_eq!(refusal.name, "web");
        assert_eq!(
            refusal.id.map(|id| id.to_string()).as_deref(),
            Some("00000000-0000-0000-0000-000000000abd")
        );
        insta::assert_snapshot!(refusal.reasons.join("\n"));
    }
}
