// SPDX-License-Identifier: GPL-3.0-or-later
//! Devices that have hardly anything to set.

use serde::{Deserialize, Serialize};

/// A VM's serial console.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Serial {
    /// There is one; `hv vm console` reaches it.
    #[default]
    On,
    /// There is none.
    Off,
}

/// A source of randomness from the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rng {
    /// There is one.
    #[default]
    On,
    /// There is none.
    Off,
}

/// An emulated TPM 2.0, with its state kept by the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tpm {
    /// How the guest sees it.
    pub model: TpmModel,
}

/// How the guest sees its TPM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TpmModel {
    /// Command Response Buffer, which newer guests expect.
    #[default]
    Crb,
    /// TPM Interface Specification, for older guests.
    Tis,
}

/// A watchdog: a timer that the guest must feed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Watchdog {
    /// What is done when the guest has not fed it.
    pub action: WatchdogAction,
}

/// What is done when a guest has not fed its watchdog.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WatchdogAction {
    /// Reset the VM.
    #[default]
    Reset,
    /// Force it off.
    Poweroff,
    /// Pause it, so that somebody can look.
    Pause,
    /// Only say so.
    None,
}
