// SPDX-License-Identifier: GPL-3.0-or-later
//! The devices of a VM, one file each.

mod disk;
mod display;
mod nic;
mod passthrough;
mod small;

pub use disk::{Discard, Disk, DiskBus, DiskCache, DiskLimits, ImageSource};
pub use display::{Audio, Graphics, GraphicsKind};
pub use nic::{Attachment, MacAddress, Nic, NicLimits, NicModel, SpoofFilter};
pub use passthrough::{PassthroughDevice, PciAddress, SharedMemory, UsbId};
pub use small::{Rng, Serial, Tpm, TpmModel, Watchdog, WatchdogAction};
