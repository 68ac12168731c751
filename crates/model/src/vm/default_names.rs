// SPDX-License-Identifier: GPL-3.0-or-later
//! What a VM's devices are called where its spec does not say.

use std::collections::BTreeSet;

use crate::{
    device::{Disk, DiskBus, ImageSource, MacAddress, Nic},
    id::VmId,
    name::DeviceName,
    vm::{Arch, VmSpec},
};

impl VmSpec {
    /// How the guest sees a disk of this VM: a CD can't be a virtio disk, so it goes to SATA, or to
    /// SCSI on machines that have no SATA.
    pub const fn bus_of(&self, disk: &Disk) -> DiskBus {
        match (disk.bus, disk.source, self.arch) {
            (DiskBus::Virtio, ImageSource::Cdrom, Arch::X86_64) => DiskBus::Sata,
            (DiskBus::Virtio, ImageSource::Cdrom, _) => DiskBus::Scsi,
            (bus, ..) => bus,
        }
    }

    /// The names of the disks, in their order: those of the spec, else `vda`, `vdb` … on virtio and
    /// `sda`, `sdb` … on all other buses.
    pub fn disk_names(&self) -> Vec<DeviceName> {
        let given = self.disks.iter().filter_map(|disk| disk.name.as_ref());
        let taken: BTreeSet<&DeviceName> = given.collect();
        let mut virtio = free_names(&taken, |number| format!("vd{}", letters(number)));
        let mut others = free_names(&taken, |number| format!("sd{}", letters(number)));
        let name = |disk: &Disk| match (&disk.name, self.bus_of(disk)) {
            (Some(name), _) => Some(name.clone()),
            (None, DiskBus::Virtio) => virtio.next(),
            (None, _) => others.next(),
        };
        self.disks.iter().filter_map(name).collect()
    }

    /// The names of the network interfaces, in their order: those of the spec, else `net0`, `net1` ….
    pub fn nic_names(&self) -> Vec<DeviceName> {
        let given = self.nics.iter().filter_map(|nic| nic.name.as_ref());
        let taken: BTreeSet<&DeviceName> = given.collect();
        let mut free = free_names(&taken, |number| format!("net{number}"));
        let name = |nic: &Nic| nic.name.clone().or_else(|| free.next());
        self.nics.iter().filter_map(name).collect()
    }

    /// The MAC addresses of the network interfaces, in their order: those of the spec, else ones
    /// that are always the same for this VM and this place in the order.
    ///
    /// Only three bytes of an address are free, so two VMs among thousands may get the same one:
    /// whoever makes a VM compares its addresses with those that are in use.
    pub fn mac_addresses(&self, vm: VmId) -> Vec<MacAddress> {
        let mut taken: BTreeSet<MacAddress> = self.nics.iter().filter_map(|nic| nic.mac).collect();
        let mut addresses = Vec::with_capacity(self.nics.len());
        for (index, nic) in self.nics.iter().enumerate() {
            let address = nic.mac.unwrap_or_else(|| {
                let mut attempt = 0;
                loop {
                    let address = derived_address(vm, index, attempt);
                    if taken.insert(address) {
                        break address;
                    }
                    attempt += 1;
                }
            });
            addresses.push(address);
        }
        addresses
    }

    /// The spec with every default name and MAC address written out, so that they stay what they
    /// are when devices are added or taken away later.
    #[must_use]
    pub fn settled(&self, vm: VmId) -> Self {
        let mut spec = self.clone();
        for (disk, name) in spec.disks.iter_mut().zip(self.disk_names()) {
            disk.name = Some(name);
        }
        let names = self.nic_names().into_iter().zip(self.mac_addresses(vm));
        for (nic, (name, address)) in spec.nics.iter_mut().zip(names) {
            nic.name = Some(name);
            nic.mac = Some(address);
        }
        spec
    }

    /// The places of the disks in the boot order: those of the spec if it says any, else first all
    /// disks and then all CDs, so that an installer is booted until there is something to boot.
    /// A network is never booted from.
    pub fn boot_order(&self) -> Vec<Option<u32>> {
        if self.disks.iter().any(|disk| disk.boot_order.is_some()) {
            return self.disks.iter().map(|disk| disk.boot_order).collect();
        }
        let mut disks = 1..;
        let mut cds = 1..;
        for _ in self
            .disks
            .iter()
            .filter(|disk| disk.source != ImageSource::Cdrom)
        {
            cds.next();
        }
        let place = |disk: &Disk| match disk.source {
            ImageSource::Cdrom => cds.next(),
            ImageSource::Clone | ImageSource::Copy => disks.next(),
        };
        self.disks.iter().map(place).collect()
    }
}

/// The letters with which the names of disks on this bus begin; the kernel's, and libvirt's.
pub(crate) const fn disk_prefix(bus: DiskBus) -> &'static str {
    match bus {
        DiskBus::Virtio => "vd",
        DiskBus::Scsi | DiskBus::Sata | DiskBus::Usb => "sd",
    }
}

/// The names that are not taken, one after the other; there are more of them than of anything that
/// fits into memory.
fn free_names(
    taken: &BTreeSet<&DeviceName>,
    name: impl Fn(u32) -> String,
) -> impl Iterator<Item = DeviceName> {
    (0..=u32::MAX)
        .filter_map(move |number| name(number).parse().ok())
        .filter(|name| !taken.contains(name))
}

/// A number as the kernel counts disks: a, b … z, aa, ab ….
fn letters(number: u32) -> String {
    let mut rest = number + 1;
    let mut letters = Vec::new();
    while rest > 0 {
        let digit = (rest - 1) % 26;
        letters.push(char::from_u32('a' as u32 + digit).unwrap_or('a'));
        rest = (rest - 1) / 26;
    }
    letters.into_iter().rev().collect()
}

/// The place of a name such as `sdc` among its kind, from 0; nothing, if it is no such name.
pub(crate) fn disk_number(name: &str) -> Option<u32> {
    let letters = name
        .strip_prefix("vd")
        .or_else(|| name.strip_prefix("sd"))?;
    if letters.is_empty() || letters.len() > 2 {
        return None;
    }
    let mut number = 0;
    for letter in letters.bytes() {
        if !letter.is_ascii_lowercase() {
            return None;
        }
        number = number * 26 + u32::from(letter - b'a') + 1;
    }
    Some(number - 1)
}

/// The last three bytes of FNV-1a (64 bits, folded) over the VM's id, the place and the attempt.
fn derived_address(vm: VmId, index: usize, attempt: u64) -> MacAddress {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let place = u64::try_from(index).unwrap_or(u64::MAX);
    let bytes = vm.uuid().into_bytes();
    for byte in bytes
        .into_iter()
        .chain(place.to_le_bytes())
        .chain(attempt.to_le_bytes())
    {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let folded = hash ^ (hash >> 24) ^ (hash >> 48);
    let [a, b, c, ..] = folded.to_le_bytes();
    MacAddress::with_suffix([a, b, c])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vm(text: &str) -> VmId {
        text.parse().unwrap()
    }

    fn spec(disks: Vec<Disk>, nics: usize) -> VmSpec {
        let mut spec = VmSpec::new("web".parse().unwrap());
        spec.disks = disks;
        spec.nics = vec![Nic::default(); nics];
        spec
    }

    fn names(names: &[DeviceName]) -> Vec<&str> {
        names.iter().map(DeviceName::as_str).collect()
    }

    #[test]
    fn disks_are_named_by_their_bus_and_around_the_names_that_are_taken() {
        let on = |bus| Disk {
            bus,
            ..Disk::default()
        };
        let cd = Disk {
            source: ImageSource::Cdrom,
            ..Disk::default()
        };
        let taken = Disk {
            name: Some("vda".parse().unwrap()),
            ..Disk::default()
        };
        let disks = vec![
            on(DiskBus::Virtio),
            cd,
            on(DiskBus::Scsi),
            taken,
            on(DiskBus::Usb),
            on(DiskBus::Virtio),
        ];
        let expected = ["vdb", "sda", "sdb", "vda", "sdc", "vdc"];
        assert_eq!(names(&spec(disks, 0).disk_names()), expected);
    }

    #[test]
    fn the_letters_go_on_after_z_as_the_kernel_counts() {
        let disks = vec![Disk::default(); 54];
        let all = spec(disks, 0).disk_names();
        assert_eq!(
            [all[25].as_str(), all[26].as_str(), all[53].as_str()],
            ["vdz", "vdaa", "vdbb"]
        );
        for (number, name) in (0..).zip(&all) {
            assert_eq!(disk_number(name.as_str()), Some(number));
        }
        for other in ["hda", "vd", "vdA", "vdaaa", "vd1"] {
            assert_eq!(disk_number(other), None, "{other}");
        }
    }

    #[test]
    fn interfaces_are_named_around_the_names_that_are_taken() {
        let mut spec = spec(vec![], 3);
        spec.nics[2].name = Some("net0".parse().unwrap());
        assert_eq!(names(&spec.nic_names()), ["net1", "net2", "net0"]);
    }

    #[test]
    fn an_address_is_the_same_for_ever() {
        let spec = spec(vec![], 2);
        let addresses = spec.mac_addresses(vm("01890a5d-ac96-774b-bcce-b302099a8057"));
        let addresses: Vec<String> = addresses.into_iter().map(String::from).collect();
        assert_eq!(addresses, ["52:54:00:31:50:34", "52:54:00:09:a3:75"]);
    }

    #[test]
    fn a_cd_is_booted_after_the_disks_unless_the_spec_says_otherwise() {
        let cd = Disk {
            source: ImageSource::Cdrom,
            ..Disk::default()
        };
        let mut spec = spec(vec![cd, Disk::default(), Disk::default()], 0);
        assert_eq!(spec.boot_order(), [Some(3), Some(1), Some(2)]);
        spec.disks[0].boot_order = Some(1);
        assert_eq!(spec.boot_order(), [Some(1), None, None]);
    }

    proptest! {
        #[test]
        fn every_device_has_a_name_and_an_address_of_its_own(
            id: u128, disks in 0..70_usize, nics in 0..40_usize, given in 0..40_usize,
        ) {
            let vm = VmId::new(uuid::Uuid::from_u128(id));
            let mut spec = spec(vec![Disk::default(); disks], nics);
            if let Some(nic) = spec.nics.get_mut(given) {
                nic.mac = Some(derived_address(vm, 0, 0));
                nic.name = Some("net3".parse().unwrap());
            }
            let settled = spec.settled(vm);
            let count = |names: &[DeviceName]| {
                names.iter().collect::<std::collections::BTreeSet<_>>().len()
            };
            prop_assert_eq!(count(&spec.disk_names()), disks);
            prop_assert_eq!(count(&spec.nic_names()), nics);
            let addresses: std::collections::BTreeSet<_> =
                spec.mac_addresses(vm).into_iter().collect();
            prop_assert_eq!(addresses.len(), nics);
            prop_assert_eq!(settled.disk_names(), spec.disk_names());
            prop_assert_eq!(settled.nic_names(), spec.nic_names());
            prop_assert_eq!(settled.mac_addresses(vm), spec.mac_addresses(vm));
            prop_assert_eq!(settled.settled(vm), settled);
        }
    }
}
