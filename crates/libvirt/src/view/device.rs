// SPDX-License-Identifier: GPL-3.0-or-later
//! A domain's devices as its XML tells.

use roxmltree::Node;

use super::{attribute, child};

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskView {
    /// Such as `disk`, `cdrom` or `floppy`.
    pub device: String,
    /// Its name in the guest, such as `vda`.
    pub target: Option<String>,
    /// Such as `virtio` or `sata`.
    pub bus: Option<String>,
    /// Such as `qcow2` or `raw`.
    pub format: Option<String>,
    /// Where its bytes are; `None` for a drive without a medium.
    pub source: Option<DiskSource>,
    /// Whether the guest may not write.
    pub read_only: bool,
}

/// Where a disk's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskSource {
    /// In a file.
    File(String),
    /// On a block device.
    Block(String),
    /// In a volume.
    Volume {
        /// The pool.
        pool: String,
        /// The volume in it.
        volume: String,
    },
    /// Elsewhere; the kind as libvirt names it, such as `network`.
    Other(String),
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceView {
    /// Its MAC address.
    pub mac: Option<String>,
    /// What it is connected to.
    pub source: InterfaceSource,
    /// Such as `virtio`.
    pub model: Option<String>,
    /// Its device on the host while the domain runs, such as `vnet3`.
    pub target: Option<String>,
    /// The filter that watches its packets, such as `clean-traffic`.
    pub filter: Option<String>,
}

/// What a network interface is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterfaceSource {
    /// A network of libvirt.
    Network(String),
    /// A bridge of the host.
    Bridge(String),
    /// Something else; the kind as libvirt names it, such as `direct`.
    Other(String),
}

/// A display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphicsView {
    /// Such as `vnc` or `spice`.
    pub kind: String,
    /// The port; `None` while there is none.
    pub port: Option<u16>,
    /// The address that it listens on.
    pub listen: Option<String>,
    /// The socket that it listens on.
    pub socket: Option<String>,
}

/// A serial port or a console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleView {
    /// `serial` or `console`.
    pub element: String,
    /// What is behind it on the host, such as `pty`.
    pub kind: String,
    /// Its alias while the domain runs, such as `serial0`.
    pub alias: Option<String>,
}

/// A channel between host and guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelView {
    /// What is behind it on the host, such as `unix`.
    pub kind: String,
    /// Its name in the guest.
    pub name: Option<String>,
    /// `connected` or `disconnected` while the domain runs.
    pub state: Option<String>,
}

impl DiskView {
    pub(super) fn read(disk: Node<'_, '_>) -> Self {
        let target = child(disk, "target");
        Self {
            device: attribute(disk, "device").unwrap_or_else(|| "disk".to_owned()),
            target: target.and_then(|node| attribute(node, "dev")),
            bus: target.and_then(|node| attribute(node, "bus")),
            format: child(disk, "driver").and_then(|node| attribute(node, "type")),
            source: child(disk, "source").and_then(|source| DiskSource::read(disk, source)),
            read_only: child(disk, "readonly").is_some(),
        }
    }
}

impl DiskSource {
    fn read(disk: Node<'_, '_>, source: Node<'_, '_>) -> Option<Self> {
        match disk.attribute("type")? {
            "file" => attribute(source, "file").map(Self::File),
            "block" => attribute(source, "dev").map(Self::Block),
            "volume" => {
                let pool = attribute(source, "pool")?;
                let volume = attribute(source, "volume")?;
                Some(Self::Volume { pool, volume })
            }
            other => Some(Self::Other(other.to_owned())),
        }
    }
}

impl InterfaceView {
    pub(super) fn read(interface: Node<'_, '_>) -> Self {
        let of =
            |name: &str, key: &str| child(interface, name).and_then(|node| attribute(node, key));
        Self {
            mac: of("mac", "address"),
            source: InterfaceSource::read(interface),
            model: of("model", "type"),
            target: of("target", "dev"),
            filter: of("filterref", "filter"),
        }
    }
}

impl InterfaceSource {
    fn read(interface: Node<'_, '_>) -> Self {
        let kind = interface.attribute("type").unwrap_or_default();
        let source = child(interface, "source");
        let name = |key| source.and_then(|node| attribute(node, key));
        let known = match kind {
            "network" => name("network").map(Self::Network),
            "bridge" => name("bridge").map(Self::Bridge),
            _ => None,
        };
        known.unwrap_or_else(|| Self::Other(kind.to_owned()))
    }
}

impl GraphicsView {
    pub(super) fn read(graphics: Node<'_, '_>) -> Self {
        let listen = child(graphics, "listen");
        let of_listen = |key| listen.and_then(|node| attribute(node, key));
        Self {
            kind: attribute(graphics, "type").unwrap_or_default(),
            // libvirt writes -1 for a port that it will choose.
            port: attribute(graphics, "port").and_then(|port| port.parse().ok()),
            listen: attribute(graphics, "listen").or_else(|| of_listen("address")),
            socket: attribute(graphics, "socket").or_else(|| of_listen("socket")),
        }
    }
}

impl ConsoleView {
    pub(super) fn read(console: Node<'_, '_>) -> Self {
        Self {
            element: console.tag_name().name().to_owned(),
            kind: attribute(console, "type").unwrap_or_default(),
            alias: child(console, "alias").and_then(|node| attribute(node, "name")),
        }
    }
}

impl ChannelView {
    pub(super) fn read(channel: Node<'_, '_>) -> Self {
        let target = child(channel, "target");
        Self {
            kind: attribute(channel, "type").unwrap_or_default(),
            name: target.and_then(|node| attribute(node, "name")),
            state: target.and_then(|node| attribute(node, "state")),
        }
    }
}
