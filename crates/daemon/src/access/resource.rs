// SPDX-License-Identifier: GPL-3.0-or-later
//! What somebody wants to see or to change.

use std::{collections::BTreeSet, fmt};

use hv_model::{
    id::OperationId,
    inventory::VmSummary,
    name::{ImageName, Tag, UserName},
    vm::VmSpec,
};

/// What somebody wants to see or to change, with everything that a policy may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A VM.
    Vm {
        /// Its name.
        name: &'a str,
        /// Who is responsible for it.
        owner: Option<&'a UserName>,
        /// Its tags.
        tags: &'a BTreeSet<Tag>,
    },
    /// Every VM there is and may be.
    EveryVm,
    /// An image.
    Image(&'a ImageName),
    /// Every image.
    Images,
    /// The networks of the host.
    Networks,
    /// The pools of the host.
    Pools,
    /// The host itself.
    Host,
    /// An operation that does not concern a VM or an image that can be named.
    Operation(OperationId),
    /// Every operation.
    Operations,
    /// The event log.
    Events,
    /// The audit log.
    Audit,
}

impl<'a> Resource<'a> {
    /// A VM that there is.
    pub fn vm(vm: &'a VmSummary) -> Self {
        Self::Vm {
            name: &vm.name,
            owner: vm.owner.as_ref(),
            tags: &vm.tags,
        }
    }

    /// A VM that is to be made.
    pub fn new_vm(spec: &'a VmSpec) -> Self {
        Self::Vm {
            name: spec.name.as_str(),
            owner: spec.owner.as_ref(),
            tags: &spec.tags,
        }
    }
}

/// How the audit log names it: `vm/web`.
impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vm { name, .. } => write!(f, "vm/{name}"),
            Self::EveryVm => f.write_str("vm"),
            Self::Image(name) => write!(f, "image/{name}"),
            Self::Images => f.write_str("image"),
            Self::Networks => f.write_str("network"),
            Self::Pools => f.write_str("pool"),
            Self::Host => f.write_str("host"),
            Self::Operation(id) => write!(f, "operation/{id}"),
            Self::Operations => f.write_str("operation"),
            Self::Events => f.write_str("event"),
            Self::Audit => f.write_str("audit"),
        }
    }
}
