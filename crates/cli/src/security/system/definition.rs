// SPDX-License-Identifier: GPL-3.0-or-later
//! VMs as libvirt has them defined, whoever defined them.
//!
//! hvd knows what it made. What somebody else defined past it stands only here.

use roxmltree::{Document, Node};

use super::{Root, Unreadable};

/// Where libvirt keeps definitions, and the state of what runs.
const FOLDERS: [&str; 2] = ["/etc/libvirt/qemu", "/run/libvirt/qemu"];
/// The namespace of arguments that are handed to QEMU as they are.
const RAW: &str = "http://libvirt.org/schemas/domain/qemu/1.0";

/// A VM as libvirt has it defined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Definition {
    /// Its name, which may be any text.
    pub name: String,
    /// The file that says so.
    pub file: String,
    /// What of it is handed to QEMU as it is.
    pub raw: Vec<String>,
    /// The program that runs it.
    pub emulator: Option<String>,
    /// Its disks.
    pub disks: Vec<Disk>,
    /// Devices of the host that it has, by their kinds.
    pub host_devices: Vec<String>,
    /// Files and folders of the host that it reaches besides its disks.
    pub host_paths: Vec<String>,
    /// Its network interfaces.
    pub nics: Vec<Nic>,
    /// The addresses on which its displays can be reached.
    pub displays: Vec<String>,
}

/// A disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Its name in the VM.
    pub target: String,
    /// The file, folder or device that it is.
    pub source: Option<String>,
    /// Whether several VMs may write it.
    pub shareable: bool,
    /// What happens when it fails.
    pub error_policy: Option<String>,
}

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Nic {
    /// Its hardware address.
    pub address: String,
    /// The filter on it.
    pub filter: Option<String>,
}

/// Every VM that libvirt has defined or runs.
pub(crate) fn all(root: &Root) -> Result<Vec<Definition>, Unreadable> {
    let mut definitions: Vec<Definition> = Vec::new();
    for folder in FOLDERS {
        for path in root.paths(folder, ".xml")? {
            let text = root.text(&path)?;
            let document = Document::parse(&text);
            let document = document.map_err(|error| Unreadable::other(&path, &error))?;
            let domain = document
                .descendants()
                .find(|node| node.tag_name().name() == "domain");
            if let Some(domain) = domain {
                definitions.push(read(domain, path));
            }
        }
    }
    Ok(definitions)
}

fn read(domain: Node<'_, '_>, file: String) -> Definition {
    let mut definition = Definition {
        name: text_of(domain, "name").unwrap_or_default(),
        file,
        ..Definition::default()
    };
    for node in domain.descendants().filter(Node::is_element) {
        if node.tag_name().namespace() == Some(RAW) && node.has_attribute("value") {
            let value = node.attribute("value").unwrap_or_default();
            definition.raw.push(value.to_owned());
        }
    }
    let devices = domain.children().find(|node| node.has_tag_name("devices"));
    for device in devices.iter().flat_map(Node::children) {
        add_device(&mut definition, device);
    }
    definition
}

fn add_device(definition: &mut Definition, device: Node<'_, '_>) {
    match device.tag_name().name() {
        "emulator" => definition.emulator = device.text().map(|path| path.trim().to_owned()),
        "disk" => definition.disks.push(disk(device)),
        "hostdev" => {
            let kind = device.attribute("type").unwrap_or("host device");
            definition.host_devices.push(kind.to_owned());
        }
        "interface" => {
            if device.attribute("type") == Some("hostdev") {
                definition.host_devices.push("network interface".to_owned());
            }
            definition.nics.push(nic(device));
        }
        "filesystem" => definition.host_paths.extend(path_of(device)),
        "serial" | "parallel" | "console" | "channel" | "rng" | "redirdev" | "smartcard" => {
            // Sockets of libvirt's own are no path of the host's.
            if matches!(device.attribute("type"), Some("file" | "dev" | "pipe")) {
                definition.host_paths.extend(path_of(device));
            }
        }
        "graphics" => {
            let listens = device.children().filter(|node| node.has_tag_name("listen"));
            let addresses = listens.filter_map(|node| node.attribute("address"));
            definition.displays.extend(addresses.map(String::from));
            definition
                .displays
                .extend(device.attribute("listen").map(String::from));
        }
        _ => {}
    }
}

fn disk(device: Node<'_, '_>) -> Disk {
    let child = |name| device.children().find(|node| node.has_tag_name(name));
    let attribute = |name, key| child(name).and_then(|node: Node<'_, '_>| node.attribute(key));
    Disk {
        target: attribute("target", "dev").unwrap_or_default().to_owned(),
        source: path_of(device),
        shareable: child("shareable").is_some(),
        error_policy: attribute("driver", "error_policy").map(String::from),
    }
}

fn nic(device: Node<'_, '_>) -> Nic {
    let attribute = |name: &str, key: &str| {
        let node = device.children().find(|node| node.has_tag_name(name))?;
        node.attribute(key).map(String::from)
    };
    Nic {
        address: attribute("mac", "address").unwrap_or_default(),
        filter: attribute("filterref", "filter"),
    }
}

/// The path of the host in a device's source.
fn path_of(device: Node<'_, '_>) -> Option<String> {
    let source = device.children().find(|node| node.has_tag_name("source"))?;
    let path = ["file", "dev", "dir", "path"];
    path.iter()
        .find_map(|key| source.attribute(*key))
        .map(String::from)
}

fn text_of(node: Node<'_, '_>, name: &str) -> Option<String> {
    let child = node.children().find(|child| child.has_tag_name(name))?;
    Some(child.text()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_shows_all_that_reaches_past_the_vm() {
        let text = r"<domstatus><domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
            <name>web</name>
            <devices>
              <emulator>/usr/bin/qemu-system-x86_64</emulator>
              <disk type='file'><driver name='qemu' error_policy='ignore'/><source file='/srv/a.qcow2'/><target dev='vda'/><shareable/></disk>
              <hostdev type='pci'/>
              <interface type='network'><mac address='52:54:00:00:00:01'/><filterref filter='clean-traffic'/></interface>
              <interface type='hostdev'/>
              <filesystem><source dir='/home'/></filesystem>
              <channel type='unix'><source path='/run/libvirt/x'/></channel>
              <serial type='file'><source path='/root/x'/></serial>
              <graphics type='vnc' listen='0.0.0.0'><listen type='address' address='0.0.0.0'/></graphics>
            </devices>
            <qemu:commandline><qemu:arg value='-snapshot'/></qemu:commandline>
          </domain></domstatus>";
        let document = Document::parse(text).unwrap();
        let domain = document
            .descendants()
            .find(|node| node.has_tag_name("domain"));
        let web = read(domain.unwrap(), "f".into());
        assert_eq!(
            (web.name.as_str(), web.raw.as_slice()),
            ("web", &["-snapshot".to_owned()][..])
        );
        assert_eq!(web.host_paths, ["/home", "/root/x"]);
        assert_eq!(web.host_devices, ["pci", "network interface"]);
        assert_eq!(web.nics[0].filter.as_deref(), Some("clean-traffic"));
        assert_eq!(web.displays, ["0.0.0.0", "0.0.0.0"]);
        let disk = &web.disks[0];
        assert!(disk.shareable && disk.error_policy.as_deref() == Some("ignore"));
        assert_eq!(disk.source.as_deref(), Some("/srv/a.qcow2"));
    }
}
