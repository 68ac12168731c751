// SPDX-License-Identifier: GPL-3.0-or-later
//! Storage: pools and the volumes in them.

mod pool;
mod transfer;
mod volume;

pub use pool::{Pool, PoolInfo, PoolState};
pub use transfer::Progress;
pub use volume::{Resize, Volume, VolumeInfo, VolumeKind, VolumeSummary};

pub(crate) use pool::identity as pool_identity;
