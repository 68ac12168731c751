// SPDX-License-Identifier: GPL-3.0-or-later
//! Problems: the one catalogue of everything that can go wrong, for all faces of the product.
//!
//! On the wire a problem is `application/problem+json` (RFC 9457) with a `hint` and commands to
//! `try`. The command line, the dashboard and `hv explain SLUG` show the same entry.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::hypervisor::{HypervisorError, HypervisorErrorKind};

/// What the command line's exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// It failed.
    Failed = 1,
    /// It was asked for in a wrong way.
    Usage = 2,
    /// What was named does not exist.
    NotFound = 3,
    /// The one who asked may not.
    Denied = 4,
    /// It does not fit with how things are now.
    Conflict = 5,
    /// The daemon or the host cannot be reached.
    Unavailable = 6,
}

/// What the catalogue says of a kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The name that it has everywhere.
    pub slug: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The command line's exit code.
    pub exit: ExitCode,
    /// What happened, in a few words.
    pub title: &'static str,
    /// Why it happens.
    pub why: &'static str,
    /// How to go on.
    pub fix: &'static str,
}

macro_rules! catalogue {
    ($($variant:ident = $slug:literal, $status:literal, $exit:ident, $title:literal, $why:literal, $fix:literal;)*) => {
        /// A kind of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        pub enum ProblemKind {$(
            #[doc = $title]
            #[serde(rename = $slug)]
            $variant,
        )*}

        impl ProblemKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// What the catalogue says of it.
            pub const fn entry(self) -> Entry {
                match self {$(Self::$variant => Entry {
                    slug: $slug,
                    status: $status,
                    exit: ExitCode::$exit,
                    title: $title,
                    why: $why,
                    fix: $fix,
                }),*}
            }
        }
    };
}

catalogue! {
    BadRequest = "bad-request", 400, Usage,
        "The request is not understood.",
        "Its address, its parameters or its body do not have the form that this call takes.",
        "Compare it with the API's description, or use the command line, which builds it for you.";
    InvalidSpec = "invalid-spec", 422, Usage,
        "The spec has faults.",
        "A value is missing, misspelt or out of its range. Every fault is listed with its place.",
        "Mend the listed places. The whole format is described by hv schema vm.";
    NotYetSupported = "not-yet-supported", 422, Usage,
        "This version does not do that yet.",
        "The spec asks for something that the format knows and this version does not carry out. It is refused, so that nothing that you asked for is left out silently.",
        "Leave the named field out, or use a version that carries it out.";
    NotFound = "not-found", 404, NotFound,
        "There is no such thing.",
        "Nothing of that name or id exists here, or you may not see it.",
        "Look at the list: hv vm list, hv image list, hv op list.";
    Denied = "denied", 403, Denied,
        "You may not do that.",
        "No policy allows it to you.",
        "Ask an administrator of this host.";
    LoginNeeded = "login-needed", 401, Denied,
        "It is not known who asks.",
        "Over TCP nobody is known before they log in, and nothing is shown to nobody.",
        "Log in: hv login. On the host itself, hv reaches the daemon through its socket, which knows you.";
    SessionOver = "session-over", 401, Denied,
        "The session or token is not good.",
        "It ended, it was revoked, or it never was one. A session ends by itself when it is not used, and a token on its day.",
        "Log in again: hv login. A program needs a new token: hv access token create.";
    LoginFailed = "login-failed", 401, Denied,
        "The login failed.",
        "The name, the password or the code is wrong. Which of them is not told, since that would help who guesses.",
        "Try again. Who has lost the second factor gives a recovery code in its place; who has lost the password asks an administrator.";
    CodeNeeded = "code-needed", 401, Denied,
        "A code is needed.",
        "This account has a second factor, so its password alone is not enough.",
        "Give the code that your app shows, or a recovery code.";
    TooManyAttempts = "too-many-attempts", 429, Denied,
        "There were too many failed attempts.",
        "After the third failure each further one makes the next attempt wait longer, for the account and for the address, so that guessing takes too long.",
        "Wait as long as the answer says, and try again.";
    TooManyRequests = "too-many-requests", 429, Conflict,
        "Too much was asked for at once.",
        "What somebody changes, or may not do, is recorded, and whoever asks for more and more of it would fill this host's disk with it. So there is a limit for each person.",
        "Wait as long as the answer says, and go on. A script should do less at once.";
    ProofNeeded = "proof-needed", 403, Denied,
        "This needs a fresh proof of who you are.",
        "It destroys something, or changes who may do what. Whoever sits down at an open terminal must not be able to do that.",
        "Prove it with your password or a one-time code, as the command asks.";
    ApprovalNeeded = "approval-needed", 403, Denied,
        "This needs a second person.",
        "It destroys something, or changes who may do what, and this host's profile is strict.",
        "Ask somebody who may approve it: hv approve lists what is asked for.";
    InvalidPolicy = "invalid-policy", 409, Conflict,
        "A policy is at fault.",
        "It is not Cedar, or speaks of what the schema does not know, or somebody else than root could have written it. What was in force stays.",
        "Mend the file that is named. hv access schema prints the words that policies can use.";
    // As denied: it is what somebody may have, and only who may change that can help. A script that
    // treats it as a conflict would try again, in vain.
    QuotaExceeded = "quota-exceeded", 403, Denied,
        "It is more than a quota allows.",
        "How much of this host each user may have, and everybody together, is limited, so that nobody can take all of it.",
        "Stop, delete or purge what you no longer need: a VM in the trash still counts with its disks. Or ask an administrator of this host for more: hv access quota set.";
    RefusedByPolicy = "refused-by-policy", 403, Denied,
        "This host's policy does not allow that.",
        "The policy of the host, which root owns, says what VMs may have here: which pools, networks, devices and sizes. It holds for everybody.",
        "Stay within the policy, or have root change it.";
    NameTaken = "name-taken", 409, Conflict,
        "The name is taken.",
        "Names are unique on a host, VMs made with other tools and VMs in the trash included.",
        "Take another name, or rename or purge the one that has it.";
    WrongState = "wrong-state", 409, Conflict,
        "It is in a state in which this can't be done.",
        "Some actions need a running VM, others one that is off.",
        "Look at its state with hv vm show, and bring it into the right one first.";
    Busy = "busy", 409, Conflict,
        "Somebody else is changing it.",
        "One operation at a time changes a VM. Others wait in a queue, unless they would only repeat what is going on.",
        "Watch what is going on with hv op list, and try again after it.";
    ForeignVm = "foreign-vm", 409, Conflict,
        "The VM was made with another tool.",
        "It is shown, and can be started and stopped. It is not changed, so that nothing of its own definition is lost, until it is adopted.",
        "Adopt it: hv vm adopt NAME.";
    CannotAdopt = "cannot-adopt", 409, Conflict,
        "The VM cannot be adopted as it is.",
        "It has something that a spec can't say or that the host's policy does not allow. Adopting it would lose that or break the policy.",
        "Change what is named with the tool that made the VM, then adopt it.";
    Gone = "gone", 409, Conflict,
        "It vanished while it was being worked on.",
        "Somebody removed it with another tool.",
        "Look at what is left with hv vm list.";
    PreconditionFailed = "precondition-failed", 412, Conflict,
        "It changed since you looked.",
        "The request named the version that it was made for, and there is a newer one.",
        "Look again, and decide again.";
    IdempotencyConflict = "idempotency-conflict", 409, Conflict,
        "The idempotency key was used for another request.",
        "A key stands for one request, so that asking twice does it once.",
        "Use a new key for a new request.";
    ImageInUse = "image-in-use", 409, Conflict,
        "The image is in use.",
        "Disks that were cloned from it store only what differs, and need it.",
        "Purge the VMs that use it first.";
    UnsafeImage = "unsafe-image", 422, Usage,
        "The file cannot be used as an image.",
        "It points to other files, is encrypted, or is not in the format that it was said to be in. A disk that points elsewhere could read files of the host.",
        "Make it a plain file first: qemu-img convert -O qcow2 FILE plain.qcow2.";
    NoSpace = "no-space", 507, Failed,
        "There is not enough space.",
        "The pool, or the disk under it, has less free space than is needed.",
        "Free some space: hv vm list --trash shows what can be purged.";
    NotEnoughMemory = "not-enough-memory", 507, Failed,
        "There is not enough memory.",
        "The host has less memory available than the VM is to get.",
        "Shut down another VM, or give this one less: hv vm set NAME --memory SIZE.";
    NetworkInactive = "network-inactive", 409, Conflict,
        "A network that the VM uses does not run.",
        "A VM can't be plugged into a network that is not there.",
        "Start the network: virsh net-start NAME.";
    GuestNotAnswering = "guest-not-answering", 504, Failed,
        "The guest did not answer.",
        "It was asked through its agent and by the power button, and did neither shut down nor reboot in time. It may be hung, still booting, or set to ignore the request.",
        "Look at its console: hv vm console NAME. To cut its power: hv vm kill NAME.";
    NoConsole = "no-console", 409, Conflict,
        "The VM has no console to open.",
        "It is off, or its spec has no serial console.",
        "Start it: hv vm start NAME.";
    ConsoleInUse = "console-in-use", 409, Conflict,
        "Somebody else uses the console.",
        "A serial console has one user at a time.",
        "Take it over: hv vm console NAME --force.";
    NotCancellable = "not-cancellable", 409, Conflict,
        "The operation can no longer be cancelled.",
        "It is over, or in a step that can't be stopped half-way.",
        "Look at it: hv op show ID.";
    Cancelled = "cancelled", 409, Failed,
        "The operation was cancelled.",
        "Somebody asked for it, or whoever sent what it needs left. What it had begun was undone.",
        "Ask for it again if it is still wanted.";
    Interrupted = "interrupted", 500, Failed,
        "The daemon ended while the operation was under way.",
        "What it had begun was undone when the daemon started again.",
        "Ask for it again.";
    HostUnavailable = "host-unavailable", 503, Unavailable,
        "The host cannot be reached.",
        "The broker or libvirt does not run, or is starting. VMs go on running. What is shown of them is as old as it says.",
        "Look at hv for what is known. On a host with systemd: systemctl status libvirtd hv-broker.";
    HostNotAnswering = "host-not-answering", 504, Unavailable,
        "The host did not answer in time.",
        "libvirt, or a guest that it waits for, hangs or is very busy.",
        "Try again. If it stays so: journalctl -u libvirtd.";
    DaemonUnreachable = "daemon-unreachable", 503, Unavailable,
        "hvd cannot be reached.",
        "It does not run, its socket is elsewhere, or you are not in the group that may use it.",
        "On a host with systemd: systemctl status hvd. Where its socket is elsewhere: hv --socket PATH.";
    UntrustedHost = "untrusted-host", 502, Unavailable,
        "The host may be another one than you think.",
        "It has shown a certificate that is not the one you have confirmed, or for which nobody vouches. Either it has a new certificate, or somebody stands between you and it. Nothing was sent.",
        "Ask who runs the host whether it has a new certificate, and which fingerprint. Then log in anew: hv login ADDRESS.";
    UnsupportedByHost = "unsupported-by-host", 422, Failed,
        "This host cannot do that.",
        "Its CPU, its QEMU or its libvirt lacks what is needed.",
        "hv host show says what this host can do.";
    TooLarge = "too-large", 413, Usage,
        "The request is too large.",
        "Everything that is sent has a limit, so that nobody can fill the host's memory.",
        "Send less.";
    Internal = "internal", 500, Failed,
        "Something went wrong that should not.",
        "This is a fault of Hyper-NixOS or of something below it.",
        "Look at hvd's log, and report it with what it says.";
}

impl ProblemKind {
    /// The kind with this slug.
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.entry().slug == slug)
    }
}

/// What the catalogue says of a kind of problem, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Explanation {
    /// The kind.
    pub kind: ProblemKind,
    /// The HTTP status.
    pub status: u16,
    /// The command line's exit code.
    pub exit_code: u8,
    /// What happened, in a few words.
    pub title: String,
    /// Why it happens.
    pub why: String,
    /// How to go on.
    pub fix: String,
}

impl From<ProblemKind> for Explanation {
    fn from(kind: ProblemKind) -> Self {
        let entry = kind.entry();
        Self {
            kind,
            status: entry.status,
            exit_code: entry.exit as u8,
            title: entry.title.to_owned(),
            why: entry.why.to_owned(),
            fix: entry.fix.to_owned(),
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.entry().slug)
    }
}

/// A problem: a kind of the catalogue, and what is special about this case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// `urn:hyper-nixos:problem:` and the kind's slug.
    #[serde(rename = "type")]
    pub uri: String,
    /// The kind.
    pub kind: ProblemKind,
    /// What happened, in a few words, the same for every problem of the kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here, with names and values.
    pub detail: String,
    /// How to go on.
    pub hint: String,
    /// Commands that may help, and run as printed.
    #[serde(default, rename = "try", skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// After how many seconds it may be tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Each fault of a document that was sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<crate::document::Fault>,
}

impl Problem {
    /// A problem of this kind, with what is special about this case.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let entry = kind.entry();
        Self {
            uri: format!("urn:hyper-nixos:problem:{}", entry.slug),
            kind,
            title: entry.title.to_owned(),
            status: entry.status,
            detail: detail.into(),
            hint: entry.fix.to_owned(),
            commands: Vec::new(),
            retry_after: None,
            faults: Vec::new(),
        }
    }

    /// A problem that waiting solves: its answer, and what `detail` makes of them, say how many whole
    /// seconds.
    pub fn too_soon(kind: ProblemKind, wait: Duration, detail: impl FnOnce(u64) -> String) -> Self {
        let seconds = u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX);
        Self {
            retry_after: Some(seconds),
            ..Self::new(kind, detail(seconds))
        }
    }

    /// With a command that may help and runs as printed.
    #[must_use]
    pub fn with_try(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }

    /// With the faults of the document that was sent.
    #[must_use]
    pub fn with_faults(mut self, faults: Vec<crate::document::Fault>) -> Self {
        self.faults = faults;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

impl From<HypervisorError> for Problem {
    fn from(error: HypervisorError) -> Self {
        let kind = match error.kind {
            HypervisorErrorKind::NotFound => ProblemKind::Gone,
            HypervisorErrorKind::AlreadyExists => ProblemKind::NameTaken,
            HypervisorErrorKind::WrongState => ProblemKind::WrongState,
            HypervisorErrorKind::Refused => ProblemKind::RefusedByPolicy,
            HypervisorErrorKind::Denied => ProblemKind::Denied,
            HypervisorErrorKind::UnsafeImage => ProblemKind::UnsafeImage,
            HypervisorErrorKind::NoSpace => ProblemKind::NoSpace,
            HypervisorErrorKind::Unavailable => ProblemKind::HostUnavailable,
            HypervisorErrorKind::TimedOut => ProblemKind::HostNotAnswering,
            HypervisorErrorKind::Unsupported => ProblemKind::UnsupportedByHost,
            HypervisorErrorKind::Invalid => ProblemKind::BadRequest,
            HypervisorErrorKind::Busy => ProblemKind::Busy,
            HypervisorErrorKind::Internal => ProblemKind::Internal,
        };
        Self::new(kind, error.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_kind_says_what_why_and_how_to_go_on() {
        let mut slugs = HashSet::new();
        for kind in ProblemKind::ALL {
            let entry = kind.entry();
            assert!(slugs.insert(entry.slug), "{} twice", entry.slug);
            assert_eq!(ProblemKind::from_slug(entry.slug), Some(*kind));
            assert!((400..600).contains(&entry.status), "{kind}");
            for text in [entry.title, entry.why, entry.fix] {
                assert!(text.ends_with('.') && !text.contains('!'), "{kind}: {text}");
            }
        }
    }
}
