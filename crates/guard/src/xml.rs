// SPDX-License-Identifier: GPL-3.0-or-later
//! The second look: at the XML that libvirt is about to get.
//!
//! It knows nothing of how the XML came to be. An element, an attribute or a text that `ALLOWED`
//! doesn't list is refused, so what libvirt learns in its next version is refused, too. What is
//! listed gives a guest nothing of the host but files in the policy's pools, the policy's
//! networks, and random numbers.

use hv_model::{
    domain_xml::nvram_path, hypervisor::Definition, name::DeviceName, size::Size,
    storage::PoolPurpose,
};
use roxmltree::{Document, Node};

use crate::{
    allowed::{self, Rules, Table, child, devices},
    policy::{Feature, HostPolicy},
    refusal::{Gathered, Refusals, quote, unreadable},
};

/// All that our renderer says.
const ALLOWED: &str = "
    domain                                      type=kvm|qemu
    domain/name                                 : @name
    domain/uuid                                 : @uuid
    domain/description                          : @text
    domain/metadata
    domain/metadata/hv:vm                       generation=@number : @text
    domain/memory                               unit=KiB : @memory
    domain/currentMemory                        unit=KiB : @memory
    domain/memoryBacking
    domain/memoryBacking/hugepages              !huge-pages
    domain/memoryBacking/hugepages/page         size=@number unit=KiB
    domain/memoryBacking/source                 type=memfd
    domain/memoryBacking/access                 mode=shared
    domain/vcpu                                 placement=static current=@cpus : @cpus
    domain/cputune
    *domain/cputune/vcpupin                     !pinning vcpu=@number cpuset=@set
    domain/cputune/shares                       : @number
    domain/cputune/global_period                : @number
    domain/cputune/global_quota                 : @number
    domain/numatune                             !pinning
    *domain/numatune/memnode                    cellid=@number mode=strict nodeset=@set
    domain/os                                   firmware=efi
    domain/os/type                              arch=@word machine=@word : hvm
    domain/os/loader                            secure=yes
    domain/os/nvram                             : @nvram
    domain/os/firmware
    *domain/os/firmware/feature                 enabled=yes|no name=enrolled-keys|secure-boot
    domain/features
    domain/features/acpi
    domain/features/apic
    domain/features/smm                         state=on
    domain/features/vmport                      state=off
    domain/cpu                                  mode=custom|maximum|host-model|host-passthrough match=exact check=none|partial migratable=on
    domain/cpu/model                            fallback=forbid : @word
    domain/cpu/topology                         sockets=@number dies=@number clusters=@number cores=@number threads=@number
    *domain/cpu/feature                         policy=require|optional|disable name=@word
    domain/cpu/numa
    *domain/cpu/numa/cell                       id=@number cpus=@set memory=@memory unit=KiB
    domain/clock                                offset=utc
    *domain/clock/timer                         name=rtc|pit|hpet tickpolicy=catchup|delay present=no
    domain/pm
    domain/pm/suspend-to-mem                    enabled=no
    domain/pm/suspend-to-disk                   enabled=no
    domain/on_poweroff                          : destroy
    domain/on_reboot                            : restart
    domain/on_crash                             : destroy
    domain/devices
    domain/devices/emulator                     : @emulator
    *domain/devices/disk                        type=file device=disk|cdrom
    domain/devices/disk/driver                  name=qemu type=qcow2|raw cache=none|writeback|writethrough|unsafe io=native discard=unmap|ignore
    domain/devices/disk/source                  file=@volume
    domain/devices/disk/target                  dev=@word bus=virtio|scsi|sata|usb
    domain/devices/disk/iotune
    domain/devices/disk/iotune/total_bytes_sec  : @number
    domain/devices/disk/iotune/total_iops_sec   : @number
    domain/devices/disk/readonly
    domain/devices/disk/boot                    order=@number
    domain/devices/disk/address                 type=drive controller=@number bus=@number target=@number unit=@number
    *domain/devices/controller                  type=scsi|usb index=@number model=virtio-scsi|qemu-xhci|none ports=@number
    *domain/devices/interface                   type=network|bridge
    domain/devices/interface/mac                address=@mac
    domain/devices/interface/source             network=@network bridge=@bridge
    domain/devices/interface/model              type=virtio|e1000e|rtl8139
    domain/devices/interface/filterref          filter=clean-traffic
    domain/devices/interface/bandwidth
    domain/devices/interface/bandwidth/inbound  average=@number
    domain/devices/interface/bandwidth/outbound average=@number
    domain/devices/serial                       type=pty
    domain/devices/serial/target                port=@number
    domain/devices/console                      type=pty
    domain/devices/console/target               type=serial port=@number
    domain/devices/channel                      type=unix
    domain/devices/channel/target               type=virtio name=org.qemu.guest_agent.0
    domain/devices/tpm                          model=tpm-crb|tpm-tis
    domain/devices/tpm/backend                  type=emulator version=2.0
    domain/devices/rng                          model=virtio
    domain/devices/rng/backend                  model=random : /dev/urandom
    domain/devices/panic                        model=isa
    *domain/devices/input                       type=tablet|keyboard bus=usb
    domain/devices/graphics                     type=vnc
    domain/devices/graphics/listen              type=socket
    domain/devices/video
    domain/devices/video/model                  type=virtio heads=@number primary=yes
    domain/devices/sound                        model=ich9
    domain/devices/audio                        id=@number type=none
    domain/devices/watchdog                     model=i6300esb action=reset|poweroff|pause|none
    domain/devices/memballoon                   model=virtio|none freePageReporting=on
    domain/devices/memballoon/stats             period=@number
";

/// Whether libvirt may get this XML for this VM. `emulator` is the QEMU that runs it.
pub fn judge_xml(
    policy: &HostPolicy,
    xml: &str,
    definition: &Definition,
    emulator: &str,
) -> Result<(), Refusals> {
    let document = Document::parse(xml).map_err(|error| unreadable(&error))?;
    let rules = OwnRules {
        policy,
        definition,
        emulator,
    };
    let mut found = Gathered::default();
    Table::parse(ALLOWED).hold(&document, policy, &rules, &mut found);
    let mut look = Look { policy, found };
    for device in devices(&document) {
        match device.tag_name().name() {
            "disk" => look.at_disk(device),
            "interface" => look.at_interface(device),
            _ => {}
        }
    }
    look.found.verdict()
}

/// What the rules of `ALLOWED` mean for this VM.
struct OwnRules<'a> {
    policy: &'a HostPolicy,
    definition: &'a Definition,
    emulator: &'a str,
}

impl Rules for OwnRules<'_> {
    fn fits(&self, rule: &str, value: &str) -> Result<(), String> {
        let spec = &self.definition.spec;
        let (fits, allowed) = match rule {
            "@word" => (
                value.parse::<DeviceName>().is_ok(),
                "a plain word".to_owned(),
            ),
            "@name" => (value == spec.name.as_str(), spec.name.to_string()),
            "@uuid" => {
                let id = self.definition.id.to_string();
                (value.eq_ignore_ascii_case(&id), id)
            }
            "@nvram" => {
                let own = nvram_path(self.definition.id);
                (value == own, own)
            }
            "@memory" => {
                let most = self.policy.limits.memory;
                let most = most.unwrap_or(Size::from_bytes(u64::MAX)).kib();
                (
                    value.parse::<u64>().is_ok_and(|kib| kib <= most),
                    format!("{most} KiB"),
                )
            }
            "@emulator" => (value == self.emulator, self.emulator.to_owned()),
            _ => return allowed::fits(self.policy, rule, value),
        };
        if fits { Ok(()) } else { Err(allowed) }
    }
}

/// What no table can say.
struct Look<'a> {
    policy: &'a HostPolicy,
    found: Gathered,
}

impl Look<'_> {
    /// A disk that can be written lies among the disks, never among the images.
    fn at_disk(&mut self, disk: Node<'_, '_>) {
        let what = "domain/devices/disk";
        let path = child(disk, "source").and_then(|source| source.attribute("file"));
        let format = child(disk, "driver").and_then(|driver| driver.attribute("type"));
        let Some((pool, _)) = path.and_then(|path| self.policy.volume_at(path)) else {
            self.found.refuse(what, "it has no file directly in a pool");
            return;
        };
        if format.is_none() {
            self.found
                .refuse(what, "it does not say its format, so QEMU would guess it");
        }
        let readonly =
            child(disk, "readonly").is_some() && disk.attribute("device") == Some("cdrom");
        if !readonly && pool.purpose != PoolPurpose::Disks {
            let why = format!(
                "{} can be written and lies in pool {}",
                quote_path(path),
                pool.name
            );
            self.found.refuse(what, why);
        }
    }

    fn at_interface(&mut self, interface: Node<'_, '_>) {
        let what = "domain/devices/interface";
        let source = child(interface, "source");
        let kind = interface.attribute("type").unwrap_or_default();
        if source.is_none_or(|source| source.attributes().len() != 1 || !source.has_attribute(kind))
        {
            self.found
                .refuse(what, "it is not plugged into exactly one network or bridge");
        }
        let feature = Feature::NoSpoofFilter;
        if child(interface, "filterref").is_none() && !self.policy.features.contains(&feature) {
            self.found.refuse(
                what,
                format!("no filter; this needs feature {}", feature.as_str()),
            );
        }
    }
}

fn quote_path(path: Option<&str>) -> String {
    quote(path.unwrap_or_default())
}

#[cfg(test)]
pub(crate) mod tests;
