// SPDX-License-Identifier: GPL-3.0-or-later
//! What the format of specs knows and this version does not carry out.
//!
//! It is refused, so that nothing that somebody asked for is left out silently.

use super::{Arch, Confidential, VmSpec};
use crate::{
    device::{Audio, GraphicsKind},
    document::Fault,
};

impl VmSpec {
    /// Everything in the spec that this version does not carry out; nothing, if it does all of it.
    pub fn not_yet(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut refuse = |path: &str, value: Option<&str>, instead: &str| {
            let what = "is not carried out by this version yet";
            let mut fault = Fault::new(path, what).allowed(instead);
            fault.value = value.map(ToOwned::to_owned);
            faults.push(fault);
        };
        if self.cpus.most() > self.cpus.count && self.arch != Arch::X86_64 {
            let most = self.cpus.most().to_string();
            refuse(
                "cpus.max",
                Some(&most),
                "as many as cpus.count, on all but x86_64",
            );
        }
        if self.graphics.kind == GraphicsKind::Spice {
            refuse("graphics.kind", Some("spice"), "none or vnc");
        }
        if self.audio == Audio::Virtio {
            refuse("audio", Some("virtio"), "none or hda");
        }
        if !self.passthrough.is_empty() {
            refuse("passthrough", None, "no devices of the host");
        }
        if let Some(kind) = self.confidential {
            let kind = match kind {
                Confidential::Sev => "sev",
                Confidential::SevEs => "sev-es",
                Confidential::SevSnp => "sev-snp",
                Confidential::Tdx => "tdx",
            };
            refuse("confidential", Some(kind), "no memory encryption");
        }
        if !self.shared_memory.is_empty() {
            refuse("shared_memory", None, "no shared memory");
        }
        if self.cloud_init.is_some() {
            refuse(
                "cloud_init",
                None,
                "no cloud_init; set the guest up by its console",
            );
        }
        faults
    }
}
