// SPDX-License-Identifier: GPL-3.0-or-later
//! Images: read-only disks to clone from.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    id::ImageId,
    name::ImageName,
    size::Size,
    storage::{VolumeFormat, VolumeRef},
};

/// An image of the library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// Its name.
    pub name: ImageName,
    /// Where its bytes are.
    pub volume: VolumeRef,
    /// How they are laid out.
    pub format: VolumeFormat,
    /// How large a disk made from it is at least.
    pub virtual_size: Size,
    /// How many bytes it has.
    pub size: Size,
    /// The BLAKE3 of its bytes, in hexadecimal.
    pub blake3: String,
    /// When it was added.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
}

/// What an upload turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImageFacts {
    /// How its bytes are laid out.
    pub format: VolumeFormat,
    /// How large a disk made from it is at least.
    pub virtual_size: Size,
    /// How many bytes it has.
    pub size: Size,
}
