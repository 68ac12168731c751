// SPDX-License-Identifier: GPL-3.0-or-later
//! What a person sees and hears of a VM.

use serde::{Deserialize, Serialize};

/// A VM's display. It never listens on a network: it is reached through the daemon only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Graphics {
    /// By which protocol it is shown.
    pub kind: GraphicsKind,
    /// How many monitors it has: 1 to 4.
    #[schema(minimum = 1, maximum = 4)]
    pub heads: u8,
}

impl Default for Graphics {
    fn default() -> Self {
        Self {
            kind: GraphicsKind::default(),
            heads: 1,
        }
    }
}

/// By which protocol a display is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GraphicsKind {
    /// There is no display; the serial console serves.
    #[default]
    None,
    /// VNC.
    Vnc,
    /// SPICE.
    Spice,
}

/// A VM's sound card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Audio {
    /// None.
    #[default]
    None,
    /// Intel High Definition Audio.
    Hda,
    /// Paravirtual sound.
    Virtio,
}

impl Audio {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::None
    }
}
