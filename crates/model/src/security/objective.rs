// SPDX-License-Identifier: GPL-3.0-or-later
//! What the frameworks ask for, and the numbers under which each of them does.
//!
//! Sources: DISA's STIG for NixOS (V1R2), the CIS `OpenShift` VM Extension 1.0, PCI-DSS 4.0.1, HIPAA
//! (45 CFR 164), the SOC 2 trust services criteria, and ISO/IEC 27001:2022 annex A. The selection is
//! what can be seen of a host from the host; everything else in them is for people to show.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A set of controls that somebody published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framework {
    /// DISA's Security Technical Implementation Guide for NixOS.
    Stig,
    /// The CIS benchmark for VMs, read for libvirt.
    Cis,
    /// The payment card industry's standard.
    PciDss,
    /// The security rule for health data in the United States.
    Hipaa,
    /// The trust services criteria.
    Soc2,
    /// ISO/IEC 27001:2022, annex A.
    #[serde(rename = "iso-27001")]
    Iso27001,
}

impl Framework {
    /// Every framework.
    pub const ALL: &[Self] = &[
        Self::Stig,
        Self::Cis,
        Self::PciDss,
        Self::Hipaa,
        Self::Soc2,
        Self::Iso27001,
    ];

    /// Its name in commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stig => "stig",
            Self::Cis => "cis",
            Self::PciDss => "pci-dss",
            Self::Hipaa => "hipaa",
            Self::Soc2 => "soc2",
            Self::Iso27001 => "iso-27001",
        }
    }

    /// Its name in prose.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Stig => "DISA STIG for NixOS, V1R2",
            Self::Cis => "CIS OpenShift VM Extension 1.0, read for libvirt",
            Self::PciDss => "PCI-DSS 4.0.1",
            Self::Hipaa => "HIPAA security rule (45 CFR 164)",
            Self::Soc2 => "SOC 2 trust services criteria",
            Self::Iso27001 => "ISO/IEC 27001:2022, annex A",
        }
    }

    /// How much of it is looked at here.
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Stig => {
                "Seventeen of its 103 rules. They are written for NixOS; on another Linux they are \
                 read by their meaning."
            }
            Self::Cis => {
                "Its fifteen questions about a host and its VMs. It is written for KubeVirt; what \
                 each asks for is looked for in libvirt, QEMU and the kernel."
            }
            Self::PciDss | Self::Hipaa | Self::Soc2 | Self::Iso27001 => {
                "What a host can show of itself. Most of it is for people to show: rules, \
                 training, contracts, rooms."
            }
        }
    }
}

impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A control: a framework and the number it has there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ControlRef {
    /// Whose it is.
    pub framework: Framework,
    /// Its number or name there.
    pub id: String,
}

/// How much of an objective checks can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// All of it.
    Whole,
    /// A part; the text says what remains for people to show.
    Part(&'static str),
    /// Nothing; the text says what people have to show.
    Manual(&'static str),
    /// Nothing, since somebody else answers for it; the text says who.
    Inherited(&'static str),
}

macro_rules! objectives {
    ($($variant:ident = $slug:literal, $title:literal, $coverage:expr, [$($framework:ident: $($id:literal)+),+];)*) => {
        /// Something that frameworks ask for, whatever they call it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Objective {$(
            #[doc = $title]
            #[serde(rename = $slug)]
            $variant,
        )*}

        impl Objective {
            /// Every objective.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self {$(Self::$variant => $slug),*}
            }

            /// What it asks for.
            pub const fn title(self) -> &'static str {
                match self {$(Self::$variant => $title),*}
            }

            /// How much of it checks can see.
            pub const fn coverage(self) -> Coverage {
                match self {$(Self::$variant => $coverage),*}
            }

            /// The controls that ask for it.
            pub const fn references(self) -> &'static [(Framework, &'static str)] {
                match self {$(
                    Self::$variant => &[$($((Framework::$framework, $id)),+),+]
                ),*}
            }
        }
    };
}

objectives! {
    UniqueUsers = "unique-users", "Each person has an account of their own",
        Coverage::Part("that no account is shared between people"),
        [PciDss: "8.2.1", Hipaa: "164.312(a)(2)(i)", Soc2: "CC6.1", Iso27001: "5.16"];
    LeastPrivilege = "least-privilege", "What is not allowed is denied; rights come by role",
        Coverage::Part("that rights are reviewed, and fit what people do"),
        [PciDss: "7.2.1" "7.3.3", Hipaa: "164.308(a)(4)(i)", Soc2: "CC6.3", Iso27001: "5.15" "8.2"];
    AdministratorMfa = "administrator-mfa", "Administrators prove who they are in two ways",
        Coverage::Part("that every administrator has a second factor of their own"),
        [Stig: "V-268136", PciDss: "8.4.2", Hipaa: "164.312(d)", Soc2: "CC6.1", Iso27001: "8.5"];
    LockoutAndIdle = "lockout-and-idle", "Guessing is locked out, idle sessions end",
        Coverage::Part("that what does not run on this host does so, too"),
        [PciDss: "8.2.8" "8.3.4", Hipaa: "164.312(a)(2)(iii)", Soc2: "CC6.1", Iso27001: "8.5"];
    EncryptionInTransit = "encryption-in-transit", "Data is encrypted on its way",
        Coverage::Part("that what VMs send is encrypted where it must be"),
        [PciDss: "4.2.1", Hipaa: "164.312(e)(1)", Soc2: "CC6.7", Iso27001: "8.24"];
    EncryptionAtRest = "encryption-at-rest", "Data is encrypted where it lies",
        Coverage::Part("who holds the keys, and that storage outside this host is encrypted"),
        [Stig: "V-268144", PciDss: "3.5.1", Hipaa: "164.312(a)(2)(iv)", Soc2: "CC6.1", Iso27001: "8.24"];
    AdministratorActionsAudited = "administrator-actions-audited", "What administrators do is recorded",
        Coverage::Part("that somebody reads the records"),
        [PciDss: "10.2.1.2", Hipaa: "164.312(b)", Soc2: "CC7.2", Iso27001: "8.15"];
    TamperEvidentLog = "tamper-evident-log", "Nobody can change the record unseen",
        Coverage::Part("that copies lie where this host's root does not reach"),
        [PciDss: "10.3.2", Hipaa: "164.312(c)(1)", Soc2: "CC7.2", Iso27001: "8.15"];
    LogRetention = "log-retention", "Records are kept for long enough",
        Coverage::Part("how long the records must be kept"),
        [PciDss: "10.5.1", Hipaa: "164.316(b)(2)(i)", Soc2: "CC7.2", Iso27001: "8.15"];
    AlertRoute = "alert-route", "Alerts reach somebody, and that was tried",
        Coverage::Part("that a person answers, at any hour"),
        [PciDss: "12.10.5", Hipaa: "164.308(a)(1)(ii)(D)", Soc2: "CC7.3", Iso27001: "8.16"];
    TimeSynchronization = "time-synchronization", "The clock is right",
        Coverage::Whole,
        [PciDss: "10.6.1", Soc2: "CC7.2", Iso27001: "8.17"];
    Drift = "drift", "A change that nobody ordered is noticed",
        Coverage::Part("that changes are ordered by somebody who may"),
        [PciDss: "11.5.2", Hipaa: "164.312(c)(1)", Soc2: "CC8.1", Iso27001: "8.9"];
    PatchAge = "patch-age", "Known holes are mended in time",
        Coverage::Part("that VMs are mended, too"),
        [PciDss: "6.3.3", Hipaa: "164.308(a)(1)(ii)(B)", Soc2: "CC7.1", Iso27001: "8.8"];
    OpenPorts = "open-ports", "Only what is needed can be reached",
        Coverage::Part("which ports are needed"),
        [PciDss: "1.4.1" "2.2.4", Soc2: "CC6.6", Iso27001: "8.20"];
    BackupObjective = "backup-objective", "Backups are as new as was agreed",
        Coverage::Part("which age was agreed for each VM"),
        [Hipaa: "164.308(a)(7)(ii)(A)", Soc2: "A1.2", Iso27001: "8.13"];
    RestoreTested = "restore-tested", "Bringing backups back was tried",
        Coverage::Part("that people know how to do it"),
        [Hipaa: "164.308(a)(7)(ii)(D)", Soc2: "A1.3", Iso27001: "8.13" "5.30"];
    Capacity = "capacity", "There is room for what runs, and it is watched",
        Coverage::Part("what will be needed"),
        [Soc2: "A1.1", Iso27001: "8.6"];
    Isolation = "isolation", "VMs are kept apart from each other and from the host",
        Coverage::Part("which VMs may talk to each other"),
        [PciDss: "1.4.1", Hipaa: "164.312(e)(1)", Soc2: "CC6.6", Iso27001: "8.22"];
    WrittenRules = "written-rules", "There are written rules for all of this",
        Coverage::Manual("the rules, who approved them, and when they were last looked at"),
        [PciDss: "12.1.1", Hipaa: "164.316(a)", Soc2: "CC5.3", Iso27001: "5.1"];
    PhysicalEntry = "physical-entry", "Nobody reaches the machine who must not",
        Coverage::Inherited("whoever runs the room that the host stands in"),
        [PciDss: "9.2.1", Hipaa: "164.310(a)(1)", Soc2: "CC6.4", Iso27001: "7.2"];
    Firewall = "firewall", "The host has a firewall that drops what is not allowed",
        Coverage::Whole, [Stig: "V-268078"];
    AuditDaemon = "audit-daemon", "The kernel's audit is recorded",
        Coverage::Whole, [Stig: "V-268080"];
    FailedLogons = "failed-logons", "Three failed logons lock an account",
        Coverage::Whole, [Stig: "V-268081"];
    ConcurrentSessions = "concurrent-sessions", "A person has ten sessions at most",
        Coverage::Whole, [Stig: "V-268085"];
    SshVerbose = "ssh-verbose", "sshd records which key was used",
        Coverage::Whole, [Stig: "V-268088"];
    SshCiphers = "ssh-ciphers", "sshd takes strong ciphers only",
        Coverage::Part("that the ciphers are on the list of FIPS 140-3"), [Stig: "V-268089"];
    SshMacs = "ssh-macs", "sshd takes strong message authentication only",
        Coverage::Part("that the codes are on the list of FIPS 140-3"), [Stig: "V-268157"];
    AuditExec = "audit-exec", "Programs run with more rights are recorded",
        Coverage::Whole, [Stig: "V-268091"];
    AuditMount = "audit-mount", "Mounts are recorded",
        Coverage::Whole, [Stig: "V-268094"];
    RemoteLogs = "remote-logs", "Logs are sent to another machine",
        Coverage::Part("that the other machine takes and keeps them"), [Stig: "V-268107"];
    SystemConfigurationOwner = "system-configuration-owner", "Root alone owns /etc/nixos",
        Coverage::Whole, [Stig: "V-268122"];
    HashedPasswords = "hashed-passwords", "Passwords are kept as strong hashes",
        Coverage::Whole, [Stig: "V-268130"];
    NoTelnet = "no-telnet", "Nothing serves telnet",
        Coverage::Whole, [Stig: "V-268131"];
    FileIntegrity = "file-integrity", "Changed files are noticed",
        Coverage::Part("that somebody reads what was noticed"), [Stig: "V-268153"];
    SignedComponents = "signed-components", "Only signed software is installed",
        Coverage::Whole, [Stig: "V-268154"];
    Ksm = "ksm", "VMs share no memory pages",
        Coverage::Whole, [Cis: "KSM off"];
    CpuMitigations = "cpu-mitigations", "The CPU's known leaks are closed",
        Coverage::Whole, [Cis: "no Vulnerable CPU mitigations"];
    NestedVirtualization = "nested-virtualization", "VMs cannot run VMs",
        Coverage::Whole, [Cis: "nested virtualization off"];
    HostDevices = "host-devices", "No VM has a device of the host",
        Coverage::Whole, [Cis: "no host devices"];
    ShareableDisks = "shareable-disks", "No disk belongs to two VMs",
        Coverage::Whole, [Cis: "no shareable disks"];
    DiskErrorPolicy = "disk-error-policy", "No VM ignores a failing disk",
        Coverage::Whole, [Cis: "disk error policy not ignore"];
    MemoryOvercommit = "memory-overcommit", "VMs have no more memory than the host",
        Coverage::Whole, [Cis: "no memory overcommit"];
    SpoofFilter = "spoof-filter", "No VM can use another's address",
        Coverage::Whole, [Cis: "MAC spoof filter"];
    QemuNotRoot = "qemu-not-root", "QEMU is not root",
        Coverage::Whole, [Cis: "QEMU not root"];
    Seccomp = "seccomp", "QEMU may use few system calls",
        Coverage::Whole, [Cis: "seccomp on"];
    VncAccess = "vnc-access", "Displays are for those who may",
        Coverage::Whole, [Cis: "VNC access restricted"];
    ExecRestricted = "exec-restricted", "Nobody runs programs through a VM's process",
        Coverage::Whole, [Cis: "exec restricted"];
    NoRawOverrides = "no-raw-overrides", "No VM has arguments of its own for QEMU",
        Coverage::Whole, [Cis: "no raw overrides"];
    VmFirewall = "vm-firewall", "VMs stand behind a firewall",
        Coverage::Whole, [Cis: "VM firewall present"];
    ImageSources = "image-sources", "Images are what they were when they were added",
        Coverage::Part("that an image came from where it says"), [Cis: "image sources verified"];
}

impl Objective {
    /// The controls that ask for it, each with its framework.
    pub fn controls(self) -> impl Iterator<Item = ControlRef> {
        self.references().iter().map(|(framework, id)| ControlRef {
            framework: *framework,
            id: (*id).to_owned(),
        })
    }

    /// The numbers that it has in a framework.
    pub fn ids_in(self, framework: Framework) -> impl Iterator<Item = &'static str> {
        let references = self.references().iter();
        references
            .filter(move |(of, _)| *of == framework)
            .map(|(_, id)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_framework_has_controls() {
        for (framework, least) in [
            (Framework::Stig, 17),
            (Framework::Cis, 15),
            (Framework::PciDss, 17),
            (Framework::Hipaa, 15),
            (Framework::Soc2, 12),
            (Framework::Iso27001, 17),
        ] {
            let ids: std::collections::BTreeSet<&str> = Objective::ALL
                .iter()
                .flat_map(|objective| objective.ids_in(framework))
                .collect();
            assert!(ids.len() >= least, "{framework}: {} of {least}", ids.len());
        }
    }
}
