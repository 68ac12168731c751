// SPDX-License-Identifier: GPL-3.0-or-later
//! Who judges a change besides the policy: in profile `strict` libvirt itself, as the person's.
//!
//! ```text
//!   production   every call ──────────────────────────────▶ the broker's connection
//!   strict       reads, definitions, volumes ─────────────▶ the broker's connection
//!                start, stop, reset, pause, save, console ─▶ a connection as the person
//!                  the same without a person ──▶ refused, but for what hvd does by itself
//! ```
//! Defining takes libvirt's right `domain.write`, and whoever holds that is root on the host, so
//! no person ever does; `docs/decisions/0003` says more. A person's connection is opened for one
//! call. Before its use libvirt must refuse to let it become the broker again: where it does not
//! refuse that, it judges nothing, and neither would it refuse what comes next.

use std::collections::BTreeSet;

use hv_libvirt::{Connection, ErrorKind, Identity};
use hv_model::{
    hypervisor::{HypervisorError, HypervisorErrorKind, Result},
    id::VmId,
};

use crate::{
    account::Access,
    broker::Broker,
    config::{Config, OperatorRule, Profile},
    failure::{Explain, fail},
    person::{self, Person},
};

/// Who judges changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judging {
    profile: Profile,
    operators: Vec<OperatorRule>,
    /// Who is no person: those who speak to the port, and the broker itself.
    services: BTreeSet<u32>,
}

/// Whether something is done without a person, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alone {
    /// The daemon does it by itself: it starts VMs with the host, and undoes what it began.
    May,
    /// Only people do.
    MayNot,
}

impl Judging {
    /// The policy alone, whoever asks.
    pub const fn by_policy() -> Self {
        Self {
            profile: Profile::Production,
            operators: Vec::new(),
            services: BTreeSet::new(),
        }
    }

    /// What the configuration says.
    pub fn of(config: &Config, access: &Access) -> Self {
        Self {
            profile: config.profile,
            operators: config.operators.clone(),
            services: access.users.clone(),
        }
    }
}

impl Broker {
    /// Does something to a VM as libvirt lets the person do it that it is done for.
    pub(crate) fn as_person<T>(
        &self,
        alone: Alone,
        act: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let Some(person) = self.person()? else {
            if self.judging().profile == Profile::Strict && alone == Alone::MayNot {
                let message = "in profile strict this is done for people only, and nobody is named";
                tracing::warn!("something that only people do was asked for without one");
                return fail(HypervisorErrorKind::Denied, message);
            }
            return act(&self.libvirt()?);
        };
        let libvirt = open_as(&self.libvirt()?, &person)?;
        act(&libvirt).map_err(|error| {
            if error.kind != HypervisorErrorKind::Denied {
                return error;
            }
            let (name, user) = (&person.name, person.user);
            tracing::warn!(person = name, user, why = error.message, "libvirt refused");
            let message = format!("libvirt does not let {name} do that: {}", error.message);
            HypervisorError::new(HypervisorErrorKind::Denied, message)
        })
    }

    /// Whether there is a person to judge, rather than the policy alone.
    pub(crate) fn judges_a_person(&self) -> bool {
        self.judging().profile == Profile::Strict && self.behalf().is_some()
    }

    /// Before the service does what no person may: whether the person that it does it for is one
    /// whom it may act for.
    pub(crate) fn expect_person(&self) -> Result<()> {
        self.person().map(drop)
    }

    /// The same for a change of a VM, which the person must be able to see in libvirt's eyes, if it
    /// is there.
    pub(crate) fn expect_person_sees(&self, vm: VmId) -> Result<()> {
        if self.person()?.is_none() {
            return Ok(());
        }
        self.as_person(Alone::May, |libvirt| {
            match libvirt.domain_by_uuid(vm.uuid()) {
                Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
                other => other
                    .map(drop)
                    .explain(|| format!("VM {vm} can't be looked for")),
            }
        })
    }

    /// The person that this is done for, where people are judged.
    fn person(&self) -> Result<Option<Person>> {
        let judging = self.judging();
        match (judging.profile, self.behalf()) {
            (Profile::Strict, Some(behalf)) => {
                person::resolve(behalf, &judging.services, &judging.operators).map(Some)
            }
            (Profile::Strict, None) | (Profile::Production, _) => Ok(None),
        }
    }
}

/// A connection that libvirt takes for this person's, and shows that it does.
fn open_as(own: &Connection, person: &Person) -> Result<Connection> {
    let name = &person.name;
    let tried = || format!("libvirt can't be asked as {name}");
    let identity = Identity::through_this_process(name, person.user, person.group);
    let identity = identity.explain(tried)?;
    let connection = own.another().explain(tried)?;
    connection.set_identity(&identity).explain(tried)?;
    match connection.set_identity(&identity) {
        Err(error) if error.is_access_denied() => Ok(connection),
        Err(error) => Err(error).explain(tried),
        Ok(()) => {
            let message = "libvirt judges nobody, so profile strict is not kept and nothing is done \
                           for people: libvirtd.conf needs access_drivers = [\"polkit\"], and \
                           polkit the rules of hv-broker polkit-rules";
            tracing::error!(message);
            fail(HypervisorErrorKind::Refused, message)
        }
    }
}
