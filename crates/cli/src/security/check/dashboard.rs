// SPDX-License-Identifier: GPL-3.0-or-later
//! Who reaches the API that a dashboard stands on, and whether it knows them.

use std::net::SocketAddr;

use hv_model::security::{Category::Dashboard, Objective, Severity};

use super::{
    Answer, Check, System,
    observation::{Offenders, fail, not_applicable, pass, seen, unknown},
};
use crate::security::system::hvd::{Door, Reply};

/// Groups that nearly everybody is in.
const GENERAL_GROUPS: [&str; 6] = ["users", "nogroup", "nobody", "staff", "games", "everyone"];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "dashboard.cleartext",
        category: Dashboard,
        title: "Other machines reach the API over TLS only",
        severity: Severity::Critical,
        why: "Without TLS everybody on the way reads the sessions of those who run VMs, and uses them.",
        fix: &[
            "In hvd's configuration: [listen] address = \"127.0.0.1:8006\", with a TLS proxy before it.",
        ],
        objectives: &[Objective::EncryptionInTransit, Objective::OpenPorts],
        look: cleartext,
    },
    Check {
        id: "dashboard.nameless",
        category: Dashboard,
        title: "Over TCP nobody sees VMs without a name",
        severity: Severity::Medium,
        why: "A loopback address is open to every account of this host and to whatever runs there, \
              a browser's pages included. What VMs there are is not theirs to know.",
        fix: &[
            "Remove [listen] from hvd's configuration and use its socket, which knows who asks.",
        ],
        objectives: &[Objective::UniqueUsers, Objective::LeastPrivilege],
        look: nameless,
    },
    Check {
        id: "dashboard.foreign-host",
        category: Dashboard,
        title: "A request that is meant for another host is refused",
        severity: Severity::High,
        why: "A web page can make its own name point to this host (DNS rebinding). Only the Host \
              header tells; if it is not looked at, the page speaks to the API with the browser's rights.",
        fix: &["Update hvd: it refuses requests whose Host is not its own."],
        objectives: &[Objective::LeastPrivilege],
        look: foreign_host,
    },
    Check {
        id: "dashboard.socket",
        category: Dashboard,
        title: "Not everybody may open hvd's socket",
        severity: Severity::Critical,
        why: "Whoever opens the socket may ask for everything that their account was granted, and \
              hvd is open to attack by all the others.",
        fix: &[
            "In hvd's configuration: socket_group = \"hyper-nixos\"",
            "systemctl restart hvd",
        ],
        objectives: &[Objective::LeastPrivilege],
        look: socket,
    },
    Check {
        id: "dashboard.socket-group",
        category: Dashboard,
        title: "The group of hvd's socket is for those who run VMs",
        severity: Severity::High,
        why: "A group that everybody is in is no protection.",
        fix: &[
            "groupadd --system hyper-nixos",
            "In hvd's configuration: socket_group = \"hyper-nixos\"",
        ],
        objectives: &[Objective::LeastPrivilege, Objective::UniqueUsers],
        look: socket_group,
    },
];

fn cleartext(system: &System) -> Answer {
    let listen = system.product().hvd.clone()?.listen;
    let Some(address) = listen.map(|listen| listen.address) else {
        let own = system.listeners()?.iter();
        let own = own.filter(|one| one.is_open() && one.is_of("hvd"));
        return Offenders::of(own.map(ToString::to_string)).answer(
            "The API is served on its unix socket only.",
            "hvd listens for other machines, and its configuration does not say so.",
        );
    };
    let loopback = address
        .parse::<SocketAddr>()
        .is_ok_and(|address| address.ip().is_loopback());
    if loopback {
        return pass(format!(
            "The API is served to this host only, on {address}."
        ));
    }
    let Some(door) = &system.hvd.door else {
        return fail(format!(
            "The API is configured for other machines, on {address}."
        ));
    };
    match door.nameless.clone()? {
        Reply::Status(status) => seen(
            fail(format!(
                "The API is served to other machines on {address}, without TLS."
            )),
            [format!("GET http://{address}/v1/vms: {status}")],
        ),
        Reply::NoHttp => pass(format!(
            "{address} is for other machines, and gives no answer without TLS."
        )),
    }
}

fn nameless(system: &System) -> Answer {
    let Some(door) = &system.hvd.door else {
        return not_on_tcp(system);
    };
    let Door {
        address, nameless, ..
    } = door;
    match nameless.clone()? {
        Reply::Status(status @ 200..300) => seen(
            fail("Whoever reaches it may list the VMs without saying who they are."),
            [format!(
                "GET http://{address}/v1/vms without a name: {status}"
            )],
        ),
        Reply::Status(status) => pass(format!(
            "Somebody without a name is answered with {status} on {address}."
        )),
        Reply::NoHttp => unknown("TLS is spoken there, which this check does not."),
    }
}

fn foreign_host(system: &System) -> Answer {
    let Some(door) = &system.hvd.door else {
        return not_on_tcp(system);
    };
    let Door {
        address, foreign, ..
    } = door;
    match foreign.clone()? {
        Reply::Status(status @ 200..300) => seen(
            fail("A request with the Host of somebody else was answered."),
            [format!(
                "GET http://{address}/v1/version with Host rebound.invalid: {status}"
            )],
        ),
        Reply::Status(status) => pass(format!(
            "A request with the Host of somebody else got {status}."
        )),
        Reply::NoHttp => unknown("TLS is spoken there, which this check does not."),
    }
}

fn not_on_tcp(system: &System) -> Answer {
    // Whether it is served there at all must be known first.
    system.product().hvd.clone()?;
    not_applicable("The API is not served on TCP.")
}

fn socket(system: &System) -> Answer {
    let path = system.product().hvd_socket()?;
    let Some(status) = system.root.status_if_there(&path)? else {
        return not_applicable(format!("{path} is not there: hvd does not run."));
    };
    if status.everybody_writes() {
        return seen(
            fail("Every account of this host may open hvd's socket."),
            [status.to_string()],
        );
    }
    seen(
        pass("Only its owner and its group may open hvd's socket."),
        [status.to_string()],
    )
}

fn socket_group(system: &System) -> Answer {
    let path = system.product().hvd_socket()?;
    let Some(status) = system.root.status_if_there(&path)? else {
        return not_applicable(format!("{path} is not there: hvd does not run."));
    };
    let accounts = system.accounts()?;
    let name = accounts.group_name(status.group);
    if status.mode & 0o020 == 0 || status.group == 0 {
        return pass("Only root and hvd's own user may open the socket.");
    }
    if GENERAL_GROUPS.contains(&name.as_str()) {
        return seen(
            fail(format!("The socket's group is {name}.")),
            [status.to_string()],
        );
    }
    let members = accounts.group(&name).map(|group| accounts.members(group));
    let members = members.unwrap_or_default().join(", ");
    seen(
        pass(format!(
            "The socket's group is {name}; in it are: {members}."
        )),
        [status.to_string()],
    )
}
