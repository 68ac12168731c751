// SPDX-License-Identifier: GPL-3.0-or-later
//! Everything that changed, in the order in which it was noticed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One entry of the event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Event {
    /// Its place in the log: grows by one or more with each event, and is never used twice.
    pub seq: u64,
    /// When it was noticed.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// To what.
    pub subject: Subject,
    /// What else is known, by kind: the new state, the reason, who did it.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Subject {
    /// `vm`, `image`, `network`, `pool`, `operation` or `host`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its name then.
    pub name: String,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $slug:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        pub enum EventKind {$(
            $(#[$doc])*
            #[serde(rename = $slug)]
            $variant,
        )*}

        impl EventKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The kind's name in the log.
            pub const fn as_str(self) -> &'static str {
                match self {$(Self::$variant => $slug),*}
            }
        }
    };
}

kinds! {
    /// A VM appeared.
    VmAdded = "vm.added";
    /// A VM is gone.
    VmRemoved = "vm.removed";
    /// A VM's state changed.
    VmState = "vm.state";
    /// A VM has another name.
    VmRenamed = "vm.renamed";
    /// A VM's spec changed.
    VmChanged = "vm.changed";
    /// A VM was adopted.
    VmAdopted = "vm.adopted";
    /// A VM went to the trash.
    VmTrashed = "vm.trashed";
    /// A VM came back from the trash.
    VmRestored = "vm.restored";
    /// The guest agent began or ceased to answer.
    VmAgent = "vm.agent";
    /// A VM crashed.
    VmCrashed = "vm.crashed";
    /// A crashed VM is not started again, since it crashed too often.
    VmRestartGivenUp = "vm.restart-given-up";
    /// An image was added.
    ImageAdded = "image.added";
    /// An image was deleted.
    ImageRemoved = "image.removed";
    /// A network changed.
    NetworkChanged = "network.changed";
    /// A pool changed.
    PoolChanged = "pool.changed";
    /// An operation was asked for.
    OperationQueued = "operation.queued";
    /// An operation goes on: a state, a step or its progress.
    OperationChanged = "operation.changed";
    /// An operation ended.
    OperationEnded = "operation.ended";
    /// The host is not being listened to.
    HostLost = "host.lost";
    /// The host is being listened to again.
    HostFound = "host.found";
    /// The host's guard refused a VM, or found one that runs against the host's policy.
    GuardRefused = "guard.refused";
    /// A resync found what no event had told.
    ResyncDifference = "host.resync-difference";
}
