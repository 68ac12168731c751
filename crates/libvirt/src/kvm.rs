// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether KVM truly works on this host.
//!
//! A `/dev/kvm` that is there proves nothing: on some nested or restricted hosts it opens, makes
//! VMs, and then fails or hangs when one runs. Others run 64-bit code by emulating each
//! instruction, slower than QEMU does without KVM. So a VM with one virtual CPU is made and, on
//! `x86_64`, has to count through a loop in 64-bit mode: some 10 ms of work. It happens in a
//! forked child, which can be killed, and within a time limit.

mod guest;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use guest::{Step, StepFailed};

/// How long a working KVM may take; it needs some 10 ms, and more on a busy host.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What the probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KvmProbe {
    /// A VM was made, and ran where this architecture's probe runs one.
    Works,
    /// The host has no KVM.
    Absent,
    /// This user may not use `/dev/kvm`; QEMU, which runs as another, perhaps may.
    Denied,
    /// `/dev/kvm` is there, and no VM runs.
    Broken {
        /// What failed, for people.
        why: String,
    },
}

/// Looks whether KVM works. Takes some 10 ms, or three seconds if KVM hangs or only emulates.
pub fn probe_kvm() -> KvmProbe {
    let (answer, sender) = match pipe_with(PipeFlags::CLOEXEC) {
        Ok(ends) => ends,
        Err(error) => return broken(format!("the probe has no pipe: {error}")),
    };
    match guest::fork_and_try(&sender) {
        Ok(child) => {
            drop(sender);
            let found = hear(&answer);
            end(child);
            found
        }
        Err(error) => broken(format!("the probe can't fork: {error}")),
    }
}

fn broken(why: String) -> KvmProbe {
    KvmProbe::Broken { why }
}

/// Reads what the child has to say, for as long as it may take.
fn hear(answer: &OwnedFd) -> KvmProbe {
    let until = Instant::now() + TIMEOUT;
    let mut report = guest::Report::default();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or_default();
        let mut descriptors = [PollFd::from_borrowed_fd(answer.as_fd(), PollFlags::IN)];
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(0) => return broken(too_slow()),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return broken(format!("the probe can't be waited for: {error}")),
        }
        return match rustix::io::read(answer, report.as_flattened_mut()) {
            Ok(0) => broken("the probe's process died while it ran a VM".to_owned()),
            Ok(_) => judge(guest::read_report(report)),
            Err(Errno::INTR) => continue,
            Err(error) => broken(format!("the probe can't be heard: {error}")),
        };
    }
}

fn too_slow() -> String {
    let seconds = TIMEOUT.as_secs();
    format!("a VM did not get through 10 ms of work in {seconds} s: KVM hangs or only emulates")
}

fn judge(report: Result<(), StepFailed>) -> KvmProbe {
    let Err(StepFailed { step, errno }) = report else {
        return KvmProbe::Works;
    };
    let error = std::io::Error::from_raw_os_error(errno);
    match (step, errno) {
        (Step::Open, libc::ENOENT | libc::ENODEV | libc::ENXIO) => KvmProbe::Absent,
        (Step::Open, libc::EACCES | libc::EPERM) => KvmProbe::Denied,
        (Step::Open, _) => broken(format!("/dev/kvm can't be opened: {error}")),
        (Step::Version, _) => broken("/dev/kvm speaks another version than 12".to_owned()),
        (Step::CreateVm, _) => broken(format!("KVM can't make a VM: {error}")),
        (Step::SetMemory, _) => broken(format!("KVM can't give a VM memory: {error}")),
        (Step::CreateVcpu, _) => broken(format!("KVM can't make a virtual CPU: {error}")),
        (Step::SetRegisters, _) => {
            broken(format!("KVM can't set a virtual CPU's registers: {error}"))
        }
        (Step::Run, _) => broken(format!("KVM can't run a virtual CPU: {error}")),
        // The number is KVM's reason to leave the guest here.
        (Step::Exit, reason) => broken(format!(
            "a VM stopped too early, with KVM's exit reason {reason}"
        )),
        (Step::Unknown, _) => broken("the probe's answer makes no sense".to_owned()),
    }
}

/// Kills the child and takes its end. A child that can't be killed, because the kernel itself
/// hangs, is left to a thread.
fn end(child: Pid) {
    // It fails only for a child that is gone, and then waiting shows it.
    let _gone = kill_process(child, Signal::KILL);
    let reap = move || {
        while let Err(Errno::INTR) = waitpid(Some(child), WaitOptions::empty()) {}
    };
    if let Err(error) = std::thread::Builder::new()
        .name("kvm-probe-end".to_owned())
        .spawn(reap)
    {
        tracing::debug!(%error, "the KVM probe's process is left as a zombie");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(step: Step, errno: i32) -> KvmProbe {
        judge(Err(StepFailed { step, errno }))
    }

    #[test]
    fn a_missing_device_is_no_fault() {
        assert_eq!(failed(Step::Open, libc::ENOENT), KvmProbe::Absent);
    }

    #[test]
    fn a_device_of_somebody_else_is_told_apart() {
        assert_eq!(failed(Step::Open, libc::EACCES), KvmProbe::Denied);
    }

    #[test]
    fn a_vm_that_does_not_run_is_broken_and_says_why() {
        let KvmProbe::Broken { why } = failed(Step::Run, libc::EIO) else {
            panic!("not broken")
        };
        assert!(why.contains("run a virtual CPU"), "{why}");
    }

    #[test]
    fn the_probe_ends_in_time_whatever_this_host_has() {
        let begin = Instant::now();
        let found = probe_kvm();
        assert!(
            begin.elapsed() < TIMEOUT + Duration::from_secs(5),
            "{found:?}"
        );
    }

    #[test]
    fn a_silent_child_counts_as_a_hang() {
        let (answer, _sender) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        assert!(matches!(hear(&answer), KvmProbe::Broken { .. }));
    }

    #[test]
    fn a_child_that_dies_counts_as_broken() {
        let (answer, sender) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        drop(sender);
        assert!(matches!(hear(&answer), KvmProbe::Broken { .. }));
    }
}
