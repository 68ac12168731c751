// SPDX-License-Identifier: GPL-3.0-or-later
//! Ids that never repeat, on any host.
//!
//! Ours are `UUIDv7`, so they sort by the time they were made; a VM's id is its libvirt UUID, which
//! for VMs made elsewhere may be of any version.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that somebody else made.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID itself.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::from_str(text).map(Self)
            }
        }
    )*};
}

ids! {
    /// A VM: the UUID that libvirt, QEMU and the guest's firmware see, too.
    VmId;
    /// An operation.
    OperationId;
    /// An image.
    ImageId;
    /// A host.
    HostId;
    /// An audit entry.
    AuditId;
    /// A request for approval.
    ApprovalId;
    /// A session of somebody who has logged in.
    SessionId;
    /// An API token.
    TokenId;
}
