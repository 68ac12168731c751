// SPDX-License-Identifier: GPL-3.0-or-later
//! The second look: at the XML that libvirt is about to get.
//!
//! It knows nothing of how the XML came to be. An element, an attribute or a text that `ALLOWED`
//! doesn't list is refused, so what libvirt learns in its next version is refused, too. What is
//! listed gives a guest nothing of the host but files in the policy's pools, the policy's
//! networks, and random numbers.

use std::collections::BTreeMap;

use hv_model::{
    device::MacAddress,
    domain_xml::nvram_path,
    hypervisor::Definition,
    name::{DeviceName, VmName},
    size::Size,
    storage::PoolPurpose,
};
use roxmltree::{Document, Node};

use crate::{
    policy::{Feature, HostPolicy},
    refusal::{Gathered, Refusals, names},
};

/// The namespace of our element in a domain's metadata.
const METADATA: &str = "urn:hyper-nixos:vm:1";

/// Each element that may be there, by its path: `*` where it may repeat, `!` and the feature that
/// it needs, its attributes with what they may say, and after a colon what its text may say.
/// `@` begins a rule; other words stand for themselves. What has no rule must not be there.
const ALLOWED: &str = "
    domain                                      type=kvm|qemu
    domain/name                                 : @name
    domain/uuid                                 : @uuid
    domain/description                          : @text
    domain/metadata
    domain/metadata/{ours}                      generation=@number : @text
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
    domain/devices/disk/target                  dev=@name bus=virtio|scsi|sata|usb
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

/// What may be said of an element.
#[derive(Debug, Clone, Default)]
struct Row {
    repeats: bool,
    feature: Option<&'static str>,
    attributes: Vec<(&'static str, &'static str)>,
    text: Option<&'static str>,
}

/// Whether libvirt may get this XML for this VM. `emulator` is the QEMU that runs it.
pub fn judge_xml(
    policy: &HostPolicy,
    xml: &str,
    definition: &Definition,
    emulator: &str,
) -> Result<(), Refusals> {
    let document =
        Document::parse(xml).map_err(|error| Refusals::one("XML", format!("{error}")))?;
    let table = table();
    let mut look = Look {
        policy,
        definition,
        emulator,
        table,
        found: Gathered::default(),
    };
    look.at(document.root_element(), "");
    for device in document
        .descendants()
        .filter(|node| is_at(*node, "devices"))
    {
        match device.tag_name().name() {
            "disk" => look.at_disk(device),
            "interface" => look.at_interface(device),
            _ => {}
        }
    }
    look.found.verdict()
}

fn table() -> BTreeMap<&'static str, Row> {
    let mut table = BTreeMap::new();
    for line in ALLOWED.lines() {
        let (element, text) = match line.split_once(" : ") {
            Some((element, text)) => (element, Some(text.trim())),
            None => (line, None),
        };
        let mut words = element.split_whitespace();
        let Some(path) = words.next() else { continue };
        let mut row = Row {
            repeats: path.starts_with('*'),
            text,
            ..Row::default()
        };
        for word in words {
            match (word.strip_prefix('!'), word.split_once('=')) {
                (Some(feature), _) => row.feature = Some(feature),
                (None, Some(attribute)) => row.attributes.push(attribute),
                (None, None) => {}
            }
        }
        table.insert(path.trim_start_matches('*'), row);
    }
    table
}

/// Whether a node is an element directly in the domain's one of this name.
fn is_at(node: Node<'_, '_>, section: &str) -> bool {
    let parent = node.parent_element();
    node.is_element()
        && parent.is_some_and(|parent| {
            parent.has_tag_name(section)
                && parent.parent_element() == Some(node.document().root_element())
        })
}

fn child<'a, 'd>(node: Node<'a, 'd>, name: &str) -> Option<Node<'a, 'd>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// The XML while it is looked at.
struct Look<'a> {
    policy: &'a HostPolicy,
    definition: &'a Definition,
    emulator: &'a str,
    table: BTreeMap<&'static str, Row>,
    found: Gathered,
}

impl Look<'_> {
    /// Looks at an element and all below.
    fn at(&mut self, node: Node<'_, '_>, above: &str) {
        let tag = node.tag_name();
        let path = match (above, tag.namespace()) {
            ("", None) => tag.name().to_owned(),
            (_, None) => format!("{above}/{}", tag.name()),
            ("domain/metadata", Some(METADATA)) if tag.name() == "vm" => {
                "domain/metadata/{ours}".to_owned()
            }
            (_, Some(namespace)) => format!("{above}/{namespace}:{}", tag.name()),
        };
        let Some(row) = self.table.get(path.as_str()).cloned() else {
            self.found.refuse(path, "this element is not allowed");
            return;
        };
        if let Some(feature) = row.feature.filter(|feature| !self.has_feature(feature)) {
            self.found
                .refuse(&path, format!("this needs feature {feature}"));
        }
        for attribute in node.attributes() {
            let what = format!("{path} {}", attribute.name());
            let plain = attribute.namespace().is_none();
            let rule = row
                .attributes
                .iter()
                .find(|(name, _)| plain && *name == attribute.name());
            match rule {
                Some((_, rule)) => self.value(&what, rule, attribute.value()),
                None => self.found.refuse(what, "this attribute is not allowed"),
            }
        }
        let texts = node
            .children()
            .filter(Node::is_text)
            .filter_map(|text| text.text());
        let text: String = texts.collect();
        match row.text {
            Some(rule) => self.value(&path, rule, &text),
            None if text.trim().is_empty() => {}
            None => self
                .found
                .refuse(&path, format!("text is not allowed here: {}", quote(&text))),
        }
        let elements: Vec<_> = node.children().filter(Node::is_element).collect();
        for (index, element) in elements.iter().enumerate() {
            let tag = element.tag_name();
            let below = format!("{path}/{}", tag.name());
            let repeats = self
                .table
                .get(below.as_str())
                .is_some_and(|row| row.repeats);
            if !repeats
                && elements
                    .iter()
                    .take(index)
                    .any(|other| other.tag_name() == tag)
            {
                self.found.refuse(below, "this element is there twice");
            }
            self.at(*element, &path);
        }
    }

    fn has_feature(&self, name: &str) -> bool {
        self.policy
            .features
            .iter()
            .any(|feature| feature.as_str() == name)
    }

    /// Looks at a value by the rule of that name.
    fn value(&mut self, what: &str, rule: &str, value: &str) {
        let number = || value.parse::<u64>().ok();
        let spec = &self.definition.spec;
        let limits = &self.policy.limits;
        let (fits, allowed) = match rule {
            "@text" => (true, String::new()),
            "@number" => (number().is_some(), "a number".to_owned()),
            "@word" => (
                value.parse::<DeviceName>().is_ok(),
                "a plain word".to_owned(),
            ),
            "@name" if what == "domain/name" => {
                (value == spec.name.as_str(), spec.name.to_string())
            }
            "@name" => (value.parse::<VmName>().is_ok(), "a plain name".to_owned()),
            "@uuid" => {
                let id = self.definition.id.to_string();
                (value.eq_ignore_ascii_case(&id), id)
            }
            "@nvram" => {
                let own = nvram_path(self.definition.id);
                (value == own, own)
            }
            "@set" => {
                let plain = |c: char| c.is_ascii_digit() || matches!(c, ',' | '-');
                (value.chars().all(plain), "numbers and ranges".to_owned())
            }
            "@memory" => {
                let most = limits.memory.unwrap_or(Size::from_bytes(u64::MAX));
                (
                    number().is_some_and(|kib| kib <= most.kib()),
                    format!("{} KiB", most.kib()),
                )
            }
            "@cpus" => {
                let most = limits.vcpus.unwrap_or(u32::MAX);
                (
                    number().is_some_and(|count| count <= u64::from(most)),
                    most.to_string(),
                )
            }
            "@mac" => (
                value.parse::<MacAddress>().is_ok(),
                "a MAC address".to_owned(),
            ),
            "@network" => (
                self.policy
                    .networks
                    .iter()
                    .any(|name| name.as_str() == value),
                names(&self.policy.networks),
            ),
            "@bridge" => (
                self.policy
                    .bridges
                    .iter()
                    .any(|name| name.as_str() == value),
                names(&self.policy.bridges),
            ),
            "@volume" => (
                self.policy.volume_at(value).is_some(),
                format!(
                    "a file in {}",
                    names(self.policy.pools.iter().map(|p| p.path.display()))
                ),
            ),
            "@emulator" => (value == self.emulator, self.emulator.to_owned()),
            words => (
                words.split('|').any(|word| word == value),
                words.replace('|', ", "),
            ),
        };
        if !fits {
            self.found
                .refuse(what, format!("{}; allowed: {allowed}", quote(value)));
        }
    }

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

/// A value from elsewhere, short and on one line.
fn quote(value: &str) -> String {
    let short: String = value.trim().chars().take(80).collect();
    format!("{short:?}")
}

fn quote_path(path: Option<&str>) -> String {
    quote(path.unwrap_or_default())
}

#[cfg(test)]
mod tests;
