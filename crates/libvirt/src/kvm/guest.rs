// SPDX-License-Identifier: GPL-3.0-or-later
//! The smallest VM, made and run in a forked child.
//!
//! Between `fork` and its end the child may only do what is safe in a signal handler, since other
//! threads of the parent may have held locks: system calls on memory that is already there.
//! Numbers and layouts are those of `linux/kvm.h`, whose interface is stable.

use std::ffi::{c_int, c_uint, c_ulong};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::process::Pid;

/// What the child does, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Step {
    Open = 1,
    Version,
    CreateVm,
    SetMemory,
    CreateVcpu,
    SetRegisters,
    Run,
    Exit,
    /// Not a step: an answer that names none.
    Unknown,
}

/// The step that failed and the error number, or KVM's exit reason for [`Step::Exit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StepFailed {
    pub(super) step: Step,
    pub(super) errno: i32,
}

/// A report as it travels: the step that failed or 0, and its error number.
pub(super) type Report = [[u8; 4]; 2];

fn write_report(result: Result<(), StepFailed>) -> Report {
    let (step, errno) = match result {
        Ok(()) => (0, 0),
        Err(failed) => (failed.step as i32, failed.errno),
    };
    [step.to_ne_bytes(), errno.to_ne_bytes()]
}

/// Reads a child's report.
pub(super) fn read_report(report: Report) -> Result<(), StepFailed> {
    const STEPS: [Step; 8] = [
        Step::Open,
        Step::Version,
        Step::CreateVm,
        Step::SetMemory,
        Step::CreateVcpu,
        Step::SetRegisters,
        Step::Run,
        Step::Exit,
    ];
    let [number, errno] = report.map(i32::from_ne_bytes);
    if number == 0 {
        return Ok(());
    }
    let step = STEPS.into_iter().find(|step| *step as i32 == number);
    Err(StepFailed {
        step: step.unwrap_or(Step::Unknown),
        errno,
    })
}

/// Forks a child that tries KVM and writes its report to `sender`.
pub(super) fn fork_and_try(sender: &OwnedFd) -> std::io::Result<Pid> {
    let sender = sender.as_raw_fd();
    // SAFETY: the child does nothing but system calls on its own stack, as `child` promises.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        child(sender);
    }
    Pid::from_raw(forked)
        .filter(|_| forked > 0)
        .ok_or_else(std::io::Error::last_os_error)
}

/// The child: tries, reports, ends. Only system calls, no allocation, no lock, no panic.
fn child(sender: c_int) -> ! {
    // If the parent dies first, nobody else ends a VM that hangs. And whoever talks to the parent
    // must see its end, so the child holds no copy of its sockets.
    // SAFETY: all set only this process; an alarm without a handler ends it, and nothing here uses
    // a descriptor but the one that is kept.
    unsafe {
        libc::signal(libc::SIGALRM, libc::SIG_DFL);
        libc::alarm(10);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let kept = sender.cast_unsigned();
        if kept > 0 {
            libc::syscall(libc::SYS_close_range, 0, kept - 1, 0);
        }
        libc::syscall(libc::SYS_close_range, kept + 1, c_uint::MAX, 0);
    }
    let report = write_report(try_kvm());
    // SAFETY: the descriptor is the parent's pipe, the report is on this stack, and `_exit` runs
    // nothing of the parent's.
    unsafe {
        libc::write(sender, report.as_ptr().cast(), size_of::<Report>());
        libc::_exit(0);
    }
}

const KVM_GET_API_VERSION: c_ulong = 0xae00;
const KVM_CREATE_VM: c_ulong = 0xae01;
const KVM_CREATE_VCPU: c_ulong = 0xae41;
const API_VERSION: c_int = 12;

fn try_kvm() -> Result<(), StepFailed> {
    // SAFETY: the path is a string that lives for ever.
    let kvm = unsafe { libc::open(c"/dev/kvm".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    check(Step::Open, kvm)?;
    if call(kvm, KVM_GET_API_VERSION, 0) != API_VERSION {
        return Err(StepFailed {
            step: Step::Version,
            errno: 0,
        });
    }
    let vm = check(Step::CreateVm, call(kvm, KVM_CREATE_VM, 0))?;
    #[cfg(target_arch = "x86_64")]
    super::x86::set_memory(vm)?;
    let vcpu = check(Step::CreateVcpu, call(vm, KVM_CREATE_VCPU, 0))?;
    #[cfg(target_arch = "x86_64")]
    super::x86::run(kvm, vcpu)?;
    #[cfg(not(target_arch = "x86_64"))]
    let _made_is_enough = vcpu;
    Ok(())
}

/// An `ioctl` whose argument is a number or unused.
pub(super) fn call(descriptor: c_int, request: c_ulong, argument: c_ulong) -> c_int {
    // SAFETY: the requests that are made with this take no pointer. The descriptors stay open
    // until the child ends.
    unsafe { libc::ioctl(descriptor, request as _, argument) }
}

pub(super) fn check(step: Step, returned: c_int) -> Result<c_int, StepFailed> {
    if returned >= 0 {
        return Ok(returned);
    }
    // SAFETY: reads this thread's error number.
    let errno = unsafe { *libc::__errno_location() };
    Err(StepFailed { step, errno })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        for result in [
            Ok(()),
            Err(StepFailed {
                step: Step::Run,
                errno: 5,
            }),
        ] {
            assert_eq!(read_report(write_report(result)), result);
        }
    }

    #[test]
    fn a_report_without_a_known_step_is_a_failure() {
        let report = [[9; 4]; 2];
        assert_eq!(
            read_report(report).map_err(|failed| failed.step),
            Err(Step::Unknown)
        );
    }
}
