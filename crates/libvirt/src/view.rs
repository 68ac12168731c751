// SPDX-License-Identifier: GPL-3.0-or-later
//! A domain's XML as typed values: tolerant, and never surprised.
//!
//! The XML may describe a domain that anybody made with any tool, on a newer libvirt, or that
//! somebody made odd on purpose. What is missing or makes no sense is `None` or left out; what is
//! not looked at here is passed over. Only text that is not XML, or not a domain, is refused.

mod device;

use roxmltree::{Document, Node, ParsingOptions};
use uuid::Uuid;

pub use device::{
    ChannelView, ConsoleView, DiskSource, DiskView, GraphicsView, InterfaceSource, InterfaceView,
};

/// The longest XML that is read. libvirt itself sends at most 32 MiB in one message.
pub const XML_MAX: usize = 8 << 20;
/// The most elements, attributes and texts that are read.
const NODES_MAX: u32 = 1 << 20;
/// How many characters are told of why XML can't be read.
const WHY_MAX: usize = 200;
/// The name of the channel on which the QEMU guest agent answers.
const AGENT_CHANNEL: &str = "org.qemu.guest_agent.0";

/// Why a text is no domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// It is too long to be read.
    #[error("a domain's XML of {length} bytes; at most {XML_MAX} are read")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// It is not well-formed XML, or has a DTD.
    #[error("a domain's XML can't be read: {why}")]
    NotXml {
        /// What is wrong, and where.
        why: String,
    },
    /// It is XML of something else.
    #[error("a domain's XML begins with <{element}>, not with <domain>")]
    NotADomain {
        /// The outermost element.
        element: String,
    },
}

/// A domain as its XML tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainView {
    /// By what it runs, such as `kvm` or `qemu`.
    pub virtualization: Option<String>,
    /// Its number while it runs.
    pub id: Option<u32>,
    /// Its name.
    pub name: Option<String>,
    /// Its UUID.
    pub uuid: Option<Uuid>,
    /// Its title.
    pub title: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// The most virtual CPUs that it may have.
    pub vcpus_maximum: Option<u32>,
    /// The virtual CPUs that it has.
    pub vcpus_current: Option<u32>,
    /// The most memory that it may have, in bytes.
    pub memory_maximum: Option<u64>,
    /// The memory that it has, in bytes.
    pub memory_current: Option<u64>,
    /// How it boots.
    pub os: OsView,
    /// The program that runs it.
    pub emulator: Option<String>,
    /// Its disks.
    pub disks: Vec<DiskView>,
    /// Its network interfaces.
    pub interfaces: Vec<InterfaceView>,
    /// Its displays.
    pub graphics: Vec<GraphicsView>,
    /// Its serial ports and consoles.
    pub consoles: Vec<ConsoleView>,
    /// Its channels to the host.
    pub channels: Vec<ChannelView>,
    /// Whether it has a TPM.
    pub tpm: bool,
    /// The elements of its metadata.
    pub metadata: Vec<MetadataView>,
}

/// How a domain boots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OsView {
    /// Such as `hvm`.
    pub kind: Option<String>,
    /// The CPU architecture, such as `x86_64`.
    pub architecture: Option<String>,
    /// The machine, such as `pc-q35-7.2`.
    pub machine: Option<String>,
    /// What starts it.
    pub firmware: Firmware,
    /// Whether the firmware checks signatures.
    pub secure_boot: bool,
}

/// What starts a domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Firmware {
    /// The machine's own, on x86 a BIOS.
    #[default]
    Bios,
    /// UEFI.
    Uefi,
}

/// Whether the agent in a guest can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentChannel {
    /// The domain has no channel for it.
    Missing,
    /// The channel is there and nobody answers, or the domain does not run.
    Disconnected,
    /// The agent has opened the channel.
    Connected,
}

/// An element of a domain's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataView {
    /// Its namespace; empty if it has none.
    pub namespace: String,
    /// Its name without a prefix.
    pub name: String,
    /// All text in it.
    pub text: String,
    /// The element as it stands in the XML. Prefixes that are declared outside of it are not in it.
    pub xml: String,
}

impl DomainView {
    /// Reads a domain's XML.
    pub fn parse(xml: &str) -> Result<Self, ViewError> {
        if xml.len() > XML_MAX {
            return Err(ViewError::TooLong { length: xml.len() });
        }
        let options = ParsingOptions {
            allow_dtd: false,
            nodes_limit: NODES_MAX,
            ..Default::default()
        };
        let document = Document::parse_with_options(xml, options).map_err(|error| {
            // Such words quote the XML.
            let why: String = error.to_string().chars().take(WHY_MAX).collect();
            let why = why.replace(char::is_control, "?");
            ViewError::NotXml { why }
        })?;
        let root = document.root_element();
        if root.tag_name().name() != "domain" {
            let element = root.tag_name().name().to_owned();
            return Err(ViewError::NotADomain { element });
        }
        let mut view = Self {
            virtualization: attribute(root, "type"),
            id: attribute(root, "id").and_then(|id| id.parse().ok()),
            ..Self::default()
        };
        for element in root.children().filter(Node::is_element) {
            view.take(element, xml);
        }
        Ok(view)
    }

    /// The metadata element of this namespace.
    pub fn metadata(&self, namespace: &str) -> Option<&MetadataView> {
        self.metadata
            .iter()
            .find(|element| element.namespace == namespace)
    }

    /// Whether the agent in the guest can be reached.
    pub fn agent(&self) -> AgentChannel {
        let name = |channel: &&ChannelView| channel.name.as_deref() == Some(AGENT_CHANNEL);
        match self
            .channels
            .iter()
            .find(name)
            .map(|channel| channel.state.as_deref())
        {
            None => AgentChannel::Missing,
            Some(Some("connected")) => AgentChannel::Connected,
            Some(_) => AgentChannel::Disconnected,
        }
    }

    fn take(&mut self, element: Node<'_, '_>, xml: &str) {
        match element.tag_name().name() {
            "name" => self.name = text(element),
            "uuid" => self.uuid = text(element).and_then(|uuid| uuid.parse().ok()),
            "title" => self.title = text(element),
            "description" => self.description = text(element),
            "vcpu" => {
                self.vcpus_maximum = text(element).and_then(|count| count.parse().ok());
                let current = attribute(element, "current").and_then(|count| count.parse().ok());
                self.vcpus_current = current.or(self.vcpus_maximum);
            }
            "memory" => self.memory_maximum = bytes(element),
            "currentMemory" => self.memory_current = bytes(element),
            "os" => self.os = OsView::read(element),
            "devices" => {
                for device in element.children().filter(Node::is_element) {
                    self.take_device(device);
                }
            }
            "metadata" => {
                let elements = element.children().filter(Node::is_element);
                self.metadata
                    .extend(elements.map(|element| MetadataView::read(element, xml)));
            }
            _ => {}
        }
    }

    fn take_device(&mut self, device: Node<'_, '_>) {
        match device.tag_name().name() {
            "emulator" => self.emulator = text(device),
            "disk" => self.disks.push(DiskView::read(device)),
            "interface" => self.interfaces.push(InterfaceView::read(device)),
            "graphics" => self.graphics.push(GraphicsView::read(device)),
            "serial" | "console" => self.consoles.push(ConsoleView::read(device)),
            "channel" => self.channels.push(ChannelView::read(device)),
            "tpm" => self.tpm = true,
            _ => {}
        }
    }
}

impl OsView {
    fn read(os: Node<'_, '_>) -> Self {
        let kind = child(os, "type");
        let loader = child(os, "loader");
        let is = |node: Option<Node<'_, '_>>, name, value| {
            node.and_then(|node| node.attribute(name)) == Some(value)
        };
        let uefi = os.attribute("firmware") == Some("efi") || is(loader, "type", "pflash");
        let features = child(os, "firmware")
            .into_iter()
            .flat_map(|node| node.children());
        let secure_feature = features.into_iter().any(|feature| {
            feature.attribute("name") == Some("secure-boot")
                && feature.attribute("enabled") == Some("yes")
        });
        Self {
            kind: kind.and_then(text),
            architecture: kind.and_then(|node| attribute(node, "arch")),
            machine: kind.and_then(|node| attribute(node, "machine")),
            firmware: if uefi { Firmware::Uefi } else { Firmware::Bios },
            secure_boot: secure_feature || is(loader, "secure", "yes"),
        }
    }
}

impl MetadataView {
    fn read(element: Node<'_, '_>, xml: &str) -> Self {
        let name = element.tag_name();
        let texts = element
            .descendants()
            .filter(Node::is_text)
            .filter_map(|node| node.text());
        Self {
            namespace: name.namespace().unwrap_or_default().to_owned(),
            name: name.name().to_owned(),
            text: texts.collect(),
            xml: xml.get(element.range()).unwrap_or_default().to_owned(),
        }
    }
}

/// The first child element of this name.
fn child<'node, 'input>(parent: Node<'node, 'input>, name: &str) -> Option<Node<'node, 'input>> {
    parent
        .children()
        .find(|node| node.is_element() && node.tag_name().name() == name)
}

/// The text of an element without the space around it.
fn text(element: Node<'_, '_>) -> Option<String> {
    element.text().map(|text| text.trim().to_owned())
}

fn attribute(element: Node<'_, '_>, name: &str) -> Option<String> {
    element.attribute(name).map(str::to_owned)
}

/// An amount of memory in libvirt's units; KiB if it names none.
fn bytes(element: Node<'_, '_>) -> Option<u64> {
    let count: u64 = element.text()?.trim().parse().ok()?;
    let unit: u64 = match element.attribute("unit").unwrap_or("KiB") {
        "b" | "bytes" => 1,
        "KB" => 1_000,
        "k" | "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "M" | "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "G" | "GiB" => 1 << 30,
        "TB" => 1_000_000_000_000,
        "T" | "TiB" => 1 << 40,
        _ => return None,
    };
    count.checked_mul(unit)
}

#[cfg(test)]
mod tests;
