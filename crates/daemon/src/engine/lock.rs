// SPDX-License-Identifier: GPL-3.0-or-later
//! What an operation needs for itself while it runs.

use hv_model::{
    id::VmId,
    name::{ImageName, VmName},
};

/// Something that an operation needs while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lock {
    what: What,
    share: Share,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Vm(VmId),
    VmName(VmName),
    Image(ImageName),
}

/// Whether others may have it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    Alone,
    Together,
}

impl Lock {
    /// This VM, alone.
    pub(crate) const fn vm(vm: VmId) -> Self {
        Self {
            what: What::Vm(vm),
            share: Share::Alone,
        }
    }

    /// This name for a VM, alone.
    pub(crate) const fn name(name: VmName) -> Self {
        Self {
            what: What::VmName(name),
            share: Share::Alone,
        }
    }

    /// This image, which is not to be changed, together with others who use it.
    pub(crate) const fn image_used(image: ImageName) -> Self {
        Self {
            what: What::Image(image),
            share: Share::Together,
        }
    }

    /// This image, alone.
    pub(crate) const fn image(image: ImageName) -> Self {
        Self {
            what: What::Image(image),
            share: Share::Alone,
        }
    }

    /// Whether the two can't be held at the same time.
    pub(crate) fn conflicts(&self, other: &Self) -> bool {
        self.what == other.what && (self.share == Share::Alone || other.share == Share::Alone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_can_be_used_by_many_and_changed_by_one() {
        let image: ImageName = "debian".parse().unwrap();
        let (used, alone) = (Lock::image_used(image.clone()), Lock::image(image));
        assert!(!used.conflicts(&used) && used.conflicts(&alone) && alone.conflicts(&alone));
    }
}
