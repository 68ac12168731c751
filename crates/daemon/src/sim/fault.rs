// SPDX-License-Identifier: GPL-3.0-or-later
//! What goes wrong on a simulated host.

use hv_model::{
    hypervisor::{Behalf, HypervisorError, HypervisorErrorKind},
    name::UserName,
    size::Size,
};

/// What goes wrong from now on. By default nothing does.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Why the host cannot be reached.
    pub lost: Option<String>,
    /// How much space each pool has; 1 TiB, if not said.
    pub space: Option<Size>,
    /// How many of the next facts nobody is told.
    pub facts_to_lose: u32,
    /// A call of this name fails, once, in this way.
    pub next_failure: Option<(&'static str, HypervisorErrorKind)>,
    /// For whom the host does nothing, as one of profile `strict` whose rules don't know them.
    pub denied: Vec<UserName>,
}

impl Faults {
    /// Whether a call can be made now, for this person.
    pub(super) fn check(
        &mut self,
        call: &'static str,
        person: Option<&Behalf>,
    ) -> Result<(), HypervisorError> {
        if let Some(why) = &self.lost {
            return Err(HypervisorError::new(
                HypervisorErrorKind::Unavailable,
                why.clone(),
            ));
        }
        if let Some(person) = person.filter(|person| self.denied.contains(&person.name)) {
            let message = format!("libvirt does not let {} do that", person.name);
            return Err(HypervisorError::new(HypervisorErrorKind::Denied, message));
        }
        match self.next_failure.take_if(|(name, _)| *name == call) {
            Some((_, kind)) => Err(HypervisorError::new(
                kind,
                format!("{call} failed, as the simulation was told"),
            )),
            None => Ok(()),
        }
    }
}
