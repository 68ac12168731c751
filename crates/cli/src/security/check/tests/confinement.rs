// SPDX-License-Identifier: GPL-3.0-or-later
//! Hosts for what a service or a VM could do once it is taken over.

use hv_model::security::FindingResult::{NotApplicable, Unknown, Warn};

use super::{Case, Host, case, fails, passes};

const QEMU: &str = "/etc/libvirt/qemu.conf";
const UNIT: &str = "/etc/systemd/system/hvd.service";

fn vm(host: Host) -> Host {
    host.process(8, "qemu-system-x86", 64055)
        .arguments(8, "/usr/bin/qemu-system-x86_64 -name guest=web -machine pc-q35-7.2 -sandbox on,obsolete=deny,spawn=deny")
}

fn exposed(host: Host, exposure: &str) -> Host {
    host.file(UNIT, "[Service]\nUser=hvd\n").says(
        &format!("systemd-analyze security --offline=true --no-pager {UNIT}"),
        &format!(
            "  NAME  DESCRIPTION\n\n→ Overall exposure level for hvd.service: {exposure} OK\n"
        ),
    )
}

pub(super) const CASES: &[Case] = &[
    fails("hardening.hvd-user", "process 7 (hvd), user 0", |host| {
        host.process(7, "hvd", 0)
    }),
    passes("hardening.hvd-user", |host| host.process(7, "hvd", 990)),
    case(
        "hardening.hvd-user",
        NotApplicable,
        "does not run",
        |host| host,
    ),
    fails("hardening.broker-user", "user 0", |host| {
        host.process(6, "hv-broker", 0)
    }),
    passes("hardening.broker-user", |host| {
        host.process(6, "hv-broker", 991)
    }),
    fails("hardening.daemons", "capabilities 0x200000", |host| {
        host.process(7, "hvd", 990)
            .status(7, "CapEff", "0000000000200000")
    }),
    fails("hardening.daemons", "can gain rights", |host| {
        host.process(7, "hvd", 990).status(7, "NoNewPrivs", "0")
    }),
    fails("hardening.daemons", "every system call", |host| {
        host.process(6, "hv-broker", 991).status(6, "Seccomp", "0")
    }),
    passes("hardening.daemons", |host| {
        host.process(7, "hvd", 990)
            .process(6, "hv-broker", 991)
            .status(6, "CapEff", "0000000000001000")
    }),
    fails("hardening.units", "exposure 8.5", |host| {
        exposed(host, "8.5")
    }),
    passes("hardening.units", |host| exposed(host, "1.2")),
    case("hardening.units", Unknown, "not installed", |host| {
        host.file(UNIT, "")
    }),
    case("hardening.units", NotApplicable, "Neither", |host| host),
    fails("hardening.qemu-user", "QEMU runs as root", |host| {
        vm(host).status(8, "Uid", "0 0 0 0")
    }),
    fails("hardening.qemu-user", "qemu.conf", |host| {
        host.file(QEMU, "user = \"+0\"\n")
    }),
    passes("hardening.qemu-user", vm),
    passes("hardening.qemu-user", |host| {
        // libvirt asks QEMU what it can do, without a machine.
        host.process(8, "qemu-system-x86", 0)
            .arguments(8, "qemu -S -machine none,accel=kvm:tcg")
    }),
    fails("hardening.qemu-seccomp", "process 8", |host| {
        vm(host).status(8, "Seccomp", "0")
    }),
    fails("hardening.qemu-seccomp", "switches", |host| {
        host.file(QEMU, "seccomp_sandbox = 0\n")
    }),
    passes("hardening.qemu-seccomp", vm),
    fails("hardening.qemu-capabilities", "0x2,", |host| {
        vm(host).status(8, "CapEff", "0000000000000002")
    }),
    fails("hardening.qemu-capabilities", "qemu.conf", |host| {
        host.file(QEMU, "clear_emulator_capabilities = 0\n")
    }),
    passes("hardening.qemu-capabilities", vm),
    fails("hardening.ownership", "by default", |host| {
        host.file(QEMU, "#dynamic_ownership = 0\n")
    }),
    passes("hardening.ownership", |host| {
        host.file(QEMU, "dynamic_ownership = 0\n")
    }),
    fails("hardening.mandatory", "Neither", |host| host),
    fails("hardening.mandatory", "security_driver", |host| {
        host.file(QEMU, "security_driver = \"none\"\n")
            .file("/sys/module/apparmor/parameters/enabled", "Y\n")
    }),
    passes("hardening.mandatory", |host| {
        host.file("/sys/module/apparmor/parameters/enabled", "Y\n")
    }),
    case("hardening.mandatory", Warn, "only warns", |host| {
        host.file("/sys/fs/selinux/enforce", "0")
    }),
    fails("hardening.cpu", "retbleed: Vulnerable", |host| {
        host.file(
            "/sys/devices/system/cpu/vulnerabilities/meltdown",
            "Not affected\n",
        )
        .file(
            "/sys/devices/system/cpu/vulnerabilities/retbleed",
            "Vulnerable: no microcode\n",
        )
    }),
    passes("hardening.cpu", |host| {
        host.file(
            "/sys/devices/system/cpu/vulnerabilities/meltdown",
            "Mitigation: PTI\n",
        )
    }),
    case("hardening.cpu", Unknown, "vulnerabilities", |host| host),
    fails("hardening.ksm", "KSM runs", |host| {
        host.file("/sys/kernel/mm/ksm/run", "1\n")
    }),
    fails("hardening.ksm", "still are", |host| {
        host.file("/sys/kernel/mm/ksm/run", "0\n")
            .file("/sys/kernel/mm/ksm/pages_shared", "512\n")
    }),
    passes("hardening.ksm", |host| {
        host.file("/sys/kernel/mm/ksm/run", "2\n")
    }),
    fails("hardening.nested", "is Y", |host| {
        host.file("/sys/module/kvm_intel/parameters/nested", "Y\n")
    }),
    passes("hardening.nested", |host| {
        host.file("/sys/module/kvm_amd/parameters/nested", "0\n")
    }),
    case("hardening.nested", NotApplicable, "KVM", |host| host),
    fails("hardening.host-devices", "pci", |host| {
        host.defined("<hostdev type='pci'/>")
    }),
    passes("hardening.host-devices", |host| host.defined("")),
    fails("hardening.shared-disks", "disk vda is shareable", |host| {
        host.defined("<disk><target dev='vda'/><shareable/></disk>")
    }),
    passes("hardening.shared-disks", |host| {
        host.defined("<disk><target dev='vda'/></disk>")
    }),
    fails("hardening.disk-errors", "vda ignores", |host| {
        host.defined("<disk><driver error_policy='ignore'/><target dev='vda'/></disk>")
    }),
    passes("hardening.disk-errors", |host| {
        host.defined("<disk><driver error_policy='stop'/><target dev='vda'/></disk>")
    }),
    fails("execution.children", "process 20 (sh)", |host| {
        host.process(7, "hvd", 990)
            .process(20, "sh", 990)
            .status(20, "PPid", "7")
    }),
    passes("execution.children", |host| {
        host.process(6, "hv-broker", 991)
            .process(20, "qemu-img", 991)
            .status(20, "PPid", "6")
    }),
    fails("execution.qemu-children", "process 20 (sh)", |host| {
        vm(host).process(20, "sh", 64055).status(20, "PPid", "8")
    }),
    passes("execution.qemu-children", vm),
    fails("execution.qemu-spawn", "no spawn=deny", |host| {
        vm(host).arguments(8, "qemu -sandbox off")
    }),
    passes("execution.qemu-spawn", vm),
    fails("execution.writable-code", "rwxp", |host| {
        host.process(7, "hvd", 990)
            .file("/proc/7/maps", "7f00-7f01 rwxp 00000000 00:00 0\n")
    }),
    passes("execution.writable-code", |host| {
        host.process(7, "hvd", 990)
    }),
    fails("execution.emulators", "/home/ann/qemu", |host| {
        host.defined("<emulator>/home/ann/qemu</emulator>")
    }),
    fails("execution.emulators", "/usr/bin/../../tmp/q", |host| {
        host.defined("<emulator>/usr/bin/../../tmp/q</emulator>")
    }),
    fails("execution.emulators", "0777", |host| {
        host.defined("<emulator>/usr/bin/qemu</emulator>")
            .mode("/usr/bin/qemu", 0o777)
    }),
    passes("execution.emulators", |host| {
        host.defined("<emulator>/usr/bin/qemu</emulator>")
            .mode("/usr/bin/qemu", 0o755)
    }),
    fails("execution.hooks", "user 1000", |host| {
        host.mode("/etc/libvirt/hooks/network", 0o755).owner(
            "/etc/libvirt/hooks/network",
            1000,
            1000,
        )
    }),
    fails("execution.hooks", "x: mode 0777", |host| {
        host.mode("/etc/libvirt/hooks/qemu.d/x", 0o777)
    }),
    passes("execution.hooks", |host| {
        host.mode("/etc/libvirt/hooks/qemu", 0o755)
    }),
    fails("execution.preload", "/lib/evil.so", |host| {
        host.file("/etc/ld.so.preload", "/lib/evil.so\n")
    }),
    fails("execution.preload", "LD_PRELOAD", |host| {
        host.process(7, "hvd", 990)
            .file("/proc/7/environ", "LD_PRELOAD=/tmp/x.so\0")
    }),
    passes("execution.preload", |host| host.process(7, "hvd", 990)),
    fails("execution.path", "/usr/local/bin: mode 0775", |host| {
        host.folder("/usr/local/bin", 0o775)
            .owner("/usr/local/bin", 0, 50)
    }),
    passes("execution.path", |host| {
        host.folder("/usr/local/bin", 0o755)
    }),
];
