// SPDX-License-Identifier: GPL-3.0-or-later
//! The host that is looked at: its files, its processes, its settings, and what hvd says.
//!
//! Nothing here judges. What cannot be read is an [`Unreadable`] that says why.

pub(crate) mod account;
pub(crate) mod command;
pub(crate) mod definition;
pub(crate) mod hvd;
pub(crate) mod listener;
pub(crate) mod mount;
pub(crate) mod process;
pub(crate) mod product;
pub(crate) mod root;
pub(crate) mod settings;

use jiff::Timestamp;

pub(crate) use self::{
    account::Accounts,
    command::Programs,
    definition::Definition,
    hvd::Hvd,
    listener::Listener,
    mount::Mount,
    process::Process,
    product::Product,
    root::{Root, Status, Unreadable, if_there},
    settings::{LibvirtSettings, SshSettings, Unit},
};

/// The host that is looked at.
#[derive(Debug)]
pub(crate) struct System {
    /// Its files.
    pub root: Root,
    /// Its programs.
    pub programs: Programs,
    /// What only hvd knows.
    pub hvd: Hvd,
    /// When it is looked at.
    pub now: Timestamp,
    processes: Result<Vec<Process>, Unreadable>,
    product: Product,
    accounts: Result<Accounts, Unreadable>,
    listeners: Result<Vec<Listener>, Unreadable>,
    mounts: Result<Vec<Mount>, Unreadable>,
    definitions: Result<Vec<Definition>, Unreadable>,
}

impl System {
    /// Looks at what several checks need.
    pub(crate) fn look(root: Root, programs: Programs, hvd: Hvd, now: Timestamp) -> Self {
        let processes = process::all(&root);
        let known = processes.as_deref().unwrap_or_default();
        Self {
            product: Product::read(&root, known),
            listeners: listener::all(&root, known),
            accounts: Accounts::read(&root),
            mounts: mount::all(&root),
            definitions: definition::all(&root),
            processes,
            root,
            programs,
            hvd,
            now,
        }
    }

    /// Its processes.
    pub(crate) fn processes(&self) -> Result<&[Process], Unreadable> {
        self.processes.as_deref().map_err(Clone::clone)
    }

    /// The processes with this name.
    pub(crate) fn called(&self, name: &str) -> Result<Vec<&Process>, Unreadable> {
        let processes = self.processes()?.iter();
        Ok(processes.filter(|process| process.name == name).collect())
    }

    /// Our daemons.
    pub(crate) fn daemons(&self) -> Result<Vec<&Process>, Unreadable> {
        Ok([self.called("hvd")?, self.called("hv-broker")?].concat())
    }

    /// The processes of VMs.
    pub(crate) fn qemus(&self) -> Result<Vec<&Process>, Unreadable> {
        let processes = self.processes()?.iter();
        Ok(processes.filter(|process| process.is_qemu()).collect())
    }

    /// Our own configuration.
    pub(crate) const fn product(&self) -> &Product {
        &self.product
    }

    /// Its users and groups.
    pub(crate) fn accounts(&self) -> Result<&Accounts, Unreadable> {
        self.accounts.as_ref().map_err(Clone::clone)
    }

    /// Who listens on TCP.
    pub(crate) fn listeners(&self) -> Result<&[Listener], Unreadable> {
        self.listeners.as_deref().map_err(Clone::clone)
    }

    /// Its file systems.
    pub(crate) fn mounts(&self) -> Result<&[Mount], Unreadable> {
        self.mounts.as_deref().map_err(Clone::clone)
    }

    /// The VMs that libvirt has defined or runs.
    pub(crate) fn definitions(&self) -> Result<&[Definition], Unreadable> {
        self.definitions.as_deref().map_err(Clone::clone)
    }

    /// libvirtd's settings.
    pub(crate) fn libvirtd(&self) -> Result<LibvirtSettings, Unreadable> {
        LibvirtSettings::read(&self.root, LIBVIRTD)
    }

    /// libvirt's settings for QEMU.
    pub(crate) fn qemu(&self) -> Result<LibvirtSettings, Unreadable> {
        LibvirtSettings::read(&self.root, QEMU)
    }

    /// sshd's settings: what it says of itself, else what its files say; nothing if there is none.
    pub(crate) fn sshd(&self) -> Result<Option<SshSettings>, Unreadable> {
        let file = "/etc/ssh/sshd_config";
        // Without rights it cannot read its keys, and says nothing.
        if let Ok(Some(told)) = self.programs.ask(&self.root, "sshd", &["-T"]) {
            return Ok(Some(SshSettings::told(&told)));
        }
        match if_there(self.root.status(file))? {
            Some(_) => SshSettings::read(&self.root, file).map(Some),
            None => Ok(None),
        }
    }

    /// A unit, if there is one.
    pub(crate) fn unit(&self, name: &str) -> Result<Option<Unit>, Unreadable> {
        Unit::read(&self.root, name)
    }
}

/// libvirtd's settings.
pub(crate) const LIBVIRTD: &str = "/etc/libvirt/libvirtd.conf";
/// libvirt's settings for QEMU.
pub(crate) const QEMU: &str = "/etc/libvirt/qemu.conf";
