// SPDX-License-Identifier: GPL-3.0-or-later
//! How simulated guests take what they are asked, and how long they need.

use std::time::Duration;

use hv_model::hypervisor::GuestRequest;

/// How a guest takes what it is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Temper {
    /// Its agent answers, and it does what it is asked at once.
    #[default]
    Prompt,
    /// Its agent answers, and it needs some seconds for what it is asked.
    Slow,
    /// It has no agent and obeys the power button only.
    ButtonOnly,
    /// It has no agent and ignores the power button.
    Deaf,
}

impl Temper {
    /// Whether its agent answers.
    pub(super) const fn has_agent(self) -> bool {
        matches!(self, Self::Prompt | Self::Slow)
    }

    /// Whether it heeds a request made this way.
    pub(super) const fn heeds(self, way: GuestRequest) -> bool {
        match way {
            GuestRequest::Agent => self.has_agent(),
            GuestRequest::Acpi => !matches!(self, Self::Deaf),
        }
    }

    /// How long it needs, with up to so much more by chance: a number from 0 to 999.
    pub(super) fn delay(self, chance: u64) -> Duration {
        match self {
            Self::Prompt | Self::ButtonOnly | Self::Deaf => Duration::ZERO,
            Self::Slow => Duration::from_millis(4_000 + chance * 4),
        }
    }
}
