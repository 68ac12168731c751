// SPDX-License-Identifier: GPL-3.0-or-later
//! What somebody wants to see or to change.

use std::{collections::BTreeSet, fmt};

use hv_model::{
    access::Principal,
    id::{OperationId, VmId},
    name::{ImageName, NetworkName, PoolName, Tag, UserName},
    vm::VmSpec,
};

use crate::store::VmRecord;

/// What somebody wants to see or to change, with everything that a policy may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A VM.
    Vm {
        /// Which, if it is there; decisions about it are remembered by it.
        id: Option<VmId>,
        /// What policies look at.
        traits: &'a VmTraits,
    },
    /// An image.
    Image(&'a ImageName),
    /// A network of the host.
    Network(&'a NetworkName),
    /// A pool of the host.
    Pool(&'a PoolName),
    /// The host itself.
    Host,
    /// An operation that works on no VM.
    Operation {
        /// Which.
        id: OperationId,
        /// Who asked for it.
        actor: &'a Principal,
    },
    /// Events that are about no VM.
    Events,
    /// The audit log.
    Audit,
    /// Who may do what: grants, quotas and policies.
    Access,
    /// An account, with its sessions and tokens.
    Account(&'a UserName),
    /// What people ask a second person for.
    Approvals,
}

impl<'a> Resource<'a> {
    /// A VM that there is.
    pub fn vm(vm: &'a VmRecord) -> Self {
        Self::Vm {
            id: Some(vm.row.id),
            traits: &vm.traits,
        }
    }

    /// A VM that is to be made, or is gone.
    pub const fn no_vm(traits: &'a VmTraits) -> Self {
        Self::Vm { id: None, traits }
    }
}

/// What of a VM a policy may look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct VmTraits {
    /// Its name.
    pub name: String,
    /// Who is responsible for it.
    pub owner: Option<UserName>,
    /// Its tags.
    pub tags: BTreeSet<Tag>,
    /// The pools that its disks are in.
    pub pools: BTreeSet<PoolName>,
}

impl VmTraits {
    /// Those of a VM that is gone, or not ours: nothing is known of it but its name.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Those of a VM with this spec. A disk without a pool is in none that could be granted.
    pub fn of_spec(spec: &VmSpec) -> Self {
        let pools = spec.disks.iter().filter_map(|disk| disk.pool.clone());
        Self {
            name: spec.name.to_string(),
            owner: spec.owner.clone(),
            tags: spec.tags.clone(),
            pools: pools.collect(),
        }
    }
}

/// How the audit log names it: `vm/web`.
impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vm { traits, .. } => write!(f, "vm/{}", traits.name),
            Self::Image(name) => write!(f, "image/{name}"),
            Self::Network(name) => write!(f, "network/{name}"),
            Self::Pool(name) => write!(f, "pool/{name}"),
            Self::Host => f.write_str("host"),
            Self::Operation { id, .. } => write!(f, "operation/{id}"),
            Self::Events => f.write_str("event"),
            Self::Audit => f.write_str("audit"),
            Self::Access => f.write_str("access"),
            Self::Account(name) => write!(f, "account/{name}"),
            Self::Approvals => f.write_str("approval"),
        }
    }
}
